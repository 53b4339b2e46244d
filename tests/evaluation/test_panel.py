"""Marks: given once, by everybody, in the order of the answers."""

from collections.abc import Sequence

import torch
from evaluation_samples import answer

from rlhf.evaluation.panel import Marks, mark
from rlhf.rewards import Scored, Scores


def test_an_answer_that_several_gave_is_scored_once() -> None:
    seen: list[str] = []

    def noisy(batch: Sequence[Scored]) -> Scores:
        seen.extend(scored.response for scored in batch)
        numbers = torch.arange(len(batch)).float()
        return Scores(numbers, {"right": -numbers})

    sets = {
        "policy": [answer("p", "same"), answer("q", "mine")],
        "baseline": [answer("p", "same"), answer("q", "other")],
        "again": [answer("q", "mine")],
        "none": [],
    }
    marks = mark(noisy, sets)
    assert seen == ["same", "mine", "other"]
    assert marks["policy"] == Marks([0.0, 1.0], {"right": [0.0, -1.0]})
    assert marks["baseline"] == Marks([0.0, 2.0], {"right": [0.0, -2.0]})
    assert (marks["again"].total, len(marks["none"])) == ([1.0], 0)


def test_the_same_text_that_was_cut_is_another_answer() -> None:
    def by_end(batch: Sequence[Scored]) -> Scores:
        return Scores(torch.tensor([float(scored.finish == "eos") for scored in batch]))

    marks = mark(by_end, {"a": [answer("p", "x")], "b": [answer("p", "x", finish="length")]})
    assert (marks["a"].total, marks["b"].total) == ([1.0], [0.0])


def test_some_of_the_marks() -> None:
    some = Marks([1.0, 2.0, 3.0], {"right": [0.0, 1.0, 0.5]}).at([2, 0, 2])
    assert some == Marks([3.0, 1.0, 3.0], {"right": [0.5, 0.0, 0.5]})
