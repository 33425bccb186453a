"""Limits that whole numbers use up: what the next step brings is solved, or not said at all."""

import kpiopt
from kpiopt.deadline import Deadline
from kpiopt.program.order.prices import STEPPED, price_limits
from kpiopt.report.limits import next_steps, used_up, without_price

HEAD = """
schema = 1
name = "Many budgets"
[kpi.sales]
baseline = 100
[unit.co]
[goal.sales]
target = 500
"""
COUNT = STEPPED + 3


def solved(tmp_path):
    parts = [
        f"[initiative.i{n}]\nmax = 5\nwhole = true\nuses = {{ r{n} = 2 }}\n[initiative.i{n}.effects]\nsales = {n + 1}\n"
        f"[budget.r{n}]\nlimit = 2\nmoney = false\n"
        for n in range(COUNT)
    ]
    path = tmp_path / "s.toml"
    path.write_text(HEAD + "".join(parts), "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def test_of_no_limit_more_is_said_to_be_worth_nothing_without_having_solved_it(tmp_path):
    run = solved(tmp_path)
    assert [limit.binding for limit in run.limits] == [True] * COUNT
    assert used_up(run) == []
    assert len(without_price(run)) == COUNT - STEPPED
    more = [text for text in next_steps(run) if " more " in text]
    assert len(more) == STEPPED and all("closer to its target" in text for text in more)
    steps = [limit.next_more for limit in run.limits if limit.next_more]
    assert [round(-step.change, 9) for step in steps] == [round((n + 1) / 400, 9) for n in range(STEPPED)]


def test_where_the_time_ends_they_are_not_solved(tmp_path):
    run = solved(tmp_path)
    over = price_limits(run.cascade, run.solution, Deadline.after(0.0))
    assert all(limit.next_more is None for limit in over)
    assert not any(limit.in_time for limit in over[:STEPPED])
