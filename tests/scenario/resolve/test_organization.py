"""The organization: one tree, whatever the order of rows; every fault of it named."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.scenario.resolve.units import depth_first_order, tree_depths
from tests.scenario.conftest import Check

KPI = "[kpi.sales]\nunit = 'USD'\nbaseline = 1\n[goal.sales]\ntarget = 2\n"


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    n = draw(st.integers(1, 40))
    ids = draw(st.lists(st.text("abcé9", min_size=1, max_size=4), min_size=n, max_size=n, unique=True))
    parent = [-1] + [draw(st.integers(0, i - 1)) for i in range(1, n)]
    order = draw(st.permutations(range(n)))
    place = {old: new for new, old in enumerate(order)}
    return [ids[i] for i in order], [place.get(parent[i], -1) for i in order]


def visit(ids: list[str], parent: list[int], row: int) -> list[int]:
    """Depth first, siblings by id: the definition, by recursion."""
    children = sorted((i for i, p in enumerate(parent) if p == row), key=lambda i: ids[i])
    return [row, *(below for child in children for below in visit(ids, parent, child))]


@given(trees())
@settings(max_examples=200, deadline=None)
def test_order_and_subtrees_are_those_of_a_recursive_walk(tree: tuple[list[str], list[int]]) -> None:
    ids, parent = tree
    rows = np.array(parent, dtype=np.int64)
    order, subtree = depth_first_order(ids, rows, tree_depths(rows))
    assert order.tolist() == visit(ids, parent, parent.index(-1))
    assert subtree.tolist() == [len(visit(ids, parent, row)) for row in order.tolist()]


def test_row_66_one_unit_works_and_none_is_refused(check: Check) -> None:
    assert check(f"[unit.solo]\n{KPI}").fine().units.ids == ("solo",)
    assert "[unit.company]" in check(KPI).only("E-no-units").fix


def test_a_missing_parent_is_named_with_the_nearest_unit(check: Check) -> None:
    problem = check(KPI, units="unit,parent\nco,\nnorth,co\nann,nroth").only("E-unknown-parent")
    assert "'nroth'" in problem.message and "did you mean 'north'?" in problem.fix
    assert str(problem.location).endswith("units.csv:4 column parent")


def test_several_roots_are_all_named(check: Check) -> None:
    problem = check(KPI, units="unit,parent\na,\nb,\nc,a\nd,").only("E-several-roots")
    assert all(f"'{name}'" in problem.message for name in "abd")
    assert len(problem.others) == 2


def test_circles_of_parents_are_named(check: Check) -> None:
    problem = check(KPI, units="unit,parent\nco,\na,c\nb,a\nc,b\nd,c").only("E-unit-cycle")
    assert sorted(problem.message.split(": ")[1].split(" -> ")[:-1]) == ["a", "b", "c"]
    assert check(KPI, units="unit,parent\nco,\na,a").only("E-unit-cycle").message.endswith("a -> a")


def test_a_circle_without_any_root_is_named(check: Check) -> None:
    assert "a -> b" in check(KPI, units="unit,parent\na,b\nb,a").only("E-unit-cycle").message


def test_every_circle_is_reported(check: Check) -> None:
    result = check(KPI, units="unit,parent\nco,\na,b\nb,a\nc,d\nd,c")
    assert result.codes.count("E-unit-cycle") == 2


def test_the_document_adds_units_to_a_table_and_changes_single_values(check: Check) -> None:
    text = f"[unit.north]\nsize = 7\ncapacity.hours = 3\n[unit.new]\nparent = 'north'\nlevel = 'team'\n{KPI}"
    units = check(text, units="unit,name,parent,level,size\nco,C,,company,\nnorth,N,co,team,5").fine().units
    assert units.ids == ("co", "north", "new")
    assert units.names == ("C", "N", "new") and units.levels == ("company", "team", "team")
    assert units.size[1] == 7 and np.isnan(units.size[[0, 2]]).all()
    assert units.capacity["hours"][1] == 3 and np.isnan(units.capacity["hours"][2])


def test_places_of_values_that_the_document_gives_are_in_the_document(check: Check) -> None:
    text = f"{KPI}[unit.north]\nparent = 'cow'\n"
    problem = check(text, units="unit,parent\nco,\nnorth,co").only("E-unknown-parent")
    assert problem.location is not None and problem.location.file.endswith("scenario.toml")
    assert problem.location.text == "parent = 'cow'"


def test_row_67_negative_figures_of_units_are_named(check: Check) -> None:
    result = check(KPI, units="unit,parent,size,target_incentive,capacity.hours\nco,,-1,-2,-3")
    assert result.codes.count("E-negative") == 3
    assert "capacity.hours -3" in " ".join(p.message for p in result.problems)


def test_pay_plans_and_capacities_must_exist(check: Check) -> None:
    problem = check(f"{KPI}[pay_plan.rep]\npayout = [[0, 0], [1, 1]]", units="unit,parent,pay_plan\nco,,reps").only(
        "E-unknown-pay-plan"
    )
    assert "did you mean 'rep'?" in problem.fix
    problem = check(f"{KPI}[capacity.hour]", units="unit,parent,capacity.hours\nco,,5").only("E-unknown-resource")
    assert "did you mean 'hours'?" in problem.fix


def test_a_large_organization_with_many_faults_is_reported_in_few_lines(check: Check) -> None:
    rows = "\n".join(f"u{i},nobody{i}" for i in range(500))
    result = check(KPI, units=f"unit,parent\nco,\n{rows}")
    assert result.codes.count("E-unknown-parent") == 51
    assert any("450 more" in p.message for p in result.problems)
