"""`kpiopt check`: everything that is wrong with a scenario, or what it holds."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpiopt.cli.arguments import AsJson, Overrides, Replace, ScenarioPath, Variants, joined
from kpiopt.cli.terminal import print_json, print_lines, say, say_problems
from kpiopt.errors import ModelError, Problem, Problems, ScenarioError, UsageError, printable, problem_as_dict

if TYPE_CHECKING:
    from kpiopt.reading.document import Document
    from kpiopt.scenario.scenario import Scenario


def check(
    scenario: ScenarioPath,
    variants: Variants = None,
    overrides: Overrides = None,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="List every value with the file and line it came from.")
    ] = False,
    mended: Annotated[
        Path | None,
        typer.Option(
            "--fix-text-numbers",
            metavar="FILE",
            help="Write a copy of the workbook in which numbers stored as text are numbers.",
        ),
    ] = None,
    force: Replace = False,
    lint: Annotated[
        bool,
        typer.Option("--lint", help="Ask what the strategy map leaves open: levers, balance, sight of goals, units."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a scenario and its tables: all errors at once, each with its place and a suggestion."""
    from kpiopt.scenario.load import check_scenario  # loads numpy and polars

    checked, found, document = check_scenario(scenario, variant=joined(variants), overrides=tuple(overrides or ()))
    if mended is not None:
        _mend(scenario, found, mended, force=force)
    if checked is not None and not found.errors:
        _check_rooms_behind(checked, found)
    if document is not None:
        _check_variants(scenario, document, found, tuple(overrides or ()))
    if found.errors or checked is None:
        raise ScenarioError(*found.errors, *found.warnings)
    asked = _lint(checked, document) if lint and document else None
    if as_json:
        origins = _origins(document) if show_origin and document else None
        answer = _check_document(checked, [problem_as_dict(p) for p in found.warnings], origins)
        print_json(answer if asked is None else {**answer, "lint": [problem_as_dict(p) for p in asked]})
        return
    say_problems(found.warnings)
    print_lines(_summary_lines(checked))
    if asked is not None:
        print_lines([*map(str, asked), f"  questions about the map: {len(asked) or 'none'}"])
    if show_origin and document:
        print_lines(
            printable(f"{o['path']} = {json.dumps(o['value'], ensure_ascii=False)}    # {o['origin']}")
            for o in _origins(document)
        )


def _mend(scenario: Path, found: Problems, target: Path, *, force: bool) -> None:
    """Write a copy of the workbook with its text numbers as numbers; end well where nothing else was wrong.

    Raises
    ------
    UsageError
        Where several workbooks hold numbers as text: one file is named for one copy.
    OutputError
        Where the copy would replace the workbook or a file that kpiopt did not write.
    """
    from kpiopt.reading.tables.messages import listing  # numpy
    from kpiopt.reading.tables.table_file import read_table_bytes
    from kpiopt.reading.tables.text_numbers import find_text_numbers, is_text_number, mend_text_numbers
    from kpiopt.runs.durable import require_place, write_output

    books = find_text_numbers(found.errors)
    if len(books) > 1:
        fix = "check a scenario that names one of them, or mend one after the other"
        raise UsageError(Problem("E-mend-many", f"numbers are stored as text in {', '.join(sorted(books))}", fix=fix))
    if not books:
        say("no number is stored as text in a workbook; nothing was written")
        return
    ((book, wanted),) = books.items()
    require_place(target, [Path(book), scenario], force=force)
    content, cells = mend_text_numbers(read_table_bytes(Path(book), book), book, wanted)
    write_output(target, content, [Path(book), scenario], force=force)
    count = f"{len(cells):,} {'number that was' if len(cells) == 1 else 'numbers that were'} text"
    say(f"wrote {printable(str(target))}: {count} ({listing(cells)}); check it next")
    others = [problem for problem in found.errors if not is_text_number(problem)]
    if not others:
        raise typer.Exit
    raise ScenarioError(*others, *found.warnings)


def _lint(scenario: Scenario, document: Document) -> tuple[Problem, ...]:
    from kpiopt.graph import build_graph  # loads scipy
    from kpiopt.studies.lint import lint_map  # pint, where units are declared

    return lint_map(build_graph(scenario), document)


def _check_rooms_behind(scenario: Scenario, found: Problems) -> None:
    """Let the graph and the simulation say what only they can find: circles across levels, impossible correlations."""
    from kpiopt.graph import build_graph  # loads scipy
    from kpiopt.simulation.inputs import build_inputs

    with found.collecting():
        build_inputs(build_graph(scenario), scenario.cells.max_stretch)
    if found.errors:
        raise ModelError(*found.errors, *found.warnings)


def _check_variants(path: Path, document: Document, found: Problems, overrides: tuple[str, ...]) -> None:
    """Check every other variant as it would be solved; what is wrong with one is told with its name."""
    from kpiopt.scenario.load import check_variant, in_variant

    known = set(found)
    for name in document.variants:
        if name == document.variant:
            continue
        other, problems = check_variant(path, name, known, overrides)
        behind = Problems()
        if other is not None:
            with suppress(ModelError):
                _check_rooms_behind(other, behind)
        found.items.extend([*problems, *(in_variant(problem, name) for problem in behind.errors)])


def _origins(document: Document) -> list[dict[str, Any]]:
    """Return the final values with their origins, in order of the files."""
    return [{"path": path, "value": value, "origin": str(location)} for path, value, location in document.show_origin()]


def _counts(scenario: Scenario) -> dict[str, int]:
    """Return how many of each thing the scenario holds."""
    return {
        "units": len(scenario.units),
        "cells": len(scenario.horizon),
        "decisions": int(scenario.horizon.has_decision.sum()),
        "kpis": len(scenario.kpis),
        "goals": len(scenario.goals),
        "initiatives": len(scenario.initiatives),
        "factors": len({factor.cause for factor in scenario.factors.values()}),
        "budgets": len(scenario.budgets),
    }


def _check_document(
    scenario: Scenario, warnings: list[dict[str, Any]], origins: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """Return the JSON answer: schema kpiopt.check/1."""
    document: dict[str, Any] = {
        "schema": "kpiopt.check/1",
        "status": "ok",
        "name": scenario.name,
        "variant": scenario.variant,
        "variants": list(scenario.variants),
        "counts": _counts(scenario),
        "files": dict(scenario.files),
        "problems": warnings,
    }
    return document if origins is None else {**document, "origins": origins}


def _summary_lines(scenario: Scenario) -> list[str]:
    counts = _counts(scenario)
    decisions = counts.pop("decisions")
    parts = [f"{n:,} {_noun(kind, n)}" for kind, n in counts.items()]
    parts[1] += f" ({decisions:,} with a decision)"
    lines = [printable(f"{scenario.name}: no errors"), "  " + ", ".join(parts)]
    if scenario.variants:
        lines.append(printable(f"  variants: {', '.join(scenario.variants)}"))
    return lines


def _noun(kind: str, count: int) -> str:
    noun = "KPIs" if kind == "kpis" else kind
    return noun[:-1] if count == 1 else noun
