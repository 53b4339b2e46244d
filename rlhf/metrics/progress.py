"""Progress in the console: a live bar in a terminal, a plain line now and then elsewhere."""

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """How far a stage is, the figures that matter, and when it will be done, on stderr.

        with Progress("PPO", total=200, start=resumed_step) as progress:
            progress.update(step, {"kl": 1.2, "reward": 0.4})

    In a terminal the line is redrawn in place; elsewhere (a file, a pipe, a job's log) a plain line comes
    every `every_s` seconds, at the first update and at the end.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        start: int = 0,
        every_s: float = 15.0,
        console: "Console | None" = None,
    ) -> None:
        """Prepare; nothing shows before the block is entered.

        Args:
            title: what is going on, in a word or two.
            total: the last step.
            start: the step that was done before, where a run is resumed; the estimate counts from there.
            every_s: seconds between plain lines.
            console: where to write; stderr by default.
        """
        self.title = title
        self.total = total
        self._start = start
        self._step = start
        self._every_s = every_s
        self._console = console
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = self._said = -math.inf
        self._figures: dict[str, Any] = {}

    def __enter__(self) -> "Progress":
        """Show the bar, or get ready for lines."""
        self._began = time.monotonic()
        if self._console is None:
            if not sys.stderr.isatty():
                return self
            from rich.console import Console

            self._console = Console(stderr=True)
        if self._console.is_terminal:
            self._bar, self._task = _live_bar(self._console, self.title, self._start, self.total)
            self._bar.start()
        return self

    def update(self, step: int, values: Mapping[str, Any] | None = None) -> None:
        """Say that `step` steps are done, and how things stand. Figures stay until they are given anew."""
        self._step = step
        self._figures |= values or {}
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, figures=_figures(self._figures))
        elif time.monotonic() - self._said >= self._every_s or step >= self.total:
            self._say(self._line())

    def note(self, text: str) -> None:
        """Print a line of its own, above the bar where there is one."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            self._say(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state of the bar standing."""
        if self._bar is not None:
            self._bar.stop()

    def _line(self) -> str:
        """`PPO 40/200 (20%)  kl=1.2 reward=0.4  1m 20s, 5m 20s left`."""
        self._said = time.monotonic()
        spent = self._said - self._began
        done = self._step - self._start
        left = f", {duration(spent / done * (self.total - self._step))} left" if done > 0 else ""
        left = left if self._step < self.total else ""
        share = f" ({100 * self._step // self.total}%)" if self.total else ""
        figures = _figures(self._figures)
        middle = f"  {figures}" if figures else ""
        return f"{self.title} {self._step}/{self.total}{share}{middle}  {duration(spent)}{left}"

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`75` as `1m 15s`, `4000` as `1h 6m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def figure(value: Any) -> str:
    """A number in four significant digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={figure(value)}" for name, value in values.items())


def _live_bar(console: "Console", title: str, start: int, total: int) -> "tuple[Bar, TaskID]":
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[figures]}", markup=False, style="cyan"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(compact=True),
    )
    bar = progress.Progress(*columns, console=console, refresh_per_second=4, speed_estimate_period=300)
    return bar, bar.add_task(title, total=total, completed=start, figures="")
