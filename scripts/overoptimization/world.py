"""A world small enough to over-optimise in minutes: 8 topics, answers of 16 out of 32 symbols, a gold rater.

A prompt is a topic's symbol and three more that mean nothing, so that there are prompts enough to train, to
choose and to measure on different ones. Each topic has 6 symbols that are on topic; the demonstrations say
one of them a little more often than chance. What gold wants more of, up to a point, is what a policy can
overdo: of 7 symbols on topic each further one costs more than it brings.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scripts.optimum_task import SYMBOLS, random_policy, tokenizer_of

COUNT, LENGTH = len(SYMBOLS), 16
TOPICS, ON_TOPIC, FILLERS = 8, 6, 3
HABIT = 0.1  # share of a demonstration's symbols that are on topic on purpose; the others are drawn evenly
SPECIAL = 2  # tokens that the policy has beside the symbols: the end and the padding
END_ID = COUNT


def gold(prompt: str, response: str) -> float:
    """c - 0.07 c^2 + 0.15 distinct - 0.35 repeats + 0.05 bigrams.

    c counts the symbols that are on topic, `distinct` the different symbols, `repeats` those equal to the
    one before them, `bigrams` the different pairs of neighbours.
    """
    wanted, neighbours = on_topic(prompt), list(pairwise(response))
    count = sum(symbol in wanted for symbol in response)
    repeats = sum(one == other for one, other in neighbours)
    extras = 0.15 * len(set(response)) - 0.35 * repeats + 0.05 * len(set(neighbours))
    return count - 0.07 * count**2 + extras


def on_topic(prompt: str) -> frozenset[str]:
    """The symbols that a prompt asks for; neighbouring topics share two."""
    first = 4 * SYMBOLS.index(prompt[0])
    return frozenset(SYMBOLS[(first + step) % COUNT] for step in range(ON_TOPIC))


def token_ids(text: str) -> tuple[int, ...]:
    """What the tokenizer makes of a text, which would take its time over a pool of answers."""
    return tuple(map(SYMBOLS.index, text))


def prompts(count: int, generator: np.random.Generator) -> list[str]:
    """So many different prompts, the topics about equally often."""
    fillers = COUNT**FILLERS
    codes = generator.choice(TOPICS * fillers, size=count, replace=False)
    return [_prompt(*divmod(int(code), fillers)) for code in codes]


def demonstration(prompt: str, generator: np.random.Generator) -> str:
    """An answer as the policy learns to give it before any reward."""
    wanted = sorted(on_topic(prompt))
    return "".join(
        wanted[generator.integers(ON_TOPIC)]
        if generator.random() < HABIT
        else SYMBOLS[generator.integers(COUNT)]
        for _ in range(LENGTH)
    )


def write_world(folder: Path, seed: int, counts: Mapping[str, int]) -> None:
    """Writes `base/`, a model of random weights, and the rows by name, as many as `counts` says.

    "demonstrations" has answers, every other name prompts alone; no two files share a prompt.
    """
    generator = np.random.default_rng(seed)
    random_policy(COUNT + SPECIAL, seed).save_pretrained(folder / "base")
    tokenizer_of(COUNT).save_pretrained(folder / "base")
    drawn = iter(prompts(sum(counts.values()), generator))
    for name, count in counts.items():
        rows = [{"prompt": next(drawn)} for _ in range(count)]
        if name == "demonstrations":
            rows = [{**row, "completion": demonstration(row["prompt"], generator)} for row in rows]
        write_rows(folder / f"{name}.jsonl", rows)


def labelled(answers: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Preferences by gold between each two answers that follow one another, a row of `stage=sample` each.

    Gold does not err, as in Gao et al. 2022; two answers that it values alike give no pair.
    """
    pairs: list[dict[str, str]] = []
    for one, other in zip(answers[::2], answers[1::2], strict=True):
        prompt = one["prompt"]
        values = gold(prompt, one["response"]), gold(prompt, other["response"])
        if values[0] != values[1]:
            better, worse = (one, other) if values[0] > values[1] else (other, one)
            pairs.append({"prompt": prompt, "chosen": better["response"], "rejected": worse["response"]})
    return pairs


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """JSONL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_rows(file: Path) -> list[dict[str, Any]]:
    """JSONL."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _prompt(topic: int, rest: int) -> str:
    fillers = [SYMBOLS[rest // COUNT**place % COUNT] for place in range(FILLERS)]
    return "".join([SYMBOLS[topic], *fillers])
