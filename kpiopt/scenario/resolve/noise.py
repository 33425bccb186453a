"""`[noise.NAME]` and the column `noise_sd`: how the baseline of each cell scatters."""

from __future__ import annotations

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.noise import Noise
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.resolve.plan import check_common
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.scenario import Cells, Units


def resolve_noise(findings: Findings, model: ScenarioDocument, units: Units, found: ResolvedCells) -> Noise | None:
    """Return the noise of baselines; None where there is none. Of several that match a cell the last one counts.

    Rows about a total have none: it has the noise of the cells below.
    """
    table, cells = found.table, found.cells
    own, inner = table.fields["noise_sd"], found.roll_up.is_parent[found.roll_up.cell >= 0]
    group, sd = np.full(len(cells), -1, dtype=np.int64), np.zeros(len(cells))
    mean = _mean_size(cells, ~inner, len(model.kpi))[cells.kpi]
    selector = Selector(findings, units, model)
    for position, (name, entry) in enumerate(model.noise.items()):
        path = ("noise", name)
        check_common(findings, entry.common, units, (*path, "common"))
        chosen = selector.cells_of(entry.where, (*path, "where"), cells.unit, cells.kpi) & ~inner
        group[chosen] = position
        size = np.abs(cells.baseline[chosen])
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = entry.sd * (size / mean[chosen]) ** entry.size if entry.size else np.full(len(size), entry.sd)
        lost = (size == 0) & ~np.isfinite(scaled)
        if entry.additive and np.any(lost & np.isnan(own[chosen])):
            cell = int(np.arange(len(cells))[chosen][lost][0])
            message = f"noise '{name}' grows without limit at {table.name(cell)}, whose baseline is 0"
            fix = "give the cell a noise_sd, leave it out of `where`, or set size = 0"
            rule = "the sd of a cell is sd x (|baseline| / mean |baseline|)^size"
            findings.at("E-noise-size", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
        sd[chosen] = np.where(lost, 0.0, scaled)
    has_own = ~np.isnan(own)
    group[has_own & (group < 0)] = len(model.noise)
    sd = np.where(has_own, own, sd)
    if not np.any(group >= 0):
        return None
    entries = list(model.noise.values())
    return Noise(
        names=(*model.noise, ""),
        additive=(*(e.additive for e in entries), False),
        common=(*(dict(e.common) for e in entries), {}),
        group=group,
        sd=sd,
    )


def _mean_size(cells: Cells, counted: Mask, n_kpis: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean |baseline| of the counted cells of each KPI; 1 where all are 0."""
    count = np.bincount(cells.kpi[counted], minlength=n_kpis)
    total = np.bincount(cells.kpi[counted], np.abs(cells.baseline[counted]), n_kpis)
    return np.where(total > 0, total / np.maximum(count, 1), 1.0)
