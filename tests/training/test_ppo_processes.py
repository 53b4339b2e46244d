"""Two processes with half of the batch each train what one does with all of it."""

import multiprocessing
import socket
from pathlib import Path

import pytest
import torch
from ppo_parts import distance, make_roles, weights
from ppo_process import HALVES, ORDERS, SHOWN, STAGES, train, work


@pytest.mark.parametrize("name", STAGES)
def test_two_processes_train_what_one_does(tmp_path: Path, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.set_forkserver_preload(["ppo_process"])  # imported once for both
    torch.multiprocessing.start_processes(
        work, args=(port, tmp_path, name), nprocs=2, start_method="forkserver"
    )
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
