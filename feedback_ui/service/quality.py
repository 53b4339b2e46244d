"""The manager's figures: whether what the raters say can be trusted (`rlhf.crowd` computes them)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.export_rows import by_pair, known_pairs, skills_from_pairs
from feedback_ui.form import Kind
from feedback_ui.schema import Rater
from feedback_ui.service.access import Actor, campaign_named, require_manager
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.current import Comparison, Said, comparisons, current
from feedback_ui.service.gold_figures import GoldFigures, gold_figures
from rlhf import crowd

PAIRED: tuple[Kind, ...] = ("compare", "chat", "rank")
MOST_KAPPAS = 10
"""Cohen's kappa is of two raters; it is told of each two among so many who judged most."""


@dataclass(frozen=True)
class Record:
    """How two models did against each other, in judgements."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Quality:
    """Figures with 95 % intervals, nan where nothing is known; raters by name.

    `agreement` is the share of pairs of raters who said the same; `alpha` is Krippendorff's, of numbers by
    their differences; `fleiss` is None where items have different numbers of raters. `skills` are the
    probability of being right by Dawid–Skene, and None where the campaign has no classes. `left` and `longer`
    are the shares of all votes for the side shown on the left and for the longer answer, of `num_sided` and
    `num_lengths`. `length_alarm` is by the rule of `side_alarm`, and says less: people prefer the longer in
    some 60 % of pairs. `models` are Bradley–Terry strengths in nats of the models compared, None
    where there are not two; `records` are the first's wins, ties and losses of each two.
    """

    num_judgements: int
    agreement: crowd.Interval
    alpha: crowd.Interval
    fleiss: crowd.Interval | None
    cohen: dict[tuple[str, str], crowd.Interval]
    skills: dict[str, crowd.Interval] | None
    raters: dict[str, crowd.RaterFigures]
    gold: GoldFigures
    left: crowd.Interval
    num_sided: int
    side_alarm: bool
    longer: crowd.Interval
    num_lengths: int
    length_alarm: bool
    models: crowd.Strengths | None
    records: dict[tuple[str, str], Record]


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
        return form_of(row).kind, current(session, row.id), rater_names(session)

    kind, said, names = db.read(work)
    return quality_of(kind, votes_of(said), names, limits=limits, seed=seed, draws=draws)


def rater_names(session: Session) -> dict[str, str]:
    """Of each pseudonym the name."""
    return {pseudonym: name for pseudonym, name in session.execute(select(Rater.pseudonym, Rater.name))}


def votes_of(said: Sequence[Said]) -> list[Said]:
    """What raters judged: without skips, and without what managers settled."""
    return [one for one in said if one.action == "judge" and not one.adjudicates]


def quality_of(
    kind: Kind,
    judged: Sequence[Said],
    names: Mapping[str, str],
    *,
    limits: crowd.Limits | None = None,
    seed: int = 0,
    draws: int = 200,
) -> Quality | None:
    """`quality` of judgements that were read already; `names` has a name for each pseudonym."""
    judgements = judgements_of(kind, judged, names)
    if not judgements:
        return None
    limits = limits or crowd.Limits()
    tie = "tie" if kind in PAIRED else None
    left, longer = crowd.left_share(judgements, tie=tie), crowd.longer_share(judgements, tie=tie)
    num_sided = sum(one.left is not None and one.label != tie for one in judgements)
    num_lengths = sum(one.longer is not None and one.label != tie for one in judgements)
    gold = gold_figures(judged, names)
    versus = _versus(judged, names)
    return Quality(
        num_judgements=len(judged),
        agreement=crowd.raw_agreement(judgements, seed=seed, draws=draws),
        alpha=crowd.krippendorff_alpha(
            judgements, level="interval" if kind in ("score", "rate") else "nominal", seed=seed, draws=draws
        ),
        fleiss=_fleiss(judgements, seed, draws),
        cohen=_cohen(judgements, seed, draws),
        skills=_skills(kind, judgements, gold_of(kind, judged)),
        raters=_raters(judgements, gold, tie, limits),
        gold=gold,
        left=left,
        num_sided=num_sided,
        side_alarm=crowd.side_alarm(left, num_sided, limits),
        longer=longer,
        num_lengths=num_lengths,
        length_alarm=crowd.side_alarm(longer, num_lengths, limits),
        models=crowd.bradley_terry(versus, seed=seed, draws=draws) if versus else None,
        records=_records(versus),
    )


def judgements_of(kind: Kind, judged: Sequence[Said], names: Mapping[str, str]) -> list[crowd.Judgement]:
    """What was said as labels: of pairs first, second or tie; of thumbs 1 or 0; else the number given.

    Which answer of a pair is the first is drawn by a hash of both. In a file the better one may always stand
    first; then everybody would nearly always say the same label, and chance would seem to explain agreement.
    """
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
        pairs = by_pair(judged)
        return {key: _label(pairs[key][0], outcome) for key, outcome in known_pairs(pairs).items()}
    keyed = [one for one in judged if one.subject.gold and "label" in one.subject.gold]
    return {str(one.subject.id): int(one.subject.gold["label"]) for one in keyed if one.subject.gold}


def _of_pair(pair: Comparison, names: Mapping[str, str]) -> crowd.Judgement:
    said = pair.said
    two = len(said.shown) == 2  # of a ranking nothing stands simply on the left
    left = "first" if said.shown[0] == pair.first else "second"
    lengths = [len(said.subject.answers[own].text) for own in (pair.first, pair.second)]
    longer = "first" if lengths[0] > lengths[1] else "second"
    return crowd.Judgement(
        pair.key,
        names[said.rater],
        _label(pair, pair.outcome),
        left=_label(pair, left) if two else None,
        longer=_label(pair, longer) if lengths[0] != lengths[1] else None,
        seconds=said.active_s,
    )


def _label(pair: Comparison, outcome: str) -> str:
    """An outcome in the order of the file as one in the order that the hash draws."""
    answers = pair.said.subject.answers
    drawn = [sha256(answers[own].text.encode()).digest() for own in (pair.first, pair.second)]
    if drawn[0] < drawn[1] or outcome == "tie":
        return outcome
    return "second" if outcome == "first" else "first"


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
        fit = skills_from_pairs(judgements, gold)
    elif kind == "thumb":
        fit = crowd.dawid_skene(judgements, labels=(0, 1), known=gold)
    else:
        return None
    return dict(fit.skills)


def _raters(
    judgements: Sequence[crowd.Judgement], gold: GoldFigures, tie: str | None, limits: crowd.Limits
) -> dict[str, crowd.RaterFigures]:
    """With gold items by the rule of `gold_figures`, which knows ranges of scores and whole rankings."""
    found = crowd.rater_figures(judgements, tie=tie, limits=limits)
    for rater, share in gold.by_rater.items():
        if rater not in found:  # said of gold items alone that both answers are bad
            continue
        alarms = found[rater].alarms
        if share.passed.high < limits.gold:
            alarms = (*alarms, crowd.Alarm("gold", share.passed.estimate, limits.gold))
        found[rater] = replace(found[rater], gold=share.passed, num_gold=share.num, alarms=alarms)
    return found


def _versus(judged: Sequence[Said], names: Mapping[str, str]) -> list[crowd.Comparison]:
    """Of two models that stood side by side; one that names none is known by its run."""
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
    return rows


def _records(versus: Sequence[crowd.Comparison]) -> dict[tuple[str, str], Record]:
    """Of each two models, in order of name."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in versus:
        first, second = sorted((row.left, row.right))
        winner = {"left": row.left, "right": row.right}.get(row.outcome)
        said = "ties" if winner is None else "wins" if winner == first else "losses"
        counts.setdefault((first, second), Counter())[said] += 1
    return {both: Record(own["wins"], own["ties"], own["losses"]) for both, own in sorted(counts.items())}
