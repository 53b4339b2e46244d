"""Pretrains the embedded world's base model again: `python scripts/pretrain_demo.py --out FOLDER`.

From fresh weights to the folder that ships in `rlhf/demo/base`, in about 35 minutes on two cores. The text
is made by `rlhf/demo/corpus.py` from a seed, so its hash is the same everywhere; arithmetic differs in the
last bits between machines, and with it the validation loss a little.
"""

import argparse
import copy
import hashlib
import json
import random
import sys
import time
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlhf.config import Config
from rlhf.demo.corpus import Piece, exercise, pages
from rlhf.demo.model import new_model
from rlhf.demo.tasks import draw_task, is_training
from rlhf.demo.tokenizer import train_tokenizer
from rlhf.models.attention import use_own_attention
from rlhf.training.machine import set_up_machine

ROW_TOKENS = 224  # two pages, padded or cut
BATCH_ROWS = 48
STEPS = 2600
FIRST_PART = 0.5  # share of the steps
VALIDATION_ROWS = 960
QUESTION_SHARE = 0.1  # of the tokens that answer nothing, in the loss: questions are mostly chance
WARMUP, COOLDOWN = 0.02, 0.4  # shares of the steps
MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
SEED, VALIDATION_SEED = 0, 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps (default: {STEPS})")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    options = parser.parse_args()
    set_up_machine(Config(threads=options.threads))
    words = train_tokenizer()
    first = round(FIRST_PART * options.steps) * BATCH_ROWS
    rows, answers, digest = corpus(words, SEED, (first, options.steps * BATCH_ROWS - first))
    held_out, held_out_answers, _ = corpus(words, VALIDATION_SEED, (0, VALIDATION_ROWS))
    print(f"{len(rows)} rows of {ROW_TOKENS} tokens, sha256 {digest}", flush=True)
    model = new_model(words, SEED)
    use_own_attention(model)
    seconds = train(model, rows, answers)
    figures = {
        "data_sha256": digest,
        "validation_loss": loss_on(model, held_out, held_out_answers),
        "steps": options.steps,
        "parameters": model.num_parameters(),
        "seconds": round(seconds),
        "right": accuracy(model, words),
    }
    save(model, words, options.out, figures)
    print(json.dumps(figures, indent=2))
    return 0


def corpus(words: PreTrainedTokenizerFast, seed: int, counts: tuple[int, int]) -> tuple[Tensor, Tensor, str]:
    """Token rows [N, ROW_TOKENS], which of the tokens are answers, and the SHA-256 of the tokens.

    `counts` are the rows of the text's first and of its second part.
    """
    total = sum(counts)
    rows = np.full((total, ROW_TOKENS), words.pad_token_id, dtype=np.int16)
    answers = np.zeros((total, ROW_TOKENS), dtype=np.bool_)
    two_pages = chain.from_iterable(
        islice(zip(text, text, strict=False), count)
        for text, count in zip((pages(seed, 0), pages(seed, 1)), counts, strict=True)
    )
    for start in range(0, total, 1000):
        some = [[*one, *other] for one, other in islice(two_pages, 1000)]
        texts = [piece.text for pieces in some for piece in pieces]
        ids = iter(words.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        for number, pieces in enumerate(some, start):
            place(rows[number], answers[number], [(piece, next(ids).ids) for piece in pieces])
    return torch.from_numpy(rows), torch.from_numpy(answers), hashlib.sha256(rows.tobytes()).hexdigest()


def place(row: np.ndarray, answers: np.ndarray, pieces: list[tuple[Piece, list[int]]]) -> None:
    """Writes the pieces into a row, as many as fit."""
    at = 0
    for piece, ids in pieces:
        end = min(at + len(ids), ROW_TOKENS)
        row[at:end] = ids[: end - at]
        answers[at:end] = piece.answers
        at = end


def train(model: LlamaForCausalLM, rows: Tensor, answers: Tensor) -> float:
    """One pass over the rows: Muon (Jordan 2024) on the layers' matrices, Adam on the rest. Seconds."""
    steps = len(rows) // BATCH_ROWS
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: rate(step, steps)) for one in optimizers]
    chance = torch.Generator().manual_seed(SEED)
    model.train()
    began = time.monotonic()
    for step in range(steps):
        chosen = slice(step * BATCH_ROWS, (step + 1) * BATCH_ROWS)
        counts = answers[chosen] | (torch.rand(BATCH_ROWS, ROW_TOKENS, generator=chance) < QUESTION_SHARE)
        loss = mean_loss(model, rows[chosen], counts)
        loss.backward()
        for one, schedule in zip(optimizers, schedules, strict=True):
            one.step()
            schedule.step()
            one.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            took = time.monotonic() - began
            print(f"step {step:5d} of {steps}  loss {loss.item():.4f}  {took:6.0f} s", flush=True)
    model.eval()
    return time.monotonic() - began


def rate(step: int, steps: int) -> float:
    """Rises, stays, falls to nothing."""
    return min(1.0, (step + 1) / (WARMUP * steps), (steps - step) / (COOLDOWN * steps))


def mean_loss(model: LlamaForCausalLM, rows: Tensor, counts: Tensor) -> Tensor:
    """Mean negative log-likelihood of the tokens that count, in nats; padding never does."""
    counts = counts & (rows != model.config.pad_token_id)
    width = int((rows != model.config.pad_token_id).any(dim=0).nonzero().max()) + 1
    ids, counts = rows[:, :width].long(), counts[:, 1:width]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state
        logits = model.lm_head(hidden[counts])
    return nn.functional.cross_entropy(logits.float(), ids[:, 1:][counts])


@torch.no_grad()
def loss_on(model: LlamaForCausalLM, rows: Tensor, answers: Tensor) -> float:
    """The loss on the answers of held-out pages alone, in nats a token."""
    starts = range(0, len(rows), 96)
    losses = [mean_loss(model, rows[at : at + 96], answers[at : at + 96]).item() for at in starts]
    return sum(losses) / len(losses)


@torch.no_grad()
def accuracy(
    model: LlamaForCausalLM, words: PreTrainedTokenizerFast, questions: int = 2000
) -> dict[str, float]:
    """Share of held-out questions, by family, whose whole right answer is what the model finds most probable.

    After a lead-in, as only there every answer is right; only questions that leave no choice of form.
    """
    rng = random.Random("accuracy")
    hits: dict[str, list[bool]] = {}
    for _ in range(questions):
        task = draw_task(rng)
        while task.kind == "task" or is_training(task.family, task.spec):
            task = draw_task(rng)
        *asked, answer = exercise(task, rng, "led", right=True)
        before = words.encode("".join(piece.text for piece in asked), add_special_tokens=False)
        after = words.encode(answer.text, add_special_tokens=False)
        guessed = model(input_ids=torch.tensor([before + after[:-1]])).logits[0, -len(after) :].argmax(dim=-1)
        hits.setdefault(task.family.name, []).append(guessed.tolist() == after)
    return {name: round(sum(hit) / len(hit), 3) for name, hit in sorted(hits.items())}


def save(
    model: LlamaForCausalLM, words: PreTrainedTokenizerFast, folder: Path, figures: dict[str, Any]
) -> None:
    """Weights in bfloat16, tokenizer, and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, bos_token_id=None
    )
    small = copy.deepcopy(model).to(torch.bfloat16)  # pyright: ignore[reportArgumentType]
    small.save_pretrained(folder)
    words.save_pretrained(folder)
    (folder / "pretraining.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
