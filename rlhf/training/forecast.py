"""What a PPO run will take: memory from the models' sizes, time from a rehearsal on real prompts."""

import time

import psutil
import torch

from rlhf.data.encoding import Encoded
from rlhf.metrics import duration
from rlhf.models.head import chunk_rows
from rlhf.models.loading import parameter_count
from rlhf.models.policy_value import TokenOutputs
from rlhf.rollout.base import Request, Sampling
from rlhf.training.ppo import Ppo

REHEARSED_TOKENS = 8  # decoded to time a step
GIB = float(1 << 30)


def forecast(ppo: Ppo) -> str:
    """A line that says how long the run will take, and how much memory, before it starts."""
    needed, available = predicted_bytes(ppo), available_bytes(ppo.accelerator.device)
    text = (
        f"{ppo.stage.num_iterations} iterations of {ppo.stage.batch_size} responses, about "
        f"{duration(predicted_seconds(ppo))} at most; about {needed / GIB:.1f} GiB of memory"
    )
    if needed > available:
        text += (
            f", of which only {available / GIB:.1f} are free: lower stage.microbatch_tokens, or set "
            "model.adapter=lora"
        )
    return text


def predicted_bytes(ppo: Ppo) -> float:
    """Weights, gradients, Adam's two moments, and the activations of one microbatch.

    In each process. Weights and gradients are float32; a layer keeps about 34 values of its width a token for
    the backward pass (Korthikanti et al. 2022, without attention scores), and the head a chunk of logits.
    """
    module = ppo.roles.policy_value
    trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    frozen = 4.0 * (parameter_count(module) - trained)
    for model in (ppo.roles.reference_model, ppo.roles.reward_model):
        if model is not None and model is not module.language_model:
            frozen += bytes_of(model) if is_on(model, ppo.accelerator.device) else 0
    config = module.language_model.config.get_text_config()
    tokens = min(ppo.stage.microbatch_tokens, ppo.stage.minibatch_size * longest_tokens(ppo))
    activations = tokens * config.num_hidden_layers * config.hidden_size * 34 * 2.0
    device = ppo.accelerator.device
    logits = chunk_rows(config.vocab_size, device) * config.vocab_size * 4.0 * 3
    learning = 16.0 * trained
    if ppo.decoder is not None:  # sharded, and a whole copy to decode with
        frozen += bytes_of(ppo.decoder)
        learning /= ppo.processes.count
    return learning + frozen + 2.0 * activations + logits


def bytes_of(model: torch.nn.Module) -> int:
    """What its parameters take."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def is_on(model: torch.nn.Module, device: torch.device) -> bool:
    """Whether its parameters lie on the device; those of a frozen model may be away while not used."""
    return next(model.parameters()).device.type == device.type


def available_bytes(device: torch.device) -> float:
    """Free memory of the device, with what this process holds already."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_allocated(device))
    return float(psutil.virtual_memory().available + psutil.Process().memory_info().rss)


def longest_tokens(ppo: Ppo) -> int:
    """Tokens of a typical prompt with a response at the limit."""
    lengths = sorted(len(ppo.encoder.prompt_ids(prompt)) for prompt in ppo.prompts[:64])
    return lengths[len(lengths) // 2] + ppo.stage.response_length


def predicted_seconds(ppo: Ppo) -> float:
    """Decodes a few tokens and runs one microbatch forward and backward, then multiplies.

    Takes every response to be as long as `stage.response_length`. Nothing is trained; where memory is too
    small for `stage.microbatch_tokens`, the budget falls here already.
    """
    stage = ppo.stage
    together = min(ppo.rollout.batch_size, stage.batch_size, len(ppo.prompts))
    prompts = [tuple(ppo.encoder.prompt_ids(prompt)) for prompt in ppo.prompts[:together]]
    requests = [Request(number, ids, ppo.seed) for number, ids in enumerate(prompts)]
    few = Sampling(stage.temperature, min(REHEARSED_TOKENS, stage.response_length), frozenset())
    began = time.perf_counter()
    with ppo.roles.policy_active(), ppo.accelerator.autocast():
        list(ppo.engine.generate(requests, few))
    decoding_s = (time.perf_counter() - began) * stage.response_length / few.max_new_tokens

    lengths = [len(ids) + stage.response_length for ids in prompts]

    def update_s_a_row(parts: list[list[int]]) -> float:
        encoded = [
            Encoded([*prompts[row], *prompts[row][-1:] * stage.response_length], len(prompts[row]))
            for row in parts[0]
        ]
        batch = ppo.updater.batch(encoded)
        began = time.perf_counter()
        outputs: TokenOutputs = ppo.module(batch)
        total = outputs.logprobs_N.sum()
        (total + outputs.values_N.sum() if stage.has_critic else total).backward()
        ppo.optimizer.zero_grad(set_to_none=True)
        return (time.perf_counter() - began) / len(parts[0])

    minibatch = range(min(stage.minibatch_size, len(lengths)))
    update_s = ppo.updater.budget.run(lengths, minibatch, update_s_a_row)
    # scoring by policy, critic, reference and reward model costs about as much as one epoch
    epochs = 1 + stage.epochs * (1.0 + demonstrations_share(ppo, sum(lengths) / len(lengths)))
    return stage.total_episodes * (decoding_s / together + update_s * epochs) / ppo.processes.count


def demonstrations_share(ppo: Ppo, tokens: float) -> float:
    """What a demonstration costs beside a response with its prompt of so many `tokens`; no critic sees it."""
    if ppo.mix is None:
        return 0.0
    shown = ppo.mix.rows[:64]
    mean = sum(len(row.ids) for row in shown) / len(shown)
    return mean / tokens * (0.5 if ppo.stage.has_critic else 1.0)
