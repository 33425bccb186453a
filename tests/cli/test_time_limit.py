"""A time limit is a promise for the whole command: what is published then is proved, and what is missing is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.cli.signals import limit_of
from kpiopt.deadline import Deadline
from kpiopt.errors import Infeasible, LimitReached
from kpiopt.graph import build_graph
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.simulation.redraw import draw_book
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.sensitivity.study import SensitivityQuestion, study_sensitivity
from kpiopt.studies.sweep.point import PointSolver, SweepJob

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HAND_SOLVED = SCENARIOS / "hand-solved.toml"


class Countdown(Deadline):
    """A deadline that is over after so many looks at the clock, wherever these are."""

    def __init__(self, looks: int) -> None:
        super().__init__(float("inf"), 5.0)
        object.__setattr__(self, "looks", [looks])

    @property
    def is_over(self) -> bool:
        self.looks[0] -= 1
        return self.looks[0] < 0

    @property
    def left(self) -> float:
        return 0.0 if self.is_over else 60.0


def looks_of(work) -> int:
    """Return how often a piece of work looks at the clock."""
    clock = Countdown(10**9)
    work(clock)
    return 10**9 - clock.looks[0]


def solve(clock: Deadline, scenario=None, **overrides):
    options = SolveOptions(SolverOptions(deadline=clock), **overrides)
    return solve_scenario(
        scenario or kpiopt.load(HAND_SOLVED, variant="lean", overrides=["simulation.draws=1024"]), options=options
    )


def without_rules(clock: Deadline):
    return solve(clock, beside=())


def test_wherever_the_time_ends_what_is_published_is_proved_and_the_rest_is_told():
    full = solve(Deadline())
    assert full.not_done == () and full.as_dict()["not_done"] == []
    total, before_rules, seen = looks_of(solve), looks_of(without_rules), set()
    for looks in sorted(
        {*range(0, total, max(1, total // 10)), *range(max(0, before_rules - 20), before_rules + 1, 2), total}
    ):
        try:
            run = solve(Countdown(looks))
        except LimitReached as late:
            seen.add("no plan")
            assert late.problems[0].code == "E-time-limit"
            continue
        assert run.certificate.passed
        assert np.array_equal(run.plan.target, full.plan.target, equal_nan=True)
        missing = {part.what for part in run.not_done}
        seen |= missing or {"all"}
        assert all(part["text"] for part in run.as_dict()["not_done"])
        assert (run.simulation is not None and run.simulation.draws == full.simulation.draws) or "odds" in missing
        for limit, wanted in zip(run.limits, full.limits, strict=True):
            assert not limit.in_time or limit == wanted
            assert limit.in_time or "prices" in missing
    assert seen == {"no plan", "prices", "odds", "rare odds", "rules", "all"}


def test_odds_that_are_cut_short_are_those_of_the_whole_nets_that_were_drawn():
    full = solve(Deadline())
    plan, cut = full.plan, None
    for looks in range(3, 30):
        cut = simulate(full.graph, plan.stretch, plan.levels, plan.target, deadline=Countdown(looks))
        if cut.asked:
            break
    assert cut is not None and cut.asked == 1024 and 2 <= cut.layout.replicates < 16
    first = full.simulation.kept.hits[:, : cut.layout.replicates]
    for position, goal in enumerate(cut.goals):
        assert goal.odds.estimate == pytest.approx(first[position].mean(), abs=1e-12)
        assert goal.odds.low <= goal.odds.estimate <= goal.odds.high
    assert cut.not_done[0].text.startswith(f"the odds are from {cut.draws:,} of 1,024 draws")


def test_a_proof_that_there_is_no_plan_stands_without_its_repair():
    scenario = kpiopt.load(HAND_SOLVED, variant="impossible")
    with pytest.raises(Infeasible) as caught:
        solve(Deadline(), scenario, simulate=False)
    full, seen = caught.value.details, set()
    clock = Countdown(10**9)
    with pytest.raises(Infeasible):
        solve(clock, scenario, simulate=False)
    total = 10**9 - clock.looks[0]
    for looks in {*range(0, total, max(1, total // 12)), total}:
        with pytest.raises((Infeasible, LimitReached)) as caught:
            solve(Countdown(looks), scenario, simulate=False)
        if isinstance(caught.value, LimitReached):
            continue
        found = caught.value.details
        assert found["certificate"]["passed"]
        missing = {part["what"] for part in found["not_done"]}
        assert found["repair"] == full["repair"] or (found["repair"] is None and "repair" in missing)
        assert found["conflict"] == full["conflict"] or "conflict" in missing
        seen.add(frozenset(missing))
    assert frozenset() in seen and len(seen) > 1


def test_a_study_that_is_cut_short_has_only_bars_of_the_whole_one():
    scenario = kpiopt.load(HAND_SOLVED, overrides=["simulation.draws=64"])
    question = SensitivityQuestion(methods=("tornado", "sobol"), kinds=("limit", "goal", "uncertain"))

    def study(clock):
        return study_sensitivity(scenario, question, None, SolverOptions(deadline=clock))

    full, seen = study(Deadline()), set()
    bars = {bar.move.path: bar.swing for bar in full.tornado.bars}
    total = looks_of(study)
    for looks in range(0, total + 1, max(1, total // 8)):
        try:
            found = study(Countdown(looks))
        except LimitReached:
            continue
        missing = {part.what for part in found.not_done}
        shown = found.tornado.bars if found.tornado else ()
        assert {bar.move.path: bar.swing for bar in shown}.items() <= bars.items()
        assert len(shown) == len(bars) or "tornado" in missing
        assert found.shares == full.shares or "sobol" in missing
        seen.add(len(shown))
    assert len(seen) > 2


def commands(tmp_path: Path) -> dict[str, list[str]]:
    out = ["--out", str(tmp_path / "runs")]
    assert main(["solve", str(HAND_SOLVED), "--no-simulation", *out]) == 0
    [run] = (tmp_path / "runs").glob("hand-solved-plan-*")
    return {
        "solve": ["solve", str(HAND_SOLVED), "--force", *out],
        "compare": ["compare", str(HAND_SOLVED), f"{HAND_SOLVED}:lean", *out],
        "sweep": ["sweep", str(HAND_SOLVED), *out],
        "sensitivity": ["sensitivity", str(HAND_SOLVED)],
        "simulate": ["simulate", str(run), *out],
        "simulate an action": ["simulate", str(run), "--do", "sales=1", *out],
        "verify": ["verify", str(run), *out],
        "explain": ["explain", str(run), "ann/sales", *out],
    }


def test_every_command_that_computes_keeps_to_a_limit_of_nothing(tmp_path, capsys):
    for name, words in commands(tmp_path).items():
        capsys.readouterr()
        assert main([*words, "--time-limit", "0"]) == 7, name
        assert "E-time-limit" in capsys.readouterr().err, name
        code = main([*words, "--time-limit", "0", "--json"])
        document = json.loads(capsys.readouterr().out)
        assert code == 7 and (document.get("exit_code") == 7 or document["not_done"]), name
    assert main(["sweep", str(HAND_SOLVED), "--out", str(tmp_path / "runs"), "--no-simulation"]) == 0


def test_studies_of_history_and_pages_keep_to_a_limit_of_nothing(tmp_path, capsys):
    run = commands(tmp_path)["verify"][1]
    (tmp_path / "h.csv").write_text("unit,kpi,period,value\nann,sales,2026-01,3\n")
    for words in (
        ["fit", str(tmp_path / "h.csv"), "--out", str(tmp_path / "fitted")],
        ["backtest", str(HAND_SOLVED), str(tmp_path / "h.csv"), "--out", str(tmp_path / "b.json")],
        ["report", run, "--html", str(tmp_path / "r.html")],
        ["report", run, "--study", "--html", str(tmp_path / "r.html")],
        ["report", run, "--all", str(tmp_path / "cards")],
    ):
        capsys.readouterr()
        assert main([*words, "--time-limit", "0"]) == 7, words
        assert "the time limit of 0 s was reached before" in capsys.readouterr().err, words
    assert not any((tmp_path / name).exists() for name in ("fitted", "b.json", "r.html", "cards"))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm here")
def test_what_is_told_whole_or_not_at_all_ends_wherever_it_stands(tmp_path, capsys, monkeypatch):
    run = commands(tmp_path)["verify"][1]

    def stuck(*_args, **_options):
        until(lambda: False)

    monkeypatch.setattr("kpiopt.runs.verification.verify_run", stuck)
    monkeypatch.setattr("kpiopt.studies.swap.find_swap", stuck)
    begin, before = time.monotonic(), signal.getitimer(signal.ITIMER_REAL)[0]  # that of whoever calls, if any
    assert main(["verify", run, "--time-limit", "1"]) == 7
    told = capsys.readouterr().err
    assert "the time limit of 1 s was reached before the run was verified" in told and "plan" not in told
    assert main(["explain", run, "ann/sales", "--time-limit", "2"]) == 0
    said = capsys.readouterr()
    assert "what asking less would mean was not found out in the time" in said.err
    assert "are asked" in said.out
    took = time.monotonic() - begin
    assert took < 30
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(max(0.0, before - took), abs=1.0)


def test_odds_of_far_too_many_draws_are_from_those_that_were_made(tmp_path, capsys):
    run = commands(tmp_path)["simulate"][1]
    for more in ([], ["--do", "sales+=1"]):
        capsys.readouterr()
        assert main(["simulate", run, "--draws", "1000000000", *more, "--time-limit", "1.5", "--json"]) == 0
        said = capsys.readouterr()
        json.loads(said.out)
        assert "of 1,000,000,000 draws: the time was up" in said.err


def test_a_limit_counts_from_the_start_of_the_process():
    code = (
        "import time; time.sleep(1.5)\n"
        "from kpiopt.cli.signals import run_guarded, command_deadline\n"
        "run_guarded(lambda: print(60 - command_deadline(60).left), ['solve', '--time-limit', '60'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1.5 <= float(done.stdout) < 60


def test_wherever_an_answer_was_cut_short_it_follows_from_its_proof(tmp_path, capsys, monkeypatch):
    words = [
        "solve",
        str(HAND_SOLVED),
        "--set",
        "budget.pay.limit=500",
        "--set",
        "simulation.draws=1024",
        "--out",
        str(tmp_path),
    ]
    total, seen = looks_of(without_rules), set()
    for looks in range(total - 20, total + 1, 5):
        with monkeypatch.context() as patched:
            patched.setattr(Deadline, "after", classmethod(lambda _cls, _seconds, n=looks: Countdown(n)))
            code = main([*words, "--time-limit", "5", "--json", "--force"])
        cut = json.loads(capsys.readouterr().out)
        if code == 7:
            continue
        seen.add(tuple(part["what"] for part in cut["not_done"]))
        assert main(["verify", cut["folder"]]) == 0, (looks, capsys.readouterr().out)
        capsys.readouterr()
    assert len(seen) >= 3


def test_an_answer_that_was_cut_short_is_told_and_is_not_the_answer_next_time(tmp_path, capsys, monkeypatch):
    words = [
        "solve",
        str(HAND_SOLVED),
        "--set",
        "budget.pay.limit=500",
        "--set",
        "simulation.draws=1024",
        "--out",
        str(tmp_path),
    ]
    total = looks_of(without_rules)
    with monkeypatch.context() as patched:
        patched.setattr(Deadline, "after", classmethod(lambda _cls, _seconds: Countdown(total - 10)))
        assert main([*words, "--time-limit", "5", "--json"]) == 0
    said = capsys.readouterr()
    cut = json.loads(said.out)
    assert cut["not_done"][0]["what"] == "odds"
    assert "W-not-done" in said.err
    [folder] = tmp_path.glob("hand-solved-plan-*")
    assert "Not complete: the odds" in (folder / "summary.txt").read_text("utf-8")
    assert main(["verify", str(folder)]) == 0
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    complete = json.loads(capsys.readouterr().out)
    assert complete["not_done"] == [] and complete["run"] == cut["run"]
    assert json.loads((folder / "run.json").read_text("utf-8"))["not_done"] == []


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (["solve", "s.toml"], float("inf")),
        (["solve", "s.toml", "--time-limit", "4"], 4.0),
        (["solve", "--time-limit=0.5", "s.toml"], 0.5),
        (["solve", "--time-limit", "1", "--time-limit", "2"], 2.0),
        (["solve", "--time-limit", "soon"], float("inf")),
        (["solve", "--time-limit"], float("inf")),
        (["solve", "--time-limit", "-1"], float("inf")),
        (["solve", "--time-limit", "nan"], float("inf")),
    ],
)
def test_the_guard_reads_the_limit_as_the_command_does(words, seconds):
    assert limit_of(words) == seconds


GUARDED = """
import sys, time
from kpiopt.cli.signals import mark_certified, run_guarded
def work():
    {work}
sys.exit(run_guarded(work, ["solve", "--time-limit", "0.2", *sys.argv[1:]]))
"""


def guarded(work: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", GUARDED.format(work=work), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_work_that_looks_at_no_clock_is_ended():
    stuck = "sum(range(10**12))"  # one call into compiled code that never lets go
    process = guarded(stuck, "--json")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    assert json.loads(out)["problems"][0]["code"] == "E-time-limit"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("work", "code"), [("return 4", 4), ("raise SystemExit(3)", 3), ("mark_certified(); time.sleep(3); return 0", 0)]
)
def test_work_that_ends_ends_as_it_does(work, code):
    assert guarded(work).wait(timeout=60) == code


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_ctrl_c_reaches_the_work_and_nothing_outlives_the_guard(tmp_path):
    child = tmp_path / "child"
    begin = f"import os; open({str(child)!r}, 'w').write(str(os.getpid()));"
    wait = (
        f"{begin} mark_certified()\n    try:\n        time.sleep(50)\n    except KeyboardInterrupt:\n        return 130"
    )
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        child.unlink(missing_ok=True)
        process = guarded(wait)
        until(lambda: child.exists() and child.read_text())
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        until(lambda: not is_alive(int(child.read_text())))


def until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_what_odds_cost_may_be_missing_and_the_plan_is_kept(tmp_path, monkeypatch, capsys):
    """The time ends within `--risk`: the certified plan is kept and verified, and asked again the rest is done."""
    from kpiopt.studies import risk

    def late(*_: object, **__: object) -> None:
        raise Deadline.after(0).reached("the odds of 70 % were priced")

    words = ["solve", str(HAND_SOLVED), "--risk", "--json", "--draws", "128", "--set", "odds.draws=64"]
    words += ["--out", str(tmp_path)]
    with monkeypatch.context() as patched:
        patched.setattr(risk, "study_risk", late)
        assert main(words) == 0
    found, said = capsys.readouterr()
    document = json.loads(found)
    assert [part["what"] for part in document["not_done"]] == ["risk"] and document["certificate"]["passed"]
    assert "W-not-done" in said and "--risk" in said
    folder = Path(document["folder"])
    assert "what odds cost (--risk) was not found out" in (folder / "summary.txt").read_text()
    assert all(finding.passed for finding in kpiopt.verify(folder))
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["not_done"] == [] and again["risk"]["prices"] and again["run"] == document["run"]


def test_the_plan_is_kept_before_it_is_found_out_what_odds_cost(tmp_path, monkeypatch, capsys):
    """However the command ends within `--risk`: the plan is complete in its folder, and the same command asks again."""
    from kpiopt.studies import risk

    def ended(*_: object, **__: object) -> None:
        raise SystemExit(7)

    words = ["solve", str(HAND_SOLVED), "--risk", "--json", "--draws", "128", "--set", "odds.draws=64"]
    words += ["--out", str(tmp_path)]
    with monkeypatch.context() as patched:
        patched.setattr(risk, "study_risk", ended)
        assert main(words) == 7
    (folder,) = (path.parent for path in tmp_path.glob("*/run.json"))
    assert "the command ended before" in " ".join((folder / "summary.txt").read_text().split())
    assert (folder / "report.html").exists() and all(finding.passed for finding in kpiopt.verify(folder))
    capsys.readouterr()
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["not_done"] == [] and again["risk"]["prices"] and again["run"] == folder.name


def test_a_sweep_draws_nothing_before_a_point_needs_it_and_stops_drawing_in_time(tmp_path):
    """The draws that points share were made before the first point, whatever the time limit."""
    path = tmp_path / "s.toml"
    path.write_text(
        'schema = 1\nname = "late"\n[kpi.k]\n[unit.co]\n[cell."co/k"]\nbaseline = 10\nmax_stretch = 5\n'
        '[goal.k]\ntarget = 12\n[uncertainty]\nexecution = "0.7 to 1.1"\n[sweep]\n"goal.k.target" = [12, 13]\n'
    )
    over = Deadline.after(0)
    solver = PointSolver(SweepJob(path, solver=SolverOptions(deadline=over)))
    assert "_book" not in vars(solver)
    with pytest.raises(LimitReached, match="before this point was begun"):
        solver.answer((("goal.k.target", 12.0),))
    assert "_book" not in vars(solver)
    with pytest.raises(LimitReached, match="before the draws for odds were made"):
        draw_book(build_graph(kpiopt.load(path)), deadline=over)
    assert draw_book(build_graph(kpiopt.load(path))) is not None
