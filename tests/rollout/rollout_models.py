"""Tiny random policies of different architectures, sharp enough that a wrong distribution shows."""

import torch
from small_models import configs, numbers
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlhf.models.loading import disable_dropout

VOCABULARY = 24
PAD = 0
SMALL = numbers(VOCABULARY)
CONFIGS = configs(VOCABULARY)


def policy(architecture: str) -> PreTrainedModel:
    """A model in evaluation mode, the same in every process."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture])
    disable_dropout(model)
    return model.eval()
