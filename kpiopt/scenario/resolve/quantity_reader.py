"""Reads quantities where they stand: numbers, distributions and samples from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import InputError, Location, ModelError, NumericsError, Problem, ScenarioError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.reading.regular_file import display_path
from kpiopt.reading.rows import Rows
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import SAMPLES, ColumnRule, TableRule
from kpiopt.scenario.bounds import RANGE_RULE, out_of_range
from kpiopt.scenario.quantity import Quantity, parse_quantity

_RULE = "a quantity is a number or a distribution"


LARGEST_EXECUTION = 5.0
"""Nobody realises five times what is asked: a larger number is a percentage."""


class Sample(NamedTuple):
    """A sample that a workbook shows as a percentage: the quantity that is drawn from it, its value and its place."""

    path: KeyPath
    value: float
    place: Location


class QuantityReader:
    """Reads quantities, and notes what is wrong with them.

    Attributes
    ----------
    files : dict of str to str
        Every file of samples that was read -> SHA-256 of its bytes.
    shown_as_percent : list of Sample
        The first sample of each quantity that a workbook shows as a percentage.
    """

    def __init__(self, findings: Findings) -> None:
        self.files: dict[str, str] = {}
        self.shown_as_percent: list[Sample] = []
        self._findings = findings
        self._columns: dict[tuple[Path, str], Sequence[float]] = {}
        self._percent: dict[tuple[Path, str], list[tuple[float, Location]]] = {}
        self._names: dict[Path, str] = {}
        self._empty: dict[Path, tuple[str, NDArray[np.bool_]]] = {}

    def at(self, path: KeyPath, value: Any) -> Quantity | None:
        """Read the quantity that stands at a path of the document; None where it is wrong."""
        return self._read(value, path, dotted(path), self._findings.document.origin(path))

    def of_row(self, rows: Rows, row: int, column: str, name: str) -> Quantity | None:
        """Read the distribution that stands in a row; None where it is wrong."""
        value = rows.quantities[column][row]
        return self._read(value, rows.path(row, column), f"{column} of {name}", rows.location(row, column))

    def _read(self, value: Any, path: KeyPath | None, name: str, place: Location) -> Quantity | None:
        def samples(reference: str) -> Sequence[float]:
            return self._samples(path, reference)

        try:
            quantity = parse_quantity(value, samples)
        except ValueError as error:
            self._findings.add(Problem("E-quantity", f"{name}: {error}", _RULE, "", place), ScenarioError)
        except InputError as error:
            self._findings.take(error)
        else:
            self._check_range(quantity, name, place)
            if quantity.file:
                quantity = replace(
                    quantity, file=self._name_of(self._findings.document.resolve(path or (), quantity.file))
                )
            return quantity
        self._findings.damaged.add(str(path[0]) if path else "cell")
        return None

    def _name_of(self, file: Path) -> str:
        """Name a file of samples, the key of the stream that draws its rows: short where no other has the name."""
        taken = {name for path, name in self._names.items() if path != file}
        return self._names.setdefault(file, display_path(file) if file.name in taken else file.name)

    def _check_range(self, quantity: Quantity, name: str, place: Location) -> None:
        extreme = [p for p in (quantity.mean, *quantity.parameters) if out_of_range(p)]
        if extreme and not quantity.is_number:  # numbers are checked with all others of the document
            message = f"{name} has the parameter or mean {extreme[0]:g}"
            fix = "choose a larger or smaller unit of measure"
            self._findings.add(Problem("E-number-range", message, RANGE_RULE, fix, place), NumericsError)

    def _samples(self, path: KeyPath | None, reference: str) -> Sequence[float]:
        """Read a column "file.csv#column"."""
        if path is None:
            message = f'samples "{reference}" stand in a field of a table'
            raise ValueError(f"{message}; write them in the scenario, under [cell.…], and empty the field")
        file, mark, column = reference.rpartition("#")
        if not mark or not column:
            raise ValueError(f'samples "{reference}" names no column; write "file.csv#column"')
        resolved = self._findings.document.resolve(path or (), file)
        if (resolved, column) not in self._columns:
            rule = TableRule(SAMPLES, (ColumnRule(column, "number", required=True),), (("", "text"),), ())
            table = read_table(resolved, display_path(resolved), rule)
            self.files[display_path(resolved)] = table.sha256
            values = table.numbers(column)
            self._columns[resolved, column] = values[~np.isnan(values)].tolist()
            self._check_rows(resolved, column, np.isnan(values))
            self._percent[resolved, column] = [
                (float(values[row]), table.location(row, column)) for row in sorted(table.percent.get(column, ()))[:1]
            ]
        self.shown_as_percent += [Sample(path or (), *shown) for shown in self._percent[resolved, column]]
        return self._columns[resolved, column]

    def _check_rows(self, file: Path, column: str, is_empty: NDArray[np.bool_]) -> None:
        """Rows of one file are drawn together, so that each must be there in every column that is used."""
        first, known = self._empty.setdefault(file, (column, is_empty))
        differ = np.flatnonzero(known != is_empty)
        if len(differ):
            raise ValueError(
                f'row {differ[0] + 1} of the samples "{display_path(file)}" has a value in only one of {first} and '
                f"{column}; rows of one file are drawn together, so fill or empty both"
            )


def require_positive_mean(findings: Findings, quantity: Quantity | None, name: str, place: Location) -> Quantity | None:
    """Note an error where execution has no positive mean, or one that can only be a percentage; return the quantity."""
    if quantity is not None and not 0 < quantity.mean <= LARGEST_EXECUTION:
        message = f"{name} is {quantity.mean:g} on average"
        rule = "execution is the share of planned stretch that is realised: 1 is all of it, and its mean is above 0"
        fix = 'write for example "0.55 to 1.05"' + (" for 55 to 105 %" if quantity.mean > 1 else "")
        findings.add(Problem("E-execution", message, rule, fix, place), ModelError)
    return quantity
