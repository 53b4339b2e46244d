"""Best-of-n, then SFT on it: rejection sampling fine-tuning (Touvron et al. 2023, Llama 2, section 3.2.3)."""

from collections.abc import Sequence

from rlhf.rewards import Scored
from rlhf.training.sft import IGNORED, Row


def best_of_each(scores: Sequence[float], per_prompt: int) -> list[int]:
    """The index of the best answer to each prompt, of several the first.

    `scores` holds `per_prompt` answers' scores for one prompt after the other.
    """
    groups = range(0, len(scores), per_prompt)
    return [max(range(start, start + per_prompt), key=lambda index: scores[index]) for start in groups]


def answer_rows(answers: Sequence[Scored]) -> list[Row]:
    """The very tokens that were sampled, as SFT takes them: the prompt's labels are ignored.

    An answer that ran to its limit has no end token, and none is added: it is not to be learnt that it ends.
    """
    return [
        {
            "input_ids": [*answer.prompt_ids, *answer.response_ids],
            "labels": [IGNORED] * len(answer.prompt_ids) + [*answer.response_ids],
        }
        for answer in answers
    ]
