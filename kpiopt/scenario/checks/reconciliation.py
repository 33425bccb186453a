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
_EXPLAINS = 1e-3
"""Relative difference up to which a slip explains a gap."""
SLIPS = {
    10.0**power: f"{10 ** abs(power):,} times too {'small' if power > 0 else 'large'}, {why}"
    for size, why in (
        (1, "a slip of the decimal point"),
        (2, "a share for per cent or a slip of the decimal point"),
        (3, "thousands for units"),
        (6, "millions for units"),
    )
    for power in (size, -size)
}
"""What a figure must be multiplied by -> what it likely is."""


def check_reconciliation(findings: Findings, kpis: list[Kpi], resolved: ResolvedCells) -> None:
    """Warn of every baseline, reference and offer that differs from what is rolled up from below.

    Parameters
    ----------
    kpis : list of Kpi
        By position.
    """
    own = resolved.roll_up.of_cells(resolved.table.fields["baseline"])
    _warn_gaps(findings, kpis, resolved, "baseline", own, resolved.baseline, "the plan uses the rolled-up figure")
    _warn_root_baselines(findings, kpis, resolved)
    _warn_unused_distributions(findings, resolved)
    for field, consequence in (
        ("reference", "each unit's own reference is used as it stands"),
        ("commit", "each unit's own offer is shown, and counts above it"),
    ):
        stated = resolved.roll_up.of_cells(resolved.table.fields[field])
        below = resolved.roll_up.total(stated, resolved.coefficient, keep=True)
        _warn_gaps(findings, kpis, resolved, field, stated, below, consequence)


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
        counted = below if field == "baseline" else np.where(np.isnan(stated), below, stated)
        _warn_gap(findings, kpi, what, *figures, consequence, place, _slip(resolved, pair, figures[0], counted))


def _slip(resolved: ResolvedCells, pair: int, stated: float, figures: Floats) -> str:
    """Say which one figure, off by a power of ten, would explain that a unit's figure is not what is below it.

    Parameters
    ----------
    figures : (n_pairs,) float
        What each pair counts for in the one above it.
    """
    roll_up, table = resolved.roll_up, resolved.table
    edges = np.flatnonzero(roll_up.parent == pair)
    parts = resolved.coefficient[edges] * figures[roll_up.child[edges]]
    for factor, words in SLIPS.items():
        fits = np.isclose(parts.sum() + (factor - 1.0) * parts, stated, rtol=_EXPLAINS, atol=0.0)
        if stated and np.count_nonzero(fits) == 1:
            at = int(roll_up.child[edges[fits]][0])
            return f"likely {roll_up.units.ids[roll_up.unit[at]]}/{table.kpi_ids[roll_up.kpi[at]]} is {words}"
    for factor, words in SLIPS.items():
        if stated and np.isclose(stated * factor, parts.sum(), rtol=_EXPLAINS, atol=0.0):
            return f"likely the figure itself is {words}"
    return ""


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
    findings: Findings,
    kpi: Kpi,
    what: str,
    stated: float,
    below: float,
    consequence: str,
    place: Location,
    slip: str = "",
) -> None:
    gap = stated - below
    if kpi.roll_up == "mean" and abs(gap) <= _half_digit(stated):
        return
    verb = "average" if kpi.roll_up == "mean" else "add up"
    share = f", {abs(gap / below):.2%}" if below else ""
    message = f"{what} of {stated:,.12g}, but the cells below {verb} to {below:,.12g} (gap {gap:+,.12g}{share})"
    message += f"; {slip}" if slip else ""
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
