"""Over-optimisation in small: gold by hand, fits of known curves, curves of written runs, the script."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rlhf.data.encoding import make_encoder
from rlhf.evaluation.best_of_n import expected_best
from rlhf.records import Prompt
from scripts.optimum_task import tokenizer_of
from scripts.overoptimization import world
from scripts.overoptimization.fits import Fit, fit
from scripts.overoptimization.measure import (
    Curve,
    Picked,
    Point,
    Scale,
    Study,
    as_scored,
    best_of_n,
    combine,
    learner,
    pick,
    ppo_curve,
)
from scripts.overoptimization.page import tables
from scripts.overoptimization.runs import PpoRun, last_words, rows_for, words_of
from scripts.study_overoptimization import main, shortfalls

D = np.linspace(0.0, 3.0, 31)


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ("", 0.0),
        ("z", 0.15),  # off topic: one distinct symbol
        ("a", 0.93 + 0.15),  # c = 1
        ("aa", 2 - 0.28 + 0.15 - 0.35 + 0.05),  # one symbol, one repeat, the bigram aa
        ("abab", 4 - 1.12 + 0.30 + 2 * 0.05),  # ab, ba, ab: two different bigrams
        ("azbz", 2 - 0.28 + 0.45 + 3 * 0.05),
        ("abcdef" * 2, 12 - 10.08 + 0.90 + 6 * 0.05),  # ab bc cd de ef fa
        ("abcdefaghijklmno", 7 - 3.43 + 15 * 0.15 + 15 * 0.05),
        ("abcdefabcdefabcd", 16 - 17.92 + 0.90 + 6 * 0.05),  # too much of what is wanted
        ("a" * 16, 16 - 17.92 + 0.15 - 15 * 0.35 + 0.05),
    ],
)
def test_gold_by_hand(response: str, value: float):
    assert world.gold("azzz", response) == pytest.approx(value)


def test_a_topic_has_six_symbols_and_shares_two_with_the_next():
    assert world.on_topic("a...") == frozenset("abcdef")
    assert world.on_topic("b...") == frozenset("efghij")
    assert world.on_topic("h...") == frozenset("2345ab")  # 28 ... 31 and round to 0, 1


def test_prompts_differ_and_topics_are_even():
    drawn = world.prompts(4000, np.random.default_rng(0))
    assert len(set(drawn)) == 4000
    topics = Counter(prompt[0] for prompt in drawn)
    assert set(topics) == set("abcdefgh")
    assert min(topics.values()) > 400
    assert {len(prompt) for prompt in drawn} == {4}


def test_demonstrations_are_on_topic_a_little_more_than_chance():
    generator = np.random.default_rng(0)
    symbols = "".join(world.demonstration("a000", generator) for _ in range(2000))
    share = sum(symbol in "abcdef" for symbol in symbols) / len(symbols)
    assert share == pytest.approx(0.1 + 0.9 * 6 / 32, abs=0.01)


def test_no_two_files_share_a_prompt(tmp_path: Path):
    world.write_world(tmp_path, 0, {"demonstrations": 300, "pair_prompts": 300, "pool_prompts": 300})
    files = ["demonstrations", "pair_prompts", "pool_prompts"]
    found = [row["prompt"] for name in files for row in world.read_rows(tmp_path / f"{name}.jsonl")]
    assert len(found) == len(set(found)) == 900
    assert len(world.read_rows(tmp_path / "demonstrations.jsonl")[0]["completion"]) == 16


def test_answers_have_the_tokens_that_the_encoder_makes():
    encoder = make_encoder(tokenizer_of(world.COUNT), max_length=32)
    rows = [{"prompt": "a5z0", "response": "zz5a", "finish": finish} for finish in ("eos", "length")]
    ended, cut = as_scored(rows)
    assert [*ended.prompt_ids, *ended.response_ids] == encoder.encode(Prompt("a5z0"), "zz5a").ids
    assert cut.response_ids == ended.response_ids[:-1]


def test_labels_are_golds_and_ties_give_no_pair():
    rows = [
        {"prompt": "azzz", "response": "zz"},
        {"prompt": "azzz", "response": "ab"},
        {"prompt": "azzz", "response": "ab"},
        {"prompt": "azzz", "response": "ba"},
    ]
    assert world.labelled(rows) == [{"prompt": "azzz", "chosen": "ab", "rejected": "zz"}]


def test_rows_for_the_pairs_that_train():
    # 95 % are for training, half of them for the model that picks
    assert rows_for(9500, 0.0) == 10000
    assert rows_for(9500, 0.5) == 20000


def test_a_word_goes_to_its_stage_and_the_last_one_counts():
    more = ["threads=1", "rm:stage.epochs=2", "reward.path=file.py:function"]
    assert words_of("rm", more) == ["threads=1", "stage.epochs=2", "reward.path=file.py:function"]
    assert words_of("ppo", more) == ["threads=1", "reward.path=file.py:function"]
    assert last_words(["stage=rm", "stage.epochs=1", "stage.epochs=2"]) == ["stage=rm", "stage.epochs=2"]


@pytest.mark.parametrize(
    ("form", "curve", "peak"),
    [
        ("best-of-n", D * (1.5 - 0.4 * D), 1.5 / 0.8),
        ("rl", D * (0.9 - 0.6 * np.log(np.where(D > 0, D, 1.0))), math.exp(0.5)),
    ],
)
def test_fits_recover_what_made_the_points(form: str, curve: np.ndarray, peak: float):
    alpha, beta = (1.5, 0.4) if form == "best-of-n" else (0.9, 0.6)
    exact = fit(form, D, curve)
    assert (exact.alpha, exact.beta, exact.r2) == pytest.approx((alpha, beta, 1.0))
    assert exact.peak == pytest.approx(peak)
    np.testing.assert_allclose(exact(D), curve, atol=1e-12)
    noise = np.random.default_rng(0).normal(0.0, 0.05, len(D))
    near = fit(form, D, curve + noise)
    assert (near.alpha, near.beta) == pytest.approx((alpha, beta), abs=0.05)
    seen = curve + noise
    of_truth = 1 - float((noise**2).sum() / ((seen - seen.mean()) ** 2).sum())
    assert of_truth <= near.r2 < of_truth + 0.01  # least squares can only do better than the truth


def test_the_other_form_fits_worse():
    falling = D * (0.9 - 0.6 * np.log(np.where(D > 0, D, 1.0)))
    assert fit("best-of-n", D, falling).r2 < fit("rl", D, falling).r2 - 0.001


def test_a_curve_that_never_turns_has_no_peak():
    assert fit("best-of-n", D, 2 * D + D**2).peak is None


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="4 points do not determine"):
        fit("rl", [0.0, 0.0, 1.0, 1.0], [0.0, 0.1, 1.0, 2.0])


def test_best_of_n_goes_through_the_reference_and_follows_its_reward():
    generator = np.random.default_rng(0)
    gold_PN = generator.normal(3.0, 2.0, (50, 512))
    curve = best_of_n("model", gold_PN, gold_PN, 64, seed=0)
    first, second = curve.points[:2]
    assert (first.kl_nats, first.gold) == pytest.approx((0.0, 0.0), abs=1e-9)
    # of two from a normal distribution the better one: 1 / sqrt(pi) deviations; log 2 - 1/2 nats
    assert (second.kl_nats, second.gold) == pytest.approx((math.log(2) - 0.5, math.pi**-0.5), abs=0.02)
    assert [point.gold for point in curve.points] == [point.reward for point in curve.points]
    assert len(curve.points) == 7


def test_a_learner_is_right_on_the_pairs_that_gold_tells_apart():
    gold_PN = np.array([[1.0, 0.0, 2.0, 2.0, 0.0, 3.0, 1.0, 4.0] * 2])
    reward_PN = np.array([[5.0, 4.0, 9.0, 1.0, 7.0, 6.0, 2.0, 2.0] * 2])
    # right, gold ties, wrong, reward ties: (1 + 0 + 1/2) / 3
    found = learner(8000, reward_PN, gold_PN, seed=0)
    assert found.accuracy == pytest.approx(0.5)
    best = float(expected_best(reward_PN, gold_PN, 16).mean())
    assert found.best_of_16 == pytest.approx((best - gold_PN.mean()) / gold_PN.std())


def test_ensembles_are_combined_as_the_product_does():
    scores_KPN = np.array([[[1.0, 5.0]], [[3.0, 1.0]]])
    np.testing.assert_allclose(combine(scores_KPN, "model"), [[1.0, 5.0]])
    np.testing.assert_allclose(combine(scores_KPN, "min"), [[1.0, 1.0]])
    np.testing.assert_allclose(combine(scores_KPN, "mean_minus_std"), [[1.0, 1.0]])  # 2 - 1 and 3 - 2


def written_run(folder: Path, looks: dict[int, tuple[float, float]], chosen: int) -> Path:
    """A PPO run's files: by step KL and validation score; as many a's as the step says, on topic."""
    folder.mkdir()
    lines = [
        {
            "step": step,
            "eval/kl": kl,
            "eval/validation_score": score,
            "eval/validation_deviation": 1.0,
            "eval/score": 0.0,
        }
        for step, (kl, score) in looks.items()
    ]
    world.write_rows(folder / "metrics.jsonl", [*lines, {"step": 99, "kl": 1.0}])
    answers = [
        {"step": step, "prompt": "azzz", "response": "ace"[:step] + other, "score": float(step)}
        for step in looks
        for other in ("z", "y")
    ]
    world.write_rows(folder / "looks.jsonl", answers)
    (folder / "manifest.json").write_text(json.dumps({"metrics": {"iteration": chosen}}))
    return folder


def test_a_ppo_curve_is_what_gold_says_of_the_looks(tmp_path: Path):
    looks = {0: (0.0, 0.0), 1: (0.25, 1.0), 2: (1.0, 2.0), 3: (-0.1, 2.0)}
    run = PpoRun("model", 0.05, written_run(tmp_path / "run", looks, chosen=2))
    curve = ppo_curve(run, world_scale(2.0), world_scale(0.5), seed=7)
    # "a" more: one on topic (0.93), one distinct (0.15), one bigram (0.05); over a deviation of 2
    assert curve.points[0] == Point(0.0, 0.0, 0.0)
    assert curve.points[1].gold == pytest.approx((0.93 + 0.15 + 0.05) / 2)
    assert curve.points[2].gold == pytest.approx((2 - 0.28 + 2 * 0.2) / 2)
    assert [point.reward for point in curve.points] == [0.0, 2.0, 4.0, 6.0]
    assert [point.d for point in curve.points] == [0.0, 0.5, 1.0, 0.0]
    assert (curve.form, curve.beta, curve.seed) == ("rl", 0.05, 7)


def world_scale(deviation: float) -> Scale:
    return Scale(mean=100.0, deviation=deviation)  # of other answers: its mean is not the run's beginning


def test_the_rule_picks_within_the_budget_and_knows_no_gold(tmp_path: Path):
    near = PpoRun("model", 0.1, written_run(tmp_path / "near", {0: (0, 0), 1: (1, 1), 2: (2, 0)}, chosen=1))
    best = PpoRun("model", 0.05, written_run(tmp_path / "best", {0: (0, 0), 1: (1, 1), 2: (9, 3)}, chosen=2))
    far = PpoRun("model", 0.0, written_run(tmp_path / "far", {0: (0, 0), 1: (60, 8), 2: (90, 9)}, chosen=1))
    for order in ([near, best, far], [far, best, near]):
        choice = pick(order)
        assert (choice.run.beta, choice.iteration) == (0.05, 2)
        assert choice.figures["eval/kl"] == 9


GOOD = Curve("rl", "min", 0.05, 1, (Point(0.0, 0.0, 0.0), Point(4.0, 0.5, 2.0)), Fit("rl", 1.0, 0.5, 0.98))
PICKED = Picked(1, 0.05, 12, 3.0, gold=0.9, best_of_16=0.8)


def test_what_falls_short_is_said():
    low = Curve("best-of-n", "model", None, 1, GOOD.points, Fit("best-of-n", 1.0, 0.5, 0.98))
    worse = Picked(2, 0.05, 12, 3.0, gold=0.7, best_of_16=0.8)
    assert list(shortfalls(Study((), (GOOD,), (PICKED,)))) == []
    assert list(shortfalls(Study((), (GOOD, low), (PICKED, worse)))) == [
        "seed 1, best-of-n, one model: R² 0.9800 is below 0.99",
        "seed 2: the policy picked has gold 0.700, below best of 16 with 0.800",
    ]


def test_seeds_share_a_row():
    other = Curve(
        "rl", "min", 0.05, 2, (Point(0.0, 0.0, 0.0), Point(2.0, 0.7, 1.0)), Fit("rl", 2.0, 0.5, 0.9)
    )
    (row,) = [line for line in tables(Study((), (GOOD, other), (PICKED,))) if "minimum" in line]
    cells = [cell.strip() for cell in row.strip("| ").split("|")]
    assert cells[:3] == ["PPO, β 0.05, ensemble, minimum", "0.600 (0.500 to 0.700)", "3.000 (2.000 to 4.000)"]
    assert cells[-3:] == ["1.500 (1.000 to 2.000)", "0.500 (0.500 to 0.500)", "0.9000"]


@pytest.mark.slow
def test_the_whole_study_runs_and_does_not_run_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    asked = ["--size", "tiny", "--pairs", "100,200", "--policy-pairs", "200", "--betas", "0,0.1"]
    asked += [
        "--ensemble-betas",
        "0",
        "--seeds",
        "0",
        "--runs",
        str(tmp_path / "runs"),
        "--out",
        str(tmp_path),
    ]
    main([*asked, "threads=1"])
    first = capfd.readouterr()
    page = (tmp_path / "overoptimization.md").read_text()
    for name in ("best-of-n, one model", "PPO, β 0.1, one model", "PPO, β 0, ensemble, minimum"):
        assert f"| {name} |" in page
    record = json.loads((tmp_path / "overoptimization.json").read_text())
    assert [one["pairs"] for one in record["learners"]] == [100, 200]
    assert len(record["curves"]) == 3 + 4
    assert record["picked"][0]["seed"] == 0
    assert (tmp_path / "overoptimization.svg").read_text().count("<svg") == 1
    assert " starts" in first.err
    main([*asked, "threads=1"])
    again = capfd.readouterr()
    assert " starts" not in again.err
    assert again.err.count("is finished already") == first.err.count(" starts")
    assert json.loads((tmp_path / "overoptimization.json").read_text())["curves"] == record["curves"]
