"""A network that breaks: connections to a server go through here, and are cut at random moments."""

import random
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536


class BrokenNetwork:
    """A context: an address that leads to another; `share` of all pieces on the way end their connection.

    A piece of an answer that is cut leaves the sender not knowing whether the request was done; of a request,
    the server with half of it.
    """

    def __init__(self, address: str, *, share: float, seed: int) -> None:
        """Listens at this machine; leads nowhere before it is entered."""
        parts = urlsplit(address)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._share = share
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """It leads on."""
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is closed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def heal(self) -> None:
        """Nothing is cut any more."""
        self._share = 0.0

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(_CHUNK):
                if self._rng.random() < self._share:
                    self.cuts += 1
                    break
                target.sendall(piece)
        except OSError:
            pass  # the other direction has closed it
        for end in (source, target):  # shut, so that the thread of the other direction is woken up
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
