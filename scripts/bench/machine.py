"""What the machine does at its best just now: the rate of a matrix product, the speed of its memory.

`python -m scripts.bench.machine OUT DEVICE THREADS` writes FLOP/s "fp32" and "bf16", bytes/s "bytes".
Each is the best of what fits into a fraction of a second: a neighbour on the machine only makes it slower.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns
COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # far more than caches hold
PATIENCE_S = 0.5


def main(out: str, device: str, threads: str) -> int:
    """Measures and writes."""
    torch.set_num_threads(int(threads))
    rates = {
        "fp32": product_flops(torch.float32, device),
        "bf16": product_flops(torch.bfloat16, device),
        "bytes": copied_bytes(device),
    }
    Path(out).write_text(json.dumps(rates), encoding="utf-8")
    return 0


def product_flops(dtype: torch.dtype, device: str) -> float:
    """FLOP/s of a square matrix product; 2 n^3 of them in each."""
    size = PRODUCT[device]
    one, other = (torch.randn(size, size).to(device, dtype) for _ in range(2))
    return 2.0 * size**3 / best_seconds(lambda: one @ other, device)


def copied_bytes(device: str) -> float:
    """Bytes a second through memory: a copy reads and writes each."""
    source = torch.zeros(COPIED_BYTES[device] // 4, device=device)
    target = torch.empty_like(source)
    return 2.0 * COPIED_BYTES[device] / best_seconds(lambda: target.copy_(source), device)


def best_seconds(work: Callable[[], object], device: str) -> float:
    """The shortest of repeated runs, at least three; the first is not counted."""
    work()
    times: list[float] = []
    end = time.perf_counter() + PATIENCE_S
    while len(times) < 3 or time.perf_counter() < end:
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
