"""What an iteration's profile says: parts that add up, FLOPs by hand, padding by hand."""

import sys
from pathlib import Path

import pytest
import torch
from ppo_parts import make_ppo, make_roles, make_updater
from test_ppo_update import stage_of

from rlhf.algos.kl import FixedKl
from rlhf.training import profile as profile_module
from rlhf.training.memory import TokenBudget
from rlhf.training.ppo import Progress
from rlhf.training.profile import (
    Clock,
    best_seconds,
    padding_share,
    product_flops,
    profile,
    update_flops,
)

CPU = torch.device("cpu")
HIDDEN, FEED, LAYERS, VOCABULARY = 16, 24, 2, 32  # of ppo_parts' llama
MATRICES = LAYERS * (4 * HIDDEN**2 + 3 * HIDDEN * FEED)


class Time:
    """A clock that goes when it is told to, in seconds."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(profile_module, "time", made)
    return made


def test_parts_add_up_to_the_time_since_the_last_reading(time: Time) -> None:
    clock = Clock(CPU)
    time.passes(7)  # before the first part: nothing has begun
    with clock.part("generate"):
        time.passes(2)
    time.passes(0.5)
    for seconds in (1, 4):
        with clock.part("update"):
            time.passes(seconds)
    time.passes(0.25)
    assert clock.read() == {"generate": 2, "score": 0, "update": 5, "other": 0.75}
    time.passes(3)
    with clock.part("score"):
        time.passes(1)
    assert clock.read() == {"generate": 0, "score": 1, "update": 0, "other": 3}


def test_the_best_of_repeated_runs_counts_and_the_first_does_not(time: Time) -> None:
    took = iter([0.1, 5.0, 3.0, 4.0, 9.0, 9.0])
    assert best_seconds(lambda: time.passes(next(took)), CPU, patience_s=0.0) == 3.0
    assert next(took) == 9.0  # three runs, though the patience was over
    assert best_seconds(lambda: time.passes(1.0), CPU, patience_s=10.0) == 1.0
    assert time.now == pytest.approx(100 + 12.1 + 1 + 10)


def test_a_product_of_n_is_two_n_cubed_flops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_module, "best_seconds", lambda *_: 0.5)
    assert product_flops(torch.float32, CPU) == 2 * 1024**3 / 0.5


def test_figures_by_hand() -> None:
    seconds = {"generate": 1.0, "score": 0.5, "update": 2.0, "other": 0.5}
    found = profile(
        seconds,
        response_tokens=100,
        padding=0.25,
        update_flops=3e9,
        product_flops=6e9,
        device=CPU,
    )
    assert found["profile/update_s"] == 2.0
    assert found["profile/tokens_per_s"] == 25.0
    assert found["profile/padding"] == 0.25
    assert found["profile/flop_utilization"] == pytest.approx(3 / (6 * 2))
    assert 0.05 < found["profile/peak_memory_gib"] < 50


def test_the_flops_of_full_fine_tuning_by_hand() -> None:
    """One episode of 7 tokens, 3 of them the response's; policy and critic are two such models."""
    found = update_flops(make_roles().policy_value, [(7, 3)], epochs=2)
    trunk = 6 * MATRICES * 7 + 3 * 2 * LAYERS * HIDDEN * 7**2
    assert found == 2 * (2 * trunk + 6 * HIDDEN * VOCABULARY * 3)


def test_frozen_weights_cost_no_gradient_of_their_own() -> None:
    full = update_flops(make_roles(has_critic=False).policy_value, [(7, 3)], epochs=1)
    roles = make_roles(lora=True, has_critic=False)
    adapters = sum(x.numel() for name, x in roles.policy_value.named_parameters() if "lora_" in name)
    head = HIDDEN * VOCABULARY
    found = update_flops(roles.policy_value, [(7, 3)], epochs=1)
    assert adapters > 0
    assert found == full - 2 * MATRICES * 7 - 2 * head * 3 + 6 * adapters * 7


def test_the_benchmark_counts_the_same_flops() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from scripts.bench import cost
    from scripts.bench.shapes import Shape

    episodes = [(4, 3), (2, 9)]
    shape = Shape(VOCABULARY, HIDDEN, LAYERS, heads=2, kv_heads=2, mlp=FEED)
    ours = update_flops(make_roles().policy_value, [(p + r, r) for p, r in episodes], epochs=4)
    assert cost.update_flops(shape, episodes, 4) == pytest.approx(ours)


def test_padding_by_hand() -> None:
    lengths, parts = [10, 5, 3, 4], [[0, 1], [2, 3]]
    padded, packed = (TokenBudget(100, lambda _: None, packed=packed) for packed in (False, True))
    assert padding_share(lengths, parts, padded) == pytest.approx(1 - 22 / 28)
    assert padding_share(lengths, parts, packed) == 0.0


def test_every_iteration_has_a_profile() -> None:
    ppo = make_ppo(make_updater(stage_of(minibatch_size=4), make_roles()))
    figures = ppo.iterate(Progress(iteration=0, kl=FixedKl(0.05)), 1)
    parts = [figures[f"profile/{name}_s"] for name in ("generate", "score", "update")]
    assert min(parts) > 0
    assert figures["profile/padding"] == 0.0
    assert figures["profile/tokens_per_s"] > 0
    assert "profile/flop_utilization" not in figures  # nothing was measured to compare with


def test_a_matrix_product_is_measured() -> None:
    assert 1e9 < product_flops(torch.float32, CPU, patience_s=0.0) < 1e14
