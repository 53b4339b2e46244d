"""A rater's data, erased on request."""

import secrets
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict
from feedback_ui.schema import (
    Assignment,
    Audit,
    Campaign,
    Candidate,
    GoldKey,
    Item,
    Judgement,
    Participation,
    PromptRow,
    Response,
    Token,
)
from feedback_ui.service.access import Actor, note, require_manager
from feedback_ui.service.accounts import rater_named
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.slots import give_up_slot, locked


def erase_rater(
    db: Database, actor: Actor, rater: UUID | str, *, judgements: Literal["keep", "remove"]
) -> None:
    """Make a rater's name, password and sessions disappear, and the judgements with them if asked for.

    Kept judgements stand under a new pseudonym that nothing links to the person. Of removed ones no revision
    stays, and their items look for raters again; the turns of the person's chats go with them. Snapshots that
    were taken earlier are files, which this does not reach.

    Raises Conflict for the actor's own account.
    """
    require_manager(actor)

    def work(session: Session) -> None:
        row = rater_named(session, rater)
        if row.id == actor.rater_id:
            raise Conflict("you cannot erase the account that you are signed in by; ask another manager")
        former = row.name
        query = select(Assignment).where(Assignment.rater_id == row.id).order_by(Assignment.item_id)
        for assignment in session.scalars(query):
            locked(session, assignment)
            if judgements == "remove" or assignment.status == "held":
                give_up_slot(session, assignment)
                assignment.status = "released" if assignment.status == "held" else assignment.status
            assignment.draft = None
        session.flush()
        if judgements == "remove":
            own = select(Assignment.id).where(Assignment.rater_id == row.id)
            turns = _chat_turns(session, row.id)
            session.execute(delete(Judgement).where(Judgement.assignment_id.in_(own)))
            session.execute(delete(Assignment).where(Assignment.rater_id == row.id))
            _forget(session, turns)
        session.execute(delete(Participation).where(Participation.rater_id == row.id))
        session.execute(delete(Token).where(Token.rater_id == row.id))
        session.execute(update(Audit).where(Audit.subject == former[:200]).values(subject="erased"))
        row.pseudonym = f"r-{secrets.token_hex(6)}"
        row.name = f"erased-{secrets.token_hex(6)}"
        row.password_hash = None
        row.disabled = row.erased = db.now()
        note(session, db, actor, "erase", str(row.id), judgements=judgements)

    db.write(work)
    db.forget_deleted()


def _chat_turns(session: Session, rater_id: UUID) -> list[Item]:
    """The items that a rater made by chatting: nobody else is given them, and the prompts are theirs."""
    query = (
        select(Item, Campaign)
        .join(Campaign, Campaign.id == Item.campaign_id)
        .join(Assignment, Assignment.item_id == Item.id)
        .where(Assignment.rater_id == rater_id, ~Assignment.adjudicates)
    )
    return [item for item, campaign in session.execute(query) if form_of(campaign).kind == "chat"]


def _forget(session: Session, items: Sequence[Item]) -> None:
    """Take items away, what managers said of them included, and the texts that no other item has."""
    for item in items:
        taken = select(Assignment.id).where(Assignment.item_id == item.id)
        session.execute(delete(Judgement).where(Judgement.assignment_id.in_(taken)))
        for table in (Assignment, Candidate, GoldKey):
            session.execute(delete(table).where(table.item_id == item.id))
        session.execute(delete(Item).where(Item.id == item.id))
        if session.scalar(select(Item.id).where(Item.prompt_id == item.prompt_id).limit(1)) is None:
            session.execute(delete(Response).where(Response.prompt_id == item.prompt_id))
            session.execute(delete(PromptRow).where(PromptRow.id == item.prompt_id))
