"""What a campaign asks (`Form`), what a rater gives (`Given`), and what is stored of it.

A rater sees answers at places 0, 1, ... in the order shown; `Given` speaks of these. `Form.resolve` checks
it and turns places into response ids, so that what is stored does not depend on how it was shown. Response
ids and where an answer came from never reach the rater.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from feedback_ui.errors import InvalidFeedback, Phrase, listed

Kind = Literal["compare", "rank", "rate", "score", "thumb", "write", "chat"]
Ask = Literal["off", "optional", "required"]

FLAGS = ("unsafe", "false", "off-topic", "personal-data", "other")
MAX_TEXT = 100_000
"""Characters in a reason, an edit or a demonstration."""

# What the texts are called that a person types.
_CALLED = {
    "reason": "the reason",
    "flag_text": "what is said of the flags",
    "edit.text": "the edited answer",
    "demonstration": "the answer",
    "message": "the message",
}
# How many answers an item of each kind has.
ANSWERS: Mapping[Kind, tuple[int, int]] = {
    "compare": (2, 2),
    "chat": (2, 2),
    "rank": (2, 6),
    "rate": (1, 6),
    "score": (1, 1),
    "thumb": (1, 1),
    "write": (0, 0),
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(_Frozen):
    """A named scale of whole numbers, `low` to `high`."""

    name: str = Field(min_length=1, max_length=80)
    low: int = 1
    high: int = 5

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if self.low >= self.high:
            raise InvalidFeedback(
                "scale {name}: low={low} is not below high={high}",
                name=self.name,
                low=self.low,
                high=self.high,
            )
        return self


class Form(_Frozen):
    """The ways of giving feedback that a campaign has.

    `kind` is the main one. `scales` are rated for each answer (of `score`, the one scale of its score);
    `flags`, a `reason` and an `edit` of an answer can go with any kind that shows answers.
    """

    kind: Kind
    scales: tuple[Scale, ...] = ()
    flags: tuple[str, ...] = ()
    reason: Ask = "optional"
    edit: bool = False

    @field_validator("scales")
    @classmethod
    def _distinct(cls, scales: tuple[Scale, ...]) -> tuple[Scale, ...]:
        names = [scale.name for scale in scales]
        if len(set(names)) < len(names):
            raise InvalidFeedback("two scales have one name among {names}", names=listed(names))
        return scales

    @field_validator("flags")
    @classmethod
    def _known(cls, flags: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(flags) - set(FLAGS)
        if unknown:
            raise InvalidFeedback(
                "flags {names} are unknown; known are {known}",
                names=listed(sorted(unknown)),
                known=listed(FLAGS),
            )
        return flags

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.kind == "score" and len(self.scales) != 1:
            raise InvalidFeedback("kind=score has exactly one scale, not {count}", count=len(self.scales))
        if self.kind == "rate" and not self.scales:
            raise InvalidFeedback("kind=rate has at least one scale, as in helpful:1-5")
        if self.kind == "write" and (self.scales or self.flags or self.edit):
            raise InvalidFeedback("kind=write shows no answer: it has no scales, flags or edit")
        return self

    def resolve(self, given: "Given", shown: Sequence[str]) -> dict[str, Any]:
        """What is stored: `given` with places in `shown` (response ids, in order) replaced by the ids.

        Keys, those without a value left out: better, worse, strength (0 to 3; 0 is a tie), both_bad, ranking
        (groups of ids, best first), ratings {id: {scale: value}}, score, thumb, flags {id: [...]}, flag_text,
        reason, edit {response, text}, demonstration.

        Raises:
            InvalidFeedback: what the form asks is missing, or something is given that it does not ask.
        """
        self._complete(given, len(shown))
        content: dict[str, Any] = {}
        if given.strength is not None and self.kind in ("compare", "chat"):
            content |= _resolve_strength(given.strength, shown)
        if given.both_bad:
            content["both_bad"] = True
        if given.ranking is not None:
            content["ranking"] = [[shown[place] for place in group] for group in given.ranking]
        for name in ("score", "thumb", "flag_text", "reason", "demonstration"):
            value = getattr(given, name)
            if value is not None and value != "":
                content[name] = value
        if given.ratings:
            content["ratings"] = {shown[place]: dict(values) for place, values in given.ratings.items()}
        if given.flags:
            content["flags"] = {shown[place]: list(flags) for place, flags in given.flags.items() if flags}
        if given.edit is not None:
            content["edit"] = {"response": shown[given.edit.place], "text": given.edit.text}
        return content

    def _complete(self, given: "Given", count: int) -> None:
        asked = self._asked()
        extra = {name for name in given.model_fields_set if getattr(given, name) not in (None, False, "", {})}
        if extra - asked:
            raise InvalidFeedback(
                "this campaign does not ask for {names}", names=listed(sorted(extra - asked))
            )
        if self.kind in ("compare", "chat") and given.strength is None and not given.both_bad:
            raise InvalidFeedback("say which answer is better, that they are equal, or that both are bad")
        if self.kind == "rank":
            _check_ranking(given.ranking, count)
        if self.kind == "thumb" and given.thumb is None:
            raise InvalidFeedback("give a thumb: up or down")
        if self.kind == "score":
            _check_score(given.score, self.scales[0])
        if self.kind == "write" and not (given.demonstration or "").strip():
            raise InvalidFeedback("write an answer")
        if self.reason == "required" and not (given.reason or "").strip():
            raise InvalidFeedback("say why")
        self._check_ratings(given, count)
        self._check_flags(given, count)
        if given.edit is not None:
            _place(given.edit.place, count)
            if not given.edit.text.strip():
                raise InvalidFeedback("the edited answer is empty; leave the edit off, or write it")

    def _asked(self) -> set[str]:
        main = {
            "compare": {"strength", "both_bad"},
            "chat": {"strength", "both_bad"},
            "rank": {"ranking"},
            "score": {"score"},
            "thumb": {"thumb"},
            "write": {"demonstration"},
            "rate": set[str](),
        }[self.kind]
        asked = main | ({"reason"} if self.reason != "off" else set())
        asked |= {"flags", "flag_text"} if self.flags else set()
        asked |= {"edit"} if self.edit else set()
        return asked | ({"ratings"} if self.scales and self.kind != "score" else set())

    def _check_ratings(self, given: "Given", count: int) -> None:
        if not self.scales or self.kind == "score":
            return
        ratings = given.ratings or {}
        for place, values in ratings.items():
            _place(place, count)
            for scale in self.scales:
                value = values.get(scale.name)
                if value is None and self.kind != "rate":
                    continue
                if value is None or not scale.low <= value <= scale.high:
                    raise InvalidFeedback(
                        "rate answer {number} on {name!r} from {low} to {high}, not {value}",
                        number=place + 1,
                        name=scale.name,
                        low=scale.low,
                        high=scale.high,
                        value=value,
                    )
            unknown = set(values) - {scale.name for scale in self.scales}
            if unknown:
                raise InvalidFeedback("there is no scale {names}", names=listed(sorted(unknown)))
        if self.kind == "rate" and set(ratings) != set(range(count)):
            raise InvalidFeedback("rate every answer")

    def _check_flags(self, given: "Given", count: int) -> None:
        for place, flags in (given.flags or {}).items():
            _place(place, count)
            unknown = set(flags) - set(self.flags)
            if unknown:
                raise InvalidFeedback("there is no flag {names}", names=listed(sorted(unknown)))


class Edit(_Frozen):
    """The answer at a place, rewritten."""

    place: int
    text: str = Field(max_length=MAX_TEXT)


class Given(_Frozen):
    """What a rater gives, in terms of the places shown (0 is left, or first).

    `strength` runs from -3, left is much better, over 0, a tie, to 3, right is much better. `ranking` holds
    groups of places, best first; places in one group are tied.
    """

    strength: int | None = Field(default=None, ge=-3, le=3)
    both_bad: bool = False
    ranking: tuple[tuple[int, ...], ...] | None = None
    ratings: dict[int, dict[str, int]] | None = None
    score: float | None = None
    thumb: bool | None = None
    flags: dict[int, tuple[str, ...]] | None = None
    flag_text: str | None = Field(default=None, max_length=MAX_TEXT)
    reason: str | None = Field(default=None, max_length=MAX_TEXT)
    edit: Edit | None = None
    demonstration: str | None = Field(default=None, max_length=MAX_TEXT)


def parse_given(values: Mapping[str, Any]) -> Given:
    """`Given` from what a browser sent. Raises InvalidFeedback with the first thing that is wrong."""
    try:
        given = Given.model_validate(values)
    except ValidationError as error:
        raise problem_of(error) from None
    for name in ("flag_text", "reason", "demonstration"):
        check_storable(getattr(given, name) or "", _CALLED[name])
    if given.edit is not None:
        check_storable(given.edit.text, _CALLED["edit.text"])
    return given


def parse_form(values: Mapping[str, Any]) -> Form:
    """`Form` from plain values. Raises InvalidFeedback with the first thing that is wrong."""
    try:
        return Form.model_validate(values)
    except ValidationError as error:
        raise problem_of(error) from None


def problem_of(error: ValidationError) -> InvalidFeedback:
    """The first thing that is wrong, by name, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    what = Phrase(_CALLED[where]) if where in _CALLED else where
    if first["type"] == "string_too_long":
        most = first.get("ctx", {})["max_length"]
        return InvalidFeedback("{what} is longer than {most:,} characters", what=what, most=most)
    if not where:
        return InvalidFeedback(first["msg"])
    return InvalidFeedback("{what}: {said}", what=what, said=first["msg"])


def check_storable(said: str, name: str) -> None:
    """Raises InvalidFeedback for text that a database cannot hold: a NUL, or half a character.

    `name` is what the text is called, as "the reason".
    """
    what = Phrase(name)
    if "\x00" in said:
        raise InvalidFeedback("{what} holds the character NUL, which a database cannot store", what=what)
    try:
        said.encode()
    except UnicodeEncodeError:
        raise InvalidFeedback("{what} holds half a character (a lone surrogate)", what=what) from None


def _resolve_strength(strength: int, shown: Sequence[str]) -> dict[str, Any]:
    if strength == 0:
        return {"better": None, "worse": None, "strength": 0}
    better, worse = (shown[1], shown[0]) if strength > 0 else (shown[0], shown[1])
    return {"better": better, "worse": worse, "strength": abs(strength)}


def _check_ranking(ranking: tuple[tuple[int, ...], ...] | None, count: int) -> None:
    ranked = sorted(place for group in ranking or () for place in group)
    if ranked != list(range(count)) or not all(ranking or ()):
        raise InvalidFeedback("rank all {count} answers, each once", count=count)


def _check_score(score: float | None, scale: Scale) -> None:
    if score is None or not math.isfinite(score) or not scale.low <= score <= scale.high:
        raise InvalidFeedback("give a score from {low} to {high}", low=scale.low, high=scale.high)


def _place(place: int, count: int) -> None:
    if not 0 <= place < count:
        raise InvalidFeedback("there is no answer {number}", number=place + 1)
