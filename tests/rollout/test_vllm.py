"""vLLM as a server and in this process: what is sent, what is refused, and what happens when it is away."""

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from fake_vllm import BROKEN, FakeVllm, Served, StandIn, vllm_server
from rollout_models import VOCABULARY, policy
from transformers import PreTrainedModel

from rlhf.errors import ConfigError, InputError
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.vllm import ColocatedClient
from rlhf.rollout.vllm_engine import Completion, VllmEngine
from rlhf.rollout.vllm_server import ServerClient
from rlhf.rollout.weights import plain_weights

SAMPLING = Sampling(0.7, 6, frozenset({3, 7}))
REQUESTS = [Request(number, (5, 2 + number, 9), 11) for number in range(8)]


@pytest.fixture
def model() -> PreTrainedModel:
    return policy("llama")


@pytest.fixture
def served(model: PreTrainedModel) -> Generator[Served]:
    with vllm_server(FakeVllm(model)) as server:
        yield server


@pytest.fixture
def connect(served: Served, tmp_path: Path) -> Callable[..., ServerClient]:
    def make(model: str | None = None, retries: int = 3) -> ServerClient:
        return ServerClient(
            served.url, model=model, weights_dir=tmp_path, parallel=4, retries=retries, backoff_s=0.01
        )

    return make


def answers(rollouts: Iterator[Rollout]) -> dict[int, tuple[list[int], list[float], str]]:
    return {
        rollout.request_id: (rollout.response_ids.tolist(), rollout.logprobs.tolist(), rollout.finish)
        for rollout in rollouts
    }


def test_a_server_answers_as_the_client_without_one(
    model: PreTrainedModel, connect: Callable[..., ServerClient]
) -> None:
    """Over HTTP, four at once: token ids out and back, each sampling parameter, a seed for each request."""
    for sampling in (
        SAMPLING,
        Sampling(1.3, 4, frozenset(), top_k=4, top_p=0.7),
        Sampling(0.0, 4, frozenset()),
    ):
        there = answers(VllmEngine(connect(), vocabulary=VOCABULARY).generate(REQUESTS, sampling))
        here = answers(VllmEngine(StandIn(model), vocabulary=VOCABULARY).generate(REQUESTS, sampling))
        assert there == here
        assert there.keys() == set(range(8))


def test_every_parameter_is_named_and_none_is_left_to_the_server(
    served: Served, connect: Callable[..., ServerClient]
) -> None:
    list(VllmEngine(connect(), vocabulary=VOCABULARY).generate(REQUESTS[:2], SAMPLING))
    bodies = [body for path, body in served.asked if path == "/v1/completions"]
    seeds = {body.pop("seed") for body in bodies}
    assert len(seeds) == 2
    assert all(0 <= seed < 2**63 for seed in seeds)
    bodies.sort(key=lambda body: body["prompt"])
    assert bodies[0] == {
        "model": "the-policy",
        "prompt": [5, 2, 9],
        "return_token_ids": True,
        "temperature": 0.7,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "min_tokens": 0,
        "max_tokens": 6,
        "stop_token_ids": [3, 7],
        "ignore_eos": True,
        "logprobs": 1,
    }


def test_new_weights_are_read_from_a_folder_and_old_folders_go(
    model: PreTrainedModel, served: Served, connect: Callable[..., ServerClient], tmp_path: Path
) -> None:
    engine = VllmEngine(connect(), vocabulary=VOCABULARY)
    before = answers(engine.generate(REQUESTS, SAMPLING))
    with torch.no_grad():
        model.get_output_embeddings().weight.neg_()
    for version in (1, 2):
        engine.sync_weights(plain_weights(model), version)
        assert [folder.name for folder in tmp_path.iterdir()] == [f"version-{version}"]
    after = answers(engine.generate(REQUESTS, SAMPLING))
    assert after != before
    assert after == answers(VllmEngine(StandIn(model), vocabulary=VOCABULARY).generate(REQUESTS, SAMPLING))
    assert served.count("/reset_prefix_cache") == 2


@pytest.mark.parametrize("trouble", [BROKEN, (503, "loading"), (429, "busy")])
def test_trouble_that_passes_is_waited_out_and_nothing_is_lost(
    served: Served, connect: Callable[..., ServerClient], trouble: tuple[int, str]
) -> None:
    engine = VllmEngine(connect(), vocabulary=VOCABULARY)
    expected = answers(engine.generate(REQUESTS, SAMPLING))
    begun = served.count("/v1/completions")
    served.trouble = lambda path, number: trouble if number - begun in (2, 3, 5) else None
    assert answers(engine.generate(REQUESTS, SAMPLING)) == expected
    assert served.count("/v1/completions") == begun + len(REQUESTS) + 3


def test_a_server_that_was_away_is_given_the_newest_weights_again(
    model: PreTrainedModel, served: Served, connect: Callable[..., ServerClient]
) -> None:
    """It may have been started anew, with the weights that it begins with."""
    engine = VllmEngine(connect(), vocabulary=VOCABULARY)
    with torch.no_grad():
        model.get_output_embeddings().weight.neg_()
    engine.sync_weights(plain_weights(model), 1)
    expected = answers(engine.generate(REQUESTS, SAMPLING))
    begun = served.count("/v1/completions")
    served.trouble = lambda path, number: (
        BROKEN if path == "/v1/completions" and number == begun + 1 else None
    )
    assert answers(engine.generate(REQUESTS, SAMPLING)) == expected
    loads = [number for number, (path, _) in enumerate(served.asked) if path == "/collective_rpc"]
    assert len(loads) == 2
    assert served.asked[loads[0]] == served.asked[loads[1]]


def test_a_server_that_stays_away_is_an_error_that_says_what_to_do(
    served: Served, connect: Callable[..., ServerClient]
) -> None:
    engine = VllmEngine(connect(retries=2), vocabulary=VOCABULARY)
    served.trouble = lambda path, number: (500, "CUDA out of memory")
    with pytest.raises(
        InputError, match=r"500 .*CUDA out of memory, 3 times(.|\n)*rollout\.url(.|\n)*goes on"
    ):
        list(engine.generate(REQUESTS[:1], SAMPLING))


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9 cannot be reached(.|\n)*rollout\.url"):
        ServerClient("http://127.0.0.1:9/v1", model=None, weights_dir=tmp_path, retries=1, backoff_s=0.0)


def test_a_server_of_another_model_or_of_several(
    served: Served, connect: Callable[..., ServerClient]
) -> None:
    with pytest.raises(InputError, match=r"rollout\.served_model=qwen: .* serves the-policy"):
        connect("qwen")
    served.names = ("base", "adapter")
    with pytest.raises(InputError, match=r"served_model=null: .* serves base, adapter; name one"):
        connect()
    assert connect("adapter") is not None


def test_a_request_that_is_refused_is_not_repeated(
    served: Served, connect: Callable[..., ServerClient]
) -> None:
    engine = VllmEngine(connect(), vocabulary=VOCABULARY)
    with pytest.raises(InputError, match=r"400 to /v1/completions: .*out of vocabulary"):
        list(engine.generate([Request(0, (VOCABULARY,), 1)], SAMPLING))
    assert served.count("/v1/completions") == 1


def test_a_probe_sees_another_vocabulary_and_raw_logprobs(model: PreTrainedModel, tmp_path: Path) -> None:
    vllm = FakeVllm(model)
    with vllm_server(vllm) as served:
        client = ServerClient(served.url, model=None, weights_dir=tmp_path, backoff_s=0.0)
        client.check(VOCABULARY - 1)
        with pytest.raises(InputError, match="out of vocabulary"):
            client.check(VOCABULARY)
        vllm.processed = False
        with pytest.raises(InputError, match="--logprobs-mode processed_logprobs"):
            client.check(VOCABULARY - 1)


def test_weights_that_do_not_fit_or_cannot_be_replaced(
    model: PreTrainedModel, served: Served, connect: Callable[..., ServerClient]
) -> None:
    client = connect()
    with pytest.raises(InputError, match=r"500 to /collective_rpc(.|\n)*the policy's base model"):
        client.load([("model.norm.weight", torch.zeros(3))], 1)
    served.development_mode = False
    with pytest.raises(InputError, match=r"404 to /collective_rpc(.|\n)*VLLM_SERVER_DEV_MODE=1"):
        client.load(plain_weights(model), 2)


def no_ids(choice: dict[str, Any]) -> None:
    choice["token_ids"] = None


def no_logprobs(choice: dict[str, Any]) -> None:
    choice["logprobs"] = None


@pytest.mark.parametrize("change", [no_ids, no_logprobs])
def test_an_old_server_says_too_little(
    served: Served, connect: Callable[..., ServerClient], change: Callable[[dict[str, Any]], None]
) -> None:
    served.change = change
    with pytest.raises(InputError, match=r"vLLM 0\.10\.2 or newer"):
        list(VllmEngine(connect(), vocabulary=VOCABULARY).generate(REQUESTS[:1], SAMPLING))


class Says:
    """A client that says what it was told to."""

    def __init__(self, *completions: Completion) -> None:
        self._completions = completions

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        yield from self._completions

    def load(self, tensors: Any, version: int) -> None: ...


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([Completion(0, [1, 3], [-1.0])], "2 tokens and 1 log-prob"),
        ([Completion(0, [VOCABULARY, 3], [-1.0, -1.0])], "another model"),
        ([Completion(0, [1, 3], [-1.0, float("nan")])], "nan is no log-probability"),
        ([Completion(0, [1, 3], [-1.0, 0.5])], "0.5 is no log-probability"),
        ([Completion(0, [3, 1], [-1.0, -1.0])], "goes on after its end"),
        ([Completion(0, [1] * 7, [-1.0] * 7)], "goes on after its end"),
        ([Completion(0, [1, 2], [-1.0, -1.0])], "--max-model-len"),
        ([Completion(0, [], [])], "--max-model-len"),
        ([Completion(5, [3], [-1.0])], "request 5, which waits for no answer"),
        ([Completion(0, [3], [-1.0]), Completion(0, [3], [-1.0])], "request 0, which waits for no answer"),
        ([], "1 requests unanswered"),
    ],
)
def test_what_cannot_be_is_not_believed(said: list[Completion], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        list(VllmEngine(Says(*said), vocabulary=VOCABULARY).generate(REQUESTS[:1], SAMPLING))


@pytest.fixture
def vllm_module(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    """`import vllm` gives a stand-in for vLLM's LLM and SamplingParams."""
    vllm = FakeVllm(model)

    class Llm:
        def __init__(self, **options: Any) -> None:
            assert options["logprobs_mode"] == "processed_logprobs"

        def generate(self, prompts: list[dict[str, Any]], parameters: list[Any], use_tqdm: bool) -> list[Any]:
            return [self._output(prompt, asked) for prompt, asked in zip(prompts, parameters, strict=True)]

        def _output(self, prompt: dict[str, Any], asked: Any) -> Any:
            ids, logprobs, reason = vllm.answer(prompt["prompt_token_ids"], vars(asked))
            said = [
                {token: SimpleNamespace(logprob=value), token + 1: SimpleNamespace(logprob=value - 1.0)}
                for token, value in zip(ids, logprobs, strict=True)
            ]
            return SimpleNamespace(
                outputs=[SimpleNamespace(token_ids=tuple(ids), logprobs=said, finish_reason=reason)]
            )

        def apply_model(self, function: Callable[[Any], Any]) -> list[Any]:
            return [function(vllm)]

        def reset_prefix_cache(self) -> None:
            vllm.reset_prefix_cache()

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = Llm, SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    return vllm


def test_in_this_process_it_answers_and_learns_new_weights(
    model: PreTrainedModel, vllm_module: FakeVllm
) -> None:
    client = ColocatedClient("folder", max_length=64, gpu_memory=0.3, trust_remote_code=False)
    engine = VllmEngine(client, vocabulary=VOCABULARY)
    expected = answers(VllmEngine(StandIn(model), vocabulary=VOCABULARY).generate(REQUESTS, SAMPLING))
    assert answers(engine.generate(REQUESTS, SAMPLING)) == expected
    with torch.no_grad():
        model.get_output_embeddings().weight.neg_()
    engine.sync_weights(plain_weights(model), 4)
    after = list(engine.generate(REQUESTS, SAMPLING))
    wanted = answers(VllmEngine(StandIn(model), vocabulary=VOCABULARY).generate(REQUESTS, SAMPLING))
    assert answers(iter(after)) == wanted != expected
    assert {int(v) for rollout in after for v in rollout.version_per_token} == {4}


def test_where_it_is_not_installed_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    with pytest.raises(ConfigError, match=r"vllm serve.*rollout\.url.*rollout=hf"):
        ColocatedClient("folder", max_length=64, gpu_memory=0.3, trust_remote_code=False)
