"""What a look at the held-out prompts leaves behind: every answer, and a few episodes token by token."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from rlhf.algos.gae import gae
from rlhf.algos.kl import KlEstimator, k1
from rlhf.algos.rewards import missing_end, token_rewards
from rlhf.algos.running import RunningMoments
from rlhf.config import PpoStage
from rlhf.data.encoding import Encoder
from rlhf.records import Prompt
from rlhf.rewards.base import Scores
from rlhf.runs import Run
from rlhf.training.experience import Episode, Forwards, shape_scores

LOOKS, EPISODES = "looks.jsonl", "episodes.jsonl"
END_SHOWN = "⟨end⟩"
_TORN = "\ufffd"  # what a decoder makes of a part of a character


@dataclass(frozen=True)
class Look:
    """Figures named `eval/...`; `answers` has a row a prompt, `samples` and `episodes` the first few.

    The rows of `answers` and `episodes` are those of `looks.jsonl` and `episodes.jsonl` but for the step.
    """

    figures: dict[str, float]
    samples: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    episodes: list[dict[str, Any]]


def answer_rows(
    episodes: Sequence[Episode], scores: Scores, validation: Scores, kl_B: Tensor
) -> list[dict[str, Any]]:
    """Every answer with its scores and its KL from the reference in nats."""
    return [
        {
            "prompt": plain_prompt(episode.prompt),
            "key": episode.prompt.key,
            "fields": dict(episode.prompt.fields),
            "response": episode.text,
            "score": scores.total[row].item(),
            "validation_score": validation.total[row].item(),
            "kl": kl_B[row].item(),
            "tokens": len(episode.rollout.response_ids),
            "finish": episode.rollout.finish,
        }
        for row, episode in enumerate(episodes)
    ]


def episode_rows(
    episodes: Sequence[Episode],
    forwards: Forwards,
    scores_B: Tensor,
    stage: PpoStage,
    encoder: Encoder,
    *,
    kl_coef: float,
    kl_estimator: KlEstimator = "k1",
    scores_seen: RunningMoments = RunningMoments(),  # noqa: B008, frozen
) -> list[dict[str, Any]]:
    """Episodes as PPO sees them, one number a token: KL, value, advantage and reward.

    `forwards` and `scores_B` may hold more than these, which come first in them. Advantages are in the unit
    of the score, rewards the score (normalised and clipped where the stage says so) less the KL penalty; both
    before any whitening. Without a critic, values are 0 and advantages what is left to earn, before a
    baseline: a look has one answer to each prompt.
    """
    rows = len(episodes)
    mask_BT, scores_B, values_BT = forwards.mask_BT[:rows], scores_B[:rows], forwards.values_BT[:rows]
    logprobs_BT, ref_logprobs_BT = forwards.logprobs_BT[:rows], forwards.ref_logprobs_BT[:rows]
    ended_B = torch.tensor([episode.rollout.finish == "eos" for episode in episodes])
    shaped_B = shape_scores(scores_B, stage, scores_seen)
    final_B = missing_end(shaped_B, ended_B, stage.missing_end, stage.missing_end_score)
    kl_BT = k1(logprobs_BT, ref_logprobs_BT, mask_BT)
    rewards_BT = token_rewards(final_B, logprobs_BT, ref_logprobs_BT, mask_BT, kl_coef, kl_estimator).total_BT
    lam = {"gae": stage.lam, "one_step": 0.0}.get(stage.advantage, 1.0)
    estimate = gae(rewards_BT, values_BT, mask_BT, gamma=stage.gamma, lam=lam)
    columns = {
        "kl": kl_BT,
        "value": values_BT,
        "advantage": estimate.advantages_BT,
        "reward": rewards_BT,
    }
    return [
        {
            "prompt": episode.prompt.text,
            "score": scores_B[row].item(),
            "tokens": token_texts(encoder, episode.rollout.response_ids.tolist(), episode.prompt),
            **{name: column_BT[row][mask_BT[row]].tolist() for name, column_BT in columns.items()},
        }
        for row, episode in enumerate(episodes)
    ]


def token_texts(encoder: Encoder, ids: Sequence[int], prompt: Prompt) -> list[str]:
    """What each token adds to the text; of a character that several tokens spell, the last one shows it.

    Joined they are the response, but for the end token, which is shown as `END_SHOWN`.
    """
    texts: list[str] = []
    shown = ""
    for number, token in enumerate(ids, start=1):
        text = encoder.decode(ids[:number], prompt)
        if token in encoder.stop_ids:
            if texts:
                texts[-1] += text[len(shown) :]
            texts.append(END_SHOWN)
            shown = text
        elif text.endswith(_TORN) and number < len(ids):
            texts.append("")
        else:
            texts.append(text[len(shown) :])
            shown = text
    return texts


def plain_prompt(prompt: Prompt) -> str | list[dict[str, str]]:
    """A prompt's content as plain values, as TRL's formats have it."""
    if isinstance(prompt.content, str):
        return prompt.content
    return [asdict(message) for message in prompt.content]


def add_rows(run: Run, name: str, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Puts a look's rows behind those of the looks before it, marked with its step.

    What the file holds of this step or later comes from before a kill and is said anew, so it goes.
    """
    path = run.path / name
    lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n") if path.is_file() else []
    earlier = [row for line in lines if line and (row := json.loads(line))["step"] < step]
    run.write_jsonl(name, [*earlier, *({"step": step, **row} for row in rows)])
