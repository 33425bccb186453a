"""Capacities by period: how much of a unit's resource there is in each, and what the limit is called."""

from __future__ import annotations

import numpy as np

from kpiopt.scenario.scenario import Floats, Integers, Scenario


def season_of_capacity(scenario: Scenario, resource: str) -> Floats:
    """Return the share of a capacity in each period, (T,) float; all of it where there are no periods."""
    if scenario.periods is None:
        return np.ones(1)
    equal = np.full(len(scenario.periods), 1.0 / len(scenario.periods))
    return scenario.periods.capacity.get(resource, equal)


def capacity_names(scenario: Scenario, resource: str, holder: Integers) -> list[str]:
    """Return the names of a resource's capacities, "capacity.<resource>@<unit>", with periods "…/<period>"."""
    names = [f"capacity.{resource}@{scenario.units.ids[u]}" for u in holder.tolist()]
    periods = scenario.periods
    return names if periods is None else [f"{name}/{period}" for period in periods.names for name in names]
