"""The stages and what each is told."""

from typing import Literal

from pydantic import Field, model_validator

from rlhf.config.base import Auto, Count, NonNegative, Positive, Probability, Section, divisors_near
from rlhf.config.judge import JudgeConfig


class TrainStage(Section):
    """What every stage that trains has."""

    epochs: Count = 1
    learning_rate: Positive | Auto = Field(default="auto", description="auto: from the number of parameters")
    batch_size: Count = 32
    max_hours: Positive | None = Field(default=None, description="save and end cleanly after so many hours")
    save_every: Count = Field(default=50, description="steps between saved states")


class TrainerStage(TrainStage):
    """What SFT and reward model share: a pass over a dataset by steps."""

    max_steps: Count | None = Field(default=None, description="optimiser steps; none: as the epochs say")
    microbatch_size: Count | Auto = Field(
        default="auto", description="examples at once on a device; must divide batch_size"
    )
    warmup: Probability = Field(
        default=0.05, description="share of the steps in which the learning rate rises"
    )
    weight_decay: NonNegative = 0.0
    max_grad_norm: Positive = 1.0
    eval_every: Count | Auto = Field(
        default="auto", description="steps between evaluations on the validation part; auto: ten in all"
    )

    @model_validator(mode="after")
    def _microbatches_fit(self) -> "TrainerStage":
        if self.microbatch_size != "auto" and self.batch_size % self.microbatch_size:
            raise ValueError(
                f"microbatch_size={self.microbatch_size} does not divide batch_size={self.batch_size}; "
                f"try {divisors_near(self.batch_size, self.microbatch_size)}"
            )
        return self


class SftStage(TrainerStage):
    """Supervised fine-tuning on demonstrations."""

    kind: Literal["sft"] = "sft"
    epochs: Count = 2
    batch_size: Count = 16
    packing: bool | Auto = Field(default="auto", description="several examples in one row; auto: on a GPU")
    patience: Count | None = Field(
        default=3, description="evaluations without improvement before stopping; none: never"
    )


class RmStage(TrainerStage):
    """A reward model from preference pairs, thumbs or scores."""

    kind: Literal["rm"] = "rm"
    objective: Literal["pairwise", "binary", "regression", "mixed"] = Field(
        default="pairwise",
        description="learns from pairs, from thumbs, from scores (data.scores), or from all that there is",
    )
    batch_size: Count = 16
    adam_eps: Positive = 1e-5
    validation_share: Probability = Field(
        default=0.15,
        description="share of the training prompts whose pairs train the model that picks PPO's checkpoint",
    )
    judge_share: Probability = Field(
        default=0.15,
        description="share of the training prompts whose pairs train the judge of the evaluation",
    )
    ensemble: Count = Field(default=1, description="models of the ensemble that reward=ensemble maximises")
    ensemble_bootstrap: bool = Field(
        default=True,
        description="each further model sees pairs drawn with replacement; false: other seeds alone",
    )

    @model_validator(mode="after")
    def _leaves_pairs(self) -> "RmStage":
        if self.validation_share + self.judge_share >= 1.0:
            raise ValueError(
                f"validation_share={self.validation_share} and judge_share={self.judge_share} leave no pairs "
                "for the reward model; their sum must be below 1"
            )
        return self


class PpoStage(TrainStage):
    """PPO against the reward."""

    kind: Literal["ppo"] = "ppo"
    save_every: Count = Field(default=4, description="iterations between saved states")
    total_episodes: Count = Field(default=3072, description="responses sampled over the whole run")
    advantage: Literal["gae", "reinforce", "one_step", "rloo", "reinforce_pp"] = Field(
        default="gae", description="how advantages are estimated; gae and one_step train a critic"
    )
    samples_per_prompt: Count = Field(
        default=1, description="responses to each prompt of a batch; must divide batch_size"
    )
    batch_size: Count = Field(
        default=128, description="responses sampled in an iteration, over all processes"
    )
    minibatch_size: Count = Field(
        default=32, description="responses in an optimiser step, over all processes"
    )
    microbatch_tokens: Count = Field(
        default=16384, description="tokens at once on a device, padding included"
    )
    epochs: Count = Field(default=4, description="passes over each batch")
    response_length: Count = Field(default=48, description="tokens a response may have")
    temperature: Positive = Field(default=0.7, description="for sampling and for every log-probability")
    critic_learning_rate: Positive | None = Field(default=None, description="none: as learning_rate")
    critic_warmup: int = Field(
        default=0, ge=0, description="iterations at the beginning in which the critic alone learns"
    )
    recompute_logprobs: bool | Auto = Field(
        default="auto",
        description="run the policy over its own samples again; auto: not with rollout=hf in fp32",
    )
    ptx_coef: NonNegative = Field(
        default=0.0, description="weight of demonstrations beside each minibatch (PTX); 0: none"
    )
    target_kl: Positive | None = Field(
        default=None, description="nats a token from the sampling policy past which an iteration's epochs end"
    )
    stop_kl: Positive | None = Field(
        default=None, description="nats a response from the reference past which the run ends"
    )
    plateau_patience: Count | None = Field(
        default=None, description="evaluations without a better checkpoint after which the run ends"
    )
    stop_on_degenerate: bool = Field(
        default=False, description="end the run at a warning of a degenerate end"
    )
    gamma: Probability = 1.0
    lam: Probability = 0.95
    clip: Positive = Field(default=0.2, description="the ratio is clipped to 1 - clip ... 1 + clip")
    value_clip: Positive = 0.2
    value_coef: NonNegative = 0.1
    max_grad_norm: Positive = 1.0
    adam_eps: Positive = 1e-5
    whiten_advantages: bool | Auto = Field(
        default="auto", description="mean 0, variance 1; auto: not with reinforce and rloo"
    )
    whiten_rewards: bool = Field(default=False, description="variance 1, mean kept")
    normalize_scores: bool = Field(
        default=False, description="mean 0, deviation 1 by all scores of the run so far"
    )
    score_clip: Positive | None = Field(
        default=None, description="scores, normalised or not, are cut at plus and minus this"
    )
    missing_end: Literal["penalty", "replace"] = Field(
        default="penalty",
        description="no end token: subtract missing_end_score from the score, or put -missing_end_score",
    )
    missing_end_score: NonNegative = 1.0
    roles: Literal["auto", "separate", "shared"] = Field(
        default="auto",
        description="separate models, or adapters on one trunk; auto: shared where model.adapter=lora allows",
    )
    offload_frozen: bool | Auto = Field(
        default="auto",
        description="reference and reward models in CPU memory while not used; auto: on a GPU",
    )
    eval_every: Count = Field(default=4, description="iterations between evaluations on held-out prompts")
    eval_prompts: Count = 128

    @property
    def num_iterations(self) -> int:
        """Rollout-and-update rounds; the last may sample more than is left of `total_episodes`."""
        return -(-self.total_episodes // self.batch_size)

    @property
    def has_critic(self) -> bool:
        """Whether the advantages need values."""
        return self.advantage in ("gae", "one_step")

    @model_validator(mode="after")
    def _batches_fit(self) -> "PpoStage":
        if self.batch_size % self.minibatch_size:
            raise ValueError(
                f"minibatch_size={self.minibatch_size} does not divide batch_size={self.batch_size}; "
                f"try {divisors_near(self.batch_size, self.minibatch_size)}"
            )
        if self.total_episodes < self.batch_size:
            raise ValueError(
                f"total_episodes={self.total_episodes} is less than one batch_size={self.batch_size}; "
                "raise it or lower batch_size"
            )
        if self.batch_size % self.samples_per_prompt:
            raise ValueError(
                f"samples_per_prompt={self.samples_per_prompt} does not divide "
                f"batch_size={self.batch_size}, which counts responses; "
                f"try {divisors_near(self.batch_size, self.samples_per_prompt)}"
            )
        return self

    @model_validator(mode="after")
    def _advantages_can_be_estimated(self) -> "PpoStage":
        if self.advantage == "rloo" and self.samples_per_prompt < 2:
            raise ValueError(
                "advantage=rloo measures a response against others to its prompt, and there is one of each; "
                "set samples_per_prompt to 2 or more"
            )
        if self.advantage == "reinforce" and self.batch_size < 2:
            raise ValueError(
                "batch_size=1 leaves advantage=reinforce no other response as a baseline; raise it"
            )
        if self.advantage == "reinforce_pp" and self.whiten_advantages is False:
            raise ValueError(
                "advantage=reinforce_pp has its whitening for a baseline; leave whiten_advantages at auto, "
                "or take advantage=reinforce"
            )
        return self

    @model_validator(mode="after")
    def _critic_can_be_trained(self) -> "PpoStage":
        for name in ("critic_learning_rate", "critic_warmup"):
            if getattr(self, name) and not self.has_critic:
                raise ValueError(
                    f"{name}={getattr(self, name)}: advantage={self.advantage} has no critic; leave it "
                    "out, or take advantage=gae"
                )
        if self.critic_warmup >= self.num_iterations:
            raise ValueError(
                f"critic_warmup={self.critic_warmup} leaves none of the {self.num_iterations} iterations to "
                "the policy; lower it, or raise total_episodes"
            )
        return self


class SampleStage(Section):
    """Several answers a prompt, ready to be rated."""

    kind: Literal["sample"] = "sample"
    num_prompts: Count = 64
    answers: Count = Field(default=2, description="answers a prompt from each policy")
    policies: tuple[str, ...] = Field(default=(), description="further policies beside inputs.policy")
    part: Literal["train", "validation", "test"] = Field(default="train", description="which prompts")
    response_length: Count = 48
    temperature: Positive = 0.7


class EvalStage(Section):
    """A policy against its SFT parent on held-out prompts."""

    kind: Literal["eval"] = "eval"
    num_prompts: Count = 256
    response_length: Count = 48
    temperature: Positive = 0.7
    bootstrap: Count = Field(default=2000, description="resamples of an interval")
    show: Count = Field(default=24, description="side-by-side samples in the report")
    best_of: int = Field(
        default=16, ge=0, description="answers of the baseline a prompt, for best-of-n; 0 or 1: none"
    )
    judge: JudgeConfig = JudgeConfig()


class AllStage(Section):
    """SFT, reward model, PPO and evaluation, one after the other."""

    kind: Literal["all"] = "all"
    sft: SftStage = SftStage()
    rm: RmStage = RmStage()
    ppo: PpoStage = PpoStage()
    eval: EvalStage = EvalStage()


class HelpStage(Section):
    """The page that lists stages and examples."""

    kind: Literal["help"] = "help"
