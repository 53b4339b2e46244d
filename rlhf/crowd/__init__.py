"""Many raters' judgements: what they say together, how far they agree, how good each is. No torch.

Judgements go in as `Judgement` (an item's label by a rater) or `Comparison` (one of two, in the order
shown); each module holds one question to them. Nothing is random but bootstraps, whose seed is handed in.
"""

from rlhf.crowd.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from rlhf.crowd.board import Alarm, Limits, RaterFigures, left_share, longer_share, rater_figures, side_alarm
from rlhf.crowd.bradley_terry import Comparison, Odds, Priors, Strengths, bradley_terry
from rlhf.crowd.dawid_skene import DawidSkene, dawid_skene
from rlhf.crowd.intervals import Interval
from rlhf.crowd.judgements import Judgement, Label
from rlhf.crowd.majority import Vote, majority
from rlhf.crowd.soft_labels import SoftLabel, soft_label

__all__ = [
    "Alarm",
    "Comparison",
    "DawidSkene",
    "Interval",
    "Judgement",
    "Label",
    "Limits",
    "Odds",
    "Priors",
    "RaterFigures",
    "SoftLabel",
    "Strengths",
    "Vote",
    "bradley_terry",
    "cohen_kappa",
    "dawid_skene",
    "fleiss_kappa",
    "krippendorff_alpha",
    "left_share",
    "longer_share",
    "majority",
    "rater_figures",
    "raw_agreement",
    "side_alarm",
    "soft_label",
]
