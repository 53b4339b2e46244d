"""`chat`: two policies side by side in the page, with the endpoint that they answer at."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import IO, Any

from feedback_ui.children import ending_with_us, stopped_as_by_ctrl_c
from feedback_ui.cli.serve import add_address, serve_page
from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import create_campaign

CAMPAIGN = "before and after"
_ADDRESS = re.compile(r"^serve: (http://\S+)$")
_STOP_S = 10.0


def add_commands(commands: Any) -> None:
    """Declare it."""
    talk = command(
        commands,
        "chat",
        "talk to two policies side by side, without knowing which is which, and say which answer is better",
        "chat runs/demo/sft-1 runs/demo/ppo-1",
        _chat,
        needs_store=False,
    )
    talk.add_argument("before", metavar="BEFORE", help="a run, a model folder or a hub id")
    talk.add_argument("after", metavar="AFTER", help="the other one")
    add_address(talk)


def _chat(db: Database, options: argparse.Namespace) -> int:
    form = Form(kind="chat", reason="optional")
    with suppress(Conflict):  # it was made when this command was run before
        create_campaign(db, OPERATOR, CAMPAIGN, form)
    with stopped_as_by_ctrl_c(), _endpoint(options.before, options.after) as url:
        code = serve_page(db, options, model_urls=[url])
    print(f"stopped; what was said is kept in {db.name}", file=sys.stderr)
    return code


@contextmanager
def _endpoint(before: str, after: str) -> Generator[str]:
    """The address of `python -m rlhf.serve` with both policies, for as long as this lasts.

    Raises:
        InvalidFeedback: it does not start; what it says is told.
    """
    names = "names=[after,before]"  # what is stored with the answers; no rater sees them
    words = [f"inputs.policy={after}", f"inputs.baseline={before}", names, "port=0"]
    started = [sys.executable, "-m", "rlhf.serve", *words]
    with subprocess.Popen(
        started,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us, who end it
        preexec_fn=ending_with_us(),
    ) as process:
        assert process.stderr is not None
        try:
            yield _address(process.stderr, shlex.join(["python", "-m", "rlhf.serve", *words]))
        finally:
            process.terminate()
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_STOP_S)
            finally:  # also where Ctrl-C is pressed once more
                process.kill()  # nothing of it is to be saved; no harm where it has ended


def _address(said: IO[str], typed: str) -> str:
    lines: list[str] = []
    for line in said:
        found = _ADDRESS.match(line.strip())
        if found:
            Thread(target=_pass_on, args=(said,), daemon=True).start()
            return found[1]
        lines.append(line)
        print(line, end="", file=sys.stderr)
    raise InvalidFeedback(f"the policies cannot be served; look at what this says: {typed}")


def _pass_on(said: IO[str]) -> None:
    for line in said:
        print(line, end="", file=sys.stderr)
