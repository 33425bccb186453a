"""`kpiopt runs` and `kpiopt verify`: the runs that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, AsJson, RunName, RunsFolder
from kpiopt.cli.terminal import print_json, print_lines
from kpiopt.errors import ExitCode, printable

if TYPE_CHECKING:
    from kpiopt.runs.store import RunStore
    from kpiopt.runs.stored_run import StoredRun

runs = typer.Typer(name="runs", help="List, show, compare and remove kept runs.", rich_markup_mode=None)


@runs.callback(invoke_without_command=True)
def _entry(context: typer.Context) -> None:
    """List, show, compare and remove kept runs."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(int(ExitCode.USAGE))


def _store(root: Path) -> RunStore:
    from kpiopt.runs.store import RunStore

    return RunStore(root)


def _find(root: Path, name: str, *, or_sweep: bool = False) -> StoredRun:
    """Return a run that is whole."""
    from kpiopt.runs.stored_run import require_complete

    store = _store(root)
    found = store.find_any(name) if or_sweep else store.find(name)
    require_complete(found)
    return found


@runs.command("list")
def list_runs(out: RunsFolder = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List the runs and sweeps in a folder, oldest first, then sweeps that are not finished."""
    from kpiopt.runs.journal import unfinished

    rows, begun = [_row(run) for run in _store(out).runs()], unfinished(out)
    if as_json:
        print_json({"schema": "kpiopt.runs/1", "runs": rows, "unfinished": begun})
        return
    if rows:
        widths = [max(len(row[key]) for row in rows) for key in ("run", "variant")]
        print_lines(printable(_line(row, *widths)) for row in rows)
    elif not begun:
        print_lines([printable(f"no runs in {out}")])
    print_lines(f"{printable(name)}  not finished, {points:,} points kept" for name, points in begun.items())


def _line(row: dict[str, Any], name_width: int, variant_width: int) -> str:
    name, variant = f"{row['run']:<{name_width}}", f"{row['variant']:<{variant_width}}"
    parts = [name, row["started"][:19].replace("T", " "), *([variant] if variant else []), _result_text(row)]
    return "  ".join(parts)


def _row(run: StoredRun) -> dict[str, Any]:
    goals, points = run.document.get("goals", []), run.document.get("points", [])
    return {
        "run": run.name,
        "kind": "sweep" if run.is_sweep else "run",
        "complete": run.is_complete,
        "readable": not run.closed,
        "started": str(run.manifest.get("started", ""))[:23],
        "variant": str(run.manifest.get("variant") or ""),
        "goals": len(goals),
        "goals_met": sum(goal.get("met", not goal["shortfall"]) for goal in goals),
        "all_goals": run.document.get("all_goals"),
        "points": len(points),
        "points_failed": sum(point["status"] == "failed" for point in points),
    }


def _result_text(row: dict[str, Any]) -> str:
    if not row["readable"]:
        return "may not be read"
    if not row["complete"]:
        return "damaged"
    if row["kind"] == "sweep":
        points = f"sweep of {row['points']:,} points"
        return f"{points}, {row['points_failed']:,} failed" if row["points_failed"] else points
    from kpiopt.simulation.odds import Estimate  # numpy

    odds = row["all_goals"]
    said = f", odds {Estimate.from_dict(odds).text}" if odds else ""
    return f"{row['goals_met']} of {row['goals']} goals met{said}"


@runs.command("show")
def show_run(run: RunName, out: RunsFolder = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Show the summary of a run or sweep again, or the document it keeps."""
    from kpiopt.runs.stored_run import read_summary

    stored = _find(out, run, or_sweep=True)
    if as_json:
        print_json(stored.document)
    else:
        print_lines([read_summary(stored).rstrip("\n")])


@runs.command("diff")
def diff_runs(
    first: Annotated[str, typer.Argument(metavar="RUN", help="The run to start from.")],
    second: Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare with it.")],
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Show what differs in the questions and answers of two runs."""
    from kpiopt.studies.comparison.kept_runs import compare_runs  # polars

    difference = compare_runs(_find(out, first), _find(out, second))
    if as_json:
        print_json(difference.as_dict())
    else:
        print_lines(printable(line) for line in difference.lines())


@runs.command("rm")
def remove_run(
    names: Annotated[list[str], typer.Argument(metavar="RUN", help="Runs to remove.")], out: RunsFolder = DEFAULT_RUNS
) -> None:
    """Remove runs and sweeps, finished or not."""
    from kpiopt.runs.journal import give_up, unfinished

    store = _store(out)
    given_up = unfinished(out).keys() & set(names)
    for stored in store.find_removable(name for name in names if name not in given_up):
        store.remove(stored)
        print_lines([printable(f"removed {stored.folder}")])
    for name in sorted(given_up):
        give_up(out, name)
        print_lines([f"removed what was kept of {name}"])
