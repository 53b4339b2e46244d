"""Learning curves: nested parts of a dataset, and what twice the data would bring by a power law."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from rlhf.data.splits import split

T = TypeVar("T")

LEAST_EXPLAINED = 0.5  # of the errors' variance; below it the fit says nothing
GRID = 101  # exponents that are tried before the best one is refined


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale * n^-exponent; `explained` is the share of the errors' variance (R^2)."""

    floor: float
    scale: float
    exponent: float
    explained: float

    def error(self, size: float) -> float:
        """The error to be expected with so many examples."""
        return self.floor + self.scale * size**-self.exponent


def nested(records: Sequence[T], fraction: float) -> list[T]:
    """About this share of the records, by a hash of their prompts: a larger fraction holds the smaller one.

    Order is kept, and what concerns one prompt stays together.
    """
    return split(records, {"kept": fraction, "left": 1.0 - fraction}, salt="fraction")["kept"]


def fit_power_law(sizes: Sequence[float], errors: Sequence[float]) -> PowerLaw | None:
    """The least-squares power law with an asymptote, floor >= 0, scale >= 0, exponent in [0, 1].

    The form is that of Hestness et al. 2017 (arXiv 1712.00409). For a given exponent the two others are a
    linear problem with bounds, so the search is over the exponent alone. None where it says nothing: fewer
    than three different sizes, errors that do not fall, or less than half of their variance explained.
    """
    size_N, error_N = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    spread = float(((error_N - error_N.mean()) ** 2).sum()) if error_N.size else 0.0
    if len(set(size_N.tolist())) < 3 or spread == 0.0:
        return None
    unit = float(size_N.max())  # in which sizes are counted, so that both columns are of one magnitude

    def solved(exponent: float) -> tuple[float, float, float]:
        """Floor, scale in units of `unit`, and the sum of squares that is left."""
        columns_N2 = np.stack([np.ones_like(size_N), (size_N / unit) ** -exponent], axis=1)
        (floor, scale), left = nnls(columns_N2, error_N)
        return float(floor), float(scale), float(left) ** 2

    exponents = np.linspace(0.0, 1.0, GRID)
    best = float(min(exponents, key=lambda exponent: solved(float(exponent))[2]))
    step = 1.0 / (GRID - 1)
    refined: Any = minimize_scalar(
        lambda exponent: solved(float(exponent))[2],
        bounds=(max(best - step, 0.0), min(best + step, 1.0)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    exponent = min((best, float(refined.x)), key=lambda exponent: solved(exponent)[2])
    floor, scale, left = solved(exponent)
    explained = 1.0 - left / spread
    if scale <= 0.0 or exponent <= 0.0 or explained < LEAST_EXPLAINED:
        return None
    return PowerLaw(floor, scale * unit**exponent, exponent, explained)


def forecast_accuracy(sizes: Sequence[float], accuracies: Sequence[float], size: float) -> float | None:
    """The accuracy to be expected with `size` examples; None where `fit_power_law` says nothing."""
    law = fit_power_law(sizes, [1.0 - accuracy for accuracy in accuracies])
    return None if law is None else 1.0 - law.error(size)
