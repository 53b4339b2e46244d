"""What is compared: the sizes of the world and of the loop, and each arm as words of the loop's command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from scripts.overoptimization.world import LENGTH

RESPONSE_LENGTH = LENGTH + 1  # the end is a token too
BETA = 0.05
ENSEMBLE = 4
HELD_OUT = ("data.validation_fraction=0.05", "data.test_fraction=0.05")
BASE = "rounds"  # what every other arm is held against
ONCE = "one shot"


@dataclass(frozen=True)
class Size:
    """How much of everything; `options` are words of the loop's command."""

    demonstrations: int
    prompts: int  # that the loop samples from, trains PPO on and judges by, each its own part
    pool_prompts: int
    pool_answers: int  # a prompt, by which the end is measured
    first: int  # judgements
    later: int  # judgements of each further round
    rounds: int
    step: int  # judgements of a stream's step
    replay: int  # older rows beside those of a step
    episodes: int  # of PPO, a round
    judging: int  # prompts by which a candidate is judged
    labels: int  # judgements, where labels alone are compared
    raters: int  # who give them
    options: tuple[str, ...]
    sft: tuple[str, ...]
    rm: tuple[str, ...]

    @property
    def label_prompts(self) -> int:
        """For `labels` pairs that gold tells apart; it values two answers alike now and then."""
        return ceil(1.1 * self.labels)

    @property
    def judgements(self) -> int:
        """Of all rounds."""
        return self.first + (self.rounds - 1) * self.later


FULL = Size(
    demonstrations=16000,
    prompts=16384,
    pool_prompts=128,
    pool_answers=64,
    first=4000,
    later=1000,
    rounds=5,
    step=125,
    replay=375,
    episodes=40960,
    judging=400,
    labels=8000,
    raters=30,
    options=(
        "stage.ppo.learning_rate=3e-4",  # 1e-3 goes past gold's rise
        "stage.ppo.batch_size=512",
        "stage.ppo.minibatch_size=128",
        "stage.ppo.epochs=2",
        "stage.ppo.eval_every=4",
        "stage.ppo.eval_prompts=512",
        "stage.ppo.save_every=20",
        "stage.rm.batch_size=32",
        "stage.rm.learning_rate=1e-3",
    ),
    sft=("stage.epochs=2", "stage.batch_size=64", "stage.learning_rate=2e-3"),
    rm=("stage.batch_size=32", "stage.learning_rate=1e-3"),
)
TINY = Size(
    demonstrations=256,
    prompts=512,
    pool_prompts=8,
    pool_answers=16,
    first=48,
    later=24,
    rounds=2,
    step=12,
    replay=134,
    episodes=128,
    judging=12,
    labels=72,
    raters=6,
    options=(
        "stage.ppo.learning_rate=3e-4",
        "stage.ppo.batch_size=64",
        "stage.ppo.minibatch_size=32",
        "stage.ppo.epochs=1",
        "stage.ppo.eval_every=1",
        "stage.ppo.eval_prompts=16",
        "stage.rm.batch_size=16",
        "stage.rm.learning_rate=1e-3",
        "stage.rm.max_steps=4",
    ),
    sft=("stage.epochs=1", "stage.batch_size=32", "stage.learning_rate=2e-3"),
    rm=("stage.batch_size=16", "stage.learning_rate=1e-3", "stage.max_steps=4"),
)
SIZES = {"full": FULL, "tiny": TINY}


@dataclass(frozen=True)
class Arm:
    """One way to spend the judgements and the episodes of PPO, which are as many in every arm."""

    name: str
    says: str
    at_once: bool = False
    streams: bool = False
    words: tuple[str, ...] = field(default=())

    def of(self, size: Size) -> tuple[str, ...]:
        """The words that make the loop this arm."""
        rounds = 1 if self.at_once else size.rounds
        first = size.judgements if self.at_once else size.first
        episodes = size.episodes * (size.rounds if self.at_once else 1)
        return (
            f"stage.rounds={rounds}",
            f"stage.first_budget={first}",
            f"stage.budget={size.later}",
            f"stage.ppo.total_episodes={episodes}",
            *(_stream(size) if self.streams else ()),
            *self.words,
        )


def _stream(size: Size) -> tuple[str, ...]:
    """Steps whose episodes come to those of the rounds, and a queue that no step leaves anything in."""
    return (
        "stage.mode=streaming",
        "stage.reward_model=continued",
        f"stage.step_judgements={size.step}",
        f"stage.queue={size.step}",
        f"stage.replay={size.replay}",
    )


def _strategy(name: str, says: str, ensemble: int = 1) -> Arm:
    return Arm(name, says, words=(f"stage.strategy={name}", f"stage.rm.ensemble={ensemble}"))


ARMS: Mapping[str, tuple[Arm, ...]] = {
    "a": (
        Arm(BASE, "rounds, pairs by chance"),
        Arm(ONCE, "all judgements at once", at_once=True),
    ),
    "b": (
        Arm(BASE, "rounds, pairs by chance"),
        _strategy("uncertainty", "rounds, pairs of like scores"),
        _strategy("disagreement", "rounds, pairs on which an ensemble disagrees", ENSEMBLE),
        _strategy("information", "rounds, pairs by information and distance", ENSEMBLE),
    ),
    "d": (
        Arm(BASE, "rounds, pairs by chance"),
        Arm("streaming", "small steps, both models continued", streams=True),
    ),
}


def words_of(size: Size) -> tuple[str, ...]:
    """What every arm's command says: the loop waits for raters; PPO begins anew from the SFT policy."""
    return (
        "stage=loop",
        "stage.raters=people",
        "stage.wait=false",
        "stage.judge=people",
        f"stage.ask_people={size.judging}",
        "stage.evaluation_share=0.1",
        "stage.opponent=mixed",
        "stage.reward_model=anew",
        "stage.start=sft",
        "stage.rm.judge_share=0",
        f"stage.ppo.response_length={RESPONSE_LENGTH}",
        "stage.ppo.temperature=1.0",
        f"stage.eval.num_prompts={size.judging}",
        f"stage.eval.response_length={RESPONSE_LENGTH}",
        "stage.eval.temperature=1.0",
        f"kl.coef={BETA}",
        "rollout.batch_size=512",
        *HELD_OUT,
        *size.options,
    )
