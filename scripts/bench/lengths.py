"""Responses that end by themselves: at every token with the same probability, cut at a limit."""


def capped_mean(end_probability: float, limit: int) -> float:
    """Mean of min(G, limit), G geometric from 1: sum over t < limit of (1 - p)^t = (1 - (1 - p)^limit) / p.

    With p = 0 it is the limit.
    """
    if end_probability == 0:
        return float(limit)
    return (1.0 - (1.0 - end_probability) ** limit) / end_probability


def end_probability(mean: float, limit: int) -> float:
    """The probability of the end token that gives responses this mean length; the inverse of `capped_mean`.

    Raises:
        ValueError: no probability does; the mean of lengths from 1 to the limit lies between these.
    """
    if not 1.0 <= mean <= limit:
        raise ValueError(f"mean={mean} is outside of 1..{limit}, the lengths that a response can have")
    low, high = 0.0, 1.0  # capped_mean falls from the limit to 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if capped_mean(middle, limit) > mean else (low, middle)
    return (low + high) / 2


def shares(end_probability: float, limit: int) -> list[float]:
    """The probability of each length from 1 to the limit; those at the limit did not end, or ended there."""
    going = 1.0 - end_probability
    return [going**t * end_probability for t in range(limit - 1)] + [going ** (limit - 1)]
