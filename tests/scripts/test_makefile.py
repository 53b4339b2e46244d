"""`make env` finishes what it began, or begins anew; in a folder whose name has a space."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.check_imports import ROOT

# Stands for python: `-m venv` makes an environment with itself in it; each call is noted; pip may fail.
PYTHON = """\
#!/bin/sh
echo "$*" >> calls
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *"-r requirements.lock"*) [ ! -e no-network ] ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return folder


def make_env(checkout: Path) -> int:
    (checkout / "calls").unlink(missing_ok=True)
    done = subprocess.run(["make", "env", "BASE_PYTHON=./python"], cwd=checkout, capture_output=True)
    return done.returncode


def test_an_environment_is_made_once(checkout: Path):
    assert make_env(checkout) == 0
    calls = (checkout / "calls").read_text()
    assert "-m venv .venv" in calls
    assert "--no-deps" in calls
    assert make_env(checkout) == 0
    assert not (checkout / "calls").exists()


def test_one_that_was_interrupted_is_made_anew(checkout: Path):
    (checkout / "no-network").touch()
    assert make_env(checkout) != 0
    assert not (checkout / ".venv" / ".ready").exists()
    (checkout / ".venv" / "half-written").touch()
    (checkout / "no-network").unlink()
    assert make_env(checkout) == 0
    assert not (checkout / ".venv" / "half-written").exists()
    assert sorted(path.name for path in checkout.glob(".venv*")) == [".venv"]


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_one_that_is_older_than_the_lock_is_brought_up_to_date_in_place(checkout: Path, file: str):
    assert make_env(checkout) == 0
    (checkout / ".venv" / "of-the-person").touch()
    later = (checkout / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(checkout / file, (later, later))
    assert make_env(checkout) == 0
    assert "-r requirements.lock" in (checkout / "calls").read_text()
    assert (checkout / ".venv" / "of-the-person").exists()


def test_help_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("env", "demo", "smoke", "test", "check", "acceptance", "lock", "clean"):
        assert f"  make {target} " in shown
