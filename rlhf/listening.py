"""A socket to serve at, opened before anything heavy is loaded."""

import socket

_PORTS = 65_535


def listen(host: str, port: int) -> socket.socket:
    """A socket at the address; port 0 takes any that is free.

    Raises:
        OSError: it cannot be listened at; `reason` says why.
    """
    if not 0 <= port <= _PORTS:  # the system would take it modulo 65,536
        raise OSError(f"ports are 0 to {_PORTS}")
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def reason(error: OSError) -> str:
    """Why a socket cannot be had, in the system's words."""
    return error.strerror or str(error)
