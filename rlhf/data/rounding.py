"""Sizes of matrix products, rounded up so that there are few of them.

A CPU's library makes a kernel for each shape that it meets in bf16, and keeps it: with every length a shape
of its own, a run of a small model was measured to spend a quarter of its time on making them, and to hold
twice the memory.
"""

TOKENS = 32  # rows of a product that are tokens, and of one with the output layer
PLACES = 16  # queries or keys of one sequence, at most; of short ones a quarter of their length
SEQUENCES = 8  # sequences that are decoded together


def rounded(size: int, step: int) -> int:
    """The least multiple of `step` that is no smaller."""
    return -(-size // step) * step


def rounded_places(length: int) -> int:
    """Places of a sequence in attention: 4, 8, 12, 16, 24, 32, then multiples of 16."""
    return rounded(length, 4 if length <= 16 else 8 if length <= 32 else PLACES)
