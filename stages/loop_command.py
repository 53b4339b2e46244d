"""The command that goes on with a loop, from its configuration."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rlhf.config import Config, EvalStage, LoopStage

PASSING = frozenset({"stage.rollback", "stage.wait", "traceback"})
"""Of one command, not of the loop."""
SHIPPED = LoopStage(eval=EvalStage(num_prompts=400, best_of=0))
"""As configs/stage/loop.yaml has it."""


def command_of(cfg: Config) -> str:
    """`python -m rlhf.run stage=loop ...` with every key whose value is not the one that it has by itself."""
    usual = Config(stage=SHIPPED).model_dump(mode="json")
    words = ["stage=loop", *_different(cfg.model_dump(mode="json"), usual)]
    return shlex.join(["python", "-m", "rlhf.run", *words])


def _different(values: Mapping[str, Any], usual: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        key, other = f"{prefix}{name}", usual.get(name)
        if isinstance(value, Mapping):
            # another kind is a group's option: reward=custom
            if prefix == "" and isinstance(other, Mapping) and value.get("kind") != other.get("kind"):
                yield f"{key}={value['kind']}"
                other = {"kind": value["kind"]}
            yield from _different(value, other if isinstance(other, Mapping) else {}, f"{key}.")
        elif value != other and key not in PASSING:
            yield f"{key}={_typed(value)}"


def _typed(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_typed(item) for item in value)}]"
    return value if isinstance(value, str) else json.dumps(value)
