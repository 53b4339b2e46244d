"""What an artifact came from: its manifests, followed back to the base model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rlhf.runs import Artifact, InputRecord, Manifest, read_manifest


@dataclass(frozen=True)
class Step:
    """A run (or a plain model) that had a part in what is evaluated.

    `role` is what it served as when it was met first; `inputs` are paths by role; `finished` is UTC.
    """

    path: str
    role: str
    stage: str
    seconds: float | None
    finished: str
    base_model: str | None
    inputs: dict[str, str]


def lineage(inputs: Mapping[str, Artifact], runs_dir: Path) -> list[Step]:
    """Every run that the inputs stand on, each once, oldest first; plain models come before all runs.

    A run whose folder is gone is named with nothing else known of it.
    """
    steps: dict[str, Step] = {}
    waiting: list[tuple[str, str, Manifest | None]] = [
        (role, artifact.path, artifact.manifest) for role, artifact in inputs.items()
    ]
    while waiting:
        role, path, manifest = waiting.pop(0)
        name = _short(path, runs_dir)
        if name in steps:
            continue
        steps[name] = _step(name, role, manifest)
        for input_role, record in (manifest.inputs if manifest else {}).items():
            waiting.append((input_role, record.path, _manifest_of(record, runs_dir)))
    return sorted(steps.values(), key=lambda step: step.finished)


def parent(manifest: Manifest, role: str, runs_dir: Path) -> str | None:
    """Where a run's input lies, as `inputs.*` takes it; None where it had none in that role."""
    record = manifest.inputs.get(role)
    return str(_located(record, runs_dir)) if record else None


def _step(name: str, role: str, manifest: Manifest | None) -> Step:
    if manifest is None:
        return Step(name, role, "", None, "", None, {})
    return Step(
        path=name,
        role=role,
        stage=manifest.stage,
        seconds=manifest.seconds,
        finished=manifest.finished.isoformat(sep=" ", timespec="seconds"),
        base_model=manifest.base_model,
        inputs={role: record.path for role, record in manifest.inputs.items()},
    )


def _manifest_of(record: InputRecord, runs_dir: Path) -> Manifest | None:
    return read_manifest(Path(_located(record, runs_dir))) if record.manifest_sha256 else None


def _located(record: InputRecord, runs_dir: Path) -> Path | str:
    """A path of a manifest is relative to the runs folder where it lies inside; a hub id stays."""
    return record.path if record.fingerprint.startswith("hub:") else runs_dir / record.path


def _short(path: str, runs_dir: Path) -> str:
    whole = Path(path).resolve()
    root = runs_dir.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path
