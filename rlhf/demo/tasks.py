"""One question of the embedded world: a family, a language and a spec; to and from a `Prompt`."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeAlias, cast

from rlhf.data.splits import part_of
from rlhf.demo.families import (
    FAMILIES,
    HELD_OUT_FAMILY,
    HELD_OUT_FORMS,
    SHARES,
    Family,
    Form,
    Kind,
    Spec,
    Value,
)
from rlhf.demo.families.base import WISHES
from rlhf.demo.lexicon import LANGUAGES, Language
from rlhf.errors import DataError
from rlhf.records import Message, Prompt

WORLD = "embedded"
HeldOut: TypeAlias = Literal["no", "combination", "family"]
PART_SHARES: Mapping[str, float] = {"train": 0.9, "validation": 0.05, "test": 0.05}
"""The parts by default: `data.validation_fraction` and `data.test_fraction`."""
_KIND_SHARES: dict[Kind, float] = {"task": 0.3, "constraint": 0.5, "example": 0.2}
_EXAMPLE: dict[Language, tuple[str, str]] = {"en": ("Example: ", "Now: "), "zh": ("例子：", "现在：")}


@dataclass(frozen=True)
class Task:
    """A question with all that is needed to answer it and to check an answer."""

    family: Family
    language: Language
    spec: Spec

    @property
    def kind(self) -> Kind:
        """Task, constraint or example."""
        return self.spec["kind"]

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that are right: the one asked for or shown; any that training knows, where none is."""
        if self.spec["form"]:
            return (self.spec["form"],)
        return tuple(form for form in self.family.forms if (self.family.name, form) not in HELD_OUT_FORMS)

    @property
    def right(self) -> Value:
        """The right value."""
        return self.family.answer(self.spec)

    @property
    def held_out(self) -> HeldOut:
        """What of it training never meets: nothing, this family in this form, or the whole family."""
        if self.family is HELD_OUT_FAMILY:
            return "family"
        return "combination" if (self.family.name, self.spec["form"]) in HELD_OUT_FORMS else "no"

    @property
    def instruction(self) -> str:
        """The question as the user puts it, or the last turn of it."""
        question = self.family.question(self.spec, self.language)
        gap = " " if self.language == "en" else ""
        if self.kind == "constraint":
            return question + gap + WISHES[self.spec["form"]][self.language]
        if self.kind == "example":
            shown, form = self.spec["shown"], self.spec["form"]
            answer = self.family.render(self.family.answer(shown), form, shown, self.language)
            example, now = _EXAMPLE[self.language]
            return example + self.family.question(shown, self.language) + gap + answer + "\n" + now + question
        return question

    @property
    def turns(self) -> tuple[Message, ...]:
        """The whole conversation up to the answer."""
        return (*self.family.before(self.spec, self.language), Message("user", self.instruction))

    @property
    def group(self) -> str:
        """What is asked, whichever the language, kind and form: one group is in one part of the data."""
        return group_of(self.family, self.spec)

    @property
    def asked(self) -> str:
        """All that the user said."""
        gap = " " if self.language == "en" else ""
        return gap.join(turn.content for turn in self.turns if turn.role == "user")

    def wrong(self, rng: Random) -> Value:
        """A value that is not right."""
        return self.family.wrong(self.spec, rng)

    def render(self, value: Value, form: Form | None = None) -> str:
        """The value in a form, the first that is right unless another is named."""
        return self.family.render(value, form or self.forms[0], self.spec, self.language)

    def parse(self, content: str) -> list[Value]:
        """The values that normalised text names."""
        return self.family.parse(content, self.spec, self.language)

    def prompt(self, **more: Any) -> Prompt:
        """The question as a conversation; `more` joins the fields."""
        fields: dict[str, Any] = {
            "world": WORLD,
            "family": self.family.name,
            "kind": self.kind,
            "language": self.language,
            "held_out": self.held_out,
            "group": self.group,
            "spec": dict(self.spec),
        }
        return Prompt(self.turns, fields | more)


def draw_task(rng: Random, held_out: HeldOut = "no") -> Task:
    """A question; families and kinds by their shares, languages and forms equally."""
    language = rng.choice(LANGUAGES)
    if held_out == "combination":
        name, form = rng.choice(sorted(HELD_OUT_FORMS))
        kind: Kind = rng.choice(("constraint", "example"))
        return Task(FAMILIES[name], language, _spec(FAMILIES[name], kind, form, rng))
    family = HELD_OUT_FAMILY
    if held_out == "no":
        (family,) = rng.choices(list(SHARES), list(SHARES.values()))
    (kind,) = rng.choices(family.kinds, [_KIND_SHARES[kind] for kind in family.kinds])
    forms: list[Form] = [one for one in family.forms if (family.name, one) not in HELD_OUT_FORMS]
    return Task(family, language, _spec(family, kind, None if kind == "task" else rng.choice(forms), rng))


def task_of(prompt: Prompt) -> Task:
    """The question behind a prompt of this world.

    Raises DataError where the prompt's fields do not say that it comes from here.
    """
    fields = prompt.fields
    family = FAMILIES.get(str(fields.get("family")))
    if fields.get("world") != WORLD or family is None or fields.get("language") not in LANGUAGES:
        raise DataError(
            f"the gold rater knows only prompts of the embedded world (fields world={WORLD!r}, family, "
            f"language, spec), not one with fields {sorted(fields)}; use demo data or another judge"
        )
    return Task(family, cast(Language, fields["language"]), cast(Spec, fields["spec"]))


def group_of(family: Family, spec: Spec) -> str:
    """The name of a group of tasks that ask the same thing."""
    turns = [turn.content for turn in family.before(spec, "en")]
    return f"{family.name}: {' '.join([*turns, family.question(spec, 'en')])}"


def is_training(family: Family, spec: Spec) -> bool:
    """Whether the default fractions put what is asked into the training part, for every seed."""
    return part_of(group_of(family, spec), PART_SHARES, salt="part") == "train"


def _spec(family: Family, kind: Kind, form: Form | None, rng: Random) -> Spec:
    spec: dict[str, Any] = family.make(rng) | {"kind": kind, "form": form}
    if kind != "example":
        return spec
    shown = family.make(rng)
    while not is_training(family, shown):  # an example gives away no answer that is held out
        shown = family.make(rng)
    return spec | {"shown": shown}
