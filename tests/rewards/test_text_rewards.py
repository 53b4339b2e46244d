"""Rules on the text, weighted sums, and how they are built: numbers worked by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from rlhf.config import objective
from rlhf.errors import ConfigError
from rlhf.records import Prompt
from rlhf.rewards import (
    Reward,
    RulesReward,
    Scored,
    Scores,
    WeightedReward,
    build_reward,
    model_paths,
    needs_model,
    needs_validation,
    reward_files,
)


def answered(response: str, prompt: str | Prompt = "Say hi.", finish: str = "eos") -> Scored:
    whole = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
    return Scored(whole, response, (1, 2), (3,), finish)


def rules(**settings: object) -> RulesReward:
    return RulesReward(objective.RulesReward.model_validate(settings))


class Constant:
    """A reward that gives the length of the response's tokens."""

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        total_B = torch.tensor([float(len(scored.response_ids)) for scored in batch])
        return Scores(total_B, {"model": total_B})


class Models:
    """Stands in for reward models; keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def model(self, place: str, path: str | None) -> Reward:
        self.asked.append((place, path))
        return Constant()

    def members(self, place: str, path: str | None) -> list[Reward]:
        return [self.model(place, path), self.model(place, path)]


class TestRules:
    def test_counts_words_and_chinese_characters(self) -> None:
        scores = rules(per_word=0.5)([answered("three plain words"), answered("你好, ok"), answered("")])
        assert scores.total.tolist() == [1.5, 1.5, 0.0]

    def test_takes_off_for_each_word_away_from_the_target(self) -> None:
        scores = rules(target_words=3, off_target=0.25)(
            [answered("one"), answered("a b c"), answered("你好吗啊")]
        )
        assert scores.total.tolist() == [-0.5, 0.0, -0.25]

    def test_takes_off_for_repeated_triples(self) -> None:
        # "a b a b a": triples aba, bab, aba; one of three was said before
        scores = rules(repetition=3.0)([answered("a b a b a"), answered("a b c d")])
        assert scores.total.tolist() == pytest.approx([-1.0, 0.0])

    def test_adds_what_is_found_and_keeps_each_rule(self) -> None:
        scores = rules(
            per_word=1.0,
            wanted={"yes": {"pattern": "^Yes", "score": 2.0}, "please": {"pattern": "请", "score": -0.5}},
        )([answered("Yes 请"), answered("No Yes")])
        assert scores.parts["wanted"].tolist() == [1.5, 0.0]
        assert scores.parts["per_word"].tolist() == [2.0, 2.0]
        assert scores.total.tolist() == [3.5, 2.0]

    def test_an_empty_batch_has_no_scores(self) -> None:
        assert rules(per_word=1.0)([]).total.shape == (0,)

    @pytest.mark.parametrize(
        ("settings", "said"), [({}, "per_word=0.01"), ({"wanted": {"broken": {"pattern": "("}}}, r"'\('")]
    )
    def test_refuses_what_makes_no_sense(self, settings: dict[str, object], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            rules(**settings)


class TestWeightedAndBuild:
    def test_adds_up_and_keeps_parts_unweighted(self) -> None:
        reward = WeightedReward(
            {
                "length": (2.0, Constant()),
                "style": (-1.0, rules(per_word=1.0, wanted={"yes": {"pattern": "yes", "score": 4.0}})),
            }
        )
        scores = reward([answered("yes sir"), answered("no")])
        assert scores.total.tolist() == [2 - 6, 2 - 1]
        assert {name: part.tolist() for name, part in scores.parts.items()} == {
            "length": [1.0, 1.0],
            "style": [6.0, 1.0],
            "style.per_word": [2.0, 1.0],
            "style.wanted": [4.0, 0.0],
        }

    def build(self, cfg: dict[str, object]) -> objective.Reward:
        return TypeAdapter[objective.Reward](objective.Reward).validate_python(cfg)

    def test_loads_the_reward_model_once_and_only_if_needed(self) -> None:
        model = {"weight": 1.0, "reward": {"kind": "model"}}
        plain = self.build({"kind": "rules", "per_word": 1.0})
        twice = self.build({"kind": "weighted", "parts": {"a": model, "b": model}})
        models = Models()
        build_reward(plain, models)
        assert (models.asked, needs_model(plain)) == ([], False)
        assert build_reward(twice, models)([answered("x")]).total.tolist() == [2.0]
        assert ([path for _, path in models.asked], needs_model(twice)) == ([None], True)

    def test_models_named_by_path_are_loaded_from_there(self) -> None:
        part = {"reward": {"kind": "model", "path": "rm-2"}}
        parts = {"harm": part, "many": {"reward": {"kind": "ensemble"}}}
        cfg = self.build(
            {"kind": "safe", "helpful": {"kind": "weighted", "parts": parts}, "cost": part["reward"]}
        )
        places = {"reward.helpful.parts.harm.reward": "rm-2", "reward.cost": "rm-2"}
        assert model_paths(cfg) == places
        assert needs_model(cfg)
        assert not needs_model(self.build({"kind": "model", "path": "rm-2"}))
        models = Models()
        build_reward(cfg, models)
        ensemble = "reward.helpful.parts.many.reward"
        assert sorted(models.asked, key=str) == sorted(
            [*places.items(), (ensemble, None), (ensemble, None)], key=str
        )

    def test_a_checkpoint_is_chosen_by_another_reward_where_there_is_reason(self) -> None:
        rules, model = {"kind": "rules", "per_word": 1.0}, {"kind": "model"}
        assert needs_validation(self.build(model))
        assert needs_validation(self.build({"kind": "model", "path": "rm-2"}))
        assert needs_validation(self.build({"kind": "safe", "helpful": rules, "cost": rules}))
        assert not needs_validation(self.build(rules))

    def test_names_the_files_that_decide_the_reward(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("def score(p, r): return 1")
        custom = {"kind": "custom", "path": f"{tmp_path}/mine.py:score"}
        weighted = self.build({"kind": "weighted", "parts": {"mine": {"reward": custom}}})
        assert reward_files(weighted) == (tmp_path / "mine.py",)
        assert reward_files(self.build({"kind": "custom", "path": "operator:concat"})) == ()
