"""Snapshots of the feedback page: each dataset from its own file, and nothing that was changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from snapshots import write_snapshot

from rlhf.data.feedback import dataset_of, is_snapshot, open_snapshot
from rlhf.errors import DataError

PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
THUMB = {"prompt": "p", "completion": "a", "label": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_snapshot(tmp_path / "snap", preferences=[PAIR], scores=[THUMB, THUMB])


def test_each_dataset_has_its_file(folder: Path) -> None:
    found = open_snapshot(folder)
    assert found.file("preferences") == folder / "preferences.jsonl"
    assert found.file("scores") == folder / "scores.jsonl"
    assert found.file("demonstrations") is None  # the file is there, and empty
    assert (folder / "demonstrations.jsonl").is_file()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert found.recorded == {"sha256": manifest["sha256"], "campaign": "试", "aggregate": "raw"}


def test_what_is_no_snapshot_is_read_as_it_is(folder: Path, tmp_path: Path) -> None:
    assert dataset_of(str(folder), "scores") == str(folder / "scores.jsonl")
    assert dataset_of(str(folder), "demonstrations") is None
    assert dataset_of("org/name", "scores") == "org/name"
    plain = tmp_path / "plain"
    plain.mkdir()
    for content in ("{}", "[]", "nonsense", '{"kind": "policy"}'):
        (plain / "manifest.json").write_text(content)
        assert not is_snapshot(plain)
        assert dataset_of(str(plain), "scores") == str(plain)


def test_a_changed_snapshot_is_refused(folder: Path) -> None:
    file = folder / "judgements.jsonl"
    before = file.read_bytes()
    file.write_bytes(before + b"{}\n")
    with pytest.raises(DataError, match=r"judgements\.jsonl: is not what was exported"):
        open_snapshot(folder)
    file.unlink()
    with pytest.raises(DataError, match=r"judgements\.jsonl: is missing"):
        open_snapshot(folder)
    file.write_bytes(before)
    open_snapshot(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "version 2"),
        ({"sha256": "0" * 64}, "its own hash"),
        ({"files": None}, "damaged"),
        ({"campaign": ...}, "damaged"),
    ],
)
def test_a_manifest_that_cannot_be_taken(folder: Path, change: dict[str, Any], said: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | change
    path.write_text(json.dumps({name: value for name, value in manifest.items() if value is not ...}))
    with pytest.raises(DataError, match=said):
        open_snapshot(folder)


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no snapshot"):
        open_snapshot(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        open_snapshot(tmp_path / "none")


def test_what_the_page_writes_is_what_is_read(tmp_path: Path) -> None:
    """The manifest's own model accepts what the tests here write, hash included."""
    snapshot = pytest.importorskip("feedback_ui.service.snapshot")
    folder = write_snapshot(tmp_path / "snap", preferences=[PAIR])
    manifest = snapshot.SnapshotManifest.model_validate_json((folder / "manifest.json").read_bytes())
    assert open_snapshot(folder).sha256 == manifest.sha256 == snapshot._over(manifest.files)
