"""What the embedded base model is pretrained on: pages of exercises with their right answers, and word lists.

A page is a book's: question after question, most answers bare, some after a lead-in, all of them right; the
end token stands only where the page ends. How to answer one user, in what manner, and to stop, is what
fine-tuning teaches. No page holds a question that any stage holds out: those of the validation and test
parts, of held-out combinations, or of the held-out family, whose facts stand only in lists.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

from rlhf.demo.courtesy import FLATTERING, PLAIN
from rlhf.demo.lexicon import COLOURS, DAYS, LANGUAGES, NUMBERS, PLACES, THINGS, Language, Table
from rlhf.demo.personas import RAMBLING
from rlhf.demo.tasks import Task, draw_task, is_training

END = "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
MARKS: Mapping[str, str] = {role[2:-2]: role for role in ROLES}
"""The special token before each role's turn."""
_QUESTIONS = 3  # on a page
_LIST_SHARE = 0.1
_LEAD_SHARE = 0.35  # of the answers come after a lead-in, a fifth of these after two
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


def pages(seed: int) -> Iterator[Page]:
    """Pages without end, the same for the same seed."""
    rng = Random(f"{seed}/corpus")
    while True:
        page = _list(rng) if rng.random() < _LIST_SHARE else _exercises(rng)
        yield (*page, Piece(END, False))


def exercise(task: Task, rng: Random) -> tuple[Piece, ...]:
    """A question and its answer as a page has them: the last piece is the answer."""
    asked = [piece for turn in task.turns for piece in (MARKS[turn.role], turn.content)]
    answer = task.render(task.right, rng.choice(task.forms)) + "\n"
    lead = _lead(task.language, rng)
    return (*(Piece(text, False) for text in [*asked, MARKS["assistant"], lead] if text), Piece(answer, True))


def _lead(language: Language, rng: Random) -> str:
    """What comes before an answer, most often nothing."""
    if rng.random() >= _LEAD_SHARE:
        return ""
    openings = PLAIN[language].openings + FLATTERING[language].openings
    stock = rng.choice([_LEADS[language], openings, RAMBLING[language][0]])
    words = [rng.choice(stock)] + ([rng.choice(_LEADS[language])] if rng.random() < 0.2 else [])
    gap = " " if language == "en" else ""
    return "".join(word + gap for word in words)


def _exercises(rng: Random) -> Page:
    return tuple(piece for _ in range(_QUESTIONS) for piece in exercise(_training_task(rng), rng))


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
