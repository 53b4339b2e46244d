"""Items about which raters disagree, and a manager's word that settles one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, NotFound
from feedback_ui.form import Form, parse_given
from feedback_ui.schema import Assignment, Campaign, Candidate, Item, Judgement
from feedback_ui.service.access import Actor, campaign_named, note, require_manager, require_rater
from feedback_ui.service.campaigns import form_of, guideline_version
from feedback_ui.service.current import Said, comparisons, current
from feedback_ui.service.slots import new_assignment

FAR_APART = 0.5
"""Scores of one answer contradict each other where they lie this share of the scale apart."""


@dataclass(frozen=True)
class Dispute:
    """An item on which raters contradict each other; answers in the order of the file.

    `votes` counts, for each answer by its place there, how many found it better; `said` is what each gave,
    as `judgement.content` with these places for the answers' ids.
    """

    item_id: UUID
    prompt: Any
    answers: tuple[str, ...]
    votes: dict[int, int]
    said: tuple[dict[str, Any], ...]


def disputes(db: Database, actor: Actor, campaign: UUID | str) -> list[Dispute]:
    """The items, neither settled nor of known answer, on which raters contradict each other.

    They do where one finds better what another finds worse, one's thumb is up and another's down, or their
    scores lie half the scale apart. Those come first that are most evenly contested.
    """
    require_manager(actor)

    def work(session: Session) -> tuple[Form, list[Said]]:
        row = campaign_named(session, campaign)
        return form_of(row), current(session, row.id)

    return disputes_of(*db.read(work))


def disputes_of(form: Form, said: Sequence[Said]) -> list[Dispute]:
    """`disputes` of what was read already."""
    settled = {one.subject.id for one in said if one.adjudicates}
    by_item: dict[UUID, list[Said]] = {}
    for one in said:
        if one.action == "judge" and one.subject.id not in settled and one.subject.gold is None:
            by_item.setdefault(one.subject.id, []).append(one)
    found = [_dispute(votes) for votes in by_item.values() if _contradict(form, votes)]
    return sorted(found, key=_one_sided)


def adjudicate(db: Database, actor: Actor, item_id: UUID, given: dict[str, Any], *, key: str) -> None:
    """Settle an item: what aggregated exports take from then on. `given` is in the order of the file.

    Raises:
        Conflict: the manager has judged this item as a rater.
        InvalidFeedback: what was given does not fit what the campaign asks.
    """
    require_manager(actor)
    parsed = parse_given(given)

    def work(session: Session) -> None:
        manager = require_rater(session, actor)
        item = session.get(Item, item_id, with_for_update=True)
        if item is None:
            raise NotFound("there is no such item")
        campaign = session.get_one(Campaign, item.campaign_id)
        query = select(Candidate.response_id).where(Candidate.item_id == item.id).order_by(Candidate.position)
        shown = [str(own) for own in session.scalars(query)]
        own = select(Assignment).where(Assignment.item_id == item.id, Assignment.rater_id == manager.id)
        assignment = session.scalars(own).first()
        if assignment is not None and not assignment.adjudicates:
            raise Conflict("you have this item as a rater; another manager can settle it")
        if assignment is None:
            assignment = new_assignment(session, item, manager.id, shown, given=db.now(), adjudicates=True)
        used = select(Judgement.id).where(
            Judgement.assignment_id == assignment.id, Judgement.idempotency_key == key
        )
        if session.scalars(used).first():
            return
        assignment.revision += 1
        session.add(
            Judgement(
                assignment_id=assignment.id,
                revision=assignment.revision,
                idempotency_key=key,
                action="judge",
                content=form_of(campaign).resolve(parsed, assignment.shown),
                guideline_version=guideline_version(session, campaign.id),
                active_s=None,
                created=db.now(),
            )
        )
        note(session, db, actor, "adjudicate", str(item.id))

    db.write(work, idempotent=True)


def _contradict(form: Form, votes: Sequence[Said]) -> bool:
    outcomes: dict[str, set[str]] = {}
    for one in votes:
        for pair in comparisons(one):
            outcomes.setdefault(pair.key, set()).add(pair.outcome)
    thumbs = {one.content["thumb"] for one in votes if "thumb" in one.content}
    return (
        len(thumbs) > 1
        or any({"first", "second"} <= said for said in outcomes.values())
        or _far_apart(form, votes)
    )


def _far_apart(form: Form, votes: Sequence[Said]) -> bool:
    widths = {scale.name: scale.high - scale.low for scale in form.scales}
    given: dict[tuple[str, str], list[float]] = {}
    for one in votes:
        if "score" in one.content:
            given.setdefault(("", form.scales[0].name), []).append(one.content["score"])
        for answer, values in one.content.get("ratings", {}).items():
            for scale, value in values.items():
                given.setdefault((answer, scale), []).append(value)
    return any(max(own) - min(own) >= FAR_APART * widths[scale] for (_, scale), own in given.items())


def _one_sided(dispute: Dispute) -> float:
    """The share of votes for the answer with most of them."""
    total = sum(dispute.votes.values())
    return max(dispute.votes.values()) / total if total else 1.0


def _dispute(votes: Sequence[Said]) -> Dispute:
    subject = votes[0].subject
    place = {own: at for at, own in enumerate(subject.answers)}
    counts = dict.fromkeys(range(len(place)), 0)
    for one in votes:
        for pair in comparisons(one):
            if pair.outcome != "tie":
                counts[place[pair.first if pair.outcome == "first" else pair.second]] += 1
        if one.content.get("thumb"):
            counts[0] += 1
    return Dispute(
        subject.id,
        subject.prompt,
        tuple(source.text for source in subject.answers.values()),
        counts,
        tuple(_in_places(one.content, place) for one in votes),
    )


def _in_places(content: Mapping[str, Any], place: Mapping[str, int]) -> dict[str, Any]:
    found = dict(content)
    for name in ("better", "worse"):
        if found.get(name) is not None:
            found[name] = place[found[name]]
    if "ranking" in found:
        found["ranking"] = [sorted(place[own] for own in group) for group in found["ranking"]]
    for name in ("ratings", "flags"):
        if name in found:
            found[name] = {place[own]: value for own, value in found[name].items()}
    if "edit" in found:
        found["edit"] = {"place": place[found["edit"]["response"]], "text": found["edit"]["text"]}
    return found
