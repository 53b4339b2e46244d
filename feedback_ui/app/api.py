"""The raters' JSON API: campaigns, the item in hand, what is said of it, one's last judgements.

docs/feedback.md lists it. Every handler asks who sends the request, and the service again what they may.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from feedback_ui.app.bodies import Chat, Draft, Judge, Nothing, Skip, Undo, read
from feedback_ui.app.parts import Parts
from feedback_ui.app.shapes import progress_json, receipt_json
from feedback_ui.errors import InvalidFeedback
from feedback_ui.service import judgements
from feedback_ui.service.access import Actor
from feedback_ui.service.campaigns import CampaignInfo, campaign_info, campaigns
from feedback_ui.service.chat import chat_turn, chosen_answer
from feedback_ui.service.claims import heartbeat, next_turn, save_draft
from feedback_ui.service.past import my_last, my_task
from feedback_ui.service.progress import my_progress
from rlhf.records import Message

MAX_PAST = 200
Json = dict[str, Any]


def rater_api(parts: Parts) -> APIRouter:
    """The routes below /api that judge."""
    router = APIRouter(prefix="/api")
    work = Work(parts)
    _of_campaigns(router, parts, work)
    _of_items(router, parts, work)
    return router


def _of_campaigns(router: APIRouter, parts: Parts, work: "Work") -> None:
    """What there is to judge, and the item in hand."""

    @router.get("/campaigns")
    async def list_campaigns(request: Request) -> list[Json]:
        return await parts.as_actor(request, work.campaigns)

    @router.get("/campaigns/{campaign}")
    async def campaign(request: Request, campaign: UUID) -> Json:
        return await parts.as_actor(request, lambda actor: work.campaign(actor, campaign))

    @router.get("/campaigns/{campaign}/task")
    async def task(request: Request, campaign: UUID) -> Json:
        return await parts.as_actor(request, lambda actor: work.next(actor, campaign))

    @router.get("/campaigns/{campaign}/past")
    async def past(request: Request, campaign: UUID, limit: int = 20) -> list[Json]:
        count = max(1, min(limit, MAX_PAST))
        return await parts.as_actor(request, lambda actor: work.past(actor, campaign, count))

    @router.post("/campaigns/{campaign}/chat")
    async def chat(request: Request, campaign: UUID) -> Json:
        said = await read(request, Chat)
        conversation = await parts.as_actor(request, lambda actor: work.conversation(actor, campaign, said))
        answers = await parts.policies.two_answers(conversation)

        def turn(actor: Actor) -> Json:
            made = chat_turn(parts.db, actor, campaign, conversation, answers, after=said.assignment)
            return {"task": parts.shapes.task(made, parts.db.now())}

        return await parts.as_actor(request, turn)


def _of_items(router: APIRouter, parts: Parts, work: "Work") -> None:
    """What is said of an item, or was."""

    @router.get("/assignments/{assignment}")
    async def own(request: Request, assignment: UUID) -> Json:
        return await parts.as_actor(request, lambda actor: work.own(actor, assignment))

    @router.post("/assignments/{assignment}/judge")
    async def judge(request: Request, assignment: UUID) -> Json:
        said = await read(request, Judge)
        return await parts.as_actor(request, lambda actor: work.judge(actor, assignment, said))

    @router.post("/assignments/{assignment}/skip")
    async def skip(request: Request, assignment: UUID) -> Json:
        said = await read(request, Skip)
        return await parts.as_actor(request, lambda actor: work.skip(actor, assignment, said))

    @router.post("/assignments/{assignment}/undo")
    async def undo(request: Request, assignment: UUID) -> Json:
        said = await read(request, Undo)

        def undone(actor: Actor) -> Json:
            again = judgements.undo(parts.db, actor, assignment, key=said.key)
            return {"task": parts.shapes.task(again, parts.db.now())}

        return await parts.as_actor(request, undone)

    @router.post("/assignments/{assignment}/revise")
    async def revise(request: Request, assignment: UUID) -> Json:
        said = await read(request, Judge)

        def revised(actor: Actor) -> Json:
            receipt = judgements.revise(
                parts.db, actor, assignment, said.given, key=said.key, active_s=said.active_s
            )
            return {"receipt": receipt_json(receipt)}

        return await parts.as_actor(request, revised)

    @router.post("/assignments/{assignment}/draft")
    async def draft(request: Request, assignment: UUID) -> Json:
        said = await read(request, Draft)
        held = await parts.as_actor(
            request, lambda actor: save_draft(parts.db, actor, assignment, said.draft)
        )
        return {"held": held}

    @router.post("/assignments/{assignment}/heartbeat")
    async def beat(request: Request, assignment: UUID) -> Json:
        await read(request, Nothing)
        return {"held": await parts.as_actor(request, lambda actor: heartbeat(parts.db, actor, assignment))}


class Work:
    """What the handlers do, in a thread each, for an actor."""

    def __init__(self, parts: Parts) -> None:
        """On the parts of a server."""
        self.db = parts.db
        self.shapes = parts.shapes

    def campaigns(self, actor: Actor) -> list[Json]:
        """The open ones, with how far the rater is."""
        return [self._listed(actor, one) for one in campaigns(self.db, actor) if one.status == "open"]

    def campaign(self, actor: Actor, campaign: UUID) -> Json:
        """One, with its guidelines."""
        told = self.shapes.campaign(campaign_info(self.db, actor, campaign))
        return {**told, "progress": progress_json(my_progress(self.db, actor, campaign))}

    def next(self, actor: Actor, campaign: UUID) -> Json:
        """The item to judge now, or why there is none."""
        turn = next_turn(self.db, actor, campaign)
        told: Json = {
            "task": self.shapes.task(turn.task, self.db.now()) if turn.task else None,
            "progress": progress_json(my_progress(self.db, actor, campaign)),
            "state": turn.state,
        }
        if turn.completion_code is not None:
            told["completion_code"] = turn.completion_code
        return told

    def past(self, actor: Actor, campaign: UUID, count: int) -> list[Json]:
        """The rater's own last judgements."""
        return [self.shapes.past(one) for one in my_last(self.db, actor, campaign, count=count)]

    def own(self, actor: Actor, assignment: UUID) -> Json:
        """One of the rater's own items as it was shown, and what they said of it."""
        found = my_task(self.db, actor, assignment)
        return {
            "task": self.shapes.task(found.task, self.db.now()),
            "action": found.action,
            "given": found.given,
            "revision": found.revision,
        }

    def judge(self, actor: Actor, assignment: UUID, said: Judge) -> Json:
        """Keep a judgement, then the next item: where that fails, sending the same click again is safe."""
        receipt = judgements.submit(
            self.db, actor, assignment, said.given, key=said.key, active_s=said.active_s
        )
        return self._after(actor, receipt)

    def skip(self, actor: Actor, assignment: UUID, said: Skip) -> Json:
        """Leave an item to others, then the next one."""
        receipt = judgements.skip(self.db, actor, assignment, said.reason, text=said.text, key=said.key)
        return self._after(actor, receipt)

    def conversation(self, actor: Actor, campaign: UUID, said: Chat) -> list[Message]:
        """All turns so far: the one before with the answer that goes on, then the new message."""
        info = campaign_info(self.db, actor, campaign)
        if info.form.kind != "chat":
            raise InvalidFeedback(
                "the campaign {campaign!r} is of kind {kind}, not chat",
                campaign=info.name,
                kind=info.form.kind,
            )
        if not said.message.strip():
            raise InvalidFeedback("write a message")
        if said.assignment is None:
            return [Message("user", said.message)]
        before = my_task(self.db, actor, said.assignment).task
        answer = chosen_answer(self.db, actor, said.assignment)
        turns = [Message(turn["role"], turn["content"]) for turn in before.prompt]
        return [*turns, Message("assistant", answer), Message("user", said.message)]

    def _listed(self, actor: Actor, info: CampaignInfo) -> Json:
        progress = my_progress(self.db, actor, info.id)
        return {
            "id": str(info.id),
            "name": info.name,
            "question": info.question,
            "kind": info.form.kind,
            "language": info.language,
            "status": info.status,
            "done": progress.judged,
            "left": progress.waiting,
        }

    def _after(self, actor: Actor, receipt: judgements.Receipt) -> Json:
        return {"receipt": receipt_json(receipt), "next": self.next(actor, receipt.campaign_id)}
