"""An open loop: its run folder, its store, its record, and how it runs the other stages."""

import importlib
import json
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feedback_ui.database import Database, open_database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.loops import Act, note_act
from rlhf.config import Config, EvalStage, LoopStage, PpoStage, RmStage, SampleStage, SftStage
from rlhf.errors import ConfigError, InputError
from rlhf.evaluation.loop_report import render_loop
from rlhf.metrics import JoinedLog
from rlhf.models.loading import weights_sha256
from rlhf.online.judgements import Judged, judged_of
from rlhf.online.merging import Labelled
from rlhf.online.pairs import Pair, pair_of
from rlhf.online.rounds import ending, logged, operator, rules_of
from rlhf.runs import Artifact, Manifest, Run, identity
from rlhf.runs.loop_record import LOOP_RECORD, LoopRecord, PolicyEntry, RoundRecord, read_loop_record
from rlhf.runs.manifest import manifest_sha256
from rlhf.training.machine import Machine, Stop, set_up_machine
from rlhf.training.seeds import sub_seed
from stages.console import console, say
from stages.loop_command import command_of
from stages.shared import Session, experiment_of

MAKES_ITS_OWN = ("reward_model", "baseline", "critic", "validation")
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
    stop: Stop

    @property
    def name(self) -> str:
        """A few letters that tell this loop from others, and are the same wherever it is run."""
        return identity_of(self.cfg, self.first)[:8]

    @property
    def session(self) -> Session:
        """For what scores with models on this machine."""
        log = JoinedLog(self.run.metrics_path)
        return Session(self.cfg, self.run, {"policy": self.first}, self.machine, log)

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
        console.rule(f"[bold]round {round_.number}[/bold] · {TITLES[stage.kind]}", align="left")
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

    def pairs(self, round_: RoundRecord, name: str = "items.jsonl") -> list[Pair]:
        """The pairs that a round asks about."""
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


def first_policy(cfg: Config) -> Artifact:
    """`inputs.policy`, or what `stage.sft` makes.

    Raises:
        ConfigError: an input is named that the loop makes itself.
    """
    for role in MAKES_ITS_OWN:
        if named := getattr(cfg.inputs, role):
            raise ConfigError(f"inputs.{role}={named}: stage=loop makes its own; leave it out")
    named = cfg.inputs.policy
    if named is None:
        console.rule(f"[bold]sft[/bold] · {TITLES['sft']}", align="left")
        manifest = importlib.import_module("stages.sft").run(
            cfg.model_copy(update={"stage": loop_stage(cfg).sft})
        )
        named = name_of(manifest)
    return experiment_of(cfg).resolve("policy", named, stage="loop")


@contextmanager
def opened(cfg: Config, first: Artifact) -> Generator[Loop]:
    """Opens the loop of this configuration: begins it, goes on with it, extends or reports the finished one.

    Raises:
        RunError: another command works on it.
        StoreError: the feedback store cannot be opened.
    """
    stage, machine = loop_stage(cfg), set_up_machine(cfg)
    run, before = _enter(cfg, first)
    with run:
        record = read_loop_record(run.path)
        place = stage.db or str(experiment_of(cfg).path / "feedback.db")
        db = open_database(place)
        try:
            loop = Loop(cfg, stage, run, machine, db, place, first, record or _new(cfg, first), Stop(None))
            if before is not None and not run.finished:
                loop.note("extend", {"from": before.path.name, "to": run.path.name})
            if not run.finished and loop.record.command != command_of(cfg):
                loop.save(loop.record.model_copy(update={"command": command_of(cfg)}))
            yield loop
        finally:
            db.close()


def _enter(cfg: Config, first: Artifact) -> tuple[Run, Run | None]:
    """The newest run of this loop, a new one where that is finished and shall go on; and the one before."""
    stage, experiment = loop_stage(cfg), experiment_of(cfg)
    config = cfg.model_dump(mode="json")
    inputs, key = {"policy": first}, identity_of(cfg, first)
    before: Run | None = None
    while True:
        run = experiment.open("loop", identity=key, config=config, inputs=inputs, command=command_of(cfg))
        if before is not None and not run.finished:
            _take_over(run, before)
        if run.manifest is None:
            return run, before
        key = identity_of(cfg, first, extends=manifest_sha256(run.path))
        record = read_loop_record(run.path)
        assert record is not None
        is_extended = any(one.identity == key for one in experiment.runs())
        rolls_back = stage.rollback not in (None, record.incumbent.label)
        if stage.rollback is not None and not is_extended:
            label_or_raise(record, stage.rollback)
        if not (is_extended or rolls_back or ending(record, stage) is None):
            return run, before
        before = run


def identity_of(cfg: Config, first: Artifact, extends: str = "") -> str:
    """Which loop it is, by seed, model, data and the first policy's weights; all else may change."""
    config = cfg.model_dump(mode="json")
    decides = {name: config[name] for name in ("seed", "model", "data", "world")}
    return identity(decides | {"first": _fingerprint(first), "extends": extends})


def _take_over(run: Run, before: Run) -> None:
    """What an earlier part of the loop left, the record last; nothing where that was done."""
    record = read_loop_record(before.path)
    if record is None or read_loop_record(run.path) is not None:
        return
    for one in record.rounds:
        name = f"round-{one.number}"
        run.publish(name, lambda folder, name=name: _copy(before.path / name, folder))
    record = logged(record.model_copy(update={"ended": None}), now(), f"goes on from {before.path.name}")
    run.write_text(LOOP_RECORD, record.model_dump_json(indent=1) + "\n")


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True)


def _new(cfg: Config, first: Artifact) -> LoopRecord:
    run = name_of(first.manifest) if first.manifest and first.manifest.experiment == cfg.name else first.path
    entry = PolicyEntry(label="sft", run=run, fingerprint=_fingerprint(first))
    rules = rules_of(loop_stage(cfg))
    record = LoopRecord(experiment=cfg.name, incumbent=entry, policies=[entry], rules=rules)
    return logged(record, now(), "began")


def _fingerprint(policy: Artifact) -> str:
    """Of its weights, so that a policy that was made again just so is the same."""
    local = Path(policy.model)
    return weights_sha256(local) if local.is_dir() else policy.fingerprint


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def label_or_raise(record: LoopRecord, label: str) -> PolicyEntry:
    """The policy of a label. Raises InputError where there is none, and says which there are."""
    found = next((entry for entry in record.policies if entry.label == label), None)
    if found is None:
        there = ", ".join(entry.label for entry in record.policies)
        raise InputError(f"stage.rollback={label}: no incumbent was called that; there are {there}")
    return found
