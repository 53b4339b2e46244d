"""A judge behind an endpoint among the others: its place, what it leaves alone, when it is doubted."""

from dataclasses import replace

import pytest
from evaluation_samples import answer, judgement, point

from rlhf.algos.statistics import Interval
from rlhf.config import JudgeConfig
from rlhf.evaluation.contenders import Contender
from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.endpoint import EndpointVerdicts
from rlhf.evaluation.outside import Outside, _judgement, ask_outside, check_judge, rubric_files

JUDGE = JudgeConfig(url="http://127.0.0.1:1/v1", model="judge-7b")
VERDICTS = EndpointVerdicts((1.0, None, 0.5, 0.0), 0, 1, point(0.25), point(0.5), 800, 16)
SETS = {
    "policy": [answer(f"p{n}", "yes " * (n + 1), tokens=n + 1) for n in range(4)],
    "baseline": [answer(f"p{n}", "no", tokens=2) for n in range(4)],
}
DRAWS = Draws(seed=0, resamples=50)


def outside(verdicts: EndpointVerdicts = VERDICTS) -> Outside:
    return Outside(JUDGE, verdicts, _judgement(JUDGE, verdicts, SETS, DRAWS))


def contender(name: str) -> Contender:
    half = point(0.5)
    return Contender(name, "sft", None, {"gold": half}, {"gold": half}, None, None, None, 3.0, None)


def test_nobody_is_asked_without_an_address() -> None:
    nobody = ask_outside(JudgeConfig(), SETS, folder=None, draws=DRAWS)  # type: ignore[arg-type]
    assert (nobody.facts(), nobody.judgement, list(nobody.warnings())) == (None, None, [])
    check_judge(JudgeConfig())
    gold = judgement("gold", [1.0], [0.0])
    assert nobody.among((gold,)) == (gold,)
    rows = [{"policy": {"scores": {}}, "baseline": {"scores": {}}}] * 3
    assert list(nobody.scored(rows)) == rows
    both = (contender("sft"), contender("ppo"))
    assert nobody.of(both) == both


def test_what_could_not_be_read_counts_for_nothing() -> None:
    """Outcomes 1, 0.5 and 0 of the three that were read; the group's size says which prompts they are."""
    found = outside().judgement
    assert found is not None
    overall = found.overall
    assert (overall.prompts, overall.wins, overall.ties, overall.losses) == (3, 1, 1, 1)
    assert overall.policy.estimate == overall.baseline.estimate == overall.win_rate.estimate == 0.5
    nothing = replace(VERDICTS, outcomes=(None, None, None, None))
    assert outside(nothing).judgement is None
    assert outside(nothing).of([contender("sft"), contender("ppo")])[1].scores.keys() == {"gold"}


def test_the_winner_is_the_policy_where_it_won() -> None:
    """One outcome of 1 and three of 0.5: 0.625 for the policy, 0.375 for the baseline."""
    found = outside(replace(VERDICTS, outcomes=(1.0, 0.5, 0.5, 0.5), unparsable=0))
    sft, ppo, other = found.of([contender("sft"), contender("ppo"), contender("dpo")])
    assert ppo.scores["endpoint"].estimate == ppo.win_rates["endpoint"].estimate == 0.625
    assert sft.scores["endpoint"].estimate == 0.375
    assert sft.win_rates["endpoint"] == Interval(0.5, 0.5, 0.5)  # against itself
    assert other == contender("dpo")
    assert list(ppo.scores) == ["gold", "endpoint"]


def test_its_place_is_before_the_reward_and_after_all_others() -> None:
    judged = [judgement(name, [1.0], [0.0]) for name in ("gold", "judge", "reward")]
    for given in (judged, judged[:1], judged[2:], judged[::-1]):
        names = [one.name for one in outside().among(given)]
        others = [one.name for one in given if one.name != "reward"]
        assert names == [*others, "endpoint", *(["reward"] if "reward" in [g.name for g in given] else [])]


def test_samples_get_its_scores_in_the_same_order() -> None:
    scores = {"gold": 3.0, "reward": 9.0}
    rows = [{"id": n, "policy": {"scores": scores}, "baseline": {"scores": {"gold": 1.0}}} for n in range(4)]
    won, unread, tie, lost = outside().scored(rows)
    assert list(won["policy"]["scores"].items()) == [("gold", 3.0), ("endpoint", 1.0), ("reward", 9.0)]
    assert won["baseline"]["scores"] == {"gold": 1.0, "endpoint": 0.0}
    assert unread == rows[1]
    assert tie["policy"]["scores"]["endpoint"] == tie["baseline"]["scores"]["endpoint"] == 0.5
    assert (lost["policy"]["scores"]["endpoint"], lost["baseline"]["scores"]["endpoint"]) == (0.0, 1.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        list(outside().scored(rows[:3]))


@pytest.mark.parametrize(
    ("disagreement", "unparsable", "warned"),
    [
        (0.30, 0, []),
        (0.31, 0, ["endpoint-order"]),
        (None, 0, []),
        (0.0, 1, ["endpoint-unparsable"]),
        (0.9, 4, ["endpoint-order", "endpoint-unparsable"]),
    ],
)
def test_it_is_doubted_above_a_third(disagreement: float | None, unparsable: int, warned: list[str]) -> None:
    turned = None if disagreement is None else point(disagreement)
    told = outside(replace(VERDICTS, disagreement=turned, unparsable=unparsable, first_shown=point(0.8)))
    warnings = {warning.id: warning.text for warning in told.warnings()}
    assert list(warnings) == warned
    if "endpoint-order" in warnings:
        text = warnings["endpoint-order"]
        assert f"judged {disagreement:.0%} of the pairs otherwise" in text.en
        assert "gave 80% of its verdicts to the answer shown first" in text.en
        assert "80%" in text.zh
    if "endpoint-unparsable" in warnings:
        assert f"on {unparsable} of 4 prompts" in warnings["endpoint-unparsable"].en


def test_its_facts_leave_the_outcomes_out() -> None:
    facts = outside().facts()
    assert facts is not None
    assert (facts["model"], facts["url"], facts["unparsable"]) == ("judge-7b", JUDGE.url, 1)
    assert "outcomes" not in facts


def test_a_rubric_of_ones_own_counts_as_data() -> None:
    assert rubric_files(JUDGE) == ()
    own = JUDGE.model_copy(update={"rubric": "a/标准.md"})
    assert [path.name for path in rubric_files(own)] == ["标准.md"]
