"""A row of a total changes what it says, and nothing else: no range, no count and no bulk edit comes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.run.judge import judge_rule
from kpiopt.scenario.load import check_scenario

TEXT = """
schema = 1
name = "b"
[kpi.f]
unit = "x"
[unit.c]
[unit.r]
parent = "c"
level = "team"
[unit.a]
parent = "r"
level = "rep"
[unit.b]
parent = "r"
level = "rep"
[cell."a/f"]
baseline = 50
weight = 0.5
{range}
[cell."b/f"]
baseline = 60
weight = 0.5
{range}
[goal.f]
target = 130
"""
OWN, NONE = "max_stretch = 20", ""
SILENT = """
[cell."c/f"]
commit = 125
[cell."r/f"]
commit = 126
reference = 127
baseline = 110
weight = 0.5
"""
EVERYBODY = [
    (OWN, '[guardrail.g]\nwhere = { kpi = "f" }\ngrowth = [0.0, 0.1]'),
    (NONE, '[guardrail.g]\nwhere = { kpi = "f" }\ngrowth = [0.15, 0.5]'),
    (NONE, "[guardrail.g]\ngrowth = [0.0, 0.1]\nmost = 1.2\nleast = 0.5"),
    (OWN, "[adjust.x]\nset = { max_stretch = 8, min_stretch = 2 }"),
    (OWN, '[adjust.x]\nwhere = { kpi = "f" }\nset = { pay_rate = 2 }'),
    (OWN, "[adjust.x]\nscale = { max_stretch = 0.4 }"),
    (OWN, "[adjust.x]\nadd = { max_stretch = -15 }"),
    (OWN, '[adjust.x]\nset = { max_stretch = 8 }\n[adjust.y]\nwhere = { kpi = "f" }\nscale = { max_stretch = 1.5 }'),
    (OWN, "[assign.q]\nkpis = [1, 1]"),
    (OWN, "[assign.q]\nkpis = [1, 1]\nchoose = true"),
    (OWN, "[assign.q]\nleast_weight = 0.4"),
    (OWN, "[fairness]\nband = 0.05"),
    (OWN, '[decide]\npeers = ["level"]\n[fairness]\nleximin = true'),
    (OWN, "[reconcile]\nweight = 0.5"),
    (OWN, "[over_assignment]\nrep = 0.05"),
    (OWN, '[uncertainty]\nexecution = 0.8\n[execution.e]\nwhere = { kpi = "f" }\nvalue = 0.9'),
]


def findings(path: Path) -> set[tuple[str, str]]:
    return {(p.code, p.message) for p in check_scenario(path)[1] if p.code != "W-reconciliation"}


def answers(path: Path, more: str) -> tuple[object, ...]:
    path.write_text(more, "utf-8")
    scenario = kpiopt.load(path)
    run = kpiopt.solve(scenario, simulate=False)
    rules = [judge_rule(build_graph(scenario), rule) for rule in ("even", "last-year+8%")]
    groups = build_cascade(build_graph(scenario)).columns.compared
    return (
        run.plan.targets.select("unit", "kpi", "plan", "target").rows(),
        [(rule.plan.stretch.sum(), rule.broken, rule.notes) for rule in rules],
        (groups.names, groups.count.tolist()),
        int(scenario.cells.has_decision.sum()),
        len(build_cascade(build_graph(scenario)).program.row_block("total") or ()),
    )


@pytest.mark.parametrize(("own", "more"), EVERYBODY)
def test_a_total_that_says_nothing_of_ranges_changes_nothing(own, more, tmp_path):
    path, text = tmp_path / "s.toml", TEXT.replace("{range}", own) + more + "\n"
    before, said = answers(path, text), findings(path)
    assert answers(path, text + SILENT) == before
    assert findings(path) == said


def test_what_a_total_says_itself_holds_beside_guardrails(tmp_path):
    guarded = TEXT.replace("{range}", NONE) + "[guardrail.g]\ngrowth = [0.0, 0.5]\n"
    assert answers(tmp_path / "s.toml", guarded + '[cell."r/f"]\nmax_stretch = 10')[0][0][2] == pytest.approx(120)
    assert answers(tmp_path / "s.toml", guarded + '[cell."r/f"]\nlock_target = 128')[0][0][2] == pytest.approx(128)


def test_edits_of_totals_alone_and_in_proportion_change_them(tmp_path):
    text = TEXT.replace("{range}", OWN) + '[cell."r/f"]\nmax_stretch = 10\n'
    alone = '[adjust.x]\nwhere = { level = "team" }\nset = { max_stretch = 6 }'
    assert answers(tmp_path / "s.toml", text + alone)[0][0][2] == pytest.approx(116)
    everybody = "[adjust.x]\nscale = { max_stretch = 0.5 }"
    assert answers(tmp_path / "s.toml", text + everybody)[0][0][2] == pytest.approx(115)
    cells = "[adjust.x]\nset = { max_stretch = 4 }"
    assert answers(tmp_path / "s.toml", text + cells)[0][0][2] == pytest.approx(118)


def test_growth_that_selects_totals_alone_is_told(tmp_path):
    text = TEXT.replace("{range}", OWN) + '[cell."r/f"]\ncommit = 125\n'
    (tmp_path / "s.toml").write_text(text + '[guardrail.g]\nwhere = { level = "team" }\ngrowth = [0, 0.1]', "utf-8")
    told = [message for code, message in findings(tmp_path / "s.toml") if code == "W-no-effect"]
    assert any("every row that it is about is one of a total" in message for message in told)


def test_without_a_min_stretch_a_total_may_fall(tmp_path):
    text = TEXT.replace("{range}", OWN).replace("weight = 0.5\nmax_stretch = 20", "lock = -4\nlock_reason = 'x'", 1)
    text = text.replace("target = 130", "target = 100")
    total = '[cell."r/f"]\nmax_stretch = 12\n'
    assert answers(tmp_path / "s.toml", text + total)[0][0][2] == pytest.approx(106)
    assert answers(tmp_path / "s.toml", text + total + "min_stretch = 0\n")[0][0][2] == pytest.approx(110)


def test_equal_chances_count_a_locked_total_once(tmp_path):
    text = TEXT.replace("{range}", "max_stretch = 40\nnoise_sd = 0.1").replace("130", "122")
    text = text.replace("noise_sd = 0.1", "noise_sd = 0.2", 1) + '[decide]\nfairness = "chance"\n'
    locked = text + '[cell."r/f"]\nlock = 12\nlock_reason = "x"\n'
    free, held = ([row[3] for row in answers(tmp_path / "s.toml", each)[0]] for each in (text, locked))
    assert held == pytest.approx(free)
