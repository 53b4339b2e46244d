"""Rules that compare the response with the reference answer of its row."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rlhf.config import objective
from rlhf.errors import DataError
from rlhf.records import Prompt
from rlhf.rewards.base import Scored, beginning
from rlhf.text.matching import exact_match, numeric_match
from rlhf.text.numbers import last_number
from rlhf.text.overlap import bleu, chrf, rouge_l, rouge_n

MEASURES: dict[str, Callable[[str, Sequence[str]], float]] = {
    "exact_match": exact_match,
    "numeric_match": numeric_match,
    "bleu": bleu,
    "rouge_1": lambda text, references: rouge_n(text, references, 1),
    "rouge_2": lambda text, references: rouge_n(text, references, 2),
    "rouge_l": rouge_l,
    "chrf": chrf,
}
"""By the configuration's key: (response, references) -> 0 to 1."""


def reference_rules(cfg: objective.RulesReward) -> dict[str, Callable[[Scored], float]]:
    """Each measure whose weight is not 0: weight * measure(response, the row's references)."""

    def rule(name: str, weight: float) -> Callable[[Scored], float]:
        measure = MEASURES[name]
        return lambda scored: weight * measure(scored.response, references_of(scored.prompt, cfg))

    return {name: rule(name, weight) for name, weight in weights(cfg).items() if weight}


def weights(cfg: objective.RulesReward) -> dict[str, float]:
    """The weight of each measure."""
    return {
        "exact_match": cfg.exact_match,
        "numeric_match": cfg.numeric_match,
        "bleu": cfg.bleu,
        "rouge_1": cfg.rouge_1,
        "rouge_2": cfg.rouge_2,
        "rouge_l": cfg.rouge_l,
        "chrf": cfg.chrf,
    }


def references_of(prompt: Prompt, cfg: objective.RulesReward) -> list[str]:
    """The row's reference answers, one or more; a number is taken as its text.

    Raises:
        DataError: the row has none, or for `numeric_match` one without a number.
    """
    given: Any = prompt.fields.get(cfg.reference)
    several: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    texts = [str(one) for one in several if isinstance(one, (str, int, float)) and not isinstance(one, bool)]
    if not several or len(texts) < len(several) or not all(text.strip() for text in texts):
        there = ", ".join(sorted(map(str, prompt.fields))) or "no further field"
        wrong = f"{given!r:.60}, which is neither text, a number, nor a list of these"
        what = f"no field {cfg.reference} (it has {there})" if given is None else f"{cfg.reference}={wrong}"
        raise DataError(
            f"reward: {_on(cfg)} needs a reference answer, and the row of the prompt {beginning(prompt)} has "
            f"{what}; add it to the rows of data.prompts, or name the field that holds it: "
            "reward.reference=FIELD"
        )
    if cfg.numeric_match and (bad := [text for text in texts if last_number(text) is None]):
        raise DataError(
            f"reward.numeric_match needs a number, and the row of the prompt {beginning(prompt)} has "
            f"{cfg.reference}={bad[0]!r:.60}; mend the row, or use reward.exact_match"
        )
    return texts


def check_references(cfg: objective.RulesReward, prompts: Iterable[Prompt]) -> None:
    """Reads the references of all rows.

    Raises:
        DataError: names the first row that lacks one, and how many there are.
    """
    if not any(weights(cfg).values()):
        return
    failures = [failure for prompt in prompts if (failure := _failure(prompt, cfg))]
    if failures:
        more = f"\n{len(failures)} rows are like this" if len(failures) > 1 else ""
        raise DataError(f"{failures[0]}{more}")


def _failure(prompt: Prompt, cfg: objective.RulesReward) -> str | None:
    try:
        references_of(prompt, cfg)
    except DataError as error:
        return str(error)
    return None


def _on(cfg: objective.RulesReward) -> str:
    return ", ".join(name for name, weight in weights(cfg).items() if weight)
