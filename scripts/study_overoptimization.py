"""When does more of the learnt reward stop being more of the real one, and what helps?

`python scripts/study_overoptimization.py [--pairs 1000,...] [--betas 0,...] [--seeds 0,1,2] [--out DIR]
[key=value ...]`, or `make overoptimization`.

The synthetic setting of Gao et al. 2022, "Scaling laws for reward model overoptimization", in small: a gold
rater labels pairs of the SFT policy's answers, a reward model learns from them, and best-of-n and PPO
maximise it. How well reward models of more and more pairs agree with gold; gold and learnt reward against
d = sqrt(KL), with the forms that Gao et al. found; ensembles of reward models; and whether the policy that
the product's rule picks, which does not see gold, keeps up with best-of-16.

All of it is `python -m rlhf.run`, in runs/overoptimization; what has run to its end is not run again. Written
to DIR: overoptimization.md, .json and .svg. The exit code is 1 where a line falls short of what is promised.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.training.machine import quiet_libraries  # noqa: E402
from scripts.measuring.setting import setting_now  # noqa: E402
from scripts.overoptimization.measure import Study, measure  # noqa: E402
from scripts.overoptimization.page import curve_name, tables, write_down  # noqa: E402
from scripts.overoptimization.runs import SIZES, Commands, run_seed  # noqa: E402

N = TypeVar("N")
WANTED_R2 = {"best-of-n": 0.99, "rl": 0.97}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, measures and writes down seed by seed; 1 where a line falls short."""
    asked = parser().parse_args(arguments)
    quiet_libraries()
    setting, study = setting_now(), Study((), (), ())
    for seed in numbers(asked.seeds, int):
        commands = Commands(asked.runs.resolve() / f"seed-{seed}", seed, SIZES[asked.size], asked.options)
        runs = run_seed(
            commands,
            pairs=numbers(asked.pairs, int),
            policy_pairs=asked.policy_pairs,
            betas=numbers(asked.betas, float),
            ensemble_betas=numbers(asked.ensemble_betas, float),
        )
        study += measure(commands, runs)
        if asked.out:  # what an interruption leaves is whole
            write_down(asked.out, setting, said(asked), study)
        print("\n".join(tables(study)), flush=True)
    problems = list(shortfalls(study))
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--pairs", default="1000,2000,4000,8000,16000", help="that reward models learn from")
    found.add_argument("--policy-pairs", type=int, default=8000, help="of the reward model of PPO")
    found.add_argument("--betas", default="0,0.1,0.4,1", help="kl.coef of PPO on one reward model")
    found.add_argument("--ensemble-betas", default="0,0.4", help="kl.coef of PPO on ensembles; may be empty")
    found.add_argument("--seeds", default="0,1,2")
    found.add_argument("--size", choices=sorted(SIZES), default="full", help="tiny shows that it runs")
    found.add_argument("--runs", type=Path, default=ROOT / "runs" / "overoptimization")
    found.add_argument("--out", type=Path, help="a folder for overoptimization.md, .json and .svg")
    found.add_argument(
        "options",
        nargs="*",
        metavar="key=value",
        help="for every stage; STAGE:key=value for one, as in rm:stage.epochs=2",
    )
    return found


def numbers(words: str, kind: Callable[[str], N]) -> list[N]:
    """Numbers between commas."""
    return [kind(word) for word in words.split(",") if word]


def said(asked: argparse.Namespace) -> str:
    """The command, without places of this machine."""
    lists = ("pairs", "policy_pairs", "betas", "ensemble_betas", "seeds", "size")
    words = [f"--{name.replace('_', '-')} {getattr(asked, name) or chr(34) * 2}" for name in lists]
    return " ".join(["python scripts/study_overoptimization.py", *words, *asked.options])


def shortfalls(study: Study) -> Iterator[str]:
    """Which of the promises are not kept, a line each."""
    for curve in study.curves:
        if curve.fit.r2 < WANTED_R2[curve.form]:
            yield (
                f"seed {curve.seed}, {curve_name(curve)}: R² {curve.fit.r2:.4f} is below "
                f"{WANTED_R2[curve.form]:g}"
            )
    for picked in study.picked:
        if picked.gold < picked.best_of_16:
            yield (
                f"seed {picked.seed}: the policy picked has gold {picked.gold:.3f}, below best of 16 with "
                f"{picked.best_of_16:.3f}"
            )


if __name__ == "__main__":
    sys.exit(main())
