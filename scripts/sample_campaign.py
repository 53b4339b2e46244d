"""The sample campaign of the feedback page, from what two policies of a demo run answered.

```
python -m rlhf.run stage=sample inputs.policy=sft-1 stage.policies=[ppo-1] stage.answers=1 stage.part=test
python scripts/sample_campaign.py runs/demo/sample-1/samples.jsonl
```

Writes feedback_ui/samples/en.jsonl and zh.jsonl: prompts to which the two said something different, each with
both answers, by turns of the families so that no two prompts in a row are alike. Where they came from is kept
by stage alone (sft, ppo), never by a path of the machine that they were made on.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "feedback_ui" / "samples"
LANGUAGES = ("en", "zh")

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files; 1 where the samples are too few."""
    options = _parser().parse_args(arguments)
    rows = [json.loads(line) for line in options.samples.read_text(encoding="utf-8").splitlines()]
    found = pairs(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        chosen = by_turns([row for row in found if row["language"] == language], options.count)
        if len(chosen) < options.count:
            print(
                f"{language}: {len(chosen)} pairs of different answers, wanted {options.count}",
                file=sys.stderr,
            )
            return 1
        path = options.out / f"{language}.jsonl"
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8"
        )
        print(f"{path}: {len(chosen)} prompts of {len({row['family'] for row in chosen})} families")
    return 0


def pairs(rows: Sequence[Row]) -> list[Row]:
    """A row a prompt to which two policies gave answers that end by themselves and differ."""
    by_prompt: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_prompt[row["key"]].append(row)
    made: list[Row] = []
    for same in by_prompt.values():
        texts = {row["response"] for row in same}
        if len(same) != 2 or len(texts) != 2 or any(row["finish"] != "eos" for row in same):
            continue
        first = same[0]
        made.append(
            {
                "prompt": first["prompt"],
                "responses": [_answer(row) for row in same],
                "language": first["fields"]["language"],
                "family": first["fields"]["family"],
            }
        )
    return made


def by_turns(rows: Sequence[Row], count: int) -> list[Row]:
    """`count` of them, the families one after the other."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        families[row["family"]].append(row)
    chosen: list[Row] = []
    while len(chosen) < count and any(families.values()):
        chosen += [own.pop(0) for own in families.values() if own]
    return chosen[:count]


def _answer(row: Row) -> Row:
    stage = Path(row["policy"]["run"]).name.partition("-")[0]
    kept = {name: row["sampling"][name] for name in ("temperature", "max_tokens")}
    return {"text": row["response"], "model": stage, "sampling": kept, "seed": row["seed"]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "samples", type=Path, metavar="SAMPLES", help="samples.jsonl of a run of stage=sample"
    )
    parser.add_argument("--count", type=int, default=30, help="prompts of each language (default: 30)")
    parser.add_argument("--out", type=Path, default=TARGET)
    return parser


if __name__ == "__main__":
    sys.exit(main())
