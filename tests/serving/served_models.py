"""Small policies whose answers end now and then, and the process that serves them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import torch
from small_models import small_llama
from transformers import GPT2Config, GPT2LMHeadModel

from rlhf.demo.tokenizer import tokenizer


def make_policy(folder: Path, seed: int) -> Path:
    """A model folder whose next token depends on all that went before, with the embedded tokenizer."""
    small_llama(seed, max_position_embeddings=128, initializer_range=0.3).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@dataclass
class Server:
    """A running `python -m rlhf.serve`; `said` are the lines up to the one with its address."""

    process: subprocess.Popen[str]
    url: str = ""
    said: list[str] = field(default_factory=list[str])

    def client(self, key: str | None = None) -> httpx2.Client:
        """For paths below /v1."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.url, timeout=120, trust_env=False, headers=headers)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


@contextlib.contextmanager
def serving(*options: str, env: dict[str, str] | None = None) -> Generator[Server]:
    """Serves on a free port until the block ends."""
    command = [sys.executable, "-m", "rlhf.serve", "port=0", "device=cpu", "precision=fp32", "threads=1"]
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    server = Server(process)
    try:
        for line in _lines(process):
            server.said.append(line)
            if line.startswith("serve: http://"):
                server.url = line.removeprefix("serve: ")
                break
        assert server.url, server.said
        yield server
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stderr is not None
    for line in process.stderr:
        yield line.rstrip("\n")


def make_yes_sayer(folder: Path, word: str) -> Path:
    """A policy whose next token is always `word`, whatever was asked: its last layer is a constant."""
    words = tokenizer()
    (token,) = words(word, add_special_tokens=False)["input_ids"]
    config = GPT2Config(
        vocab_size=len(words),
        n_embd=16,
        n_layer=1,
        n_head=2,
        n_positions=1024,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config)
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(100 * model.transformer.wte.weight[token])
        model.transformer.wte.weight[token] *= 2
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
