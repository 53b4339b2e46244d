"""Simple rules on the text of the response, added up. Chinese is counted by character."""

import re
from collections.abc import Callable, Mapping, Sequence

import torch

from rlhf.config import objective
from rlhf.errors import ConfigError
from rlhf.rewards.base import Scored, Scores
from rlhf.text import repetition_rate, words

REPEATED_WORDS = 3


class RulesReward:
    """The sum of the rules that are switched on:

        per_word     per_word * n
        off_target  -off_target * |n - target_words|
        repetition  -repetition * (share of word triples said before)
        wanted       the scores of the regular expressions found

    with n the words of the response. `Scores.parts` holds each rule that is on, under its name.
    """

    def __init__(self, cfg: objective.RulesReward) -> None:
        """Compiles the rules.

        Raises:
            ConfigError: a pattern of `reward.wanted` is no regular expression, or no rule is switched on.
        """
        wanted = [(_compiled(name, found.pattern), found.score) for name, found in cfg.wanted.items()]
        rules: dict[str, Callable[[str], float]] = {}
        if cfg.per_word:
            rules["per_word"] = lambda text: cfg.per_word * len(words(text))
        if cfg.target_words is not None and cfg.off_target:
            target = cfg.target_words
            rules["off_target"] = lambda text: -cfg.off_target * abs(len(words(text)) - target)
        if cfg.repetition:
            rules["repetition"] = lambda text: -cfg.repetition * repetition_rate(text, REPEATED_WORDS)
        if wanted:
            rules["wanted"] = lambda text: sum(score for regex, score in wanted if regex.search(text))
        if not rules:
            raise ConfigError(
                "reward=rules has no rule switched on; add one, such as reward.per_word=0.01, "
                "reward.target_words=20, reward.repetition=1 or 'reward.wanted={thanks: {pattern: thank}}'"
            )
        self._rules: Mapping[str, Callable[[str], float]] = rules

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch."""
        parts = {
            name: torch.tensor([rule(scored.response) for scored in batch], dtype=torch.float32)
            for name, rule in self._rules.items()
        }
        return Scores(torch.stack(list(parts.values())).sum(dim=0), parts)


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"reward.wanted.{name}.pattern={pattern!r} is no regular expression: {error}"
        ) from None
