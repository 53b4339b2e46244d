"""The first half of a round: answers, pairs, and the judgements on them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

from rlhf.config import SampleStage
from rlhf.errors import DataError
from rlhf.online.campaigns import put_up
from rlhf.online.pairs import Pair, by_part, candidate_pairs
from rlhf.online.rounds import guidelines_text
from rlhf.online.selection import Candidate, Strategy
from rlhf.online.selection import select as choose_of
from rlhf.runs.loop_record import PolicyEntry, RoundRecord
from stages.loop_scores import candidates
from stages.loop_setup import Loop, name_of, read_lines
from stages.loop_waiting import Asked, judged, raters_of
from stages.shared import experiment_of

SPARE = 1.25
"""Pairs drawn for each that is asked about: two answers may be equal."""
CHOICE = 4
"""The same where a strategy chooses."""
ITEMS = "items.jsonl"


@dataclass(frozen=True)
class Draw:
    """Whose answers are paired, and which pairs of them are asked about."""

    own: PolicyEntry
    other: PolicyEntry
    """On the other side of pairs; the same where there is no other."""
    wanted: int
    """Pairs."""
    strategy: Strategy
    reward_model: str | None
    """The run by whose scores the strategy goes; None before the first."""
    earlier: Sequence[Pair]
    """What was asked about before."""
    purpose: tuple[str | int, ...] = ()
    """Tells the draws of a round from one another."""
    renewed: bool = True
    """Whether a pair of the earlier ones may be asked about again."""


def sample(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """The incumbent and its opponent answer prompts, at each temperature."""
    runs, took = answers(loop, round_, draw_of(loop, round_))
    seconds = {**round_.seconds, "sampling": took}
    return loop.save_round(round_, status="selecting", runs={**round_.runs, **runs}, seconds=seconds)


def answers(loop: Loop, round_: RoundRecord, draw: Draw) -> tuple[dict[str, str], float]:
    """The runs that hold the answers, one for each temperature, and the seconds that they took."""
    stage, took, runs = loop.stage, 0.0, dict[str, str]()
    for number, temperature in enumerate(stage.temperatures, start=1):
        sampling = SampleStage(
            num_prompts=num_prompts(loop, draw),
            answers=stage.answers,
            policies=() if draw.other == draw.own else (draw.other.run,),
            response_length=stage.ppo.response_length,
            temperature=temperature,
        )
        seed = loop.seed(round_, *draw.purpose, "sample", number)
        manifest = loop.make(round_, sampling, seed=seed, policy=draw.own.run)
        runs["sample" if number == 1 else f"sample-{number}"] = name_of(manifest)
        took += manifest.seconds
    return runs, took


def select(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """Which pairs are asked about: decided once, written down, then put into the store.

    Raises:
        DataError: the policies gave no two answers that can be told apart.
    """
    began = time.monotonic()
    if not loop.path(round_.number, ITEMS).is_file():
        pairs = chosen(loop, round_, draw_of(loop, round_), round_.runs)
        if not pairs:
            raise nothing_to_ask(f"round {round_.number}")
        loop.write_lines(round_, ITEMS, (pair.row() for pair in pairs))
    pairs = loop.pairs(round_)
    version = put_before_raters(loop, round_, pairs)
    apart = sum(pair.part == "evaluation" for pair in pairs)
    loop.say(
        f"round {round_.number}: {len(pairs)} pairs, {len(pairs) - apart} by strategy={round_.strategy} and "
        f"{apart} by chance for evaluation; {round_.raters_per_item} judgements each"
    )
    return loop.save_round(
        round_,
        status="waiting",
        items=len(pairs),
        evaluation_items=apart,
        guidelines_version=version,
        seconds={**round_.seconds, "selecting": time.monotonic() - began},
    )


def put_before_raters(loop: Loop, round_: RoundRecord, pairs: Sequence[Pair]) -> int:
    """Puts pairs into the round's campaign; the version of its guidelines."""
    return put_up(
        loop.db,
        round_.campaign,
        pairs,
        raters_per_item=round_.raters_per_item,
        guidelines=guidelines_text(loop.stage.guidelines),
        folder=loop.run.path,
        round_number=round_.number,
    )


def nothing_to_ask(when: str) -> DataError:
    """For policies whose answers are all alike."""
    return DataError(
        f"{when}: all answers to a prompt are alike, so there is nothing to ask; raise stage.temperatures or "
        "stage.prompts"
    )


def wait(loop: Loop, round_: RoundRecord) -> RoundRecord | None:
    """Until the round's judgements are there, or its time is over; None where nobody is to wait."""
    began, pairs = time.monotonic(), loop.pairs(round_)
    found = judged(loop, round_, Asked(round_.campaign, pairs))
    if found is None:
        return None
    assert found.waiting is not None
    worked = {} if raters_of(loop, pairs) != "simulated" else {"waiting": time.monotonic() - began}
    return loop.save_round(
        found,
        status="learning",
        judgements=found.waiting.judgements,
        waiting=None,
        seconds={**found.seconds, **worked},
    )


def chosen(loop: Loop, round_: RoundRecord, draw: Draw, runs: Mapping[str, str]) -> list[Pair]:
    """The pairs that are asked about, in an order that tells nothing; none where all answers are alike."""
    stage, seed = loop.stage, loop.seed(round_, *draw.purpose, "select")
    labels = {_path(loop, policy): policy.label for policy in (draw.own, draw.other)}
    pairs = candidate_pairs(_samples(loop, runs), labels, stage.opponent)
    if not draw.renewed:
        known = {pair.key for pair in draw.earlier}
        pairs = [pair for pair in pairs if pair.key not in known]
    parts = by_part(pairs, stage.evaluation_share)
    # the prompts that pairs for learning had: a share that grew may take them in
    learnt = {pair.prompt.key for pair in draw.earlier if pair.part == "learning"}
    fresh = [pair for pair in parts["evaluation"] if pair.prompt.key not in learnt]
    apart = min(round(draw.wanted * stage.evaluation_share), len({pair.prompt.key for pair in fresh}))
    by_chance = [Candidate(pair.key, pair.prompt.key) for pair in fresh]
    slice_ = choose_of(by_chance, "random", 0, apart, seed=seed).evaluation
    learning = parts["learning"]
    told = candidates(loop, learning, draw.strategy, reward_model=draw.reward_model, policy=draw.own)
    others = choose_of(told, draw.strategy, draw.wanted - apart, 0, seed=seed).chosen
    found = [fresh[place].set_apart() for place in slice_] + [learning[place] for place in others]
    if 0 < len(found) < draw.wanted:
        loop.say(f"{len(found)} pairs of different answers, {draw.wanted} wanted; raise stage.prompts")
    return sorted(found, key=lambda pair: pair.key)


def draw_of(loop: Loop, round_: RoundRecord) -> Draw:
    """Of a round: pairs of the incumbent with its opponent."""
    before = loop.record.rounds[: round_.number - 1]
    return Draw(
        own=loop.policy(round_.incumbent),
        other=loop.policy(opponent_of(loop, round_)),
        wanted=round_.budget // round_.raters_per_item,
        strategy=cast("Strategy", round_.strategy),
        reward_model=before[-1].runs["rm"] if before else None,
        earlier=[pair for one in before for pair in loop.pairs(one)],
    )


def num_prompts(loop: Loop, draw: Draw) -> int:
    """`stage.prompts`, or as many as give pairs to choose among."""
    stage = loop.stage
    if stage.prompts != "auto":
        return stage.prompts
    a_prompt = stage.answers // 2 * len(stage.temperatures)
    return ceil(draw.wanted * (SPARE if draw.strategy == "random" else CHOICE) / a_prompt)


def opponent_of(loop: Loop, round_: RoundRecord) -> str:
    """The label of the policy on the other side of pairs; the incumbent's own where there is no other."""
    match loop.stage.opponent:
        case "policy":
            return round_.incumbent
        case "predecessor":
            made = (one for one in loop.record.rounds if one.candidate and one.promoted)
            before = {one.candidate.label: one.incumbent for one in made if one.candidate}
            return before.get(round_.incumbent, round_.incumbent)
        case "sft" | "mixed":
            return loop.record.policies[0].label


def _samples(loop: Loop, runs: Mapping[str, str]) -> list[Mapping[str, Any]]:
    found = [run for name, run in sorted(runs.items()) if name.startswith("sample")]
    return [row for run in found for row in read_lines(loop.folder(run) / "samples.jsonl")]


def _path(loop: Loop, policy: PolicyEntry) -> str:
    """The policy's run as the lines of `samples.jsonl` name it."""
    return experiment_of(loop.cfg).resolve("policy", policy.run, stage="loop").path
