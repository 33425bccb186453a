"""Figures that contradict their own hierarchy: what an upper unit states against what the units below it add up to."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from kpiopt.errors import Location
from kpiopt.reading.findings import Findings
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.scenario import Floats, Kpi

_NOISE = 1e-9
"""Relative difference that is taken for rounding of sums."""


def check_reconciliation(findings: Findings, kpis: list[Kpi], resolved: ResolvedCells) -> None:
    """Warn of every baseline and reference that differs from what is rolled up from below.

    Parameters
    ----------
    kpis : list of Kpi
        By position.
    """
    own = resolved.roll_up.of_cells(resolved.table.fields["baseline"])
    _warn_gaps(findings, kpis, resolved, "baseline", own, resolved.baseline, "the plan uses the rolled-up figure")
    _warn_root_baselines(findings, kpis, resolved)
    _warn_unused_distributions(findings, resolved)
    reference = resolved.roll_up.of_cells(resolved.table.fields["reference"])
    below = resolved.roll_up.total(reference, resolved.coefficient, keep=True)
    _warn_gaps(
        findings, kpis, resolved, "reference", reference, below, "each unit's own reference is used as it stands"
    )


def _warn_gaps(
    findings: Findings,
    kpis: list[Kpi],
    resolved: ResolvedCells,
    field: str,
    stated: Floats,
    below: Floats,
    consequence: str,
) -> None:
    roll_up, table = resolved.roll_up, resolved.table
    differs = np.abs(stated - below) > _NOISE * np.maximum(np.abs(stated), np.abs(below))
    for pair in np.flatnonzero(differs & roll_up.is_parent).tolist():
        cell, kpi = int(roll_up.cell[pair]), kpis[roll_up.kpi[pair]]
        place = table.location(cell, field)
        what, figures = f"{table.name(cell)} states a {field}", (float(stated[pair]), float(below[pair]))
        _warn_gap(findings, kpi, what, *figures, consequence, place)


def _warn_root_baselines(findings: Findings, kpis: list[Kpi], resolved: ResolvedCells) -> None:
    """Compare `baseline` of a KPI with what its cells come to at the root."""
    for position, kpi in enumerate(kpis):
        if kpi.baseline is None:
            continue
        pair = int(resolved.roll_up.find(0, position)[0])
        used = float(resolved.baseline[pair])
        is_given_twice = resolved.roll_up.is_parent[pair] or resolved.roll_up.cell[pair] >= 0
        if is_given_twice and abs(kpi.baseline.mean - used) > _NOISE * max(abs(used), abs(kpi.baseline.mean)):
            place = findings.document.origin(("kpi", kpi.id, "baseline"))
            what = f"KPI '{kpi.id}' states a baseline"
            _warn_gap(findings, kpi, what, kpi.baseline.mean, used, "the plan uses the figure of the cells", place)


def _warn_gap(
    findings: Findings, kpi: Kpi, what: str, stated: float, below: float, consequence: str, place: Location
) -> None:
    gap = stated - below
    if kpi.roll_up == "mean" and abs(gap) <= _half_digit(stated):
        return
    verb = "average" if kpi.roll_up == "mean" else "add up"
    share = f", {abs(gap / below):.2%}" if below else ""
    message = f"{what} of {stated:,.12g}, but the cells below {verb} to {below:,.12g} (gap {gap:+,.12g}{share})"
    rule = f"a figure agrees with what is below it; {consequence}"
    findings.warn("W-reconciliation", message, place, rule=rule, fix="correct the figure, or those below it")


def _half_digit(value: float) -> float:
    """Half a unit of the last digit that is written: a mean is stated rounded."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return 0.5 * 10.0 ** min(int(exponent), 0)


def _warn_unused_distributions(findings: Findings, resolved: ResolvedCells) -> None:
    inner = resolved.roll_up.is_parent[resolved.roll_up.cell >= 0]
    for cell in resolved.table.baseline_quantity:
        if inner[cell]:
            message = f"the baseline of {resolved.table.name(cell)} is a distribution that is not used"
            rule = "where cells below roll up, their baselines are used"
            place = resolved.table.location(cell, "baseline")
            findings.warn("W-inner-distribution", message, place, rule=rule, fix="give the cells below distributions")
