"""Time by part and memory by iteration, taken the same way for both trainers. Imports no rlhf."""

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from scripts.bench.jobs import PARTS


class Clock:
    """Seconds by part: what passes between two calls belongs to the part that was entered last.

    On a GPU every entry waits for the device, a few times an iteration.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()
        self.part = "other"

    def enter(self, part: str) -> None:
        """From now on it is this part."""
        if self._device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self._seconds[self.part] += now - self._since
        self._since, self.part = now, part

    def lap(self) -> dict[str, float]:
        """Ends an iteration: its seconds by part. The next one begins with `other`."""
        self.enter("other")
        seconds, self._seconds = self._seconds, dict.fromkeys(PARTS, 0.0)
        return seconds


class Memory:
    """The peak above what the process held when this was made, which is after its imports.

    On Linux the kernel's own high-water mark is set back and read; elsewhere that of the whole process is
    taken. On a GPU it is what the allocator held for tensors at most.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        _set_back_high_water()
        self.baseline = rss()

    @property
    def peak(self) -> int:
        """Bytes above the imports."""
        if self._device == "cuda":
            return torch.cuda.max_memory_allocated()
        return max(_high_water() - self.baseline, 0)


def rss() -> int:
    """Resident bytes of this process now."""
    return int(psutil.Process().memory_info().rss)


def _set_back_high_water() -> None:
    file = Path("/proc/self/clear_refs")
    with suppress(OSError):  # not Linux, or not allowed: then the peak of the imports counts too
        file.write_text("5")


def _high_water() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
