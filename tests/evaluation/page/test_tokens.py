"""The inspector's tokens: shades by a number's size, all four numbers in each."""

import re

import pytest

from rlhf.evaluation.page.tokens import level, looks, scales


def test_a_shade_for_each_quarter_of_the_scale() -> None:
    values = (-3.0, -1.0, -0.5, 0.1, 0.25, 1.0, 9.0)
    assert [level(value, 1.0) for value in values] == [-4, -4, -2, 0, 1, 4, 4]
    assert level(1.0, 2.0) == 2


def episode(step: int, kl: list[float]) -> dict[str, object]:
    rest = {"value": kl, "advantage": [-one for one in kl], "reward": [0.0] * len(kl)}
    return {"step": step, "prompt": "p", "score": 1.5, "tokens": ["<b>"] * len(kl), "kl": kl} | rest


def test_each_token_carries_its_numbers_in_order() -> None:
    (first, second) = looks([episode(20, [1.0, -0.5]), episode(0, [0.25])])
    assert (first.step, second.step) == (0, 20)
    tokens = second.episodes[0].tokens
    assert re.findall(r'<i class="(.*?)" title="(.*?)">(.*?)</i>', tokens) == [
        ("k4", "1 1 −1 0", "&lt;b&gt;"),
        ("k-2", "−0.5 −0.5 0.5 0", "&lt;b&gt;"),
    ]


def test_the_scale_leaves_out_the_most_extreme() -> None:
    kl = [0.01 * n for n in range(1, 100)] + [50.0]
    found = scales([episode(0, kl)])
    assert found["kl"] == pytest.approx(0.96)
    assert found["reward"] == 1.0  # all nought: any scale will do
    assert scales([])["kl"] == 1.0


def test_one_number_a_token() -> None:
    broken = episode(0, [1.0, 2.0]) | {"value": [1.0]}
    with pytest.raises(ValueError, match="shorter"):
        looks([broken])
