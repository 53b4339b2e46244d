"""How the scripts end when they are told to."""

import sys
from collections.abc import Callable

from feedback_ui.children import stopped_as_by_ctrl_c


def until_stopped(main: Callable[[], int]) -> int:
    """The exit code of `main`; 130 once it was told to stop, what it had begun ended and taken away."""
    try:
        with stopped_as_by_ctrl_c():
            return main()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
