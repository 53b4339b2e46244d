"""Which loop a command means: one that begins, goes on, is extended, or is finished."""

import importlib
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from feedback_ui.database import open_database
from rlhf.config import Config
from rlhf.errors import ConfigError, InputError
from rlhf.models.loading import weights_sha256
from rlhf.online.rounds import ending, logged, rules_of
from rlhf.runs import Artifact, Run, identity
from rlhf.runs.loop_record import LOOP_RECORD, LoopRecord, PolicyEntry, read_loop_record
from rlhf.runs.manifest import manifest_sha256
from rlhf.training.machine import Stop, set_up_machine
from stages.console import console
from stages.loop_command import command_of
from stages.loop_setup import TITLES, Loop, loop_stage, name_of, now
from stages.shared import experiment_of

MAKES_ITS_OWN = ("reward_model", "baseline", "critic", "validation")


def first_policy(cfg: Config) -> Artifact:
    """`inputs.policy`, else that of the loop that goes on, else what `stage.sft` makes.

    Raises:
        ConfigError: an input is named that the loop makes itself.
        InputError: a rollback is asked for, and there is no such loop.
    """
    for role in MAKES_ITS_OWN:
        if named := getattr(cfg.inputs, role):
            raise ConfigError(f"inputs.{role}={named}: stage=loop makes its own; leave it out")
    known = _known_first(cfg)
    if known is not None:
        return known
    if loop_stage(cfg).rollback is not None:
        raise InputError(_no_such_loop(cfg))
    named = cfg.inputs.policy
    if named is None:
        console.rule(f"[bold]sft[/bold] · {TITLES['sft']}", align="left")
        manifest = importlib.import_module("stages.sft").run(
            cfg.model_copy(update={"stage": loop_stage(cfg).sft})
        )
        named = name_of(manifest)
    return experiment_of(cfg).resolve("policy", named, stage="loop")


def _known_first(cfg: Config) -> Artifact | None:
    """The policy with which the loop of this configuration has begun; None where there is none yet."""
    experiment = experiment_of(cfg)
    for run in reversed(experiment.runs()):
        record = read_loop_record(run.path) if run.stage == "loop" else None
        if record is not None:
            first = experiment.resolve("policy", cfg.inputs.policy or record.policies[0].run, stage="loop")
            if identity_of(cfg, first) == run.identity:
                return first
    return None


def _no_such_loop(cfg: Config) -> str:
    """What to say where a rollback finds nothing to roll back."""
    experiment = experiment_of(cfg)
    records = [read_loop_record(run.path) for run in experiment.runs() if run.stage == "loop"]
    commands = [record.command for record in records if record and record.command]
    label = loop_stage(cfg).rollback
    said = f"stage.rollback={label}: {experiment.path} holds no loop of this seed, model and data"
    return "\n".join([said, *(f"There is one by: {command}" for command in dict.fromkeys(commands))])


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
        name = identity_of(cfg, first)[:8]
        try:
            loop = Loop(
                cfg, stage, run, machine, db, place, first, record or _new(cfg, first), name, Stop(None)
            )
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
    """Which loop it is, by seed, model, data, mode and the first policy's weights; all else may change."""
    config = cfg.model_dump(mode="json")
    decides = {name: config[name] for name in ("seed", "model", "data", "world")}
    if loop_stage(cfg).mode == "streaming":  # one in rounds is what it was before there were streams
        decides["mode"] = "streaming"
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
    mode = loop_stage(cfg).mode
    newest = entry if mode == "streaming" else None
    record = LoopRecord(
        experiment=cfg.name, mode=mode, incumbent=entry, policies=[entry], newest=newest, rules=rules
    )
    return logged(record, now(), "began")


def _fingerprint(policy: Artifact) -> str:
    """Of its weights, so that a policy that was made again just so is the same."""
    local = Path(policy.model)
    return weights_sha256(local) if local.is_dir() else policy.fingerprint


def label_or_raise(record: LoopRecord, label: str) -> PolicyEntry:
    """The policy of a label. Raises InputError where there is none, and says which there are."""
    found = next((entry for entry in record.policies if entry.label == label), None)
    if found is None:
        there = ", ".join(entry.label for entry in record.policies)
        raise InputError(f"stage.rollback={label}: no incumbent was called that; there are {there}")
    return found
