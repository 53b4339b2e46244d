"""One question of the embedded world: a family, a language, a form and a spec; to and from a `Prompt`."""

from dataclasses import dataclass
from random import Random
from typing import Any, cast

from rlhf.demo.families import FAMILIES, SHARES, Family, Form, Spec, Value
from rlhf.demo.families.base import WISHES
from rlhf.demo.lexicon import LANGUAGES, Language
from rlhf.errors import DataError
from rlhf.records import Message, Prompt

WORLD = "embedded"


@dataclass(frozen=True)
class Task:
    """A question with all that is needed to answer it and to check an answer."""

    family: Family
    language: Language
    spec: Spec

    @property
    def form(self) -> Form:
        """The form that the question asks for."""
        return self.spec["form"]

    @property
    def right(self) -> Value:
        """The right value."""
        return self.family.answer(self.spec)

    @property
    def instruction(self) -> str:
        """The question as the user puts it."""
        question = self.family.instruction(self.spec, self.language)
        return question + (" " if self.language == "en" else "") + WISHES[self.form][self.language]

    def wrong(self, rng: Random) -> Value:
        """A value that is not right."""
        return self.family.wrong(self.spec, rng)

    def render(self, value: Value, form: Form | None = None) -> str:
        """The value in a form, the one asked for unless another is named."""
        return self.family.render(value, form or self.form, self.spec, self.language)

    def parse(self, content: str) -> list[Value]:
        """The values that normalised text names."""
        return self.family.parse(content, self.spec, self.language)

    def prompt(self, **more: Any) -> Prompt:
        """The question as a conversation of one user turn; `more` joins the fields."""
        fields: dict[str, Any] = {
            "world": WORLD,
            "family": self.family.name,
            "language": self.language,
            "spec": dict(self.spec),
        }
        return Prompt((Message("user", self.instruction),), fields | more)


def draw_task(rng: Random) -> Task:
    """A question; families by their shares, languages and forms equally."""
    (family,) = rng.choices(list(SHARES), list(SHARES.values()))
    language = rng.choice(LANGUAGES)
    return Task(family, language, family.make(rng) | {"form": rng.choice(family.forms)})


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
