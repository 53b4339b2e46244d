"""A user's function: found by `package.module:function` or `file.py:function`, and what it asks for."""

import difflib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rlhf.errors import ConfigError


def load_function(path: str) -> Callable[..., Any]:
    """The function that `package.module:function` or `file.py:function` names.

    Raises:
        ConfigError: the file or module is missing or cannot be imported, or has no such function.
    """
    place, _, name = path.rpartition(":")
    file = source_file(path)
    try:
        module = _import_file(path, file) if file else importlib.import_module(place)
    except ConfigError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise ConfigError(
                f"reward.path={path}: there is no module {place} here; a file reads folder/file.py:{name}"
            ) from None
        raise ConfigError(f"reward.path={path}: cannot be imported: {where(error)}") from error
    except Exception as error:
        raise ConfigError(f"reward.path={path}: cannot be imported: {where(error)}") from error
    function = getattr(module, name, None)
    if function is None:
        there = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        near = difflib.get_close_matches(name, there, n=1) or there[:3]
        raise ConfigError(
            f"reward.path={path}: {place} has no function {name}"
            + (f"; it has {', '.join(near)}" if near else "")
        )
    if not callable(function):
        raise ConfigError(f"reward.path={path}: {name} is a {type(function).__name__}, not a function")
    return function


def source_file(path: str) -> Path | None:
    """The file of `file.py:function`; None where a module is named."""
    place = path.rpartition(":")[0]
    return Path(place).expanduser() if place.endswith(".py") else None


def _import_file(path: str, file: Path) -> ModuleType:
    """The file as a module; what lies beside it can be imported, as when it is run as a script."""
    if not file.is_file():
        raise ConfigError(f"reward.path={path}: there is no file {file} (looked in {Path.cwd()})")
    whole = file.resolve()
    spec = importlib.util.spec_from_file_location(f"rlhf_reward_{whole.stem}", whole)
    assert spec is not None
    assert spec.loader is not None
    if str(whole.parent) not in sys.path:
        sys.path.append(str(whole.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def asked_for(path: str, function: Callable[..., Any]) -> tuple[set[str] | None, set[str]]:
    """Names of the row's fields that the function takes (None: all), and those it cannot do without.

    Raises:
        ConfigError: it does not take the prompt and the response.
    """
    by_position, parameters = _parameters(function)
    if parameters is None:
        return set(), set()
    if len(by_position) < 2 and not _takes_any(parameters):
        raise ConfigError(
            f"reward.path={path}: the function must take the prompt and the response as its first two "
            f"arguments, as in def {_name(function)}(prompt, response, **row)"
        )
    named = [*by_position[2:], *(p for p in parameters if p.kind is p.KEYWORD_ONLY)]
    needed = {p.name for p in named if p.default is p.empty}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None, needed
    return {p.name for p in named}, needed


def check_batched(path: str, function: Callable[..., Any]) -> None:
    """Stops where a function does not take prompts, responses and rows.

    Raises:
        ConfigError: it takes fewer arguments, or needs more.
    """
    by_position, parameters = _parameters(function)
    if parameters is None:
        return
    needed = [p for p in by_position if p.default is p.empty]
    needed += [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if (len(by_position) < 3 and not _takes_any(parameters)) or len(needed) > 3:
        raise ConfigError(
            f"reward.path={path}: with reward.batched=true the function takes three lists, as in "
            f"def {_name(function)}(prompts, responses, rows)"
        )


def _parameters(
    function: Callable[..., Any],
) -> tuple[list[inspect.Parameter], list[inspect.Parameter] | None]:
    """Those that can be given by position, and all; None where a builtin has no signature."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [], None
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)], parameters


def _takes_any(parameters: list[inspect.Parameter]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "score")


def where(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """`ValueError: text (my_reward.py, line 7)`: the last line in the user's own file, else of all."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename or '').name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in frames if frame.filename == own] or [
        frame for frame in frames if not frame.filename.startswith("<frozen")
    ]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said
