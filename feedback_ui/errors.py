"""What can go wrong between a person, the service and the database; each is for the person to read."""

from rlhf.errors import RlhfError


class FeedbackError(RlhfError):
    """Root of what this package raises on purpose."""


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
