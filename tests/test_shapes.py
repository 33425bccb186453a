"""Every array that a public function takes has a shape that a reader finds: by its name, or in the docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARRAY = re.compile(r"^(?:Floats|Integers|Flags|Texts|NDArray|sp\.csr_array)\b")
OPEN = 84
"""How many functions inside of one room do not say it yet; this number only falls."""


def named() -> set[str]:
    """The names of the glossary's table."""
    table = (ROOT / "docs/glossary.md").read_text("utf-8").partition("## Arrays that go by one name")[2]
    return {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}


def says(text: str, name: str) -> bool:
    """Whether a docstring gives a parameter's shape: "name : (n,) float", or "`name`, (n,) float" in a sentence."""
    listed = re.search(rf"^[\w, ]*\b{name}\b[\w, ]* : .*\(", text, re.M)
    return bool(listed or re.search(rf"`{name}`(?: (?:and|to) `\w+`)?,? \(", text))


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions and methods of public classes, by name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((f"{node.name}.{n.name}", n) for n in node.body if isinstance(n, ast.FunctionDef))


def silent() -> Iterator[tuple[Path, str, str]]:
    """File, function and parameter of every array without a shape."""
    known = named()
    for path in sorted((ROOT / "kpiopt").rglob("*.py")):
        for name, function in public(ast.parse(path.read_text("utf-8"))):
            if name.rpartition(".")[2].startswith("_"):
                continue
            arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
            arrays = [a.arg for a in arguments if a.annotation and ARRAY.match(ast.unparse(a.annotation))]
            text = ast.get_docstring(function) or ""
            yield from ((path, name, a) for a in arrays if a not in known and not says(text, a))


def test_arrays_of_functions_that_other_rooms_use_say_their_shape():
    rooms = {p: p.relative_to(ROOT / "kpiopt").parts[0] for p in (ROOT / "kpiopt").rglob("*.py")}
    imports = {
        (room, alias.name)
        for path, room in rooms.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    across = [
        (str(path.relative_to(ROOT)), name, parameter)
        for path, name, parameter in silent()
        if any(imported == name and room != rooms[path] for room, imported in imports)
    ]
    assert across == []


def test_fewer_and_fewer_functions_are_silent():
    left = {(path, name) for path, name, _ in silent()}
    assert len(left) <= OPEN


def test_a_silent_array_is_noticed():
    assert "stretch" in named() and "values" not in named()
    assert says("Sum.\n\nvalues : (n,) float", "values") and says("Sum `values`, (n,) float.", "values")
    assert not says("Sum values (n,) float.", "values")
