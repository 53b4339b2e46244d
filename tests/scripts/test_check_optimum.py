"""PPO against the closed form: the mathematics by hand, the task, and a short run of the real trainer."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from scripts.check_optimum import Line, main, options_of, supervised_fit, write_down
from scripts.enumeration import (
    Nearness,
    Objective,
    Space,
    divergence,
    levels_of,
    nearness,
    next_symbols,
    prefix_rows,
    response_logprobs,
    rows_of,
    soft_value_iteration,
)
from scripts.measuring.setting import setting_now
from scripts.optimum_task import Task, make_task, random_policy, score

TINY = Space(symbols=3, length=4)


def logs(*rows: list[float]) -> torch.Tensor:
    """Log-probabilities [1, ...] of one prompt, from probabilities."""
    return torch.tensor([list(rows)] if len(rows) > 1 else [rows[0]], dtype=torch.float64).log()


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return make_task(tmp_path_factory.mktemp("task"), TINY, seed=3)


def test_two_answers_by_hand():
    # exp(r) = 3 and 1 under a fair coin: Z = 2, pi* = 3/4 and 1/4, J* = log 2, J_ref = log(3) / 2
    objective = Objective(logs([0.5, 0.5]), logs([3.0, 1.0]), beta=1.0)
    torch.testing.assert_close(objective.optimum_PY, logs([0.75, 0.25]))
    assert objective.best == pytest.approx(math.log(2))
    assert objective.value(objective.ref_logprobs_PY) == pytest.approx(math.log(3) / 2)
    # of the other coin, 1/4 and 3/4: J = log(3) / 4 - KL, KL to pi* = log(3) / 2
    found = nearness(objective, logs([0.25, 0.75]))
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert found.value == pytest.approx(math.log(3) / 4 - kl)
    assert found.kl_to_reference == pytest.approx(kl)
    assert found.kl_to_optimum == pytest.approx(math.log(3) / 2)
    assert found.share < 0


def test_beta_divides_the_reward():
    # r = 1 and 0 at beta 0.5: exp(2) to 1
    objective = Objective(logs([0.5, 0.5]), torch.tensor([[1.0, 0.0]], dtype=torch.float64), beta=0.5)
    best = math.exp(2) / (math.exp(2) + 1)
    torch.testing.assert_close(objective.optimum_PY.exp(), torch.tensor([[best, 1 - best]]).double())
    assert objective.best == pytest.approx(0.5 * math.log((math.exp(2) + 1) / 2))


def test_the_reference_reaches_nothing_and_the_optimum_all(task: Task):
    objective = Objective(response_logprobs(task.ref_levels), task.rewards_PY, beta=0.2)
    assert nearness(objective, objective.ref_logprobs_PY).share == 0
    best = nearness(objective, objective.optimum_PY)
    assert best.share == pytest.approx(1, abs=1e-12)
    assert best.kl_to_optimum == pytest.approx(0, abs=1e-12)
    assert best.identity_error < 1e-12


@pytest.mark.parametrize("beta", [0.5, 0.2])
def test_what_is_missing_is_beta_times_the_divergence(task: Task, beta: float):
    objective = Objective(response_logprobs(task.ref_levels), task.rewards_PY, beta)
    noise_PY = torch.randn(task.rewards_PY.shape, generator=torch.Generator().manual_seed(0)).double()
    other_PY = torch.log_softmax(objective.ref_logprobs_PY + noise_PY, dim=1)
    found = nearness(objective, other_PY)
    assert found.kl_to_optimum > 0.1
    assert found.identity_error < 1e-12
    # held against another beta's optimum it does not hold
    wrong = replace(objective, beta=2 * beta)
    missing = objective.best - objective.value(other_PY)
    assert missing != pytest.approx(beta * divergence(other_PY, wrong.optimum_PY), rel=0.1)


def test_responses_are_products_in_lexicographic_order():
    levels = [logs([0.25, 0.75])[:, None], logs([1 / 2, 1 / 2], [1 / 3, 2 / 3])]
    torch.testing.assert_close(response_logprobs(levels), logs([1 / 8, 1 / 8, 1 / 4, 1 / 2]))


def test_soft_values_by_hand():
    # exp(r) of 00 01 10 11 under fair coins: V(0) = log 2, V(1) = log 6, V() = log 4
    fair = [logs([0.5, 0.5])[:, None], logs([0.5, 0.5], [0.5, 0.5])]
    values_P, (first, second) = soft_value_iteration(fair, logs([1.0, 3.0, 5.0, 7.0]), beta=1.0)
    torch.testing.assert_close(values_P, torch.tensor([4.0]).double().log())
    torch.testing.assert_close(first, logs([1 / 4, 3 / 4])[:, None])
    torch.testing.assert_close(second, logs([1 / 4, 3 / 4], [5 / 12, 7 / 12]))


def test_soft_values_and_enumeration_agree(task: Task):
    objective = Objective(response_logprobs(task.ref_levels), task.rewards_PY, beta=0.2)
    values_P, optimal = soft_value_iteration(task.ref_levels, task.rewards_PY, beta=0.2)
    torch.testing.assert_close(response_logprobs(optimal), objective.optimum_PY, rtol=0, atol=1e-12)
    assert float(values_P.mean()) == pytest.approx(objective.best, abs=1e-12)


def test_levels_are_what_the_model_says_after_each_prefix():
    model = random_policy(3, seed=1).double()
    space, prompts = Space(3, 3), [(2, 0), (1, 1)]
    levels = levels_of(model, prompts, space)
    for t, level in enumerate(levels):
        assert level.shape == (2, 3**t, 3)
        for (p, prompt), (s, prefix) in product(enumerate(prompts), enumerate(product(range(3), repeat=t))):
            logits = model(input_ids=torch.tensor([[*prompt, *prefix]])).logits[0, -1]
            torch.testing.assert_close(level[p, s], torch.log_softmax(logits, dim=0))
    assert float(response_logprobs(levels).exp().sum()) == pytest.approx(2)


def test_levels_spread_over_rows_are_what_the_model_says_of_the_rows(task: Task):
    model = random_policy(3, seed=3).double()
    rows = prefix_rows(task.prompts, TINY)
    torch.testing.assert_close(rows_of(task.ref_levels), next_symbols(model, rows, TINY.length))


def test_rewards_have_mean_0_and_variance_1_under_the_reference(task: Task):
    probs_PY = response_logprobs(task.ref_levels).exp()
    torch.testing.assert_close((probs_PY * task.rewards_PY).sum(1), torch.zeros(2).double())
    torch.testing.assert_close((probs_PY * task.rewards_PY**2).sum(1), torch.ones(2).double())


def test_rewards_are_of_pairs_and_of_three_in_a_row(task: Task):
    # a term of some symbols shows in the alternating sum over two values of each of them, and in no other
    cube = task.rewards_PY[0].reshape(3, 3, 3, 3)[:2, :2, :2, :2]

    def interaction(*places: int) -> float:
        rest = tuple(place for place in range(4) if place not in places)
        signs = torch.ones_like(cube)
        for place in places:
            signs = signs * torch.tensor([1.0, -1.0]).reshape([-1 if at == place else 1 for at in range(4)])
        summed = (cube * signs).sum(dim=places)
        return float(summed.abs().max()) if rest else float(summed.abs())

    for seen in ((0, 1), (0, 3), (1, 3), (0, 1, 2), (1, 2, 3)):
        assert interaction(*seen) > 1e-3, seen
    for absent in ((0, 1, 3), (0, 2, 3), (0, 1, 2, 3)):
        assert interaction(*absent) < 1e-9, absent


def test_the_reward_that_ppo_calls_is_the_table(task: Task):
    table = str(task.folder / "rewards.json")
    # bcab is 1201 in base 3, 46 of 81; cccc the last
    assert score("ab", "bcab", table=table) == task.rewards_PY[0, 27 + 2 * 9 + 1]
    assert score("ba", "cccc", table=table) == task.rewards_PY[1, -1]
    rows = [json.loads(line) for line in (task.folder / "prompts.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["ab", "ba", "bc"]


def test_the_policy_cannot_end_a_response(task: Task):
    tokenizer = AutoTokenizer.from_pretrained(task.policy)
    assert tokenizer("cab")["input_ids"] == [2, 0, 1]
    assert tokenizer.decode([2, 0, 1]) == "cab"
    assert {tokenizer.eos_token_id, tokenizer.pad_token_id} == {3, 4}
    assert task.ref_levels[0].shape[-1] == 3


def test_a_seed_makes_one_task(task: Task, tmp_path: Path):
    same, other = (make_task(tmp_path / str(seed), TINY, seed) for seed in (3, 4))
    assert torch.equal(same.rewards_PY, task.rewards_PY)
    assert torch.equal(response_logprobs(same.ref_levels), response_logprobs(task.ref_levels))
    assert not torch.allclose(other.ref_levels[0], task.ref_levels[0])


@pytest.mark.parametrize("rows", [1024, 40])
def test_a_supervised_fit_comes_to_the_optimum(task: Task, monkeypatch: pytest.MonkeyPatch, rows: int):
    monkeypatch.setattr("scripts.check_optimum.FIT_ROWS", rows)  # all 54 at once, or 40 drawn from pi*
    objective = Objective(response_logprobs(task.ref_levels), task.rewards_PY, beta=0.5)
    _, optimal = soft_value_iteration(task.ref_levels, task.rewards_PY, beta=0.5)
    fitted = supervised_fit(task, rows_of(optimal), steps=300, seed=0)
    assert nearness(objective, response_logprobs(fitted)).share > 0.99


NEAR = Nearness(share=0.99, value=0.9, kl_to_optimum=0.01, kl_to_reference=1.0, identity_error=1e-9)
LINE = Line("small", 0.2, 0, "gae", NEAR, NEAR, 0.91, 1e-12, 60.0, (), "abc", 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE, ""),
        (replace(LINE, beta=0.5), "f 0.9900 is below 0.9950"),
        (replace(LINE, size="hard", ppo=replace(NEAR, share=0.95)), "f 0.9500 is below 0.9600"),
        (
            replace(LINE, size="hard", ppo=replace(NEAR, share=0.95), supervised=replace(NEAR, share=0.952)),
            "",
        ),
        (replace(LINE, ppo=replace(NEAR, identity_error=1e-4)), "an identity is off by 1.0e-04"),
        (replace(LINE, iteration_error=2e-5), "an identity is off by 2.0e-05"),
    ],
)
def test_a_line_says_what_it_falls_short_of(line: Line, said: str):
    assert line.short == said


def test_an_estimator_brings_what_it_needs_and_the_last_word_counts():
    options = options_of("small", "rloo", ["stage.epochs=7"])
    assert {"stage.advantage=rloo", "stage.samples_per_prompt=8", "stage.epochs=7"} <= set(options)
    assert sum(option.startswith("stage.epochs=") for option in options) == 1
    assert not any(option.startswith("stage.advantage") for option in options_of("hard", "gae"))


@pytest.mark.parametrize(
    ("word", "said"),
    [("--sizes=big", "big: there are small, hard"), ("--estimator=gea", "gea: there are gae, one_step")],
)
def test_what_there_is_not_is_refused(word: str, said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([word])
    assert said in capsys.readouterr().err


def test_what_was_measured_before_stays_beside_what_is_new(tmp_path: Path):
    setting = setting_now()
    old = [replace(LINE, size="hard"), LINE, replace(LINE, seed=1)]
    write_down(tmp_path, setting, old)
    write_down(tmp_path, setting, [replace(LINE, commit="new"), replace(LINE, beta=0.5, estimator="rloo")])
    write_down(tmp_path, setting, [replace(LINE, options=("stage.lam=0.5",))])
    lines = [Line.read(said) for said in json.loads((tmp_path / "optimum.json").read_text())["lines"]]
    assert [(line.what, line.commit) for line in lines] == [
        (("small", "gae", 0.2, 0, ()), "new"),
        (("small", "gae", 0.2, 1, ()), "abc"),
        (("small", "gae", 0.2, 0, ("stage.lam=0.5",)), "abc"),
        (("small", "rloo", 0.5, 0, ()), "abc"),
        (("hard", "gae", 0.2, 0, ()), "abc"),
    ]
    assert "| small | 0.2 | 0 | gae stage.lam=0.5 |" in (tmp_path / "optimum.md").read_text()


def test_a_short_run_of_the_trainer_comes_nearer(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["stage.total_episodes=6144", "stage.batch_size=512", "stage.minibatch_size=128", "threads=1"]
    asked = ["--sizes", "small", "--betas", "0.5", "--seeds", "0", "--out", str(tmp_path), *words]
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "small, beta 0.5, seed 0: f 0." in said.err
    (line,) = json.loads((tmp_path / "optimum.json").read_text())["lines"]
    assert 0.3 < line["ppo"]["share"] < 0.995
    assert line["supervised"]["share"] > line["ppo"]["share"]
    assert max(line["ppo"]["identity_error"], line["supervised"]["identity_error"]) < 1e-5
    page = (tmp_path / "optimum.md").read_text()
    assert f"| small | 0.5 | 0 | gae {' '.join(words)} | {line['ppo']['share']:.4f} |" in page
    assert "stage.total_episodes=6144" in page
