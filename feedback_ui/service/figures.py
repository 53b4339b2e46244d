"""The figures of the manager's board, worked out once for each state of a campaign."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.form import Form
from feedback_ui.schema import Assignment, Audit, Judgement
from feedback_ui.service.access import Actor, campaign_named, require_manager
from feedback_ui.service.adjudication import Dispute, disputes_of
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.current import Said, current
from feedback_ui.service.pace import Pace, pace
from feedback_ui.service.quality import Quality, quality_of, rater_names, votes_of


@dataclass(frozen=True)
class Figures:
    """A campaign's figures as of the judgement of this number; `quality` is None where there is none."""

    last_number: int
    form: Form
    quality: Quality | None
    pace: Pace
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True)
class State:
    """What the figures of a campaign follow from. An erasure changes names, and may take judgements away."""

    last_number: int
    judgements: int
    erasures: int


class FigureCache:
    """Keeps the figures of the last campaigns that were looked at; threads may share one.

    Nothing is kept across processes. Of several who ask at once for figures that are not there, one works
    them out and the others wait for it.
    """

    def __init__(self, db: Database, *, most: int = 8) -> None:
        self._db = db
        self._most = most
        self._kept: OrderedDict[UUID, tuple[State, Figures]] = OrderedDict()
        self._turn = threading.Lock()

    def figures(self, actor: Actor, campaign: UUID | str) -> Figures:
        """Of a campaign, with all that was judged before this call. Raises NotFound, NotAllowed."""
        require_manager(actor)
        with self._turn:
            campaign_id, state = self._db.read(lambda session: _state(session, campaign))
            kept = self._kept.get(campaign_id)
            if kept is None or kept[0] != state:
                kept = self._db.read(lambda session: _read(session, campaign_id)).worked_out()
                self._kept[campaign_id] = kept
            self._kept.move_to_end(campaign_id)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept[1]


@dataclass(frozen=True)
class _Reading:
    state: State
    form: Form
    said: list[Said]
    names: dict[str, str]

    def worked_out(self) -> tuple[State, Figures]:
        judged = votes_of(self.said)
        figures = Figures(
            self.state.last_number,
            self.form,
            quality_of(self.form.kind, judged, self.names),
            pace(judged, self.names),
            tuple(disputes_of(self.form, self.said)),
        )
        return self.state, figures


def _state(session: Session, campaign: UUID | str) -> tuple[UUID, State]:
    row = campaign_named(session, campaign)
    query = (
        select(func.max(Judgement.number), func.count())
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(Assignment.campaign_id == row.id)
    )
    last, judgements = session.execute(query).one()
    erasures = session.scalar(select(func.count()).where(Audit.action == "erase"))
    return row.id, State(last or 0, judgements, erasures or 0)


def _read(session: Session, campaign_id: UUID) -> _Reading:
    row_id, state = _state(session, campaign_id)
    form = form_of(campaign_named(session, row_id))
    return _Reading(state, form, current(session, row_id), rater_names(session))
