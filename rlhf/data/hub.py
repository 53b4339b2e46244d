"""The Hugging Face hub, where there is a way to it."""

import functools
import os
from pathlib import Path

PATIENCE_S = 4.0


def mind_the_network(source: str) -> None:
    """To be called before a model, tokenizer or dataset is loaded from what may be a hub id.

    Where the hub cannot be reached its client goes offline: what is in its cache is found, and what is not
    is missing at once. (Left alone the client asks six times, 23 seconds in all, for each file.)
    """
    if not Path(source).expanduser().exists() and not reachable():
        _go_offline()


@functools.cache
def reachable() -> bool:
    """Whether the hub answers at all, asked once; False where the client is told to stay offline."""
    import httpx2
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return False
    try:
        httpx2.head(constants.ENDPOINT, timeout=PATIENCE_S)
    except httpx2.HTTPError:
        return False
    return True


def _go_offline() -> None:
    from huggingface_hub import constants

    os.environ["HF_HUB_OFFLINE"] = "1"  # for what is imported later, and for processes begun from here
    constants.HF_HUB_OFFLINE = True
