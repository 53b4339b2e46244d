"""Judgements as rows that training reads (docs/data.md has the formats), raw or one verdict for all raters.

raw            each rater's judgement is a row. `margin` grows with the strength, as in Llama 2 (Touvron et
               al. 2023, table 27): 1/3, 2/3, 1; a tie has probability 1/2 and no margin.
majority       the answer that most prefer, half a vote for each side of a tie; `margin` is the mean of the
               votes' signed margins; where the votes are even, probability 1/2.
dawid_skene    `probability` is the posterior that the chosen answer is better, from all votes and the skills
               that they show (rlhf.crowd), whichever of the two stands first in the file; no margin, which
               would count the certainty twice.

Several pairs of one ranking weigh 1 together. Flags and reasons go with the rows that they speak of
(remarks.py). An answer to a conversation is a message, as in TRL's formats. Items with a gold key are left
out of every row; Dawid–Skene learns skills from them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, NamedTuple

from feedback_ui.remarks import by_item, remarks
from feedback_ui.service.current import Comparison, Said, Source, Subject, comparisons, decided
from rlhf.crowd import DawidSkene, Judgement, Label, dawid_skene, majority

Aggregate = Literal["raw", "majority", "dawid_skene"]
AGGREGATES: tuple[Aggregate, ...] = ("raw", "majority", "dawid_skene")
MARGIN = {0: 0.0, 1: 1 / 3, 2: 2 / 3, 3: 1.0}

Row = dict[str, Any]


class _Verdict(NamedTuple):
    """On a pair: the better one, the probability of it, the margin, and how many votes that rests on."""

    better: Literal["first", "second"]
    probability: float
    margin: float
    votes: int


def preference_rows(said: Sequence[Said], aggregate: Aggregate) -> list[Row]:
    """`prompt`, `chosen`, `rejected` with their numbers; then a pair of each edit over its original."""
    if aggregate == "raw":
        found = [pair for one in _for_training(said) for pair in comparisons(one)]
        rows = [_pair_row(pair, _raw(pair), {"rater": pair.said.rater}, [pair.said]) for pair in found]
    else:
        verdicts, votes = _verdicts(said, aggregate), by_item(decided(said))
        pairs = {pair.key: pair for one in _for_training(decided(said)) for pair in comparisons(one)}
        rows = [
            _pair_row(pair, verdicts[key], {"votes": verdicts[key].votes}, votes[pair.said.subject.id])
            for key, pair in pairs.items()
        ]
    return rows + [
        _row(one.subject)
        | {"chosen": _answer(one.subject, edited), "rejected": _answer(one.subject, original.text)}
        | {"probability": 1.0, "margin": 0.0, "weight": 1.0}
        | {"source": "edit", "item": str(one.subject.id), "rater": one.rater}
        for one, edited, original in _edits(said)
    ]


def demonstration_rows(said: Sequence[Said]) -> list[Row]:
    """`prompt`, `completion`: answers that raters wrote, and answers that they edited."""
    written = [
        _row(one.subject)
        | {"completion": _answer(one.subject, one.content["demonstration"]), "source": "written"}
        | {"item": str(one.subject.id), "rater": one.rater, **remarks([one], {})}
        for one in _for_training(said)
        if "demonstration" in one.content
    ]
    return written + [
        _row(one.subject)
        | {"completion": _answer(one.subject, edited), "source": "edit", "item": str(one.subject.id)}
        | {"rater": one.rater}
        for one, edited, _ in _edits(said)
    ]


def score_rows(said: Sequence[Said], aggregate: Aggregate) -> list[Row]:
    """`prompt`, `completion` and `label` (a thumb) or `score`; rated on scales, `score` is the first scale's.

    Of several raters: a thumb's majority (none where votes are even) or posterior, the mean of scores.
    """
    if aggregate == "raw":
        return [
            _row(one.subject) | {"completion": _answer(one.subject, one.subject.answers[own].text)} | value
            | {"item": str(one.subject.id), "rater": one.rater, "model": one.subject.answers[own].model}
            | remarks([one], {"flags": own})
            for one in _for_training(said)
            for own, value in _scores(one)
        ]  # fmt: skip
    given: dict[tuple[int, str], list[tuple[Said, Row]]] = {}
    for one in _for_training(decided(said)):
        for own, value in _scores(one):
            given.setdefault((one.subject.place, own), []).append((one, value))
    labels = _thumbs(said, aggregate)
    rows: list[Row] = []
    for (_, own), votes in given.items():
        subject = votes[0][0].subject
        value = _joint([value for _, value in votes], labels.get(str(subject.id)))
        if value is not None:
            rows.append(
                _row(subject) | {"completion": _answer(subject, subject.answers[own].text)} | value
                | {"item": str(subject.id), "votes": len(votes), "model": subject.answers[own].model}
                | remarks([one for one, _ in votes], {"flags": own})
            )  # fmt: skip
    return rows


def judgement_rows(said: Iterable[Said]) -> Iterator[Row]:
    """Everything as it was said, gold items and skips included; answers by id, with text and origin."""
    for one in said:
        yield {
            "id": str(one.id),
            "number": one.number,
            "item": str(one.subject.id),
            "rater": one.rater,
            "action": one.action,
            "content": dict(one.content),
            "shown": list(one.shown),
            "adjudicates": one.adjudicates,
            "gold": one.subject.gold is not None,
            "guideline_version": one.guideline_version,
            "revision": one.revision,
            "active_s": one.active_s,
            "created": one.created.isoformat(),
            "prompt": one.subject.prompt,
            "answers": {
                own: {"text": source.text, "model": source.model, "run": source.run}
                for own, source in one.subject.answers.items()
            },
        }


def _for_training(said: Iterable[Said]) -> list[Said]:
    return [one for one in said if one.action == "judge" and one.subject.gold is None]


def _row(subject: Subject) -> Row:
    """The prompt with its other columns; what a row says itself is put over them."""
    return {**subject.fields, "prompt": subject.prompt}


def _answer(subject: Subject, text: str) -> Any:
    """As TRL has it: to a conversation, a message of the assistant."""
    return text if isinstance(subject.prompt, str) else [{"role": "assistant", "content": text}]


def _pair_row(pair: Comparison, verdict: _Verdict, more: Mapping[str, Any], votes: Sequence[Said]) -> Row:
    subject = pair.said.subject
    sides = (pair.first, pair.second) if verdict.better == "first" else (pair.second, pair.first)
    chosen, rejected = (subject.answers[own] for own in sides)
    return (
        _row(subject)
        | {"chosen": _answer(subject, chosen.text), "rejected": _answer(subject, rejected.text)}
        | {"probability": verdict.probability, "margin": verdict.margin, "weight": pair.share}
        | {"item": str(subject.id), **more}
        | {"chosen_model": chosen.model, "rejected_model": rejected.model}
        | remarks(votes, {"chosen_flags": sides[0], "rejected_flags": sides[1]})
    )


def _raw(pair: Comparison) -> _Verdict:
    if pair.outcome == "tie":
        return _Verdict("first", 0.5, 0.0, 1)
    return _Verdict(pair.outcome, 1.0, MARGIN[pair.strength or 0], 1)


def _verdicts(said: Sequence[Said], aggregate: Aggregate) -> dict[str, _Verdict]:
    judged = [one for one in said if one.action == "judge"]
    votes, counted = by_pair(judged), by_pair(decided(judged))
    if not votes:
        return {}
    if aggregate == "majority":
        polled = majority(_votes(counted), labels=("first", "second"), tie="tie", ties="half")
        return {key: _of_shares(vote.shares["first"], counted[key]) for key, vote in polled.items()}
    # also what raters said of an item that was settled: it shows their skill
    fit = skills_from_pairs(_votes(votes), known_pairs(votes))
    found: dict[str, _Verdict] = {}
    for key, posterior in fit.posterior.items():
        better: Literal["first", "second"] = "first" if posterior["first"] >= 0.5 else "second"
        settled_tie = counted[key][0].said.adjudicates and counted[key][0].outcome == "tie"
        probability = 0.5 if settled_tie else posterior[better]
        found[key] = _Verdict(better, probability, 0.0, len(counted[key]))
    return found


def skills_from_pairs(votes: Iterable[Judgement], known: Mapping[str, Label]) -> DawidSkene:
    """Dawid-Skene of votes for "first", "second" or "tie", of pairs in any order.

    Which of two answers is called the first says nothing of which is better: the prior is even, and not
    learnt, or a file whose better answers mostly stand first would speak for the first of an unsure pair.
    """
    prior: dict[Label, float] = {"first": 0.5, "second": 0.5}
    return dawid_skene(votes, class_prior=prior, tie="tie", ties="half", known=known)


def by_pair(said: Iterable[Said]) -> dict[str, list[Comparison]]:
    """The comparisons of each pair of answers, by its key."""
    found: dict[str, list[Comparison]] = {}
    for pair in (pair for one in said for pair in comparisons(one)):
        found.setdefault(pair.key, []).append(pair)
    return found


def _votes(votes: Mapping[str, Sequence[Comparison]]) -> list[Judgement]:
    return [Judgement(key, pair.said.rater, pair.outcome) for key, pairs in votes.items() for pair in pairs]


def _of_shares(first: float, pairs: Sequence[Comparison]) -> _Verdict:
    if first == 0.5:
        return _Verdict("first", 0.5, 0.0, len(pairs))
    sign = {"first": 1.0, "second": -1.0, "tie": 0.0}
    mean = fmean(sign[pair.outcome] * MARGIN[pair.strength or 0] for pair in pairs)
    better: Literal["first", "second"] = "first" if first > 0.5 else "second"
    return _Verdict(better, 1.0, max(0.0, mean if better == "first" else -mean), len(pairs))


def known_pairs(votes: Mapping[str, Sequence[Comparison]]) -> dict[str, str]:
    """Which one is better of the pairs with a gold key, and of those that a manager has settled."""
    known: dict[str, str] = {}
    for key, pairs in votes.items():
        better = (pairs[0].said.subject.gold or {}).get("better")
        if better in (pairs[0].first, pairs[0].second):
            known[key] = "first" if better == pairs[0].first else "second"
        for pair in pairs:
            if pair.said.adjudicates and pair.outcome != "tie":
                known[key] = pair.outcome
    return known


def _edits(said: Sequence[Said]) -> Iterator[tuple[Said, str, Source]]:
    for one in _for_training(said):
        edit = one.content.get("edit")
        if edit and edit["text"] != one.subject.answers[edit["response"]].text:
            yield one, edit["text"], one.subject.answers[edit["response"]]


def _scores(one: Said) -> Iterator[tuple[str, Row]]:
    """By response id."""
    if "thumb" in one.content or "score" in one.content:
        (only,) = one.subject.answers
        yield (
            only,
            {"label": one.content["thumb"]} if "thumb" in one.content else {"score": one.content["score"]},
        )
    for own, ratings in one.content.get("ratings", {}).items():
        if ratings:
            yield own, {"score": next(iter(ratings.values())), "ratings": ratings}


def _thumbs(said: Sequence[Said], aggregate: Aggregate) -> dict[str, float]:
    """The probability that an answer is good, by item; 1/2 where votes are even."""
    judged = [one for one in said if one.action == "judge" and "thumb" in one.content]
    if not judged:
        return {}
    if aggregate == "majority":
        polled = majority(_thumb_votes(decided(judged)), labels=(0, 1))
        return {item: 0.5 if vote.label is None else float(vote.label) for item, vote in polled.items()}
    known = {str(one.subject.id): int(one.subject.gold["label"]) for one in judged if one.subject.gold}
    known |= {str(one.subject.id): int(one.content["thumb"]) for one in judged if one.adjudicates}
    fit = dawid_skene(_thumb_votes(judged), labels=(0, 1), known=known)
    return {item: posterior[1] for item, posterior in fit.posterior.items()}


def _thumb_votes(said: Iterable[Said]) -> list[Judgement]:
    return [Judgement(str(one.subject.id), one.rater, int(one.content["thumb"])) for one in said]


def _joint(values: Sequence[Row], probability: float | None) -> Row | None:
    if "label" in values[0]:
        if probability is None or probability == 0.5:
            return None
        return {"label": probability > 0.5, "probability": max(probability, 1 - probability)}
    joint: Row = {"score": fmean(value["score"] for value in values)}
    if "ratings" in values[0]:
        names = dict.fromkeys(name for value in values for name in value["ratings"])
        joint["ratings"] = {
            name: fmean(value["ratings"][name] for value in values if name in value["ratings"])
            for name in names
        }
    return joint
