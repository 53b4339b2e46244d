"""Two iterations of PPO against a slow reference: loops over rows and tokens, formulas from the papers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from ppo_parts import END, TEMPERATURE, answer, distance, make_ppo, make_roles, make_updater, score, weights
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from rlhf.algos.kl import AdaptiveKl
from rlhf.config import PpoStage
from rlhf.models.policy_value import PolicyValue
from rlhf.models.roles import Roles
from rlhf.rewards.base import Scored
from rlhf.rollout.scripted import ScriptedEngine
from rlhf.training.ppo import Ppo, Progress
from rlhf.training.seeds import sub_seed
from rlhf.training.update import minibatch_orders

LEARNING_RATE = 1e-2


@pytest.fixture(autouse=True)
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Double precision throughout; Llama's own norm is computed in float32 whatever the weights are."""
    monkeypatch.setattr(LlamaRMSNorm, "forward", rms_norm)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rms_norm(norm: Any, hidden_BSD: Tensor) -> Tensor:
    mean_BS1 = hidden_BSD.pow(2).mean(-1, keepdim=True)
    return norm.weight * hidden_BSD * torch.rsqrt(mean_BS1 + norm.variance_epsilon)


@dataclass
class Row:
    """One episode as the reference knows it: lists with an entry for each response token."""

    prompt: list[int]
    response: list[int]
    score: float
    old: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    advantages: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)


class Varied:
    """Answers a prompt with `answer`, and differently each time it comes again."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, ...], int] = {}

    def __call__(self, prompt_ids: tuple[int, ...]) -> list[int]:
        times = self.seen[prompt_ids] = self.seen.get(prompt_ids, 0) + 1
        return answer((*prompt_ids, *range(2, times + 1)))


def logprobs_of(model: Any, row: Row) -> list[Tensor]:
    logits_SV = model(input_ids=torch.tensor([row.prompt + row.response]), use_cache=False).logits[0]
    found: list[Tensor] = []
    for at, token in enumerate(row.response):
        scaled_V = logits_SV[len(row.prompt) + at - 1] / TEMPERATURE
        found.append(scaled_V[token] - torch.logsumexp(scaled_V, 0))
    return found


def values_of(module: PolicyValue, row: Row) -> list[Tensor]:
    assert module.critic is not None
    hidden_SD = module.critic(input_ids=torch.tensor([row.prompt + row.response]), use_cache=False)[0][0]
    weight_D = module.value_head.weight[0]
    return [hidden_SD[len(row.prompt) + at - 1] @ weight_D - 0.1 for at in range(len(row.response))]


def estimate(rows: list[Row], stage: PpoStage, kl_coef: float) -> None:
    """Rewards, advantages and returns, into the rows."""
    whitened = stage.whiten_advantages
    if whitened == "auto":
        whitened = stage.advantage in ("gae", "one_step", "reinforce_pp")
    lam = 0.0 if stage.advantage == "one_step" else stage.lam
    for row in rows:
        final = row.score
        if row.response[-1] != END:
            worse = -stage.missing_end_score
            final = final + worse if stage.missing_end == "penalty" else worse
        row.rewards = [-kl_coef * (p - r) for p, r in zip(row.old, row.reference, strict=True)]
        row.rewards[-1] += final
    if stage.whiten_rewards:
        flat = [reward for row in rows for reward in row.rewards]
        mean = sum(flat) / len(flat)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat) + 1e-8)
        for row in rows:
            row.rewards = [(x - mean) / deviation + mean for x in row.rewards]
    for row in rows:
        row.advantages = [0.0] * len(row.response)
        following_value, following_advantage = 0.0, 0.0
        for at in reversed(range(len(row.response))):
            delta = row.rewards[at] + stage.gamma * following_value - row.values[at]
            following_advantage = delta + stage.gamma * lam * following_advantage
            following_value = row.values[at]
            row.advantages[at] = following_advantage
        row.returns = [a + v for a, v in zip(row.advantages, row.values, strict=True)]
        if not stage.has_critic:  # what each token still leads to
            row.advantages = [
                sum(stage.gamma ** (later - at) * row.rewards[later] for later in range(at, len(row.rewards)))
                for at in range(len(row.rewards))
            ]
    if stage.advantage == "reinforce":
        firsts = [row.advantages[0] for row in rows]
        for row, first in zip(rows, firsts, strict=True):
            others = (sum(firsts) - first) / (len(rows) - 1)
            row.advantages = [advantage - others for advantage in row.advantages]
    if stage.advantage == "rloo":
        totals = [sum(row.rewards) for row in rows]
        for number, row in enumerate(rows):
            first = number // stage.samples_per_prompt * stage.samples_per_prompt
            group = totals[first : first + stage.samples_per_prompt]
            others = (sum(group) - totals[number]) / (len(group) - 1)
            row.advantages = [totals[number] - others] * len(row.response)
    if whitened:
        flat = [advantage for row in rows for advantage in row.advantages]
        mean = sum(flat) / len(flat)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat) + 1e-8)
        for row in rows:
            row.advantages = [(x - mean) / deviation for x in row.advantages]


def loss_of(module: PolicyValue, rows: list[Row], stage: PpoStage, clipped: list[str]) -> Tensor:
    """PPO's eq. 7 and the clipped squared error, means over the minibatch's tokens."""
    terms: list[Tensor] = []
    for row in rows:
        values = values_of(module, row) if stage.has_critic else [None] * len(row.response)
        for at, (logprob, value) in enumerate(
            zip(logprobs_of(module.language_model, row), values, strict=True)
        ):
            ratio, advantage = torch.exp(logprob - row.old[at]), row.advantages[at]
            inside = min(max(ratio.item(), 1 - stage.clip), 1 + stage.clip)
            policy = -ratio * advantage
            if -inside * advantage > policy.item():
                policy = policy * 0 - inside * advantage
                clipped.append("policy")
            if value is None:
                terms.append(policy)
                continue
            old, wanted = row.values[at], row.returns[at]
            near = old + min(max(value.item() - old, -stage.value_clip), stage.value_clip)
            error = (value - wanted) ** 2
            if (near - wanted) ** 2 > error.item():
                error = error * 0 + (near - wanted) ** 2
                clipped.append("value")
            terms.append(policy + stage.value_coef * 0.5 * error)
    return torch.stack(terms).sum() / len(terms)


class Adam:
    """Kingma and Ba 2015, algorithm 1, after clipping of the gradient's norm."""

    def __init__(self, parameters: list[Tensor], eps: float) -> None:
        self.parameters, self.eps, self.steps = parameters, eps, 0
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: list[Tensor], rate: float, max_norm: float) -> bool:
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        shrink = min(1.0, max_norm / (norm + 1e-6))  # torch's epsilon
        self.steps += 1
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            m.mul_(0.9).add_(0.1 * shrink * g)
            v.mul_(0.999).add_(0.001 * (shrink * g) ** 2)
            corrected_m, corrected_v = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
            p -= rate * corrected_m / (corrected_v.sqrt() + self.eps)
        return shrink < 1.0


def reference_run(roles: Roles, ppo: Ppo, iterations: int, kl_coef: float) -> tuple[list[str], list[float]]:
    """Trains `roles` by the reference; returns what was clipped and the coefficients used."""
    stage, module = ppo.stage, roles.policy_value
    adam, clipped, coefs = Adam(list(module.parameters()), stage.adam_eps), list[str](), list[float]()
    script = Varied()
    for iteration in range(1, iterations + 1):
        numbers = range((iteration - 1) * stage.batch_size, iteration * stage.batch_size)
        rows: list[Row] = []
        for index in ppo.prompt_order(numbers):
            prompt = [int(word) for word in ppo.prompts[index].text.split()]
            response = script(tuple(prompt))
            scored = Scored(ppo.prompts[index], "", tuple(prompt), tuple(response), "")
            rows.append(Row(prompt, response, float(score([scored]).total[0])))
        with torch.no_grad():
            for row in rows:
                row.old = [float(x) for x in logprobs_of(module.language_model, row)]
                row.reference = [float(x) for x in logprobs_of(roles.reference_model, row)]
                row.values = [0.0] * len(row.response)
                if stage.has_critic:
                    row.values = [float(x) for x in values_of(module, row)]
        estimate(rows, stage, kl_coef)
        coefs.append(kl_coef)
        rate = LEARNING_RATE * (1 - (iteration - 1) / stage.num_iterations)
        seed = sub_seed(ppo.seed, "minibatches", iteration)
        for order in minibatch_orders(len(rows), stage.minibatch_size, stage.epochs, seed):
            for minibatch in order:
                loss = loss_of(module, [rows[index] for index in minibatch], stage, clipped)
                gradients = torch.autograd.grad(loss, list(module.parameters()))
                if adam.step(list(gradients), rate, stage.max_grad_norm):
                    clipped.append("gradient")
        kl = sum(p - r for row in rows for p, r in zip(row.old, row.reference, strict=True)) / len(rows)
        error = min(max(kl / 6.0 - 1, -0.2), 0.2)
        kl_coef *= 1 + error * min(len(rows) / 100, 1)
    return clipped, coefs


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("llama", {}),
        ("gpt2", {}),
        ("gpt2", {"missing_end": "replace", "missing_end_score": 2.5, "whiten_rewards": True, "gamma": 0.9}),
        (
            "gpt2",
            {"whiten_advantages": False, "value_coef": 0.7, "microbatch_tokens": 24, "max_grad_norm": 0.4},
        ),
        ("gpt2", {"advantage": "one_step", "gamma": 0.9}),
        ("gpt2", {"advantage": "reinforce", "gamma": 0.9, "microbatch_tokens": 24}),
        ("gpt2", {"advantage": "rloo", "samples_per_prompt": 4, "max_grad_norm": 0.1}),
        ("gpt2", {"advantage": "reinforce_pp", "samples_per_prompt": 2}),
    ],
)
def test_two_iterations_equal_the_slow_reference(options: dict[str, Any], architecture: str) -> None:
    stage = PpoStage(
        **{
            "total_episodes": 24,
            "batch_size": 8,
            "minibatch_size": 4,
            "epochs": 2,
            "clip": 0.02,
            "value_clip": 0.02,
            "response_length": 9,
            **options,
        }
    )
    roles, twin = (make_roles(architecture, has_critic=stage.has_critic) for _ in range(2))
    for one in (roles, twin):
        one.policy_value.double()
        assert one.reference_model is not None
        one.reference_model.double()
    made = make_updater(stage, roles, learning_rate=LEARNING_RATE)
    ppo = make_ppo(made, engine=ScriptedEngine(Varied()), learning_rate=LEARNING_RATE)
    start = weights(roles.policy_value)

    progress = Progress(iteration=0, kl=AdaptiveKl(coef=0.3, target=6.0, horizon=100))
    coefs = [ppo.iterate(progress, iteration)["kl_coef"] for iteration in (1, 2)]
    clipped, expected_coefs = reference_run(twin, ppo, 2, 0.3)

    assert set(clipped) == {"policy", "gradient"} | ({"value"} if stage.has_critic else set())
    assert coefs == pytest.approx(expected_coefs, rel=1e-12)
    moved = distance(weights(twin.policy_value), start)
    assert moved > 1e-2
    assert distance(weights(roles.policy_value), weights(twin.policy_value)) < 1e-10 * moved
