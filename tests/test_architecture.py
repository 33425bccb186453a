"""The house holds: rooms import only from rooms before them, and what belongs to one room stays there."""

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import networkx as nx

PACKAGE = Path(__file__).parents[1] / "kpiopt"
ROOMS = [
    "errors",
    "deadline",
    "reading",
    "scenario",
    "graph",
    "program",
    "plan",
    "simulation",
    "workers",
    "run",
    "runs",
    "studies",
    "learning",
]
ROOMS += ["report", "cli"]
FILES = sorted(PACKAGE.rglob("*.py"))
DOORS = {"__init__", "__main__", "api"}  # the package's own doors stand outside of all rooms
MAX_LINES = 450
MAX_BODY = 50
MAX_LISTING = 20


class Source(NamedTuple):
    """What is asked of a file; every file is read once for all questions."""

    text: str
    imported: tuple[str, ...]
    called: frozenset[str]
    raised: frozenset[str]
    long: tuple[str, ...]
    undocumented: tuple[str, ...]


@cache
def read(path: Path) -> Source:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    raised = (n.exc.func if isinstance(n.exc, ast.Call) else n.exc for n in nodes if isinstance(n, ast.Raise))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    top = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
    undocumented = [n.name for n in top if not ast.get_docstring(n)]
    return Source(
        text,
        tuple(imported(nodes)),
        frozenset(dotted(node.func) for node in nodes if isinstance(node, ast.Call)),
        frozenset(dotted(node) for node in raised if node is not None),
        tuple(f.name for f in functions if _body_lines(f) > MAX_BODY),
        tuple(undocumented if ast.get_docstring(tree) else ["the file", *undocumented]),
    )


def dotted(node: ast.expr) -> str:
    """Return a name with its dots; "" before them where what stands there is no name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    """Every module a file imports, also inside functions and for type checking."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "import_module":
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else "kpiopt.*"


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def found(look: Callable[[Path], Collection[str]], paths: list[Path]) -> dict[str, Collection[str]]:
    """Return what a look at each file finds there, without the files where it finds nothing."""
    assert paths
    return {ids(path): wrong for path in paths if (wrong := look(path))}


BACKWARDS = {
    "run/frames.py": {"kpiopt.report.notebook"},
    "scenario/scenario.py": {"kpiopt.report.notebook"},
}
"""Imports of later rooms: objects that a notebook shows ask the report how they look, where one is shown."""


def test_every_file_stands_in_a_known_room():
    assert {room_of(path) for path in FILES} <= {*ROOMS, *DOORS}


def test_a_file_imports_only_from_rooms_before_its_own():
    def later(path):
        allowed = ROOMS[: ROOMS.index(room_of(path)) + 1]
        ours = {name for name in read(path).imported if name.startswith("kpiopt.")}
        return {name for name in ours if name.split(".")[1] in {*ROOMS, "*"} - set(allowed)}

    assert found(later, [p for p in FILES if room_of(p) not in DOORS]) == BACKWARDS
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    assert all(f"`{path}`" in page for path in BACKWARDS)


def test_python_does_not_go_through_the_command_line():
    assert not any(name.startswith("kpiopt.cli") for name in read(PACKAGE / "api.py").imported)


INNER = {"program": ["trust", "formulation", "solver", "order"]}
"""The order of a room's inner rooms, where one is held."""


def test_inner_rooms_have_an_order_too():
    def later(path):
        room, inner, *_ = path.relative_to(PACKAGE).parts
        order = INNER[room]
        allowed = order[: order.index(inner) + 1]
        ours = [name.split(".") for name in read(path).imported if name.startswith(f"kpiopt.{room}.")]
        return [".".join(parts) for parts in ours if parts[2] in order and parts[2] not in allowed]

    assert found(later, [p for p in FILES if room_of(p) in INNER and p.parent.name not in INNER]) == {}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_circle_of_files():
    modules = {module_of(path): path for path in FILES}
    graph = nx.DiGraph()
    for name, path in modules.items():
        for full in set(read(path).imported) - BACKWARDS.get(ids(path), set()):
            found = full if full in modules else full.rpartition(".")[0]
            if found in modules and found != name and not name.startswith(f"{found}."):
                graph.add_edge(name, found)
    assert list(nx.simple_cycles(graph)) == []


def test_no_listing_is_longer_than_twenty():
    listings = Counter(path.parent for path in FILES)
    assert {str(folder): count for folder, count in listings.items() if count > MAX_LISTING} == {}


def test_only_the_solver_file_imports_highspy():
    def highspy(path):
        return [name for name in read(path).imported if name.split(".")[0] == "highspy"]

    assert set(found(highspy, FILES)) == {"program/solver/highs.py"}


def test_the_certificate_shares_nothing_with_builder_or_solver():
    path = PACKAGE / "program" / "trust" / "certificate.py"
    ours = {
        name.removeprefix("kpiopt.program.").rsplit(".", 1)[0]
        for name in read(path).imported
        if name.startswith("kpiopt.program.")
    }
    assert ours <= {"trust.exact", "trust.arrays", "trust.tolerances"}


MAY_EXIT = {
    "__main__.py": {"os._exit"},  # before the command line is imported
    "workers/process_pool.py": {"os._exit"},  # a worker whose parent has died
}


WAYS_OUT = {"print", "sys.exit", "exit", "quit", "os._exit", "sys.stdout.write", "sys.stderr.write"}


def test_only_the_command_line_prints_or_exits():
    others = [path for path in FILES if room_of(path) != "cli"]
    assert found(lambda path: read(path).called & WAYS_OUT, others) == MAY_EXIT


def test_files_and_functions_stay_readable():
    assert {ids(path): n for path in FILES if (n := len(read(path).text.splitlines())) > MAX_LINES} == {}
    assert found(lambda path: read(path).long, FILES) == {}


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_nothing_is_left_for_later():
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
    assert found(lambda path: [word for word in words if word in read(path).text], FILES) == {}
    assert found(lambda path: read(path).raised & {"NotImplementedError"}, FILES) == {}


def test_public_names_are_documented():
    assert found(lambda path: read(path).undocumented, FILES) == {}
