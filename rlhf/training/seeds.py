"""Named sub-seeds from one seed, so that no part of a run draws from another's randomness."""

import hashlib


def sub_seed(seed: int, *names: str | int) -> int:
    """A seed of 63 bits for one purpose, such as `sub_seed(0, "prompts", epoch)`."""
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
