"""What an evaluation says in words: its line, its warnings, its gaps; in two languages."""

import re

import pytest
from evaluation_samples import comparison, evaluation, figures, judgement, point

from rlhf.algos.statistics import Interval
from rlhf.evaluation.cautions import cautions, gaps
from rlhf.evaluation.looks import Decline, Training
from rlhf.evaluation.summary import Judgement
from rlhf.evaluation.wording import MISSING, Text
from rlhf.runs.plain import plain
from rlhf.training.degenerate import diagnose


def test_the_headline_follows_the_interval() -> None:
    said = evaluation().headline
    assert said.en.startswith("ppo-1 beats sft-1: it wins 90.0% of 10 held-out prompts by the gold")
    assert said.zh.startswith("ppo-1 胜过 sft-1：按gold 评判，它在 10 个留出的提示中胜 90.0%")
    even = judgement("gold", [0.0, 1.0] * 5, [1.0, 0.0] * 5)
    worse = judgement("gold", [0.0] * 5, [1.0] * 5)
    assert "cannot be told from sft-1" in evaluation(judgements=(even,)).headline.en
    assert "分不出高下" in evaluation(judgements=(even,)).headline.zh
    assert "loses to sft-1" in evaluation(judgements=(worse,)).headline.en
    assert "nobody judged" in evaluation(judgements=()).headline.en


def controlled(rate: Interval) -> Judgement:
    """Nine wins of nine, and what is left of them at equal length."""
    return judgement("gold", [1.0] * 9, [0.0] * 9, length_controlled=rate)


FELL, ROSE = judgement("gold", [0.0] * 5, [1.0] * 5), judgement("reward", [2.0] * 5, [1.0] * 5)
DECLINE = Decline("gold", best=8, last=32, change=Interval(-0.3, -0.4, -0.2), reward_change=point(1.5))


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"prompts": 20}, "few-prompts", "Only 20 prompts"),
        ({"judgements": (FELL, ROSE)}, "reward-hacking-gold", "the reward rose by 1 while"),
        ({"kl_nats": point(30.0)}, "beyond-kl-budget", "30.0 nats from the baseline"),
        (
            {"training": Training((), {}, DECLINE)},
            "over-optimisation",
            "from iteration 8 to 32 the learnt reward rose by 1.5 while gold fell by 0.3",
        ),
        (
            {"judgements": (controlled(Interval(0.6, 0.4, 0.8)),)},
            "length-hacking",
            "at equal length 60.0% (40.0% to 80.0%)",
        ),
    ],
)  # fmt: skip
def test_warns_of_what_spoils_a_result(changes: dict[str, object], name: str, said: str) -> None:
    (warning,) = cautions(evaluation(**changes), {})
    assert warning.id == name
    assert said in warning.text.en


@pytest.mark.parametrize(
    ("now", "name"),
    [
        (figures(end_rate=0.5), "ends-less"),
        (figures(length=20.0), "length-growth"),
        (figures(length=1.2), "ends-at-once"),
        (figures(distinct_2=0.1), "variety"),
    ],
)
def test_warns_of_a_policy_that_broke_down(now: object, name: str) -> None:
    (warning,) = cautions(evaluation(figures={"policy": now, "baseline": figures()}), {})
    assert warning.id == name
    assert warning.text.zh != warning.text.en


def test_a_sound_result_has_no_warning() -> None:
    assert list(cautions(evaluation(), {})) == []


def test_a_rise_that_may_be_chance_is_no_over_optimisation() -> None:
    maybe = judgement("reward", [2.0, 0.0, 1.2], [1.0, 1.0, 1.0])
    assert maybe.overall.difference.estimate > 0
    assert list(cautions(evaluation(judgements=(FELL, maybe)), {})) == []


def test_a_fall_from_the_best_look_that_may_be_chance_is_none() -> None:
    for decline in (
        Decline("gold", 8, 32, Interval(-0.1, -0.3, 0.1), point(1.5)),
        Decline("gold", 8, 32, Interval(-0.3, -0.4, -0.2), Interval(0.1, -0.2, 0.4)),
    ):
        assert list(cautions(evaluation(training=Training((), {}, decline)), {})) == []


def test_equal_lengths_that_still_win_are_no_length_hacking() -> None:
    sure = controlled(Interval(0.8, 0.7, 0.9))
    assert list(cautions(evaluation(judgements=(sure,)), {})) == []


def test_what_training_warned_of_is_split_into_what_and_remedy() -> None:
    said = {"entropy-collapse": "entropy fell from 1 to 0.05 nats a token; raise kl.coef"}
    (warning,) = cautions(evaluation(), said)
    assert warning.id == "training-entropy-collapse"
    assert warning.text.en == "While it was trained: entropy fell from 1 to 0.05 nats a token."
    assert warning.remedy.en == "raise kl.coef."
    assert warning.text.zh == "训练期间：每个词元的熵从 1 降到 0.05 纳特。"
    assert warning.remedy.zh == "请提高 kl.coef，或降低 stage.learning_rate 或 stage.epochs。"


def test_every_warning_of_training_is_said_in_chinese_with_its_figures() -> None:
    first = {"kl": 0.0, "score": 0.0, "length": 9.0, "end_rate": 1.0, "entropy": 1.5}
    now = {"kl": 31.25, "score": 1.0, "length": 1.5, "end_rate": 0.02, "entropy": 0.125}
    shares = (
        {"distinct_responses": 0.97, "engine_gap": 0.0},
        {"distinct_responses": 0.25, "engine_gap": 0.07},
    )
    said = diagnose(now | shares[1], first | shares[0], kl_budget=25.0)
    assert len(said) == 6
    said |= {
        "no-improvement": "no checkpoint scores above the policy that PPO began from; raise it",
        "over-budget": "no checkpoint is within kl.budget=25 nats; the nearest was taken; raise kl.coef",
        "over-limit": "no checkpoint keeps to reward.limit, the nearest is 0.012 above it; raise it",
    }
    seen = ["31.2 25", "1.5", "2%", "1.500 0.125", "25% 97%", "7.0%", "", "25", "0.012"]
    for warning, shown in zip(cautions(evaluation(), said), seen, strict=True):
        assert (
            re.findall(r"\d\S*\d%?|\d%?", re.sub("[\u4e00-\u9fff，：=]", " ", warning.text.zh))
            == shown.split()
        )
        for text in (warning.text.zh, warning.remedy.zh):
            words = re.findall("[A-Za-z_.=]+", text)
            assert all("." in word or "=" in word or word in ("KL", "sft", "PPO") for word in words), text


def test_a_warning_of_another_version_is_shown_as_it_was_said() -> None:
    (warning,) = cautions(evaluation(), {"entropy-collapse": "entropy fell to 0.05; raise kl.coef"})
    assert warning.text.zh == "训练期间：entropy fell to 0.05。"


def test_says_what_is_missing_and_what_is_not() -> None:
    unknown = {gap.id for gap in gaps(evaluation())}
    assert "gold" not in unknown
    assert {"judge", "reward", "study", "training", "memory", "reward_model", "best-of-n"} <= unknown
    judged = evaluation(judgements=(judgement("endpoint", [1.0], [0.0]),), kl_nats=None)
    unknown = {gap.id for gap in gaps(judged)}
    assert {"gold", "kl"} <= unknown
    assert "judge" not in unknown
    assert unknown <= MISSING.keys()


def test_all_of_it_is_plain_and_in_both_languages() -> None:
    worst = evaluation(
        prompts=20,
        judgements=(FELL, ROSE),
        kl_nats=point(30.0),
        training=Training((), {}, DECLINE),
        figures={"policy": figures(20.0, 0.1, 0.1), "baseline": figures()},
    )
    found = list(cautions(worst, {"engine-gap": "it is 7% off; set precision=fp32"}))
    assert len({warning.id for warning in found}) == len(found) == 8
    texts = [text for warning in found for text in (warning.text, warning.remedy)]
    texts += [gap.text for gap in gaps(worst)]
    for text in texts:
        assert isinstance(text, Text)
        assert text.en
        assert text.zh
    saved = plain(worst.as_json())
    assert saved["version"] == 2
    assert saved["judgements"][0]["overall"]["win_rate"]["estimate"] == 0.0
    assert comparison([1.0], [0.0]).wins == 1
