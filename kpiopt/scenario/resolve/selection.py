"""`where`: which units or cells a selection means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.strategy_map import KpiEntry
from kpiopt.scenario.format.values import CellSelection, UnitSelection
from kpiopt.scenario.scenario import Integers, Units

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Selector:
    """Looks names of a selection up, and notes those that do not exist."""

    findings: Findings
    units: Units
    model: ScenarioDocument

    def units_of(self, selection: UnitSelection, path: KeyPath) -> Mask:
        """Return which units are meant, (n_units,) bool.

        Notes an error for each name that does not exist, and one where nothing is left.
        """
        chosen, unknown = self._units(selection, path)
        chosen &= ~self.units.is_own
        if not chosen.any() and not unknown:
            self._note_empty(path, "unit")
        return chosen

    def cells_of(self, selection: CellSelection, path: KeyPath, unit: Integers, kpi: Integers) -> Mask:
        """Return which cells are meant.

        Parameters
        ----------
        unit, kpi : (n,) int
            The cells, as positions in `Units` and among the model's KPIs.

        Returns
        -------
        (n,) bool
        """
        units, unknown = self._units(selection, path)
        kpis, unknown_too = self._kpis(selection, path)
        chosen: Mask = units[self.units.home[unit]] & kpis[kpi]
        if not chosen.any() and not unknown and not unknown_too:
            self._note_empty(path, "cell")
        return chosen

    def _note_empty(self, path: KeyPath, what: str) -> None:
        if not self.findings.is_whole("unit", "cell", "kpi", "objective", "joins", "cells"):
            return
        message, rule = f"no {what} is meant by this selection", "all keys of a selection must hold at once"
        self.findings.at(
            "E-where-empty", message, path, rule=rule, fix="correct or remove the selection", kind=ModelError
        )

    def _units(self, selection: UnitSelection, path: KeyPath) -> tuple[Mask, bool]:
        units = self.units
        chosen = np.ones(len(units), dtype=bool)
        unknown = False
        attributes = (("level", units.levels), ("role", units.roles))
        for key, values in attributes:
            names = getattr(selection, key)
            if names is not None:
                known = dict.fromkeys(value for value in values if value)
                unknown |= self._unknown(key, names, known, (*path, key))
                chosen &= np.isin(np.array(values), names)
        by_id: tuple[tuple[str, Callable[[Sequence[int]], Mask]], ...] = (
            ("unit", self._themselves),
            ("parent", self._below),
            ("under", self._subtrees),
        )
        for key, meaning in by_id:
            names = getattr(selection, key)
            if names is not None:
                unknown |= self._unknown("unit", names, units.position, (*path, key))
                chosen &= meaning([units.position[name] for name in names if name in units.position])
        return chosen, unknown

    def _themselves(self, positions: Sequence[int]) -> Mask:
        mask = np.zeros(len(self.units), dtype=bool)
        mask[list(positions)] = True
        return mask

    def _below(self, positions: Sequence[int]) -> Mask:
        return np.isin(self.units.parent, positions)

    def _subtrees(self, positions: Sequence[int]) -> Mask:
        mask = np.zeros(len(self.units), dtype=bool)
        for position in positions:
            mask[position : self.units.end[position]] = True
        return mask

    def _kpis(self, selection: CellSelection, path: KeyPath) -> tuple[Mask, bool]:
        kpis = self.model.kpi
        chosen = np.ones(len(kpis), dtype=bool)
        unknown = False
        attributes: Mapping[str, Callable[[str, KpiEntry], str | None]] = {
            "kpi": lambda kpi, _: kpi,
            "objective": lambda _, entry: entry.objective,
            "perspective": lambda _, entry: self._perspective(entry.objective),
        }
        for key, attribute in attributes.items():
            names = getattr(selection, key)
            if names is not None:
                unknown |= self._unknown("KPI" if key == "kpi" else key, names, getattr(self.model, key), (*path, key))
                chosen &= np.array([attribute(kpi, entry) in names for kpi, entry in kpis.items()], dtype=bool)
        return chosen, unknown

    def _perspective(self, objective: str | None) -> str | None:
        entry = self.model.objective.get(objective or "")
        return entry.perspective if entry else None

    def _unknown(self, what: str, names: Sequence[str], known: Collection[str], path: KeyPath) -> bool:
        """Note names that do not exist; those that are declared but have errors are unknown without a note."""
        missing = [name for name in names if name not in known]
        for name in missing:
            if name not in self.findings.declared(what.lower()):
                self.findings.unknown(what, name, known, path, ModelError)
        return bool(missing)
