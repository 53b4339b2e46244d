"""A user's plain function as the reward: `f(prompt, response, **row) -> float`, or a batch at a time."""

import asyncio
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence, Sized
from typing import Any

import torch

from rlhf.config import objective
from rlhf.errors import ConfigError, RlhfError, TrainingError
from rlhf.records import Prompt
from rlhf.rewards.base import Scored, Scores, beginning
from rlhf.rewards.functions import asked_for, check_batched, load_function, where

AT_ONCE = 64  # calls of an asynchronous function that wait at the same time


class CustomReward:
    """Calls the function once for each answer, or with `batched` once for all of them.

    It is given the prompt's text and the response as its first two arguments, and by name those fields of
    the row that it asks for (all of them where it takes `**row`); `messages` (of a conversation, as dicts)
    and `finish` ("eos" or "length") are fields as well. A batched one is given lists: prompts, responses,
    rows (dicts), and returns as many scores. An `async` function of one answer is called for up to 64 answers
    at once.
    """

    def __init__(self, cfg: objective.CustomReward) -> None:
        """Loads the function that `cfg.path` names.

        Raises:
            ConfigError: there is no such file, module or function, or it cannot be called as a reward.
        """
        self.path = cfg.path
        self._batched, self._timeout_s = cfg.batched, cfg.timeout_s
        self._function = load_function(cfg.path)
        self._asynchronous = inspect.iscoroutinefunction(self._function)
        self._wanted: set[str] | None = None
        self._needed: set[str] = set()
        if cfg.batched:
            check_batched(cfg.path, self._function)
        else:
            self._wanted, self._needed = asked_for(cfg.path, self._function)

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch.

        Raises:
            ConfigError: the function needs a field that a row does not have.
            TrainingError: it raised, took longer than `timeout_s`, or returned something that is no finite
                number (batched: not as many as there are answers).
        """
        if self._batched:
            values = self._of_all(batch) if batch else []
        elif self._asynchronous:
            values = asyncio.run(self._of_each(batch))
        else:
            values = [self._call(scored, *self._arguments(scored)) for scored in batch]
        total_B = torch.tensor(
            [self._number(value, scored) for value, scored in zip(values, batch, strict=True)],
            dtype=torch.float32,
        )
        return Scores(total_B, {"custom": total_B})

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises ConfigError where a row lacks a field that the function cannot do without."""
        for prompt in prompts:
            self._has_fields(prompt, row_of(prompt, "eos"))

    def _arguments(self, scored: Scored) -> tuple[tuple[str, str], dict[str, Any]]:
        row = row_of(scored.prompt, scored.finish)
        self._has_fields(scored.prompt, row)
        given = row if self._wanted is None else {key: row[key] for key in self._wanted & row.keys()}
        return (scored.prompt.text, scored.response), given

    def _has_fields(self, prompt: Prompt, row: dict[str, Any]) -> None:
        missing = sorted(self._needed - row.keys())
        if missing:
            raise ConfigError(
                f"reward.path={self.path}: the function needs {', '.join(missing)}; the row of the prompt "
                f"{beginning(prompt)} has only {', '.join(sorted(row))}; give the parameter a default"
            )

    def _of_all(self, batch: Sequence[Scored]) -> list[Any]:
        texts = [scored.prompt.text for scored in batch], [scored.response for scored in batch]
        rows = [row_of(scored.prompt, scored.finish) for scored in batch]
        given = self._call(batch[0], (*texts, rows), {}, of=f"a batch of {len(batch)} that begins with ")
        listed = given.tolist() if callable(getattr(given, "tolist", None)) else given
        if (
            not isinstance(listed, Sized)
            or not isinstance(listed, Iterable)
            or isinstance(listed, (str, dict))
        ):
            raise TrainingError(
                f"reward.path={self.path} returned {given!r:.80}; with reward.batched=true it must return "
                f"a list of {len(batch)} numbers"
            )
        if len(listed) != len(batch):
            raise TrainingError(
                f"reward.path={self.path} returned {len(listed)} scores for {len(batch)} answers; "
                "it must return one for each, in their order"
            )
        return list(listed)

    async def _of_each(self, batch: Sequence[Scored]) -> list[Any]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(scored: Scored) -> Any:
            arguments, row = self._arguments(scored)
            async with room:
                limit = asyncio.timeout(self._timeout_s)
                try:
                    async with limit:
                        return await self._function(*arguments, **row)
                except Exception as error:
                    if limit.expired():
                        raise self._too_long(scored, "") from None
                    raise self._raised(error, scored, "") from error

        try:
            async with asyncio.TaskGroup() as group:  # the first failure cancels the others
                tasks = [group.create_task(one(scored)) for scored in batch]
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        return [task.result() for task in tasks]

    def _call(self, scored: Scored, arguments: Sequence[Any], row: dict[str, Any], of: str = "") -> Any:
        def call() -> Any:
            given = self._function(*arguments, **row)
            return asyncio.run(_awaited(given)) if self._asynchronous else given

        try:
            return call() if self._timeout_s is None else _in_time(call, self._timeout_s)
        except _TooLongError:
            raise self._too_long(scored, of) from None
        except Exception as error:
            raise self._raised(error, scored, of) from error

    def _raised(self, error: Exception, scored: Scored, of: str) -> TrainingError:
        return TrainingError(
            f"reward.path={self.path} raised {where(error, self._function)} "
            f"for {of}the prompt {beginning(scored.prompt)}"
        )

    def _too_long(self, scored: Scored, of: str) -> TrainingError:
        return TrainingError(
            f"reward.path={self.path} took longer than reward.timeout_s={self._timeout_s:g} for {of}the "
            f"prompt {beginning(scored.prompt)}; raise it, or look at what the function waits for"
        )

    def _number(self, score: Any, scored: Scored) -> float:
        value = score.item() if callable(getattr(score, "item", None)) and _is_single(score) else score
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
        shown = (
            f"{value!r:.80}" if isinstance(value, (int, float, type(None))) else f"{value!r:.80}, no number"
        )
        hint = "; is a `return` missing?" if value is None else ""
        raise TrainingError(
            f"reward.path={self.path} returned {shown} for the prompt {beginning(scored.prompt)}; "
            f"it must return a finite number{hint}"
        )


def row_of(prompt: Prompt, finish: str) -> dict[str, Any]:
    """What a function may ask for: the fields of the row, `finish`, and the turns of a conversation."""
    row: dict[str, Any] = {"finish": finish}
    if not isinstance(prompt.content, str):
        row["messages"] = [{"role": message.role, "content": message.content} for message in prompt.content]
    row |= prompt.fields
    return {key: value for key, value in row.items() if key not in ("prompt", "response")}


class _TooLongError(Exception):
    """A call was given up; its own TimeoutError is another thing."""


def _in_time(call: Callable[[], Any], timeout_s: float) -> Any:
    """What the call returns or raises. One that takes longer is left behind in a daemon thread: nothing can
    stop it, and the process that gives up on it is about to end."""
    returned: list[Any] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # handed to the thread that waits
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True, name="reward")
    thread.start()
    thread.join(timeout_s)
    if raised:
        raise raised[0]
    if not returned:
        raise _TooLongError
    return returned[0]


async def _awaited(given: Awaitable[Any]) -> Any:
    return await given


def _first(failures: ExceptionGroup[Exception]) -> RlhfError:
    errors = [error for error in failures.exceptions if isinstance(error, RlhfError)]
    if not errors:
        raise failures
    return errors[0]


def _is_single(value: Any) -> bool:
    return getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0
