"""Agreement beyond chance: worked by hand, the papers' own examples, and independent libraries."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from crowds import PANDALM_RATERS, crowd, pandalm

from rlhf.crowd.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from rlhf.crowd.judgements import Judgement, Label

# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example C: four observers, twelve units.
EXAMPLE_C = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def rows_of(table: str) -> list[Judgement]:
    """A rater a line, an item a column, a dot where nothing was said."""
    return [
        Judgement(f"{n:02d}", f"观察者{r}", int(word))
        for r, line in enumerate(table.split("\n")[1:-1])
        for n, word in enumerate(line.split())
        if word != "."
    ]


def of_counts(counts: list[list[int]]) -> list[Judgement]:
    """Judgements by nameless raters from how many gave each label to each item."""
    rows: list[Judgement] = []
    for n, of_item in enumerate(counts):
        labels = [k for k, number in enumerate(of_item) for _ in range(number)]
        rows += [Judgement(f"{n:02d}", f"r{r:02d}", label) for r, label in enumerate(labels)]
    return rows


def of_two(said: list[tuple[Label, Label]]) -> list[Judgement]:
    by_a = [Judgement(f"{n:03d}", "a", label) for n, (label, _) in enumerate(said)]
    return by_a + [Judgement(f"{n:03d}", "b", label) for n, (_, label) in enumerate(said)]


def test_raw_agreement_is_of_pairs_of_judgements():
    # item 0: three raters, one pair of three agrees; item 1: both agree; item 2: alone
    rows = of_counts([[2, 1], [0, 2], [1, 0]])
    assert raw_agreement(rows, seed=0).estimate == pytest.approx((1 + 1) / (3 + 1))


def test_cohens_kappa_by_hand():
    # yes/yes 20, yes/no 5, no/yes 10, no/no 15: p_o = 35/50, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    said = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    rows = [*of_two(said), Judgement("alone", "a", "y"), Judgement("000", "a third", "n")]
    found = cohen_kappa(rows, "a", "b", seed=0)
    assert found.estimate == pytest.approx(0.4)
    assert cohen_kappa(rows, "b", "a", seed=0).estimate == pytest.approx(0.4)
    # its standard error, Fleiss, Cohen & Everitt 1969, is 0.1275 here
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1275, rel=0.1)


def test_fleiss_own_kind_of_table():
    # ten items, fourteen raters, five labels: p_e 0.213, mean P 0.378, kappa 0.210
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    found = fleiss_kappa(of_counts(counts), seed=0)
    assert found.estimate == pytest.approx(0.210, abs=5e-4)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_own_example(level, alpha: float):
    found = krippendorff_alpha(rows_of(EXAMPLE_C), level=level, seed=0)
    assert found.estimate == pytest.approx(alpha, abs=5e-4)


def test_alpha_is_fleiss_kappa_but_for_the_small_sample():
    rows, _ = crowd([0.8, 0.7, 0.9], 40, seed=1, num_classes=3)
    kappa, alpha = fleiss_kappa(rows, seed=0).estimate, krippendorff_alpha(rows, seed=0).estimate
    n = len(rows)
    assert 1 - alpha == pytest.approx((1 - kappa) * (n - 1) / n)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_as_the_krippendorff_package_has_it(level):
    krippendorff = pytest.importorskip("krippendorff", reason="krippendorff is in the dev extra")
    rows, _ = crowd([0.8, 0.7, 0.9, 0.4], 60, seed=2, num_classes=5, missing=0.5)
    data = np.full((4, 60), np.nan)
    for row in rows:
        data[int(row.rater[-1]), int(row.item[-4:])] = row.label
    theirs = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
    assert krippendorff_alpha(rows, level=level, seed=0).estimate == pytest.approx(theirs, abs=1e-9)


def test_pandalm_as_other_libraries_have_it(shared_data: Path):
    """Shows 6 of the page's promise: independent libraries on real raters, to 1e-6."""
    krippendorff = pytest.importorskip("krippendorff", reason="krippendorff is in the dev extra")
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with crowd-kit")
    rows = pandalm(shared_data)
    said = {rater: [int(row.label) for row in rows if row.rater == rater] for rater in PANDALM_RATERS}
    data = np.array([said[rater] for rater in PANDALM_RATERS], dtype=float)
    for one, other in combinations(PANDALM_RATERS, 2):
        kappa = cohen_kappa(rows, one, other, seed=0, draws=10).estimate
        assert kappa == pytest.approx(metrics.cohen_kappa_score(said[one], said[other]), abs=1e-6)
    for level in ("nominal", "ordinal", "interval"):
        theirs = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
        ours = krippendorff_alpha(rows, level=level, seed=0, draws=10).estimate
        assert ours == pytest.approx(theirs, abs=1e-6)
    nominal = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
    fleiss = 1 - (1 - nominal) * data.size / (data.size - 1)
    assert fleiss_kappa(rows, seed=0, draws=10).estimate == pytest.approx(fleiss, abs=1e-6)
    same = [len({one, other}) == 1 for trio in data.T for one, other in combinations(trio, 2)]
    assert raw_agreement(rows, seed=0, draws=10).estimate == pytest.approx(np.mean(same))


def test_all_the_same_but_one_pair_is_less_than_chance():
    rows = of_two([("a", "b"), *[("a", "a")] * 9])
    assert krippendorff_alpha(rows, seed=0).estimate == pytest.approx(0.0)
    assert cohen_kappa(rows, "a", "b", seed=0).estimate == pytest.approx(0.0)
    assert raw_agreement(rows, seed=0).estimate == pytest.approx(0.9)


def test_perfect_agreement_is_1_and_opposition_minus_1():
    assert cohen_kappa(of_two([("a", "a"), ("b", "b")]), "a", "b", seed=0).estimate == 1.0
    assert krippendorff_alpha(of_two([("a", "a"), ("b", "b")]), seed=0).estimate == 1.0
    assert cohen_kappa(of_two([("a", "b"), ("b", "a")]), "a", "b", seed=0).estimate == -1.0


def test_what_cannot_be_known_is_nan():
    nothing = [
        raw_agreement([], seed=0),
        raw_agreement([Judgement("i", "r", 1)], seed=0),
        krippendorff_alpha([Judgement("i", "r", 1)], seed=0),
        krippendorff_alpha(of_two([("a", "a")] * 5), seed=0),  # one label: chance agrees as well
        fleiss_kappa(of_two([("a", "a")] * 5), seed=0),
        cohen_kappa(of_two([("a", "a")] * 5), "a", "b", seed=0),
        cohen_kappa(of_two([("a", "b")] * 5), "a", "nobody", seed=0),
    ]
    assert all(math.isnan(figure.estimate) for figure in nothing)
    assert all(math.isnan(figure.low) and math.isnan(figure.high) for figure in nothing)


def test_order_changes_nothing_and_labels_are_names():
    rows, _ = crowd([0.8, 0.6, 0.7], 30, seed=3, num_classes=3, missing=0.2)
    turned = [Judgement(row.item, row.rater, ("丙", "甲", "乙")[int(row.label)]) for row in reversed(rows)]
    found = krippendorff_alpha(rows, seed=0)
    assert krippendorff_alpha(rows[::-1], seed=0) == found
    assert krippendorff_alpha(turned, seed=0).estimate == pytest.approx(found.estimate)
    # interval: another unit and zero
    moved = [Judgement(row.item, row.rater, 10 - 2.5 * int(row.label)) for row in rows]
    one, other = (krippendorff_alpha(x, level="interval", seed=0).estimate for x in (rows, moved))
    assert one == pytest.approx(other)


def test_the_interval_is_of_items_not_of_judgements():
    rows, _ = crowd([0.8, 0.8], 100, seed=4)
    once = krippendorff_alpha(rows, seed=0)
    # each said a hundred times over by items of their own: a tenth as wide
    more = [Judgement(f"{row.item}/{n}", row.rater, row.label) for n in range(100) for row in rows]
    often = krippendorff_alpha(more, seed=0)
    assert (once.high - once.low) / (often.high - often.low) == pytest.approx(10, rel=0.15)
    assert krippendorff_alpha(rows, seed=0) == once
    assert krippendorff_alpha(rows, seed=1) != once


def test_fleiss_wants_as_many_raters_for_each_item():
    with pytest.raises(ValueError, match="2 to 3"):
        fleiss_kappa(of_counts([[2, 0], [2, 1]]), seed=0)


def test_words_have_no_order():
    with pytest.raises(ValueError, match="takes numbers"):
        krippendorff_alpha(of_two([("好", "坏")]), level="ordinal", seed=0)
