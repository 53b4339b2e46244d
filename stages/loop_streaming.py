"""A stream: judgements are learnt from in small steps while they come (`stage.mode=streaming`).

A step puts pairs of the newest policy before raters where few wait, takes the judgements that came since the
last step, lets the reward model go on learning from these and some older ones, and PPO from the newest policy
against it. The campaign stays open all along. What lies between two tests of the newest policy is a round:
so many judgements as `stage.budget` says.
"""

import time
from typing import Any, cast

from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import campaigns, set_status
from feedback_ui.service.snapshot import news
from rlhf.errors import ConfigError
from rlhf.online.judgements import agreement, sha256, skills
from rlhf.online.judging import slice_quality
from rlhf.online.merging import by_item, slice_of
from rlhf.online.selection import Strategy
from rlhf.online.streaming import (
    Taken,
    episodes,
    full,
    judgements_needed,
    lesson,
    merged,
    pairs_to_put_up,
)
from rlhf.runs.loop_record import PolicyEntry, RoundRecord, StepRecord
from stages.judges import model_reward
from stages.loop_sampling import ITEMS, Draw, answers, chosen, nothing_to_ask, put_before_raters
from stages.loop_setup import Loop, name_of, now
from stages.loop_taken import all_pairs, all_said, labelled, newest_reward_model, open_judgements, take
from stages.loop_waiting import Asked, judged, raters_of


def sample_step(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """Begins a step where none has begun; the newest policy answers prompts where few pairs wait."""
    if not round_.steps or round_.step.made is not None:
        round_ = _begin(loop, round_)
    step = round_.step
    if not step.asks:
        return loop.save_round(round_, status="selecting")
    runs, took = answers(loop, round_, _draw(loop, round_))
    return _save(loop, round_, "selecting", runs={**step.runs, **runs}, seconds={"sampling": took})


def select_step(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """The pairs that are put before raters, beside those that wait; and so many judgements as can come.

    Raises:
        DataError: nothing waits, and the policy gave no two answers that can be told apart.
    """
    began, step = time.monotonic(), round_.step
    name = loop.of_step(step, ITEMS)
    if not loop.path(round_.number, name).is_file():
        found = chosen(loop, round_, _draw(loop, round_), step.runs) if step.asks else []
        loop.write_lines(round_, name, (pair.row() for pair in found))
    pairs = loop.pairs_of(round_, step)
    version = put_before_raters(loop, round_, pairs)
    there, _ = news(loop.db, round_.campaign, step.after)
    needed = min(step.needed, there + open_judgements(loop, round_))
    if not needed:
        raise nothing_to_ask(f"step {step.number}")
    apart = sum(pair.part == "evaluation" for pair in pairs)
    loop.say(f"step {step.number}: {len(pairs)} pairs by {step.policy.label}, {apart} of them for evaluation")
    round_ = round_.model_copy(
        update={
            "items": sum(one.items for one in round_.steps[:-1]) + len(pairs),
            "evaluation_items": sum(one.evaluation_items for one in round_.steps[:-1]) + apart,
            "guidelines_version": version,
            "waiting": None,
        }
    )
    seconds = {"selecting": time.monotonic() - began}
    return _save(
        loop, round_, "waiting", items=len(pairs), evaluation_items=apart, needed=needed, seconds=seconds
    )


def wait_step(loop: Loop, round_: RoundRecord) -> RoundRecord | None:
    """Until enough new judgements are there, or the time is over; None where nobody is to wait."""
    began, step = time.monotonic(), round_.step
    done = full(all_said(loop).values(), round_.raters_per_item)
    known = all_pairs(loop)
    pairs = [pair for pair in known if pair.key not in done] or known
    found = judged(loop, round_, Asked(round_.campaign, pairs, step.after, step.needed))
    if found is None:
        return None
    _, upto = news(loop.db, round_.campaign, step.after)
    worked = {} if raters_of(loop, pairs) != "simulated" else {"waiting": time.monotonic() - began}
    found = found.model_copy(update={"waiting": None})
    return _save(loop, found, "learning", upto=upto, seconds=worked)


def learn_step(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """Takes the judgements in, and the reward model goes on learning from them, mixed with older ones."""
    began, step, stage = time.monotonic(), round_.step, loop.stage
    assert step.upto is not None
    before = all_said(loop)
    taken = take(loop, round_)
    said = merged([Taken(list(before.values())), taken])
    rounds = labelled(loop, said)
    rows = by_item(rounds, aggregate=stage.aggregate, recent_weight=stage.recent_weight)
    earlier = newest_reward_model(loop)
    seed = loop.seed(round_, "step", step.number, "replay")
    replay = len(rows) if earlier is None else stage.replay
    own = lesson(rows, taken.items, replay, seed=seed)
    loop.say(
        f"step {step.number}: {len(taken.judged)} judgements, {own.new} rows of new pairs to learn from and "
        f"{own.replayed} of older ones"
    )
    rm = earlier
    if rm is None or own.new:
        file = loop.write_lines(round_, loop.of_step(step, "preferences.jsonl"), own.rows)
        manifest = loop.make(
            round_,
            stage.rm,
            data={"preferences": str(file), "feedback": None, "limit": None},
            policy=loop.first.path,
            reward_model=earlier,
        )
        rm = name_of(manifest)
    reward = model_reward(loop.session, str(loop.folder(rm) / "model"), None)
    ends = _ends(loop, round_, judgements=round_.judgements + len(said) - len(before))
    measured = rounds if ends else rounds[-1:]
    accuracy = {one.number: slice_quality(reward, slice_of(one)) for one in measured}
    mine = rounds[-1].judged
    round_ = round_.model_copy(
        update={
            "judgements": round_.judgements + len(said) - len(before),
            "agreement": agreement(mine),
            "rater_skill": skills(mine),
            "snapshot_sha256": sha256(list(said.values())),
            "rm_accuracy": {number: found for number, found in accuracy.items() if found},
        }
    )
    return _save(
        loop,
        round_,
        "improving",
        judgements=len(said) - len(before),
        snapshot_sha256=sha256(taken.judged),
        learnt=own.new,
        replayed=own.replayed,
        rm_accuracy=accuracy[round_.number],
        runs={**step.runs, "rm": rm},
        seconds={"learning": time.monotonic() - began},
    )


def improve_step(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """PPO goes on from the newest policy against the newest reward model, for a step's share of a round."""
    step, ppo = round_.step, loop.stage.ppo
    share = min(max(step.judgements, 1) / round_.budget, 1.0)
    count = episodes(ppo.total_episodes, ppo.batch_size, share)
    manifest = loop.make(
        round_,
        ppo.model_copy(update={"total_episodes": count}),
        seed=loop.seed(round_, "step", step.number, "ppo"),
        policy=step.policy.run,
        reference=loop.cfg.inputs.reference or loop.first.path,
        reward_model=step.runs["rm"],
    )
    made = loop.entry(f"step-{step.number}", manifest)
    runs = {**step.runs, "ppo": name_of(manifest)}
    ends = _ends(loop, round_, judgements=round_.judgements)
    round_ = round_.model_copy(
        update={"runs": {**round_.runs, **runs}, "kl_nats": manifest.metrics["kl"]}
        | ({"candidate": made} if ends else {})
    )
    return _save(
        loop,
        round_,
        "judging" if ends else "sampling",
        newest=made,
        runs=runs,
        made=made,
        kl_nats=manifest.metrics["kl"],
        seconds={"improving": manifest.seconds},
    )


def begun_by(round_: RoundRecord, policy: PolicyEntry) -> RoundRecord:
    """After a rollback: a step that is not done goes on from this policy, and has it answer if none has."""
    if not round_.steps or round_.step.made is not None:
        return round_
    step, status = round_.step.model_copy(update={"policy": policy}), round_.status
    if status == "selecting":
        status = "sampling"
    return round_.with_step(step).model_copy(update={"status": status})


def reopen(loop: Loop, campaign: str) -> None:
    """A loop that goes on after its end asks raters again."""
    if any(one.name == campaign and one.status == "closed" for one in campaigns(loop.db, OPERATOR)):
        set_status(loop.db, OPERATOR, campaign, "open")


def _begin(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """The next step: by which policy, how many pairs it adds, how many judgements it waits for.

    Raises:
        ConfigError: raters a pair were changed, which an open campaign cannot.
    """
    stage, steps = loop.stage, loop.record.steps
    first = loop.record.rounds[0].raters_per_item
    if stage.raters_per_item != first:
        raise ConfigError(
            f"stage.raters_per_item={stage.raters_per_item}: this stream asks {first} a pair from its "
            f"beginning; take that, or begin another with name=..."
        )
    newest = loop.record.newest or loop.record.incumbent
    needed = judgements_needed(stage, round_.budget, round_.judgements, is_first=not steps)
    left = None if stage.max_judgements is None else stage.max_judgements - loop.record.judgements
    waiting = open_judgements(loop, round_) if steps else 0
    step = StepRecord(
        number=len(steps) + 1,
        policy=newest,
        asks=pairs_to_put_up(stage, needed, waiting, left),
        needed=needed,
        after=max((one.upto or 0 for one in steps), default=0),
        started=now(),
    )
    return loop.save_round(round_.with_step(step))


def _draw(loop: Loop, round_: RoundRecord) -> Draw:
    """Pairs of the newest policy with its opponent; none that was asked about before."""
    step = round_.step
    match loop.stage.opponent:
        case "policy":
            other = step.policy
        case "predecessor":
            other = loop.policy(round_.incumbent)
        case "sft" | "mixed":
            other = loop.record.policies[0]
    return Draw(
        own=step.policy,
        other=other,
        wanted=step.asks,
        strategy=cast("Strategy", round_.strategy),
        reward_model=newest_reward_model(loop),
        earlier=all_pairs(loop, before=step),
        purpose=("step", step.number),
        renewed=False,
    )


def _ends(loop: Loop, round_: RoundRecord, *, judgements: int) -> bool:
    """Whether a round has its judgements, so that its newest policy is tested."""
    return round_.budget - judgements < round_.raters_per_item


def _save(
    loop: Loop, round_: RoundRecord, status: str, *, newest: PolicyEntry | None = None, **changed: Any
) -> RoundRecord:
    """The round at its next status, its newest step with these changes; seconds add up."""
    step, spent = round_.step, changed.pop("seconds")
    changed["seconds"] = {**step.seconds, **spent}
    total = {name: round_.seconds.get(name, 0.0) + more for name, more in spent.items()}
    round_ = round_.with_step(step.model_copy(update=changed))
    round_ = round_.model_copy(update={"status": status, "seconds": {**round_.seconds, **total}})
    record = loop.record.with_round(round_)
    loop.save(record.model_copy(update={"newest": newest}) if newest else record)
    return round_
