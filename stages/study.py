"""What else the same SFT policy, reward model and pairs give, and what more data would bring.

DPO on the pairs that the reward model learnt from; the best of n answers by the reward, learnt by SFT; reward
models on fewer pairs; SFT on fewer demonstrations. Each piece is saved when it is finished. `stage=eval` puts
the policies beside PPO's, on the same prompts, and shows the curves.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from rlhf.config import Config
from rlhf.errors import DataError
from rlhf.evaluation.answers import answer_row
from rlhf.rewards import reward_files
from rlhf.runs import Manifest
from rlhf.training.rejection import answer_rows, best_of_each
from stages.policies import load_speaker, sampling_of
from stages.shared import session
from stages.study_curves import demonstration_curve, learning_of, reward_curve
from stages.study_inputs import datasets_of, find_inputs, study_stage
from stages.study_judges import reward_of
from stages.study_setup import Bench, set_up
from stages.study_trainings import best_of_training, dpo_training

ANSWERS = "best_of_n.jsonl"


def run(cfg: Config) -> Manifest:
    """Makes the pieces that `stage.pieces` names; returns the manifest of the study.

    Raises:
        InputError: there is no SFT policy or no reward model, or they are of other data.
        DataError: a part of the data is empty.
    """
    inputs, stage = find_inputs(cfg), study_stage(cfg)
    with session(cfg, inputs, datasets_of(stage.pieces), reward_files(cfg.reward)) as here:
        if here.run.manifest:
            return here.run.manifest
        bench = set_up(here)
        for piece in stage.pieces:
            if bench.done and bench.stop.reason:  # trainings heed a stop themselves, sampling does not
                raise KeyboardInterrupt(bench.stop.reason)
            PIECES[piece](bench)
        learning = learning_of(bench)
        here.run.write_json("study.json", {"learning": learning, "policies": policies_of(bench)})
        here.log.close()
        return here.run.finish(
            "study",
            metrics=headlines(bench.done, learning),
            resolved=here.resolved | {name: known["resolved"] for name, known in trained(bench)},
            seed=cfg.seed,
        )


def direct_preferences(bench: Bench) -> None:
    """DPO; its implicit reward is measured on held-out pairs, as a reward model is."""
    if "dpo" in bench.done:
        return
    trainer, test = dpo_training(bench)
    known = bench.train(trainer)
    bench.publish("dpo", trainer.model)
    bench.finish("dpo", known | {"test": trainer.measure(test)})


def best_of_n(bench: Bench) -> None:
    """Many answers to each prompt, the best by the reward; then SFT on those."""
    if "answers" not in bench.done:
        answer_prompts(bench)
    if "best-of-n" in bench.done:
        return
    lines = (bench.here.run.path / ANSWERS).read_text(encoding="utf-8").split("\n")
    trainer = best_of_training(bench, [json.loads(line)["row"] for line in lines if line])
    known = bench.train(trainer)
    bench.publish("best_of_n_sft", trainer.model)
    bench.finish("best-of-n", known)


def answer_prompts(bench: Bench) -> None:
    """Writes the best of `stage.best_of` answers to each of `stage.best_of_prompts` training prompts."""
    here, stage, began_s = bench.here, bench.stage, bench.here.run.seconds
    prompts = sorted(bench.prompts.train, key=lambda prompt: prompt.key)
    if not prompts:
        raise DataError("no prompt is left for training; give more prompts, or lower data.test_fraction")
    few = min(stage.best_of_prompts, len(prompts))
    prompts = random.Random(f"{here.cfg.seed}/study").sample(prompts, few)
    speaker = load_speaker(here.cfg, bench.policy, here.machine)
    sampling = sampling_of(here.cfg, stage, speaker)
    answers = speaker.answers(prompts, sampling, seed=here.cfg.seed, per_prompt=stage.best_of)
    scores = reward_of(here, speaker.encoder)([answer.scored for answer in answers]).total.tolist()
    best = best_of_each(scores, stage.best_of)
    tokens = answer_rows([answers[index].scored for index in best])
    rows = (
        answer_row(answers[index]) | {"score": scores[index], "row": row}
        for index, row in zip(best, tokens, strict=True)
    )
    here.run.write_jsonl(ANSWERS, rows)
    mean, mean_best = sum(scores) / len(scores), sum(scores[index] for index in best) / len(best)
    here.say(f"best of {stage.best_of}: mean reward {mean:.3f}, that of the best {mean_best:.3f}")
    seconds = round(here.run.seconds - began_s, 3)
    bench.finish("answers", {"steps": 0, "seconds": seconds, "reward": mean, "best_reward": mean_best})


PIECES: Mapping[str, Callable[[Bench], None]] = {
    "dpo": direct_preferences,
    "best-of-n": best_of_n,
    "reward-curve": reward_curve,
    "demonstration-curve": demonstration_curve,
}


def policies_of(bench: Bench) -> list[dict[str, Any]]:
    """The policies that were made: name, method, folder in the run, seconds of work."""
    done, policies = bench.done, list[dict[str, Any]]()
    if "dpo" in done:
        policies.append({"name": "dpo", "method": "dpo", "folder": "dpo", "seconds": done["dpo"]["seconds"]})
    if "best-of-n" in done:
        policies.append(
            {
                "name": f"best-of-{bench.stage.best_of}-sft",
                "method": "best-of-n-sft",
                "n": bench.stage.best_of,
                "folder": "best_of_n_sft",
                "seconds": round(done["answers"]["seconds"] + done["best-of-n"]["seconds"], 3),
            }
        )
    return policies


def headlines(done: Mapping[str, Any], learning: Mapping[str, Any] | None) -> dict[str, float]:
    """What a listing shows of a study."""
    figures: dict[str, float] = {}
    if "dpo" in done and done["dpo"]["test"]:
        figures["dpo_accuracy"] = done["dpo"]["test"]["accuracy"]
    if "answers" in done:
        figures |= {"best_of_n_reward": done["answers"]["best_reward"], "reward": done["answers"]["reward"]}
    if learning and learning["forecast"]:
        figures["forecast_accuracy"] = learning["forecast"]["accuracy"]
        figures["forecast_pairs"] = learning["forecast"]["pairs"]
    return figures


def trained(bench: Bench) -> list[tuple[str, dict[str, Any]]]:
    """Every training that there was, in order."""
    return [(name, known) for name, known in bench.done.items() if "resolved" in known]
