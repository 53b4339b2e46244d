"""What answers look like whatever they are worth: length, ends, variety, and distance from the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from rlhf.algos.statistics import Interval, bootstrap_mean, wilson
from rlhf.data.collation import collate, plan_microbatches
from rlhf.evaluation.answers import Answer
from rlhf.models.policy_value import policy_outputs
from rlhf.text import distinct_n


@dataclass(frozen=True)
class Figures:
    """Of one policy's answers: mean length in tokens, share that ended with the end token, and variety."""

    length_tokens: Interval
    end_rate: Interval
    distinct_1: float
    distinct_2: float


def figures(answers: Sequence[Answer], *, seed: int, resamples: int) -> Figures:
    """Figures of the answers, at least one; the end token counts into the length."""
    texts = [answer.text for answer in answers]
    return Figures(
        length_tokens=bootstrap_mean(
            [len(answer.response_ids) for answer in answers], seed=seed, n=resamples
        ),
        end_rate=wilson(sum(answer.finish == "eos" for answer in answers), len(answers)),
        distinct_1=distinct_n(texts, 1),
        distinct_2=distinct_n(texts, 2),
    )


@torch.no_grad()
def sequence_kl_nats(
    policy: PreTrainedModel,
    baseline: PreTrainedModel,
    answers: Sequence[Answer],
    *,
    temperature: float,
    pad_id: int,
    token_budget: int = 16384,
) -> list[float]:
    """The sum over each answer's tokens of log pi - log pi_ref, in nats, at the sampling temperature.

    Its mean over answers that the policy itself drew estimates KL(policy || baseline). Both models read the
    same right-padded batches.
    """
    device = next(policy.parameters()).device
    lengths = [len(answer.prompt_ids) + len(answer.response_ids) for answer in answers]
    sums = [0.0] * len(answers)
    for indices in plan_microbatches(lengths, token_budget):
        batch = collate([answers[index].encoded for index in indices], pad_id).to(device)
        logprobs_N, _ = policy_outputs(policy, batch, temperature)
        ref_logprobs_N, _ = policy_outputs(baseline, batch, temperature)
        of_rows = (
            (logprobs_N - ref_logprobs_N)
            .double()
            .split([len(answers[index].response_ids) for index in indices])
        )
        for index, difference_T in zip(indices, of_rows, strict=True):
            sums[index] = float(difference_T.sum())
    return sums
