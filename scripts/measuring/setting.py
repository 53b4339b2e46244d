"""What a measurement was made with: commit, machine, versions."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "trl", "peft")


@dataclass(frozen=True)
class Setting:
    """What a measurement was made with."""

    commit: str
    dirty: bool
    date: str
    cpu: str
    cores: int
    memory_gib: float
    gpu: str | None
    python: str
    packages: dict[str, str]
    load_before: float
    """Running processes, mean over a minute: above 0.5 a core the times say little."""


def setting_now() -> Setting:
    """Commit, machine and versions."""
    return Setting(
        commit=_git("rev-parse", "HEAD") or "unknown",
        dirty=bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/results")),
        date=datetime.now(UTC).date().isoformat(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=_gpu(),
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        load_before=round(os.getloadavg()[0], 2),
    )


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
