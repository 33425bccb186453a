"""Names that nobody knows after `--set` and in variants; variants that are laid over each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ModelError, UsageError
from kpiopt.scenario.load import load_scenario
from tests.scenario.conftest import ORGANIZATION, Check

TEXT = f"""{ORGANIZATION}
[kpi.sales]
[kpi.sales.drivers]
market = 2
[factor.market]
value = 1
[goal.sales]
target = 330
[budget.pay]
limit = 50
[noise.weather]
sd = 0.1
[cell."north/sales"]
baseline = 100
max_stretch = 20
[cell."south/sales"]
baseline = 200
max_stretch = 20
"""


@pytest.mark.parametrize(
    ("override", "known"),
    [
        ("factor.marke.value=3", "market"),
        ("goal.sale.target=3", "sales"),
        ("budget.pya.limit=3", "pay"),
        ("kpi.salse.step=5", "sales"),
        ('cell."nort/sales".max_stretch=3', "north/sales"),
        ("unit.nrth.size=3", "north"),
        ("noise.weathr.sd=0.2", "weather"),
    ],
)
def test_an_override_of_something_that_does_not_exist(check: Check, override: str, known: str) -> None:
    result = check(TEXT, overrides=[override])
    found = [p for p in result.problems if p.code == "E-set-unknown"]
    assert len(found) == 1 and known in found[0].fix and str(found[0].location) == "--set"
    assert result.scenario is None


@pytest.mark.parametrize("override", ["factor.market.value=3", 'cell."north/sales".max_stretch=3', "unit.north.size=3"])
def test_an_override_of_what_there_is(check: Check, override: str) -> None:
    check(TEXT, overrides=[override]).fine()


def test_something_new_is_written_whole(check: Check) -> None:
    scenario = check(TEXT, overrides=["goal.more={kpi='sales',target=5}", "goal.more.weight=3"]).fine()
    assert scenario.goals["more"].weight == 3


def written(tmp_path: Path, more: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(f'schema = 1\nname = "t"\n{TEXT}{more}', encoding="utf-8")
    return path


class TestVariants:
    @pytest.mark.parametrize(
        ("patch", "words"),
        [
            ('factor.market.value = "inf to nan"', "inf"),
            ("budget.pay.limit = 1e-320", "limit"),
            ('goal.sales.kpi = "nope"', "nope"),
            ("kpi.sales.drivers.nobody = 3", "nobody"),
            ("relax.nothing = 3", "nothing"),
        ],
    )
    def test_each_is_checked_as_it_would_be_solved(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], patch: str, words: str
    ) -> None:
        path = written(tmp_path, f"[variant.fine]\ngoal.sales.target = 320\n[variant.wrong]\n{patch}\n")
        assert main(["check", str(path)]) == 3
        told = capsys.readouterr().err
        assert words in told and "'fine'" not in told
        assert main(["check", str(written(tmp_path, "[variant.fine]\ngoal.sales.target = 320\n"))]) == 0

    @pytest.mark.parametrize(
        ("patch", "known"),
        [
            ("noise.weathr.sd = 0.2", "weather"),
            ("noise.other = { sd = 0.2 }", "where"),
            ("guardrail.nope.growth = [0, 0.1]", "where"),
            ("adjust.nope.scale = { max_stretch = 2 }", "where"),
            ("execution.nope.value = 0.5", "where"),
            ("factor.markt.value = 3", "market"),
            ("budget.pya = { limit = 30 }", "pay"),
            ("pay_plan.nope.payout = [[0, 0], [1, 1]]", "pay_plan"),
            ('objective.nope.name = "x"', "KPI"),
            ('perspective.nope.name = "x"', "objective"),
        ],
    )
    def test_a_name_that_nobody_knows(self, tmp_path: Path, patch: str, known: str) -> None:
        path = written(tmp_path, f"[variant.wrong]\n{patch}\n")
        with pytest.raises(ModelError) as caught:
            load_scenario(path, variant="wrong")
        (problem,) = caught.value.problems
        assert problem.code == "E-variant-unknown-name"
        assert str(problem.location).endswith("scenario.toml:33:" + str(len(patch.split(".")[0]) + 2))
        assert known in problem.message + problem.fix

    @pytest.mark.parametrize(
        "patch",
        [
            "noise.weather.sd = 0.2",
            'noise.more = { where = { unit = "north" }, sd = 0.2 }',
            "noise.more = { where = {}, sd = 0.2 }",
            'adjust.more = { where = { unit = "north" }, scale = { max_stretch = 2 } }',
            "factor.rain.value = 3\nkpi.sales.drivers.rain = 2",
            'budget.south = { resource = "pay", scope = "south", limit = 30 }',
        ],
    )
    def test_what_it_adds_and_uses(self, tmp_path: Path, patch: str) -> None:
        path = written(tmp_path, f"[variant.fine]\n{patch}\n")
        plain, fine = load_scenario(path), load_scenario(path, variant="fine")
        parts = ("noise", "cells", "factors", "kpis", "budgets")  # what these patches add to
        assert [repr(getattr(plain, part)) != repr(getattr(fine, part)) for part in parts].count(True) >= 1

    def test_two_compose_in_order(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = written(
            tmp_path,
            "[variant.lean]\nbudget.pay.limit = 30\ngoal.sales.target = 320\n[variant.high]\ngoal.sales.target = 335\n"
            '[variant."a+b"]\nbudget.pay.limit = 1\n',
        )
        both, other = load_scenario(path, variant="lean+high"), load_scenario(path, variant="high+lean")
        assert (both.budgets["pay"].limit, both.goals["sales"].target) == (30, 335)
        assert (other.budgets["pay"].limit, other.goals["sales"].target) == (30, 320)
        assert load_scenario(path, variant="high+a+b").budgets["pay"].limit == 1 and both.variant == "lean+high"
        assert main(["check", str(path), "--variant", "lean", "--variant", "high", "--show-origin"]) == 0
        told = capsys.readouterr().out
        assert "goal.sales.target = 335" in told and "budget.pay.limit = 30" in told

    @pytest.mark.parametrize("name", ["lean+nope", "nope+lean", "lean+", "+lean"])
    def test_unknown_parts(self, tmp_path: Path, name: str) -> None:
        path = written(tmp_path, "[variant.lean]\nbudget.pay.limit = 30\n")
        with pytest.raises(UsageError, match="there is no variant"):
            load_scenario(path, variant=name)
