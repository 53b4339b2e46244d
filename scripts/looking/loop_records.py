"""Made-up records of the online loop at points of its life; the same for the same seed."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from rlhf.runs.loop_record import (
    Ending,
    EndingRules,
    Guard,
    LogEntry,
    LoopRecord,
    PolicyEntry,
    RoundRecord,
    SampleShown,
    Slice,
    Status,
    StepRecord,
    Waiting,
)

BEGAN = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
BUDGET, FIRST = 1000, 4000
KEPT, BROKEN = 4, 6
"""Rounds whose candidate wins nothing, and breaks a guard."""
_TEXTS = Path(__file__).with_name("loop.json")


def empty() -> LoopRecord:
    """A loop before its first round."""
    return LoopRecord(experiment="demo", incumbent=_policy("sft"), policies=[_policy("sft")])


def loop(
    rounds: int,
    status: Status = "done",
    *,
    ended: Ending | None = None,
    simulated: bool = True,
    seed: int = 0,
) -> LoopRecord:
    """A loop after so many rounds, the newest of them at `status`.

    Args:
        simulated: whether there is gold; else people judge candidates as well.
    """
    rng = random.Random(seed)
    found: list[RoundRecord] = []
    incumbent, policies, gold = "sft", ["sft"], 0.61
    for number in range(1, rounds + 1):
        last = number == rounds
        one = _round(number, incumbent, gold, rng, simulated=simulated, before=found)
        if last and status != "done":
            one = _unfinished(one, status)
        elif one.promoted and one.candidate is not None and one.gold_score is not None:
            incumbent, gold = one.candidate.label, one.gold_score
            policies.append(incumbent)
        found.append(one if simulated else _without_gold(one))
    return LoopRecord(
        experiment="demo",
        command="python -m rlhf.run stage=loop name=demo",
        incumbent=_policy(incumbent),
        policies=[_policy(label) for label in policies],
        rounds=found,
        samples=_samples(found, rng, simulated=simulated),
        strengths=_strengths(found),
        rules=EndingRules(
            rounds=max(rounds, 5), patience=3, max_judgements=FIRST + 12 * BUDGET, target_win_rate=0.9
        ),
        ended=ended,
        log=_log(rounds, found),
    )


def stream(rounds: int, status: Status = "done", *, steps: int = 6) -> LoopRecord:
    """The same in streaming mode, so many steps a round; the last of them as far as its round."""
    record, found = loop(rounds, status), list[RoundRecord]()
    newest = _policy("sft")
    for one in record.rounds:
        own: list[StepRecord] = []
        for at in range(1 if one.number == 1 else steps):
            is_last = one.status != "done" and (one.number == 1 or at == steps - 1)
            number = sum(len(before.steps) for before in found) + at + 1
            step = _step(one, at, 1 if one.number == 1 else steps, newest, number=number)
            made = _policy(f"step-{step.number}")
            if is_last and one.status not in ("judging", "done"):
                step = step.model_copy(update=UNDONE)
            else:
                step, newest = step.model_copy(update={"made": made}), made
            own.append(step)
        candidate = newest if one.candidate else None
        waiting = one.waiting and one.waiting.model_copy(update={"judgements": 88, "needed": own[-1].needed})
        found.append(one.model_copy(update={"steps": own, "candidate": candidate, "waiting": waiting}))
    return record.model_copy(update={"mode": "streaming", "rounds": found, "newest": newest})


UNDONE = {"judgements": 0, "snapshot_sha256": None, "learnt": 0, "replayed": 0, "rm_accuracy": None,
          "kl_nats": None, "made": None}  # fmt: skip
"""Of a step that waits for judgements."""


def _step(one: RoundRecord, at: int, steps: int, policy: PolicyEntry, *, number: int) -> StepRecord:
    rng = random.Random(f"{one.number}/{at}")
    judgements = one.budget // steps
    return StepRecord(
        number=number,
        policy=policy,
        asks=judgements // 3,
        needed=judgements,
        items=judgements // 3,
        evaluation_items=judgements // 15,
        judgements=judgements,
        snapshot_sha256=_hash(f"{one.number}/{at}"),
        learnt=judgements // 4,
        replayed=0 if one.number == 1 else 256,
        rm_accuracy=_slice(0.63 + 0.005 * at, 60 + 15 * at, rng),
        kl_nats=2.1 + 1.3 * (one.number - 1 + (at + 1) / steps),
        started=one.started + timedelta(hours=27 * at / steps),
    )


def records() -> Mapping[str, Callable[[], LoopRecord]]:
    """All that are looked at, by name."""
    return {
        "empty": empty,
        "waiting": lambda: loop(3, "waiting"),
        "people": lambda: loop(4, "judging", simulated=False),
        "ended": lambda: loop(5, ended="rounds"),
        "ten": lambda: loop(10, ended="patience"),
        "stream": lambda: stream(3, "waiting"),
    }


def _round(
    number: int,
    incumbent: str,
    gold: float,
    rng: random.Random,
    *,
    simulated: bool,
    before: list[RoundRecord],
) -> RoundRecord:
    budget = FIRST if number == 1 else BUDGET
    rate = 0.5 if number == KEPT else 0.67 if number == BROKEN else max(0.71 - 0.02 * number, 0.56)
    rate += rng.uniform(-0.01, 0.01)
    promoted = number not in (KEPT, BROKEN)
    score = gold + (0.07 / number if promoted else -0.01)
    began = BEGAN + timedelta(hours=31 * (number - 1))
    longer = 1.83 if number == BROKEN else rng.uniform(0.95, 1.2)
    guards = {
        "longer": Guard(value=longer, limit=1.5, ok=longer <= 1.5),
        "kl_nats": Guard(value=2.1 + 1.3 * number, limit=25.0, ok=True),
        "unfinished": Guard(value=0.012, limit=0.06, ok=True),
        "repetition": Guard(value=0.031, limit=0.079, ok=True),
        "refusals": Guard(value=0.0, limit=0.05, ok=True),
    }
    why, why_zh = _why(rate, promoted, longer)
    return RoundRecord(
        number=number,
        status="done",
        incumbent=incumbent,
        strategy=("random", "uncertainty", "information")[(number - 1) // 2 % 3],
        budget=budget,
        raters_per_item=3,
        guidelines_version=1 if number < 3 else 2,
        guidelines_sha256=_hash("guidelines"),
        campaign=f"demo-loop-1-round-{number}",
        evaluation_items=budget // 30,
        items=budget // 3,
        judgements=budget,
        agreement=0.41 + rng.uniform(-0.04, 0.04),
        rater_skill={f"r-{_hash(str(one))[:6]}": 0.8 + rng.uniform(-0.06, 0.06) for one in range(6)},
        runs={stage: f"runs/demo/{stage}-{number}" for stage in ("sample", "rm", "ppo", "eval")},
        snapshot_sha256=_hash(f"snapshot {number}"),
        rm_accuracy={
            **{one.number: _slice(0.66 + 0.02 * (number - one.number), FIRST, rng) for one in before},
            number: _slice(0.655, budget, rng),
        },
        win_rate=rate,
        win_low=rate - 0.049,
        win_high=rate + 0.047,
        judged_by="judge",
        gold_win_rate=rate + 0.02,
        gold_win_low=rate - 0.03,
        gold_win_high=rate + 0.065,
        gold_score=score,
        gold_score_low=score - 0.02,
        gold_score_high=score + 0.02,
        gold_score_incumbent=gold,
        human_win_rate=None if simulated else rate - 0.015,
        human_win_low=None if simulated else rate - 0.11,
        human_win_high=None if simulated else rate + 0.08,
        human_judgements=0 if simulated else 120,
        kl_nats=guards["kl_nats"].value,
        guards=guards,
        candidate=_policy(f"round-{number}"),
        promoted=promoted,
        why=why,
        why_zh=why_zh,
        started=began,
        ended=began + timedelta(hours=27, minutes=rng.randrange(60)),
        seconds={
            "sampling": 212.0,
            "selecting": 34.5,
            "learning": 318.0,
            "improving": 1460.0,
            "judging": 260.0,
        },
    )


def _unfinished(one: RoundRecord, status: Status) -> RoundRecord:
    """A round as it was when it had come to a step."""
    order: list[str] = ["sampling", "selecting", "waiting", "learning", "improving", "judging"]
    at = order.index(status)
    cut: dict[str, object] = {
        name: None for name in RoundRecord.model_fields if name.startswith(("win", "gold", "human_win"))
    }
    cut |= {"judged_by": None, "kl_nats": None, "guards": {}, "candidate": None, "promoted": None}
    cut |= {"why": "", "why_zh": "", "ended": None, "status": status, "human_judgements": 0}
    cut["seconds"] = {name: taken for name, taken in one.seconds.items() if order.index(name) < at}
    runs_there = {"sample": 1, "rm": 4, "ppo": 5, "eval": 6}
    cut["runs"] = {name: path for name, path in one.runs.items() if runs_there[name] <= at}
    if at < 4:
        cut |= {"rm_accuracy": {}}
    if at < 3:
        there = 588 if status == "waiting" else 0
        cut |= {"judgements": there, "agreement": None, "rater_skill": {}, "snapshot_sha256": None}
        if status == "waiting":
            seen = one.started + timedelta(hours=20)
            left = (one.budget - there) / 31.4
            cut["waiting"] = Waiting(
                judgements=there,
                needed=one.budget,
                per_hour=31.4,
                expected_end=seen + timedelta(hours=left),
                seen=seen,
            )
    if at < 2:
        cut |= {"items": 0, "evaluation_items": 0}
    return one.model_copy(update=cut)


def _without_gold(one: RoundRecord) -> RoundRecord:
    return one.model_copy(
        update={name: None for name in RoundRecord.model_fields if name.startswith("gold_")}
    )


def _why(rate: float, promoted: bool, longer: float) -> list[str]:
    kind = "promoted" if promoted else "broken" if longer > 1.5 else "kept"
    return [text.format(rate=rate, low=rate - 0.049, longer=longer) for text in _texts()["why"][kind]]


def _samples(found: list[RoundRecord], rng: random.Random, *, simulated: bool) -> list[SampleShown]:
    """Each round improves some answers; of what was not promoted nothing is left in later ones."""
    shown: list[SampleShown] = []
    labels = ["sft", *(one.candidate.label for one in found if one.candidate)]
    kept = {one.candidate.label for one in found if one.candidate and not one.promoted}
    for row in _texts()["samples"]:
        answers, scores, at = dict[str, str](), dict[str, float](), 0
        for label in labels:
            ahead = min(at + rng.choice([0, 1, 1]) * (label != "sft"), len(row["answers"]) - 1)
            answers[label] = row["answers"][ahead]
            scores[label] = round(0.45 + 0.14 * ahead, 2)
            at = at if label in kept else ahead
        shown.append(SampleShown(prompt=row["prompt"], answers=answers, gold=scores if simulated else None))
    return shown


def _strengths(found: list[RoundRecord]) -> dict[str, tuple[float, float, float]]:
    strength, strengths = -0.6, {"sft": (-0.6, -0.71, -0.49)}
    for one in found:
        if one.candidate is not None and one.win_rate is not None:
            own = strength + 4 * (one.win_rate - 0.5)
            strengths[one.candidate.label] = (own, own - 0.17, own + 0.17)
            strength = own if one.promoted else strength
    return strengths


def _log(rounds: int, found: list[RoundRecord]) -> list[LogEntry]:
    entries = [
        LogEntry(time=BEGAN, who="operator", what="stage=loop began: 5 rounds, budget 4000, then 1000")
    ]
    if rounds >= 3:
        entries += [
            LogEntry(
                time=found[2].started - timedelta(hours=2),
                who="韩梅梅",
                what="guidelines: version 2, on answers that end in thanks",
            ),
            LogEntry(
                time=found[2].started - timedelta(minutes=5),
                who="operator",
                what="stage.strategy: random → uncertainty, from round 3 on",
            ),
        ]
    return entries


def _texts() -> Any:
    return json.loads(_TEXTS.read_text("utf-8"))


def _slice(share: float, count: int, rng: random.Random) -> Slice:
    pairs = max(count // 30, 1)
    correct = min(round(2 * pairs * (share + rng.uniform(-0.02, 0.02))) / 2, pairs)
    share = correct / pairs
    half = 1.96 * (share * (1 - share) / pairs) ** 0.5
    return Slice(count=pairs, correct=correct, low=max(share - half, 0.0), high=min(share + half, 1.0))


def _policy(label: str) -> PolicyEntry:
    run = "runs/demo/sft-1" if label == "sft" else f"runs/demo/ppo-{label.removeprefix('round-')}"
    return PolicyEntry(label=label, run=run, fingerprint=_hash(label))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
