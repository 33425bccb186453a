"""What `kpiopt fit` writes: a scenario file that extends the model, its cells, and every estimate with its error."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.learning.execution import LEAK_LEVEL, Execution
from kpiopt.learning.fit import Contribution, Fit
from kpiopt.learning.forecast import Forecast
from kpiopt.learning.spread import Spread
from kpiopt.reading.document import Document
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import CELLS_TABLE, Table
from kpiopt.reading.toml.emit import emit_toml
from kpiopt.runs.csv_text import csv_bytes
from kpiopt.scenario.distribution import Z95
from kpiopt.workers.versions import installed_versions

if TYPE_CHECKING:
    import polars as pl

SCHEMA = "kpiopt.fit/1"
LEAST_BETWEEN = 0.01
"""Deviation of a contribution between units, as a share of it, below which it is not written."""


def fit_files(fit: Fit, document: Document | None, folder: Path) -> dict[str, bytes]:
    """Return the contents of all files by name.

    Parameters
    ----------
    document : Document or None
        The model that was fitted.
    folder : Path
        Where they will stand; `fitted.toml` names the model relative to it.
    """
    files = {
        "baselines.csv": csv_bytes(_baselines(fit)),
        "contributions.csv": csv_bytes(_contributions(fit)),
        "execution.csv": csv_bytes(_executions(fit)),
        "draws.parquet": _draws(fit),
        "fit.json": (json.dumps(fit_as_dict(fit), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }
    if document is not None:
        table = _cells_table(document)
        if table is not None:
            files["cells.csv"] = csv_bytes(_fitted_cells(table, fit))
        seasons = _seasons_toml(fit)
        files |= {"seasons.toml": seasons.encode()} if seasons else {}
        files["fitted.toml"] = _fitted_toml(fit, document, folder, has_table=table is not None).encode()
    return files


def fit_as_dict(fit: Fit) -> dict[str, Any]:
    """Return the JSON document "kpiopt.fit/1"."""
    grid = fit.history.grid
    return {
        "schema": SCHEMA,
        "history": {"sha256": fit.history.sha256, "first": grid.names[0], "last": grid.names[-1]},
        "horizon": list(grid.after(fit.horizon)),
        "baselines": [_forecast_as_dict(f, s) for f, s in zip(fit.forecasts, fit.spreads, strict=True)],
        "contributions": [_contribution_as_dict(c) for c in fit.contributions],
        "execution": {kpi: _finite(asdict(e)) for kpi, e in fit.executions.items()},
        "missing_links": [
            {
                "cause": m.cause, "effect": m.effect, "estimate": m.slope.estimate,
                "standard_error": m.slope.standard_error, "p_value": m.p_value, "reliability": m.reliability,
            }
            for m in fit.missing
        ],
        "warnings": list(fit.warnings),
        "versions": installed_versions(),
    }  # fmt: skip


def _forecast_as_dict(found: Forecast, spread: Spread) -> dict[str, Any]:
    total = found.whole()
    return {
        "kpi": found.kpi, "units": len(found.units), "link": found.link, "weight_of_model": found.weight,
        "periods_per_year": found.grain, "standard_deviations": found.sd, "draws": len(found.draws),
        "common": spread.common, "explained_by_drivers": spread.explained, "season": list(found.season),
        "drivers_exceed": list(spread.exceeded), "drivers_below_zero": list(spread.below),
        "total_is": "sum" if found.weight_of_unit is None else "mean",
        "total": {"mean": float(total.mean()), "p5": _point(total, 5), "p95": _point(total, 95)},
    }  # fmt: skip


def _point(values: Any, share: float) -> float:
    return float(np.percentile(values, share))


def _contribution_as_dict(c: Contribution) -> dict[str, Any]:
    slope, posterior = c.slope, c.posterior
    data = None
    if slope is not None:
        low, high = slope.interval()
        data = {
            "estimate": slope.estimate, "standard_error": slope.standard_error, "low": low, "high": high,
            "degrees_of_freedom": slope.freedom, "between": slope.between, "observations": slope.observations,
            "units": slope.units, "p_value": slope.p_value,
        }  # fmt: skip
    return {
        "kpi": c.kpi, "cause": c.cause, "prior": c.prior.text, "data": data,
        "posterior": None if posterior is None else asdict(posterior), "contradicted": c.is_contradicted,
        "lag": c.lag, "method": "within units and periods, jackknife over units", "why": c.why or None,
    }  # fmt: skip


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}


def _baselines(fit: Fit) -> pl.DataFrame:
    import polars as pl

    rows = []
    for found in fit.forecasts:
        mean, low, high = found.draws.mean(axis=0), *np.percentile(found.draws, [5, 95], axis=0)
        for i, unit in enumerate(found.units):
            rows.append((unit, found.kpi, float(mean[i]), float(low[i]), float(high[i]), relative_sd(found, i)))
    return pl.DataFrame(rows, schema=["unit", "kpi", "mean", "p5", "p95", "relative_sd"], orient="row")


def relative_sd(found: Forecast, unit: int) -> float:
    """Return the standard deviation of a unit's horizon as a share of its mean, on the log scale."""
    draws = found.draws[:, unit]
    mean = float(draws.mean())
    return float(np.sqrt(np.log1p(draws.var() / mean**2))) if mean > 0.0 else 0.0


def _contributions(fit: Fit) -> pl.DataFrame:
    import polars as pl

    schema = {
        "kpi": str, "cause": str, "prior": str, "estimate": float, "standard_error": float, "low": float,
        "high": float, "posterior": float, "between": float, "lag": int, "units": int, "note": str,
    }  # fmt: skip
    rows = []
    for c in fit.contributions:
        s = c.slope
        low, high = s.interval() if s else (None, None)
        note = c.why or ("contradicts the model" if c.is_contradicted else "")
        rows.append((
            c.kpi, c.cause, c.prior.text, s.estimate if s else None, s.standard_error if s else None, low, high,
            c.posterior.mean if c.posterior else None, s.between if s else None, c.lag, s.units if s else None, note,
        ))  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _executions(fit: Fit) -> pl.DataFrame:
    import polars as pl

    fields = (
        "slope", "slope_error", "drift", "drift_error", "between", "instrumented", "instrumented_error", "leak",
        "noise", "observations", "units", "verdict",
    )  # fmt: skip
    kinds = {f: str if f == "verdict" else int if f in ("observations", "units") else float for f in fields}
    rows = [(kpi, *(_finite(asdict(e))[f] for f in fields)) for kpi, e in fit.executions.items()]
    return pl.DataFrame(rows, schema={"kpi": str, **kinds}, orient="row")


def _draws(fit: Fit) -> bytes:
    """Return the joint draws, one column a cell, usable as samples: the same row is the same future."""
    import io

    import polars as pl

    columns = {f"{u}/{f.kpi}": f.draws[:, i] for f in fit.forecasts for i, u in enumerate(f.units)}
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


def _cells_table(document: Document) -> Table | None:
    """Read the model's cells table again, as it is written; None where cells stand in the document."""
    entry = document.data.get("tables", {}).get("cells")
    if entry is None:
        return None
    options = entry if isinstance(entry, dict) else {"path": entry}
    file, _, sheet = options["path"].partition("#")
    path = document.resolve(("tables", "cells"), file)
    return read_table(
        path, str(path), CELLS_TABLE, sheet=sheet or None,
        delimiter=options.get("delimiter"), decimal=options.get("decimal"),
    )  # fmt: skip


def _fitted_cells(table: Table, fit: Fit) -> pl.DataFrame:
    """Return the model's cells with the fitted baselines; everything else as it was.

    What is fitted is about the horizon: it takes the place of what rows of single periods say of the baseline.
    """
    import polars as pl

    fitted = _cell_fields(fit)
    columns: dict[str, list[str]] = {}
    for name, values in table.columns.items():
        texts = table.quantity_text.get(name, {})
        columns[name] = [texts.get(row) or _field(value) for row, value in enumerate(values.tolist())]
    keys, single = list(zip(columns["unit"], columns["kpi"], strict=True)), columns.get("period", [""] * table.n_rows)
    whole = {key for key, period in zip(keys, single, strict=True) if not period}
    alone = [key for key in dict.fromkeys(keys) if key in fitted and key not in whole]
    for name, fields in columns.items():
        fields += [dict(zip(("unit", "kpi"), key, strict=True)).get(name, "") for key in alone]
    keys, single = [*keys, *alone], [*single[: table.n_rows], *[""] * len(alone)]
    for name in ("baseline", "noise_sd"):
        old = columns.get(name, [""] * len(keys))
        columns[name] = [
            field if key not in fitted else "" if period else fitted[key][name]
            for key, period, field in zip(keys, single, old, strict=True)
        ]
    return pl.DataFrame(columns)


def _cell_fields(fit: Fit) -> dict[tuple[str, str], dict[str, str]]:
    """Return baseline and noise of each fitted cell, as they stand in a file."""
    return {
        (unit, s.kpi): {"baseline": _digits(mean), "noise_sd": _digits(sd)}
        for s in fit.spreads
        for unit, mean, sd in zip(s.units, s.mean.tolist(), s.sd.tolist(), strict=True)
    }


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value != value else repr(value).removesuffix(".0")


def _digits(value: float) -> str:
    """Write a number with seven significant digits, without an exponent."""
    if value == 0.0:
        return "0"
    places = max(0, 6 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fitted_toml(fit: Fit, document: Document, folder: Path, *, has_table: bool) -> str:
    data: dict[str, Any] = {"schema": 1, "extends": os.path.relpath(document.source, folder).replace(os.sep, "/")}
    if has_table:
        data["tables"] = {"cells": "cells.csv"}
    kpis: dict[str, Any] = {}
    for c in fit.contributions:
        written = written_contribution(c)
        if written is not None:
            kpis.setdefault(c.kpi, {"drivers": {}})["drivers"][c.cause] = written
    if kpis:
        data["kpi"] = kpis
    share = usable_execution(fit.executions)
    if share is not None:
        data["uncertainty"] = {"execution": {"normal": list(share)}}
    if not has_table:
        data["cell"] = {
            f"{unit}/{kpi}": {name: float(text) for name, text in fields.items()}
            for (unit, kpi), fields in _cell_fields(fit).items()
        }
    data["noise"] = {f"fitted_{s.kpi}": _noise(s) for s in fit.spreads}
    grid = fit.history.grid
    head = (
        f"# Written by `kpiopt fit` from a history of {grid.names[0]} to {grid.names[-1]}, "
        f"for {grid.after(1)[0]} to {grid.after(fit.horizon)[-1]}.\n# Every estimate with its error: fit.json.\n"
    )
    return head + emit_toml(data)


def _seasons_toml(fit: Fit) -> str:
    """Return the share of each period of the horizon, for a scenario with [periods] to extend; "" where none is known.

    All KPIs by the longest periods that one of them is counted in.
    """
    grid, names = fit.history.grid, fit.history.grid.after(fit.horizon)
    known = [found for found in fit.forecasts if len(found.season) > 1]
    if not known:
        return ""
    each = fit.horizon // min(len(found.season) for found in known)
    spans = [f"{names[i]} to {names[i + each - 1]}" if each > 1 else names[i] for i in range(0, len(names), each)]
    data = {}
    for found in known:
        share = np.array(found.season).reshape(len(spans), -1).sum(axis=1)
        share[-1] = 1.0 - sum(kept := [round(part, 4) for part in share[:-1].tolist()])
        data[found.kpi] = {"season": [*kept, round(float(share[-1]), 4)]}
    head = (
        f"# Written by `kpiopt fit` from a history of {grid.names[0]} to {grid.names[-1]}: the share of the horizon\n"
        f"# that each of {len(spans)} periods is expected to bring, from {spans[0]} on.\n"
    )
    return head + emit_toml({"schema": 1, "kpi": data})


def _noise(spread: Spread) -> dict[str, Any]:
    """Return the section that says what cells have in common; their own `noise_sd` stands with them."""
    found: dict[str, Any] = {"where": {"kpi": spread.kpi}, "sd": 0.0}
    if spread.common:
        found["common"] = spread.common
    return {**found, "additive": True} if spread.additive else found


def written_contribution(c: Contribution) -> dict[str, Any] | None:
    """Return the contribution to write: the posterior, history alone where the prior is none or is contradicted."""
    if c.slope is None:
        return None
    sd = c.slope.standard_error if c.posterior is None else (c.posterior.high - c.posterior.low) / (2.0 * Z95)
    written: dict[str, Any] = {"contribution": {"normal": [_rounded(c.mean), _rounded(sd)]}}
    if c.written_lag is not None:
        written["lag"] = c.written_lag
    between = c.slope.between / abs(c.mean) if c.mean else 0.0
    return {**written, "between": _rounded(between)} if between > LEAST_BETWEEN else written


def usable_execution(executions: Mapping[str, Execution]) -> tuple[float, float] | None:
    """Return mean and deviation of execution from the KPI with most asks; None where none can be told."""
    told = [e for e in executions.values() if e.is_told]
    if not told:
        return None
    best = max(told, key=lambda e: e.observations)
    leaked = best.leak is not None and best.leak < LEAK_LEVEL and best.instrumented is not None
    slope = best.instrumented if leaked and best.instrumented is not None else best.slope
    error = best.instrumented_error if leaked and best.instrumented_error is not None else best.slope_error
    return (_rounded(slope), _rounded(float(np.hypot(error, best.between)))) if slope > 0.0 else None


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
