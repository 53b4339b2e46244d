"""What a server is told when it starts."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from feedback_ui.app.policies import Endpoint, Sampling
from feedback_ui.errors import InvalidFeedback

Setting = Literal["auto", "en", "zh"]
"""Of the interface's language; auto is what the browser asks for."""


@dataclass(frozen=True)
class Settings:
    """How the pages behave.

    Without `accounts` everybody who reaches the server is its one person, a manager; it must listen at this
    machine alone. `language` is the interface's for who has not chosen one.
    `endpoints` are asked in chat campaigns, with `sampling`.
    """

    accounts: bool = True
    language: Setting = "auto"
    endpoints: tuple[Endpoint, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)


def check_address(host: str, *, accounts: bool) -> None:
    """Raises InvalidFeedback where strangers would be let in without an account."""
    if not accounts and not is_loopback(host):
        raise InvalidFeedback(
            f"--host {host} lets other machines in, and without accounts anybody there would be the manager; "
            f"add --accounts, or leave --host out"
        )


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own; brackets around an IPv6 address are allowed."""
    bare = host.strip("[]").lower()
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost" or bare.endswith(".localhost")
