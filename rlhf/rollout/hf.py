"""Rollouts on transformers: left-padded batches, finished rows leave, one key-value cache.

Left padding lives only here. Position ids are explicit, so a left-padded row gives the log-probabilities
of an unpadded one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from rlhf.rollout.base import Request, Rollout, Sampling, draw, uniforms

SHRINK_AT = 0.125  # of the rows finished: the others' cache is copied together


class HfEngine:
    """Generates with a transformers model that lives in this process.

    The model is shared with training, not copied: `sync_weights` only notes the version.
    """

    def __init__(self, model: PreTrainedModel, *, pad_id: int, batch_size: int = 128) -> None:
        self._model = model
        self._pad_id = pad_id
        self._batch_size = batch_size
        self._version = 0

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Notes the version; the weights are the trainer's own tensors, so `tensors` is not read."""
        self._version = version

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        """Yields a rollout for each request as it finishes; prompts of like length are decoded together."""
        waiting = sorted(requests, key=lambda request: (len(request.prompt_ids), request.id))
        was_training = self._model.training
        self._model.eval()
        try:
            for start in range(0, len(waiting), self._batch_size):
                yield from self._decode(waiting[start : start + self._batch_size], sampling)
        finally:
            self._model.train(was_training)

    @torch.no_grad()
    def _decode(self, requests: list[Request], sampling: Sampling) -> Iterator[Rollout]:
        device = next(self._model.parameters()).device
        rows = _Rows.start(requests, self._pad_id, device)
        seeds = np.array([request.seed for request in requests], dtype=np.uint64)
        ids = np.array([request.id for request in requests], dtype=np.uint64)
        tokens_RT = torch.full((len(requests), sampling.max_new_tokens), self._pad_id)
        logprobs_RT = torch.zeros((len(requests), sampling.max_new_tokens), dtype=torch.float32)
        stops = torch.tensor(sorted(sampling.stop_ids), device=device)
        for position in range(sampling.max_new_tokens):
            logits_BV = self._step(rows)
            uniform_B = torch.from_numpy(uniforms(seeds[rows.index], ids[rows.index], position)).to(device)
            tokens_B, token_logprobs_B = draw(logits_BV, uniform_B, sampling)
            live = torch.from_numpy(rows.live)
            tokens_RT[rows.index[rows.live], position] = tokens_B.cpu()[live]
            logprobs_RT[rows.index[rows.live], position] = token_logprobs_B.cpu()[live]
            ended = torch.isin(tokens_B, stops).cpu().numpy() & rows.live
            last = position == sampling.max_new_tokens - 1
            for row in np.flatnonzero(rows.live if last else ended):
                index = int(rows.index[row])
                yield Rollout(
                    request_id=requests[index].id,
                    response_ids=tokens_RT[index, : position + 1].clone(),
                    logprobs=logprobs_RT[index, : position + 1].clone(),
                    finish="eos" if ended[row] else "length",
                    version_per_token=torch.full((position + 1,), self._version),
                )
            rows.live &= ~ended
            if last or not rows.live.any():
                return
            rows.feed(tokens_B)
            if (~rows.live).mean() >= SHRINK_AT:
                rows.shrink()

    def _step(self, rows: "_Rows") -> Tensor:
        """Logits [B, V] of the next token of every row."""
        output = self._model(
            input_ids=rows.input_ids,
            attention_mask=rows.attention_mask_BS,
            position_ids=rows.position_ids,
            past_key_values=rows.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]


@dataclass
class _Rows:
    """The rows that are being decoded together; `index` says which request each is."""

    input_ids: Tensor  # [B, P] at first, then [B, 1]
    attention_mask_BS: Tensor  # 1 where there is a token, left-padded
    position_ids: Tensor
    cache: DynamicCache
    index: np.ndarray
    live: np.ndarray

    @classmethod
    def start(cls, requests: list[Request], pad_id: int, device: torch.device) -> "_Rows":
        width = max(len(request.prompt_ids) for request in requests)
        ids_BP = torch.full((len(requests), width), pad_id)
        mask_BP = torch.zeros((len(requests), width), dtype=torch.long)
        for row, request in enumerate(requests):
            ids_BP[row, width - len(request.prompt_ids) :] = torch.tensor(request.prompt_ids)
            mask_BP[row, width - len(request.prompt_ids) :] = 1
        positions_BP = (mask_BP.cumsum(dim=1) - 1).clamp(min=0)
        count = len(requests)
        return cls(
            ids_BP.to(device),
            mask_BP.to(device),
            positions_BP.to(device),
            DynamicCache(),
            np.arange(count),
            np.ones(count, dtype=bool),
        )

    def feed(self, tokens_B: Tensor) -> None:
        """Makes the drawn tokens the next input."""
        self.input_ids = tokens_B.unsqueeze(1)
        self.position_ids = self.position_ids[:, -1:] + 1
        ones_B1 = torch.ones_like(self.attention_mask_BS[:, :1])
        self.attention_mask_BS = torch.cat([self.attention_mask_BS, ones_B1], dim=1)

    def shrink(self) -> None:
        """Lets finished rows go."""
        keep = torch.from_numpy(np.flatnonzero(self.live)).to(self.input_ids.device)
        self.input_ids = self.input_ids[keep]
        self.position_ids = self.position_ids[keep]
        self.attention_mask_BS = self.attention_mask_BS[keep]
        self.cache.batch_select_indices(keep)
        self.index = self.index[self.live]
        self.live = np.ones(len(self.index), dtype=bool)
