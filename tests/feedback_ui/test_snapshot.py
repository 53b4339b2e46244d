"""Snapshots: what is written, by hand and through rlhf.data; CSV without formulas."""

import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from people import ALL_GOLD, campaign, pairs, prefer_good, rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, NotAllowed
from feedback_ui.form import Form, Scale
from feedback_ui.schema import Export
from feedback_ui.service.adjudication import adjudicate, disputes
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import skip, submit, undo
from feedback_ui.service.snapshot import snapshot
from rlhf.data.formats import to_demonstrations, to_preferences
from rlhf.data.sources import read_rows


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def vote(db: Database, name: str, own: str, *strengths: int) -> None:
    """A rater of this name judges items in turn: a strength above 0 is for the good answer."""
    actor = rater(db, own)
    for strength in strengths:
        task = next_task(db, actor, name)
        good_left = task.answers[0].startswith("good")
        submit(db, actor, task.assignment_id, {"strength": -strength if good_left else strength}, key="k")


def test_raw_rows_carry_strength_as_margin_and_read_as_preferences(db: Database, tmp_path) -> None:
    name = campaign(db, 4)
    vote(db, name, "a", 3, 1, -2, 0)
    manifest = snapshot(db, name, tmp_path / "out")
    rows = lines(tmp_path / "out" / "preferences.jsonl")
    assert [row["chosen"] for row in rows[:3]] == ["good 0", "good 1", "bad 2"]
    assert [row["margin"] for row in rows] == pytest.approx([1, 1 / 3, 2 / 3, 0])
    assert [row["probability"] for row in rows] == [1, 1, 1, 0.5]
    assert rows[0]["chosen_model"] == "model-a"
    assert rows[0]["rater"].startswith("r-")
    read = to_preferences(read_rows(str(tmp_path / "out" / "preferences.jsonl")))
    assert not read.problems
    third = read.records[2]
    assert (third.prompt.content, third.chosen, third.rejected) == ("问题 2?", "bad 2", "good 2")
    assert (third.probability, third.margin, third.weight) == pytest.approx((1, 2 / 3, 1))
    assert third.prompt.fields["family"] == "sums"
    assert manifest.counts["ties"] == 1
    assert manifest.counts["preferences"] == manifest.counts["judgements"] == 4


def test_a_part_by_numbers_holds_what_was_said_last_between_them(db: Database, tmp_path) -> None:
    name = campaign(db, 4)
    vote(db, name, "a", 1, 2)
    whole = snapshot(db, name, tmp_path / "whole")
    assert whole.last_number is not None
    vote(db, name, "b", 3)
    part = snapshot(db, name, tmp_path / "part", after=whole.last_number)
    assert part.counts["judgements"] == 1
    assert [row["margin"] for row in lines(tmp_path / "part" / "preferences.jsonl")] == [1]
    again = snapshot(db, name, tmp_path / "again", after=0, upto=whole.last_number)
    assert (again.sha256, again.last_number) == (whole.sha256, whole.last_number)
    empty = snapshot(db, name, tmp_path / "empty", after=part.last_number)
    assert (empty.counts["judgements"], empty.last_judgement) == (0, None)


def test_what_was_taken_back_stands_in_the_part_that_follows(db: Database, tmp_path) -> None:
    name = campaign(db, 2)
    actor = rater(db, "a")
    task = next_task(db, actor, name)
    assert task is not None
    submit(db, actor, task.assignment_id, prefer_good(task.answers), key="k")
    first = snapshot(db, name, tmp_path / "first")
    undo(db, actor, task.assignment_id, key="u")
    part = snapshot(db, name, tmp_path / "part", after=first.last_number)
    (line,) = lines(tmp_path / "part" / "judgements.jsonl")
    assert line["action"] == "withdraw"
    assert (part.counts["judgements"], part.counts["skips"], part.counts["preferences"]) == (0, 0, 0)


def test_majority_by_hand(db: Database, tmp_path) -> None:
    name = campaign(db, 3, raters_per_item=3)
    vote(db, name, "a", 3, -1, 1)
    vote(db, name, "b", 1, -1, -1)
    vote(db, name, "c", -2, 0, 0)
    snapshot(db, name, tmp_path / "out", aggregate="majority")
    rows = lines(tmp_path / "out" / "preferences.jsonl")
    assert [row["chosen"] for row in rows[:2]] == ["good 0", "bad 1"]
    assert [row["probability"] for row in rows] == [1, 1, 0.5]
    # (1 + 1/3 - 2/3) / 3 and (1/3 + 1/3 + 0) / 3
    assert [row["margin"] for row in rows] == pytest.approx([2 / 9, 2 / 9, 0])
    assert [row["votes"] for row in rows] == [3, 3, 3]


def test_dawid_skene_trusts_those_who_agree_with_the_others(db: Database, tmp_path) -> None:
    name = campaign(db, 12, raters_per_item=3)
    vote(db, name, "good-1", *[2] * 12)
    vote(db, name, "good-2", *[2] * 11, -2)
    vote(db, name, "poor", *[2, -2] * 6)
    snapshot(db, name, tmp_path / "out", aggregate="dawid_skene")
    rows = lines(tmp_path / "out" / "preferences.jsonl")
    assert [row["chosen"] for row in rows[:11]] == [f"good {number}" for number in range(11)]
    assert all(0.5 < row["probability"] <= 1 and row["margin"] == 0 for row in rows)
    assert rows[0]["probability"] > rows[1]["probability"]  # of three votes, and of two against one
    read = to_preferences(read_rows(str(tmp_path / "out" / "preferences.jsonl")))
    assert [one.probability for one in read.records] == [row["probability"] for row in rows]


def swapped(rows: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(place, row | {"responses": row["responses"][::-1]}) for place, row in rows]


def test_dawid_skene_does_not_care_which_answer_the_file_has_first(db: Database, tmp_path) -> None:
    rows = list(pairs(12))
    files = {"as it is": rows, "swapped": swapped(rows), "half": [*rows[:6], *swapped(rows[6:])]}
    found: dict[str, list[tuple[str, float]]] = {}
    for number, (file, content) in enumerate(files.items()):
        name = campaign(db, name=file, rows=content, raters_per_item=3)
        vote(db, name, f"{number}-1", *[2] * 11, -2)
        vote(db, name, f"{number}-2", *[2] * 10, -2, 0)
        vote(db, name, f"{number}-3", *[2, -2] * 6)
        snapshot(db, name, tmp_path / file, aggregate="dawid_skene")
        written = lines(tmp_path / file / "preferences.jsonl")
        found[file] = [(row["chosen"], row["probability"]) for row in written]
    for file in ("swapped", "half"):
        assert [chosen for chosen, _ in found[file]] == [chosen for chosen, _ in found["as it is"]]
        probabilities = [probability for _, probability in found["as it is"]]
        assert [probability for _, probability in found[file]] == pytest.approx(probabilities, abs=1e-7)
    assert found["as it is"][11][0] == "bad 11"  # one vote of a good rater for it, one tie, and a coin's


def test_rankings_become_pairs_that_weigh_one_together(db: Database, tmp_path) -> None:
    rows = [("rows:1", {"prompt": "?", "responses": ["A", "B", "C"]})]
    name = campaign(db, rows=rows, form=Form(kind="rank"))
    a = rater(db, "a")
    task = next_task(db, a, name)
    at = {text: place for place, text in enumerate(task.answers)}
    submit(db, a, task.assignment_id, {"ranking": [[at["C"]], [at["A"], at["B"]]]}, key="k")
    snapshot(db, name, tmp_path / "out")
    found = {
        (row["chosen"], row["rejected"], row["probability"], round(row["weight"], 6))
        for row in lines(tmp_path / "out" / "preferences.jsonl")
    }
    assert found == {("A", "B", 0.5, 0.333333), ("C", "A", 1.0, 0.333333), ("C", "B", 1.0, 0.333333)}


def test_an_edit_is_a_demonstration_and_a_pair_over_the_original(db: Database, tmp_path) -> None:
    name = campaign(db, 2)
    a = rater(db, "a")
    for edited in ("更好的答案", None):
        task = next_task(db, a, name)
        better = 0 if task.answers[0].startswith("good") else 1
        text = edited or task.answers[better]  # left as it was, an edit says nothing
        given = prefer_good(task.answers) | {"edit": {"place": better, "text": text}}
        submit(db, a, task.assignment_id, given, key="k")
    snapshot(db, name, tmp_path / "out")
    extra = [row for row in lines(tmp_path / "out" / "preferences.jsonl") if row.get("source") == "edit"]
    assert [(row["chosen"], row["rejected"]) for row in extra] == [("更好的答案", "good 0")]
    read = to_demonstrations(read_rows(str(tmp_path / "out" / "demonstrations.jsonl")))
    assert [(one.prompt.content, one.completion) for one in read.records] == [("问题 0?", "更好的答案")]


def test_a_written_answer_is_a_demonstration_with_its_conversation(db: Database, tmp_path) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好"}]
    name = campaign(db, rows=[("rows:1", {"prompt": prompt})], form=Form(kind="write"))
    a = rater(db, "a")
    submit(db, a, next_task(db, a, name).assignment_id, {"demonstration": "你好！"}, key="k")
    snapshot(db, name, tmp_path / "out")
    (one,) = to_demonstrations(read_rows(str(tmp_path / "out" / "demonstrations.jsonl"))).records
    assert [turn.content for turn in one.prompt.content] == ["Be brief.", "你好"]
    assert one.completion == "你好！"


def single(db: Database, form: Form, **plan: Any) -> str:
    rows = [(f"rows:{n}", {"prompt": "?", "completion": f"answer {n}", "model": "m"}) for n in range(2)]
    return campaign(db, rows=rows, form=form, **plan)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("raw", [("answer 0", True)] * 2 + [("answer 0", False), ("answer 1", False)] + [("answer 1", True)]),
        ("majority", [("answer 0", True)]),  # of two who differ nothing follows
    ],
)
def test_thumbs(db: Database, tmp_path, aggregate, expected) -> None:
    name = single(db, Form(kind="thumb"), raters_per_item=3)
    for own, thumbs in (("a", (True, False)), ("b", (True, True)), ("c", (False,))):
        actor = rater(db, own)
        for thumb in thumbs:
            submit(db, actor, next_task(db, actor, name).assignment_id, {"thumb": thumb}, key="k")
    snapshot(db, name, tmp_path / "out", aggregate=aggregate)
    rows = lines(tmp_path / "out" / "scores.jsonl")
    assert [(row["completion"], row["label"]) for row in rows] == expected


def test_scores_read_as_pairs(db: Database, tmp_path) -> None:
    name = single(db, Form(kind="score", scales=(Scale(name="score", low=0, high=10),)), raters_per_item=2)
    for own, scores in (("a", (2, 9)), ("b", (3, 10))):
        actor = rater(db, own)
        for score in scores:
            submit(db, actor, next_task(db, actor, name).assignment_id, {"score": score}, key="k")
    snapshot(db, name, tmp_path / "out", aggregate="majority")
    assert [row["score"] for row in lines(tmp_path / "out" / "scores.jsonl")] == [2.5, 9.5]
    (pair,) = to_preferences(read_rows(str(tmp_path / "out" / "scores.jsonl"))).records
    assert (pair.chosen, pair.rejected) == ("answer 1", "answer 0")


def test_ratings_are_means_by_scale_and_the_first_is_the_score(db: Database, tmp_path) -> None:
    form = Form(kind="rate", scales=(Scale(name="helpful"), Scale(name="honest")))
    name = campaign(db, 1, form=form, raters_per_item=2)
    for own, (good, bad) in (("a", (5, 1)), ("b", (4, 2))):
        actor = rater(db, own)
        task = next_task(db, actor, name)
        values = {
            place: {"helpful": good if text.startswith("good") else bad, "honest": 3}
            for place, text in enumerate(task.answers)
        }
        submit(db, actor, task.assignment_id, {"ratings": values}, key="k")
    snapshot(db, name, tmp_path / "out", aggregate="majority")
    found = {row["completion"]: row["ratings"] for row in lines(tmp_path / "out" / "scores.jsonl")}
    assert found == {"good 0": {"helpful": 4.5, "honest": 3}, "bad 0": {"helpful": 1.5, "honest": 3}}
    assert {row["score"] for row in lines(tmp_path / "out" / "scores.jsonl")} == {4.5, 1.5}


def test_what_is_undone_skipped_both_bad_or_gold_is_no_preference(db: Database, tmp_path) -> None:
    rows = [*pairs(4), ("gold", {**next(iter(pairs(1, start=9)))[1], "gold": {"better": 0}})]
    name = campaign(db, rows=rows, gold_share=ALL_GOLD)
    a = rater(db, "a")
    task = next_task(db, a, name, rng=random.Random(0))
    assert task.prompt == "问题 9?"
    submit(db, a, task.assignment_id, prefer_good(task.answers), key="k")
    tasks = []
    for given in ({"both_bad": True}, None, {"strength": 1}, {"strength": -3}):
        tasks.append(next_task(db, a, name))
        if given is None:
            skip(db, a, tasks[-1].assignment_id, "unclear", key="k")
        else:
            submit(db, a, tasks[-1].assignment_id, given, key="k")
    undo(db, a, tasks[2].assignment_id, key="u")
    manifest = snapshot(db, name, tmp_path / "out")
    (row,) = lines(tmp_path / "out" / "preferences.jsonl")
    assert row["prompt"] == "问题 3?"
    counts = manifest.counts
    assert (counts["judgements"], counts["skips"], counts["both_bad"], counts["on_gold_items"]) == (
        3,
        1,
        1,
        1,
    )
    assert counts["revisions"] == 6
    raw = lines(tmp_path / "out" / "judgements.jsonl")
    assert sum(one["gold"] for one in raw) == 1
    assert len(raw) == 4


def test_the_same_judgements_give_the_same_files_and_none_is_written_over(db: Database, judged, tmp_path):
    first = snapshot(db, judged, tmp_path / "one", as_csv=True)
    second = snapshot(db, judged, tmp_path / "two", as_csv=True)
    assert first.sha256 == second.sha256
    for name, file in first.files.items():
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
    written = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert written["sha256"] == first.sha256
    assert written["guideline_versions"] == [1]
    with pytest.raises(InvalidFeedback, match="never written over"):
        snapshot(db, judged, tmp_path / "one")
    noted = db.read(lambda session: list(session.scalars(select(Export))))
    assert [(one.sha256, one.judgements) for one in noted] == [(first.sha256, 3)] * 2


def test_one_more_judgement_is_another_hash(db: Database, tmp_path) -> None:
    name = campaign(db, 2)
    vote(db, name, "a", 1)
    first = snapshot(db, name, tmp_path / "one")
    vote(db, name, "b", 1)
    assert snapshot(db, name, tmp_path / "two").sha256 != first.sha256


def test_nothing_judged_is_said_and_raters_export_nothing(db: Database, tmp_path) -> None:
    name = campaign(db, 2)
    with pytest.raises(InvalidFeedback, match="nothing was judged yet"):
        snapshot(db, name, tmp_path / "out")
    with pytest.raises(NotAllowed):
        snapshot(db, name, tmp_path / "out", actor=rater(db, "a"))
    assert not (tmp_path / "out").exists()


def test_csv_cells_are_never_formulas_and_show_the_text(db: Database, tmp_path) -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", " =1", 'fine, "quoted"\nline']
    rows = [
        (f"rows:{n}", {"prompt": text, "responses": [text, f"other {n}"]}) for n, text in enumerate(hostile)
    ]
    name = campaign(db, rows=rows)
    a = rater(db, "a")
    while (task := next_task(db, a, name)) is not None:
        submit(db, a, task.assignment_id, {"strength": 1, "reason": task.prompt}, key="k")
    snapshot(db, name, tmp_path / "out", as_csv=True)
    with (tmp_path / "out" / "csv" / "preferences.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["prompt"] for row in cells] == [f"'{text}" for text in hostile[:-1]] + [hostile[-1]]
    everything = [cell for row in cells for cell in row.values()]
    assert not [cell for cell in everything if cell.strip(" ")[:1] in tuple("=+-@\t\r＝＋－＠") and cell]


def test_a_manager_settles_a_dispute(db: Database, tmp_path) -> None:
    name = campaign(db, 2, raters_per_item=2)
    vote(db, name, "a", 2, 2)
    vote(db, name, "b", -1, 1)
    boss = rater(db, "boss", role="manager")
    (dispute,) = disputes(db, boss, name)
    assert (dispute.prompt, dispute.answers, dispute.votes) == ("问题 0?", ("good 0", "bad 0"), {0: 1, 1: 1})
    adjudicate(db, boss, dispute.item_id, {"strength": 3}, key="k")
    adjudicate(db, boss, dispute.item_id, {"strength": 3}, key="k")
    assert disputes(db, boss, name) == []
    for aggregate in ("majority", "dawid_skene"):
        snapshot(db, name, tmp_path / aggregate, aggregate=aggregate)
        rows = lines(tmp_path / aggregate / "preferences.jsonl")
        assert rows[0]["chosen"] == "bad 0"
        assert rows[0]["probability"] == 1  # by Dawid-Skene too, whatever the raters' votes say
        assert rows[0]["votes"] == 1
    with pytest.raises(NotAllowed):
        adjudicate(db, rater(db, "c"), dispute.item_id, {"strength": 3}, key="k")
