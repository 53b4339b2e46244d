"""Rules on form and on a reference answer, in English and Chinese: numbers worked by hand."""

import json
import math
from pathlib import Path

import pytest

from rlhf.config import objective
from rlhf.errors import ConfigError, DataError
from rlhf.records import Message, Prompt
from rlhf.rewards import RulesReward, Scored, WeightedReward, check_prompts, reward_files

PERSON = {
    "type": "object",
    "properties": {"姓名": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["姓名", "age"],
    "additionalProperties": False,
}


def rules(**settings: object) -> RulesReward:
    return RulesReward(objective.RulesReward.model_validate(settings))


def answered(response: str, prompt: Prompt | None = None, **fields: object) -> Scored:
    return Scored(prompt or Prompt("Who? 谁？", fields), response, (1, 2), (3,), "eos")


class TestReference:
    def test_each_measure_is_weighted_and_stands_apart(self) -> None:
        reward = rules(exact_match=2.0, numeric_match=1.0, bleu=0.5, rouge_1=1.0, rouge_2=1.0, rouge_l=1.0)
        scores = reward(
            [answered("4 e f g", reference="4 e f g h"), answered("四万", reference=["4", "40000"])]
        )
        parts = {name: part.tolist() for name, part in scores.parts.items()}
        assert parts["exact_match"] == [0.0, 0.0]
        assert parts["numeric_match"] == [1.0, 1.0]
        assert parts["bleu"] == pytest.approx([0.5 * math.exp(-0.25), 0.0], abs=1e-6)
        assert parts["rouge_1"] == pytest.approx([8 / 9, 0.0])
        assert parts["rouge_2"] == pytest.approx([6 / 7, 0.0])
        assert parts["rouge_l"] == pytest.approx([8 / 9, 0.0])
        assert scores.total.tolist() == pytest.approx(
            [sum(parts[name][row] for name in parts) for row in (0, 1)]
        )

    def test_chinese_and_english_are_scored_alike(self) -> None:
        """The same answer with a quarter of its pieces replaced, by word and by character."""
        reward = rules(rouge_1=1.0, exact_match=1.0)
        scores = reward(
            [answered("a b c x", reference="A B C D."), answered("甲乙丙某", reference="甲乙丙丁。")]
        )
        assert scores.total.tolist() == pytest.approx([0.75, 0.75])
        exact = rules(exact_match=1.0)(
            [answered("北京", reference="“北京”。"), answered("X.", reference="x")]
        )
        assert exact.total.tolist() == [1.0, 1.0]

    def test_chrf_and_a_field_of_another_name(self) -> None:
        reward = rules(chrf=3.0, reference="answer")
        assert reward([answered("abc", answer="abd")]).total.tolist() == pytest.approx([(2 / 3 + 1 / 2)])
        assert reward([answered("12", answer=12)]).total.tolist() == pytest.approx([3.0])

    def test_a_row_without_a_reference_is_named_and_what_to_do(self) -> None:
        with pytest.raises(DataError) as caught:
            rules(bleu=1.0)([answered("x", Prompt("What is the capital?", {"answer": "Paris"}))])
        message = str(caught.value)
        assert "bleu needs a reference answer" in message
        assert (
            "the row of the prompt 'What is the capital?' has no field reference (it has answer)" in message
        )
        assert "reward.reference=FIELD" in message
        for wrong in ("", [], [""], {"a": 1}, True):
            with pytest.raises(DataError, match="needs a reference"):
                rules(bleu=1.0)([answered("x", reference=wrong)])
        with pytest.raises(DataError, match="reference='Paris'; mend the row"):
            rules(numeric_match=1.0)([answered("7", reference="Paris")])

    def test_all_rows_are_looked_at_before_anything_is_scored(self) -> None:
        prompts = [Prompt("一"), Prompt("二", {"reference": "2"}), Prompt("三")]
        reward = WeightedReward({"right": (1.0, rules(exact_match=1.0)), "short": (1.0, rules(per_word=1.0))})
        with pytest.raises(DataError, match=r"'一' has no field(.|\n)*2 rows are like this"):
            check_prompts(reward, prompts)
        check_prompts(reward, prompts[1:2])
        check_prompts(rules(per_word=1.0), prompts)


class TestLanguage:
    def test_the_one_that_is_asked_for(self) -> None:
        batch = [answered("好的，谢谢"), answered("Fine, thanks"), answered("")]
        assert rules(language="zh", language_score=0.5)(batch).total.tolist() == [0.5, 0.0, 0.0]
        assert rules(language="en")(batch).total.tolist() == [0.0, 1.0, 0.0]

    def test_that_of_the_last_turn(self) -> None:
        asked = Prompt((Message("system", "You speak English."), Message("user", "你好吗？")))
        batch = [answered("很好", asked), answered("Well", asked), answered("Well", Prompt("How are you?"))]
        assert rules(language="prompt")(batch).total.tolist() == [1.0, 0.0, 1.0]


class TestJsonSchema:
    def schema(self, folder: Path, schema: object = PERSON) -> str:
        (folder / "人.json").write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")
        return str(folder / "人.json")

    @pytest.mark.parametrize(
        ("text", "share"),
        [
            ('{"姓名": "李", "age": 3}', 1.0),
            ('```json\n{"姓名": "李", "age": 3}\n```', 1.0),
            ('{"姓名": "李", "age": -3}', 1 / 2),
            ('{"姓名": "李"}', 1 / 2),
            ('{"姓名": "李", "age": 3, "x": 1, "y": 2}', 2 / 3),
            ("{}", 0.0),
            ("[]", 0.0),
            ('Here: {"姓名": "李", "age": 3}', 0.0),
            ('{"姓名": "李", "age": NaN}', 0.0),
            ("[" * 100_000, 0.0),
            ("", 0.0),
        ],
    )
    def test_the_share_of_demands_that_is_met(self, tmp_path: Path, text: str, share: float) -> None:
        reward = rules(json_schema=self.schema(tmp_path), json_valid=2.0, json_share=1.0)
        scores = reward([answered(text)])
        assert scores.parts["json_share"].tolist() == pytest.approx([share])
        assert scores.parts["json_valid"].tolist() == [2.0 if share == 1.0 else 0.0]

    def test_a_schema_that_is_none_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"json_schema=absent\.json: cannot be read"):
            rules(json_schema="absent.json")
        with pytest.raises(ConfigError, match="is no JSON Schema: 'strong' is not valid"):
            rules(json_schema=self.schema(tmp_path, {"type": "strong"}))
        with pytest.raises(ConfigError, match="neither an object"):
            rules(json_schema=self.schema(tmp_path, 5))
        with pytest.raises(ConfigError, match="is no JSON Schema"):
            rules(json_schema=self.schema(tmp_path, {"pattern": "("}))
        (tmp_path / "broken.json").write_text("{")
        with pytest.raises(ConfigError, match="is not JSON"):
            rules(json_schema=str(tmp_path / "broken.json"))

    def test_nothing_is_fetched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[object] = []
        monkeypatch.setattr("urllib.request.urlopen", lambda *request: asked.append(request))
        reward = rules(json_schema=self.schema(tmp_path, {"$ref": "https://example.org/schema.json"}))
        with pytest.raises(ConfigError, match="refers to what is not in it"):
            reward([answered("{}")])
        assert asked == []

    def test_the_file_is_a_part_of_the_runs_identity(self, tmp_path: Path) -> None:
        file = self.schema(tmp_path)
        assert reward_files(objective.RulesReward(json_schema=file)) == (Path(file),)
