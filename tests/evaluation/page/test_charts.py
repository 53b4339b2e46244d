"""Charts are to scale, hold every number, and keep names apart."""

import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from rlhf.evaluation.page.axes import Axis, spanning
from rlhf.evaluation.page.charts import Frame, Point, Series, chart, thinned
from rlhf.evaluation.page.labels import Label, place, wide
from rlhf.evaluation.page.tracks import outcome_bar, side, track
from rlhf.evaluation.page.words import Words

STEP, NAME, TITLE = Words("step", "步"), Words("gold", "金"), Words("a <b>", "甲")


def drawn(points: list[Point], frame: Frame | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(chart(TITLE, [Series(NAME, points)], frame or Frame(STEP)))


def path_of(svg: ElementTree.Element) -> list[tuple[float, ...]]:
    (line,) = svg.iter("polyline")
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]


def test_lines_are_to_scale() -> None:
    (x0, y0), (x1, y1), (x2, y2) = path_of(drawn([Point(0, 1.0), Point(1, 2.0), Point(2, 4.0)]))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 - y2 == pytest.approx(2 * (y0 - y1), abs=0.31)
    assert y2 < y0  # more is higher up


def test_doublings_are_evenly_spaced_on_a_logarithmic_axis() -> None:
    frame = Frame(STEP, logarithmic=True, ticks_x=[1, 2, 4])
    (x0, _), (x1, _), (x2, _) = path_of(drawn([Point(1, 1.0), Point(2, 2.0), Point(4, 4.0)], frame))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)


def test_every_point_says_its_numbers() -> None:
    svg = drawn([Point(0, 0.5, 0.4, 0.6), Point(10, 0.75)], Frame(STEP, shares=True))
    assert [title.text for title in svg.iter("title")] == ["0: 50.0% [40.0%, 60.0%]", "10: 75.0%"]
    assert svg.attrib["aria-label"] == "a <b>, by step: gold from 50.0% to 75.0%"


def test_takes_what_training_logs() -> None:
    nan = float("nan")
    assert chart(TITLE, [Series(NAME, [Point(0, nan)])], Frame(STEP)) == ""
    assert chart(TITLE, [], Frame(STEP)) == ""
    assert len(path_of(drawn([Point(0, 1.0), Point(1, nan), Point(2, 1.0)]))) == 2
    drawn([Point(5, 0.0)])  # one point, no extent


def test_the_chosen_point_is_ringed() -> None:
    svg = drawn([Point(0, 1.0), Point(1, 2.0, chosen=True)])
    assert [circle.attrib["class"] for circle in svg.iter("circle")] == ["pt", "pt chosen"]


def test_thinning_keeps_the_last() -> None:
    points = [Point(step, 0.0) for step in range(1001)]
    kept = thinned(points, 120)
    assert len(kept) <= 120
    assert kept[-1].x == 1000
    assert len({b.x - a.x for a, b in pairwise(kept)}) == 1
    assert thinned(points[:120], 120) == points[:120]


def test_ticks_are_round() -> None:
    assert Axis(0.0, 1.0, 0, 100).ticks() == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert Axis(-3.0, 170.0, 0, 100).ticks() == pytest.approx([0, 50, 100, 150])
    constant = spanning([2.0, 2.0], 0, 100)
    assert constant(2.0) == pytest.approx(50)


def test_names_do_not_cover_each_other() -> None:
    labels = [Label(Words("one", "一"), 50, 50, ""), Label(Words("two", "二"), 52, 51, "")]
    first, second = place(labels, [(50, 50), (52, 51)], 200, 0)
    assert (first.anchor, first.x) == ("start", 58)
    assert abs(second.y - first.y) >= 10 or second.anchor == "end"
    (edge,) = place([Label(Words("long name", "长名"), 195, 50, "")], [], 200, 0)
    assert edge.anchor == "end"  # not beyond the right edge
    assert wide(Words("ab", "一二")) == pytest.approx(4 * 6.8)


def test_tracks_place_an_interval_by_per_cent() -> None:
    svg = ElementTree.fromstring(track([({"estimate": 0.6, "low": 0.55, "high": 0.7}, "up")], lines=(0.5,)))
    even, whisker = svg.iter("line")
    assert (even.attrib["x1"], whisker.attrib["x1"], whisker.attrib["x2"]) == ("50.00%", "55.00%", "70.00%")
    (dot,) = svg.iter("circle")
    assert (dot.attrib["cx"], dot.attrib["class"]) == ("60.00%", "dot up")
    beyond = ElementTree.fromstring(track([({"estimate": -1, "low": -math.inf, "high": 2}, "up")]))
    assert [beyond.find("line").attrib[end] for end in ("x1", "x2")] == ["0.00%", "100.00%"]  # type: ignore[union-attr]


def test_sides() -> None:
    assert side({"low": 0.51, "estimate": 0.6, "high": 0.7}, 0.5) == "up"
    assert side({"low": 0.3, "estimate": 0.4, "high": 0.49}, 0.5) == "down"
    assert side({"low": 0.5, "estimate": 0.6, "high": 0.7}, 0.5) == "open"


def test_outcomes_share_the_bar() -> None:
    svg = ElementTree.fromstring(outcome_bar({"prompts": 8, "wins": 4, "ties": 1, "losses": 3}, 30))
    parts = [(part.attrib["class"], part.attrib["x"], part.attrib["width"]) for part in svg.iter("rect")]
    assert parts == [
        ("wins", "0.00%", "50.00%"),
        ("ties", "50.00%", "12.50%"),
        ("losses", "62.50%", "37.50%"),
    ]
