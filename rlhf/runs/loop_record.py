"""What the online loop has decided so far: `loop.json` in its run folder, written by rename after each step.

With the runs of the experiment and the feedback store it is enough to go on from; the report and the page are
made from it alone. Nothing here is the live state of a process: every decision is written down before it is
acted upon.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rlhf.errors import InputError

LOOP_RECORD = "loop.json"

Status = Literal["sampling", "selecting", "waiting", "learning", "improving", "judging", "done"]
Ending = Literal["target", "budget", "patience", "rounds"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Slice(_Frozen):
    """How often a reward model agrees with the raters on one round's random pairs."""

    count: int
    correct: float
    """Pairs on which it prefers what the raters preferred, of `count`; a tie of its scores counts half."""
    low: float
    """95 % interval of the share `correct / count`."""
    high: float

    @property
    def accuracy(self) -> float:
        """The share that it has right, 0 to 1; 0 where the slice is empty."""
        return self.correct / self.count if self.count else 0.0


class Guard(_Frozen):
    """One thing that a candidate must not make worse."""

    value: float
    limit: float
    ok: bool


class PolicyEntry(_Frozen):
    """A policy that was the incumbent at some time."""

    label: str
    """`sft`, or `round-N` of the round that made it, in a stream `step-N`."""
    run: str
    """Its run folder, or the model folder or hub id that was named."""
    fingerprint: str
    """SHA-256 of its weights; `hub:` and the id for a model of the hub."""


class SampleShown(_Frozen):
    """One prompt that every round's policy answers, to be looked at side by side."""

    prompt: str
    answers: dict[str, str] = {}
    """By policy label; the candidate of each round is there, promoted or not."""
    gold: dict[str, float] | None = None
    """Gold scores by policy label; in simulation only."""


class Waiting(_Frozen):
    """How far the judgements of a round have come."""

    judgements: int
    needed: int
    per_hour: float | None = None
    """Since the round's first judgement; None before there is a rate."""
    expected_end: datetime | None = None
    since: datetime | None = None
    """When the waiting began."""
    seen: datetime | None = None
    """When it was so."""


class EndingRules(_Frozen):
    """What ends the loop, as `stage.` said it last; None leaves a rule out."""

    target_win_rate: float | None = None
    max_judgements: int | None = None
    patience: int | None = None
    rounds: int | None = None


class StepRecord(_Frozen):
    """One step of a stream (`mode` streaming): pairs of the newest policy, new judgements, learning."""

    number: int
    """Counts the steps of the whole loop, from 1."""
    policy: PolicyEntry
    """The newest policy when the step began: it answers for the page, and PPO goes on from it."""
    asks: int
    """Pairs that are to be put before raters, beside those that still wait."""
    needed: int
    """New judgements that it waits for."""
    items: int = 0
    """Pairs that it put before raters."""
    evaluation_items: int = 0
    after: int = 0
    """Number of the last judgement that earlier steps took, in the store; 0 before the first."""
    upto: int | None = None
    """Number of the last judgement that this one takes: all between the two are its own."""
    judgements: int = 0
    """How many more there are by them; what was corrected is none more, what was taken back one fewer."""
    snapshot_sha256: str | None = None
    learnt: int = 0
    """Rows of new pairs that its reward model learnt from."""
    replayed: int = 0
    """Rows of older pairs among them."""
    rm_accuracy: Slice | None = None
    """Its reward model on the random pairs of its round, as far as they were judged."""
    runs: dict[str, str] = {}
    """Folders by stage: sample, rm, ppo. Without new pairs to learn from, the rm of the step before."""
    made: PolicyEntry | None = None
    """What PPO made of the policy; None until the step is done."""
    kl_nats: float | None = None
    started: datetime
    seconds: dict[str, float] = {}


class RoundRecord(_Frozen):
    """One round, as far as it has come. Of a stream: what lies between two tests of the newest policy."""

    number: int
    status: Status = "sampling"
    incumbent: str
    """Label of the policy that the round's candidate is measured against."""

    strategy: str
    budget: int
    """Judgements that the round asks for, those of the random slice among them."""
    raters_per_item: int
    guidelines_version: int | None = None
    guidelines_sha256: str | None = None
    campaign: str
    """Its name in the feedback store."""
    evaluation_items: int = 0
    """Pairs of the random slice, which no strategy chose and no reward model learns from."""
    items: int = 0
    """All pairs put before raters, the random slice among them."""
    judgements: int = 0
    waiting: Waiting | None = None

    agreement: float | None = None
    """Krippendorff's alpha of the round's judgements; None where no item has two."""
    rater_skill: dict[str, float] = {}
    """Estimated probability of being right, by pseudonym."""
    runs: dict[str, str] = {}
    """Folders by stage: sample, rm, ppo, eval; of a stream those of the newest step."""
    steps: list[StepRecord] = []
    """Of a stream; empty in rounds."""
    snapshot_sha256: str | None = None
    rm_accuracy: dict[int, Slice] = {}
    """Of the round's reward model on the random slice of this and every earlier round, by its number."""

    win_rate: float | None = None
    """Candidate against incumbent on held-out prompts, ties half; with its 95 % interval."""
    win_low: float | None = None
    win_high: float | None = None
    judged_by: str | None = None
    gold_win_rate: float | None = None
    gold_win_low: float | None = None
    gold_win_high: float | None = None
    gold_score: float | None = None
    """The candidate's mean gold score with its 95 % interval; None outside simulation."""
    gold_score_low: float | None = None
    gold_score_high: float | None = None
    gold_score_incumbent: float | None = None
    human_win_rate: float | None = None
    human_win_low: float | None = None
    human_win_high: float | None = None
    human_judgements: int = 0
    kl_nats: float | None = None
    """KL of the candidate from the SFT policy, per response."""
    guards: dict[str, Guard] = {}

    candidate: PolicyEntry | None = None
    promoted: bool | None = None
    why: str = ""
    why_zh: str = ""

    started: datetime
    ended: datetime | None = None
    seconds: dict[str, float] = {}
    """Worked on each step, waiting for raters not counted."""

    @property
    def step(self) -> StepRecord:
        """The newest step of a stream; one that has none raises IndexError."""
        return self.steps[-1]

    def with_step(self, changed: StepRecord) -> "RoundRecord":
        """The round with one step replaced, or added as the newest."""
        kept = [one for one in self.steps if one.number != changed.number]
        return self.model_copy(update={"steps": [*kept, changed]})


class LogEntry(_Frozen):
    """Something that somebody did to the loop."""

    time: datetime
    who: str
    what: str


class LoopRecord(_Frozen):
    """The whole loop."""

    schema_version: Literal[1] = 1
    experiment: str
    command: str | None = None
    """By which it was started, and by which it goes on; without what may change between rounds."""
    mode: Literal["rounds", "streaming"] = "rounds"
    incumbent: PolicyEntry
    policies: list[PolicyEntry] = []
    """Every policy that was ever made incumbent, oldest first; `stage.rollback` takes one of them."""
    newest: PolicyEntry | None = None
    """Of a stream: the policy that answers for the page and that PPO goes on from, promoted or not yet."""
    rounds: list[RoundRecord] = []
    samples: list[SampleShown] = []
    strengths: dict[str, tuple[float, float, float]] = {}
    """Bradley-Terry strength of each policy on all judgements, in logits, with its 95 % interval."""
    rules: EndingRules | None = None
    ended: Ending | None = None
    log: list[LogEntry] = []

    @property
    def judgements(self) -> int:
        """Judgements used by all rounds."""
        return sum(one.judgements + one.human_judgements for one in self.rounds)

    @property
    def steps(self) -> list[StepRecord]:
        """Of a stream, those of all rounds, oldest first."""
        return [step for one in self.rounds for step in one.steps]

    @property
    def rounds_without_promotion(self) -> int:
        """How many of the newest finished rounds promoted nothing, in a row."""
        done = [one for one in self.rounds if one.status == "done"]
        return next((count for count, one in enumerate(reversed(done)) if one.promoted), len(done))

    def with_round(self, changed: RoundRecord) -> "LoopRecord":
        """The record with one round replaced, or added as the newest."""
        kept = [one for one in self.rounds if one.number != changed.number]
        return self.model_copy(update={"rounds": sorted([*kept, changed], key=lambda one: one.number)})

    def without_times(self) -> dict[str, Any]:
        """The record as plain data, without what differs between two runs of one loop: times, the command."""
        plain = self.model_dump(mode="json")
        del plain["command"]  # which names the folder
        for one in plain["rounds"]:
            for name in ("started", "ended", "seconds", "waiting"):
                del one[name]
            for step in one["steps"]:
                del step["started"], step["seconds"]
        for entry in plain["log"]:
            del entry["time"]
        return plain


def read_loop_record(folder: Path) -> LoopRecord | None:
    """The record in a loop's run folder, or None where there is none yet.

    Raises:
        InputError: there is one, and it cannot be read.
    """
    path = folder / LOOP_RECORD
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return LoopRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(
            f"{path} cannot be read ({where}: {first['msg']}).\n"
            f"It was damaged, or written by another version. Restore it from a copy."
        ) from None
