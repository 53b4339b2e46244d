"""Holds the one-way order of imports (docs/architecture.md), lazy ones inside functions included.

Base imports nothing heavy, directly or by way of another module; vllm is imported by rlhf/rollout/vllm.py
alone; feedback_ui imports no torch and of rlhf only base, and gradio only in its views.

`python scripts/check_imports.py` prints each import that breaks the order and exits with 1.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rlhf", "stages", "feedback_ui")
# Each part may import its own and those of the lines above it.
ORDER = (
    (
        "rlhf.errors",
        "rlhf.records",
        "rlhf.config",
        "rlhf.runs",
        "rlhf.metrics",
        "rlhf.text",
        "rlhf.crowd",
        "rlhf.listening",
        "rlhf.__init__",
    ),
    ("rlhf.algos",),
    ("rlhf.data",),
    ("rlhf.models",),
    ("rlhf.rollout",),
    ("rlhf.rewards",),
    ("rlhf.training",),
    ("rlhf.evaluation",),
    ("rlhf.demo", "rlhf.online"),
    ("stages",),
    ("rlhf.run", "rlhf.help", "rlhf.command", "rlhf.serve", "rlhf.serving"),
)
HEAVY = frozenset({"torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "gradio"})
# These answer at once: what is heavy waits for a stage.
LIGHT_ENTRIES = ("rlhf.run", "rlhf.serve", "rlhf.runs.__main__")


@dataclass(frozen=True)
class Import:
    """One module imported by another, and where."""

    importer: str
    imported: str
    place: str


def main(root: Path = ROOT) -> int:
    """Print what breaks the order; 1 if anything does."""
    problems = [*broken_rules(list(imports(root))), *heavy_at_start(root)]
    print("\n".join(problems) or "imports: the order holds")
    return 1 if problems else 0


def imports(root: Path) -> Iterator[Import]:
    """Every import of the project's packages, wherever in a file it stands."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            relative = path.relative_to(root)
            importer = ".".join(relative.with_suffix("").parts)
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
            for node in ast.walk(tree):
                for imported in _imported(node, importer, root):
                    line = getattr(node, "lineno", 0)
                    yield Import(importer, imported, f"{relative}:{line}")


def broken_rules(found: list[Import]) -> list[str]:
    """A line for each import that the order forbids."""
    return [f"{item.place}: {item.importer} {reason}" for item in found if (reason := _broken(item))]


def heavy_at_start(root: Path) -> list[str]:
    """What base and the command line pull in when they are imported, third-party packages included."""
    modules = [m for part in ORDER[0] for m in _modules(root, part)]
    modules += [m for m in LIGHT_ENTRIES if (root / (m.replace(".", "/") + ".py")).is_file()]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        f"    for heavy in sorted({sorted(HEAVY)!r}):\n"
        "        if heavy in sys.modules:\n"
        "            sys.exit(f'{name} imports {heavy} as it is itself imported')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    return [result.stderr.strip().splitlines()[-1]] if result.returncode else []


def _broken(item: Import) -> str | None:
    top = item.imported.partition(".")[0]
    if top == "vllm" and item.importer != "rlhf.rollout.vllm":
        return "imports vllm; only rlhf/rollout/vllm.py may"
    if item.importer.startswith("feedback_ui."):
        return _broken_by_the_page(item, top)
    rank = _rank(item.importer)
    if rank is None:
        return "stands nowhere in the order; give it a place in scripts/check_imports.py"
    if top in HEAVY and rank == 0:
        return f"is base and imports {item.imported}"
    if top == "feedback_ui" and not item.importer.startswith(("stages.", "rlhf.online")):
        return f"imports {item.imported}; only stages and rlhf.online may use the feedback store"
    target = _rank(item.imported) if top in PACKAGES and top != "feedback_ui" else None
    if target is not None and target > rank:
        return f"imports {item.imported}, which stands after it"
    return None


def _broken_by_the_page(item: Import, top: str) -> str | None:
    if top == "gradio":
        return None if item.importer.startswith("feedback_ui.views") else "imports gradio; only its views may"
    if top in HEAVY:
        return f"imports {item.imported}; the page works without it"
    if top in ("rlhf", "stages") and _rank(item.imported) != 0:
        return f"imports {item.imported}; of this project it may use base alone"
    return None


def _rank(module: str) -> int | None:
    name = "rlhf.__init__" if module == "rlhf" else module
    for rank, parts in enumerate(ORDER):
        if any(name == part or name.startswith(f"{part}.") for part in parts):
            return rank
    return None


def _imported(node: ast.AST, importer: str, root: Path) -> Iterator[str]:
    """The modules that a node imports: `from rlhf import demo` is `rlhf.demo`, a file, not a name in one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(importer.split(".")[: -node.level]) if node.level else ""
        module = ".".join(part for part in (base, node.module) if part)
        for alias in node.names:
            below = f"{module}.{alias.name}"
            yield below if _modules(root, below) else module
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in ("import_module", "__import__"):
            yield str(node.args[0].value)


def _modules(root: Path, name: str) -> list[str]:
    """The modules at and below a dotted name; none where it names no file of the project."""
    path = root.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return [name.removesuffix(".__init__")]
    if path.is_dir() and any(path.glob("*.py")):
        files = (file.relative_to(root).with_suffix("") for file in path.rglob("*.py"))
        return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)
    return []


if __name__ == "__main__":
    sys.exit(main())
