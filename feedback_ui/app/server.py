"""Runs the server until it is told to stop."""

import gc
import logging
import signal
import socket
from collections.abc import Callable

import uvicorn

from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from rlhf import listening

STOP_S = 5  # for what is being answered; a page's own stream to the server never ends by itself
BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket at the address, so that one which is taken is known before anything is loaded.

    Raises:
        InvalidFeedback: it cannot be listened at.
    """
    try:
        return listening.listen(host, port)
    except OSError as error:
        raise InvalidFeedback(
            f"--host {host} --port {port}: cannot be listened at: {listening.reason(error)}; take another "
            f"port, or --port 0 for any that is free"
        ) from None


def address_of(host: str, listener: socket.socket) -> str:
    """What to type into a browser."""
    name = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def run_server(
    db: Database, settings: Settings, listener: socket.socket, *, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what was asked, and return.

    One worker: the state of Gradio's pages is in this process. The proxy in front, if there is one, is
    believed when it says who asks and by which scheme, from the addresses in FORWARDED_ALLOW_IPS (uvicorn's
    variable; this machine's alone where it is not set).

    Args:
        ready: called once when the first request can be answered.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    server = _Server(
        uvicorn.Config(
            create_app(db, settings),
            log_level="warning",
            access_log=False,  # an invitation's address is its secret
            server_header=False,
            backlog=BACKLOG,
            proxy_headers=settings.accounts,
            timeout_graceful_shutdown=STOP_S,
            timeout_keep_alive=75,
        ),
        ready,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again once it has stopped
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is there now stays: no collection looks at Gradio's million objects again
        if not self.should_exit:
            self._ready()
