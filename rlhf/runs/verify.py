"""The thorough check: every hash of every finished run, and every input along the lineage."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rlhf.errors import InputError
from rlhf.runs.artifact import fingerprint
from rlhf.runs.disk import files_below, sha256_file
from rlhf.runs.folder import RunFolder, experiment_folders, read_folder, run_folders
from rlhf.runs.manifest import MANIFEST, InputRecord, Manifest, manifest_sha256


@dataclass
class Findings:
    """What a verification found."""

    runs: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=lambda: [])
    """What is not as a manifest says."""
    notes: list[str] = field(default_factory=lambda: [])
    """What could not be checked, or is not finished."""


def verify(runs_dir: Path, name: str | None = None) -> Findings:
    """Check the finished runs of one experiment, or of all, and whatever finished runs these came from.

    Raises:
        InputError: there is no such experiment.
    """
    experiments = [runs_dir / name] if name else experiment_folders(runs_dir)
    if name and not experiments[0].is_dir():
        there = ", ".join(path.name for path in experiment_folders(runs_dir)) or "none"
        raise InputError(f"{runs_dir} has no experiment {name!r}; there are: {there}")
    findings = Findings()
    waiting = [run for experiment in experiments for run in run_folders(experiment)]
    seen: set[Path] = set()
    while waiting:
        run = waiting.pop(0)
        place = run.path.resolve()
        if place not in seen:
            seen.add(place)
            waiting += _verify_run(run, runs_dir, findings)
    return findings


def _verify_run(run: RunFolder, runs_dir: Path, findings: Findings) -> list[RunFolder]:
    """Check one run; returns the runs that it was made from."""
    if run.problem:
        findings.problems.append(run.problem.splitlines()[0])
        return []
    if run.manifest is None:
        findings.notes.append(f"{run.path} is unfinished and was not checked")
        return []
    findings.runs += 1
    findings.files += len(run.manifest.files)
    findings.problems += _wrong_files(run.path, run.manifest)
    _verify_data(run.path, run.manifest, findings)
    return [
        source
        for role, record in run.manifest.inputs.items()
        if (source := _verify_input(run.path, role, record, runs_dir, findings))
    ]


def _wrong_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != record.size:
            yield f"{path} has {path.stat().st_size} bytes, {record.size} when it was finished"
        elif sha256_file(path) != record.sha256:
            yield f"{path} has another content than when it was finished"
    # A file added beside weights can change what is loaded, so folders are checked for those as well.
    for top in sorted({name.split("/")[0] for name in manifest.files if "/" in name}):
        for path in files_below(folder / top):
            if path.relative_to(folder).as_posix() not in manifest.files:
                yield f"{path} was added after the run was finished"


def _verify_data(folder: Path, manifest: Manifest, findings: Findings) -> None:
    for name, sha256 in manifest.data_files.items():
        path = Path(name)
        if not path.is_file():
            findings.notes.append(f"{folder}: its data file {name} is not here to be checked")
        elif sha256_file(path) != sha256:
            findings.problems.append(
                f"{folder}: its data file {name} has another content than it was made from"
            )


def _verify_input(
    folder: Path, role: str, record: InputRecord, runs_dir: Path, findings: Findings
) -> RunFolder | None:
    """Check one input against what was recorded; returns its run, where it is one."""
    if record.fingerprint.startswith("hub:"):
        return None
    path = runs_dir / record.path
    if not path.exists():
        findings.notes.append(f"{folder}: its {role} {path} is not here to be checked")
        return None
    if record.manifest_sha256 is None:
        if fingerprint(path) != record.fingerprint:
            findings.problems.append(f"{folder}: its {role} {path} has another content than it was made from")
        return None
    if not (path / MANIFEST).is_file():
        findings.problems.append(f"{folder}: its {role} {path} has lost its {MANIFEST}")
    elif manifest_sha256(path) != record.manifest_sha256:
        findings.problems.append(
            f"{folder}: its {role} {path} has another {MANIFEST} than the one it was made from"
        )
    return read_folder(path)
