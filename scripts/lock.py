"""Renews requirements.lock: the exact versions that a clean install of the project brings.

`make lock`, or `python scripts/lock.py [torch==2.13.0 ...]`. pip resolves pyproject.toml's dependencies and
its `dev` extra as if nothing were installed, and installs nothing. torch stays at the version that the lock
holds unless another is named. What torch alone brings for a GPU (nvidia-*, triton) is left out: it follows
torch and the platform.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# The exact versions that this project is tested with: a clean install of its dependencies and `dev` extra.
# Made by `make lock`; do not edit by hand.
"""
_FOLLOWS_TORCH = re.compile(r"nvidia-|cuda-|triton")


def main(constraints: list[str]) -> int:
    """Resolve, write the lock, say what changed."""
    if not any(word.startswith("torch==") for word in constraints):
        constraints = [*constraints, *_torch_of(LOCK)]
    before = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
    after = HEADER + "".join(f"{line}\n" for line in _resolve(constraints))
    temporary = LOCK.with_name(f".{LOCK.name}.tmp")
    temporary.write_text(after, encoding="utf-8")
    temporary.replace(LOCK)
    changed = sorted(set(after.splitlines()) ^ set(before.splitlines()))
    print("\n".join(changed) or "nothing changed")
    return 0


def locked(text: str) -> dict[str, str]:
    """Package and version of each line of a lock file."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def canonical(name: str) -> str:
    """A package's name as it is compared: lower case, runs of `-`, `_` and `.` as one `-` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(pyproject: dict[str, Any]) -> list[str]:
    """What pyproject.toml asks for, the dev extra included."""
    project = pyproject["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def _resolve(constraints: list[str]) -> list[str]:
    wanted = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*pip, "--report", str(report), *wanted, *constraints], check=True)
        found = [item["metadata"] for item in json.loads(report.read_text(encoding="utf-8"))["install"]]
    # torch's local part (+cpu, +cu130) names a build, not a version
    versions = {canonical(item["name"]): item["version"].partition("+")[0] for item in found}
    return [f"{name}=={versions[name]}" for name in sorted(versions) if not _FOLLOWS_TORCH.match(name)]


def _torch_of(lock: Path) -> list[str]:
    version = locked(lock.read_text(encoding="utf-8")).get("torch") if lock.exists() else None
    return [f"torch=={version}"] if version else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
