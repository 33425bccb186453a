"""Organizations whose truth is known: contributions that differ between units, lags, seasons, walks of regions.

Nothing here is made as the estimators assume it to be: noise is heavy-tailed and autocorrelated, sizes differ by an
order of magnitude, every unit has a season of its own strength, and regions have ups and downs that move cause and
effect alike.
"""

from __future__ import annotations

import numpy as np

import kpiopt
from kpiopt.learning.history import Series
from kpiopt.scenario.scenario import Scenario

EFFECT = 5.0
REGIONS = 4


def regions_of(units: int) -> int:
    """Four regions, one where most units would be alone in theirs: what moves these cannot be told from a unit."""
    return REGIONS if units >= 2 * REGIONS else 1


def model_of(folder, units: int) -> Scenario:
    """A map with visits -> sales, training -> visits, and no arrow from training to sales."""
    rows = [f'[unit.u{i}]\nparent = "r{i % regions_of(units)}"' for i in range(units)]
    rows += [f'[unit.r{i}]\nparent = "co"\nlevel = "region"' for i in range(regions_of(units))]
    rows += [f'[cell."u{i}/{k}"]\nbaseline = 1' for i in range(units) for k in ("sales", "visits", "training")]
    head = 'schema = 1\nname = "x"\n[unit.co]\n[kpi.training]\n[kpi.visits.drivers]\n'
    head += 'training = { contribution = 1, at = "co" }'
    head += '\n[kpi.sales.drivers]\nvisits = { contribution = "1 to 20", at = "co" }\n'
    path = folder / "model.toml"
    path.write_text(head + "\n".join(rows), encoding="utf-8")
    return kpiopt.load(path)


def histories(seed: int, units: int, *, periods: int = 36, lag: int = 0, between: float = 0.2, direct: float = 0.0):
    """Series by KPI; `direct` is what training adds to sales by itself, an arrow that the map does not draw."""
    rng = np.random.default_rng([seed, units, periods, lag])
    t, size = np.arange(periods + 6), np.exp(0.8 * rng.normal(size=(units, 1)))
    season = np.sin(2 * np.pi * (t + rng.integers(12)) / 12)
    walk = np.cumsum(0.3 * rng.normal(size=(REGIONS, len(t))), axis=1)[np.arange(units) % regions_of(units)]

    def noise(sd: float) -> np.ndarray:
        out = sd * rng.standard_t(5, size=(units, len(t)))
        for k in range(1, len(t)):
            out[:, k] += 0.4 * out[:, k - 1]
        return out

    training = size * (10 + 3 * season * rng.uniform(0.5, 1.5, (units, 1)) + 2 * walk + noise(1.5))
    visits = 1.5 * training + size * (20 + 4 * season + noise(2.0))
    own = EFFECT * np.exp(between * rng.normal(size=(units, 1)) - between**2 / 2)
    rest = 100 + 30 * season * rng.uniform(0.8, 1.2, (units, 1)) + 20 * walk + noise(20.0)
    sales = own * np.roll(visits, lag, axis=1) + direct * training + size * rest
    names, nothing = tuple(f"u{i}" for i in range(units)), np.full((units, periods), np.nan)
    return {
        kpi: Series(kpi, names, v[:, 6:], nothing, nothing, np.abs(v).mean(axis=1), nothing)
        for kpi, v in (("training", training), ("visits", visits), ("sales", sales))
    }
