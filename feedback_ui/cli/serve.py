"""`serve`: the page itself."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from feedback_ui.cli.shared import command, command_line
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import accounts

PORT = 7860


def add_commands(commands: Any) -> None:
    """Declare it."""
    page = command(
        commands,
        "serve",
        "the page: raters judge in it, managers look after campaigns",
        "serve --accounts --host 0.0.0.0 --db postgresql+psycopg://rlhf@db/feedback",
        _serve,
        needs_store=False,
    )
    add_address(page)
    page.add_argument(
        "--samples", action="store_true", help="add a small campaign in English and Chinese to look around in"
    )
    page.add_argument(
        "--model-url",
        action="append",
        default=[],
        metavar="[NAME=]URL",
        help="a policy that chat campaigns ask: an OpenAI-compatible address up to /v1; may be repeated",
    )
    page.add_argument(
        "--model-key-env",
        metavar="VARIABLE",
        help="environment variable that holds the policies' API key",
    )


def add_address(page: argparse.ArgumentParser) -> None:
    """Declare where a page is served, for whom, and how policies are asked."""
    page.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    page.add_argument("--port", type=int, default=PORT, help=f"0 is any that is free (default: {PORT})")
    page.add_argument(
        "--accounts",
        action="store_true",
        help="people sign in; without, whoever sits at this machine is the one rater and manager",
    )
    page.add_argument(
        "--language", choices=("auto", "en", "zh"), default="auto", help="of who has not chosen one"
    )
    page.add_argument(
        "--temperature", type=float, default=1.0, help="at which policies are asked (default: 1)"
    )
    page.add_argument(
        "--max-tokens", type=int, metavar="N", help="tokens of an answer (default: as the endpoint says)"
    )


def _serve(db: Database, options: argparse.Namespace) -> int:
    key = _key(options.model_key_env)
    if options.samples:
        _add_samples(db)
    return serve_page(db, options, model_urls=options.model_url, key=key)


def serve_page(
    db: Database, options: argparse.Namespace, *, model_urls: Sequence[str], key: str | None = None
) -> int:
    """Serve the page on a store until it is stopped; the exit code.

    Args:
        options: those of `add_address`.
        model_urls: policies to chat with, as NAME=URL or URL; `key` is their API key.
    """
    from feedback_ui.app.policies import Sampling, models_at, parse_endpoint
    from feedback_ui.app.server import address_of, listen, run_server  # fastapi and gradio take seconds
    from feedback_ui.app.settings import Settings, check_address

    check_address(options.host, accounts=options.accounts)
    if not 0 <= options.temperature <= 10:
        raise InvalidFeedback(f"--temperature {options.temperature} is not 0 to 10")
    if options.max_tokens is not None and options.max_tokens < 1:
        raise InvalidFeedback(f"--max-tokens {options.max_tokens} is not 1 or more")
    sampling = Sampling(options.temperature, options.max_tokens, key)
    with listen(options.host, options.port) as listener:
        endpoints = models_at([parse_endpoint(said) for said in model_urls], sampling)
        settings = Settings(options.accounts, options.language, endpoints, sampling)
        address = address_of(options.host, listener)

        def ready() -> None:
            print(f"{address}   (store: {db.name}; Ctrl-C stops)", flush=True)

        _say_first_steps(db, options, address)
        run_server(db, settings, listener, ready=ready)
    return 0


def _add_samples(db: Database) -> None:
    from feedback_ui.samples import add_samples

    name = add_samples(db)
    print(f"campaign {name!r}: answers of the demo's two policies, to look around in", file=sys.stderr)


def _say_first_steps(db: Database, options: argparse.Namespace, address: str) -> None:
    """How the first manager comes in."""
    if options.accounts and not any(
        one.role == "manager" and not one.disabled for one in accounts(db, OPERATOR)
    ):
        add = command_line("add-rater", options, "NAME", "--role", "manager")
        print(f"there is no manager yet: {add}; its invitation opens at {address}/join/...", file=sys.stderr)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not (key and key.isascii() and key.isprintable()):
        raise InvalidFeedback(
            f"--model-key-env {variable}: this environment variable holds no key; export {variable}=..."
        )
    return key
