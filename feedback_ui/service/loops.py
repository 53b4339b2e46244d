"""Loops that learn from the store's campaigns: which there are, what each waits for, and when it may have it.

A loop (`stage=loop`) says of each campaign that it makes in which folder it runs and how many judgements its
round waits for. How far it is, is told from the store itself, at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, NotFound, Phrase, listed
from feedback_ui.schema import Assignment, Audit, Campaign, CampaignStatus, Judgement
from feedback_ui.service.access import Actor, campaign_named, note, require_manager

Purpose = Literal["labels", "judging"]
"""What a loop asks of people: pairs to learn from, or which of two policies is better."""
Act = Literal["change", "promote", "keep", "rollback", "extend", "end"]
"""What a loop, or who runs it, did beside asking: a setting changed, a candidate promoted or not, ..."""

PAGE = "report.html"
"""The page that a loop writes in its folder."""
LATEST = 100
"""How many of the last judgements tell the rate."""
_ACTION = "loop"


@dataclass(frozen=True)
class Waiting:
    """A campaign that a loop has made for one of its rounds.

    `judged` of `wanted` judgements are there. `per_hour` is the rate of the last `LATEST`, up to now, None
    where there are fewer than two; `expected` is when the rest would be there at this rate.
    """

    campaign_id: UUID
    campaign: str
    status: CampaignStatus
    purpose: Purpose
    round_number: int
    wanted: int
    judged: int
    per_hour: float | None
    expected: datetime | None

    @property
    def left(self) -> int:
        """Judgements that are still waited for."""
        return max(self.wanted - self.judged, 0)


@dataclass(frozen=True)
class Loop:
    """A loop by its folder, and its campaigns, the newest first."""

    folder: Path
    campaigns: tuple[Waiting, ...]

    @property
    def page_written(self) -> datetime | None:
        """When its page was written last; None where there is none on this machine."""
        try:
            return datetime.fromtimestamp((self.folder / PAGE).stat().st_mtime, UTC)
        except OSError:
            return None

    @property
    def name(self) -> str:
        """The experiment and the run: `demo/loop-1`."""
        return "/".join(self.folder.parts[-2:])


def note_loop(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    folder: Path | str,
    *,
    round_number: int,
    wanted: int,
    purpose: Purpose = "labels",
) -> None:
    """Say that a campaign is a loop's. Said again it changes nothing; said otherwise, the latest counts.

    Args:
        folder: where the loop runs and writes `report.html`.
        wanted: the judgements that its round waits for.

    Raises:
        NotFound: there is no such campaign.
    """
    require_manager(actor)
    if purpose not in get_args(Purpose):
        raise InvalidFeedback(
            "purpose={purpose} is not one of {names}", purpose=purpose, names=listed(get_args(Purpose))
        )
    if round_number < 0 or wanted < 0:
        raise InvalidFeedback(
            "round {round} that waits for {wanted} judgements: both are 0 or more",
            round=round_number,
            wanted=wanted,
        )
    detail = {
        "folder": str(Path(folder).absolute()),
        "round": round_number,
        "wanted": wanted,
        "purpose": purpose,
    }

    def work(session: Session) -> None:
        row = campaign_named(session, campaign)
        latest = select(Audit.detail).where(Audit.action == _ACTION, Audit.subject == str(row.id))
        if session.scalar(latest.order_by(Audit.number.desc()).limit(1)) != detail:
            note(session, db, actor, _ACTION, str(row.id), **detail)

    db.write(work, idempotent=True)


def note_act(db: Database, actor: Actor, folder: Path | str, act: Act, detail: Mapping[str, Any]) -> None:
    """Have the audit log keep who did what to a loop; an act of the same detail is kept once.

    Args:
        detail: what tells this act from others, as JSON: the round, what was changed from what to what.
    """
    require_manager(actor)
    if act not in get_args(Act):
        raise InvalidFeedback("act={act} is not one of {names}", act=act, names=listed(get_args(Act)))
    action, subject = f"{_ACTION}-{act}", str(Path(folder).absolute())[-200:]

    def work(session: Session) -> None:
        kept = select(Audit.detail).where(Audit.action == action, Audit.subject == subject)
        if dict(detail) not in session.scalars(kept).all():
            note(session, db, actor, action, subject, **detail)

    db.write(work, idempotent=True)


def loops(db: Database, actor: Actor) -> list[Loop]:
    """All that were noted, the one whose campaign was noted last first."""
    require_manager(actor)

    def work(session: Session) -> list[Loop]:
        found: dict[Path, list[Waiting]] = {}
        for campaign, detail in _noted(session).items():
            found.setdefault(Path(detail["folder"]), []).append(_waiting(session, db, campaign, detail))
        return [Loop(folder, tuple(own)) for folder, own in found.items()]

    return db.read(work)


def loop_page(db: Database, actor: Actor, campaign: UUID) -> str:
    """The page, HTML, of the loop that a campaign is of.

    Raises:
        NotFound: the campaign is no loop's, or the page is not on this machine.
    """
    require_manager(actor)

    def work(session: Session) -> Path:
        row = campaign_named(session, campaign)
        latest = select(Audit.detail).where(Audit.action == _ACTION, Audit.subject == str(row.id))
        detail = session.scalar(latest.order_by(Audit.number.desc()).limit(1))
        if detail is None:
            raise NotFound("the campaign {campaign!r} is no loop's", campaign=row.name)
        return Path(detail["folder"])

    path = db.read(work) / PAGE
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or Phrase("it is no text in UTF-8")
        raise NotFound(
            "{path}: {reason}; the page is on the machine where the loop runs", path=path, reason=reason
        ) from None


def _noted(session: Session) -> dict[Campaign, dict[str, Any]]:
    """What was said last of each campaign, the newest campaign first."""
    query = select(Audit.subject, Audit.detail).where(Audit.action == _ACTION).order_by(Audit.number)
    latest: dict[str, dict[str, Any]] = {}
    for subject, detail in session.execute(query):
        latest.pop(subject, None)
        latest[subject] = detail
    rows = session.scalars(select(Campaign).where(Campaign.id.in_([UUID(subject) for subject in latest])))
    by_id = {str(row.id): row for row in rows}
    return {by_id[subject]: detail for subject, detail in reversed(latest.items()) if subject in by_id}


def _waiting(session: Session, db: Database, campaign: Campaign, detail: Mapping[str, Any]) -> Waiting:
    own = (
        Assignment.campaign_id == campaign.id,
        Assignment.status == "done",
        Assignment.slot.is_not(None),
    )
    judged = session.scalar(select(func.count()).select_from(Assignment).where(*own)) or 0
    times = (
        select(Judgement.created)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(*own, Judgement.revision == Assignment.revision)
        .order_by(Judgement.created.desc())
        .limit(LATEST)
    )
    now = db.now()
    per_hour = _rate(session.scalars(times).all(), now)
    left = max(detail["wanted"] - judged, 0)
    expected = now + timedelta(hours=left / per_hour) if left and per_hour else None
    return Waiting(
        campaign.id,
        campaign.name,
        campaign.status,
        detail["purpose"],
        detail["round"],
        detail["wanted"],
        judged,
        per_hour,
        expected,
    )


def _rate(times: Sequence[datetime], now: datetime) -> float | None:
    """An hour, from the oldest of these (the last) until now: it falls while nobody judges."""
    if len(times) < 2 or now <= times[-1]:
        return None
    return (len(times) - 1) / ((now - times[-1]).total_seconds() / 3600)
