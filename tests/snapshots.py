"""Snapshot folders as the feedback page writes them, without the page."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = ("preferences", "demonstrations", "scores", "judgements")


def write_snapshot(folder: Path, **rows: Sequence[Mapping[str, Any]]) -> Path:
    """A snapshot with these rows, by dataset; the other files are there and empty."""
    folder.mkdir(parents=True)
    files: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows.get(name, ())]
        content = "".join(lines).encode()
        (folder / f"{name}.jsonl").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files[f"{name}.jsonl"] = {"sha256": sha256, "size": len(content), "rows": len(lines)}
    listed = "".join(f"{file['sha256']}  {name}\n" for name, file in sorted(files.items()))
    manifest = {
        "schema_version": 1,
        "kind": "feedback",
        "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "campaign": "试",
        "campaign_id": "00000000-0000-0000-0000-000000000000",
        "question": "Which is better?",
        "form": {},
        "aggregate": "raw",
        "counts": {},
        "guideline_versions": [1],
        "first_judgement": None,
        "last_judgement": None,
        "last_number": None,
        "created": "2026-11-22T00:00:00Z",
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    return folder
