"""What options add to an update: the critic's own pace, demonstrations, an end of the epochs, weights."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from ppo_parts import (
    END,
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

from rlhf.algos.kl import AdaptiveKl, FixedKl
from rlhf.config import PpoStage, RolloutConfig
from rlhf.data.collation import Batch
from rlhf.data.encoding import Encoded
from rlhf.errors import ConfigError
from rlhf.models.roles import Roles
from rlhf.training import experience as experience_module
from rlhf.training.experience import Experience, make_experience
from rlhf.training.forecast import demonstrations_share
from rlhf.training.old_logprobs import importance_cap, reuses_logprobs
from rlhf.training.ppo import Progress
from rlhf.training.pretraining_mix import PretrainingMix

ROWS = 8
SHOWN = [Encoded([5, 9, 2, 7, END], 2), Encoded([3, 4, END], 1), Encoded([8, 6, 2, 11, 12, 13, END], 3)]


def stage_of(**options: Any) -> PpoStage:
    return PpoStage(
        **{
            "total_episodes": 2 * ROWS,
            "batch_size": ROWS,
            "minibatch_size": ROWS,
            "epochs": 1,
            "response_length": 9,
            "max_grad_norm": 1e9,
            **options,
        }
    )


def part(trained: dict[str, Tensor], role: str) -> dict[str, Tensor]:
    """The policy's tensors, or the critic's with the head."""
    return {n: x for n, x in trained.items() if n.startswith("policy.") == (role == "policy")}


def experience_of(made: Made, **options: Any) -> Experience:
    episodes = make_episodes(ROWS)
    forwards = made.updater.forwards(episodes, [list(range(ROWS))])
    total_B = score([episode.scored for episode in episodes]).total
    return make_experience(episodes, forwards, total_B, made.stage, kl_coef=0.2, **options)


@contextmanager
def doubles() -> Generator[None]:
    """Tensors and random weights are made in float64 while it is entered."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def double_roles() -> Roles:
    roles = make_roles("gpt2")
    roles.policy_value.double()
    assert roles.reference_model is not None
    roles.reference_model.double()  # type: ignore[no-untyped-call]
    return roles


def gradient_of(stage: PpoStage, mix: Sequence[Sequence[Encoded]] = (), **options: Any) -> dict[str, Tensor]:
    """Of one minibatch, in float64 and without a step."""
    with doubles():
        roles = double_roles()
        made = make_updater(stage, roles, learning_rate=0.0)
        experience = experience_of(made, **options)
        made.updater.update(experience, [[list(range(ROWS))]], mix=mix)
    return {n: v.grad.clone() for n, v in roles.policy_value.named_parameters() if v.grad is not None}


def test_the_critic_learns_at_its_own_rate_and_the_policy_does_not_notice() -> None:
    start = weights(make_roles("gpt2").policy_value)
    moved: list[float] = []
    policies: list[dict[str, Tensor]] = []
    for rate in (None, 5e-2):
        made = make_updater(stage_of(), make_roles("gpt2"))
        figures = replace(make_ppo(made), critic_learning_rate=rate).iterate(Progress(0, FixedKl(0.05)), 1)
        assert figures.get("critic_learning_rate") == rate
        assert figures["learning_rate"] == 1e-2
        after = weights(made.roles.policy_value)
        policies.append(part(after, "policy"))
        moved.append(distance(part(after, "critic"), part(start, "critic")))
    assert moved[1] / moved[0] == pytest.approx(5.0, rel=1e-4)  # Adam's first step is as long as its rate
    assert all(torch.equal(value, policies[1][name]) for name, value in policies[0].items())


def test_both_rates_fall_on_one_line() -> None:
    made = make_updater(stage_of(total_episodes=4 * ROWS), make_roles("gpt2"))
    ppo = replace(make_ppo(made), critic_learning_rate=2e-2)
    assert ppo.set_learning_rates(4) == {
        "learning_rate": pytest.approx(0.25e-2),
        "critic_learning_rate": pytest.approx(0.5e-2),
    }
    rates = {group["role"]: group["lr"] for group in ppo.optimizer.param_groups}
    assert rates == {"policy": pytest.approx(0.25e-2), "critic": pytest.approx(0.5e-2)}


def test_while_the_critic_warms_up_the_policy_its_moments_and_the_kl_coefficient_stay() -> None:
    made = make_updater(stage_of(critic_warmup=1, epochs=3), make_roles("gpt2"))
    ppo, progress = make_ppo(made), Progress(0, AdaptiveKl(coef=0.3, target=1.0, horizon=100))
    before = weights(made.roles.policy_value)
    first = ppo.iterate(progress, 1)
    after = weights(made.roles.policy_value)
    assert all(torch.equal(x, before[name]) for name, x in part(after, "policy").items())
    assert distance(part(after, "critic"), part(before, "critic")) > 1e-2
    assert (first["ratio_max"], first["approx_kl"]) == (pytest.approx(1.0, abs=1e-5), pytest.approx(0.0))
    assert first["value_loss"] > 0
    assert progress.kl.coef == 0.3
    counted = {id(parameter) for parameter in made.optimizer.state}
    assert counted == {id(parameter) for parameter in made.roles.policy_value.critic_parameters()}
    ppo.iterate(progress, 2)
    later = weights(made.roles.policy_value)
    assert distance(part(later, "policy"), part(after, "policy")) > 1e-3
    assert progress.kl.coef != 0.3


def mean_nll(module: Any, shown: Sequence[Encoded]) -> Tensor:
    """-log pi of the answers' tokens at temperature 1, a row and a token at a time."""
    terms: list[Tensor] = []
    for row in shown:
        logits_SV = module.language_model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0]
        for place in range(row.prompt_length, len(row.ids)):
            logits_V = logits_SV[place - 1]
            terms.append(torch.logsumexp(logits_V, 0) - logits_V[row.ids[place]])
    return torch.stack(terms).mean()


@pytest.mark.parametrize("microbatch_tokens", [16384, 12])
def test_demonstrations_add_their_mean_negative_log_likelihood(microbatch_tokens: int) -> None:
    coef = 0.7
    plain = gradient_of(stage_of())
    mixed = gradient_of(stage_of(ptx_coef=coef, microbatch_tokens=microbatch_tokens), [SHOWN])
    with doubles():
        module = double_roles().policy_value
    names = [name for name, _ in module.named_parameters() if name.startswith("policy.")]
    own = torch.autograd.grad(
        mean_nll(module, SHOWN), [dict(module.named_parameters())[name] for name in names]
    )
    expected = {name: plain[name] + coef * gradient for name, gradient in zip(names, own, strict=True)}
    assert distance(part(mixed, "policy"), expected) < 1e-6
    assert distance(part(mixed, "policy"), part(plain, "policy")) > 1e-2
    assert distance(part(mixed, "critic"), part(plain, "critic")) < 1e-9


def test_demonstrations_are_told_and_learnt() -> None:
    made = make_updater(stage_of(ptx_coef=1.0, epochs=4, minibatch_size=4), make_roles("gpt2"))
    ppo = replace(make_ppo(made), mix=PretrainingMix(SHOWN, seed=3))
    before = mean_nll(made.roles.policy_value, SHOWN).item()
    figures = ppo.iterate(Progress(0, FixedKl(0.05)), 1)
    assert abs(figures["ptx_loss"] / before - 1) < 0.5
    assert mean_nll(made.roles.policy_value, SHOWN).item() < before - 0.1


def test_the_forecast_counts_demonstrations_by_their_length_and_without_a_critic() -> None:
    made = make_updater(stage_of(), make_roles("gpt2"))
    assert demonstrations_share(make_ppo(made), 10.0) == 0.0
    ppo = replace(make_ppo(made), mix=PretrainingMix(SHOWN, seed=3))
    assert demonstrations_share(ppo, 10.0) == pytest.approx(0.25)  # 5 tokens of 10, one model of two
    alone = replace(ppo, stage=stage_of(advantage="reinforce"))
    assert demonstrations_share(alone, 10.0) == pytest.approx(0.5)


def test_the_order_of_demonstrations_goes_by_position_alone() -> None:
    rows = [Encoded([number, END], 1) for number in range(2, 12)]
    mix = PretrainingMix(rows, seed=5)
    iterations = [mix.minibatches(iteration, 2, 3) for iteration in range(1, 6)]
    assert [[len(shown) for shown in one] for one in iterations] == [[3, 3]] * 5
    flat = [row.ids[0] for one in iterations for shown in one for row in shown]
    assert [sorted(flat[at : at + 10]) for at in (0, 10, 20)] == [list(range(2, 12))] * 3
    assert flat[:10] != flat[10:20]
    assert mix.minibatches(4, 2, 3) == iterations[3]
    assert PretrainingMix(rows, seed=6).minibatches(1, 2, 3) != iterations[0]


def test_past_the_target_the_rest_of_the_epochs_is_left_out() -> None:
    trained: dict[float | None, tuple[dict[str, Tensor], dict[str, float]]] = {}
    for target in (None, 1e9, 1e-12):
        made = make_updater(stage_of(minibatch_size=4, epochs=3, target_kl=target), make_roles("gpt2"))
        figures = make_ppo(made).iterate(Progress(0, FixedKl(0.05)), 1)
        trained[target] = weights(made.roles.policy_value), learnt(figures)
    far, never = trained[None], trained[1e9]
    assert far[1] == never[1]
    assert all(torch.equal(value, never[0][name]) for name, value in far[0].items())
    assert far[1]["epochs_done"] == 3.0

    weights_after, figures = trained[1e-12]
    assert figures["epochs_done"] == 0.5  # one step of two an epoch; the second found the policy moved
    assert figures["approx_kl"] == pytest.approx(0.0, abs=1e-10)
    made = make_updater(stage_of(minibatch_size=4, epochs=3), make_roles("gpt2"))
    ppo = make_ppo(made)
    update = made.updater.update
    made.updater.update = lambda experience, orders, **more: update(experience, [orders[0][:1]], **more)  # type: ignore[method-assign]
    ppo.iterate(Progress(0, FixedKl(0.05)), 1)
    assert all(torch.equal(x, weights_after[name]) for name, x in weights(made.roles.policy_value).items())


@pytest.mark.parametrize(("times", "weight"), [(1.5, 1.5), (0.25, 0.25), (5.0, 2.0)])
def test_tokens_that_the_engine_found_less_likely_count_more_up_to_the_cap(
    times: float, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's probabilities are the trainer's divided by `times`."""
    monkeypatch.setattr(experience_module, "engine_logprobs", lambda episodes, mask_BT: engine_BT)
    with doubles():
        probe = make_updater(stage_of(), double_roles())
        forwards = probe.updater.forwards(make_episodes(ROWS), [list(range(ROWS))])
    engine_BT = forwards.logprobs_BT - torch.tensor(times).double().log()
    plain, weighed = gradient_of(stage_of()), gradient_of(stage_of(), importance_cap=2.0)
    expected = {name: weight * gradient for name, gradient in part(plain, "policy").items()}
    assert distance(part(weighed, "policy"), expected) < 1e-6
    assert distance(part(weighed, "critic"), part(plain, "critic")) < 1e-9
    with doubles():
        found = make_experience(
            make_episodes(ROWS), forwards, torch.zeros(ROWS), stage_of(), kl_coef=0.0, importance_cap=2.0
        ).metrics
    assert found["importance_weight"] == pytest.approx(weight)
    assert found["importance_capped"] == float(times > 2)


class Spy(nn.Module):
    """Notes what the module is asked for without gradients."""

    def __init__(self, inner: nn.Module, asked: list[dict[str, bool]]) -> None:
        super().__init__()
        self.inner, self.asked = inner, asked

    def forward(self, batch: Batch, **wanted: bool) -> Any:
        if not torch.is_grad_enabled():
            self.asked.append(wanted)
        return self.inner(batch, **wanted)


def spied(asked: list[dict[str, bool]]) -> Callable[[nn.Module], nn.Module]:
    return lambda module: Spy(module, asked)


@pytest.mark.parametrize("advantage", ["gae", "reinforce"])
def test_what_the_engine_computed_is_not_computed_again(advantage: str) -> None:
    asked: dict[bool, list[dict[str, bool]]] = {False: [], True: []}
    trained: dict[bool, dict[str, Tensor]] = {}
    figures: dict[bool, dict[str, float]] = {}
    for reuse in (False, True):
        stage = stage_of(advantage=advantage, minibatch_size=4, epochs=2)
        roles = make_roles("gpt2", has_critic=stage.has_critic)
        made = make_updater(stage, roles, wrap=spied(asked[reuse]))
        ppo = replace(make_ppo(made), reuse_logprobs=reuse)
        figures[reuse] = ppo.iterate(Progress(0, FixedKl(0.05)), 1)
        trained[reuse] = weights(roles.policy_value)
    assert asked[False] == [{}] * len(asked[False]) != []
    assert asked[True] == ([{"policy": False}] * len(asked[False]) if advantage == "gae" else [])

    start = weights(make_roles("gpt2", has_critic=advantage == "gae").policy_value)
    moved = distance(trained[False], start)
    assert distance(trained[True], trained[False]) < 1e-2 * moved
    for name in ("engine_gap", "engine_gap_max"):
        assert 0 < figures[True][name] < 1e-4
    assert figures[True]["engine_gap_max"] == figures[True]["first_ratio_gap"]
    for name in ("kl", "score", "reward", "length"):
        assert figures[True][name] == pytest.approx(figures[False][name], abs=1e-4)
    assert figures[True]["entropy"] == pytest.approx(figures[False]["entropy"], rel=0.3)  # 50 draws


@pytest.mark.parametrize(
    ("asked", "dtype", "cap", "reuses"),
    [
        ("auto", torch.float32, "auto", True),
        ("auto", torch.bfloat16, "auto", False),
        ("auto", torch.float32, 2.0, False),  # weights compare the two
        (True, torch.float32, "auto", False),
        (False, torch.bfloat16, None, True),
    ],
)
def test_the_engines_numbers_serve_where_they_are_the_trainers(
    asked: bool | str, dtype: torch.dtype, cap: float | str | None, reuses: bool
) -> None:
    stage = PpoStage.model_validate({"recompute_logprobs": asked})
    rollout = RolloutConfig.model_validate({"importance_cap": cap})
    assert reuses_logprobs(stage, rollout, dtype) is reuses


def test_an_engine_that_is_the_trainers_model_needs_no_weights_unless_told() -> None:
    assert importance_cap(RolloutConfig()) is None
    assert importance_cap(RolloutConfig(importance_cap=3.0)) == 3.0
    other = RolloutConfig.model_construct(kind="other", importance_cap="auto")  # type: ignore[arg-type]
    assert importance_cap(other) == 2.0
    assert not reuses_logprobs(PpoStage(), other, torch.float32)
    assert not reuses_logprobs(PpoStage(), RolloutConfig(precision="bf16"), torch.float32)
    with pytest.raises(ConfigError, match="weights compare"):
        reuses_logprobs(PpoStage(recompute_logprobs=False), RolloutConfig(importance_cap=2.0), torch.float32)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"critic_warmup": 2}, "critic_warmup=2 leaves none of the 2 iterations"),
        (
            {"critic_warmup": 1, "advantage": "reinforce"},
            "critic_warmup=1: advantage=reinforce has no critic",
        ),
        ({"critic_learning_rate": 1e-3, "advantage": "reinforce_pp"}, r"critic_learning_rate=0\.001: adv"),
    ],
)
def test_what_a_critic_that_is_not_there_cannot_do_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        stage_of(**options)
