"""How fast `rollout=hf` decodes, beside the model's own step and beside what the machine allows.

`python scripts/bench_decoding.py` makes a model in the shape of stories15M with random weights and, for each
batch size, decodes responses of geometric lengths. It prints tokens a second of the engine, of bare steps of
the model alone, and of the machine at its limit: FLOPs and bytes of the weights, and three passes over batch
times vocabulary, at rates measured here and now. `--tiny` for a dry run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.rollout.base import Request, Sampling  # noqa: E402
from rlhf.rollout.hf import HfEngine  # noqa: E402
from rlhf.rollout.slots import SlotCache, StepMask  # noqa: E402
from rlhf.rollout.weights import copy_in  # noqa: E402

SAMPLING_PASSES = 3
END_TOKEN = 2
MEAN_LENGTH = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each batch size."""
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model = a_model(options.tiny, device)
    sampling = Sampling(1.0, 8 if options.tiny else 64, frozenset({END_TOKEN}))
    flops, bytes_s = rates(model, dtype, 64 if options.tiny else 2048)
    print(f"{device}, {options.precision}: {flops / 1e9:.0f} GFLOP/s, {bytes_s / 1e9:.0f} GB/s")
    print("batch  tokens/s  the model alone  the machine's limit  of the model  of the limit")
    for batch in options.batch:
        asked = requests(4 * batch, model.config.vocab_size)
        engine = HfEngine(model, pad_id=0, batch_size=batch, dtype=dtype, compile=options.compile, say=print)
        tokens = 0

        def decode(engine: HfEngine = engine, asked: list[Request] = asked) -> None:
            nonlocal tokens
            tokens = sum(len(rollout.response_ids) for rollout in engine.generate(asked, sampling))

        whole_s = best_seconds(decode, options.repeats) / tokens
        alone = copy_in(model, dtype)
        alone_s = best_seconds(bare_steps(alone, batch, 8), options.repeats) / (8 * batch)
        limit_s = step_limit(model, batch, dtype, flops, bytes_s) / batch
        print(
            f"{batch:5d}  {1 / whole_s:8.0f}  {1 / alone_s:15.0f}  {1 / limit_s:19.0f}"
            f"  {alone_s / whole_s:12.2f}  {limit_s / whole_s:12.2f}"
        )
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 64, 128])
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="rollout.compile=true")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--repeats", type=int, default=5, help="the best of so many counts")
    parser.add_argument("--tiny", action="store_true", help="a dry run in seconds")
    return parser.parse_args(arguments)


def a_model(tiny: bool, device: torch.device) -> PreTrainedModel:
    """Random weights; the end token is drawn once in `MEAN_LENGTH` tokens on average."""
    width, layers, vocabulary = (32, 2, 512) if tiny else (288, 6, 32000)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 48),
        max_position_embeddings=256,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).to(device).eval()  # pyright: ignore
    with torch.no_grad():
        model.lm_head.weight.zero_()  # uniform over the vocabulary, but for the end token
    bias = torch.zeros(vocabulary)
    bias[END_TOKEN] = torch.tensor((vocabulary - 1) / (MEAN_LENGTH - 1)).log()
    model.lm_head.bias = torch.nn.Parameter(bias.to(device))
    return model


def requests(count: int, vocabulary: int) -> list[Request]:
    """Prompts of 8 to 32 tokens."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(8, 33, (count,), generator=generator).tolist()
    prompts = [torch.randint(3, vocabulary, (length,), generator=generator).tolist() for length in lengths]
    return [Request(number, tuple(prompt), 1) for number, prompt in enumerate(prompts)]


def bare_steps(model: PreTrainedModel, batch: int, steps: int, context: int = 40) -> Callable[[], None]:
    """So many forward passes over one token a row, keys and values in place; nothing is drawn."""
    cache, mask = SlotCache(batch, context + steps), StepMask(model.config)
    tokens_B = torch.full((batch,), 5, device=model.device)

    @torch.no_grad()
    def run() -> None:
        for place in range(context, context + steps):
            positions_B = torch.full_like(tokens_B, place)
            cache.window.step(positions_B, place + 1)
            model(
                input_ids=tokens_B[:, None],
                attention_mask=mask(positions_B, place + 1, model.dtype),
                position_ids=positions_B[:, None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        wait(model.device)

    return run


def step_limit(model: PreTrainedModel, batch: int, dtype: torch.dtype, flops: float, bytes_s: float) -> float:
    """Seconds that a step of `batch` tokens takes at least: products or weights, then the sampling passes."""
    embedding = model.get_input_embeddings().weight.numel()  # pyright: ignore
    weights = sum(value.numel() for value in model.parameters()) - int(embedding)
    products_s = 2.0 * weights * batch / flops
    memory_s = weights * dtype.itemsize / bytes_s
    passes_s = SAMPLING_PASSES * batch * model.config.vocab_size * 4.0 / bytes_s
    return max(products_s, memory_s) + passes_s


def rates(model: PreTrainedModel, dtype: torch.dtype, size: int) -> tuple[float, float]:
    """FLOP/s of a square matrix product and bytes a second of a copy, read and written, on this device."""
    a, b = (torch.randn(size, size, device=model.device).to(dtype) for _ in range(2))
    product_s = best_seconds(lambda: (a @ b, wait(model.device)), 5)
    source = torch.zeros(size * size * 8, device=model.device)
    target = torch.empty_like(source)
    copy_s = best_seconds(lambda: (target.copy_(source), wait(model.device)), 5)
    return 2.0 * size**3 / product_s, 2.0 * source.numel() * source.element_size() / copy_s


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The least time of several, after one that does not count."""
    work()
    took = list[float]()
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
