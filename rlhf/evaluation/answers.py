"""Answers of a policy to prompts, drawn so that two policies get the same luck."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rlhf.data.encoding import Encoded, Encoder
from rlhf.records import Prompt
from rlhf.rewards import Scored
from rlhf.rollout.base import Request, RolloutEngine, Sampling


@dataclass(frozen=True)
class Answer:
    """What a policy said to a prompt. `response_ids` includes the end token where there is one."""

    prompt: Prompt
    text: str
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    finish: str
    seed: int

    @property
    def encoded(self) -> Encoded:
        """Prompt and response as tokens."""
        return Encoded([*self.prompt_ids, *self.response_ids], len(self.prompt_ids))

    @property
    def scored(self) -> Scored:
        """The answer as a reward takes it."""
        return Scored(self.prompt, self.text, self.prompt_ids, self.response_ids, self.finish)


def sample_answers(
    engine: RolloutEngine,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    seed: int,
    per_prompt: int = 1,
    advance: Callable[[int], None] | None = None,
) -> list[Answer]:
    """`per_prompt` answers to each prompt, those of one prompt together, in the order of the prompts.

    The n-th answer to a prompt has the seed `request_seed(seed, prompt, n)`, whichever policy answers: two
    policies that are equal give equal answers. `advance` is told how many answers are done.
    """
    requests = [
        Request(
            id=index * per_prompt + number,
            prompt_ids=tuple(encoder.prompt_ids(prompt)),
            seed=request_seed(seed, prompt, number),
        )
        for index, prompt in enumerate(prompts)
        for number in range(per_prompt)
    ]
    answers: dict[int, Answer] = {}
    for rollout in engine.generate(requests, sampling):
        request, prompt = requests[rollout.request_id], prompts[rollout.request_id // per_prompt]
        ids = tuple(int(token) for token in rollout.response_ids.tolist())
        text = encoder.decode(ids, prompt)
        answers[request.id] = Answer(prompt, text, request.prompt_ids, ids, rollout.finish, request.seed)
        if advance:
            advance(len(answers))
    return [answers[request.id] for request in requests]


def request_seed(seed: int, prompt: Prompt, number: int) -> int:
    """The seed, below 2^63, of the `number`-th answer to a prompt."""
    digest = hashlib.sha256(f"{seed}/{prompt.key}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def answer_row(answer: Answer) -> dict[str, Any]:
    """The answer as plain values, a line of a JSONL file; the prompt as TRL's formats have it."""
    content = answer.prompt.content
    messages = content if isinstance(content, str) else [asdict(message) for message in content]
    return {
        "prompt": messages,
        "key": answer.prompt.key,
        "response": answer.text,
        "seed": answer.seed,
        "tokens": len(answer.response_ids),
        "finish": answer.finish,
        "fields": dict(answer.prompt.fields),
    }
