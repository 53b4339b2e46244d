"""The order of training: every row once an epoch, batches of like length, the same for the same seed."""

import pytest

from rlhf.training.ordering import auto_microbatch, lay_out, num_steps

LENGTHS = [(7 * row) % 31 + 1 for row in range(50)]


def order(**changes: object) -> list[int]:
    settings = {"epochs": 2, "max_steps": None, "seed": 3} | changes
    return lay_out(LENGTHS, 8, **settings)  # type: ignore[arg-type]


def test_every_row_comes_once_an_epoch() -> None:
    assert sorted(order(epochs=3)) == sorted([*range(50)] * 3)


def test_the_last_batch_alone_may_be_smaller() -> None:
    assert len(order(epochs=1)) == 50
    assert num_steps(50, 8, epochs=1, max_steps=None) == 7


@pytest.mark.parametrize("steps", [1, 6, 20])
def test_max_steps_says_how_many_batches_there_are(steps: int) -> None:
    assert len(order(max_steps=steps)) == 8 * steps
    assert num_steps(50, 8, epochs=2, max_steps=steps) == steps


def test_the_seed_decides_and_nothing_else() -> None:
    assert order() == order()
    assert order() != order(seed=4)


def test_a_batch_holds_rows_of_like_length() -> None:
    batches = [order()[at : at + 8] for at in range(0, 96, 8)]
    spread = [max(LENGTHS[row] for row in batch) - min(LENGTHS[row] for row in batch) for batch in batches]
    assert sum(spread) / len(spread) < 6  # a random batch of eight out of 1..31 spreads over 24


def test_a_microbatch_divides_the_batch_and_keeps_to_the_tokens() -> None:
    assert auto_microbatch(12, 100, tokens=650) == 6
    assert auto_microbatch(12, 100, tokens=599) == 4
    assert auto_microbatch(12, 100, tokens=50) == 1
