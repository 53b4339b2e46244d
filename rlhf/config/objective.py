"""Reward, KL and rollout: what PPO maximises, and on what samples."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rlhf.config.base import Auto, Count, NonNegative, Positive, Section


class ModelReward(Section):
    """The score of a reward model."""

    kind: Literal["model"] = "model"
    path: str | None = Field(
        default=None,
        description="another one than inputs.reward_model, such as a cost model: run, model folder or hub id",
    )


class EnsembleReward(Section):
    """The scores of several reward models that stage=rm stage.ensemble=K trained, combined."""

    kind: Literal["ensemble"] = "ensemble"
    path: str | None = Field(default=None, description="another run of rm than inputs.reward_model")
    combine: Literal["mean", "min", "mean_minus_std"] = "mean_minus_std"
    std_coef: NonNegative = Field(default=1.0, description="deviations taken off by mean_minus_std")


class CustomReward(Section):
    """A plain function `f(prompt, response, **row) -> float`."""

    kind: Literal["custom"] = "custom"
    path: str = Field(description="package.module:function, or file.py:function")
    batched: bool = Field(default=False, description="the function is f(prompts, responses, rows) -> scores")
    timeout_s: Positive | None = Field(
        default=None, description="seconds that one call may take; none: as long as it likes"
    )

    @field_validator("path")
    @classmethod
    def _names_a_function(cls, path: str) -> str:
        if path.rpartition(":")[0] and path.rpartition(":")[2].isidentifier():
            return path
        raise ValueError("must read package.module:function or file.py:function")


class WantedPattern(Section):
    """A regular expression and what it is worth to find it."""

    pattern: str
    score: float = 1.0


class RulesReward(Section):
    """A sum of simple rules: on the text of the response, and on how it compares with a reference answer."""

    kind: Literal["rules"] = "rules"
    per_word: float = Field(default=0.0, description="for each word (Chinese: character) of the response")
    target_words: Count | None = Field(default=None, description="the length at which nothing is taken off")
    off_target: NonNegative = Field(
        default=0.05, description="taken off for each word away from target_words"
    )
    repetition: NonNegative = Field(
        default=0.0, description="taken off, times the share of repeated word triples"
    )
    wanted: dict[str, WantedPattern] = Field(
        default={}, description="by a name of yours: {pattern: regular expression, score: when it is found}"
    )
    language: Literal["en", "zh", "prompt"] | None = Field(
        default=None, description="which the response should be in; prompt: that of the prompt"
    )
    language_score: float = Field(default=1.0, description="for a response in that language")
    json_schema: str | None = Field(default=None, description="a file: what a response is held against")
    json_valid: float = Field(default=1.0, description="for a response that is JSON and fits the schema")
    json_share: float = Field(default=0.0, description="times the share of the schema's demands that are met")
    reference: str = Field(
        default="reference",
        description="the field of a prompt's row with the reference answer, or a list of them",
    )
    exact_match: float = Field(default=0.0, description="for a response that is the reference")
    numeric_match: float = Field(default=0.0, description="where the last number is the reference's")
    bleu: float = Field(default=0.0, description="times BLEU against the reference, 0 to 1")
    rouge_1: float = Field(default=0.0, description="times the F1 of words shared with the reference")
    rouge_2: float = Field(default=0.0, description="times the F1 of pairs of words shared with it")
    rouge_l: float = Field(default=0.0, description="times the F1 of the longest sequence shared with it")
    chrf: float = Field(default=0.0, description="times chrF against the reference, 0 to 1")


Single = Annotated[ModelReward | EnsembleReward | CustomReward | RulesReward, Field(discriminator="kind")]
"""A reward that holds no other."""


class WeightedPart(Section):
    """One term of a weighted sum."""

    weight: float = 1.0
    reward: Single


class WeightedReward(Section):
    """A weighted sum of named rewards."""

    kind: Literal["weighted"] = "weighted"
    parts: dict[str, WeightedPart] = Field(min_length=1)


class SafeReward(Section):
    """A helpful reward under a constraint: the mean cost stays at a limit or below."""

    kind: Literal["safe"] = "safe"
    helpful: Annotated[
        ModelReward | EnsembleReward | CustomReward | RulesReward | WeightedReward,
        Field(discriminator="kind"),
    ] = ModelReward()
    cost: Annotated[
        ModelReward | EnsembleReward | CustomReward | RulesReward | WeightedReward,
        Field(discriminator="kind"),
    ] = Field(description="what is to stay low, such as {kind: model, path: RUN}")
    limit: float = Field(default=0.0, description="the mean cost that is allowed")
    multiplier: Positive = Field(
        default=1.0, description="lambda, what a unit of cost weighs, at the beginning"
    )
    rate: NonNegative = Field(
        default=0.1, description="how fast ln lambda follows; 0: it stays, a weighted sum"
    )
    max_multiplier: Positive = Field(default=10.0, description="lambda grows to this at most")

    @model_validator(mode="after")
    def _begins_below_the_most(self) -> "SafeReward":
        if self.multiplier > self.max_multiplier:
            raise ValueError(
                f"multiplier={self.multiplier:g} is above max_multiplier={self.max_multiplier:g}; lower it"
            )
        return self

    @model_validator(mode="after")
    def _cost_is_another_model(self) -> "SafeReward":
        if isinstance(self.cost, (ModelReward, EnsembleReward)) and self.cost.path is None:
            raise ValueError(
                "cost.path is needed: the cost comes from another model than inputs.reward_model, trained by "
                "stage=rm on pairs whose chosen answer is the worse one; name its run, as in cost.path=rm-2"
            )
        return self


Reward = Annotated[
    ModelReward | EnsembleReward | CustomReward | RulesReward | WeightedReward | SafeReward,
    Field(discriminator="kind"),
]


class KlConfig(Section):
    """What it costs the policy to move away from the reference."""

    kind: Literal["fixed", "adaptive", "annealed"] = "fixed"
    coef: NonNegative = Field(
        default=0.05, description="beta, in score per nat; where adaptive starts, and annealed ends"
    )
    estimator: Literal["k1", "k3"] = Field(
        default="k1", description="what is taken off each token's reward; k3 is never negative, and biased"
    )
    target: Positive = Field(default=6.0, description="nats a response that adaptive steers to")
    horizon: Count = Field(default=10000, description="episodes over which adaptive corrects a full error")
    start: float = Field(default=5.0, gt=1, description="times coef that annealed starts at")
    anneal: float = Field(
        default=0.5, gt=0, le=1, description="share of the run in which annealed falls to coef, in a line"
    )
    budget: Positive = Field(default=25.0, description="nats within which the best checkpoint is looked for")
    price: NonNegative = Field(
        default=0.15,
        description="what a nat has to bring for a further checkpoint to be the better one, in deviations of "
        "the first policy's validation scores; 0: the highest score counts",
    )

    @model_validator(mode="after")
    def _a_coefficient_to_multiply(self) -> "KlConfig":
        if self.kind != "fixed" and not self.coef:
            raise ValueError(f"coef=0: kind={self.kind} multiplies it; give one above 0, or take kl=fixed")
        return self


class RolloutConfig(Section):
    """How responses are sampled, and by what: transformers in this process (hf), or vLLM."""

    kind: Literal["hf", "vllm"] = "hf"
    batch_size: Count = Field(
        default=128, description="sequences decoded together; with a vLLM server, requests on their way"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="hf: what decoding computes in, from a copy of the weights where training has another; "
        "auto: as the run",
    )
    compile: bool | Auto = Field(
        default="auto", description="hf: compile the decoding step, on a GPU as a graph; auto: on a GPU"
    )
    url: str | None = Field(
        default=None,
        description="vllm: a server's address, as http://localhost:8000; none: vLLM in this process",
    )
    served_model: str | None = Field(
        default=None, description="vllm: the model's name at the server; none: the one it serves"
    )
    weights_dir: str | None = Field(
        default=None,
        description="vllm: where the server finds new weights, a folder that both see; none: a temporary one",
    )
    timeout_s: Positive = Field(default=600.0, description="vllm: seconds to wait for an answer")
    retries: int = Field(default=5, ge=0, description="vllm: how often a request is made again")
    gpu_memory: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        default=0.3, description="vllm: share of the GPU that it takes in this process"
    )
    overlap: bool = Field(
        default=False,
        description="sample the next batch while this one is trained on, by an engine with its own weights",
    )
    max_staleness: Count = Field(
        default=1, description="with overlap: iterations that the weights of a sample may be behind"
    )
    importance_cap: Positive | Auto | None = Field(
        default="auto",
        description="cap of the weights for tokens that the engine draws with other probabilities than the "
        "trainer's; auto: 2, none with hf unless it overlaps",
    )
    top_k: int = Field(default=0, ge=0, description="0: off")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(default=1.0, description="1: off")

    @model_validator(mode="after")
    def _of_this_engine(self) -> "RolloutConfig":
        others = {"hf": _OF_VLLM, "vllm": _OF_HF}[self.kind]
        for name in others:
            if getattr(self, name) != type(self).model_fields[name].default:
                other = "vllm" if self.kind == "hf" else "hf"
                raise ValueError(
                    f"{name}={getattr(self, name)} says nothing to rollout={self.kind}; leave it out, or set "
                    f"rollout={other}"
                )
        if self.max_staleness > 1 and not self.overlap:
            raise ValueError(
                f"max_staleness={self.max_staleness} says nothing without overlap; leave it out, or set "
                "rollout.overlap=true"
            )
        return self


_OF_HF = ("precision", "compile")
_OF_VLLM = ("url", "served_model", "weights_dir", "timeout_s", "retries", "gpu_memory")
