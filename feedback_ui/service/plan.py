"""How a campaign is judged: by how many raters, with which checks on them."""

from dataclasses import dataclass

from feedback_ui.errors import InvalidFeedback, Phrase, listed
from feedback_ui.form import Form, Kind

LEASE_S = 20 * 60
GOLD_WINDOW = 10
"""A rater's latest items with a known answer, of which too many wrong ones pause the rater."""
WITH_GOLD: tuple[Kind, ...] = ("compare", "rank", "score", "thumb")


@dataclass(frozen=True)
class Plan:
    """How many raters an item gets. A share `overlap` of the items has `raters_per_item`, the rest 1.

    `gold_share` of what a rater is given has a known answer. `lease_s` is how long an item is kept for a
    rater without a sign of life, in seconds.

    For a crowd: a rater's first `qualify_items` have known answers, and who gets less than a share
    `pass_mark` of them right is given no more. `pause_gold` wrong ones among a rater's last `GOLD_WINDOW`
    pause the rater; 0 never does. `rater_share` of all judgements is the most that one rater gives.
    """

    raters_per_item: int = 1
    overlap: float = 1.0
    gold_share: float = 0.0
    lease_s: int = LEASE_S
    qualify_items: int = 0
    pass_mark: float = 0.8
    rater_share: float = 1.0
    pause_gold: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.raters_per_item <= 1000:
            raise InvalidFeedback(
                "raters per item={raters_per_item} is not 1 to 1000", raters_per_item=self.raters_per_item
            )
        if not 0 <= self.overlap <= 1:
            raise InvalidFeedback("overlap={overlap} is a share of the items, 0 to 1", overlap=self.overlap)
        if not 0 <= self.gold_share < 1:
            raise InvalidFeedback(
                "gold share={gold_share} is 0 to less than 1; 0.1 is every tenth item",
                gold_share=self.gold_share,
            )
        if not 10 <= self.lease_s <= 7 * 86400:
            raise InvalidFeedback(
                "lease={lease_s} s is not 10 s to a week; 1200 is 20 minutes", lease_s=self.lease_s
            )
        if not 0 <= self.qualify_items <= 100:
            raise InvalidFeedback(
                "test items={qualify_items} is not 0 to 100", qualify_items=self.qualify_items
            )
        if not 0 < self.pass_mark <= 1:
            raise InvalidFeedback(
                "pass mark={pass_mark} is a share, more than 0 to 1; 0.8 is usual", pass_mark=self.pass_mark
            )
        if not 0 < self.rater_share <= 1:
            raise InvalidFeedback(
                "rater share={rater_share} is a share, more than 0 to 1; 1 is no cap",
                rater_share=self.rater_share,
            )
        if not 0 <= self.pause_gold <= GOLD_WINDOW:
            raise InvalidFeedback(
                "pause at={pause_gold} wrong of the last {gold_window} is not 0 to {gold_window}",
                pause_gold=self.pause_gold,
                gold_window=GOLD_WINDOW,
            )

    def check_fits(self, form: Form) -> None:
        """Raises InvalidFeedback where a campaign of this form cannot be so planned."""
        for what, asked in (("a test", self.qualify_items), ("a pause", self.pause_gold)):
            if asked and form.kind not in WITH_GOLD:
                raise InvalidFeedback(
                    "{what} needs items with a known answer, which kind={kind} does not have; "
                    "kinds that do: {kinds}",
                    what=Phrase(what),
                    kind=form.kind,
                    kinds=listed(WITH_GOLD),
                )
        if self.rater_share < 1 and form.kind == "chat":
            raise InvalidFeedback("rater share is of the items there are, and kind=chat makes its own")
