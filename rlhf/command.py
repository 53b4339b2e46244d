"""The words of a command line, made into what Hydra reads, and its errors made short.

Hydra's own grammar knows no Chinese, no second `=` and no parenthesis in a plain value, and takes `name=007`
for a number: values of text keys are quoted here, so that what is typed is what arrives.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from rlhf.config import Config
from rlhf.errors import ConfigError

Mode = Literal["run", "sweep", "show", "hydra"]

_SWEEP = frozenset({"-m", "--multirun"})
_SHOW = frozenset({"-c", "--cfg"})
_HYDRA = frozenset(
    {"-i", "--info", "--resolve", "-p", "--package", "--hydra-help", "-sc", "--shell-completion"}
)
_WITH_VALUE = frozenset({"-c", "--cfg", "-p", "--package", "-cd", "--config-dir"})
_INFO = frozenset({"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"})
_SWEEP_FUNCTIONS = re.compile(r"(choice|range|glob|interval)\(.*\)")
_LAUNCHER = re.compile(r"\+{0,2}hydra(/launcher=|\.launcher\.)")
_KEY = re.compile(r"[\w.-]+")
_LONGEST_NAME = 80
_LONGEST_PART = 24


@dataclass(frozen=True)
class Command:
    """What a command line asks for."""

    mode: Mode
    """Run one job, sweep over several, show the configuration, or leave all to Hydra (`--info`)."""
    words: tuple[str, ...]
    """For Hydra: flags as they are, options as overrides."""
    swept: tuple[str, ...] = ()
    """Keys that the sweep varies, as typed."""
    launcher: tuple[str, ...] = ()
    """Of a sweep: who starts its jobs, in Hydra's words; none: they run here, one after the other."""


def parse(words: Sequence[str]) -> Command:
    """The command that these words make.

    Raises:
        ConfigError: a word is no flag and no `key=value`, or its value cannot be read.
    """
    if {"-sc", "--shell-completion"} & set(words):
        return Command("hydra", tuple(words))
    flags, options = _split(words)
    names = {flag.partition("=")[0] for flag in flags}
    sweeping = bool(names & _SWEEP)
    if sweeping and names & (_SHOW | _HYDRA):
        raise ConfigError("-m runs jobs, the other flag shows something: give one of them")
    launcher = tuple(word for word in options if sweeping and _LAUNCHER.match(word))
    if launcher and not any(word.startswith("hydra/launcher=") for word in launcher):
        raise ConfigError(f"{launcher[0]}: no launcher is named; add hydra/launcher=submitit_slurm")
    overrides = [_override(word, sweeping) for word in options if word not in launcher]
    texts = tuple(override.input_line or "" for override in overrides)
    if "job" in (flag.rpartition("=")[2] for flag in flags) and not names & _HYDRA:
        return Command("show", (*(flag for flag in flags if flag not in _SHOW | {"job"}), *texts))
    if names & (_SHOW | _HYDRA):
        return Command("hydra", (*flags, *texts))
    swept = [_typed(override) for override in overrides if override.is_sweep_override()]
    keys = tuple(dict.fromkeys(swept))
    return Command("sweep" if sweeping else "run", (*flags, *texts), keys, launcher)


def groups(folder: Traversable | None = None) -> dict[str, tuple[str, ...]]:
    """The configuration groups and their options: `model` has `embedded` (the default first), and others."""
    folder = folder or resources.files("configs")
    root = OmegaConf.create(folder.joinpath("config.yaml").read_text(encoding="utf-8"))
    found: dict[str, tuple[str, ...]] = {}
    for entry in (entry for entry in root.defaults if isinstance(entry, DictConfig)):
        for group, default in ((str(key), value) for key, value in entry.items()):
            if not group.startswith("override "):
                names = (file.name for file in folder.joinpath(group).iterdir())
                options = (name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))
                found[group] = tuple(sorted(options, key=lambda option: (option != default, option)))
    return found


def sweep_name(base: str, swept: Sequence[str], overrides: Sequence[str]) -> str:
    """The experiment of one job of a sweep, named by what the sweep varies: `demo-seed-1`."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = {_typed(override): override.value() for override in parsed}
    parts = [f"{key.rpartition('.')[2]}-{_slug(values[key])}" for key in swept if key != "name"]
    name = "-".join([base, *parts])
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 9]}-{_digest(name, 8)}"


def explain_composition(error: Exception) -> str:
    """What Hydra or OmegaConf says, in our words where it is about a group's option."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.partition("/")
        options = list(error.options or ())
        near = difflib.get_close_matches(option, options, n=1)
        guess = f"; did you mean {group}={near[0]}?" if near else ""
        text = f"{group}={option}: there is no such option; there are {', '.join(options)}{guess}"
        return text + _OWN_THINGS.get(group, "")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    noise = ("provider=", "Config search path", "See https://", "object_type=")
    return "\n".join(line for line in lines if not line.startswith(noise))


_OWN_THINGS = {
    "model": "\na model of yours goes into model.path=FOLDER (or a hub id)",
    "data": "\ndata of yours goes into data.demonstrations=, data.preferences=, data.prompts=",
    "reward": "\na reward of yours is reward=custom reward.path=file.py:function",
}


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags with their values, and the words that are options."""
    flags: list[str] = []
    options: list[str] = []
    for word in words:
        previous = flags[-1] if flags else ""
        if previous in _WITH_VALUE or (previous in ("-i", "--info") and word in _INFO):
            flags.append(word)
        elif not word.startswith("-"):
            options.append(word)
        elif word.partition("=")[0] in _SWEEP | _SHOW | _HYDRA | _WITH_VALUE:
            flags.append(word)
        else:
            raise ConfigError(_unknown_flag(word))
    if flags and flags[-1] in _WITH_VALUE:
        raise ConfigError(f"{flags[-1]} needs a value, as in --cfg job")
    return flags, options


def _unknown_flag(word: str) -> str:
    key = word.lstrip("-").partition("=")[0].replace("-", "_")
    example = f"{key}=..." if key.isidentifier() else "seed=1"
    return (
        f"{word}: there is no such flag; options are written key=value without dashes, as in {example}\n"
        "flags are -m (a sweep), --cfg job (show the configuration), --help and --version"
    )


def _override(word: str, sweeping: bool) -> Override:
    key, equals, value = word.partition("=")
    bare = key.lstrip("+~")
    if not bare or not (equals or key.startswith("~")):
        raise ConfigError(f"{word}: an option is written key=value; `python -m rlhf.run --help` lists them")
    if re.match(r"hydra\b", bare):
        raise ConfigError(
            f"{word}: Hydra's own settings are fixed here; runs_dir=... says where runs go, and a sweep (-m) "
            "takes hydra/launcher=... and hydra.launcher.KEY=..."
        )
    if equals and not value:
        raise ConfigError(f"{word} has no value; leave it out for the default; null stands for none")
    if equals and not value.startswith("${") and bare in _text_keys():
        value = _text(value, sweeping)
    if _KEY.fullmatch(key) and key not in groups():
        # `++`: a key may be new, so that every unknown one is reported together, by `validate`
        key = f"++{key}"
    override = _read(f"{key}={value}" if equals else key)
    if override is None and value[:1] not in ("'", '"', "[", "{"):
        override = _read(f"{key}={_whole(value, sweeping)}")
    if override is None:
        raise ConfigError(f"{word}: cannot be read: a quote or bracket is not closed, or the key is no name")
    if override.is_sweep_override() and not sweeping:
        raise ConfigError(
            f"{word}: several values make a sweep; add -m to run them one after the other, "
            f"or quote the value to keep it whole"
        )
    return override


def _text(value: str, sweeping: bool) -> str:
    """The value of a text key: as typed, unless it is null, quoted by hand, or swept; `~/` is home."""
    if value.lower() == "null" or value[0] in "'\"":
        return value
    if sweeping and _SWEEP_FUNCTIONS.fullmatch(value):
        return value
    return _whole(value, sweeping)


def _whole(value: str, sweeping: bool) -> str:
    """Quoted; in a sweep, each of the values that commas part."""
    parts = value.split(",") if sweeping else [value]
    return ",".join(part if sweeping and part.lower() == "null" else _quoted(part) for part in parts)


def _quoted(value: str) -> str:
    path = os.path.expanduser(value) if value.startswith("~/") else value  # a shell leaves key=~/x as it is
    return QuotedString(path, Quote.single).with_quotes()


def _read(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def _typed(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def _slug(value: Any) -> str:
    text = str(getattr(value, "text", value))
    if value is None or isinstance(value, bool):
        text = "null" if value is None else text.lower()
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in text)
    same = plain == text and len(text) <= _LONGEST_PART
    return plain if same else f"{plain[-_LONGEST_PART:].strip('-.')}-{_digest(text, 6)}"


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _text_keys() -> frozenset[str]:
    return frozenset(_find_text_keys(Config, ""))


def _find_text_keys(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if field.annotation is str or set(get_args(field.annotation)) == {str, type(None)}:
            yield prefix + name
        for part in _parts(field.annotation):
            yield from _find_text_keys(part, f"{prefix}{name}.")


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not dict:  # its keys are a person's own
        for part in get_args(annotation):
            yield from _parts(part)
