import pytest
import torch
from ragged_samples import generator, normal, on_ranks, tensor

from rlhf.algos.running import RunningMoments


def test_two_batches_by_hand():
    # 1 and 3: mean 2, squares 2. Then 8: mean 4, squares 9 + 1 + 16 = 26
    one = RunningMoments().seen(tensor(1.0, 3.0))
    assert (one.count, one.mean, one.squares, one.deviation) == (2.0, 2.0, 2.0, 1.0)
    both = one.seen(tensor(8.0))
    assert (both.count, both.mean) == (3.0, 4.0)
    assert both.squares == pytest.approx(26.0)
    assert both.normalised(tensor(4.0, 8.0)).tolist() == pytest.approx([0.0, 4 / (26 / 3) ** 0.5])


def test_the_way_there_does_not_matter():
    x_B = normal(generator(0), 30) * 3 + 1e3  # far from 0, where sum(x^2) - mean^2 would cancel
    whole = RunningMoments().seen(x_B)
    parts = RunningMoments()
    for part in x_B.split([1, 7, 20, 2]):
        parts = parts.seen(part)
    assert whole.mean == pytest.approx(x_B.mean().item(), rel=1e-14)
    assert whole.deviation == pytest.approx(x_B.std(correction=0).item(), rel=1e-12)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-14)
    assert parts.deviation == pytest.approx(whole.deviation, rel=1e-12)


def test_what_was_normalised_has_mean_0_and_deviation_1():
    x_B = normal(generator(1), 50) * 4 - 9
    white_B = RunningMoments().seen(x_B).normalised(x_B)
    assert white_B.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert white_B.std(correction=0).item() == pytest.approx(1.0, abs=1e-8)


def test_scores_that_never_differ_become_0():
    assert RunningMoments().seen(torch.full((4,), 2.5)).normalised(torch.full((2,), 2.5)).tolist() == [0, 0]
    assert RunningMoments().deviation == 0.0
    assert RunningMoments().normalised(tensor(3.0, 5.0)).tolist() == [3.0, 5.0]  # nothing is known of them


def test_processes_see_what_one_would():
    x_B = normal(generator(2), 9)
    whole = RunningMoments().seen(x_B)

    def seen_by(part_B: torch.Tensor) -> object:
        def rank(reduce: object) -> torch.Tensor:
            found = RunningMoments().seen(part_B, reduce)  # type: ignore[arg-type]
            return torch.tensor([found.count, found.mean, found.deviation], dtype=torch.float64)

        return rank

    for found in on_ranks([seen_by(x_B[:2]), seen_by(x_B[2:])]):  # type: ignore[list-item]
        assert found.tolist() == pytest.approx([whole.count, whole.mean, whole.deviation], rel=1e-12)
