"""What a contender is told and what it reports, as JSON between processes. Imports neither torch nor rlhf."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PARTS: tuple[str, ...] = ("generation", "scoring", "update", "other")


@dataclass(frozen=True)
class Job:
    """One run of one contender. Sizes count episodes; the first `warmup` iterations are not measured."""

    contender: str  # "trl", "ours", "ours-defaults"
    folder: str  # of the workload: policy/, reward_model/, prompts.jsonl, probes.json
    batch_size: int
    minibatches: int  # of an epoch
    epochs: int
    iterations: int
    warmup: int
    response_limit: int
    temperature: float
    learning_rate: float
    kl_coef: float
    seed: int
    threads: int
    device: str  # "cpu" or "cuda"
    precision: str  # "fp32", "bf16"; "auto" for our defaults
    words: tuple[str, ...] = ()  # further options of ours, as typed

    @property
    def steps_expected(self) -> int:
        """Optimiser steps over the whole run."""
        return self.iterations * self.epochs * self.minibatches


@dataclass
class Report:
    """What one run did. Lists over iterations hold all of them, those of the warm-up first."""

    contender: str
    warmup: int
    seconds: list[dict[str, float]] = field(default_factory=list[dict[str, float]])  # by part
    episodes: list[list[tuple[int, int]]] = field(default_factory=list[list[tuple[int, int]]])  # tokens: P, R
    scores: list[float] = field(default_factory=list[float])  # the reward model's mean, nothing taken off
    rss: list[int] = field(default_factory=list[int])
    optimiser_steps: int = 0
    epochs: int = 0
    baseline_bytes: int = 0
    peak_bytes: int = 0
    moved: dict[str, float] = field(default_factory=dict[str, float])  # |change| / |weights| of each model
    precision_seen: list[str] = field(default_factory=list[str])  # "update: torch.float32", of the layers
    probe_scores: list[float] = field(default_factory=list[float])  # of the workload's fixed answers
    versions: dict[str, str] = field(default_factory=dict[str, str])

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Report":
        """What `write` wrote."""
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["episodes"] = [[(p, r) for p, r in rows] for rows in record["episodes"]]
        return Report(**record)


def write_job(job: Job, path: Path) -> None:
    """As JSON."""
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_job(path: Path) -> Job:
    """What `write_job` wrote."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    record["words"] = tuple(record["words"])
    return Job(**record)
