"""The newest policy of an experiment with a loop is its incumbent, not a candidate that was kept back."""

from datetime import UTC, datetime
from pathlib import Path

from made_runs import make_policy

from rlhf.runs import Experiment
from rlhf.runs.loop_record import LoopRecord, PolicyEntry, RoundRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(label: str, run: str) -> PolicyEntry:
    return PolicyEntry(label=label, run=Path(run).name, fingerprint=run)


def round_of(number: int, candidate: str) -> RoundRecord:
    return RoundRecord(
        number=number, incumbent="sft", strategy="random", budget=1, raters_per_item=1, campaign="c",
        candidate=entry(f"round-{number}", candidate), started=NOW,
    )  # fmt: skip


def newest(folder: Path) -> str:
    return Path(Experiment(folder, "made").resolve("policy", stage="eval").path).name


def test_a_candidate_that_was_kept_back_is_not_taken(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, "made")
    sft, first, second = (
        make_policy(tmp_path, stage, seed=n) for n, stage in enumerate(("sft", "ppo", "ppo"))
    )
    assert newest(tmp_path) == Path(second).name
    rounds = [round_of(1, first), round_of(2, second)]
    with experiment.open("loop", identity="l", config={}) as run:
        for incumbent, expected in ((sft, sft), (first, first), (second, second), (sft, sft)):
            record = LoopRecord(experiment="made", incumbent=entry("x", incumbent), rounds=rounds)
            run.write_text("loop.json", record.model_dump_json())
            assert newest(tmp_path) == Path(expected).name
    alone = make_policy(tmp_path, "ppo", seed=3)  # made by itself, after the loop
    assert newest(tmp_path) == Path(alone).name
    named = experiment.resolve("policy", Path(second).name, stage="eval")
    assert named.path.endswith(Path(second).name)
