"""Which language a page speaks: what was chosen in it, else the server's, else what the browser asks for."""

from typing import Any, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
COOKIE = "feedback_language"
"""Kept by the language switch of every page; the pages' scripts read it too."""


def language_of(request: Any, *chosen: str | None) -> Language:
    """The language of who asks.

    Args:
        request: Starlette's or Gradio's, with `cookies` and `headers` by name.
        chosen: the server's own, for who has not chosen one; what is no language (auto) is passed over.
    """
    for tag in (request.cookies.get(COOKIE), *chosen):
        if found := _known(tag or ""):
            return found
    for part in str(request.headers.get("accept-language", "")).split(","):
        if found := _known(part.partition(";")[0].strip().lower().partition("-")[0]):
            return found
    return "en"


def _known(tag: str) -> Language | None:
    return next((language for language in LANGUAGES if language == tag), None)
