"""Strengths of models or responses from comparisons of two: Bradley-Terry with ties, raters and sides.

Bradley & Terry 1952; ties as Davidson 1970, "On extending the Bradley-Terry model to accommodate ties in
paired comparison experiments"; the order shown as Davidson & Beaver 1977. With strengths theta in nats,

    d = a_r (theta_left - theta_right) + b
    P(left) : P(tie) : P(right) = exp(d / 2) : nu : exp(-d / 2)

nu is how readily raters call a tie, b the pull of the left side, a_r how clearly rater r sees differences:
1 is usual, 0 guesses, below 0 says the opposite. All have Gaussian priors: strengths, b and log nu around 0,
a_r around 1. The priors settle what data leave open: the zero of the strengths, how far who never lost stands
above, and where two groups stand that were never compared (their means are put level, and `components` says
that nothing is known of it).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from rlhf.crowd.davidson import Cells, maximum
from rlhf.crowd.intervals import Interval, percentiles, resampled_sums
from rlhf.crowd.judgements import Floats

Outcome = Literal["left", "right", "tie"]
OUTCOMES: tuple[Outcome, ...] = ("left", "right", "tie")
DRAW_TOLERANCE = 1e-6  # nats: far below a bootstrap's own noise


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one rater said of two, in the order shown. `item` says what is drawn together by the bootstrap
    (the prompt); None stands alone."""

    left: str
    right: str
    outcome: Outcome
    rater: str = ""
    item: str | None = None


@dataclass(frozen=True)
class Priors:
    """Standard deviations, in nats but for abilities."""

    strength: float = 2.0
    log_tie: float = 2.0
    side: float = 1.0
    ability: float = 0.5


@dataclass(frozen=True)
class Odds:
    """Probabilities of what a usual rater would say of two, whichever side they stand on; they sum to 1."""

    first: float
    second: float
    tie: float


@dataclass(frozen=True)
class Strengths:
    """The mode of likelihood times priors, with bootstrap intervals.

    `strengths` are in nats, strongest first, with mean zero in each of `components`: the groups that
    comparisons connect. Only within one can strengths be compared. `log_tie` is None where nobody called a
    tie, `side` (in favour of the left) where it was not asked for; `abilities` are by rater, where asked for.
    """

    strengths: Mapping[str, Interval]
    log_tie: Interval | None
    side: Interval | None
    abilities: Mapping[str, Interval]
    components: tuple[tuple[str, ...], ...]
    log_posterior: float
    converged: bool

    @property
    def connected(self) -> bool:
        """Whether all were compared with one another, by way of others at least."""
        return len(self.components) <= 1

    def odds(self, first: str, second: str) -> Odds:
        """What a rater of ability 1 without a side would say. Raises KeyError for a name that is unknown."""
        d = self.strengths[first].estimate - self.strengths[second].estimate
        nu = 0.0 if self.log_tie is None else math.exp(self.log_tie.estimate)
        one, other = math.exp(d / 2), math.exp(-d / 2)
        total = one + other + nu
        return Odds(one / total, other / total, nu / total)


def bradley_terry(
    comparisons: Iterable[Comparison],
    *,
    side_bias: bool = False,
    rater_ability: bool = False,
    priors: Priors | None = None,
    seed: int,
    draws: int = 200,
    level: float = 0.95,
) -> Strengths:
    """Strengths of all who were compared; `draws` bootstrap samples of whole items give the intervals.

    Raises ValueError for a comparison with oneself, an unknown outcome, fewer than one draw, and a prior
    without a finite, positive deviation.
    """
    rows = sorted(
        comparisons,
        key=lambda row: (row.item is None, row.item or "", row.left, row.right, row.rater, row.outcome),
    )
    priors = priors or Priors()
    _check(rows, priors, draws)
    names = sorted({name for row in rows for name in (row.left, row.right)})
    raters = sorted({row.rater for row in rows}) if rater_ability else []
    keys = sorted({_cell(row, rater_ability) for row in rows})
    counts_GF = _by_group(rows, keys, rater_ability)
    cells = _cells(keys, names, raters, priors, side_bias, ties=any(row.outcome == "tie" for row in rows))
    whole = maximum(cells, _counts(counts_GF.sum(axis=0)), cells.start)
    sums = resampled_sums(counts_GF, seed=seed, draws=draws) if rows else []
    drawn = [
        maximum(cells, _counts(sums_F), whole.x, DRAW_TOLERANCE).x for sums_BF in sums for sums_F in sums_BF
    ]
    bounds = percentiles(np.array(drawn), level) if drawn else np.zeros((2, 0))
    found = [
        Interval(float(x), float(low), float(high)) for x, low, high in zip(whole.x, *bounds, strict=True)
    ]
    strengths = dict(zip(names, found, strict=False))
    return Strengths(
        strengths=dict(sorted(strengths.items(), key=lambda named: -named[1].estimate)),
        log_tie=found[cells.tie_at] if cells.tie_at is not None else None,
        side=found[cells.side_at] if cells.side_at is not None else None,
        abilities=dict(zip(raters, found[len(found) - len(raters) :], strict=True)),
        components=_components(names, keys),
        log_posterior=whole.log_posterior,
        converged=whole.converged,
    )


_Key = tuple[str, str, str]  # left, right and rater, or no rater where abilities are not asked for


def _cell(row: Comparison, rater_ability: bool) -> _Key:
    return row.left, row.right, row.rater if rater_ability else ""


def _by_group(rows: Sequence[Comparison], keys: Sequence[_Key], rater_ability: bool) -> sparse.csr_array:
    """How often each group said each outcome of each cell: [groups, cells * 3]."""
    at = {key: c for c, key in enumerate(keys)}
    groups: dict[str | int, int] = {}
    group_J = [
        groups.setdefault(n if row.item is None else row.item, len(groups)) for n, row in enumerate(rows)
    ]
    place_J = [at[_cell(row, rater_ability)] * 3 + OUTCOMES.index(row.outcome) for row in rows]
    shape = (len(groups), len(keys) * 3)
    return sparse.csr_array((np.ones(len(rows)), (group_J, place_J)), shape=shape)


def _counts(sums_F: Floats) -> Floats:
    return np.asarray(sums_F).reshape(-1, 3)


def _cells(
    keys: Sequence[_Key],
    names: Sequence[str],
    raters: Sequence[str],
    priors: Priors,
    side_bias: bool,
    ties: bool,
) -> Cells:
    name_at = {name: p for p, name in enumerate(names)}
    rater_at = {rater: r for r, rater in enumerate(raters)}
    tie_at = len(names) if ties else None
    side_at = len(names) + ties if side_bias else None
    deviations = [priors.strength] * len(names) + [priors.log_tie] * ties + [priors.side] * side_bias
    return Cells(
        left_C=np.array([name_at[left] for left, _, _ in keys], dtype=np.int64),
        right_C=np.array([name_at[right] for _, right, _ in keys], dtype=np.int64),
        rater_C=np.array([rater_at[rater] for _, _, rater in keys], dtype=np.int64) if raters else None,
        num_names=len(names),
        tie_at=tie_at,
        side_at=side_at,
        mean_P=np.array([0.0] * len(deviations) + [1.0] * len(raters)),
        deviation_P=np.array(deviations + [priors.ability] * len(raters)),
    )


def _components(names: Sequence[str], keys: Sequence[_Key]) -> tuple[tuple[str, ...], ...]:
    if not names:
        return ()
    at = {name: p for p, name in enumerate(names)}
    ends = ([at[left] for left, _, _ in keys], [at[right] for _, right, _ in keys])
    graph = sparse.csr_array((np.ones(len(keys)), ends), shape=(len(names), len(names)))
    number, of_name = connected_components(graph, directed=False)
    return tuple(tuple(name for name, c in zip(names, of_name, strict=True) if c == k) for k in range(number))


def _check(rows: Sequence[Comparison], priors: Priors, draws: int) -> None:
    for row in rows:
        if row.left == row.right:
            raise ValueError(f"{row.left!r} was compared with itself; leave such comparisons out")
        if row.outcome not in OUTCOMES:
            raise ValueError(f"outcome={row.outcome!r} is none of {', '.join(OUTCOMES)}")
    for name in ("strength", "log_tie", "side", "ability"):
        deviation = getattr(priors, name)
        if not 0 < deviation < math.inf:
            raise ValueError(
                f"priors.{name}={deviation} must be positive and finite: it settles what data do not"
            )
    if draws < 1:
        raise ValueError(f"draws={draws} must be 1 at least; 200 is usual")
