"""Which input a stage takes: the one that is named, else the newest finished one of the same experiment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlhf.errors import InputError
from rlhf.runs.artifact import Artifact, from_hub, from_model_folder, from_plain_data, from_run
from rlhf.runs.folder import RunFolder, read_folder, run_folders
from rlhf.runs.loop_record import read_loop_record
from rlhf.runs.manifest import Kind, changed_file
from rlhf.runs.names import command_for, verify_command

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LEARNERS = ("rm", "ppo", "study")  # they begin from what sft made, never from PPO's own output


@dataclass(frozen=True)
class Rule:
    """What may fill a role."""

    kinds: tuple[Kind, ...]
    maker: str
    """The stage that makes it, for the message where it is missing."""
    looked_for: bool = True
    """Whether an input that is not named is looked for in the experiment."""
    by_sft: bool = False
    """Whether only what sft made is taken, whichever stage asks."""


RULES = {
    "policy": Rule(("policy",), "sft"),
    "reference": Rule(("policy",), "sft", looked_for=False),
    "reward_model": Rule(("reward_model",), "rm"),
    "critic": Rule(("reward_model", "policy"), "rm", looked_for=False),
    "baseline": Rule(("policy",), "sft", by_sft=True),
    "validation": Rule(("reward_model",), "rm", looked_for=False),
    "judge": Rule(("reward_model", "policy"), "rm", looked_for=False),
    "preferences": Rule(("preferences",), "sample"),
    "samples": Rule(("samples",), "sample"),
}


@dataclass(frozen=True)
class _Asked:
    """One question: who asks for what, and where."""

    runs_dir: Path
    experiment: str
    role: str
    stage: str

    @property
    def rule(self) -> Rule:
        return RULES[self.role]

    @property
    def folder(self) -> Path:
        return self.runs_dir / self.experiment

    @property
    def only_sft(self) -> bool:
        return self.rule.by_sft or (self.role == "policy" and self.stage in _LEARNERS)

    def command(self, stage: str) -> str:
        return command_for(stage, self.experiment, self.runs_dir)


def resolve(
    runs_dir: Path, experiment: str, role: str, named: str | None, *, stage: str, required: bool
) -> Artifact | None:
    """See `Experiment.resolve`."""
    if role not in RULES:
        raise ValueError(f"role {role!r} is none of {', '.join(RULES)}")
    asked = _Asked(runs_dir, experiment, role, stage)
    if named:
        return _named(asked, named)
    newest = _newest(asked) if asked.rule.looked_for else None
    if newest is None and required:
        raise InputError(_missing(asked))
    return newest


def _newest(asked: _Asked) -> Artifact | None:
    found: list[RunFolder] = []
    runs = run_folders(asked.folder)
    passed_over = _kept_back(runs)
    for run in runs:
        if run.problem:
            raise InputError(run.problem)
        if (
            run.manifest
            and run.manifest.kind in asked.rule.kinds
            and (run.stage == "sft" or not asked.only_sft)
            and run.path.name not in passed_over
        ):
            found.append(run)
    return _checked(asked, found[-1]) if found else None


def _kept_back(runs: Sequence[RunFolder]) -> set[str]:
    """The candidates of a loop that are not its incumbent: nobody gets them who does not ask for them."""
    made: set[str] = set()
    incumbent = ""
    for run in (run for run in runs if run.stage == "loop"):
        record = read_loop_record(run.path)
        if record is not None:
            made |= {round_.candidate.run for round_ in record.rounds if round_.candidate}
            made |= {step.made.run for step in record.steps if step.made}
            incumbent = record.incumbent.run
    return made - {incumbent}


def _named(asked: _Asked, named: str) -> Artifact:
    path = _existing(asked, named)
    if path is None:
        return from_hub(asked.role, named, _hub_kind(asked, named))
    run = read_folder(path) or (read_folder(path.parent) if path.name == "model" else None)
    if run:
        return _of_right_kind(asked, _checked(asked, run))
    if asked.rule.kinds[0] in ("preferences", "samples"):
        return from_plain_data(asked.role, path, asked.rule.kinds[0])
    if path.is_file():
        raise InputError(
            f"inputs.{asked.role}={named} is a file; name a run folder, a model folder or a hub id"
        )
    inside = [run.path.name for run in run_folders(path)]
    if inside:
        raise InputError(
            f"inputs.{asked.role}={named} is an experiment; name one of its runs ({', '.join(inside[:8])}), "
            f"as in inputs.{asked.role}={path / inside[0]}"
        )
    return _of_right_kind(asked, from_model_folder(asked.role, path, asked.rule.kinds))


def _existing(asked: _Asked, named: str) -> Path | None:
    """Where a named input lies: as given, in the experiment (`sft-1`), or the runs folder (`other/sft-1`)."""
    places = (Path(named).expanduser(), asked.folder / named, asked.runs_dir / named)
    return next((path for path in places if path.exists()), None)


def _hub_kind(asked: _Asked, named: str) -> Kind:
    """A name that is no path must look like a hub id, and not like a mistyped path."""
    begins_in_a_folder_here = Path(named).parts[0] in (asked.runs_dir.name, asked.experiment) or (
        Path(named).parent.is_dir() and Path(named).parent != Path()
    )
    is_model = asked.rule.kinds[0] in ("policy", "reward_model")
    if is_model and _HUB_ID.fullmatch(named) and not begins_in_a_folder_here:
        return asked.rule.kinds[0]
    there = [run.path.name for run in run_folders(asked.folder)]
    known = f" Runs of {asked.folder}: {', '.join(there[-8:])}." if there else ""
    wanted = "a run folder, a model folder, or a hub id such as org/name" if is_model else "a run folder"
    raise InputError(f"inputs.{asked.role}={named} does not exist; name {wanted}.{known}")


def _checked(asked: _Asked, run: RunFolder) -> Artifact:
    """A run as an input: finished, and its files as its manifest says."""
    if run.problem:
        raise InputError(run.problem)
    if run.manifest is None:
        raise InputError(f"inputs.{asked.role}: {_unfinished(asked, run)}")
    change = changed_file(run.path, run.manifest)
    if change:
        name, runs_dir = run.path.resolve().parent.name, run.path.parent.parent
        raise InputError(
            f"inputs.{asked.role}: {change}.\n"
            f"`{verify_command(name, runs_dir)}` says what else changed. Restore the file, name another "
            f"(inputs.{asked.role}=...), or delete {run.path} and make it again."
        )
    return from_run(asked.role, run.path, run.manifest)


def _unfinished(asked: _Asked, run: RunFolder) -> str:
    if who := run.running:
        return f"{run.path} is being made right now ({who}).\nWait until it is finished."
    command = run.opening.command if run.opening else asked.command(run.stage)
    return f"{run.path} is unfinished.\nResume it with the command that began it: {command}"


def _of_right_kind(asked: _Asked, artifact: Artifact) -> Artifact:
    if artifact.kind in asked.rule.kinds:
        return artifact
    wanted = " or a ".join(kind.replace("_", " ") for kind in asked.rule.kinds)
    made = f", made by stage={artifact.manifest.stage}" if artifact.manifest else ", by its config.json"
    raise InputError(
        f"inputs.{asked.role}={artifact.path} is a {artifact.kind.replace('_', ' ')}{made}; "
        f"the role takes a {wanted}.\n"
        f"Name another, or leave inputs.{asked.role} out to take the newest of this experiment; "
        f"`{asked.command(asked.rule.maker)}` makes one."
    )


def _missing(asked: _Asked) -> str:
    what = asked.role.replace("_", " ")
    if not asked.rule.looked_for:
        return f"stage={asked.stage} needs a {what} by name: inputs.{asked.role}=FOLDER (or a hub id)"
    by = " made by stage=sft" if asked.only_sft else ""
    begun = [
        run for run in run_folders(asked.folder) if run.manifest is None and run.stage == asked.rule.maker
    ]
    head = f"stage={asked.stage} needs a {what}{by}, and {asked.folder} has no finished one"
    if begun:
        return f"{head}: {_unfinished(asked, begun[-1])}"
    if asked.role == "preferences":
        ways = "Have people give them (python -m feedback_ui --help), or name a file: data.preferences=FILE"
        return f"{head}.\n{ways}"
    return f"{head}.\nMake it: {asked.command(asked.rule.maker)}\nOr name one: inputs.{asked.role}=FOLDER"
