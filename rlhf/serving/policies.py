"""The policies of an endpoint: found, named for the public, loaded."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rlhf.config import Config, DataConfig
from rlhf.config.serve import ServeConfig
from rlhf.errors import ConfigError
from rlhf.models.loading import load_policy, load_tokenizer
from rlhf.runs import Artifact, Experiment
from rlhf.serving.answering import Served
from rlhf.serving.decoder import Decoder
from rlhf.training.machine import Machine
from stages.policies import name_of
from stages.shared import encoder_for


def find_policies(cfg: ServeConfig) -> dict[str, Artifact]:
    """What is served, by public name, in the order in which the options name it.

    Raises:
        InputError: one is not there, or is none.
        ConfigError: names do not fit the policies.
    """
    experiment, inputs = Experiment(Path(cfg.runs_dir), cfg.name), cfg.inputs
    found: list[Artifact] = []
    if inputs.policy or not inputs.policies:
        found.append(experiment.resolve("policy", inputs.policy, stage="serve"))
    if inputs.baseline:
        found.append(experiment.resolve("baseline", inputs.baseline, stage="serve"))
    found += [experiment.resolve("policy", named, stage="serve") for named in inputs.policies]
    return dict(zip(_names(cfg, found), found, strict=True))


def opaque_name(artifact: Artifact) -> str:
    """A name made from the content: it says nothing, and is the same wherever this policy is served."""
    return f"policy-{hashlib.sha256(f'public name of {artifact.fingerprint}'.encode()).hexdigest()[:8]}"


def load_served(name: str, artifact: Artifact, cfg: ServeConfig, machine: Machine) -> Served:
    """Loads a policy onto the machine, and starts its decoder.

    Raises:
        ModelError: it cannot be loaded or decoded.
    """
    trust = cfg.trust_remote_code
    model = load_policy(artifact.model, dtype=machine.dtype, trust_remote_code=trust)
    tokenizer = load_tokenizer(artifact.model, trust_remote_code=trust)
    data = DataConfig(max_length=cfg.max_length, template=cfg.template)
    encoder = encoder_for(Config(data=data), model, tokenizer)
    decoder = Decoder(
        model.to(machine.device),  # pyright: ignore[reportArgumentType]
        pad_id=encoder.pad_id,
        rows=cfg.batch_size,
        capacity=encoder.max_length,
        max_waiting=cfg.max_waiting,
    )
    return Served(name, encoder, decoder)


def _names(cfg: ServeConfig, found: Sequence[Artifact]) -> list[str]:
    if isinstance(cfg.names, tuple):
        if len(cfg.names) != len(found):
            raise ConfigError(
                f"names={','.join(cfg.names)}: {len(cfg.names)} names for {len(found)} policies; "
                f"give one for each, in the order {', '.join(artifact.path for artifact in found)}"
            )
        return list(cfg.names)
    names = [opaque_name(artifact) if cfg.names == "opaque" else name_of(artifact) for artifact in found]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        same = [artifact.path for name, artifact in zip(names, found, strict=True) if name == twice[0]]
        raise ConfigError(
            f"inputs: {' and '.join(same)} would both be called {twice[0]}; "
            "leave one out, or name them yourself: names=[a,b]"
        )
    return names
