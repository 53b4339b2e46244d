"""The benchmark beside TRL: its formulas worked by hand, its workloads, its checks, what it writes down."""

import json
import math
import mmap
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scripts import bench_ppo
from scripts.bench import contenders, environment, page, trl_contender, workload
from scripts.bench.checks import unequal_work
from scripts.bench.clock import Clock, Memory
from scripts.bench.contenders import OURS, TRL, MachineRates, Settings, job_of
from scripts.bench.cost import (
    Rates,
    adam_bytes,
    generation_seconds,
    head_flops,
    limit,
    scoring_flops,
    step_cost,
    trunk_flops,
    update_flops,
)
from scripts.bench.curves import compare, draw
from scripts.bench.figures import figures_of, summarise
from scripts.bench.jobs import Job, Report, read_job, write_job
from scripts.bench.leak import growth
from scripts.bench.lengths import capped_mean, end_probability, shares
from scripts.bench.shapes import WORKLOADS, Shape, Workload, tiny

SMALL = Shape(vocabulary=10, hidden=4, layers=1, heads=2, kv_heads=2, mlp=8)  # N = 4*16 + 3*32 = 160
WORK = Workload("X", "by hand", SMALL, (1, 2), 2, 1.5, 2)
SETTINGS = Settings("cpu", "fp32", 1, Path("python"))
Episodes = list[list[tuple[int, int]]]
ONLY_FLOPS, ONLY_BYTES = Rates(1.0, math.inf), Rates(math.inf, 1.0)


def test_parameters_are_those_of_the_models_that_are_imitated():
    assert SMALL.trunk_matrices == 160
    assert replace(SMALL, kv_heads=1).trunk_matrices == 144  # keys and values half as wide
    assert WORKLOADS["M"].shape.parameters == 15_191_712  # stories15M
    assert WORKLOADS["L"].shape.parameters == 494_032_768  # Qwen2.5-0.5B
    assert WORKLOADS["S"].shape.parameters == pytest.approx(1e6, rel=0.02)


@pytest.mark.parametrize("name", ["S", "L"])
def test_parameters_are_counted_as_torch_counts_them(name: str):
    small = tiny(WORKLOADS[name])
    model = AutoModelForCausalLM.from_config(workload._config(small))
    assert sum(parameter.numel() for parameter in model.parameters()) == small.shape.parameters


def test_cost_of_the_passes_by_hand():
    assert trunk_flops(SMALL, 3) == 2 * 160 * 3 + 2 * 1 * 4 * 9  # 1032
    assert head_flops(SMALL, 2) == 160
    assert scoring_flops(SMALL, [(1, 2)]) == 3 * 1032 + 160
    assert update_flops(SMALL, [(1, 2)], epochs=2) == 3 * 2 * (4 * 160 * 3 + 4 * 4 * 9 + 2 * 4 * 10 * 2)
    assert adam_bytes(SMALL, steps=3) == 28 * 3 * (2 * (160 + 3 * 4 + 40) + 4)


def test_cost_of_a_decoding_step_by_hand():
    flops, moved = step_cost(SMALL, [2, 3], element_bytes=4)
    assert flops == 2 * (2 * 160 + 2 * 40) + 4 * 4 * (2 + 3)
    assert moved == 4 * (160 + 40) + 4 * 2 * 4 * (2 + 3) + 3 * 4 * 2 * 10
    narrow = step_cost(replace(SMALL, kv_heads=1), [2, 3], element_bytes=2)[1]
    assert narrow == 2 * (144 + 40) + 2 * 2 * 2 * (2 + 3) + 3 * 4 * 2 * 10


def test_decoding_takes_the_longer_of_its_two_costs_and_ended_rows_leave():
    episodes = [(1, 2), (2, 1)]  # one step beside the prefill, of the first row alone, at context 2
    prefill = (2 * 160 * 1 + 2 * 4 * 1) + (2 * 160 * 2 + 2 * 4 * 4) + 2 * 80
    assert generation_seconds(SMALL, episodes, ONLY_FLOPS, 4) == prefill + 320 + 80 + 4 * 4 * 2
    weights, sampling = 4 * 200, 3 * 4 * 10
    bytes_moved = (weights + 2 * sampling) + (weights + 4 * 2 * 4 * 2 + sampling)
    assert generation_seconds(SMALL, episodes, ONLY_BYTES, 4) == bytes_moved
    both = generation_seconds(SMALL, episodes, Rates(1.0, 1.0), 4)
    assert both == max(prefill, weights + 2 * sampling) + max(432, weights + 64 + sampling)


def test_the_limit_adds_products_and_adam():
    found = limit(SMALL, [(1, 2)], Rates(2.0, 4.0), epochs=2, steps=3, element_bytes=4)
    assert found.scoring == 3256 / 2
    assert found.update == 13344 / 2 + 28 * 3 * 428 / 4
    assert found.total == found.generation + found.scoring + found.update


def test_lengths_in_closed_form():
    assert capped_mean(0.5, 2) == 1.5  # 1 or 2, each in half of the cases
    assert end_probability(1.5, 2) == pytest.approx(0.5)
    assert shares(0.5, 3) == [0.5, 0.25, 0.25]
    assert capped_mean(0.0, 7) == 7.0
    wanted = end_probability(24.0, 64)
    assert wanted == pytest.approx(0.0384, abs=2e-4)
    mean = sum(length * share for length, share in enumerate(shares(wanted, 64), start=1))
    assert mean == pytest.approx(24.0)
    with pytest.raises(ValueError, match=r"outside of 1\.\.64"):
        end_probability(65.0, 64)


@torch.no_grad()
def test_responses_end_with_the_same_probability_everywhere():
    small = tiny(WORKLOADS["S"])
    prompts = workload.new_prompts(small, 512, seed=1)
    model = workload.new_policy(small, prompts[:64], seed=0)
    torch.manual_seed(0)
    lengths = Counter[int]()
    for width in sorted({len(ids) for ids in prompts}):
        ids_BS = torch.tensor([ids for ids in prompts if len(ids) == width])
        for length in range(1, small.response_limit + 1):
            probs_BV = model(input_ids=ids_BS).logits[:, -1].softmax(-1)
            assert probs_BV[:, [workload.PAD, workload.UNKNOWN]].max() < 1e-9
            drawn_B = torch.multinomial(probs_BV, 1)
            ended_B = drawn_B[:, 0] == workload.END
            if length == small.response_limit:
                ended_B[:] = True
            lengths[length] += int(ended_B.sum())
            ids_BS = torch.cat([ids_BS, drawn_B], dim=1)[~ended_B]
            if not len(ids_BS):
                break
    expected = shares(end_probability(small.response_mean, small.response_limit), small.response_limit)
    found = [lengths[length] / 512 for length in range(1, small.response_limit + 1)]
    gaps = [abs(sum(found[:n]) - sum(expected[:n])) for n in range(1, small.response_limit + 1)]
    assert max(gaps) < 1.95 / math.sqrt(512)  # Kolmogorov and Smirnov: once in a thousand


@torch.no_grad()
@pytest.mark.parametrize("name", ["S", "L"])
def test_the_reward_is_the_share_of_favoured_tokens(name: str):
    small = tiny(WORKLOADS[name])
    model = workload.new_reward_model(small, seed=0)
    liked, other = 3, 4  # 3 % 4 == 3
    rows = {1.0: [liked] * 4, -1.0: [other] * 4, 0.0: [liked, other] * 2, -0.5: [liked, other, other, other]}
    for mean, ids in rows.items():
        scores_BS = model(input_ids=torch.tensor([ids])).logits
        # the last norm divides by the root of the mean square, which the mean itself adds to
        expected = workload.REWARD_SCALE * mean / math.sqrt(1 + mean**2 / small.shape.hidden)
        assert scores_BS.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["S", "L"])
def test_prompts_are_the_same_as_text_and_as_ids(name: str, tmp_path: Path):
    small = tiny(WORKLOADS[name])
    workload.write_workload(small, tmp_path, seed=0)
    tokenizer = AutoTokenizer.from_pretrained(
        tmp_path / "policy"
    )  # of the class that the model's config asks for
    rows = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert all(tokenizer(row["prompt"], add_special_tokens=False)["input_ids"] == row["ids"] for row in rows)
    assert {len(row["ids"]) for row in rows} == {4, 5, 6, 7, 8}
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (workload.PAD, workload.END)
    assert len(tokenizer) == small.shape.vocabulary
    assert tokenizer.decode([300, workload.LETTERS[0]]) == "w300a"


def test_lengths_are_read_from_padded_tensors():
    queries = torch.tensor([[0, 0, 5], [7, 8, 9]])
    responses = torch.tensor([[6, 1, 0, 0], [6, 6, 6, 6]])
    assert trl_contender.lengths(queries, responses, pad=0, end=1) == [(1, 2), (3, 4)]


def test_a_run_in_another_precision_than_asked_for_is_refused():
    told = replace(job(), precision="bf16")
    half = SimpleNamespace(device=torch.device("cpu"), mixed_precision="bf16")
    trl_contender.check_accelerator(half, told)
    whole = SimpleNamespace(device=torch.device("cpu"), mixed_precision="no")
    trl_contender.check_accelerator(whole, job())
    for accelerator, wrong in ((whole, told), (half, job()), (half, replace(told, device="cuda"))):
        with pytest.raises(RuntimeError, match="TRL's Accelerator has"):
            trl_contender.check_accelerator(accelerator, wrong)


def test_the_clock_gives_time_to_the_part_that_was_entered(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr("scripts.bench.clock.time", SimpleNamespace(perf_counter=lambda: next(times)))
    clock = Clock("cpu")
    clock.enter("generation")
    clock.enter("scoring")
    clock.enter("update")
    assert clock.lap() == {"other": 1.0, "generation": 2.0, "scoring": 3.0, "update": 4.0}
    assert clock.lap()["other"] == 5.0


def test_peak_memory_is_above_what_was_there_and_remembers_what_is_gone():
    def touch(size: int) -> mmap.mmap:
        pages = mmap.mmap(-1, size)
        for page_start in range(0, size, mmap.PAGESIZE):
            pages[page_start] = 1
        return pages

    held = touch(64 << 20)
    memory = Memory("cpu")
    assert memory.peak < 16 << 20
    touch(96 << 20).close()
    assert 90 << 20 < memory.peak < 130 << 20
    held.close()


def report(contender: str, laps: list[float], episodes: Episodes, **changed: Any) -> Report:
    """Iterations of so many seconds, half of it the update, a quarter each generation and scoring."""
    made = Report(
        contender,
        warmup=1,
        seconds=[{"generation": s / 4, "scoring": s / 4, "update": s / 2, "other": 0.0} for s in laps],
        episodes=episodes,
        optimiser_steps=2 * 2 * len(laps),
        epochs=2,
        peak_bytes=3 << 20,
        moved={"policy": 0.1, "critic": 0.1},
        precision_seen=["update: torch.float32"],
        probe_scores=[0.5, -0.5],
    )
    return replace(made, **changed)


def job(contender: str = TRL, iterations: int = 2) -> Job:
    made = job_of(contender, WORK, Path("x"), SETTINGS, episodes=2)
    return replace(made, batch_size=2, minibatches=2, epochs=2, iterations=iterations)


RATES = MachineRates(fp32=2.0, bf16=20.0, bytes=4.0)
EPISODES = [[(1, 2), (1, 1)], [(1, 2), (2, 1)]]


def test_figures_leave_the_warm_up_out():
    found = figures_of(report(TRL, [1000.0, 8.0], EPISODES), job(), WORK, RATES)
    assert found.episodes_per_second == 2 / 8
    assert found.response_tokens_per_second == 3 / 8
    assert found.peak_mib == 3.0
    assert found.ms_per_episode == {"generation": 1000.0, "scoring": 1000.0, "update": 2000.0, "other": 0.0}
    bound = limit(SMALL, EPISODES[1], RATES.at("fp32"), epochs=2, steps=4, element_bytes=4)
    assert found.times_limit["update"] == pytest.approx(4.0 / bound.update)
    assert found.times_limit["total"] == pytest.approx(8.0 / bound.total)
    assert found.update_utilisation == pytest.approx(update_flops(SMALL, EPISODES[1], 2) / 2.0 / 4.0)


def test_each_part_is_held_against_the_precision_it_was_seen_in():
    exact = figures_of(report(OURS, [1.0, 8.0], EPISODES), job(OURS), WORK, RATES)
    seen = ["generation: torch.float32", "update: torch.bfloat16"]
    half = report(OURS, [1.0, 8.0], EPISODES, precision_seen=seen)
    found = figures_of(half, job(OURS), WORK, RATES)
    assert found.times_limit["generation"] == exact.times_limit["generation"]
    assert found.times_limit["scoring"] == pytest.approx(10 * exact.times_limit["scoring"])
    assert found.update_utilisation == pytest.approx(exact.update_utilisation / 10)


def test_ratios_are_taken_within_a_pair():
    slow = [figures_of(report(TRL, [1.0, s], EPISODES), job(), WORK, RATES) for s in (8.0, 80.0, 9.0)]
    fast = [figures_of(report(OURS, [1.0, s], EPISODES), job(OURS), WORK, RATES) for s in (4.0, 40.0, 1.0)]
    first, second = summarise({TRL: slow, OURS: fast})
    assert first.speed_ratio.median == 1.0
    assert (second.speed_ratio.median, second.speed_ratio.low, second.speed_ratio.high) == (2.0, 2.0, 9.0)


def both(**changed: Any) -> list[str]:
    reports = {
        TRL: report(TRL, [1.0, 1.0], EPISODES),
        OURS: replace(report(OURS, [1.0, 1.0], EPISODES), **changed),
    }
    return list(unequal_work(reports, {TRL: job(), OURS: job(OURS)}, WORK))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"optimiser_steps": 7}, "7 optimiser steps, 8 were due"),
        ({"episodes": EPISODES[:1]}, "iterations of [2] episodes"),
        ({"moved": {"policy": 0.0, "critic": 1.0}}, "its policy was not trained"),
        ({"moved": {"policy": 1.0, "critic": math.nan}}, "its critic was not trained"),
        ({"probe_scores": [0.5, -0.49]}, "its reward differs by 0.01"),
        ({"episodes": [[(1, 2), (3, 1)], EPISODES[1]]}, "prompts of other lengths"),
    ],
)
def test_unequal_work_is_named(changed: dict[str, Any], said: str):
    assert both() == []
    assert any(said in problem for problem in both(**changed))


def test_lengths_are_held_against_the_distribution():
    many = [[(1, 2)] * 200] * 2  # never ended by themselves
    reports = {TRL: report(TRL, [1.0, 1.0], many)}
    jobs = {TRL: replace(job(), batch_size=200)}
    (problem,) = unequal_work(reports, jobs, WORK)
    assert problem == "trl: responses of 2.0 tokens on average, 1.5 were due"
    assert list(unequal_work(reports, jobs, WORK, trained=True)) == []


def test_both_are_told_the_same():
    from scripts.bench.our_contender import configuration

    told = job_of(OURS, WORKLOADS["S"], Path("x"), SETTINGS, episodes=640)
    cfg, theirs = configuration(told, "runs"), trl_contender.arguments(dict, told)
    stage: Any = cfg.stage
    assert stage.total_episodes == theirs["total_episodes"] == 704
    assert stage.batch_size == theirs["per_device_train_batch_size"] == 64
    assert stage.batch_size // stage.minibatch_size == theirs["num_mini_batches"] == 4
    assert theirs["gradient_accumulation_steps"] == 1
    pairs = {
        "epochs": "num_ppo_epochs", "response_length": "response_length", "temperature": "temperature",
        "learning_rate": "learning_rate", "gamma": "gamma", "lam": "lam", "clip": "cliprange",
        "value_clip": "cliprange_value", "value_coef": "vf_coef", "adam_eps": "adam_epsilon",
        "missing_end_score": "missing_eos_penalty",
    }  # fmt: skip
    for ours, name in pairs.items():
        assert getattr(stage, ours) == theirs[name], name
    assert (cfg.kl.kind, cfg.kl.coef) == ("fixed", theirs["kl_coef"])
    assert (cfg.model.adapter, stage.roles, stage.missing_end) == ("none", "separate", "penalty")


def test_ours_runs_a_job_and_reports_real_work(tmp_path: Path):
    from scripts.bench import our_contender

    small = tiny(WORKLOADS["S"])
    folder = tmp_path / "S"
    workload.write_workload(small, folder, seed=0)
    told = replace(job_of(OURS, small, folder, SETTINGS, episodes=64), learning_rate=1e-3)
    write_job(told, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == told
    our_contender.main(str(tmp_path / "job.json"), str(tmp_path / "report.json"))
    found = Report.read(tmp_path / "report.json")
    assert list(unequal_work({OURS: found}, {OURS: told}, small)) == []
    assert found.optimiser_steps == 2 * 4 * 4
    assert set(found.precision_seen) >= {"generation: torch.float32", "update: torch.float32"}
    pairs = json.loads((folder / "probes.json").read_text())
    for (prompt, response), score in zip(pairs, found.probe_scores, strict=True):
        ids = torch.tensor([*prompt, *response])
        mean = workload.favoured(ids).double().mean().item() * 2 - 1
        assert score == pytest.approx(2 * mean / math.sqrt(1 + mean**2 / 64), abs=1e-3)
    assert all(sum(lap.values()) > 0 and lap["update"] > 0 for lap in found.seconds)


def test_growth_is_a_share_of_the_mean_in_an_hour():
    found = growth([100.0, 101.0, 102.0], iteration_s=36.0)  # a hundred iterations an hour, 1 more each
    assert (found.share, found.low, found.high) == pytest.approx((100 / 101,) * 3)
    flat = growth([5.0, 7.0, 5.0, 7.0, 5.0], iteration_s=1.0)
    assert flat.share == pytest.approx(0.0)
    assert flat.low == pytest.approx(-flat.high)
    assert flat.low < 0
    with pytest.raises(ValueError, match="three at least"):
        growth([1.0, 2.0], 1.0)


def test_curves_are_compared_where_they_end(tmp_path: Path):
    rising = [[0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 4.0]]
    found = compare({TRL: rising, OURS: [[9.0, 9.0, 9.0, 1.0], [9.0, 9.0, 9.0, 3.0]]})
    assert (found.reached[TRL], found.reached[OURS]) == (3.0, 2.0)
    assert found.difference == -1.0
    assert found.standard_error == pytest.approx(math.sqrt(2.0))  # deviation sqrt 2 in each, two seeds
    assert not found.below
    assert compare({TRL: rising, OURS: [[0.0] * 4, [-0.5] * 4]}).below
    draw({TRL: rising, OURS: rising}, tmp_path / "one.svg")
    draw({TRL: rising, OURS: rising}, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_text() == (tmp_path / "two.svg").read_text()
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_requirements_are_exact_and_those_that_are_tested_here():
    lines = [line for line in environment.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert pinned.pop("trl") == "1.12.0"
    locked = (bench_ppo.ROOT / "requirements.lock").read_text().splitlines()
    assert {f"{name}=={number}" for name, number in pinned.items()} <= set(locked)


def test_the_environment_is_made_once_and_anew_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[list[str]] = []
    broken = True

    def fake(command: list[str], check: bool) -> None:
        calls.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir()
        if "pip" in command and broken:
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(environment.subprocess, "run", fake)
    with pytest.raises(subprocess.CalledProcessError):
        environment.trl_python(tmp_path)
    broken = False
    (folder,) = {Path(command[-1]) for command in calls if "venv" in command}
    (folder / "half").touch()
    calls.clear()
    assert environment.trl_python(tmp_path) == folder / "bin" / "python"
    assert not (folder / "half").exists()
    assert len(calls) == 2
    environment.trl_python(tmp_path)
    assert len(calls) == 2


LAPS = {"trl": 4.0, "ours": 1.0, "ours-auto": 0.5, "ours-defaults": 1.0}


def fake_run(laps: dict[str, float]) -> Callable[[Job, Settings], Report]:
    def run(told: Job, _settings: Settings) -> Report:
        rows = [(4, n % 15 + 1) for n in range(told.batch_size)]  # mean 8 or nearly
        count = told.iterations
        made = report(told.contender, [laps[told.contender]] * count, [rows] * count)
        scores = [float(n + told.seed) for n in range(count)]
        return replace(made, optimiser_steps=told.steps_expected, scores=scores, rss=[1 << 30] * count)

    return run


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setattr(bench_ppo, "run", fake_run(LAPS))
    monkeypatch.setattr(bench_ppo, "measure_machine", lambda _: MachineRates(1e12, 4e12, 5e10))
    monkeypatch.setattr(bench_ppo, "write_workload_apart", lambda *_: None)
    return ["--trl-python", "python", "--cache", str(tmp_path / "cache"), "--tiny", "--out", str(tmp_path)]


def test_what_was_measured_is_printed_and_written_down(
    faked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    into = tmp_path / "page.md"
    into.write_text(f"before\n{page.BEGINS}\nold\n{page.ENDS}\nafter\n")
    assert bench_ppo.main([*faked, "--workloads", "S", "--pairs", "2", "--page", str(into)]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    summary = {row["contender"]: row for row in record["speed"]["workloads"]["S"]["summary"]}
    assert summary["ours"]["speed_ratio"] == {"median": 4.0, "low": 4.0, "high": 4.0}
    assert summary["ours-auto"]["speed_ratio"]["median"] == 8.0
    assert summary["ours-defaults"]["speed_ratio"]["median"] == 8.0  # batches of 128
    assert "| rlhf, the same settings | 64 (64 to 64) | 4 (4 to 4) |" in capsys.readouterr().out
    assert "1e+03" not in into.read_text()
    assert into.read_text().startswith("before\n")
    assert into.read_text().endswith("after\n")
    assert "old" not in into.read_text()

    assert bench_ppo.main([*faked, "--curves", "--leak", "--seeds", "2", "--iterations", "8"]) == 0
    assert set(json.loads((tmp_path / "bench.json").read_text())) == {"speed", "curves", "leak"}
    written = (tmp_path / "bench.md").read_text()
    assert all(f"## {title}" in written for title in page.TITLES.values())
    assert "not below" in written
    assert "<svg" in (tmp_path / "bench-curves.svg").read_text()
    assert not list((tmp_path / "cache").iterdir())


def test_unequal_work_is_said_and_fails(faked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fair = fake_run(LAPS)

    def unfair(told: Job, settings: Settings) -> Report:
        made = fair(told, settings)
        return replace(made, optimiser_steps=1) if told.contender == "ours" else made

    monkeypatch.setattr(bench_ppo, "run", unfair)
    assert bench_ppo.main([*faked, "--workloads", "S", "--pairs", "1"]) == 1
    assert "**Not comparable**: ours: 1 optimiser steps" in (tmp_path / "bench.md").read_text()


def test_a_run_that_fails_says_why(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no TRL here\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"ended with 3:\nno TRL here"):
        contenders.run(job(), replace(SETTINGS, trl=python))


def test_options_that_do_not_fit_are_refused(capsys: pytest.CaptureFixture[str]):
    refused = {"--workloads=S,Q": "Q: there are S, M, T, L", "--page=x": "--page needs --out"}
    for word, said in refused.items():
        with pytest.raises(SystemExit):
            bench_ppo.parse([word])
        assert said in capsys.readouterr().err
    assert bench_ppo.parse([]).workloads == ["S", "M"]
    assert bench_ppo.parse(["--device", "cuda"]).precision == "bf16"
