"""Classic RLHF as one product: supervised fine-tuning, a reward model, and PPO against it."""

__version__ = "0.1.0"
