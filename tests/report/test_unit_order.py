"""Units stand in the order of the file in what is shown; arrays keep their own order."""

from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.report.page.kept_files import summary_text
from kpiopt.report.page.report import render_report
from kpiopt.report.page.source import source_of_run
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

HEAD = """
schema = 1
name = "Regions"
currency = "USD"
[kpi.sales]
name = "Sales"
unit = "USD"
[goal.sales]
target = 340
[budget.cash]
limit = 100
[guardrail.all]
where = { kpi = "sales" }
growth = [0, 0.2]
[initiative.coaching]
units = { level = "region" }
max = 1
uses = { cash = 1 }
[initiative.coaching.effects]
sales = 2
"""
FILES = {"west": 101, "east": 98, "north": 103}


def write(folder: Path, names: list[str], *, inline: bool) -> Path:
    """The same organization, its regions in some order, in the document or in tables."""
    folder.mkdir()
    text = HEAD
    if inline:
        text += "[unit.group]\n" + "".join(f'[unit.{u}]\nparent = "group"\nlevel = "region"\n' for u in names)
        text += "".join(f'[cell."{u}/sales"]\nbaseline = {FILES[u]}\n' for u in sorted(names))
    else:
        text += '[tables]\nunits = "units.csv"\ncells = "cells.csv"\n'
        (folder / "units.csv").write_text("unit,parent,level\n" + "".join(f"{u},group,region\n" for u in names)
                                          + "group,,\n")  # fmt: skip
        (folder / "cells.csv").write_text("unit,kpi,baseline\n" + "".join(f"{u},sales,{FILES[u]}\n" for u in FILES))
    (folder / "scenario.toml").write_text(text)
    return folder / "scenario.toml"


def solved(path: Path) -> Run:
    return solve_scenario(load_scenario(path), options=SolveOptions(simulate=False))


def order_in(text: str) -> list[str]:
    """The regions by their first mention."""
    return sorted(FILES, key=text.index)


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("names", [["west", "east", "north"], ["north", "west", "east"]])
def test_tables_list_units_as_the_file_does(tmp_path, names, inline):
    run = solved(write(tmp_path / "a", names, inline=inline))
    summary = summary_text(run, Path("x"))
    parts = (("Who is asked what", "targets that can"), ("relative to baseline", "\n\n"), ("chosen", "\n\n"))
    for heading, end in parts:
        assert order_in(summary[summary.index(heading) :].partition(end)[0]) == names, heading
    page = render_report(source_of_run(run, "x"))
    cascade = page[page.index("Cascade, Sales") :]
    assert order_in(cascade) == names
    assert order_in(page[page.rindex("Initiatives") :]) == names


def test_arrays_and_targets_do_not_depend_on_the_order_of_the_file(tmp_path):
    first, second = (
        solved(write(tmp_path / name, names, inline=False))
        for name, names in (("a", ["west", "east", "north"]), ("b", ["north", "west", "east"]))
    )
    assert first.scenario.units.ids == second.scenario.units.ids == ("group", "east", "north", "west")
    assert np.array_equal(first.plan.target, second.plan.target)
    assert first.scenario.units.place.tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize("inline", [True, False])
def test_a_kept_run_verifies_whatever_the_order(tmp_path, inline):
    path = write(tmp_path / "a", ["west", "north", "east"], inline=inline)
    assert main(["solve", str(path), "--out", str(tmp_path / "runs"), "--no-simulation"]) == 0
    (run,) = (p for p in (tmp_path / "runs").iterdir() if p.is_dir() and not p.name.startswith("."))
    assert main(["verify", str(run)]) == 0
