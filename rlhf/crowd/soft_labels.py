"""From a pair's posterior to what a reward model learns from: `Preference.probability` and `weight`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rlhf.crowd.judgements import Label

Form = Literal["probability", "weight"]


@dataclass(frozen=True)
class SoftLabel:
    """Which of two responses is taken as chosen, and `Preference`'s probability and weight of it."""

    chosen: Label
    rejected: Label
    probability: float
    weight: float


def soft_label(
    posterior: Mapping[Label, float],
    first: Label,
    second: Label,
    *,
    tie: Label | None = None,
    form: Form = "probability",
) -> SoftLabel:
    """The more probable of two as chosen, a tie counting half for each: p = P(chosen) + P(tie) / 2.

    "probability" keeps p, at weight 1: cross-entropy with a soft label. "weight" says chosen with certainty,
    at weight 2p - 1: for what reads no probabilities. At equal scores the two have the same gradient, for
    (2p - 1)(sigmoid(0) - 1) = sigmoid(0) - p; later the second pulls further apart. Votes that `majority`
    counted do as posterior too.

    Raises ValueError where the posterior holds another class than these.
    """
    classes = [first, second] if tie is None else [first, second, tie]
    other = [label for label in posterior if label not in classes]
    if other or first not in posterior or second not in posterior:
        raise ValueError(f"a pair is judged by {classes}; the posterior is of {list(posterior)}")
    p = posterior[first] + (posterior.get(tie, 0.0) / 2 if tie is not None else 0.0)
    chosen, rejected, p = (first, second, p) if p >= 0.5 else (second, first, 1 - p)
    if form == "weight":
        return SoftLabel(chosen, rejected, probability=1.0, weight=2 * p - 1)
    return SoftLabel(chosen, rejected, probability=p, weight=1.0)
