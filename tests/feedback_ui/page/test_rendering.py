"""What a rater is shown of a text: all of it, and nothing that does anything."""

import re
import time
from html.parser import HTMLParser

import pytest
from hostile import HOSTILE

from feedback_ui.rendering import MAX_MARKDOWN, direction, rendered


class Reader(HTMLParser):
    """What of the HTML is read on the screen, and which tags and attributes it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), set[tuple[str, str, str]]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name, value or "") for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W_]", text))


@pytest.mark.parametrize(
    "written",
    [
        "<think>so</think> vector<int> x; a < b && c > d",
        "[a link](https://example.org) ![a picture](https://example.org/x.png) <https://example.org>",
        "&lt;b&gt; &nbsp; &copy;",
        "<b>bold</b> <!-- remark --> <?php ?> <![CDATA[x]]>",
        "C:\\Users\\me and 5 * 3 * 2",
    ],
)
def test_what_looks_like_html_a_link_or_a_reference_stands_as_it_was_written(written: str) -> None:
    assert Reader(rendered(written)).text.strip() == written


def test_markdown_is_shown_as_markdown() -> None:
    html = rendered(
        "# Plan\n\n1. **first**\n2. `x<y>`\n\n```cpp\nvector<int> v;\n```\n\n|a|b|\n|-|:-:|\n|1|2|"
    )
    assert "<h4>Plan</h4>" in html
    assert "<strong>first</strong>" in html
    assert "<code>x&lt;y&gt;</code>" in html
    assert '<span class="language">cpp</span><pre><code>vector&lt;int&gt; v;\n</code></pre>' in html
    assert '<td class="to-center">2</td>' in html


def test_a_line_ends_where_it_was_written_to_end() -> None:
    assert rendered("床前明月光\n疑是地上霜").strip() == "<p>床前明月光<br>疑是地上霜</p>"


@pytest.mark.parametrize("written", ["$x^2$", r"\(x^2\)"])
def test_a_formula_within_a_line(written: str) -> None:
    html = rendered(f"so {written} it is")
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert 'display="inline"' in html


@pytest.mark.parametrize("written", ["$$\n\\frac{a}{b}\n$$", "\\[\n\\frac{a}{b}\n\\]", "$$\\frac{a}{b}$$"])
def test_a_formula_of_its_own(written: str) -> None:
    html = rendered(written)
    assert "<mfrac>" in html
    assert 'display="block"' in html


def test_money_is_no_formula() -> None:
    assert rendered("from $5 to $10, or $5-$10").strip() == "<p>from $5 to $10, or $5-$10</p>"


@pytest.mark.parametrize(
    "written",
    [
        r"$\def\a{\b\b}\def\b{\c\c}\def\c{xx}\a$",
        r"$\newcommand{\x}{\x\x}\x$",
        "$" + "{" * 900 + "}" * 900 + "$",
        r"$\frac{$",
        r"$\left( x$",
    ],
)
def test_a_formula_that_cannot_be_made_is_shown_as_written(written: str) -> None:
    assert Reader(rendered(written)).text.strip() == written


def test_markup_within_a_formula_is_text() -> None:
    html = rendered(
        r"$\text{<script>alert(1)</script>}$ $\href{javascript:alert(1)}{x}$ $\style{color:red}{y}$"
    )
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert {name for _, name, _ in Reader(html).attributes} == {"class", "display"}


def test_space_of_a_formula_stays_small() -> None:
    widths = {
        value
        for _, name, value in Reader(rendered(r"$a\hspace{900em}b\quad c$")).attributes
        if name == "width"
    }
    assert widths == {"1em"}


@pytest.mark.parametrize(
    "written",
    [">" * 300 + "deep", "1. " * 200 + "deep", "|a|b|\n|-|-|\n|1|2|too many|", "> " * 50 + "- " * 50 + "深"],
    ids=["quotes", "lists", "cells", "both"],
)
def test_what_markdown_would_drop_is_shown_plain(written: str) -> None:
    assert rendered(written).startswith('<div class="source">')
    assert Reader(rendered(written)).text == written


def test_a_line_of_a_megabyte_is_shown_whole_and_at_once() -> None:
    line = "<b>*a " * 170_000
    begun = time.thread_time()
    html = rendered(line)
    assert time.thread_time() - begun < 1.0
    assert Reader(html).text == line


@pytest.mark.parametrize(
    "unit", ["*a ", "_a__", "[a](", "![", "<a", "$a ", "$a$", "a\n", "# a\n", "> - ", "|a", "`a``b", r"\(a"]
)
def test_time_grows_no_faster_than_the_text(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        begun = time.thread_time()  # of this thread: others of the test process have nothing to do with it
        rendered(text)
        return time.thread_time() - begun

    def best(length: int) -> float:
        return min(seconds(length) for _ in range(3))  # some other's rubbish may be collected in one of them

    seconds(1_000)
    short, long = best(MAX_MARKDOWN // 8), best(MAX_MARKDOWN)
    assert long < 4 * 8 * short + 0.2  # eight times the length; sixty-four times where it were quadratic


@pytest.mark.parametrize("written", [one.text for one in HOSTILE], ids=[one.name for one in HOSTILE])
def test_a_hostile_text_becomes_nothing_but_text(written: str) -> None:
    read = Reader(rendered(written))
    assert not read.tags & {
        "script",
        "style",
        "img",
        "a",
        "form",
        "input",
        "iframe",
        "svg",
        "object",
        "link",
        "meta",
    }
    assert {name for _, name, _ in read.attributes} <= {
        "class", "display", "start", "width", "stretchy", "fence", "minsize", "maxsize", "mathvariant",
        "linethickness", "columnalign", "accent", "displaystyle", "scriptlevel", "movablelimits",
    }  # fmt: skip
    if "math" not in read.tags:
        kept = letters(read.text)
        numbered = re.sub(r"(?m)^\s*\d+[.)]", "", written)  # the browser writes the numbers of a list
        assert kept in (letters(written), letters(numbered))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("hello", "ltr"),
        ("你好", "ltr"),
        ("שלום עולם", "rtl"),
        ("<think> مرحبا بكم في الصفحة", "rtl"),
        ("The word שלום means peace", "ltr"),
        ("12 + 3 = ?", "auto"),
        ("", "auto"),
    ],
)
def test_direction_is_that_of_most_letters(written: str, expected: str) -> None:
    assert direction(written) == expected
