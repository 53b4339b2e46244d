"""Progress: a live bar in a terminal, plain lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from rlhf.metrics import Progress, duration


class Clock:
    """Time that passes when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("rlhf.metrics.progress.time.monotonic", lambda: self.now)


def test_plain_lines_every_so_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    with Progress("PPO", total=10, every_s=30) as progress:
        for step in range(1, 11):
            clock.now += 12
            progress.update(step, {"kl": step / 3, "tokens": step})
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "PPO 1/10 (10%)  kl=0.3333 tokens=1  12s, 1m 48s left",
        "PPO 4/10 (40%)  kl=1.333 tokens=4  48s, 1m 12s left",
        "PPO 7/10 (70%)  kl=2.333 tokens=7  1m 24s, 36s left",
        "PPO 10/10 (100%)  kl=3.333 tokens=10  2m 0s",
    ]


def test_the_estimate_of_a_resumed_run_counts_its_own_steps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    with Progress("PPO", total=100, start=90) as progress:
        clock.now += 10
        progress.update(91)
    assert capsys.readouterr().err == "PPO 91/100 (91%)  10s, 1m 30s left\n"


def test_figures_stay_and_notes_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("SFT", total=3, every_s=0) as progress:
        progress.update(1, {"loss": 2.0})
        progress.note("saved [step-1]")
        progress.update(2)
    assert re.sub(r"  \d+s.*", "", capsys.readouterr().err).splitlines() == [
        "SFT 1/3 (33%)  loss=2",
        "saved [step-1]",
        "SFT 2/3 (66%)  loss=2",
    ]


def test_a_live_bar_in_a_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    with Progress("奖励模型", total=4, console=console) as progress:
        progress.update(2, {"accuracy": 0.71234})
        progress.note("a note")
        progress.update(4, {"accuracy": 0.75})
    text = screen.getvalue()
    assert "奖励模型" in text
    assert "4/4" in text
    assert "accuracy=0.75" in text
    assert "a note" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.6, "1m 0s"), (75, "1m 15s"), (4000, "1h 6m"), (200_000, "2d 7h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
