"""Live conversations: at each turn two answers, of which the better goes on as the conversation."""

import random
from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, Phrase
from feedback_ui.form import check_storable
from feedback_ui.rows import Answer, ItemDraft
from feedback_ui.schema import Assignment, Item, Judgement, PromptRow, Response
from feedback_ui.service.access import Actor, own_assignment, rater_in
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.importing import add_items
from feedback_ui.service.slots import assign, release_held
from feedback_ui.service.standing import standing_of
from feedback_ui.service.tasks import Task, task_of
from rlhf.records import Message, Prompt


def chat_turn(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    conversation: Sequence[Message],
    answers: Sequence[Answer],
    *,
    after: UUID | None = None,
    rng: random.Random | None = None,
) -> Task:
    """Keep one turn, and give it to the rater who chats: submitted like any comparison.

    Args:
        conversation: all turns so far, the user's new message last.
        answers: what two policies said to it, with where each came from.
        after: the assignment of the turn before, in the same conversation.

    Raises:
        InvalidFeedback: the campaign is no chat, the two answers do not differ, or nothing was asked.
        Conflict: the campaign is not open.
    """
    chance = rng or random.SystemRandom()
    if not conversation or conversation[-1].role != "user" or not conversation[-1].content.strip():
        raise InvalidFeedback("a turn begins with a message of yours")
    if len(answers) != 2 or answers[0].text == answers[1].text:
        raise InvalidFeedback("a turn has two answers that differ; ask the models again")
    for text in [*(turn.content for turn in conversation), *(answer.text for answer in answers)]:
        check_storable(text, "the conversation")

    def work(session: Session) -> Task:
        rater, row = rater_in(session, actor, campaign)
        if form_of(row).kind != "chat":
            raise InvalidFeedback(
                "the campaign {campaign!r} is of kind {kind}, not chat",
                campaign=row.name,
                kind=form_of(row).kind,
            )
        if row.status != "open":
            raise Conflict(
                "the campaign {campaign!r} is {status}; ask its manager to open it",
                campaign=row.name,
                status=Phrase(row.status),
            )
        if standing_of(session, db, row, rater) != "active":
            raise Conflict("you were paused in this campaign; ask its manager")
        where = _next_turn(session, actor, after)
        draft = ItemDraft("chat", Prompt(tuple(conversation), where), tuple(answers))
        release_held(session, row.id, rater.id)
        (item_id,) = add_items(session, db, row.id, [draft], wanted=1)
        session.flush()
        item = session.get_one(Item, item_id, with_for_update=True)
        return task_of(session, row, assign(session, db, row, item, rater.id, chance))

    return db.write(work)


def chosen_answer(db: Database, actor: Actor, assignment_id: UUID) -> str:
    """The answer of a judged turn with which the conversation goes on; of a tie, the one shown first.

    Raises:
        Conflict: the turn is not judged.
    """

    def work(session: Session) -> str:
        assignment = own_assignment(session, actor, assignment_id)
        if assignment.status != "done":
            raise Conflict("say first which answer is better")
        content = session.scalars(
            select(Judgement.content).where(
                Judgement.assignment_id == assignment.id, Judgement.revision == assignment.revision
            )
        ).one()
        edit = content.get("edit")
        if edit:
            return edit["text"]
        better = content.get("better") or assignment.shown[0]
        return session.get_one(Response, UUID(better)).text

    return db.read(work)


def _next_turn(session: Session, actor: Actor, after: UUID | None) -> dict[str, str | int]:
    """Which conversation, and the turn's number in it, kept with the prompt."""
    if after is None:
        return {"conversation": str(uuid4()), "turn": 0}
    before: Assignment = own_assignment(session, actor, after)
    fields = session.scalars(
        select(PromptRow.fields).join(Item, Item.prompt_id == PromptRow.id).where(Item.id == before.item_id)
    ).one()
    return {"conversation": fields["conversation"], "turn": fields["turn"] + 1}
