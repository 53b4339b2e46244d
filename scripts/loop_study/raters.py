"""Raters who stand in for people: they judge by this world's gold, through the feedback store's functions.

The loop waits for people, who may be anybody; so it is told of no gold rater, and nothing of it is changed.
"""

import json
from pathlib import Path

from feedback_ui.database import open_database
from rlhf.online.pairs import Pair, pair_of
from rlhf.online.raters import judge, simulated_raters
from rlhf.online.rounds import judging_name
from rlhf.runs.loop_record import LoopRecord
from scripts.overoptimization.world import gold, read_rows

SKILL = 1.0  # as in Gao et al. 2022, gold does not err; raters who do are compared by their labels


def answer(experiment: Path, loop: Path, record: LoopRecord, seed: int) -> int:
    """Gives what the loop waits for; how many judgements that were."""
    round_ = record.rounds[-1]
    campaign = round_.campaign if round_.status == "waiting" else judging_name(round_)
    worth = {
        (pair.prompt.key, one.text): gold(str(pair.prompt.content), one.text)
        for pair in waited_for(loop, record)
        for one in (pair.first, pair.second)
    }
    db = open_database(str(experiment / "feedback.db"))
    try:
        raters = simulated_raters(db, count=round_.raters_per_item, seed=seed, skill=SKILL, length_bias=0.0)
        return sum(judge(db, campaign, raters, worth))
    finally:
        db.close()


def waited_for(loop: Path, record: LoopRecord) -> list[Pair]:
    """The pairs that the newest round asks about at this moment."""
    round_ = record.rounds[-1]
    folder = loop / f"round-{round_.number}"
    if round_.status == "waiting":
        of_steps = sorted(loop.glob("round-*/step-*/items.jsonl"))  # one campaign for all of them
        return [pair_of(row) for file in of_steps or [folder / "items.jsonl"] for row in read_rows(file)]
    asked = json.loads((folder / "judging.json").read_text(encoding="utf-8"))
    return [pair_of(row) for row in asked["pairs"]]
