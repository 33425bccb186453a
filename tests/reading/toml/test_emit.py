"""The emitter: tomllib reads back the same values in the same order."""

import math
import tomllib
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.reading.key_path import dotted
from kpiopt.reading.toml.emit import emit_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False),
    TEXTS,
    st.dates(),
    st.times(),
    st.datetimes(),
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4))
TABLES = st.dictionaries(TEXTS, VALUES, max_size=5)


def in_order(value):
    """Make the order of keys visible to a comparison."""
    if isinstance(value, dict):
        return [(key, in_order(child)) for key, child in value.items()]
    return [in_order(child) for child in value] if isinstance(value, list) else (type(value), value)


@given(TABLES)
def test_reads_back_the_same(table):
    again = tomllib.loads(emit_toml(table))
    assert again == table
    tables_last = dict(sorted(table.items(), key=lambda item: isinstance(item[1], dict)))
    assert in_order(again) == in_order(tables_last)


@given(TABLES)
def test_writing_twice_changes_nothing(table):
    text = emit_toml(table)
    assert emit_toml(tomllib.loads(text)) == text


def test_text_as_a_planner_would_write_it():
    table = {"kpi": {"sales": {"unit": "USD", "drivers": {"a b": 0.5, "x": {"lag": 1}}}, "empty": {}}, "schema": 1}
    assert emit_toml(table) == (
        'schema = 1\n\n[kpi.sales]\nunit = "USD"\n'
        '\n[kpi.sales.drivers]\n"a b" = 0.5\n\n[kpi.sales.drivers.x]\nlag = 1\n\n[kpi.empty]\n'
    )


def test_a_table_before_a_plain_value_is_written_inline():
    table = {"drivers": {"first": {"lag": 1}, "second": 2}}
    assert emit_toml(table) == "[drivers]\nfirst = { lag = 1 }\nsecond = 2\n"


def test_deep_tables_stay_within_the_limits_of_the_format():
    table = 1
    for _ in range(30):
        table = {"a": table}
    text = emit_toml(table)
    assert max(line.count(".") for line in text.splitlines() if line.startswith("[")) < 16
    assert tomllib.loads(text) == table


@pytest.mark.parametrize(
    "value", [date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), time(1, 2, 3), math.inf, 1e-320, 1e22]
)
def test_special_values(value):
    assert tomllib.loads(emit_toml({"x": value})) == {"x": value}


@pytest.mark.parametrize("value", [None, {1}, b"x"])
def test_values_without_a_form_in_toml(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        emit_toml({"x": [value]})


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_dotted_paths_are_toml_keys(parts):
    inside = tomllib.loads(f"{dotted(tuple(parts))} = 1")
    for part in parts:
        inside = inside[part]
    assert inside == 1
