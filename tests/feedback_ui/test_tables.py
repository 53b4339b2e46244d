"""Exports as Parquet and `datasets` folders: TRL's formats, flags and reasons, the same bytes each time."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from people import campaign, pairs, rater

from feedback_ui.database import Database
from feedback_ui.form import Form, Scale
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from feedback_ui.service.snapshot import snapshot
from feedback_ui.tables import dataset_folder, parquet_file, trl_tables
from rlhf.data.feedback import open_snapshot

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好"}]


def rows_of(**tables: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"preferences": [], "demonstrations": [], "scores": [], "judgements": []}
    return empty | tables


def preference(probability: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"prompt": "p", "chosen": "A", "rejected": "B", "probability": probability, **more}


def judge(db: Database, name: str, own: str, *givens: dict[str, Any]) -> None:
    """Judge items in turn; `good` and `bad` stand for the places of these answers."""
    actor = rater(db, own)
    for given in givens:
        task = next_task(db, actor, name)
        assert task is not None
        good = 0 if task.answers[:1] and task.answers[0].startswith("good") else 1
        told = {"good": good, "bad": 1 - good}
        if "strength" in given:
            given = given | {"strength": given["strength"] * (1 if good else -1)}
        if "flags" in given:
            given = given | {"flags": {told[side]: flags for side, flags in given["flags"].items()}}
        submit(db, actor, task.assignment_id, given, key="k")


def judged(db: Database) -> str:
    form = Form(kind="compare", flags=("unsafe", "false", "other"), edit=True)
    name = campaign(db, 2, form=form, raters_per_item=2)
    flags = {"bad": ["false", "unsafe"], "good": ["other"]}
    judge(
        db, name, "a", {"strength": 2, "flags": flags, "flag_text": "爱", "reason": "因为"}, {"strength": 0}
    )
    judge(db, name, "b", {"strength": 1, "flags": {"bad": ["false"]}, "reason": "so"}, {"both_bad": True})
    return name


def test_flags_and_reasons_are_in_the_rows(db: Database, tmp_path: Path) -> None:
    name = judged(db)
    snapshot(db, name, tmp_path / "raw")
    first, second, tie = (
        json.loads(line) for line in (tmp_path / "raw" / "preferences.jsonl").read_text("utf-8").splitlines()
    )
    assert first["chosen_flags"] == ["other"]
    assert first["rejected_flags"] == ["unsafe", "false"]
    assert (first["flag_texts"], first["reasons"]) == (["爱"], ["因为"])
    assert "chosen_flags" not in second
    assert second["rejected_flags"] == ["false"]
    assert not {"reasons", "chosen_flags", "rejected_flags"} & set(tie)
    snapshot(db, name, tmp_path / "majority", aggregate="majority")
    text = (tmp_path / "majority" / "preferences.jsonl").read_text("utf-8")
    (joint, _) = (json.loads(line) for line in text.splitlines())
    assert (joint["rejected_flags"], joint["reasons"]) == (["unsafe", "false"], ["因为", "so"])


def test_a_snapshot_has_all_forms_under_one_hash(db: Database, tmp_path: Path) -> None:
    name = judged(db)
    made = [
        snapshot(db, name, tmp_path / own, as_parquet=True, as_datasets=True, as_csv=True)
        for own in ("1", "2")
    ]
    assert made[0].sha256 == made[1].sha256
    for own, file in made[0].files.items():
        content = (tmp_path / "1" / own).read_bytes()
        assert content == (tmp_path / "2" / own).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
    assert made[0].files["parquet/preferences.parquet"].rows == 2
    assert made[0].files["parquet/ties.parquet"].rows == 1
    assert open_snapshot(tmp_path / "1").sha256 == made[0].sha256
    plain = snapshot(db, name, tmp_path / "3")
    assert set(plain.files) == {
        f"{n}.jsonl" for n in ("preferences", "demonstrations", "scores", "judgements")
    }


def test_datasets_and_parquet_hold_the_rows_that_trl_reads(db: Database, tmp_path: Path) -> None:
    import datasets

    name = judged(db)
    snapshot(db, name, tmp_path / "out", as_parquet=True, as_datasets=True)
    loaded = datasets.load_from_disk(str(tmp_path / "out" / "datasets" / "preferences"))
    assert isinstance(loaded, datasets.Dataset)
    assert [(row["prompt"], row["chosen"], row["rejected"]) for row in loaded] == [
        ("问题 0?", "good 0", "bad 0")
    ] * 2
    assert [row["chosen_flags"] for row in loaded] == [["other"], None]
    assert loaded.features["margin"].dtype == "float64"
    told = pq.read_table(tmp_path / "out" / "parquet" / "preferences.parquet").to_pylist()
    assert told == loaded.to_list()
    said = datasets.load_from_disk(str(tmp_path / "out" / "datasets" / "judgements"))
    assert json.loads(said[0]["content"])["reason"] == "因为"


def test_thumbs_and_demonstrations_are_in_trls_formats(db: Database, tmp_path: Path) -> None:
    import datasets
    from trl.data_utils import is_conversational

    rows = [("f:1", {"prompt": CHAT, "completion": "你好！"})]
    name = campaign(db, rows=rows, form=Form(kind="thumb"))
    judge(db, name, "a", {"thumb": True})
    snapshot(db, name, tmp_path / "thumbs", as_datasets=True)
    (row,) = datasets.load_from_disk(str(tmp_path / "thumbs" / "datasets" / "scores"))
    assert (row["prompt"], row["label"]) == (CHAT, True)
    assert row["completion"] == [{"role": "assistant", "content": "你好！"}]
    assert is_conversational(row)
    writing = campaign(db, rows=[("f:1", {"prompt": "Why?"})], form=Form(kind="write"), name="write")
    judge(db, writing, "b", {"demonstration": "So.", "reason": "short"})
    snapshot(db, writing, tmp_path / "written", as_datasets=True)
    (row,) = datasets.load_from_disk(str(tmp_path / "written" / "datasets" / "demonstrations"))
    assert (row["prompt"], row["completion"], row["reasons"]) == ("Why?", "So.", ["short"])
    assert not is_conversational(row)


def test_ratings_have_the_columns_of_their_scales(db: Database, tmp_path: Path) -> None:
    form = Form(kind="rate", scales=(Scale(name="helpful"), Scale(name="honest")))
    name = campaign(db, rows=list(pairs(1)), form=form)
    judge(db, name, "a", {"ratings": {n: {"helpful": n + 1, "honest": 3} for n in (0, 1)}})
    snapshot(db, name, tmp_path / "out", as_parquet=True)
    told = pq.read_table(tmp_path / "out" / "parquet" / "scores.parquet").to_pylist()
    assert sorted(row["score"] for row in told) == [1, 2]
    assert [json.loads(row["ratings"])["honest"] for row in told] == [3, 3]


def test_where_one_prompt_is_a_conversation_all_are() -> None:
    chat = {"prompt": CHAT, "chosen": [{"role": "assistant", "content": "A"}], "rejected": "B"}
    table = trl_tables(rows_of(preferences=[preference(), preference(**chat)]))["preferences"]
    first, second = table.to_pylist()
    assert first["prompt"] == [{"role": "user", "content": "p"}]
    assert first["chosen"] == [{"role": "assistant", "content": "A"}]
    assert second["rejected"] == [{"role": "assistant", "content": "B"}]


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        ([True, None], "bool", [True, None]),
        ([1, None], "int64", [1, None]),
        ([1, 0.5], "double", [1.0, 0.5]),
        ([2**70, 1], "string", [str(2**70), "1"]),
        (["a", None], "string", ["a", None]),
        (["a", 1], "string", ['"a"', "1"]),
        ([True, 1], "string", ["true", "1"]),
        ([["a"], []], "list<element: string>", [["a"], []]),
        ([{"好": 1}, None], "string", ['{"好": 1}', None]),
        ([None, None], "null", [None, None]),
    ],
)
def test_a_column_has_the_type_of_its_values(values: list[Any], kind: str, told: list[Any]) -> None:
    rows = [preference(own=value) for value in values]
    column = trl_tables(rows_of(preferences=rows))["preferences"]["own"]
    assert str(column.type).replace("item", "element") == kind
    assert column.to_pylist() == told


def test_ties_are_a_table_of_their_own_and_empty_ones_are_left_out() -> None:
    found = trl_tables(rows_of(preferences=[preference(), preference(0.5), preference(0.7)]))
    assert {name: table.num_rows for name, table in found.items()} == {"preferences": 2, "ties": 1}
    assert parquet_file(found["ties"]) == parquet_file(found["ties"])
    assert dataset_folder(found["ties"]) == dataset_folder(found["ties"])
