"""`stage=ppo` in two processes, as `accelerate launch` would start them."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

from stage_runs import PROCESSES, keeping_states

SHARDING = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


def start_two(words: list[str], said: Path, more: dict[str, str] | None = None) -> list[Any]:
    """Both processes of `python -m rlhf.run WORDS`; what they say on stderr is in `said.0` and `said.1`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[Any] = []
    for rank in range(2):
        told = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            **(more or {}),
        }
        process = PROCESSES.Process(target=_command, args=(words, said.with_suffix(f".{rank}"), told))
        process.start()
        started.append(process)
    return started


def _command(words: list[str], said: Path, told: dict[str, str]) -> None:
    os.environ |= told
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
    from rlhf.run import main

    with keeping_states():
        sys.exit(main(words))
