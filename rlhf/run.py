"""The command line: Hydra composes, pydantic validates, a stage runs.

`python -m rlhf.run stage=sft|rm|ppo|sample|eval|all key=value ...`. Nothing heavy is imported before a
stage starts, so help and errors answer at once.
"""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlhf.config import Config, validate
from rlhf.errors import EXIT_CODE, ConfigError, RlhfError
from rlhf.help import help_page
from rlhf.runs import disk_errors

GROUPS = ("stage", "model", "data", "reward", "kl", "rollout", "preset")
MAX_ERROR_LINES = 10

_failures: list[str] = []  # of a sweep's jobs: the others go on


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 2 refused, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or {"-h", "--help", "stage=help"} & set(words):
        print(help_page())
        return 0
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [sys.argv[0], *(_as_override(word) for word in words), *_sweep_name(words)]
    _failures.clear()
    want_traceback = any(word.lower() == "traceback=true" for word in words)
    try:
        _compose_and_run()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    except (RlhfError, HydraException, OmegaConfBaseException) as error:
        _print_error(error, want_traceback)
        return EXIT_CODE
    return EXIT_CODE if _failures else 0


@hydra.main(version_base=None, config_path="pkg://configs", config_name="config")
def _compose_and_run(composed: DictConfig) -> None:
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        container = OmegaConf.to_container(composed, resolve=True)
        if not isinstance(container, dict):
            raise ConfigError("the configuration is not a mapping; see `python -m rlhf.run --help`")
        run_stage(validate({str(key): value for key, value in container.items()}))
    except RlhfError as error:
        if not sweeping:
            raise
        _failures.append(str(error))
        _print_error(error, want_traceback=False)


def run_stage(cfg: Config) -> None:
    """Imports the stage's module, heavy as it is, and runs it."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with disk_errors(cfg.runs_dir):
        importlib.import_module(f"stages.{cfg.stage.kind}").run(cfg)


def _as_override(word: str) -> str:
    """Plain `key=value` may add a key, so that every unknown one is reported together by `validate`."""
    key, equals, _ = word.partition("=")
    plain = equals and re.fullmatch(r"[\w.-]+", key) and not key.startswith("hydra")
    return f"++{word}" if plain and key not in GROUPS else word


def _sweep_name(words: Sequence[str]) -> list[str]:
    """Each job of a sweep gets an experiment of its own, named by what is swept."""
    if not {"-m", "--multirun"} & set(words):
        return []
    keys = [
        word.partition("=")[0].lstrip("+") for word in words if re.search(r"=.*(,|range\(|choice\()", word)
    ]
    name = next((word.partition("=")[2] for word in words if word.startswith("name=")), "demo")
    suffix = "".join(f"-{key.rpartition('.')[2]}-${{{_node(key)}}}" for key in keys)
    return [f"++name={name}{suffix}"]


def _node(key: str) -> str:
    return f"hydra:runtime.choices.{key}" if key in GROUPS else key


def _print_error(error: Exception, want_traceback: bool) -> None:
    if want_traceback:
        traceback.print_exception(error)
        return
    lines = [line for line in str(error).splitlines() if line.strip()]
    if not isinstance(error, RlhfError):
        lines = [line for line in lines if not line.lstrip().startswith(("provider=", "Config search path"))]
    shown = lines[: MAX_ERROR_LINES - 1] + (["..."] if len(lines) >= MAX_ERROR_LINES else [])
    print("error: " + "\n  ".join(shown), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
