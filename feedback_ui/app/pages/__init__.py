"""The small pages before one is signed in: plain HTML, in English and Chinese, made here without Gradio."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from feedback_ui.app.settings import Setting
from feedback_ui.language import COOKIE, LANGUAGES, Language, language_of

FOLDER = Path(__file__).parent
_OTHER = {"en": "zh", "zh": "en"}
_YEAR_S = 365 * 86_400


@dataclass(frozen=True)
class Field:
    """One input of a form: its name, its label, what kind it is, and what the browser may fill in."""

    name: str
    label: str
    kind: str = "text"
    fill: str = "off"
    hint: str = ""
    value: str | None = None


def shown_in(request: Request, default: Setting) -> Language:
    """The language of one of these pages: the one that its address names, else the person's."""
    named = request.query_params.get("language")
    return language_of(request, default) if named not in LANGUAGES else named


def keep_language(response: Response, language: str | None) -> None:
    """Have the browser keep a language, which the scripts of the pages read; nothing where it is none."""
    if language in LANGUAGES:
        response.set_cookie(COOKIE, language, max_age=_YEAR_S, samesite="lax")


def sign_in_page(request: Request, default: Setting) -> str:
    """The page to sign in with a name and a password."""
    language = shown_in(request, default)
    words = words_of(language)
    form = _form(
        words,
        "/api/sign-in",
        words["sign-in"],
        [
            Field("name", words["name"], fill="username"),
            Field("password", words["password"], "password", "current-password"),
        ],
        forbidden=words["wrong"],
    )
    hint = f'<p class="hint">{escape(words["no-account"])}</p>'
    return _page(request, language, words["sign-in"], form + hint)


def invitation_page(request: Request, default: Setting, token: str, name: str) -> str:
    """The page on which an invited person chooses a password."""
    language = shown_in(request, default)
    words = words_of(language)
    fields = [
        Field("token", "", "hidden", value=token),
        Field("", "", "hidden", "username", value=name),  # for the browser's store of passwords, not sent
        Field("password", words["new-password"], "password", "new-password", words["password-rule"]),
    ]
    form = _form(words, "/api/join", words["begin"], fields, forbidden=words["used"])
    return _page(request, language, words["welcome"].format(name=name), form)


def open_link_page(request: Request, default: Setting, token: str, campaign: str) -> str:
    """The page on which somebody comes in by a campaign's open link, by name or as a platform's worker."""
    language = shown_in(request, default)
    words = words_of(language)
    worker = request.query_params.get("worker")
    fields = [Field("token", "", "hidden", value=token)]
    if worker:
        fields.append(Field("worker", "", "hidden", value=worker))
    else:
        fields.append(Field("name", words["name"], fill="username"))
    form = _form(words, "/api/join", words["begin"], fields, forbidden=words["used"])
    link = f'<p class="hint"><a href="/sign-in">{escape(words["have-account"])}</a></p>'
    return _page(request, language, words["campaign"].format(name=campaign), form + link)


def used_page(request: Request, default: Setting) -> str:
    """That a link leads nowhere any more."""
    language = shown_in(request, default)
    words = words_of(language)
    link = f'<p><a href="/sign-in">{escape(words["have-account"])}</a></p>'
    return _page(request, language, words["join"], f"<p>{escape(words['used'])}</p>{link}")


@cache
def words_of(language: str) -> Mapping[str, str]:
    """The words of these pages in a language."""
    return json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))[language]


@cache
def _template() -> Template:
    return Template((FOLDER / "entry.html").read_text(encoding="utf-8"))


def _page(request: Request, language: str, heading: str, content: str) -> str:
    query = {**request.query_params, "language": _OTHER[language]}
    return _template().substitute(
        language=language,
        title=escape(f"{heading} · {words_of(language)['title']}"),
        heading=escape(heading),
        content=content,
        other=words_of(language)["other"],
        other_language=_OTHER[language],
        other_href=escape(f"{quote(request.url.path)}?{urlencode(query)}"),
    )


def _form(words: Mapping[str, str], path: str, button: str, fields: list[Field], *, forbidden: str) -> str:
    data = {
        "path": path,
        "working": words["working"],
        "offline": words["offline"],
        "too-many": words["too-many"],
        "forbidden": forbidden,
    }
    said = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    inputs = "".join(_input(field) for field in fields)
    return f'<form method="post" {said}>{inputs}<button type="submit">{escape(button)}</button></form>'


def _input(field: Field) -> str:
    if field.kind == "hidden":
        value = escape(field.value or "")
        if not field.name:
            return f'<input hidden type="text" autocomplete="{field.fill}" value="{value}">'
        return f'<input type="hidden" name="{field.name}" value="{value}">'
    hint = f"<small>{escape(field.hint)}</small>" if field.hint else ""
    return (
        f'<label>{escape(field.label)}<input name="{field.name}" type="{field.kind}" '
        f'autocomplete="{field.fill}" required>{hint}</label>'
    )
