"""The long measurements, written to docs/results/<part>.md and .json with what they were measured on.

`python scripts/acceptance.py demo|hacked|methods|real|kill [--seeds 0,1,2]`, or `make acceptance[-PART]`.

demo: the whole chain on the embedded world, a seed at a time. hacked: PPO driven on at kl.coef=0, and what
the report says of it. methods: other estimators and an ensemble, from the same SFT policy. real: pretrained
weights, human preferences and Chinese text from ../shared/data, left out where that is absent. kill: the
tests that kill training at random moments and compare what it ends as. Runs go to runs/acceptance/<commit>/,
so that an interrupted measurement goes on; with uncommitted changes they begin anew.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.measuring.chains import REAL_DATA, Measured, chain  # noqa: E402
from scripts.measuring.methods import hacked, hacked_table, methods, methods_table  # noqa: E402
from scripts.measuring.setting import Setting, setting_now  # noqa: E402

RESULTS = ROOT / "docs" / "results"
SHORT = (
    "data.limit=1500",
    "stage.ppo.total_episodes=256",
    "stage.ppo.batch_size=64",
    "stage.ppo.minibatch_size=16",
    "stage.ppo.epochs=2",
    "stage.ppo.eval_prompts=32",
    "stage.ppo.eval_every=2",
)
COUNTED = ("tests", "failures", "errors", "skipped")
DEMO_HEAD = {
    "en": (
        "seed", "gold: PPO wins over SFT", "95 % interval", "right, SFT → PPO", "gold, SFT → PPO",
        "gold, best of 16", "KL, nats", "reward model right", "length alone", "minutes",
    ),
    "zh": (
        "种子", "金标准：PPO 胜 SFT", "95 % 区间", "正确率 SFT → PPO", "金标准分 SFT → PPO",
        "16 选 1 的金标准分", "KL（nat）", "奖励模型正确率", "仅看长度", "分钟",
    ),
}  # fmt: skip
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}
TABLE_BEGINS, TABLE_ENDS = "<!-- table of make acceptance-demo -->", "<!-- end of the table -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one part and write it down; 1 where something failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--seeds", default="0,1,2,3,4", help="of part demo; real takes the first")
    options = parser.parse_args(arguments)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    setting = setting_now()
    runs_dir = ROOT / "runs" / "acceptance" / (setting.commit[:12] + ("-dirty" if setting.dirty else ""))
    if setting.dirty:
        shutil.rmtree(runs_dir, ignore_errors=True)
    measured = PARTS[options.part](seeds, runs_dir)
    write_down(options.part, setting, measured)
    failed = [item for item in measured if item.failed]
    for item in failed:
        print(f"{item.name}: {item.failed}", file=sys.stderr)
    return 1 if failed else 0


def demo(seeds: Sequence[int], runs_dir: Path) -> list[Measured]:
    """The embedded world: the gold rater has to prefer PPO to its SFT parent on four prompts of five."""
    measured: list[Measured] = []
    for seed in seeds:
        name = f"demo-seed-{seed}"
        item = chain(name, [["stage=all", f"seed={seed}"]], runs_dir)
        short = "; ".join(shortfalls(item.figures)) if not item.failed else ""
        if short:
            item = replace(item, failed=short)
        measured.append(item)
    print("\n".join(demo_table(measured)))
    return measured


def shortfalls(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Which of the demo's promises its figures do not keep."""
    found, model = figures["eval-1"], figures["rm-1"]
    if found["gold_win_rate"] < 0.8 or found["gold_win_rate_low"] <= 0.7:
        yield f"gold win rate {found['gold_win_rate']:.1%}, from {found['gold_win_rate_low']:.1%}"
    if found["kl_nats"] >= 20:
        yield f"KL {found['kl_nats']:.1f} nats"
    if found["right_policy"] <= found["right_baseline"]:
        yield f"right fell from {found['right_baseline']:.1%} to {found['right_policy']:.1%}"
    if model["accuracy"] - model["length_accuracy"] < 0.1:
        yield f"reward model {model['accuracy']:.1%}, length alone {model['length_accuracy']:.1%}"
    if found["gold_policy"] < found["best-of-16_gold"]:
        yield f"gold {found['gold_policy']:.3f}, below best of 16 with {found['best-of-16_gold']:.3f}"


def demo_table(measured: Sequence[Measured], language: str = "en") -> list[str]:
    """A row a seed in Markdown, as the README shows it; only of what ran to its end."""
    head = DEMO_HEAD[language]
    rows = [head, ("---:",) * len(head)]
    for item in measured:
        if item.failed and "eval-1" not in item.figures:
            continue
        found, model = item.figures["eval-1"], item.figures["rm-1"]
        rows.append(
            (
                item.name.rpartition("-")[2],
                f"{found['gold_win_rate']:.1%}",
                f"{found['gold_win_rate_low']:.1%} to {found['gold_win_rate_high']:.1%}",
                f"{found['right_baseline']:.1%} → {found['right_policy']:.1%}",
                f"{found['gold_baseline']:.3f} → {found['gold_policy']:.3f}",
                f"{found['best-of-16_gold']:.3f}",
                f"{found['kl_nats']:.2f}",
                f"{model['accuracy']:.1%}",
                f"{model['length_accuracy']:.1%}",
                f"{item.seconds / 60:.1f}",
            )
        )
    return ["| " + " | ".join(row) + " |" for row in rows]


def real(seeds: Sequence[int], runs_dir: Path) -> list[Measured]:
    """Pretrained weights and people's data: that it runs, and what it reaches with so small a model."""
    if not REAL_DATA.is_dir():
        print(f"real: left out, there is no {REAL_DATA}")
        return []
    data = REAL_DATA
    common = ["stage=all", f"model.path={data / 'stories260K'}", f"seed={seeds[0]}", *SHORT]
    people = f"{data / 'hh-rlhf'}"
    english = [f"data.demonstrations={data / 'tinystories' / 'train_2MiB.txt'}", f"data.preferences={people}"]
    chinese = [
        f"data.demonstrations={data / 'oasst-zh' / 'oaast_sft_zh.json'}",
        f"data.preferences={data / 'oasst-zh' / 'oaast_rm_zh.json'}",
    ]
    return [
        chain("hh-rlhf", [[*common, *english, f"data.prompts={people}"]], runs_dir),
        chain("oasst-zh", [[*common, *chinese]], runs_dir),
    ]


def kill(seeds: Sequence[int], runs_dir: Path) -> list[Measured]:
    """kill -9 at random moments and the same command again, until it is done: the same to the bit."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = ["-m", "pytest", "-m", "slow", "-k", "kill", "-q", f"--junitxml={report}"]
        began = time.monotonic()
        code = subprocess.run([sys.executable, *words], cwd=ROOT).returncode
        seconds = time.monotonic() - began
        suite = ElementTree.parse(report).getroot()[0] if report.exists() else None
    counts = {} if suite is None else {key: float(suite.get(key, 0)) for key in COUNTED}
    failed = f"pytest ended with {code}" if code else None
    return [Measured("kill", ["python -m pytest -m slow -k kill"], seconds, failed, {"tests": counts})]


PARTS: dict[str, Callable[[Sequence[int], Path], list[Measured]]] = {
    "demo": demo,
    "hacked": hacked,
    "methods": methods,
    "real": real,
    "kill": kill,
}
TABLES = {"demo": demo_table, "hacked": hacked_table, "methods": methods_table}


def write_down(part: str, setting: Setting, measured: Sequence[Measured]) -> None:
    """docs/results/<part>.json for programs, .md for people."""
    if not measured:
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {"part": part, "setting": asdict(setting), "experiments": [asdict(item) for item in measured]}
    (RESULTS / f"{part}.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    page = "\n".join(_page(part, setting, measured))
    (RESULTS / f"{part}.md").write_text(page + "\n", "utf-8")
    print(f"written: docs/results/{part}.md")
    if part == "demo":
        for language, name in READMES.items():
            put_table(ROOT / name, demo_table(measured, language))


def put_table(readme: Path, table: Sequence[str]) -> None:
    """Puts the table between its marks in a README."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(TABLE_BEGINS)
    _, _, after = rest.partition(TABLE_ENDS)
    if after:
        text = "\n".join([before + TABLE_BEGINS, *table, TABLE_ENDS])
        readme.write_text(text + after, encoding="utf-8")
        print(f"written: the table in {readme.name}")


def _page(part: str, setting: Setting, measured: Sequence[Measured]) -> list[str]:
    dirty = " with uncommitted changes" if setting.dirty else ""
    versions = ", ".join(f"{name} {number}" for name, number in setting.packages.items())
    machine = f"{setting.cores} cores of {setting.cpu}, {setting.memory_gib} GiB"
    lines = [
        f"# Measured: {part}",
        "",
        f"Made by `make acceptance-{part}` on {setting.date}, commit `{setting.commit[:12]}`{dirty}.",
        f"{machine}, {setting.gpu or 'no GPU'}; load {setting.load_before} before. "
        f"Python {setting.python}, {versions}.",
    ]
    if part in TABLES:
        lines += ["", *TABLES[part](measured)]
    for item in measured:
        lines += ["", f"## {item.name}", ""]
        lines += [f"    {command}" for command in item.commands]
        lines += [
            "",
            f"{item.seconds:.0f} s in all. " + (f"Failed: {item.failed}" if item.failed else "Passed."),
        ]
        for run, figures in item.figures.items():
            lines += ["", f"| {run} | |", "|---|---:|"]
            lines += [f"| {key} | {value:.6g} |" for key, value in figures.items()]
    return lines


if __name__ == "__main__":
    sys.exit(main())
