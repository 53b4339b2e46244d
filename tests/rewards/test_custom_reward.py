"""A user's function as the reward: what it is given, one at a time and in batches, and what may go wrong."""

import re
from pathlib import Path

import pytest
import torch

from rlhf.config import objective
from rlhf.errors import ConfigError, TrainingError
from rlhf.records import Message, Prompt
from rlhf.rewards import CustomReward, Scored, check_prompts


def answered(response: str, prompt: str | Prompt = "Say hi.", finish: str = "eos") -> Scored:
    whole = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
    return Scored(whole, response, (1, 2), (3,), finish)


def custom(path: str, **settings: object) -> CustomReward:
    return CustomReward(objective.CustomReward.model_validate({"path": path, **settings}))


class TestCustom:
    def write(self, folder: Path, text: str) -> str:
        (folder / "mine.py").write_text(text)
        return f"{folder / 'mine.py'}:score"

    def test_is_given_prompt_response_and_the_fields_it_asks_for(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            "def score(prompt, response, reference, bonus=10):\n"
            "    return len(prompt) + 100 * (response == reference) + bonus",
        )
        batch = [
            answered("yes", Prompt("abc", {"reference": "yes", "other": 1})),
            answered("no", Prompt("ab", {"reference": "yes", "bonus": 0})),
        ]
        assert custom(path)(batch).total.tolist() == [113.0, 2.0]

    def test_is_given_the_whole_row_where_it_takes_one(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "def score(p, r, **row): return float(sorted(row) == row['wanted'])")
        row = {"wanted": ["finish", "messages", "wanted"], "response": "is not handed on"}
        prompt = Prompt((Message("user", "hi"),), row)
        assert custom(path)([answered("x", prompt)]).total.tolist() == [1.0]

    def test_takes_booleans_and_scalars_of_numpy_and_torch(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            "import numpy, torch\n"
            "def score(p, r): return {'a': True, 'b': numpy.float32(0.5), 'c': torch.tensor(2.0)}[r]",
        )
        assert custom(path)([answered(r) for r in "abc"]).total.tolist() == [1.0, 0.5, 2.0]

    def test_finds_a_function_in_a_module(self) -> None:
        reward = custom("operator:concat")  # no Python signature to read fields from
        with pytest.raises(TrainingError, match="no number"):
            reward([answered("x")])

    def test_names_the_line_that_raised_and_the_prompt(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "import json\ndef score(p, r):\n    return json.loads(r)\n")
        with pytest.raises(TrainingError) as caught:
            custom(path)([answered("{", "What is the capital of France?")])
        message = str(caught.value)
        assert "JSONDecodeError" in message
        assert "(mine.py, line 3)" in message
        assert "'What is the capital of France?'" in message

    @pytest.mark.parametrize(
        ("returned", "said"),
        [("float('nan')", "returned nan"), ("None", "`return` missing"), ("'0.5'", "'0.5', no number")],
    )
    def test_refuses_what_is_no_number(self, tmp_path: Path, returned: str, said: str) -> None:
        path = self.write(tmp_path, f"def score(p, r): return {returned}")
        with pytest.raises(TrainingError, match=said):
            custom(path)([answered("x")])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("def scores(p, r): return 1", "no function score; it has scores"),
            ("def score(p, r)\n    return 1", r"SyntaxError: .*\(mine.py, line 1\)"),
            ("import not_there", r"No module named 'not_there' \(mine.py, line 1\)"),
            ("def score(p): return 1", "first two arguments"),
            ("score = 3", "is a int, not a function"),
        ],
    )
    def test_says_what_is_wrong_with_the_file(self, tmp_path: Path, text: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            custom(self.write(tmp_path, text))

    def test_says_what_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no file"):
            custom(f"{tmp_path}/absent.py:score")
        with pytest.raises(ConfigError, match="there is no module absent_package"):
            custom("absent_package.module:score")
        needy = custom(self.write(tmp_path, "def score(p, r, reference): return 1"))
        with pytest.raises(ConfigError, match=r"needs reference; .* has only family, finish"):
            needy([answered("x", Prompt("p", {"family": "sums"}))])

    def test_rows_are_looked_at_before_anything_is_scored(self, tmp_path: Path) -> None:
        needy = custom(self.write(tmp_path, "def score(p, r, reference): return 1"))
        check_prompts(needy, [Prompt("p", {"reference": "x"})])
        with pytest.raises(ConfigError, match=r"needs reference; the row of the prompt '二'"):
            check_prompts(needy, [Prompt("p", {"reference": "x"}), Prompt("二")])

    def test_a_call_that_takes_too_long_is_given_up(self, tmp_path: Path) -> None:
        text = "import time\ndef score(p, r):\n    time.sleep(60 if r == 'slow' else 0)\n    return 1"
        reward = custom(self.write(tmp_path, text), timeout_s=0.5)
        assert reward([answered("quick")]).total.tolist() == [1.0]
        with pytest.raises(TrainingError, match=r"longer than reward.timeout_s=0.5 for the prompt 'Say hi.'"):
            reward([answered("slow")])
        failing = custom(self.write(tmp_path, "def score(p, r): raise TimeoutError('mine')"), timeout_s=60)
        with pytest.raises(TrainingError, match=r"raised TimeoutError: mine \(mine.py, line 1\)"):
            failing([answered("x")])


class TestBatched:
    def write(self, folder: Path, text: str) -> str:
        (folder / "many.py").write_text(text, encoding="utf-8")
        return f"{folder / 'many.py'}:score_batch"

    def test_is_given_all_answers_at_once_with_their_rows(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            "calls = 0\n"
            "def score_batch(prompts, responses, rows):\n"
            "    global calls\n"
            "    calls += 1\n"
            "    return [100 * calls + len(p) + 10 * (r == row['reference']) + (row['finish'] == 'length')\n"
            "            for p, r, row in zip(prompts, responses, rows, strict=True)]",
        )
        batch = [
            answered("四", Prompt("二加二", {"reference": "四"})),
            answered("no", Prompt("ab", {"reference": "yes"}), finish="length"),
        ]
        assert custom(path, batched=True)(batch).total.tolist() == [113.0, 103.0]
        assert custom(path, batched=True)([]).total.shape == (0,)

    def test_takes_arrays_and_tensors(self, tmp_path: Path) -> None:
        for made in ("numpy.arange(2.0)", "torch.tensor([0.0, 1.0])", "(n for n in ())"):
            text = f"import numpy, torch\ndef score_batch(p, r, rows): return {made}"
            reward = custom(self.write(tmp_path, text), batched=True)
            if made.startswith("("):
                with pytest.raises(TrainingError, match="must return a list of 2 numbers"):
                    reward([answered("a"), answered("b")])
            else:
                assert torch.equal(reward([answered("a"), answered("b")]).total, torch.tensor([0.0, 1.0]))

    @pytest.mark.parametrize(
        ("returned", "said"),
        [
            ("[1.0]", "returned 1 scores for 2 answers"),
            ("[1.0, float('nan')]", "returned nan for the prompt 'second'"),
            ("0.5", "returned 0.5; with reward.batched=true it must return a list of 2 numbers"),
            ("'12'", "must return a list"),
            ("1 / 0", "raised ZeroDivisionError"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path: Path, returned: str, said: str) -> None:
        reward = custom(self.write(tmp_path, f"def score_batch(p, r, rows): return {returned}"), batched=True)
        with pytest.raises(TrainingError, match=re.escape(said)):
            reward([answered("a", "first"), answered("b", "second")])

    @pytest.mark.parametrize("text", ["def score_batch(p, r): 1", "def score_batch(p, r, rows, more): 1"])
    def test_refuses_another_signature(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match="takes three lists, as in def score_batch"):
            custom(self.write(tmp_path, text), batched=True)


class TestAsynchronous:
    def write(self, folder: Path, text: str) -> str:
        (folder / "waits.py").write_text(text, encoding="utf-8")
        return f"{folder / 'waits.py'}:score"

    def test_answers_wait_together(self, tmp_path: Path) -> None:
        """Each call waits until all three have begun: one after the other would never end."""
        path = self.write(
            tmp_path,
            "import asyncio\n"
            "begun = []\n"
            "async def score(prompt, response, reference=''):\n"
            "    begun.append(response)\n"
            "    while len(begun) < 3:\n"
            "        await asyncio.sleep(0.001)\n"
            "    return float(response == reference)",
        )
        batch = [answered(text, Prompt("p", {"reference": "二"})) for text in ("一", "二", "三")]
        assert custom(path, timeout_s=60)(batch).total.tolist() == [0.0, 1.0, 0.0]

    def test_says_what_is_wrong(self, tmp_path: Path) -> None:
        text = (
            "import asyncio\nasync def score(p, r):\n"
            "    if r == 'raise': raise KeyError('k')\n"
            "    if r == 'late': raise TimeoutError('mine')\n"
            "    await asyncio.sleep(60)"
        )
        path = self.write(tmp_path, text)
        with pytest.raises(TrainingError, match=r"raised KeyError: 'k' \(waits.py, line 3\)"):
            custom(path)([answered("raise"), answered("slow")])
        with pytest.raises(TrainingError, match=r"raised TimeoutError: mine \(waits.py, line 4\)"):
            custom(path)([answered("late")])
        with pytest.raises(TrainingError, match=r"longer than reward.timeout_s=0.2"):
            custom(path, timeout_s=0.2)([answered("slow")])

    def test_may_be_batched_as_well(self, tmp_path: Path) -> None:
        text = "import asyncio\nasync def score(p, r, rows):\n    await asyncio.sleep(0)\n    return [2.0]"
        assert custom(self.write(tmp_path, text), batched=True)([answered("x")]).total.tolist() == [2.0]
