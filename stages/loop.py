"""The online loop: round after round people judge, the reward model learns, the policy improves, and what is
not better is not promoted.

    sampling   the incumbent, and whoever it is paired with, answer prompts
    selecting  which pairs people are asked about, a random slice always kept apart
    waiting    people judge in the page, simulated raters through the same store
    learning   all rounds' judgements become a reward model, measured on every round's slice
    improving  PPO against it
    judging    the candidate against the incumbent, blind; promoted, or kept back with the reason

With `stage.mode=streaming` a round takes its judgements in small steps, each of which goes through all of
these but the last (`stages/loop_streaming.py`).

Every step is written to `loop.json` when it is done. The same command goes on after anything: what a step
asks of other stages, or of the feedback store, is known again when it is asked again.
"""

from collections.abc import Callable

from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import set_status
from rlhf.config import Config
from rlhf.online.rounds import changes, ending, guidelines_text, logged, next_round, rules_of, said_changes
from rlhf.online.table import print_rounds
from rlhf.runs import Manifest
from rlhf.runs.loop_record import Ending, LoopRecord, RoundRecord
from stages.loop_judging import judge
from stages.loop_learning import improve, learn
from stages.loop_opening import first_policy, label_or_raise, opened
from stages.loop_sampling import sample, select, wait
from stages.loop_setup import Loop, loop_stage, now
from stages.loop_streaming import (
    begun_by,
    improve_step,
    learn_step,
    reopen,
    sample_step,
    select_step,
    wait_step,
)

Step = Callable[[Loop, RoundRecord], RoundRecord | None]
STEPS: dict[str, Step] = {
    "sampling": sample,
    "selecting": select,
    "waiting": wait,
    "learning": learn,
    "improving": improve,
    "judging": judge,
}
"""What is done at each status. A step returns the round at its next status, or None: it waits for people."""
STREAMING: dict[str, Step] = {
    "sampling": sample_step,
    "selecting": select_step,
    "waiting": wait_step,
    "learning": learn_step,
    "improving": improve_step,
    "judging": judge,
}
"""The same in a stream; after "improving" the next small step begins, until the round has its judgements."""


def run(cfg: Config) -> Manifest | None:
    """Runs the loop to its end; returns its manifest, or None where it waits for judgements.

    Raises:
        KeyboardInterrupt: a stop was asked for while it waited.
    """
    stage = loop_stage(cfg)
    first = first_policy(cfg)
    with opened(cfg, first) as loop:
        if loop.run.manifest is None:
            take_note(loop)
            if stage.rollback is not None:
                roll_back(loop, stage.rollback)
            if not go_on(loop):
                return None
        tell(loop)
        return loop.run.manifest


def go_on(loop: Loop) -> bool:
    """Round after round until a rule ends the loop; False where it waits, or was only to roll back."""
    steps = STREAMING if loop.is_stream else STEPS
    while (reason := ending(loop.record, loop.stage)) is None:
        if loop.stage.rollback is not None:
            loop.say("the same command without stage.rollback goes on from here")
            return False
        round_ = unfinished(loop.record) or begin(loop)
        while round_.status != "done":
            done = steps[round_.status](loop, round_)
            if done is None:
                return False
            round_ = done
    finish(loop, reason)
    return True


def begin(loop: Loop) -> RoundRecord:
    """The next round, by the configuration as it is now; what was changed since the last one is noted."""
    number = len(loop.record.rounds) + 1
    campaign = loop.campaign(number)
    if loop.is_stream:
        reopen(loop, campaign)
    guidelines = guidelines_text(loop.stage.guidelines)
    round_ = next_round(loop.record, loop.stage, campaign=campaign, guidelines=guidelines, now=now())
    found = changes(loop.record, loop.stage, round_)
    record = loop.record
    if found:
        loop.note("change", {"round": number, **found})
        record = logged(record, now(), f"round {number}: {', '.join(said_changes(found))}")
    loop.save(record.with_round(round_))
    return round_


def take_note(loop: Loop) -> None:
    """Changed rules of the end go into the record and the logs."""
    found = changes(loop.record, loop.stage)
    if found:
        loop.note("change", {"after_round": len(loop.record.rounds), **found})
        record = loop.record.model_copy(update={"rules": rules_of(loop.stage)})
        loop.save(logged(record, now(), ", ".join(said_changes(found))))


def roll_back(loop: Loop, label: str) -> None:
    """Makes an earlier policy the incumbent again; an unfinished round is measured against it."""
    entry, before = label_or_raise(loop.record, label), loop.record.incumbent.label
    if label == before:
        loop.say(f"{label} is the incumbent ({entry.run})")
        return
    loop.note("rollback", {"from": before, "to": label, "entry": len(loop.record.log)})
    record = logged(loop.record, now(), f"rolled back from {before} to {label}")
    newest = entry if record.newest else None  # where a stream goes on from
    record = record.model_copy(update={"incumbent": entry, "newest": newest, "ended": None})
    round_ = unfinished(record)
    if round_ is not None:  # what it was measured by so far, it was against another
        runs = {stage: run for stage, run in round_.runs.items() if stage != "eval"}
        round_ = round_.model_copy(update={"incumbent": label, "runs": runs})
        record = record.with_round(begun_by(round_, entry))
    loop.save(record)
    loop.say(f"{label} ({entry.run}) is the incumbent again, after {before}")


def finish(loop: Loop, reason: Ending) -> None:
    """Writes down which rule ended the loop, and the manifest."""
    rounds = loop.record.rounds
    if loop.is_stream and rounds:  # nothing more is learnt from what it asks
        set_status(loop.db, OPERATOR, loop.campaign(len(rounds)), "closed")
    if loop.record.ended is None:
        loop.note("end", {"reason": reason, "after_round": len(rounds)})
        record = loop.record.model_copy(update={"ended": reason})
        loop.save(logged(record, now(), f"ended after {len(rounds)} rounds: {reason}"))
    loop.run.finish(
        "loop",
        metrics={
            "rounds": len(rounds),
            "promoted": sum(bool(one.promoted) for one in rounds),
            "judgements": loop.record.judgements,
            **({"steps": len(loop.record.steps)} if loop.is_stream else {}),
            "incumbent": loop.record.incumbent.label,
            "ended": reason,
        },
        resolved=loop.machine.resolved,
        seed=loop.cfg.seed,
    )


def tell(loop: Loop) -> None:
    """The table by round, which rule ended the loop, and where its page is."""
    record = loop.record
    print_rounds(record)
    best = record.incumbent
    loop.say(f"ended by stage.{ENDED[record.ended or 'rounds']}; the incumbent is {best.label} ({best.run})")
    loop.say(f"a higher limit goes on; the page: {loop.run.path / 'report.html'}")


ENDED: dict[Ending, str] = {
    "target": "target_win_rate",
    "budget": "max_judgements",
    "patience": "patience",
    "rounds": "rounds",
}


def unfinished(record: LoopRecord) -> RoundRecord | None:
    """The round that has begun and is not done."""
    return next((one for one in record.rounds if one.status != "done"), None)
