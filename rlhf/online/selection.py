"""Which pairs of answers people are asked about, after a random slice is set apart for evaluation.

Everything here depends on the seed and on what the candidates are, never on their order.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit

Strategy = Literal["random", "uncertainty", "disagreement", "information"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A pair of answers that people may be asked about.

    `key` says what it is (`pair_key`), `prompt` is the key of its prompt. `differences` holds, for each of K
    reward models, the first answer's score less the second's in nats; empty where there is no model yet.
    `embedding` is where the pair stands among others, the same whichever answer is named first; only
    "information" reads it.
    """

    key: str
    prompt: str
    differences: tuple[float, ...] = ()
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Places among the candidates: the random slice, and what the strategy chose, best first."""

    evaluation: list[int]
    chosen: list[int]


def pair_key(prompt: str, one: str, other: str) -> str:
    """SHA-256 of a pair by its prompt's key and its two texts, whichever is named first."""
    parts = [prompt, *sorted((one, other))]
    return hashlib.sha256("\0".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def select(
    candidates: Sequence[Candidate], strategy: Strategy, count: int, evaluation: int, *, seed: int
) -> Selection:
    """Sets `evaluation` pairs apart by chance, then chooses `count` of the others by the strategy.

    The slice has one pair a prompt, and nothing else of its prompts is chosen, so that a reward model that
    learns from the chosen is a stranger to it. Candidates of one key are one, the first of them. Fewer are
    chosen where there are fewer.

    Raises:
        ValueError: there are fewer prompts than `evaluation`, or a candidate lacks what the strategy reads.
    """
    first = {one.key: place for place, one in reversed(list(enumerate(candidates)))}
    places = sorted(first.values(), key=lambda place: _draw(seed, candidates[place].key))
    by_prompt: dict[str, int] = {}
    for place in places:
        by_prompt.setdefault(candidates[place].prompt, place)
    if len(by_prompt) < evaluation:
        raise ValueError(
            f"an evaluation slice of {evaluation} pairs needs as many prompts, of {len(by_prompt)}"
        )
    slice_ = dict(list(by_prompt.items())[:evaluation])
    left = [place for place in places if candidates[place].prompt not in slice_]
    order = _ORDERS[strategy]([candidates[place] for place in left], min(count, len(left)))
    return Selection(list(slice_.values()), [left[place] for place in order])


def disagreement(differences_NK: Floats) -> Floats:
    """Variance over K models of the probability that the first answer is preferred, [N]."""
    return expit(differences_NK).var(axis=1)


def information(differences_NK: Floats) -> Floats:
    """What a judgement would tell of which model is right, in nats, [N]: H(mean p) - mean H(p).

    Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning". High
    where each model is sure and they contradict each other; 0 where all say the same, be it that the answers
    are as good as each other.
    """
    p_NK = expit(differences_NK)
    return np.maximum(_entropy(p_NK.mean(axis=1)) - _entropy(p_NK).mean(axis=1), 0.0)


def spread_out(worth_N: Floats, embeddings_ND: Floats, count: int) -> list[int]:
    """`count` places, one after the other: the highest worth times distance from the nearest place before it.

    The first is the one of the highest worth; of equal ones the earlier place. With equal worths it is the
    greedy k-centre of Gonzalez 1985, which Sener & Savarese 2018 choose what to label by.
    """
    nearest_N = np.full(len(worth_N), np.inf)
    gain_N, order = worth_N.copy(), list[int]()
    for _ in range(count):
        best = int(gain_N.argmax())
        order.append(best)
        away_N = np.sqrt(((embeddings_ND - embeddings_ND[best]) ** 2).sum(axis=1))
        nearest_N = np.minimum(nearest_N, away_N)
        gain_N = worth_N * nearest_N
        gain_N[order] = -np.inf
    return order


def _by_chance(_candidates: Sequence[Candidate], count: int) -> list[int]:
    return list(range(count))


def _by_uncertainty(candidates: Sequence[Candidate], count: int) -> list[int]:
    return _largest(-np.abs(_differences(candidates, 1, "uncertainty").mean(axis=1)), count)


def _by_disagreement(candidates: Sequence[Candidate], count: int) -> list[int]:
    return _largest(disagreement(_differences(candidates, 2, "disagreement")), count)


def _by_information(candidates: Sequence[Candidate], count: int) -> list[int]:
    worth_N = information(_differences(candidates, 2, "information"))
    dimensions = {len(one.embedding) for one in candidates}
    if 0 in dimensions or len(dimensions) > 1:
        raise ValueError("strategy=information needs an embedding of every pair, all of one length")
    return spread_out(worth_N, np.array([one.embedding for one in candidates], dtype=np.float64), count)


_ORDERS: Mapping[Strategy, Callable[[Sequence[Candidate], int], list[int]]] = {
    "random": _by_chance,
    "uncertainty": _by_uncertainty,
    "disagreement": _by_disagreement,
    "information": _by_information,
}


def _differences(candidates: Sequence[Candidate], least: int, strategy: str) -> Floats:
    models = {len(one.differences) for one in candidates}
    if len(models) > 1 or min(models, default=least) < least:
        raise ValueError(
            f"strategy={strategy} needs the scores of {least} reward models or more, as many for every pair"
        )
    if not candidates:
        return np.zeros((0, least))
    differences_NK = np.array([one.differences for one in candidates], dtype=np.float64)
    if np.isnan(differences_NK).any():
        raise ValueError("a score is not a number, so that no pair can be chosen by it")
    return differences_NK


def _largest(worth_N: Floats, count: int) -> list[int]:
    return np.argsort(-worth_N, kind="stable")[:count].tolist()


def _entropy(p: Floats) -> Floats:
    return entr(p) + entr(1.0 - p)


def _draw(seed: int, key: str) -> bytes:
    """What a candidate has drawn: in this order chance takes them, and so do equal ones."""
    return hashlib.sha256(f"{seed}/{key}".encode()).digest()
