"""Judgements that a file holds of its items, kept under raters who have no name here and cannot sign in.

The same person of one file is the same rater in every later import into the campaign, told by a hash; what
the file calls them (often an address) is not stored. Of one person and item the first judgement is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import Form
from feedback_ui.rows import ItemDraft, PastJudgement, RowProblem, digest
from feedback_ui.schema import Assignment, Campaign, Candidate, Item, Judgement, Rater, Response
from feedback_ui.service.accounts import add_account
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.slots import new_assignment

KEY = "imported"


def checked_judgements(draft: ItemDraft, form: Form) -> tuple[ItemDraft, list[RowProblem]]:
    """The draft without the judgements that do not fit what the campaign asks, and a problem for each."""
    kept: list[PastJudgement] = []
    problems: list[RowProblem] = []
    for one in draft.said:
        try:
            _lenient(form).resolve(one.given, [str(place) for place in range(len(draft.answers))])
            kept.append(one)
        except InvalidFeedback as error:
            unused = InvalidFeedback(
                "what {rater} said cannot be used: {error}", rater=one.rater, error=error
            )
            problems.append(RowProblem(draft.place, unused))
    return replace(draft, said=tuple(kept)), problems


def adopt(session: Session, db: Database, campaign_id: UUID, drafts: Sequence[ItemDraft]) -> int:
    """Keep what was said of items that are there; how many judgements are new."""
    campaign = session.get_one(Campaign, campaign_id)
    added = 0
    for draft in drafts:
        if not draft.said:
            continue
        item = session.scalars(
            select(Item).where(Item.campaign_id == campaign_id, Item.sha256 == draft.sha256).with_for_update()
        ).one()
        query = (
            select(Response.sha256, Response.id)
            .join(Candidate, Candidate.response_id == Response.id)
            .where(Candidate.item_id == item.id)
        )
        ids = {sha: str(own) for sha, own in session.execute(query)}
        shown = [ids[answer.sha256] for answer in draft.answers]
        added += sum(_keep(session, db, campaign, item, shown, one) for one in draft.said)
    return added


def _keep(
    session: Session, db: Database, campaign: Campaign, item: Item, shown: list[str], one: PastJudgement
) -> bool:
    rater = _rater(session, db, campaign, one.rater)
    query = select(Assignment).where(Assignment.item_id == item.id)
    there = [*session.scalars(query)]
    if any(assignment.rater_id == rater.id for assignment in there):
        return False
    slot = None
    if item.wanted is not None and item.free is not None:
        if item.free == 0:  # more have judged it than were asked for here: nothing of that is thrown away
            item.wanted += 1
        else:
            item.free -= 1
        taken = {assignment.slot for assignment in there}
        slot = next(number for number in range(item.wanted) if number not in taken)
    at = one.created or db.now()
    assignment = new_assignment(session, item, rater.id, shown, given=at, slot=slot)
    assignment.revision = 1
    session.add(
        Judgement(
            assignment_id=assignment.id,
            revision=assignment.revision,
            idempotency_key=KEY,
            action="judge",
            content=_lenient(form_of(campaign)).resolve(one.given, shown),
            guideline_version=assignment.guideline_version,
            active_s=one.active_s,
            created=at,
        )
    )
    session.flush()
    return True


def _rater(session: Session, db: Database, campaign: Campaign, said: str) -> Rater:
    name = f"imported-{digest([str(campaign.id), said])[:16]}"
    rater = session.scalar(select(Rater).where(Rater.name == name))
    if rater is None:
        rater = add_account(session, db, None, name, "rater", None, guest=True)
        rater.disabled = db.now()
        session.flush()
    return rater


def _lenient(form: Form) -> Form:
    """A reason that was not asked for there is not missing here."""
    return form.model_copy(update={"reason": "optional"}) if form.reason == "required" else form
