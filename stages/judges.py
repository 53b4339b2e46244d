"""Who gives scores: the embedded world's gold rater, and reward models on the machine."""

from collections.abc import Sequence

import torch

from rlhf.config import Config
from rlhf.data.encoding import Encoder
from rlhf.demo.gold import gold
from rlhf.models.loading import context_length, load_tokenizer, with_matrices_in
from rlhf.models.reward_model import load_reward_model
from rlhf.rewards import ModelReward, Reward, Scored, Scores
from rlhf.rewards.model import reward_encoder
from stages.datasets import gold_weights
from stages.shared import Session


def gold_reward(cfg: Config) -> Reward:
    """What the embedded world's own rater gives by `world.gold`, with its parts."""
    weights = gold_weights(cfg)

    def score(batch: Sequence[Scored]) -> Scores:
        given = [gold(scored.prompt, scored.response, weights) for scored in batch]
        parts_B = {
            name: torch.tensor([one.parts[name] for one in given], dtype=torch.float32) for name in weights
        }
        return Scores(torch.tensor([one.total for one in given], dtype=torch.float32), parts_B)

    return score


def model_reward(here: Session, folder: str, policy_encoder: Encoder | None) -> Reward:
    """A reward model of a folder; `policy_encoder` is None where the policies have different tokens."""
    trust = here.cfg.model.trust_remote_code
    model = with_matrices_in(load_reward_model(folder, trust_remote_code=trust), here.machine.dtype)
    tokenizer = load_tokenizer(folder, trust_remote_code=trust)
    encoder = reward_encoder(tokenizer, context_length(model), here.cfg.data.template)
    on_device = model.to(here.machine.device)  # pyright: ignore[reportArgumentType]
    return ModelReward(on_device, encoder, policy_encoder=policy_encoder, dtype=here.machine.dtype)
