"""The most probable parameters of the Bradley-Terry model with ties, by Fisher scoring."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from rlhf.crowd.judgements import Floats, Ints

MAX_STEPS = 500
MAX_HALVINGS = 40


@dataclass(frozen=True)
class Cells:
    """The distinct comparisons C (left, right and, where abilities are asked for, rater), and the priors.

    Parameters stand in the order strengths, log nu, side, abilities; `tie_at` and `side_at` are None where
    there is none.
    """

    left_C: Ints
    right_C: Ints
    rater_C: Ints | None
    num_names: int
    tie_at: int | None
    side_at: int | None
    mean_P: Floats
    deviation_P: Floats

    @property
    def start(self) -> Floats:
        """Where all are equal, and every rater usual."""
        return self.mean_P.copy()


@dataclass(frozen=True)
class Mode:
    """The parameters of the highest posterior found, its logarithm without the priors' constants."""

    x: Floats
    log_posterior: float
    converged: bool


def maximum(cells: Cells, counts_C3: Floats, start: Floats, tolerance: float = 1e-8) -> Mode:
    """Climbs from `start` until no parameter moves by `tolerance`; counts are of left, right, tie.

    Without abilities the posterior is concave and this is Newton's method, for the observed information is
    the expected one; with abilities (a product of parameters) the expected information still leads uphill.
    """
    x, (value, gradient, information) = start, _look(cells, counts_C3, start)
    for _ in range(MAX_STEPS):
        step: Floats = splu(information).solve(gradient) if len(x) else x
        if np.abs(step).max(initial=0.0) < tolerance:
            return Mode(x, value, converged=True)
        size = 1.0
        found = _look(cells, counts_C3, x + step)
        while found[0] < value and size > 0.5**MAX_HALVINGS:
            size /= 2
            found = _look(cells, counts_C3, x + size * step)
        if found[0] < value:  # no step so small that it leads up: at the top but for rounding
            return Mode(x, value, converged=True)
        x, (value, gradient, information) = x + size * step, found
    return Mode(x, value, converged=False)


def _look(cells: Cells, counts_C3: Floats, x: Floats) -> tuple[float, Floats, sparse.csc_array]:
    """Log posterior, its gradient [P] and the expected information [P, P]."""
    gap_C = x[cells.left_C] - x[cells.right_C]
    first_ability = len(x) - (0 if cells.rater_C is None else int(cells.rater_C.max(initial=-1)) + 1)
    ability_C = np.ones_like(gap_C) if cells.rater_C is None else x[first_ability + cells.rater_C]
    d_C = ability_C * gap_C + (0.0 if cells.side_at is None else x[cells.side_at])
    log_nu = -np.inf if cells.tie_at is None else x[cells.tie_at]
    logits_C3 = np.stack([d_C / 2, -d_C / 2, np.full_like(d_C, log_nu)], axis=1)
    logprobs_C3 = logits_C3 - np.logaddexp.reduce(logits_C3, axis=1, keepdims=True)
    p_C3 = np.exp(logprobs_C3)
    total_C = counts_C3.sum(axis=1)

    away_P = (x - cells.mean_P) / cells.deviation_P
    said = counts_C3 > 0
    value = float((counts_C3[said] * logprobs_C3[said]).sum() - (away_P**2).sum() / 2)

    surplus_C3 = counts_C3 - total_C[:, None] * p_C3
    by_d_C, by_tie_C = (surplus_C3[:, 0] - surplus_C3[:, 1]) / 2, surplus_C3[:, 2]
    lean_C = (p_C3[:, 0] - p_C3[:, 1]) / 2
    dd_C = total_C * ((p_C3[:, 0] + p_C3[:, 1]) / 4 - lean_C**2)
    dt_C = -total_C * p_C3[:, 2] * lean_C
    tt_C = total_C * p_C3[:, 2] * (1 - p_C3[:, 2])

    d_by_CP = _slopes(cells, gap_C, ability_C, first_ability, len(x))
    tie_by_CP = _column(cells.tie_at, len(gap_C), len(x))
    gradient = d_by_CP.T @ by_d_C + tie_by_CP.T @ by_tie_C - away_P / cells.deviation_P
    cross = d_by_CP.T @ tie_by_CP.multiply(dt_C[:, None])
    information = (
        d_by_CP.T @ d_by_CP.multiply(dd_C[:, None])
        + tie_by_CP.T @ tie_by_CP.multiply(tt_C[:, None])
        + cross
        + cross.T
        + sparse.diags_array(cells.deviation_P**-2.0)
    )
    return value, np.asarray(gradient), sparse.csc_array(information)


def _slopes(
    cells: Cells, gap_C: Floats, ability_C: Floats, first_ability: int, num_parameters: int
) -> sparse.csr_array:
    """How each cell's d moves with each parameter: [cells, parameters]."""
    every = np.arange(len(gap_C))
    rows, columns, values = [every, every], [cells.left_C, cells.right_C], [ability_C, -ability_C]
    if cells.side_at is not None:
        rows.append(every)
        columns.append(np.full(len(every), cells.side_at))
        values.append(np.ones(len(every)))
    if cells.rater_C is not None:
        rows.append(every)
        columns.append(first_ability + cells.rater_C)
        values.append(gap_C)
    places = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(values), places), shape=(len(gap_C), num_parameters))


def _column(at: int | None, num_cells: int, num_parameters: int) -> sparse.csr_array:
    every = np.arange(num_cells if at is not None else 0)
    places = (every, np.full(len(every), at or 0))
    return sparse.csr_array((np.ones(len(every)), places), shape=(num_cells, num_parameters))
