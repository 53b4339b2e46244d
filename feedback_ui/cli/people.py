"""`add-rater`."""

import argparse
import getpass
import sys
from typing import Any

from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import INVITATION, add_rater, invite


def add_commands(commands: Any) -> None:
    """Declare it."""
    person = command(
        commands,
        "add-rater",
        "an account; prints an invitation by which the person sets a password",
        "add-rater 韩梅梅 --role manager",
        _add_rater,
        needs_store=False,
    )
    person.add_argument("name", metavar="NAME")
    person.add_argument("--role", choices=("rater", "manager"), default="rater")
    person.add_argument(
        "--password", action="store_true", help="ask for it here, or read it from standard input"
    )


def _add_rater(db: Database, options: argparse.Namespace) -> int:
    password = None
    if options.password:
        asked = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        password = asked
    account = add_rater(db, OPERATOR, options.name, role=options.role, password=password)
    print(f"{account.role} {account.name!r} in {db.name}")
    if password is None:
        print(f"invitation, good once within {INVITATION.days} days: {invite(db, OPERATOR, account.id)}")
    return 0
