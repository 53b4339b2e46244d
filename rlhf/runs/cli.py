"""`python -m rlhf.runs list | show | verify | compare`: what experiments there are, how they came about,
whether they are still what they were, and what sets two runs apart."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rlhf.errors import EXIT_CODE, InputError, RlhfError, RunError
from rlhf.runs.compare import compare_runs
from rlhf.runs.compare_page import render_page
from rlhf.runs.compare_table import print_comparison
from rlhf.runs.disk import write_atomic
from rlhf.runs.find import find_run
from rlhf.runs.folder import experiment_folders, run_folders
from rlhf.runs.names import command_for
from rlhf.runs.plain import dumps
from rlhf.runs.show import description, listing, print_table, print_tree, terminal
from rlhf.runs.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 where `verify` found something, 2 for an error,
    130 where it was stopped.
    """
    options = _parser().parse_args(arguments)
    runs_dir = Path(options.runs_dir)
    try:
        if runs_dir.exists() and not runs_dir.is_dir():
            raise InputError(f"--runs-dir {runs_dir} is no folder; name the one that holds the experiments")
        if options.command == "list":
            return _list(runs_dir, options.name, as_json=options.json)
        if options.command == "show":
            return _show(runs_dir, options.name, as_json=options.json)
        if options.command == "compare":
            return _compare(runs_dir, options)
        return _verify(runs_dir, options.name)
    except RlhfError as error:
        print("error: " + "\n  ".join(str(error).splitlines()), file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` had enough
        sys.stderr.close()
        return 0


def _list(runs_dir: Path, name: str | None, *, as_json: bool) -> int:
    if name:
        _existing(runs_dir, name)
    rows = listing(runs_dir, name)
    if as_json:
        print(dumps(rows, indent=2))
    elif rows:
        print_table(rows)
    else:
        print(f"{runs_dir} holds no runs yet; begin with: {command_for('sft', 'demo', runs_dir)}")
    return 0


def _show(runs_dir: Path, name: str | None, *, as_json: bool) -> int:
    paths = [_existing(runs_dir, name)] if name else experiment_folders(runs_dir)
    if as_json:
        print(dumps({path.name: description(path) for path in paths}, indent=2))
        return 0
    if not paths:
        return _list(runs_dir, None, as_json=False)
    for path in paths:
        print_tree(path, description(path))
    return 0


def _verify(runs_dir: Path, name: str | None) -> int:
    findings = verify(runs_dir, name)
    for note in findings.notes:
        print(f"note: {note}")
    for problem in findings.problems:
        print(f"WRONG: {problem}")
    verdict = f"{len(findings.problems)} wrong" if findings.problems else "all as recorded"
    print(f"{findings.runs} finished runs, {findings.files} files: {verdict}")
    if findings.problems:
        print("Restore what is wrong from a copy, or delete those runs and what was made from them.")
    return 1 if findings.problems else 0


def _compare(runs_dir: Path, options: argparse.Namespace) -> int:
    found = compare_runs(find_run(runs_dir, options.a), find_run(runs_dir, options.b))
    if options.html:
        _write_page(Path(options.html).expanduser(), render_page(found))
    if options.json:
        print(dumps(found.as_json(), indent=2))
        return 0
    print_comparison(found, terminal())
    if options.html:
        print(f"page: {options.html}")
    return 0


def _write_page(path: Path, page: str) -> None:
    try:
        write_atomic(path, page.encode("utf-8"))
    except OSError as error:
        raise RunError(
            f"--html {path} cannot be written ({error.strerror}); name a file in a folder that is there"
        ) from None


def _existing(runs_dir: Path, name: str) -> Path:
    path = runs_dir / name
    if not run_folders(path):
        there = ", ".join(folder.name for folder in experiment_folders(runs_dir)) or "none"
        raise InputError(f"{runs_dir} has no experiment {name!r}; there are: {there}")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rlhf.runs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|show|verify|compare")
    helps = {
        "list": "experiments and their runs: kind, finished or not, when, key metrics",
        "show": "an experiment as a tree: which run came from which data and which other runs",
        "verify": "check every hash of every finished run and of its inputs; exit 1 if one is wrong",
    }
    for command, text in helps.items():
        sub = commands.add_parser(command, help=text, description=text)
        sub.add_argument("name", nargs="?", metavar="NAME", help="one experiment; all if left out")
        sub.add_argument("--runs-dir", default="runs", help="where the experiments are (default: runs)")
        if command != "verify":
            sub.add_argument("--json", action="store_true", help="plain data instead of a picture")
    text = "two runs side by side: what differs in how they were made, and how they came out"
    _add_compare(commands.add_parser("compare", help=text, description=text))
    return parser


def _add_compare(sub: argparse.ArgumentParser) -> None:
    for side in ("a", "b"):
        sub.add_argument(
            side,
            metavar=side.upper(),
            help="NAME/STAGE-NUMBER, NAME for an experiment's newest evaluation, or a run folder",
        )
    sub.add_argument("--runs-dir", default="runs", help="where the experiments are (default: runs)")
    sub.add_argument("--json", action="store_true", help="plain data instead of a picture")
    sub.add_argument(
        "--html",
        metavar="FILE",
        help="also write a page; of two evaluations, with their answers side by side",
    )
