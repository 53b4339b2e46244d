"""Peak memory of PPO with one LoRA base against four whole models, at 30M parameters.

`python scripts/bench_memory.py [--out docs/results]`. It makes a random model, trains a reward model on it
both ways (whole and as an adapter), and runs `stage=ppo` for a few iterations both ways, each in a process of
its own:

- full: policy and critic trained whole with Adam, reference and reward model beside them;
- lora: one frozen base carries adapters for policy, critic and reward; the reference is the base alone.

Peak memory is the kernel's high-water mark of the process's resident memory, less what a process holds that
has imported the same. Exits with 1 where the ratio is above 0.4.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.bench.contenders import QUIET, write_workload_apart  # noqa: E402
from scripts.bench.shapes import WORKLOADS, tiny  # noqa: E402
from scripts.measuring.setting import setting_now  # noqa: E402

WORKLOAD = "T"
LIMIT = 0.4
MIB = float(1 << 20)
FORMS = {
    "full": ("model.adapter=none", "stage.roles=separate"),
    "lora": ("model.adapter=lora", "stage.roles=shared"),
}
IMPORTS = "import stages.ppo, stages.ppo_setup, peft, trl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write down where that is asked for; 1 where the ratio is above the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see that everything runs")
    parser.add_argument("--out", help="folder for memory.json and memory.md")
    options = parser.parse_args(arguments)
    setting = asdict(setting_now())
    with tempfile.TemporaryDirectory() as folder:
        peaks = measure(Path(folder), options)
    ratio = peaks["lora"] / peaks["full"]
    found: dict[str, Any] = {"setting": setting, "peak_mib": peaks, "ratio": ratio, "limit": LIMIT}
    page = "\n".join(table(found))
    print(page)
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "memory.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (out / "memory.md").write_text(page + "\n", encoding="utf-8")
    return int(ratio > LIMIT)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Peak MiB of each form above what the imports take."""
    workload = folder / "workload"
    shape = tiny(WORKLOADS[WORKLOAD]) if options.tiny else WORKLOADS[WORKLOAD]
    write_workload_apart(WORKLOAD, options.tiny, workload, 0)
    pairs = folder / "pairs.jsonl"
    write_pairs(workload / "prompts.jsonl", pairs)
    imports = peak_bytes([sys.executable, "-c", IMPORTS], options.threads)
    peaks: dict[str, float] = {}
    for form, words in FORMS.items():
        common = [f"name={form}", f"runs_dir={folder}/runs", "trackers=[]", f"threads={options.threads}"]
        common += ["precision=fp32", f"inputs.policy={workload}/policy", words[0]]
        lesson = ["stage=rm", f"data.preferences={pairs}", "stage.epochs=1", "stage.batch_size=8"]
        peak_bytes(command(*lesson, *common), options.threads)
        ppo = ["stage=ppo", f"data.prompts={workload}/prompts.jsonl", words[1]]
        ppo += [f"inputs.reward_model={folder}/runs/{form}/rm-1", "stage.batch_size=64"]
        ppo += [f"stage.total_episodes={64 * options.iterations}", "stage.minibatch_size=16"]
        ppo += [f"stage.response_length={shape.response_limit}", "stage.temperature=1.0"]
        ppo += ["stage.eval_prompts=16"]
        peaks[form] = (peak_bytes(command(*ppo, *common), options.threads) - imports) / MIB
        print(f"{form}: {peaks[form]:.0f} MiB", file=sys.stderr, flush=True)
    return peaks


def command(*words: str) -> list[str]:
    """The command line of a stage."""
    return [sys.executable, "-m", "rlhf.run", *words]


def write_pairs(prompts: Path, pairs: Path, count: int = 128) -> None:
    """Preference pairs over the prompts: the answer with more capital letters is chosen."""
    with prompts.open(encoding="utf-8") as lines, pairs.open("w", encoding="utf-8") as file:
        for number, line in zip(range(count), lines, strict=False):
            answers = {"chosen": "ABCDEF"[: 2 + number % 5], "rejected": "abcdef"[: 2 + number % 4]}
            file.write(json.dumps({"prompt": json.loads(line)["prompt"], **answers}) + "\n")


def peak_bytes(words: Sequence[str], threads: int) -> float:
    """The most resident memory that a command held, or this process when it started it: so no torch here.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            end = said.read()[-3000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{end}")
    return float(usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024)


def table(found: dict[str, Any]) -> list[str]:
    """As Markdown."""
    setting, peaks = found["setting"], found["peak_mib"]
    where = f"{setting['commit'][:12]}, {setting['date'][:10]}, {setting['cpu']}"
    return [
        f"`python scripts/bench_memory.py` at {where}.",
        "",
        "| PPO at 30M parameters, float32 | peak memory above the imports, MiB |",
        "|---|---:|",
        f"| four whole models | {peaks['full']:.0f} |",
        f"| adapters on one base | {peaks['lora']:.0f} |",
        f"| ratio (at most {found['limit']}) | {found['ratio']:.2f} |",
    ]


if __name__ == "__main__":
    sys.exit(main())
