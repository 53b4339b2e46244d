"""Two runs side by side: what differs in how they were made, and in how they came out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from rlhf.errors import InputError
from rlhf.runs.final_figures import FinalFigure, final_figures
from rlhf.runs.folder import RunFolder, read_folder
from rlhf.runs.manifest import InputRecord

_TOLD_ELSEWHERE = ("name", "runs_dir", "inputs", "stage.kind")


@dataclass(frozen=True)
class Difference:
    """Something of which the two runs have different values, or one none (None)."""

    name: str
    a: Any
    b: Any
    stage: str = ""
    """Of the configuration: the stage of the two runs that it was read from."""


@dataclass(frozen=True)
class FigurePair:
    """A final figure of both runs, None where a run has it not."""

    name: str
    a: FinalFigure | None
    b: FinalFigure | None

    @property
    def difference(self) -> float | None:
        """B minus A."""
        return self.b.value - self.a.value if self.a and self.b else None

    @property
    def overlap(self) -> bool | None:
        """Whether the two intervals have a value in common; None where one of them is not known."""
        if not self.a or not self.b or None in (self.a.low, self.a.high, self.b.low, self.b.high):
            return None
        a, b = self.a, self.b
        return cast("float", a.low) <= cast("float", b.high) and cast("float", b.low) <= cast("float", a.high)


@dataclass(frozen=True)
class RunComparison:
    """What `compare` says of two runs. The lists hold what differs alone; `figures` hold all."""

    a: RunFolder
    b: RunFolder
    configuration: tuple[Difference, ...]
    inputs: tuple[Difference, ...]
    data: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    figures: tuple[FigurePair, ...]

    @property
    def seconds(self) -> tuple[float | None, float | None]:
        """Spent working on each, None of one that is not finished."""
        return tuple(run.manifest.seconds if run.manifest else None for run in (self.a, self.b))  # type: ignore[return-value]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        lists = {name: getattr(self, name) for name in ("configuration", "inputs", "data", "versions")}
        return {
            "a": _run_json(self.a),
            "b": _run_json(self.b),
            **{name: [_difference_json(item) for item in items] for name, items in lists.items()},
            "figures": [_figure_json(pair) for pair in self.figures],
            "seconds": dict(zip("ab", self.seconds, strict=True)),
        }


def compare_runs(a: RunFolder, b: RunFolder) -> RunComparison:
    """What differs between two runs, and between those that they were made from.

    Raises:
        InputError: the two are one, or a file that a run should have cannot be read.
    """
    if a.path.resolve() == b.path.resolve():
        raise InputError(f"{name_of(a)} is named twice; name two runs to compare")
    mine, yours = final_figures(a), final_figures(b)
    return RunComparison(
        a=a,
        b=b,
        configuration=tuple(_configuration(a, b, set(), set())),
        inputs=tuple(_inputs(a, b)),
        data=tuple(_data(a, b)),
        versions=tuple(_versions(a, b)),
        figures=tuple(FigurePair(name, mine.get(name), yours.get(name)) for name in {**mine, **yours}),
    )


def name_of(run: RunFolder) -> str:
    """`demo/ppo-1`."""
    return f"{run.path.resolve().parent.name}/{run.path.name}"


def _configuration(
    a: RunFolder, b: RunFolder, seen: set[tuple[Path, Path]], said: set[tuple[str, str]]
) -> Iterator[Difference]:
    """Keys with different values in the two runs, then in the runs that they took in the same roles.

    What is said of a run is not said again of those that it came from (another seed, for one).
    """
    if (a.path, b.path) in seen:
        return
    seen.add((a.path, b.path))
    mine, yours = _config_of(a), _config_of(b)
    for key in {**mine, **yours}:
        values = mine.get(key), yours.get(key)
        told = (key, json.dumps(values, sort_keys=True, default=str))
        if values[0] != values[1] and told not in said:
            said.add(told)
            yield Difference(key, *values, stage=a.stage if a.stage == b.stage else f"{a.stage}, {b.stage}")
    inputs_a, inputs_b = _inputs_of(a), _inputs_of(b)
    for role in inputs_a:
        below = (_run_of(a, inputs_a[role]), _run_of(b, inputs_b[role])) if role in inputs_b else (None, None)
        if below[0] and below[1] and inputs_a[role].fingerprint != inputs_b[role].fingerprint:
            yield from _configuration(below[0], below[1], seen, said)


def _inputs(a: RunFolder, b: RunFolder) -> Iterator[Difference]:
    """Roles that another content fills, and the model, tokenizer and chat template that all began with."""
    mine, yours = _inputs_of(a), _inputs_of(b)
    for role in {**mine, **yours}:
        one, other = mine.get(role), yours.get(role)
        if (one and one.fingerprint) != (other and other.fingerprint):
            yield Difference(role, one and one.path, other and other.path)
    for field in ("base_model", "tokenizer_sha256", "chat_template_sha256"):
        one, other = (getattr(run.manifest, field, None) for run in (a, b))
        if one != other:
            yield Difference(field, one, other)


def _data(a: RunFolder, b: RunFolder) -> Iterator[Difference]:
    """Data files whose content the other run has not read, by path; the values are hashes."""
    mine, yours = ({sha: path for path, sha in _data_files(run).items()} for run in (a, b))
    only_mine = {path: sha for sha, path in mine.items() if sha not in yours}
    only_yours = {path: sha for sha, path in yours.items() if sha not in mine}
    for path in {**only_mine, **only_yours}:
        yield Difference(path, only_mine.get(path), only_yours.get(path))


def _versions(a: RunFolder, b: RunFolder) -> Iterator[Difference]:
    """Packages, the project's revision, and what `auto` became on each machine."""
    mine, yours = _made_with(a), _made_with(b)
    for name in {**mine, **yours}:
        if mine.get(name) != yours.get(name):
            yield Difference(name, mine.get(name), yours.get(name))


def _made_with(run: RunFolder) -> dict[str, Any]:
    manifest = run.manifest
    if manifest is None:
        return {}
    revision = manifest.git_revision and manifest.git_revision[:12] + (" +" if manifest.git_dirty else "")
    return {**manifest.packages, "git": revision, **manifest.resolved}


def _config_of(run: RunFolder) -> dict[str, Any]:
    """The run's configuration by dotted keys, without those that the comparison tells elsewhere.

    Raises:
        InputError: `config.yaml` is missing or damaged.
    """
    path = run.path / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read ({reason}).\nRestore it from a copy.") from None
    flat = dict(_flat(cast("dict[str, Any]", config))) if isinstance(config, dict) else {}
    return {key: value for key, value in flat.items() if not _told_elsewhere(key)}


def _told_elsewhere(key: str) -> bool:
    return any(key == told or key.startswith(f"{told}.") for told in _TOLD_ELSEWHERE)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _inputs_of(run: RunFolder) -> Mapping[str, InputRecord]:
    known = run.manifest or run.opening
    return known.inputs if known else {}


def _data_files(run: RunFolder) -> Mapping[str, str]:
    known = run.manifest or run.opening
    return known.data_files if known else {}


def _run_of(run: RunFolder, record: InputRecord) -> RunFolder | None:
    """The run that an input is, where it is one and still there: its path is relative to the runs folder."""
    if record.manifest_sha256 is None:
        return None
    found = read_folder(run.path.resolve().parents[1] / record.path)
    return None if found is None or found.problem else found


def _run_json(run: RunFolder) -> dict[str, Any]:
    known = run.manifest or run.opening
    return {
        "run": name_of(run),
        "path": str(run.path),
        "stage": run.stage,
        "kind": run.manifest.kind if run.manifest else None,
        "status": run.status,
        "created": known.created.isoformat() if known else None,
        "finished": run.manifest.finished.isoformat() if run.manifest else None,
    }


def _difference_json(item: Difference) -> dict[str, Any]:
    stage = {"stage": item.stage} if item.stage else {}
    return {"name": item.name, "a": item.a, "b": item.b, **stage}


def _figure_json(pair: FigurePair) -> dict[str, Any]:
    sides = {
        side: None if figure is None else {"value": figure.value, "low": figure.low, "high": figure.high}
        for side, figure in (("a", pair.a), ("b", pair.b))
    }
    return {"name": pair.name, **sides, "difference": pair.difference, "overlap": pair.overlap}
