"""What can go wrong between a person, the service and the database; each is for the person to read.

An error says it in English; problems.py says the same in the language of a page.
"""

from collections.abc import Iterable

from rlhf.errors import RlhfError


class Phrase(str):
    """Words of ours among an error's values, which have a translation, as those of a person have not."""


class FeedbackError(RlhfError):
    """Root of what this package raises on purpose.

    `template` is the message with `values` in its braces, by which its translation is found. Without values
    the message is what was given, braces and all.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template.format(**values) if values else template)
        self.template = template
        self.values = values


class StoreError(FeedbackError):
    """The database cannot be reached, read or written (read-only, full, locked, another version's)."""


class NotAllowed(FeedbackError):  # noqa: N818 - reads as what it is
    """The actor may not do this, or is not signed in."""


class TooManyTries(NotAllowed):
    """Too many wrong passwords of late; it can be tried again later."""


class NotFound(FeedbackError):  # noqa: N818
    """There is no such thing, or it belongs to another; which of the two is not told."""


class Conflict(FeedbackError):  # noqa: N818
    """It was right when it was begun, and something has happened since."""


class InvalidFeedback(FeedbackError):  # noqa: N818
    """What was given does not fit what the campaign asks, or a request is malformed."""


def listed(names: Iterable[object]) -> str:
    """Names in a row for a message; of none, that there is none."""
    return ", ".join(map(str, names)) or Phrase("none")
