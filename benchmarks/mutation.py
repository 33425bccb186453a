"""Single-point mutants of a file against its tests: how many changes of the code would the tests notice?

    python -m benchmarks.mutation kpiopt/program/trust/certificate.py tests/program/trust/test_certificate.py

A mutant changes one operator, comparison, constant or condition. The tests run once in this process, then in a fork for
every mutant, whose functions take the code of the mutant. What the tests do not notice is printed with its line.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SLOWEST = 120
"""Seconds after which a mutant that does not come to an end counts as noticed."""


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


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield every mutant of what stands in functions: its line, what it was, and the changed module."""
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            mutated = copy.deepcopy(tree)
            change(list(ast.walk(mutated))[place])
            yield getattr(node, "lineno", 0), ast.unparse(node).splitlines()[0], ast.fix_missing_locations(mutated)


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield functions and methods of a module with their qualified names."""
    for thing in vars(module).values():
        for member in [thing, *(vars(thing).values() if isinstance(thing, type) else ())]:
            plain = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
            if isinstance(plain, FunctionType) and plain.__module__ == module.__name__:
                yield plain.__qualname__, plain


def codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Yield the code of every function in a module's code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from codes(constant)


def is_noticed(tree: ast.Module, module: ModuleType, tests: list[str]) -> bool | None:
    """Run the tests in a fork with a mutant's code; None where no function has changed."""
    mutated = dict(codes(compile(tree, str(module.__file__), "exec")))
    changed = [(f, mutated[name]) for name, f in functions(module) if name in mutated and mutated[name] != f.__code__]
    changed = [(f, code) for f, code in changed if code.co_freevars == f.__code__.co_freevars]
    if not changed:
        return None
    child = os.fork()
    if child == 0:
        signal.alarm(SLOWEST)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        for function, code in changed:
            function.__code__ = code
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def main() -> int:
    """Measure one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, default=40, help="how many mutants are drawn (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    module = importlib.import_module(asked.file.removesuffix(".py").replace("/", "."))
    if pytest.main(["-q", "-p", "no:cacheprovider", *asked.tests]):
        sys.exit("the tests fail without any mutant")
    found = list(mutants(Path(asked.file).read_text("utf-8")))
    random.Random(asked.seed).shuffle(found)
    noticed, tried = 0, 0
    for line, text, tree in found:
        if asked.sample and tried >= asked.sample:
            break
        outcome = is_noticed(tree, module, asked.tests)
        if outcome is None:
            continue
        tried, noticed = tried + 1, noticed + outcome
        if not outcome:
            print(f"{asked.file}:{line}: not noticed: {text}", flush=True)
    print(f"{asked.file}: {noticed} of {tried} mutants are noticed, of {len(found)} that there are")
    return 0


if __name__ == "__main__":
    sys.exit(main())
