"""Is what the loop promotes better, and is what is better promoted?

`python scripts/check_promotion.py [--trials 4000] [--guarded 400] [--seed 0] [--out docs/results]`, or
`make promotion`.

The test by itself: how often a candidate of a stated win rate is promoted, exactly, by number of prompts and
share of ties; and in trials, where prompts differ, are judged several times, or more than one answer of each
is judged. The whole decision: texts of the embedded world with their guards, candidates that are better and
candidates that are worse on purpose. The exit code is 1 where a promise is not kept: with 400 prompts a
candidate that wins 0.60 is promoted in at least 19 of 20 trials, an equal one in at most 2.5 %, and of twenty
that are worse on purpose none.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.algos.statistics import Interval, wilson  # noqa: E402
from rlhf.online.promotion import LEVEL  # noqa: E402
from scripts.measuring.setting import Setting, setting_now  # noqa: E402
from scripts.promotion_check.exact import promoted_share  # noqa: E402
from scripts.promotion_check.guarded import Guarded, guarded  # noqa: E402
from scripts.promotion_check.trials import CASES, Outcome, outcome  # noqa: E402

PROMPTS = (20, 50, 100, 200, 400, 800)
WIN_RATES = (0.50, 0.52, 0.55, 0.60, 0.65, 0.70)
TIES = (0.0, 0.2, 0.5)
PROMISED_PROMPTS, PROMISED_RATE, PROMISED_POWER = 400, 0.60, 0.95
WORSE_TRIALS = 20
SURE = 0.999  # of the intervals that promises are held against: there are many of them


@dataclass(frozen=True)
class Power:
    """How often a candidate is promoted: exact, one judgement a prompt."""

    prompts: int
    ties: float
    win_rate: float
    promoted: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints tables; 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=4000, help="of each case of the test")
    parser.add_argument("--guarded", type=int, default=400, help="trials of the whole decision, in words")
    parser.add_argument("--prompts", default=",".join(map(str, PROMPTS)), help="of the exact table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for promotion.json and promotion.md")
    asked = parser.parse_args(arguments)
    counts = [int(count) for count in asked.prompts.split(",")]
    powers = [
        Power(count, ties, rate, promoted_share(count, rate, ties))
        for count in counts
        for ties in TIES
        for rate in WIN_RATES
    ]
    print("\n".join(power_table(powers)), flush=True)
    outcomes = [outcome(case, asked.trials, asked.seed) for case in CASES]
    print("\n".join(["", *trial_table(outcomes)]), flush=True)
    whole = guarded(asked.guarded, WORSE_TRIALS, asked.seed)
    print("\n".join(["", *guarded_table(whole)]), flush=True)
    problems = list(shortfalls(powers, outcomes, whole))
    if asked.out:
        write_down(asked.out, setting_now(), asked, (powers, outcomes, whole))
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


def shortfalls(
    powers: Sequence[Power], outcomes: Sequence[Outcome], whole: Sequence[Guarded]
) -> Iterator[str]:
    """Which promises are not kept, a line each; of trials, where chance alone would hardly say so."""
    for one in powers:
        where = f"{one.prompts} prompts, {one.ties:.0%} ties"
        if one.win_rate == 0.5 and one.promoted > LEVEL:
            yield f"{where}: an equal candidate is promoted with probability {one.promoted:.4f}"
        promised = (one.prompts, one.win_rate) == (PROMISED_PROMPTS, PROMISED_RATE)
        if promised and one.promoted < PROMISED_POWER:
            yield f"{where}: one that wins 0.60 is promoted with probability {one.promoted:.4f}"
    for case in outcomes:
        sure = wilson(case.promoted.estimate * case.trials, case.trials, SURE)
        if case.by_prompt and case.equal and sure.low > LEVEL:
            yield f"{case.name}: an equal candidate is promoted in {case.promoted.estimate:.2%} of trials"
        if not case.equal and sure.high < PROMISED_POWER:
            yield f"{case.name}: one that wins 0.60 is promoted in {case.promoted.estimate:.2%} of trials"
    for kind in whole:
        sure = wilson(kind.promoted.estimate * kind.trials, kind.trials, SURE)
        if kind.promote and sure.high < PROMISED_POWER:
            yield f"{kind.name}: promoted in {kind.promoted.estimate:.2%} of trials"
        if not kind.promote and kind.promoted.estimate > 0:
            yield f"{kind.name}: promoted in {kind.promoted.estimate:.2%} of trials"


def power_table(powers: Sequence[Power]) -> list[str]:
    """A row for each number of prompts and share of ties, a column for each win rate."""
    rates = sorted({one.win_rate for one in powers})
    rows = [("prompts", "ties", *(f"wins {rate:.2f}" for rate in rates)), ("---:",) * (len(rates) + 2)]
    found = {(one.prompts, one.ties, one.win_rate): one.promoted for one in powers}
    for prompts, ties in dict.fromkeys((one.prompts, one.ties) for one in powers):
        shares = (f"{found[prompts, ties, rate]:.4f}" for rate in rates)
        rows.append((str(prompts), f"{ties:.0%}", *shares))
    return _lines(rows)


def trial_table(outcomes: Sequence[Outcome]) -> list[str]:
    """A row a case."""
    rows = [("judgements", "true win rate", "trials", "promoted", "95 %"), ("---", *("---:",) * 4)]
    for case in outcomes:
        rate = "0.50" if case.equal else "0.60"
        rows.append((case.name, rate, str(case.trials), *_share(case.promoted)))
    return _lines(rows)


def guarded_table(whole: Sequence[Guarded]) -> list[str]:
    """A row a kind of candidate."""
    head = ("candidate", "win rate", "trials", "promoted", "95 %", "trials in which a guard was broken")
    rows = [head, ("---", *("---:",) * 4, "---")]
    for kind in whole:
        broken = ", ".join(f"{name} {count}" for name, count in kind.broken.items()) or "none"
        shares = _share(kind.promoted)
        rows.append((kind.name, f"{kind.win_rate:.3f}", str(kind.trials), *shares, broken))
    return _lines(rows)


def write_down(
    folder: Path,
    setting: Setting,
    asked: argparse.Namespace,
    found: tuple[Sequence[Power], Sequence[Outcome], Sequence[Guarded]],
) -> None:
    """promotion.json for programs, promotion.md for people."""
    powers, outcomes, whole = found
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "part": "promotion",
        "setting": asdict(setting),
        "power": [asdict(one) for one in powers],
        "trials": [asdict(one) for one in outcomes],
        "guarded": [asdict(one) for one in whole],
    }
    (folder / "promotion.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    dirty = " with uncommitted changes" if setting.dirty else ""
    words = f"--trials {asked.trials} --guarded {asked.guarded} --prompts {asked.prompts} --seed {asked.seed}"
    page = [
        "# Measured: promotion",
        "",
        f"Made by `python scripts/check_promotion.py {words} --out docs/results` on {setting.date}, commit "
        f"`{setting.commit[:12]}`{dirty}.",
        "",
        "A candidate is promoted where the lower bound of its win rate, ties half, is above one half at a "
        f"one-sided {LEVEL:.1%}. [promotion](../promotion.md) describes the test.",
        "",
        "## By number of prompts",
        "",
        "The probability that a candidate of a true win rate is promoted, one judgement a prompt, guards "
        "left out. Exact: the sum over all counts of what the test says of each.",
        "",
        *power_table(powers),
        "",
        "## Prompts that differ, several judgements of one",
        "",
        "Trials of the test, with Wilson's interval. Where prompts differ, each has a chance of its own, "
        "drawn from a Beta distribution, so that judgements of one prompt go together. The row that takes "
        "judgements of one prompt for independent ones shows why they are averaged first.",
        "",
        *trial_table(outcomes),
        "",
        "## With the guards",
        "",
        "The whole decision on 400 prompts of the embedded world. The incumbent answers as the world's "
        "personas do. Three candidates are worse on purpose; the judge is gold, but for the first, which is "
        "0.60 by chance, and the last, which is judged by somebody who takes the longer answer four times in "
        "five. None of these was made by a training: it is the decision that is tried.",
        "",
        *guarded_table(whole),
    ]
    (folder / "promotion.md").write_text("\n".join(page) + "\n", "utf-8")


def _share(found: Interval) -> tuple[str, str]:
    return f"{found.estimate:.4f}", f"{found.low:.4f} to {found.high:.4f}"


def _lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in rows]


if __name__ == "__main__":
    sys.exit(main())
