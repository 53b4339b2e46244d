"""A user's plain function as the reward: `f(prompt, response, **row) -> float`."""

import difflib
import importlib
import importlib.util
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from rlhf.errors import ConfigError, TrainingError
from rlhf.rewards.base import Scored, Scores
from rlhf.rewards.model import beginning


class CustomReward:
    """Calls the function once for each answer.

    It is given the prompt's text and the response as its first two arguments, and by name those fields of
    the row that it asks for (all of them where it takes `**row`); `messages` (of a conversation, as dicts)
    and `finish` ("eos" or "length") are fields as well.
    """

    def __init__(self, path: str) -> None:
        """Loads the function that `path` names.

        Raises:
            ConfigError: there is no such file, module or function, or it cannot be called as a reward.
        """
        self.path = path
        self._function = load_function(path)
        self._wanted, self._needed = _asked_for(path, self._function)

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch.

        Raises:
            ConfigError: the function needs a field that a row does not have.
            TrainingError: it raised, or returned something that is no finite number.
        """
        total_B = torch.tensor([self._score(scored) for scored in batch], dtype=torch.float32)
        return Scores(total_B, {"custom": total_B})

    def _score(self, scored: Scored) -> float:
        row = _row_of(scored)
        missing = sorted(self._needed - row.keys())
        if missing:
            raise ConfigError(
                f"reward.path={self.path}: the function needs {', '.join(missing)}; the row of the prompt "
                f"{beginning(scored)} has only {', '.join(sorted(row))}; give the parameter a default"
            )
        given = row if self._wanted is None else {key: row[key] for key in self._wanted & row.keys()}
        try:
            score = self._function(scored.prompt.text, scored.response, **given)
        except Exception as error:
            raise TrainingError(
                f"reward.path={self.path} raised {_where(error, self._function)} "
                f"for the prompt {beginning(scored)}"
            ) from error
        return self._number(score, scored)

    def _number(self, score: Any, scored: Scored) -> float:
        value = score.item() if callable(getattr(score, "item", None)) and _is_single(score) else score
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
        shown = (
            f"{value!r:.80}" if isinstance(value, (int, float, type(None))) else f"{value!r:.80}, no number"
        )
        hint = "; is a `return` missing?" if value is None else ""
        raise TrainingError(
            f"reward.path={self.path} returned {shown} for the prompt {beginning(scored)}; "
            f"it must return a finite number{hint}"
        )


def load_function(path: str) -> Callable[..., Any]:
    """The function that `package.module:function` or `file.py:function` names.

    Raises:
        ConfigError: the file or module is missing or cannot be imported, or has no such function.
    """
    place, _, name = path.rpartition(":")
    file = source_file(path)
    try:
        module = _import_file(path, file) if file else importlib.import_module(place)
    except ConfigError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise ConfigError(
                f"reward.path={path}: there is no module {place} here; a file reads folder/file.py:{name}"
            ) from None
        raise ConfigError(f"reward.path={path}: cannot be imported: {_where(error)}") from error
    except Exception as error:
        raise ConfigError(f"reward.path={path}: cannot be imported: {_where(error)}") from error
    function = getattr(module, name, None)
    if function is None:
        there = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        near = difflib.get_close_matches(name, there, n=1) or there[:3]
        raise ConfigError(
            f"reward.path={path}: {place} has no function {name}"
            + (f"; it has {', '.join(near)}" if near else "")
        )
    if not callable(function):
        raise ConfigError(f"reward.path={path}: {name} is a {type(function).__name__}, not a function")
    return function


def source_file(path: str) -> Path | None:
    """The file of `file.py:function`; None where a module is named."""
    place = path.rpartition(":")[0]
    return Path(place).expanduser() if place.endswith(".py") else None


def _import_file(path: str, file: Path) -> ModuleType:
    """The file as a module; what lies beside it can be imported, as when it is run as a script."""
    if not file.is_file():
        raise ConfigError(f"reward.path={path}: there is no file {file} (looked in {Path.cwd()})")
    whole = file.resolve()
    spec = importlib.util.spec_from_file_location(f"rlhf_reward_{whole.stem}", whole)
    assert spec is not None
    assert spec.loader is not None
    if str(whole.parent) not in sys.path:
        sys.path.append(str(whole.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _asked_for(path: str, function: Callable[..., Any]) -> tuple[set[str] | None, set[str]]:
    """Names of the row's fields that the function takes (None: all), and those it cannot do without."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return set(), set()
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(by_position) < 2 and not takes_any:
        raise ConfigError(
            f"reward.path={path}: the function must take the prompt and the response as its first two "
            f"arguments, as in def {getattr(function, '__name__', 'score')}(prompt, response, **row)"
        )
    named = [*by_position[2:], *(p for p in parameters if p.kind is p.KEYWORD_ONLY)]
    needed = {p.name for p in named if p.default is p.empty}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None, needed
    return {p.name for p in named}, needed


def _row_of(scored: Scored) -> dict[str, Any]:
    content = scored.prompt.content
    row: dict[str, Any] = {"finish": scored.finish}
    if not isinstance(content, str):
        row["messages"] = [{"role": message.role, "content": message.content} for message in content]
    row |= scored.prompt.fields
    return {key: value for key, value in row.items() if key not in ("prompt", "response")}


def _is_single(value: Any) -> bool:
    return getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0


def _where(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """`ValueError: text (my_reward.py, line 7)`: the last line in the user's own file, else of all."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename or '').name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in frames if frame.filename == own] or [
        frame for frame in frames if not frame.filename.startswith("<frozen")
    ]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said
