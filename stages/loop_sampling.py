"""The first half of a round: answers, pairs, and the judgements on them."""

import time
from collections.abc import Mapping
from math import ceil
from typing import Any, cast

from rlhf.config import SampleStage
from rlhf.errors import DataError
from rlhf.online.campaigns import put_up
from rlhf.online.pairs import Pair, by_part, candidate_pairs
from rlhf.online.rounds import guidelines_text
from rlhf.online.selection import Candidate, Strategy
from rlhf.online.selection import select as choose_of
from rlhf.runs.loop_record import RoundRecord
from stages.loop_scores import candidates
from stages.loop_setup import Loop, name_of, read_lines
from stages.loop_waiting import judged, raters_of
from stages.shared import experiment_of

SPARE = 1.25
"""Pairs drawn for each that is asked about: two answers may be equal."""
CHOICE = 4
"""The same where a strategy chooses."""
ITEMS = "items.jsonl"


def sample(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """The incumbent and its opponent answer prompts, at each temperature."""
    stage, other = loop.stage, opponent_of(loop, round_)
    took, runs = 0.0, dict(round_.runs)
    for number, temperature in enumerate(stage.temperatures, start=1):
        sampling = SampleStage(
            num_prompts=num_prompts(loop, round_),
            answers=stage.answers,
            policies=() if other == round_.incumbent else (loop.policy(other).run,),
            response_length=stage.ppo.response_length,
            temperature=temperature,
        )
        seed = loop.seed(round_, "sample", number)
        manifest = loop.make(round_, sampling, seed=seed, policy=loop.policy(round_.incumbent).run)
        runs["sample" if number == 1 else f"sample-{number}"] = name_of(manifest)
        took += manifest.seconds
    seconds = {**round_.seconds, "sampling": took}
    return loop.save_round(round_, status="selecting", runs=runs, seconds=seconds)


def select(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """Which pairs are asked about: decided once, written down, then put into the store."""
    began = time.monotonic()
    if not loop.path(round_.number, ITEMS).is_file():
        loop.write_lines(round_, ITEMS, (pair.row() for pair in chosen(loop, round_)))
    pairs = loop.pairs(round_)
    version = put_up(
        loop.db,
        round_.campaign,
        pairs,
        raters_per_item=round_.raters_per_item,
        guidelines=guidelines_text(loop.stage.guidelines),
        folder=loop.run.path,
        round_number=round_.number,
    )
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


def wait(loop: Loop, round_: RoundRecord) -> RoundRecord | None:
    """Until the round's judgements are there, or its time is over; None where nobody is to wait."""
    began, pairs = time.monotonic(), loop.pairs(round_)
    found = judged(loop, round_, round_.campaign, pairs)
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


def chosen(loop: Loop, round_: RoundRecord) -> list[Pair]:
    """The round's pairs, in an order that tells nothing.

    Raises:
        DataError: the policies gave no two answers that can be told apart.
    """
    stage, seed = loop.stage, loop.seed(round_, "select")
    labels = {_path(loop, label): label for label in (round_.incumbent, opponent_of(loop, round_))}
    pairs = candidate_pairs(_samples(loop, round_), labels, stage.opponent)
    if not pairs:
        raise DataError(
            f"round {round_.number}: all answers to a prompt are alike, so there is nothing to ask; raise "
            "stage.temperatures or stage.prompts"
        )
    parts = by_part(pairs, stage.evaluation_share)
    learnt = _learnt_prompts(loop, round_)
    fresh = [pair for pair in parts["evaluation"] if pair.prompt.key not in learnt]
    wanted = round_.budget // round_.raters_per_item
    apart = min(round(wanted * stage.evaluation_share), len({pair.prompt.key for pair in fresh}))
    by_chance = [Candidate(pair.key, pair.prompt.key) for pair in fresh]
    slice_ = choose_of(by_chance, "random", 0, apart, seed=seed).evaluation
    learning, strategy = parts["learning"], cast("Strategy", round_.strategy)
    others = choose_of(candidates(loop, round_, learning), strategy, wanted - apart, 0, seed=seed).chosen
    found = [fresh[place].set_apart() for place in slice_] + [learning[place] for place in others]
    if len(found) < wanted:
        loop.say(f"{len(found)} pairs of different answers, {wanted} wanted; raise stage.prompts")
    return sorted(found, key=lambda pair: pair.key)


def num_prompts(loop: Loop, round_: RoundRecord) -> int:
    """`stage.prompts`, or as many as give pairs to choose among."""
    stage = loop.stage
    if stage.prompts != "auto":
        return stage.prompts
    wanted = round_.budget // round_.raters_per_item
    a_prompt = stage.answers // 2 * len(stage.temperatures)
    return ceil(wanted * (SPARE if round_.strategy == "random" else CHOICE) / a_prompt)


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


def _samples(loop: Loop, round_: RoundRecord) -> list[Mapping[str, Any]]:
    runs = [run for name, run in sorted(round_.runs.items()) if name.startswith("sample")]
    return [row for run in runs for row in read_lines(loop.folder(run) / "samples.jsonl")]


def _learnt_prompts(loop: Loop, round_: RoundRecord) -> set[str]:
    """The prompts' keys that earlier rounds' pairs for learning had: a share that grew may take them in."""
    earlier = [pair for one in loop.record.rounds[: round_.number - 1] for pair in loop.pairs(one)]
    return {pair.prompt.key for pair in earlier if pair.part == "learning"}


def _path(loop: Loop, label: str) -> str:
    """The policy's run as the lines of `samples.jsonl` name it."""
    return experiment_of(loop.cfg).resolve("policy", loop.policy(label).run, stage="loop").path
