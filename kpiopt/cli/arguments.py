"""Arguments and options that several commands share: one wording, one behaviour."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpiopt.errors import Problem, UsageError


def named_folder(word: str | Path) -> Path:
    """Return the folder that a word names, or the one where there is no word.

    Raises
    ------
    UsageError
        Where it names none: an empty word, such as a variable that is not set, is not the current folder.
    """
    text = str(word)
    if not text or "\0" in text:
        what = "it is empty" if not text else "it has a null character"
        raise UsageError(Problem("E-usage", f"no folder is called {text!r}: {what}", fix="write . for this folder"))
    return Path(text)


ScenarioPath = Annotated[
    Path,
    typer.Argument(metavar="SCENARIO", help="Scenario file, .toml or .xlsx.", show_default=False, readable=False),
]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", metavar="NAME", help="Apply a variant of the file. May be repeated; the last is on top."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one value, as budget.pay.limit=650000. May be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, also for errors.")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Run the Python file that the scenario names in [rules].")
]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="WHERE",
        help="Where to compute: serial, threads:N, processes:N or dask://HOST:PORT.",
        show_default="serial",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", min=1, help="Short for --executor threads:N.")]
Replace = Annotated[bool, typer.Option("--force", help="Replace a file that kpiopt did not write.")]
TimeLimit = Annotated[
    float,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        min=0.0,
        help="End after so long, with what is proved by then.",
        show_default="none",
    ),
]
RunsFolder = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Folder that holds the run folders.", readable=False)
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or the name of a run in --out.")]


def joined(variants: list[str] | None) -> str | None:
    """Return the one name of all chosen variants, as in file.toml:lean+ambitious."""
    return "+".join(variants) if variants else None


DEFAULT_RUNS = Path("runs")
NO_LIMIT = float("inf")
