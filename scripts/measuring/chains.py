"""Commands run one after another in an experiment, and what its runs came to."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REAL_DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Measured:
    """One experiment: its commands, how long they took, and its runs' final figures by run folder."""

    name: str
    commands: list[str]
    seconds: float
    failed: str | None = None
    figures: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])


def chain(name: str, commands: Sequence[Sequence[str]], runs_dir: Path) -> Measured:
    """Run commands in one experiment, up to the first that fails; read what its runs came to."""
    began = time.monotonic()
    failed: str | None = None
    shown: list[str] = []
    for words in commands:
        shown.append(" ".join(["python -m rlhf.run", *(_portable(word) for word in words)]))
        print(f"$ {shown[-1]} name={name}", flush=True)
        command = [sys.executable, "-m", "rlhf.run", *words, f"name={name}", f"runs_dir={runs_dir}"]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            failed = f"`{shown[-1]}` ended with {code}"
            break
    figures = figures_of(runs_dir / name)
    worked = sum(run["seconds"] for run in figures.values())  # over every time that it was resumed
    return Measured(name, shown, worked or time.monotonic() - began, failed, figures)


def figures_of(experiment: Path) -> dict[str, dict[str, float]]:
    """The numbers in the manifests of an experiment's finished runs, and the seconds that each worked."""
    found: dict[str, dict[str, float]] = {}
    manifests = sorted(experiment.glob("*/manifest.json"), key=lambda path: path.stat().st_mtime)
    for path in manifests:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        metrics: dict[str, Any] = manifest["metrics"]
        numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
        found[path.parent.name] = {"seconds": float(manifest["seconds"]), **numbers}
    return found


def _portable(word: str) -> str:
    """Without this machine's own paths; quoted for a shell where it needs that."""
    word = word.replace(str(REAL_DATA), "../shared/data").replace(f"{ROOT}/", "")
    return f"'{word}'" if set(word) & set("<|> ()&;") else word
