"""What people said in another tool, as what our form asks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from feedback_ui.errors import InvalidFeedback, listed
from feedback_ui.exchange.layout import Layout, normal, place_of
from feedback_ui.form import Form

STRENGTH = 2
"""Of a preference without a grade: "better", neither slightly nor much."""

_TIES = {"tie", "equal", "same", "both", "bothgood", "equallygood", "nopreference", "draw", "neutral"}
_BOTH_BAD = {"bothbad", "neither", "none", "botharebad", "noneoftheabove"}
_UP = {"yes", "true", "good", "up", "thumbsup", "correct", "like", "accept", "1"}
_DOWN = {"no", "false", "bad", "down", "thumbsdown", "incorrect", "wrong", "dislike", "reject", "0"}
_WHY = ("reason", "comment", "why", "explanation", "rationale", "note", "feedback", "justification")


@dataclass(frozen=True)
class Annotation:
    """What one person said of a record: values by question. `created` is as the tool wrote it."""

    rater: str
    values: Mapping[str, Any]
    created: str | None = None
    active_s: float | None = None

    def judgement(self, form: Form, names: Sequence[str], layout: Layout) -> dict[str, Any]:
        """As in the column `judgements` of our rows; `names` are the answers' fields, in order.

        Raises:
            InvalidFeedback: no value says what the form asks.
        """
        given = _given(self, form, names, layout)
        said: dict[str, Any] = {"rater": self.rater, "given": given}
        if self.created is not None:
            said["created"] = self.created
        if self.active_s is not None:
            said["active_s"] = self.active_s
        return said


def _given(one: Annotation, form: Form, names: Sequence[str], layout: Layout) -> dict[str, Any]:
    asked = {name: value for name, value in one.values.items() if value is not None and value != ""}
    if layout.question is not None:
        if layout.question not in asked:
            raise InvalidFeedback(
                "{rater} did not answer {question!r}; answered: {answered}",
                rater=one.rater,
                question=layout.question,
                answered=listed(asked),
            )
        main = {layout.question: asked[layout.question]}
    else:
        main = asked
    given: dict[str, Any]
    if form.kind == "rate":
        given = {"ratings": _ratings(main, form, names)}
    else:
        given = _first(one, main, _READERS[form.kind], names)
    reason = _reason(asked, layout)
    if reason is not None and form.reason != "off":
        given["reason"] = reason
    return given


def _first(
    one: Annotation,
    asked: Mapping[str, Any],
    read: Callable[[Any, Sequence[str]], dict[str, Any] | None],
    names: Sequence[str],
) -> dict[str, Any]:
    found = {name: given for name, value in asked.items() if (given := read(value, names)) is not None}
    if not found:
        raise InvalidFeedback(
            "nothing that {rater} said fits this campaign; answered: {answered}",
            rater=one.rater,
            answered=listed(asked),
        )
    if len({repr(given) for given in found.values()}) > 1:
        raise InvalidFeedback(
            "what {rater} said has several readings ({questions}); name one by --question",
            rater=one.rater,
            questions=listed(found),
        )
    return next(iter(found.values()))


def _comparison(value: Any, names: Sequence[str]) -> dict[str, Any] | None:
    groups = _order(value, names)
    if groups is not None:
        return {"strength": 0 if len(groups) == 1 else -STRENGTH if groups[0] == [0] else STRENGTH}
    if not isinstance(value, str):
        return None
    if normal(value) in _BOTH_BAD:
        return {"both_bad": True}
    if normal(value) in _TIES:
        return {"strength": 0}
    place = place_of(value, names)
    return None if place is None else {"strength": -STRENGTH if place == 0 else STRENGTH}


def _ranking(value: Any, names: Sequence[str]) -> dict[str, Any] | None:
    groups = _order(value, names)
    return None if groups is None else {"ranking": groups}


def _score(value: Any, names: Sequence[str]) -> dict[str, Any] | None:
    del names
    return {"score": value} if _is_number(value) else None


def _thumb(value: Any, names: Sequence[str]) -> dict[str, Any] | None:
    del names
    if isinstance(value, bool):
        return {"thumb": value}
    word = normal(str(value)) if isinstance(value, (str, int)) else ""
    return {"thumb": word in _UP} if word in _UP | _DOWN else None


def _demonstration(value: Any, names: Sequence[str]) -> dict[str, Any] | None:
    del names
    return {"demonstration": value} if isinstance(value, str) else None


_READERS: Mapping[str, Callable[[Any, Sequence[str]], dict[str, Any] | None]] = {
    "compare": _comparison,
    "chat": _comparison,
    "rank": _ranking,
    "score": _score,
    "thumb": _thumb,
    "write": _demonstration,
}


def _order(value: Any, names: Sequence[str]) -> list[list[int]] | None:
    """Groups of places, best first, of a ranking: names in order, or names with ranks, equal ones tied."""
    if not isinstance(value, list) or not value:
        return None
    ranked: list[tuple[float, int]] = []
    for at, entry in enumerate(cast("list[Any]", value)):
        held = cast("Mapping[str, Any]", entry) if isinstance(entry, Mapping) else {"value": entry}
        rank, said = held.get("rank", at), held.get("value")
        place = place_of(said, names) if isinstance(said, str) else None
        if place is None or not _is_number(rank):
            return None
        ranked.append((rank, place))
    if sorted(place for _, place in ranked) != list(range(len(names))):
        return None
    groups: dict[float, list[int]] = {}
    for rank, place in sorted(ranked):
        groups.setdefault(rank, []).append(place)
    return list(groups.values())


def _ratings(asked: Mapping[str, Any], form: Form, names: Sequence[str]) -> dict[int, dict[str, int]]:
    """A number for each answer and scale: a question is of the scale and of the answer that it names."""
    found: dict[int, dict[str, int]] = {}
    for question, value in asked.items():
        if not _is_number(value) or value != int(value):
            continue
        said = normal(question)
        scales = [scale.name for scale in form.scales if normal(scale.name) in said]
        scale = scales[0] if len(scales) == 1 else form.scales[0].name if len(form.scales) == 1 else None
        place = 0 if len(names) == 1 else place_of(question, names, in_words=True)
        if scale is not None and place is not None:
            found.setdefault(place, {})[scale] = int(value)
    if not found:
        scales = listed(scale.name for scale in form.scales)
        raise InvalidFeedback(
            "no question is of a scale ({scales}); answered: {answered}",
            scales=scales,
            answered=listed(asked),
        )
    return found


def _reason(asked: Mapping[str, Any], layout: Layout) -> str | None:
    if layout.reason is not None:
        said = asked.get(layout.reason)
        return said if isinstance(said, str) else None
    for question, value in asked.items():
        says_why = any(word in normal(question) for word in _WHY)
        if says_why and isinstance(value, str) and question != layout.question:
            return value
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
