"""What is random: the streams of a plan, and how their normal scores become values.

Every source of chance is one standard normal score: the named quantities (factors, contributions, effects,
baselines), the parts of execution that units have in common, and each cell's own part of execution. Scores are
correlated by the copula and pushed through each quantity's quantile function. Quantities that are columns of one
file of samples have one score together: it draws a row of the file.

Execution of a cell has the score

    z = sum_l sqrt(share_l) Z_(unit of level l at or above the cell) + sqrt(1 - sum_l share_l) Z_own

over the levels of `common`; a share whose level has no unit at or above the cell stays with the cell's own part.
"uncertainty.execution" in `[correlation]` names the organization's common part.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import Location, ModelError, Problem
from kpiopt.graph import CausalGraph, NamedQuantity
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import ORGANIZATION, Floats, Integers, Scenario, Units
from kpiopt.simulation.copula import Copula, build_copula
from kpiopt.simulation.noise import NoiseDraws, noisy_nodes
from kpiopt.simulation.transform import Transform, build_transform

T = TypeVar("T")

TILE = 1 << 15
"""Numbers that are drawn at a time, so that they stay in the processor's cache until they are used."""

ORGANIZATION_PART = "uncertainty.execution"

ScoreSource = Callable[[slice], Floats]
"""Rows of sources -> their independent scores, (n_rows, n_draws) float."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Cells start … stop - 1 of `RandomInputs.cells`: their distribution and the weights of their scores."""

    start: int
    stop: int
    quantity: Quantity
    own_weight: Floats
    common_weight: sp.csr_array | None


@dataclass(frozen=True)
class RandomInputs:
    """The sources of chance of one plan.

    Attributes
    ----------
    names : tuple of str
        Keys of the streams: named quantities and files of samples, then common parts of execution and of noise, then
        cells' own parts of execution, then of noise.
    quantities : tuple of Quantity
        The named quantities that matter.
    source : (n_quantities,) int
        Stream of each of them, in the order of `names`.
    n_sources : int
        Number of these streams.
    quantity_row : (n,) int
        Row of each of the graph's quantities, -1 where nothing uses it.
    n_common : int
        Number of common parts, of execution and then of noise.
    cells : (n_own,) int
        Cells whose execution is drawn, in the order of their rows; grouped by distribution.
    groups : tuple of (start, stop, Quantity)
        Ranges of `cells` that share a distribution.
    own_weight : (n_own,) float
        sqrt(1 - sum of shares).
    common_weight : (n_own, n_common) CSR
        sqrt(share) of each common part.
    transform : Transform
        Scores of the named quantities -> their values.
    """

    names: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    quantity_names: tuple[str, ...]
    source: Integers
    n_sources: int
    quantity_row: Integers
    n_common: int
    cells: Integers
    groups: tuple[tuple[int, int, Quantity], ...]
    own_weight: Floats
    common_weight: sp.csr_array
    noise: NoiseDraws | None
    copula: Copula
    transform: Transform
    notes: tuple[Problem, ...] = ()

    @property
    def n_shared(self) -> int:
        """Number of rows before the cells' own parts."""
        return self.n_sources + self.n_common

    def draw_shared(self, scores: ScoreSource, n_draws: int) -> tuple[Floats, Floats]:
        """Return the named quantities' values and the common parts' scores.

        Returns
        -------
        values : (n_quantities, n_draws) float
            In each quantity's own unit.
        common : (n_common, n_draws) float
        """
        shared = np.empty((self.n_shared, n_draws))
        tile = max(1, TILE // n_draws)
        for start in range(0, self.n_shared, tile):
            rows = slice(start, min(start + tile, self.n_shared))
            shared[rows] = scores(rows)
        self.copula.correlate(shared)
        own = shared[: self.n_sources]
        values = own if self.n_sources == len(self.quantities) else own[self.source]
        return self.transform.apply(values), shared[self.n_sources :]

    def tiles(self, n_draws: int) -> tuple[Tile, ...]:
        """Return pieces of `cells`, each of one distribution and of about `TILE` numbers at `n_draws` draws."""
        size = max(1, TILE // n_draws)
        return tuple(
            Tile(
                start,
                stop,
                quantity,
                self.own_weight[start:stop, None].copy(),
                self.common_weight[start:stop] if self.common_weight.shape[1] else None,
            )
            for first, last, quantity in self.groups
            for start in range(first, last, size)
            for stop in [min(start + size, last)]
        )

    def draw_execution(self, scores: ScoreSource, common: Floats, tile: Tile) -> Floats:
        """Return the execution of a tile's cells, (stop - start, n_draws) float."""
        z = scores(slice(self.n_shared + tile.start, self.n_shared + tile.stop))
        if tile.common_weight is not None:
            z *= tile.own_weight
            z += tile.common_weight @ common[: tile.common_weight.shape[1]]
        return tile.quantity.at_score(z)

    def draw_noise(self, scores: ScoreSource, common: Floats) -> Floats:
        """Return the noise of the cells of `noise`, see `NoiseDraws.factor`; (n, n_draws) float."""
        assert self.noise is not None
        first = self.n_shared + len(self.cells)
        own = scores(slice(first, first + len(self.noise.cells)))
        return self.noise.factor(own, common[self.n_common - len(self.noise.common_names) :])


def build_inputs(graph: CausalGraph, stretch: Floats) -> RandomInputs:
    """Collect what is random in a plan.

    Parameters
    ----------
    stretch : (n_cells,) float
        Cells without stretch have nothing to execute and need no draw; what is locked below 0 is certain.

    Raises
    ------
    ModelError
        Where `[correlation]` names execution but no share of it is common to the organization.
    NumericsError
        Where the correlations are not positive definite.
    """
    scenario = graph.scenario
    used = np.zeros(len(graph.quantities), dtype=bool)
    used[graph.edge_quantity[graph.edge_quantity >= 0]] = True
    used[graph.edge_between[graph.edge_between >= 0]] = True
    used[graph.node_quantity[graph.node_quantity >= 0]] = True
    named = [q for q, is_used in zip(graph.quantities, used, strict=True) if is_used]
    cells, groups = _drawn_cells(scenario, stretch)
    own_weight, common_weight, common_names = _common_parts(
        scenario.units, scenario.cells.unit[cells], scenario.uncertainty.common, ORGANIZATION_PART
    )
    noise = build_noise(graph)
    noise_parts = noise.common_names if noise else ()
    together = joint_files(named)
    keys = [f"samples.{q.quantity.file}" if q.quantity.file in together else q.name for q in named]
    sources = tuple(dict.fromkeys(keys))
    quantities = [q.quantity.by_row() if q.quantity.file in together else q.quantity for q in named]
    position = {name: row for row, name in enumerate([*sources, *common_names])}
    known = {*position, *(q.name for q in named)}
    correlation, places = _by_name(scenario.correlation, known), _by_name(scenario.correlation_at, known)
    at = {name: places.get(pair) for pair in reversed(correlation) for name in pair}
    _refuse_joint(named, together, at)
    notes = _check_correlation(scenario, position, at)
    return RandomInputs(
        names=(
            *(*sources, *common_names, *noise_parts, *_cell_names(scenario, cells, "execution")),
            *_cell_names(scenario, noise.cells if noise else cells[:0], "noise"),
        ),
        quantities=tuple(quantities),
        quantity_names=tuple(q.name for q in named),
        source=np.array([position[key] for key in keys], dtype=np.int64),
        n_sources=len(sources),
        quantity_row=np.where(used, np.cumsum(used) - 1, -1),
        n_common=len(common_names) + len(noise_parts),
        cells=cells,
        groups=groups,
        own_weight=own_weight,
        common_weight=common_weight,
        noise=noise,
        copula=build_copula(correlation, position, places),
        transform=build_transform(quantities),
        notes=notes,
    )


def joint_files(named: Iterable[NamedQuantity]) -> frozenset[str]:
    """Return the files of samples that more than one quantity reads: their rows are drawn together."""
    files = [q.quantity.file for q in named if q.quantity.file]
    return frozenset(file for file in files if files.count(file) > 1)


def _refuse_joint(
    named: Iterable[NamedQuantity], together: Container[str], correlated: Mapping[str, Location | None]
) -> None:
    """Refuse correlations of quantities whose dependence stands in the rows of their file."""
    refused = [q for q in named if q.quantity.file in together and q.name in correlated]
    if refused:
        raise ModelError(*(_is_joint(q, correlated[q.name]) for q in refused))


def _is_joint(quantity: NamedQuantity, place: Location | None) -> Problem:
    return Problem(
        "E-correlation-samples",
        f"[correlation] names {quantity.name}, but other quantities are samples of {quantity.quantity.file} as well",
        rule="rows of one file of samples are drawn together: all that its columns depend on stands in the rows",
        fix="remove the correlation, or write the other quantity as a column of the same file",
        location=place,
    )


def _drawn_cells(scenario: Scenario, stretch: Floats) -> tuple[Integers, tuple[tuple[int, int, Quantity], ...]]:
    """Cells with stretch and uncertain execution, grouped by distribution."""
    execution = scenario.cells.execution
    quantities = scenario.uncertainty.execution
    uncertain = np.array([not q.is_number for q in quantities])
    cells = np.flatnonzero((stretch > 0) & uncertain[execution])
    cells = cells[np.argsort(execution[cells], kind="stable")]
    which, first = np.unique(execution[cells], return_index=True)
    bounds = [*first.tolist(), len(cells)]
    groups = tuple((bounds[i], bounds[i + 1], quantities[q]) for i, q in enumerate(which.tolist()))
    return cells, groups


def build_noise(graph: CausalGraph) -> NoiseDraws | None:
    """Collect the cells whose baselines have noise; None where there are none."""
    nodes, noise = noisy_nodes(graph), graph.scenario.noise
    if noise is None or not len(nodes):
        return None
    cells = graph.cell[nodes]
    unit, group = graph.scenario.cells.unit[cells], noise.group[cells]
    own = np.ones(len(cells))
    weights, names = [sp.csr_array((len(cells), 0))], []
    for position, name in enumerate(noise.names):
        here = np.flatnonzero(group == position)
        own[here], weight, parts = _common_parts(
            graph.scenario.units, unit[here], noise.common[position], f"noise.{name}"
        )
        names += parts
        place = sp.csr_array((np.ones(len(here)), (here, np.arange(len(here)))), shape=(len(cells), len(here)))
        weights.append(place @ weight)
    return NoiseDraws(
        cells,
        nodes,
        noise.sd[cells][:, None],
        np.array(noise.additive)[group][:, None],
        own[:, None],
        sp.csr_array(sp.hstack(weights, format="csr")),
        tuple(names),
    )


def _cell_names(scenario: Scenario, cells: Integers, what: str) -> list[str]:
    units, kpis = scenario.units.ids, scenario.kpi_ids
    where = zip(scenario.cells.unit[cells].tolist(), scenario.cells.kpi[cells].tolist(), strict=True)
    return [f"cell.{units[unit]}/{kpis[kpi]}.{what}" for unit, kpi in where]


def _common_parts(
    units: Units, unit: Integers, common: Mapping[str, float], key: str
) -> tuple[Floats, sp.csr_array, list[str]]:
    """Weights of the own and the common parts of a score for cells at some units, and the common parts' names."""
    rest = np.ones(len(unit))
    names: list[str] = []
    rows, columns, weights = [], [], []
    for level, share in common.items():
        if share == 0 or not len(unit):
            continue
        above = unit_at_level(units, level)[unit]
        has_part = np.flatnonzero(above >= 0)
        parts, column = np.unique(above[has_part], return_inverse=True)
        rows.append(has_part)
        columns.append(column + len(names))
        weights.append(np.full(len(has_part), np.sqrt(share)))
        names += [key if level == ORGANIZATION else f"{key}@{units.ids[part]}" for part in parts.tolist()]
        rest[has_part] -= share
    shape = (len(unit), len(names))
    if not names:
        return np.sqrt(rest), sp.csr_array(shape), names
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return np.sqrt(np.maximum(rest, 0.0)), sp.csr_array(entries, shape=shape), names


def unit_at_level(units: Units, level: str) -> Integers:
    """Return the nearest unit of a level at or above each unit, -1 where there is none; (n_units,) int."""
    if level == ORGANIZATION:
        return np.zeros(len(units), dtype=np.int64)
    found = np.where([name == level for name in units.levels], np.arange(len(units)), -1)
    for unit, parent in enumerate(units.parent.tolist()):  # parents stand before their children
        if found[unit] < 0 <= parent:
            found[unit] = found[parent]
    return found


def correlation_by_name(scenario: Scenario, known: Container[str]) -> dict[tuple[str, str], float]:
    """Return `[correlation]` keyed by names of quantities; a path may end in `.value` or `.contribution`."""
    return _by_name(scenario.correlation, known)


def _by_name(pairs: Mapping[tuple[str, str], T], known: Container[str]) -> dict[tuple[str, str], T]:

    def name_of(path: str) -> str:
        return path if path in known else path.removesuffix(".value").removesuffix(".contribution")

    return {(name_of(a), name_of(b)): value for (a, b), value in pairs.items()}


def _check_correlation(
    scenario: Scenario, known: Container[str], correlated: Mapping[str, Location | None]
) -> tuple[Problem, ...]:
    """Refuse correlations that could have no effect by mistake; note those of quantities that are certain."""
    without_row = [name for name in sorted(correlated) if name not in known]
    has_part = scenario.uncertainty.common.get(ORGANIZATION, 0.0) > 0
    refused = [n for n in without_row if n.startswith("execution.") or (n == ORGANIZATION_PART and not has_part)]
    if refused and not all(q.is_number for q in scenario.uncertainty.execution):
        raise ModelError(*(_no_common_part(name, correlated[name]) for name in refused))
    return tuple(_certain(name, correlated[name]) for name in without_row)


def _no_common_part(name: str, place: Location | None) -> Problem:
    return Problem(
        "E-correlation-execution",
        f"[correlation] names {name}, but no part of it is common to the organization",
        rule=f'"{ORGANIZATION_PART}" in [correlation] is the part of execution that the whole organization shares',
        fix="give that part a share in [uncertainty], such as common = { organization = 0.3 }",
        location=place,
    )


def _certain(name: str, place: Location | None) -> Problem:
    return Problem(
        "W-correlation-certain",
        f"[correlation] names {name}, which is certain or acts on nothing; its correlations have no effect",
        fix="give it a distribution, or remove it from [correlation]",
        location=place,
    )
