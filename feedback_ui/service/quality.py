"""The manager's figures: whether what the raters say can be trusted (`rlhf.crowd` computes them)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.export_rows import by_pair, known_pairs
from feedback_ui.form import Kind
from feedback_ui.schema import Rater
from feedback_ui.service.access import Actor, campaign_named, require_manager
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.current import Comparison, Said, comparisons, current
from rlhf import crowd

PAIRED: tuple[Kind, ...] = ("compare", "chat", "rank")
MOST_KAPPAS = 10
"""Cohen's kappa is of two raters; it is told of each two among so many who judged most."""


@dataclass(frozen=True)
class Quality:
    """Figures with 95 % intervals, nan where nothing is known; raters by name.

    `agreement` is the share of pairs of raters who said the same; `alpha` is Krippendorff's, of numbers by
    their differences; `fleiss` is None where items have different numbers of raters. `skills` are the
    probability of being right by Dawid–Skene, and None where the campaign has no classes. `left` and `longer`
    are the shares of all votes for the side shown on the left and for the longer answer. `models` are
    Bradley–Terry strengths in nats of the models compared, and None where there are not two.
    """

    num_judgements: int
    agreement: crowd.Interval
    alpha: crowd.Interval
    fleiss: crowd.Interval | None
    cohen: dict[tuple[str, str], crowd.Interval]
    skills: dict[str, crowd.Interval] | None
    raters: dict[str, crowd.RaterFigures]
    left: crowd.Interval
    longer: crowd.Interval
    side_alarm: bool
    models: crowd.Strengths | None


def quality(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    *,
    limits: crowd.Limits | None = None,
    seed: int = 0,
    draws: int = 200,
) -> Quality | None:
    """A campaign's figures; None while nothing is judged, and for answers that raters write.

    Args:
        limits: what sets off an alarm.
        seed: of the bootstrap behind the intervals, `draws` samples of whole items.
    """
    require_manager(actor)

    def work(session: Session) -> tuple[Kind, list[Said], dict[str, str]]:
        row = campaign_named(session, campaign)
        names = {pseudonym: name for pseudonym, name in session.execute(select(Rater.pseudonym, Rater.name))}
        return form_of(row).kind, current(session, row.id), names

    kind, said, names = db.read(work)
    judged = [one for one in said if one.action == "judge" and not one.adjudicates]
    judgements = judgements_of(kind, judged, names)
    if not judgements:
        return None
    tie = "tie" if kind in PAIRED else None
    gold = gold_of(kind, judged)
    left = crowd.left_share(judgements, tie=tie)
    num_sided = sum(one.left is not None and one.label != tie for one in judgements)
    return Quality(
        num_judgements=len(judged),
        agreement=crowd.raw_agreement(judgements, seed=seed, draws=draws),
        alpha=crowd.krippendorff_alpha(
            judgements, level="interval" if kind in ("score", "rate") else "nominal", seed=seed, draws=draws
        ),
        fleiss=_fleiss(judgements, seed, draws),
        cohen=_cohen(judgements, seed, draws),
        skills=_skills(kind, judgements, gold),
        raters=crowd.rater_figures(judgements, gold=gold, tie=tie, limits=limits),
        left=left,
        longer=crowd.longer_share(judgements, tie=tie),
        side_alarm=crowd.side_alarm(left, num_sided, limits or crowd.Limits()),
        models=_models(judged, names, seed, draws),
    )


def judgements_of(kind: Kind, judged: Sequence[Said], names: dict[str, str]) -> list[crowd.Judgement]:
    """What was said as labels: of pairs first, second or tie; of thumbs 1 or 0; else the number given."""
    if kind in PAIRED:
        return [_of_pair(pair, names) for one in judged for pair in comparisons(one)]
    found: list[crowd.Judgement] = []
    for one in judged:
        item, rater = str(one.subject.id), names[one.rater]
        if "thumb" in one.content:
            found.append(crowd.Judgement(item, rater, int(one.content["thumb"]), seconds=one.active_s))
        elif "score" in one.content:
            found.append(crowd.Judgement(item, rater, one.content["score"], seconds=one.active_s))
        else:
            found += [
                crowd.Judgement(f"{item}/{answer}/{scale}", rater, value, seconds=one.active_s)
                for answer, ratings in one.content.get("ratings", {}).items()
                for scale, value in ratings.items()
            ]
    return found


def gold_of(kind: Kind, judged: Sequence[Said]) -> dict[str, crowd.Label]:
    """The labels that are right, of items with a gold key; a range of scores is no label."""
    if kind in PAIRED:
        return {**known_pairs(by_pair(judged))}
    keyed = [one for one in judged if one.subject.gold and "label" in one.subject.gold]
    return {str(one.subject.id): int(one.subject.gold["label"]) for one in keyed if one.subject.gold}


def _of_pair(pair: Comparison, names: dict[str, str]) -> crowd.Judgement:
    said = pair.said
    two = len(said.shown) == 2  # of a ranking nothing stands simply on the left
    lengths = [len(said.subject.answers[own].text) for own in (pair.first, pair.second)]
    return crowd.Judgement(
        pair.key,
        names[said.rater],
        pair.outcome,
        left=("first" if said.shown[0] == pair.first else "second") if two else None,
        longer=None if lengths[0] == lengths[1] else "first" if lengths[0] > lengths[1] else "second",
        seconds=said.active_s,
    )


def _fleiss(judgements: Sequence[crowd.Judgement], seed: int, draws: int) -> crowd.Interval | None:
    counts: dict[str, int] = {}
    for one in judgements:
        counts[one.item] = counts.get(one.item, 0) + 1
    if len(set(counts.values())) > 1 or set(counts.values()) == {1}:
        return None
    return crowd.fleiss_kappa(judgements, seed=seed, draws=draws)


def _cohen(
    judgements: Sequence[crowd.Judgement], seed: int, draws: int
) -> dict[tuple[str, str], crowd.Interval]:
    items: dict[str, set[str]] = {}
    for one in judgements:
        items.setdefault(one.rater, set()).add(one.item)
    most = sorted(sorted(items), key=lambda rater: -len(items[rater]))[:MOST_KAPPAS]
    return {
        (one, other): crowd.cohen_kappa(judgements, one, other, seed=seed, draws=draws)
        for one, other in combinations(sorted(most), 2)
        if items[one] & items[other]
    }


def _skills(
    kind: Kind, judgements: Sequence[crowd.Judgement], gold: dict[str, crowd.Label]
) -> dict[str, crowd.Interval] | None:
    if kind in PAIRED:
        labels = ("first", "second")
        fit = crowd.dawid_skene(judgements, labels=labels, tie="tie", ties="half", known=gold)
    elif kind == "thumb":
        fit = crowd.dawid_skene(judgements, labels=(0, 1), known=gold)
    else:
        return None
    return dict(fit.skills)


def _models(judged: Sequence[Said], names: dict[str, str], seed: int, draws: int) -> crowd.Strengths | None:
    """Of the models that stood side by side; one that names none is known by its run."""
    rows: list[crowd.Comparison] = []
    for pair in (pair for one in judged if one.subject.gold is None for pair in comparisons(one)):
        shown = pair.said.shown
        left, right = sorted((pair.first, pair.second), key=shown.index)
        sources = [pair.said.subject.answers[own] for own in (left, right)]
        origins = [source.model or source.run for source in sources]
        if origins[0] is None or origins[1] is None or origins[0] == origins[1]:
            continue
        better = {"first": pair.first, "second": pair.second}.get(pair.outcome)
        outcome = "tie" if better is None else "left" if better == left else "right"
        rater, item = names[pair.said.rater], str(pair.said.subject.id)
        rows.append(crowd.Comparison(origins[0], origins[1], outcome, rater, item))
    return crowd.bradley_terry(rows, seed=seed, draws=draws) if rows else None
