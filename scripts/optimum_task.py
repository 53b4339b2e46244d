"""A task for PPO whose responses can be enumerated: a tiny policy, prompts and a reward, as files.

The policy is a Llama of random weights whose vocabulary is V symbols and nothing more. Its tokenizer has an
end and a padding token, as every stage needs, but the policy cannot say them: each response runs to
`stage.response_length`. The reward of a response sums a random number for each pair of its symbols and for
each three in a row, others for each prompt; mean 0 and variance 1 under the policy as it begins.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scripts.enumeration import Level, Space, levels_of, response_logprobs

SYMBOLS = "abcdefghijklmnopqrstuvwxyz012345"
WIDTH = 64
TRAINED = ("ab", "ba")  # two symbols: after "a", a model without absolute positions could not tell a from aa
WATCHED = "bc"  # PPO's looks want a prompt that it does not train on; nothing is measured on it
GROUPS = {True: "train", False: "look"}  # hashed into the training and into the validation half


@dataclass(frozen=True)
class Task:
    """What PPO is given, and what is known of it."""

    folder: Path
    space: Space
    prompts: tuple[tuple[int, ...], ...]  # token ids of those that are trained on
    ref_levels: list[Level]
    rewards_PY: Tensor

    @property
    def policy(self) -> Path:
        """Where PPO starts, and its reference."""
        return self.folder / "policy"

    @property
    def words(self) -> list[str]:
        """What tells `python -m rlhf.run stage=ppo` of the task."""
        return [
            f"inputs.policy={self.policy}",
            f"data.prompts={self.folder / 'prompts.jsonl'}",
            "data.validation_fraction=0.5",
            "data.test_fraction=0.0",
            "reward=custom",
            f"reward.path={Path(__file__).resolve()}:score",
            f"stage.response_length={self.space.length}",
            "stage.temperature=1.0",
            "stage.missing_end_score=0.0",
        ]

    def levels(self, policy: Path, dtype: torch.dtype = torch.float64) -> list[Level]:
        """What a policy that PPO made says after every prefix."""
        model = LlamaForCausalLM.from_pretrained(policy, dtype=dtype)
        return levels_of(model, self.prompts, self.space)


def make_task(folder: Path, space: Space, seed: int) -> Task:
    """Writes a task into a folder; the same seed makes the same one."""
    policy = random_policy(space.symbols, seed)
    policy.save_pretrained(folder / "policy")
    tokenizer_of(space.symbols).save_pretrained(folder / "policy")
    texts = (*TRAINED, WATCHED)
    ids = tuple(tuple(SYMBOLS.index(symbol) for symbol in text) for text in texts)
    levels = levels_of(policy.double(), ids, space)
    rewards_PY = random_rewards(response_logprobs(levels), space, seed)
    table = folder / "rewards.json"
    rewards = dict(zip(texts, rewards_PY.tolist(), strict=True))
    table.write_text(json.dumps({"symbols": space.symbols, "rewards": rewards}))
    rows = [{"prompt": text, "group": GROUPS[text in TRAINED], "table": str(table)} for text in texts]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    count = len(TRAINED)
    return Task(folder, space, ids[:count], [level[:count] for level in levels], rewards_PY[:count])


def score(prompt: str, response: str, *, table: str) -> float:
    """The reward of a response, as `reward=custom` asks for it; `table` is a field of the prompt's row."""
    symbols, rewards = _table(table)
    place = 0
    for symbol in response:
        place = place * symbols + SYMBOLS.index(symbol)
    return rewards[prompt][place]


@cache
def _table(file: str) -> tuple[int, dict[str, list[float]]]:
    content = json.loads(Path(file).read_text())
    return content["symbols"], content["rewards"]


def random_rewards(ref_logprobs_PY: Tensor, space: Space, seed: int) -> Tensor:
    """Rewards [P, Y] of the kind above."""
    generator = np.random.default_rng(seed)
    places = [
        *((one, other) for one in range(space.length) for other in range(one + 1, space.length)),
        *((first, first + 1, first + 2) for first in range(space.length - 2)),
    ]
    strings = space.strings(space.length).numpy()

    def terms() -> Iterator[np.ndarray]:
        for place in places:
            drawn = generator.standard_normal((space.symbols,) * len(place))
            yield drawn[tuple(strings[:, at] for at in place)]

    rewards_PY = torch.from_numpy(np.stack([sum(terms(), np.zeros(space.size)) for _ in ref_logprobs_PY]))
    probs_PY = ref_logprobs_PY.exp()
    centred_PY = rewards_PY - (probs_PY * rewards_PY).sum(dim=1, keepdim=True)
    return centred_PY / (probs_PY * centred_PY**2).sum(dim=1, keepdim=True).sqrt()


def random_policy(symbols: int, seed: int) -> LlamaForCausalLM:
    """Two layers of random weights, large enough that what it says is far from uniform."""
    config = LlamaConfig(
        vocab_size=symbols,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        initializer_range=WIDTH**-0.5,  # the logits then deviate by about 1
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def tokenizer_of(symbols: int) -> PreTrainedTokenizerFast:
    """A token a letter; the ids of the end and the padding token are past the policy's vocabulary."""
    vocabulary = {symbol: number for number, symbol in enumerate(SYMBOLS[:symbols])}
    vocabulary |= {"<end>": symbols, "<pad>": symbols + 1}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<pad>")
