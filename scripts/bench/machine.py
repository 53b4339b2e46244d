"""What the machine does at its best just now: the rate of a matrix product, the speed of its memory.

`python -m scripts.bench.machine OUT DEVICE THREADS` writes FLOP/s "fp32" and "bf16", bytes/s "bytes".
Each is the best of what fits into a fraction of a second: a neighbour on the machine only makes it slower.
"""

import json
import sys
from pathlib import Path

import torch

from rlhf.training.profile import best_seconds, product_flops

COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # far more than caches hold
PATIENCE_S = 0.5


def main(out: str, device: str, threads: str) -> int:
    """Measures and writes."""
    torch.set_num_threads(int(threads))
    rates = {
        "fp32": product_flops(torch.float32, torch.device(device), PATIENCE_S),
        "bf16": product_flops(torch.bfloat16, torch.device(device), PATIENCE_S),
        "bytes": copied_bytes(device),
    }
    Path(out).write_text(json.dumps(rates), encoding="utf-8")
    return 0


def copied_bytes(device: str) -> float:
    """Bytes a second through memory: a copy reads and writes each."""
    source = torch.zeros(COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return (
        2.0
        * COPIED_BYTES[device]
        / best_seconds(lambda: target.copy_(source), torch.device(device), PATIENCE_S)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
