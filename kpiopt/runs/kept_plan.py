"""The plan of a kept run, read back on the graph of its own scenario or of another one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.runs.stored_run import StoredRun, damaged_run, read_run_file, require_complete
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Floats, Integers, Scenario

if TYPE_CHECKING:
    import polars as pl

TARGETS_FILE = "targets.parquet"


@dataclass(frozen=True)
class KeptPlan:
    """What a kept run decided.

    Attributes
    ----------
    graph : CausalGraph
        Of the scenario that the plan is looked at in.
    stretch : (n_cells,) float
        In each cell's KPI unit.
    levels : (n_levels,) float
        Levels of initiatives.
    targets : (n_nodes,) float
        Published targets; NaN where a node has none.
    binding : dict of str to str
        "unit/kpi", in a period "unit/kpi/period" -> what stops the cell, where something does.
    odds : (3, n_nodes) float
        Probability of attaining the target as it was simulated and the ends of its interval; NaN where it was not.
    cushion : (n_nodes,) float
        Share of each target that is asked on top of the plan; NaN where none is.
    """

    graph: CausalGraph
    stretch: Floats
    levels: Floats
    targets: Floats
    binding: dict[str, str]
    odds: Floats
    cushion: Floats


def load_kept_plan(run: StoredRun, under: Scenario | None = None) -> KeptPlan:
    """Read the plan of a run.

    Parameters
    ----------
    under : Scenario, optional
        Another scenario to look at the plan in, with the same cells and initiatives; the run's own by default.

    Raises
    ------
    OutputError
        When the run folder is not whole.
    ModelError
        When the other scenario has no place for a part of the plan.
    """
    require_complete(run)
    scenario = under or load_scenario(run.folder / "scenario.toml")
    graph = build_graph(scenario)
    targets = read_targets(run)
    nodes = _nodes_of(graph, targets)
    stopped = targets.filter(targets["binding"].fill_null("") != "")
    names = zip(stopped["unit"], stopped["kpi"], stopped["period"], stopped["binding"], strict=True)
    return KeptPlan(
        graph,
        _stretch(graph, nodes, targets),
        _levels(graph, run),
        _at_nodes(graph, nodes, targets["target"]),
        {"/".join(filter(None, (unit, kpi, period))): text for unit, kpi, period, text in names},
        np.array([_at_nodes(graph, nodes, targets[name]) for name in ("odds", "odds_low", "odds_high")]),
        _at_nodes(graph, nodes, targets["over_assignment"])
        if "over_assignment" in targets.columns
        else np.full(graph.n_nodes, np.nan),
    )


def read_targets(run: StoredRun) -> pl.DataFrame:
    """Read the targets table of a run.

    Raises
    ------
    OutputError
        Where it is not the table that was written.
    """
    import polars as pl  # only where a table is read

    try:
        frame = pl.read_parquet(io.BytesIO(read_run_file(run.folder / TARGETS_FILE)))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise damaged_run(run, f"{TARGETS_FILE} ({str(error)[:80]})") from None
    texts, numbers = ("unit", "kpi", "period", "binding"), ("stretch", "target", "odds")
    if any(frame.schema.get(name) != pl.String for name in texts) or any(
        frame.schema.get(name) != pl.Float64 for name in numbers
    ):
        raise damaged_run(run, f"{TARGETS_FILE} (its columns are others)")
    return frame


def _nodes_of(graph: CausalGraph, targets: pl.DataFrame) -> Integers:
    """Return the node of each row, -1 where the graph has none."""
    units, kpis = graph.scenario.units.position, graph.scenario.kpi_position
    unit = np.array([units.get(u, -1) for u in targets["unit"]], dtype=np.int64)
    kpi = np.array([kpis.get(k, -1) for k in targets["kpi"]], dtype=np.int64)
    places: dict[str | None, int] = {None: -1}
    if graph.scenario.periods is not None:
        places = {None: -1, **{name: t for t, name in enumerate(graph.scenario.periods.names)}}
    period = np.array([places.get(p, -2) for p in targets["period"]], dtype=np.int64)
    nodes = graph.find_nodes(unit, kpi, np.maximum(period, -1))
    return np.where((unit >= 0) & (kpi >= 0) & (period >= -1), nodes, -1)


def _stretch(graph: CausalGraph, nodes: Integers, targets: pl.DataFrame) -> Floats:
    """Return the stretch of each cell; every stretch of the plan must find its cell."""
    given = targets["stretch"].is_not_null()
    if graph.scenario.periods is not None:
        given &= targets["period"].is_not_null()
    stretched, at = targets.filter(given), nodes[given.to_numpy()]
    cells = np.where(at >= 0, graph.cell[at], -1)
    _require_cells(cells, stretched)
    stretch = np.zeros(len(graph.scenario.cells))
    stretch[cells[cells >= 0]] = stretched["stretch"].to_numpy()[cells >= 0]
    return stretch


def _require_cells(cells: Integers, stretched: pl.DataFrame) -> None:
    """Raise where the graph has no cell for a stretch of the plan."""
    lost = np.flatnonzero((cells < 0) & (stretched["stretch"].to_numpy() != 0.0))
    if len(lost):
        names = [f"{stretched['unit'][i]}/{stretched['kpi'][i]}" for i in lost[:5].tolist()]
        raise ModelError(
            Problem(
                "E-plan-place",
                f"the scenario has no cell for {len(lost):,} stretches of the plan, such as {', '.join(names)}",
                rule="a plan can be looked at where all its cells exist",
            )
        )


def _levels(graph: CausalGraph, run: StoredRun) -> Floats:
    """Return the levels of initiatives; 0 where the run did not know an initiative."""
    initiatives, units = list(graph.scenario.initiatives), graph.scenario.units.ids
    kept = {
        (entry["initiative"], entry["unit"], entry.get("start")): float(entry["level"])
        for entry in run.document["initiatives"]
    }
    starts = [graph.scenario.period_name(start) for start in graph.level_start.tolist()]
    places = zip(graph.level_initiative.tolist(), graph.level_unit.tolist(), starts, strict=True)
    return np.array([kept.get((initiatives[i], units[u], start), 0.0) for i, u, start in places], dtype=np.float64)


def _at_nodes(graph: CausalGraph, nodes: Integers, values: pl.Series) -> Floats:
    placed = np.full(graph.n_nodes, np.nan)
    known = nodes >= 0
    placed[nodes[known]] = values.cast(float).fill_null(float("nan")).to_numpy()[known]
    return placed
