"""What an evaluation of candidate against incumbent says, from the lines of its `samples.jsonl`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.algos.statistics import Interval, bootstrap_mean, wilson
from rlhf.errors import DataError
from rlhf.evaluation import win_rate
from rlhf.online.pairs import Drawn, Pair, can_be_asked, prompt_of
from rlhf.records import Prompt
from rlhf.rewards import Reward, Scored
from rlhf.runs.loop_record import RoundRecord, SampleShown, Slice

Row = Mapping[str, Any]
GOLD = "gold"
RESAMPLES = 2000


@dataclass(frozen=True)
class Gold:
    """By the gold rater: the candidate's win rate and mean score, and the incumbent's mean score."""

    win_rate: Interval
    candidate: Interval
    incumbent: float

    @property
    def recorded(self) -> dict[str, float]:
        """By the names of `RoundRecord`."""
        return {
            "gold_win_rate": self.win_rate.estimate,
            "gold_win_low": self.win_rate.low,
            "gold_win_high": self.win_rate.high,
            "gold_score": self.candidate.estimate,
            "gold_score_low": self.candidate.low,
            "gold_score_high": self.candidate.high,
            "gold_score_incumbent": self.incumbent,
        }


def outcomes(rows: Sequence[Row], judge: str) -> tuple[list[float], list[str]]:
    """1, 0.5 or 0 for each prompt that the judge scored, and the prompts' keys.

    Raises:
        DataError: the judge scored none.
    """
    scored = [row for row in rows if judge in row["policy"]["scores"] and judge in row["baseline"]["scores"]]
    if not scored:
        raise DataError(f"the evaluation holds no verdict by {judge}; see its report")
    mine, other = ([row[side]["scores"][judge] for row in scored] for side in ("policy", "baseline"))
    return win_rate.outcomes(mine, other), [row["key"] for row in scored]


def gold_figures(rows: Sequence[Row], *, seed: int) -> Gold | None:
    """None outside of the embedded world."""
    if not rows or any(GOLD not in row["policy"]["scores"] for row in rows):
        return None
    mine, other = ([row[side]["scores"][GOLD] for row in rows] for side in ("policy", "baseline"))
    compared = win_rate.compare(mine, other, seed=seed, resamples=RESAMPLES)
    return Gold(compared.win_rate, bootstrap_mean(mine, seed=seed, n=RESAMPLES), compared.baseline.estimate)


def asked_pairs(
    rows: Sequence[Row], candidate: str, incumbent: str, count: int, *, temperature: float
) -> tuple[list[Pair], list[str]]:
    """Of the first `count` prompts: the pairs that people are asked about, and the keys of those with a tie.

    The prompts are in the order of their keys, which says nothing of them. Two answers of equal text are a
    tie that nobody need be asked about. A prompt whose answers cannot be shown is passed over.
    """
    pairs: list[Pair] = []
    ties: list[str] = []
    for row in sorted(rows, key=lambda row: row["key"])[:count]:
        mine, other = row["policy"]["response"], row["baseline"]["response"]
        if mine == other:
            ties.append(row["key"])
        elif can_be_asked(mine, other):
            prompt = prompt_of(row["prompt"], row["fields"])
            first, second = (
                Drawn(text, policy, temperature, row["seed"])
                for text, policy in ((mine, candidate), (other, incumbent))
            )
            pairs.append(Pair(prompt, first, second, part="evaluation"))
    return pairs, ties


def slice_quality(reward: Reward, pairs: Sequence[tuple[Prompt, str, str]]) -> Slice | None:
    """How often the model scores the better answer higher; a tie of scores counts half. None of no pairs."""
    if not pairs:
        return None
    batch = [Scored(prompt, text, (), (), "eos") for prompt, *both in pairs for text in both]
    scores = reward(batch).total.tolist()
    correct = sum(win_rate.outcomes(scores[0::2], scores[1::2]))
    interval = wilson(correct, len(pairs))
    return Slice(count=len(pairs), correct=correct, low=interval.low, high=interval.high)


def shown(
    before: Sequence[SampleShown], rows: Sequence[Row], round_: RoundRecord, candidate: str, count: int
) -> list[SampleShown]:
    """The same few prompts with the candidate's answer beside those of earlier rounds."""
    chosen = sorted(rows, key=lambda row: row["key"])[:count]
    known = {one.prompt: one for one in before}
    found: list[SampleShown] = []
    for row in chosen:
        prompt = prompt_of(row["prompt"]).text
        old = known.get(prompt, SampleShown(prompt=prompt))
        sides = {round_.incumbent: row["baseline"], candidate: row["policy"]}
        answers = {label: side["response"] for label, side in sides.items()}
        gold = {label: side["scores"][GOLD] for label, side in sides.items() if GOLD in side["scores"]}
        found.append(
            SampleShown(
                prompt=prompt,
                answers={**answers, **old.answers, candidate: answers[candidate]},
                gold={**gold, **(old.gold or {}), candidate: gold[candidate]} if gold else None,
            )
        )
    return found
