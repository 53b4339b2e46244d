"""What a stream has asked and been told so far, out of its steps' files and the store."""

from feedback_ui.service.access import OPERATOR
from feedback_ui.service.progress import campaign_progress
from rlhf.online.campaigns import take_new
from rlhf.online.judgements import Judged, Place, judged_of
from rlhf.online.merging import Labelled
from rlhf.online.pairs import Pair
from rlhf.online.streaming import Taken, merged
from rlhf.runs.loop_record import RoundRecord, StepRecord
from stages.loop_setup import Loop, read_lines

TAKEN, BACK = "judgements.jsonl", "taken_back.jsonl"


def take(loop: Loop, round_: RoundRecord) -> Taken:
    """The step's judgements out of a snapshot that is named by the last one; kept beside it by content."""
    step = round_.step
    assert step.upto is not None
    folder = loop.path(round_.number, loop.of_step(step, f"judgements-{step.upto}"))
    said, back = take_new(loop.db, round_.campaign, folder, after=step.after, upto=step.upto)
    loop.write_lines(round_, loop.of_step(step, BACK), ({"place": place} for place in back))
    loop.write_lines(round_, loop.of_step(step, TAKEN), (one.row() for one in said))
    return Taken(said, back)


def all_said(loop: Loop) -> dict[Place, Judged]:
    """What counts of all that the finished steps took."""
    found: list[Taken] = []
    for round_ in loop.record.rounds:
        for step in round_.steps:
            if step.snapshot_sha256 is not None:
                said = read_lines(loop.path(round_.number, loop.of_step(step, TAKEN)))
                back = read_lines(loop.path(round_.number, loop.of_step(step, BACK)))
                places = [(row["place"][0], row["place"][1], row["place"][2]) for row in back]
                found.append(Taken([judged_of(row) for row in said], places))
    return merged(found)


def said_so_far(loop: Loop) -> list[Judged]:
    """All judgements that the steps took, each once."""
    return list(all_said(loop).values())


def labelled(loop: Loop, said: dict[Place, Judged]) -> list[Labelled]:
    """All judgements that count, with the round that put their pairs before raters."""
    found: list[Labelled] = []
    for round_ in loop.record.rounds:
        pairs = loop.pairs(round_)
        keys = {pair.key for pair in pairs}
        found.append(Labelled(round_.number, pairs, [one for one in said.values() if one.item in keys]))
    return found


def all_pairs(loop: Loop, before: StepRecord | None = None) -> list[Pair]:
    """The pairs of all steps; or of those before one."""
    return [
        pair
        for round_ in loop.record.rounds
        for step in round_.steps
        if before is None or step.number < before.number
        for pair in loop.pairs_of(round_, step)
    ]


def newest_reward_model(loop: Loop) -> str | None:
    """The run of the newest that a step made; None before the first."""
    return next((step.runs["rm"] for step in reversed(loop.record.steps) if "rm" in step.runs), None)


def open_judgements(loop: Loop, round_: RoundRecord) -> int:
    """Judgements that raters can still give on the pairs that are there."""
    progress = campaign_progress(loop.db, OPERATOR, round_.campaign)
    return progress.wanted - progress.judgements
