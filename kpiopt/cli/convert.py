"""`kpiopt convert`: a scenario as a workbook, or a workbook as a scenario in TOML; nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.terminal import print_lines
from kpiopt.errors import OutputError, Problem, ScenarioError, UsageError, printable

if TYPE_CHECKING:
    from kpiopt.reading.document import Document

FORMS = (".toml", ".xlsx")


def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="Scenario file, .toml or .xlsx.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="TO", help="File to write, .toml or .xlsx.", show_default=False)],
) -> None:
    """Write a scenario as a workbook (.xlsx) or as TOML with tables beside it (.toml); existing files are kept."""
    print_lines(printable(f"wrote {path}") for path in write_scenario(source, target))


def write_scenario(source: Path, target: Path) -> list[Path]:
    """Write a scenario in the form that the target's name says, and return the files.

    Raises
    ------
    UsageError, OutputError, InputError
        Where a name has no known form, a file is there already, or the scenario has errors.
    """
    from kpiopt.report.scenario_file.scenario_tables import csv_text, scenario_tables
    from kpiopt.report.scenario_file.scenario_workbook import write_scenario_workbook
    from kpiopt.runs.durable import failing_as_output, replace_file

    if target.suffix.lower() not in FORMS:
        rule = "a scenario is written as .xlsx or .toml"
        raise UsageError(Problem("E-convert-form", f"{target} ends in neither", rule, "name it plan.xlsx or plan.toml"))
    tables = scenario_tables(_checked(source), target)
    if target.suffix.lower() == ".xlsx":
        contents = {target: write_scenario_workbook(tables)}
    else:
        rows = {"units": tables.units, "cells": tables.cells}
        beside = {name: target.with_name(f"{target.stem}-{name}.csv") for name, found in rows.items() if found}
        contents = {beside[name]: csv_text(rows[name]).encode() for name in beside}
        contents[target] = tables.toml({name: path.name for name, path in beside.items()}).encode()
    existing = [path for path in contents if path.exists()]
    if existing:
        rule, fix = "nothing is overwritten", "name another file"
        raise OutputError(*(Problem("E-exists", f"{path} exists already", rule, fix) for path in existing))
    with failing_as_output(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        replace_file(path, content)
    return list(contents)


def _checked(source: Path) -> Document:
    """Return the document of a scenario without errors."""
    from kpiopt.scenario.load import check_scenario  # numpy and polars

    _, found, document = check_scenario(source)
    if found.errors or document is None:
        raise ScenarioError(*found.errors)
    return document
