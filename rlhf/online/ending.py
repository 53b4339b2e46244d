"""When the loop ends, by the rules that the configuration states."""

from typing import Protocol

from rlhf.runs.loop_record import Ending, LoopRecord


class EndingRule(Protocol):
    """What `stage.` says of the end; None leaves a rule out."""

    @property
    def target_win_rate(self) -> float | None: ...
    @property
    def max_judgements(self) -> int | None: ...
    @property
    def patience(self) -> int | None: ...
    @property
    def rounds(self) -> int | None: ...


def ended(record: LoopRecord, rule: EndingRule) -> Ending | None:
    """Which rule ends the loop after the rounds that are done, or None where the next round may begin.

    "target": the incumbent's win rate over the first policy (`win_rate_over_first`) is at least the target.
    "budget": all judgements that may be asked for have been given. "patience": so many rounds in a row
    promoted nothing. "rounds": so many are done. An unfinished round ends nothing. The record alone decides,
    never what it says of an earlier end: a loop whose rules were widened goes on.
    """
    done = [one for one in record.rounds if one.status == "done"]
    if len(done) < len(record.rounds):
        return None
    if rule.target_win_rate is not None and win_rate_over_first(record) >= rule.target_win_rate:
        return "target"
    if rule.max_judgements is not None and record.judgements >= rule.max_judgements:
        return "budget"
    if rule.patience is not None and record.rounds_without_promotion >= rule.patience:
        return "patience"
    if rule.rounds is not None and len(done) >= rule.rounds:
        return "rounds"
    return None


def win_rate_over_first(record: LoopRecord) -> float:
    """The incumbent's win rate over the policy that the loop began with, as its rounds measured it; else 0.5.

    Every promotion on the way from the first policy to the incumbent measured one step. By Bradley and Terry
    (1952) the odds of steps multiply: twice 2 to 1 is 4 to 1, a win rate of 0.8. Rounds that a rollback left
    behind are not on the way.
    """
    by_label = {one.candidate.label: one for one in record.rounds if one.promoted and one.candidate}
    won = lost = 1.0
    label = record.incumbent.label
    while label in by_label:
        step = by_label.pop(label)
        rate = 0.5 if step.win_rate is None else step.win_rate
        won, lost = won * rate, lost * (1 - rate)
        label = step.incumbent
    return won / (won + lost)
