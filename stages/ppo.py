"""PPO: the policy learns to score well against the reward, without going far from the reference.

Each iteration samples responses, scores them, estimates advantages and updates policy and critic. At
intervals the policy answers held-out prompts; the best of these checkpoints, by a reward model that PPO does
not maximise, less `kl.price`, and within `kl.budget`, is published as `model/`.
"""

from pathlib import Path
from typing import Any

from rlhf.config import Config, PpoStage
from rlhf.metrics import Progress as Bar
from rlhf.models.loading import save_adapter, save_plain, tokenizer_sha256, weights_sha256
from rlhf.rewards.build import needs_model, reward_files
from rlhf.runs import Artifact, Manifest
from rlhf.training import ppo_state
from rlhf.training.degenerate import diagnose
from rlhf.training.early_stop import reason_to_end
from rlhf.training.forecast import forecast
from rlhf.training.held_out import evaluate, is_better
from rlhf.training.looks import EPISODES, LOOKS, add_rows
from rlhf.training.machine import Stop
from rlhf.training.ppo import Ppo, Progress, kl_controller
from rlhf.training.sharding import whole_weights
from stages.ppo_setup import set_up
from stages.reward_models import named_inputs
from stages.shared import Session, experiment_of, session


def run(cfg: Config) -> Manifest:
    """Trains the newest SFT policy, or `inputs.policy`; returns the manifest of the new one."""
    assert isinstance(cfg.stage, PpoStage)
    data = ("prompts", "demonstrations") if cfg.stage.ptx_coef else ("prompts",)
    with session(cfg, find_inputs(cfg), data, reward_files(cfg.reward)) as here:
        if here.run.manifest:
            return here.run.manifest
        ppo = set_up(here)
        progress = Progress(iteration=0, kl=kl_controller(cfg.kl, cfg.stage.total_episodes))
        if ppo_state.load(here.run, ppo, progress, here.log):
            here.say(f"goes on after iteration {progress.iteration}")
        else:
            here.say(forecast(ppo))
            look(here, ppo, progress, {})
        learn(here, ppo, progress)
        return here.processes.from_main(lambda: finish(here, ppo, progress))


def find_inputs(cfg: Config) -> dict[str, Artifact]:
    """The artifacts by role; a reward that needs no reward model does without one."""
    experiment, named = experiment_of(cfg), cfg.inputs
    inputs: dict[str, Artifact | None] = {
        "policy": experiment.resolve("policy", named.policy, stage="ppo"),
        "reward_model": experiment.resolve("reward_model", named.reward_model, stage="ppo")
        if needs_model(cfg.reward)
        else None,
    }
    for role, name in (
        ("reference", named.reference),
        ("critic", named.critic),
        ("validation", named.validation),
    ):
        inputs[role] = experiment.resolve(role, name, stage="ppo") if name else None
    return {role: artifact for role, artifact in inputs.items() if artifact} | named_inputs(cfg)


def learn(here: Session, ppo: Ppo, progress: Progress) -> None:
    """The iterations, each logged; evaluated, saved and warned about where that is due.

    Ends early, properly and with a reason in `progress.ended`, where the stage says so.

    Raises:
        KeyboardInterrupt: a stop was asked for; the state is saved.
    """
    stage, total = ppo.stage, ppo.stage.num_iterations
    stop = Stop(stage.max_hours)
    with (
        stop.listening(),
        Bar("PPO", total, start=progress.iteration, console=here.console_of_bar) as bar,
    ):
        for iteration in range(progress.iteration + 1, total + 1):
            if progress.ended:
                return
            figures = ppo.iterate(progress, iteration)
            found = diagnose(figures, progress.first, kl_budget=here.cfg.kl.budget)
            for name, text in found.items():
                if name not in progress.warned:
                    progress.warned[name] = text
                    bar.note(f"warning: {name}: {text}")
            ends = bool(reason_to_end(stage, progress, figures, found)) or iteration == total
            if iteration % stage.eval_every == 0 or ends:
                look(here, ppo, progress, figures)
            else:
                here.log.log(iteration, figures)
            progress.ended = reason_to_end(stage, progress, figures, found)  # a look may be one
            shown = ("score", "kl", "length", "entropy", "clip_fraction")
            bar.update(iteration, {name: figures[name] for name in shown})
            ends |= bool(progress.ended)
            stopped = here.processes.any_reason(stop.reason)
            if iteration % stage.save_every == 0 or ends or stopped:
                ppo_state.save(here.run, ppo, progress, here.log)
            if stopped and not ends:
                raise KeyboardInterrupt(stopped)


def look(here: Session, ppo: Ppo, progress: Progress, figures: dict[str, float]) -> None:
    """Evaluates, logs, shows samples, and publishes the policy where it is the best so far."""
    ppo.sync_engine(progress.iteration)
    seen = evaluate(ppo, progress.kl.coef, progress.scores)
    evaluation, samples = seen.figures, seen.samples
    here.log.log(progress.iteration, {**figures, **evaluation})
    progress.samples += [{"step": progress.iteration, **sample} for sample in samples]
    here.run.write_jsonl("samples.jsonl", progress.samples)
    add_rows(here.run, LOOKS, progress.iteration, seen.answers)
    add_rows(here.run, EPISODES, progress.iteration, seen.episodes)
    here.log.text(progress.iteration, "samples", [_shown(sample) for sample in samples])
    progress.last = {"iteration": float(progress.iteration), **evaluation}
    if progress.iteration == 0:
        progress.before = progress.last
    elif progress.iteration > ppo.stage.critic_warmup:  # before, the policy is the one that came
        progress.looks_without_gain += 1
        kl = here.cfg.kl
        price = kl.price * progress.before["eval/validation_deviation"]
        if is_better(evaluation, progress.best, kl_budget=kl.budget, kl_price=price):
            progress.best, progress.looks_without_gain = progress.last, 0
            publish(here, ppo)


def publish(here: Session, ppo: Ppo) -> None:
    """Writes `model/`, merged and plain, and beside it `adapter/` where one is trained."""
    policy, encoder = ppo.roles.policy_value.policy, ppo.encoder
    weights = whole_weights(policy, keep=here.processes.is_main) if here.processes.sharded else None
    with ppo.roles.policy_active():
        here.run.publish(
            "model",
            lambda folder: save_plain(
                policy, encoder.tokenizer, folder, stop_ids=encoder.stop_ids, weights=weights
            ),
        )
        if here.cfg.model.adapter != "none":
            base = here.inputs["policy"]
            sha256 = weights_sha256(Path(base.model))
            here.run.publish(
                "adapter",
                lambda folder: save_adapter(policy, folder, base=base.model, base_sha256=sha256),
            )


def finish(here: Session, ppo: Ppo, progress: Progress) -> Manifest:
    """The manifest, with the chosen checkpoint's figures beside those from before."""
    best, before = progress.best, progress.before
    if best["eval/validation_score"] <= before["eval/validation_score"] and not before.get("eval/over_limit"):
        progress.warned["no-improvement"] = (
            "no checkpoint scores above the policy that PPO began from; raise stage.total_episodes or "
            "stage.learning_rate, or lower kl.coef"
        )
    if best["eval/kl"] > here.cfg.kl.budget:
        progress.warned["over-budget"] = (
            f"no checkpoint is within kl.budget={here.cfg.kl.budget:g} nats; the nearest was taken; "
            "raise kl.coef, or lower stage.eval_every"
        )
    if over := best.get("eval/over_limit"):
        progress.warned["over-limit"] = (
            f"no checkpoint keeps to reward.limit, the nearest is {over:.3g} above it; raise reward.limit or "
            "reward.max_multiplier, or give more episodes"
        )
    for name in ("no-improvement", "over-budget", "over-limit"):
        if name in progress.warned:
            here.say(f"warning: {name}: {progress.warned[name]}")
    if progress.ended:
        at = f"after iteration {progress.iteration} of {ppo.stage.num_iterations}"
        here.say(f"the run ends {at}: {progress.ended}")
    here.say(
        f"checkpoint of iteration {best['iteration']:.0f}: validation score "
        f"{before['eval/validation_score']:.3f} -> {best['eval/validation_score']:.3f}, "
        f"KL {best['eval/kl']:.2f} nats"
    )
    here.run.write_json("warnings.json", progress.warned)
    here.log.close()
    names = ("validation_score", "score", "kl", "length", "end_rate")
    metrics: dict[str, Any] = {name: best[f"eval/{name}"] for name in names}
    policy = here.inputs["policy"]
    metrics |= {f"{name}_before": before[f"eval/{name}"] for name in names[:2]}
    metrics |= {"ended_early": progress.ended} if progress.ended else {}
    return here.run.finish(
        "policy",
        metrics=metrics | {"iteration": best["iteration"], "warnings": sorted(progress.warned)},
        resolved=here.resolved
        | {
            "learning_rate": ppo.learning_rate,
            "roles": ppo.roles.form,
            "processes": here.processes.count,
        },
        seed=here.cfg.seed,
        base_model=policy.manifest.base_model if policy.manifest else policy.path,
        tokenizer_sha256=tokenizer_sha256(here.run.path / "model"),
        chat_template_sha256=ppo.encoder.template_sha256,
    )


def _shown(sample: dict[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else f"{value:.3f}" for key, value in sample.items()}
