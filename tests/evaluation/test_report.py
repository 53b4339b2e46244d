"""The report: whole, offline, and every text in it as it was written."""

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

from evaluation_samples import answer, comparison, evaluation, figures, point

from rlhf.algos.calibration import Bin
from rlhf.algos.statistics import Interval
from rlhf.evaluation.charts import interval_chart, line_chart, reliability_chart
from rlhf.evaluation.report import SideBySide, render_report
from rlhf.evaluation.reward_quality import RewardQuality
from rlhf.evaluation.summary import Judgement, headline, warnings
from rlhf.records import Message, Prompt

NASTY = [
    "我想一想。<think>先加，再减</think>答案是：五",
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "שלום vector<int> & co &lt;b&gt; \"quoted\" 'so'",
    "\n  begins with a newline\tand a tab,\r\nends with space ",
    "</div></article><style>body{display:none}</style>{{ 7*7 }}{% raw %}",
]


class Page(HTMLParser):
    """Collects the elements, their attributes, and what stands in boxes for text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.words = ""
        self._depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if ("class", "text") in attrs:
            assert ("dir", "auto") in attrs
            self.texts.append("")
            self._depth = 1
        elif self._depth:
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(self._depth - 1, 0)

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._depth:
            self.texts[-1] += data


def pairs(texts: list[str]) -> list[SideBySide]:
    return [
        SideBySide(
            answer(Prompt((Message("user", text),)), text), answer("other", text[::-1]), {"gold": (1.0, 0.0)}
        )
        for text in texts
    ]


def test_every_text_stands_as_it_was_written() -> None:
    page = Page(render_report(evaluation(), pairs(NASTY), []))
    assert page.texts == [shown for text in NASTY for shown in (text, text, text[::-1])]
    assert {"script", "img", "iframe", "link", "object", "form"}.isdisjoint(page.tags)
    assert page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_names_and_groups_are_escaped_too() -> None:
    bad = "<script>x</script>"
    gold = comparison([1.0], [0.0])
    page = Page(
        render_report(
            evaluation(
                experiment=bad,
                policy=bad,
                baseline=bad,
                notes=(bad,),
                judgements=(Judgement(bad, bad, gold, {bad: {bad: gold}}),),
            ),
            pairs([bad]),
            [],
        )
    )
    assert "script" not in page.tags


def test_needs_no_network() -> None:
    html = render_report(evaluation(), pairs(["x"]), [{"step": n, "kl": 0.1 * n} for n in range(5)])
    assert not re.findall(r"(?:src|href|url)\s*[=(]", html)
    assert not re.findall(r"https?://", html)
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_control_characters_and_lone_surrogates_are_spelled_out() -> None:
    html = render_report(evaluation(), pairs(["a\x00b\ud800c"]), [])
    assert Page(html).texts[0] == "a\\u0000b\\ud800c"
    html.encode("utf-8")


def test_says_what_was_found() -> None:
    quality = RewardQuality(
        pairs=120,
        prompts=100,
        accuracy=Interval(0.71, 0.62, 0.79),
        longer=point(0.4),
        length_rule="shorter",
        length=Interval(0.6, 0.5, 0.7),
        ece=0.043,
        bins=(Bin(0.5, 0.55, 10, 0.52, 0.6), Bin(0.9, 0.95, 10, 0.93, 0.8)),
        mean_margin=1.0,
        truth=point(0.8),
        label_agreement=0.78,
    )
    lines = [{"step": 0, "eval/kl": 0.0}, *({"step": n, "kl": n, "score": -n} for n in range(1, 4))]
    words = Page(render_report(evaluation(reward_quality=quality), [], lines)).words
    for said in ("ppo-1 beats sft-1", "90.0%", "sums", "71.0%", "the shorter answer is right", "0.043"):
        assert said in words
    for said in ("KL from the reference, nats a response", "demo/sft-1", "1m 1s", "base model base"):
        assert said in " ".join(words.split())
    assert "Entropy" not in words  # no such figure was logged


def test_the_headline_follows_the_interval() -> None:
    assert headline(evaluation()).startswith("ppo-1 beats sft-1: it wins 90.0% of 10 held-out prompts")
    even = Judgement("gold", "gold", comparison([0.0, 1.0] * 5, [1.0, 0.0] * 5))
    worse = Judgement("gold", "gold", comparison([0.0] * 5, [1.0] * 5))
    assert "cannot be told from sft-1" in headline(evaluation(judgements=(even,)))
    assert "loses to sft-1" in headline(evaluation(judgements=(worse,)))
    assert "nobody judged" in headline(evaluation(judgements=()))


def test_warns_of_what_spoils_a_result() -> None:
    assert list(warnings(evaluation())) == []
    rose = Judgement("reward", "reward", comparison([2.0] * 5, [1.0] * 5))
    fell = Judgement("gold", "gold", comparison([0.0] * 5, [1.0] * 5))
    for changes, said in (
        ({"prompts": 20}, "Only 20 prompts"),
        ({"judgements": (fell, rose)}, "Over-optimisation: the reward rose by 1"),
        ({"kl_nats": point(30.0)}, "30.0 nats from the baseline"),
        ({"policy_figures": figures(end_rate=0.5)}, "Only 50% of the policy's answers end"),
        ({"policy_figures": figures(length=20.0)}, "grew from 10.0 tokens to 20.0"),
        ({"policy_figures": figures(length=1.2)}, "ends at once"),
        ({"policy_figures": figures(distinct_2=0.1)}, "Variety fell"),
        ({"notes": ("something else",)}, "something else"),
    ):
        (warning,) = warnings(evaluation(**changes))
        assert said in warning


def test_a_rise_that_may_be_chance_is_no_over_optimisation() -> None:
    maybe = Judgement("reward", "reward", comparison([2.0, 0.0, 1.2], [1.0, 1.0, 1.0]))
    fell = Judgement("gold", "gold", comparison([0.0] * 5, [1.0] * 5))
    assert maybe.overall.difference.estimate > 0
    assert list(warnings(evaluation(judgements=(fell, maybe)))) == []


def test_the_better_answer_is_marked() -> None:
    one = SideBySide(answer("p", "x"), answer("p", "y"), {"gold": (0.25, 0.75), "judge": (0.5, 0.5)})
    html = render_report(evaluation(), [one], [])
    assert re.findall(r'<span class="won">(.*?)</span>', html) == ["gold 0.75"]


def test_samples_are_plain_rows() -> None:
    row = json.loads(json.dumps(pairs(["你好"])[0].as_json(), ensure_ascii=False))
    assert row["policy"] == {"response": "你好", "tokens": 3, "finish": "eos", "scores": {"gold": 1.0}}
    assert row["baseline"]["scores"] == {"gold": 0.0}


def points_of(svg: str) -> list[tuple[float, ...]]:
    line = ElementTree.fromstring(svg).find("polyline")
    assert line is not None
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]


def test_charts_are_well_formed_and_to_scale() -> None:
    (x0, y0), (x1, y1), (x2, y2) = points_of(line_chart("a <b>", [(0, 1.0), (1, 2.0), (2, 4.0)]))
    assert x1 - x0 == x2 - x1 > 0
    assert (y1 - y2) / (y0 - y1) == 2 or abs((y1 - y2) - 2 * (y0 - y1)) < 0.2
    assert y2 < y0  # more is higher up
    chart = ElementTree.fromstring(interval_chart("t", [("<x>", Interval(0.6, 0.55, 0.7))], 0.5))
    assert [circle.attrib["class"] for circle in chart.iter("circle")] == ["dot good"]
    assert "<x>" in [text.text for text in chart.iter("text")]
    assert len(points_of(reliability_chart("t", [(0.55, 0.5), (0.9, 0.8)]))) == 2


def test_charts_take_what_training_logs() -> None:
    nan = float("nan")
    assert line_chart("t", [(0, nan), (1, 1.0)]) == ""
    assert len(points_of(line_chart("t", [(0, 1.0), (1, nan), (2, 1.0)]))) == 2
    assert interval_chart("t", [], 0.5) == ""
    assert reliability_chart("t", []) == ""
