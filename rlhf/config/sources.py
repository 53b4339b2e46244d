"""Model, data and inputs: what a stage starts from."""

from typing import Literal

from pydantic import Field, model_validator

from rlhf.config.base import Auto, Count, Positive, Probability, Section


class ModelConfig(Section):
    """The base model and how it is trained."""

    path: str | None = Field(default=None, description="folder or hub id; none builds the embedded one")
    adapter: Literal["none", "lora"] = Field(
        default="none", description="train all weights, or low-rank adapters"
    )
    lora_rank: Count = Field(default=16, description="rank of the adapters")
    lora_alpha: Positive = Field(
        default=32.0, description="scale of the adapters' update, divided by the rank"
    )
    lora_targets: str = Field(
        default="all-linear",
        description="all-linear, or names of modules separated by commas (q_proj,v_proj)",
    )
    trust_remote_code: bool = Field(default=False, description="run code that the model's repository brings")


class DataConfig(Section):
    """Where the data comes from, and what of it is used."""

    demonstrations: str | None = Field(
        default=None, description="file, folder or hub id; none is the embedded world"
    )
    preferences: str | None = Field(
        default=None, description="file, folder or hub id; none is the embedded world"
    )
    prompts: str | None = Field(
        default=None, description="file, folder or hub id; none: those of the preferences"
    )
    scores: str | None = Field(
        default=None, description="file, folder or hub id of single answers with a thumb or a score"
    )
    feedback: str | None = Field(
        default=None,
        description="folder that feedback_ui exported: whatever of the above is not named comes from there",
    )
    limit: Count | None = Field(default=None, description="read at most so many rows of each dataset")
    max_length: Count | Auto = Field(
        default="auto", description="tokens of prompt and response; auto: the model's, at most 1024"
    )
    template: str = Field(default="auto", description="chat template: auto, plain, chatml, or a .jinja file")
    separator: str | None = Field(default=None, description="what parts the texts of a .txt file")
    validation_fraction: Probability = Field(
        default=0.05, description="share of prompts for early stopping and checkpoints"
    )
    test_fraction: Probability = Field(default=0.05, description="share of prompts that no training sees")

    @model_validator(mode="after")
    def _feedback_is_named(self) -> "DataConfig":
        if self.feedback is not None and not self.feedback.strip():
            raise ValueError(
                "feedback is not named; add the folder that `python -m feedback_ui export` made: "
                "data.feedback=FOLDER"
            )
        return self

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "DataConfig":
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} and test_fraction="
                f"{self.test_fraction} leave nothing to train on; their sum must be below 1"
            )
        return self


class InputsConfig(Section):
    """Inputs by role: run folder, model folder or hub id; none is the newest of the experiment."""

    policy: str | None = None
    reference: str | None = None
    reward_model: str | None = None
    critic: str | None = None
    baseline: str | None = None
    validation: str | None = Field(default=None, description="the reward model that picks PPO's checkpoint")
    judge: str | None = None
