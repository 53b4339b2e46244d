"""Every configuration that ships is one that the code accepts.

Each option of each group is composed by Hydra with each stage, and each preset too, and validated. A file
under configs/ that no such composition takes in is reported as well.

`python scripts/check_configs.py` prints what is wrong and exits with 1.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.command import groups  # noqa: E402
from rlhf.config import validate  # noqa: E402

# What an option needs beside itself, and the key that the error has to name where it is missing.
NEEDS = {
    "data=feedback": ("data.feedback", "exports/first"),
    "reward=custom": ("reward.path", "rewards.py:score"),
    "reward=safe": ("reward.cost.path", "rm-2"),
}


def main(root: Path = ROOT) -> int:
    """Print what is wrong with the shipped configurations; 1 if anything is."""
    folder = root / "configs"
    options = groups(folder)
    problems = list(unreached(folder, options))
    checked = 0
    with initialize_config_dir(str(folder), version_base=None):
        for overrides in combinations(options):
            problems += problems_of(overrides)
            checked += 1
    print("\n".join(problems) or f"configurations: {checked} combinations are valid")
    return 1 if problems else 0


def combinations(options: dict[str, tuple[str, ...]]) -> Iterator[list[str]]:
    """Each stage with each preset, and with each option of the other groups one at a time."""
    for stage in options["stage"]:
        for group, names in options.items():
            if group != "stage":
                yield from ([f"stage={stage}", f"{group}={name}"] for name in names)


def problems_of(overrides: Sequence[str]) -> Iterator[str]:
    """What is wrong with one composition; an option that needs a key must say so, and work with it."""
    command = " ".join(overrides)
    needed = [NEEDS[word] for word in overrides if word in NEEDS]
    for key, value in needed:
        told = refusal(overrides)
        if told is None or key not in told:
            yield f"{command}: should ask for {key}, says: {told or 'nothing'}"
        overrides = [*overrides, f"++{key}='{value}'"]
    told = refusal(overrides)
    if told:
        yield f"{command}: {told}"


def refusal(overrides: Sequence[str]) -> str | None:
    """Why a composition is refused; None where it is valid."""
    try:
        container = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
        assert isinstance(container, dict)
        validate({str(key): value for key, value in container.items()})
    except Exception as error:  # a ConfigError, one of Hydra's, OmegaConf's, or YAML's
        return str(error).strip().replace("\n", "; ")
    return None


def unreached(folder: Path, options: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Files that no option names: a preset's part belongs to a stage and to a preset of its name."""
    known = {f"{group}/{name}" for group, names in options.items() for name in names} | {"config"}
    known |= {f"preset/{stage}/{name}" for stage in options["stage"] for name in options["preset"]}
    for path in sorted(folder.rglob("*.yaml")):
        if path.parent.name == "accelerate":  # for `accelerate launch`, which reads it itself
            continue
        if path.relative_to(folder).with_suffix("").as_posix() not in known:
            yield f"{path.relative_to(folder.parent)}: no option takes it in"


if __name__ == "__main__":
    sys.exit(main())
