"""How far raters agree: in plain figures, and beyond what chance alone would give.

Each takes its bootstrap interval over items, with all that was said of an item drawn together. Where nothing
can be said (no item judged twice, or only one label ever given, by which chance agrees with chance) the
figures are nan.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from scipy import sparse

from rlhf.crowd.intervals import Interval, Statistic, bootstrap_sums
from rlhf.crowd.judgements import Floats, Judgement, Label, tabulate

Level = Literal["nominal", "ordinal", "interval"]


def raw_agreement(judgements: Iterable[Judgement], *, seed: int, draws: int = 1000) -> Interval:
    """The share of pairs of raters who said the same, over all pairs who judged the same item.

    An item of many raters so counts more than one of two: the figure is of pairs of judgements.

    Raises ValueError where a rater judged an item twice.
    """
    counts_NK = _judged_twice(tabulate(judgements).counts_NK())
    raters_N = counts_NK.sum(axis=1)
    same_N = (counts_NK * (counts_NK - 1)).sum(axis=1)
    parts_N2 = np.stack([same_N, raters_N * (raters_N - 1)], axis=1)
    return _bootstrap(parts_N2, lambda sums_BF: _ratio(sums_BF[:, 0], sums_BF[:, 1]), seed, draws)


def cohen_kappa(
    judgements: Iterable[Judgement], one: str, other: str, *, seed: int, draws: int = 1000
) -> Interval:
    """Cohen's kappa (1960) of two raters, over the items that both judged; labels are names, without order.

        kappa = (p_o - p_e) / (1 - p_e),  p_e = sum_k p_k(one) p_k(other)

    Raises ValueError where a rater judged an item twice.
    """
    table = tabulate(row for row in judgements if row.rater in (one, other))
    size = len(table.labels)
    said: dict[int, dict[str, int]] = {}
    for n, r, k in zip(table.item_J.tolist(), table.rater_J.tolist(), table.label_J.tolist(), strict=True):
        said.setdefault(n, {})[table.raters[r]] = k
    cells = [labels[one] * size + labels[other] for labels in said.values() if len(labels) == 2]
    parts = sparse.csr_array(
        (np.ones(len(cells)), (np.arange(len(cells)), cells)), shape=(len(cells), size * size)
    )

    def kappa(sums_BF: Floats) -> Floats:
        joint_BKK = sums_BF.reshape(-1, size, size)
        total_B = joint_BKK.sum(axis=(1, 2))
        observed_B = _ratio(np.trace(joint_BKK, axis1=1, axis2=2), total_B)
        by_chance_B = (joint_BKK.sum(axis=1) * joint_BKK.sum(axis=2)).sum(axis=1)
        expected_B = _ratio(by_chance_B, total_B**2)
        return _ratio(observed_B - expected_B, 1 - expected_B)

    return bootstrap_sums(parts, kappa, seed=seed, draws=draws)


def fleiss_kappa(judgements: Iterable[Judgement], *, seed: int, draws: int = 1000) -> Interval:
    """Fleiss' kappa (1971) of as many raters for each item; labels are names, without order.

        P_i = (sum_k n_ik^2 - m) / (m (m - 1)),  p_e = sum_k p_k^2,  kappa = (mean P_i - p_e) / (1 - p_e)

    Raises ValueError where items have different numbers of raters (`krippendorff_alpha` takes those), and
    where a rater judged an item twice.
    """
    counts_NK = tabulate(judgements).counts_NK()
    numbers = sorted({int(number) for number in counts_NK.sum(axis=1)})
    if len(numbers) > 1:
        raise ValueError(
            f"Fleiss' kappa takes as many raters for each item; these have {numbers[0]} to {numbers[-1]}. "
            "Krippendorff's alpha takes any number"
        )
    m = numbers[0] if numbers else 0
    agreed_N = _ratio((counts_NK**2).sum(axis=1) - m, np.full(len(counts_NK), m * (m - 1.0)))
    parts_NF = np.concatenate([agreed_N[:, None], np.ones((len(counts_NK), 1)), counts_NK], axis=1)

    def kappa(sums_BF: Floats) -> Floats:
        observed_B = _ratio(sums_BF[:, 0], sums_BF[:, 1])
        share_BK = sums_BF[:, 2:] / (m * sums_BF[:, 1:2])
        expected_B = (share_BK**2).sum(axis=1)
        return _ratio(observed_B - expected_B, 1 - expected_B)

    return _bootstrap(parts_NF, kappa, seed, draws)


def krippendorff_alpha(
    judgements: Iterable[Judgement], *, level: Level = "nominal", seed: int, draws: int = 1000
) -> Interval:
    """Krippendorff's alpha (2011, "Computing Krippendorff's alpha-reliability"): any number of raters.

        alpha = 1 - D_o / D_e = 1 - (n - 1) sum_ck o_ck delta_ck / sum_ck n_c n_k delta_ck

    o_ck counts pairs of judgements of one item, each worth 1 / (m_i - 1) of the item's m_i; n_c = sum_k o_ck.
    Items with one judgement say nothing and are left out. `level` is what a difference delta means: nominal,
    labels are the same or not; ordinal, numbers count by how many judgements lie between them; interval, by
    the square of their difference.

    Raises ValueError where ordinal or interval labels are not numbers, and where a rater judged an item
    twice.
    """
    table = tabulate(judgements)
    labels = table.labels
    if level != "nominal" and any(isinstance(label, str) for label in labels):
        raise ValueError(f"level={level!r} takes numbers as labels; these are {_some(labels)}")
    values_K = np.array([0.0 if isinstance(label, str) else label for label in labels], dtype=np.float64)
    counts_NK = _judged_twice(table.counts_NK())
    size = len(labels)

    def alpha(sums_BF: Floats) -> Floats:
        found_BKK = sums_BF.reshape(-1, size, size)
        marginal_BK = found_BKK.sum(axis=2)
        total_B = marginal_BK.sum(axis=1)
        delta_BKK = _distances(level, values_K, marginal_BK)
        observed_B = (found_BKK * delta_BKK).sum(axis=(1, 2))
        by_chance_B = (marginal_BK[:, :, None] * marginal_BK[:, None, :] * delta_BKK).sum(axis=(1, 2))
        return 1 - _ratio((total_B - 1) * observed_B, by_chance_B)

    return bootstrap_sums(_coincidences(counts_NK), alpha, seed=seed, draws=draws)


def _coincidences(counts_NK: Floats) -> sparse.csr_array:
    """What each item adds to each o_ck: [items, labels * labels], sparse, for few labels meet in an item."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    size = counts_NK.shape[1]
    for n, counts_K in enumerate(counts_NK):
        others = counts_K.sum() - 1
        given = np.flatnonzero(counts_K)
        for c in given:
            for k in given:
                rows.append(n)
                columns.append(int(c) * size + int(k))
                values.append(float(counts_K[c] * (counts_K[k] - (c == k)) / others))
    return sparse.csr_array((values, (rows, columns)), shape=(len(counts_NK), size * size))


def _distances(level: Level, values_K: Floats, marginal_BK: Floats) -> Floats:
    """delta_ck, [draws or 1, labels, labels]."""
    if level == "nominal":
        return (1 - np.eye(len(values_K)))[None]
    if level == "interval":
        return (values_K[:, None] - values_K[None, :])[None] ** 2
    # Judgements from one label to the other, half of those at each end: a difference of midpoints.
    middle_BK = marginal_BK.cumsum(axis=1) - marginal_BK / 2
    return (middle_BK[:, :, None] - middle_BK[:, None, :]) ** 2


def _judged_twice(counts_NK: Floats) -> Floats:
    return counts_NK[counts_NK.sum(axis=1) >= 2]


def _bootstrap(parts_NF: Floats, of_sums: Statistic, seed: int, draws: int) -> Interval:
    return bootstrap_sums(sparse.csr_array(parts_NF), of_sums, seed=seed, draws=draws)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def _some(labels: tuple[Label, ...]) -> str:
    return ", ".join(repr(label) for label in labels[:6]) + (", ..." if len(labels) > 6 else "")
