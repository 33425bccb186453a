"""Streams that take no more, places that may not be read or written, and pipes of another encoding."""

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from kpiopt.cli import failure, main
from kpiopt.errors import ExitCode

SCENARIO = (
    'schema = 1\nname = "Pläne → Łódź"\n[kpi.sales]\nname = "Umsatz Łódź"\nunit = "€"\n[unit.co]\n'
    '[unit.a]\nparent = "co"\n'
    '[cell."a/sales"]\nbaseline = 100\nmax_stretch = 20\n[goal.sales]\ntarget = 115\n[simulation]\ndraws = 16\n'
)


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(SCENARIO, "utf-8")
    return path


class Full(io.TextIOBase):
    """A stream on a disk that is full."""

    encoding = "utf-8"

    @property
    def buffer(self):
        """Itself: bytes find no room either."""
        return self

    def write(self, text):
        """Find no room."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["schema"], ["map"], ["explain"], ["solve", "--json"]])
def test_a_full_disk_is_an_output_error_of_every_command(words, scenario, tmp_path, monkeypatch):
    out = ["--out", str(tmp_path / "runs")]
    if words[0] == "explain":
        main(["solve", str(scenario), "--no-simulation", *out])
        words = ["explain", next((tmp_path / "runs").iterdir()).name, "a/sales", *out]
    elif words[0] in ("map", "solve"):
        words = [words[0], str(scenario), *words[1:], *(out if words[0] == "solve" else [])]
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(words) == ExitCode.OUTPUT


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-16"])
@pytest.mark.parametrize("file_format", ["svg", "json", "dot", "mermaid"])
def test_files_on_a_pipe_are_utf_8_whatever_the_terminal_is(scenario, monkeypatch, encoding, file_format):
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding=encoding))
    assert main(["map", str(scenario), "--format", file_format]) == 0
    text = bytes_written.getvalue().decode("utf-8")
    assert "Umsatz Łódź" in text
    if file_format == "json":
        assert json.loads(text)["title"].startswith("Pläne → Łódź")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "runs/x/run.json"), ExitCode.OUTPUT, "runs/x/run.json may not be"),
        (OSError(28, "No space left on device"), ExitCode.OUTPUT, "the answer cannot be written: No space left"),
        (OSError(27, "File too large"), ExitCode.OUTPUT, "the answer cannot be written: File too large"),
        (OSError(22, "Invalid argument"), ExitCode.INTERNAL, "did not expect"),
    ],
)
def test_errors_of_the_system_that_no_command_expected(error, code, said, capsys, monkeypatch):
    monkeypatch.setattr(failure, "_drop_stdout", lambda: None)
    assert failure.end_with(error, [], debug=False) == code
    assert said in capsys.readouterr().err


DROPPED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.nightly
@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
@pytest.mark.parametrize("words", ["solve", "check", "map", "sensitivity", "compare", "sweep", "export", "convert"])
def test_a_scenario_that_may_not_be_read_is_an_input_error(words, scenario, tmp_path):
    scenario.chmod(0)
    command = [*(DROPPED if os.geteuid() == 0 else []), sys.executable, "-m", "kpiopt", words, str(scenario)]
    ended = subprocess.run(
        command + ([str(tmp_path / "x.xlsx")] if words == "convert" else []), capture_output=True, text=True
    )
    assert ended.returncode == ExitCode.INPUT
    assert "cannot be read (Permission denied)" in ended.stderr


@pytest.mark.parametrize("of", ["scenario", "run"])
def test_a_picture_is_not_written_by_the_option_that_names_the_folder_of_runs(of, scenario, tmp_path, capsys):
    runs, picture = tmp_path / "runs", tmp_path / "x.svg"
    assert main(["solve", str(scenario), "--no-simulation", "--out", str(runs)]) == 0
    named = str(scenario if of == "scenario" else next(runs.iterdir()))
    capsys.readouterr()
    for text in (None, "kept"):  # missing, or a file
        if text:
            picture.write_text(text)
        assert main(["map", named, "--out", str(picture)]) == ExitCode.USAGE
        printed = capsys.readouterr()
        assert not printed.out and "E-usage" in printed.err and "--file writes the picture" in printed.err
        assert picture.exists() == bool(text) and (not text or picture.read_text() == text)
    picture.unlink()
    assert main(["map", named, "--out", str(runs)]) == 0
    assert main(["map", named, "--file", str(picture), "--out", str(runs)]) == 0 and picture.exists()
