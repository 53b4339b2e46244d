"""A campaign with thousands of judgements, written into the tables at once."""

import random
from datetime import timedelta
from uuid import UUID, uuid4

from people import campaign, pairs, rater
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.form import Form
from feedback_ui.schema import Assignment, Campaign, Candidate, Item, Judgement


def many_judgements(
    db: Database, *, items: int, raters: int = 12, raters_per_item: int = 3, seed: int = 0
) -> str:
    """The name of a campaign all of whose items are judged, by raters of skill 0.9 down to 0.6."""
    name = campaign(
        db,
        rows=list(pairs(items)),
        name="many",
        form=Form(kind="compare"),
        raters_per_item=raters_per_item,
    )
    people = [rater(db, f"rater {number:02d}").rater_id for number in range(raters)]
    rng = random.Random(seed)

    def work(session: Session) -> None:
        own = session.scalars(select(Campaign).where(Campaign.name == name)).one()
        query = (
            select(Item.id, Candidate.response_id)
            .join(Candidate, Candidate.item_id == Item.id)
            .where(Item.campaign_id == own.id)
            .order_by(Item.place, Candidate.position)
        )
        answers: dict[UUID, list[str]] = {}
        for item_id, response_id in session.execute(query):
            answers.setdefault(item_id, []).append(str(response_id))
        assignments, judgements = [], []
        for place, (item_id, (good, bad)) in enumerate(answers.items()):
            for slot, number in enumerate(rng.sample(range(raters), raters_per_item)):
                better, worse = (good, bad) if rng.random() < 0.9 - 0.3 * number / raters else (bad, good)
                shown = [good, bad]
                rng.shuffle(shown)
                at = db.now() - timedelta(days=rng.randrange(14), seconds=rng.randrange(3600))
                made = {"id": uuid4(), "campaign_id": own.id, "item_id": item_id, "rater_id": people[number]}
                assignments.append(
                    made
                    | {"slot": slot, "status": "done", "adjudicates": False, "shown": shown, "draft": None}
                    | {"guideline_version": 1, "given": at, "lease_until": at, "revision": 1}
                )
                judgements.append(
                    {"id": uuid4(), "assignment_id": made["id"], "revision": 1, "action": "judge"}
                    | {"idempotency_key": f"{place}/{slot}", "guideline_version": 1, "created": at}
                    | {"content": {"better": better, "worse": worse, "strength": rng.randint(1, 3)}}
                    | {"active_s": rng.lognormvariate(3.5, 0.6)}
                )
        session.execute(insert(Assignment), assignments)
        session.execute(insert(Judgement), judgements)
        session.execute(Item.__table__.update().where(Item.campaign_id == own.id).values(free=0))

    db.write(work)
    return name
