"""Text of a prompt or an answer as safe HTML: Markdown and formulas, everything else as it was written.

Nothing in the text can become a tag, an attribute, a link, a picture or a style: HTML is shown as text
(`<think>`, `vector<int>`), so are links and pictures, and what is made of the rest goes through an allowlist.
What is too long or cannot be read as Markdown is shown plain.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from html import escape, unescape
from typing import Any, Literal
from xml.etree import ElementTree

import nh3
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

Direction = Literal["ltr", "rtl", "auto"]

MAX_MARKDOWN = 60_000
"""Characters; Markdown of a hostile kind takes 10 microseconds a character, longer texts are shown plain."""
MAX_FORMULA = 1_000
"""Characters of one formula; longer ones are shown as written, and so are those that define macros."""
_LOOKED_AT = 4_000  # characters by which the direction is told

_MACROS = re.compile(r"\\(?:def|edef|gdef|xdef|let|(?:re)?newcommand|newenvironment|DeclareMathOperator)\b")
_HEADINGS = {"h1": "h4", "h2": "h5", "h3": "h6", "h4": "h6", "h5": "h6", "h6": "h6"}
_HTML = {
    "p", "br", "hr", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code", "em", "strong", "s",
    "table", "thead", "tbody", "tr", "th", "td", "span", "div",
}  # fmt: skip
_MATH = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "mfrac", "msqrt", "mroot", "msub",
    "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr",
    "mtd", "menclose", "mphantom", "mpadded",
}  # fmt: skip
_ATTRIBUTES: dict[str, set[str]] = {
    "ol": {"start"},
    "span": {"class"},
    "div": {"class"},
    "code": {"class"},
    "th": {"class"},
    "td": {"class"},
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "minsize", "maxsize", "movablelimits", "accent"},
    "mspace": {"width", "linebreak"},
    "mfrac": {"linethickness"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mover": {"accent"},
    "mtable": {"columnalign"},
    "menclose": {"notation"},
}
_SMALL = re.compile(r"-?(?:[0-3](?:\.\d+)?|\.\d+)em|0")  # a size that stays within its line
_CLASSES = {"formula", "formula-block", "source", "language", "to-center", "to-right", "to-left"}


def rendered(text: str) -> str:
    """`text` as HTML that is safe to put into the page, in time linear in its length."""
    if len(text) > MAX_MARKDOWN:
        return _plain(text)
    try:
        tokens = _MARKDOWN.parse(text)
        made = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    except (RecursionError, ValueError, IndexError):
        return _plain(text)  # a text that the reader of Markdown gives up on is still shown
    if not _holds_all(tokens, text):
        return _plain(text)
    return nh3.clean(
        made,
        tags=_HTML | _MATH,
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes=set(),
        link_rel=None,
        clean_content_tags={"script", "style"},
    )


def direction(text: str) -> Direction:
    """How the text runs, by most of its letters: code and names in an Arabic answer do not turn it around."""
    left = right = 0
    for character in text[:_LOOKED_AT]:
        kind = unicodedata.bidirectional(character)
        left += kind == "L"
        right += kind in ("R", "AL")
    if left == right:
        return "auto"
    return "ltr" if left > right else "rtl"


def _holds_all(tokens: Sequence[Token], text: str) -> bool:
    """Whether no letter or digit was dropped, as of lists nested too deep, or of a table's cells too many."""
    held = sum(sum(map(str.isalnum, token.content)) + sum(map(str.isalnum, token.info)) for token in tokens)
    return held == sum(map(str.isalnum, text))


def _plain(text: str) -> str:
    return f'<div class="source">{escape(text, quote=False)}</div>'


def _kept(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "class":
        return value if value in _CLASSES else None
    if attribute in ("width", "minsize", "maxsize", "linethickness"):
        return value if _SMALL.fullmatch(value) else None
    return value if re.fullmatch(r"[A-Za-z0-9 +-]{1,60}", value) else None


def _formula(source: str, *, block: bool, written: str) -> str:
    """MathML, or the source as written where it cannot be made."""
    if len(source) > MAX_FORMULA or _MACROS.search(source):
        return f'<code class="source">{escape(written, quote=False)}</code>'
    try:
        element = convert_to_element(source, display="block" if block else "inline")
        for part in element.iter():  # symbols come as character references, to be escaped once and not twice
            part.text = unescape(part.text) if part.text and part.text.startswith("&#x") else part.text
        made = ElementTree.tostring(element, encoding="unicode")
    except Exception:
        # latex2mathml raises what it happens to run into: IndexError, KeyError, RecursionError, its own
        return f'<code class="source">{escape(written, quote=False)}</code>'
    name = "formula-block" if block else "formula"
    return f'<span class="{name}">{made}</span>'


def _bracket_math(state: StateInline, silent: bool) -> bool:
    r"""`\( ... \)` and `\[ ... \]`, as models write formulas more often than between dollars."""
    opening = state.src[state.pos : state.pos + 2]
    if opening not in (r"\(", r"\["):
        return False
    closing = r"\)" if opening == r"\(" else r"\]"
    end = _first(state, closing, state.pos + 2)
    if not 0 <= end <= state.pos + MAX_FORMULA + 2 or not state.src[state.pos + 2 : end].strip():
        return False
    if not silent:
        token = state.push("math_bracket", "math", 0)
        token.content = state.src[state.pos + 2 : end]
        token.markup = opening
    state.pos = end + 2
    return True


def _first(state: StateInline, closing: str, start: int) -> int:
    """Where `closing` first stands from `start` on, or -1; looked for once, however many openings ask."""
    text, begun, found = state.env.get(closing, ("", 0, 0))
    if text is not state.src or start < begun or -1 < found < start:
        found = state.src.find(closing, start)
        state.env[closing] = (state.src, start, found)
    return found


def _make() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    reader.enable(["table", "strikethrough"])
    # what would be a link, a picture, a tag or a character reference stays as it was written
    reader.disable(["link", "image", "autolink", "reference", "html_inline", "html_block", "entity"])
    dollarmath_plugin(reader, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    reader.inline.ruler.before("escape", "math_bracket", _bracket_math)
    rules: Mapping[str, Any] = {
        "softbreak": _line_break,
        "hardbreak": _line_break,
        "fence": _fence,
        "heading_open": _heading,
        "heading_close": _heading,
        "th_open": _cell,
        "td_open": _cell,
        "math_inline": _dollar,
        "math_inline_double": _dollar,
        "math_block": _dollar,
        "math_bracket": _bracket,
    }
    for name, rule in rules.items():
        reader.add_render_rule(name, rule)
    return reader


def _line_break(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    return "<br>"  # lines end where the text has them end, though Markdown would join them


def _heading(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    tag = _HEADINGS[tokens[at].tag]  # below the page's own headings, for whoever goes by those
    return f"<{tag}>" if tokens[at].nesting == 1 else f"</{tag}>\n"


def _fence(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    name = token.info.strip()
    label = f'<span class="language">{escape(name, quote=False)}</span>' if name else ""
    return f"{label}<pre><code>{escape(token.content, quote=False)}</code></pre>\n"


def _cell(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    style = str(tokens[at].attrGet("style") or "")
    side = style.removeprefix("text-align:")
    return f'<{tokens[at].tag} class="to-{side}">' if side else f"<{tokens[at].tag}>"


def _dollar(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    block = token.type != "math_inline"
    written = f"{token.markup}{token.content}{token.markup}"
    made = _formula(token.content.strip(), block=block, written=written)
    return f"<p>{made}</p>\n" if token.type == "math_block" else made


def _bracket(self: Any, tokens: list[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    closing = r"\)" if token.markup == r"\(" else r"\]"
    written = f"{token.markup}{token.content}{closing}"
    return _formula(token.content.strip(), block=token.markup == r"\[", written=written)


_MARKDOWN = _make()
