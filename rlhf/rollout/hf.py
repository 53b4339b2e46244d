"""Rollouts on transformers: a row whose sequence is done takes the next prompt.

All of a prompt but its last token is run at once, beside others of like length; the last one is the first
step of decoding. So every logit comes from the same kind of step, and no sequence waits for another's end.
Beside the model, a step is a handful of operations on the batch; Python looks at a row only when it is done.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf.models.policy_value import decoder_of
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.draw import draw
from rlhf.rollout.rows import Rows, prefill_groups
from rlhf.rollout.slots import SlotCache, StepMask
from rlhf.rollout.weights import copy_in, copy_weights

IDLE = 0.125  # share of the rows that are done before they are filled, or let go, together
SHAPES = 64  # of a compiled step: rows by halves times widths by doubling


class HfEngine:
    """Generates with a transformers model that lives in this process.

    The model is shared with training, and `sync_weights` only notes the version; unless `dtype` is another
    than the model's: then decoding has a copy of its weights in it, adapters merged. A `dtype` also says that
    it is decoded in, whatever autocast the caller is in. With `compile`, steps are compiled, and on a GPU
    captured; where that fails, `say` is told so once, and it goes on without.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pad_id: int,
        batch_size: int = 128,
        dtype: torch.dtype | None = None,
        compile: bool = False,
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._own_precision = dtype is not None
        self._copy = None if dtype in (None, model.dtype) else copy_in(model, dtype)
        self._model = model if self._copy is None else self._copy
        self._mask = StepMask(model.config)
        self._pad_id = pad_id
        self._batch_size = batch_size
        self._compiled = self._compile() if compile else None
        self._kept: SlotCache | None = None  # a compiled step reads the same memory every time
        self._say = say
        self._version = 0

    @property
    def has_own_weights(self) -> bool:
        """Whether they may be decoded with while the model is trained."""
        return self._copy is not None

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Notes the version; `tensors`, named as by `plain_weights`, are read where there is a copy of them.

        Raises:
            ValueError: there is a copy, and a weight of it did not come.
        """
        if self._copy is not None and version != self._version:
            copy_weights(tensors, self._copy)
        self._version = version

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        """Yields a rollout for each request as it finishes; the shortest prompts begin."""
        waiting = deque(sorted(requests, key=lambda request: (len(request.prompt_ids), request.id)))
        if not waiting:
            return
        was_training = self._model.training
        self._model.eval()
        try:
            yield from self._decode(waiting, sampling)
        finally:
            self._model.train(was_training)

    @torch.no_grad()
    def _decode(self, waiting: deque[Request], sampling: Sampling) -> Iterator[Rollout]:
        count, longest = min(self._batch_size, len(waiting)), len(waiting[-1].prompt_ids)
        rows = Rows(count, longest, sampling, self._model.device, static=self._compiled is not None)
        cache = self._cache(rows)
        while waiting or rows.any_live:
            idle = rows.idle
            if waiting and (len(idle) >= IDLE * rows.count or not rows.any_live):
                taken = [waiting.popleft() for _ in range(min(len(idle), len(waiting)))]
                self._fill(rows, cache, idle[: len(taken)], taken)
            elif not waiting and len(idle) >= IDLE * rows.count and idle:
                width = rows.width
                kept = rows.shrink()
                if kept is not None:
                    cache.move(kept, width)
            tokens_B, logprobs_B = draw(self._step(rows, cache), rows.next_uniforms, sampling)
            yield from rows.advance(tokens_B, logprobs_B, self._version)

    def _fill(self, rows: Rows, cache: SlotCache, free: Sequence[int], requests: Sequence[Request]) -> None:
        """Runs prompts without their last tokens, padded on the right, where nothing attends to padding."""
        rows.fill(free, requests)
        device = self._model.device
        for group in prefill_groups(requests):
            prompts = [requests[index].prompt_ids[:-1] for index in group]
            width = max(len(prompt) for prompt in prompts)
            padded = [[*prompt, *[self._pad_id] * (width - len(prompt))] for prompt in prompts]
            cache.window.fill_rows = torch.tensor([free[index] for index in group], device=device)
            with self._precision():
                decoder_of(self._model)(
                    input_ids=torch.tensor(padded, device=device),
                    position_ids=torch.arange(width, device=device).expand(len(prompts), width),
                    past_key_values=cache,
                    use_cache=True,
                )
        cache.window.fill_rows = None

    def _step(self, rows: Rows, cache: SlotCache) -> Tensor:
        """Logits [B, V] of every row's next token."""
        tokens_B, positions_B = rows.inputs
        cache.window.step(positions_B, rows.width)
        mask = self._mask(positions_B, cache.window.width, self._model.dtype)
        inputs = {
            "input_ids": tokens_B.unsqueeze(1),
            "attention_mask": mask,
            "position_ids": positions_B.unsqueeze(1),
            "past_key_values": cache,
            "use_cache": True,
            "logits_to_keep": 1,
        }
        with self._precision():
            if self._compiled is not None:
                try:
                    return self._compiled(**inputs).logits[:, -1]
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:  # a compiler may fail in any way; the step can be taken without it
                    self._compiled, self._kept = None, None
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
                    self._say(f"rollout.compile: decoding goes on uncompiled, because {reason}")
            return self._model(**inputs).logits[:, -1]

    def _compile(self) -> Callable[..., Any]:
        on_gpu = self._model.device.type == "cuda"
        step = torch.compile(self._model, dynamic=False, mode="reduce-overhead" if on_gpu else None)

        def call(**inputs: Any) -> Any:
            torch.compiler.cudagraph_mark_step_begin()
            with torch._dynamo.config.patch(recompile_limit=SHAPES):  # pyright: ignore
                return step(**inputs)

        return call

    def _cache(self, rows: Rows) -> SlotCache:
        if self._compiled is None:
            return SlotCache(rows.count, rows.capacity)
        if self._kept is None or (self._kept.rows, self._kept.capacity) != (rows.count, rows.capacity):
            self._kept = SlotCache(rows.count, rows.capacity)
        return self._kept

    def _precision(self) -> AbstractContextManager[object]:
        """The caller's autocast, or none."""
        if self._own_precision:
            return torch.autocast(self._model.device.type, enabled=False)
        return nullcontext()
