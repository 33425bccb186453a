"""Capacities by period: how much of a unit's resource there is in each, and what the limit is called."""

from __future__ import annotations

import numpy as np

from kpiopt.scenario.scenario import Floats, Integers, Scenario


def season_of_capacity(scenario: Scenario, resource: str, holder: Integers) -> Floats:
    """Return the share of a capacity that the units in `holder`, (n,) int, have in each period, (T, n) float."""
    if scenario.periods is None:
        return np.ones((1, len(holder)))
    equal = np.full(len(scenario.periods), 1.0 / len(scenario.periods))
    share = scenario.periods.capacity.get(resource, equal)
    return share[holder].T if share.ndim == 2 else np.repeat(share[:, None], len(holder), axis=1)


def capacity_names(scenario: Scenario, resource: str, holder: Integers) -> list[str]:
    """Return "capacity.<resource>@<unit>" for each unit in `holder`, (n,) int; with periods "…/<period>"."""
    names = [f"capacity.{resource}@{scenario.units.ids[u]}" for u in holder.tolist()]
    periods = scenario.periods
    return names if periods is None else [f"{name}/{period}" for period in periods.names for name in names]
