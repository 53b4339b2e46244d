"""Threads for what blocks, so that the event loop never waits for the database or a password's hash."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

NUM_SERVICE = 64
"""Requests at a time; more than fifty raters who all click at once."""
NUM_PASSWORDS = 2
"""Hashes at a time: each takes 64 MiB and a core for some 50 ms, and judging goes on meanwhile."""


class Workers:
    """Two pools: the service's calls, and apart from them what hashes passwords."""

    def __init__(self) -> None:
        """Starts no thread yet."""
        self._service = ThreadPoolExecutor(NUM_SERVICE, thread_name_prefix="service")
        self._passwords = ThreadPoolExecutor(NUM_PASSWORDS, thread_name_prefix="passwords")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that blocks, such as one of the service."""
        return await _in_pool(self._service, work, *args, **kwargs)

    async def run_password(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that hashes a password."""
        return await _in_pool(self._passwords, work, *args, **kwargs)

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self._service.shutdown()
        self._passwords.shutdown()


async def _in_pool(pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, lambda: work(*args, **kwargs))
