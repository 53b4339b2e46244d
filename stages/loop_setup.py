"""An open loop: its run folder, its store, its record, and how it runs the other stages."""

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.loops import Act, note_act
from rlhf.config import Config, EvalStage, LoopStage, PpoStage, RmStage, SampleStage, SftStage
from rlhf.evaluation.loop_report import render_loop
from rlhf.metrics import JoinedLog
from rlhf.models.loading import weights_sha256
from rlhf.online.judgements import Judged, judged_of
from rlhf.online.merging import Labelled
from rlhf.online.pairs import Pair, pair_of
from rlhf.online.rounds import operator
from rlhf.runs import Artifact, Manifest, Run
from rlhf.runs.loop_record import LOOP_RECORD, LoopRecord, PolicyEntry, RoundRecord, StepRecord
from rlhf.training.machine import Machine, Stop
from rlhf.training.seeds import sub_seed
from stages.console import console, say
from stages.shared import Session, experiment_of

SEEDS = 2**31
TITLES = {
    "sft": "the first policy",
    "sample": "answers",
    "rm": "reward model",
    "ppo": "PPO",
    "eval": "judging",
}
AnyStage = SftStage | SampleStage | RmStage | PpoStage | EvalStage


@dataclass
class Loop:
    """What the steps of a loop need. `record` is what stands on the disk: `save` writes before it changes."""

    cfg: Config
    stage: LoopStage
    run: Run
    machine: Machine
    db: Database
    place: str
    """Where the store is, as `--db` takes it."""
    first: Artifact
    record: LoopRecord
    name: str
    """A few letters that tell this loop from others, and are the same wherever it is run."""
    stop: Stop

    @property
    def session(self) -> Session:
        """For what scores with models on this machine."""
        log = JoinedLog(self.run.metrics_path)
        return Session(self.cfg, self.run, {"policy": self.first}, self.machine, log)

    @property
    def is_stream(self) -> bool:
        """Whether judgements are learnt from while they come."""
        return self.record.mode == "streaming"

    def campaign(self, round_number: int) -> str:
        """The campaign that asks about pairs: a round's own, or the one of the whole stream."""
        what = "stream" if self.is_stream else f"round {round_number}"
        return f"{self.cfg.name} {what} ({self.name})"

    def say(self, text: str) -> None:
        """A line on the console."""
        say("loop", text)

    def save(self, record: LoopRecord) -> None:
        """The record and its page, each whole or not at all."""
        self.run.write_text(LOOP_RECORD, record.model_dump_json(indent=1) + "\n")
        self.run.write_text("report.html", render_loop(record))
        self.record = record

    def save_round(self, round_: RoundRecord, **changed: Any) -> RoundRecord:
        """The same for one round with these changes, which it returns."""
        round_ = round_.model_copy(update=changed)
        self.save(self.record.with_round(round_))
        return round_

    def note(self, act: Act, detail: Mapping[str, Any]) -> None:
        """A line of the store's audit log; the same act is kept once."""
        note_act(self.db, OPERATOR, self.run.path, act, {**detail, "by": operator()})

    def seed(self, round_: RoundRecord, *purpose: str | int) -> int:
        """A seed of a round's own."""
        return sub_seed(self.cfg.seed, "loop", round_.number, *purpose) % SEEDS

    def make(
        self,
        round_: RoundRecord,
        stage: AnyStage,
        *,
        data: Mapping[str, Any] | None = None,
        seed: int | None = None,
        **inputs: str | None,
    ) -> Manifest:
        """Has another stage make, finish or report its run in this experiment."""
        step = f", step {round_.step.number}" if round_.steps else ""
        console.rule(f"[bold]round {round_.number}{step}[/bold] · {TITLES[stage.kind]}", align="left")
        cfg = self.cfg.model_copy(
            update={
                "stage": stage,
                "inputs": self.cfg.inputs.model_copy(update=inputs),
                "data": self.cfg.data.model_copy(update=data or {}),
                "seed": self.cfg.seed if seed is None else seed,
            }
        )
        return importlib.import_module(f"stages.{stage.kind}").run(cfg)

    def folder(self, name: str) -> Path:
        """Where a run of the experiment lies, by its name."""
        return experiment_of(self.cfg).path / name

    def policy(self, label: str) -> PolicyEntry:
        """A policy that is or was the incumbent."""
        return next(entry for entry in self.record.policies if entry.label == label)

    def entry(self, label: str, manifest: Manifest) -> PolicyEntry:
        """A policy that a stage of this experiment made."""
        name = name_of(manifest)
        return PolicyEntry(label=label, run=name, fingerprint=weights_sha256(self.folder(name) / "model"))

    def path(self, round_number: int, name: str) -> Path:
        """A file or folder of a round."""
        return self.run.path / f"round-{round_number}" / name

    def write_lines(self, round_: RoundRecord, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """A file of a round, a line of JSON a row."""
        return self.run.write_jsonl(f"round-{round_.number}/{name}", rows)

    def pairs(self, round_: RoundRecord) -> list[Pair]:
        """The pairs that a round asks about; of a stream those that its steps put before raters."""
        if not round_.steps:
            return self._read_pairs(round_, "items.jsonl")
        return [pair for step in round_.steps for pair in self.pairs_of(round_, step)]

    def pairs_of(self, round_: RoundRecord, step: StepRecord) -> list[Pair]:
        """The pairs of one step; none where it has not chosen any yet."""
        name = self.of_step(step, "items.jsonl")
        return self._read_pairs(round_, name) if self.path(round_.number, name).is_file() else []

    def of_step(self, step: StepRecord, name: str) -> str:
        """The name of a step's file or folder among those of its round."""
        return f"step-{step.number}/{name}"

    def _read_pairs(self, round_: RoundRecord, name: str) -> list[Pair]:
        return [pair_of(row) for row in read_lines(self.path(round_.number, name))]

    def labelled(self, round_: RoundRecord) -> Labelled:
        """A round's pairs and judgements."""
        judged = read_judged(self.path(round_.number, "judgements.jsonl"))
        return Labelled(round_.number, self.pairs(round_), judged)


def name_of(manifest: Manifest) -> str:
    """The name of a run in its experiment."""
    return f"{manifest.stage}-{manifest.number}"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    # as bytes: text would be cut at every separator of lines that Unicode knows, and answers may hold them
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_judged(path: Path) -> list[Judged]:
    """Judgements as a step before wrote them."""
    return [judged_of(row) for row in read_lines(path)]


def loop_stage(cfg: Config) -> LoopStage:
    """The stage's options."""
    assert isinstance(cfg.stage, LoopStage)
    return cfg.stage


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
