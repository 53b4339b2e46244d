"""A run by the words that a person types for it."""

from pathlib import Path

from rlhf.errors import InputError
from rlhf.runs.folder import RunFolder, experiment_folders, read_folder, run_folders


def find_run(runs_dir: Path, named: str) -> RunFolder:
    """The run that is named: `demo/ppo-1`, a run folder's path, or an experiment for its newest evaluation.

    Raises:
        InputError: there is none, it cannot be read, or the experiment has no finished evaluation.
    """
    places = (runs_dir / named, Path(named).expanduser())
    run = next((run for place in places if (run := read_folder(place))), None)
    if run is None:
        within = next((runs for place in places if (runs := run_folders(place))), None)
        run = _newest_evaluation(named, within) if within else None
    if run is None:
        raise InputError(f"{named} names no run. {_known(runs_dir, named)}")
    if run.problem:
        raise InputError(run.problem)
    return run


def _newest_evaluation(experiment: str, runs: list[RunFolder]) -> RunFolder:
    finished = [run for run in runs if run.manifest and run.manifest.kind == "evaluation"]
    if finished:
        return finished[-1]
    name = experiment.rstrip("/")
    there = ", ".join(f"{name}/{run.path.name}" for run in runs[-8:])
    raise InputError(
        f"{experiment} is an experiment without a finished evaluation; evaluate it "
        f"(python -m rlhf.run stage=eval name={Path(name).name}), or name one of its runs: {there}"
    )


def _known(runs_dir: Path, named: str) -> str:
    """What there is instead: the runs of that experiment, or the experiments."""
    runs = run_folders((runs_dir / named).parent) if "/" in named else []
    if runs:
        names = ", ".join(f"{run.path.parent.name}/{run.path.name}" for run in runs[-8:])
        return f"That experiment has: {names}"
    there = ", ".join(path.name for path in experiment_folders(runs_dir)[:8]) or "none"
    return (
        f"Name one as NAME/STAGE-NUMBER, an experiment, or a run folder; experiments in {runs_dir}: {there} "
        "(--runs-dir looks elsewhere)"
    )
