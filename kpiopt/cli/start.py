"""`kpiopt init` and `kpiopt schema`: a first scenario to change, and the format for editors."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from kpiopt.cli.arguments import Replace
from kpiopt.cli.terminal import print_lines
from kpiopt.errors import OutputError, Problem, UsageError, printable

STARTER_FILES = ("scenario.toml", "units.csv", "cells.csv")
SCHEMA_FILE = "kpiopt.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to write it.", show_default=False)] = Path(),
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
    from kpiopt.cli.convert import write_scenario

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
        print_lines([_schema_text().rstrip("\n")])
    else:
        from kpiopt.runs.durable import write_output

        write_output(out, _schema_text().encode(), force=force)
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
            replace_file(folder / name, text.encode())
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
