"""The walk over a TOML text, checked against tomllib by changing the text at the places it reports."""

import copy
import json
import random
import re
import tomllib
import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.errors import SecurityError
from kpiopt.reading.key_path import walk
from kpiopt.reading.toml.text import is_one_value, scan_key, scan_toml

TORTURE = r"""# [not.a.table]  x = 1
bare = 1 # = [ "
"quoted # = [key]" = 'lit # "x" = ['
'lit.eral' = "esc \" # ] = \\" # done
dotted . "with space" .c = true
dotted.d = [ 1, # comment ] with "quotes
  2,

  [3, "]"], {x = 1, "y.z" = [ {} ]} ,
]
multi = QQQ "quoted" [x] = 1 # no comment
line = 2 \QQQ still QQQ""
multi2 = '''
[a] = '' # '''''
empty = ""
empty2 = ''
empty3 = QQQQQQ
inline = { a.b = 1, a.c = { "" = "e" }, d = [] }
when = 1979-05-27 07:32:00-08:00
day = 1979-05-27
num = -1_000.5e-3
hex = 0xDEAD_beef
"\u00e4\"" = +inf
	tab	=	1
[ table . "sub table" ] # [x]
a = 1
[table]
a = 2
[[list]]
[[list]]
k = 1
[list.in]
k = 2
[[list.deep]]
[[list.deep]]
x.y = 'z'
[[list]]
x = QQQ
QQQ
[implied.by.header]
[implied]
k = "last"
""".replace("QQQ", '"""').rstrip()

_DOTTED_16 = ".".join("a" * 16)
_KEY_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+""")


_KEYS = st.text(st.sampled_from("abcXYZ019_- .#=[]{}'\"\\äж\t"), max_size=6)
_PLAIN = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(['"', "'", "# no comment", "[a]\nb = 1", "'''", '"""', "a = {", "\\", "x\r\ny"]),
    st.just(date(2026, 2, 28)),
)
VALUES = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12
)
TABLES = st.dictionaries(_KEYS, VALUES, max_size=5)


def render(table: dict, seed: int) -> str:
    """Write a table as TOML; the seed decides on headers, dotted keys, inline tables, quotes, comments and gaps."""
    return _Renderer(random.Random(seed)).document(table)


def _normal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _Renderer:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def document(self, table: dict) -> str:
        lines = self.lines(table, [])
        return "".join(line + self.line_end() for line in lines)

    def line_end(self) -> str:
        return self.rng.choice(["", "  ", " # [c] x = 'y\"", "#"]) + self.rng.choice(["\n", "\n\n", "\n \t# ]\n"])

    def lines(self, table: dict, path: list[str]) -> list[str]:
        plain, headed = [], []
        for key, value in table.items():
            target = headed if self.wants_header(value) else plain
            target.append((key, value))
        lines = [self.indent() + text for key, value in plain for text in self.assignments([key], value)]
        for key, value in headed:
            lines += self.sections([*path, key], value)
        return lines

    def wants_header(self, value: object) -> bool:
        is_tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        return (isinstance(value, dict) or bool(is_tables)) and self.rng.random() < 0.6

    def sections(self, path: list[str], value: object) -> list[str]:
        if isinstance(value, dict):
            return [f"[{self.blank()}{self.key(path)}{self.blank()}]", *self.lines(value, path)]
        assert isinstance(value, list)
        return [line for item in value for line in (f"[[{self.key(path)}]]", *self.lines(item, path))]

    def assignments(self, path: list[str], value: object) -> list[str]:
        if isinstance(value, dict) and value and self.rng.random() < 0.5:
            return [line for key, inner in value.items() for line in self.assignments([*path, key], inner)]
        return [f"{self.key(path)}{self.blank()}={self.blank()}{self.value(value)}"]

    def value(self, value: object, inline: bool = False) -> str:
        if isinstance(value, dict):
            parts = [line for key, inner in value.items() for line in self.inline_assignments([key], inner)]
            return "{" + self.blank() + ", ".join(parts) + self.blank() + "}"
        if isinstance(value, list):
            gap = self.blank if inline else self.gap
            parts = [gap() + self.value(item, inline) + gap() for item in value]
            return "[" + ",".join(parts) + (",#]\n" if parts and not inline and self.rng.random() < 0.3 else "") + "]"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, date):
            return value.isoformat()
        return str(value).lower() if isinstance(value, bool) else repr(value)

    def inline_assignments(self, path: list[str], value: object) -> list[str]:
        if isinstance(value, dict) and value and self.rng.random() < 0.5:
            return [line for key, inner in value.items() for line in self.inline_assignments([*path, key], inner)]
        return [f"{self.key(path)}{self.blank()}={self.blank()}{self.value(value, inline=True)}"]

    def text(self, text: str) -> str:
        literal = all(c.isprintable() for c in text) and "'" not in text
        if literal and self.rng.random() < 0.4:
            return self.rng.choice([f"'{text}'", f"'''{text}'''"])
        escaped = _normal(text)
        if self.rng.random() < 0.3:
            return '""' + escaped.replace("\\n", "\n") + '""'
        return escaped

    def key(self, path: list[str]) -> str:
        dot = self.rng.choice([".", " . "])
        return dot.join(self.key_part(part) for part in path)

    def key_part(self, part: str) -> str:
        is_bare = part != "" and part.isascii() and part.replace("_", "a").replace("-", "a").isalnum()
        if is_bare and self.rng.random() < 0.8:
            return part
        if "'" not in part and part.isprintable() and self.rng.random() < 0.5:
            return f"'{part}'"
        return _normal(part)

    def blank(self) -> str:
        return self.rng.choice(["", " ", "\t "])

    def gap(self) -> str:
        return self.rng.choice(["", " ", "\n", ' # ] , "\n\t'])

    def indent(self) -> str:
        return self.rng.choice(["", "  ", "\t"])


def with_sentinel(data, path):
    changed = inside = copy.deepcopy(data)
    for part in path[:-1]:
        inside = inside[part]
    inside[path[-1]] = "SENTINEL"
    return changed


def scalar_paths(data):
    return [path for path, value in walk(data) if not isinstance(value, dict | list)]


def assert_places_are_exact(text):
    data, places = tomllib.loads(text), scan_toml(text, "f.toml")
    assert places.duplicates == ()
    assert {path for path, _ in walk(data) if path} == places.keys.keys() | places.values.keys()
    for path in scalar_paths(data):
        start, token = places.values[path], places.value_text(path)
        edited = text[:start] + '"SENTINEL"' + text[start + len(token) :]
        assert tomllib.loads(edited) == with_sentinel(data, path)
    for path, start in places.keys.items():
        if isinstance(path[-1], str):
            token = _KEY_TOKEN.match(text, start).group()
            assert tomllib.loads(f"{token} = 1") == {path[-1]: 1}


def test_torture_file_is_read_exactly():
    assert_places_are_exact(TORTURE)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("bare",), (2, 1), (2, 8)),
        (("quoted # = [key]",), (3, 1), (3, 22)),
        (("dotted",), (5, 1), (5, 1)),
        (("dotted", "with space", "c"), (5, 24), (5, 28)),
        (("dotted", "d", 2, 1), (9, 7), (9, 7)),
        (("dotted", "d", 3, "y.z"), (9, 21), (9, 29)),
        (("inline", "a", "c", ""), (18, 29), (18, 34)),
        (("tab",), (24, 2), (24, 8)),
        (("table", "sub table"), (25, 11), (25, 11)),
        (("table",), (27, 2), (27, 2)),
        (("list", 1), (30, 3), (30, 3)),
        (("list", 1, "in", "k"), (33, 1), (33, 5)),
        (("list", 1, "deep", 1, "x", "y"), (36, 3), (36, 7)),
        (("implied", "by"), (40, 10), (40, 10)),
        (("implied", "nothing", "here"), (41, 2), (41, 2)),
    ],
)
def test_lines_and_columns_as_counted_by_hand(path, key, value):
    places = scan_toml(TORTURE, "f.toml")
    place, at = places.key_location(path), places.value_location(path)
    assert ((place.line, place.column), (at.line, at.column)) == (key, value)
    assert place.text == TORTURE.split("\n")[key[0] - 1]


@settings(deadline=None)
@given(TABLES, st.integers(0, 2**32))
def test_places_are_exact_on_random_documents(table, seed):
    text = render(table, seed)
    assert tomllib.loads(text) == table  # the renderer itself
    # Names in another normal form are a matter of the next test.
    if all(unicodedata.is_normalized("NFC", str(part)) for path, _ in walk(table) for part in path):
        assert_places_are_exact(text)


@given(st.lists(st.sampled_from(["a", "b", "[", "]", "{", "}", "=", "1", "\n", ".", '"', "'", ",", " ", "#", "\\"])))
def test_any_text_is_survived_and_no_duplicate_is_invented(pieces):
    text = "".join(pieces)
    places = scan_toml(text, "f")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert places.duplicates == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\nb = 2\na = 3", (1, 3)),
        ("[t]\nx = 1\n[u]\n[t]\n", (1, 4)),
        ("a.b = 1\n\n[a]\n", (1, 3)),
        ("[a]\nb.c = 1\n[a.b]\n", (2, 3)),
        ("[[a]]\n[a]\n", (1, 2)),
        ("a = []\n[[a]]\n", (1, 2)),
        ("a = {}\n[a.b]\n", (1, 2)),
        ("a = { x = 1,\ty = 2, x = 3 }", (1, 1)),
        ("[a.b]\n[a]\nb.c = 2\nb.c = 3\n[a.b]", (1, 3)),
        ("a = 1\na.b = 2", (1, 2)),
    ],
)
def test_both_places_of_a_duplicate_are_found(text, lines):
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    places = scan_toml(text, "f")
    twin = places.duplicates[0]
    assert (places.location(twin.first).line, places.location(twin.second).line) == lines
    assert twin.first < twin.second


def test_names_are_read_in_normal_form_c():
    decomposed = unicodedata.normalize("NFD", '"é" = 1')
    assert ("é",) in scan_toml(decomposed, "f").keys


@pytest.mark.parametrize(
    ("shallow", "deep"),
    [
        ("a = " + "[" * 31 + "]" * 31, "a = " + "[" * 32 + "]" * 32),
        (f"{_DOTTED_16} = 1", f"{_DOTTED_16}.a = 1"),
        (f"[{_DOTTED_16}]", f"[{_DOTTED_16}.a]"),
        (f"[[{_DOTTED_16}]]", f"[[{_DOTTED_16}.a]]"),
        (f"{_DOTTED_16} = {{ {_DOTTED_16} = 1 }}", f"{_DOTTED_16} = {{ {_DOTTED_16} = {{ b = 1 }} }}"),
    ],
)
def test_limits_of_depth(shallow, deep):
    assert scan_toml(shallow, "f").keys
    with pytest.raises(SecurityError, match="E-toml-depth"):
        scan_toml(deep, "f")


def test_depth_is_refused_with_its_place():
    with pytest.raises(SecurityError) as caught:
        scan_toml("x = 1\ny = " + "[" * 100_000, "f.toml")
    place = caught.value.problems[0].location
    assert (place.file, place.line) == ("f.toml", 2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('cell."x/sales".max_stretch=5', ("cell", "x/sales", "max_stretch")),
        ("a . 'b.c' = 1", ("a", "b.c")),
        ("größe=1", ("größe",)),
        ("=1", None),
        ("", None),
        ("a..b=1", None),
        ('"open=1', None),
    ],
)
def test_scan_key(text, parts):
    found = scan_key(text, "--set")
    assert (found and found[0]) == parts
    assert found is None or text[found[1] :].startswith("=")


@pytest.mark.parametrize("text", ["1", "'a'", "[1, [2]]", "{ a = 1 }", '"""x\ny"""', "1979-05-27 07:32:00"])
def test_one_value(text):
    assert is_one_value(text, "--set")


@pytest.mark.parametrize("text", ["", "1 2", "'a' # c", "[1", "1\nb = 2", "a b"])
def test_not_one_value(text):
    assert not is_one_value(text, "--set")
