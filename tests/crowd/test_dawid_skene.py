"""One-coin Dawid-Skene: by hand, against a numerical optimum, against crowd-kit, and on made crowds."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from crowds import crowd, pandalm
from scipy import optimize
from scipy.special import expit, logit

from rlhf.crowd.dawid_skene import DawidSkene, dawid_skene
from rlhf.crowd.judgements import Judgement

EVEN = {"first": 0.5, "second": 0.5}


def of(votes: dict[str, dict[str, str]]) -> list[Judgement]:
    """Judgements from {rater: {item: label}}."""
    return [Judgement(item, rater, label) for rater, said in votes.items() for item, label in said.items()]


def negative_log_posterior(
    x: np.ndarray, rows: list[Judgement], num_classes: int, prior: tuple[float, float], pseudo: float
) -> float:
    """Item by item, class by class: x holds a log-odds for each rater, then class logits after the first."""
    raters = sorted({row.rater for row in rows})
    skill = {rater: float(expit(value)) for rater, value in zip(raters, x, strict=False)}
    logits = np.concatenate([[0.0], x[len(raters) :]])
    shares = np.exp(logits) / np.exp(logits).sum()
    by_item: dict[str, list[Judgement]] = defaultdict(list)
    for row in rows:
        by_item[row.item].append(row)
    total = 0.0
    for said in by_item.values():
        evidence = 0.0
        for true in range(num_classes):
            p = shares[true]
            for row in said:
                s = skill[row.rater]
                p *= s if row.label == true else (1 - s) / (num_classes - 1)
            evidence += p
        total += math.log(evidence)
    for s in skill.values():
        total += prior[0] * math.log(s) + prior[1] * math.log(1 - s)
    return -total - pseudo * float(np.log(shares).sum())


def accuracy(found: DawidSkene, truth: dict[str, int]) -> float:
    return float(np.mean([found.most_probable(item) == label for item, label in truth.items()]))


def test_known_items_leave_a_share_and_its_normal_interval():
    # three of four right, with two pseudo-judgements right and one wrong: 5/7; on the scale of log-odds the
    # information of 7 judgements is 7 * 5/7 * 2/7 = 10/7
    said = {"a": "first", "b": "first", "c": "second", "d": "second"}
    known = {**said, "d": "first"}
    found = dawid_skene(of({"r": said}), known=known, class_prior=EVEN, skill_prior=(2, 1))
    skill = found.skills["r"]
    assert skill.estimate == pytest.approx(5 / 7)
    away = 1.959964 * math.sqrt(7 / 10)
    assert (skill.low, skill.high) == pytest.approx((expit(logit(5 / 7) - away), expit(logit(5 / 7) + away)))
    assert found.posterior["d"] == {"first": 1.0, "second": 0.0}


def test_a_vote_against_two_by_their_log_odds():
    # Gold keys make Ann right 18 of 20 and Bo and Cy right 11 of 20; the one open item hardly moves them.
    known = {f"g{n:02d}": "first" for n in range(2000)}
    votes = {
        "Ann": {item: "first" if n % 10 else "second" for n, item in enumerate(known)},
        "Bo": {item: "first" if n % 20 < 11 else "second" for n, item in enumerate(known)},
        "Cy": {item: "first" if n % 20 < 11 else "second" for n, item in enumerate(known)},
    }
    votes["Ann"]["open"], votes["Bo"]["open"], votes["Cy"]["open"] = "first", "second", "second"
    found = dawid_skene(of(votes), known=known, class_prior=EVEN, skill_prior=(0, 0))
    # odds 9 to 1 for first, 11/9 squared for second
    odds = 9 / (11 / 9) ** 2
    assert found.posterior["open"]["first"] == pytest.approx(odds / (1 + odds), abs=1e-3)
    assert found.most_probable("open") == "first"


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(("prior", "pseudo"), [((0.0, 0.0), 0.0), ((2.0, 1.0), 5.0)])
def test_em_finds_the_numerical_maximum(num_classes: int, prior: tuple[float, float], pseudo: float):
    rows, _ = crowd([0.9, 0.8, 0.7, 0.6, 0.35], 90, seed=7, num_classes=num_classes, missing=0.2)
    found = dawid_skene(rows, skill_prior=prior, class_pseudo=pseudo, tolerance=1e-12)
    start = np.concatenate([np.full(5, 0.5), np.zeros(num_classes - 1)])
    best = optimize.minimize(
        negative_log_posterior,
        start,
        args=(rows, num_classes, prior, pseudo),
        method="BFGS",
        options={"gtol": 1e-7},
    )
    assert found.converged
    assert found.objective[-1] == pytest.approx(-best.fun, abs=1e-6)
    estimates = [skill.estimate for skill in found.skills.values()]
    assert estimates == pytest.approx(expit(best.x[:5]).tolist(), abs=1e-5)
    # the interval is the curvature of that likelihood, by finite differences
    size, step = len(best.x), 1e-4
    hessian = np.zeros((size, size))
    at = np.concatenate([logit(estimates), np.log(list(found.class_prior.values()))[1:]])
    at[5:] -= math.log(found.class_prior[0])
    for i in range(size):
        for j in range(size):
            for one in (1, -1):
                for other in (1, -1):
                    x = at.copy()
                    x[i] += one * step
                    x[j] += other * step
                    value = negative_log_posterior(x, rows, num_classes, prior, pseudo)
                    hessian[i, j] += one * other * value / (4 * step**2)
    deviations = np.sqrt(np.diag(np.linalg.inv(hessian)))[:5]
    widths = [logit(skill.high) - logit(skill.low) for skill in found.skills.values()]
    assert widths == pytest.approx((2 * 1.959964 * deviations).tolist(), rel=1e-3)


@pytest.mark.parametrize("prior", [(0.0, 0.0), (2.0, 1.0), "pooled"])
def test_the_objective_never_falls(prior: object):
    rows, _ = crowd([0.9, 0.7, 0.6, 0.55, 0.2], 80, seed=5, num_classes=3, missing=0.4)
    objective = dawid_skene(rows, skill_prior=prior, known={"item 0000": 1}).objective  # type: ignore[arg-type]
    assert len(objective) > 5
    assert np.diff(objective).min() > -1e-9


@pytest.mark.filterwarnings("ignore")  # crowd-kit's, about pandas
def test_pandalm_as_crowd_kit_has_it(shared_data: Path):
    """Shows 6 of the page's promise: an independent library on real raters, to 1e-6."""
    classification = pytest.importorskip("crowdkit.aggregation", reason="crowd-kit is in the dev extra")
    pandas = pytest.importorskip("pandas")
    rows = pandalm(shared_data)
    frame = pandas.DataFrame([(row.item, row.rater, row.label) for row in rows])
    frame.columns = ["task", "worker", "label"]
    theirs = classification.OneCoinDawidSkene(n_iter=20, tol=-1.0).fit(frame)
    ours = dawid_skene(rows, skill_prior=(0, 0), class_pseudo=0, tolerance=1e-12)
    assert len(ours.posterior) == 999
    mine_NK = np.array([[ours.posterior[item][k] for k in (0, 1, 2)] for item in theirs.probas_.index])
    np.testing.assert_allclose(mine_NK, theirs.probas_[[0, 1, 2]].to_numpy(), atol=1e-6)
    for rater, skill in theirs.skills_.items():
        assert ours.skills[rater].estimate == pytest.approx(skill, abs=1e-6)


def test_names_and_order_change_nothing():
    rows, _ = crowd([0.9, 0.7, 0.6, 0.3], 50, seed=1, missing=0.3)
    found = dawid_skene(rows)
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    assert dawid_skene(shuffled) == found
    # the labels exchanged: the posteriors follow
    swapped = dawid_skene([Judgement(row.item, row.rater, 1 - int(row.label)) for row in rows])
    for item, posterior in found.posterior.items():
        assert swapped.posterior[item][0] == pytest.approx(posterior[1], abs=1e-7)
    chinese = dawid_skene(
        [Judgement(f"题目{row.item}", f"评分员{row.rater}", "甲" if row.label else "乙") for row in rows]
    )
    for rater, skill in found.skills.items():
        assert chinese.skills[f"评分员{rater}"].estimate == pytest.approx(skill.estimate, abs=1e-7)
    assert set(chinese.labels) == {"甲", "乙"}


def test_who_errs_against_the_rest_speaks_against_himself():
    rows, truth = crowd([0.9, 0.85, 0.8, 0.8, 0.1], 300, seed=2)
    found = dawid_skene(rows)
    assert found.skills["rater 4"].high < 0.3
    assert found.skills["rater 0"].low > 0.8
    alone = [row for row in rows if row.rater != "rater 4"]
    assert accuracy(found, truth) > accuracy(dawid_skene(alone), truth) - 0.005


def test_a_tie_of_half_a_vote_moves_neither_posterior_nor_skill():
    rows, _ = crowd([0.9, 0.8, 0.7], 80, seed=4)
    named = [Judgement(row.item, row.rater, ("first", "second")[int(row.label)]) for row in rows]
    undecided = [Judgement(f"item {n:04d}", "rater 3", "tie") for n in range(80)]
    undecided.append(Judgement("only a tie", "rater 0", "tie"))
    rules = {"class_prior": EVEN, "skill_prior": (2, 1)}
    with_ties = dawid_skene([*named, *undecided], tie="tie", ties="half", **rules)
    without = dawid_skene(named, **rules)
    assert with_ties.labels == ("first", "second")
    for item, posterior in without.posterior.items():
        assert with_ties.posterior[item] == pytest.approx(posterior, abs=1e-7)
    assert with_ties.posterior["only a tie"] == pytest.approx(EVEN)
    assert with_ties.skills["rater 0"].estimate == pytest.approx(without.skills["rater 0"].estimate, abs=1e-7)
    assert with_ties.skills["rater 3"].estimate == pytest.approx(2 / 3)  # the prior: nothing was decided


def test_two_items_are_not_drawn_into_one_class():
    # estimated from two items alone, shares would run to 0 and 1 and overrule two votes against one
    votes = {"安": ("first", "second"), "Bo": ("first", "tie"), "Cy": ("second", "second")}
    rows = [Judgement(f"{n}", rater, label) for rater, said in votes.items() for n, label in enumerate(said)]
    found = dawid_skene(rows, tie="tie", ties="half")
    assert [found.most_probable(item) for item in "01"] == ["first", "second"]
    assert 0.5 < found.posterior["0"]["first"] < 0.9


def test_ties_as_a_class_can_be_the_answer():
    votes = {f"r{r}": {f"i{n}": ("first", "second", "tie")[n % 3] for n in range(30)} for r in range(3)}
    votes["r2"]["i2"] = "first"  # against two who say tie
    found = dawid_skene(of(votes), tie="tie")
    assert found.labels == ("first", "second", "tie")
    assert found.most_probable("i2") == "tie"


def test_equal_raters_are_pooled_and_unequal_ones_told_apart():
    equal, _ = crowd([0.75] * 12, 60, seed=0, missing=0.75)
    pooled, weak = dawid_skene(equal), dawid_skene(equal, skill_prior=(2, 1))
    spread = [np.std([skill.estimate for skill in found.skills.values()]) for found in (pooled, weak)]
    assert spread[0] < spread[1] / 2
    mixed, _ = crowd([0.95] * 6 + [0.4] * 6, 200, seed=0)
    assert sum(dawid_skene(mixed).skill_prior) < 10


def test_intervals_hold_the_truth_as_often_as_they_say():
    skills = [0.9, 0.8, 0.7, 0.6, 0.5]
    held = []
    for seed in range(40):
        rows, _ = crowd(skills, 150, seed=seed)
        found = dawid_skene(rows, skill_prior=(2, 1))
        held += [
            found.skills[f"rater {r}"].low <= skill <= found.skills[f"rater {r}"].high
            for r, skill in enumerate(skills)
        ]
    assert 0.90 < np.mean(held) < 0.99  # 95 % of 200


def test_before_the_first_judgement_there_is_nothing_to_say():
    found = dawid_skene([], labels=("first", "second"))
    assert (found.posterior, found.skills) == ({}, {})
    assert found.class_prior == {"first": 0.5, "second": 0.5}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labels": ["first"]}, "two classes at least"),
        ({"known": {"a": "x"}, "tie": "x", "ties": "half", "labels": ["second"]}, "none of the classes"),
        ({"class_prior": {"first": -1.0, "second": 2.0}}, "a share"),
        ({"ties": "half"}, "two classes and a tie"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, says: str):
    with pytest.raises(ValueError, match=says):
        dawid_skene([Judgement("a", "r", "first")], **options)


def test_nobody_judges_an_item_twice():
    with pytest.raises(ValueError, match="'a' twice"):
        dawid_skene([Judgement("a", "r", "first"), Judgement("a", "r", "second")])
