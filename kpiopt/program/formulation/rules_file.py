"""`[rules] file`: an engineer's Python file is run on the Pyomo model of the program, with permission only.

The file defines `add_rules(model, scenario)`. It is ordinary Python with all its powers, so nothing of it is run, not
even its imports, unless the command says `--allow-code`.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, ModelError, Problem, SecurityError
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.reading.regular_file import display_path, read_regular_file
from kpiopt.scenario.load import LARGEST_RULES, RULES

ENTRY = "add_rules"


def apply_rules(cascade: Cascade, *, allow_code: bool) -> Cascade:
    """Return the cascade with the program that the scenario's rules file makes of it.

    Raises
    ------
    SecurityError
        Where there is a rules file and no permission to run it.
    ModelError
        Where the file fails, or what it adds cannot be certified, with the file's line.
    """
    scenario = cascade.graph.scenario
    if scenario.rules is None:
        return cascade
    path = Path(scenario.rules)
    if not allow_code:
        raise SecurityError(_refusal(path))
    from kpiopt.program.formulation.pyomo_rules import RuledProgram, RuleError  # Pyomo takes more than half a second

    source = read_regular_file(path, display_path(path), LARGEST_RULES, None, RULES).decode("utf-8", "replace")
    ruled = RuledProgram(cascade.program)
    with contextlib.redirect_stdout(sys.stderr):  # what rules print must not mix with the answer
        _run(path, source, ruled.model, scenario)
    try:
        return replace(cascade, program=ruled.read_back())
    except RuleError as error:
        place = Location(display_path(path), _line_of(source, error.component))
        raise ModelError(replace(error.problem, location=place)) from error


def _refusal(path: Path) -> Problem:
    return Problem(
        "E-code-not-allowed",
        f"the scenario wants to run the Python file {display_path(path)}",
        rule="code of a scenario is run only with permission: it can do anything that you can do",
        fix="read the file, then run the command again with --allow-code",
    )


def _run(path: Path, source: str, model: Any, scenario: Any) -> None:
    """Run the file, then its `add_rules`."""
    try:
        names: dict[str, Any] = {"__name__": "kpiopt_rules", "__file__": str(path)}
        exec(compile(source, str(path), "exec"), names)
        _entry(names)(model, scenario)
    except (Exception, SystemExit) as error:
        raise ModelError(_failure(path, error)) from error


def _entry(names: dict[str, Any]) -> Callable[[Any, Any], None]:
    entry = names.get(ENTRY)
    if not callable(entry):
        raise TypeError(f"the file does not define {ENTRY}(model, scenario)")
    found: Callable[[Any, Any], None] = entry
    return found


def _failure(path: Path, error: BaseException) -> Problem:
    """Say what went wrong, at the last line of the file that was running."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    reason = " ".join(str(error).split()) or "no message"
    return Problem(
        "E-rules",
        f"the rules file failed: {type(error).__name__}: {reason}",
        rule=f"the file defines {ENTRY}(model, scenario), which adds Pyomo variables and constraints to the model",
        fix="change the rules file",
        location=Location(display_path(path), lines[-1] if lines else None),
    )


def _line_of(source: str, component: str) -> int | None:
    """Return the line that first names a component, as `model.<name>` or as text; else that of `add_rules`."""
    name = component.rpartition(".")[2].partition("[")[0]
    nodes = list(ast.walk(ast.parse(source)))
    named = [n.lineno for n in nodes if isinstance(n, ast.Attribute) and n.attr == name]
    named += [n.lineno for n in nodes if isinstance(n, ast.Constant) and n.value == name]
    entry = [n.lineno for n in nodes if isinstance(n, ast.FunctionDef) and n.name == ENTRY]
    return min(named, default=min(entry, default=None))
