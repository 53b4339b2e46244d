"""Policies that answer: loaded with their encoder and an engine, for the stages that only sample."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from rlhf.config import Config, EvalStage, SampleStage, StudyStage
from rlhf.data.encoding import Encoder
from rlhf.evaluation.answers import Answer, sample_answers
from rlhf.metrics import Progress
from rlhf.models.loading import load_policy, load_tokenizer
from rlhf.records import Prompt
from rlhf.rollout.base import RolloutEngine, Sampling
from rlhf.rollout.build import hf_engine
from rlhf.runs import Artifact
from rlhf.training.machine import Machine
from stages.shared import encoder_for


@dataclass(frozen=True)
class Speaker:
    """A policy that can be asked; `name` is short enough for a table."""

    name: str
    artifact: Artifact
    model: PreTrainedModel
    encoder: Encoder
    engine: RolloutEngine

    def answers(
        self, prompts: Sequence[Prompt], sampling: Sampling, *, seed: int, per_prompt: int = 1
    ) -> list[Answer]:
        """Its answers, with progress on the console."""
        with Progress(f"{self.name} answers", len(prompts) * per_prompt) as progress:
            return sample_answers(
                self.engine,
                self.encoder,
                prompts,
                sampling,
                seed=seed,
                per_prompt=per_prompt,
                advance=progress.update,
            )


def load_speaker(cfg: Config, artifact: Artifact, machine: Machine) -> Speaker:
    """Loads the policy of an artifact onto the machine. Raises ModelError as `load_policy` does."""
    remote_code = cfg.model.trust_remote_code
    model = load_policy(artifact.model, dtype=machine.dtype, trust_remote_code=remote_code)
    tokenizer = load_tokenizer(artifact.model, trust_remote_code=remote_code)
    encoder = encoder_for(cfg, model, tokenizer)
    model = model.to(machine.device)  # pyright: ignore[reportArgumentType]
    engine = hf_engine(cfg.rollout, model, encoder, machine.dtype)
    return Speaker(name_of(artifact), artifact, model, encoder, engine)


def sampling_of(cfg: Config, stage: EvalStage | SampleStage | StudyStage, speaker: Speaker) -> Sampling:
    """How the speaker draws tokens."""
    return Sampling(
        temperature=stage.temperature,
        max_new_tokens=stage.response_length,
        stop_ids=speaker.encoder.stop_ids,
        top_k=cfg.rollout.top_k,
        top_p=cfg.rollout.top_p,
    )


def name_of(artifact: Artifact) -> str:
    """A short name: `ppo-1` of a run, else the end of the path or hub id."""
    if artifact.manifest:
        return f"{artifact.manifest.stage}-{artifact.manifest.number}"
    return artifact.path.rstrip("/").rpartition("/")[2]
