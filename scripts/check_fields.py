"""A knob that no code reads is a lie: every field of the configuration is read somewhere outside rlhf/config.

What a name holds is followed through annotations, assignments, returns and `isinstance`, by function:
`cfg.stage.epochs` counts for the stages, `stage.epochs` for what `stage` is there, `row.epochs` for nothing.

`python scripts/check_fields.py` prints the fields that nothing reads and exits with 1.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.config import Config, guards, loop, objective, schema, sources, stages, world  # noqa: E402

Section = type[BaseModel]
Types = frozenset[Section]
NOTHING: Types = frozenset()
TAG = "kind"  # pydantic reads it


def main(root: Path = ROOT) -> int:
    """Print the fields that nothing reads; 1 if there are any."""
    files = [path for folder in ("rlhf", "stages") for path in sorted((root / folder).rglob("*.py"))]
    outside = [path for path in files if not path.is_relative_to(root / "rlhf" / "config")]
    unread = unread_fields({str(p.relative_to(root)): p.read_text(encoding="utf-8") for p in outside})
    print("\n".join(f"{field}: no code reads it" for field in unread) or "fields: each is read")
    return 1 if unread else 0


def unread_fields(code: Mapping[str, str]) -> list[str]:
    """`PpoStage.gamma` for each field that these files (name: text) never read."""
    trees = [ast.parse(text, filename=name) for name, text in code.items()]
    world = _World(trees)
    read: set[tuple[Section, str]] = set()
    for tree in trees:
        read |= set(_Scope(world, tree, {}).reads())
    return [
        f"{section.__name__}.{name}"
        for section in _sections_below(Config)
        for name in section.model_fields
        if name != TAG and not any((parent, name) in read for parent in section.__mro__)
    ]


class _World:
    """What is known across files: names of sections, what functions return, what attributes hold."""

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        modules = (guards, loop, objective, schema, sources, stages, world)
        named = {name: value for module in modules for name, value in vars(module).items()}
        self.sections = {name: frozenset(_sections_in(value)) for name, value in named.items()}
        self.returns: dict[str, Types] = {}
        self.attributes: dict[str, Types] = {}
        for node in (node for tree in trees for node in ast.walk(tree)):
            if isinstance(node, ast.FunctionDef) and node.returns:
                self._add(self.returns, node.name, self.annotated(node.returns))
            elif isinstance(node, ast.ClassDef):
                for entry in node.body:
                    if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
                        self._add(self.attributes, entry.target.id, self.annotated(entry.annotation))

    def annotated(self, annotation: ast.expr | None) -> Types:
        """The sections that an annotation names, as `PpoStage`, `"PpoStage"` or `objective.Reward`."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval").body
        if isinstance(annotation, ast.Name):
            return self.sections.get(annotation.id, NOTHING)
        if isinstance(annotation, ast.Attribute):
            return self.sections.get(annotation.attr, NOTHING)
        if isinstance(annotation, ast.BinOp):
            return self.annotated(annotation.left) | self.annotated(annotation.right)
        if isinstance(annotation, ast.Subscript):
            return self.annotated(annotation.slice)
        if isinstance(annotation, ast.Tuple):
            return frozenset().union(*(self.annotated(part) for part in annotation.elts))
        return NOTHING

    @staticmethod
    def _add(where: dict[str, Types], name: str, types: Types) -> None:
        if types:
            where[name] = where.get(name, NOTHING) | types


class _Scope:
    """A module or function: what its names hold, and the fields that it reads."""

    def __init__(self, world: _World, node: ast.AST, outer: Mapping[str, Types]) -> None:
        self._world, self._node = world, node
        self._names = dict(outer)
        self._narrowed: dict[str, Types] = {}
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                self._names[argument.arg] = world.annotated(argument.annotation)
        for _ in range(2):  # a name may be assigned from one that is assigned further down
            for inner in self._own():
                self._learn(inner)

    def reads(self) -> Iterator[tuple[Section, str]]:
        """Section and field of every read, here and in the functions inside."""
        for node in self._own():
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from ((section, node.attr) for section in self.types(node.value))
            elif isinstance(node, ast.Call) and _is_getattr(node):
                for section in self.types(node.args[0]):  # which one is decided at run time: any
                    yield from ((section, name) for name in section.model_fields)
            elif isinstance(node, ast.FunctionDef | ast.Lambda):
                yield from _Scope(self._world, node, self._names).reads()

    def types(self, node: ast.expr) -> Types:
        """The sections that an expression may be."""
        narrowed = self._narrowed.get(ast.unparse(node))
        if narrowed:
            return narrowed
        if isinstance(node, ast.Name):
            return self._names.get(node.id, NOTHING)
        if isinstance(node, ast.Attribute):
            owners = self.types(node.value)
            if owners:
                return frozenset().union(*(_field_types(owner, node.attr) for owner in owners))
            return self._world.attributes.get(node.attr, NOTHING)
        if isinstance(node, ast.Call):
            return self._returned(node)
        if isinstance(node, ast.IfExp):
            return self.types(node.body) | self.types(node.orelse)
        if isinstance(node, ast.BoolOp):
            return frozenset().union(*(self.types(value) for value in node.values))
        return NOTHING

    def _returned(self, node: ast.Call) -> Types:
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in ("model_copy", "values", "items"):
                return self.types(function.value)
            return self._world.returns.get(function.attr, NOTHING)
        return self._world.returns.get(function.id, NOTHING) if isinstance(function, ast.Name) else NOTHING

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self._names[node.target.id] = self._world.annotated(node.annotation)
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            last = node.target.elts[-1] if isinstance(node.target, ast.Tuple) else node.target
            self._assign(last, node.iter)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            kinds = self._world.annotated(node.args[1])
            if kinds:
                text = ast.unparse(node.args[0])
                self._narrowed[text] = self._narrowed.get(text, NOTHING) | kinds

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._assign(one, its)
        elif isinstance(target, ast.Name) and (types := self.types(value)):
            self._names[target.id] = types
        elif isinstance(target, ast.Attribute) and (types := self.types(value)):
            known = self._world.attributes.get(target.attr, NOTHING)
            self._world.attributes[target.attr] = known | types

    def _own(self) -> Iterator[ast.AST]:
        """The nodes of this scope, inner functions named but not entered."""
        waiting = list(ast.iter_child_nodes(self._node))
        while waiting:
            node = waiting.pop(0)
            yield node
            if not isinstance(node, ast.FunctionDef | ast.Lambda):
                waiting = [*ast.iter_child_nodes(node), *waiting]


def _is_getattr(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1


def _field_types(section: Section, name: str) -> Types:
    field = section.model_fields.get(name)
    return frozenset(_sections_in(field.annotation)) if field else NOTHING


def _sections_below(section: Section) -> list[Section]:
    """A section and all that its fields may hold, each once."""
    found: dict[Section, None] = {section: None}
    for field in section.model_fields.values():
        for inner in _sections_in(field.annotation):
            found |= dict.fromkeys(_sections_below(inner))
    return list(found)


def _sections_in(annotation: Any) -> Iterator[Section]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


if __name__ == "__main__":
    sys.exit(main())
