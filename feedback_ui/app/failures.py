"""Errors as the JSON that the page understands: `{"error": {"kind", "message"}}`, in the page's language."""

import logging

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from feedback_ui.app.policies import ModelUnavailable
from feedback_ui.app.sessions import SignedOut
from feedback_ui.errors import (
    Conflict,
    FeedbackError,
    InvalidFeedback,
    NotAllowed,
    NotFound,
    Phrase,
    StoreError,
    TooManyTries,
)
from feedback_ui.problems import in_words

log = logging.getLogger("feedback_ui")

# The first that fits; subclasses go before what they are kinds of.
_KINDS: tuple[tuple[type[FeedbackError], int, str], ...] = (
    (SignedOut, 401, "signed-out"),
    (TooManyTries, 429, "too-many"),
    (NotAllowed, 403, "forbidden"),
    (NotFound, 404, "not-found"),
    (Conflict, 409, "conflict"),
    (InvalidFeedback, 422, "invalid"),
    (ModelUnavailable, 503, "unavailable"),
)
_BY_STATUS = {404: "not-found", 405: "not-found", 413: "invalid", 415: "invalid", 403: "forbidden"}
_STORE = Phrase(
    "the store cannot be reached at this moment; nothing that was acknowledged is lost, try again"
)
_UNKNOWN = Phrase("there is no such thing here, or it is not yours")
_BROKEN = Phrase("something went wrong on the server; nothing that was acknowledged is lost")


def failure(status: int, kind: str, message: str) -> JSONResponse:
    """One error."""
    return JSONResponse({"error": {"kind": kind, "message": message}}, status)


def explained(error: Exception, language: str) -> Response:
    """The answer to a request that ended in this error; what only the operator may read goes to the log."""
    if isinstance(error, StoreError):
        log.error("%s", error)
        return failure(503, "unavailable", in_words(_STORE, language))
    for kind, status, word in _KINDS:
        if isinstance(error, kind):
            # names of what others have are not told
            return failure(status, word, in_words(_UNKNOWN if kind is NotFound else error, language))
    if isinstance(error, RequestValidationError):
        if error.errors()[0]["loc"][0] == "path":  # a link that was cut off
            return failure(404, "not-found", in_words(_UNKNOWN, language))
        return failure(422, "invalid", _first(error))
    if isinstance(error, HTTPException):
        return failure(error.status_code, _BY_STATUS.get(error.status_code, "invalid"), str(error.detail))
    log.error("a request failed", exc_info=error)
    return failure(500, "unavailable", in_words(_BROKEN, language))


def _first(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
