"""What of a PPO run changes from one iteration to the next."""

from dataclasses import dataclass, field
from typing import Any

from rlhf.algos.kl import KlController
from rlhf.algos.running import RunningMoments


@dataclass
class Progress:
    """What changes from one iteration to the next, beside weights and optimiser; all of it is saved."""

    iteration: int
    kl: KlController
    scores: RunningMoments = field(default_factory=RunningMoments)  # of all so far, to normalise them
    first: dict[str, float] = field(default_factory=dict[str, float])  # the first iteration's figures
    best: dict[str, float] = field(default_factory=dict[str, float])  # the chosen checkpoint's evaluation
    before: dict[str, float] = field(default_factory=dict[str, float])  # the evaluation at iteration 0
    last: dict[str, float] = field(default_factory=dict[str, float])  # the newest evaluation
    looks_without_gain: int = 0  # evaluations since the best
    ended: str = ""  # why the run ends before its last iteration, once it does
    warned: dict[str, str] = field(default_factory=dict[str, str])
    samples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
