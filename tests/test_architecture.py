"""The house holds: rooms import only from rooms before them, and what belongs to one room stays there."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

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


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module a file imports, also inside functions and for type checking."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_file_stands_in_a_known_room():
    assert {room_of(path) for path in FILES} <= {*ROOMS, *DOORS}


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) not in DOORS], ids=ids)
def test_a_file_imports_only_from_rooms_before_its_own(path):
    allowed = ROOMS[: ROOMS.index(room_of(path)) + 1]
    ours = [name.split(".") for name in imported(parse(path)) if name.startswith("kpiopt.")]
    later = [".".join(parts) for parts in ours if parts[1] in ROOMS and parts[1] not in allowed]
    assert later == []


INNER = {"program": ["trust", "formulation", "solver", "order"]}
"""The order of a room's inner rooms, where one is held."""


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in INNER], ids=ids)
def test_inner_rooms_have_an_order_too(path):
    room, *rest = path.relative_to(PACKAGE).parts
    if len(rest) == 1:
        return
    order = INNER[room]
    allowed = order[: order.index(rest[0]) + 1]
    ours = [name.split(".") for name in imported(parse(path)) if name.startswith(f"kpiopt.{room}.")]
    assert [".".join(parts) for parts in ours if parts[2] in order and parts[2] not in allowed] == []


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_circle_of_files():
    modules = {module_of(path): path for path in FILES}
    graph = nx.DiGraph()
    for name, path in modules.items():
        for full in imported(parse(path)):
            found = full if full in modules else full.rpartition(".")[0]
            if found in modules and found != name and not name.startswith(f"{found}."):
                graph.add_edge(name, found)
    assert list(nx.simple_cycles(graph)) == []


def test_no_listing_is_longer_than_twenty():
    listings = Counter(path.parent for path in FILES)
    assert {str(folder): count for folder, count in listings.items() if count > MAX_LISTING} == {}


@pytest.mark.parametrize("path", [p for p in FILES if ids(p) != "program/solver/highs.py"], ids=ids)
def test_only_the_solver_file_imports_highspy(path):
    assert [name for name in imported(parse(path)) if name.split(".")[0] == "highspy"] == []


@pytest.mark.parametrize("path", [p for p in FILES if ids(p) == "program/trust/certificate.py"], ids=ids)
def test_the_certificate_shares_nothing_with_builder_or_solver(path):
    tree = parse(path)
    ours = {
        name.removeprefix("kpiopt.program.").rsplit(".", 1)[0]
        for name in imported(tree)
        if name.startswith("kpiopt.program.")
    }
    assert ours <= {"trust.exact", "trust.arrays", "trust.tolerances"}


MAY_EXIT = {
    "__main__.py": {"os._exit"},  # before the command line is imported
    "workers/process_pool.py": {"os._exit"},  # a worker whose parent has died
}


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) != "cli"], ids=ids)
def test_only_the_command_line_prints_or_exits(path):
    calls = {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
    calls -= MAY_EXIT.get(ids(path), set())
    assert calls & {"print", "sys.exit", "exit", "quit", "os._exit", "sys.stdout.write", "sys.stderr.write"} == set()


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_and_functions_stay_readable(path):
    tree = parse(path)
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
    long = [f.name for f in functions(tree) if _body_lines(f) > MAX_BODY]
    assert long == []


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_nothing_is_left_for_later(path):
    tree = parse(path)
    raised = [ast.unparse(n.exc) for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc is not None]
    assert [text for text in raised if text.startswith("NotImplementedError")] == []
    assert [
        word for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK") if word in path.read_text("utf-8")
    ] == []


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_public_names_are_documented(path):
    tree = parse(path)
    assert ast.get_docstring(tree)
    top = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
    assert [n.name for n in top if not ast.get_docstring(n)] == []
