"""A round's campaign in the feedback store: made, filled, looked at, closed and taken down.

Everything can be said twice: a campaign is known again by its name, an item by its content.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from feedback_ui.database import Database
from feedback_ui.errors import Conflict
from feedback_ui.form import FLAGS, Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import accounts
from feedback_ui.service.campaigns import campaign_info, create_campaign, set_guidelines, set_status
from feedback_ui.service.importing import import_rows
from feedback_ui.service.loops import Purpose, loops, note_loop
from feedback_ui.service.plan import Plan
from feedback_ui.service.progress import campaign_progress
from feedback_ui.service.snapshot import news, snapshot
from rlhf.data.feedback import open_snapshot
from rlhf.errors import DataError
from rlhf.online.judgements import Judged, Place, judged_rows, taken_back
from rlhf.online.pairs import Pair
from rlhf.runs.loop_record import Waiting

FORM = Form(kind="compare", flags=FLAGS, edit=True)


def put_up(
    db: Database,
    name: str,
    pairs: Sequence[Pair],
    *,
    raters_per_item: int,
    guidelines: str,
    folder: Path,
    round_number: int,
    purpose: Purpose = "labels",
) -> int:
    """Has the store ask for these pairs, in this order; returns the version of the guidelines.

    Args:
        folder: the loop's run folder, which the page is told of.

    Raises:
        DataError: a pair cannot be shown; says which and why.
    """
    try:
        create_campaign(
            db, OPERATOR, name, FORM, plan=Plan(raters_per_item=raters_per_item), guidelines=guidelines
        )
    except Conflict:  # made before, by this very round: its name holds the loop's identity
        if campaign_info(db, OPERATOR, name).guidelines != guidelines:
            set_guidelines(db, OPERATOR, name, guidelines)
    rows = [(f"pair {number}", pair.item) for number, pair in enumerate(pairs, start=1)]
    imported = import_rows(db, OPERATOR, name, rows)
    if imported.problems:
        raise DataError(f"{imported.problems[0]}, and cannot be asked about")
    wanted = campaign_progress(db, OPERATOR, name).wanted
    note_loop(db, OPERATOR, name, folder, round_number=round_number, wanted=wanted, purpose=purpose)
    return campaign_info(db, OPERATOR, name).guideline_version


def waiting(db: Database, name: str) -> Waiting:
    """How far the judgements of a campaign that `put_up` made have come, and when the rest may be there."""
    own = next(one for loop in loops(db, OPERATOR) for one in loop.campaigns if one.campaign == name)
    return Waiting(
        judgements=own.judged,
        needed=own.wanted,
        per_hour=own.per_hour,
        expected_end=own.expected,
        seen=db.now(),
    )


def waiting_after(db: Database, found: Waiting, name: str, after: int, needed: int) -> Waiting:
    """The same, of `needed` judgements after the one of a number."""
    judged, _ = news(db, name, after)
    left, now = max(needed - judged, 0), db.now()
    expected = now + timedelta(hours=left / found.per_hour) if left and found.per_hour else None
    return found.model_copy(
        update={"judgements": judged, "needed": needed, "expected_end": expected, "seen": now}
    )


def take_down(db: Database, name: str, folder: Path) -> list[Judged]:
    """Closes a campaign, so that nothing is judged or corrected any more, and reads what was said.

    The snapshot is written to `folder`; one that is there already is this campaign's own, and is read.

    Raises:
        InvalidFeedback: nothing was judged.
        DataError: the snapshot was changed.
    """
    set_status(db, OPERATOR, name, "closed")
    if not folder.exists():
        snapshot(db, name, folder)
    return judged_rows(_lines(folder), _names(db))


def take_new(
    db: Database, name: str, folder: Path, *, after: int, upto: int
) -> tuple[list[Judged], list[Place]]:
    """What was said in an open campaign after one judgement and up to another, by their numbers.

    The judgements, corrections of earlier ones among them, and the places of those that were taken back. The
    snapshot is written to `folder`, or read there, as by `take_down`.

    Raises:
        DataError: the snapshot was changed.
    """
    if not folder.exists():
        snapshot(db, name, folder, after=after, upto=upto)
    lines, names = _lines(folder), _names(db)
    return judged_rows(lines, names), taken_back(lines, names)


def _lines(folder: Path) -> list[dict[str, Any]]:
    open_snapshot(folder)
    # as bytes: text would be cut at every separator of lines that Unicode knows, and answers may hold them
    written = (folder / "judgements.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in written]


def _names(db: Database) -> dict[str, str]:
    return {account.pseudonym: account.name for account in accounts(db, OPERATOR)}
