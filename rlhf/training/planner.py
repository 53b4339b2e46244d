"""Which responses go through the model together: right-padded length buckets under a token budget."""

from collections.abc import Sequence


def plan_microbatches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Splits rows into microbatches of like length whose padded size stays within `token_budget` tokens.

    Returns indices into `lengths`, longest rows first, so that too large a budget shows at once. A row longer
    than the budget gets a microbatch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    batches: list[list[int]] = []
    for row in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= token_budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
