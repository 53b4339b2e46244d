"""What the machine has, what `auto` becomes on it, and a stop that is asked for."""

import contextlib
import ctypes
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
import transformers

from rlhf.config import Config
from rlhf.errors import ConfigError


@dataclass(frozen=True)
class Machine:
    """Where and in what precision a stage computes."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def resolved(self) -> dict[str, Any]:
        """What `auto` became, for the manifest."""
        precision = "bf16" if self.dtype == torch.bfloat16 else "fp32"
        return {"device": str(self.device), "precision": precision, "threads": self.threads}


def set_up_machine(cfg: Config) -> Machine:
    """Resolves device, precision and threads, makes the CPU's results repeatable, silences the libraries.

    Raises:
        ConfigError: device=cuda without a GPU.
    """
    if cfg.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: no GPU can be used here; leave device=auto, or device=cpu")
    quiet_libraries()
    _keep_freed_memory()
    _keep_few_kernels()
    use_cuda = cfg.device == "cuda" or (cfg.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if use_cuda else torch.device("cpu")
    auto_bf16 = torch.cuda.is_bf16_supported() if use_cuda else _cpu_multiplies_bf16()
    use_bf16 = cfg.precision == "bf16" or (cfg.precision == "auto" and auto_bf16)
    threads = cfg.threads or max(_cpus() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(not use_cuda)
    # a check for other people's kernels, which was measured to cost 6 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    return Machine(device, torch.bfloat16 if use_bf16 else torch.float32, threads)


def quiet_libraries() -> None:
    """Silences progress bars and advice of the libraries below; what matters is said by us."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    for name in ("trl", "accelerate", "peft", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(trl|peft|accelerate|transformers|torch)\b")


def _keep_freed_memory() -> None:
    """Has glibc keep what is freed for the next step, instead of fetching page after page from the kernel.

    A step of a small model on a CPU was measured to spend a quarter of its time there.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 1 << 30)


def _keep_few_kernels() -> None:
    """Has a CPU keep its last 64 kernels in each of the two places that keep them, instead of 1,024.

    One was measured to take half a megabyte. A step comes back to no more shapes than that, and lengths are
    rounded so that the next step has the same (`rlhf.data.rounding`). What the environment says stays.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):  # torch's, and oneDNN's below it
        os.environ.setdefault(name, "64")


def _cpu_multiplies_bf16() -> bool:
    """Whether matrix products in bfloat16 are faster here than in float32: by avx512_bf16 or AMX."""
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not tell
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Stop:
    """Whether to save and end: SIGTERM, Ctrl-C or `stage.max_hours`; read it between steps."""

    def __init__(self, max_hours: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = None if max_hours is None else clock() + 3600.0 * max_hours
        self._signal: str | None = None

    @property
    def reason(self) -> str | None:
        """Why the stage should save and end now, or None."""
        if self._signal:
            return self._signal
        if self._deadline is not None and self._clock() >= self._deadline:
            return "stage.max_hours is reached"
        return None

    def request(self, reason: str) -> None:
        """Asks for the end."""
        self._signal = reason

    @contextmanager
    def listening(self) -> Generator["Stop"]:
        """Takes SIGTERM and Ctrl-C as requests; a second Ctrl-C ends at once."""

        def handle(number: int, _frame: FrameType | None) -> None:
            if self._signal:
                raise KeyboardInterrupt
            self.request(signal.Signals(number).name)

        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def auto_learning_rate(stage: str, parameters: int, adapter: str) -> float:
    """A learning rate from the model's size: a power of the number of parameters, at most a ceiling.

    Anchored at a billion parameters on 2e-5 (SFT), 1.4e-5 (reward model), 3e-6 (PPO, Huang et al. 2024) and
    2e-6 (DPO), and at the embedded model's 3 million by trials; adapters take ten times as much.
    """
    at_a_billion, power, ceiling = {
        "sft": (2e-5, 1 / 2, 1e-3),
        "rm": (1.4e-5, 2 / 3, 1e-3),
        "ppo": (3e-6, 2 / 3, 2e-4),
        "dpo": (2e-6, 2 / 3, 2e-4),
    }[stage]
    rate = at_a_billion * (1e9 / max(parameters, 1)) ** power
    rate = min(rate * (10.0 if adapter == "lora" else 1.0), ceiling)
    return float(f"{rate:.1e}")
