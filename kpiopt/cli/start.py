"""`kpiopt init` and `kpiopt schema`: a first scenario to change, and the format for editors."""

from __future__ import annotations

import json
import os
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
        write_text(folder / name, text)
    where = printable(str(folder / "scenario.toml"))
    print_lines([f"wrote {where}, units.csv, cells.csv and {SCHEMA_FILE}", f"next: kpiopt solve {where}"])


def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file instead.")] = None,
) -> None:
    """Print the JSON Schema of the scenario format, so that editors complete and underline."""
    if out is None:
        print_lines([_schema_text().rstrip("\n")])
    else:
        write_text(out, _schema_text())
        print_lines([f"wrote {printable(str(out))}"])


def _schema_text() -> str:
    from kpiopt.scenario.schema import json_schema  # loads pydantic

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


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


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: aside first, then renamed.

    Raises
    ------
    OutputError
        When the folder is missing or cannot be written, or the disk is full; an earlier file stays as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OutputError(Problem("E-output", f"{path} cannot be written: {error.strerror}")) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
