"""Documents that must be refused, and those that must not; each test names its row of the list of bad inputs."""

import socket
import tracemalloc

import pytest

from kpiopt.errors import InputError, NumericsError, ScenarioError, SecurityError, format_problem
from kpiopt.reading.document import read_document
from tests.reading.refused import only, positions, refusal


def test_row_1_syntax_error_has_line_column_and_caret(project):
    problem = only(refusal(ScenarioError, project(a="schema = 1\nname = = 2\n")), "E-toml-syntax")
    assert positions([problem]) == [(2, 8)]
    shown = format_problem(problem).split("\n")
    assert shown[1] == "    | name = = 2"
    assert shown[2] == "    | " + " " * 7 + "^"


def test_row_1_error_at_the_end_of_the_text_points_at_the_last_line(project):
    problem = only(refusal(ScenarioError, project(a='schema = 1\nname = "open')), "E-toml-syntax")
    assert problem.location.line == 2
    assert problem.location.text == 'name = "open'


@pytest.mark.parametrize("text", ["", "\n\n", "# a plan\n# nothing else", "\ufeff"])
def test_row_2_empty(project, text):
    problem = only(refusal(ScenarioError, project(a=text)), "E-document-empty")
    assert "schema = 1" in problem.rule
    assert "kpiopt init" in problem.fix


def test_row_3_byte_order_mark_is_noted(project):
    document = read_document(project(a=b'\xef\xbb\xbfschema = 1\nname = "x"\n'))
    assert document.data == {"schema": 1, "name": "x"}
    assert [note.code for note in document.notes] == ["N-bom"]
    assert document.origin(("schema",)).column == 10


@pytest.mark.parametrize(
    ("raw", "offset", "encoding"),
    [
        ("schema = 1".encode("utf-16"), 0, "UTF-16"),
        ("schema = 1".encode("utf-16-le"), 1, "UTF-16"),
        ("schema = 1".encode("utf-32"), 0, "UTF-32"),
        ('schema = 1\nname = "Erl\xf6s"'.encode("latin-1"), 22, "Latin-1"),
        ("schema = 1 # 5 \u20ac".encode("cp1252"), 15, "Windows-1252"),
    ],
)
def test_row_4_other_encodings(project, raw, offset, encoding):
    problem = only(refusal(ScenarioError, project(a=raw)), "E-encoding")
    assert f"byte offset {offset})" in problem.message
    assert encoding in problem.message


def test_row_4_line_of_the_bad_byte(project):
    problem = only(refusal(ScenarioError, project(a=b"schema = 1\n\n# \xe9")), "E-encoding")
    assert problem.location.line == 3
    assert "0xE9" in problem.message


@pytest.mark.parametrize("text", ["schema = 1\rname = 'x'\r", "schema = 1\r\nname = 'x'\ry = 1\r\n"])
def test_row_5_cr_line_ends(project, text):
    assert "CR line ends" in only(refusal(ScenarioError, project(a=text)), "E-line-ends").message


def test_row_5_cr_lf_is_fine(project):
    document = read_document(project(a='schema = 1\r\nname = """a\r\nb"""\r\n[kpi.x]\r\nstep = 5\r\n'))
    assert document.data["name"] == "a\nb"
    place = document.origin(("kpi", "x", "step"))
    assert (place.line, place.column, place.text) == (5, 8, "step = 5")


def test_row_7_duplicate_key_names_both_lines(project):
    text = "schema = 1\n[kpi.a]\nstep = 1\nunit = 'x'\nstep = 2\n[kpi.b]\n[kpi.a]\n"
    problems = refusal(ScenarioError, project(a=text))
    assert [(p.code, p.location.line, p.others[0].line) for p in problems] == [
        ("E-toml-duplicate", 5, 3),
        ("E-toml-duplicate", 7, 2),
    ]
    assert "kpi.a.step is written twice: in line 3 and in line 5" in problems[0].message


def test_row_7_duplicate_with_a_value_of_many_lines(project):
    problems = refusal(ScenarioError, project(a='schema = 1\nname = "x"\nname = """\na\nb\n"""\n'))
    assert positions([only(problems, "E-toml-duplicate")]) == [(3, 1)]


def test_rows_7_and_9_are_reported_together(project):
    problems = refusal(ScenarioError, project(a='schema = 1\nx = 1\nx = 2\n"t\u0430x" = 1\n'))
    assert [(p.code, p.location.line) for p in problems] == [("E-toml-duplicate", 3), ("E-key-lookalike", 4)]


def test_row_8_case_clash_names_both_places(project):
    text = "schema = 1\n[goal.sales]\nTarget = 1\ntarget = 2\n[goal.Sales]\n"
    problems = refusal(ScenarioError, project(a=text))
    assert {p.code for p in problems} == {"E-key-case"}
    assert {(p.location.line, p.others[0].line) for p in problems} == {(4, 3), (5, 2)}


def test_row_8_case_clash_between_files_and_with_an_override(project):
    path = project(a='schema = 1\nextends = "b.toml"\n[kpi.Sales]\n', b="schema = 1\n[kpi.sales]\n")
    problem = only(refusal(ScenarioError, path), "E-key-case")
    assert (problem.location.line, problem.others[0].line) == (3, 2)
    path = project(c="schema = 1\n[kpi.sales]\n")
    problem = only(refusal(ScenarioError, path, overrides=["kpi.SALES.step=1"]), "E-key-case")
    assert str(problem.location) == "--set"


@pytest.mark.parametrize("key", ['"t\u0430rget"', "t\u0430rget", "'a_\u0440ay.x'"])
def test_row_9_look_alike_keys_show_code_points(project, key):
    problem = only(refusal(ScenarioError, project(a=f"schema = 1\n[goal.x]\n{key} = 1\n")), "E-key-lookalike")
    assert positions([problem]) == [(3, 1)]
    assert "CYRILLIC SMALL LETTER" in problem.message
    assert "U+04" in problem.message


def test_row_9_a_table_header_is_a_key_too(project):
    problem = only(refusal(ScenarioError, project(a='schema = 1\n[kpi."s\u0430les"]\n')), "E-key-lookalike")
    assert positions([problem]) == [(2, 6)]


@pytest.mark.parametrize(
    "key", ["größe", "Umsatz_€", "продажи", "売り上げ", "продажи usd", "Ventas nº 1", "ΔT-Δ"[:1], "매출", "naïve"]
)
def test_row_9_keys_in_one_script_are_fine(project, key):
    document = read_document(project(a=f'schema = 1\n[kpi."{key}"]\nstep = 1\n'))
    assert document.data["kpi"] == {key: {"step": 1}}


def test_row_9_a_bare_key_in_another_script_is_told_to_be_quoted(project):
    problem = only(refusal(ScenarioError, project(a="schema = 1\ngröße = 1\n")), "E-toml-syntax")
    assert '"größe" in quotes' in problem.fix


@pytest.mark.parametrize("character", ["\u200b", "\u00a0", "\u202e", "\\u0007"])
def test_row_9_hidden_characters_in_keys(project, character):
    only(refusal(ScenarioError, project(a=f'schema = 1\n"tar{character}get" = 1\n')), "E-key-hidden")


def test_row_9_keys_that_become_one_in_normal_form(project):
    problem = only(refusal(ScenarioError, project(a='schema = 1\n"\u00e9" = 1\n"e\u0301" = 2\n')), "E-toml-duplicate")
    assert problem.location.line == 3


def test_row_11_every_number_that_is_not_finite_is_named(project):
    text = "schema = 1\n[goal.a]\ntarget = nan\nweight = 1.0\n[x]\ny = [1, -inf, { z = 1e999 }]\n"
    problems = refusal(NumericsError, project(a=text))
    assert [(p.message.split(" =")[0], *place) for p, place in zip(problems, positions(problems), strict=True)] == [
        ("goal.a.target", 3, 10),
        ("x.y[1]", 6, 9),
        ("x.y[2].z", 6, 21),
    ]
    assert "1e999" in problems[2].message


def test_row_11_a_number_that_would_silently_become_zero(project):
    problems = refusal(NumericsError, project(a="schema = 1\na = 1e-400\nb = 0.0e5\nc = -0.0\n"))
    assert positions(problems) == [(2, 5)]


def test_minus_zero_is_zero(project):
    value = read_document(project(a="schema = 1\na = [-0.0]\n")).data["a"][0]
    assert str(value) == "0.0"


@pytest.mark.parametrize("digits", [20, 5000])
@pytest.mark.parametrize("style", ["a = {}", "[t]\na.b = [1, {}]"])
def test_row_12_long_integers(project, digits, style):
    text = "schema = 1\n" + style.replace("{}", "9" * digits)
    problem = only(refusal(ScenarioError, project(a=text)), "E-toml-integer")
    assert "at most 19 digits" in problem.rule
    assert problem.location.line == text[: text.index("999")].count("\n") + 1
    assert len(problem.message) < 200


def test_row_12_hexadecimal_has_no_way_around(project):
    only(refusal(ScenarioError, project(a=f"schema = 1\na = 0x{'f' * 6000}\n")), "E-toml-integer")
    problems = refusal(ScenarioError, project(a=f"schema = 0x{'f' * 6000}\n"))
    assert problems[0].code == "E-schema-version"


def test_row_12_the_largest_whole_number_is_fine(project):
    assert read_document(project(a=f"schema = 1\na = {2**63 - 1}\n")).data["a"] == 2**63 - 1


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 100_000 + "]" * 100_000,
        "a = " + "{a=" * 100_000,
        ".".join(["a"] * 20_000) + " = 1",
        '"a" . ' * 20_000 + "a = 1",
        "[" + ".".join(["a"] * 300) + "]\n" + "\n".join(f"k{i} = 1" for i in range(10_000)),
        "[[" + ".".join(["a"] * 300) + "]]\n" + "\n".join(f"k{i} = 1" for i in range(10_000)),
    ],
    ids=["13 arrays", "13 closed arrays", "13 tables", "14 bare", "14 quoted", "15 header", "15 array header"],
)
def test_rows_13_to_15_deep_documents_are_refused_before_parsing(project, text, monkeypatch):
    monkeypatch.setattr("tomllib.loads", lambda _: pytest.fail("the text reached the parser"))
    problem = only(refusal(SecurityError, project(a=f"schema = 1\n{text}\n")), "E-toml-depth")
    assert problem.location.line == 2


def test_row_16_a_large_file_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "a.toml"
    with path.open("wb") as stream:
        stream.truncate(200_000_000)
    tracemalloc.start()
    problem = only(refusal(SecurityError, path), "E-file-size")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert "200,000,000" in problem.message
    assert "1,000,000" in problem.rule


def test_row_16_a_file_at_the_limit_is_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("schema = 1\n#".ljust(1_000_000, "x"))
    assert read_document(path).data == {"schema": 1}


@pytest.mark.parametrize("value", ["2026-02-28", "2026-02-30", "2026-13-01", "07:30:00", "2026-02-28 10:00:00"])
def test_row_17_dates_are_text(project, value):
    problem = only(refusal(ScenarioError, project(a=f"schema = 1\n[periods]\nstart = {value}\n")), "E-toml-date")
    assert "in quotes" in problem.rule
    assert problem.location.line == 3


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('name = "x"', "E-schema-missing", "schema = 1"),
        ("schema = 2", "E-schema-version", "needs a newer kpiopt"),
        ('schema = "1"', "E-schema-version", '"1"'),
        ("schema = 1.0", "E-schema-version", "1.0"),
        ("schema = true", "E-schema-version", "true"),
        ("schema = 0", "E-schema-version", "0"),
        ("schema = {}", "E-schema-version", "a table"),
    ],
)
def test_row_18_schema_version(project, line, code, words):
    problem = only(refusal(ScenarioError, project(a=f"{line}\n")), code)
    assert words in problem.message + problem.fix


def test_row_24_templates_are_text(project):
    values = ["${HOME}", "$HOME", "{{ 7 * 7 }}", "%PATH%", "{% raw %}", "~", "=1+1"]
    text = "schema = 1\nvalues = [" + ", ".join(f"'{value}'" for value in values) + "]\n"
    assert read_document(project(a=text)).data["values"] == values
    problem = only(refusal(ScenarioError, project(a='schema = 1\nextends = "${HOME}/a.toml"\n')), "E-file-missing")
    assert "${HOME}/a.toml" in problem.message


def test_all_errors_of_all_files_are_reported_at_once(project):
    path = project(
        a='schema = 1\nextends = ["b.toml", "c.toml", "none.toml", 5]\n[goal.a]\nwhen = 2026-01-01\n',
        b="x = nan\n",
        c="schema = 1\ny = = 1\n",
    )
    codes = {p.code for p in refusal(ScenarioError, path)}
    assert codes == {
        "E-toml-date", "E-schema-missing", "E-number-range", "E-toml-syntax", "E-file-missing", "E-extends-form",
    }  # fmt: skip


def test_a_missing_main_file_is_a_usage_error(tmp_path):
    only(refusal(ScenarioError, tmp_path / "none.toml"), "E-file-missing")
    assert "is a folder" in only(refusal(ScenarioError, tmp_path), "E-file-missing").message


def test_fifty_errors_are_spelled_out_and_the_others_counted(project):
    problems = refusal(NumericsError, project(a="schema = 1\n" + "".join(f"k{i} = nan\n" for i in range(61))))
    assert [p.code for p in problems] == ["E-number-range"] * 51
    assert "and 11 more of the same kind" in problems[-1].message


def test_refusals_are_input_errors_whatever_the_bytes(tmp_path):
    path = tmp_path / "a.toml"
    for raw in (
        b"\x00",
        b"\xff",
        b"[",
        b"=",
        b'"',
        b"schema",
        b"schema = 1\n[a",
        b"\x1a" * 50,
        socket.inet_aton("1.2.3.4"),
    ):
        path.write_bytes(raw)
        with pytest.raises(InputError):
            read_document(path)
