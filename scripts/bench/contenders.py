"""Who runs, with what settings, and the processes they run in. No torch."""

import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from rlhf.config import PpoStage
from scripts.bench.cost import Rates
from scripts.bench.jobs import Job, Report, write_job
from scripts.bench.shapes import Workload

ROOT = Path(__file__).resolve().parents[2]
TRL, OURS, AUTO, DEFAULTS = "trl", "ours", "ours-auto", "ours-defaults"
SAYS = {
    TRL: "TRL 1.12.0",
    OURS: "rlhf, the same settings",
    AUTO: "rlhf, the same but precision=auto",
    DEFAULTS: "rlhf, its defaults",
}
BATCH_SIZE, MINIBATCHES, EPOCHS = 64, 4, 4
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


@dataclass(frozen=True)
class Settings:
    """What holds for all contenders."""

    device: str
    precision: str  # of both at equal settings
    threads: int
    trl: Path  # the interpreter that has TRL
    warmup: int = 1  # iterations
    learning_rate: float = 3e-6  # small: the distribution of lengths stays what it was made
    kl_coef: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class MachineRates:
    """As measured; FLOP/s in both precisions, bytes a second."""

    fp32: float
    bf16: float
    bytes: float

    def at(self, precision: str) -> Rates:
        """Those of one precision."""
        return Rates(self.bf16 if precision == "bf16" else self.fp32, self.bytes)


def contenders(settings: Settings) -> tuple[str, ...]:
    """Who is measured; ours in the precision of its choice too, where the comparison is in float32."""
    return (TRL, OURS, AUTO, DEFAULTS) if settings.precision == "fp32" else (TRL, OURS, DEFAULTS)


def job_of(contender: str, workload: Workload, folder: Path, settings: Settings, episodes: int) -> Job:
    """The job that measures so many episodes; our defaults set batch, minibatches, epochs and precision."""
    batch_size, minibatches, epochs, precision = BATCH_SIZE, MINIBATCHES, EPOCHS, settings.precision
    words: tuple[str, ...] = ()
    if contender == DEFAULTS:
        stage = PpoStage()
        batch_size, epochs, precision = stage.batch_size, stage.epochs, "auto"
        minibatches = stage.batch_size // stage.minibatch_size
    else:
        words = () if contender == TRL else equal_words()
        precision = "auto" if contender == AUTO else precision
    return Job(
        contender=contender,
        folder=str(folder),
        batch_size=batch_size,
        minibatches=minibatches,
        epochs=epochs,
        iterations=settings.warmup + math.ceil(episodes / batch_size),
        warmup=settings.warmup,
        response_limit=workload.response_limit,
        temperature=1.0,
        learning_rate=settings.learning_rate,
        kl_coef=settings.kl_coef,
        seed=settings.seed,
        threads=settings.threads,
        device=settings.device,
        precision=precision,
        words=words,
    )


def equal_words() -> tuple[str, ...]:
    """The options with which we do what TRL does: two whole models trained, the same batches and losses."""
    return (
        "model.adapter=none",
        "stage.roles=separate",
        f"stage.minibatch_size={BATCH_SIZE // MINIBATCHES}",
        f"stage.epochs={EPOCHS}",
        "stage.advantage=gae",
        "stage.samples_per_prompt=1",
        "stage.whiten_advantages=true",
        "stage.whiten_rewards=false",
        "stage.gamma=1.0",
        "stage.lam=0.95",
        "stage.clip=0.2",
        "stage.value_clip=0.2",
        "stage.value_coef=0.1",
        "stage.adam_eps=1e-5",
        "stage.missing_end=penalty",
        "stage.missing_end_score=1.0",
        "kl=fixed",
        "kl.estimator=k1",
    )


def run(job: Job, settings: Settings) -> Report:
    """One run in a process of its own.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    python, module = (
        (settings.trl, "scripts.bench.trl_contender")
        if job.contender == TRL
        else (Path(sys.executable), "scripts.bench.our_contender")
    )
    with tempfile.TemporaryDirectory() as folder:
        job_file, report_file = Path(folder, "job.json"), Path(folder, "report.json")
        write_job(job, job_file)
        _process(python, module, str(job_file), str(report_file), threads=job.threads)
        return Report.read(report_file)


def write_workload_apart(name: str, small: bool, folder: Path, seed: int) -> None:
    """Makes the workload in a process of its own, so that this one stays small."""
    words = (name, "tiny" if small else "real", str(folder), str(seed))
    _process(Path(sys.executable), "scripts.bench.workload", *words, threads=os.cpu_count() or 1)


def measure_machine(settings: Settings) -> MachineRates:
    """What the machine does now."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "rates.json")
        words = (str(out), settings.device, str(settings.threads))
        _process(Path(sys.executable), "scripts.bench.machine", *words, threads=settings.threads)
        return MachineRates(**json.loads(out.read_text(encoding="utf-8")))


def with_seed(settings: Settings, seed: int, learning_rate: float) -> Settings:
    """Settings of one learning curve."""
    return replace(settings, seed=seed, learning_rate=learning_rate)


def _process(python: Path, module: str, *words: str, threads: int) -> None:
    environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    command = [str(python), "-m", module, *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
