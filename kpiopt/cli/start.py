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
    _write_all(folder, texts)
    where = printable(str(folder / "scenario.toml"))
    print_lines([f"wrote {where}, units.csv, cells.csv and {SCHEMA_FILE}", f"next: kpiopt solve {where}"])


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
