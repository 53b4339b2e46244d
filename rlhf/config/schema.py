"""The root of the configuration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rlhf.config.base import Count, Section, Tracker
from rlhf.config.loop import LoopStage
from rlhf.config.objective import KlConfig, ModelReward, Reward, RolloutConfig
from rlhf.config.sources import DataConfig, InputsConfig, ModelConfig
from rlhf.config.stages import AllStage, EvalStage, HelpStage, PpoStage, RmStage, SampleStage, SftStage
from rlhf.config.study import StudyStage
from rlhf.config.world import WorldConfig

Stage = Annotated[
    SftStage | RmStage | PpoStage | SampleStage | EvalStage | StudyStage | AllStage | LoopStage | HelpStage,
    Field(discriminator="kind"),
]


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
    def _single_answers_are_named(self) -> "Config":
        rm = self.stage.rm if isinstance(self.stage, AllStage | LoopStage) else self.stage
        if isinstance(rm, RmStage) and rm.objective != "pairwise" and not self._has_scores:
            raise ValueError(
                f"stage.objective={rm.objective} learns from single answers with a thumb or a score, and "
                "there are none; name them, data.scores=FILE, or a snapshot of feedback, data.feedback=FOLDER"
            )
        return self

    @property
    def _has_scores(self) -> bool:
        return self.data.scores is not None or self.data.feedback is not None

    @model_validator(mode="after")
    def _loop_begins_with_a_policy_for_its_prompts(self) -> "Config":
        data = self.data
        own = data.demonstrations or data.feedback or self.inputs.policy
        if self.stage.kind == "loop" and data.prompts and not own:
            raise ValueError(
                f"data.prompts={data.prompts}: the first policy would learn from the embedded demonstrations "
                "alone; add data.demonstrations=FILE, or name a policy, inputs.policy=FOLDER"
            )
        return self

    @model_validator(mode="after")
    def _embedded_and_real_are_not_mixed_unseen(self) -> "Config":
        data = self.data
        if self.stage.kind == "all" and (data.demonstrations is None) != (data.preferences is None):
            missing = "data.demonstrations" if data.demonstrations is None else "data.preferences"
            raise ValueError(
                f"{missing} is not given, the other is; stage=all needs both, or neither (embedded)"
            )
        return self
