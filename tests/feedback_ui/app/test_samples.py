"""The campaign that ships: whole, bilingual, and from no machine in particular."""

import json

from feedback_ui import samples
from feedback_ui.database import Database
from feedback_ui.reading import read_jsonl
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.progress import campaign_progress
from scripts.sample_campaign import TARGET, by_turns, main, pairs


def test_it_is_added_once_whole_and_in_two_languages(db: Database, browser) -> None:
    assert samples.add_samples(db) == samples.add_samples(db) == "samples"
    assert campaign_progress(db, OPERATOR, "samples").items == 60
    rater = browser("a")
    path = rater.campaign("samples")
    task = rater.get(f"{path}/task").json()["task"]
    first = task["prompt"][-1]["text"]
    second = rater.tell(f"/api/assignments/{task['assignment']}/judge", given={"strength": 0}, key="k").json()
    assert first.isascii()
    assert not second["next"]["task"]["prompt"][-1]["text"].isascii()


def test_its_files_name_no_path() -> None:
    for language in samples.LANGUAGES:
        rows = [row for _, row in read_jsonl(TARGET / f"{language}.jsonl")]
        assert len(rows) == 30
        assert {answer["model"] for row in rows for answer in row["responses"]} == {"sft", "ppo"}
        assert all(len({answer["text"] for answer in row["responses"]}) == 2 for row in rows)
        assert "/" not in json.dumps([row["responses"] for row in rows], ensure_ascii=False).replace(
            "\\/", ""
        )


def row(key: str, response: str, run: str, *, finish: str = "eos", family: str = "sums") -> dict:
    return {
        "prompt": key,
        "key": key,
        "response": response,
        "seed": 1,
        "finish": finish,
        "fields": {"language": "en" if key.isascii() else "zh", "family": family},
        "policy": {"run": f"/home/me/runs/{run}-3"},
        "sampling": {"temperature": 0.9, "max_tokens": 8, "top_k": 0},
    }


def test_pairs_are_of_two_that_end_and_differ(tmp_path, capsys) -> None:
    rows = [row("a", "1", "sft"), row("a", "2", "ppo"), row("b", "1", "sft"), row("b", "1", "ppo")]
    rows += [row("c", "1", "sft", finish="length"), row("c", "2", "ppo"), row("d", "1", "sft")]
    (made,) = pairs(rows)
    sampling = {"temperature": 0.9, "max_tokens": 8}
    assert made == {
        "prompt": "a",
        "responses": [
            {"text": "1", "model": "sft", "sampling": sampling, "seed": 1},
            {"text": "2", "model": "ppo", "sampling": sampling, "seed": 1},
        ],
        "language": "en",
        "family": "sums",
    }
    rows += [row("问", "一", "sft"), row("问", "二", "ppo")]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    words = [str(tmp_path / "s.jsonl"), "--out", str(tmp_path)]
    assert main([*words, "--count", "1"]) == 0
    assert json.loads((tmp_path / "zh.jsonl").read_text())["prompt"] == "问"
    assert main([*words, "--count", "2"]) == 1
    assert "1 pairs of different answers, wanted 2" in capsys.readouterr().err


def test_families_take_turns() -> None:
    rows = [{"family": family, "n": n} for family, n in (("a", 1), ("a", 2), ("a", 3), ("b", 1))]
    assert [(one["family"], one["n"]) for one in by_turns(rows, 3)] == [("a", 1), ("b", 1), ("a", 2)]
