"""A device that is not there: what is brought to it are copies in CPU memory, and they are counted."""

from collections.abc import Iterable

from torch import Tensor, nn


class SecondDevice:
    """Hand `bring` to `rlhf.models.offload.Visits`, and `watch` what visits."""

    def __init__(self) -> None:
        self.brought: list[Tensor] = []  # held, so that no address is given twice
        self.most_bytes = 0
        self._watched: list[Tensor] = []

    def watch(self, models: Iterable[nn.Module]) -> None:
        """Counts these models' weights from now on."""
        self._watched += [weight for model in models for weight in model.parameters()]

    def bring(self, x: Tensor) -> Tensor:
        """A copy of a tensor."""
        self.most_bytes = max(self.most_bytes, self.bytes_there + x.nbytes)
        self.brought.append(x.clone())
        return self.brought[-1]

    @property
    def bytes_there(self) -> int:
        """Of the watched weights, what lies on this device now."""
        here = {x.data_ptr() for x in self.brought}
        return sum(weight.nbytes for weight in self._watched if weight.data_ptr() in here)
