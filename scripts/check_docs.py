"""What the documentation tells people to type works, and where it points is something.

Every fenced command that begins with `python -m rlhf.run` or `python -m rlhf.runs` in README.md,
README.zh-CN.md and docs/ is composed and validated as it stands, then run, made small, in a temporary folder
where the files that it names are laid out. After `<!-- not run: reason -->` on the line before the fence
(a hub id, a GPU) a block's commands are composed and validated alone. A ```text fence holds no commands.
Also: `make` targets exist, local links and their anchors lead somewhere, and keys named in `code` exist.

`python scripts/check_docs.py` prints what is wrong and exits with 1; `--no-run` only composes.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf import run  # noqa: E402
from rlhf.command import explain_composition, groups, parse  # noqa: E402
from rlhf.config import known_keys, validate  # noqa: E402
from rlhf.demo.base_model import base_folder  # noqa: E402
from rlhf.errors import RlhfError  # noqa: E402
from rlhf.help import help_page  # noqa: E402
from rlhf.runs import cli as runs_cli  # noqa: E402

RUN = ("python", "-m", "rlhf.run")
RUNS = ("python", "-m", "rlhf.runs")
SHELLS = ("", "bash", "sh", "shell", "console")
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<ticks>```+|~~~+)\s*(?P<info>\w*)")
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>.*?)\s*-->")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
_KEY = re.compile(r"(?P<key>[a-z_]+(\.[a-z_0-9]+)*)(?P<value>=\S*)?")
_FILE = re.compile(r".*\.(py|json|jsonl|yaml|md|html|txt|csv|parquet|gz|safetensors|toml|lock|jinja)$")

# Appended to a command, so that running it shows that it works and takes seconds.
SMALL = {
    "sft": ["stage.max_steps=2", "stage.eval_every=2", "stage.batch_size=8", "stage.microbatch_size=auto"],
    "rm": ["stage.max_steps=1", "stage.eval_every=1", "stage.batch_size=8", "stage.microbatch_size=auto"],
    "ppo": [
        "stage.total_episodes=8",
        "stage.batch_size=8",
        "stage.minibatch_size=8",
        "stage.epochs=1",
        "stage.response_length=8",
        "stage.eval_prompts=4",
    ],
    "eval": ["stage.num_prompts=8", "stage.response_length=8", "stage.bootstrap=50", "stage.show=2"],
    "sample": ["stage.num_prompts=4", "stage.response_length=8"],
    "study": ["stage.max_steps=1", "stage.best_of=2", "stage.num_prompts=4", "stage.response_length=8"],
}
SMALL["all"] = [
    f"stage.{stage}.{word.removeprefix('stage.')}"
    for stage in ("sft", "rm", "ppo", "eval")
    for word in SMALL[stage]
]
SMALL_DATA = "data.limit=300"


@dataclass(frozen=True)
class Command:
    """A documented command: where it stands, its words, and why it is not run."""

    place: str
    words: tuple[str, ...]
    not_run: str | None = None

    @property
    def text(self) -> str:
        """The command as it would be typed."""
        return shlex.join(self.words)


def main(root: Path = ROOT, *, run_them: bool = True) -> int:
    """Print what is wrong with the documentation; 1 if anything is."""
    pages = [path for path in (root / "README.md", root / "README.zh-CN.md") if path.is_file()]
    pages += sorted((root / "docs").rglob("*.md"))
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    commands = [c for path, text in texts.items() for c in commands_in(text, str(path.relative_to(root)))]
    problems = [p for path, text in texts.items() for p in broken_links(path, text)]
    problems += [p for path, text in texts.items() for p in unknown_keys(text, str(path.relative_to(root)))]
    problems += unknown_targets(commands, (root / "Makefile").read_text(encoding="utf-8"))
    refused = list(refusals([*commands, *_help_examples()]))
    problems += refused
    if run_them and not refused:
        problems += run_all([c for c in commands if c.not_run is None and c.words[:3] in (RUN, RUNS)])
    print("\n".join(problems) or f"documentation: {len(pages)} pages, {len(commands)} commands are right")
    return 1 if problems else 0


def commands_in(text: str, name: str) -> Iterator[Command]:
    """The commands in a page's shell fences that are the project's own."""
    fence: re.Match[str] | None = None
    not_run: str | None = None
    before, carried = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if fence is None and mark:
            fence = mark
            reason = _NOT_RUN.search(before)
            not_run = reason["reason"] if reason else None
        elif fence is not None and mark and mark["ticks"] == fence["ticks"] and not mark["info"]:
            fence, carried = None, ""
        elif fence is not None and fence["info"] in SHELLS:
            carried += line.strip()
            if carried.endswith("\\"):
                carried = carried[:-1]
                continue
            for words in _split(carried):
                yield Command(f"{name}:{number}", words, not_run)
            carried = ""
        before = line if line.strip() else before


def refusals(commands: Iterable[Command]) -> Iterator[str]:
    """Documented `rlhf.run` commands that are refused as they stand."""
    checked: set[tuple[str, ...]] = set()
    with initialize_config_module("configs", version_base=None):
        for command in commands:
            if command.not_run == "":
                yield f"{command.place}: `<!-- not run: -->` gives no reason"
            if command.words[:3] == RUN and command.words not in checked:
                checked.add(command.words)
                for problem in _refused(command.words[3:]):
                    yield f"{command.place}: {command.text}: {problem}"


def run_all(commands: Sequence[Command]) -> list[str]:
    """Run each command once, made small, all in one experiments folder; what failed."""
    problems: list[str] = []
    done: set[tuple[str, ...]] = set()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        first = Command("the embedded demo", (*RUN, "stage=all"))
        for command in [first, *commands] if commands else []:
            if command.words in done:
                continue
            done.add(command.words)
            lay_out(command.words)
            began = time.monotonic()
            code, output = _run(command.words)
            print(f"{time.monotonic() - began:5.1f} s  {command.place}: {command.text}", flush=True)
            if code:
                last = "\n    ".join(output.strip().splitlines()[-8:])
                problems.append(f"{command.place}: {command.text}: exit code {code}\n    {last}")
    return problems


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Links to files that are not there, or to headings that a page has not."""
    for number, line in _prose(text):
        for target in (match["target"] for match in _LINK.finditer(line)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            place = path.parent / file if file else path
            if not place.exists():
                yield f"{path.name}:{number}: there is no {file}"
            elif anchor and place.suffix == ".md" and anchor not in _anchors(place.read_text("utf-8")):
                yield f"{path.name}:{number}: {place.name} has no heading #{anchor}"


def unknown_keys(text: str, name: str) -> Iterator[str]:
    """`code` that reads like a key of ours and is none: `stage.epoch`, `kl.targt=6`."""
    known = set(known_keys()) | set(groups())
    first = {key.partition(".")[0] for key in known}
    for number, line in _prose(text):
        for match in (_KEY.fullmatch(code["code"]) for code in _CODE.finditer(line)):
            if match is None or (not match["value"] and "." not in match["key"]):
                continue
            key = match["key"]
            its_own = key.startswith("reward.parts.") or _FILE.fullmatch(key)
            if key.partition(".")[0] in first and key not in known and not its_own:
                yield f"{name}:{number}: `{match[0]}`: there is no such key"


def unknown_targets(commands: Iterable[Command], makefile: str) -> Iterator[str]:
    """`make X` where the Makefile has no X."""
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    parts = re.search(r"^PARTS := (.*)$", makefile, re.MULTILINE)
    targets |= {f"acceptance-{part}" for part in (parts[1].split() if parts else ())}
    for command in commands:
        if command.words[0] == "make":
            for word in command.words[1:]:
                if re.fullmatch(r"[a-z][\w-]*", word) and word not in targets:
                    yield f"{command.place}: {command.text}: the Makefile has no target {word}"


def lay_out(words: Sequence[str]) -> None:
    """Make the files that a command names, where it is run: a few rows, a reward function, a model."""
    for key, _, value in (word.partition("=") for word in words):
        file, _, function = value.rpartition(":")
        path = Path(value if key != "reward.path" else file)
        if path.exists() or path.is_absolute() or ".." in path.parts:
            continue
        if key == "reward.path" and path.suffix == ".py":
            path.parent.mkdir(parents=True, exist_ok=True)
            takes, gives = "prompt, response, **row", "float(len(response))"
            if "reward.batched=true" in words:
                takes, gives = "prompts, responses, rows", "[float(len(text)) for text in responses]"
            path.write_text(f"def {function}({takes}):\n    return {gives}\n")
        elif key.startswith("data.") and path.suffix in (".jsonl", ".txt"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_rows(key.removeprefix("data."), path.suffix), encoding="utf-8")
        elif key == "reward.json_schema":
            path.write_text('{"type": "object", "required": ["name"]}\n', encoding="utf-8")
        elif key == "model.path" and value.startswith("./"):
            _save_model(path)


def _rows(dataset: str, suffix: str) -> str:
    numbers = range(300)
    if suffix == ".txt":
        return "\n<|endoftext|>\n".join(f"Story {n}: a fox counted to {n * 7}." for n in numbers)
    rows = {
        "demonstrations": lambda n: {"prompt": f"Count to {n}.", "completion": f"{n} it is."},
        "preferences": lambda n: {"prompt": f"Count to {n}.", "chosen": f"{n} it is.", "rejected": f"No {n}"},
        "prompts": lambda n: {"prompt": f"Count to {n}.", "reference": n},
    }
    return "".join(json.dumps(rows[dataset](n)) + "\n" for n in numbers)


def _save_model(path: Path) -> None:
    shutil.copytree(base_folder(), path)


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """The project's commands in a line of shell: without prompt, comment, environment, and what follows."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        return
    part: list[str] = []
    for word in [*words, ";"]:
        if word in ("&&", "||", "|", ";", "&", ">"):
            while part and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", part[0]):
                part = part[1:]
            if tuple(part[:3]) in (RUN, RUNS) or part[:1] == ["make"]:
                yield tuple(part)
            part = []
        else:
            part.append(word)


def _refused(words: Sequence[str]) -> list[str]:
    """Why a command is refused, composed for the first value of each key that it sweeps."""
    if not words or set(words) & {"-h", "--help", "--version"}:
        return []
    try:
        command = parse(_first_of_sweeps(words))
        overrides = [word for word in command.words if not word.startswith("-") and "=" in word]
        container = OmegaConf.to_container(compose("config", overrides), resolve=True)
        assert isinstance(container, dict)
        validate({str(key): value for key, value in container.items()})
    except RlhfError as error:
        return [str(error)]
    except (HydraException, OmegaConfBaseException) as error:
        return [explain_composition(error)]
    return []


def _first_of_sweeps(words: Sequence[str]) -> list[str]:
    """Without `-m`, and with the first of each list of values."""
    if not {"-m", "--multirun"} & set(words):
        return list(words)
    kept = [word for word in words if word not in ("-m", "--multirun")]
    return [re.sub(r"^([\w.]+=[^,\[{'\"]*),.*$", r"\1", word) for word in kept]


def _run(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of a command, in this process: torch is loaded once for all."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            if tuple(words[:3]) == RUNS:
                return runs_cli.main(list(words[3:])), output.getvalue()
            return run.main(_small(words[3:])), output.getvalue()
        except SystemExit as error:
            return int(error.code or 0), output.getvalue()
        except Exception:
            return 1, output.getvalue() + traceback.format_exc()


def _small(words: Sequence[str]) -> list[str]:
    words = _first_of_sweeps(words)
    stage = next((word.partition("=")[2] for word in words if word.startswith("stage=")), None)
    if stage not in SMALL or {"--cfg", "-c", "--info"} & set(words):
        return words
    return [*words, "preset=smoke", SMALL_DATA, *SMALL[stage]]


def _help_examples() -> list[Command]:
    lines = (line.strip() for line in help_page().splitlines())
    examples = [line.partition("     ")[0] for line in lines if line.startswith("python -m ")]
    return [Command("the help page", words) for line in examples[1:] for words in _split(line)]


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines outside of fences."""
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if mark and fence in (None, mark["ticks"]):
            fence = None if fence else mark["ticks"]
        elif fence is None:
            yield number, line


def _anchors(text: str) -> set[str]:
    """Headings as links name them: lower case, spaces as hyphens, punctuation gone."""
    headings = (line.lstrip("#").strip() for _, line in _prose(text) if re.match(r"#{1,6} ", line))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("COLUMNS", "100")
    sys.exit(main(run_them="--no-run" not in sys.argv[1:]))
