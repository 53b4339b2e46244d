"""The commands of one seed: `python -m rlhf.run` itself, each in an experiment of its own.

A command that has run to its end before is reported by the product and not run again; one that was stopped
goes on. So the whole study may be stopped and started at will.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.measuring.chains import chain
from scripts.overoptimization.world import LENGTH, labelled, read_rows, write_rows, write_world

VALIDATION_SHARE = 0.5  # of the pairs: the model that picks the checkpoint gets as many as the one maximised
HELD_OUT = ("data.validation_fraction=0.03", "data.test_fraction=0.02")
TRAINED = 0.95  # what is left of the pairs by HELD_OUT
TIES = 0.98  # share of the pairs of answers that gold tells apart, at least
STAGES = ("sft", "sample", "rm", "ppo")
COMMON = ("device=cpu", "precision=fp32", "trackers=[]")
SPOKEN = (f"stage.response_length={LENGTH + 1}", "stage.temperature=1.0", "rollout.batch_size=512")
REWARDS = {  # an ensemble by the name of reward.combine
    "model": ("reward=model",),
    "min": ("reward=ensemble", "reward.combine=min"),
    "mean_minus_std": ("reward=ensemble", "reward.combine=mean_minus_std"),
}


@dataclass(frozen=True)
class Size:
    """How much of everything; `options` of each stage, as words of its command."""

    demonstrations: int
    ppo_prompts: int
    pool_prompts: int
    pool_answers: int  # a prompt: of these the best of n is taken
    picked_answers: int  # a prompt of the pool, from the policy that the rule picks
    ensemble: int
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def largest_n(self) -> int:
        """The pool holds each best-of-n eight times: larger n would hang on single answers."""
        return self.pool_answers // 8


FULL = Size(
    demonstrations=16000,
    ppo_prompts=8192,
    pool_prompts=128,
    pool_answers=2048,
    picked_answers=64,
    ensemble=4,
    options={
        "sft": ("stage.epochs=2", "stage.batch_size=64", "stage.learning_rate=2e-3"),
        "rm": ("stage.batch_size=32", "stage.learning_rate=1e-3", "stage.epochs=6"),
        "ppo": (
            "stage.learning_rate=1e-3",
            "stage.total_episodes=81920",
            "stage.batch_size=512",
            "stage.minibatch_size=128",
            "stage.epochs=2",
            "stage.eval_every=4",
            "stage.eval_prompts=2048",
            "stage.save_every=20",
            "data.validation_fraction=0.3",
            "data.test_fraction=0",
        ),
    },
)
TINY = Size(
    demonstrations=256,
    ppo_prompts=192,
    pool_prompts=4,
    pool_answers=128,
    picked_answers=4,
    ensemble=2,
    options={
        "sft": ("stage.epochs=1", "stage.batch_size=32", "stage.learning_rate=2e-3"),
        "rm": ("stage.batch_size=32", "stage.learning_rate=1e-3"),
        "ppo": (
            "stage.learning_rate=3e-4",
            "stage.total_episodes=384",
            "stage.batch_size=64",
            "stage.minibatch_size=32",
            "stage.epochs=1",
            "stage.eval_every=1",
            "stage.eval_prompts=64",
            "data.validation_fraction=0.5",
            "data.test_fraction=0",
        ),
    },
)
SIZES = {"full": FULL, "tiny": TINY}


@dataclass(frozen=True)
class PpoRun:
    """A run folder, and what it was trained on."""

    reward: str
    beta: float
    folder: Path


@dataclass(frozen=True)
class SeedRuns:
    """The finished run folders of one seed."""

    policy: Path
    pool: Path
    reward_models: Mapping[int, Path]  # by the number of pairs
    maximised: Path  # the reward models of PPO: an ensemble, and the one that picks
    ppo: tuple[PpoRun, ...]


@dataclass(frozen=True)
class Commands:
    """Runs commands of one seed under `folder`."""

    folder: Path
    seed: int
    size: Size
    more: Sequence[str] = ()

    def run(self, label: str, stage: str, *words: str) -> Path:
        """The finished run folder of a command.

        Raises:
            RuntimeError: the command failed; it has said why.
        """
        own = self.size.options.get(stage, ())
        more = words_of(stage, self.more)
        command = last_words([f"stage={stage}", *words, *own, *COMMON, f"seed={self.seed}", *more])
        name = f"{label}-{hashlib.sha256(' '.join(command).encode()).hexdigest()[:8]}"
        ran = chain(name, [command], self.folder)
        if ran.failed:
            raise RuntimeError(ran.failed)
        return self.folder / name / list(ran.figures)[-1]

    def sample(self, label: str, policy: Path, prompts: str, count: int, answers: int) -> Path:
        """`answers` of a policy to each of the first `count` prompts of a file of the world."""
        return self.run(
            label,
            "sample",
            f"inputs.policy={policy}",
            f"data.prompts={self.file(prompts)}",
            "data.validation_fraction=0",
            "data.test_fraction=0",
            f"stage.num_prompts={count}",
            f"stage.answers={answers}",
            *SPOKEN,
        )

    def file(self, name: str) -> Path:
        """A file of the world."""
        return self.folder / "world" / f"{name}.jsonl"


def words_of(stage: str, more: Sequence[str]) -> list[str]:
    """Of `key=value`, for every stage, and `STAGE:key=value`, for that one, what goes to a stage."""
    parted = [word.partition(":") for word in more]
    return [
        word if name not in STAGES else rest
        for word, (name, _, rest) in zip(more, parted, strict=True)
        if name not in STAGES or name == stage
    ]


def last_words(words: Sequence[str]) -> list[str]:
    """Of several values of a key the last, where the first stood."""
    return list({word.partition("=")[0]: word for word in words}.values())


def rows_for(pairs: int, validation_share: float) -> int:
    """How many rows a file of preferences has so that `pairs` of them train the reward model, on average."""
    return math.ceil(pairs / (TRAINED * (1.0 - validation_share)))


def run_seed(
    commands: Commands,
    pairs: Sequence[int],
    policy_pairs: int,
    betas: Sequence[float],
    ensemble_betas: Sequence[float],
) -> SeedRuns:
    """SFT, answers labelled by gold, reward models, PPO against one of them and against ensembles."""
    size = commands.size
    wanted = max(rows_for(policy_pairs, VALIDATION_SHARE), *(rows_for(count, 0.0) for count in pairs))
    asked = math.ceil(wanted / TIES)
    counts = {
        "demonstrations": size.demonstrations,
        "pair_prompts": asked,
        "ppo_prompts": size.ppo_prompts,
        "pool_prompts": size.pool_prompts,
    }
    write_world(commands.folder / "world", commands.seed, counts)
    base, demonstrations = commands.folder / "world" / "base", commands.file("demonstrations")
    policy = commands.run(
        "sft", "sft", f"model.path={base}", f"data.demonstrations={demonstrations}", *HELD_OUT
    )
    answers = commands.sample("pairs", policy, "pair_prompts", asked, answers=2)
    preferences = labelled(read_rows(answers / "samples.jsonl"))
    if len(preferences) < wanted:
        raise RuntimeError(
            f"gold tells only {len(preferences)} of {asked} pairs of answers apart, and {wanted} are needed; "
            "the policy says too much of the same"
        )

    def reward_model(label: str, count: int, share: float, *words: str) -> Path:
        rows = rows_for(count, share)
        file = commands.file(f"preferences-{rows}")
        write_rows(file, preferences[:rows])
        shares = (f"stage.validation_share={share}", "stage.judge_share=0")
        data = (f"inputs.policy={policy}", f"data.preferences={file}", *HELD_OUT)
        return commands.run(label, "rm", *data, *shares, *words)

    reward_models = {count: reward_model(f"rm-{count}", count, 0.0) for count in pairs}
    ensemble = f"stage.ensemble={size.ensemble}"
    maximised = reward_model("rm-of-ppo", policy_pairs, VALIDATION_SHARE, ensemble)
    pool = commands.sample("pool", policy, "pool_prompts", size.pool_prompts, size.pool_answers)
    kinds = [("model", beta) for beta in betas]
    kinds += [(reward, beta) for beta in ensemble_betas for reward in REWARDS if reward != "model"]
    inputs = (f"inputs.policy={policy}", f"inputs.reward_model={maximised}")
    prompts = f"data.prompts={commands.file('ppo_prompts')}"
    ppo = tuple(
        PpoRun(
            reward,
            beta,
            commands.run(
                f"ppo-{reward}-{beta:g}",
                "ppo",
                *inputs,
                prompts,
                *REWARDS[reward],
                f"kl.coef={beta}",
                *SPOKEN,
            ),
        )
        for reward, beta in kinds
    )
    return SeedRuns(policy, pool, reward_models, maximised, ppo)
