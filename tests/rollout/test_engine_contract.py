"""What every rollout engine promises. A further engine joins by one line in ENGINES."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from fake_vllm import StandIn
from rollout_models import CONFIGS, PAD, VOCABULARY, policy
from scipy.stats import chi2
from torch import Tensor
from transformers import PreTrainedModel

from rlhf.rollout.base import Request, Rollout, RolloutEngine, Sampling
from rlhf.rollout.hf import HfEngine
from rlhf.rollout.scripted import ScriptedEngine
from rlhf.rollout.vllm_engine import VllmEngine

Make = Callable[[PreTrainedModel, int], RolloutEngine]  # of a model, and how many rows go together
ENGINES: dict[str, Make] = {
    "hf": lambda model, rows: HfEngine(model, pad_id=PAD, batch_size=rows),
    "vllm": lambda model, _rows: VllmEngine(StandIn(model), vocabulary=VOCABULARY),
}
AFTER_TOP_K = {"vllm"}  # whose log-probabilities are those of the tokens that top-k and top-p leave
STOPS = frozenset({3, 7})
SAMPLING = Sampling(temperature=0.7, max_new_tokens=9, stop_ids=STOPS)


def scripted(_model: PreTrainedModel, _rows: int) -> RolloutEngine:
    """Counts up from the prompt's last token: some answers pass a stop token, some do not."""
    return ScriptedEngine(lambda prompt: [(prompt[-1] + step) % VOCABULARY for step in range(1, 30)])


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Make:
    return ENGINES[request.param]


@pytest.fixture(params=[*ENGINES, "scripted"])
def make_any(request: pytest.FixtureRequest) -> Make:
    """Engines without a model as well: for the form of what is returned."""
    return ENGINES.get(request.param, scripted)


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Iterator[PreTrainedModel]:
    with torch.random.fork_rng():
        yield policy(request.param)


def requests(count: int = 20, seed: int = 11) -> list[Request]:
    """Prompts of 1 to 31 tokens, the padding token among them as a token like others."""
    generator = torch.Generator().manual_seed(0)
    lengths = [1, 31, *torch.randint(1, 32, (count - 2,), generator=generator).tolist()]
    prompts = [torch.randint(0, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]
    return [Request(number, tuple(prompt), seed) for number, prompt in enumerate(prompts)]


def by_id(rollouts: Iterator[Rollout]) -> dict[int, Rollout]:
    found = list(rollouts)
    assert len({rollout.request_id for rollout in found}) == len(found)
    return {rollout.request_id: rollout for rollout in found}


def assert_same(one: dict[int, Rollout], other: dict[int, Rollout]) -> None:
    assert one.keys() == other.keys()
    for number, rollout in one.items():
        assert rollout.response_ids.tolist() == other[number].response_ids.tolist()
        assert rollout.finish == other[number].finish
        torch.testing.assert_close(rollout.logprobs, other[number].logprobs, atol=1e-5, rtol=0)


@torch.no_grad()
def alone_BV(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """Logits of each position by a forward pass over one row, unpadded and without a cache."""
    return model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].double()


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_how_many_go_together_changes_nothing(make: Make, model: PreTrainedModel, rows: int) -> None:
    together = by_id(make(model, 64).generate(requests(), SAMPLING))
    assert_same(together, by_id(make(model, rows).generate(requests(), SAMPLING)))


def test_order_and_company_change_nothing(make_any: Make, model: PreTrainedModel) -> None:
    asked = requests()
    together = by_id(make_any(model, 64).generate(asked, SAMPLING))
    assert_same(together, by_id(make_any(model, 5).generate(reversed(asked), SAMPLING)))
    few = by_id(make_any(model, 5).generate((request for request in asked[4:9]), SAMPLING))
    assert_same({number: together[number] for number in range(4, 9)}, few)


def test_another_seed_or_id_gives_another_answer(make: Make, model: PreTrainedModel) -> None:
    sampling = Sampling(1.5, 12, frozenset())
    prompt = requests()[5].prompt_ids
    asked = [Request(number, prompt, seed) for number, seed in ((0, 1), (1, 1))]
    one, two = by_id(make(model, 8).generate(asked, sampling)).values()
    (three,) = make(model, 8).generate([Request(0, prompt, 2)], sampling)
    answers = {tuple(rollout.response_ids.tolist()) for rollout in (one, two, three)}
    assert len(answers) == 3


@pytest.mark.parametrize("sampling", [SAMPLING, Sampling(0.7, 9, STOPS, top_k=3, top_p=0.8)])
@pytest.mark.parametrize("name", ENGINES)
def test_logprobs_are_those_of_an_unpadded_forward_pass_before_top_k_and_top_p(
    name: str, model: PreTrainedModel, sampling: Sampling
) -> None:
    asked = requests()
    for number, rollout in by_id(ENGINES[name](model, 64).generate(asked, sampling)).items():
        prompt = asked[number].prompt_ids
        logits_TV = alone_BV(model, [*prompt, *rollout.response_ids.tolist()])[len(prompt) - 1 : -1]
        probs_TV = (logits_TV / 0.7).softmax(-1)
        if name in AFTER_TOP_K:
            probs_TV = torch.stack([restricted(p_V, sampling.top_k, sampling.top_p) for p_V in probs_TV])
        expected_T = probs_TV.gather(1, rollout.response_ids[:, None])[:, 0].log()
        torch.testing.assert_close(rollout.logprobs.double(), expected_T, atol=1e-5, rtol=0)
        assert rollout.logprobs.dtype == torch.float32
        assert not rollout.logprobs.requires_grad
        assert rollout.logprobs.device.type == "cpu"


def test_greedy_at_temperature_0(make: Make, model: PreTrainedModel) -> None:
    asked = requests(8)
    for number, rollout in by_id(make(model, 3).generate(asked, Sampling(0.0, 6, STOPS))).items():
        ids = list(asked[number].prompt_ids)
        for token, logprob in zip(rollout.response_ids.tolist(), rollout.logprobs.tolist(), strict=True):
            logits_V = alone_BV(model, ids)[-1]
            assert token == int(logits_V.argmax())
            assert logprob == pytest.approx(float(logits_V.log_softmax(-1)[token]), abs=1e-5)
            ids.append(token)


def test_an_answer_ends_with_its_first_stop_token_and_holds_it(
    make_any: Make, model: PreTrainedModel
) -> None:
    finishes = set[str]()
    for rollout in make_any(model, 6).generate(requests(40), SAMPLING):
        ids = rollout.response_ids.tolist()
        stops = [place for place, token in enumerate(ids) if token in STOPS]
        if rollout.finish == "eos":
            assert stops == [len(ids) - 1]
        else:
            assert stops == []
            assert len(ids) == SAMPLING.max_new_tokens
        assert rollout.logprobs.shape == rollout.version_per_token.shape == rollout.response_ids.shape
        finishes.add(rollout.finish)
    assert finishes == {"eos", "length"}


def test_a_stop_token_as_the_last_one_allowed_is_an_end(make_any: Make, model: PreTrainedModel) -> None:
    everything = frozenset(range(VOCABULARY))
    for stops, finish in ((everything, "eos"), (frozenset[int](), "length")):
        found = by_id(make_any(model, 8).generate(requests(), Sampling(0.7, 1, stops)))
        assert len(found) == 20
        assert {rollout.finish for rollout in found.values()} == {finish}
        assert {len(rollout.response_ids) for rollout in found.values()} == {1}


def test_tokens_carry_the_version_of_the_weights(make_any: Make, model: PreTrainedModel) -> None:
    engine = make_any(model, 8)
    assert {int(v) for r in engine.generate(requests(4), SAMPLING) for v in r.version_per_token} == {0}
    engine.sync_weights(model.named_parameters(), 7)
    assert {int(v) for r in engine.generate(requests(4), SAMPLING) for v in r.version_per_token} == {7}


def test_new_weights_are_generated_with(make: Make, model: PreTrainedModel) -> None:
    engine = make(model, 8)
    before = by_id(engine.generate(requests(4), SAMPLING))
    with torch.no_grad():
        model.get_output_embeddings().weight.neg_()
    engine.sync_weights(model.named_parameters(), 1)
    after = by_id(engine.generate(requests(4), SAMPLING))
    assert any(before[n].response_ids.tolist() != after[n].response_ids.tolist() for n in before)
    assert_same(after, by_id(make(model, 8).generate(requests(4), SAMPLING)))


def test_nothing_asked_nothing_given(make_any: Make, model: PreTrainedModel) -> None:
    assert list(make_any(model, 4).generate([], SAMPLING)) == []


def test_a_generator_closed_early_leaves_all_as_it_was(make: Make, model: PreTrainedModel) -> None:
    engine = make(model, 4)
    expected = by_id(engine.generate(requests(), SAMPLING))
    model.train()
    stream = engine.generate(requests(), SAMPLING)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert model.training
    assert torch.is_grad_enabled()
    assert_same(expected, by_id(engine.generate(requests(), SAMPLING)))
    loss = model(input_ids=torch.tensor([[1, 2]])).logits.sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def restricted(probs_V: Tensor, top_k: int, top_p: float) -> Tensor:
    """Top-k, then the fewest of what is left that hold top_p of it; normalised. By sorting and counting."""
    order = sorted(range(len(probs_V)), key=lambda token: -float(probs_V[token]))
    order = order[:top_k] if top_k else order
    mass = sum(float(probs_V[token]) for token in order)
    kept, held = list[int](), 0.0
    for token in order:
        if held >= top_p * mass:
            break
        kept.append(token)
        held += float(probs_V[token])
    wanted_V = torch.zeros_like(probs_V)
    wanted_V[kept] = probs_V[kept]
    return wanted_V / wanted_V.sum()


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (4, 1.0), (0, 0.6), (6, 0.7)])
def test_pairs_of_tokens_come_as_often_as_the_model_says(
    make: Make, model: PreTrainedModel, top_k: int, top_p: float
) -> None:
    """The joint distribution of two tokens against the closed form: chi-square, at a level of 1e-4."""
    count, prompt, seed = 3_000, (5, 2, 9), 3
    sampling = Sampling(0.7, 2, frozenset(), top_k=top_k, top_p=top_p)
    asked = [Request(number, prompt, seed) for number in range(count)]
    seen_VV = torch.zeros(VOCABULARY, VOCABULARY, dtype=torch.float64)
    for rollout in make(model, 1_500).generate(asked, sampling):
        first, second = rollout.response_ids.tolist()
        seen_VV[first, second] += 1
    first_V = restricted((alone_BV(model, prompt)[-1] / 0.7).softmax(-1), top_k, top_p)
    second_VV = torch.stack(
        [
            restricted((alone_BV(model, [*prompt, token])[-1] / 0.7).softmax(-1), top_k, top_p)
            for token in range(VOCABULARY)
        ]
    )
    expected_VV = count * first_V[:, None] * second_VV
    assert float(seen_VV[expected_VV == 0].sum()) == 0
    often_VV = expected_VV >= 5
    cells = [(float(s), float(e)) for s, e in zip(seen_VV[often_VV], expected_VV[often_VV], strict=True)]
    rare = (float(seen_VV[~often_VV].sum()), float(expected_VV[~often_VV].sum()))
    cells += [rare] if rare[1] >= 5 else []
    statistic = sum((s - e) ** 2 / e for s, e in cells)
    assert len(cells) > 3
    assert chi2.sf(statistic, len(cells) - 1) > 1e-4
