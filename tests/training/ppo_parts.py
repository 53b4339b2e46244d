"""A PPO run of tiny random models, its prompts and answers plain numbers: `Prompt("5 2 9")` is those ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from peft import TaskType
from small_models import numbers
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel

from rlhf.config import ModelConfig, PpoStage, RolloutConfig
from rlhf.data.encoding import Encoder
from rlhf.models.adapters import LoraSwitch, NoAdapters
from rlhf.models.attention import packs, use_own_attention
from rlhf.models.loading import disable_dropout, with_adapter
from rlhf.models.policy_value import PolicyValue, decoder_of
from rlhf.models.reward_model import sequence_scores
from rlhf.models.roles import Roles
from rlhf.records import Prompt
from rlhf.rewards.base import Scored, Scores
from rlhf.rollout.base import Request, Rollout, RolloutEngine
from rlhf.rollout.hf import HfEngine
from rlhf.training.experience import Episode
from rlhf.training.memory import TokenBudget
from rlhf.training.ppo import Ppo
from rlhf.training.processes import Processes
from rlhf.training.profile import PREFIX
from rlhf.training.sharding import shard
from rlhf.training.update import PpoUpdater, parameter_groups

VOCABULARY = 32
PAD, END = 0, 1
TEMPERATURE = 0.7
SMALL = numbers(VOCABULARY)
LORA = ModelConfig(adapter="lora", lora_rank=3, lora_alpha=6)


class Words:
    """An encoder whose words are numbers."""

    pad_id, end_id, stop_ids = PAD, END, frozenset({END})

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        return [int(word) for word in prompt.text.split()]

    def decode(self, ids: Sequence[int], _prompt: Prompt | None = None) -> str:
        return " ".join(str(token) for token in ids if token != END)


def language_model(architecture: str, seed: int) -> PreTrainedModel:
    """A random causal language model, dropout off."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if architecture == "gpt2":
            config: Any = GPT2Config(
                **SMALL, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3
            )
        else:
            config = LlamaConfig(
                **SMALL,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=64,
                initializer_range=0.3,
            )
        model = AutoModelForCausalLM.from_config(config)
    disable_dropout(model)
    use_own_attention(model)
    return model.eval()


def make_roles(architecture: str = "llama", *, lora: bool = False, has_critic: bool = True) -> Roles:
    """Separate models, each with weights of its own so that no figure is 0 by chance."""
    model = language_model(architecture, 0)
    critic, head = None, None
    if has_critic:
        critic, head = decoder_of(language_model(architecture, 1)), nn.Linear(16, 1, bias=False)
        with torch.no_grad():
            head.weight.copy_(torch.linspace(-0.3, 0.4, 16)[None])
    policy = with_adapter(model, LORA, TaskType.CAUSAL_LM, seed=3) if lora else model
    adapters = LoraSwitch(policy, {"policy": "default"}) if lora else NoAdapters()
    reference = None if lora else language_model(architecture, 2).requires_grad_(False)
    module = PolicyValue(
        policy, model, critic, head, value_shift=0.1, temperature=TEMPERATURE, adapters=adapters
    )
    return Roles("separate", module, None, sequence_scores, TEMPERATURE, adapters, reference)


def make_prompts(count: int, seed: int = 0) -> list[Prompt]:
    """Prompts of 1 to 10 numbers."""
    generator = torch.Generator().manual_seed(seed)
    prompts: list[Prompt] = []
    for _ in range(count):
        length = int(torch.randint(1, 11, (1,), generator=generator))
        ids = torch.randint(2, VOCABULARY, (length,), generator=generator).tolist()
        prompts.append(Prompt(" ".join(map(str, ids))))
    return prompts


def answer(prompt_ids: tuple[int, ...]) -> list[int]:
    """A fixed answer of 1 to 9 numbers to a prompt; two thirds of them end."""
    generator = torch.Generator().manual_seed(
        sum((3 * at + 1) * token for at, token in enumerate(prompt_ids))
    )
    length = int(torch.randint(1, 10, (1,), generator=generator))
    ids = torch.randint(2, VOCABULARY, (length,), generator=generator).tolist()
    return [*ids[:-1], END] if sum(prompt_ids) % 3 else (ids * 9)[:9]


def make_episodes(count: int, seed: int = 0) -> list[Episode]:
    """Prompts with their fixed answers."""
    made: list[Episode] = []
    for number, prompt in enumerate(make_prompts(count, seed)):
        prompt_ids = tuple(Words().prompt_ids(prompt))
        ids = torch.tensor(answer(prompt_ids))
        finish = "eos" if int(ids[-1]) == END else "length"
        rollout = Rollout(number, ids, torch.full(ids.shape, -3.0), finish, torch.zeros_like(ids))
        made.append(Episode(prompt, prompt_ids, rollout, Words().decode(ids.tolist())))
    return made


def score(batch: Sequence[Scored]) -> Scores:
    """Depends on tokens and their places."""
    total_B = torch.tensor(
        [
            sum(((3 + place) * token) % 7 - 3.0 for place, token in enumerate(row.response_ids)) / 4
            for row in batch
        ],
        dtype=torch.get_default_dtype(),
    )
    return Scores(total_B, {"numbers": total_B})


@dataclass(frozen=True)
class Made:
    """An updater and what it works on."""

    accelerator: Accelerator
    module: nn.Module
    optimizer: Optimizer
    roles: Roles
    updater: PpoUpdater
    stage: PpoStage
    said: list[str]


def make_updater(
    stage: PpoStage,
    roles: Roles,
    *,
    precision: str = "no",
    learning_rate: float = 1e-2,
    wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
    processes: Processes = Processes(),  # noqa: B008, frozen
    packed: bool = True,
) -> Made:
    """As `stages.ppo_setup` makes it; `wrap` puts something around the module."""
    assert not packed or all(packs(trunk) for trunk in roles.trunks)
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(mixed_precision=precision, cpu=True)
    if processes.sharded:
        shard(roles.policy_value, accelerator.device, processes.count)
    groups = parameter_groups(roles.policy_value)
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, eps=stage.adam_eps, weight_decay=0.0)
    module = accelerator.prepare_model(wrap(roles.policy_value), evaluation_mode=processes.sharded)
    prepared = accelerator.prepare(optimizer)
    said: list[str] = []
    budget = TokenBudget(stage.microbatch_tokens, said.append, processes, packed=packed)
    updater = PpoUpdater(accelerator, module, prepared, roles, stage, budget, pad_id=PAD)
    return Made(accelerator, module, prepared, roles, updater, stage, said)


def make_ppo(
    made: Made,
    *,
    engine: RolloutEngine | None = None,
    reward: Callable[[Sequence[Scored]], Scores] = score,
    prompts: int = 11,
    learning_rate: float = 1e-2,
    processes: Processes = Processes(),  # noqa: B008, frozen
) -> Ppo:
    """The whole of a run, with a transformers engine unless another is given."""
    model = made.roles.policy_value.language_model
    return Ppo(
        stage=made.stage,
        rollout=RolloutConfig(batch_size=5),
        seed=17,
        encoder=cast(Encoder, Words()),
        prompts=make_prompts(prompts, seed=5),
        held_out=make_prompts(4, seed=6),
        roles=made.roles,
        engine=engine or HfEngine(model, pad_id=PAD, batch_size=5),
        reward=reward,
        validation_reward=reward,
        accelerator=made.accelerator,
        module=made.module,
        optimizer=made.optimizer,
        updater=made.updater,
        learning_rate=learning_rate,
        processes=processes,
    )


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Relative difference of two sets of tensors, in L2."""
    assert one.keys() == other.keys()
    squares = [float((one[name].double() - other[name].double()).square().sum()) for name in one]
    return (sum(squares) / sum(float(x.double().square().sum()) for x in other.values())) ** 0.5


def request(prompt: Prompt, number: int) -> Request:
    """As `Ppo.sample` makes it."""
    return Request(number, tuple(Words().prompt_ids(prompt)), 17)


def learnt(figures: dict[str, float]) -> dict[str, float]:
    """What does not depend on how fast the machine was."""
    return {name: value for name, value in figures.items() if not name.startswith(PREFIX)}
