"""The update does not depend on how a batch is split, starts at ratio 1, and survives a lack of memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from ppo_parts import (
    Made,
    distance,
    learnt,
    make_episodes,
    make_ppo,
    make_roles,
    make_updater,
    score,
    weights,
)
from torch import Tensor, nn

from rlhf.algos.kl import FixedKl
from rlhf.config import PpoStage
from rlhf.data.collation import Batch, collate
from rlhf.data.packing import PackedBatch
from rlhf.errors import TrainingError
from rlhf.rewards.base import Scored, Scores
from rlhf.training import update as update_module
from rlhf.training.experience import Experience, make_experience
from rlhf.training.memory import TokenBudget
from rlhf.training.ppo import Progress
from rlhf.training.update import minibatch_orders

ROWS = 8


def stage_of(**options: Any) -> PpoStage:
    return PpoStage(
        **{
            "total_episodes": ROWS,
            "batch_size": ROWS,
            "minibatch_size": ROWS,
            "epochs": 1,
            "response_length": 9,
            "max_grad_norm": 1e9,
            **options,
        }
    )


def experience_of(made: Made, rows: Sequence[int] = range(ROWS)) -> Experience:
    """The experience of fixed episodes, taken in the given order; the policy has moved a little since."""
    every = make_episodes(ROWS)
    episodes = [every[row] for row in rows]
    forwards = made.updater.forwards(episodes, [list(range(len(episodes)))])
    total_B = score([episode.scored for episode in episodes]).total
    return make_experience(episodes, forwards, total_B, made.stage, kl_coef=0.2)


def losses_and_gradient(
    stage: PpoStage, dtype: torch.dtype, rows: Sequence[int] = range(ROWS), *, packed: bool = True
) -> tuple[float, dict[str, Tensor]]:
    """The total loss and its gradient after a nudge of the weights, so that the ratios are not 1."""
    roles = make_roles("gpt2")
    roles.policy_value.to(dtype)
    assert roles.reference_model is not None
    roles.reference_model.to(dtype)  # type: ignore[arg-type]
    made = make_updater(stage, roles, learning_rate=0.0, packed=packed)
    experience = experience_of(made, rows)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for value in roles.policy_value.parameters():
            value += 0.03 * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(dtype)
    figures = made.updater.update(experience, [[list(range(ROWS))]])
    assert figures["clip_fraction"] > 0
    assert figures["value_clip_fraction"] > 0
    gradient = {n: v.grad.clone() for n, v in roles.policy_value.named_parameters() if v.grad is not None}
    return figures["policy_loss"] + stage.value_coef * figures["value_loss"], gradient


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


def one_row_each(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"microbatch_tokens": 1}


def three_or_four_parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"microbatch_tokens": 40}


def two_more_columns(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The padding filled with a token that is in use."""

    def wide(*given: Any) -> Batch:
        narrow = collate(*given)
        ids_BS = torch.where(narrow.attention_BS, narrow.ids_BS, 23)
        more = [nn.functional.pad(x, (0, 2), value=v) for x, v in ((ids_BS, 23), (narrow.attention_BS, 0))]
        return Batch(*more, nn.functional.pad(narrow.response_mask_BS, (0, 2)))

    monkeypatch.setattr(update_module, "collate", wide)
    return {"packed": False}


def padded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"packed": False}


def padded_in_parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"packed": False, "microbatch_tokens": 40}


def another_order(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"rows": [5, 0, 3, 7, 1, 6, 2, 4]}


CHANGES = [one_row_each, three_or_four_parts, two_more_columns, another_order, padded, padded_in_parts]


@pytest.mark.parametrize("change", CHANGES)
def test_the_split_changes_neither_loss_nor_gradient(
    change: Callable[[pytest.MonkeyPatch], dict[str, Any]],
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loss, gradient = losses_and_gradient(stage_of(), dtype)
    options = change(monkeypatch)
    rows, packed = options.pop("rows", range(ROWS)), options.pop("packed", True)
    other_loss, other_gradient = losses_and_gradient(stage_of(**options), dtype, rows, packed=packed)
    exact = dtype == torch.float64
    assert other_loss == pytest.approx(loss, rel=1e-10 if exact else 1e-5)
    assert distance(other_gradient, gradient) < (1e-10 if exact else 1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_the_first_ratio_is_1(architecture: str, lora: bool, precision: str) -> None:
    stage = stage_of(total_episodes=16, minibatch_size=4, microbatch_tokens=24, epochs=2)
    made = make_updater(stage, make_roles(architecture, lora=lora), precision=precision, learning_rate=1e-3)
    ppo = make_ppo(made, learning_rate=1e-3)
    progress = Progress(iteration=0, kl=FixedKl(0.05))
    for iteration in (1, 2):
        figures = ppo.iterate(progress, iteration)
        assert figures["first_ratio_gap"] == 0.0  # to the bit, since the microbatches are the same
        if lora and iteration == 1:
            assert figures["kl"] == 0.0  # the reference is the policy, in the same precision
        assert figures["ratio_max"] > 1.001  # the later minibatches did move
        assert 0 < figures["engine_gap"] < (2e-2 if precision == "bf16" else 1e-5)
        assert figures["engine_gap"] <= figures["engine_gap_max"]


def test_old_logprobs_are_computed_in_the_microbatches_of_the_first_epoch() -> None:
    """What rounding does depends on the rows that go together, most of all in bf16 on a GPU."""
    seen: dict[bool, list[list[list[int]]]] = {True: [], False: []}

    class Spy(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, batch: PackedBatch, *, policy: bool = True, critic: bool = True) -> Any:
            if policy:
                seen[torch.is_grad_enabled()].append(batch.ids_1N.tolist())
            return self.inner(batch, policy=policy, critic=critic)

    stage = stage_of(minibatch_size=4, microbatch_tokens=30, epochs=2)
    make_ppo(make_updater(stage, make_roles(), wrap=Spy)).iterate(Progress(0, FixedKl(0.05)), 1)
    before, trained_on = seen[False], seen[True]
    assert len(before) > 2
    assert trained_on[: len(before)] == before
    assert trained_on[len(before) :] != before


def test_memory_holds_the_activations_of_policy_or_critic_at_a_time() -> None:
    asked: list[tuple[bool, bool]] = []

    class Spy(Fragile):
        def forward(self, batch: PackedBatch, *, policy: bool = True, critic: bool = True) -> Any:
            if torch.is_grad_enabled():
                asked.append((policy, critic))
            return self.inner(batch, policy=policy, critic=critic)

    trained(stage_of(epochs=1), lambda module: Spy(module, 0, CPU, only_training=True))
    assert set(asked) == {(True, False), (False, True)}


def test_a_first_ratio_that_is_not_1_is_told() -> None:
    made = make_updater(stage_of(), make_roles())
    experience = experience_of(made)
    experience.old_logprobs_BT.sub_(0.01)
    figures = made.updater.update(experience, [[list(range(ROWS))]])
    assert figures["first_ratio_gap"] == pytest.approx(torch.tensor(0.01).exp().item() - 1, rel=1e-3)


def test_the_engines_gap_is_the_mean_distance_of_the_ratio_from_1() -> None:
    made = make_updater(stage_of(), make_roles())
    every = make_episodes(ROWS)
    forwards = made.updater.forwards(every, [list(range(ROWS))])
    for row, episode in enumerate(every):
        own_T = forwards.logprobs_BT[row][forwards.mask_BT[row]]
        episode.rollout.logprobs.copy_(own_T - (0.02 if row == 0 else 0.0))
    total_B = score([episode.scored for episode in every]).total
    found = make_experience(every, forwards, total_B, made.stage, kl_coef=0.0).metrics
    off = torch.tensor(0.02).exp().item() - 1
    share = len(every[0].rollout.response_ids) / int(forwards.mask_BT.sum())
    assert found["engine_gap"] == pytest.approx(off * share, rel=1e-4)
    assert found["engine_gap_max"] == pytest.approx(off, rel=1e-4)


class Fragile(nn.Module):
    """Runs out of memory above so many tokens, in the forward or the backward pass."""

    def __init__(self, inner: nn.Module, limit: int, error: Exception, *, only_training: bool) -> None:
        super().__init__()
        self.inner, self.limit, self.error, self.only_training = inner, limit, error, only_training
        self.failures = 0

    def forward(self, batch: PackedBatch, **models: bool) -> Any:
        tokens = batch.ids_1N.count_nonzero()  # the filler is of zeros
        if tokens > self.limit and (torch.is_grad_enabled() or not self.only_training):
            self.failures += 1
            raise self.error
        return self.inner(batch, **models)


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


def trained(
    stage: PpoStage, wrap: Callable[[nn.Module], nn.Module] = lambda module: module
) -> tuple[dict[str, Tensor], Made, dict[str, float]]:
    torch.set_default_dtype(torch.float64)
    try:
        roles = make_roles("gpt2")
        roles.policy_value.double()
        assert roles.reference_model is not None
        roles.reference_model.double()
        made = make_updater(stage, roles, wrap=wrap)
        figures = make_ppo(made).iterate(Progress(0, FixedKl(0.1)), 1)
        return weights(roles.policy_value), made, figures
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("only_training", [False, True], ids=["anywhere", "training"])
@pytest.mark.parametrize("error", [CUDA, CPU], ids=["cuda", "cpu"])
def test_out_of_memory_halves_the_microbatch_and_changes_nothing(
    error: Exception, only_training: bool
) -> None:
    stage = stage_of(minibatch_size=4, epochs=2)
    expected, _, figures = trained(stage)
    holder: list[Fragile] = []

    def wrap(module: nn.Module) -> nn.Module:
        holder.append(Fragile(module, 30, error, only_training=only_training))
        return holder[0]

    found, made, same = trained(stage, wrap)
    assert holder[0].failures >= 1
    assert made.updater.budget.tokens <= 30
    assert len(made.said) == holder[0].failures
    assert all(said.startswith("out of memory: microbatches now hold") for said in made.said)
    assert distance(found, expected) < 1e-10
    assert learnt(same) == pytest.approx(learnt(figures), rel=1e-6, abs=1e-6)


def test_memory_that_is_short_in_the_middle_of_a_minibatch_counts_no_token_twice() -> None:
    stage = stage_of(microbatch_tokens=40)
    expected, _, _ = trained(stage)
    calls = [0]

    class Once(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, batch: PackedBatch, **models: bool) -> Any:
            calls[0] += torch.is_grad_enabled()
            if calls[0] == 6:  # two microbatches have left their gradients, and the policy's of the third
                calls[0] += 1
                raise CPU
            return self.inner(batch, **models)

    found, made, _ = trained(stage, Once)
    assert len(made.said) == 1
    assert distance(found, expected) < 1e-10


def test_a_single_response_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"single response at once; lower stage\.response_length"):
        trained(stage_of(), lambda module: Fragile(module, 5, CPU, only_training=False))


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), KeyError("no such layer")])
def test_other_errors_go_through(error: Exception) -> None:
    with pytest.raises(type(error), match=r"shapes|no such layer"):
        trained(stage_of(), lambda module: Fragile(module, 5, error, only_training=False))


def test_a_budget_falls_until_one_row_is_left_whatever_the_longest_row_is() -> None:
    """A row longer than the budget goes alone, so halving by its length would not halve anything."""
    budget, plans = TokenBudget(50, lambda _: None), list[list[list[int]]]()

    def fail(parts: list[list[int]]) -> None:
        plans.append(parts)
        assert len(plans) < 10, "the budget does not fall"
        raise CPU

    with pytest.raises(TrainingError, match="a single response"):
        budget.run([100, 20, 20], [0, 1, 2], fail)
    assert plans == [[[0], [1, 2]], [[0], [1], [2]]]


def nan_reward(batch: Sequence[Scored]) -> Scores:
    total_B = torch.ones(len(batch))
    total_B[1] = float("nan")
    return Scores(total_B, {})


@pytest.mark.parametrize("where", ["reward", "critic", "policy", "gradient"])
def test_not_a_number_stops_before_it_reaches_the_weights(where: str) -> None:
    made = make_updater(stage_of(minibatch_size=4), make_roles())
    module = made.roles.policy_value
    head = (
        module.language_model.get_output_embeddings().weight
        if where == "policy"
        else module.value_head.weight
    )
    if where in ("critic", "policy"):
        with torch.no_grad():
            head[0, 0] = float("nan")
    elif where == "gradient":
        head.register_hook(lambda gradient: gradient * float("nan"))
    before = weights(made.roles.policy_value)
    ppo = make_ppo(made, reward=nan_reward if where == "reward" else score)
    with pytest.raises(TrainingError, match=f"^not-a-number: .* {where} is nan"):
        ppo.iterate(Progress(0, FixedKl(0.1)), 1)
    after = weights(made.roles.policy_value)
    assert all(torch.equal(after[name].nan_to_num(99.0), before[name].nan_to_num(99.0)) for name in before)


def test_orders_are_permutations_cut_into_minibatches_and_drawn_from_the_seed() -> None:
    orders = minibatch_orders(12, 4, 3, seed=5)
    assert [[len(minibatch) for minibatch in order] for order in orders] == [[4, 4, 4]] * 3
    assert all(sorted(row for part in order for row in part) == list(range(12)) for order in orders)
    assert orders == minibatch_orders(12, 4, 3, seed=5)
    assert orders != minibatch_orders(12, 4, 3, seed=6)
    assert orders[0] != orders[1]
