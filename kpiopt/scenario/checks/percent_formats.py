"""Numbers that a workbook shows as percentages: 0.81 as 81 %, or 80 where Excel took a typed 80 for 80 %.

Shares are read as they are held. Everywhere else 0.81 may be meant, or 81, and the planner is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import Location, ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted, value_at
from kpiopt.reading.tables.table import Table
from kpiopt.scenario.checks.measures import is_percent, money_of
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.quantity_reader import Sample
from kpiopt.scenario.scenario import Kpi

_OF_CELLS = ("baseline", "min_stretch", "max_stretch", "lock", "lock_target", "reference", "commit")
"""Columns of cells in their KPI's unit."""
_OF_KPIS = ("min", "max", "step", "scale", "baseline")
"""Keys of a KPI in its own unit."""
_SHARES = {
    "goal": ("weight", "p_min"),
    "kpi": ("carry", "season", "between"),
    "initiative": ("build_up", "between"),
    "capacity": ("scale", "attrition", "season"),
    "assign": ("least_weight",),
    "decide": ("slack", "cvar"),
    "odds": ("p_min",),
    "simulation": ("precision",),
    "cell": ("execution", "weight", "size"),
    "unit": ("availability", "size"),
    "adjust": ("scale", "weight", "size"),
}
"""Section -> keys that are shares, factors or weights."""
_ALL_SHARES = (
    "guardrail", "pay_plan", "correlation", "effort_curve", "ramp", "fairness", "over_assignment", "reconcile",
    "uncertainty", "execution", "relax",
)  # fmt: skip
"""Sections in which every number is one."""
_SHARE_WORDS = ("share", "ratio", "fraction", "proportion", "probability", "anteil")


@dataclass(frozen=True)
class PercentFormats:
    """What is asked about numbers of workbooks that are shown as percentages.

    Attributes
    ----------
    tables : sequence of (str, Table or None)
        "unit" and "cell" with their tables as they were read.
    samples : sequence of Sample
        Columns of samples that are shown so.
    """

    findings: Findings
    model: ScenarioDocument
    kpis: Mapping[str, Kpi]
    tables: Sequence[tuple[str, Table | None]]
    samples: Sequence[Sample]

    def run(self) -> None:
        """Note every number of which nobody can tell what it means; for the rows of a table once for each unit."""
        document = self.findings.document
        for path in document.shown_as_percent():
            value = value_at(document.data, path)
            if isinstance(value, int | float):
                self._ask([(float(value), document.origin(path))], path)
        for sample in self.samples:
            self._ask([(sample.value, sample.place)], sample.path)
        for section, table in self.tables:
            if table is not None:
                self._ask_columns(section, table)

    def _ask_columns(self, section: str, table: Table) -> None:
        kpis = table.texts("kpi") if section == "cell" else table.texts("unit")
        for column, shown in table.percent.items():
            if column == "size" and np.isfinite(table.numbers(column)).sum() == len(shown):
                continue  # sizes are compared with each other only
            rows: dict[str, list[tuple[float, Location]]] = {}
            for row in sorted(shown):
                found = rows.setdefault(str(kpis[row]) if section == "cell" else "", [])
                found.append((float(table.numbers(column)[row]), table.location(row, column)))
            for kpi, found in rows.items():
                is_mixed = column == "size"
                self._ask(found, (section, f"/{kpi}", *column.split(".", 1)), is_mixed=is_mixed)

    def _ask(self, shown: list[tuple[float, Location]], path: KeyPath, *, is_mixed: bool = False) -> None:
        shown = [(value, place) for value, place in shown if value]  # 0 % is 0 either way
        if path[0] == "sweep" and len(path) > 1:  # an axis has values of what it is about
            path = tuple(str(path[1]).split("."))
        kpi = self._measured(path)
        if not shown or (not is_mixed and self._is_share(path, kpi)):
            return
        if kpi is not None:
            problem = percent_problem(shown, kpi)
        else:
            why = "others of the column are shown as numbers" if is_mixed else f"{self._name(path)} is no share"
            problem = problem_of(shown, why)
        self.findings.add(problem, ModelError)

    def _name(self, path: KeyPath) -> str:
        """Name a number in the planner's words."""
        if path[0] in ("unit", "cell") and str(path[1]).startswith("/"):
            return f"column {'.'.join(map(str, path[2:]))}"
        return dotted(path)

    def _is_share(self, path: KeyPath, kpi: Kpi | None) -> bool:
        """Whether the number at a path can only be a share, so that 0.81 is what 81 % means."""
        section, field = str(path[0]), str(path[-1])
        if kpi is not None:
            return reads_as_share(kpi.unit)
        match path:
            case ("kpi" | "initiative", _, "drivers" | "effects", *_) if field not in ("between", "lag"):
                return self._is_dimensionless(path)
            case ("noise", name, "sd"):
                return not self.model.noise[str(name)].additive if str(name) in self.model.noise else True
            case ("cell", cell, "noise_sd"):
                own = self.kpis.get(_kpi_of(cell))
                is_added = any(noise.additive for noise in self.model.noise.values())
                return own is not None and not is_percent(own.unit) and not is_added
            case ("cell", cell, "pay_rate"):
                own, pay = self.kpis.get(_kpi_of(cell)), money_of(self.model.currency)
                return own is not None and pay is not None and money_of(own.unit) == pay
            case ("decide" | "adjust", _, *_) if len(path) > 2:
                return bool({str(part) for part in path[1:]} & set(_SHARES[section]))
        return section in (*_ALL_SHARES, "noise") or field in _SHARES.get(section, ())

    def _is_dimensionless(self, path: KeyPath) -> bool:
        """Whether a contribution is between two KPIs of one unit: half of it is 50 %."""
        cause = self.kpis.get(str(path[3])) if path[2] == "drivers" else None
        driven = self.kpis.get(str(path[1]))
        if cause is None or driven is None:
            return False
        ours, theirs = driven.unit.strip().casefold(), cause.unit.strip().casefold()
        return bool(ours) and (ours == theirs or (is_percent(ours) and is_percent(theirs)))

    def _measured(self, path: KeyPath) -> Kpi | None:
        """Return the KPI in whose unit the value at a path of the document is; None where it is in no KPI's unit."""
        match path:
            case ("kpi", kpi, field) if field in _OF_KPIS:
                return self.kpis.get(str(kpi))
            case ("kpi", kpi, "drivers", _) | ("kpi", kpi, "drivers", _, "contribution"):
                return None if self._is_dimensionless(path) else self.kpis.get(str(kpi))
            case ("initiative", _, "effects", kpi) | ("initiative", _, "effects", kpi, "contribution"):
                return self.kpis.get(str(kpi))
            case ("goal", goal, "target"):
                entry = self.model.goal.get(str(goal))
                return None if entry is None else self.kpis.get(entry.kpi or str(goal))
            case ("cell", cell, field) if field in _OF_CELLS:
                return self.kpis.get(_kpi_of(cell))
        return None


def _kpi_of(cell: str | int) -> str:
    """Return the KPI of "unit/kpi" or "unit/kpi/period"."""
    return str(cell).split("/")[1] if "/" in str(cell) else ""


def percent_problem(shown: Sequence[tuple[float, Location]], kpi: Kpi) -> Problem:
    """Return the question about values of a KPI that a workbook shows as percentages, with their places."""
    if kpi.unit and not is_percent(kpi.unit):
        return problem_of(shown, f"'{kpi.id}' is in {kpi.unit}")
    fix = f'type {100 * shown[0][0]:.4g} in a cell with a number format, or set unit = "share" for the KPI'
    return problem_of(shown, f"'{kpi.id}' {f'is in {kpi.unit}' if kpi.unit else 'has no unit of measure'}", fix)


def problem_of(shown: Sequence[tuple[float, Location]], why: str, fix: str = "") -> Problem:
    """Return the question about values that a workbook shows as percentages where they need not be shares."""
    value, place = shown[0]
    many = f" ({len(shown):,} such cells)" if len(shown) > 1 else ""
    message = f"the sheet shows {100 * value:.4g} % here but holds {value:.4g}, and {why}{many}"
    rule = "a workbook is read by what its cells hold, not by how they are shown"
    fix = fix or f"type {value:.4g} or {100 * value:.4g}, whichever is meant, in a cell with a number format"
    return Problem("E-percent-format", message, rule, fix, place)


def reads_as_share(unit: str) -> bool:
    """Whether 81 % is written 0.81 in a unit of measure.

    Examples
    --------
    >>> reads_as_share("share of calls"), reads_as_share("% of calls"), reads_as_share("points"), reads_as_share("")
    (True, False, False, False)
    """
    words = unit.casefold().replace("(", " ").replace(")", " ").split()
    return not is_percent(unit) and bool(set(words) & set(_SHARE_WORDS))
