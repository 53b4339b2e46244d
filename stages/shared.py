"""What the stages share: their data, the base model, and the session around a run."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlhf.config import Config
from rlhf.data.cleaning import (
    Converted,
    clean_demonstrations,
    clean_preferences,
    clean_prompts,
    clean_ratings,
    usable,
)
from rlhf.data.encoding import Encoder, make_encoder
from rlhf.data.feedback import dataset_of, is_snapshot, open_snapshot
from rlhf.data.formats import to_demonstrations, to_preferences, to_prompts, to_ratings
from rlhf.data.sources import local_files, read_rows
from rlhf.data.splits import split
from rlhf.demo import world
from rlhf.demo.base_model import base_folder
from rlhf.demo.raters import Rater
from rlhf.errors import ConfigError, DataError
from rlhf.metrics import JoinedLog, MetricsLog
from rlhf.models.loading import context_length, load_policy, load_tokenizer
from rlhf.records import Demonstration, Preference, Prompt, Rating
from rlhf.runs import Artifact, Experiment, JoinedRun, Opened, Run, identity, opened
from rlhf.training.machine import Machine, set_up_machine
from rlhf.training.processes import Processes, join
from rlhf.training.trackers import TrackedRun, make_trackers

T = TypeVar("T", Demonstration, Preference, Prompt, Rating)

EMBEDDED_ROWS = {"demonstrations": 6000, "preferences": 24000, "prompts": 8000, "scores": 0}
MAX_LENGTH_AUTO = 1024
READ_BY = {
    "rm": ("world",),
    "ppo": ("reward", "kl", "rollout"),
    "eval": ("reward", "kl", "rollout", "world"),
    "sample": ("rollout",),
    "study": ("reward", "rollout", "world"),
}
"""Sections of the configuration that only some stages read."""
SHARED_WORK = ("ppo",)
"""Stages that several processes can work on."""
console = Console(stderr=True)


@dataclass(frozen=True)
class Parts(Generic[T]):
    """A dataset, cleaned and split by prompt, with the account of what was left out."""

    train: list[T]
    validation: list[T]
    test: list[T]
    report: dict[str, Any]


@dataclass(frozen=True)
class Session:
    """An open run and what a stage needs to work in it."""

    cfg: Config
    run: Run
    inputs: Mapping[str, Artifact]
    machine: Machine
    log: MetricsLog
    processes: Processes = field(default_factory=Processes)

    @property
    def resolved(self) -> dict[str, Any]:
        """For the manifest: what `auto` became on the machine, and which snapshot of feedback was read."""
        feedback = self.cfg.data.feedback
        return self.machine.resolved | ({"feedback": open_snapshot(feedback).recorded} if feedback else {})

    @property
    def console_of_bar(self) -> Console | None:
        """Where progress goes: as ever in the main process, nowhere in the others."""
        return None if self.processes.is_main else console

    def say(self, text: str) -> None:
        """A line on the console, marked with the stage."""
        console.print(f"{self.cfg.stage.kind}: {text}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def session(
    cfg: Config, inputs: Mapping[str, Artifact], data: tuple[str, ...], more_files: tuple[Path, ...] = ()
) -> Generator[Session]:
    """Opens (or resumes, or finds finished) the run of this command; says which.

    `data` names the datasets that the stage reads ("demonstrations", "preferences", "prompts"); `more_files`
    are other files that decide the result. Of several processes that a launcher started, the main one opens
    the run and writes; the others join it.

    Raises:
        ConfigError: several processes, and the stage is not for them.
        RunError: another command works on the run, or another of its processes has ended.
    """
    processes = _meet(cfg)
    console.quiet = not processes.is_main  # one speaks
    experiment = experiment_of(cfg)
    config = cfg.model_dump(mode="json")
    sources = [source for name in data if (source := source_of(cfg, name))]
    files = [file for source in sources for file in local_files(source)]
    files += more_files
    key = identity(deciding(config, data), inputs, files)
    for artifact in inputs.values():
        console.print(
            f"{cfg.stage.kind}: {artifact.role} is {artifact.path}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def open_run() -> Run:
        return experiment.open(cfg.stage.kind, identity=key, config=config, inputs=inputs, data_files=files)

    with processes.ending_together(), _entered(processes, open_run) as run:
        state = "is finished already" if run.finished else "goes on" if run.resumed else "starts"
        console.print(f"{cfg.stage.kind}: {run.path} {state}", markup=False, highlight=False, soft_wrap=True)
        machine = set_up_machine(cfg)
        if run.finished:
            log = MetricsLog(run.metrics_path) if processes.is_main else JoinedLog(run.metrics_path)
            yield Session(cfg, run, inputs, machine, log, processes)
            return
        saved = run.latest_state()
        first_step = None if not run.resumed else saved[0] + 1 if saved else 0
        tracked = TrackedRun(run.trackers_path, cfg.name, run.path.name, config, first_step)
        log = (
            MetricsLog(run.metrics_path, make_trackers(cfg.trackers, tracked))
            if processes.is_main
            else JoinedLog(run.metrics_path)
        )
        try:
            yield Session(cfg, run, inputs, machine, log, processes)
        finally:
            log.close()


def _meet(cfg: Config) -> Processes:
    """The processes that share the work; ConfigError for a stage that is made by one."""
    count, kind = int(os.environ.get("WORLD_SIZE", "1")), cfg.stage.kind
    if count == 1:
        return Processes()
    if kind not in SHARED_WORK:
        raise ConfigError(
            f"stage={kind} works in one process, and {count} were started; run it by itself, as in "
            f"`python -m rlhf.run stage={kind}`, and {' and '.join(SHARED_WORK)} alone under a launcher"
        )
    return join(set_up_machine(cfg).device)


def _entered(processes: Processes, open_run: Callable[[], Run]) -> Run:
    """The run, which the main process opens and the others join."""
    mine: list[Run] = []

    def open_here() -> Opened:
        mine.append(open_run())
        return opened(mine[0])

    told = processes.from_main(open_here)
    return mine[0] if mine else JoinedRun(told)


def experiment_of(cfg: Config) -> Experiment:
    """The experiment that the command names."""
    return Experiment(Path(cfg.runs_dir), cfg.name)


def deciding(config: dict[str, Any], data: tuple[str, ...]) -> dict[str, Any]:
    """What of the configuration decides this stage's result: another KL coefficient needs no new SFT.

    Inputs count by what they are, not by how the command names them.
    """
    kind = config["stage"]["kind"]
    unread = {"inputs", "reward", "kl", "rollout", "world"} - set(READ_BY.get(kind, ()))
    used = {key: value for key, value in config.items() if key not in unread}
    other = {"feedback"}  # its files count, not where they lie
    if "prompts" not in data:  # which default to the others
        other |= {"demonstrations", "preferences", "prompts", "scores"} - set(data)
    used["data"] = {key: value for key, value in config["data"].items() if key not in other}
    return used


def source_of(cfg: Config, dataset: str) -> str | None:
    """Where a dataset comes from: what is named, else the file of `data.feedback`; None where neither has it.

    Prompts default to those of the preferences, then of the demonstrations, then of the scores.

    Raises:
        DataError: a snapshot is named that is none, or was changed.
    """
    data = cfg.data
    if dataset == "prompts":
        holders = ("preferences", "demonstrations", "scores")
        if data.prompts and not is_snapshot(data.prompts):
            return data.prompts
        if data.prompts:
            return next((file for name in holders if (file := dataset_of(data.prompts, name))), None)
        return next((source for name in holders if (source := source_of(cfg, name))), None)
    named = {"demonstrations": data.demonstrations, "preferences": data.preferences, "scores": data.scores}
    source = named[dataset]
    if source is None and data.feedback is not None:
        open_snapshot(data.feedback)
        source = data.feedback
    return None if source is None else dataset_of(source, dataset)


def load_demonstrations(cfg: Config, encoder: Encoder) -> Parts[Demonstration]:
    """Demonstrations to imitate; DataError when none can be used."""
    return _parts(
        cfg,
        "demonstrations",
        world.demonstrations,
        to_demonstrations,
        lambda c: clean_demonstrations(c, encoder),
    )


def load_preferences(cfg: Config, encoder: Encoder) -> Parts[Preference]:
    """Preference pairs; DataError when none can be used."""
    rater = Rater(cfg.world.rater.gain, cfg.world.rater.length_liking)

    def embedded(count: int, seed: int) -> list[Preference]:
        return world.preferences(count, seed, rater, gold_weights(cfg))

    return _parts(cfg, "preferences", embedded, to_preferences, lambda c: clean_preferences(c, encoder))


def load_ratings(cfg: Config, encoder: Encoder, *, thumbs: bool, scores: bool) -> Parts[Rating]:
    """Single answers with a thumb or a score, of these kinds; DataError when there are none."""

    def embedded(_count: int, _seed: int) -> list[Rating]:
        raise DataError(_nothing(cfg, "scores"))

    return _parts(
        cfg, "scores", embedded, to_ratings, lambda c: clean_ratings(c, encoder, thumbs=thumbs, scores=scores)
    )


def gold_weights(cfg: Config) -> dict[str, float]:
    """What each part of an answer is worth to the gold rater."""
    weights = cfg.world.gold
    return {
        "right": weights.right,
        "kept": weights.kept,
        "courteous": weights.courteous,
        "brief": weights.brief,
        "fresh": weights.fresh,
    }


def load_prompts(cfg: Config, encoder: Encoder, response_length: int) -> Parts[Prompt]:
    """Prompts that leave room for a response; DataError when none can be used.

    Every eighth of the embedded world's test part is of a kind that no training meets: a held-out family, or
    a held-out combination of family and form.
    """
    parts = _parts(
        cfg, "prompts", world.prompts, to_prompts, lambda c: clean_prompts(c, encoder, response_length)
    )
    if source_of(cfg, "prompts"):
        return parts
    held_out = iter(world.held_out_prompts(len(parts.test) // 7, cfg.seed))
    test = [
        prompt
        for number, known in enumerate(parts.test)
        for prompt in ([known, *islice(held_out, 1)] if number % 7 == 6 else [known])
    ]
    return replace(parts, test=test)


def load_base(cfg: Config, machine: Machine) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    """The model that SFT starts from, its tokenizer, and how the manifest names it."""
    path = base_of(cfg)
    model = load_policy(path, trust_remote_code=cfg.model.trust_remote_code)
    return model, load_tokenizer(path, trust_remote_code=cfg.model.trust_remote_code), path


def base_of(cfg: Config) -> str:
    """`model.path`, or where the embedded base model lies."""
    return cfg.model.path or str(base_folder())


def encoder_for(cfg: Config, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Encoder:
    """The one encoder of this configuration, its length limited by the model's context."""
    wanted = cfg.data.max_length
    length = min(context_length(model), MAX_LENGTH_AUTO if wanted == "auto" else wanted)
    stop_ids = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return make_encoder(tokenizer, length, template=cfg.data.template, stop_ids=stop_ids)


def _parts(
    cfg: Config,
    dataset: str,
    embedded: Callable[[int, int], list[T]],
    convert: Callable[[Any], Converted[T]],
    clean: Callable[[Converted[T]], Converted[T]],
) -> Parts[T]:
    data = cfg.data
    source = source_of(cfg, dataset)
    if source is None and (data.feedback or getattr(data, dataset)):
        raise DataError(_nothing(cfg, dataset))
    if source is None:
        count = min(data.limit or EMBEDDED_ROWS[dataset], EMBEDDED_ROWS[dataset])
        records = embedded(count, cfg.seed)
        converted = Converted(records, [f"embedded:{number}" for number in range(count)], [])
    else:
        converted = convert(read_rows(source, limit=data.limit, separator=data.separator))
    cleaned = clean(converted)
    what = f"data.{dataset}={source}" if source else f"embedded {dataset}"
    console.print(
        f"{cfg.stage.kind}: {usable(cleaned, what).text(what)}", markup=False, highlight=False, soft_wrap=True
    )
    shares = {
        "train": 1.0 - data.validation_fraction - data.test_fraction,
        "validation": data.validation_fraction,
        "test": data.test_fraction,
    }
    parts = split(cleaned.records, shares, salt="part")
    return Parts(parts["train"], parts["validation"], parts["test"], cleaned.report())


def _nothing(cfg: Config, dataset: str) -> str:
    """What to say where a snapshot, or a snapshot named for one dataset, holds nothing of it."""
    where = getattr(cfg.data, dataset) or cfg.data.feedback
    return (
        f"{where}: nobody gave {dataset} there; name others, data.{dataset}=FILE, or export a campaign that "
        "asks for them"
    )
