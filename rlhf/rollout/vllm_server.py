"""A vLLM server, spoken to over HTTP; it sees new weights in a folder.

    VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --logprobs-mode processed_logprobs

Routes: `/v1/models`; `/v1/completions` with token ids in and, by `return_token_ids`, out (since vLLM 0.10.2);
`/collective_rpc` and `/reset_prefix_cache` of the development mode, by which the workers read new weights.
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx2
from safetensors.torch import save_file
from torch import Tensor

from rlhf.errors import InputError
from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.vllm_engine import Completion, sampling_parameters

BUSY = frozenset({408, 409, 425, 429})
LONGEST_PAUSE_S = 60.0
LOCAL = ("localhost", "127.0.0.1", "::1")
MODELS, COMPLETIONS = "/v1/models", "/v1/completions"
START = "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --logprobs-mode processed_logprobs"


class ServerClient:
    """One model at one server; up to `parallel` requests are on their way at once.

    A broken connection, no answer in time, and a server that is busy or fails are tried again after 1, 2, 4,
    ... times `backoff_s`. A server that was away may be a new one with the weights it began with: it is given
    the newest ones again first. Whatever else is wrong is an error at once.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None,
        weights_dir: Path | None = None,
        parallel: int = 128,
        timeout_s: float = 600.0,
        retries: int = 5,
        backoff_s: float = 1.0,
    ) -> None:
        """Asks the server what it serves.

        Raises:
            InputError: it cannot be reached, or does not serve `model`, or serves several and none is named.
        """
        self._url = url.rstrip("/").removesuffix("/v1")
        if weights_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="rlhf-weights-")  # gone when this object is
            weights_dir = Path(self._temporary.name)
            weights_dir.chmod(0o755)  # for a server of another user
        self._weights_dir, self._parallel, self._retries = weights_dir, parallel, retries
        self._backoff_s = backoff_s
        self._timeout_s = timeout_s
        self._http = httpx2.Client(
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=parallel),
            trust_env=urlsplit(url).hostname not in LOCAL,  # no proxy stands before this machine itself
        )
        self._loaded: Path | None = None  # the newest weights
        self._broken = False  # the connection was, since they were loaded
        self._loading = threading.RLock()
        self._model = self._served(model)

    def check(self, last_token: int) -> None:
        """Has the server draw the policy's last token, the only one allowed: log-probability 0, if at all.

        Raises:
            InputError: its vocabulary is smaller, or its log-probabilities are not those that are drawn from.
        """
        request = Request(0, (last_token,), 0)
        only = {"allowed_token_ids": [last_token]}
        completion = self._ask(request, Sampling(1.0, 1, frozenset()), only)
        if list(completion.token_ids) != [last_token]:
            raise InputError(
                f"{self._url}: {self._model} answers {list(completion.token_ids)} where only {last_token} is "
                "allowed; its vocabulary is not the policy's: serve the policy's own base model"
            )
        if abs(completion.logprobs[0]) > 1e-3:
            raise InputError(
                f"{self._url}: log-probabilities are not those of the draw; start the server with\n{START}"
            )

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Each when it comes. Closed early, it waits for those that are on their way and lets the rest be."""
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="vllm")
        try:
            for done in as_completed([pool.submit(self._ask, request, sampling) for request in requests]):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def load(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Writes them to a folder of their own, has the server read it, and removes the one before.

        Raises:
            InputError: the server cannot load them.
        """
        folder = self._weights_dir / f"version-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        plain = {name: value.detach().to("cpu").contiguous() for name, value in tensors}
        save_file(plain, str(folder / "model.safetensors"), metadata={"format": "pt"})
        with self._loading:
            before, self._loaded = self._loaded, folder
            self._have_them_read()
        if before not in (None, folder):
            shutil.rmtree(before)

    def _have_them_read(self) -> None:
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(self._loaded)}}
        self._send("POST", "/collective_rpc", body)
        self._send("POST", "/reset_prefix_cache")
        self._broken = False

    def _served(self, wanted: str | None) -> str:
        answer = self._send("GET", MODELS)
        names = [str(model["id"]) for model in answer.get("data", ())]
        if wanted in names or (wanted is None and len(names) == 1):
            return wanted or names[0]
        have = ", ".join(names) or "no model"
        raise InputError(
            f"rollout.served_model={wanted or 'null'}: {self._url} serves {have}; name one of them"
        )

    def _ask(
        self, request: Request, sampling: Sampling, more: Mapping[str, Any] = MappingProxyType({})
    ) -> Completion:
        body = {
            "model": self._model,
            "prompt": list(request.prompt_ids),
            "return_token_ids": True,
            **sampling_parameters(request, sampling),
            **more,
        }
        answer = self._send("POST", COMPLETIONS, body)
        try:
            choice = answer["choices"][0]
            ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            return Completion(request.id, [int(token) for token in ids], [float(value) for value in logprobs])
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"{self._url} answered without token ids or log-probabilities: {json.dumps(answer)[:200]}\n"
                "vLLM 0.10.2 or newer is needed"
            ) from error

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON object, {} where it has none; asks again while it makes sense to."""
        trouble = ""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(min(self._backoff_s * 2.0 ** (attempt - 1), LONGEST_PAUSE_S))
            if path == COMPLETIONS:
                self._restore()
            try:
                response = self._http.request(method, self._url + path, json=body)
            except httpx2.TimeoutException:
                trouble = f"gave no answer within rollout.timeout_s={self._timeout_s:g}"
            except httpx2.RequestError as error:
                trouble = f"cannot be reached ({type(error).__name__}: {error})"
                self._broken = True
            else:
                if response.is_success:
                    return _object(response)
                trouble = f"answered {response.status_code} to {path}: {_quoted(response)}"
                failing = response.is_server_error and path == COMPLETIONS
                if not failing and response.status_code not in BUSY:
                    raise InputError(f"{self._url} {trouble}\n{_remedy(response.status_code, path)}")
        raise InputError(
            f"the vLLM server {self._url} {trouble}, {self._retries + 1} times.\n"
            "Check rollout.url and that it runs, then give the same command again: it goes on from the last "
            "saved state. rollout.retries and rollout.timeout_s make it more patient."
        )

    def _restore(self) -> None:
        """After a break: the newest weights once more, before anything else is asked."""
        if not self._broken:
            return
        with self._loading:
            if self._broken and self._loaded is not None:
                self._have_them_read()
            self._broken = False


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _quoted(response: httpx2.Response) -> str:
    """The beginning of what came back, on one line."""
    return " ".join(response.text.split())[:300] or "nothing"


def _remedy(status: int, path: str) -> str:
    if path in (COMPLETIONS, MODELS):
        return "Check that rollout.url is a vLLM server's address, and what it serves."
    if status == 404:
        return f"Its weights can only be replaced in vLLM's development mode; start it with\n{START}"
    return (
        "It could not load the new weights: it must serve the policy's base model, and see "
        "rollout.weights_dir under the same path; its log says more."
    )
