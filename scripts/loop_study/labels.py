"""Labels alone: the same number of judgements by raters who err, as many pairs or a third of them.

The judgements go through the loop's own aggregation into preferences, and a reward model learns from these.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlhf.online.judgements import Judged
from rlhf.online.merging import Aggregate, Labelled, preferences
from rlhf.online.pairs import Drawn, Pair
from rlhf.records import Prompt
from scripts.loop_study.cells import World, named, write_last
from scripts.overoptimization.measure import as_scored, golds, learner, scores
from scripts.overoptimization.world import gold, read_rows, write_rows

ERRORS = (0.0, 0.2, 0.35)
SPREAD = (0.5, 1.0, 1.5)  # a third of the raters each: their errors, over the mean error
HOW: tuple[tuple[int, Aggregate], ...] = ((1, "raw"), (3, "majority"), (3, "dawid_skene"))


@dataclass(frozen=True)
class LabelCell:
    """One way to spend the judgements.

    `right` is the share of labels that are gold's, undecided ones half.
    """

    error: float
    raters: int  # a pair
    aggregate: str
    seed: int
    pairs: int
    right: float
    accuracy: float  # of the reward model, on pairs of unseen answers


def label_cell(world: World, error: float, raters: int, aggregate: Aggregate) -> LabelCell:
    """The cell's result: read where it is there, else made and trained. Raises RuntimeError."""
    policy = world.sft()
    name = named("labels", (f"{error}", f"{raters}", aggregate, repr(world.size)))
    file = world.folder / name / "result.json"
    if file.is_file():
        return LabelCell(**json.loads(file.read_text(encoding="utf-8")))
    samples = world.sample("label-pairs", policy, "label_prompts", world.size.label_prompts, 2)
    told_apart = pairs_of(read_rows(samples / "samples.jsonl"))
    count = world.size.labels // raters
    if len(told_apart) < count:
        raise RuntimeError(f"gold tells {len(told_apart)} pairs of answers apart, and {count} are needed")
    pairs = told_apart[:count]
    said = judged(pairs, raters, skills(world.size.raters, error), world.seed)
    rows = preferences([Labelled(1, pairs, said)], aggregate=aggregate, recent_weight=1.0)
    rows_file = world.folder / name / "preferences.jsonl"
    write_rows(rows_file, rows)
    run = world.run(
        f"{name}-rm",
        "stage=rm",
        f"inputs.policy={policy}",
        f"data.preferences={rows_file}",
        "data.validation_fraction=0.03",
        "data.test_fraction=0.02",
        "stage.validation_share=0",
        "stage.judge_share=0",
        *world.size.rm,
    )
    answers = world.pool("pool-sft", policy)
    shape = (-1, world.size.pool_answers)
    scored_PN = scores(run / "model", as_scored(answers)).reshape(shape)
    quality = learner(len(pairs), scored_PN, golds(answers).reshape(shape), world.seed)
    found = LabelCell(error, raters, aggregate, world.seed, len(pairs), right(rows), quality.accuracy)
    write_last(file, asdict(found))
    return found


def skills(count: int, error: float) -> list[float]:
    """The probability of being right of each of `count` raters, whose errors are `error` on average."""
    return [1.0 - error * SPREAD[number % len(SPREAD)] for number in range(count)]


def pairs_of(rows: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Each two answers that follow one another, of one prompt; those that gold values alike left out."""
    drawn = [(Prompt(row["prompt"]), Drawn(row["response"], "sft", 1.0, row["seed"])) for row in rows]
    pairs = [
        Pair(prompt, one, other) for (prompt, one), (_, other) in zip(drawn[::2], drawn[1::2], strict=True)
    ]
    return [pair for pair in pairs if _worth(pair, pair.first) != _worth(pair, pair.second)]


def judged(pairs: Sequence[Pair], raters: int, skills_R: Sequence[float], seed: int) -> list[Judged]:
    """What `raters` raters say of each pair; raters take turns, so that all judge about as many.

    Raises ValueError where there are fewer raters than a pair takes.
    """
    if len(skills_R) < raters:
        raise ValueError(f"{raters} raters a pair, and there are {len(skills_R)}")
    rng = np.random.default_rng([seed, raters, len(pairs)])
    turns: list[int] = []
    found: list[Judged] = []
    for pair in pairs:
        if len(turns) < raters:  # deal anew; who is left over sits out
            turns = rng.permutation(len(skills_R)).tolist()
        mine, turns = turns[:raters], turns[raters:]
        first, second = sorted((pair.first.text, pair.second.text))
        better = gold(str(pair.prompt.content), first) > gold(str(pair.prompt.content), second)
        for rater in mine:
            is_right = bool(rng.random() < skills_R[rater])
            found.append(
                Judged(
                    item=pair.key,
                    rater=f"rater {rater:02d}",
                    prompt=pair.prompt.key,
                    first=first,
                    second=second,
                    policies=("sft", "sft"),
                    outcome="first" if is_right == better else "second",
                    strength=1,
                    settles=False,
                )
            )
    return sorted(found, key=lambda one: (one.item, one.rater))


def right(rows: Sequence[Mapping[str, Any]]) -> float:
    """The share of preferences whose chosen answer gold prefers; one that leans nowhere is half."""
    towards = [
        np.sign(gold(row["prompt"], row["chosen"]) - gold(row["prompt"], row["rejected"])) for row in rows
    ]
    sure = [float(row.get("probability", 1.0)) != 0.5 for row in rows]
    return float(np.mean([0.5 + 0.5 * one * leans for one, leans in zip(towards, sure, strict=True)]))


def _worth(pair: Pair, side: Drawn) -> float:
    return gold(str(pair.prompt.content), side.text)
