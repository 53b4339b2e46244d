"""The end of a round: candidate against incumbent, and what becomes of it."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import set_status
from rlhf.crowd import Comparison, bradley_terry
from rlhf.errors import DataError
from rlhf.online.campaigns import put_up, take_down
from rlhf.online.guards import Said, measure, said_in
from rlhf.online.judgements import Judged
from rlhf.online.judging import asked_pairs, gold_figures, outcomes, shown
from rlhf.online.merging import Labelled
from rlhf.online.merging import outcomes as people_outcomes
from rlhf.online.pairs import pair_of
from rlhf.online.promotion import WinRate, decide, win_rate
from rlhf.online.rounds import guidelines_text, judging_name, logged
from rlhf.runs.loop_record import LoopRecord, RoundRecord
from stages.loop_scores import is_embedded
from stages.loop_setup import Loop, name_of, now, read_judged, read_lines
from stages.loop_taken import said_so_far
from stages.loop_waiting import Asked, judged, raters_of

SHOWN = 8
ASKED, ANSWERED = "judging.json", "judging_judgements.jsonl"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class People:
    """What raters said of candidate and incumbent: outcomes by prompt, and every judgement."""

    outcomes: Sequence[float]
    prompts: Sequence[str]
    judged: Sequence[Judged]

    @property
    def rate(self) -> WinRate:
        """The candidate's win rate by them."""
        return win_rate(self.outcomes, prompts=self.prompts)

    @property
    def recorded(self) -> dict[str, Any]:
        """By the names of `RoundRecord`."""
        return {
            "human_win_rate": self.rate.estimate,
            "human_win_low": self.rate.low,
            "human_win_high": self.rate.high,
            "human_judgements": len(self.judged),
        }


def judge(loop: Loop, round_: RoundRecord) -> RoundRecord | None:
    """Evaluates, asks people where that is wanted, and decides; None where nobody is to wait for them."""
    began = time.monotonic()
    assert round_.candidate is not None
    if "eval" not in round_.runs:
        manifest = loop.make(
            round_,
            loop.stage.eval,
            policy=round_.candidate.run,
            baseline=loop.policy(round_.incumbent).run,
            reward_model=round_.runs["rm"],
        )
        seconds = {**round_.seconds, "judging": time.monotonic() - began}
        round_ = loop.save_round(round_, runs={**round_.runs, "eval": name_of(manifest)}, seconds=seconds)
    rows = evaluated(loop, round_)
    people = None
    if loop.stage.ask_people:
        waited = ask_people(loop, round_, rows)
        if waited is None:
            return None
        round_, people = waited
    return conclude(loop, round_, rows, people)


def conclude(loop: Loop, round_: RoundRecord, rows: Sequence[Row], people: People | None) -> RoundRecord:
    """The decision, written down with what it was made of; by that the candidate is promoted or kept back."""
    candidate = round_.candidate
    assert candidate is not None
    decided = decision_on(loop, round_, rows, people)
    gold = gold_figures(rows, seed=loop.cfg.seed)
    figures = {**decided, **(gold.recorded if gold else {}), **(people.recorded if people else {})}
    done = round_.model_copy(update={**figures, "status": "done", "waiting": None, "ended": now()})
    record = loop.record.with_round(done)
    if done.promoted:
        policies = [*record.policies, candidate]
        record = record.model_copy(update={"incumbent": candidate, "policies": policies})
    verb = "promoted" if done.promoted else "not promoted"
    record = logged(record, now(), f"{candidate.label} {verb}: {done.why}")
    if loop.is_stream and is_thrown_away(done):
        record = logged(record, now(), f"goes on from {record.incumbent.label}, without {candidate.label}")
        record = record.model_copy(update={"newest": record.incumbent})
    elif loop.is_stream and done.promoted:  # also where a rollback had it go on from another meanwhile
        record = record.model_copy(update={"newest": candidate})
    samples = shown(record.samples, rows, done, candidate.label, SHOWN)
    record = record.model_copy(update={"samples": samples, "strengths": strengths(loop, record)})
    act = "promote" if done.promoted else "keep"
    loop.note(act, {"round": done.number, "candidate": candidate.run, "why": done.why})
    loop.save(record)
    loop.say(f"round {done.number}: {candidate.label} ({candidate.run}) {verb}: {done.why}")
    return done


def is_thrown_away(done: RoundRecord) -> bool:
    """Whether a stream goes back to the incumbent: its policy is surely worse, or breaks a guard.

    One that is only not surely better yet goes on.
    """
    worse = done.win_high is not None and done.win_high < 0.5
    return not done.promoted and (worse or any(not guard.ok for guard in done.guards.values()))


def decision_on(
    loop: Loop, round_: RoundRecord, rows: Sequence[Row], people: People | None
) -> dict[str, Any]:
    """What the judge found, the guards, and what follows, by the names of `RoundRecord`."""
    assert round_.candidate is not None
    name = judge_of(loop, round_)
    won, keys = (people.outcomes, people.prompts) if name == "people" and people else outcomes(rows, name)
    candidate, incumbent = (
        [flagged(said_in(row, who), label, people) for row in rows]
        for who, label in (("policy", round_.candidate.label), ("baseline", round_.incumbent))
    )
    guards = measure(candidate, incumbent, loop.stage.guards, kl_nats=round_.kl_nats)
    decision = decide(won, guards, prompts=keys)
    return {
        "win_rate": decision.win_rate.estimate,
        "win_low": decision.win_rate.low,
        "win_high": decision.win_rate.high,
        "judged_by": name,
        "guards": dict(decision.guards),
        "promoted": decision.promoted,
        "why": decision.why,
        "why_zh": decision.why_zh,
    }


def ask_people(loop: Loop, round_: RoundRecord, rows: Sequence[Row]) -> tuple[RoundRecord, People] | None:
    """Raters judge candidate and incumbent in a campaign of its own; None where nobody is to wait."""
    candidate = round_.candidate
    assert candidate is not None
    asked = asked_of_people(loop, round_, rows)
    pairs, said = [pair_of(row) for row in asked["pairs"]], list[Judged]()
    if pairs:
        put_up(
            loop.db,
            asked["campaign"],
            pairs,
            raters_per_item=round_.raters_per_item,
            guidelines=guidelines_text(loop.stage.guidelines),
            folder=loop.run.path,
            round_number=round_.number,
            purpose="judging",
        )
        waited = judged(loop, round_, Asked(asked["campaign"], pairs))
        if waited is None:
            return None
        round_ = waited
        said = take_down(loop.db, asked["campaign"], loop.path(round_.number, asked["snapshot"]))
    loop.write_lines(round_, ANSWERED, (one.row() for one in said))
    by_prompt = people_outcomes(Labelled(round_.number, pairs, said), candidate.label)
    by_prompt |= {key: [0.5] for key in asked["ties"]}
    flat = [(key, won) for key in sorted(by_prompt) for won in by_prompt[key]]
    if not flat:
        raise DataError(
            f"{candidate.label} and {round_.incumbent} gave no two answers that people can be asked about; "
            "see the evaluation's report, or set stage.ask_people=0"
        )
    return round_, People([won for _, won in flat], [key for key, _ in flat], said)


def asked_of_people(loop: Loop, round_: RoundRecord, rows: Sequence[Row]) -> Mapping[str, Any]:
    """The pairs, the prompts with a tie, and the campaign: decided once, and anew after a rollback.

    A rollback meanwhile has made another policy the incumbent; the campaign against the one before is closed.
    """
    candidate, file = round_.candidate, loop.path(round_.number, ASKED)
    assert candidate is not None
    before: Mapping[str, Any] | None = json.loads(file.read_bytes()) if file.is_file() else None
    if before is not None and before["incumbent"] == round_.incumbent:
        return before
    if before is not None and before["pairs"]:
        set_status(loop.db, OPERATOR, before["campaign"], "closed")
    times = before["times"] + 1 if before is not None else 1
    again = f" {times}" if times > 1 else ""
    count = max(loop.stage.ask_people // round_.raters_per_item, 1)
    heat = loop.stage.eval.temperature
    pairs, ties = asked_pairs(rows, candidate.label, round_.incumbent, count, temperature=heat)
    asked: dict[str, Any] = {
        "incumbent": round_.incumbent,
        "times": times,
        "campaign": f"{judging_name(round_)}{again}",
        "snapshot": f"judging_snapshot{again.replace(' ', '_')}",
        "pairs": [pair.row() for pair in pairs],
        "ties": ties,
    }
    loop.run.write_json(f"round-{round_.number}/{ASKED}", asked)
    return asked


def judge_of(loop: Loop, round_: RoundRecord) -> str:
    """Who decides, by the name of the judge in the evaluation, or "people"."""
    stage = loop.stage
    match stage.judge:
        case "model":
            return "judge"
        case "endpoint" | "gold" | "people":
            return stage.judge
        case "auto":
            pairs = loop.pairs(round_)
            simulated = raters_of(loop, pairs) == "simulated" and stage.simulated.reward_model is None
            if stage.ask_people:
                return "people"
            if stage.eval.judge.url is not None:
                return "endpoint"
            return "gold" if simulated and is_embedded(pairs) else "judge"


def evaluated(loop: Loop, round_: RoundRecord) -> list[Row]:
    """Every held-out prompt with both answers and all scores."""
    return list(read_lines(loop.folder(round_.runs["eval"]) / "samples.jsonl"))


def flagged(said: Said, label: str, people: People | None) -> Said:
    """The answer with whether a rater flagged it, where one has judged it."""
    if people is None:
        return said
    own = [
        flag
        for one in people.judged
        for text, policy, flag in zip((one.first, one.second), one.policies, one.flagged, strict=True)
        if one.prompt == said.prompt and policy == label and text == said.text
    ]
    return replace(said, flagged=any(own)) if own else said


def strengths(loop: Loop, record: LoopRecord) -> dict[str, tuple[float, float, float]]:
    """Of all policies on all that raters and judges said, by Bradley and Terry: nats, with 95 % intervals."""
    rows = [one for round_ in record.rounds if round_.status == "done" for one in comparisons(loop, round_)]
    if loop.is_stream:
        rows += [compared for one in said_so_far(loop) if (compared := one.comparison)]
    found = bradley_terry(rows, seed=0).strengths if rows else {}
    return {label: (own.estimate, own.low, own.high) for label, own in sorted(found.items())}


def comparisons(loop: Loop, round_: RoundRecord) -> Iterator[Comparison]:
    """What was said of two policies in a round: by raters, and by the judge of the candidate."""
    for name in ("judgements.jsonl", ANSWERED):
        path = loop.path(round_.number, name)
        said = read_judged(path) if path.is_file() else []
        yield from (compared for one in said if (compared := one.comparison))
    assert round_.candidate is not None
    assert round_.judged_by is not None
    if round_.judged_by != "people":
        sides = round_.candidate.label, round_.incumbent
        for won, key in zip(*outcomes(evaluated(loop, round_), round_.judged_by), strict=True):
            outcome = "tie" if won == 0.5 else "left" if won > 0.5 else "right"
            yield Comparison(*sides, outcome, round_.judged_by, key)
