"""Single-point mutants of a file against its tests: how many changes of the code would the tests notice?

    python -m benchmarks.mutation kpiopt/plan/apportionment.py tests/plan/test_split_rule.py --sample 20 --seed 3

A mutant changes one operator, comparison, constant or condition of a function. The tests are imported once and run
once in a fork, which tells how long each takes and which functions of the file it enters. Every mutant then has a
fork of its own, whose functions take the code of the mutant and which runs the tests that enter the changed function,
the quickest first, until one fails. What they do not notice is printed with its line, as it was and as it was changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType

import pytest
from _pytest.runner import runtestprotocol

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
HANGS = 1.0
"""Seconds of CPU, besides three times its usual ones, after which a test that does not end notices a mutant."""
ENOUGH = 3.0
"""Seconds of CPU after which no further test is tried on a mutant that none has noticed."""
OUT_OF_TIME = 75
"""Exit code of a fork that ended for having tried long enough."""


def changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """Yield what could be changed in a node, each as a change of a copy of it."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield lambda n: setattr(n, "op", OPERATORS[type(n.op)]())  # type: ignore[attr-defined]
    elif isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if type(operator) in OPERATORS:
                yield lambda n, i=i: n.ops.__setitem__(i, OPERATORS[type(n.ops[i])]())  # type: ignore[misc]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda n: setattr(n, "op", ast.UAdd())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield lambda n: setattr(n, "value", not n.value)  # type: ignore[attr-defined]
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield lambda n: setattr(n, "value", n.value + 1)  # type: ignore[attr-defined]
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))  # type: ignore[attr-defined]


def shown(tree: ast.AST, place: int) -> str:
    """Say in one line what stands around a node."""
    nodes = list(ast.walk(tree))
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    node = nodes[place]
    for _ in range(2):
        if isinstance(node, ast.expr) and isinstance(parents.get(id(node)), ast.expr | ast.Assign | ast.Return):
            node = parents[id(node)]
    return ast.unparse(node).splitlines()[0]


def mutant(tree: ast.Module, place: int, which: int) -> ast.Module:
    """Return a copy of a module in which one node is changed."""
    mutated = copy.deepcopy(tree)
    node = list(ast.walk(mutated))[place]
    list(changes(node))[which](node)
    return ast.fix_missing_locations(mutated)


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield functions and methods of a module with their qualified names."""
    for thing in vars(module).values():
        for member in [thing, *(vars(thing).values() if isinstance(thing, type) else ())]:
            plain = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
            plain = getattr(plain, "__wrapped__", plain)
            if isinstance(plain, FunctionType) and plain.__module__ == module.__name__:
                yield plain.__qualname__, plain


def codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Yield the code of every function in a module's code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from codes(constant)


def altered(tree: ast.Module, module: ModuleType) -> list[tuple[FunctionType, CodeType]]:
    """Return the functions that a mutant changes, each with its new code."""
    mutated = dict(codes(compile(tree, str(module.__file__), "exec")))
    changed = [(f, mutated[name]) for name, f in functions(module) if name in mutated and mutated[name] != f.__code__]
    return [(f, code) for f, code in changed if code.co_freevars == f.__code__.co_freevars]


def has_passed(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run one test."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


class Mutation:
    """A plugin that runs the collected tests on mutants instead of once.

    Parameters
    ----------
    file : str
        The file that is changed.
    sample : int
        How many mutants are drawn; 0 for all.
    seed : int
        What the draw begins with.
    """

    def __init__(self, file: str, sample: int, seed: int) -> None:
        self.file, self.sample, self.seed = file, sample, seed
        self.module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        self.entered: dict[str, tuple[float, set[str]]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure the file with the tests that were collected."""
        self.entered = self.profile(session.items)
        tree = ast.parse(Path(self.file).read_text("utf-8"))
        places = [(place, i) for place, n in enumerate(ast.walk(tree)) for i, _ in enumerate(changes(n))]
        random.Random(self.seed).shuffle(places)
        noticed, tried = 0, 0
        nodes = list(ast.walk(tree))
        said = (getattr(node, name, None) for node in nodes for name in ("annotation", "returns"))
        idle = {id(node) for annotation in said if annotation for node in ast.walk(annotation)}
        for place, which in places:
            if id(nodes[place]) in idle:
                continue
            if self.sample and tried >= self.sample:
                break
            mutated = mutant(tree, place, which)
            changed = altered(mutated, self.module)
            if not changed:
                continue
            outcome, remark = self.is_noticed(changed, session.items)
            tried, noticed = tried + 1, noticed + outcome
            if not outcome:
                line = getattr(nodes[place], "lineno", 0)
                print(f"{self.file}:{line}: {shown(tree, place)} -> {shown(mutated, place)}{remark}", flush=True)
        print(f"{self.file}: {noticed} of {tried} mutants are noticed, of {len(places)} that there are", flush=True)
        return True

    def profile(self, items: list[pytest.Item]) -> dict[str, tuple[float, set[str]]]:
        """Run the tests without any mutant in a fork: how long each takes, and what it enters of the file."""
        with tempfile.NamedTemporaryFile() as kept:
            child = os.fork()
            if child == 0:
                seen, found = set[str](), {}

                def watch(frame: FrameType, event: str, _: object) -> None:
                    if event == "call" and frame.f_code.co_filename == self.module.__file__:
                        seen.add(frame.f_code.co_qualname)

                for item, following in zip(items, [*items[1:], None], strict=True):
                    seen.clear()
                    begun = time.process_time()
                    sys.setprofile(watch)
                    passed = has_passed(item, following)
                    sys.setprofile(None)
                    found[item.nodeid] = time.process_time() - begun, set(seen)
                    if not passed:
                        print(f"fails without any mutant: {item.nodeid}", flush=True)
                        os._exit(1)
                Path(kept.name).write_bytes(pickle.dumps(found))
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                pytest.exit("the tests fail without any mutant", 1)
            return dict(pickle.loads(Path(kept.name).read_bytes()))

    def is_noticed(self, changed: list[tuple[FunctionType, CodeType]], items: list[pytest.Item]) -> tuple[bool, str]:
        """Run the tests that enter what is changed, in a fork: whether one fails, and a remark."""
        names = {function.__qualname__ for function, _ in changed}
        chosen = [item for item in items if names & self.entered[item.nodeid][1]]
        chosen.sort(key=lambda item: self.entered[item.nodeid][0])
        if not chosen:
            return False, " (no test enters it)"
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            for function, code in changed:
                function.__code__ = code
            for item, following in zip(chosen, [*chosen[1:], None], strict=True):
                signal.setitimer(signal.ITIMER_PROF, HANGS + 3 * self.entered[item.nodeid][0])
                if not has_passed(item, following):
                    os._exit(1)
                if time.process_time() > ENOUGH:
                    os._exit(OUT_OF_TIME)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code not in {0, OUT_OF_TIME}, " (not every test was tried)" if code == OUT_OF_TIME else ""


def main() -> int:
    """Measure one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, default=40, help="how many mutants are drawn (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", default="", help="which tests, as pytest's -k")
    asked = parser.parse_args()
    plugin = Mutation(asked.file, asked.sample, asked.seed)
    return int(pytest.main(["-q", "-s", "-p", "no:cacheprovider", "-k", asked.k, *asked.tests], plugins=[plugin]))


if __name__ == "__main__":
    sys.exit(main())
