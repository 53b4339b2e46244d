"""What a round goes by, decided when it begins; and what a manager changed since the last one."""

import getpass
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rlhf.config import LoopStage
from rlhf.errors import ConfigError
from rlhf.online.ending import ended
from rlhf.runs.loop_record import Ending, EndingRules, LogEntry, LoopRecord, RoundRecord


def ending(record: LoopRecord, stage: LoopStage) -> Ending | None:
    """Which rule ends the loop; "budget" also where what is left of it asks about no pair more."""
    found = ended(record, stage)
    unfinished = any(one.status != "done" for one in record.rounds)
    if found or unfinished or stage.max_judgements is None:
        return found
    return "budget" if stage.max_judgements - record.judgements < stage.raters_per_item else None


def next_round(
    record: LoopRecord, stage: LoopStage, *, campaign: str, guidelines: str, now: datetime
) -> RoundRecord:
    """The next round, as the configuration is at this moment."""
    number = len(record.rounds) + 1
    budget = stage.first_budget if number == 1 and stage.first_budget else stage.budget
    if stage.max_judgements is not None:
        budget = min(budget, stage.max_judgements - record.judgements)
    return RoundRecord(
        number=number,
        incumbent=record.incumbent.label,
        strategy="random" if number == 1 else stage.strategy,
        budget=budget,
        raters_per_item=stage.raters_per_item,
        guidelines_sha256=hashlib.sha256(guidelines.encode()).hexdigest(),
        campaign=campaign,
        started=now,
    )


def judging_name(round_: RoundRecord) -> str:
    """The campaign in which people judge a candidate; a stream's own is the same for all rounds."""
    number = f" {round_.number}" if round_.steps else ""
    return f"{round_.campaign} judging{number}"


def rules_of(stage: LoopStage) -> EndingRules:
    """What ends the loop."""
    return EndingRules(
        target_win_rate=stage.target_win_rate,
        max_judgements=stage.max_judgements,
        patience=stage.patience,
        rounds=stage.rounds,
    )


def changes(record: LoopRecord, stage: LoopStage, coming: RoundRecord | None = None) -> dict[str, Any]:
    """What is otherwise than it was: each key with what it was and what it is now."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if record.rules is not None:
        before |= record.rules.model_dump()
        after |= rules_of(stage).model_dump()
    if coming is not None and coming.number > 1:
        last = record.rounds[coming.number - 2]
        # the first round knows no strategy but random, and may have a budget of its own
        names = ["raters_per_item", "guidelines_sha256"]
        names += ["strategy", "budget"] if last.number > 1 else []
        before |= {name: getattr(last, name) for name in names}
        after |= {name: getattr(coming, name) for name in names}
    return {name: [value, after[name]] for name, value in before.items() if value != after[name]}


def said_changes(found: Mapping[str, Any]) -> Iterator[str]:
    """The changes in words."""
    for name, (before, after) in found.items():
        if name == "guidelines_sha256":
            yield "new guidelines"
        else:
            yield f"{name} {_shown(before)} -> {_shown(after)}"


def logged(record: LoopRecord, now: datetime, what: str) -> LoopRecord:
    """The record with a line more in its log."""
    entry = LogEntry(time=now, who=operator(), what=what)
    return record.model_copy(update={"log": [*record.log, entry]})


def operator() -> str:
    """Who gives the commands, by the name of their account on this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "operator"


def guidelines_text(path: str | None) -> str:
    """The guidelines' text. Raises ConfigError where the file cannot be read."""
    if path is None:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"stage.guidelines={path}: cannot be read ({why}); name a text file") from None


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
