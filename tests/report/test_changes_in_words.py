"""A change is told by what it is, not by what its KPI's step rounds it to; a swap by what it adds up to."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rich.console import Console

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.report.explanation import swap_sentences
from kpiopt.report.numbers import moved_step
from kpiopt.report.outlook import render_intervention
from kpiopt.studies.swap import StepChange, Swap, Taken
from tests.from_text import run_of
from tests.report.organizations import SPREAD


def shown(what: object) -> str:
    console = Console(width=200, record=True, force_terminal=False)
    with console.capture() as caught:
        console.print(what)
    return caught.get()


@pytest.mark.parametrize("act", ["training@bob=0.5", "training@cyd=5", "training@ann=1"])
def test_what_an_action_changes_is_shown_to_three_digits(tmp_path, act):
    found = kpiopt.simulate(run_of(tmp_path, SPREAD), act=act)
    lines = shown(render_intervention(found)).splitlines()
    number = re.compile(r"[+-]?[\d,]+(?:\.\d+)?")
    for entry in found.changes:
        name = found.before.graph.scenario.kpis[entry.name.rpartition("/")[2].partition("/")[0]].name
        where = found.before.graph.scenario.units.names[found.before.graph.unit[entry.node]]
        line = next(line for line in lines if line.startswith(f" {name} at {where} "))
        before, after, moved, low, high = (float(n.replace(",", "")) for n in number.findall(line.partition(where)[2]))
        real = entry.change.estimate
        assert moved == pytest.approx(real, rel=0.006) and (moved != 0) == (abs(real) > 1e-9)
        assert after - before == pytest.approx(moved, rel=0.03), line
        assert low <= moved <= high


@pytest.mark.parametrize(
    ("entry", "step"),
    [((1, 159.25, 162.75, 3.5, 3.5), 0.1), ((1, 0.0, 4.0, 4.0, 4.0), 1), ((500, 10_000, 24_565.4, 14_565, 14_566), 500),
     ((0.1, 31.0, 31.0123, 0.0120, 0.0126), 1e-4), ((None, 0.5, 0.5 + 1e-12, 1e-12, 1e-12), None),
     ((1, 7.0, 7.0, 0.0, 0.0), 1)],
)  # fmt: skip
def test_decimals_of_a_change(entry, step):
    assert moved_step(*entry) == (pytest.approx(step) if step is not None else None)


def test_a_swap_is_told_by_what_it_adds_up_to(tmp_path):
    run = run_of(tmp_path, SPREAD)
    taken = (*(Taken(u, "visits", a) for u, a in (("bob", 12.5), ("cyd", 13.4))), Taken("ann", "visits", -24.9),
             Taken("bob", "repair", 0.25), Taken("cyd", "repair", 0.5))  # fmt: skip
    cost = StepChange("fairness", 0.022051112, 0.022054624, "relative stretch")
    lines = list(swap_sentences(*_about(run, "ann/days"), Swap(1.0, True, cost, taken)))
    assert "2 units 25.90 visits more effort for Visits, most of all Cyd; Ann 24.90 visits less effort" in lines[0]
    assert "2 units up to 0.5000 points more effort for Repair, most of all Cyd" in lines[0]  # means do not add up
    found = re.search(r"rises by (\S+), from (\S+) to (\S+) ", lines[-1])
    assert "next to nothing" in lines[-1] and float(found[3]) - float(found[2]) == pytest.approx(float(found[1]))
    lines = list(swap_sentences(*_about(run, "ann/visits"), Swap(1.0, True, cost, taken[:3])))
    assert lines[1] == "Of all units together that is as much as before in Visits."
    lines = list(swap_sentences(*_about(run, "ann/visits"), Swap(3.0, True, None, taken[:3])))
    assert lines[1] == "Of all units together that is -2 visits against before in Visits."


def _about(run, name):
    from types import SimpleNamespace

    graph = build_graph(run.scenario)
    unit, kpi = name.split("/")
    return SimpleNamespace(graph=graph), SimpleNamespace(node=graph.find_node(kpi, unit), own_asked=np.nan)
