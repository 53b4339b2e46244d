"""The workloads: sizes of models, lengths of prompts and responses. No torch."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Shape:
    """A decoder of the Llama kind: gated MLP, RMS norms, output layer tied to the embedding."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    architecture: Literal["llama", "qwen2"] = "llama"

    @property
    def kv_width(self) -> int:
        """Values that a layer keeps a token for its keys, and as many again for its values."""
        return self.hidden // self.heads * self.kv_heads

    @property
    def trunk_matrices(self) -> int:
        """Weights of the layers' matrices, N in the formulas: each is one multiply-add a token."""
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_width
        return self.layers * (attention + 3 * self.hidden * self.mlp)

    @property
    def trunk_parameters(self) -> int:
        """All parameters but the embedding's: matrices, norms, and Qwen2's biases of query, key and value."""
        biases = self.hidden + 2 * self.kv_width if self.architecture == "qwen2" else 0
        return self.trunk_matrices + self.layers * (2 * self.hidden + biases) + self.hidden

    @property
    def parameters(self) -> int:
        """Parameters of the policy; a critic has `hidden` more, its head."""
        return self.trunk_parameters + self.vocabulary * self.hidden


@dataclass(frozen=True)
class Workload:
    """A model and its episodes. Lengths are tokens; prompts are uniform, both ends included.

    `response_mean` is the mean of the lengths once they are cut at `response_limit`. `episodes` are measured
    in each run, after the warm-up.
    """

    name: str
    says: str
    shape: Shape
    prompt_tokens: tuple[int, int]
    response_limit: int
    response_mean: float
    episodes: int


WORKLOADS = {
    "S": Workload("S", "1M parameters", Shape(1024, 128, 4, 4, 4, 384), (8, 32), 64, 24.0, 640),
    "M": Workload(
        "M", "15M, the shape of stories15M", Shape(32000, 288, 6, 6, 6, 768), (8, 32), 64, 24.0, 256
    ),
    "T": Workload("T", "30M parameters", Shape(32000, 384, 10, 6, 6, 1024), (8, 32), 64, 24.0, 256),
    "L": Workload(
        "L",
        "494M, the shape of Qwen2.5-0.5B",
        Shape(151936, 896, 24, 14, 2, 4864, "qwen2"),
        (64, 256),
        512,
        192.0,
        256,
    ),
}


def tiny(workload: Workload) -> Workload:
    """The same in small, to see that everything runs: two narrow layers, few words, short responses."""
    shape = replace(workload.shape, vocabulary=320, hidden=64, layers=2, heads=4, mlp=96)
    shape = replace(shape, kv_heads=4 if workload.shape.kv_heads == workload.shape.heads else 2)
    return replace(
        workload,
        says="tiny: it shows that everything runs, its figures mean nothing",
        shape=shape,
        prompt_tokens=(4, 8),
        response_limit=16,
        response_mean=8.0,
        episodes=128,
    )
