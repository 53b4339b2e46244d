"""Whose log-probabilities are the old ones of the ratio, and what makes up for an engine that differs.

An engine draws tokens with its own kernels, in its own precision. Where its log-probabilities are the
trainer's to rounding, they are the old ones and the policy is not run again. Where they are not, the trainer
computes its own, and the policy loss weighs each token by min(pi_trainer / pi_engine, cap).
"""

import torch

from rlhf.config import PpoStage, RolloutConfig
from rlhf.errors import ConfigError

USUAL_CAP = 2.0


def importance_cap(rollout: RolloutConfig) -> float | None:
    """The cap of the importance weights; None: no weights. `auto`: 2, none for the trainer's own weights."""
    if rollout.importance_cap == "auto":
        return None if rollout.kind == "hf" and not rollout.overlap else USUAL_CAP
    return rollout.importance_cap


def reuses_logprobs(stage: PpoStage, rollout: RolloutConfig, dtype: torch.dtype) -> bool:
    """Whether the engine's log-probabilities serve as the old ones.

    `auto`: with transformers in float32, where they are the trainer's to about 1e-6. In bfloat16 a batch of
    other rows and a cache move them by up to 3e-2, which is a part of the clip range.

    Raises:
        ConfigError: importance weights are asked for as well, and they compare the two.
    """
    cap = importance_cap(rollout)
    if stage.recompute_logprobs == "auto":
        exact = rollout.kind == "hf" and rollout.precision != "bf16" and dtype == torch.float32
        return exact and cap is None
    if not stage.recompute_logprobs and cap is not None:
        raise ConfigError(
            f"stage.recompute_logprobs=false with rollout.importance_cap={cap:g}: the weights compare the "
            "trainer's log-probabilities with the engine's; leave stage.recompute_logprobs out, or set "
            "rollout.importance_cap=null"
        )
    return not stage.recompute_logprobs
