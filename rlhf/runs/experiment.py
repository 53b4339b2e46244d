"""An experiment: a folder of runs that build on one another, and the door through which a stage enters."""

import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, overload

import yaml

from rlhf.errors import InputError, RunError
from rlhf.runs.artifact import Artifact
from rlhf.runs.disk import disk_errors, remove, sync_folder, sync_tree, write_atomic
from rlhf.runs.folder import RunFolder, last_number, run_folders
from rlhf.runs.identity import hash_data_files
from rlhf.runs.lock import Held, Lock, exclusive
from rlhf.runs.manifest import LOCK, OPENING, Opening, changed_file
from rlhf.runs.names import check_name, command_for, verify_command
from rlhf.runs.plain import plain
from rlhf.runs.resolve import resolve
from rlhf.runs.run import Run

CONFIG = "config.yaml"


class Experiment:
    """The runs under `runs_dir/<name>/`. Nothing is made on the disk before a run is opened."""

    def __init__(self, runs_dir: Path | str, name: str) -> None:
        """Name an experiment, there already or not.

        Raises:
            ConfigError: the name cannot be a folder's.
        """
        self.runs_dir = Path(runs_dir)
        self.name = check_name(name)
        self.path = self.runs_dir / self.name

    def runs(self) -> list[RunFolder]:
        """Every run of the experiment, oldest first."""
        return run_folders(self.path)

    @overload
    def resolve(
        self, role: str, named: str | None = None, *, stage: str, required: Literal[True] = True
    ) -> Artifact: ...

    @overload
    def resolve(
        self, role: str, named: str | None = None, *, stage: str, required: bool
    ) -> Artifact | None: ...

    def resolve(
        self, role: str, named: str | None = None, *, stage: str, required: bool = True
    ) -> Artifact | None:
        """The input that a stage takes in a role: the one named, else the newest finished one here.

        Args:
            role: policy, reference, reward_model, critic, baseline, judge, preferences or samples.
            named: a run folder (also `sft-1` of this experiment, or `other/sft-1` of this runs folder), a
                plain model folder, or a hub id. Reference, critic and judge are only ever named.
            stage: the stage that asks; `rm` and `ppo` take policies made by `sft` alone.
            required: without it, None where nothing is named and nothing is there.

        Raises:
            InputError: nothing there, unfinished, changed since, or of the wrong kind; says what to run.
        """
        return resolve(self.runs_dir, self.name, role, named, stage=stage, required=required)

    def command(self, stage: str) -> str:
        """The command that makes a run of a stage in this experiment, as far as it is known here."""
        return command_for(stage, self.name, self.runs_dir)

    def open(
        self,
        stage: str,
        *,
        identity: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, Artifact] | None = None,
        data_files: Iterable[Path] | Mapping[str, str] = (),
        command: str | None = None,
    ) -> Run:
        """Enter a run: resume the unfinished one of this identity, report the finished one, or begin one.

        Args:
            stage: lower-case letters, digits and underscores; part of the folder's name.
            identity: what `rlhf.runs.identity` made of configuration, inputs and data.
            config: the resolved configuration, written to `config.yaml`.
            inputs: by role.
            data_files: paths, or what `hash_data_files` made of them.
            command: the command line that resumes the run, for messages; by default stage and name alone.

        Raises:
            RunError: another process works on the same run; the disk is full; the folder cannot be written.
            InputError: the run was finished, and its files have changed since.
        """
        opening = Opening(
            identity=identity,
            stage=stage,
            experiment=self.name,
            number=1,
            created=datetime.now(UTC),
            command=command or self.command(stage),
            inputs={role: artifact.record(self.runs_dir) for role, artifact in (inputs or {}).items()},
            data_files=hash_data_files(data_files),
        )
        self._make_folder()
        with disk_errors(self.path), exclusive(self.path / ".lock"):
            for leftover in self.path.glob(".new-*"):
                remove(leftover)
            same = self._same(stage, identity)
            if same is None:
                return self._begin(opening, config)
            if same.manifest is None:
                return _resume(same, opening, config)
        return self._report(same, opening)

    def _make_folder(self) -> None:
        try:
            with disk_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be made ({error.strerror}).\n"
                f"Choose a folder that you may write to: runs_dir=FOLDER."
            ) from None

    def _same(self, stage: str, identity: str) -> RunFolder | None:
        """The run of this identity, a finished one before others.

        Folders whose own files cannot be read are not looked into: their numbers stay taken.
        """
        runs = [
            run for run in self.runs() if run.stage == stage and run.identity == identity and not run.problem
        ]
        return max(runs, key=lambda run: (run.manifest is not None, run.number), default=None)

    def _begin(self, opening: Opening, config: Mapping[str, Any]) -> Run:
        """Make the folder under a passing name, then give it its number: a kill leaves none half-made."""
        opening = opening.model_copy(update={"number": last_number(self.path, opening.stage) + 1})
        path = self.path / f"{opening.stage}-{opening.number}"
        fresh = self.path / f".new-{secrets.token_hex(8)}"
        fresh.mkdir()
        lock = Lock(fresh / LOCK)
        try:
            _write_config(fresh, config)
            write_atomic(fresh / OPENING, opening.model_dump_json(indent=1).encode() + b"\n")
            sync_tree(fresh)
            os.rename(fresh, path)
            sync_folder(self.path)
        except BaseException:
            lock.release()
            remove(fresh)
            raise
        return Run(path, opening, lock, resumed=False)

    def _report(self, folder: RunFolder, opening: Opening) -> Run:
        """A run that was made before, if it is still what it was."""
        assert folder.manifest is not None
        change = changed_file(folder.path, folder.manifest)
        if change:
            raise InputError(
                f"this run was made before, and {change}.\n"
                f"`{verify_command(self.name, self.runs_dir)}` says what else changed; "
                f"delete {folder.path} to make the run again."
            )
        run = Run(folder.path, folder.opening or opening, None, resumed=False, manifest=folder.manifest)
        run.drop_states()  # which a kill may have left right after the manifest
        return run


def _resume(folder: RunFolder, opening: Opening, config: Mapping[str, Any]) -> Run:
    assert folder.opening is not None
    try:
        lock = Lock(folder.path / LOCK)
    except Held as held:
        raise RunError(
            f"{folder.path} is being worked on by another process ({held.holder}).\n"
            f"Wait until it ends, or stop it and run the same command again to resume; "
            f"another seed=... or name=... begins a run of its own."
        ) from None
    try:
        _write_config(folder.path, config)
    except BaseException:
        lock.release()
        raise
    resumed = folder.opening.model_copy(update={"command": opening.command})
    return Run(folder.path, resumed, lock, resumed=True)


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(plain(config), allow_unicode=True, sort_keys=False)
    write_atomic(folder / CONFIG, text.encode("utf-8", errors="surrogatepass"))
