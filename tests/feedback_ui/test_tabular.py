"""CSV, Parquet and folders of `datasets` as rows, and through them what other tools write as tables."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from people import campaign, rater

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.exchange import Layout, converted, tool_of
from feedback_ui.form import Form, Scale
from feedback_ui.reading import read_source
from feedback_ui.rows import RowProblem
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.importing import import_file
from feedback_ui.service.snapshot import snapshot

COMPARE = Form(kind="compare")
# As Argilla 2.x writes a record for `datasets`.
FLAT = {
    "id": "0", "status": "completed", "_server_id": "9f4b",
    "prompt": "Why?", "response_1": "A", "response_2": "B",
    "metadata.family": "sums",
    "preference.responses": ["response_2", "response_1", "response_1"],
    "preference.responses.users": ["u1", "u2", "u3"],
    "preference.responses.status": ["submitted", "submitted", "discarded"],
    "preference.suggestion": "response_1", "preference.suggestion.agent": "m",
    "preference.suggestion.score": 0.5,
    "why.responses": ["shorter"], "why.responses.users": ["u1"], "why.responses.status": ["submitted"],
}  # fmt: skip
EXPECTED = [
    {"rater": "u1", "given": {"strength": 2, "reason": "shorter"}},
    {"rater": "u2", "given": {"strength": -2}},
]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    """As `csv` writes Python's values, which is how `datasets` and pandas do."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(
            file, list(dict.fromkeys(name for row in rows for name in row)), delimiter=delimiter
        )
        writer.writeheader()
        writer.writerows(rows)
    return path


def values(path: Path) -> list[Any]:
    return [row for _, row in read_source(path)]


def convert(row: Any, form: Form = COMPARE, **options: Any) -> Any:
    (found,) = [found for _, found in converted([("f:1", row)], form, **options)]
    return found


def test_a_cell_is_text_but_for_objects_and_known_lists(tmp_path) -> None:
    messages = [{"role": "user", "content": "[1, 2]\n第二行"}]
    path = write_csv(
        tmp_path / "rows.csv",
        [
            {"prompt": "[1, 2]", "chosen": "{x}", "rejected": "12", "seed": "7", "note": ""},
            {"prompt": json.dumps(messages), "chosen": "a", "rejected": "b", "seed": "", "note": "n"},
        ],
    )
    assert values(path) == [
        {"prompt": "[1, 2]", "chosen": "{x}", "rejected": "12", "seed": 7},
        {"prompt": messages, "chosen": "a", "rejected": "b", "note": "n"},
    ]
    assert [place for place, _ in read_source(path)] == ["rows.csv:2", "rows.csv:3"]


def test_tabs_and_gzip_and_cells_of_a_megabyte(tmp_path) -> None:
    rows = [{"prompt": "长" * 1_000_000, "chosen": "a,b", "rejected": "c\td"}]
    assert values(write_csv(tmp_path / "rows.tsv", rows, "\t")) == rows
    plain = write_csv(tmp_path / "rows.csv", rows)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert values(tmp_path / "rows.csv.gz") == rows


def test_tables_that_cannot_be_read_are_said(tmp_path) -> None:
    (tmp_path / "wide.csv").write_text("prompt,chosen\np,a,b\nq,c\n", encoding="utf-8")
    first, second = values(tmp_path / "wide.csv")
    assert isinstance(first, RowProblem)
    assert str(first) == "wide.csv:2: has more cells than the table has columns"
    assert second == {"prompt": "q", "chosen": "c"}
    (tmp_path / "latin.csv").write_bytes("prompt\nß\n".encode("latin-1"))
    (tmp_path / "text.parquet").write_text("no table")
    for name, said in (
        ("latin.csv", "not UTF-8"),
        ("text.parquet", "cannot be read"),
        ("none.csv", "No such file"),
    ):
        with pytest.raises(InvalidFeedback, match=said):
            values(tmp_path / name)


def test_parquet_and_a_folder_of_datasets_hold_what_a_snapshot_wrote(db: Database, judged, tmp_path) -> None:
    snapshot(db, judged, tmp_path / "out", as_parquet=True, as_datasets=True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "preferences.jsonl").open(encoding="utf-8")]
    wanted = [(row["prompt"], row["chosen"], row["rejected"]) for row in lines]
    for place in ("parquet/preferences.parquet", "datasets/preferences"):
        found = values(tmp_path / "out" / place)
        assert [(row["prompt"], row["chosen"], row["rejected"]) for row in found] == wanted
        name = campaign(db, rows=[], name=place)
        assert import_file(db, OPERATOR, name, tmp_path / "out" / place).items == 3


def test_what_pandas_and_arrow_have_of_their_own_is_plain_json(tmp_path) -> None:
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    at = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    table = pa.table(
        {"prompt": ["p", "q"], "margin": [0.5, float("nan")], "at": [at, None], "raw": [b"x", None]}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == [
        {"prompt": "p", "margin": 0.5, "at": "2026-03-01T12:00:00+00:00", "raw": "b'x'"},
        {"prompt": "q"},
    ]


def test_a_flat_record_of_argilla_2_from_json_csv_and_parquet(tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "flat.json").write_text(json.dumps([FLAT]), encoding="utf-8")
    write_csv(tmp_path / "flat.csv", [FLAT])
    pq.write_table(pa.Table.from_pylist([FLAT]), tmp_path / "flat.parquet")
    for name in ("flat.json", "flat.csv", "flat.parquet"):
        (row,) = values(tmp_path / name)
        assert tool_of(row) == "argilla"
        unused: list[str] = []
        found = convert(row, unused=unused)
        assert (found["prompt"], found["responses"], found["fields"]) == (
            "Why?",
            ["A", "B"],
            {"family": "sums"},
        )
        assert found["judgements"] == EXPECTED
        assert unused == ["f:1"]


def test_a_flat_record_that_nobody_has_answered(tmp_path) -> None:
    row = {name: value for name, value in FLAT.items() if "preference" not in name and "why" not in name}
    found = convert(row)
    assert (found["responses"], found["judgements"], found["fields"]) == (["A", "B"], [], {"family": "sums"})


def test_a_flat_record_of_argilla_1_with_ranks_in_rows_and_in_columns() -> None:
    ranks = [{"rank": 1, "value": "response-2"}, {"rank": 2, "value": "response-1"}]
    columns = {"rank": [1, 2], "value": ["response-2", "response-1"]}
    for value in (ranks, columns):
        row = {
            "instruction": "Why?", "response-1": "A", "response-2": "B",
            "order": [
                {"user_id": "u1", "value": value, "status": "submitted"},
                {"user_id": "u2", "value": value, "status": "draft"},
            ],
            "order-suggestion": None, "order-suggestion-metadata": {"agent": None},
            "external_id": "7", "metadata": '{"family": "sums"}',
        }  # fmt: skip
        assert tool_of(row) == "argilla"
        unused: list[str] = []
        found = convert(row, Form(kind="rank"), unused=unused)
        assert (found["responses"], found["fields"]) == (["A", "B"], {"family": "sums"})
        assert found["judgements"] == [{"rater": "u1", "given": {"ranking": [[1], [0]]}}]
        assert unused == ["f:1"]
    assert convert(
        row | {"order": {"user_id": ["u1"], "value": [ranks], "status": ["submitted"]}}, Form(kind="rank")
    )["judgements"] == [{"rater": "u1", "given": {"ranking": [[1], [0]]}}]
    broken = convert(row | {"metadata": "{"}, Form(kind="rank"))
    assert isinstance(broken, RowProblem)
    assert "metadata is neither" in broken.reason


def test_label_studio_s_csv_and_json_min_keep_the_task_s_other_columns(db: Database, tmp_path) -> None:
    data = {"prompt": "Why?", "answer1": "A", "answer2": "B", "family": "sums", "id": 7}
    by = {"created_at": "2021-03-09T22:16:08Z", "updated_at": "2021-03-09T22:16:08Z", "lead_time": 4.5}
    rows = [
        {**data, "pw": [{"selected": side}], "why": "so", "annotator": who, "annotation_id": who, **by}
        for who, side in ((3, "left"), (4, "right"))
    ]
    (tmp_path / "min.json").write_text(json.dumps(rows), encoding="utf-8")
    write_csv(tmp_path / "min.csv", [row | {"pw": json.dumps(row["pw"])} for row in rows])
    for name in ("min.json", "min.csv"):
        one, other = values(tmp_path / name)
        assert convert(one)["fields"] == {"family": "sums"}
        assert convert(one)["judgements"][0]["given"] == {"strength": -2, "reason": "so"}
        assert convert(one)["judgements"][0]["active_s"] == 4.5
        assert convert(other)["judgements"][0]["given"] == {"strength": 2, "reason": "so"}
        own = campaign(db, rows=[], name=name, raters_per_item=2)
        imported = import_file(db, OPERATOR, own, tmp_path / name)
        assert (imported.items, imported.judgements, imported.problems) == (1, 2, [])


def test_ratings_in_a_table(tmp_path) -> None:
    row = {
        "prompt": "Why?", "response": "A", "_server_id": "x", "status": "pending",
        "helpful.responses": [4], "helpful.responses.users": ["u"], "helpful.responses.status": ["submitted"],
    }  # fmt: skip
    (read,) = values(write_csv(tmp_path / "rated.csv", [row]))
    score = Form(kind="score", scales=(Scale(name="helpful"),))
    assert convert(read, score)["judgements"] == [{"rater": "u", "given": {"score": 4}}]


def test_a_plain_table_with_an_answer_in_each_of_several_columns(tmp_path) -> None:
    row = {
        "instruction": "Why?", "response_b": "B", "response_a": "A", "model_a": "m1", "model_b": "m2",
        "rating_a": "4", "rating_b": "2", "group": "g",
    }  # fmt: skip
    (read,) = values(write_csv(tmp_path / "plain.csv", [row]))
    found = convert(read)
    assert found["prompt"] == "Why?"
    assert found["responses"] == [{"text": "A", "model": "m1"}, {"text": "B", "model": "m2"}]
    assert found["group"] == "g"
    told = Layout(prompt="group", answers=("rating_b", "rating_a"))
    found = convert(read, layout=told)
    assert (found["prompt"], [one["text"] for one in found["responses"]]) == ("g", ["2", "4"])
    missing = convert(read, layout=Layout(answers=("x", "y")))
    assert isinstance(missing, RowProblem)
    assert "has no field 'x'" in missing.reason
    single = convert({"question": "Why?", "answer": "A", "model": "m"}, Form(kind="thumb"))
    assert single == {"prompt": "Why?", "response": "A", "model": "m"}
    ours = {"prompt": "Why?", "chosen": "A", "rejected": "B", "answer_1": "x", "answer_2": "y"}
    assert convert(ours) == ours
    vague = {"prompt": "Why?", "a1": "A", "a2": "B", "b1": "C", "b2": "D"}
    assert convert(vague) == vague  # and the import says that it has no answers


def test_a_csv_of_pairs_is_judged(db: Database, tmp_path) -> None:
    path = write_csv(
        tmp_path / "pairs.csv", [{"prompt": "1 + 1?", "chosen": "2", "rejected": "3", "group": "g"}]
    )
    name = campaign(db, rows=[])
    assert import_file(db, OPERATOR, name, path).items == 1
    from feedback_ui.service.claims import next_task

    assert set(next_task(db, rater(db, "a"), name).answers) == {"2", "3"}
