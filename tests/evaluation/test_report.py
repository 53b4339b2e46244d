"""The report: whole, offline, in two languages, every text as it was written, every number from its file."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError
from report_samples import largest, real_input, rich

from rlhf.evaluation.page.words import NAMES
from rlhf.evaluation.report import render_report

NASTY = [
    "我想一想。<think>先加，再减</think>答案是：五",
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "שלום vector<int> & co &lt;b&gt; \"quoted\" 'so'",
    "\n  begins with a newline\tand a tab,\r\nends with space ",
    "</div></article><style>body{display:none}</style>{{ 7*7 }}{% raw %}",
]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects elements, attributes, what stands in boxes for text, and the words of each language."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.spoken: list[tuple[str, str]] = []
        self.words = ""
        self._open: list[tuple[str, set[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        kinds = set((dict(attrs).get("class") or "").split())
        if tag not in VOID:
            self._open.append((tag, kinds))
        if "text" in kinds:
            assert ("dir", "auto") in attrs
            self.texts.append("")
        if tag in ("span", "text") and kinds & {"en", "zh"}:
            self.spoken.append((min(kinds & {"en", "zh"}), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = {kind for _, kinds in self._open for kind in kinds}
        if not {tag for tag, _ in self._open} & {"script", "style"}:
            self.words += data
        if "text" in inside:
            self.texts[-1] += data
        if self.spoken and inside & {"en", "zh"}:
            language, said = self.spoken[-1]
            self.spoken[-1] = language, said + data


def page_of(evaluation: Mapping[str, Any]) -> Page:
    return Page(render_report(json.loads(json.dumps(evaluation))))


@cache
def usual_words() -> str:
    return page_of(rich()).words


def with_value(path: str, value: object) -> dict[str, Any]:
    """A rich evaluation in which one value, named by keys and places, is another."""
    evaluation = rich()
    at: Any = evaluation
    *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in way:
        at = at[key]
    assert at[last] != value
    at[last] = value
    return evaluation


def test_every_text_stands_as_it_was_written() -> None:
    evaluation = rich(samples=len(NASTY)) | {"disagreements": [], "probes": [], "episodes": []}
    for sample, text in zip(evaluation["samples"], NASTY, strict=True):
        sample["prompt"] = text
        sample["policy"]["response"], sample["baseline"]["response"] = text, text[::-1]
    page = page_of(evaluation)
    assert page.texts == [shown for text in NASTY for shown in (text, text, text[::-1])]
    assert {"img", "iframe", "link", "object", "form", "think"}.isdisjoint(page.tags)
    assert page.tags.count("style") == page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_everything_else_that_was_read_is_escaped_too() -> None:
    bad = "<script>x</script>"

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoilt(one) for key, one in value.items()}
        if isinstance(value, list):
            return [spoilt(one) for one in value]
        return bad if isinstance(value, str) and value not in kept else value

    kept = {"gold", "judge", "reward", "longer", "sft", "best-of-n"}  # what these name is looked up
    evaluation = spoilt(rich())
    for judgement in evaluation["judgements"]:
        judgement["groups"] = {bad: {bad: judgement["overall"]}}
    evaluation["environment"] = {bad: bad}
    page = page_of(evaluation)
    assert page.tags.count("script") == 1
    assert page.words.count(bad) > 50


def test_needs_no_network_and_runs_no_script_but_its_own() -> None:
    html = render_report(rich())
    page = Page(html)
    asking = {"src", "srcset", "action", "data", "poster", "background", "xlink:href", "ping", "formaction"}
    assert asking.isdisjoint(name for name, _ in page.attributes)
    assert all((value or "").startswith("#") for name, value in page.attributes if name == "href")
    assert not re.findall(r"https?:|//[a-z]+\.|@import|url\((?!#)", html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_control_characters_and_lone_surrogates_are_spelled_out() -> None:
    evaluation = rich(samples=1) | {"disagreements": [], "probes": [], "episodes": []}
    evaluation["samples"][0]["prompt"] = "a\x00b\ud800c"
    html = render_report(evaluation)
    assert Page(html).texts[0] == "a\\u0000b\\ud800c"
    html.encode("utf-8")


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("headline/en", "It is so by 12.34%.", "It is so by 12.34%."),
        ("prompts", 271, "271 held-out prompts"),
        ("judgements/0/overall/win_rate/estimate", 0.8765, "87.6%"),  # half to even, as the computer has it
        ("judgements/1/overall/wins", 187, "187 won"),
        ("judgements/0/overall/policy/estimate", 0.7777, "0.778"),
        ("judgements/2/length_controlled/low", 0.3217, "32.2%"),
        ("judgements/0/groups/family/sums/win_rate/high", 0.9931, "99.3%"),
        ("judgements/0/groups/held_out/combination/prompts", 43, "n = 43"),
        ("parts/right/difference/estimate", 0.1789, "+0.18"),
        ("parts/kept/baseline/estimate", 0.5151, "51.5% → "),
        ("figures/baseline/distinct_2", 0.4321, "0.432"),
        ("kl_nats/high", 12.34, "12.3"),
        ("kl_budget_nats", 37.5, "within the budget of 37.5"),
        ("contenders/4/seconds", 3599.0, "59m 59s"),
        ("contenders/2/kl_bound_nats", 1.955, "≤ 1.96"),
        ("contenders/3/scores/judge/low", 0.1234, "0.12"),
        ("best_of_n/3/scores/gold", 0.7531, "0.753"),
        ("training/looks/5/episodes", 7654, "after 7,654 episodes"),
        ("training/looks/2/gold", 0.7113, "40: 0.711"),
        ("training/curves/entropy/159", [160, 0.0123], "160: 0.0123"),
        ("training/profile/update_s", 7.25, "7.25"),
        ("training/profile/score_s", 18.5, "68.5%"),  # of 27 seconds
        ("training/profile/flop_utilization", 0.4321, "43.2%"),
        ("training/profile/padding", 0.1234, "12.3%"),
        ("doubts/length/same_length/prompts", 117, "(117)"),
        ("doubts/noise/p_value", 0.0321, "p = 0.0321"),
        ("doubts/memory/difference/low", -0.0511, "−0.05"),
        ("doubts/forgetting/demonstrations", 251, "251 held-out demonstrations (careful)"),
        ("doubts/cost/per_token", 1.2345, "1.23"),
        ("reward_model/accuracy/estimate", 0.7123, "71.2%"),
        ("reward_model/ceiling", 0.7913, "79.1%"),
        ("reward_model/ece", 0.0571, "0.0571"),
        ("reward_model/bins/2/observed", 0.6377, "63.8%"),
        ("reward_model/by_length_difference/1/low", -23.0, "−23 … −5"),
        ("reward_model/by_gold_margin/0/labels", 0.6111, "61.1%"),
        ("learning/forecast/accuracy", 0.7219, "72.2%"),
        ("learning/sft/0/loss", 0.6789, "0.679"),
        ("probes/0/preferred/estimate", 0.6411, "64.1%"),
        ("probes/1/gold_change/estimate", -0.1599, "−0.160"),
        ("disagreements/0/scores/reward", [3.456, -0.4], "3.46"),
        ("samples/0/policy/scores/judge", 2.718, "2.72"),
        ("samples/1/baseline/tokens", 41, "41 tokens"),
        ("episodes/3/score", 1.357, "score 1.36"),
        ("lineage/0/seconds", 4000.0, "1h 6m"),
        ("environment/threads", 23, "23"),
        ("seed", 31337, "31337"),
    ],
)
def test_what_stands_in_the_file_stands_on_the_page(path: str, value: object, shown: str) -> None:
    before, after = usual_words(), page_of(with_value(path, value)).words
    assert after.count(shown) > before.count(shown)


def test_says_what_is_not_known() -> None:
    words = page_of(real_input()).words
    assert "There is no gold rater for these prompts" in words
    assert "It cannot be told here." in words
    assert "It may be: p = 0.31." in words
    assert "No episodes were kept" in words
    assert "not known" in words
    assert "Win rate by gold" not in words
    bare = real_input() | {
        "judgements": [],
        "contenders": [],
        "best_of_n": [],
        "training": None,
        "reward_model": None,
        "samples": [],
        "lineage": [],
    }
    words = page_of(bare).words
    for said in ("Nobody judged", "No other way was tried", "Nothing is known of its training", "no samples"):
        assert said in words


def test_says_how_far_an_endpoint_can_be_trusted() -> None:
    half = {"estimate": 0.5, "low": 0.4, "high": 0.6}
    asked = {"model": "<large>", "url": "http://localhost:1/v1", "same": 17, "unparsable": 3}
    endpoint = asked | {"disagreement": half | {"estimate": 0.123}, "first_shown": None, "tokens_in": 1}
    words = page_of(rich() | {"endpoint": endpoint}).words
    for said in ("<large> at http://localhost:1/v1", "12.3%", "17 pairs of equal answers", "3 verdicts"):
        assert said in words
    assert "The endpoint judge" not in page_of(rich() | {"endpoint": None}).words


def test_a_file_of_another_version_is_no_report() -> None:
    evaluation = rich()
    del evaluation["kl_budget_nats"]
    with pytest.raises((KeyError, UndefinedError), match="kl_budget_nats"):
        render_report(evaluation)


def test_both_languages_say_everything() -> None:
    for evaluation in (rich(), real_input()):
        spoken = page_of(evaluation).spoken
        assert len(spoken) > 200
        languages = [language for language, _ in spoken]
        assert languages.count("en") == languages.count("zh")
        assert not [said for language, said in spoken if language == "en" and re.search("[一-鿿]", said)]
    assert all(words.en and words.zh for words in NAMES.values())


def test_shows_english_without_its_script() -> None:
    html = render_report(rich())
    assert '<html lang="en" data-lang="en">' in html
    assert '[data-lang="en"] .zh, [data-lang="zh"] .en { display: none; }' in html


def test_the_better_answer_is_marked() -> None:
    evaluation = rich(samples=1) | {"disagreements": []}
    for side, gold in (("policy", 0.25), ("baseline", 0.75)):
        evaluation["samples"][0][side]["scores"] = {"gold": gold, "judge": 0.5}
    html = render_report(evaluation)
    (won,) = re.findall(r'<span class="won">(.*?0\.\d+)</span>', html)
    assert won.endswith("0.75")
    assert 'data-winner="baseline"' in html
    evaluation["samples"][0]["policy"]["scores"]["gold"] = 0.9
    assert 'data-winner="policy"' in render_report(evaluation)
    evaluation["samples"][0]["policy"]["scores"]["gold"] = 0.75
    assert 'data-winner="tie"' in render_report(evaluation)


def test_the_largest_stays_small() -> None:
    evaluation = largest()
    assert len(evaluation["samples"]) == 256
    assert len(evaluation["episodes"]) == 72
    html = render_report(evaluation)
    assert html.count('class="sample"') == 256 + len(evaluation["disagreements"])
    assert len(html.encode()) < 5_000_000
