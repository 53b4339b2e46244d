"""Two processes train what one does: with half of a batch each, and through a whole run."""

import multiprocessing
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ppo_parts import distance, make_roles, weights
from ppo_process import (
    HALVES,
    ITERATIONS,
    ORDERS,
    RUNS,
    SHOWN,
    STAGES,
    go_through,
    train,
    work,
    work_on_a_run,
)

from rlhf.training.processes import Processes


def start_two(work: Callable[..., None], *args: object) -> None:
    """Runs `work(rank, port, ...)` in two processes to its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.set_forkserver_preload(["ppo_process"])  # imported once for both
    torch.multiprocessing.start_processes(work, args=(port, *args), nprocs=2, start_method="forkserver")


@pytest.mark.parametrize("name", STAGES)
def test_two_processes_train_what_one_does(tmp_path: Path, name: str) -> None:
    start_two(work, tmp_path, name)
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))

    rows = [*HALVES[0], *HALVES[1]]
    both = [[[*part, *(row + 4 for row in part)] for part in order] for order in ORDERS]
    figures, trained = train(rows, both, name, SHOWN)
    assert one[0]["processes"] == other[0]["processes"] == 2.0
    assert figures["processes"] == 1.0
    roles = make_roles("gpt2", has_critic=STAGES[name].has_critic)
    moved = distance(trained, weights(roles.policy_value))
    assert moved > 1e-2
    assert distance(one[1], other[1]) == 0.0
    assert distance(one[1], trained) < 1e-6
    assert ("ptx_loss" in figures) == ("value_loss" not in figures) == (name == "reinforce")
    every = ("policy_loss", "value_loss", "ptx_loss", "clip_fraction", "approx_kl", "ratio", "grad_norm")
    for figure in {*every, "epochs_done"} & figures.keys():
        assert one[0][figure] == pytest.approx(figures[figure], rel=1e-4, abs=1e-6), figure
        assert one[0][figure] == pytest.approx(other[0][figure], rel=1e-9), figure


LEARNT = ("policy_loss", "value_loss", "approx_kl", "kl", "kl_k3", "kl_coef", "score", "reward", "eval/kl")


@pytest.mark.parametrize("iterations", [2, pytest.param(ITERATIONS, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "sharded"), [("gae", True), ("rloo", False)])
def test_iterations_of_two_processes_are_those_of_one(
    tmp_path: Path, name: str, sharded: bool, iterations: int
) -> None:
    start_two(work_on_a_run, tmp_path, name, sharded, iterations)
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert one[2] == other[2] == sharded
    lines, trained, _ = go_through(name, iterations)
    began = weights(make_roles("llama", has_critic=RUNS[name].has_critic).policy_value)
    assert distance(trained, began) > 1e-3
    for figures, found, _ in (one, other):
        assert distance(found, trained) < 1e-4
        for line, expected in zip(figures, lines, strict=True):
            assert line.keys() == expected.keys()
            compared = {figure: expected[figure] for figure in LEARNT if figure in expected}
            assert {figure: line[figure] for figure in compared} == pytest.approx(
                compared, rel=1e-4, abs=1e-4
            )


def test_shares_have_one_length_and_make_the_whole() -> None:
    members = [Processes(rank, 3) for rank in range(3)]
    assert [member.share([10, 11, 12, 13]) for member in members] == [[10, 13], [11, 10], [12, 11]]
    assert [member.share("ab") for member in members] == [["a"], ["b"], ["a"]]
    assert Processes().share([3, 1, 2]) == [3, 1, 2]
