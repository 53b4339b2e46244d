"""What one PPO run holds and its numbered steps; `stages/ppo.py` tells the story."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from rlhf.algos.kl import AdaptiveKl, AnnealedKl, FixedKl, KlController, KlEstimator
from rlhf.config import KlConfig, PpoStage, RolloutConfig
from rlhf.data.encoding import Encoder
from rlhf.models.roles import Roles
from rlhf.records import Prompt
from rlhf.rewards.base import Reward, Scores, observe
from rlhf.rollout.ahead import AheadEngine
from rlhf.rollout.base import Request, RolloutEngine, Sampling
from rlhf.rollout.weights import copy_weights, plain_weights
from rlhf.training.experience import Episode, Experience, Forwards, make_experience
from rlhf.training.pretraining_mix import PretrainingMix
from rlhf.training.processes import Processes
from rlhf.training.profile import Clock, padding_share, profile, update_flops
from rlhf.training.progress import Progress
from rlhf.training.prompt_order import prompt_order
from rlhf.training.seeds import sub_seed
from rlhf.training.sharding import whole
from rlhf.training.update import Order, PpoUpdater, minibatch_orders


@dataclass(frozen=True)
class Ppo:
    """The parts of a run. Randomness comes from `seed` and the number of an episode, nothing else."""

    stage: PpoStage
    rollout: RolloutConfig
    seed: int
    encoder: Encoder
    prompts: Sequence[Prompt]
    held_out: Sequence[Prompt]
    roles: Roles
    engine: RolloutEngine
    reward: Reward
    validation_reward: Reward
    accelerator: Accelerator
    module: nn.Module
    optimizer: Optimizer
    updater: PpoUpdater
    learning_rate: float
    critic_learning_rate: float | None = None  # None: the policy's
    kl_estimator: KlEstimator = "k1"
    mix: PretrainingMix | None = None  # demonstrations to keep to, where stage.ptx_coef asks for it
    reuse_logprobs: bool = False  # the engine's log-probabilities are the old ones
    importance_cap: float | None = None  # of the weights of tokens from an engine that differs
    processes: Processes = field(default_factory=Processes)  # who share the work
    decoder: PreTrainedModel | None = None  # a whole copy of a policy that is sharded, to decode with
    product_flops: float | None = None  # FLOP/s of a matrix product on this machine, where it was measured

    @cached_property
    def clock(self) -> Clock:
        """Times the parts of an iteration."""
        return Clock(self.accelerator.device)

    @property
    def sampling(self) -> Sampling:
        """How responses are drawn, in training and in evaluation alike."""
        return Sampling(
            temperature=self.stage.temperature,
            max_new_tokens=self.stage.response_length,
            stop_ids=self.encoder.stop_ids,
            top_k=self.rollout.top_k,
            top_p=self.rollout.top_p,
        )

    def iterate(self, progress: Progress, iteration: int) -> dict[str, float]:
        """One iteration, counted from 1; returns its figures and moves the KL controller.

        1. Sample `stage.samples_per_prompt` responses to each of the batch's prompts.
        2. Score them; run policy, reference and critic over them.
        3. Place rewards on tokens, estimate advantages, whiten them.
        4. Update policy and critic over the epochs' minibatches.
        5. Move the KL coefficient, and what the reward itself keeps (a multiplier).

        In the first `stage.critic_warmup` iterations the critic alone learns; step 5 is left out. Of several
        processes each does its share of 1, 2 and 4, and all of 3 and 5.
        """
        with self.clock.part("generate"):
            self.sync_engine(iteration - 1)
            episodes = self.sample(*self.batch(iteration), self.seed)
            self.sample_ahead(iteration)

        with self.clock.part("score"):
            scores = self.scores(self.reward, episodes)
        if self.stage.normalize_scores:
            progress.scores = progress.scores.seen(scores.total)
        orders = minibatch_orders(
            len(episodes),
            self.stage.minibatch_size,
            self.stage.epochs,
            sub_seed(self.seed, "minibatches", iteration),
        )
        with self.clock.part("score"):
            forwards = self.forwards(episodes, orders[0], reuse_logprobs=self.reuse_logprobs)
        experience: Experience = make_experience(
            episodes,
            forwards,
            scores.total,
            self.stage,
            kl_coef=progress.kl.coef,
            kl_estimator=self.kl_estimator,
            scores_seen=progress.scores,
            importance_cap=self.importance_cap,
        )

        warming_up = iteration <= self.stage.critic_warmup
        rates = self.set_learning_rates(iteration)
        mix = self.mix.minibatches(iteration, *self.minibatches) if self.mix and not warming_up else ()
        share = self.processes.share
        shared = [[share(minibatch) for minibatch in order] for order in orders]
        with self.clock.part("update"):
            statistics = self.updater.update(
                experience, shared, critic_only=warming_up, mix=[share(shown) for shown in mix]
            )

        figures = {**experience.metrics, **statistics, "kl_coef": progress.kl.coef, **rates}
        if self.reuse_logprobs:  # nothing was learnt yet: the trainer against the engine
            figures["engine_gap"] = statistics["first_ratio_gap_mean"]
            figures["engine_gap_max"] = statistics["first_ratio_gap"]
        figures |= {f"score/{name}": part.mean().item() for name, part in scores.parts.items()}
        if not warming_up:
            progress.kl = progress.kl.update(experience.metrics["kl"], len(episodes))
            observe(self.reward, scores)
        if isinstance(self.engine, AheadEngine):
            versions = [float(episode.rollout.version_per_token[0]) for episode in episodes]
            figures["staleness"] = iteration - 1 - float(np.mean(versions))
        figures |= self.profile(episodes, shared[0], statistics["epochs_done"])
        progress.first = progress.first or experience.metrics
        progress.iteration = iteration
        return {**figures, "episodes": float(iteration * self.stage.batch_size)}

    def profile(self, episodes: Sequence[Episode], order: Order, epochs: float) -> dict[str, float]:
        """What the iteration took, and how well it used the machine; the work is this process's share."""
        lengths = [episode.length for episode in episodes]
        parts = [part for minibatch in order for part in self.updater.budget.plan(lengths, minibatch)]
        responses = [len(episode.rollout.response_ids) for episode in episodes]
        mine = [(lengths[row], responses[row]) for part in parts for row in part]
        return profile(
            self.clock.read(),
            response_tokens=float(sum(responses)),
            padding=padding_share(lengths, parts, self.updater.budget),
            update_flops=update_flops(self.roles.policy_value, mine, epochs),
            product_flops=self.product_flops,
            device=self.accelerator.device,
        )

    def batch(self, iteration: int) -> tuple[list[Prompt], range]:
        """The prompts of an iteration, counted from 1, and the numbers of its episodes."""
        numbers = range((iteration - 1) * self.stage.batch_size, iteration * self.stage.batch_size)
        return [self.prompts[index] for index in self.prompt_order(numbers)], numbers

    @property
    def minibatches(self) -> tuple[int, int]:
        """How many minibatches an iteration has, and of how many responses."""
        stage = self.stage
        return stage.epochs * (stage.batch_size // stage.minibatch_size), stage.minibatch_size

    def set_learning_rates(self, iteration: int) -> dict[str, float]:
        """Sets what an iteration, counted from 1, learns with: a line that falls to 0 over the run."""
        left = 1.0 - (iteration - 1) / self.stage.num_iterations
        rates = {"learning_rate": self.learning_rate * left}
        if self.critic_learning_rate is not None:
            rates["critic_learning_rate"] = self.critic_learning_rate * left
        for group in self.optimizer.param_groups:
            group["lr"] = rates.get(f"{group['role']}_learning_rate", rates["learning_rate"])
        return rates

    def sample(self, prompts: Sequence[Prompt], numbers: Sequence[int], seed: int) -> list[Episode]:
        """A response to each prompt, in the order of the prompts; `numbers` name the requests."""
        requests = self.requests(prompts, numbers, seed)
        mine = self.processes.share(requests)
        with self.roles.policy_active(), self.accelerator.autocast():
            made = {rollout.request_id: rollout for rollout in self.engine.generate(mine, self.sampling)}
        everyones = self.processes.whole([made[request.id] for request in mine], len(requests))
        rollouts = {rollout.request_id: rollout for rollout in everyones}
        return [
            Episode(
                prompt,
                request.prompt_ids,
                rollouts[request.id],
                self.encoder.decode(rollouts[request.id].response_ids.tolist(), prompt),
            )
            for prompt, request in zip(prompts, requests, strict=True)
        ]

    def scores(self, reward: Reward, episodes: Sequence[Episode]) -> Scores:
        """What a reward gives to the episodes."""
        return self.processes.scores(reward, [episode.scored for episode in episodes])

    def forwards(
        self, episodes: Sequence[Episode], order: Order, *, reuse_logprobs: bool = False
    ) -> Forwards:
        """What the models say of the episodes' tokens, in the minibatches of `order`."""
        mine = [self.processes.share(minibatch) for minibatch in order]
        made = self.updater.forwards(episodes, mine, reuse_logprobs=reuse_logprobs)
        return self.processes.forwards(made, [row for minibatch in mine for row in minibatch])

    def requests(self, prompts: Sequence[Prompt], numbers: Sequence[int], seed: int) -> list[Request]:
        """What the engine is asked for."""
        return [
            Request(id=number, prompt_ids=tuple(self.encoder.prompt_ids(prompt)), seed=seed)
            for number, prompt in zip(numbers, prompts, strict=True)
        ]

    def sample_ahead(self, iteration: int) -> None:
        """Has an engine that works ahead begin with the batches after this iteration's."""
        if isinstance(self.engine, AheadEngine):
            last = min(iteration + self.engine.depth, self.stage.num_iterations)
            for coming in range(iteration + 1, last + 1):
                requests = self.requests(*self.batch(coming), self.seed)
                self.engine.prepare(self.processes.share(requests), self.sampling)

    def sync_engine(self, version: int) -> None:
        """Gives the engine the policy's weights as they are after `version` iterations."""
        model = self.roles.policy_value.language_model
        with self.roles.policy_active():
            if self.decoder is not None:
                copy_weights(((name, whole(value)) for name, value in plain_weights(model)), self.decoder)
                model = self.decoder
            self.engine.sync_weights(plain_weights(model), version)

    def prompt_order(self, numbers: Sequence[int]) -> list[int]:
        """Which prompt each episode takes: every pass over the prompts is a permutation of its own.

        With several samples a prompt, episodes that follow one another share it.
        """
        samples = self.stage.samples_per_prompt
        return prompt_order(self.seed, len(self.prompts), [number // samples for number in numbers])

    def trained_tensors(self) -> dict[str, torch.Tensor]:
        """What is trained, by name; the rest comes from the inputs again."""
        module = self.accelerator.unwrap_model(self.module)
        return {name: value for name, value in module.named_parameters() if value.requires_grad}


def kl_controller(cfg: KlConfig, episodes: int) -> KlController:
    """The controller that the configuration names, for a run of so many episodes."""
    if cfg.kind == "annealed":
        start = cfg.start * cfg.coef
        return AnnealedKl(coef=start, final=cfg.coef, fall=(start - cfg.coef) / (cfg.anneal * episodes))
    if cfg.kind == "adaptive":
        return AdaptiveKl(coef=cfg.coef, target=cfg.target, horizon=cfg.horizon)
    return FixedKl(coef=cfg.coef)
