"""The whole configuration as frozen pydantic models; `validate` turns what Hydra composed into a `Config`.

Every error is reported at once, each with key, value, rule and remedy. No code writes into a `Config`.
"""

from rlhf.config.explain import known_keys, validate
from rlhf.config.judge import JudgeConfig
from rlhf.config.loop import LoopStage, SimulatedRaters
from rlhf.config.objective import (
    CustomReward,
    EnsembleReward,
    KlConfig,
    ModelReward,
    Reward,
    RolloutConfig,
    RulesReward,
    SafeReward,
    WeightedReward,
)
from rlhf.config.schema import Config
from rlhf.config.sources import DataConfig, InputsConfig, ModelConfig
from rlhf.config.stages import (
    AllStage,
    EvalStage,
    HelpStage,
    PpoStage,
    RmStage,
    SampleStage,
    SftStage,
    TrainerStage,
)
from rlhf.config.study import StudyStage

__all__ = [
    "AllStage",
    "Config",
    "CustomReward",
    "DataConfig",
    "EnsembleReward",
    "EvalStage",
    "HelpStage",
    "InputsConfig",
    "JudgeConfig",
    "KlConfig",
    "LoopStage",
    "ModelConfig",
    "ModelReward",
    "PpoStage",
    "Reward",
    "RmStage",
    "RolloutConfig",
    "RulesReward",
    "SafeReward",
    "SampleStage",
    "SftStage",
    "SimulatedRaters",
    "StudyStage",
    "TrainerStage",
    "WeightedReward",
    "known_keys",
    "validate",
]
