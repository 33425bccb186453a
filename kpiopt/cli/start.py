"""`kpiopt init` and `kpiopt schema`: a first scenario to change, and the format for editors."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from kpiopt.cli.terminal import print_lines
from kpiopt.errors import OutputError, Problem, printable

STARTER_FILES = ("scenario.toml", "units.csv", "cells.csv")
SCHEMA_FILE = "kpiopt.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to write it.", show_default=False)] = Path(),
) -> None:
    """Write a small commented scenario that solves, to start from."""
    texts = {name: resources.files("kpiopt").joinpath("templates", name).read_text("utf-8") for name in STARTER_FILES}
    texts[SCHEMA_FILE] = _schema_text()
    _refuse_existing([folder / name for name in texts])
    for name, text in texts.items():
        _write(folder / name, text)
    where = printable(str(folder / "scenario.toml"))
    print_lines([f"wrote {where}, units.csv, cells.csv and {SCHEMA_FILE}", f"next: kpiopt solve {where}"])


def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file instead.")] = None,
) -> None:
    """Print the JSON Schema of the scenario format, so that editors complete and underline."""
    if out is None:
        print_lines([_schema_text().rstrip("\n")])
    else:
        _write(out, _schema_text())
        print_lines([f"wrote {printable(str(out))}"])


def _schema_text() -> str:
    from kpiopt.scenario.format.document import json_schema  # loads pydantic

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, and the folder for it where there is none."""
    from kpiopt.runs.durable import failing_as_output, replace_file

    with failing_as_output(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode())


def _refuse_existing(paths: list[Path]) -> None:
    """Raise when a file is there already: a planner's work is never overwritten."""
    existing = [path for path in paths if path.exists()]
    if existing:
        raise OutputError(
            *(
                Problem("E-exists", f"{path} exists already", rule="init overwrites nothing", fix="name another folder")
                for path in existing
            )
        )
