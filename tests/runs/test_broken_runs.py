"""Kept runs that people, tools and disks have edited or broken: one line each, and no run blocks another."""

import json
import os
import shutil
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.runs.run_document import seal
from kpiopt.runs.stored_run import read_run

SMALL = """
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
effort.hours = 1
[cell."south/sales"]
baseline = 100
max_stretch = 30
effort.hours = 1
[initiative.coaching]
name = "Coaching"
units = ["north"]
max = 2
uses = { cash = 10 }
effects = { sales = 1 }
[budget.cash]
limit = 15
[goal.sales]
target = 220
[uncertainty]
execution = "0.8 to 1.0"
[simulation]
draws = 64
"""
WRONG = [None, 5, -1e300, "x", "\ud800", [], [None], {}, {"a": []}, True]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    (folder / "scenario.toml").write_text(SMALL)
    words = ["solve", str(folder / "scenario.toml"), "--out", str(folder / "runs")]
    assert main(words) == 0
    assert main([*words, "--seed", "3"]) == 0
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def runs_of(folder: Path) -> tuple[Path, Path]:
    first, second = sorted((folder / "runs").iterdir())
    return first, second


def commands(folder: Path, run: Path, other: Path) -> list[list[str]]:
    """Every command that reads run folders."""
    out = ["--out", str(folder / "runs")]
    return [
        ["runs", "list", *out],
        ["runs", "list", "--json", *out],
        ["runs", "show", str(run)],
        ["runs", "show", "--json", str(run)],
        ["runs", "diff", str(run), str(other)],
        ["runs", "diff", "--json", str(other), str(run)],
        ["verify", str(run)],
        ["explain", str(run), "north/sales"],
        ["simulate", str(run)],
        ["compare", str(other), str(run), "--no-simulation"],
        ["solve", str(folder / "scenario.toml"), *out],
    ]


def places(value, path=()):
    """Every place of a document."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, key))


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


def write(run: Path, document, *, sealed: bool) -> bool:
    """Write a document, its digest made to fit where that can be done."""
    try:
        text = json.dumps(seal(document) if sealed else document)
    except (TypeError, KeyError, AttributeError, ValueError):
        text = json.dumps(document)
    (run / "run.json").write_text(text)
    return bool(read_run(run).document)


def internal_errors(folder: Path, capsys, *, every: int = 1, each_command: bool = False) -> tuple[list[str], int]:
    """Put a wrong type at keys, the digest made to fit, and return what ended as an internal error."""
    run, other = runs_of(folder)
    text, found, taken = (run / "run.json").read_text(), [], 0
    for number, path in enumerate(list(places(json.loads(text)))[::every]):
        document = json.loads(text)
        put(document, path, WRONG[number % len(WRONG)])
        if not write(run, document, sealed=True) and not each_command:
            continue  # what is refused when it is read is refused alike by all
        tried = commands(folder, run, other)[:-1]
        for words in tried if each_command else [tried[taken % len(tried)]]:
            if main(words) == 1:
                found.append(f"{path} {words}: {capsys.readouterr().err[:300]}")
        taken += 1
    return found, taken


def test_wrong_types_end_in_one_line(folder, capsys):
    """At every fifth key; of what is still taken, with a digest that a forger made to fit, one command each."""
    found, taken = internal_errors(folder, capsys, every=5)
    assert found == []
    assert taken > 10


@pytest.mark.nightly
@pytest.mark.parametrize("each_command", [False, True])
def test_wrong_types_anywhere_end_in_one_line(folder, capsys, each_command):
    found, taken = internal_errors(folder, capsys, each_command=each_command)
    assert found == []
    assert taken > (150 if each_command else 50)


def test_an_edited_document_is_used_by_no_command(folder, capsys):
    run, other = runs_of(folder)
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace("220", "230"))
    assert [main(words) for words in commands(folder, run, other)[:-1]] == [0, 0, 8, 8, 8, 8, 6, 8, 8, 8]
    for broken in ("", "nonsense", "[]", "NaN", "[" * 100_000, '{"a": 1e999}', "\udcff"):
        (run / "run.json").write_bytes(broken.encode("utf-8", "surrogateescape"))
        assert main(["runs", "show", str(run)]) == 8
        assert main(["verify", str(run)]) == 6
    (run / "run.json").write_text(text.replace('"goals":', '"goals": [],\n "goals":', 1))
    assert main(["verify", str(run)]) == 6  # other programs would read the first of them
    said = capsys.readouterr()
    assert "damaged" in said.out and "E-internal" not in said.err


@pytest.mark.skipif(os.name == "nt", reason="paths are UTF-16 there")
def test_folders_whose_names_are_no_text_hold_runs_too(folder, capsys):
    words = ["solve", str(folder / "scenario.toml"), "--out", str(folder / "\udcff"), "--no-simulation"]
    assert main(words) == 0
    (run,) = (folder / "\udcff").iterdir()
    assert main(["verify", str(run)]) == 0 and main(["runs", "show", str(run)]) == 0
    assert main(words) == 0 and "solved before" in capsys.readouterr().err
    axis = ["--over", "goal.sales.target=1,2", "--html", str(folder / "\udcff.html"), "--no-simulation"]
    assert main(["sweep", str(folder / "scenario.toml"), "--out", str(folder / "\udcff"), *axis]) == 0


def hide(run: Path, name: str, how: str) -> None:
    path = run / name
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "memory":
        path.symlink_to("/proc/self/mem")
    elif how == "loop":
        path.symlink_to(path)
    elif how == "folder":
        path.mkdir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "pipe") for name in ("run.json", "summary.txt", "targets.parquet", "scenario.toml", "evidence.npz")),
        *(("run.json", how) for how in ("device", "memory", "loop", "folder")),
        *(("targets.parquet", how) for how in ("device", "memory", "loop", "folder", "nothing")),
    ],
)
def test_files_that_are_none_end_in_one_line(folder, capsys, name, how):
    run, other = runs_of(folder)
    hide(run, name, how)
    codes = [main(words) for words in commands(folder, run, other)[:-1]]
    assert codes == [0, 0, 8, 8, 8, 8, 6, 8, 8, 8]
    said = capsys.readouterr()
    assert f"{run.name}" in said.out and "damaged" in said.out
    assert all(line.startswith(("E-", "    ")) for line in said.err.splitlines())
    assert main(["runs", "show", str(other)]) == 0
    assert main(["runs", "rm", run.name, "--out", str(folder / "runs")]) == 0


@pytest.mark.parametrize("name", ["n" * 400, "a\0b", "../run.json", "/etc/passwd", "", "."])
def test_names_in_the_manifest_that_are_none(folder, name):
    run, other = runs_of(folder)
    document = json.loads((run / "run.json").read_text())
    document["manifest"]["files"][name] = {"bytes": 1, "sha256": "0"}
    assert not (write(run, document, sealed=True) and read_run(run).is_complete)
    assert [main(words) for words in commands(folder, run, other)[:-1]] == [0, 0, 8, 8, 8, 8, 6, 8, 8, 8]


@pytest.mark.parametrize("text", ["n" * 400, "a\0b", "x" * 5000, "\udcff", "", ".", "/", "/dev/null", "/proc/self/mem"])
def test_names_of_runs_that_are_none(folder, text, capsys):
    _, other = runs_of(folder)
    out = ["--out", str(folder / "runs")]
    for words in (["runs", "show"], ["verify"], ["runs", "rm"], ["simulate"], ["runs", "diff", str(other)]):
        assert main([*words, text, *out]) == 2
    assert main(["explain", text, "north/sales", *out]) == 2
    assert main(["compare", str(other), text, *out]) in (2, 3)
    assert main(["runs", "list", "--out", text]) in (0, 2, 8)
    assert "E-internal" not in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_blocks_no_other(folder, capsys, monkeypatch):
    run, other = runs_of(folder)
    real = Path.stat

    def stat(path, **options):
        if run in (path, *path.parents) and path != run:
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert main(["runs", "list", "--out", str(folder / "runs")]) == 0
    listed = capsys.readouterr().out
    assert f"{run.name}" in listed and "may not be read" in listed and "damaged" not in listed and other.name in listed
    for words in (["runs", "show"], ["verify"], ["explain"], ["report"]):
        assert main([*words, str(run)]) == 3, words
        assert "may not be read: no permission" in capsys.readouterr().err, words


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["{}", "mine"])
@pytest.mark.parametrize("strange", ["pipe", "zero"])
def test_a_run_whose_document_is_no_file_is_listed_as_damaged_and_can_be_removed(folder, capsys, name, strange):
    run, _ = runs_of(folder)
    moved = run.rename(run.with_name(name.format(run.name)))
    (moved / "run.json").unlink()
    os.mkfifo(moved / "run.json") if strange == "pipe" else (moved / "run.json").symlink_to("/dev/zero")
    out = ["--out", str(folder / "runs")]
    assert main(["runs", "list", *out]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if moved.name in line and "damaged" in line]
    assert main(["runs", "rm", moved.name, *out]) == 0
    assert not moved.exists()


def test_one_file_that_may_not_be_read_is_no_damage(folder, capsys, monkeypatch):
    run, _ = runs_of(folder)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "targets.parquet" and real(path, mode))
    assert main(["verify", str(run)]) == 3
    assert "targets.parquet may not be read" in capsys.readouterr().err


def test_a_runs_folder_that_may_not_be_read(folder, capsys, monkeypatch):
    def iterdir(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert main(["runs", "list", "--out", str(folder / "runs")]) == 8
    assert "E-runs-unreadable" in capsys.readouterr().err


def test_runs_of_one_question_by_other_code_differ_in_their_code(folder, capsys):
    run, other = runs_of(folder)
    shutil.rmtree(other)
    shutil.copytree(run, other)
    document = json.loads((other / "run.json").read_text())
    document["manifest"]["versions"]["code"] = "0123456789ab"
    (other / "run.json").write_text(json.dumps(seal(document)))
    assert main(["runs", "diff", str(run), str(other)]) == 0
    said = capsys.readouterr().out
    assert "made by other versions:\n  kpiopt's code: " in said and "-> 0123456789ab" in said
    assert main(["runs", "diff", "--json", str(run), str(other)]) == 0
    assert json.loads(capsys.readouterr().out)["versions"][0]["second"] == "0123456789ab"
