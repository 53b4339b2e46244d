"""Files as Windows and Excel write them: read where they say what they are, refused with advice where not."""

import gzip
import json
from pathlib import Path

import pytest

from rlhf.data.encodings import SAMPLE_BYTES
from rlhf.data.sources import read_rows
from rlhf.errors import DataError

ROWS = [{"prompt": f"说出第{n}个数。", "completion": f"第{n}个，好的。"} for n in range(40)]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = "prompt,completion\n" + "".join(f"{row['prompt']},{row['completion']}\n" for row in ROWS)


def written(folder: Path, name: str, text: str, encoding: str) -> str:
    path = folder / name
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "text"), [("数据.jsonl", JSONL), ("数据.csv", CSV), ("数据.jsonl.gz", JSONL)]
)
def test_what_says_its_encoding_is_read(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    found = read_rows(written(tmp_path, name, text, encoding))
    assert found.rows == ROWS
    assert found.problems == []
    assert found.places[0] == f"{name}:{2 if name.endswith('csv') else 1}"


@pytest.mark.parametrize(
    ("encoding", "guess", "name"),
    [
        ("gbk", "GBK (GB 18030), or Big5", "GB18030"),
        ("utf-16-le", "UTF-16 without the mark that says so", "UTF-16LE"),
    ],
)
@pytest.mark.parametrize("file", ["数据.jsonl", "a.csv", "a.jsonl.gz"])
def test_another_encoding_is_named_with_the_command_that_converts_it(
    tmp_path: Path, file: str, encoding: str, guess: str, name: str
) -> None:
    path = written(tmp_path, file, CSV if file.endswith("csv") else JSONL, encoding)
    with pytest.raises(DataError) as refused:
        read_rows(path)
    lines = str(refused.value).splitlines()
    assert lines[0] == f"{path}: is no UTF-8; it may be {guess}. Convert it and name the new file:"
    plain = path.removesuffix(".gz")
    stem, dot, suffix = plain.rpartition(".")
    assert lines[-1] == f"iconv -f {name} -t UTF-8 {plain} > {stem}.utf8{dot}{suffix}"
    assert (f"gunzip -k {path}" in lines) == file.endswith(".gz")


def test_western_text_is_not_taken_for_chinese(tmp_path: Path) -> None:
    text = "".join(f'{{"text": "Café {n} é"}}\n' for n in range(9))
    with pytest.raises(DataError, match=r"it may be Windows-1252 .*\niconv -f WINDOWS-1252"):
        read_rows(written(tmp_path, "a.jsonl", text, "cp1252"))


def test_a_damaged_line_is_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = JSONL.encode().splitlines(keepends=True)
    lines[3] = lines[3].replace("数".encode(), b"\xca\xfd")  # GBK, pasted into it
    path.write_bytes(b"".join(lines))
    found = read_rows(str(path))
    assert [(problem.place, problem.reason) for problem in found.problems] == [("a.jsonl:4", "encoding")]
    assert len(found.rows) == 39


def test_a_character_across_the_end_of_the_sample_is_no_damage(tmp_path: Path) -> None:
    """One line longer than what is looked at, cut within a character."""
    for shift in range(3):
        row = {"text": "x" * shift + "字" * SAMPLE_BYTES}
        path = written(tmp_path, "long.jsonl", json.dumps(row, ensure_ascii=False), "utf-8")
        assert read_rows(path).rows == [row]


def test_half_a_utf_16_character_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(JSONL.encode("utf-16")[:-1])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_rows(str(path))


def test_a_file_of_which_no_row_can_be_read_speaks_of_no_columns(tmp_path: Path) -> None:
    from rlhf.data.formats import to_demonstrations

    path = written(tmp_path, "a.jsonl", '{"prompt": \n' * 5, "utf-8")
    with pytest.raises(DataError) as refused:
        to_demonstrations(read_rows(path))
    assert str(refused.value).startswith(
        "no row for demonstrations can be read: 5 json\nfirst: a.jsonl:1: json"
    )
    assert "columns" not in str(refused.value)
