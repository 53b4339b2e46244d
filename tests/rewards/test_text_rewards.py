"""Rules on the text, weighted sums, and how they are built: numbers worked by hand."""

from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from rlhf.config import objective
from rlhf.errors import ConfigError
from rlhf.records import Prompt
from rlhf.rewards import (
    RulesReward,
    Scored,
    Scores,
    WeightedReward,
    build_reward,
    needs_model,
    reward_files,
)


def answered(response: str, prompt: str | Prompt = "Say hi.", finish: str = "eos") -> Scored:
    whole = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
    return Scored(whole, response, (1, 2), (3,), finish)


def rules(**settings: object) -> RulesReward:
    return RulesReward(objective.RulesReward.model_validate(settings))


class Constant:
    """A reward that gives the length of the response's tokens."""

    calls = 0

    def __call__(self, batch: list[Scored]) -> Scores:
        total_B = torch.tensor([float(len(scored.response_ids)) for scored in batch])
        return Scores(total_B, {"model": total_B})


def constant() -> Constant:
    Constant.calls += 1
    return Constant()


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
        Constant.calls = 0
        model = {"weight": 1.0, "reward": {"kind": "model"}}
        plain = self.build({"kind": "rules", "per_word": 1.0})
        twice = self.build({"kind": "weighted", "parts": {"a": model, "b": model}})
        build_reward(plain, constant)
        assert (Constant.calls, needs_model(plain)) == (0, False)
        assert build_reward(twice, constant)([answered("x")]).total.tolist() == [2.0]
        assert (Constant.calls, needs_model(twice)) == (1, True)
        assert isinstance(build_reward(self.build({"kind": "model"}), constant), Constant)

    def test_names_the_files_that_decide_the_reward(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("def score(p, r): return 1")
        custom = {"kind": "custom", "path": f"{tmp_path}/mine.py:score"}
        weighted = self.build({"kind": "weighted", "parts": {"mine": {"reward": custom}}})
        assert reward_files(weighted) == (tmp_path / "mine.py",)
        assert reward_files(self.build({"kind": "custom", "path": "operator:concat"})) == ()
