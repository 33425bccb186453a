"""`[effort_curve.NAME]`: which cells' effort grows faster than their stretch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.effort import EffortCurves
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.selection import Selector
from kpiopt.scenario.scenario import Cells, Units


def resolve_effort_curves(
    findings: Findings, model: ScenarioDocument, units: Units, cells: Cells
) -> EffortCurves | None:
    """Return the curves and which one each cell has; None where there are none."""
    if not model.effort_curve:
        return None
    group, selector = np.full(len(cells), -1, dtype=np.int64), Selector(findings, units, model)
    has_effort = np.zeros(len(cells), dtype=bool)
    for effort in cells.effort.values():
        has_effort |= effort != 0.0
    curves = []
    for position, (name, entry) in enumerate(model.effort_curve.items()):
        path = ("effort_curve", name)
        chosen = selector.cells_of(entry.where, (*path, "where"), cells.unit, cells.kpi)
        group[chosen] = position
        tiers = tuple((end, multiplier) for end, multiplier in entry.tiers)
        curves.append(tiers)
        shares, times = zip(*tiers, strict=True)
        if any(b <= a for a, b in pairwise((0.0, *shares))):
            message = f"the tiers of effort curve '{name}' do not ascend: {', '.join(f'{a:g}' for a in shares)}"
            rule = "each tier reaches farther than the one before, the first above 0"
            fix = "put the tiers in order"
            findings.at("E-effort-curve", message, (*path, "tiers"), rule=rule, fix=fix, kind=ModelError)
        if any(b < a for a, b in pairwise(times)):
            message = f"the multipliers of effort curve '{name}' fall: {', '.join(f'{a:g}' for a in times)}"
            rule = "more stretch never takes less effort per unit, so that the program stays linear"
            fix = "let each multiplier be at least the one before"
            findings.at("E-effort-curve", message, (*path, "tiers"), rule=rule, fix=fix, kind=ModelError)
        reach = np.where(
            chosen & cells.has_decision, cells.max_stretch / np.maximum(np.abs(cells.baseline), 1e-300), 0.0
        )
        farthest = float(np.nanmax(reach, initial=0.0))
        if len(tiers) > 1 and shares[0] >= farthest > 0.0 and times[0] == 1.0:
            message = (
                f"effort curve '{name}' begins to bend at {100 * shares[0]:g} % of the baseline, and no cell may "
                f"stretch by more than {100 * farthest:.3g} %"
            )
            fix = "write shares, such as 0.05 for 5 %, or remove it"
            findings.at("W-no-effect", message, (*path, "tiers"), fix=fix)
        if not np.any(chosen & has_effort) and findings.is_whole("cell", "cells", "unit", "joins"):
            message, fix = f"effort curve '{name}' is about no cell with effort", "correct `where`, or remove it"
            findings.at("W-no-effect", message, path, fix=fix, key=True)
    return EffortCurves(tuple(curves), group)
