"""Names of experiments, and the commands that make what they hold."""

import shlex
import unicodedata
from pathlib import Path

from rlhf.errors import ConfigError

_LONGEST = 80


def check_name(name: str) -> str:
    """An experiment's name, fit for a folder: letters (of any script), digits, `.`, `_` and `-`.

    Raises:
        ConfigError: it is not.
    """
    name = unicodedata.normalize("NFC", name)
    fits = all(character.isalnum() or character in "._-" for character in name)
    if fits and 0 < len(name) <= _LONGEST and name[0] not in ".-":
        return name
    raise ConfigError(
        f"name={name!r} cannot name an experiment: use letters (also Chinese), digits, '.', '_' and '-'; "
        f"begin with a letter, a digit or '_', and stay within {_LONGEST} characters, as in name=demo-1"
    )


def command_for(stage: str, name: str, runs_dir: Path) -> str:
    """`python -m rlhf.run stage=sft name=demo`, with `runs_dir=` where it is not the usual one."""
    words = ["python", "-m", "rlhf.run", f"stage={stage}", f"name={name}"]
    if runs_dir != Path("runs"):
        words.append(f"runs_dir={runs_dir}")
    return shlex.join(words)


def verify_command(name: str | None, runs_dir: Path) -> str:
    """`python -m rlhf.runs verify demo`, with `--runs-dir` where it is not the usual one."""
    words = ["python", "-m", "rlhf.runs", "verify", *([name] if name else [])]
    if runs_dir != Path("runs"):
        words += ["--runs-dir", str(runs_dir)]
    return shlex.join(words)
