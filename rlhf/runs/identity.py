"""A run's identity: the hash of everything that decides its result."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from rlhf.errors import InputError
from rlhf.runs.disk import sha256_file
from rlhf.runs.plain import canonical, plain

RUNTIME_KEYS = (
    "name",
    "runs_dir",
    "device",
    "threads",
    "trackers",
    "traceback",
    "inputs",  # what they resolved to counts, not how they were spelled
    "stage.max_hours",
    "stage.save_every",
    "stage.offload_frozen",  # where models lie, not what they say
    "rollout.url",  # where vLLM is, not what it serves
    "rollout.weights_dir",
    "rollout.timeout_s",
    "rollout.retries",
    "rollout.gpu_memory",
    "stage.judge.key_env",  # how the judge is reached, not what it is asked
    "stage.judge.parallel",
    "stage.judge.timeout_s",
    "stage.judge.retries",
)
"""Dotted keys that do not change what comes out. Those under `stage.` hold for nested stages as well
(`stage.ppo.max_hours`)."""


class HasFingerprint(Protocol):
    """An input: whatever names its content in one string."""

    @property
    def fingerprint(self) -> str:
        """Changes when the content does, and only then."""
        ...


def identity(
    config: Mapping[str, Any],
    inputs: Mapping[str, HasFingerprint] | None = None,
    data_files: Iterable[Path] | Mapping[str, str] = (),
    *,
    runtime_keys: Iterable[str] = (),
) -> str:
    """SHA-256 over the configuration without its runtime keys, the inputs' fingerprints by role, and the
    contents of the data files (wherever they lie).

    Args:
        config: the whole configuration, resolved.
        inputs: by role; roles that are absent are left out.
        data_files: paths, or what `hash_data_files` made of them.
        runtime_keys: dotted keys to leave out beside `RUNTIME_KEYS`.
    """
    parts = {
        "config": without_keys(plain(config), (*RUNTIME_KEYS, *runtime_keys)),
        "inputs": {role: artifact.fingerprint for role, artifact in (inputs or {}).items()},
        "data": sorted(hash_data_files(data_files).values()),
    }
    return hashlib.sha256(canonical(parts)).hexdigest()


def hash_data_files(data_files: Iterable[Path] | Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of each file's content by its path. What is hashed already passes through.

    Raises:
        InputError: a file is not there.
    """
    if isinstance(data_files, Mapping):
        return {str(path): sha256 for path, sha256 in data_files.items()}
    hashes: dict[str, str] = {}
    for path in sorted(data_files):
        try:
            hashes[str(path)] = sha256_file(path)
        except OSError as error:
            reason = f"data file {path} cannot be read ({error.strerror})"
            raise InputError(f"{reason}. Check the path, then run the same command again.") from None
    return hashes


def without_keys(config: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A copy of a configuration without the dotted keys; `stage.KEY` also drops `stage.ANY.KEY`."""
    kept = config
    for key in keys:
        parts = key.split(".")
        kept = _without(kept, parts)
        if len(parts) == 2 and parts[0] == "stage" and isinstance(kept.get("stage"), dict):
            nested = {name: _without_if_dict(value, parts[1:]) for name, value in kept["stage"].items()}
            kept = kept | {"stage": nested}
    return kept


def _without(config: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    first, *rest = parts
    if first not in config:
        return config
    if not rest:
        return {key: value for key, value in config.items() if key != first}
    return config | {first: _without_if_dict(config[first], rest)}


def _without_if_dict(value: Any, parts: list[str]) -> Any:
    return _without(value, parts) if isinstance(value, dict) else value
