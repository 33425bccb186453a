"""The strategy map and what refers to it: drivers, initiatives, goals, budgets, settings."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.scenario.checks.strategy_map import connected_parts, shortest_cycle
from tests.scenario.conftest import ORGANIZATION, Check

MAP = """
[kpi.sales]
unit = "USD"
[kpi.visits]
unit = "visits"
[kpi.morale]
unit = "points"
baseline = 50
roll_up = "none"
[factor.market]
value = 0.5
[goal.sales]
target = 330
"""
CELLS = """unit,kpi,baseline,max_stretch
north,sales,100,20
south,sales,200,
north,visits,10,4
south,visits,20,
"""
LINKS = """
[kpi.sales.drivers]
visits = { contribution = "0.5 to 2", at = "team" }
morale = 1
market = 3
"""


def base(map_text: str = MAP, links: str = LINKS) -> str:
    return f"{ORGANIZATION}{map_text.replace('[kpi.visits]', links + '[kpi.visits]')}"


class TestDrivers:
    def test_at_means_the_root_a_level_or_a_unit(self, check: Check) -> None:
        links = LINKS.replace('at = "team"', 'at = "south"').replace(
            "market = 3", 'market = { contribution = 3, at = "team" }'
        )
        drivers = check(base(links=links), cells=CELLS).fine().kpis["sales"].drivers
        assert {d.cause: d.units.tolist() for d in drivers} == {"visits": [2], "morale": [0], "market": [1, 2]}
        assert [d.is_factor for d in drivers] == [False, False, True]

    def test_only_units_where_both_ends_have_a_value_count(self, check: Check) -> None:
        cells = CELLS.replace("south,visits,20,\n", "")
        assert check(base(), cells=cells).fine().kpis["sales"].drivers[0].units.tolist() == [1]

    @pytest.mark.parametrize(
        ("old", "new", "code", "words"),
        [
            ("morale = 1", "moral = 1", "E-unknown-driver", "did you mean 'morale'?"),  # row 65
            ("morale = 1", "sales = 1", "E-self-loop", "drives itself"),  # row 63
            ("morale = 1", 'morale = { contribution = 1, at = "teem" }', "E-unknown-at", "did you mean 'team'?"),
            ("morale = 1", 'morale = { contribution = 1, at = "team" }', "E-driver-nowhere", "both have a value"),
            ("market = 3", 'market = { contribution = 3, at = "nort" }', "E-unknown-at", "did you mean 'north'?"),
            ("morale = 1", 'morale = "much"', "E-quantity", "kpi.sales.drivers.morale"),
            ("morale = 1", "morale = { contribution = { normal = [0, -1] } }", "E-quantity", "contribution"),  # row 82
            ("market = 3", "coach = 1\n[initiative.coach]\nmax = 1", "E-unknown-driver", "[initiative.coach.effects]"),
        ],
    )
    def test_faults_are_named(self, check: Check, old: str, new: str, code: str, words: str) -> None:
        problem = check(base(links=LINKS.replace(old, new)), cells=CELLS).only(code)
        assert words in str(problem)
        assert problem.location is not None and problem.location.line is not None

    def test_one_id_for_a_kpi_and_a_factor_is_ambiguous_as_a_cause(self, check: Check) -> None:
        text = base().replace("[factor.market]", "[factor.morale]\nvalue = 1\n[factor.market]")
        assert len(check(text, cells=CELLS).only("E-ambiguous-id").others) == 2

    def test_one_name_for_a_level_and_another_unit_is_ambiguous_as_a_place(self, check: Check) -> None:
        text = base().replace("[unit.north]", "[unit.team]\nparent = 'co'\n[unit.north]")
        check(text, cells=CELLS).only("E-ambiguous-at")

    def test_a_lag_without_periods_is_refused_with_what_to_do(self, check: Check) -> None:
        links = LINKS.replace("morale = 1", "morale = { contribution = 1, lag = 2 }")
        problem = check(base(links=links), cells=CELLS).only("E-lag")
        assert "lag 2" in problem.message and "[periods]" in problem.fix


class TestCycles:
    def text(self, *drivers: str) -> str:
        """A map of four KPIs; drivers are written "cause -> effect = contribution"."""
        parts = [ORGANIZATION, "[goal.a]\ntarget = 2"]
        for kpi in "abcd":
            parts.append(f'[kpi.{kpi}]\nunit = "x"\nbaseline = 1')
            for driver in drivers:
                ends, contribution = driver.split(" = ", 1)
                cause, effect = ends.split(" -> ")
                parts += [f"drivers.{cause} = {contribution}"] * (effect == kpi)
        return "\n".join(parts)

    def test_row_62_a_circle_is_named_with_all_its_places(self, check: Check) -> None:
        text = self.text("c -> a = 1", "a -> b = 1", "b -> c = 1", "d -> c = 1")
        problem = check(text).only("E-cycle")
        assert problem.message.split(": ")[1] in (
            "co/c -> co/a -> co/b -> co/c",
            "co/a -> co/b -> co/c -> co/a",
            "co/b -> co/c -> co/a -> co/b",
        )
        assert len(problem.others) == 2

    def test_every_circle_is_reported(self, check: Check) -> None:
        result = check(self.text("a -> b = 1", "b -> a = 1", "c -> d = 1", "d -> c = 1"))
        assert result.codes.count("E-cycle") == 2

    def test_a_lag_breaks_a_circle(self, check: Check) -> None:
        text = self.text("b -> a = 1", "a -> b = { contribution = 1, lag = 1 }")
        assert check(f'{text}\n[periods]\nnames = ["H1", "H2"]\n').fine()

    def test_causes_at_different_places_are_no_circle_here(self, check: Check) -> None:
        text = f"""{ORGANIZATION}
[kpi.a]
unit = "x"
roll_up = "none"
[kpi.b]
unit = "x"
roll_up = "none"
drivers.a = {{ contribution = 1, at = "north" }}
[goal.b]
target = 2
at = "north"
[kpi.a.drivers]
b = {{ contribution = 1, at = "south" }}
"""
        cells = "unit,kpi,baseline\nnorth,a,1\nnorth,b,1\nsouth,a,1\nsouth,b,1\n"
        assert check(text, cells=cells).fine()

    @given(st.sets(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=12))
    @settings(deadline=None)
    def test_the_shortest_one_is_found(self, links: set[tuple[str, str]]) -> None:
        lengths = [
            n
            for n in range(1, 6)
            for way in permutations("abcde", n)
            if all(step in links for step in zip(way, [*way[1:], way[0]], strict=True))
        ]
        found = shortest_cycle(links)
        assert (found is None) == (not lengths)
        if found:
            assert len(found) == min(lengths)
            assert all(step in links for step in zip(found, [*found[1:], found[0]], strict=True))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=10))
@settings(deadline=None)
def test_parts_are_the_classes_of_mutual_connection(links: list[tuple[int, int]]) -> None:
    nodes = [str(i) for i in range(9)]
    label = list(range(9))
    for _ in nodes:  # the definition, by relabelling until nothing changes
        for a, b in links:
            label[a] = label[b] = min(label[a], label[b])
    expected = [[n for n in nodes if label[int(n)] == k] for k in sorted(set(label))]
    assert connected_parts(nodes, [(str(a), str(b)) for a, b in links]) == expected


class TestValuesAndPurpose:
    def test_a_kpi_without_any_value_is_refused(self, check: Check) -> None:
        text = f"{base()}[goal.morale]\ntarget = 1".replace("baseline = 50\n", "")
        assert "'morale'" in check(text, cells=CELLS).only("E-kpi-no-baseline").message

    def test_row_64_a_kpi_that_nothing_knows_is_an_orphan(self, check: Check) -> None:
        assert "'lost'" in check(f"{base()}[kpi.lost]\nunit = 'x'", cells=CELLS).only("E-orphan-kpi").message

    def test_row_64_parts_without_goal_or_pay_are_listed(self, check: Check) -> None:
        text = f"{base()}[kpi.p]\nunit = 'x'\nbaseline = 1\n[kpi.q]\nunit = 'x'\nbaseline = 1\ndrivers.p = 2"
        result = check(text, cells=CELLS)
        assert result.fine() and "p, q" in result.one("W-orphan").message
        paid = check(f'{text}\n[cell."north/p"]\nbaseline = 1\nweight = 0.5', cells=CELLS)
        assert "W-orphan" not in paid.codes

    def test_no_goals_at_all_is_a_warning(self, check: Check) -> None:
        assert check(base().replace("[goal.sales]\ntarget = 330", ""), cells=CELLS).one("W-no-goals")

    @pytest.mark.parametrize(
        ("unit", "values", "code"),
        [
            ("%", (0.15, 0.2), "W-percent"),
            ("%", (15, 0.5), None),
            ("share", (15, 20), "W-percent"),
            ("share", (0.15, 0.2), None),
        ],
    )
    def test_rows_69_and_70_percent_and_shares_are_told_apart(
        self, check: Check, unit: str, values: tuple[float, float], code: str | None
    ) -> None:
        text = f"{base()}[kpi.rate]\nunit = '{unit}'\nroll_up = 'mean'\n[goal.rate]\ntarget = {values[0]}"
        codes = check(text, cells=f"{CELLS}north,rate,{values[0]},\nsouth,rate,{values[1]},\n").codes
        assert ("W-percent" in codes) == (code is not None)

    def test_row_69_percentages_that_are_added_up_are_reported(self, check: Check) -> None:
        text = f"{base()}[kpi.rate]\nunit = '%'\n[goal.rate]\ntarget = 40"
        assert check(text, cells=f"{CELLS}north,rate,15,\nsouth,rate,20,\n").one("W-percent-sum")

    def test_row_69_causes_between_kpis_without_a_unit_are_reported(self, check: Check) -> None:
        result = check(base().replace('unit = "visits"\n', ""), cells=CELLS)
        assert "'visits'" in result.one("W-no-unit").message

    def test_row_69_a_target_in_another_unit_is_reported(self, check: Check) -> None:
        assert "330,000" in check(base().replace("330", "330_000"), cells=CELLS).one("W-goal-scale").message
        assert check(base().replace("330", "0.33"), cells=CELLS).one("W-goal-scale")

    def test_a_goal_that_the_baseline_meets_is_noted(self, check: Check) -> None:
        assert check(base().replace("330", "290"), cells=CELLS).one("N-goal-met")
        down = base().replace('unit = "USD"', 'unit = "USD"\ndirection = "down"')
        assert check(down, cells=CELLS).one("N-goal-met")
        assert "N-goal-met" not in check(base(), cells=CELLS).codes


class TestInitiatives:
    TEXT = """
[initiative.coach]
max = 5
uses.hours = 2
[initiative.coach.effects]
visits = "1 to 3"
[capacity.hours]
"""
    CAPACITY = '[unit.extra]\nparent = "co"\ncapacity.hours = 5\n'

    def text(self, old: str = "", new: str = "") -> str:
        return f"{base()}{self.CAPACITY}{self.TEXT.replace(old, new) if old else self.TEXT}"

    def test_the_root_decides_unless_units_are_selected(self, check: Check) -> None:
        assert check(self.text(), cells=CELLS).fine().initiatives["coach"].units.tolist() == [0]
        by_level = self.text("max = 5", 'max = 5\nunits = { level = "team" }')
        by_list = self.text("max = 5", 'max = 5\nunits = ["south", "north"]')
        for text in (by_level, by_list):
            scenario = check(text, cells=CELLS).fine()
            assert [scenario.units.ids[u] for u in scenario.initiatives["coach"].units] == ["north", "south"]

    def test_effects_are_quantities_with_a_name(self, check: Check) -> None:
        (effect,) = check(self.text(), cells=CELLS).fine().initiatives["coach"].effects
        assert (effect.kpi, effect.lag, effect.path) == ("visits", 0, "initiative.coach.effects.visits")
        assert effect.contribution.kind == "lognormal"

    @pytest.mark.parametrize(
        ("old", "new", "code", "words"),
        [
            ("visits =", "visit =", "E-unknown-kpi", "did you mean 'visits'?"),
            ("max = 5", 'max = 5\nunits = ["nort"]', "E-unknown-unit", "did you mean 'north'?"),
            ("max = 5", 'max = 5\nunits = { role = "fied" }', "E-unknown-role", "did you mean 'field'?"),
            ("max = 5", 'max = 5\nunits = { role = "field", level = "company" }', "E-where-empty", "no unit"),
            ("max = 5", "max = -5", "E-value", "at least 0"),
            ("uses.hours = 2", "uses.hours = -2", "E-value", "at least 0"),
            ("uses.hours", "uses.cash", "E-resource", "[budget.cash]"),
            ("uses.hours", "uses.hour", "E-resource", "did you mean 'hours'?"),
        ],
    )
    def test_faults_are_named(self, check: Check, old: str, new: str, code: str, words: str) -> None:
        assert words in str(check(self.text(old, new), cells=CELLS).only(code))

    def test_an_effect_needs_a_value_at_the_unit_or_at_the_root(self, check: Check) -> None:
        lonely = '[kpi.lonely]\nunit = "x"\nroll_up = "none"\n[cell."south/lonely"]\nbaseline = 1\n'
        text = self.text("visits =", "lonely =").replace("max = 5", 'max = 5\nunits = ["north"]')
        assert "'lonely'" in check(f"{text}{lonely}", cells=CELLS).only("E-effect-nowhere").message

    def test_without_effects_it_is_worth_a_warning(self, check: Check) -> None:
        assert check(self.text('visits = "1 to 3"', ""), cells=CELLS).one("W-no-effects")


class TestGoalsAndBudgets:
    @pytest.mark.parametrize(
        ("text", "code", "words"),
        [
            ("[goal.visit]\ntarget = 1", "E-unknown-kpi", "did you mean 'visits'?"),
            ("[goal.g]\nkpi = 'visit'\ntarget = 1", "E-unknown-kpi", "did you mean 'visits'?"),
            ("[goal.g]\nkpi = 'visits'\nat = 'nort'\ntarget = 1", "E-unknown-unit", "did you mean 'north'?"),
            ("[goal.g]\nkpi = 'morale'\nat = 'north'\ntarget = 60", "E-goal-nowhere", "'north', where it has no value"),
            ("[budget.pay]\nlimit = 1\nscope = 'nort'", "E-unknown-unit", "did you mean 'north'?"),
            ("[pay_plan.p]\npayout = [[0, 0], [1, 1], [0.5, 2]]", "E-payout", "do not ascend"),
            ("[pay_plan.p]\npayout = [[0, 0], [0, 1]]", "E-payout", "do not ascend"),
            ("[pay_plan.p]\npayout = [[0, -1], [1, 1]]", "E-payout", "negative"),
            ("[decide]\norder = ['reference', 'goals']", "E-order", "not the last one"),
            ("[decide]\norder = ['goals', 'goals']", "E-order", "twice"),
            ("[decide]\neffort_price.hours = 1", "E-unknown-resource", "'hours'"),
        ],
    )
    def test_faults_are_named(self, check: Check, text: str, code: str, words: str) -> None:
        assert words in str(check(f"{base()}{text}", cells=CELLS).only(code))

    def test_defaults(self, check: Check) -> None:
        scenario = check(f"{base()}[budget.bonus]\nresource = 'pay'\nlimit = 5", cells=CELLS).fine()
        goal, budget = scenario.goals["sales"], scenario.budgets["bonus"]
        assert (goal.unit, goal.weight, goal.priority, goal.p_min, goal.hard) == (0, 1, 1, None, False)
        assert (budget.resource, budget.scope, budget.money) == ("pay", 0, True)
        assert scenario.decide.order == ("goals", "fairness", "cost", "reference")
        assert (scenario.simulation.draws, scenario.simulation.seed, scenario.simulation.method) == (16384, 0, "sobol")

    def test_reference_is_always_the_last_step(self, check: Check) -> None:
        assert check(f"{base()}[decide]\norder = ['cost']", cells=CELLS).fine().decide.order == ("cost", "reference")

    def test_odd_settings_are_warned_about(self, check: Check) -> None:
        assert check(f"{base()}[budget.cash]\nlimit = 5", cells=CELLS).one("W-budget-unused")
        assert check(f"{base()}[pay_plan.p]\npayout = [[0, 1], [1, 0.5]]", cells=CELLS).one("W-payout")
        tiers = f"{base()}[pay_plan.p]\npayout = [[0, 0], [1, 1.25], [1.2, 2]]"
        assert "pays 1.25 times" in check(tiers, cells=CELLS).one("W-payout-at-target").message
        assert "W-payout-at-target" not in check(tiers.replace("1.25", "1"), cells=CELLS).codes
        text = f"{base()}[decide]\norder = ['goals']\nslack.cost = 0.1"
        assert check(text, cells=CELLS).one("W-slack")


class TestLimits:
    UNITS = "unit,parent,target_incentive,capacity.hours\nco,,,\nnorth,co,1000,10\n"
    UNITS += "n,north,,\na,north,500,\nsouth,co,,\n"
    TEXT = '[kpi.sales]\nunit = "USD"\n[goal.sales]\ntarget = 400\n'
    CELLS = "unit,kpi,baseline,min_stretch,max_stretch,pay_rate,weight,effort.hours\n"

    def run(self, check: Check, rows: str, text: str = "") -> list[str]:
        return check(self.TEXT + text, self.UNITS, self.CELLS + rows).codes

    ROWS = "north,sales,,,,,1,\nn,sales,100,5,20,2,,1\na,sales,50,{least},20,2,1,1\nsouth,sales,50,,,,,\n"

    @pytest.mark.parametrize(("least", "limit", "clash"), [(5, 1520, False), (5, 1519.9, True), (0, 1499, True)])
    def test_a_pay_budget_below_what_must_be_paid(self, check: Check, least: float, limit: float, clash: bool) -> None:
        codes = self.run(check, self.ROWS.format(least=least), f"[budget.pay]\nlimit = {limit}\n")
        assert ("W-infeasible-budget" in codes) is clash

    def test_only_the_scope_counts(self, check: Check) -> None:
        rows = self.ROWS.format(least=5)
        text = "[budget.pay]\nlimit = 100\nscope = '{}'\n"
        assert "W-infeasible-budget" not in self.run(check, rows, text.format("south"))
        assert "W-infeasible-budget" in self.run(check, rows, text.format("a"))

    @pytest.mark.parametrize(("least", "clash"), [(5, False), (5.01, True)])
    def test_a_capacity_below_what_the_smallest_stretches_need(self, check: Check, least: float, clash: bool) -> None:
        assert ("W-infeasible-capacity" in self.run(check, self.ROWS.format(least=least))) is clash

    def test_effort_that_is_neither_limited_nor_priced_is_reported(self, check: Check) -> None:
        units = self.UNITS.replace(",capacity.hours", "").replace("1000,10", "1000").replace(",,\n", ",\n")
        units = units.replace("500,", "500").replace("south,co,,", "south,co,")
        cells = self.CELLS + self.ROWS.format(least=0)
        assert check(self.TEXT, units, cells).one("W-effort-free")
        priced = check(f"{self.TEXT}[decide]\neffort_price.hours = 3", units, cells)
        assert "W-effort-free" not in priced.codes


class TestCorrelation:
    UNCERTAIN = base().replace("value = 0.5", "value = { normal = [0, 1] }")

    def correlation(self, check: Check, pair: str, extra: str = "") -> object:
        return check(f"{self.UNCERTAIN}{extra}[correlation]\n'{pair}' = 0.5", cells=CELLS)

    @pytest.mark.parametrize(
        "pair",
        [
            "factor.market ~ kpi.sales.drivers.visits",
            "factor.market.value ~ kpi.sales.drivers.visits.contribution",
            "factor.market~kpi.sales.drivers.visits",
            'factor."market" ~ kpi.sales.drivers.visits',
        ],
    )
    def test_quantities_are_named_by_their_path(self, check: Check, pair: str) -> None:
        scenario = self.correlation(check, pair).fine()  # type: ignore[attr-defined]
        assert scenario.correlation == {("factor.market", "kpi.sales.drivers.visits"): 0.5}

    def test_baselines_execution_and_effects_have_names_too(self, check: Check) -> None:
        text = f"""{self.UNCERTAIN.replace("baseline = 50", 'baseline = "40 to 60"')}
[uncertainty]
execution = "0.5 to 1.1"
[execution.slow]
where.unit = "south"
value = "0.4 to 0.9"
[cell."south/sales"]
baseline = "150 to 250"
[correlation]
"uncertainty.execution ~ execution.slow.value" = 0.1
"cell.south/sales.baseline ~ kpi.morale.baseline" = 0.2
"""
        assert check(text, cells=CELLS).fine().correlation == {
            ("uncertainty.execution", "execution.slow"): 0.1,
            ("cell.south/sales.baseline", "kpi.morale.baseline"): 0.2,
        }

    @pytest.mark.parametrize(
        ("pair", "code"),
        [
            ("factor.market ~ factor.markt", "E-unknown-quantity"),
            ("factor.market ~ factor.market.value", "E-correlation"),
            ("factor.market", "E-correlation"),
            ("factor.market ~ kpi.sales.drivers.visits ~ x", "E-correlation"),
        ],
    )
    def test_row_81_what_is_no_pair_is_refused(self, check: Check, pair: str, code: str) -> None:
        self.correlation(check, pair).only(code)  # type: ignore[attr-defined]

    def test_row_81_a_pair_given_twice_is_refused(self, check: Check) -> None:
        names = ("factor.market", "kpi.sales.drivers.visits")
        text = f"[correlation]\n'{names[0]} ~ {names[1]}' = 0.5\n'{names[1]} ~ {names[0]}' = 0.4"
        check(f"{self.UNCERTAIN}{text}", cells=CELLS).only("E-correlation")

    def test_a_certain_quantity_has_no_correlation(self, check: Check) -> None:
        result = self.correlation(check, "factor.market ~ kpi.sales.drivers.morale")
        assert result.fine().correlation == {} and result.one("W-correlation")  # type: ignore[attr-defined]


class TestSweep:
    @pytest.mark.parametrize(
        "axis",
        [
            "'goal.sales.target' = { from = 1, to = 2, steps = 3 }",
            "'goal.sales.target' = [1, 2]",
            "'goal.sales.target' = { values = [1] }",
            "'goal.sales.at' = ['north', 'south']",
            "'goal.sales.priority' = { from = 1, to = 3, steps = 3 }",
            "'cell.\"north/sales\".baseline' = ['1 to 2', 3]",
        ],
    )
    def test_an_axis_is_a_range_or_a_list(self, check: Check, axis: str) -> None:
        assert check(f"{base()}[sweep]\n{axis}", cells=CELLS).fine().sweep

    @pytest.mark.parametrize(
        ("axis", "code"),
        [
            ("'goal.sales.target' = { from = 1, to = 2 }", "E-sweep"),
            ("'goal.sales.target' = { from = 1, to = 2, steps = 2, values = [1] }", "E-sweep"),
            ("'gaol.sales.target' = [1, 2]", "E-unknown-path"),
            ("'goal.sales.target' = { form = 1, to = 2, steps = 2 }", "E-unknown-key"),
            ("'goal.sale.target' = [1, 2]", "E-unknown-path"),
            ("'goal.sales' = [1, 2]", "E-unknown-path"),
            ("'goal.sales.target' = ['a', 2]", "E-sweep"),
            ("'goal.sales.tagret' = [1, 2]", "E-sweep"),
            ("'goal.sales.priority' = { from = 1, to = 2, steps = 4 }", "E-sweep"),
            ("goal.sales.target = [1, 2]", "E-unknown-key"),
            ("'goal.sales.target' = { from = 1, to = 2, steps = 1 }", "E-sweep"),
            ("'goal.sales.target' = { from = 1, to = 1, steps = 3 }", "E-sweep"),
        ],
    )
    def test_faults_are_named(self, check: Check, axis: str, code: str) -> None:
        assert code in check(f"{base()}[sweep]\n{axis}", cells=CELLS).codes

    def test_a_path_without_quotes_is_told_to_have_them(self, check: Check) -> None:
        problem = check(f"{base()}[sweep]\ngoal.sales.target = [1, 2]", cells=CELLS).one("E-sweep")
        assert problem.fix == 'put the whole path in quotes: "goal.…" = …'


def test_ids_that_would_clash_with_names_of_cells_are_refused(check: Check) -> None:
    check(f"{base()}[kpi.'a/b']\nunit = 'x'\nbaseline = 1", cells=CELLS).only("E-kpi-id")
