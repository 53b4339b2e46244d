"""Thumbs alone and scores alone: what a reward model learns from them on the embedded world.

The gold rater gives each answer of the world's pairs a thumb, and a score of 1 to 5, with the noise and the
liking for length that `rlhf.demo.raters` has: the answer's utility against the average one is

    u = gain * (gold - middle) + length_liking * (units - middle units, at most LENGTH_CAP) + logistic noise

a thumb is up where u > 0, and a score counts which of four cuts u passes. Every answer has noise of its own,
so two rated apart are told apart less often than in a pair. Held-out pairs, labelled as ever, measure.

`python scripts/thumbs_and_scores.py --seeds 0,1,2 --out docs/results` writes thumbs_and_scores.json, and
shows for each seed and objective the accuracy beside that of the better rule on length; it exits with 1 where
one is less than 10 points above. `--dry-run` writes the rated answers and prints the commands, and runs none.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.demo import world  # noqa: E402
from rlhf.demo.gold import gold  # noqa: E402
from rlhf.demo.raters import LENGTH_CAP, Rater  # noqa: E402
from rlhf.demo.wording import units  # noqa: E402
from rlhf.records import Preference, Prompt  # noqa: E402
from scripts.measuring.chains import ROOT as CHECKOUT  # noqa: E402
from scripts.measuring.chains import chain  # noqa: E402
from scripts.measuring.setting import setting_now  # noqa: E402

CUTS = (-2.0, -0.7, 0.7, 2.0)  # log-odds between the scores 1 to 5
OBJECTIVES = {"binary": "thumbs.jsonl", "regression": "scores.jsonl"}
WANTED = 0.10  # of accuracy, above the better rule on length


@dataclass(frozen=True)
class Middle:
    """The average answer: half are worth more than `gold`, half are longer than `length` units."""

    gold: float
    length: float


def main(words: Sequence[str] | None = None) -> int:
    """Measures, or shows what would be measured; 1 where a margin is missed."""
    options = _options().parse_args(words)
    rows: list[dict[str, Any]] = []
    setting = setting_now()
    for seed in (int(seed) for seed in options.seeds.split(",")):
        folder = options.work / f"seed-{seed}"
        write_ratings(folder, options.pairs, seed)
        commands = commands_for(folder, seed, options.sft_rows)
        if options.dry_run:
            print("\n".join("python -m rlhf.run " + " ".join(command) for command in commands))
            continue
        measured = chain(f"rated-{seed}", commands, options.work / "runs")
        if measured.failed:
            print(measured.failed, file=sys.stderr)
            return 1
        for number, objective in enumerate(OBJECTIVES, start=1):
            figures = measured.figures[f"rm-{number}"]
            row = {
                "seed": seed,
                "objective": objective,
                **{name: figures[name] for name in _SHOWN if name in figures},
            }
            rows.append(row | {"above_length": figures["accuracy"] - figures["length_accuracy"]})
            print(json.dumps(rows[-1]), flush=True)
    if options.dry_run:
        return 0
    result = {
        "setting": asdict(setting),
        "pairs": options.pairs,
        "wanted_above_length": WANTED,
        "rater": asdict(Rater()),
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "thumbs_and_scores.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["above_length"] >= WANTED for row in rows) else 1


_SHOWN = ("accuracy", "accuracy_low", "accuracy_high", "length_accuracy", "truth_accuracy", "ece")


def commands_for(folder: Path, seed: int, sft_rows: int) -> list[list[str]]:
    """SFT on the world, then a reward model for each objective; one model each, all prompts to it."""
    one_model = ["stage.validation_share=0", "stage.judge_share=0"]
    pairs = f"data.preferences={folder / 'pairs.jsonl'}"
    return [["stage=sft", f"seed={seed}", f"data.limit={sft_rows}"]] + [
        [
            "stage=rm",
            f"seed={seed}",
            f"stage.objective={objective}",
            f"data.scores={folder / name}",
            pairs,
            *one_model,
        ]
        for objective, name in OBJECTIVES.items()
    ]


def write_ratings(folder: Path, count: int, seed: int) -> None:
    """thumbs.jsonl and scores.jsonl with both answers of `count` pairs, and pairs.jsonl with the pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = world.preferences(count, seed)
    answers = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    utilities = list(noisy_utilities(answers, Random(f"{seed}/ratings")))
    thumbs = [
        _row(prompt) | {"completion": said, "label": u > 0}
        for (prompt, said), u in zip(answers, utilities, strict=True)
    ]
    scores = [
        _row(prompt) | {"completion": said, "score": score_of(u)}
        for (prompt, said), u in zip(answers, utilities, strict=True)
    ]
    compared = [_pair_row(pair) for pair in pairs]
    for name, rows in (("thumbs", thumbs), ("scores", scores), ("pairs", compared)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def noisy_utilities(answers: Sequence[tuple[Prompt, str]], rng: Random) -> Iterator[float]:
    """How good each answer looks to the rater, in nats, 0 for the average one."""
    worth = [gold(prompt, said).total for prompt, said in answers]
    lengths = [len(units(said)) for _, said in answers]
    middle, rater = Middle(median(worth), median(lengths)), Rater()
    for value, length in zip(worth, lengths, strict=True):
        longer = max(-LENGTH_CAP, min(LENGTH_CAP, length - middle.length))
        point = min(max(rng.random(), 1e-12), 1 - 1e-12)
        noise = math.log(point / (1 - point))
        yield rater.gain * (value - middle.gold) + rater.length_liking * longer + noise


def score_of(utility: float) -> int:
    """1 to 5."""
    return 1 + sum(utility > cut for cut in CUTS)


def _pair_row(pair: Preference) -> dict[str, Any]:
    of_the_pair = {name: pair.prompt.fields[name] for name in ("clean", "gold_margin")}
    return {**_row(pair.prompt), **of_the_pair, "chosen": pair.chosen, "rejected": pair.rejected}


def _row(prompt: Prompt) -> dict[str, Any]:
    assert not isinstance(prompt.content, str)
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.content]
    known = {name: value for name, value in prompt.fields.items() if name not in ("clean", "gold_margin")}
    return {**known, "prompt": turns}


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas")
    parser.add_argument("--pairs", type=int, default=12_000, help="pairs whose answers are rated")
    parser.add_argument("--sft-rows", type=int, default=6_000, help="demonstrations of SFT")
    parser.add_argument(
        "--work", type=Path, default=CHECKOUT / "runs" / "thumbs-and-scores", help="for runs and data"
    )
    parser.add_argument("--out", type=Path, default=CHECKOUT / "docs" / "results")
    parser.add_argument("--dry-run", action="store_true", help="write the data, print the commands, run none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
