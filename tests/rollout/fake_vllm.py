"""Something that answers as vLLM does, around a tiny model: as a client, and as a server on this machine."""

import copy
import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.vllm_engine import Completion, sampling_parameters

GENERATION_CONFIG = {"temperature": 0.1, "repetition_penalty": 1.3, "top_k": 2, "top_p": 0.5, "min_p": 0.2}
"""What vLLM falls back to where a request does not say."""


class FakeVllm:
    """Weights of its own, and draws of its own from the seed of a request."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = copy.deepcopy(model).eval()
        self.processed = True  # --logprobs-mode processed_logprobs
        self._known = dict[tuple[int, ...], np.ndarray]()
        self._lock = threading.Lock()

    def load_weights(self, tensors: Iterable[tuple[str, Tensor]]) -> set[str]:
        """As a model of vLLM's has it; old logits stay until the prefix cache is reset."""
        own = dict(self.model.named_parameters())
        taken = set[str]()
        with torch.no_grad():
            for name, value in tensors:
                if own[name].shape != value.shape:
                    raise ValueError(
                        f"{name}: shape {tuple(value.shape)} instead of {tuple(own[name].shape)}"
                    )
                own[name].copy_(value)
                taken.add(name)
        return taken

    def reset_prefix_cache(self) -> None:
        self._known.clear()

    def answer(self, prompt: Sequence[int], asked: Mapping[str, Any]) -> tuple[list[int], list[float], str]:
        """Token ids, the log-probability of each, and why it ended."""
        says = {**GENERATION_CONFIG, **{name: value for name, value in asked.items() if value is not None}}
        assert says["repetition_penalty"] == 1.0
        assert says["min_p"] == 0.0
        assert says["ignore_eos"]
        random, ids, logprobs = np.random.default_rng(says["seed"]), list[int](), list[float]()
        while len(ids) < says["max_tokens"]:
            logits_V = self._logits([*prompt, *ids])
            greedy = says["temperature"] == 0
            scaled_V = logits_V if greedy else logits_V / says["temperature"]
            drawn_V = np.full_like(scaled_V, -np.inf)
            kept = kept_tokens(scaled_V, says)
            drawn_V[kept] = scaled_V[kept]
            shares_V = np.exp(drawn_V - drawn_V.max())
            shares_V /= shares_V.sum()
            token = int(shares_V.argmax()) if greedy else int(random.choice(len(shares_V), p=shares_V))
            shown_V = scaled_V if greedy else drawn_V if self.processed else logits_V
            ids.append(token)
            logprobs.append(float(shown_V[token] - np.logaddexp.reduce(shown_V)))
            if token in says["stop_token_ids"]:
                return ids, logprobs, "stop"
        return ids, logprobs, "length"

    def _logits(self, ids: Sequence[int]) -> np.ndarray:
        with self._lock, torch.no_grad():
            if tuple(ids) not in self._known:
                logits_V = self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
                self._known[tuple(ids)] = logits_V.double().numpy()
            return self._known[tuple(ids)]


def kept_tokens(scaled_V: np.ndarray, says: Mapping[str, Any]) -> list[int]:
    """What is allowed, then top-k, then the fewest of these that hold top-p of them."""
    order = [int(token) for token in np.argsort(-scaled_V)]
    if says.get("allowed_token_ids"):
        order = [token for token in order if token in says["allowed_token_ids"]]
    order = order[: says["top_k"]] if says["top_k"] else order
    weights = np.exp(scaled_V[order] - scaled_V[order].max())
    below = np.cumsum(weights / weights.sum()) - weights / weights.sum()
    return [token for token, before in zip(order, below, strict=True) if before < says["top_p"]]


class StandIn:
    """A client without HTTP."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.vllm = FakeVllm(model)

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        for request in reversed(requests):
            answer = self.vllm.answer(request.prompt_ids, sampling_parameters(request, sampling))
            yield Completion(request.id, *answer[:2])

    def load(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        self.vllm.load_weights(tensors)
        self.vllm.reset_prefix_cache()


@dataclass
class Served:
    """The server's address and what it was asked. `trouble` may answer in its place, or break it off."""

    url: str
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    trouble: Callable[[str, int], "tuple[int, str] | None"] = lambda _path, _number: None
    names: tuple[str, ...] = ("the-policy",)
    development_mode: bool = True
    change: Callable[[dict[str, Any]], None] = lambda _choice: None

    def count(self, path: str) -> int:
        return sum(path == one for one, _ in self.asked)


BROKEN = (0, "")
"""A trouble: the connection is closed without a word."""


@contextmanager
def vllm_server(vllm: FakeVllm) -> Generator[Served]:
    """Serves it on a free port until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(json.loads(self.rfile.read(length) or b"{}"))

        def _answer(self, body: dict[str, Any]) -> None:
            with lock:
                served.asked.append((self.path, body))
                trouble = served.trouble(self.path, served.count(self.path))
            if trouble == BROKEN:
                self.close_connection = True
                return
            status, content = trouble or self._page(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def _page(self, body: dict[str, Any]) -> tuple[int, str]:
            if self.path == "/v1/models":
                return 200, json.dumps({"data": [{"id": name, "object": "model"} for name in served.names]})
            if self.path == "/v1/completions":
                return self._completion(body)
            if self.path == "/collective_rpc" and served.development_mode:
                assert body["method"] == "reload_weights"
                try:
                    vllm.load_weights(
                        load_file(Path(body["kwargs"]["weights_path"]) / "model.safetensors").items()
                    )
                except (ValueError, KeyError, OSError) as error:
                    return 500, f"Internal Server Error {error}"
                return 200, json.dumps({"results": [None]})
            if self.path == "/reset_prefix_cache" and served.development_mode:
                vllm.reset_prefix_cache()
                return 200, ""
            return 404, json.dumps({"detail": "Not Found"})

        def _completion(self, body: dict[str, Any]) -> tuple[int, str]:
            if body["model"] not in served.names:
                return 404, json.dumps({"error": {"message": f"The model `{body['model']}` does not exist."}})
            if max(body["prompt"]) >= vllm.model.config.vocab_size:
                return 400, json.dumps({"error": {"message": "Token id is out of vocabulary"}})
            ids, logprobs, reason = vllm.answer(body["prompt"], body)
            choice = {
                "index": 0,
                "text": "?",
                "finish_reason": reason,
                "logprobs": {"token_logprobs": logprobs, "tokens": ["?"] * len(ids)},
                "token_ids": ids if body.get("return_token_ids") else None,
            }
            served.change(choice)
            return 200, json.dumps({"object": "text_completion", "model": body["model"], "choices": [choice]})

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Served(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
