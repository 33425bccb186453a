"""Ranges and locks that only a variant of a robust plan has are named with it, as its capacities are."""

from pathlib import Path

import pytest

import kpiopt
from kpiopt.plan.limit_names import stopped_words

TEXT = """schema = 1
name = "rob"
PERIODS
[kpi.sales]
SEASON
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/sales"]
baseline = 100
max_stretch = 30
[cell."b/sales"]
baseline = 100
max_stretch = 20
MORE
[goal.sales]
target = 250
[decide]
robust = ["late"]
[variant.late]
"""
HALVES, SEASON = 'periods = ["p1", "p2"]', "season = [0.4, 0.6]"


def bindings(tmp_path: Path, variant: str, periods: bool, more: str = "") -> dict[tuple[str, str | None], str]:
    text = TEXT.replace("PERIODS", HALVES if periods else "").replace("SEASON", SEASON if periods else "")
    path = tmp_path / "s.toml"
    path.write_text(text.replace("MORE", more) + variant, "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    return {(u, p): b for u, p, b in run.targets.select("unit", "period", "binding").iter_rows()}


@pytest.mark.parametrize("periods", [False, True])
@pytest.mark.parametrize(
    ("variant", "right"),
    [
        ('cell."a/sales".max_stretch = 4\n', "max_stretch (late)"),
        ('cell."a/sales".max_stretch = 0\n', "max_stretch (late)"),
        ('cell."a/sales".max_stretch = 40\n', "max_stretch"),
        ("goal.sales.target = 240\n", "max_stretch"),
    ],
)
def test_a_range_that_a_variant_alone_has_is_named_with_it(
    tmp_path: Path, periods: bool, variant: str, right: str
) -> None:
    found = bindings(tmp_path, variant, periods)
    assert found["a", None] == right
    assert found["b", None] == "max_stretch"


def test_a_least_stretch_of_a_variant_is_named(tmp_path: Path) -> None:
    found = bindings(tmp_path, 'cell."a/sales".min_stretch = 7\ngoal.sales.target = 100\n', False)
    assert found["a", None] == "max_stretch"
    path = tmp_path / "s.toml"
    path.write_text(path.read_text("utf-8").replace("target = 250", "target = 200"), "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    told = run.targets.filter(run.targets["unit"] == "a")
    assert (told["stretch"][0], told["binding"][0]) == (pytest.approx(7), "min_stretch (late)")


def test_the_range_of_a_period_that_a_variant_alone_has_is_named_with_it(tmp_path: Path) -> None:
    more = '[cell."a/sales/p1"]\nmax_stretch = 12\n[cell."a/sales/p2"]\nmax_stretch = 14\n'
    found = bindings(tmp_path, 'cell."a/sales/p1".max_stretch = 4\n', True, more)
    assert found["a", "p1"] == "max_stretch (late)"
    assert found["a", "p2"] == "max_stretch"


def test_in_words_it_is_the_largest_stretch_in_the_variant(tmp_path: Path) -> None:
    bindings(tmp_path, 'cell."a/sales".max_stretch = 4\n', True)
    scenario = kpiopt.load(tmp_path / "s.toml")
    assert stopped_words(scenario, "max_stretch (late)") == "largest stretch in variant late"
    assert stopped_words(scenario, "lock (late); min_stretch") == "lock in variant late; smallest stretch"
    assert stopped_words(scenario, "max_stretch@a/sales/p1") == "range of sales at a in p1"
