"""A batch on a terminal: one line for each scenario, then what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from kpiopt.errors import ExitCode, Problem
from kpiopt.report.grid import Grid, indented
from kpiopt.report.numbers import amount
from kpiopt.runs.batch import BatchEntry
from kpiopt.simulation.odds import Estimate

if TYPE_CHECKING:
    from rich.console import RenderableType

RESULTS = {
    ExitCode.USAGE: "not read",
    ExitCode.INPUT: "not valid",
    ExitCode.INFEASIBLE: "infeasible",
    ExitCode.UNBOUNDED: "unbounded",
    ExitCode.UNCERTIFIED: "not certified",
    ExitCode.LIMIT: "limit reached",
    ExitCode.OUTPUT: "not written",
    ExitCode.LOCKED: "folder in use",
}


def render_batch(entries: Sequence[BatchEntry]) -> Group:
    """Lay out a batch for any width."""
    solved, under = sum(e.error is None for e in entries), sum(bool(e.misses) for e in entries)
    missed = f", {under:,} of them under a threshold" if under else ""
    style = "bold green" if all(entry.is_good for entry in entries) else "bold"
    verdict = Text(f"{solved:,} of {len(entries):,} scenarios solved{missed}.", style=style)
    return Group(verdict, _table(entries), *_problems(entries))


def _table(entries: Sequence[BatchEntry]) -> Grid:
    grid = Grid(("scenario", "result", "goals met", "odds of all goals", "pay at plan"), left=2)
    for entry in entries:
        grid.add(entry.file, _mark(entry), *_figures(entry))
    return grid


def _mark(entry: BatchEntry) -> Text:
    if entry.error is not None:
        return Text(RESULTS.get(entry.error.exit_code, "failed"), style="red")
    return Text("solved", style="green") if entry.is_good else Text("under its threshold", style="yellow")


def _figures(entry: BatchEntry) -> list[str]:
    answer = entry.answer
    if answer is None:
        return ["", "", ""]
    met = sum(goal["met"] for goal in answer["goals"])
    odds = answer["all_goals"]
    shown = Estimate.from_dict(odds).text if odds else ""
    pay = answer["pay"]["plan"] if answer["pay"] else None
    return [f"{met} of {len(answer['goals'])}", shown, "" if pay is None else amount(pay, entry.currency)]


def _problems(entries: Sequence[BatchEntry]) -> Iterator[RenderableType]:
    for entry in entries:
        for problem in entry.problems[:3]:
            yield indented(f"{_where(entry, problem)}: {problem.code}: {problem.message}")
            if problem.fix:
                yield indented(f"  {problem.fix}")
        if len(entry.problems) > 3:
            yield indented(f"{entry.file}: … and {len(entry.problems) - 3:,} more; kpiopt check lists them")


def _where(entry: BatchEntry, problem: Problem) -> str:
    """Return the place of a problem: where it stands in a file, else the scenario."""
    return str(problem.location) if problem.location else entry.file
