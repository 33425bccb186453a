"""Golden programs: the formulation as text, and no rule without one.

`python -m tests.program.test_golden` writes the texts anew; read the difference before you commit it.
"""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.program.formulation import actions, chosen, columns, compared, constraints, effort, response
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.objectives import OBJECTIVES

HERE = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests" / "cases").glob("*.toml"))
WRITTEN = ("everything", "by_period", "shared_out", "actions", "tiers", "curves", "chosen")
BLOCKS = {
    "add_stretch": "stretch[",
    "add_levels": "level[",
    "add_changes": "change[",
    "add_shortfalls": "shortfall[",
    "add_largest": "largest[",
    "add_value_rows": "value[",
    "add_responses": "response[",
    "add_curve_rows": "curve[",
    "add_part_rows": "filled[",
    "add_goal_rows": "goal[",
    "add_met_rows": "met[",
    "add_missed": "missed[",
    "add_lock_target_rows": "lock_target[",
    "add_total_rows": "total[",
    "add_bound_rows": "bound[",
    "add_range_rows": "range[",
    "add_ramp_rows": "ramp[",
    "add_start_rows": "start[",
    "add_switches": "idle[",
    "add_on_rows": "on[",
    "add_run_rows": "run[",
    "add_choice_rows": "levels[",
    "add_once_rows": "once[",
    "add_needs_rows": "needs[",
    "add_not_with_rows": "not_with[",
    "add_spared": "spared[",
    "add_spared_rows": "spared_most[",
    "add_kpis_rows": "kpis_least[",
    "add_loads": "load[",
    "add_effort_curve_rows": "effort_curve[",
    "add_capacity_rows": "capacity.hours[",
    "add_budget_rows": "budget[",
    "add_fairness_rows": "fairness[",
    "add_mean": "mean[",
    "add_mean_rows": "mean[",
    "add_band_rows": "band[",
    "add_peer_rows": "peers[",
    "add_ranks": "worst[",
    "add_rank_rows": "rank[",
}


NO_RULES = ("add_columns", "add_action_rows", "add_fair")


def text_of(path: Path) -> str:
    return str(build_cascade(build_graph(kpiopt.load(path))).program) + "\n"


def sources() -> list[Path]:
    return [HERE / f"{name}.toml" for name in WRITTEN] + CASES


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.stem)
def test_program_is_the_golden_one(path: Path) -> None:
    assert text_of(path) == (HERE / f"{path.stem}.txt").read_text(encoding="utf-8")


def test_every_rule_has_a_golden_program() -> None:
    written = "".join((HERE / f"{name}.txt").read_text(encoding="utf-8") for name in WRITTEN)
    rules = [
        name
        for module in (columns, constraints, actions, chosen, effort, compared, response)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("add_") and function.__module__ == module.__name__ and name not in NO_RULES
    ]
    assert sorted(rules) == sorted(BLOCKS)
    assert [name for name in rules if BLOCKS[name] not in written] == []
    for step in (*OBJECTIVES, "reference"):
        assert re.search(rf"^minimise {step}\b", written, flags=re.MULTILINE), step


def test_rules_worked_out_by_hand() -> None:
    """Each line below was written from the scenario and the formula, not from the program."""
    lines = set((HERE / "everything.txt").read_text(encoding="utf-8").splitlines())
    # own sales at 80 % execution, two per visit of each person, three less per complaint, five per point of the market
    assert (
        "value[company/sales]: -0.8 stretch[ann/sales] - 0.8 stretch[bob/sales] + 3 change[company/complaints]"
        " - 2 change[ann/visits] - 2 change[bob/visits] - 1 change[eve/sales] + 1 change[company/sales] = 20"
    ) in lines
    # complaints are a mean weighted 3 to 1, lower is better, 80 % executed
    assert any("0.6 stretch[ann/complaints] + 0.2 stretch[bob/complaints]" in line for line in lines)
    # the goal of 7 complaints from (3 x 10 + 6) / 4 = 9
    assert "goal[complaints]: 2 <= -1 change[company/complaints] + 1 shortfall[complaints]" in lines
    # the hard goal of 62 visits from 64 has no shortfall
    assert "goal[visits]: -2 <= 1 change[company/visits]" in lines
    # Eve's sales are locked at 30, from 10: what is asked is her stretch in full, 20 % of it beyond what is expected
    assert "lock_target[eve/sales]: 0.2 stretch[eve/sales] + 1 change[eve/sales] = 20" in lines
    # complaints are at least 5: Bob's may fall by 1 from 6, at 80 % execution of his stretch
    assert "0 <= stretch[bob/complaints] <= 1.25" in lines
    # there are at most 60 visits, of the company too, which has 64
    assert "bound[company/visits]: 1 change[company/visits] <= -4" in lines
    # the row of the company is about the total of the stretches below it
    assert "total[company/sales]: 1 stretch[ann/sales] + 1 stretch[bob/sales] + 1 stretch[eve/sales] <= 40" in lines
    # incentives of 100 leave 20 of the pay budget
    assert "budget[pay]: 0.5 stretch[ann/sales] <= 20" in lines
    assert "budget[cash]: 50 level[training@ann] + 50 level[training@bob] <= 150" in lines
    assert "3 = stretch[bob/visits]" in lines or "stretch[bob/visits] = 3" in lines
    assert "whole 0 <= level[training@ann] <= 2" in lines


def test_rules_by_period_worked_out_by_hand() -> None:
    """Each line below was written from the scenario and the formula, not from the program."""
    lines = (HERE / "by_period.txt").read_text(encoding="utf-8").splitlines()
    # 40 % of a year's 1,000 are the first half's; 420 are 20 more, the year's 1,100 are 100 more
    assert "goal[first]: 20 <= 1 change[co/sales/H1] + 1 shortfall[first]" in lines
    assert "goal[sales]: 100 <= 1 change[co/sales] + 1 shortfall[sales]" in lines
    # half of what the skill was raised by in H1 is left in H2; 1 of skill held all year is worth 10 of sales
    assert "value[co/skill built up/H1]: -1 stretch[co/skill/H1] + 1 change[co/skill built up/H1] = 0" in lines
    # 8 of sales a session in a year, 40 % of it in H1; 0.75 of Bob's quality counts, worth 5 and half a year later
    (first,) = [line for line in lines if line.startswith("value[co/sales/H1]")]
    assert "- 3.2 level[training@ann/H1]" in first
    assert "- 4 change[co/skill built up/H1]" in first
    assert "quality" not in first
    (year,) = [line for line in lines if line.startswith("value[co/sales]:")]
    # all of a year of 5 per point, 0.6 of it in H2, from H1's quality: x / 0.4 x 0.75 x 5 x 0.6
    assert "- 5.625 stretch[bob/quality/H1]" in year
    # a stretch of quality in H2 comes to nothing any more, one of skill to 10 x 0.6
    assert "stretch[bob/quality/H2]" not in year
    assert "-6 stretch[co/skill/H2]" in year
    assert "range[ann/sales]: 0 <= 1 stretch[ann/sales/H1] + 1 stretch[ann/sales/H2] <= 60" in lines
    assert "range[bob/sales]: 1 stretch[bob/sales/H1] + 1 stretch[bob/sales/H2] = 20" in lines
    # ann's stretch relative to her 240 of H1 and 360 of H2
    assert any(line.startswith("ramp[ann/sales/H2]: -0.05 <= -0.0041666666666") for line in lines)
    assert "start[training@ann]: 1 level[training@ann/H1] + 1 level[training@ann/H2] <= 3" in lines
    assert "capacity.hours[ann/H1]: 2 stretch[ann/sales/H1] + 5 level[training@ann/H1] <= 30" in lines
    assert "capacity.hours[ann/H2]: 2 stretch[ann/sales/H2] + 5 level[training@ann/H2] <= 70" in lines


def test_rules_of_actions_worked_out_by_hand() -> None:
    """Each line below was written from the scenario and the formula, not from the program."""
    lines = (HERE / "actions.txt").read_text(encoding="utf-8").splitlines()
    # what runs is not idle; it is 10 or 25 where it runs, and begins once
    assert "on[crm@plant/H1]: 1 on[crm@plant/H1] + 1 idle[crm@plant/H1] = 1" in lines
    assert (
        "levels[crm@plant/H2]: 1 level[crm@plant/H2] - 10 choice[crm@plant/H2>=10] - 15 choice[crm@plant/H2>=25] = 0"
    ) in lines
    assert "steps[crm@plant/H2>=10]: -1 on[crm@plant/H2] + 1 choice[crm@plant/H2>=10] = 0" in lines
    assert "steps[crm@plant/H2>=25]: -1 choice[crm@plant/H2>=10] + 1 choice[crm@plant/H2>=25] <= 0" in lines
    assert "once[crm@plant]: 1 on[crm@plant/H1] + 1 on[crm@plant/H2] <= 1" in lines
    # the course begins in H2: the CRM may have begun in either half
    assert ("needs[course@a/H2: crm]: -1 on[crm@plant/H1] - 1 on[crm@plant/H2] + 1 on[course@a/H2] <= 0") in lines
    assert "run[course@a/H2]: 1 level[course@a/H2] - 4 on[course@a/H2] <= 0" in lines
    assert "not_with[press@a: course@a]: 1 on[course@a/H2] + 1 on[press@a/H1] <= 1" in lines
    # a press that another needs runs with one at least
    assert "least[press@a/H1]: 0 <= 1 level[press@a/H1] - 1 on[press@a/H1]" in lines
    # set up in the half in which it begins
    assert "capacity.hours[a/H2]: 1 level[course@a/H2] + 6 on[course@a/H2] <= 20" in lines
    (cash,) = [line for line in lines if line.startswith("budget[cash]")]
    assert "+ 30 on[crm@plant/H1] + 30 on[crm@plant/H2] <= 100" in cash


def test_tiers_worked_out_by_hand() -> None:
    """Each line below was written from the scenario and the formula, not from the program."""
    lines = (HERE / "tiers.txt").read_text(encoding="utf-8").splitlines()
    # of 100: the first 5 once, the next 5 twice, which is 2 x - 5, the rest four times, 4 x - 25
    assert "effort_curve[a/out: 1]: 0 <= -1 stretch[a/out] + 1 load[a/out]" in lines
    assert "effort_curve[a/out: 2]: -5 <= -2 stretch[a/out] + 1 load[a/out]" in lines
    assert "effort_curve[a/out: 4]: -25 <= -4 stretch[a/out] + 1 load[a/out]" in lines
    # 60.450045 is the most that may be missing; met is met: the KPI has no step
    assert "met[out]: 1 shortfall[out] - 60.450045 missed[out] <= 0" in lines
    assert "minimise met 1: 3 missed[out]" in lines
    # b cannot leave its first tier, and c has another curve, half of its effort
    assert "capacity.hours[co]: 3 stretch[b/out] + 1 stretch[c/out] + 3 load[a/out] <= 60" in lines
    (cost,) = [line for line in lines if line.startswith("minimise cost")]
    assert cost.endswith("30 stretch[b/out] + 10 stretch[c/out] + 30 load[a/out]")


def test_curves_worked_out_by_hand() -> None:
    """Each line below was written from the scenario and the formula, not from the program."""
    lines = (HERE / "curves.txt").read_text(encoding="utf-8").splitlines()
    ads, fairs, worse = (
        "initiative.ads.effects.sales@co",
        "initiative.fairs.effects.sales@co",
        "kpi.errors.drivers.visits@co",
    )
    # four for each of the first 10, then 1.5: 40 and 70 at 10 and 30; more of it helps, and the slopes fall
    assert f"curve[{ads}: 4]: -4 change[{ads}] + 1 response[{ads}] <= 0" in lines
    assert f"curve[{ads}: 1.5]: -1.5 change[{ads}] + 1 response[{ads}] <= 25" in lines
    # one each up to 10, five each up to 20, one each from there on: whole numbers say what is full
    (filled,) = [line for line in lines if line.startswith(f"curve[{fairs}]")]
    assert filled.endswith(f"- 1 part[{fairs}: 10] - 5 part[{fairs}: 20] - 1 part[{fairs}: 30] = 0")
    assert f"filled[{fairs}: 10, full]: 0 <= 1 part[{fairs}: 10] - 10 full[{fairs}: 10]" in lines
    assert f"filled[{fairs}: 10, next]: 1 part[{fairs}: 20] - 10 full[{fairs}: 10] <= 0" in lines
    assert f"whole 0 <= full[{fairs}: 20] <= 1" in lines
    # errors, of which fewer are better, rise by 0.1 a visit up to 10, then by 0.4
    assert f"curve[{worse}: 0.1]: 0 <= -0.1 change[{worse}] + 1 response[{worse}]" in lines
    assert f"curve[{worse}: 0.4]: -3 <= -0.4 change[{worse}] + 1 response[{worse}]" in lines
    # what reaches it are the visits of both units, and what it makes of them are errors
    assert f"value[{worse}]: -1 change[co/visits] + 1 change[{worse}] = 0" in lines
    assert f"value[co/errors]: 1 change[co/errors] - 1 response[{worse}] = 0" in lines


def test_formulation_page_is_current() -> None:
    """`python docs/formulation.py` writes it anew."""
    page = runpy.run_path(str(ROOT / "docs" / "formulation.py"))["page"]
    assert (ROOT / "docs" / "formulation.md").read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    for source in sources():
        (HERE / f"{source.stem}.txt").write_text(text_of(source), encoding="utf-8")
