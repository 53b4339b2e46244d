"""Who judges in a study: the reward that picks the best of n, and who scores the demonstration curve."""

from collections.abc import Sequence
from typing import Any

import torch

from rlhf.data.encoding import Encoder
from rlhf.demo.gold import gold
from rlhf.demo.tasks import WORLD
from rlhf.evaluation.inputs import judge_folder
from rlhf.models.loading import load_tokenizer
from rlhf.models.reward_model import load_reward_model
from rlhf.records import Prompt
from rlhf.rewards import ModelReward, Reward, Scored, Scores, build_reward
from stages.shared import Session, encoder_for


def reward_of(here: Session, encoder: Encoder) -> Reward:
    """The reward of the configuration, the same that PPO maximises; `encoder` is the policy's."""
    folder = here.inputs["reward_model"].model
    return build_reward(here.cfg.reward, lambda: model_reward(here, folder, encoder))


def first_judge(here: Session, prompts: Sequence[Prompt], encoder: Encoder) -> tuple[str, Reward] | None:
    """Gold in the embedded world, else the judge model beside the reward model; None without either."""
    if all(prompt.fields.get("world") == WORLD for prompt in prompts):
        return "gold", gold_reward
    folder = judge_folder(here.inputs)
    return ("judge", model_reward(here, folder, encoder)) if folder else None


def model_reward(here: Session, folder: str, policy_encoder: Encoder) -> Reward:
    """A reward model on the machine."""
    remote_code: dict[str, Any] = {"trust_remote_code": here.cfg.model.trust_remote_code}
    model = load_reward_model(folder, dtype=here.machine.dtype, **remote_code)
    encoder = encoder_for(here.cfg, model, load_tokenizer(folder, **remote_code))
    on_device = model.to(here.machine.device)  # pyright: ignore[reportArgumentType]
    return ModelReward(on_device, encoder, policy_encoder=policy_encoder)


def gold_reward(batch: Sequence[Scored]) -> Scores:
    """What the embedded world's own rater gives."""
    scores = [gold(scored.prompt, scored.response).total for scored in batch]
    return Scores(torch.tensor(scores, dtype=torch.float32))
