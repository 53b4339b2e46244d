"""What was found, as Markdown, JSON and a picture."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from rlhf.algos.statistics import Interval
from scripts.bench.page import setting_lines
from scripts.loop_study.arms import ARMS, BASE, ONCE, Size
from scripts.loop_study.cells import Cell
from scripts.loop_study.differences import Difference, difference, label_gap, of_seeds
from scripts.loop_study.labels import ERRORS, HOW, SPREAD, LabelCell
from scripts.loop_study.picture import draw
from scripts.measuring.setting import Setting

NAME = "loop_study"
LABEL_HEAD = ("mean error", "raters", "pairs", "labels right", "accuracy", "over one rater")
HOW_NAMES = {
    "1 raw": "one rater a pair",
    "3 majority": "three, majority",
    "3 dawid_skene": "three, Dawid–Skene",
}


@dataclass(frozen=True)
class Study:
    """All cells that are finished."""

    cells: tuple[Cell, ...] = ()
    labels: tuple[LabelCell, ...] = ()


def write_down(folder: Path, setting: Setting, command: str, study: Study, size: Size) -> None:
    """loop_study.json for programs, .svg and .md for people."""
    folder.mkdir(parents=True, exist_ok=True)
    part = {"setting": asdict(setting), "versions": setting.packages, "command": command}
    record = {"part": NAME, **part, "size": asdict(size), **asdict(study)}
    (folder / f"{NAME}.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    draw(study.cells, study.labels, folder / f"{NAME}.svg")
    page = [
        "# Measured: the loop",
        "",
        "`make loop-study` repeats it.",
        "",
        *setting_lines(part),
        "",
        "The world of 32 symbols of [overoptimization](../../scripts/overoptimization/world.py), a model of "
        "0.1M parameters; the real loop, for which raters who know gold stand in. Gold is what the last "
        f"incumbent gains over the SFT policy, in deviations of its answers, on {size.pool_prompts} prompts "
        f"of their own, {size.pool_answers} answers each. All arms have {size.judgements} judgements and "
        f"{size.rounds * size.episodes} episodes of PPO; a tenth of the judgements is kept for evaluation. "
        f"Candidates are judged by gold on {size.judging} prompts, and these judgements are not counted. "
        "± and intervals are Student's, 95 %, over seeds.",
        "",
        f"![Gold by judgements, differences between arms, and labels by raters who err]({NAME}.svg)",
        "",
        *tables(study),
    ]
    (folder / f"{NAME}.md").write_text("\n".join(page) + "\n", "utf-8")


def tables(study: Study) -> list[str]:
    """The tables in Markdown, those that have rows."""
    found: list[str] = []
    if study.cells:
        head = ("arm", "seeds", "gold", "KL of the last round", "promoted", "over “rounds”", "ratio")
        found += ["## Arms", "", *_table(head, _arm_rows(study.cells)), "", *_headline(study.cells)]
        head = (
            "round",
            "judgements",
            "gold of the candidate",
            "win rate",
            "promoted",
            "accuracy on its slice",
        )
        found += ["## Rounds, pairs by chance", "", *_table(head, _round_rows(study.cells)), ""]
    if study.labels:
        shares = ", ".join(f"{spread:g}" for spread in SPREAD)
        found += [
            "## Raters who err",
            "",
            f"The same number of judgements in every row. A third of the raters each err {shares} times as "
            "often as the mean. “Labels right” is what the aggregation makes of the judgements; accuracy is "
            "the reward model's, on pairs of unseen answers.",
            "",
            *_table(LABEL_HEAD, _label_rows(study.labels)),
            "",
        ]
    return found[:-1]


def differences(cells: Sequence[Cell]) -> list[Difference]:
    """Every arm that is there over the base, in the order in which arms are listed."""
    names = dict.fromkeys(arm.name for part in ARMS.values() for arm in part if arm.name != BASE)
    return [found for name in names if (found := difference(cells, name, BASE))]


def spread(found: Interval) -> str:
    """The estimate and half the width of its interval, where there is one."""
    if math.isinf(found.high):
        return f"{found.estimate:.3f}"
    return f"{found.estimate:.3f} ± {found.high - found.estimate:.3f}"


def _headline(cells: Sequence[Cell]) -> Iterator[str]:
    """What rounds bring, in a sentence; nothing where there is nothing to hold them against."""
    found = difference(cells, BASE, ONCE)
    if found:
        yield (
            f"Rounds over {ONCE}: {spread(found.difference)} deviations, {found.ratio:.2f} times its gold, "
            f"over {found.seeds} {'seed' if found.seeds == 1 else 'seeds'}."
        )
        yield ""


def _arm_rows(cells: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    over = {one.arm: one for one in differences(cells)}
    for name in dict.fromkeys(one.arm for one in cells):
        mine = [one for one in cells if one.arm == name]
        gap = over.get(name)
        promoted = sum(one.promoted for cell in mine for one in cell.rounds)
        yield (
            name,
            str(len(mine)),
            spread(of_seeds([one.gold for one in mine])),
            spread(of_seeds([one.rounds[-1].kl_nats for one in mine])),
            f"{promoted} of {sum(len(one.rounds) for one in mine)}",
            spread(gap.difference) if gap else "",
            f"{gap.ratio:.2f}" if gap else "",
        )


def _round_rows(cells: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    mine = [one for one in cells if one.arm == BASE]
    for place in range(max((len(one.rounds) for one in mine), default=0)):
        rounds = [one.rounds[place] for one in mine if len(one.rounds) > place]
        yield (
            str(rounds[0].number),
            f"{mean(one.judgements for one in rounds):.0f}",
            spread(of_seeds([one.candidate for one in rounds])),
            spread(of_seeds([one.win_rate for one in rounds])),
            f"{sum(one.promoted for one in rounds)} of {len(rounds)}",
            spread(of_seeds([one.accuracy for one in rounds])),
        )


def _label_rows(cells: Sequence[LabelCell]) -> Iterator[tuple[str, ...]]:
    for error in ERRORS:
        for raters, aggregate in HOW:
            mine = [
                one for one in cells if (one.error, one.raters, one.aggregate) == (error, raters, aggregate)
            ]
            if mine:
                yield (
                    f"{error:g}",
                    HOW_NAMES[f"{raters} {aggregate}"],
                    str(mine[0].pairs),
                    spread(of_seeds([one.right for one in mine])),
                    spread(of_seeds([one.accuracy for one in mine])),
                    spread(gap) if (gap := label_gap(cells, error, f"{raters} {aggregate}", "1 raw")) else "",
                )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---", *("---:",) * (len(head) - 1)), *rows):
        yield "| " + " | ".join(row) + " |"
