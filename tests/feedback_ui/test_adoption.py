"""Import of a samples run and of other tools' exports, with what people said there kept as judgements."""

import json
from pathlib import Path
from typing import Any

import pytest
from people import campaign, pairs, rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, NotAllowed
from feedback_ui.exchange import Layout
from feedback_ui.form import Form
from feedback_ui.schema import Base, Item, Judgement
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import accept_invitation, invite, sign_in
from feedback_ui.service.claims import next_task
from feedback_ui.service.importing import import_file, import_rows
from feedback_ui.service.judgements import submit
from feedback_ui.service.progress import campaign_progress
from feedback_ui.service.snapshot import snapshot


def write(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def record(number: int, **said: str) -> dict[str, Any]:
    """Of Argilla 2: what each person found better, by their id."""
    return {
        "id": str(number),
        "fields": {
            "prompt": f"问题 {number}?",
            "response-1": f"good {number}",
            "response-2": f"bad {number}",
        },
        "metadata": {"family": "sums"},
        "responses": {"best": [{"value": value, "user_id": user} for user, value in said.items()]},
    }


def preferences(db: Database, name: str, folder: Path) -> list[dict[str, Any]]:
    snapshot(db, name, folder)
    text = (folder / "preferences.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_an_argilla_export_with_its_annotations(db: Database, tmp_path: Path, clock) -> None:
    name = campaign(db, rows=[])
    rows = [record(0, ann="response-1", bob="response-2", cat="response-1"), record(1, ann="response-1")]
    path = write(tmp_path / "argilla.json", [*rows, {"fields": {"text": "x"}}])
    found = import_file(db, OPERATOR, name, path)
    assert (found.items, found.judgements) == (2, 4)
    assert [str(problem) for problem in found.problems] == [
        "argilla.json: row 3: no field is a prompt by its name; name one of text by --prompt-field"
    ]
    again = import_file(db, OPERATOR, name, path)
    assert (again.items, again.known, again.judgements) == (0, 2, 0)
    more = import_rows(db, OPERATOR, name, [("f:1", record(1, ann="response-2", dan="response-2"))])
    assert (more.known, more.judgements) == (1, 1)  # ann said already what she found
    progress = campaign_progress(db, OPERATOR, name)
    assert (progress.judgements, progress.wanted, progress.complete) == (5, 5, 2)
    out = preferences(db, name, tmp_path / "out")
    assert [(row["prompt"], row["chosen"]) for row in out] == [
        ("问题 0?", "good 0"),
        ("问题 0?", "bad 0"),
        ("问题 0?", "good 0"),
        ("问题 1?", "good 1"),
        ("问题 1?", "bad 1"),
    ]
    assert len({row["rater"] for row in out}) == 4
    assert out[0]["rater"] == out[3]["rater"]
    assert {row["margin"] for row in out} == {2 / 3}
    with db.engine.connect() as connection:
        stored = repr([connection.execute(select(t)).all() for t in Base.metadata.sorted_tables])
    assert not [who for who in ("ann", "bob", "cat", "dan") if f"'{who}'" in stored]


def test_a_label_studio_export_with_its_annotations(db: Database, tmp_path: Path) -> None:
    def annotation(side: str, by: int) -> dict[str, Any]:
        result = [{"from_name": "pw", "type": "pairwise", "value": {"selected": side}}]
        at = "2021-03-09T22:16:08.728353Z"
        return {"completed_by": by, "result": result, "created_at": at, "lead_time": 4.5}

    data = {"question": "Why?", "text1": "A", "text2": "B"}
    tasks = [{"id": 1, "data": data, "annotations": [annotation("left", 1), annotation("right", 2)]}]
    name = campaign(db, rows=[], raters_per_item=3)
    found = import_file(db, OPERATOR, name, write(tmp_path / "tasks.json", tasks))
    assert (found.items, found.judgements, found.problems) == (1, 2, [])
    said = db.read(lambda session: list(session.scalars(select(Judgement).order_by(Judgement.number))))
    assert [(one.active_s, one.created.isoformat()) for one in said] == [
        (4.5, "2021-03-09T22:16:08.728353+00:00")
    ] * 2
    a = rater(db, "a")
    task = next_task(db, a, name)
    assert task is not None
    assert task.prompt == "Why?"
    submit(db, a, task.assignment_id, {"strength": 1}, key="k")
    assert next_task(db, rater(db, "b"), name) is None  # three have judged it
    assert [row["chosen"] for row in preferences(db, name, tmp_path / "out")][:2] == ["A", "B"]


def test_json_min_joins_the_annotations_of_a_task(db: Database, tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "text1": "A", "text2": "B", "pw": [{"selected": side}]}
        | {"id": 1, "annotator": number, "annotation_id": number}
        for number, side in enumerate(("left", "right", "right"))
    ]
    name = campaign(db, rows=[])
    found = import_file(db, OPERATOR, name, write(tmp_path / "min.json", rows))
    assert (found.items, found.known, found.judgements) == (1, 2, 3)
    assert [row["chosen"] for row in preferences(db, name, tmp_path / "out")] == ["A", "B", "B"]


def test_what_was_said_may_stand_in_rows_of_ours_with_the_answers_exchanged(db: Database, tmp_path) -> None:
    name = campaign(db, 8, raters_per_item=5)
    said = [
        {"rater": "x", "given": {"strength": 3}, "created": "2024-01-01T00:00:00", "active_s": 2},
        {"rater": "y", "given": {"both_bad": True}},
        {"rater": "z", "given": {"thumb": True}},
    ]
    rows = [
        (place, {**row, "responses": row["responses"][::-1], "judgements": said}) for place, row in pairs(8)
    ]
    found = import_rows(db, OPERATOR, name, rows)
    assert (found.items, found.known, found.judgements) == (0, 8, 16)
    problem = "what z said cannot be used: this campaign does not ask for thumb"
    assert [problem in one.reason for one in found.problems] == [True] * 8
    told = [(row["chosen"], row["margin"]) for row in preferences(db, name, tmp_path / "out")]
    assert told == [(f"good {number}", 1) for number in range(8)]


def test_a_reason_that_was_not_asked_for_there_is_not_missing_here(db: Database) -> None:
    name = campaign(db, rows=[], form=Form(kind="compare", reason="required"))
    assert import_rows(db, OPERATOR, name, [("f:1", record(0, ann="response-1"))]).judgements == 1


def test_imported_raters_cannot_sign_in_and_their_items_keep_their_order(db: Database) -> None:
    name = campaign(db, rows=[])
    import_rows(db, OPERATOR, name, [(f"f:{n}", record(n, ann="response-1")) for n in range(3)])
    (imported,) = campaign_progress(db, OPERATOR, name).by_rater
    assert imported.startswith("imported-")
    with pytest.raises(NotAllowed):
        sign_in(db, imported, "a long password")
    with pytest.raises(NotAllowed):
        accept_invitation(db, invite(db, OPERATOR, imported), "a long password")
    assert db.read(lambda s: s.scalars(select(Item.place).order_by(Item.place)).all()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([{"given": {"strength": 1}}], "list of objects with rater and given"),
        ("x", "list of objects with rater and given"),
        ([{"rater": "x", "given": {"strength": 9}}], "strength"),
        ([{"rater": "x", "given": {"strength": 1}, "created": "yesterday"}], "is not a time of ISO 8601"),
        ([{"rater": "x", "given": {"strength": 1}, "active_s": -1}], "not a number of seconds"),
    ],
)
def test_malformed_judgements_are_said(db: Database, said: Any, problem: str) -> None:
    ((place, row),) = pairs(1)
    found = import_rows(db, OPERATOR, campaign(db, rows=[]), [(place, {**row, "judgements": said})])
    assert found.items == 0
    assert problem in found.problems[0].reason


def test_a_run_of_samples_is_named_by_its_folder(db: Database, tmp_path: Path) -> None:
    run = tmp_path / "sample-1"
    run.mkdir()
    rows = [
        {"prompt": "p", "key": "k", "response": f"{policy} says", "seed": 1, "policy": {"run": policy}}
        for policy in ("sft-1", "ppo-1")
    ]
    (run / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    name = campaign(db, rows=[])
    with pytest.raises(InvalidFeedback, match="is an unfinished run"):
        import_file(db, OPERATOR, name, run)
    now = "2026-03-01T12:00:00Z"
    manifest = {"stage": "sample", "experiment": "demo", "number": 1, "identity": "i", "seconds": 1.0}
    manifest |= {"created": now, "finished": now}
    write(run / "manifest.json", manifest | {"kind": "policy"})
    with pytest.raises(InvalidFeedback, match="holds policy, not samples"):
        import_file(db, OPERATOR, name, run)
    write(run / "manifest.json", manifest | {"kind": "samples"})
    found = import_file(db, OPERATOR, name, run)
    assert (found.items, found.problems) == (1, [])
    with pytest.raises(InvalidFeedback, match="is a folder and no run of samples"):
        import_file(db, OPERATOR, name, tmp_path)


def test_a_layout_is_passed_on(db: Database) -> None:
    fields = {"title": "t", "left_text": "A", "right_text": "B"}
    rows = [("f:1", {"fields": fields, "responses": {}})]
    name = campaign(db, rows=[])
    assert import_rows(db, OPERATOR, name, rows).items == 0
    layout = Layout(prompt="title", answers=("left_text", "right_text"))
    assert import_rows(db, OPERATOR, name, rows, tool="argilla", layout=layout).items == 1
