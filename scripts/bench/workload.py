"""Writes a workload to a folder that both trainers read: policy, reward model, prompts, and answers to probe.

The policy ends its responses by itself: one channel of the residual stream is kept constant (every token
embeds the same number there and no layer writes to it), and the end token's embedding, which is also its row
of the output layer, differs in that channel alone, so that its logit is the same everywhere. Padding and the
unknown token are held back the same way. The reward model is the rule "share of favoured tokens": its first
layer attends to all tokens alike and averages a mark that favoured tokens carry; the others write nothing,
and cost what they would cost anyhow.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from scripts.bench.lengths import end_probability
from scripts.bench.shapes import WORKLOADS, Workload, tiny
from scripts.bench.tokens import END, FIRST_WORD, LETTERS, PAD, UNKNOWN, letters, new_tokenizer

FAVOURED_EVERY = 4  # every fourth word is favoured
PROMPTS, PROBES = 2048, 8
NEVER = 30.0  # nats below the others: never drawn
REWARD_SCALE = 2.0  # the score is twice (share of favoured tokens - share of others)
NOISE = 0.1  # of the policy's embeddings: next-token distributions stay near uniform
CONSTANT_LOGIT = 4.0  # what the constant channel adds to every logit: small, so that bf16 tells logits apart
_CONSTANT, _MARK, _MEAN = 0, 1, 2  # channels


def main(name: str, size: str, folder: str, seed: str) -> int:
    """`python -m scripts.bench.workload S|M|L real|tiny FOLDER SEED`."""
    workload = WORKLOADS[name] if size == "real" else tiny(WORKLOADS[name])
    write_workload(workload, Path(folder), int(seed))
    return 0


def write_workload(workload: Workload, folder: Path, seed: int) -> None:
    """Makes policy/, reward_model/, prompts.jsonl and probes.json in `folder`; the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts = new_prompts(workload, PROMPTS, seed)
    tokenizer = new_tokenizer(workload.shape.vocabulary)
    reward_model = new_reward_model(workload, seed)
    policy = new_policy(workload, prompts[:64], seed)
    for name, model in (("policy", policy), ("reward_model", reward_model)):
        model.save_pretrained(str(folder / name))
        tokenizer.save_pretrained(str(folder / name))
    lines = [json.dumps({"prompt": letters(ids), "ids": ids}) for ids in prompts]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    generator = np.random.default_rng((seed, 2))
    probes = [
        [ids, [*generator.integers(FIRST_WORD, workload.shape.vocabulary, size=4 + n).tolist(), END]]
        for n, ids in enumerate(prompts[:PROBES])
    ]
    (folder / "probes.json").write_text(json.dumps(probes), encoding="utf-8")


def new_prompts(workload: Workload, count: int, seed: int) -> list[list[int]]:
    """Prompts of letters, their lengths uniform between the workload's bounds."""
    generator = np.random.default_rng((seed, 1))
    low, high = workload.prompt_tokens
    lengths = generator.integers(low, high + 1, size=count)
    return [generator.choice(LETTERS, size=int(length)).tolist() for length in lengths]


@torch.no_grad()
def new_policy(workload: Workload, prompts: list[list[int]], seed: int) -> PreTrainedModel:
    """Random weights; the end token's probability gives the workload's mean length over `prompts`."""
    shape = workload.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(_config(workload))
    embedding_VD = _embedding(model)
    constant = shape.hidden**0.5
    embedding_VD.normal_(0.0, NOISE, generator=torch.Generator().manual_seed(seed))
    embedding_VD[:, _CONSTANT] = constant
    embedding_VD[:FIRST_WORD] = 0.0
    embedding_VD[:FIRST_WORD, _CONSTANT] = constant
    for layer in _layers(model):
        for matrix in _outputs(layer):
            matrix[_CONSTANT] = 0.0
    model.get_parameter("model.norm.weight")[_CONSTANT] = CONSTANT_LOGIT / shape.hidden
    final_ND = _last_states(model, prompts)
    per_unit = final_ND[:, _CONSTANT].mean().item()  # nats that a unit of the constant channel makes
    for token in (PAD, UNKNOWN):
        embedding_VD[token, _CONSTANT] = constant - NEVER / per_unit
    wanted = end_probability(workload.response_mean, workload.response_limit)
    embedding_VD[END, _CONSTANT] += _end_offset(final_ND, embedding_VD[FIRST_WORD:], wanted)
    model.generation_config = GenerationConfig(eos_token_id=END, pad_token_id=PAD)
    return model.eval()


@torch.no_grad()
def new_reward_model(workload: Workload, seed: int) -> PreTrainedModel:
    """A sequence classifier: REWARD_SCALE times the mean mark, +1 favoured, -1 other, of all tokens."""
    shape = workload.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        config = _config(workload)
        config.num_labels = 1
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    embedding_VD = _embedding(model)
    noise_VD = torch.randn(embedding_VD.shape, generator=torch.Generator().manual_seed(seed + 1))
    noise_VD[:, : _MEAN + 1] = 0.0
    noise = shape.hidden / 4  # squared length of the random part, the same for every token
    embedding_VD.copy_(noise_VD / noise_VD.norm(dim=1, keepdim=True) * noise**0.5)
    embedding_VD[:, _CONSTANT] = (shape.hidden - noise - 1.0) ** 0.5  # with the mark: mean square 1
    embedding_VD[:, _MARK] = torch.where(favoured(torch.arange(shape.vocabulary)), 1.0, -1.0)
    for layer in _layers(model):
        for matrix in _outputs(layer):
            matrix.zero_()
    query, value, out, head = (
        model.get_parameter(name)
        for name in (*(f"model.layers.0.self_attn.{kind}_proj.weight" for kind in "qvo"), "score.weight")
    )
    query.zero_()  # every token counts alike
    value.zero_()
    value[0, _MARK] = 1.0
    out[_MEAN, 0] = 1.0
    head.zero_()
    head[0, _MEAN] = REWARD_SCALE
    return model.eval()


def favoured(ids: Tensor) -> Tensor:
    """Which tokens the reward likes."""
    return (ids >= FIRST_WORD) & (ids % FAVOURED_EVERY == FAVOURED_EVERY - 1)


def _config(workload: Workload) -> PreTrainedConfig:
    shape = workload.shape
    kind = Qwen2Config if shape.architecture == "qwen2" else LlamaConfig
    return kind(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.mlp,
        max_position_embeddings=workload.prompt_tokens[1] + workload.response_limit,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
        dtype="float32",
    )


def _embedding(model: PreTrainedModel) -> Tensor:
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight


def _layers(model: PreTrainedModel) -> nn.ModuleList:
    layers = model.get_submodule("model.layers")
    assert isinstance(layers, nn.ModuleList)
    return layers


def _outputs(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """The two matrices of a layer that write to the residual stream."""
    return layer.get_parameter("self_attn.o_proj.weight"), layer.get_parameter("mlp.down_proj.weight")


def _last_states(model: PreTrainedModel, prompts: list[list[int]]) -> Tensor:
    """The final hidden state after each prompt, [N, D]."""
    trunk = model.get_submodule("model")
    return torch.stack([trunk(input_ids=torch.tensor([ids]), use_cache=False)[0][0, -1] for ids in prompts])


def _end_offset(final_ND: Tensor, words_WD: Tensor, wanted: float) -> float:
    """What the end token has more than words in the constant channel: its mean probability is `wanted`."""
    others_N = torch.logsumexp((final_ND @ words_WD.T).double(), dim=1)
    constant_N = final_ND[:, _CONSTANT].double()
    base_N = constant_N * words_WD[0, _CONSTANT].double()  # the end token's logit without an offset

    def mean_probability(offset: float) -> float:
        return torch.sigmoid(base_N + constant_N * offset - others_N).mean().item()

    low, high = -100.0, 100.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_probability(middle) < wanted else (low, middle)
    return (low + high) / 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
