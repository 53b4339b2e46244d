"""The reward-model stage on a snapshot of feedback: pairs, thumbs, scores, and the manifest's word on it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from snapshots import write_snapshot
from stage_runs import run_stage

from rlhf.config import Config, DataConfig, RmStage, validate
from rlhf.demo import world
from rlhf.errors import ConfigError, DataError
from rlhf.records import Preference, Rating
from stages.datasets import source_of
from stages.rm_lessons import lessons

SMALL = {
    "stage__batch_size": 8,
    "stage__max_steps": 4,
    "stage__eval_every": 4,
    "stage__learning_rate": 0.003,
    "stage__validation_share": 0.0,
    "stage__judge_share": 0.0,
    "data__test_fraction": 0.2,
}


def prompt_row(pair: Preference) -> dict[str, Any]:
    assert not isinstance(pair.prompt.content, str)
    messages = [{"role": turn.role, "content": turn.content} for turn in pair.prompt.content]
    return {"prompt": messages, "family": pair.prompt.fields["family"]}


@pytest.fixture(scope="module")
def pairs() -> list[Preference]:
    return world.preferences(120, 0)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, pairs: list[Preference]) -> Path:
    """Every second pair judged as a pair, a third of all by thumbs, a third by scores."""
    thumbs = [
        prompt_row(pair) | {"completion": answer, "label": up, "rater": "r1"}
        for pair in pairs[::3]
        for answer, up in ((pair.chosen, True), (pair.rejected, False))
    ]
    scores = [
        prompt_row(pair) | {"completion": answer, "score": score}
        for number, pair in enumerate(pairs[1::3])
        for answer, score in ((pair.chosen, 4 + number % 2), (pair.rejected, 2))
    ]
    compared = [prompt_row(pair) | {"chosen": pair.chosen, "rejected": pair.rejected} for pair in pairs[::2]]
    folder = tmp_path_factory.mktemp("export") / "snap"
    return write_snapshot(folder, preferences=compared, scores=[*thumbs, *scores])


def read(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / name).read_text())


def run(tmp_path: Path, tiny_model: Path, options: Mapping[str, Any]) -> Path:
    return run_stage("rm", tmp_path, SMALL | {"inputs__policy": str(tiny_model)} | options)


def test_pairs_come_from_the_file_of_pairs(tmp_path: Path, tiny_model: Path, snapshot: Path) -> None:
    """Named for one dataset, or for all: the same run, which names the export."""
    made = run(tmp_path, tiny_model, {"data__feedback": str(snapshot)})
    manifest, sha256 = read(made, "manifest.json"), read(snapshot, "manifest.json")["sha256"]
    assert manifest["resolved"]["feedback"] == {"sha256": sha256, "campaign": "试", "aggregate": "raw"}
    assert [Path(path).name for path in manifest["data_files"]] == ["preferences.jsonl"]
    kept = read(made, "data.json")["preferences"]
    assert kept["kept"] + kept["left_out"] == 60
    assert "chosen answers" in manifest["resolved"]["shifted_by"]
    cfg = validate({"stage": {"kind": "rm"}, "data": {"preferences": str(snapshot)}})
    assert source_of(cfg, "preferences") == str(snapshot / "preferences.jsonl")
    assert source_of(cfg, "prompts") == str(snapshot / "preferences.jsonl")
    prompts = validate({"stage": {"kind": "sample"}, "data": {"prompts": str(snapshot)}})
    assert source_of(prompts, "prompts") == str(snapshot / "preferences.jsonl")


@pytest.mark.parametrize(
    ("objective", "rows", "known"),
    [
        ("binary", 80, {"thumbs_up"}),
        ("regression", 80, {"score_mean", "score_deviation"}),
        ("mixed", 160, {"thumbs_up", "score_mean", "score_deviation"}),
    ],
)
def test_single_answers_are_learnt_from(
    tmp_path: Path, tiny_model: Path, snapshot: Path, objective: str, rows: int, known: set[str]
) -> None:
    options = {"data__feedback": str(snapshot), "stage__objective": objective}
    made = run(tmp_path, tiny_model, options)
    assert read(made, "data.json")["scores"]["kept"] <= rows
    assert read(made, "data.json")["scores"]["kept"] > rows - 10
    resolved = read(made, "manifest.json")["resolved"]
    assert {"thumbs_up", "score_mean", "score_deviation"} & set(resolved) == known
    quality = read(made, "quality.json")["model"]
    assert 0 <= quality["accuracy"]["estimate"] <= 1
    assert quality["length"]["estimate"] in (
        pytest.approx(quality["longer"]["estimate"]),
        pytest.approx(1 - quality["longer"]["estimate"]),
    )
    figures = (made / "metrics.jsonl").read_text()
    assert ("train/thumb_accuracy" in figures) == (objective != "regression")
    assert ("train/score_error" in figures) == (objective != "binary")
    assert ("train/margin" in figures) == (objective == "mixed")


def test_without_pairs_they_are_made_within_a_prompt(
    tmp_path: Path, tiny_model: Path, snapshot: Path
) -> None:
    scores = str(snapshot / "scores.jsonl")
    made = run(tmp_path, tiny_model, {"data__scores": scores, "stage__objective": "binary"})
    quality = read(made, "quality.json")["model"]
    assert quality["pairs"] >= quality["prompts"] > 0
    assert "rated above the average" not in read(made, "manifest.json")["resolved"]["shifted_by"]
    alone = tmp_path / "alone.jsonl"  # one answer a prompt
    alone.write_text("".join(line + "\n" for line in Path(scores).read_text().splitlines()[1:80:2]))
    with pytest.raises(DataError, match="thumbs say the same"):
        run(tmp_path, tiny_model, {"data__scores": str(alone), "stage__objective": "binary"})


def test_mistakes_are_named(tmp_path: Path, tiny_model: Path, snapshot: Path) -> None:
    policy = {"inputs__policy": str(tiny_model)}
    with pytest.raises(DataError, match=r"nobody gave demonstrations there.*data\.demonstrations=FILE"):
        run_stage("sft", tmp_path, {"data__feedback": str(snapshot), "model__path": str(tiny_model)})
    only_pairs = write_snapshot(tmp_path / "pairs", preferences=[prompt_row(world.preferences(1, 0)[0])])
    named = {"data__scores": str(only_pairs), "stage__objective": "binary"}
    with pytest.raises(DataError, match="nobody gave scores there"):
        run_stage("rm", tmp_path, policy | named)
    with pytest.raises(DataError, match="nobody gave demonstrations there"):  # and not the embedded ones
        run_stage("sft", tmp_path, {"data__demonstrations": str(only_pairs), "model__path": str(tiny_model)})
    with pytest.raises(DataError, match="holds no snapshot"):
        run_stage("rm", tmp_path, policy | {"data__feedback": str(tmp_path)})
    only_scores = tmp_path / "scores.jsonl"
    only_scores.write_text('{"prompt": "p", "completion": "a", "score": 3}\n')
    with pytest.raises(DataError, match=r"stage\.objective=regression learns from a score"):
        run_stage("rm", tmp_path, policy | {"data__scores": str(only_scores), "stage__objective": "binary"})
    with pytest.raises(ConfigError, match=r"data\.scores=FILE"):
        validate({"stage": {"kind": "rm", "objective": "binary"}})
    with pytest.raises(ConfigError, match=r"data\.scores=FILE"):
        validate({"stage": {"kind": "all", "rm": {"objective": "mixed"}}})
    with pytest.raises(ConfigError, match=r"data\.feedback=FOLDER"):
        validate({"stage": {"kind": "rm"}, "data": {"feedback": ""}})


def test_each_model_has_prompts_of_its_own_for_both(pairs: list[Preference]) -> None:
    ratings = [Rating(pair.prompt, pair.chosen, 1.0, is_thumb=True) for pair in pairs]
    cfg = Config(stage=RmStage(objective="mixed", ensemble=2), data=DataConfig(scores="x"))
    found = lessons(cfg, pairs, ratings)
    assert list(found) == ["model", "member_2", "validation_model", "judge_model"]
    for lesson in found.values():
        assert {pair.prompt.key for pair in lesson.pairs} == {one.prompt.key for one in lesson.ratings} or (
            lesson is found["member_2"]
        )
    model, member = found["model"], found["member_2"]
    assert len(member.pairs) + len(member.ratings) == len(model.pairs) + len(model.ratings)
    assert {id(one) for one in member.ratings} < {id(one) for one in model.ratings}
    keys = [
        {one.prompt.key for one in found[name].ratings}
        for name in ("model", "validation_model", "judge_model")
    ]
    assert sum(map(len, keys)) == len(set.union(*keys))
