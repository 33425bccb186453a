"""Paths from the command line: what cannot be read or written ends in one line, and nothing of anybody's is lost."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.cli.terminal import write_in_any_encoding
from kpiopt.runs import lock

SMALL = """
schema = 1
name = "Zwei Teams – größer"
[kpi.sales]
name = "Umsätze €"
unit = "€"
[unit.company]
[cell."company/sales"]
baseline = 100
max_stretch = 30
[goal.sales]
target = 120
[variant.more]
goal.sales.target = 125
[sweep]
"goal.sales.target" = [110, 120]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "scenario.toml").write_text(SMALL)
    (tmp_path / "link.toml").symlink_to("scenario.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "notes.txt").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def words(request, folder) -> list[str]:
    """The words of a command that writes; where it needs a run, one is kept first."""
    if "RUN" not in request.param:
        return request.param
    assert main(["solve", "scenario.toml", "--no-simulation"]) == 0
    run = next(p.name for p in (folder / "runs").iterdir() if p.is_dir() and not p.name.startswith("."))
    return [run if word == "RUN" else word for word in request.param]


UNREADABLE = ["x" * 300, "x" * 300 + ".toml", "b/" * 3000 + "x.toml", "loop.toml", "", "."]


@pytest.mark.parametrize("path", UNREADABLE)
def test_a_map_of_what_cannot_be_read(folder, capsys, path):
    assert main(["map", path]) == 2
    assert "E-run" in capsys.readouterr().err


@pytest.mark.parametrize(("path", "code"), [("x" * 300 + ".toml", 8), ("b/" * 3000 + "x.toml", 8), ("\udcff.toml", 2)])
def test_a_scenario_is_not_converted_to_what_is_no_place(folder, capsys, path, code):
    assert main(["convert", "scenario.toml", path]) == code
    assert "E-internal" not in capsys.readouterr().err


def test_a_folder_without_a_name_is_not_this_folder(folder, capsys):
    before = sorted(folder.iterdir())
    assert main(["init", ""]) == 2 and main(["fit", "h.csv", "--out", ""]) == 2
    assert "no folder is called ''" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
    assert main(["schema", "--out", "loop.toml"]) == 8
    assert "loop.toml is a link in a circle" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no modes here")
def test_what_tells_no_pay_has_the_usual_mode_and_runs_are_private(folder, capsys):
    before = os.umask(0o027)
    try:
        assert main(["schema", "--out", "s.json"]) == 0 and main(["init", "new"]) == 0
        assert main(["map", "scenario.toml", "--file", "m.svg"]) == 0
        assert main(["solve", "scenario.toml", "--no-simulation"]) == 0
        assert main(["convert", "scenario.toml", "c.xlsx"]) == 0
    finally:
        os.umask(before)
    usual = [Path("s.json"), Path("m.svg"), Path("new/scenario.toml"), Path("new/units.csv")]
    assert {path.stat().st_mode & 0o777 for path in usual} == {0o640}
    private = [Path("c.xlsx"), *(file for file in Path("runs").rglob("*-*/*") if file.is_file())]
    assert len(private) > 5 and {path.stat().st_mode & 0o777 for path in private} == {0o600}


def test_force_replaces_no_kept_run_no_input_by_another_name_and_nothing_behind_a_link(folder, capsys):
    assert main(["solve", "scenario.toml", "--no-simulation"]) == 0
    (run,) = Path("runs").glob("*-*")
    Path("kept").symlink_to(run / "run.json")
    os.link("scenario.toml", "same.toml")
    before = {file: file.read_bytes() for file in [Path("scenario.toml"), *run.iterdir()] if file.is_file()}
    commands = [
        (["schema", "--out", "link.toml", "--force"], "is a link to"),
        (["export", "scenario.toml", "--out", "kept", "--force"], "belongs to a kept run"),
        (["schema", "--out", str(run / "targets.csv"), "--force"], "belongs to a kept run"),
        (["export", "scenario.toml", "--out", "same.toml", "--force"], "is a file of the scenario"),
    ]
    for words, said in commands:
        assert main(words) == 8, words
        assert said in capsys.readouterr().err
    assert {file: file.read_bytes() for file in before} == before
    Path("mine.txt").write_text("anybody's")
    assert main(["schema", "--out", "mine.txt", "--force"]) == 0


PATHS = [
    "",
    " ",
    "x" * 5000,
    "x" * 300 + ".toml",
    "loop.toml",
    "\udcff.toml",
    "/proc/self/mem",
    "pipe",
    "/dev/zero",
    ".",
]
READING = [["check"], ["solve"], ["export"], ["sweep"], ["sensitivity"], ["compare", "scenario.toml"], ["compare"]]


@pytest.mark.parametrize("path", PATHS)
def test_scenarios_that_cannot_be_read(folder, capsys, path):
    for words in READING[:5]:
        assert main([*words, path]) == 3, words
    for words in READING[5:]:  # which take runs as well
        assert main([*words, path]) in (2, 3), words
    assert main(["solve", path, "scenario.toml", "--no-simulation"]) in (2, 3, 9)
    assert "E-internal" not in capsys.readouterr().err


@pytest.mark.parametrize("words", READING[:5])
def test_a_scenario_that_may_not_be_read_is_input_everywhere(folder, monkeypatch, words, capsys):
    real = os.open

    def closed(path, *args, **options):
        if str(path).endswith("scenario.toml"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", closed)
    assert main([*words, "scenario.toml"]) == 3
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Path, "stat", lambda *a, **k: (_ for _ in ()).throw(PermissionError(errno.EACCES, "denied")))
    assert main([*words, "scenario.toml"]) == 3
    assert "E-internal" not in capsys.readouterr().err


WRITING = [
    ["export", "scenario.toml", "--out"],
    ["schema", "--out"],
    ["compare", "scenario.toml", "--no-simulation", "--no-study", "--html"],
    ["sweep", "scenario.toml", "--no-simulation", "--html"],
    ["map", "scenario.toml", "--file"],
    ["report", "RUN", "--html"],
]
PLACES = [
    "",
    ".",
    "x" * 5000,
    "loop/x",
    "pipe",
    "/dev/null",
    "/dev/full",
    "/proc/self/mem",
    "no/folder/x",
    "notes.txt/x",
]


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0], indirect=True)
def test_places_that_cannot_be_written(folder, capsys, words):
    before = sorted(p.name for p in folder.iterdir() if p.name != "runs")
    for place in PLACES:
        assert main([*words, place]) == 8, place
        assert main([*words, place, "--force"]) == 8, place
    assert sorted(p.name for p in folder.iterdir() if p.name != "runs") == before
    assert "E-internal" not in capsys.readouterr().err
    assert not Path("/dev/null").is_file() and not (folder / "pipe").is_file()


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0], indirect=True)
def test_nothing_of_anybodys_is_written_over(folder, words):
    for name in ("notes.txt", "scenario.toml", "link.toml"):
        content = (folder / name).read_bytes()
        assert main([*words, name]) == 8
        assert (folder / name).read_bytes() == content
    assert main([*words, "notes.txt", "--force"]) == 0
    assert (folder / "notes.txt").read_bytes() != b"mine"
    assert main([*words, "notes.txt"]) == 0  # by now it is kpiopt's own
    if words[0] not in ("schema", "report"):  # which read no scenario
        assert main([*words, "link.toml", "--force"]) == 8
        assert (folder / "scenario.toml").read_text() == SMALL


@pytest.mark.parametrize("name", ["m.svg", "m.html", "m.mmd", "m.dot", "m.gv", "m.json", "m.png", "m.pdf"])
def test_a_map_of_any_format_is_written_again(folder, name):
    for needed in {"m.png": ["resvg_py"], "m.pdf": ["typst"]}.get(name, []):
        pytest.importorskip(needed)
    (folder / name).write_bytes(b"a picture of mine" + bytes(5000))
    words = ["map", "scenario.toml", "--file", name]
    assert main(words) == 8
    assert (folder / name).read_bytes().startswith(b"a picture of mine")
    assert main([*words, "--force"]) == 0
    assert main(words) == 0  # by now it is kpiopt's own
    if name == "m.png":
        image = pytest.importorskip("PIL.Image").open(name)
        image.load()
        assert image.text == {"Software": "written by kpiopt"}


def test_files_of_a_run_stay_as_they_are(folder, capsys):
    assert main(["solve", "scenario.toml", "--no-simulation"]) == 0
    run = next(p for p in (folder / "runs").iterdir() if p.is_dir() and not p.name.startswith("."))
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
    for name in before:
        for words in (["report", run.name, "--html"], ["map", run.name, "--file"]):
            assert main([*words, f"runs/{run.name}/{name}", "--force"]) == 8, name
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()} == before
    assert "E-output-is-input" in capsys.readouterr().err


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0], indirect=True)
def test_read_only_places(folder, monkeypatch, capsys, words):
    """A file system that refuses to write refuses to clean up as well."""
    real, real_open = Path.unlink, Path.open

    def refuse(path, *args, **options):
        if "page" in path.name:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, *args, **options)

    def opening(path, *args, **options):
        if "page" in path.name:
            raise OSError(errno.EROFS, "Read-only file system")
        return real_open(path, *args, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "open", opening)
    assert main([*words, "page.html"]) == 8
    assert "Read-only file system" in capsys.readouterr().err


@pytest.mark.parametrize("last", [0, 2])
def test_init_writes_all_or_nothing(tmp_path, monkeypatch, capsys, last):
    """The disk is full at the first file, or at the third."""
    synced = []

    def fsync(_):
        synced.append(1)
        if len(synced) > last:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(["init", str(tmp_path / "a" / "b")]) == 8
    assert list(tmp_path.iterdir()) == []
    assert "E-disk-full" in capsys.readouterr().err


def test_a_rules_file_that_is_not_there_is_input(folder, capsys):
    (folder / "scenario.toml").write_text(SMALL + '[rules]\nfile = "none.py"\n')
    assert main(["solve", "scenario.toml", "--allow-code"]) == 3
    assert "none.py" in capsys.readouterr().err


def test_locks_that_fail_without_being_held(tmp_path, monkeypatch):
    from kpiopt.errors import OutputError

    def no_locks(handle):
        os.close(handle)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock_or_close", no_locks)
    with (
        pytest.raises(OutputError, match=r"cannot be locked: No locks available[\s\S]*network drive"),
        lock.hold_lock(tmp_path / "x"),
    ):
        pass


def said(words: list[str], encoding: str, monkeypatch) -> str:
    """Return what a command prints to a stream of an encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        write_in_any_encoding()
        assert main(words) == 0
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_answer_is_printed_in_any_encoding(folder, encoding, monkeypatch):
    text = said(["solve", "scenario.toml", "--no-simulation"], encoding, monkeypatch)
    assert ("Zwei Teams" in text) and ("Umsatze" in text or "Umsätze" in text)
    answer = said(["check", "scenario.toml", "--json"], encoding, monkeypatch)
    assert json.loads(answer)["name"] == "Zwei Teams – größer"


@pytest.mark.nightly
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_process_prints_in_any_encoding(folder, encoding):
    command = [sys.executable, "-m", "kpiopt", "check", "scenario.toml", "--json"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=folder, capture_output=True, env=environment, check=True)
    assert json.loads(done.stdout)["name"] == "Zwei Teams – größer"


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [(signal.SIGINT, 130, "interrupted"), pytest.param(15, 143, "terminated", marks=pytest.mark.nightly)],
)
def test_one_document_also_when_interrupted(folder, number, code, status):
    text = SMALL.replace("[110, 120]", "{ from = 100, to = 125, steps = 5000 }")
    (folder / "scenario.toml").write_text(text)
    command = [sys.executable, "-m", "kpiopt", "sweep", "scenario.toml", "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not list(folder.glob("runs/.*.journal/*.json")) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    document = json.loads(out)
    assert (document["schema"], document["status"], document["exit_code"]) == ("kpiopt.error/1", status, code)
