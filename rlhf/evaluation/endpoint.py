"""A judge behind an OpenAI-compatible endpoint: two answers, both orders, one outcome a prompt.

Models prefer an answer for where it stands (Zheng et al. 2023, section 3.4 of arXiv 2306.05685), so each pair
is shown in both orders; only a preference that survives the exchange counts, anything else is a tie.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from rlhf.algos.statistics import Interval, wilson
from rlhf.config.judge import JudgeConfig
from rlhf.errors import RunError
from rlhf.evaluation.chat_client import ChatClient
from rlhf.evaluation.rubric import REMINDERS, language_of, load_rubrics, question, read_verdict
from rlhf.records import Prompt
from rlhf.runs import disk_errors

Side = Literal["policy", "baseline"]


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt."""

    prompt: Prompt
    policy: str
    baseline: str


@dataclass(frozen=True)
class Verdict:
    """One line of the record: what the judge said to one pair in one order.

    `id` names model, question and limits; `first` is whose answer was shown as A; `verdict` is None where
    neither the reply nor the one after a reminder could be read.
    """

    id: str
    key: str
    first: Side
    verdict: Literal["A", "B", "tie"] | None
    replies: tuple[str, ...]
    tokens_in: int
    tokens_out: int

    @property
    def outcome(self) -> float | None:
        """1 where the policy's answer is the better one, 0.5 a tie, 0 the baseline's, None unreadable."""
        if self.verdict in (None, "tie"):
            return None if self.verdict is None else 0.5
        return float((self.verdict == "A") == (self.first == "policy"))


_LINE = TypeAdapter(Verdict)


@dataclass(frozen=True)
class EndpointVerdicts:
    """What the judge made of the pairs, and how far it can be trusted.

    `outcomes` runs parallel to the pairs: 1 the policy, 0 the baseline, in both orders; 0.5 a tie; None where
    a verdict could not be read. `same` pairs had equal answers: ties, never asked about. `disagreement` is
    the share of the pairs read in both orders whose two verdicts differ (they count as ties), `first_shown`
    the share of the verdicts other than ties that went to the answer shown first: 0.5 of an impartial judge.
    Both are None where there is nothing to take a share of.
    """

    outcomes: tuple[float | None, ...]
    same: int
    unparsable: int
    disagreement: Interval | None
    first_shown: Interval | None
    tokens_in: int
    tokens_out: int


def judge_pairs(
    pairs: Sequence[Pair],
    judge: JudgeConfig,
    record: Path,
    *,
    advance: Callable[[int, int], None] | None = None,
    backoff_s: float = 1.0,
) -> EndpointVerdicts:
    """Asks about each pair in both orders, `judge.parallel` questions at a time.

    Each verdict is a line of the JSONL file `record` as soon as it is there, and no question that has its
    line is asked again. `advance` is told how many questions of how many are answered.

    Raises:
        ConfigError: the rubric is not fit, or the key is not in the environment.
        InputError: the endpoint cannot be reached, refuses, or keeps failing.
        RunError: the disk is full.
    """
    rubrics = load_rubrics(judge.rubric)
    asked = [_questions(pair, judge, rubrics) for pair in pairs]
    by_id = {one.id: one for both in asked for one in both}
    known = {line.id: line for line in _read_record(record) if line.id in by_id}
    open_ones = [one for one in by_id.values() if one.id not in known]

    def keep(verdict: Verdict) -> None:
        line = json.dumps(asdict(verdict), ensure_ascii=False) + "\n"
        with disk_errors(record), record.open("ab") as file:
            file.write(line.encode("utf-8", errors="replace"))
        known[verdict.id] = verdict
        if advance:
            advance(len(known), len(by_id))

    if open_ones:
        asyncio.run(_ask_all(open_ones, ChatClient(judge, backoff_s=backoff_s), judge.parallel, keep))
    return _summed_up([tuple(known[one.id] for one in both) for both in asked])


@dataclass(frozen=True)
class _Question:
    """A pair in one order, as it is put to the judge."""

    id: str
    key: str
    first: Side
    text: str
    reminder: str


def _questions(pair: Pair, judge: JudgeConfig, rubrics: Mapping[str, str]) -> list[_Question]:
    """Both orders; none where the two answers are the same."""
    if pair.policy == pair.baseline:
        return []
    language = language_of(pair.prompt)
    made: list[_Question] = []
    orders: tuple[tuple[Side, str, str], ...] = (
        ("policy", pair.policy, pair.baseline),
        ("baseline", pair.baseline, pair.policy),
    )
    for first, a, b in orders:
        text = question(rubrics[language], pair.prompt.text, a, b)
        parts = json.dumps([judge.model, judge.max_tokens, first, text], ensure_ascii=False)
        id = hashlib.sha256(parts.encode()).hexdigest()
        made.append(_Question(id, pair.prompt.key, first, text, REMINDERS[language]))
    return made


async def _ask_all(
    questions: Sequence[_Question], client: ChatClient, parallel: int, keep: Callable[[Verdict], None]
) -> None:
    """The first alone, so that what is wrong with the endpoint is said once, then `parallel` at a time."""
    waiting = iter(questions)

    async def work() -> None:
        for one in waiting:
            keep(await _verdict(client, one))

    async with client:
        keep(await _verdict(client, next(waiting)))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(parallel):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _verdict(client: ChatClient, one: _Question) -> Verdict:
    """Asks, and once more with a reminder where the reply is no verdict."""
    messages = [{"role": "user", "content": one.text}]
    reply = await client.ask(messages)
    replies = [reply]
    if read_verdict(reply.text) is None:
        said = [{"role": "assistant", "content": reply.text}, {"role": "user", "content": one.reminder}]
        replies.append(await client.ask([*messages, *said]))
    return Verdict(
        id=one.id,
        key=one.key,
        first=one.first,
        verdict=read_verdict(replies[-1].text),
        replies=tuple(each.text for each in replies),
        tokens_in=sum(each.tokens_in for each in replies),
        tokens_out=sum(each.tokens_out for each in replies),
    )


def _read_record(record: Path) -> Iterator[Verdict]:
    """The lines of an earlier attempt; a last one that a kill cut short is taken off the file.

    Raises:
        RunError: a line is none of ours.
    """
    if not record.exists():
        return
    content = record.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with record.open("r+b") as file:
            file.truncate(len(whole))
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield _LINE.validate_json(line)
        except ValidationError:
            raise RunError(
                f"line {number} of {record} is no verdict; delete that line, or the file to ask anew"
            ) from None


def _summed_up(pairs: Sequence[tuple[Verdict, ...]]) -> EndpointVerdicts:
    """From both verdicts on each pair (none on equal answers) to outcomes and shares."""
    outcomes = [_outcome(both) for both in pairs]
    lines = [line for both in pairs for line in both]
    read = [both for both, outcome in zip(pairs, outcomes, strict=True) if both and outcome is not None]
    differing = sum(one.outcome != other.outcome for one, other in read)
    decided = [line.verdict for line in lines if line.verdict in ("A", "B")]
    return EndpointVerdicts(
        outcomes=tuple(outcomes),
        same=sum(not both for both in pairs),
        unparsable=sum(outcome is None for outcome in outcomes),
        disagreement=wilson(differing, len(read)) if read else None,
        first_shown=wilson(decided.count("A"), len(decided)) if decided else None,
        tokens_in=sum(line.tokens_in for line in lines),
        tokens_out=sum(line.tokens_out for line in lines),
    )


def _outcome(both: tuple[Verdict, ...]) -> float | None:
    found = {verdict.outcome for verdict in both}
    if None in found:
        return None
    return found.pop() if len(found) == 1 else 0.5
