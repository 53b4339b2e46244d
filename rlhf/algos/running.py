"""Statistics of all scores so far, for a reward of one scale from the first iteration to the last."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.algos.masks import Reduce, moments

EPSILON = 1e-8


@dataclass(frozen=True)
class RunningMoments:
    """Count, mean and summed squared deviations of all that was seen; float64, and so exact to save."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def deviation(self) -> float:
        """The population's standard deviation; 0 where nothing was seen."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def seen(self, x_B: Tensor, reduce: Reduce | None = None) -> "RunningMoments":
        """With a batch more, of all processes where `reduce` sums over them (Chan et al. 1979, eq. 2.1):

        mean'    = mean + (mean_B - mean) B / (count + B)
        squares' = squares + squares_B + (mean_B - mean)^2 count B / (count + B)
        """
        batch = moments(x_B, torch.ones_like(x_B, dtype=torch.bool), reduce)
        size, mean, var = batch.count.item(), batch.mean.item(), batch.var.item()
        if not size:
            return self
        count, apart = self.count + size, mean - self.mean
        return RunningMoments(
            count=count,
            mean=self.mean + apart * size / count,
            squares=self.squares + var * size + apart**2 * self.count * size / count,
        )

    def normalised(self, x_B: Tensor) -> Tensor:
        """(x - mean) / sqrt(var + 1e-8), [B]; always the same become 0, the very first stay as they are."""
        if not self.count:
            return x_B
        return ((x_B.double() - self.mean) / math.sqrt(self.deviation**2 + EPSILON)).to(x_B.dtype)
