"""Processes that are started, and that shall not outlive the one that started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STOPPING = (signal.SIGTERM, signal.SIGHUP)


def ending_with_us(how: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """For `Popen(preexec_fn=...)`: the child gets a signal when this process ends, also by `kill -9`.

    None on other systems than Linux, where nobody tells a child.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tell() -> None:
        prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # it has ended already
            os._exit(1)

    return tell


@contextmanager
def stopped_as_by_ctrl_c() -> Generator[None]:
    """Being told to end (SIGTERM, a terminal that is closed) raises KeyboardInterrupt for as long as this
    lasts, so that what was begun is ended too. Under `nohup` a closed terminal is still nothing."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
