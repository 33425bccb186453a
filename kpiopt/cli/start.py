"""`kpiopt init`, `kpiopt convert` and `kpiopt schema`: a first scenario to change, and the format for editors."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import Replace, named_folder
from kpiopt.cli.terminal import print_file, print_lines
from kpiopt.errors import OutputError, Problem, ScenarioError, UsageError, printable

if TYPE_CHECKING:
    from kpiopt.reading.document import Document

FORMS = (".toml", ".xlsx")
STARTER_FILES = ("scenario.toml", "units.csv", "cells.csv")
SCHEMA_FILE = "kpiopt.schema.json"


def init(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Where to write it.", show_default=False, parser=named_folder),
    ] = Path(),
    excel: Annotated[
        Path | None, typer.Option("--excel", metavar="FILE", help="Write one workbook to fill in instead (.xlsx).")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="SCENARIO", help="Fill the workbook with this scenario.")
    ] = None,
) -> None:
    """Write a small commented scenario that solves, to start from: in TOML, or as a workbook."""
    if excel is not None:
        _write_workbook(excel, source)
        return
    if source is not None:
        raise UsageError(Problem("E-usage", "--from needs --excel", fix="write --excel plan.xlsx, or kpiopt convert"))
    texts = {name: resources.files("kpiopt").joinpath("templates", name).read_text("utf-8") for name in STARTER_FILES}
    texts[SCHEMA_FILE] = _schema_text()
    _refuse_existing([folder / name for name in texts])
    _write_all(folder, texts)
    where = printable(str(folder / "scenario.toml"))
    print_lines([f"wrote {where}, units.csv, cells.csv and {SCHEMA_FILE}", f"next: kpiopt solve {where}"])


def _write_workbook(path: Path, source: Path | None) -> None:
    """Write a scenario, or the one to start from, as a workbook."""
    if path.suffix.lower() != ".xlsx":
        raise UsageError(
            Problem("E-usage", f"{path} is no workbook", "--excel names an .xlsx file", "name it plan.xlsx")
        )
    with resources.as_file(resources.files("kpiopt").joinpath("templates")) as templates:
        write_scenario(source or templates / STARTER_FILES[0], path)
    where = printable(str(path))
    print_lines([f"wrote {where}; yellow cells are yours to change", f"next: kpiopt solve {where}"])


def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file instead.")] = None,
    force: Replace = False,
) -> None:
    """Print the JSON Schema of the scenario format, so that editors complete and underline."""
    if out is None:
        print_file(f"{_schema_text().rstrip()}\n".encode())
    else:
        from kpiopt.runs.durable import write_output

        write_output(out, _schema_text().encode(), force=force, is_private=False)
        print_lines([f"wrote {printable(str(out))}"])


def _schema_text() -> str:
    from kpiopt.scenario.format.document import json_schema  # loads pydantic

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write files and the folders for them, all or none."""
    from kpiopt.runs.durable import failing_as_output, replace_file

    made: list[Path] = []
    try:
        with failing_as_output(folder):
            for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
                missing.mkdir()
                made.append(missing)
        for name, text in texts.items():
            replace_file(folder / name, text.encode(), is_private=False)
            made.append(folder / name)
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def _refuse_existing(paths: list[Path]) -> None:
    """Raise when a file is there already: a planner's work is never overwritten."""
    from kpiopt.runs.durable import failing_as_output

    with failing_as_output(paths[0].parent):
        existing = [path for path in paths if path.is_symlink() or path.exists()]
    if existing:
        raise OutputError(
            *(
                Problem("E-exists", f"{path} exists already", rule="init overwrites nothing", fix="name another folder")
                for path in existing
            )
        )


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FROM", help="Scenario file, .toml or .xlsx.", show_default=False, readable=False)
    ],
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
    if not is_utf8(target.name):
        rule = "a file of TOML names its tables in UTF-8"
        raise UsageError(Problem("E-convert-name", "the name of the file is not UTF-8", rule, "choose another name"))
    tables = scenario_tables(_checked(source), target)
    if target.suffix.lower() == ".xlsx":
        contents = {target: write_scenario_workbook(tables)}
    else:
        rows = {"units": tables.units, "cells": tables.cells}
        beside = {name: target.with_name(f"{target.stem}-{name}.csv") for name, found in rows.items() if found}
        contents = {beside[name]: csv_text(rows[name]).encode() for name in beside}
        contents[target] = tables.toml({name: path.name for name, path in beside.items()}).encode()
    with failing_as_output(target):
        existing = [path for path in contents if path.exists()]
    if existing:
        rule, fix = "nothing is overwritten", "name another file"
        raise OutputError(*(Problem("E-exists", f"{path} exists already", rule, fix) for path in existing))
    with failing_as_output(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        replace_file(path, content)
    return list(contents)


def is_utf8(text: str) -> bool:
    """Whether a text, such as a file's name, can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(source: Path) -> Document:
    """Return the document of a scenario without errors."""
    from kpiopt.scenario.load import check_scenario  # numpy and polars

    _, found, document = check_scenario(source)
    if found.errors or document is None:
        raise ScenarioError(*found.errors)
    return document
