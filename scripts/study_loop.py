"""What do rounds bring, which pairs should people be asked about, and how many raters a pair?

`python scripts/study_loop.py [--parts a,b,c,d] [--seeds 0,1,2,3,4] [--size tiny] [--out DIR]
[key=value ...]`, or `make loop-study`.

(a) rounds against one shot, at equal numbers of judgements and of PPO's episodes; (b) each strategy against
pairs by chance; (c) raters who err, one or three a pair, majority against Dawid-Skene, by their labels;
(d) rounds against a stream, whose first step is a round as well. Parts (a), (b) and (d) are the real loop,
`python -m rlhf.run stage=loop`, on the world of `scripts/study_overoptimization.py`: it waits for people, and
raters who know gold stand in for them, through the feedback store. Further `key=value` are of the loop's
command.

A cell is one arm and one seed. It lies in runs/loop_study, is run once, and goes on where it was stopped.
Seeds go through all parts in turn: (a) takes all of them, the others the first three. Written to DIR after
each cell: loop_study.md, .json and .svg. The exit code is 1 where rounds fall short of what is promised.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.training.machine import quiet_libraries  # noqa: E402
from scripts.loop_study.arms import ARMS, SIZES  # noqa: E402
from scripts.loop_study.cells import Cell, World, cell  # noqa: E402
from scripts.loop_study.differences import shortfalls  # noqa: E402
from scripts.loop_study.labels import ERRORS, HOW, LabelCell, label_cell  # noqa: E402
from scripts.loop_study.page import Study, tables, write_down  # noqa: E402
from scripts.measuring.setting import setting_now  # noqa: E402

FURTHER_SEEDS = 3  # of the parts after (a)
LABELS = "c"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs cell by cell, writes down after each; 1 where a promise is not kept."""
    asked = parser().parse_args(arguments)
    quiet_libraries()
    setting, study = setting_now(), Study()
    for found in cells(asked):
        if isinstance(found, LabelCell):
            study = replace(study, labels=(*study.labels, found))
        elif found not in study.cells:  # the base of (b) and (d) is that of (a)
            study = replace(study, cells=(*study.cells, found))
        if asked.out:
            write_down(asked.out, setting, said(asked), study, SIZES[asked.size])
    print("\n".join(tables(study)), flush=True)
    problems = list(shortfalls(study.cells))
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


def cells(asked: argparse.Namespace) -> Iterator[Cell | LabelCell]:
    """Every cell that is asked for, as it is finished."""
    parts: list[str] = asked.parts.split(",")
    for number, seed in enumerate(int(seed) for seed in asked.seeds.split(",")):
        world = World(asked.runs.resolve() / f"seed-{seed}", seed, SIZES[asked.size], asked.options)
        for part in parts:
            if number >= FURTHER_SEEDS and part != "a":
                continue
            if part == LABELS:
                yield from (label_cell(world, error, *how) for error in ERRORS for how in HOW)
            else:
                yield from (cell(world, arm) for arm in ARMS[part])


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--parts", default=",".join((*ARMS, LABELS)), type=_parts, help="of a, b, c, d")
    found.add_argument("--seeds", default="0,1,2,3,4")
    found.add_argument("--size", choices=sorted(SIZES), default="full", help="tiny shows that it runs")
    found.add_argument("--runs", type=Path, default=ROOT / "runs" / "loop_study")
    found.add_argument("--out", type=Path, help="a folder for loop_study.md, .json and .svg")
    found.add_argument("options", nargs="*", metavar="key=value", help="for the loop")
    return found


def said(asked: argparse.Namespace) -> str:
    """The command, without places of this machine."""
    words = [f"--{name} {getattr(asked, name)}" for name in ("parts", "seeds", "size")]
    return " ".join(["python scripts/study_loop.py", *words, *asked.options])


def _parts(words: str) -> str:
    unknown = set(words.split(",")) - {*ARMS, LABELS}
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: there are {', '.join((*ARMS, LABELS))}"
        )
    return words


if __name__ == "__main__":
    sys.exit(main())
