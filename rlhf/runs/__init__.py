"""Experiments, runs and their manifests: the only code that writes or reads run folders.

    experiment = Experiment("runs", "demo")
    policy = experiment.resolve("policy", None, stage="ppo")
    key = identity(config, {"policy": policy}, data_files)
    with experiment.open("ppo", identity=key, config=config, inputs={"policy": policy}) as run:
        ...
        run.publish("model", model.save_pretrained)
        run.finish("policy", metrics={...}, resolved={...})

`python -m rlhf.runs list | show | verify | compare` shows, checks and compares what is there.
"""

from rlhf.runs.artifact import Artifact
from rlhf.runs.disk import disk_errors, write_atomic, write_folder
from rlhf.runs.experiment import Experiment
from rlhf.runs.folder import RunFolder
from rlhf.runs.identity import RUNTIME_KEYS, hash_data_files, identity
from rlhf.runs.joined import JoinedRun, Opened, opened
from rlhf.runs.manifest import FileRecord, InputRecord, Kind, Manifest, read_manifest
from rlhf.runs.names import check_name, command_for
from rlhf.runs.run import Run

__all__ = [
    "RUNTIME_KEYS",
    "Artifact",
    "Experiment",
    "FileRecord",
    "InputRecord",
    "JoinedRun",
    "Kind",
    "Manifest",
    "Opened",
    "Run",
    "RunFolder",
    "check_name",
    "command_for",
    "disk_errors",
    "hash_data_files",
    "identity",
    "opened",
    "read_manifest",
    "write_atomic",
    "write_folder",
]
