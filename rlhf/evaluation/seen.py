"""Which prompts the policy was trained on, as far as its run says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlhf.config import Config
from rlhf.runs import Artifact
from rlhf.training.prompt_order import ppo_seed, prompt_order


@dataclass(frozen=True)
class PpoRun:
    """What has to be known of a PPO run to say which prompts it took until its published checkpoint."""

    seed: int
    response_length: int
    episodes: int
    samples_per_prompt: int
    data: Mapping[str, Any]

    def same_data(self, cfg: Config) -> bool:
        """Whether the configuration at hand reads the very prompts that the run read."""
        embedded = not any(self.data.get(name) for name in ("prompts", "preferences", "demonstrations"))
        return self.data == cfg.data.model_dump(mode="json") and (not embedded or self.seed == cfg.seed)

    def places(self, count: int, wanted: int) -> list[int]:
        """The first `wanted` prompts, of `count` training prompts, that the run took, each once."""
        prompts = -(-self.episodes // self.samples_per_prompt)
        order = prompt_order(ppo_seed(self.seed), count, range(min(prompts, count)))
        return order[:wanted]


def ppo_run(policy: Artifact) -> PpoRun | None:
    """The run of a policy, read from its `config.yaml` and manifest; None where it is no run of PPO."""
    config = Path(policy.path) / "config.yaml"
    if policy.manifest is None or policy.manifest.stage != "ppo" or not config.is_file():
        return None
    said = yaml.safe_load(config.read_text(encoding="utf-8"))
    stage: Mapping[str, Any] = said.get("stage") or {}
    iteration = policy.manifest.metrics.get("iteration")
    if iteration is None or "batch_size" not in stage:
        return None
    return PpoRun(
        seed=int(said["seed"]),
        response_length=int(stage["response_length"]),
        episodes=int(iteration) * int(stage["batch_size"]),
        samples_per_prompt=int(stage.get("samples_per_prompt", 1)),
        data=said["data"],
    )
