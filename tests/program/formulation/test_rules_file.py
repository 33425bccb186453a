"""`[rules] file`: never run without permission, run with it, and its faults told with file and line."""

import builtins
import gc
import textwrap

import numpy as np
import pytest

from kpiopt.errors import Infeasible, ModelError, SecurityError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.rules_file import apply_rules
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

ALLOWED = SolveOptions(simulate=False, allow_code=True)
SCENARIO = """
schema = 1
name = "Two teams"
[kpi.sales]
name = "Sales"
unit = "USD"
[unit.company]
[unit.north]
parent = "company"
[unit.south]
parent = "company"
[cell."north/sales"]
baseline = 100
max_stretch = 30
[cell."south/sales"]
baseline = 100
max_stretch = 30
[goal.sales]
target = 220
[rules]
file = "rules.py"
"""


@pytest.fixture
def scenario(tmp_path):
    def write(rules, text=SCENARIO):
        (tmp_path / "scenario.toml").write_text(text)
        (tmp_path / "rules.py").write_text(textwrap.dedent(rules).lstrip())
        return load_scenario(tmp_path / "scenario.toml")

    return write


def stretch_of(run):
    units, cells = run.scenario.units, run.scenario.cells
    return dict(zip([units.ids[u] for u in cells.unit.tolist()], run.plan.stretch.tolist(), strict=True))


MORE_FROM_NORTH = """
    import pyomo.environ as pyo

    def add_rules(model, scenario):
        model.more_from_north = pyo.Constraint(
            expr=model.stretch["north/sales"] >= 3 * model.stretch["south/sales"]
        )
"""


def test_nothing_of_the_file_is_run_without_permission(scenario):
    builtins.kpiopt_rules_ran = False
    two_teams = scenario("import builtins\nbuiltins.kpiopt_rules_ran = True\n")
    with pytest.raises(SecurityError) as caught:
        solve_scenario(two_teams)
    problem = caught.value.problems[0]
    assert problem.code == "E-code-not-allowed"
    assert "rules.py" in problem.message
    assert "--allow-code" in problem.fix
    assert builtins.kpiopt_rules_ran is False
    del builtins.kpiopt_rules_ran


def test_a_rule_takes_part_in_the_plan_and_in_its_certificate(scenario):
    run = solve_scenario(scenario(MORE_FROM_NORTH), options=ALLOWED)
    assert stretch_of(run) == pytest.approx({"north": 15.0, "south": 5.0}, rel=1e-12)
    assert all(step.certificate.passed for step in run.solution.steps)


def test_indexed_rules_keep_their_names_when_the_model_is_gone(scenario):
    ruled = apply_rules(
        build_cascade(
            build_graph(
                scenario("""
            import pyomo.environ as pyo

            def add_rules(model, scenario):
                cells = list(model.stretch)
                model.cap = pyo.Constraint(cells, rule=lambda m, cell: m.stretch[cell] <= 25)
                model.least = pyo.Var(cells, bounds=(0, 1))
                model.use = pyo.Constraint(cells, rule=lambda m, cell: m.least[cell] >= 0.5)
        """)
            )
        ),
        allow_code=True,
    )
    gc.collect()
    rows, columns = ruled.program.rows[-1], ruled.program.columns[-1]
    cells = ("north/sales", "south/sales")
    assert [rows.label(i) for i in range(len(rows))] == [f"{rule}[{cell}]" for rule in ("cap", "use") for cell in cells]
    assert [columns.label(i) for i in range(len(columns))] == [f"least[{cell}]" for cell in cells]


def test_without_the_rule_the_split_is_proportional(scenario):
    run = solve_scenario(scenario("def add_rules(model, scenario):\n    pass\n"), options=ALLOWED)
    assert stretch_of(run) == pytest.approx({"north": 10.0, "south": 10.0}, rel=1e-12)


def test_a_yes_or_no_variable_of_a_rule_is_decided(scenario):
    run = solve_scenario(
        scenario("""
            import pyomo.environ as pyo

            def add_rules(model, scenario):
                model.only_one = pyo.Var(domain=pyo.Binary)
                model.north = pyo.Constraint(expr=model.stretch["north/sales"] <= 30 * model.only_one)
                model.south = pyo.Constraint(expr=model.stretch["south/sales"] <= 30 * (1 - model.only_one))
        """),
        options=ALLOWED,
    )
    assert sorted(stretch_of(run).values()) == pytest.approx([0.0, 20.0], abs=1e-9)


def test_rules_see_the_scenario(scenario):
    run = solve_scenario(
        scenario("""
            def add_rules(model, scenario):
                model.stretch["north/sales"].setub(scenario.goals["sales"].target / 100)
        """),
        options=ALLOWED,
    )
    assert stretch_of(run) == pytest.approx({"north": 2.2, "south": 17.8}, rel=1e-12)


def test_what_rules_print_stays_out_of_the_answer(scenario, capsys):
    solve_scenario(scenario("def add_rules(model, scenario):\n    print('a word')\n"), options=ALLOWED)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "a word\n")


def test_rules_that_clash_with_the_limits_are_a_proved_infeasibility(scenario):
    two_teams = scenario("""
        import pyomo.environ as pyo

        def add_rules(model, scenario):
            model.too_much = pyo.Constraint(expr=model.stretch["north/sales"] + model.stretch["south/sales"] >= 61)
    """)
    with pytest.raises(Infeasible) as caught:
        solve_scenario(two_teams, options=ALLOWED)
    assert "too_much" in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "line", "words"),
    [
        ("x = 1\n", None, "add_rules"),
        ("def add_rules(model, scenario):\n    return model.nothing_here\n", 2, "nothing_here"),
        ("import no_such_module\n", 1, "no_such_module"),
        ("def add_rules(model, scenario):\n    model.stretch['west/sales'].fix(1)\n", 2, "west/sales"),
        ("def add_rules(model, scenario)\n    pass\n", 1, "SyntaxError"),
        ("import sys\ndef add_rules(model, scenario):\n    sys.exit(3)\n", 3, "SystemExit"),
        ("def add_rules(model):\n    pass\n", None, "TypeError"),
        (
            "import pyomo.environ as pyo\n\ndef add_rules(model, scenario):\n"
            "    model.curved = pyo.Constraint(expr=model.stretch['north/sales'] ** 2 <= 4)\n",
            4,
            "not linear",
        ),
        (
            "import pyomo.environ as pyo\n\ndef add_rules(model, scenario):\n    model.spare = pyo.Var()\n"
            "    model.uses = pyo.Constraint(expr=model.spare >= model.stretch['north/sales'])\n",
            4,
            "no finite bounds",
        ),
        ("def add_rules(model, scenario):\n    x = 0\n    model.goal.deactivate()\n", 3, "takes goal"),
    ],
)
def test_a_fault_is_told_with_file_and_line(scenario, rules, line, words):
    two_teams = scenario(rules)
    with pytest.raises(ModelError) as caught:
        solve_scenario(two_teams, options=ALLOWED)
    problem = caught.value.problems[0]
    assert problem.code == "E-rules"
    assert words in problem.message
    assert problem.location.file.endswith("rules.py")
    assert problem.location.line == line


def test_a_scenario_without_rules_needs_no_permission(scenario):
    run = solve_scenario(
        scenario("", SCENARIO.partition("[rules]")[0]), options=SolveOptions(simulate=False, allow_code=False)
    )
    np.testing.assert_allclose(sum(stretch_of(run).values()), 20.0)


STEPPED = SCENARIO.replace('unit = "USD"', 'unit = "USD"\nstep = 10')


@pytest.mark.parametrize(("least", "broken"), [(13, True), (16, False), (10, False)])
def test_a_rule_that_rounding_breaks_is_told(scenario, least, broken):
    """20 more in steps of 10, at least 13 of them from North: 13 and 7 become 10 and 10, 16 and 4 20 and 0."""
    run = solve_scenario(
        scenario(
            f"""
                import pyomo.environ as pyo

                def add_rules(model, scenario):
                    model.share = pyo.Var(bounds=(0, 100))
                    model.counted = pyo.Constraint(expr=model.share == model.stretch["north/sales"])
                    model.least = pyo.Constraint(expr=model.share >= {least})
            """,
            STEPPED,
        ),
        options=ALLOWED,
    )
    notes = [note.message for note in run.plan.notes if note.code == "W-rounding-rules"]
    assert len(notes) == broken
    assert all("by 3" in note for note in notes)


def test_a_rules_file_that_is_too_large_is_told_as_one(tmp_path):
    (tmp_path / "rules.py").write_text("#" * 1_000_001)
    (tmp_path / "s.toml").write_text('schema = 1\nname = "S"\n[kpi.a]\n[unit.u]\n[rules]\nfile = "rules.py"\n')
    with pytest.raises(SecurityError, match="a rules file has at most 1,000,000 bytes") as caught:
        load_scenario(tmp_path / "s.toml")
    assert "tables" not in str(caught.value)
