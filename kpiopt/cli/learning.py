"""`kpiopt fit` and `kpiopt backtest`: what history teaches, and how well odds would have done in the past."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import (
    NO_LIMIT,
    AllowCode,
    AsJson,
    ExecutorName,
    ScenarioPath,
    TimeLimit,
    Workers,
    named_folder,
)
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import print_answer, print_json, say, showing_progress
from kpiopt.deadline import ended_by
from kpiopt.errors import Problem, UsageError

if TYPE_CHECKING:
    from kpiopt.learning.history import History
    from kpiopt.reading.tables.csv_file import CsvStyle

Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="MARK", help="What separates fields of CSV files, if not a comma.")
]
Decimal = Annotated[str | None, typer.Option("--decimal", metavar="MARK", help="Decimal mark, if not a point.")]
Thousands = Annotated[str | None, typer.Option("--thousands", metavar="MARK", help="What separates thousands.")]


def fit(
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="Table with unit, kpi, period, value.", show_default=False)
    ],
    model: Annotated[
        Path | None, typer.Option("--model", metavar="SCENARIO", help="Model whose tree, causes and priors are used.")
    ] = None,
    factors: Annotated[
        Path | None, typer.Option("--factors", metavar="TABLE", help="Table with factor, period, value.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="PERIOD", help="Last period that counts as known.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", metavar="N", min=1, help="Periods to forecast; a year by default.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", metavar="N", min=100, max=100_000, help="Joint draws.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of the draws.")] = 7,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    time_limit: TimeLimit = NO_LIMIT,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the files go.", parser=named_folder)
    ] = Path("fitted"),
    as_json: AsJson = False,
) -> None:
    """Learn baselines, contributions and execution from history; write a scenario that extends the model."""
    deadline = command_deadline(time_limit)
    from kpiopt.learning.fit import FitOptions, fit_history  # scipy
    from kpiopt.learning.fit_files import fit_as_dict, fit_files
    from kpiopt.learning.history_file import read_history
    from kpiopt.learning.known_names import meet_model
    from kpiopt.report.learning.fit_page import fit_page
    from kpiopt.report.learning.text import render_fit
    from kpiopt.runs.durable import failing_as_output, replace_file
    from kpiopt.workers.executor import choose_executor

    place = choose_executor(executor, workers)
    scenario, document = read_scenario(model, None, []) if model else (None, None)
    with ended_by(deadline, "the history was read"):
        read = read_history(history, factors, _style(delimiter, decimal, thousands))
        known = cut_history(meet_model(read, scenario), until)
    with showing_progress("fitting") as progress, ended_by(deadline, "all of the history was learned from"):
        found = fit_history(known, scenario, FitOptions(horizon, draws, seed), progress, place)
    mark_certified()
    with failing_as_output(out):
        out.mkdir(parents=True, exist_ok=True)
    files = {**fit_files(found, document, out.resolve()), "fit.html": fit_page(found, scenario).encode()}
    for name, content in files.items():
        replace_file(out / name, content)
    print_json(fit_as_dict(found)) if as_json else print_answer(render_fit(found))
    say(f"wrote {', '.join(sorted(files))} to {out}")


def _style(delimiter: str | None, decimal: str | None, thousands: str | None) -> CsvStyle:
    from kpiopt.reading.tables.csv_file import CsvStyle  # polars

    return CsvStyle(delimiter, decimal, thousands)


def cut_history(history: History, until: str | None) -> History:
    """Return the history up to a period.

    Raises
    ------
    UsageError
        Where the history has no such period.
    """
    if until is None:
        return history
    position = history.grid.position(until)
    if position is None:
        first, last = history.grid.names[0], history.grid.names[-1]
        raise UsageError(Problem("E-period", f"the history has no period '{until}'", f"it goes from {first} to {last}"))
    return history.until(position + 1)


def backtest(
    model: ScenarioPath,
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="Table with unit, kpi, period, value.", show_default=False)
    ],
    horizons: Annotated[
        list[int] | None, typer.Option("--horizon", metavar="N", min=1, help="Periods ahead. May be repeated.")
    ] = None,
    origins: Annotated[int, typer.Option("--origins", metavar="N", min=1, help="Past periods to stand at.")] = 5,
    until: Annotated[
        str | None, typer.Option("--until", metavar="PERIOD", help="Last period that counts as known.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", metavar="N", min=100, max=100_000, help="Joint draws.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of the draws.")] = 7,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    time_limit: TimeLimit = NO_LIMIT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to keep it; backtest.json beside the model.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page with figures.")
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Stand at past periods, forecast with what was known then, and score what happened."""
    deadline = command_deadline(time_limit)
    from kpiopt.learning.backtests.backtest import BacktestOptions  # scipy
    from kpiopt.learning.backtests.backtest import backtest as test
    from kpiopt.learning.backtests.document import backtest_as_dict
    from kpiopt.learning.backtests.odds_line import BACKTEST_FILE, has_fitted_noise, model_digest
    from kpiopt.learning.history_file import read_history
    from kpiopt.learning.known_names import meet_model
    from kpiopt.report.learning.backtest_page import backtest_page
    from kpiopt.report.learning.text import render_backtest
    from kpiopt.runs.durable import replace_file, require_place, write_output
    from kpiopt.workers.executor import choose_executor

    place = choose_executor(executor, workers)
    scenario, document = read_scenario(model, None, [])
    path = out or model.parent / BACKTEST_FILE
    inputs = [*document.files, str(history)]
    require_place(path, inputs)
    if html is not None:
        require_place(html, inputs)
    with ended_by(deadline, "the history was read"):
        read = read_history(history, style=_style(delimiter, decimal, thousands))
        known = cut_history(meet_model(read, scenario), until)
    options = BacktestOptions(origins, tuple(horizons or (1,)), draws, seed, allow_code=allow_code)
    with showing_progress("testing") as progress, ended_by(deadline, "all forecasts were tested"):
        found = test(known, scenario, options, progress, place)
    answer = backtest_as_dict(found, known, options) | {"model": model_digest(document)}
    replace_file(path, (json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    if html is not None:
        names = {kpi.id: kpi.name for kpi in scenario.kpis.values()}
        write_output(html, backtest_page(found, scenario.name, names).encode(), inputs)
    print_json(answer) if as_json else print_answer(render_backtest(found))
    say(f"kept in {path}")
    if not has_fitted_noise(document, {score.kpi for score in found.scores}):
        say("odds of this model are not those tested: back-tests draw with fitted noise; see those of a fitted model")
