"""Where the embedded base model ships."""

from importlib import resources
from pathlib import Path


def base_folder() -> Path:
    """The base model with its tokenizer, a plain Hugging Face folder; its README.md says how it was made."""
    return Path(str(resources.files("rlhf.demo") / "base"))
