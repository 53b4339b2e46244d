"""Who judges in a study: the reward that picks the best of n, and who scores the demonstration curve."""

from collections.abc import Sequence

from rlhf.data.encoding import Encoder
from rlhf.demo.tasks import WORLD
from rlhf.evaluation.inputs import judge_folder
from rlhf.records import Prompt
from rlhf.rewards import Reward, build_reward
from stages.judges import gold_reward, model_reward
from stages.reward_models import Scoring
from stages.shared import Session


def reward_of(here: Session, encoder: Encoder) -> Reward:
    """The reward of the configuration, the same that PPO maximises; `encoder` is the policy's."""
    return build_reward(here.cfg.reward, Scoring(here, encoder))


def first_judge(here: Session, prompts: Sequence[Prompt], encoder: Encoder) -> tuple[str, Reward] | None:
    """Gold in the embedded world, else the judge model beside the reward model; None without either."""
    if all(prompt.fields.get("world") == WORLD for prompt in prompts):
        return "gold", gold_reward(here.cfg)
    folder = judge_folder(here.inputs)
    return ("judge", model_reward(here, folder, encoder)) if folder else None
