"""How far a campaign is: for a rater, and for its manager."""

from collections import Counter
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Assignment, Campaign, CampaignStatus, GoldKey, Item, Judgement, Rater
from feedback_ui.service.access import Actor, campaign_named, rater_in, require_manager


@dataclass(frozen=True)
class MyProgress:
    """How many items a rater has judged and skipped, and how many still wait for them at this moment.

    Where items with a known answer are mixed in, as many of these wait as the campaign plans, however many
    were drawn: a sum that grew with each would tell which they are.
    """

    judged: int
    skipped: int
    waiting: int


@dataclass(frozen=True)
class CampaignProgress:
    """A campaign's state: `judgements` of `wanted`; `complete` items of `items`, gold items apart."""

    name: str
    status: CampaignStatus
    items: int
    complete: int
    gold_items: int
    judgements: int
    wanted: int
    skips: int
    held: int
    by_rater: dict[str, int]
    by_day: dict[str, int]


def my_progress(db: Database, actor: Actor, campaign: UUID | str) -> MyProgress:
    """Of the actor, in one campaign."""

    def work(session: Session) -> MyProgress:
        rater, row = rater_in(session, actor, campaign)
        campaign_id = row.id
        own = (Assignment.campaign_id == campaign_id, Assignment.rater_id == rater.id)
        keyed = func.count(GoldKey.item_id)
        query = select(Assignment.status, func.count(), keyed).outerjoin(
            GoldKey, GoldKey.item_id == Assignment.item_id
        )
        counts: Counter[str] = Counter()
        gold: Counter[str] = Counter()
        for status, count, of_gold in session.execute(query.where(*own).group_by(Assignment.status)):
            counts[status], gold[status] = count, of_gold
        # counted by the index of open items alone; what the rater has had of them is a few rows
        is_open = (Item.campaign_id == campaign_id, Item.free > literal_column("0"))
        had = select(func.count()).select_from(Assignment).join(Item, Item.id == Assignment.item_id)
        had = had.where(*own, Assignment.status != "released", *is_open)
        waiting = select(select(func.count()).where(*is_open).scalar_subquery() - had.scalar_subquery())
        left = (session.scalar(waiting) or 0) + counts["held"] - gold["held"]
        given = counts["done"] + counts["skipped"]
        if left and row.gold_share:
            others = given - gold["done"] - gold["skipped"] + left
            left = max(left, ceil(others / (1 - row.gold_share)) - given)
        return MyProgress(counts["done"], counts["skipped"], left + (gold["held"] if not left else 0))

    return db.read(work)


def campaign_progress(db: Database, actor: Actor, campaign: UUID | str) -> CampaignProgress:
    """Of a campaign, for its manager; raters by name, days in UTC."""
    require_manager(actor)
    return db.read(lambda session: _progress(session, campaign_named(session, campaign)))


def all_progress(db: Database, actor: Actor) -> list[CampaignProgress]:
    """Of every campaign, by name."""
    require_manager(actor)

    def work(session: Session) -> list[CampaignProgress]:
        return [_progress(session, row) for row in session.scalars(select(Campaign).order_by(Campaign.name))]

    return db.read(work)


def _progress(session: Session, campaign: Campaign) -> CampaignProgress:
    items = select(func.count(Item.wanted), func.sum(Item.wanted), func.count(GoldKey.item_id)).outerjoin(
        GoldKey, GoldKey.item_id == Item.id
    )
    total, wanted, gold = session.execute(items.where(Item.campaign_id == campaign.id)).one()
    done = (
        select(Assignment.item_id, func.count().label("votes"))
        .where(
            Assignment.campaign_id == campaign.id, Assignment.status == "done", Assignment.slot.is_not(None)
        )
        .group_by(Assignment.item_id)
        .subquery()
    )
    complete = session.scalar(
        select(func.count()).select_from(Item).join(done, done.c.item_id == Item.id)
        .where(done.c.votes >= Item.wanted)
    )  # fmt: skip
    statuses = (
        select(Assignment.status, func.count())
        .where(Assignment.campaign_id == campaign.id)
        .group_by(Assignment.status)
    )
    by_status = {status: count for status, count in session.execute(statuses)}
    raters = (
        select(Rater.name, func.count())
        .join(Assignment, Assignment.rater_id == Rater.id)
        .where(Assignment.campaign_id == campaign.id, Assignment.status == "done")
        .group_by(Rater.name)
        .order_by(Rater.name)
    )
    times = (
        select(Judgement.created)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(Assignment.campaign_id == campaign.id, Assignment.status == "done")
        .where(Judgement.revision == Assignment.revision)
    )
    days = Counter(created.date().isoformat() for created in session.scalars(times))
    votes = session.scalar(select(func.sum(done.c.votes))) or 0
    return CampaignProgress(
        name=campaign.name,
        status=campaign.status,
        items=total,
        complete=complete or 0,
        gold_items=gold,
        judgements=int(votes),
        wanted=int(wanted or 0),
        skips=by_status.get("skipped", 0),
        held=by_status.get("held", 0),
        by_rater={name: count for name, count in session.execute(raters)},
        by_day=dict(sorted(days.items())),
    )
