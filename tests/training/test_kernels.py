"""Memory that a CPU's kernels take, in a process of its own: what is set holds for a whole process."""

import os
import subprocess
import sys

import pytest
import torch

SHAPES = """
import psutil, torch
from rlhf.config import Config, PpoStage
from rlhf.training.machine import set_up_machine

set_up_machine(Config(stage=PpoStage(), device="cpu", threads=1))
torch.mm(torch.ones(8, 64, dtype=torch.bfloat16), torch.ones(64, 64, dtype=torch.bfloat16))
before = psutil.Process().memory_info().rss
for rows in range(1, 401):
    torch.mm(torch.ones(rows, 64, dtype=torch.bfloat16), torch.ones(64, 64, dtype=torch.bfloat16))
print((psutil.Process().memory_info().rss - before) / 2**20)
"""


def grown_mib(**environment: str) -> float:
    """What products of 400 shapes leave in memory."""
    rest = {name: value for name, value in os.environ.items() if not name.endswith("CACHE_CAPACITY")}
    command = [sys.executable, "-c", SHAPES]
    done = subprocess.run(command, env=rest | environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(
    not getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"),
    reason="this CPU multiplies bf16 in float32, for which no kernel is made",
)
def test_a_cpu_keeps_few_kernels_unless_the_environment_says_otherwise() -> None:
    many = grown_mib(LRU_CACHE_CAPACITY="1024", ONEDNN_PRIMITIVE_CACHE_CAPACITY="1024")
    assert grown_mib() < 0.6 * many
