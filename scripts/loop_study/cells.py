"""A cell is one arm and one seed: the real loop to its end, and its policies' gold. It is run once.

`result.json` is written last, in the cell's own folder; a cell that was stopped goes on where it was.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlhf.runs.loop_record import LoopRecord, RoundRecord, read_loop_record
from scripts.loop_study.arms import RESPONSE_LENGTH, Arm, Size, words_of
from scripts.loop_study.raters import answer
from scripts.measuring.chains import chain
from scripts.overoptimization.measure import Scale, golds
from scripts.overoptimization.runs import COMMON, HELD_OUT, last_words
from scripts.overoptimization.world import read_rows, write_world

RESULT = "result.json"


@dataclass(frozen=True)
class Round:
    """One round of a loop. Gold is in deviations above the SFT policy's answers to the same prompts."""

    number: int
    judgements: int
    """Of this round and those before, for reward models and their evaluation."""
    candidate: float
    incumbent: float
    win_rate: float
    promoted: bool
    kl_nats: float
    accuracy: float
    """Of the reward model, on this round's random slice."""


@dataclass(frozen=True)
class Cell:
    """What one arm came to with one seed; `gold` is of the last incumbent, on prompts of their own."""

    arm: str
    seed: int
    gold: float
    judgements: int
    episodes: int
    rounds: tuple[Round, ...]


@dataclass(frozen=True)
class World:
    """One seed's files and SFT policy, which all arms share."""

    folder: Path
    seed: int
    size: Size
    more: Sequence[str] = ()
    """Further words of the loop's command."""

    def file(self, name: str) -> Path:
        """A file of the world."""
        return self.folder / "world" / f"{name}.jsonl"

    def run(self, label: str, *words: str) -> Path:
        """The finished run folder of a command in an experiment of its own. Raises RuntimeError."""
        command = self.command(*words)
        name = named(label, command)
        ran = chain(name, [command], self.folder)
        if ran.failed:
            raise RuntimeError(ran.failed)
        return self.folder / name / list(ran.figures)[-1]

    def command(self, *words: str) -> list[str]:
        """The words with those that every command has; of several values of a key the last."""
        return last_words([*COMMON, f"seed={self.seed}", *words])

    def sft(self) -> Path:
        """The SFT policy; writes the world first."""
        size = self.size
        counts = {
            "demonstrations": size.demonstrations,
            "prompts": size.prompts,
            "pool_prompts": size.pool_prompts,
            "label_prompts": size.label_prompts,
        }
        if not self.file("label_prompts").is_file():
            write_world(self.folder / "world", self.seed, counts)
        base = self.folder / "world" / "base"
        data = f"data.demonstrations={self.file('demonstrations')}"
        return self.run("sft", "stage=sft", f"model.path={base}", data, *HELD_OUT, *size.sft)

    def sample(self, label: str, policy: Path, prompts: str, count: int, answers: int) -> Path:
        """`answers` of a policy to each of the first `count` prompts of a file of the world."""
        return self.run(
            label,
            "stage=sample",
            f"inputs.policy={policy}",
            f"data.prompts={self.file(prompts)}",
            "data.validation_fraction=0",
            "data.test_fraction=0",
            f"stage.num_prompts={count}",
            f"stage.answers={answers}",
            f"stage.response_length={RESPONSE_LENGTH}",
            "stage.temperature=1.0",
            "rollout.batch_size=512",
        )

    def pool(self, label: str, policy: Path) -> list[dict[str, Any]]:
        """A policy's answers to the prompts by which ends are measured."""
        size = self.size
        folder = self.sample(label, policy, "pool_prompts", size.pool_prompts, size.pool_answers)
        return read_rows(folder / "samples.jsonl")


def cell(world: World, arm: Arm) -> Cell:
    """The cell's result: read where it is there, else run."""
    policy = world.sft()
    data = (f"inputs.policy={policy}", f"data.prompts={world.file('prompts')}")
    command = world.command(*words_of(world.size), *arm.of(world.size), *data, *world.more)
    name = named(arm.name.replace(" ", "-"), command)
    file = world.folder / name / RESULT
    if file.is_file():
        return cell_of(json.loads(file.read_text(encoding="utf-8")))
    loop, record = run_to_end(name, command, world.folder, world.seed)
    scale = Scale.of(golds(world.pool("pool-sft", policy)))
    last = world.folder / name / record.incumbent.run  # an absolute path stays what it is
    end = float(golds(world.pool(f"pool-{name}", last)).mean())
    spoken = world.size.episodes * (world.size.rounds if arm.at_once else 1) * len(record.rounds)
    found = Cell(
        arm.name,
        world.seed,
        scale.gained(end),
        sum(one.judgements for one in record.rounds),
        spoken,
        tuple(_round(loop.parent, record, one, scale) for one in record.rounds),
    )
    write_last(file, asdict(found))
    return found


def run_to_end(name: str, command: Sequence[str], folder: Path, seed: int) -> tuple[Path, LoopRecord]:
    """Gives the command, judges what it waits for, and gives it again, until a rule has ended the loop.

    Raises:
        RuntimeError: the command failed, or waits for nothing that could be given.
    """
    while True:
        ran = chain(name, [command], folder)
        if ran.failed:
            raise RuntimeError(ran.failed)
        (loop,) = (folder / name).glob("loop-*")
        record = read_loop_record(loop)
        if record is None:
            raise RuntimeError(f"{loop} has no record after a command that succeeded")
        if record.ended:
            return loop, record
        if not answer(folder / name, loop, record, seed):
            raise RuntimeError(f"{loop} waits for judgements, and its campaign asks for none")


def named(label: str, command: Sequence[str]) -> str:
    """An experiment's name, another for other words."""
    return f"{label}-{hashlib.sha256(' '.join(command).encode()).hexdigest()[:8]}"


def write_last(file: Path, content: Any) -> None:
    """JSON, whole or not there."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.rename(file)


def cell_of(plain: dict[str, Any]) -> Cell:
    """What `asdict` made plain."""
    rounds = tuple(Round(**one) for one in plain.pop("rounds"))
    return Cell(**plain, rounds=rounds)


def _round(experiment: Path, record: LoopRecord, one: RoundRecord, scale: Scale) -> Round:
    rows = read_rows(experiment / one.runs["eval"] / "samples.jsonl")
    candidate, incumbent = (
        golds([{"prompt": row["prompt"], "response": row[side]["response"]} for row in rows]).mean()
        for side in ("policy", "baseline")
    )
    assert one.win_rate is not None
    assert one.kl_nats is not None
    return Round(
        one.number,
        sum(other.judgements for other in record.rounds[: one.number]),
        scale.gained(float(candidate)),
        scale.gained(float(incumbent)),
        one.win_rate,
        bool(one.promoted),
        one.kl_nats,
        one.rm_accuracy[one.number].accuracy if one.number in one.rm_accuracy else float("nan"),
    )
