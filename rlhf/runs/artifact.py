"""What a stage takes as input: a finished run, a plain model folder, plain data, or a model of the hub."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from rlhf.errors import InputError
from rlhf.runs.disk import files_below, sha256_file
from rlhf.runs.manifest import InputRecord, Kind, Manifest, manifest_sha256

_POLICY_HEADS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_REWARD_HEADS = ("ForSequenceClassification", "ForRewardModel", "ForTokenClassification")


@dataclass(frozen=True)
class Artifact:
    """An input, found and checked."""

    role: str
    kind: Kind
    path: str
    """The run folder, the plain folder or file, or the hub id."""
    model: str
    """What `from_pretrained` reads; for data the same as `path`."""
    manifest: Manifest | None
    """None for a plain folder and the hub."""
    fingerprint: str
    """Names the content: the manifest's SHA-256, the hash over the files, or `hub:` and the id."""

    @property
    def label(self) -> str:
        """One line for the person at the terminal: `runs/demo/sft-1 (policy, 2026-03-01 12:30)`."""
        if self.manifest is None:
            return f"{self.path} ({'hub' if self.fingerprint.startswith('hub:') else 'plain files'})"
        return f"{self.path} ({self.manifest.kind}, {local_time(self.manifest.finished)})"

    def record(self, runs_dir: Path) -> InputRecord:
        """What the manifest of a run that takes this input says of it."""
        path = self.path
        if not self.fingerprint.startswith("hub:"):
            whole = Path(path).resolve()
            root = runs_dir.resolve()
            path = str(whole.relative_to(root) if whole.is_relative_to(root) else whole)
        sha256 = self.fingerprint if self.manifest else None
        return InputRecord(kind=self.kind, path=path, manifest_sha256=sha256, fingerprint=self.fingerprint)


def from_run(role: str, path: Path, manifest: Manifest) -> Artifact:
    """A finished run as an input."""
    model = path / "model" if manifest.kind in ("policy", "reward_model") else path
    return Artifact(role, manifest.kind, str(path), str(model), manifest, manifest_sha256(path))


def from_model_folder(role: str, path: Path, kinds: Sequence[Kind]) -> Artifact:
    """A plain model folder: `config.json` and weights. Its kind is read from the architecture; where that
    says nothing it is the first of `kinds`.

    Raises:
        InputError: no configuration, or no weights.
    """
    if not (path / "config.json").is_file():
        raise InputError(_no_config(path, role))
    if not any(_is_weights(file) for file in path.iterdir()):
        raise InputError(
            f"inputs.{role}={path} has a config.json and no weights (*.safetensors or *.bin).\n"
            f"Copy the weights beside it, or name a folder that has both."
        )
    return Artifact(role, _kind_of(path) or kinds[0], str(path), str(path), None, fingerprint(path))


def from_plain_data(role: str, path: Path, kind: Kind) -> Artifact:
    """A file or folder of data that no run of ours made."""
    return Artifact(role, kind, str(path), str(path), None, fingerprint(path))


def from_hub(role: str, hub_id: str, kind: Kind) -> Artifact:
    """A model of the hub, by its id; it is not looked up here."""
    return Artifact(role, kind, hub_id, hub_id, None, f"hub:{hub_id}")


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files of a folder; wherever it lies."""
    if path.is_file():
        return sha256_file(path)
    lines = (f"{sha256_file(file)}  {file.relative_to(path).as_posix()}\n" for file in files_below(path))
    return hashlib.sha256("".join(lines).encode("utf-8", errors="surrogatepass")).hexdigest()


def local_time(when: datetime) -> str:
    """A moment as the person's own clock shows it, to the minute."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M")


def _is_weights(file: Path) -> bool:
    return file.suffix == ".safetensors" or (file.suffix == ".bin" and file.name != "training_args.bin")


def _kind_of(path: Path) -> Kind | None:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        architectures = cast("list[Any]", config.get("architectures") or [])
    except (ValueError, AttributeError):
        raise InputError(
            f"{path / 'config.json'} is not a model's configuration (a JSON object).\n"
            f"Restore it from where the model came from."
        ) from None
    for name in map(str, architectures):
        if name.endswith(_REWARD_HEADS):
            return "reward_model"
        if name.endswith(_POLICY_HEADS):
            return "policy"
    return None


def _no_config(path: Path, role: str) -> str:
    if (path / "adapter_config.json").is_file():
        return (
            f"inputs.{role}={path} holds an adapter without its base model.\n"
            f"Merge it into the base (peft: merge_and_unload, save_pretrained) and name the merged folder."
        )
    return (
        f"inputs.{role}={path} is neither a run folder (no manifest.json) nor a model folder "
        f"(no config.json).\nName one of the two, or a hub id such as org/name."
    )
