"""Sweeps on a cluster and in processes: workers that die, workers far away, refusals."""

import csv
import json
import time
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.studies.sweep.point import PointResult, SweepJob
from kpiopt.workers.job import Failure
from tests.studies.sweep.real_sweep import HAND, LONG, ROOT, ended, kept_points, result, start, sweep
from tests.workers.dask_workers import loopback_cluster


@pytest.mark.nightly  # with toy points: tests/workers/test_dask_cluster.py
def test_one_of_two_dask_workers_killed_in_the_middle_gives_the_digest_of_serial(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert sweep(tmp_path / "serial", *LONG) == 0
    with loopback_cluster(elsewhere, workers=2) as cluster:
        process = start(tmp_path / "runs", "--executor", cluster.address)
        while len(kept_points(tmp_path / "runs")) < 10 and process.poll() is None:
            time.sleep(0.005)
        cluster.workers[0].kill()
        assert ended(process)[1] == b""
        assert process.returncode == 0
    assert result(tmp_path / "runs") == result(tmp_path / "serial")


def test_workers_need_no_file_of_this_machine(tmp_path):
    """A job whose files are out of reach is answered from what it carries."""
    here = SweepJob(HAND).prepare()
    document = _resolved(tmp_path)
    files = tuple((p.relative_to(document).as_posix(), p.read_bytes()) for p in document.rglob("*") if p.is_file())
    there = SweepJob(Path("/nowhere/scenario.toml"), files=files).prepare()
    for number, limit in enumerate((200, 650)):
        point = _point(number, limit)
        assert there(point) == here(point)


def _resolved(tmp_path: Path) -> Path:
    """Return a folder with a resolved scenario and its inputs."""
    assert sweep(tmp_path, str(HAND)) == 0
    [folder] = tmp_path.iterdir()
    for name in ("sweep.json", "points.csv", "summary.txt"):
        (folder / name).unlink()
    return folder


def _point(number: int, limit: float):
    from kpiopt.studies.sweep.axes import Point

    return Point(number, (("budget.pay.limit", limit),))


def test_a_poison_point_is_marked_and_the_rest_is_kept(tmp_path, capsys, monkeypatch):
    """The point kills every worker process that takes it; its neighbours are answered."""
    words = [str(HAND), "--over", "budget.pay.limit=200:700:6", "--executor", "processes:2"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("kpiopt.studies.sweep.sweep_folder.answer_points", _poisoned)
    assert sweep(tmp_path, *words, "--json") == ExitCode.PARTIAL
    document = json.loads(capsys.readouterr().out)
    states = [point["status"] for point in document["points"]]
    assert states == ["optimal", "optimal", "failed", "optimal", "optimal", "optimal"]
    assert document["points"][2]["problems"][0]["code"] == "E-worker-lost"
    assert document["points"][2]["attempts"] == 3
    assert len(kept_points(tmp_path)) == 5
    assert main(["runs", "list", "--out", str(tmp_path)]) == 0
    assert "sweep of 6 points, 1 failed" in capsys.readouterr().out
    monkeypatch.undo()
    assert sweep(tmp_path, *words) == 0  # once it is harmless, only it is solved
    with next(tmp_path.glob("*/points.csv")).open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["optimal"] * 6


def _poisoned(job, points, executor, journal, on_progress):
    from kpiopt.runs.journal import answer_points
    from tests.workers.toy_job import Poisoned

    found = answer_points(Poisoned(job, 400), points, executor, journal, on_progress)
    assert all(isinstance(answer, PointResult | Failure) for answer in found.values())
    return found


def test_a_refused_sweep_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kpiopt.workers.dask_cluster.CONNECT_SECONDS", 0.5)
    out = tmp_path / "runs"
    assert sweep(out, str(HAND), "--executor", "dask://127.0.0.1:9") == ExitCode.USAGE
    assert "no Dask scheduler answers" in capsys.readouterr().err
    assert not out.exists()


def test_sweeps_are_listed_shown_and_removed_but_no_runs(tmp_path, capsys):
    assert sweep(tmp_path, str(HAND)) == 0
    shown = capsys.readouterr().out
    [folder] = tmp_path.iterdir()
    words = ["--out", str(tmp_path)]
    assert main(["runs", "list", *words]) == 0
    assert "sweep of 6 points" in capsys.readouterr().out
    assert main(["runs", "show", folder.name, *words]) == 0
    assert capsys.readouterr().out == shown
    for command in (["verify"], ["explain"], ["simulate"], ["runs", "diff", folder.name]):
        code = main([*command, folder.name, *words])
        said = capsys.readouterr().err
        assert code == ExitCode.USAGE, (command, said)
    assert main(["runs", "rm", folder.name, *words]) == 0
    assert list(tmp_path.iterdir()) == []
