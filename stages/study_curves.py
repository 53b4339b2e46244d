"""The two learning curves of a study: what fewer pairs and fewer demonstrations would have given."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from rlhf.algos.statistics import bootstrap_mean
from rlhf.errors import DataError
from rlhf.evaluation.learning import forecast_accuracy, nested
from rlhf.evaluation.reward_quality import better_length_rule, reward_quality
from rlhf.models.loading import merged
from rlhf.rollout.build import hf_engine
from rlhf.training.reward_trainer import pair_rows
from rlhf.training.sft import rows_of
from stages.policies import Speaker, load_speaker, sampling_of
from stages.shared import load_base
from stages.study_judges import first_judge
from stages.study_setup import Bench
from stages.study_trainings import reward_training, sft_training

REWARD, DEMONSTRATIONS = "reward-curve", "demonstration-curve"


def reward_curve(bench: Bench) -> None:
    """A reward model on each part of the pairs, measured on the pairs that the rm run was measured on.

    Raises:
        DataError: no held-out pair is decided by its label.
    """
    test = bench.preferences.test
    for fraction in bench.stage.fractions:
        name, pairs = f"{REWARD}-{fraction:g}", nested(bench.reward_pairs, fraction)
        if name in bench.done or nothing(bench, name, pairs):
            continue
        trainer = reward_training(bench, name, pairs)
        known = bench.train(trainer)
        rows = pair_rows(test, bench.encoder)
        quality = reward_quality(
            trainer.score([row.chosen for row in rows]).tolist(),
            trainer.score([row.rejected for row in rows]).tolist(),
            test,
            length_rule=better_length_rule(pairs),
        )
        if quality is None:
            raise DataError(f"{len(test)} pairs are held out, and none decides; raise data.test_fraction")
        bench.here.say(f"{name}: {quality.summary}")
        truth = asdict(quality.truth) if quality.truth else None
        point = {"pairs": len(pairs), "accuracy": asdict(quality.accuracy), "truth": truth}
        bench.finish(name, known | {"point": point})
    bench.finish(f"{REWARD}-1", {"steps": 0, "point": whole_reward_model(bench)})


def whole_reward_model(bench: Bench) -> dict[str, Any] | None:
    """The reward model itself as the curve's last point, by its run's `quality.json`."""
    path = Path(bench.here.inputs["reward_model"].path) / "quality.json"
    quality = json.loads(path.read_text(encoding="utf-8"))["model"]
    if quality is None:
        return None
    return {"pairs": len(bench.reward_pairs), "accuracy": quality["accuracy"], "truth": quality["truth"]}


def demonstration_curve(bench: Bench) -> None:
    """SFT on each part of the demonstrations, judged on held-out prompts; the whole is the SFT policy."""
    here, run, manifest = bench.here, bench.sft_run, bench.policy.manifest
    assert run is not None
    assert manifest is not None
    cfg = here.cfg.model_copy(update={"stage": run.stage, "model": run.model})
    data = bench.demonstrations
    validation = rows_of(data.validation, bench.encoder)
    for fraction in bench.stage.fractions:
        name, part = f"{DEMONSTRATIONS}-{fraction:g}", nested(data.train, fraction)
        if name in bench.done or nothing(bench, name, part):
            continue
        base, _, _ = load_base(cfg, here.machine)
        here.say(f"{name}: {len(part)} of {len(data.train)} demonstrations")
        trainer = sft_training(bench, name, cfg, base, rows_of(part, bench.encoder), validation)
        known = bench.train(trainer)
        point = {"demonstrations": len(part), "loss": trainer.summary().get("validation_loss")}
        bench.finish(name, known | {"point": point | judged(bench, name, trainer.model)})
    if f"{DEMONSTRATIONS}-1" not in bench.done:
        model = load_speaker(here.cfg, bench.policy, here.machine).model
        point = {"demonstrations": len(data.train), "loss": manifest.metrics.get("validation_loss")}
        point |= judged(bench, "the whole", model)
        bench.finish(f"{DEMONSTRATIONS}-1", {"steps": 0, "point": point})


def judged(bench: Bench, title: str, model: Any) -> dict[str, Any]:
    """The first judge's mean score of a policy's answers to held-out prompts, as `gold` or as `judge`.

    The other is None; both are where nobody judges.
    """
    here, stage, prompts = bench.here, bench.stage, bench.held_out_prompts
    scores: dict[str, Any] = {"gold": None, "judge": None}
    judge = first_judge(here, prompts, bench.encoder)
    if judge is None:
        return scores
    name, reward = judge
    plain: PreTrainedModel = merged(model)
    engine = hf_engine(here.cfg.rollout, plain, bench.encoder, here.machine.dtype)
    speaker = Speaker(title, bench.policy, plain, bench.encoder, engine)
    answers = speaker.answers(prompts, sampling_of(here.cfg, stage, speaker), seed=here.cfg.seed)
    score_B = reward([answer.scored for answer in answers]).total
    mean = bootstrap_mean(score_B.numpy(), seed=here.cfg.seed, n=stage.bootstrap)
    here.say(f"{title}: mean score {mean.estimate:.3f} by {name}")
    return scores | {name: asdict(mean)}


def nothing(bench: Bench, name: str, part: Sequence[object]) -> bool:
    """Whether a part is empty, so that its point is left out; says so."""
    if not part:
        bench.here.say(f"{name}: this part of so little data is empty; its point is left out")
    return not part


def learning_of(bench: Bench) -> dict[str, Any] | None:
    """Both curves, smallest part first, and the reward model's accuracy to be expected of twice the pairs."""
    pieces = bench.stage.pieces
    if REWARD not in pieces and DEMONSTRATIONS not in pieces:
        return None
    reward_points, sft_points = list(points(bench, REWARD)), list(points(bench, DEMONSTRATIONS))
    return {"reward_model": reward_points, "forecast": forecast(reward_points), "sft": sft_points}


def forecast(reward_points: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Twice the pairs of the largest point, by a power law through all; None where that says nothing."""
    if not reward_points:
        return None
    sizes = [point["pairs"] for point in reward_points]
    accuracies = [point["accuracy"]["estimate"] for point in reward_points]
    twice = 2 * max(sizes)
    accuracy = forecast_accuracy(sizes, accuracies, twice)
    return None if accuracy is None else {"pairs": twice, "accuracy": accuracy}


def points(bench: Bench, curve: str) -> Iterator[dict[str, Any]]:
    """The points of a curve that there are."""
    for fraction in (*bench.stage.fractions, 1):
        point = bench.done.get(f"{curve}-{fraction:g}", {}).get("point")
        if point is not None:
            yield point
