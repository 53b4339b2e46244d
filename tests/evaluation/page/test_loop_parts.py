"""Parts of the loop's page by hand: charts, answers gathered and marked, outcomes, limits."""

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from typing import Any

import pytest

from rlhf.evaluation.page.charts import BOTTOM
from rlhf.evaluation.page.differences import mark, merge
from rlhf.evaluation.page.loop_plots import HIGH, by_step, measures, results
from rlhf.evaluation.page.loop_rounds import kind_of, rounds, slices
from rlhf.evaluation.page.loop_samples import samples
from rlhf.evaluation.page.loop_state import kinds, now, policies
from rlhf.evaluation.page.numbers import moment
from rlhf.runs.loop_record import (
    EndingRules,
    Guard,
    LoopRecord,
    PolicyEntry,
    RoundRecord,
    SampleShown,
    Slice,
    Status,
    StepRecord,
    Waiting,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def policy(label: str) -> PolicyEntry:
    return PolicyEntry(label=label, run=f"runs/{label}", fingerprint=label)


def one_round(number: int, incumbent: str, promoted: bool | None, **more: Any) -> RoundRecord:
    status: Status = "judging" if promoted is None else "done"
    usual: dict[str, Any] = {
        "status": status,
        "strategy": "random",
        "budget": 10,
        "raters_per_item": 1,
        "campaign": f"c{number}",
        "candidate": policy(f"round-{number}"),
        "started": BEGAN,
    }
    return RoundRecord(number=number, incumbent=incumbent, promoted=promoted, **{**usual, **more})


def record(*own: RoundRecord, **more: Any) -> LoopRecord:
    return LoopRecord(experiment="x", incumbent=policy("sft"), rounds=list(own), **more)


def svg_of(figures: list[Any], title: str) -> ElementTree.Element:
    (found,) = [one.svg for one in figures if one.title.en == title]
    return ElementTree.fromstring(found)


def said(svg: ElementTree.Element) -> list[str | None]:
    return [title.text for title in svg.iter("title")]


def test_win_rates_are_drawn_with_their_intervals_and_the_even_line() -> None:
    own = record(
        one_round(1, "sft", True, win_rate=0.6, win_low=0.55, win_high=0.65),
        one_round(2, "round-1", False, win_rate=0.52, win_low=0.47, win_high=0.57),
        one_round(3, "round-1", None),
    )
    (figure,) = results(own)
    svg = ElementTree.fromstring(figure.svg)
    promoted, kept = svg.findall("g")
    assert (promoted.attrib["class"], said(promoted)) == ("main", ["1: 60.0% [55.0%, 65.0%]"])
    assert (kept.attrib["class"], said(kept)) == ("ahead", ["2: 52.0% [47.0%, 57.0%]"])
    assert not list(
        svg.iter("polyline")
    )  # each is against another incumbent: nothing leads from one to the next
    (even,) = [line for line in svg.iter("line") if line.attrib["class"] == "even"]
    (dot,) = kept.iter("circle")
    assert float(even.attrib["y1"]) > float(dot.attrib["cy"])  # 0.52 stands above 0.5
    ticks = [text.text for text in svg.findall("text") if text.text in ("1", "2", "3")]
    assert ticks == ["1", "2", "3"]


def test_the_even_line_is_there_where_all_is_far_above_it() -> None:
    (figure,) = results(record(one_round(1, "sft", True, win_rate=0.9, win_low=0.88, win_high=0.92)))
    svg = ElementTree.fromstring(figure.svg)
    (even,) = [line for line in svg.iter("line") if line.attrib["class"] == "even"]
    (dot,) = svg.iter("circle")
    assert float(dot.attrib["cy"]) < float(even.attrib["y1"]) < HIGH - BOTTOM  # below, and in the picture


def test_an_estimate_without_an_interval_has_no_whisker() -> None:
    (figure,) = results(record(one_round(1, "sft", True, win_rate=0.6)))
    assert "whisker" not in figure.svg
    assert said(ElementTree.fromstring(figure.svg)) == ["1: 60.0%"]


def test_gold_follows_the_policy_that_each_round_ended_with() -> None:
    """0.5 before, 0.6 promoted, 0.55 not promoted, so 0.6 stays; then 0.7."""
    own = record(
        one_round(1, "sft", True, gold_score=0.6, gold_score_incumbent=0.5),
        one_round(2, "round-1", False, gold_score=0.55, gold_score_incumbent=0.6),
        one_round(3, "round-1", True, gold_score=0.7, gold_score_incumbent=0.6),
        one_round(4, "round-3", None),
    )
    svg = svg_of(results(own), "mean gold score")
    line, promoted, kept = svg.findall("g")[:3]
    assert said(line) == ["0: 0.5", "1: 0.6", "2: 0.6", "3: 0.7"]
    assert said(promoted) == ["1: 0.6", "3: 0.7"]
    assert said(kept) == ["2: 0.55"]


def test_the_reward_model_on_its_own_round_and_on_the_first() -> None:
    def slice_of(correct: float) -> Slice:
        return Slice(count=10, correct=correct, low=0.1, high=0.9)

    own = record(
        one_round(1, "sft", True, rm_accuracy={1: slice_of(7)}),
        one_round(2, "round-1", None, rm_accuracy={1: slice_of(8.5), 2: slice_of(6)}),
    )
    svg = svg_of(measures(own), "reward model right, on random pairs")
    mine, first = svg.findall("g")[:2]
    assert said(mine) == ["1: 70.0% [10.0%, 90.0%]", "2: 60.0% [10.0%, 90.0%]"]
    assert said(first) == ["2: 85.0%"]
    columns, rows = slices(own)
    assert columns == [1, 2]
    assert [[cell and cell.accuracy for cell in row.cells] for row in rows] == [[0.7, None], [0.85, 0.6]]


def step(number: int, made: bool = True, **more: Any) -> StepRecord:
    usual: dict[str, Any] = {
        "policy": policy(f"step-{number - 1}"),
        "asks": 4,
        "needed": 8,
        "made": policy(f"step-{number}") if made else None,
        "started": BEGAN,
    }
    return StepRecord(number=number, **{**usual, **more})


def test_a_stream_is_drawn_by_its_steps() -> None:
    slice_ = Slice(count=10, correct=7, low=0.4, high=0.9)
    one = one_round(1, "sft", False, steps=[step(1, kl_nats=0.5, rm_accuracy=slice_)])
    two = one_round(2, "sft", None, steps=[step(2, kl_nats=0.75), step(3, made=False)])
    figures = by_step(record(one, two, mode="streaming"))
    assert said(svg_of(figures, "KL from the SFT policy after each step, nats")) == ["1: 0.5", "2: 0.75"]
    (right,) = said(svg_of(figures, "reward model right, on its round’s random pairs"))
    assert right is not None
    assert "70" in right
    assert by_step(record(one_round(1, "sft", False))) == []


@pytest.mark.parametrize(
    ("status", "en", "zh"),
    [
        ("waiting", "Round 2, step 3, waits for 5 more judgements.", "第 2 轮第 3 步还在等待 5 个判断。"),
        ("sampling", "Round 2, step 3: step-2 answers prompts.", "第 2 轮第 3 步：step-2 正在回答提示。"),
        (
            "judging",
            "Round 2: the candidate is judged against sft.",
            "第 2 轮：正在评判候选策略与 sft 孰优。",
        ),
    ],
)
def test_a_stream_says_at_which_step_it_is(status: Status, en: str, zh: str) -> None:
    coming = one_round(
        2, "sft", None, status=status, waiting=Waiting(judgements=3, needed=8), steps=[step(3, made=False)]
    )
    assert now(record(coming, mode="streaming")).headline == (en, zh)


def test_nothing_is_drawn_of_nothing() -> None:
    for own in (record(), record(one_round(1, "sft", None))):
        assert results(own) == []
        assert measures(own) == []


@pytest.mark.parametrize(
    ("promoted", "ok", "kind"),
    [(None, True, "open"), (True, True, "promoted"), (False, True, "kept"), (False, False, "broken")],
)
def test_what_became_of_a_round(promoted: bool | None, ok: bool, kind: str) -> None:
    guards = {
        "longer": Guard(value=1.7, limit=1.5, ok=ok),
        "unfinished": Guard(value=0.031, limit=0.05, ok=True),
    }
    one = one_round(1, "sft", promoted, guards=guards)
    assert kind_of(one) == kind
    (shown,) = rounds(record(one))
    assert [(guard.value, guard.limit, guard.ok) for guard in shown.guards] == [
        ("1.7", "1.5", ok),
        ("3.1%", "5.0%", True),
    ]
    assert kinds(record(one)) == {"round-1": kind}


def test_policies_that_answered_the_same_stand_together() -> None:
    own = record(
        one_round(1, "sft", True),
        one_round(2, "round-1", False),
        one_round(3, "round-1", True),
        samples=[
            SampleShown(
                prompt="?",
                answers={
                    "round-3": "It is eight.",
                    "round-1": "It is six.",
                    "round-2": "It is six.",
                    "sft": "six",
                },
                gold={"sft": 0.1, "round-1": 0.2, "round-2": 0.2, "round-3": 0.9},
            )
        ],
    )
    (sample,) = samples(own, kinds(own))
    assert [[who.label for who in one.who] for one in sample.answers] == [
        ["sft"],
        ["round-1", "round-2"],
        ["round-3"],
    ]
    assert [who.kind for one in sample.answers for who in one.who] == ["", "promoted", "kept", "promoted"]
    assert [one.against for one in sample.answers] == [None, "sft", "round-1"]  # round 2 was not promoted
    assert sample.answers[2].text == "It is <del>six</del><ins>eight</ins>."
    assert ([one.gold for one in sample.answers], sample.best) == ([0.1, 0.2, 0.9], 0.9)


def test_an_answer_without_one_to_compare_with_is_unmarked() -> None:
    own = record(one_round(1, "sft", True), samples=[SampleShown(prompt="?", answers={"round-1": "<b>"})])
    ((answer,),) = [one.answers for one in samples(own, {})]
    assert (answer.text, answer.against, answer.gold) == ("&lt;b&gt;", None, None)


def test_an_answer_that_has_little_in_common_is_not_said_to_be_marked() -> None:
    answers = {"sft": "Seven eggs.", "round-1": "我不知道呀"}
    own = record(one_round(1, "sft", True), samples=[SampleShown(prompt="?", answers=answers)])
    (sample,) = samples(own, {})
    assert [one.against for one in sample.answers] == [None, None]


def test_two_texts_in_one() -> None:
    assert merge("It is seven eggs.", "It is eight eggs.") == "It is <del>seven</del><ins>eight</ins> eggs."
    assert merge("会议改了。", "会议改到周五。") == "会议改<del>了</del><ins>到周五</ins>。"
    assert merge("abc def", "uvw xyz") == "uvw xyz"  # little in common
    assert merge("<b> one two", "<i> one two") == "&lt;<del>b</del><ins>i</ins>&gt; one two"
    for before, after in (("a b c", "a c d"), ("one two", "two"), ("x", "x")):
        whole = merge(before, after)
        assert re.sub("<del>.*?</del>|</?ins>", "", whole) == after
        assert re.sub("<ins>.*?</ins>|</?del>", "", whole) == before
        assert mark(before, after).common > 0.3


def test_limits_say_how_far_they_are() -> None:
    own = record(
        one_round(1, "sft", True, judgements=30),
        one_round(2, "round-1", False, judgements=10),
        one_round(3, "round-1", None, judgements=5),
        rules=EndingRules(rounds=4, patience=2, max_judgements=90),
    )
    found = {one.name.en: (one.there, one.of, one.share) for one in now(own).limits}
    assert found == {
        "rounds": ("2", "4", 0.5),
        "judgements": ("45", "90", 0.5),
        "rounds without a promotion": ("1", "2", 0.5),
    }
    assert now(record()).limits == []


def test_the_strongest_policy_stands_first() -> None:
    strengths = {"sft": (-1.0, -2.0, 0.0), "round-1": (1.0, 0.0, 2.0), "round-2": (0.0, -1.0, 1.0)}
    own = record(strengths=strengths, policies=[policy("sft"), policy("other")])
    assert policies(own) == ["round-1", "round-2", "sft", "other"]


def test_times_are_told_in_utc() -> None:
    assert moment(datetime.fromisoformat("2026-03-01T23:30:00-02:00")) == "2026-03-02 01:30"
    assert moment(datetime(2026, 3, 1, 12, 0)) == "2026-03-01 12:00"
