"""Where reward and judge differ most."""

from evaluation_samples import answer

from rlhf.evaluation.disagreements import disagreements
from rlhf.evaluation.panel import Marks

POLICY = [answer(f"q{n}", f"mine {n}") for n in range(4)]
BASELINE = [answer(f"q{n}", f"other {n}") for n in range(4)]


def verdicts(gold: list[float], reward: list[float]) -> dict[str, dict[str, Marks]]:
    """Gains of the policy over a baseline of zeros, by both judges."""
    zeros = Marks([0.0] * len(gold))
    return {
        "gold": {"policy": Marks(gold), "baseline": zeros},
        "reward": {"policy": Marks(reward), "baseline": zeros},
    }


def test_the_worst_stands_first_and_agreement_does_not_count() -> None:
    rows = disagreements(
        POLICY, BASELINE, verdicts([-1.0, 1.0, -0.5, 1.0], [3.0, 2.0, 3.0, 0.1]), "gold", "reward"
    )
    assert [row["policy"] for row in rows] == ["mine 0", "mine 2"]
    assert rows[0] == {
        "prompt": "q0",
        "fields": {},
        "policy": "mine 0",
        "baseline": "other 0",
        "scores": {"gold": [-1.0, 0.0], "reward": [3.0, 0.0]},
    }


def test_the_scale_of_a_judge_does_not_matter() -> None:
    gold, reward = [-1.0, 1.0, -0.5, -0.2], [3.0, 2.0, 3.0, 9.0]
    small, large = (
        disagreements(POLICY, BASELINE, verdicts([scale * g for g in gold], reward), "gold", "reward")
        for scale in (0.01, 100.0)
    )
    assert [row["prompt"] for row in small] == [row["prompt"] for row in large] == ["q3", "q0", "q2"]


def test_judges_that_agree_have_none() -> None:
    assert disagreements(POLICY, BASELINE, verdicts([1.0] * 4, [0.5] * 4), "gold", "reward") == []
