"""How often what `kpiopt fit` says holds the truth, in organizations made by another generator.

`contributions UNITS PERIODS SEEDS FIRST` and `baselines UNITS PERIODS SEEDS FIRST` measure one row each; `--write FILE`
puts it into the table of `docs/learning.md`, in place of the row of the same units and periods. `FIRST` is the first
seed: measure with seeds that nothing was chosen by.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from kpiopt.learning.fit import _missing, _slopes_of
from tests.learning.organizations import EFFECT, histories, model_of
from tests.learning.past_and_future import held_and_bias

DIRECT = 12.0
"""What training adds to sales by itself where the map lacks that arrow: half of what it brings through visits."""


def contributions(units: int, periods: int, seeds: range) -> str:
    """Measure contributions, lags and arrows that the map lacks."""
    with tempfile.TemporaryDirectory() as folder:
        model = model_of(Path(folder), units)
    kpi, rows = model.kpis["sales"], []
    for seed in seeds:
        history = histories(seed, units, periods=periods)
        slopes, lags, _ = _slopes_of(kpi, list(kpi.drivers), history, model)
        low, high = slopes["visits"].interval()
        accused = _missing(model, history)[0].p_value < 0.05
        found = _missing(model, histories(seed, units, periods=periods, direct=DIRECT))[0].p_value < 0.05
        estimate, error = slopes["visits"].estimate - EFFECT, slopes["visits"].standard_error
        rows.append((low <= EFFECT <= high, estimate, error, lags["visits"] == 0, accused, found))
    held, away, error, lag, accused, found = np.array(rows, dtype=float).T
    bias, spread = away.mean() / error.mean(), away.std(ddof=1) / error.mean() / np.sqrt(len(rows))
    shares = " | ".join(f"{100 * part.mean():.1f} %" for part in (lag, accused, found))
    return f"| {units} | {periods} | {len(rows)} | {_share(held)} | {bias:.2f} ± {spread:.2f} | {shares} |"


def baselines(units: int, periods: int, seeds: range) -> str:
    """Measure 95 % ranges of baselines."""
    return baselines_row(units, periods, np.array([held_and_bias(seed, units, periods) for seed in seeds]))


def baselines_row(units: int, periods: int, found: np.ndarray) -> str:
    """Write shares held of units and of the whole, and the bias, (n_seeds, 3), as a row of the table."""
    held, whole, bias = found.T
    error = bias.std(ddof=1) / np.sqrt(len(bias))
    row = f"| {units} | {periods} | {len(found)} | {_share(held)} | {_share(whole)} "
    return row + f"| {bias.mean():.2f} ± {error:.2f} |"


def _share(held: np.ndarray) -> str:
    return f"{100 * held.mean():.1f} ± {100 * held.std(ddof=1) / np.sqrt(len(held)):.1f} %"


def write_row(path: Path, what: str, row: str) -> None:
    """Put a row into the table between the marks of this kind, in the order of units and periods."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {what}: begin -->\n", f"<!-- {what}: end -->"
    before, _, rest = text.partition(begin)
    table, _, after = rest.partition(end)
    head, rows = table.splitlines()[:2], table.splitlines()[2:]
    key = _key(row)
    rows = sorted([other for other in rows if _key(other) != key] + [row], key=_key)
    path.write_text(before + begin + "\n".join([*head, *rows]) + "\n" + end + after, encoding="utf-8")


def _key(row: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", row)[:2])


def main() -> None:
    """Measure one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("contributions", "baselines"))
    for name in ("units", "periods", "seeds", "first"):
        parser.add_argument(name, type=int)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    measure = contributions if asked.what == "contributions" else baselines
    row = measure(asked.units, asked.periods, range(asked.first, asked.first + asked.seeds))
    sys.stdout.write(row + "\n")
    if asked.write:
        write_row(asked.write, asked.what, row)


if __name__ == "__main__":
    main()
