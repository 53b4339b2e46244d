from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rlhf.data.cleaning import clean_preferences
from rlhf.data.encoding import make_encoder
from rlhf.data.formats import to_demonstrations, to_preferences, to_prompts
from rlhf.data.sources import read_rows
from rlhf.records import Message


@pytest.mark.parametrize(
    ("name", "count", "empty", "identical"), [("helpful", 2354, 4, 2), ("harmless", 2312, 4, 0)]
)
def test_hh_rlhf(shared_data: Path, name: str, count: int, empty: int, identical: int):
    rows = read_rows(str(shared_data / "hh-rlhf" / f"{name}-base.test.jsonl.gz"))
    assert len(rows.rows) == count
    converted = to_preferences(rows)
    assert [problem.reason for problem in converted.problems] == ["empty"] * empty
    assert len(converted.records) == count - empty
    for record in converted.records:
        turns = record.prompt.content
        assert isinstance(turns, tuple)
        assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"]
    encoder = make_encoder(AutoTokenizer.from_pretrained(shared_data / "stories260K"), 100_000)
    cleaned = clean_preferences(converted, encoder)
    assert [problem.reason for problem in cleaned.problems].count("identical") == identical
    assert len(cleaned.records) + len(cleaned.problems) == count


def test_oasst_zh_demonstrations_and_rankings(shared_data: Path):
    demonstrations = to_demonstrations(read_rows(str(shared_data / "oasst-zh" / "oaast_sft_zh.json")))
    assert (len(demonstrations.records), len(demonstrations.problems)) == (766, 0)
    assert demonstrations.records[0].prompt.content == (Message("user", "布洛芬和对乙酰氨基酚的区别是？"),)
    rankings = to_preferences(read_rows(str(shared_data / "oasst-zh" / "oaast_rm_zh.json")))
    # answers ranked: 434 x 2, 263 x 3, 63 x 4, 12 x 5, and one each of 6, 8 and 10
    assert len(rankings.records) == 434 + 263 * 3 + 63 * 6 + 12 * 10 + 15 + 28 + 45
    assert sum(record.weight for record in rankings.records) == pytest.approx(775)


def test_tinystories_and_prompts_of_self_instruct(shared_data: Path):
    stories = to_demonstrations(read_rows(str(shared_data / "tinystories" / "train_2MiB.txt"), limit=2000))
    assert len(stories.records) == 2000
    assert stories.records[0].completion.startswith("One day, a little girl named Lily found a needle")
    assert not any("<|endoftext|>" in record.completion for record in stories.records)
    prompts = to_prompts(read_rows(str(shared_data / "self-instruct")))
    assert len(prompts.records) + len(prompts.problems) == 252
    assert {problem.reason for problem in prompts.problems} <= {"duplicate"}
