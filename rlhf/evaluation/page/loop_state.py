"""Where a loop stands: what it does and waits for, why it ended, and the commands by which it goes on."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rlhf.evaluation.page.loop_rounds import Kind, kind_of
from rlhf.evaluation.page.loop_words import DOING, ENDED, STRATEGIES
from rlhf.evaluation.page.numbers import number, percent
from rlhf.evaluation.page.words import Words
from rlhf.runs.loop_record import EndingRules, LoopRecord, RoundRecord, Waiting
from rlhf.runs.names import command_for


@dataclass(frozen=True)
class Command:
    """Something that can be done to the loop, and the command that does it."""

    does: Words
    command: str


@dataclass(frozen=True)
class Limit:
    """A rule that ends the loop: how far it has come, of how much; the share is None where it is no count."""

    name: Words
    there: str
    of: str
    share: float | None


@dataclass(frozen=True)
class Now:
    """The state for the top of the page. `waiting` is there while the newest round waits for raters."""

    headline: Words
    as_of: datetime | None
    current: RoundRecord | None
    waiting: Waiting | None
    limits: Sequence[Limit]
    extend: Command | None
    commands: Sequence[Command]


def now(record: LoopRecord) -> Now:
    """The state that a record tells of."""
    current = next((one for one in record.rounds if one.status != "done"), None)
    waiting = current.waiting if current is not None and _waits(current) else None
    return Now(
        headline=headline(record),
        as_of=_as_of(record),
        current=current,
        waiting=waiting,
        limits=list(_limits(record)),
        extend=_extend(record),
        commands=_commands(record),
    )


def _waits(one: RoundRecord) -> bool:
    """Whether raters are waited for: those of its pairs, or those who judge the candidate."""
    if one.waiting is None:
        return False
    unfinished = one.waiting.judgements < one.waiting.needed
    return one.status == "waiting" or (one.status == "judging" and unfinished)


def headline(record: LoopRecord) -> Words:
    """One sentence: where the loop is."""
    name = record.incumbent.label
    if record.ended is not None:
        count, why = _done(record), ENDED[record.ended]
        return Words(
            f"The loop has ended after {count} {'round' if count == 1 else 'rounds'}: {why.en}. "
            f"Its policy is {name}.",
            f"循环已在 {count} 轮后结束：{why.zh}。所得策略是 {name}。",
        )
    if not record.rounds:
        return Words(f"No round has begun. The policy is {name}.", f"尚未开始任何一轮。当前策略是 {name}。")
    last = next((one for one in record.rounds if one.status != "done"), record.rounds[-1])
    en, zh, speaker = f"Round {last.number}", f"第 {last.number} 轮", last.incumbent
    if last.steps and last.status not in ("judging", "done"):
        en, zh = f"{en}, step {last.step.number},", f"{zh}第 {last.step.number} 步"
        speaker = last.step.policy.label
    if last.status == "waiting" and last.waiting is not None:
        left = number(max(last.waiting.needed - last.waiting.judgements, 0))
        return Words(
            f"{en} waits for {left} more {'judgement' if left == '1' else 'judgements'}.",
            f"{zh}还在等待 {left} 个判断。",
        )
    doing = DOING[last.status]
    return Words(
        f"{en.removesuffix(',')}: {doing.en.format(incumbent=speaker)}.",
        f"{zh}：{doing.zh.format(incumbent=speaker)}。",
    )


def _as_of(record: LoopRecord) -> datetime | None:
    """The latest time that the record speaks of."""
    times = [entry.time for entry in record.log]
    for one in record.rounds:
        times += [one.started, *([one.ended] if one.ended else [])]
        times += [one.waiting.seen] if one.waiting and one.waiting.seen else []
    return max(times, key=_aware, default=None)


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _done(record: LoopRecord) -> int:
    return sum(one.status == "done" for one in record.rounds)


def _limits(record: LoopRecord) -> list[Limit]:
    rules = record.rules or EndingRules()
    counts = (
        (Words("rounds", "轮数"), _done(record), rules.rounds),
        (Words("judgements", "判断数"), record.judgements, rules.max_judgements),
        (
            Words("rounds without a promotion", "连续未晋升的轮数"),
            record.rounds_without_promotion,
            rules.patience,
        ),
    )
    found = [
        Limit(name, number(there), number(most), min(there / most, 1.0) if most else None)
        for name, there, most in counts
        if most is not None
    ]
    if rules.target_win_rate is not None:
        name = Words("target: win rate over the first policy", "目标：对最初策略的胜率")
        found.append(Limit(name, "", percent(rules.target_win_rate), None))
    return found


def _extend(record: LoopRecord) -> Command | None:
    """How a loop that has ended goes on: every rule that is met is widened. None while it goes on."""
    if record.ended is None:
        return None
    wider = _wider(record, record.rules or EndingRules())
    en, zh = (" ".join(words[at] for words, _ in wider.values()) for at in (0, 1))
    overrides = {f"stage.{rule}": value for rule, (_, value) in wider.items()}
    return Command(Words(en, zh.replace(" ", "")), _command(record, **overrides))


def _wider(record: LoopRecord, rules: EndingRules) -> dict[str, tuple[Words, str]]:
    """What to say and which value to give of each rule that is met, by the names in `EndingRules`."""
    done, in_vain = _done(record), record.rounds_without_promotion
    found: dict[str, tuple[Words, str]] = {}
    if record.ended == "target":
        said = Words("Leave the target out.", "去掉目标。")
        found["target_win_rate"] = said, "null"
    if record.ended == "budget" or _met(rules.max_judgements, record.judgements):
        most = max(record.judgements, rules.max_judgements or 0)
        per_round = max(record.rounds[-1].budget, 1) if record.rounds else 1
        found["max_judgements"] = Words("Allow more judgements.", "允许更多判断。"), str(most + per_round)
    if record.ended == "patience" or _met(rules.patience, in_vain):
        said = Words("Be more patient, or try another strategy.", "增加耐心，或换一种选题策略。")
        found["patience"] = said, str(in_vain + 2)
    unbounded = rules.rounds is None and rules.max_judgements is None  # nothing would be sure to end it
    if record.ended == "rounds" or _met(rules.rounds, done) or (record.ended == "target" and unbounded):
        found["rounds"] = Words("Allow more rounds.", "允许更多轮。"), str(done + 3)
    return found


def _met(most: int | None, there: int) -> bool:
    return most is not None and there >= most


def _commands(record: LoopRecord) -> list[Command]:
    go_on = Words("Go on, after anything that stopped it.", "无论因何停止，继续运行。")
    found = [Command(go_on, _command(record))]
    if record.rounds:
        last = record.rounds[-1]
        other = next(name for name in STRATEGIES if name != last.strategy)
        overrides = {"stage.strategy": other, "stage.budget": str(last.budget)}
        said = Words("Change strategy or budget from the next round on.", "从下一轮起更换选题策略或预算。")
        found.append(Command(said, _command(record, **overrides)))
    earlier = [one.label for one in record.policies if one.label != record.incumbent.label]
    if earlier:
        back = _command(record, **{"stage.rollback": earlier[-1]})
        found.append(Command(Words(f"Go back to {earlier[-1]}.", f"退回到 {earlier[-1]}。"), back))
    return found


def _command(record: LoopRecord, **overrides: str) -> str:
    """The command that goes on, with some keys of it otherwise."""
    command = record.command or command_for("loop", record.experiment, Path("runs"))
    try:
        words = shlex.split(command)
    except ValueError:  # no command of a shell: it is shown as it is
        return " ".join([command, *(f"{key}={value}" for key, value in overrides.items())])
    kept = [word for word in words if word.partition("=")[0] not in overrides]
    return shlex.join([*kept, *(f"{key}={value}" for key, value in overrides.items())])


def kinds(record: LoopRecord) -> dict[str, Kind]:
    """The kind of the round that made each policy, by the policy's label."""
    return {
        one.candidate.label if one.candidate else f"round-{one.number}": kind_of(one) for one in record.rounds
    }


def policies(record: LoopRecord) -> list[str]:
    """Labels of all that the page speaks of: strengths first, the strongest at the top, then the others."""
    strong = sorted(record.strengths, key=lambda label: -record.strengths[label][0])
    return [*strong, *(one.label for one in record.policies if one.label not in record.strengths)]
