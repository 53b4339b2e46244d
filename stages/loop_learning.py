"""The second half of a round: a reward model of all judgements, and PPO against it."""

import time

from rlhf.online.campaigns import take_down
from rlhf.online.judgements import agreement, sha256, skills
from rlhf.online.judging import slice_quality
from rlhf.online.merging import preferences, slice_of
from rlhf.runs.loop_record import RoundRecord, Slice
from stages.judges import model_reward
from stages.loop_setup import Loop, name_of


def learn(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """All rounds' judgements in one file, and the reward model that learns from it."""
    began, stage = time.monotonic(), loop.stage
    said = take_down(loop.db, round_.campaign, loop.path(round_.number, "snapshot"))
    loop.write_lines(round_, "judgements.jsonl", (one.row() for one in said))
    rounds = [loop.labelled(one) for one in loop.record.rounds[: round_.number]]
    rows = preferences(rounds, aggregate=stage.aggregate, recent_weight=stage.recent_weight)
    file = loop.write_lines(round_, "preferences.jsonl", rows)
    loop.say(f"round {round_.number}: {len(said)} judgements, {len(rows)} pairs of all rounds to learn from")

    before = loop.record.rounds[round_.number - 2].runs["rm"] if round_.number > 1 else None
    manifest = loop.make(
        round_,
        stage.rm,
        data={"preferences": str(file), "feedback": None, "limit": None},
        policy=loop.first.path,
        reward_model=before if stage.reward_model == "continued" else None,
    )
    reward = model_reward(loop.session, str(loop.folder(name_of(manifest)) / "model"), None)
    accuracy: dict[int, Slice] = {}
    for labelled in rounds:
        found = slice_quality(reward, slice_of(labelled))
        if found:
            accuracy[labelled.number] = found
    return loop.save_round(
        round_,
        status="improving",
        judgements=len(said),
        agreement=agreement(said),
        rater_skill=skills(said),
        snapshot_sha256=sha256(said),
        runs={**round_.runs, "rm": name_of(manifest)},
        rm_accuracy=accuracy,
        seconds={**round_.seconds, "learning": time.monotonic() - began},
    )


def improve(loop: Loop, round_: RoundRecord) -> RoundRecord:
    """PPO from the first policy or the incumbent, the reference as configured, else the first policy."""
    stage = loop.stage
    start = loop.first.path if stage.start == "sft" else loop.policy(round_.incumbent).run
    manifest = loop.make(
        round_,
        stage.ppo,
        seed=loop.seed(round_, "ppo"),
        policy=start,
        reference=loop.cfg.inputs.reference or loop.first.path,
        reward_model=round_.runs["rm"],
    )
    return loop.save_round(
        round_,
        status="judging",
        runs={**round_.runs, "ppo": name_of(manifest)},
        candidate=loop.entry(f"round-{round_.number}", manifest),
        kl_nats=manifest.metrics["kl"],
        seconds={**round_.seconds, "improving": manifest.seconds},
    )
