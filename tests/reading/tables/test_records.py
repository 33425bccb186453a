"""The byte scanner against the csv module, and the number reader against Python's own float."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.reading.tables.number import explain_number, number_pattern, parse_numbers
from kpiopt.reading.tables.records import BadQuote, Records, scan_records

fields = st.text(st.sampled_from('ab,;"\n'), max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(fields, min_size=1, max_size=4), min_size=1, max_size=8))
def test_records_lines_and_field_counts_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    data = stream.getvalue()
    records = scan_records(data.encode(), ",")
    assert isinstance(records, Records)
    assert records.fields.tolist() == [len(row) for row in rows]
    texts = [data[a:b] for a, b in zip(records.start, records.end, strict=True)]
    assert [next(csv.reader(io.StringIO(text, newline="")), [""]) for text in texts] == rows
    lines = [1 + data[:start].count("\n") for start in records.start]
    assert records.line.tolist() == lines


def accepts(data: str) -> bool:
    """Walk the file character by character by the rules of RFC 4180; the slow, obvious way."""
    state = "start"
    for character in data:
        if state in ("start", "bare"):
            if character == '"' and state == "bare":
                return False
            state = "quoted" if character == '"' else "start" if character in ",\n" else "bare"
        elif state == "quoted":
            state = "quote" if character == '"' else "quoted"
        elif character == '"':
            state = "quoted"
        elif character in ",\n":
            state = "start"
        else:
            return False
    return state != "quoted"


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from('a,"\n'), max_size=14))
def test_quotes_are_judged_as_by_a_slow_walk(text: str) -> None:
    data = text + "\n"
    assert isinstance(scan_records(data.encode(), ","), Records) is accepts(data)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("0123456789.,eE+- _x"), min_size=1, max_size=8).map(str.strip).filter(bool))
def test_numbers_are_what_float_reads_from_plain_notation(text: str) -> None:
    plain = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", text) is not None
    parsed = parse_numbers(pl.Series([text]))
    assert bool(parsed.malformed[0]) is not plain
    if plain and not parsed.out_of_range[0]:
        assert parsed.values[0] == float(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_float_survives_its_shortest_text(values: list[float]) -> None:
    parsed = parse_numbers(pl.Series([repr(value) for value in values]))
    np.testing.assert_array_equal(parsed.values, values)
    assert not parsed.malformed.any() and not parsed.out_of_range.any()
    comma = parse_numbers(pl.Series([repr(value).replace(".", ",") for value in values]), ",")
    np.testing.assert_array_equal(comma.values, values)


def test_the_pattern_means_the_same_in_python_and_polars() -> None:
    texts = ["1", "-1.5", "1.", ".5", ".", "", "1e5", "1e", "٣", "1 ", "+-1", "1.2.3", "1,5"]
    for decimal in (".", ","):
        pattern = f"^{number_pattern(decimal)}$"  # type: ignore[arg-type]
        in_polars = pl.Series(texts).str.contains(pattern).to_list()
        assert in_polars == [re.search(pattern, text) is not None for text in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(5)", "write -5"),
        ("\u22125", "write -5"),
        ("n/a", "empty"),
        ("#REF!", "formula"),
        ("TRUE", "1 or 0"),
        ("12\u200b", "U+200B"),
    ],
)
def test_explanations_say_what_to_write(text: str, words: str) -> None:
    assert words in " ".join(explain_number(text))


def test_a_quote_that_never_closes_is_reported_at_its_opening() -> None:
    assert scan_records(b'a\nb,"c""d\n', ",") == BadQuote(2, opened=True)
