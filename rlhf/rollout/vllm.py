"""vLLM in this process, on the trainer's GPU."""

import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from rlhf.errors import ConfigError
from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.vllm_engine import Completion, sampling_parameters


class ColocatedClient:
    """vLLM's own scheduler over a model folder; weights are handed over in memory."""

    def __init__(self, model: str, *, max_length: int, gpu_memory: float, trust_remote_code: bool) -> None:
        """Starts it: `max_length` tokens of prompt and response, `gpu_memory` the share of the GPU it takes.

        Raises:
            ConfigError: vLLM is not installed here.
        """
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights are passed within the process
        try:
            vllm: Any = importlib.import_module("vllm")
        except ImportError as error:
            raise ConfigError(
                f"rollout=vllm: vLLM cannot be imported here ({error}); it wants an environment with the "
                "torch it was built for: run `vllm serve` there and set rollout.url, or take rollout=hf"
            ) from error
        self._parameters = vllm.SamplingParams
        self._llm = vllm.LLM(
            model=model,
            max_model_len=max_length,
            gpu_memory_utilization=gpu_memory,
            logprobs_mode="processed_logprobs",  # at the temperature
            trust_remote_code=trust_remote_code,
            seed=0,
        )

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """All requests in one go: they come when the last one is done."""
        prompts = [{"prompt_token_ids": list(request.prompt_ids)} for request in requests]
        parameters = [
            self._parameters(**sampling_parameters(request, sampling), detokenize=False)
            for request in requests
        ]
        outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        for request, output in zip(requests, outputs, strict=True):
            answer = output.outputs[0]
            ids = [int(token) for token in answer.token_ids]
            logprobs = [of[token].logprob for token, of in zip(ids, answer.logprobs, strict=True)]
            yield Completion(request.id, ids, logprobs)

    def load(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Loads them into vLLM's model, and drops the cached prefixes."""

        def into(model: nn.Module) -> int:
            return len(model.load_weights(tensors))  # pyright: ignore

        self._llm.apply_model(into)
        self._llm.reset_prefix_cache()
