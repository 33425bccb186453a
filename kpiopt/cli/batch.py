"""Several scenarios in one `kpiopt solve`, and thresholds for use in continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kpiopt.cli.terminal import print_answer, print_json, say, say_problems, showing_progress
from kpiopt.errors import ExitCode, Problem

if TYPE_CHECKING:
    from kpiopt.runs.batch import BatchEntry, Threshold
    from kpiopt.runs.keep import Keeper


def solve_files(
    files: Sequence[Path],
    variant: str | None,
    overrides: Sequence[str],
    keeper: Keeper,
    thresholds: Sequence[Threshold],
    *,
    as_json: bool,
) -> None:
    """Solve several files, print one table and end with exit code 9 unless all are good.

    Raises
    ------
    typer.Exit
    """
    from kpiopt.runs.batch import batch_as_dict, solve_batch

    done: list[BatchEntry] = []
    try:
        with showing_progress("solving") as progress:
            entries = solve_batch(files, variant, overrides, keeper, thresholds, progress, done.append)
    except KeyboardInterrupt:
        count = sum(entry.error is None for entry in done)
        solved = f"{count:,} of {len(files):,} scenarios are solved and kept"
        say(f"interrupted; {solved}, and the same command goes on from there")
        raise
    say_problems(note for entry in entries for note in _notes(entry))
    if as_json:
        print_json(batch_as_dict(entries))
    else:
        from kpiopt.report.batch import render_batch  # rich

        print_answer(render_batch(entries))
    _end([entry.file for entry in entries if not entry.is_good], len(entries))


def _notes(entry: BatchEntry) -> Iterator[Problem]:
    """Yield what is to be said about a scenario, each with the file it is about."""
    for note in dict.fromkeys(entry.notes):
        yield note if note.location else replace(note, message=f"{entry.file}: {note.message}")


def _end(bad: Sequence[str], count: int) -> None:
    if bad:
        message = f"{len(bad):,} of {count:,} scenarios have no answer or miss a threshold"
        say_problems([Problem("E-batch-partial", message, fix="the runs of the others are kept")])
        raise typer.Exit(int(ExitCode.PARTIAL))


def require_thresholds(answer: dict[str, Any], thresholds: Sequence[Threshold]) -> None:
    """End with exit code 9 where an answer misses a threshold.

    Raises
    ------
    typer.Exit
    """
    misses = [miss for miss in (threshold.miss(answer) for threshold in thresholds) if miss]
    if misses:
        say_problems(misses)
        raise typer.Exit(int(ExitCode.PARTIAL))
