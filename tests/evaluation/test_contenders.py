"""Ways of improving a policy side by side, and the study that trained some of them."""

from pathlib import Path

import pytest
from evaluation_samples import answer

from rlhf.algos.statistics import Interval
from rlhf.errors import InputError
from rlhf.evaluation.contenders import contender, find_study, read_study
from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.panel import Marks
from rlhf.runs import Artifact, Experiment
from rlhf.runs.artifact import from_run

DRAWS = Draws(seed=0, resamples=200)
SAID = {
    "learning": {"reward_model": [], "forecast": None, "sft": []},
    "policies": [
        {"name": "dpo", "method": "dpo", "folder": "dpo", "seconds": 100.0},
        {
            "name": "best-of-16-sft",
            "method": "best-of-n-sft",
            "n": 16,
            "folder": "best_of_n_sft",
            "seconds": 9.5,
        },
    ],
}


def made(
    experiment: Experiment, stage: str, kind: str, identity: str, said: object = None, **inputs: Artifact
) -> Artifact:
    with experiment.open(stage, identity=identity, config={}, inputs=inputs) as run:
        if said is not None:
            run.write_json("study.json", said)
        manifest = run.finish(kind, metrics={"made": identity}, resolved={})  # type: ignore[arg-type]
        return from_run(stage, run.path, manifest)


def test_a_contender_by_hand() -> None:
    answers = [answer("p", "x", tokens=4), answer("q", "y", tokens=6)]
    marks = {"gold": Marks([1.0, 0.5], {"right": [1.0, 0.0]}), "reward": Marks([3.0, 5.0])}
    baseline = {"gold": Marks([0.0, 0.5]), "reward": Marks([4.0, 4.0])}
    found = contender("dpo", "dpo", answers, marks, baseline, DRAWS, kl=Interval(2.0, 1.0, 3.0), seconds=7.0)
    assert found.scores["gold"].estimate == 0.75
    assert found.win_rates["gold"].estimate == 0.75  # a win and a tie
    assert found.win_rates["reward"].estimate == 0.5
    assert found.right is not None
    assert found.right.estimate == 0.5
    assert found.length_tokens == 5.0
    assert (found.seconds, found.n, found.kl_bound_nats) == (7.0, None, None)


def test_takes_the_newest_study_of_this_policy_and_this_reward_model(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, "t")
    sft, other = (made(experiment, "sft", "policy", name) for name in ("one", "two"))
    rm = made(experiment, "rm", "reward_model", "rm", policy=sft)
    assert find_study(experiment, sft, rm) is None
    made(experiment, "study", "export", "older", SAID, policy=sft, reward_model=rm)
    newer = made(experiment, "study", "export", "newer", SAID, policy=sft, reward_model=rm)
    made(experiment, "study", "export", "another", SAID, policy=other, reward_model=rm)
    with experiment.open("study", identity="open", config={}, inputs={"policy": sft, "reward_model": rm}):
        pass  # unfinished
    found = find_study(experiment, sft, rm)
    assert found is not None
    assert found.path == newer.path
    assert find_study(experiment, sft, None) is None

    study = read_study(found)
    assert study.learning == SAID["learning"]
    dpo, best = study.policies
    assert (dpo.name, dpo.method, dpo.n, dpo.seconds) == ("dpo", "dpo", None, 100.0)
    assert (best.name, best.n, best.folder) == ("best-of-16-sft", 16, Path(newer.path) / "best_of_n_sft")


def test_no_study_leaves_nothing() -> None:
    assert read_study(None).policies == ()
    assert read_study(None).learning is None


def test_a_study_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, "t")
    study = made(experiment, "study", "export", "x", {"policies": [{"name": "dpo"}]})
    with pytest.raises(InputError, match=r"study\.json cannot be read(?s:.*)stage=study again"):
        read_study(study)
