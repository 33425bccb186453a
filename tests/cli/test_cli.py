"""The command line as a planner meets it: help, messages, JSON and exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kpiopt import __version__
from kpiopt.cli import main, start
from kpiopt.cli import terminal as talk
from kpiopt.cli.manual import MEANING, commands, exit_code_table, render_manual
from kpiopt.errors import ExitCode, Problem
from tests.nights import rest_at_night

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kpiopt", *arguments], capture_output=True, text=True, **options)


def answer(capsys) -> dict:
    """The one JSON document on stdout."""
    return json.loads(capsys.readouterr().out)


def test_help_of_every_command_loads_no_numpy():
    """All in one process: what an earlier command's help loads would still be there, so it would be found."""
    asked = [["--help"], *([*name.split()[1:], "--help"] for name in commands())]
    script = (
        "import sys, json; from kpiopt.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    assert main(words) == 0, words\n"
        "    heavy = {'numpy', 'polars', 'scipy', 'highspy', 'networkx'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, json.dumps(asked)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: kpiopt") == len(asked)
    assert done.stderr == ""


def test_every_command_and_option_has_help():
    assert commands()
    for name, command in commands().items():
        assert command.help, name
        assert [p.name for p in command.params if not p.help] == [], name


def test_manual_is_current():
    """Write it again with `python -m kpiopt.cli.manual > docs/cli.md`."""
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == render_manual()


def test_every_exit_code_has_a_meaning():
    assert set(MEANING) == set(ExitCode)
    assert all(f"| {int(code)} |" in exit_code_table() for code in ExitCode)


def test_module_and_command_are_the_same():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kpiopt {__version__}\n", "")


def test_no_command_shows_help_and_is_a_usage_error(capsys):
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["solv"], "No such command 'solv'"),
        (["check"], "Missing argument 'SCENARIO'"),
        (["check", "x.toml", "--varant", "a"], "No such option"),
    ],
)
def test_usage_errors_say_what_and_where_to_look(capsys, words, message):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "--help" in err
    assert "Traceback" not in err


def test_usage_error_as_json_is_one_document(capsys):
    assert main(["check", "--json", "--nope"]) == 2
    document = answer(capsys)
    assert document["schema"] == "kpiopt.error/1"
    assert document["exit_code"] == 2
    assert "--nope" in document["problems"][0]["message"]


def test_an_unexpected_error_is_short_without_debug_and_full_with_it(capsys, monkeypatch):
    def fail(*_, **__):
        raise ValueError("a broken promise")

    monkeypatch.setattr("kpiopt.cli.start._schema_text", fail)
    assert main(["schema"]) == 1
    err = capsys.readouterr().err
    assert "ValueError: a broken promise" in err
    assert "Traceback" not in err
    assert main(["schema", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_running_out_of_memory_is_a_limit(capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("kpiopt.cli.start._schema_text", fail)
    assert main(["schema"]) == 7
    assert "memory ran out" in capsys.readouterr().err


def test_a_full_disk_behind_stdout_is_an_output_error():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kpiopt", "schema"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 8
    assert "E-output" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_went_away_is_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "kpiopt", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.wait() == 8
    assert process.stderr.read() == b""
    process.stderr.close()


def test_first_fifty_problems_and_their_count(capsys):
    talk.say_problems(Problem("E-x", f"number {i}") for i in range(1234))
    err = capsys.readouterr().err
    assert err.count("E-x: number") == 50
    assert "and 1,184 more" in err
    assert "1,234 errors found" in err


def test_control_characters_in_messages_are_escaped(capsys):
    talk.say_problems([Problem("E-x", "name \x1b[31mred\n forged")])
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\\u001b[31mred\\u000a forged" in err


def test_json_with_a_number_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        talk.print_json({"value": float("nan")})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_that_compiled_code_turns_into_another_error_is_one(number, code, monkeypatch, capsys):
    """Modules in C that are stopped while they are set up answer with `ImportError: initialization failed`."""

    def begin() -> str:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except (KeyboardInterrupt, SystemExit) as stopped:
            raise ImportError("initialization failed") from stopped
        return ""

    monkeypatch.setattr(start, "_schema_text", begin)
    assert main(["schema"]) == code
    told = capsys.readouterr()
    assert (told.out, "E-internal" in told.err) == ("", False)


UNINTERRUPTIBLE = "[ctypes.CDLL(None).pthread_mutex_lock(mutex) for mutex in [ctypes.create_string_buffer(64)] * 2]"


@pytest.mark.parametrize(
    ("number", "code", "busy"),
    [
        (signal.SIGINT, 130, "time.sleep(30)"),
        (signal.SIGTERM, 143, "[i for i in range(10**12) if i < 0]"),
        (signal.SIGINT, 130, UNINTERRUPTIBLE),
        (signal.SIGTERM, 143, UNINTERRUPTIBLE),
        (signal.SIGHUP, 143, "time.sleep(30)"),
    ],
)
def test_interruption_ends_within_two_seconds(number, code, busy):
    """Whatever runs: a call that can be interrupted, Python code, compiled code that cannot be."""
    script = (
        "import ctypes, sys, time, kpiopt.cli.start as start\n"
        "from kpiopt.cli import main\n"
        f"start._schema_text = lambda: print('busy', file=sys.stderr, flush=True) or {busy}\n"
        "sys.exit(main(['schema']))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr.readline() == b"busy\n"
    started = time.monotonic()
    os.kill(process.pid, number)
    assert process.wait(timeout=10) == code
    assert time.monotonic() - started < 2.0
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_what_nohup_ignores_stays_ignored():
    script = (
        "import os, signal, sys, kpiopt.cli.start as start\n"
        "from kpiopt.cli import main\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "start._schema_text = lambda: os.kill(os.getpid(), signal.SIGHUP) or 'still here'\n"
        "sys.exit(main(['schema']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "still here\n")


@pytest.mark.parametrize("closed", rest_at_night([">&-", "<&- >&- 2>&-", "<&-", "2>&-"], 2))
def test_streams_that_are_closed_from_the_start_harm_nobody(tmp_path, closed):
    scenario = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"
    command = f"exec {sys.executable} -m kpiopt solve {scenario} --no-simulation --out {tmp_path} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=scenario.parents[1], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    [folder] = tmp_path.iterdir()
    assert main(["verify", folder.name, "--out", str(tmp_path)]) == 0


def test_schema_goes_to_stdout_or_whole_into_a_file(capsys, tmp_path):
    assert main(["schema"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["$schema"].startswith("https://json-schema.org/")
    assert main(["schema", "--out", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text("utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


def test_init_overwrites_nothing(capsys, tmp_path):
    (tmp_path / "units.csv").write_text("mine")
    assert main(["init", str(tmp_path)]) == 8
    assert "units.csv exists already" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["units.csv"]
    assert (tmp_path / "units.csv").read_text() == "mine"


def test_messages_name_no_path_of_this_machine():
    assert re.search(r"/(home|work|root)/", render_manual()) is None


def test_many_problems_of_one_kind_do_not_hide_another(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Problem("W-gap", f"gap {i}") for i in range(90)]
    talk.say_problems([*many, Problem("W-rare", "rare"), Problem("E-last", "an error")])
    err = capsys.readouterr().err
    assert "rare" in err and "an error" in err and "and 42 more" in err
    assert err.index("gap 0") < err.index("gap 1") < err.index("rare")


def test_check_finds_what_only_later_rooms_can_know(tmp_path, capsys):
    """Row 81: three correlations, each possible, together impossible; `check` and `solve` agree."""
    path = tmp_path / "scenario.toml"
    pairs = {"a ~ factor.b": 0.9, "b ~ factor.c": 0.9, "a ~ factor.c": -0.9}
    path.write_text(
        'schema = 1\nname = "x"\n[kpi.s]\nstep = 1\nbaseline = 10\n[kpi.s.drivers]\na = 1\nb = 1\nc = 1\n'
        + "".join(f"[factor.{f}]\nvalue = {{ normal = [0, 1] }}\n" for f in "abc")
        + "[unit.co]\n[goal.s]\ntarget = 11\n[correlation]\n"
        + "".join(f'"factor.{pair}" = {value}\n' for pair, value in pairs.items()),
        encoding="utf-8",
    )
    assert main(["check", str(path)]) == 3
    assert "E-correlation-definite" in capsys.readouterr().err
