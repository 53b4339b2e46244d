"""Waiting for what others do."""

import time


def wait_until(told, within_s: float = 120.0) -> None:
    """Wait for something that another thread or process brings about."""
    end = time.monotonic() + within_s
    while not told():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
