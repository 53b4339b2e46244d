"""Does Dawid-Skene make of several raters' votes what can be made of them?

`python scripts/check_aggregation.py [--seeds 0,1,...] [--pairs 3000] [--out docs/results]`

Thirty raters of known skill judge made pairs, three raters a pair, in three populations: of mixed skill,
with some who say the opposite of what is right, and all alike. How often majority, Dawid-Skene and weights
that know the true skills find the better answer, and how near the skills are recovered; means over seeds.
The exit code is 1 where a promise is not kept: within 0.5 points of the true skills' weights, skills within
0.03 on average, and with raters all alike at most 0.3 points below majority. The promises are of 3,000 pairs,
300 judgements a rater; with another number the table is printed and nothing is held against it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy.special import logit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.crowd import Judgement, dawid_skene, majority  # noqa: E402
from scripts.measuring.setting import Setting, setting_now  # noqa: E402

POPULATIONS = {
    "mixed": (0.9,) * 12 + (0.7,) * 12 + (0.5,) * 6,
    "adversarial": (0.9,) * 12 + (0.7,) * 12 + (0.2,) * 6,
    "equal": (0.75,) * 30,
}
RATERS_A_PAIR = 3
PROMISED_PAIRS = 3000
BELOW_KNOWN = 0.005  # shares of pairs
BELOW_MAJORITY = 0.003
SKILL_ERROR = 0.03


@dataclass(frozen=True)
class Line:
    """One population, one seed. Shares of pairs whose better answer was found; an undecided one is half."""

    population: str
    seed: int
    pairs: int
    single: float  # judgements that are right, one by one
    majority: float
    weak_prior: float  # Dawid-Skene with two pseudo-judgements right and one wrong for each rater
    dawid_skene: float
    known_skills: float
    skill_error: float  # mean |estimated - true| over raters
    held: float  # share of raters whose 95 % interval holds the true skill


@dataclass(frozen=True)
class Summary:
    """Means over seeds; gaps in shares of pairs, with their deviation between seeds."""

    population: str
    pairs: int
    seeds: int
    single: float
    majority: float
    weak_prior: float  # Dawid-Skene with two pseudo-judgements right and one wrong for each rater
    dawid_skene: float
    known_skills: float
    below_known: float
    below_known_deviation: float
    below_majority: float
    skill_error: float
    held: float

    @property
    def short(self) -> str:
        """Which promises are not kept; nothing where all are, and where none is made."""
        problems: list[str] = []
        if self.pairs != PROMISED_PAIRS:
            return ""
        if self.below_known > BELOW_KNOWN:
            problems.append(f"{100 * self.below_known:.2f} points below the true skills' weights")
        if self.skill_error > SKILL_ERROR:
            problems.append(f"skills are off by {self.skill_error:.4f} on average")
        if self.population == "equal" and self.below_majority > BELOW_MAJORITY:
            problems.append(f"{100 * self.below_majority:.2f} points below majority")
        return "; ".join(problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures all populations, prints a table; 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0,1,2,3,4,5,6,7")
    parser.add_argument("--pairs", type=int, default=PROMISED_PAIRS, help="a multiple of 10")
    parser.add_argument("--out", type=Path, help="a folder for aggregation.json and aggregation.md")
    asked = parser.parse_args(arguments)
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    lines = [measure(name, seed, asked.pairs) for name in POPULATIONS for seed in seeds]
    summaries = [summarise([line for line in lines if line.population == name]) for name in POPULATIONS]
    print("\n".join(table(summaries)))
    if asked.out:
        write_down(asked.out, setting_now(), lines, summaries)
    for summary in summaries:
        if summary.short:
            print(f"{summary.population}: {summary.short}", file=sys.stderr)
    return 1 if any(summary.short for summary in summaries) else 0


def measure(population: str, seed: int, num_pairs: int) -> Line:
    """Draws what is true and what raters say of it, and asks everybody.

    Raises ValueError where the raters cannot be dealt evenly.
    """
    skills_R = np.array(POPULATIONS[population])
    a_deal = len(skills_R) // RATERS_A_PAIR
    if num_pairs <= 0 or num_pairs % a_deal:
        raise ValueError(
            f"--pairs={num_pairs} must be a multiple of {a_deal}, so that raters judge as many each"
        )
    rng = np.random.default_rng(seed)
    deals = [rng.permutation(len(skills_R)) for _ in range(num_pairs // a_deal)]
    rater_NM = np.concatenate(deals).reshape(num_pairs, RATERS_A_PAIR)
    first_better_N = rng.random(num_pairs) < 0.5
    right_NM = rng.random(rater_NM.shape) < skills_R[rater_NM]
    says_first_NM = right_NM == first_better_N[:, None]
    judgements = [
        Judgement(f"{n:05d}", f"{r:02d}", "first" if says_first else "second")
        for n in range(num_pairs)
        for r, says_first in zip(rater_NM[n].tolist(), says_first_NM[n].tolist(), strict=True)
    ]
    votes = majority(judgements, labels=("first", "second"))
    found = dawid_skene(judgements, labels=("first", "second"))
    weak = dawid_skene(judgements, labels=("first", "second"), skill_prior=(2, 1))
    log_odds_N = (logit(skills_R)[rater_NM] * np.where(says_first_NM, 1, -1)).sum(axis=1)
    estimate_R = np.array([skill.estimate for skill in found.skills.values()])
    intervals = zip(found.skills.values(), skills_R, strict=True)
    return Line(
        population,
        seed,
        num_pairs,
        single=float(right_NM.mean()),
        majority=_right([vote.shares["first"] - 0.5 for vote in votes.values()], first_better_N),
        weak_prior=_right([row["first"] - 0.5 for row in weak.posterior.values()], first_better_N),
        dawid_skene=_right([row["first"] - 0.5 for row in found.posterior.values()], first_better_N),
        known_skills=_right(np.round(log_odds_N, 9), first_better_N),
        skill_error=float(np.abs(estimate_R - skills_R).mean()),
        held=mean(float(interval.low <= skill <= interval.high) for interval, skill in intervals),
    )


def _right(leaning: Sequence[float] | np.ndarray, first_better_N: np.ndarray) -> float:
    """The share found right by a number above 0 for the first, below for the second; 0 is half."""
    towards_N = np.sign(leaning) * np.where(first_better_N, 1, -1)
    return float((towards_N > 0).mean() + (towards_N == 0).mean() / 2)


def summarise(lines: Sequence[Line]) -> Summary:
    """One population's lines as means."""
    gaps = [line.known_skills - line.dawid_skene for line in lines]
    return Summary(
        population=lines[0].population,
        pairs=lines[0].pairs,
        seeds=len(lines),
        single=mean(line.single for line in lines),
        majority=mean(line.majority for line in lines),
        weak_prior=mean(line.weak_prior for line in lines),
        dawid_skene=mean(line.dawid_skene for line in lines),
        known_skills=mean(line.known_skills for line in lines),
        below_known=mean(gaps),
        below_known_deviation=stdev(gaps) if len(gaps) > 1 else 0.0,
        below_majority=mean(line.majority - line.dawid_skene for line in lines),
        skill_error=mean(line.skill_error for line in lines),
        held=mean(line.held for line in lines),
    )


def table(summaries: Sequence[Summary]) -> list[str]:
    """A row a population, in Markdown."""
    head = (
        "raters", "one judgement", "majority of three", "weak prior", "Dawid–Skene", "true skills",
        "points below true skills", "points below majority", "skill error", "intervals that hold", "",
    )  # fmt: skip
    rows = [head, ("---", *("---:",) * 9, "---")]
    for summary in summaries:
        rows.append(
            (
                summary.population,
                f"{summary.single:.4f}",
                f"{summary.majority:.4f}",
                f"{summary.weak_prior:.4f}",
                f"{summary.dawid_skene:.4f}",
                f"{summary.known_skills:.4f}",
                f"{100 * summary.below_known:.2f} ± {100 * summary.below_known_deviation:.2f}",
                f"{100 * summary.below_majority:.2f}",
                f"{summary.skill_error:.4f}",
                f"{summary.held:.3f}",
                summary.short,
            )
        )
    return ["| " + " | ".join(row) + " |" for row in rows]


def write_down(folder: Path, setting: Setting, lines: Sequence[Line], summaries: Sequence[Summary]) -> None:
    """aggregation.json for programs, aggregation.md for people."""
    num_pairs = summaries[0].pairs
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "part": "aggregation",
        "setting": asdict(setting),
        "lines": [asdict(line) for line in lines],
        "summaries": [asdict(summary) for summary in summaries],
    }
    (folder / "aggregation.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    dirty = " with uncommitted changes" if setting.dirty else ""
    page = [
        "# Measured: aggregation",
        "",
        f"Made by `python scripts/check_aggregation.py --pairs {num_pairs} --out docs/results` on "
        f"{setting.date}, commit `{setting.commit[:12]}`{dirty}.",
        "",
        f"{num_pairs} pairs, {RATERS_A_PAIR} of 30 raters each; means over {summaries[0].seeds} seeds, ± the "
        "deviation of the difference between seeds. Shares of pairs whose better answer was found; skill "
        "error is the mean of |estimated − true| over raters. “Weak prior” is Dawid–Skene that does not pool "
        "what the raters have in common. What the last column says falls short.",
        "",
        *table(summaries),
        "",
        *(f"- {name}: {_said(skills)}" for name, skills in POPULATIONS.items()),
    ]
    (folder / "aggregation.md").write_text("\n".join(page) + "\n", "utf-8")


def _said(skills: Sequence[float]) -> str:
    return ", ".join(
        f"{skills.count(skill)} raters right {skill:.0%} of the time" for skill in dict.fromkeys(skills)
    )


if __name__ == "__main__":
    sys.exit(main())
