"""The root of the configuration."""

from typing import Literal

from pydantic import Field, model_validator

from rlhf.config.base import Count, Section, Tracker
from rlhf.config.objective import KlConfig, ModelReward, Reward, RolloutConfig
from rlhf.config.sources import DataConfig, InputsConfig, ModelConfig
from rlhf.config.stages import HelpStage, Stage
from rlhf.config.world import WorldConfig


class Config(Section):
    """Everything that a command says."""

    name: str = "demo"
    runs_dir: str = "runs"
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="of the arithmetic; auto: bf16 where the hardware multiplies it (GPUs, avx512_bf16, AMX)",
    )
    threads: Count | None = Field(default=None, description="CPU threads; none: all cores")
    trackers: tuple[Tracker, ...] = ("tensorboard",)
    traceback: bool = Field(default=False, description="print the whole traceback of an error")
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    stage: Stage = HelpStage()
    reward: Reward = ModelReward()
    kl: KlConfig = KlConfig()
    rollout: RolloutConfig = RolloutConfig()
    inputs: InputsConfig = InputsConfig()
    world: WorldConfig = WorldConfig()

    @model_validator(mode="after")
    def _embedded_and_real_are_not_mixed_unseen(self) -> "Config":
        data = self.data
        if self.stage.kind == "all" and (data.demonstrations is None) != (data.preferences is None):
            missing = "data.demonstrations" if data.demonstrations is None else "data.preferences"
            raise ValueError(
                f"{missing} is not given, the other is; stage=all needs both, or neither (embedded)"
            )
        return self
