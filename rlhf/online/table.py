"""The rounds of a loop as a table for the terminal."""

from rich.console import Console
from rich.table import Table

from rlhf.runs.loop_record import LoopRecord, RoundRecord

COLUMNS = (
    "round",
    "pairs",
    "judged",
    "strategy",
    "alpha",
    "reward model",
    "wins over the incumbent",
    "gold",
    "KL",
    "promoted",
)
WIDTH = 120


def print_rounds(record: LoopRecord, console: Console | None = None) -> None:
    """A line for each round that is done."""
    table = Table(*COLUMNS, title=f"the loop of {record.experiment}", title_justify="left")
    for round_ in record.rounds:
        if round_.status == "done":
            table.add_row(*cells(round_))
    (console or Console(stderr=True, width=WIDTH)).print(table)


def cells(round_: RoundRecord) -> list[str]:
    """What stands in a round's line; a dash where nothing is known."""
    own = round_.rm_accuracy.get(round_.number)
    return [
        str(round_.number),
        str(round_.items),
        str(round_.judgements + round_.human_judgements),
        round_.strategy,
        _number(round_.agreement, ".2f"),
        _number(own.accuracy if own else None, ".3f"),
        _interval(round_.win_rate, round_.win_low, round_.win_high),
        _number(round_.gold_score, ".3f"),
        _number(round_.kl_nats, ".1f"),
        "yes" if round_.promoted else "no",
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return "-"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
