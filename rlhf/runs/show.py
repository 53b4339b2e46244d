"""Experiments and their lineage as tables and trees for a terminal, and as plain data for `--json`."""

import os
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from rlhf.metrics.progress import duration, figure
from rlhf.runs.artifact import local_time
from rlhf.runs.folder import RunFolder, experiment_folders, run_folders
from rlhf.runs.manifest import InputRecord

if TYPE_CHECKING:
    from rich.console import Console

_FEW = 3
_STYLES = {"finished": "green", "running": "cyan", "unfinished": "yellow", "damaged": "red"}
_DATASETS = ("demonstrations", "preferences", "prompts")


def listing(runs_dir: Path, name: str | None) -> list[dict[str, Any]]:
    """One row a run, over one experiment or all: what `list` shows."""
    experiments = [runs_dir / name] if name else experiment_folders(runs_dir)
    return [_row(experiment.name, run) for experiment in experiments for run in run_folders(experiment)]


def description(experiment: Path) -> list[dict[str, Any]]:
    """One entry a run, with inputs, data and metrics: what `show` shows."""
    return [_row(experiment.name, run) | _origin(run) for run in run_folders(experiment)]


def print_table(rows: list[dict[str, Any]]) -> None:
    """The listing as a table, a line for each run; narrow terminals wrap the metrics."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "holds", "status", "when", "metrics"):
        table.add_column(title, overflow="fold", no_wrap=title == "status")
    last = None
    for row in rows:
        if last not in (None, row["experiment"]):
            table.add_row()
        last = row["experiment"]
        status = Text(row["status"], style=_STYLES[row["status"]])
        run = Text(f"{row['experiment']}/{row['run']}")
        metrics = Text(_few(row["metrics"]))
        table.add_row(run, (row["kind"] or "").replace("_", " "), status, _when(row), metrics)
    terminal().print(table)


def print_tree(experiment: Path, entries: list[dict[str, Any]]) -> None:
    """An experiment as a tree: under each run, what it came from and how it came out."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(str(experiment), style="bold"))
    for entry in entries:
        head = Text(entry["run"], style="bold")
        head.append(f"  {(entry['kind'] or entry['stage']).replace('_', ' ')}  ", style="")
        head.append(entry["status"], style=_STYLES[entry["status"]])
        took = "" if entry["seconds"] is None else f"  took {duration(entry['seconds'])}"
        head.append(f"  {_when(entry)}{took}", style="dim")
        branch = tree.add(head)
        for line in _lines(entry):
            branch.add(Text(line))
    terminal().print(tree)


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    if entry["problem"]:
        yield from entry["problem"].splitlines()
    if entry["base_model"]:
        yield f"base model: {entry['base_model']}"
    for role, source in entry["inputs"].items():
        yield f"{role.replace('_', ' ')}: {source['path']} ({source['kind'].replace('_', ' ')})"
    for key, value in entry["data"].items():
        yield f"data.{key}: {value}"
    for path, sha256 in entry["data_files"].items():
        yield f"data file: {path} (sha256 {sha256[:12]})"
    if entry["metrics"]:
        yield "metrics: " + _few(entry["metrics"], limit=12)
    if entry["status"] == "unfinished" and entry["command"]:
        yield f"resume: {entry['command']}"


def _when(row: dict[str, Any]) -> str:
    """When it was finished, or else begun."""
    when = row["finished"] or row["created"]
    return local_time(datetime.fromisoformat(when)) if when else ""


def _row(experiment: str, run: RunFolder) -> dict[str, Any]:
    manifest, opening = run.manifest, run.opening
    known = manifest or opening
    return {
        "experiment": experiment,
        "run": run.path.name,
        "stage": run.stage,
        "number": run.number,
        "kind": manifest.kind if manifest else None,
        "status": run.status,
        "created": known.created.isoformat() if known else None,
        "finished": manifest.finished.isoformat() if manifest else None,
        "seconds": manifest.seconds if manifest else None,
        "metrics": manifest.metrics if manifest else {},
    }


def _origin(run: RunFolder) -> dict[str, Any]:
    known = run.manifest or run.opening
    inputs: Mapping[str, InputRecord] = known.inputs if known else {}
    return {
        "path": str(run.path),
        "problem": run.problem,
        "command": run.opening.command if run.opening else None,
        "base_model": run.manifest.base_model if run.manifest else None,
        "inputs": {role: record.model_dump(mode="json") for role, record in inputs.items()},
        "data": _named_data(run.path),
        "data_files": known.data_files if known else {},
        "seed": run.manifest.seed if run.manifest else None,
        "resolved": run.manifest.resolved if run.manifest else {},
        "packages": run.manifest.packages if run.manifest else {},
        "git_revision": run.manifest.git_revision if run.manifest else None,
    }


def _named_data(run: Path) -> dict[str, str]:
    """The datasets that a run's configuration names."""
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        data = cast("dict[str, Any]", config["data"])
        return {key: value for key, value in data.items() if isinstance(value, str) and key in _DATASETS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def _few(metrics: Mapping[str, Any], limit: int = _FEW) -> str:
    """The first few numbers, those inside groups by dotted names."""
    pairs = list(_flat(metrics))
    more = f" +{len(pairs) - limit} more" if len(pairs) > limit else ""
    return "  ".join(f"{name} {figure(value)}" for name, value in pairs[:limit]) + more


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", value


def terminal() -> "Console":
    """The terminal; a file or a pipe counts as wide, unless COLUMNS says otherwise."""
    from rich.console import Console

    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=120) if wide else Console()
