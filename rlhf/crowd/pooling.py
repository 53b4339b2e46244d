"""A prior of raters' skills, learnt from the raters themselves."""

import numpy as np

from rlhf.crowd.judgements import Floats

WEAK_PRIOR = (2.0, 1.0)  # pseudo-judgements, right and wrong
FEWEST_RATERS = 3
MOST = 100.0  # pseudo-judgements


def pooled_prior(skill_R: Floats, deviation_R: Floats) -> tuple[float, float]:
    """Pseudo-judgements (right, wrong): the weak prior's, and more the more alike the raters are.

    `deviation_R` is the standard error of logit(skill_R). The variance tau^2 of skills between raters is
    DerSimonian & Laird's moment estimate (1986); a Beta with the raters' mean m and that variance is worth

        m (1 - m) / tau^2 - 1

    judgements, at most 100 and at most as many as all raters together gave. Raters who are all alike are so
    taken together, which is what makes Dawid-Skene of equal raters the same as majority; where they differ,
    little is taken from each.
    """
    if len(skill_R) < FEWEST_RATERS:
        return WEAK_PRIOR
    # How many judgements with known truth would tell as much; the variance is then taken at the common mean,
    # for at each rater's own the best would also look the surest.
    size_R = 1 / (deviation_R**2 * skill_R * (1 - skill_R))
    mean = float(np.average(skill_R, weights=size_R))
    weight_R = size_R / (mean * (1 - mean))
    heterogeneity = float((weight_R * (skill_R - mean) ** 2).sum()) - (len(skill_R) - 1)
    scale = float(weight_R.sum() - (weight_R**2).sum() / weight_R.sum())
    between = max(heterogeneity / scale, mean * (1 - mean) / (MOST + 1))
    strength = float(np.clip(mean * (1 - mean) / between - 1, 0.0, min(MOST, size_R.sum())))
    return WEAK_PRIOR[0] + strength * mean, WEAK_PRIOR[1] + strength * (1 - mean)
