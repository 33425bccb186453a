"""`kpiopt runs` and `kpiopt verify`: the runs that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, AsJson, RunName, RunsFolder
from kpiopt.cli.terminal import print_json, print_lines
from kpiopt.errors import ExitCode, printable

if TYPE_CHECKING:
    from kpiopt.runs.store import RunStore, StoredRun

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


def _find(root: Path, name: str) -> StoredRun:
    """Return a run that is whole."""
    from kpiopt.runs.store import require_complete

    found = _store(root).find(name)
    require_complete(found)
    return found


@runs.command("list")
def list_runs(out: RunsFolder = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List the runs in a folder, oldest first."""
    rows = [_row(run) for run in _store(out).runs()]
    if as_json:
        print_json({"schema": "kpiopt.runs/1", "runs": rows})
    elif rows:
        width = max(len(row["run"]) for row in rows)
        print_lines(printable(f"{row['run']:<{width}}  {row['started']:<23}  {_goals_text(row)}") for row in rows)
    else:
        print_lines([f"no runs in {out}"])


def _row(run: StoredRun) -> dict[str, Any]:
    goals = run.document.get("goals", [])
    return {
        "run": run.name,
        "complete": run.is_complete,
        "started": str(run.manifest.get("started", ""))[:23],
        "goals": len(goals),
        "goals_met": sum(goal["shortfall"] == 0.0 for goal in goals),
        "all_goals": run.document.get("all_goals"),
    }


def _goals_text(row: dict[str, Any]) -> str:
    if not row["complete"]:
        return "damaged"
    odds = row["all_goals"]
    interval = f", odds {odds['low']:.1%} to {odds['high']:.1%}" if odds else ""
    return f"{row['goals_met']} of {row['goals']} goals met{interval}"


@runs.command("show")
def show_run(run: RunName, out: RunsFolder = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Show the summary of a run again, or its run.json."""
    stored = _find(out, run)
    if as_json:
        print_json(stored.document)
    else:
        print_lines([(stored.folder / "summary.txt").read_text("utf-8").rstrip("\n")])


@runs.command("diff")
def diff_runs(
    first: Annotated[str, typer.Argument(metavar="RUN", help="The run to start from.")],
    second: Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare with it.")],
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Show what differs in the questions and answers of two runs."""
    from kpiopt.runs.difference import compare_runs  # polars

    difference = compare_runs(_find(out, first), _find(out, second))
    if as_json:
        print_json(difference.as_dict())
    else:
        print_lines(printable(line) for line in difference.lines())


@runs.command("rm")
def remove_run(
    names: Annotated[list[str], typer.Argument(metavar="RUN", help="Runs to remove.")], out: RunsFolder = DEFAULT_RUNS
) -> None:
    """Remove runs."""
    store = _store(out)
    for stored in [store.find(name) for name in names]:
        store.remove(stored)
        print_lines([f"removed {stored.folder}"])
