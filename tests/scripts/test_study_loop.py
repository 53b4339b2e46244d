"""The study of the loop: arms of equal cost, raters who stand in, labels, intervals, cells run once."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from feedback_ui.database import open_database
from rlhf.config import LoopStage
from rlhf.config.explain import known_keys
from rlhf.online.campaigns import put_up, take_down
from rlhf.online.pairs import Drawn, Pair
from rlhf.online.streaming import episodes
from rlhf.records import Prompt
from rlhf.runs.loop_record import LoopRecord, PolicyEntry, RoundRecord
from scripts.loop_study import cells as cells_module
from scripts.loop_study.arms import ARMS, BASE, FULL, SIZES, TINY, words_of
from scripts.loop_study.cells import Cell, Round, World, cell, cell_of, run_to_end
from scripts.loop_study.differences import difference, label_gap, of_seeds, shortfalls
from scripts.loop_study.labels import LabelCell, judged, pairs_of, right, skills
from scripts.loop_study.page import Study, tables, write_down
from scripts.loop_study.raters import answer
from scripts.measuring.setting import Setting
from scripts.overoptimization.world import write_rows
from scripts.study_loop import cells, parser

FIRST = PolicyEntry(label="sft", run="sft-1", fingerprint="0")
SETTING = Setting("0" * 40, False, "2026-01-01", "a CPU", 2, 8.0, None, "3.11", {"torch": "2"}, 0.1)
ONE = Round(1, 48, 0.4, 0.0, 0.6, True, 1.5, 0.7)


def of(arm: str, seed: int, gold: float) -> Cell:
    return Cell(arm, seed, gold, 72, 256, (ONE, replace(ONE, number=2, judgements=72, candidate=gold)))


def value_of(words: Sequence[str], key: str) -> str:
    return next(word.partition("=")[2] for word in words if word.partition("=")[0] == key)


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_every_arm_has_as_many_judgements_and_episodes(size):
    for arm in (arm for part in ARMS.values() for arm in part):
        words = arm.of(size)
        first, later, rounds, episodes = (
            int(value_of(words, f"stage.{key}"))
            for key in ("first_budget", "budget", "rounds", "ppo.total_episodes")
        )
        assert first + (rounds - 1) * later == size.judgements
        assert rounds * episodes == size.rounds * size.episodes
        assert episodes % int(value_of(size.options, "stage.ppo.batch_size")) == 0


def test_the_issue_names_the_numbers():
    assert (FULL.first, FULL.later, FULL.rounds, FULL.judgements) == (4000, 1000, 5, 8000)
    (base, once) = ARMS["a"]
    assert base.name == BASE
    assert value_of(once.of(FULL), "stage.first_budget") == "8000"
    assert {arm.name for arm in ARMS["d"]} == {BASE, "streaming"}
    assert {arm.name for arm in ARMS["b"]} == {BASE, "uncertainty", "disagreement", "information"}


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_a_stream_s_steps_come_to_the_judgements_and_episodes_of_a_round(size):
    (arm,) = (arm for arm in ARMS["d"] if arm.streams)
    words = [*words_of(size), *arm.of(size)]
    batch = int(value_of(size.options, "stage.ppo.batch_size"))
    assert size.later % size.step == 0
    steps = size.later // size.step
    assert steps * episodes(size.episodes, batch, size.step / size.later) == size.episodes
    # the last value of a key counts
    assert value_of(words[::-1], "stage.reward_model") == "continued"
    options = {
        key.removeprefix("stage."): json.loads(value) if value.isdigit() else value
        for key, _, value in (word.partition("=") for word in arm.of(size))
        if key.startswith("stage.") and key.count(".") == 1
    }
    stage = LoopStage.model_validate({**options, "rm": {"judge_share": 0}})
    assert (stage.mode, stage.queue) == ("streaming", size.step)


def test_every_word_is_a_key_of_the_loop():
    keys = {key.removeprefix("stage.loop.") for key in known_keys()}
    arms = [arm for part in ARMS.values() for arm in part]
    for word in (*words_of(FULL), *words_of(TINY), *(word for arm in arms for word in arm.of(FULL))):
        key = word.partition("=")[0]
        assert key == "stage" or key in keys, key


def test_intervals_over_seeds_by_hand():
    # mean 2, deviation 1, three seeds: 4.303 * 1 / sqrt(3) = 2.484
    found = of_seeds([1.0, 2.0, 3.0])
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, -0.484, 4.484), abs=1e-3)
    assert of_seeds([1.0]).high == math.inf


def test_differences_are_of_the_same_seeds():
    cells = [of("rounds", 0, 0.6), of("rounds", 1, 0.7), of("one shot", 1, 0.4), of("one shot", 2, 9.0)]
    found = difference(cells, "rounds", "one shot")
    assert found is not None
    assert (found.seeds, found.difference.estimate) == (1, pytest.approx(0.3))
    assert found.ratio == pytest.approx(0.7 / 0.4)
    assert difference(cells, "rounds", "information") is None


def test_what_is_promised_of_five_seeds():
    def seeds(rounds: Sequence[float], once: Sequence[float]) -> list[Cell]:
        return [of("rounds", n, gold) for n, gold in enumerate(rounds)] + [
            of("one shot", n, gold) for n, gold in enumerate(once)
        ]

    once = [0.40, 0.42, 0.38, 0.41, 0.39]
    assert list(shortfalls(seeds([0.63, 0.61, 0.66, 0.62, 0.64], once))) == []
    assert ["1.25 times" in line for line in shortfalls(seeds([0.50] * 5, once))] == [True, False]
    scattered = list(shortfalls(seeds([2.4, -0.3, 0.5, 0.6, 0.1], once)))
    assert len(scattered) == 1
    assert "begins at -" in scattered[0]
    assert list(shortfalls(seeds([0.1] * 4, once[:4]))) == []  # nothing is promised of four


def test_errors_are_spread_about_their_mean():
    assert skills(6, 0.2) == pytest.approx([0.9, 0.8, 0.7, 0.9, 0.8, 0.7])
    assert set(skills(3, 0.0)) == {1.0}


def rows(count: int) -> list[dict]:
    """Answers two by two: one symbol on topic, and none."""
    texts = ("a" + "z" * 15, "z" * 16)
    return [
        {"prompt": f"a{n // 2:03d}"[:4], "response": texts[n % 2], "seed": n, "finish": "length"}
        for n in range(count)
    ]


def test_pairs_that_gold_values_alike_are_left_out():
    alike = [{**row, "response": "z" * 16} for row in rows(2)]
    assert len(pairs_of([*rows(4), *alike])) == 2


def test_raters_take_turns_and_err_as_often_as_is_said():
    pairs = pairs_of(rows(1200))
    said = judged(pairs, 3, skills(6, 0.2), seed=0)
    counts = {rater: sum(one.rater == rater for one in said) for rater in {one.rater for one in said}}
    assert set(counts.values()) == {300}
    assert all(len({one.rater for one in said if one.item == pair.key}) == 3 for pair in pairs[:20])
    # sorted, the answer that begins with a stands first, and is the better one
    wrong = sum(one.outcome == "second" for one in said) / len(said)
    assert wrong == pytest.approx(0.2, abs=0.04)
    assert all(one.outcome == "first" for one in judged(pairs, 1, skills(6, 0.0), seed=0))
    with pytest.raises(ValueError, match="there are 2"):
        judged(pairs, 3, skills(2, 0.0), seed=0)


def test_right_labels_by_hand():
    def row(chosen: str, rejected: str, probability: float = 1.0) -> dict:
        return {"prompt": "a000", "chosen": chosen, "rejected": rejected, "probability": probability}

    better, worse = "a" + "z" * 15, "z" * 16
    assert right([row(better, worse), row(worse, better)]) == 0.5
    assert right([row(better, worse), row(better, worse), row(worse, better, 0.5)]) == pytest.approx(2.5 / 3)


def test_a_label_gap_is_between_reward_models_of_one_seed():
    cells = [
        LabelCell(0.2, 1, "raw", 0, 72, 0.8, 0.60),
        LabelCell(0.2, 3, "majority", 0, 24, 0.9, 0.55),
        LabelCell(0.35, 3, "majority", 0, 24, 0.9, 0.10),
    ]
    found = label_gap(cells, 0.2, "1 raw", "3 majority")
    assert found is not None
    assert found.estimate == pytest.approx(0.05)
    assert label_gap(cells, 0.35, "1 raw", "3 majority") is None


@pytest.mark.parametrize("status", ["waiting", "judging"])
def test_raters_who_stand_in_give_what_gold_says(tmp_path: Path, status: str):
    pairs = [
        Pair(Prompt(f"a00{n}"), Drawn("a" + "z" * 15, "round-1", 1.0, n), Drawn("z" * 16, "sft", 1.0, n))
        for n in range(4)
    ]
    loop = tmp_path / "loop-1"
    (loop / "round-1").mkdir(parents=True)
    write_rows(loop / "round-1" / "items.jsonl", [pair.row() for pair in pairs])
    asked = {"pairs": [pair.row() for pair in pairs], "ties": []}
    (loop / "round-1" / "judging.json").write_text(json.dumps(asked))
    round_ = RoundRecord(
        number=1, status=status, incumbent="sft", strategy="random", budget=8, raters_per_item=2,
        campaign="round 1", started=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    record = LoopRecord(experiment="here", incumbent=FIRST, rounds=[round_])
    campaign = "round 1" if status == "waiting" else "round 1 judging"
    db = open_database(str(tmp_path / "feedback.db"))
    put_up(db, campaign, pairs, raters_per_item=2, guidelines="", folder=loop, round_number=1)
    db.close()
    assert answer(tmp_path, loop, record, seed=0) == 8
    assert answer(tmp_path, loop, record, seed=0) == 0  # nothing is asked any more
    db = open_database(str(tmp_path / "feedback.db"))
    said = take_down(db, campaign, tmp_path / "snapshot")
    db.close()
    assert len(said) == 8
    better = {"first": 0, "second": 1}
    assert all((one.first, one.second)[better[str(one.outcome)]].startswith("a") for one in said)


def test_the_loop_is_asked_again_until_a_rule_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def chain(name: str, commands: Sequence[Sequence[str]], folder: Path) -> SimpleNamespace:
        asked.append(name)
        loop = folder / name / "loop-1"
        loop.mkdir(parents=True, exist_ok=True)
        record = LoopRecord(experiment=name, incumbent=FIRST, ended="rounds" if len(asked) == 3 else None)
        (loop / "loop.json").write_text(record.model_dump_json())
        return SimpleNamespace(failed=None, figures={})

    monkeypatch.setattr(cells_module, "chain", chain)
    monkeypatch.setattr(cells_module, "answer", lambda *_: 5)
    _, record = run_to_end("here", ["stage=loop"], tmp_path, 0)
    assert record.ended == "rounds"
    assert asked == ["here"] * 3
    asked.clear()
    monkeypatch.setattr(cells_module, "answer", lambda *_: 0)
    with pytest.raises(RuntimeError, match="asks for none"):
        run_to_end("other", ["stage=loop"], tmp_path, 0)


def test_a_cell_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World(tmp_path, 0, TINY)
    monkeypatch.setattr(World, "sft", lambda _: tmp_path / "sft-1")
    golds = {"pool-sft": "z" * 16, "pool": "a" + "z" * 15}
    monkeypatch.setattr(
        World,
        "pool",
        lambda _, label, policy: [
            {"prompt": "a000", "response": text}
            for text in ("z" * 16, golds["pool-sft" if label == "pool-sft" else "pool"] + "b")
        ],
    )
    ran: list[str] = []

    def run(name: str, command: Sequence[str], folder: Path, seed: int) -> tuple[Path, LoopRecord]:
        ran.append(name)
        (folder / name).mkdir()
        return folder / name / "loop-1", LoopRecord(experiment=name, incumbent=FIRST, ended="rounds")

    monkeypatch.setattr(cells_module, "run_to_end", run)
    arm = ARMS["a"][0]
    found = cell(world, arm)
    assert cell(world, arm) == found
    assert len(ran) == 1
    assert cell(replace(world, more=("kl.coef=0.1",)), arm) == found  # the same figures, of another cell
    assert len(ran) == 2


def test_a_cell_is_read_as_it_was_written():
    found = of("rounds", 3, 0.5)
    assert cell_of(json.loads(json.dumps(asdict(found)))) == found


def test_parts_and_seeds_make_the_cells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    made: list[tuple[int, str]] = []
    monkeypatch.setattr("scripts.study_loop.cell", lambda world, arm: made.append((world.seed, arm.name)))
    monkeypatch.setattr(
        "scripts.study_loop.label_cell", lambda world, *how: made.append((world.seed, "labels"))
    )
    list(cells(parser().parse_args(["--parts", "a,b,c,d", "--seeds", "5,6,7,8", "--runs", str(tmp_path)])))
    assert made.count((5, "labels")) == 9
    assert (8, "one shot") in made
    assert made.count((7, "streaming")) == 1
    assert (8, "labels") not in made  # three seeds for what is not (a)
    assert (8, "information") not in made
    with pytest.raises(SystemExit):
        parser().parse_args(["--parts", "e"])


def test_the_page_has_every_table_and_a_picture(tmp_path: Path):
    found = [of("rounds", n, 0.6 + n / 10) for n in range(3)] + [of("one shot", n, 0.4) for n in range(3)]
    labels = [
        LabelCell(error, raters, how, n, 72 // raters, 0.8, 0.6)
        for error in (0.0, 0.2, 0.35)
        for raters, how in ((1, "raw"), (3, "majority"), (3, "dawid_skene"))
        for n in range(2)
    ]
    study = Study(tuple(found), tuple(labels))
    lines = tables(study)
    assert "| one shot | 3 | 0.400 ± 0.000 | 1.500 ± 0.000 | 6 of 6 | -0.300 ± 0.248 | 0.57 |" in lines
    assert "| 2 | 72 | 0.700 ± 0.248 | 0.600 ± 0.000 | 3 of 3 | 0.700 ± 0.000 |" in lines
    assert "| 0.35 | three, Dawid–Skene | 24 | 0.800 ± 0.000 | 0.600 ± 0.000 | 0.000 ± 0.000 |" in lines
    write_down(tmp_path, SETTING, "python scripts/study_loop.py", study, TINY)
    assert json.loads((tmp_path / "loop_study.json").read_text())["cells"][0]["arm"] == "rounds"
    assert (tmp_path / "loop_study.svg").read_text().startswith("<?xml")
    assert "72 judgements and 256 episodes" in (tmp_path / "loop_study.md").read_text()
    assert "Rounds over one shot: 0.300 ± 0.248 deviations, 1.75 times its gold, over 3 seeds." in lines
    assert tables(Study()) == []
