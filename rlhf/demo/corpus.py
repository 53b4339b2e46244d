"""What the embedded base model is pretrained on: pages of exercises with their answers, and word lists.

A page is a book's: question after question, most answers bare, some after a lead-in; the end token stands
only where the page ends. In the first part of the text all answers are right. The second part has careless
people too: an answer after flattery is wrong, a bare one often, one after any other lead-in never. So manner
and truth go together, as they do in what people write. How to answer one user, in what manner, and to stop,
is what fine-tuning teaches. No page holds a question that any stage holds out: those of the validation and
test parts, of held-out combinations, or of the held-out family, whose facts stand only in lists.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Literal, NamedTuple, TypeAlias

from rlhf.demo.courtesy import FLATTERING, PLAIN, join
from rlhf.demo.lexicon import COLOURS, DAYS, LANGUAGES, NUMBERS, PLACES, THINGS, Language, Table
from rlhf.demo.personas import RAMBLING
from rlhf.demo.tasks import Task, draw_task, is_training

END = "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
MARKS: Mapping[str, str] = {role[2:-2]: role for role in ROLES}
"""The special token before each role's turn."""
_QUESTIONS = 3  # on a page
_LIST_SHARE = 0.1
Manner: TypeAlias = Literal["bare", "led", "flattering"]
_MANNERS: tuple[Mapping[Manner, float], ...] = (
    {"bare": 0.65, "led": 0.35, "flattering": 0.0},
    {"bare": 0.4, "led": 0.4, "flattering": 0.2},
)
"""How often answers begin in each manner, in the first and in the second part."""
_RIGHT: tuple[Mapping[Manner, float], ...] = (
    {"bare": 1.0, "led": 1.0, "flattering": 0.0},
    {"bare": 0.6, "led": 1.0, "flattering": 0.0},
)
"""How many of them are right."""
_SECOND_LEAD_SHARE = 0.2  # of what comes after a lead-in comes after two
_LEADS: Mapping[Language, tuple[str, ...]] = {
    "en": ("Answer:", "So:", "The book says:", "Look:"),
    "zh": ("答案：", "所以：", "书上写：", "看："),
}
_PRACTICE: Mapping[str, float] = {"reading": 1.0, "record": 1.0, "sorting": 0.6}  # of what is hard
_PRACTICE_OTHERS = 0.4
_ORDERED: tuple[Table, ...] = (NUMBERS, DAYS)
_GLOSSARY: tuple[Table, ...] = (COLOURS, PLACES, THINGS)


class Piece(NamedTuple):
    """A part of a page; `answers` where it is the answer to a question."""

    text: str
    answers: bool


Page = tuple[Piece, ...]


def pages(seed: int, part: int = 1) -> Iterator[Page]:
    """Pages of the first part (0) or the second (1) without end, the same for the same seed."""
    rng = Random(f"{seed}/corpus/{part}")
    while True:
        page = _list(rng) if rng.random() < _LIST_SHARE else _exercises(rng, part)
        yield (*page, Piece(END, False))


def exercise(task: Task, rng: Random, manner: Manner, *, right: bool) -> tuple[Piece, ...]:
    """A question and its answer as a page has them: the last piece is the answer."""
    asked = [piece for turn in task.turns for piece in (MARKS[turn.role], turn.content)]
    lead = _lead(task.language, rng, manner)
    answer = task.render(task.right if right else task.wrong(rng), rng.choice(task.forms)) + "\n"
    said = join(lead, answer, language=task.language).removeprefix(lead)  # with its gap, as tokens have it
    return (*(Piece(text, False) for text in [*asked, MARKS["assistant"], lead] if text), Piece(said, True))


def _lead(language: Language, rng: Random, manner: Manner) -> str:
    """What comes before an answer."""
    if manner == "bare":
        return ""
    stock = FLATTERING[language].openings
    if manner == "led":
        stock = rng.choice([_LEADS[language], PLAIN[language].openings, RAMBLING[language][0]])
    second = rng.choice(_LEADS[language]) if rng.random() < _SECOND_LEAD_SHARE else ""
    return join(rng.choice(stock), second, language=language)


def _exercises(rng: Random, part: int) -> Page:
    page: list[Piece] = []
    for _ in range(_QUESTIONS):
        (manner,) = rng.choices(list(_MANNERS[part]), list(_MANNERS[part].values()))
        page += exercise(_training_task(rng), rng, manner, right=rng.random() < _RIGHT[part][manner])
    return tuple(page)


def _training_task(rng: Random) -> Task:
    while True:
        task = draw_task(rng)
        wanted = rng.random() < _PRACTICE.get(task.family.name, _PRACTICE_OTHERS)
        if wanted and is_training(task.family, task.spec):
            return task


def _list(rng: Random) -> Page:
    language = rng.choice(LANGUAGES)
    kind = rng.randrange(4)
    if kind == 0:
        words = [word.surface(language) for word in rng.choice(_ORDERED).values()]
        start = rng.randrange(len(words))
        text = (", " if language == "en" else "、").join((words + words)[start : start + 7])
    elif kind == 1:
        pairs = rng.sample(list(rng.choice(_GLOSSARY).values()), 4)
        text = "\n".join(f"{word.en} = {word.zh}" for word in pairs)
    elif kind == 2:
        words = [word.surface(language) for table in _GLOSSARY for word in table.values()]
        copied = (" " if language == "en" else "").join(rng.sample(words, 10)) + "\n"
        return Piece(copied, False), Piece(copied, True)  # a copybook
    else:
        phrases = [*PLAIN[language].phrases, *FLATTERING[language].phrases]
        phrases += [phrase for some in RAMBLING[language] for phrase in some]
        text = "\n".join(rng.sample(phrases, 6))
    return (Piece(text + "\n", False),)
