"""With what a run was made: package versions, and the revision of the project's checkout."""

import subprocess
from importlib import metadata
from pathlib import Path

import rlhf

PACKAGES = ("rlhf", "torch", "transformers", "trl", "peft", "accelerate", "datasets")


def package_versions() -> dict[str, str]:
    """The installed versions of what decides a result; a package that is absent is left out."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"rlhf": rlhf.__version__} | versions


def git_revision() -> tuple[str | None, bool | None]:
    """The checkout's revision, and whether tracked files differ from it; (None, None) outside a checkout."""
    root = Path(rlhf.__file__).parent.parent
    if not (root / ".git").exists():
        return None, None
    revision = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return revision, None if changes is None else bool(changes)


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
