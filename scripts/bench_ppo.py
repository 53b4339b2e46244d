"""PPO here beside TRL 1.12.0's, the last that had it: the same models, prompts and settings, in turn.

`python scripts/bench_ppo.py`, or `make bench`. It makes an environment for TRL (see --cache) and prints
medians and ratios of episodes a second and peak memory, the time by part, and how far each is from what the
machine allows. `--curves` compares how both learn, `--leak` runs ours for long; docs/performance.md says what
the figures are. Exits with 1 where the runs did not do equal work.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.bench.checks import unequal_work  # noqa: E402
from scripts.bench.contenders import (  # noqa: E402
    BATCH_SIZE,
    OURS,
    TRL,
    MachineRates,
    Settings,
    contenders,
    job_of,
    measure_machine,
    run,
    with_seed,
    write_workload_apart,
)
from scripts.bench.curves import compare, draw  # noqa: E402
from scripts.bench.environment import trl_python  # noqa: E402
from scripts.bench.figures import Figures, Spread, figures_of, summarise  # noqa: E402
from scripts.bench.jobs import Job, Report  # noqa: E402
from scripts.bench.leak import growths  # noqa: E402
from scripts.bench.page import TABLES, page, put_between_marks  # noqa: E402
from scripts.bench.shapes import WORKLOADS, Workload, tiny  # noqa: E402
from scripts.measuring.setting import setting_now  # noqa: E402

CURVES = "S"  # the workload of learning curves and of --leak
LEAK_WARMUP = 10
LEARNING_RATE = 1e-4  # of the learning curves


@dataclass(frozen=True)
class Bench:
    """What the command asks for, ready to run."""

    options: argparse.Namespace
    settings: Settings
    folder: Path  # where workloads are written

    def workload(self, name: str) -> Workload:
        """The workload, in small where that is asked for."""
        return tiny(WORKLOADS[name]) if self.options.tiny else WORKLOADS[name]

    def written(self, name: str, seed: int = 0) -> Path:
        """The workload's folder, made at its first use."""
        folder = self.folder / f"{name}-{seed}"
        if not folder.exists():
            write_workload_apart(name, self.options.tiny, folder, seed)
        return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write down where that is asked for; 1 where the work was not equal."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(words)
    setting = asdict(setting_now())
    measured: dict[str, dict[str, Any]] = {}
    with ready(options) as bench:
        if options.curves:
            measured["curves"] = curves(bench)
        if options.leak:
            measured["leak"] = leak(bench)
        if not options.curves and not options.leak:
            measured["speed"] = speed(bench)
    for name, part in measured.items():
        part |= {"setting": setting, "command": shlex.join(["python", "scripts/bench_ppo.py", *words])}
        print("\n".join(TABLES[name](part)))
    if options.out:
        stem = "bench" if options.device == "cpu" else "bench-gpu"
        write_down(measured, Path(options.out), stem, Path(options.page) if options.page else None)
    return 1 if any(part["failed"] for part in measured.values()) else 0


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options; ends the program where they do not fit together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", help="of S, M, T, L with commas; default S,M, on a GPU S,M,L")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each contender, in turn")
    parser.add_argument("--episodes", type=int, help="measured in a run; default: the workload's own number")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="of both at equal settings; default fp32, on a GPU bf16"
    )
    parser.add_argument("--threads", type=int, default=cores(), help="of the CPU, for all")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see that everything runs")
    parser.add_argument("--curves", action="store_true", help="learning curves of both instead")
    parser.add_argument("--seeds", type=int, default=3, help="of --curves")
    parser.add_argument("--leak", action="store_true", help="ours over many iterations instead")
    parser.add_argument("--iterations", type=int, help="of --curves (default 100) and --leak (default 200)")
    parser.add_argument("--cache", default="~/.cache/rlhf-bench", help="where TRL's environment is kept")
    parser.add_argument("--trl-python", help="an interpreter that has TRL 1.12.0, instead of making one")
    parser.add_argument("--out", help="folder for bench.json and bench.md, on a GPU bench-gpu.*")
    parser.add_argument("--page", help="with --out: a page to put the tables of speed into")
    options = parser.parse_args(words)
    options.workloads = (options.workloads or ("S,M,L" if options.device == "cuda" else "S,M")).split(",")
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"--workloads {','.join(sorted(unknown))}: there are {', '.join(WORKLOADS)}")
    if options.page and not options.out:
        parser.error("--page needs --out, whose figures it shows")
    options.precision = options.precision or ("bf16" if options.device == "cuda" else "fp32")
    return options


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def ready(options: argparse.Namespace) -> Generator[Bench]:
    """Environment, settings, and a folder for the workloads that is removed in the end."""
    cache = Path(options.cache).expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    needed = not options.leak or options.curves
    python = Path(options.trl_python) if options.trl_python else trl_python(cache) if needed else Path()
    settings = Settings(options.device, options.precision, options.threads, python)
    folder = Path(tempfile.mkdtemp(prefix="workloads-", dir=cache))
    try:
        yield Bench(options, settings, folder)
    finally:
        shutil.rmtree(folder)


def speed(bench: Bench) -> dict[str, Any]:
    """All workloads, all contenders, in turn; the order is turned round from pair to pair."""
    part: dict[str, Any] = {"workloads": {}, "versions": {}, "failed": False}
    for name in bench.options.workloads:
        workload, folder = bench.workload(name), bench.written(name)
        whos = contenders(bench.settings)
        episodes = bench.options.episodes or workload.episodes
        jobs = {who: job_of(who, workload, folder, bench.settings, episodes) for who in whos}
        figures: dict[str, list[Figures]] = {who: [] for who in jobs}
        rates: list[MachineRates] = []
        unequal: list[str] = []
        for pair in range(bench.options.pairs):
            reports: dict[str, Report] = {}
            for who in list(jobs) if pair % 2 == 0 else list(jobs)[::-1]:
                rates.append(measure_machine(bench.settings))
                reports[who] = run(jobs[who], bench.settings)
                one = figures_of(reports[who], jobs[who], workload, rates[-1])
                figures[who].append(one)
                note(f"{name} {who}: {one.episodes_per_second:.2f} episodes/s, {one.peak_mib:.0f} MiB")
            unequal += unequal_work({who: reports[who] for who in jobs}, jobs, workload)
            part["versions"] |= versions(reports[TRL], reports[OURS])
        part["failed"] |= bool(unequal)
        part["workloads"][name] = {
            "name": name,
            "says": workload.says,
            "pairs": bench.options.pairs,
            "rates": {
                key: asdict(Spread.of([getattr(rate, key) for rate in rates]))
                for key in ("fp32", "bf16", "bytes")
            },
            "summary": [asdict(one) for one in summarise(figures)],
            "runs": {who: [asdict(one) for one in mine] for who, mine in figures.items()},
            "jobs": {who: shown(job) for who, job in jobs.items()},
            "unequal": sorted(set(unequal)),
        }
    return part


def curves(bench: Bench) -> dict[str, Any]:
    """TRL and ours on the same task from the same weights, seed by seed."""
    workload = bench.workload(CURVES)
    iterations = bench.options.iterations or 100
    found: dict[str, list[list[float]]] = {TRL: [], OURS: []}
    seen: dict[str, str] = {}
    unequal: list[str] = []
    for seed in range(bench.options.seeds):
        settings = with_seed(bench.settings, seed, LEARNING_RATE)
        episodes = (iterations - settings.warmup) * BATCH_SIZE
        folder = bench.written(CURVES, seed)
        jobs = {who: job_of(who, workload, folder, settings, episodes) for who in found}
        reports = {who: run(job, settings) for who, job in jobs.items()}
        unequal += unequal_work(reports, jobs, workload, trained=True)
        seen |= versions(reports[TRL], reports[OURS])
        for who, report in reports.items():
            found[who].append(report.scores)
            note(f"curve {who}, seed {seed}: {report.scores[0]:.3f} to {report.scores[-1]:.3f}")
    comparison = compare(found)
    return {
        "reached": dict(comparison.reached),
        "difference": comparison.difference,
        "standard_error": comparison.standard_error,
        "below": comparison.below,
        "episodes": iterations * BATCH_SIZE,
        "seeds": bench.options.seeds,
        "scores": found,
        "versions": seen,
        "unequal": sorted(set(unequal)),
        "failed": bool(unequal) or comparison.below,
    }


def leak(bench: Bench) -> dict[str, Any]:
    """Ours at the settings of the comparison, for many iterations."""
    workload, iterations = bench.workload(CURVES), bench.options.iterations or 200
    settings = bench.settings
    job = job_of(OURS, workload, bench.written(CURVES), settings, (iterations - settings.warmup) * BATCH_SIZE)
    report = run(job, settings)
    report.warmup = min(LEAK_WARMUP, iterations // 2)
    found = growths(report)
    return {
        "workload": CURVES,
        "iterations": iterations,
        "growth": {name: asdict(one) for name, one in found.items()},
        "rss": report.rss,
        "seconds": [sum(lap.values()) for lap in report.seconds],
        "versions": report.versions,
        "failed": any(one.low > 0.01 for one in found.values()),
    }


def versions(trl: Report, ours: Report) -> dict[str, str]:
    """Ours as they are, TRL's own where they differ."""
    apart = {f"{name} (beside TRL)": it for name, it in trl.versions.items() if ours.versions.get(name) != it}
    return {**ours.versions, **apart}


def shown(job: Job) -> dict[str, Any]:
    """A job without this machine's paths."""
    return {key: value for key, value in asdict(job).items() if key != "folder"}


def write_down(measured: dict[str, dict[str, Any]], out: Path, stem: str, into: Path | None) -> None:
    """STEM.json with these parts new and the others as they were, STEM.md from it, picture and page."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{stem}.json"
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    record |= measured
    if "curves" in measured:
        measured["curves"]["picture"] = f"{stem}-curves.svg"
        draw(measured["curves"]["scores"], out / measured["curves"]["picture"])
    file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(page(record), encoding="utf-8")
    note(f"written: {out / stem}.md")
    if into and "speed" in measured:
        put_between_marks(into, list(TABLES["speed"](measured["speed"])))
        note(f"written: the figures in {into}")


def note(text: str) -> None:
    """Progress, beside the tables."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
