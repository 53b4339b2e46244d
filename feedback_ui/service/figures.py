"""The figures of the manager's board, worked out once for each state of a campaign."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
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
    """A campaign's figures; `quality` is None where there is none."""

    form: Form
    quality: Quality | None
    pace: Pace
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True)
class State:
    """What the figures of a campaign follow from: the last number and the count of what raters and of what
    managers wrote, and how often somebody was erased, which changes names and may take judgements away."""

    rated: tuple[int, int]
    settled: tuple[int, int]
    erasures: int

    def same_votes(self, other: "State") -> bool:
        """Whether raters have said the same in both."""
        return (self.rated, self.erasures) == (other.rated, other.erasures)


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
                kept = self._db.read(lambda session: _read(session, campaign_id)).worked_out(kept)
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

    def worked_out(self, before: tuple[State, Figures] | None) -> tuple[State, Figures]:
        """The figures of this state; those of the raters are taken from before where they are the same."""
        disputes = tuple(disputes_of(self.form, self.said))
        if before is not None and self.state.same_votes(before[0]):
            return self.state, replace(before[1], disputes=disputes)
        judged = votes_of(self.said)
        quality = quality_of(self.form.kind, judged, self.names)
        return self.state, Figures(self.form, quality, pace(judged, self.names), disputes)


def _state(session: Session, campaign: UUID | str) -> tuple[UUID, State]:
    row = campaign_named(session, campaign)
    query = (
        select(Assignment.adjudicates, func.max(Judgement.number), func.count())
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(Assignment.campaign_id == row.id)
        .group_by(Assignment.adjudicates)
    )
    found = {settles: (last, count) for settles, last, count in session.execute(query)}
    erasures = session.scalar(select(func.count()).where(Audit.action == "erase")) or 0
    return row.id, State(found.get(False, (0, 0)), found.get(True, (0, 0)), erasures)


def _read(session: Session, campaign_id: UUID) -> _Reading:
    row_id, state = _state(session, campaign_id)
    form = form_of(campaign_named(session, row_id))
    return _Reading(state, form, current(session, row_id), rater_names(session))
