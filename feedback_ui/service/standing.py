"""How a rater stands in a campaign: the test at its beginning, gold items failed, the share of one rater.

All of it is looked at when a rater asks for work, in the transaction that gives it out. What was said of gold
items counts as it stands at that moment; a verdict, once given, stays until a manager gives another.
"""

import math
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import (
    Assignment,
    Campaign,
    GoldKey,
    Item,
    Judgement,
    Participation,
    Rater,
    Standing,
)
from feedback_ui.service.access import OPERATOR, note
from feedback_ui.service.plan import GOLD_WINDOW

_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is taken for another when it is typed over
_CODE_LENGTH = 10


def is_right(content: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether a judgement agrees with a gold key. Of a comparison or ranking, the right answer alone is best:
    a tie with it is wrong."""
    if "better" in expected:
        best = content.get("ranking", [[content.get("better")]])[0]
        return list(best) == [expected["better"]]
    if "label" in expected:
        return content.get("thumb") is expected["label"]
    low, high = expected["score"]
    return "score" in content and low <= content["score"] <= high


def standing_of(session: Session, db: Database, campaign: Campaign, rater: Rater) -> Standing | None:
    """Whether the rater may judge now; None where the test has no items yet. Managers stand no test."""
    own = session.get(Participation, (campaign.id, rater.id))
    if rater.role == "manager" and own is None:
        return "active"
    if own is None:
        if not campaign.qualify_items and not campaign.pause_gold:
            return "active"
        own = take_part(session, db, campaign, rater)
    if own.standing == "qualifying" and not _examine(session, db, campaign, own):
        return None
    if own.standing == "active" and campaign.pause_gold:
        _watch(session, db, campaign, own)
    return own.standing


def take_part(
    session: Session, db: Database, campaign: Campaign, rater: Rater, worker: str | None = None
) -> Participation:
    """The row of a rater who begins in a campaign."""
    own = Participation(
        campaign_id=campaign.id,
        rater_id=rater.id,
        standing="qualifying" if campaign.qualify_items else "active",
        gold_since=0,
        worker=worker,
        completion_code=None,
        joined=db.now(),
    )
    session.add(own)
    session.flush()
    return own


def most_judgements(session: Session, campaign: Campaign) -> int | None:
    """How many judgements one rater may give, gold items apart; None where there is no cap."""
    if campaign.rater_share >= 1:
        return None
    wanted = session.scalar(select(func.sum(Item.wanted)).where(Item.campaign_id == campaign.id)) or 0
    return max(1, math.floor(campaign.rater_share * int(wanted) + 1e-9))


def is_capped(session: Session, campaign: Campaign, rater_id: UUID) -> bool:
    """Whether a rater has given all that one may give."""
    most = most_judgements(session, campaign)
    if most is None:
        return False
    own = (Assignment.campaign_id == campaign.id, Assignment.rater_id == rater_id)
    done = select(func.count()).where(*own, Assignment.status == "done", Assignment.slot.is_not(None))
    return (session.scalar(done) or 0) >= most


def completion_code(session: Session, campaign_id: UUID, rater_id: UUID) -> str | None:
    """What a worker shows to the crowd platform, always the same; None for others, and before any work."""
    own = session.get(Participation, (campaign_id, rater_id))
    if own is None or own.worker is None or own.standing != "active":
        return None
    if own.completion_code is None:
        mine = (Assignment.campaign_id == campaign_id, Assignment.rater_id == rater_id)
        if session.scalar(select(Assignment.id).where(*mine, Assignment.status == "done").limit(1)) is None:
            return None
        own.completion_code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
    return own.completion_code


def gold_outcomes(
    session: Session, campaign_id: UUID, rater_id: UUID, since: int = 0
) -> list[tuple[int, bool | None]]:
    """Number and outcome of a rater's judgements of gold items that count, latest first; None is a skip."""
    found = _on_gold(session, campaign_id, Assignment.rater_id == rater_id, Judgement.number > since)
    return [(number, outcome) for _, number, outcome in found]


def gold_tallies(session: Session, campaign_id: UUID) -> dict[UUID, tuple[int, int]]:
    """How many gold items each rater has judged, and how many of them rightly."""
    tallies: dict[UUID, tuple[int, int]] = {}
    for rater_id, _, outcome in _on_gold(session, campaign_id):
        if outcome is not None:
            judged, right = tallies.get(rater_id, (0, 0))
            tallies[rater_id] = (judged + 1, right + outcome)
    return tallies


def _on_gold(
    session: Session, campaign_id: UUID, *where: ColumnElement[bool]
) -> list[tuple[UUID, int, bool | None]]:
    columns = (Assignment.rater_id, Judgement.number, Judgement.action, Judgement.content, GoldKey.expected)
    query = (
        select(*columns)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(GoldKey, GoldKey.item_id == Assignment.item_id)
        .where(Assignment.campaign_id == campaign_id, ~Assignment.adjudicates, *where)
        .where(Judgement.revision == Assignment.revision, Judgement.action != "withdraw")
        .order_by(Judgement.number.desc())
    )
    return [
        (rater_id, number, is_right(content, expected) if action == "judge" else None)
        for rater_id, number, action, content, expected in session.execute(query)
    ]


def _examine(session: Session, db: Database, campaign: Campaign, own: Participation) -> bool:
    """Give the verdict of the test once its items are done; a skipped one was not right. False where the
    campaign has no item with a known answer."""
    query = select(func.count()).select_from(GoldKey).join(Item, Item.id == GoldKey.item_id)
    there = session.scalar(query.where(Item.campaign_id == campaign.id)) or 0
    needed = min(campaign.qualify_items, there)
    outcomes = gold_outcomes(session, campaign.id, own.rater_id)
    if needed and len(outcomes) >= needed:
        right = sum(outcome is True for _, outcome in outcomes)
        passed = right >= campaign.pass_mark * len(outcomes) - 1e-9
        own.standing = "active" if passed else "failed"
        own.gold_since = outcomes[0][0]
        _record(session, db, own, "passed-test" if passed else "failed-test", right, len(outcomes))
    return needed > 0


def _watch(session: Session, db: Database, campaign: Campaign, own: Participation) -> None:
    found = gold_outcomes(session, campaign.id, own.rater_id, own.gold_since)
    latest = [outcome for _, outcome in found if outcome is not None][:GOLD_WINDOW]
    if latest.count(False) >= campaign.pause_gold:
        own.standing = "paused"
        _record(session, db, own, "paused-on-gold", latest.count(True), len(latest))


def _record(session: Session, db: Database, own: Participation, what: str, right: int, of: int) -> None:
    note(session, db, OPERATOR, what, str(own.rater_id), campaign=str(own.campaign_id), right=right, of=of)
