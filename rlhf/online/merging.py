"""All rounds' judgements as one file of preferences, sorted by content; the slices that are kept apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from rlhf.crowd import Judgement, dawid_skene, majority
from rlhf.online.judgements import EVEN, Judged
from rlhf.online.pairs import Pair, content_of
from rlhf.records import Prompt

Aggregate = Literal["raw", "majority", "dawid_skene"]
MARGIN = {0: 0.0, 1: 1 / 3, 2: 2 / 3, 3: 1.0}
"""Nats by strength: Touvron et al. 2023, Llama 2, table 27."""
_SIGN = {"first": 1.0, "second": -1.0, "tie": 0.0}


@dataclass(frozen=True)
class Labelled:
    """A round's pairs and what was said of them."""

    number: int
    pairs: Sequence[Pair]
    judged: Sequence[Judged]


@dataclass(frozen=True)
class Verdict:
    """On a pair: how probably the first answer is better, and the least difference asked for, in nats.

    `margin` is in favour of the first where it is positive.
    """

    said: Judged
    first: float
    margin: float

    @property
    def sides(self) -> tuple[str, str, float, float]:
        """Chosen, rejected, the probability that the chosen one is better, and the margin, 0 or more."""
        one, other = self.said.first, self.said.second
        if self.first >= 0.5:
            return one, other, self.first, max(self.margin, 0.0)
        return other, one, 1.0 - self.first, max(-self.margin, 0.0)


def preferences(
    rounds: Sequence[Labelled], *, aggregate: Aggregate, recent_weight: float
) -> list[dict[str, Any]]:
    """The rows that the reward model learns from, sorted by content, as `by_item` has them."""
    return [row for _, row in by_item(rounds, aggregate=aggregate, recent_weight=recent_weight)]


def by_item(
    rounds: Sequence[Labelled], *, aggregate: Aggregate, recent_weight: float
) -> list[tuple[str, dict[str, Any]]]:
    """Each row that a reward model may learn from with its item: nothing of a prompt that stands in a slice.

    A round's pairs weigh `recent_weight` times as much as those of the round before; the newest weigh 1. An
    answer that a rater rewrote loses to what became of it.
    """
    newest = max(one.number for one in rounds)
    apart = {pair.prompt.key for one in rounds for pair in one.pairs if pair.part == "evaluation"}
    found: list[tuple[tuple[str, int, str, str], dict[str, Any]]] = []
    for labelled, verdict in _verdicts(rounds, aggregate):
        prompts = {pair.key: pair.prompt for pair in labelled.pairs}
        prompt = prompts[verdict.said.item]
        if prompt.key in apart:
            continue
        weight = recent_weight ** (labelled.number - newest)
        chosen, rejected, probability, margin = verdict.sides
        row = _row(prompt, chosen, rejected, probability, margin, weight)
        found.append(((verdict.said.item, labelled.number, verdict.said.rater, ""), row))
    for labelled in rounds:
        weight = recent_weight ** (labelled.number - newest)
        prompts = {pair.key: pair.prompt for pair in labelled.pairs}
        for one in labelled.judged:
            if one.edit and one.edit[0] != one.edit[1] and one.prompt not in apart:
                row = _row(prompts[one.item], one.edit[1], one.edit[0], 1.0, 0.0, weight)
                found.append(((one.item, labelled.number, one.rater, "edit"), row))
    return [(key[0], row) for key, row in sorted(found, key=lambda pair: pair[0])]


def slice_of(labelled: Labelled) -> list[tuple[Prompt, str, str]]:
    """The random pairs of a round that most raters decided: prompt, the better answer, the worse one."""
    pairs = {pair.key: pair.prompt for pair in labelled.pairs if pair.part == "evaluation"}
    return [
        (pairs[verdict.said.item], *verdict.sides[:2])
        for _, verdict in _verdicts([labelled], "majority")
        if verdict.said.item in pairs and verdict.first != 0.5
    ]


def outcomes(labelled: Labelled, candidate: str) -> dict[str, list[float]]:
    """For each prompt's key what raters said of the candidate: 1 it is better, 0.5 a tie, 0 it is worse.

    A pair that both answers' badness was all that was said of counts as a tie.
    """
    found: dict[str, list[float]] = {}
    for one in _decided(labelled.judged):
        won = (
            0.5 if one.outcome in ("tie", None) else float(one.policies[one.outcome == "second"] == candidate)
        )
        found.setdefault(one.prompt, []).append(won)
    return found


def _verdicts(rounds: Sequence[Labelled], aggregate: Aggregate) -> Iterator[tuple[Labelled, Verdict]]:
    """Of every judgement ("raw"), or of all that were given on a pair in a round together."""
    if aggregate == "raw":
        for labelled in rounds:
            for one in _decided(labelled.judged):
                if one.outcome:
                    sign = _SIGN[one.outcome]
                    yield labelled, Verdict(one, 0.5 + sign / 2, sign * MARGIN[one.strength])
        return
    votes: dict[str, list[Judged]] = {}
    of_round: dict[str, Labelled] = {}
    for labelled in rounds:
        for one in _decided(labelled.judged):
            if one.outcome:
                key = _key(labelled, one)
                votes.setdefault(key, []).append(one)
                of_round[key] = labelled
    for key, first in _shares(rounds, votes, aggregate).items():
        if key not in votes:
            continue
        own = votes[key]
        margin = fmean(_SIGN[one.outcome or "tie"] * MARGIN[one.strength] for one in own)
        yield of_round[key], Verdict(own[0], first, margin if aggregate == "majority" else 0.0)


def _shares(
    rounds: Sequence[Labelled], votes: Mapping[str, Sequence[Judged]], aggregate: Aggregate
) -> dict[str, float]:
    """How probably the first answer of each pair is better; of a majority 0, 0.5 or 1."""
    if not votes:
        return {}
    if aggregate == "majority":
        counted = [_label(key, one) for key, own in votes.items() for one in own]
        polled = majority(counted, labels=("first", "second"), tie="tie", ties="half")
        shares = {key: vote.shares["first"] for key, vote in polled.items()}
        return {key: 0.5 if share == 0.5 else float(share > 0.5) for key, share in shares.items()}
    # what raters said of a pair that a manager settled shows their skill as well
    said = [(_key(labelled, one), one) for labelled in rounds for one in labelled.judged if one.outcome]
    known = {key: one.outcome for key, one in said if one.settles and one.outcome != "tie"}
    counted = [_label(key, one) for key, one in said if not one.settles]
    counted = counted or [_label(key, one) for key, one in said]
    voted = {label.item for label in counted}
    fit = dawid_skene(
        counted,
        class_prior=EVEN,
        tie="tie",
        ties="half",
        known={key: outcome for key, outcome in known.items() if outcome and key in voted},
    )
    found = {key: posterior["first"] for key, posterior in fit.posterior.items()}
    settled = {key: _SIGN[one.outcome] / 2 + 0.5 for key, one in said if one.settles and one.outcome}
    return found | settled


def _decided(judged: Sequence[Judged]) -> list[Judged]:
    """Without what raters said of a pair that a manager has settled."""
    settled = {one.item for one in judged if one.settles}
    return [one for one in judged if one.settles or one.item not in settled]


def _key(labelled: Labelled, one: Judged) -> str:
    return f"{one.item}/{labelled.number}"


def _label(key: str, one: Judged) -> Judgement:
    assert one.outcome is not None
    return Judgement(key, one.rater, one.outcome)


def _row(
    prompt: Prompt, chosen: str, rejected: str, probability: float, margin: float, weight: float
) -> dict[str, Any]:
    def answer(text: str) -> Any:
        return text if isinstance(prompt.content, str) else [{"role": "assistant", "content": text}]

    return {
        **prompt.fields,
        "prompt": content_of(prompt),
        "chosen": answer(chosen),
        "rejected": answer(rejected),
        "probability": probability,
        "margin": margin,
        "weight": weight,
    }
