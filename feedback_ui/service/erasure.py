"""A rater's data, erased on request."""

import secrets
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Assignment, Audit, Judgement, Token
from feedback_ui.service.access import Actor, note, require_manager
from feedback_ui.service.accounts import rater_named
from feedback_ui.service.slots import give_up_slot, locked


def erase_rater(
    db: Database, actor: Actor, rater: UUID | str, *, judgements: Literal["keep", "remove"]
) -> None:
    """Make a rater's name, password and sessions disappear, and the judgements with them if asked for.

    Kept judgements stand under a new pseudonym that nothing links to the person. Of removed ones no revision
    stays, and their items look for raters again. Snapshots that were taken earlier are files, which this does
    not reach.
    """
    require_manager(actor)

    def work(session: Session) -> None:
        row = rater_named(session, rater)
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
            session.execute(delete(Judgement).where(Judgement.assignment_id.in_(own)))
            session.execute(delete(Assignment).where(Assignment.rater_id == row.id))
        session.execute(delete(Token).where(Token.rater_id == row.id))
        session.execute(update(Audit).where(Audit.subject == former[:200]).values(subject="erased"))
        row.pseudonym = f"r-{secrets.token_hex(6)}"
        row.name = f"erased-{secrets.token_hex(6)}"
        row.password_hash = None
        row.disabled = row.erased = db.now()
        note(session, db, actor, "erase", str(row.id), judgements=judgements)

    db.write(work)
