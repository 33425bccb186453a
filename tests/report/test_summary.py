"""The summary tells a planner what matters, in the right numbers: small plans worked out by hand."""

from pathlib import Path

import pytest

from kpiopt.report.limits import priced_limits, prices_of_less, used_up
from kpiopt.report.page.kept_files import plain_text
from kpiopt.report.page.proof import assumptions_section
from kpiopt.report.page.source import source_of_run
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.summary import render_summary
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

SCENARIO = """schema = 1
name = "Shop plan"
currency = "USD"
[kpi.sales]
name = "Sales"
unit = "USD"
direction = "up"
roll_up = "sum"
step = 1
[goal.sales]
target = {target}
p_min = 0.5
[unit.shop]
name = "The shop"
level = "company"
[unit.ann]
name = "Ann"
parent = "shop"
level = "person"
capacity.hours = {hours}
[unit.bob]
name = "Bob"
parent = "shop"
level = "person"
[cell."ann/sales"]
baseline = 1000
max_stretch = 500
effort.hours = 0.1
[cell."bob/sales"]
baseline = 500
max_stretch = {bob}
effort.hours = 0.1
[uncertainty]
execution = {execution}
[decide]
effort_price = {{ hours = 7 }}
"""


def solved(tmp_path: Path, *, target=1600, hours=100, bob=500, execution="1.0", simulate=False) -> Run:
    path = tmp_path / "shop.toml"
    path.write_text(SCENARIO.format(target=target, hours=hours, bob=bob, execution=execution))
    return solve_scenario(load_scenario(path), options=SolveOptions(simulate=simulate))


def text_of(run: Run) -> str:
    return plain_text(render_summary(run), 110)


def test_a_goal_that_is_met(tmp_path):
    text = text_of(solved(tmp_path))
    assert text.startswith("Shop plan: the plan is possible, and the goal is met on average")
    assert "Sales, USD      1,500    1,600   1,600" in text
    assert "No capacity and no budget is used up." in text
    assert "Ann" in text
    assert "+67 (6.7 %)" in text  # 100 more in proportion 1,000 : 500


def test_a_goal_that_falls_short_and_what_an_hour_is_worth(tmp_path):
    """Ann's 20 hours bear 200 of stretch, Bob's box 100: 1,800 of 2,000; one hour more bears 10 USD more."""
    run = solved(tmp_path, target=2000, hours=20, bob=100)
    (limit,) = priced_limits(run)
    assert (limit.name, limit.limit, limit.more) == ("hours of Ann", "20 hours", "+1")
    assert limit.worth == "Sales 10 USD closer to its target"
    assert limit.holds.endswith("to 40")  # at 40 hours nothing is missing any more
    text = text_of(run)
    assert "but its goal falls short" in text
    assert "200" in text


def test_a_limit_that_makes_the_plan_less_fair(tmp_path):
    """Ann's 5 hours bear 50 of the 100 that are missing; one hour more takes 10 from Bob, 2 % of his 500."""
    run = solved(tmp_path, target=1600, hours=5)
    (limit,) = priced_limits(run)
    assert limit.worth == "average of the peer groups' largest stretches 2 percentage points lower"
    assert limit.holds.endswith("to 6.667")  # where both are asked 6.67 %
    assert used_up(run) == []


def test_a_limit_at_a_kink_is_told_from_both_sides(tmp_path):
    """15 hours of Ann bear just what Bob's 150 leave of 300: one more makes it fairer, one less misses the goal."""
    run = solved(tmp_path, target=1800, hours=15, bob=150)
    (limit,) = priced_limits(run)
    assert limit.worth == "average of the peer groups' largest stretches 2 percentage points lower"
    told = "With 1 less of the hours of Ann (14), Sales would be 10 USD further from its target."
    assert prices_of_less(run) == [told]
    assert told in " ".join(text_of(run).split())


def test_more_is_asked_than_expected_where_execution_is_below_one(tmp_path):
    """Of what is asked 80 % is done: 99.5 more, shown as 1,600, are expected where 124.4 more are asked."""
    text = text_of(solved(tmp_path, execution="{ uniform = [0.6, 1.0] }"))
    assert "Sales: 1,624 USD are asked so that 1,600 USD can be expected." in text


def test_odds_stand_beside_what_is_required(tmp_path):
    run = solved(tmp_path, execution="{ uniform = [0.6, 1.0] }", simulate=True)
    (odds,) = [g.odds for g in run.simulation.goals]
    text = text_of(run)
    assert odds.text.replace(" %", "") in text
    assert "50 %, met" in text and "Promised: Sales, odds of at least 50 %. Kept: 50.0 %" in text
    short = text_of(solved(tmp_path, execution="{ uniform = [0.6, 1.0] }", target=2400, simulate=True))
    assert "the odds required of Sales are missed" in short and "50 %, missed" in short


def test_the_next_commands_name_the_folder(tmp_path):
    text = plain_text(render_summary(solved(tmp_path), Path("runs/shop-12345678")), 110)
    assert "kpiopt runs show runs/shop-12345678" in text


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_it_fits_terminals_of_every_width(tmp_path, width):
    text = plain_text(render_summary(solved(tmp_path)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "1,600" in text


LOCKED = """schema = 1
name = "Locks"
[kpi.sales]
name = "Sales"
unit = "EUR"
step = 10
drivers.visits = 5
[kpi.visits]
unit = "visits"
step = 1
[unit.c]
[cell."c/sales"]
baseline = 1000
lock = 20
[cell."c/visits"]
baseline = 50
max_stretch = 10
[goal.sales]
target = 1050
[uncertainty]
execution = 0.8
"""


def test_a_locked_stretch_is_shown_as_one_and_a_card_has_what_is_asked_beside_the_goal(tmp_path):
    (tmp_path / "s.toml").write_text(LOCKED)
    run = solve_scenario(load_scenario(tmp_path / "s.toml"))
    said = plain_text(render_summary(run), 110)
    target = int(run.plan.target[run.graph.find_node("sales")])
    caused = f"+{target - 1020} EUR from what drives it"
    assert f"Sales of c at a stretch of +20 EUR; with {caused} the target is {target:,} EUR" in said
    card = collect_map(source_of_run(run, "s").map_source()).card("kpi.sales")
    assert (card.before, card.after, card.goal_value) == ("1,000", f"{target:,}", "1,050")
    assert target > 1050


SHORT = """
schema = 1
name = "short"
[kpi.v]
drivers = { f = 1 }
[factor.f]
value = { normal = [0, 1] }
[unit.c]
capacity.hours = 2
[cell."c/v"]
baseline = 10
max_stretch = 5
effort.hours = 1
[goal.v]
target = 16
[simulation]
draws = 256
"""


@pytest.mark.parametrize(("hours", "is_short"), [(2, True), (100, False)])
def test_more_of_a_limit_is_advised_only_where_one_is_used_up(tmp_path, hours, is_short):
    (tmp_path / "s.toml").write_text(SHORT.replace("hours = 2", f"hours = {hours}"))
    run = solve_scenario(load_scenario(tmp_path / "s.toml"))
    assert any(limit.binding for limit in run.limits) == is_short
    said = " ".join(text_of(run).split())
    assert f"A lower target{', or more of what holds the plan back,' if is_short else ''} would raise the odds." in said


def test_the_report_lists_noise_among_what_is_uncertain(tmp_path):
    (tmp_path / "s.toml").write_text(f"{LOCKED}[noise.all]\nsd = 0.05\n")
    run = solve_scenario(load_scenario(tmp_path / "s.toml"), options=SolveOptions(simulate=False))
    (table,) = assumptions_section(source_of_run(run, "s")).blocks
    assert ("2 baselines", "noise.all", "standard deviation 5.0 %", "no change") in table.rows
