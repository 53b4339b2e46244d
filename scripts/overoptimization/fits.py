"""Gold against d = sqrt(KL), as Gao et al. 2022 (equation 1) found it to go.

    best-of-n   R(d) = d (alpha - beta d)
    RL          R(d) = d (alpha - beta log d)

R is what gold gained over the reference. Both are linear in alpha and beta and 0 at d = 0, so that least
squares has them in closed form.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Form = Literal["best-of-n", "rl"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """The two coefficients, and R^2, the share of the gains' variance about their mean that they explain."""

    form: Form
    alpha: float
    beta: float
    r2: float

    def __call__(self, d: ArrayLike) -> Floats:
        """R at each d."""
        return _columns(self.form, np.asarray(d, np.float64)) @ np.array([self.alpha, self.beta])

    @property
    def peak(self) -> float | None:
        """Where R is largest; None where it rises for ever."""
        if self.beta <= 0:
            return None
        ratio = self.alpha / self.beta
        return ratio / 2 if self.form == "best-of-n" else math.exp(ratio - 1)


def fit(form: Form, d: ArrayLike, gain: ArrayLike) -> Fit:
    """Least squares over points of d [K] and gain [K].

    Raises ValueError where there are fewer than three points of different d, or all gains are one.
    """
    d_K, gain_K = np.asarray(d, np.float64), np.asarray(gain, np.float64)
    if len(np.unique(d_K)) < 3 or np.ptp(gain_K) == 0:
        raise ValueError(f"{len(d_K)} points do not determine two coefficients and how well they fit")
    columns_K2 = _columns(form, d_K)
    (alpha, beta), *_ = np.linalg.lstsq(columns_K2, gain_K)
    missed = gain_K - columns_K2 @ np.array([alpha, beta])
    r2 = 1.0 - float((missed**2).sum()) / float(((gain_K - gain_K.mean()) ** 2).sum())
    return Fit(form, float(alpha), float(beta), r2)


def _columns(form: Form, d_K: Floats) -> Floats:
    """What alpha and beta multiply, [K, 2]; d log d is 0 at 0."""
    log = np.log(np.where(d_K > 0, d_K, 1.0))
    return np.stack([d_K, -(d_K**2 if form == "best-of-n" else d_K * log)], axis=-1)
