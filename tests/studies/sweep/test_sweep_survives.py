"""Sweeps that are killed, interrupted or run twice at once end as if nothing had happened."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.runs.store import RunStore
from kpiopt.studies.sweep.point import SweepJob
from tests.nights import rest_at_night
from tests.studies.sweep.real_sweep import (
    HAND,
    LONG,
    N_POINTS,
    ended,
    kept_points,
    promised,
    result,
    start,
    start_and_stop,
    sweep,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert sweep(out, *LONG) == 0
    return result(out)


def kill_at_random(out: Path, executor: str, kills: int, chance: random.Random) -> int:
    """Start the sweep again and again, and kill it at random moments; return how often it was killed."""
    before: set[str] = set()
    for done in range(kills):
        process = start(out, "--executor", executor)
        while len(kept_points(out)) < min(len(before) + 1, N_POINTS - 1) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()  # returns when its workers, who hold the same pipe, have ended too
        if process.returncode == 0:
            return done
        kept = kept_points(out)
        assert before <= kept, "an answer that was kept is gone"
        assert all(run.is_complete for run in RunStore(out).runs())
        before = kept
    assert ended(start(out, "--executor", executor))[1] == b""
    return kills


@pytest.mark.parametrize(("executor", "kills"), rest_at_night([("serial", 2), ("processes:2", 2), ("serial", 4)], 1))
def test_killed_at_random_moments(tmp_path, undisturbed, executor, kills):
    assert kill_at_random(tmp_path, executor, kills, random.Random(5)) > 0
    assert result(tmp_path) == undisturbed


@pytest.mark.nightly
@pytest.mark.parametrize("executor", ["serial", "threads:2", "processes:2"])
def test_200_kills(tmp_path, undisturbed, executor):
    chance, kills = random.Random(11), 0
    for attempt in range(1000):
        out = tmp_path / str(attempt)
        kills += kill_at_random(out, executor, 12, chance)
        assert result(out) == undisturbed
        if kills >= 67:  # 201 with three executors
            return
    pytest.fail("hardly ever killed in time")


@pytest.mark.parametrize(
    ("executor", "number", "code"),
    [
        ("serial", signal.SIGINT, 130),
        pytest.param("threads:2", signal.SIGINT, 130, marks=pytest.mark.nightly),
        ("processes:2", signal.SIGTERM, 143),
        pytest.param("serial", signal.SIGHUP, 143, marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_sweep_ends_within_two_seconds_and_goes_on(tmp_path, undisturbed, executor, number, code):
    out = tmp_path / "runs"
    process = start_and_stop(out, 3, "--executor", executor)
    process.send_signal(number)
    started = time.monotonic()
    process.send_signal(signal.SIGCONT)
    said, err = ended(process)
    assert (process.returncode, said) == (code, b"")
    assert err in (b"interrupted; what is answered is kept, and the same command goes on from there\n", b"")
    assert time.monotonic() - started < promised(2.0)
    assert 3 <= len(kept_points(out)) < N_POINTS
    assert sweep(out, *LONG) == 0
    assert result(out) == undisturbed


def test_a_sweep_that_is_not_finished_is_listed_and_can_be_given_up(tmp_path, capsys):
    out = tmp_path / "runs"
    process = start_and_stop(out, 2)
    [journal] = out.glob(".*.journal")
    name = journal.name.removeprefix(".").removesuffix(".journal")
    words = ["--out", str(out)]
    assert main(["runs", "list", *words]) == 0
    assert capsys.readouterr().out == f"{name}  not finished, 2 points kept\n"
    assert main(["runs", "rm", name, *words]) == ExitCode.LOCKED
    process.kill()
    process.communicate()
    assert main(["runs", "list", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == {name: 2}
    assert main(["runs", "rm", name, *words]) == 0
    assert list(out.iterdir()) == []


def test_what_is_kept_is_not_solved_again(tmp_path, undisturbed, monkeypatch):
    out, answered = tmp_path / "runs", []
    process = start_and_stop(out, 40)
    process.kill()
    process.communicate()
    assert len(kept_points(out)) == 40
    prepare = SweepJob.prepare

    def counting(job):
        answer = prepare(job)
        return lambda point: (answered.append(point), answer(point))[1]

    monkeypatch.setattr(SweepJob, "prepare", counting)
    assert sweep(out, *LONG) == 0
    assert len(answered) == N_POINTS - 40
    assert result(out) == undisturbed


def test_a_second_process_is_refused_and_does_no_harm(tmp_path, undisturbed, capsys):
    out = tmp_path / "runs"
    process = start_and_stop(out, 1)
    assert sweep(out, *LONG) == ExitCode.LOCKED
    assert f"process {process.pid}" in capsys.readouterr().err
    assert sweep(out, str(HAND)) == 0  # another question in the same folder
    process.send_signal(signal.SIGCONT)
    assert ended(process)[1] == b""
    assert process.returncode == 0
    [hand] = [run for run in RunStore(out).runs() if "hand" in run.name]
    RunStore(out).remove(hand)
    assert result(out) == undisturbed


def test_ctrl_c_in_a_terminal_reaches_workers_too_and_they_say_nothing(tmp_path):
    """The terminal sends it to all processes of the command, also to those that have hardly been started."""
    process = start(tmp_path / "runs", "--executor", "processes:2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell whose child a process is")
    while len(found := children.read_text().split()) < 3:  # two workers and who tidies up after them
        assert process.poll() is None
        time.sleep(0.002)
    for number in (*map(int, found), process.pid):
        os.kill(number, signal.SIGINT)
    said, err = ended(process)
    assert (process.returncode, said) == (130, b"")
    assert b"Traceback" not in err


@pytest.mark.parametrize("file", rest_at_night(["points.csv", "summary.txt", "scenario.toml"], 1))
def test_an_altered_sweep_is_made_again(tmp_path, file):
    assert sweep(tmp_path, str(HAND)) == 0
    [folder] = tmp_path.iterdir()
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-2] + b"9\n")
    assert sweep(tmp_path, str(HAND)) == 0
    assert (folder / file).read_bytes() == content
