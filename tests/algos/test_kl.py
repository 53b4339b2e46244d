import math

import pytest
import torch
from ragged_samples import GARBAGE, generator, normal, padded, padded_mask, poisoned, ragged_mask, tensor

from rlhf.algos.kl import AdaptiveKl, AnnealedKl, FixedKl, k1, k2, k3, sequence_kl
from rlhf.errors import TrainingError

ALL_B1 = torch.ones(1, 1, dtype=torch.bool)


def test_estimators_by_hand():
    # d = log 2: k1 = log 2, k2 = (log 2)^2 / 2, k3 = 1/2 - 1 + log 2
    logprobs_BT, ref_BT = tensor([math.log(0.5)]), tensor([math.log(0.25)])
    assert k1(logprobs_BT, ref_BT, ALL_B1).item() == pytest.approx(math.log(2))
    assert k2(logprobs_BT, ref_BT, ALL_B1).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(logprobs_BT, ref_BT, ALL_B1).item() == pytest.approx(math.log(2) - 0.5)


def test_sequence_kl_by_hand():
    logprobs_BT = tensor([-1.0, -2.0, 50.0], [-3.0, -1.0, -1.0])
    ref_BT = tensor([-1.5, -1.0, math.nan], [-3.0, -3.0, -1.5])
    mask_BT = torch.tensor([[True, True, False], [True, True, True]])
    # 0.5 - 1 = -0.5;  0 + 2 + 0.5 = 2.5
    assert sequence_kl(logprobs_BT, ref_BT, mask_BT).tolist() == [-0.5, 2.5]


def two_distributions(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of policy and reference over seven outcomes, each outcome a row of one token."""
    return normal(rng, 7, 1), normal(rng, 7, 1)


@pytest.mark.parametrize("seed", range(5))
def test_k1_and_k3_are_unbiased_and_k2_is_not(seed: int):
    policy, reference = two_distributions(generator(seed))
    log_p, log_q = policy.log_softmax(0), reference.log_softmax(0)
    p = [math.exp(x) for x in log_p.flatten().tolist()]
    q = [math.exp(x) for x in log_q.flatten().tolist()]
    exact = sum(pi * math.log(pi / qi) for pi, qi in zip(p, q, strict=True))
    mask = torch.ones(7, 1, dtype=torch.bool)
    expected = {f.__name__: (log_p.exp() * f(log_p, log_q, mask)).sum().item() for f in (k1, k2, k3)}
    assert expected["k1"] == pytest.approx(exact, rel=1e-12)
    assert expected["k3"] == pytest.approx(exact, rel=1e-12)
    assert expected["k2"] != pytest.approx(exact, rel=1e-3)
    assert (k3(log_p, log_q, mask) >= 0).all()
    assert (k2(log_p, log_q, mask) >= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_gradients_in_expectation_are_what_the_docstring_says(seed: int):
    policy, reference = two_distributions(generator(seed))
    policy.requires_grad_()
    mask = torch.ones(7, 1, dtype=torch.bool)
    log_p, log_q = policy.log_softmax(0), reference.log_softmax(0)
    drawn_with = log_p.exp().detach()  # samples are data: no gradient through their probabilities

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss, policy, retain_graph=True)[0]

    of_reverse = gradient((log_p.exp() * (log_p - log_q)).sum())
    of_forward = gradient((log_q.exp() * (log_q - log_p)).sum())
    estimates = {f.__name__: gradient((drawn_with * f(log_p, log_q, mask)).sum()) for f in (k1, k2, k3)}
    torch.testing.assert_close(estimates["k1"], torch.zeros_like(policy), rtol=0, atol=1e-12)
    torch.testing.assert_close(estimates["k2"], of_reverse, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(estimates["k3"], of_forward, rtol=1e-10, atol=1e-12)


def test_k3_keeps_its_digits_near_zero():
    # exp(-d) - 1 + d = d^2 / 2 - d^3 / 6 + ...; written naively in float32, nothing of 5e-9 is left
    d = torch.tensor([[1e-4]])
    assert k3(d, torch.zeros(1, 1), ALL_B1).item() == pytest.approx(5e-9, rel=2e-3)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_padding_changes_neither_values_nor_gradients(garbage: float):
    rng = generator(1)
    mask_BT = ragged_mask(rng, 3, 4)
    logprobs_BT, ref_BT = normal(rng, 3, 4), normal(rng, 3, 4)
    for f in (k1, k2, k3):
        clean_BT = logprobs_BT.clone().requires_grad_()
        f(clean_BT, ref_BT, mask_BT).sum().backward()
        wide_BT = padded(poisoned(logprobs_BT, mask_BT, garbage), garbage).requires_grad_()
        result_BT = f(wide_BT, padded(poisoned(ref_BT, mask_BT, garbage), garbage), padded_mask(mask_BT))
        result_BT.sum().backward()
        assert torch.equal(result_BT, padded(f(clean_BT, ref_BT, mask_BT), 0))
        assert torch.equal(wide_BT.grad, padded(clean_BT.grad, 0))


def test_adaptive_by_hand():
    kl = AdaptiveKl(coef=0.15, target=6.0, horizon=10_000, clip=0.2)
    # 6.6 / 6 - 1 = 0.1, within the clip: 0.15 * (1 + 0.1 * 512 / 10000)
    assert kl.update(6.6, 512).coef == pytest.approx(0.15 * 1.00512)
    # 30 / 6 - 1 = 4 is clipped to 0.2, 0 / 6 - 1 = -1 to -0.2
    assert kl.update(30.0, 512).coef == pytest.approx(0.15 * 1.01024)
    assert kl.update(0.0, 512).coef == pytest.approx(0.15 * 0.98976)
    assert kl.update(math.inf, 512).coef == pytest.approx(0.15 * 1.01024)
    assert kl.update(6.0, 512).coef == 0.15
    assert kl.coef == 0.15  # the controller itself has not changed


def test_adaptive_against_the_printed_recursion():
    rng, kl, expected = generator(0), AdaptiveKl(coef=0.1, target=2.0, horizon=500, clip=0.2), 0.1
    for _ in range(50):
        nats = 4 * torch.rand(1, generator=rng).item()
        kl = kl.update(nats, 64)
        error = nats / 2.0 - 1
        error = 0.2 if error > 0.2 else -0.2 if error < -0.2 else error
        expected *= 1 + error * 64 / 500
        assert kl.coef == pytest.approx(expected, rel=1e-12)


def test_adaptive_settles_where_the_kl_meets_its_target():
    # a policy whose KL falls as the coefficient rises: KL = 1 / coef
    kl = AdaptiveKl(coef=1.0, target=4.0, horizon=100)
    for _ in range(300):
        kl = kl.update(1 / kl.coef, 50)
    assert 1 / kl.coef == pytest.approx(4.0, rel=1e-3)


def test_annealed_falls_in_a_line_and_stays_where_it_ends():
    kl = AnnealedKl(coef=1.0, final=0.2, fall=0.001)
    for expected in (0.7, 0.4, 0.2, 0.2):  # the third 300 episodes would end at 0.1
        kl = kl.update(9.9, 300)
        assert kl.coef == pytest.approx(expected)
    assert kl.with_state({"coef": 0.6}).update(0.0, 100).coef == pytest.approx(0.5)  # as after a resume
    for wrong in ({"final": -0.1}, {"final": 1.1}, {"fall": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AnnealedKl(**{"coef": 1.0, "final": 0.2, "fall": 0.001} | wrong)


def test_one_update_counts_at_most_one_horizon():
    kl = AdaptiveKl(coef=1.0, target=6.0, horizon=100)
    assert kl.update(0.0, 10**9).coef == pytest.approx(0.8)


def test_a_kl_that_is_not_a_number_stops():
    with pytest.raises(TrainingError, match="not a number"):
        AdaptiveKl(coef=1.0, target=6.0).update(math.nan, 10)


def test_fixed_stays():
    kl = FixedKl(0.05)
    assert kl.update(1e9, 512) == kl
    assert kl.coef == 0.05


@pytest.mark.parametrize("kl", [FixedKl(0.05), AdaptiveKl(0.1, 6.0)])
def test_state_goes_round(kl: FixedKl | AdaptiveKl):
    later = kl.update(30.0, 512)
    assert kl.with_state(later.state_dict()) == later


@pytest.mark.parametrize(
    ("key", "value"), [("coef", 0.0), ("coef", -1.0), ("target", 0.0), ("horizon", 0.0), ("clip", 1.0)]
)
def test_impossible_settings_name_their_key(key: str, value: float):
    with pytest.raises(ValueError, match=f"{key}={value}"):
        AdaptiveKl(**{"coef": 0.1, "target": 6.0, key: value})


def test_the_estimators_by_name():
    rng = generator(11)
    mask_BT = ragged_mask(rng, 3, 4)
    given = normal(rng, 3, 4), normal(rng, 3, 4), mask_BT
    assert torch.equal(sequence_kl(*given), k1(*given).sum(-1))
    assert torch.equal(sequence_kl(*given, "k3"), k3(*given).sum(-1))
    assert not torch.allclose(sequence_kl(*given), sequence_kl(*given, "k3"))


@pytest.mark.parametrize("seed", range(3))
def test_as_a_reward_k1_gives_the_gradient_of_the_kl_and_k3_a_part_of_it(seed: int):
    policy, reference = two_distributions(generator(seed))
    policy.requires_grad_()
    mask = torch.ones(7, 1, dtype=torch.bool)
    log_p, log_q = policy.log_softmax(0), reference.log_softmax(0)

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss, policy, retain_graph=True)[0]

    forward = gradient((log_p.exp() * (log_p - log_q)).sum())
    backward = gradient((log_q.exp() * (log_q - log_p)).sum())
    as_reward = {f.__name__: gradient((log_p.exp() * f(log_p, log_q, mask).detach()).sum()) for f in (k1, k3)}
    torch.testing.assert_close(as_reward["k1"], forward)
    torch.testing.assert_close(as_reward["k3"], forward - backward)


def test_near_the_reference_a_penalty_of_k3_does_not_pull():
    """Ten times nearer, the gradient of the KL falls tenfold, what k3 gives as a reward a hundredfold."""
    rng = generator(12)
    reference, direction = normal(rng, 7, 1), normal(rng, 7, 1)
    mask = torch.ones(7, 1, dtype=torch.bool)
    pulls: dict[str, list[float]] = {"k1": [], "k3": []}
    for step in (1e-2, 1e-3):
        policy = (reference + step * direction).requires_grad_()
        log_p, log_q = policy.log_softmax(0), reference.log_softmax(0)
        for f in (k1, k3):
            loss = (log_p.exp() * f(log_p, log_q, mask).detach()).sum()
            pulls[f.__name__].append(torch.autograd.grad(loss, policy, retain_graph=True)[0].norm().item())
    assert pulls["k1"][0] / pulls["k1"][1] == pytest.approx(10, rel=0.05)
    assert pulls["k3"][0] / pulls["k3"][1] == pytest.approx(100, rel=0.05)
