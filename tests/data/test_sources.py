import gzip
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from rlhf.data.sources import local_files, read_rows
from rlhf.errors import DataError

TWO = [{"prompt": "a", "completion": "b"}, {"prompt": "你", "completion": "c\nd"}]


def write(path: Path, data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return str(path)


def jsonl(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "data", "places"),
    [
        ("x.jsonl", "\ufeff" + jsonl(TWO), ["x.jsonl:1", "x.jsonl:2"]),
        ("x.json", json.dumps(TWO), ["x.json: row 1", "x.json: row 2"]),
        ("x.json", json.dumps({"version": 1, "data": TWO}), ["x.json: row 1", "x.json: row 2"]),
        ("x.json", jsonl(TWO), ["x.json:1", "x.json:2"]),
        ("x.csv", 'prompt,completion\na,b\n你,"c\nd"\n', ["x.csv:2", "x.csv:3"]),
    ],
)
def test_each_text_format_plain_and_gzipped(
    tmp_path: Path, end: str, name: str, data: str, places: list[str]
):
    rows = read_rows(write(tmp_path / (name + end), data))
    assert rows.rows == TWO
    assert rows.places == [place.replace(name, name + end) for place in places]
    assert rows.problems == []
    assert rows.files == (tmp_path / (name + end),)


def test_parquet(tmp_path: Path):
    parquet.write_table(pa.Table.from_pylist(TWO), tmp_path / "x.parquet")
    rows = read_rows(str(tmp_path / "x.parquet"))
    assert rows.rows == TWO
    assert rows.places == ["x.parquet: row 1", "x.parquet: row 2"]


def test_broken_lines_are_problems_with_their_line_and_the_rest_goes_on(tmp_path: Path):
    lines = [
        b'{"text": "one"}',
        b"",
        b'{"text": ',
        b'{"text": "\xff"}',
        b"[1]",
        b'{"text": "\\ud83d"}',
        b'{"text": "7"}',
    ]
    rows = read_rows(write(tmp_path / "x.jsonl", b"\n".join(lines)))
    assert rows.rows == [{"text": "one"}, {"text": "7"}]
    assert rows.places == ["x.jsonl:1", "x.jsonl:7"]
    assert [(problem.place, problem.reason) for problem in rows.problems] == [
        ("x.jsonl:3", "json"),
        ("x.jsonl:4", "encoding"),
        ("x.jsonl:5", "type"),
        ("x.jsonl:6", "encoding"),
    ]


def test_csv_rows_with_other_numbers_of_cells_are_problems(tmp_path: Path):
    rows = read_rows(write(tmp_path / "x.csv", "prompt,completion\na\na,b,c\na,b\n"))
    assert rows.rows == [{"prompt": "a", "completion": "b"}]
    assert [str(problem) for problem in rows.problems] == [
        "x.csv:2: csv (fewer cells than the 2 columns)",
        "x.csv:3: csv (more cells than the 2 columns)",
    ]


@pytest.mark.parametrize(
    ("data", "separator", "texts", "lines"),
    [
        (
            "one\n\nstill one\n<|endoftext|>\n\ntwo\n<|endoftext|>\n",
            None,
            ["one\n\nstill one", "two"],
            [1, 6],
        ),
        ("one\nstill one\n \n\ntwo\n", None, ["one\nstill one", "two"], [1, 5]),
        ("one==two", "==", ["one", "two"], [1, 1]),
    ],
)
def test_text_is_parted_by_separator_or_blank_lines(
    tmp_path: Path, data: str, separator: str | None, texts: list[str], lines: list[int]
):
    rows = read_rows(write(tmp_path / "x.txt", data), separator=separator)
    assert rows.rows == [{"text": text} for text in texts]
    assert rows.places == [f"x.txt:{line}" for line in lines]


def test_limit_takes_the_first_rows_over_all_files_of_a_folder_in_name_order(tmp_path: Path):
    write(tmp_path / "b.jsonl", jsonl([{"n": "3"}]))
    write(tmp_path / "a.jsonl.gz", jsonl([{"n": "1"}, {"n": "2"}]))
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "manifest.json").write_text("{}")
    assert read_rows(str(tmp_path)).rows == [{"n": "1"}, {"n": "2"}, {"n": "3"}]
    assert read_rows(str(tmp_path)).places == ["a.jsonl.gz:1", "a.jsonl.gz:2", "b.jsonl:1"]
    assert read_rows(str(tmp_path), limit=2).rows == [{"n": "1"}, {"n": "2"}]


def test_a_folder_whose_files_are_named_by_split_gives_the_split(tmp_path: Path):
    for name in ("train-00000.jsonl", "test.jsonl", "trainer.jsonl"):
        write(tmp_path / name, jsonl([{"from": name}]))
    assert read_rows(str(tmp_path)).rows == [{"from": "train-00000.jsonl"}]
    assert read_rows(str(tmp_path), split="test").rows == [{"from": "test.jsonl"}]
    assert len(local_files(str(tmp_path), split="validation")) == 3


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.jsonl", "", "is empty"),
        ("x.json", "[]", "is empty"),
        ("x.json", '[{"a": 1},', "x.json:1: not JSON"),
        ("x.json", "3", "holds one int"),
        ("x.md", "words", "what kind of file"),
        ("x.parquet", "words", "not a readable Parquet file"),
    ],
)
def test_a_file_that_gives_nothing_is_an_error(tmp_path: Path, name: str, data: str, said: str):
    with pytest.raises(DataError, match=said) as error:
        read_rows(write(tmp_path / name, data))
    assert len(str(error.value).splitlines()) <= 10


def test_a_gzip_file_that_is_cut_short_is_an_error(tmp_path: Path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl(TWO * 100).encode())[:40])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_rows(str(path))


def test_a_missing_file_says_what_is_there_and_what_to_name(tmp_path: Path):
    write(tmp_path / "pairs.jsonl", "{}")
    with pytest.raises(DataError, match="no such file or folder") as error:
        read_rows(str(tmp_path / "pears.jsonl"))
    assert "holds: pairs.jsonl" in str(error.value)
    assert len(str(error.value).splitlines()) <= 10
    with pytest.raises(DataError, match="limit=0"):
        read_rows(str(tmp_path), limit=0)


def test_a_hub_id_is_loaded_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "repo").mkdir()
    write(tmp_path / "repo" / "train.jsonl", jsonl(TWO))
    load, asked = datasets.load_dataset, []

    def from_folder(path: str, name: str | None = None, *, split: str):
        asked.append((path, name, split))
        return load(str(tmp_path / "repo"), split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", from_folder)
    rows = read_rows("org/data:main", limit=5)
    assert asked == [("org/data", "main", "train")]
    assert (rows.rows, rows.places, rows.files) == (TWO, ["row 1", "row 2"], ())
    assert read_rows("org/data", limit=1).rows == TWO[:1]


def test_what_the_hub_does_not_give_is_an_error_that_says_what_was_tried(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **kwargs: object):
        raise ConnectionError("Couldn't reach 'org/none' on the Hub\nmore\n" * 20)

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match="neither a file or folder here") as error:
        read_rows("org/none")
    assert "Couldn't reach 'org/none'" in str(error.value)
    assert len(str(error.value).splitlines()) <= 10


def test_importing_brings_no_heavy_library():
    heavy = "{'torch', 'datasets', 'pandas', 'pyarrow', 'transformers'}"
    code = f"import sys, rlhf.data.formats, rlhf.data.cleaning; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
