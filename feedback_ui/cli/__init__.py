"""The command line, `python -m feedback_ui COMMAND`: a module for each group of commands.

Nothing heavy is imported before a command runs, so that --help and errors answer at once.
"""

import argparse
import sys
from collections.abc import Sequence

from feedback_ui.cli import campaigns, chat, crowd, moving, people, serve, store
from feedback_ui.cli.shared import check_is_there
from feedback_ui.database import open_database
from rlhf.errors import EXIT_CODE, RlhfError

_GROUPS = (serve, chat, campaigns, moving, people, crowd, store)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for an error."""
    options = _parser().parse_args(arguments)
    try:
        if options.needs_store:
            check_is_there(options.db)
        db = open_database(options.db)
        try:
            return options.run(db, options)
        finally:
            db.close()
    except RlhfError as error:
        print(error, file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` had enough
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m feedback_ui",
        description="The feedback page: where raters judge, and what becomes of it.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add_commands(commands)
    return parser
