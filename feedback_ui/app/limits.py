"""How often an address may fail to sign in; the limit of each name is the service's, in the audit log."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from feedback_ui.errors import TooManyTries

MAX_FAILURES = 30
"""Failed sign-ins of one address within `WITHIN_S`: raters of one office may share it."""
WITHIN_S = 15 * 60.0
_MAX_ADDRESSES = 10_000


class FailureLimit:
    """Counts failures by address in memory: addresses are personal, and need not outlive the process.

    A try counts as failed from its beginning until it has succeeded, so that many at once are not let
    through together.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """With a clock in seconds."""
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def begin(self, address: str) -> None:
        """Count a try. Raises TooManyTries where there were too many."""
        place = _place(address)
        with self._lock:
            times = self._failures.setdefault(place, deque())
            self._failures.move_to_end(place)
            while times and times[0] <= self._clock() - WITHIN_S:
                times.popleft()
            if len(times) >= MAX_FAILURES:
                raise TooManyTries(
                    "too many failed sign-ins from this address; try again in {minutes:.0f} minutes",
                    minutes=WITHIN_S / 60,
                )
            times.append(self._clock())
            while len(self._failures) > _MAX_ADDRESSES:
                self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """The try that began last was no failure."""
        with self._lock:
            times = self._failures.get(_place(address))
            if times:
                times.pop()


def _place(address: str) -> str:
    """What is counted together: of IPv6 the network, whose owner has all its addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
