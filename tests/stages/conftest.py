"""A tiny policy, as `sft` would leave it."""

from pathlib import Path

import pytest
from small_models import small_llama

from rlhf.demo.tokenizer import tokenizer


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a causal language model of 16 dimensions and the embedded world's tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    small_llama().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
