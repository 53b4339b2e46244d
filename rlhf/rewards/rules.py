"""Simple rules on the response, added up. Chinese is counted by character."""

import re
from collections.abc import Callable, Mapping, Sequence

import torch

from rlhf.config import objective
from rlhf.errors import ConfigError
from rlhf.records import Prompt
from rlhf.rewards.base import Scored, Scores
from rlhf.rewards.reference import check_references, reference_rules
from rlhf.rewards.schema import JsonSchema
from rlhf.text import guess_language, repetition_rate, words

REPEATED_WORDS = 3

Rule = Callable[[Scored], float]


class RulesReward:
    """The sum of the rules that are switched on:

        per_word     per_word * n
        off_target  -off_target * |n - target_words|
        repetition  -repetition * (share of word triples said before)
        wanted       the scores of the regular expressions found
        language     language_score where the response is in the language
        json_valid   json_valid where the response is JSON that fits the schema
        json_share   json_share * (share of the schema's demands that are met)

    with n the words of the response; and those of `rlhf.rewards.reference`. `Scores.parts` holds each rule
    that is on, under its name.
    """

    def __init__(self, cfg: objective.RulesReward) -> None:
        """Compiles the rules.

        Raises:
            ConfigError: a pattern of `reward.wanted` is no regular expression, the schema is none, or no rule
                is switched on.
        """
        self._cfg = cfg
        self._rules: Mapping[str, Rule] = {**_text_rules(cfg), **_form_rules(cfg), **reference_rules(cfg)}
        if not self._rules:
            raise ConfigError(
                "reward=rules has no rule switched on; add one, such as reward.per_word=0.01, "
                "reward.target_words=20, reward.exact_match=1 or 'reward.wanted={thanks: {pattern: thank}}'"
            )

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch.

        Raises:
            DataError: a rule compares with a reference that a row does not have.
        """
        parts = {
            name: torch.tensor([rule(scored) for scored in batch], dtype=torch.float32)
            for name, rule in self._rules.items()
        }
        return Scores(torch.stack(list(parts.values())).sum(dim=0), parts)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Reads the references of all rows.

        Raises:
            DataError: names the first row that lacks one, and how many there are.
        """
        check_references(self._cfg, prompts)


def _text_rules(cfg: objective.RulesReward) -> dict[str, Rule]:
    wanted = [(_compiled(name, found.pattern), found.score) for name, found in cfg.wanted.items()]
    rules: dict[str, Rule] = {}
    if cfg.per_word:
        rules["per_word"] = lambda scored: cfg.per_word * len(words(scored.response))
    if cfg.target_words is not None and cfg.off_target:
        target = cfg.target_words
        rules["off_target"] = lambda scored: -cfg.off_target * abs(len(words(scored.response)) - target)
    if cfg.repetition:
        rules["repetition"] = lambda scored: (
            -cfg.repetition * repetition_rate(scored.response, REPEATED_WORDS)
        )
    if wanted:
        rules["wanted"] = lambda scored: sum(
            score for regex, score in wanted if regex.search(scored.response)
        )
    return rules


def _form_rules(cfg: objective.RulesReward) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    if cfg.language and cfg.language_score:
        asked = cfg.language

        def language(scored: Scored) -> float:
            wanted = guess_language(asked_in(scored)) if asked == "prompt" else asked
            return cfg.language_score * (guess_language(scored.response) == wanted)

        rules["language"] = language
    if cfg.json_schema:
        schema = JsonSchema.read(cfg.json_schema)
        if cfg.json_valid:
            rules["json_valid"] = lambda scored: cfg.json_valid * (schema.share(scored.response) == 1.0)
        if cfg.json_share:
            rules["json_share"] = lambda scored: cfg.json_share * schema.share(scored.response)
    return rules


def asked_in(scored: Scored) -> str:
    """The text whose language an answer is expected in: plain text, or the last turn of a conversation."""
    content = scored.prompt.content
    return content if isinstance(content, str) else content[-1].content


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"reward.wanted.{name}.pattern={pattern!r} is no regular expression: {error}"
        ) from None
