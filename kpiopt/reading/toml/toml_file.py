"""One TOML file: read safely, decoded, parsed, with the place of everything in it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, Problem, ScenarioError, SecurityError
from kpiopt.reading.regular_file import display_path, read_regular_file
from kpiopt.reading.toml.checks import check_keys, check_schema, check_values, duplicate_problems, normal_form
from kpiopt.reading.toml.text import TomlText, scan_toml
from kpiopt.reading.toml.walk import LINE_SHOWN

MAX_BYTES = 1_000_000
"""Largest TOML document; bulk data belong into tables."""

_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DATE = re.compile(r"[=\[,][ \t]*\d{4}-\d\d?-\d\d?(?!\d)")
_ENCODING_RULE = "documents are UTF-8 text"


@dataclass(frozen=True, eq=False)
class TomlFile:
    """A TOML document as one file holds it.

    Attributes
    ----------
    path : Path
        The file, symbolic links resolved.
    display : str
        The path for messages.
    sha256 : str
        Of the file's bytes, hexadecimal.
    data : dict
        Plain TOML values; keys in Unicode normal form C, -0.0 replaced by 0.0.
    problems : tuple of Problem
        What is wrong with single keys and values, and notes.
    """

    path: Path
    display: str
    sha256: str
    data: dict[str, Any] = field(repr=False)
    places: TomlText = field(repr=False)
    problems: tuple[Problem, ...]


def read_toml_file(path: Path, text: str, location: Location | None = None) -> TomlFile:
    """Read and check one TOML document.

    Parameters
    ----------
    path : Path
        The file, symbolic links resolved.
    text : str
        The path as the planner wrote it.
    location : Location or None
        Where it is written; None for the main file.

    Returns
    -------
    TomlFile
        Problems of single keys and values are in it and not raised, so that other files can be read as well.

    Raises
    ------
    SecurityError
        If the file is too large, not a regular file, or nests too deep.
    ScenarioError
        If it cannot be read, is not UTF-8, empty, or no valid TOML.
    """
    raw = read_regular_file(path, text, MAX_BYTES, location)
    display = display_path(path)
    content, notes = decode_document(raw, display)
    places = scan_toml(content, display)
    data = normal_form(parse_toml(places))
    if not data:
        raise ScenarioError(_empty(display))
    # The parser accepts twins that only become one key in normal form C.
    twins = duplicate_problems(places)
    problems = (*notes, *check_schema(data, places), *check_keys(places), *twins, *check_values(data, places))
    return TomlFile(path, display, hashlib.sha256(raw).hexdigest(), data, places, problems)


def _empty(display: str) -> Problem:
    message = "the file is empty: it has no keys"
    rule = "a scenario needs `schema = 1`, KPIs, units and goals"
    return Problem("E-document-empty", message, rule, "write a template with `kpiopt init`", Location(display))


def decode_document(raw: bytes, display: str) -> tuple[str, list[Problem]]:
    """Decode UTF-8 strictly; line ends become newlines, a byte order mark is dropped with a note.

    Raises
    ------
    ScenarioError
        For another encoding (with the byte offset and the likely encoding) and for CR line ends.
    """
    notes = []
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            raise ScenarioError(_wrong_encoding(0, f"the file begins with a {encoding} byte order mark", display))
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
        notes.append(
            Problem("N-bom", "the file begins with a byte order mark, which is ignored", "", "", Location(display))
        )
    if b"\0" in raw[:1000]:
        message = "the file contains NUL bytes; it looks like UTF-16 without a byte order mark"
        raise ScenarioError(_wrong_encoding(raw.index(b"\0"), message, display))
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ScenarioError(_not_utf8(raw, error.start, display)) from None
    if "\r" in text:
        raise ScenarioError(_carriage_return(text, display))
    return text, notes


def _wrong_encoding(offset: int, message: str, display: str, line: int | None = None) -> Problem:
    message = f"{message} (byte offset {offset})"
    return Problem("E-encoding", message, _ENCODING_RULE, "save the file as UTF-8", Location(display, line))


def _not_utf8(raw: bytes, offset: int, display: str) -> Problem:
    likely = "Windows-1252" if any(0x80 <= byte <= 0x9F for byte in raw) else "Latin-1 (or Windows-1252)"
    message = f"the byte 0x{raw[offset]:02X} is not UTF-8; the file looks like {likely}"
    return _wrong_encoding(offset, message, display, raw.count(b"\n", 0, offset) + 1)


def _carriage_return(text: str, display: str) -> Problem:
    line = text.count("\n", 0, text.index("\r")) + 1
    message = "the file has CR line ends (a carriage return without a line feed), as of old Macintosh programs"
    rule = "lines end with LF or CR LF"
    return Problem("E-line-ends", message, rule, "save the file with LF line ends", Location(display, line))


def parse_toml(places: TomlText) -> dict[str, Any]:
    """Parse a text that was walked before.

    Raises
    ------
    ScenarioError
        If it is no valid TOML: with line, column and source line, for a key written twice with both places.
    SecurityError
        If the parser runs out of stack all the same.
    """
    try:
        return tomllib.loads(places.text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(*_syntax_problems(str(error), places)) from None
    except ValueError:  # Python converts at most 4300 digits
        raise ScenarioError(_long_integer(places)) from None
    except RecursionError:
        raise SecurityError(
            Problem("E-toml-depth", "the document nests too deep", location=Location(places.file))
        ) from None


def _syntax_problems(message: str, places: TomlText) -> list[Problem]:
    """Explain the parser's error by what the walk has seen before it, where that is its cause."""
    location = _error_location(message, places)
    line = location.line or 0
    duplicates, keys = duplicate_problems(places), list(check_keys(places))
    if any(_line(p) <= line for p in duplicates) or any(_line(p) == line for p in keys):
        return sorted([*keys, *duplicates], key=_line)
    # Behind an error of another kind the walk may have taken text for keys.
    return [*(p for p in keys if _line(p) < line), _syntax_problem(_PLACE.sub("", message), location)]


def _line(problem: Problem) -> int:
    return (problem.location and problem.location.line) or 0


def _syntax_problem(reason: str, location: Location) -> Problem:
    if _DATE.search(location.text):
        rule = 'periods are names, and dates are text in quotes, such as "2026-02-28"'
        return Problem("E-toml-date", f"no valid date: {reason}", rule, "write a day that exists, in quotes", location)
    return Problem("E-toml-syntax", f"not valid TOML: {reason}", location=location)


def _error_location(message: str, places: TomlText) -> Location:
    match = _PLACE.search(message)
    if not match:
        return Location(places.file)
    if match[1] is None:
        return places.location(len(places.text.rstrip()))
    line, column = int(match[1]), int(match[2])
    text = places.text.split("\n")[line - 1]
    return Location(places.file, line, column, text=text[:LINE_SHOWN])


def _long_integer(places: TomlText) -> Problem:
    path = max(places.values, key=lambda p: len(places.value_text(p)) if _is_number(places.value_text(p)) else 0)
    digits = len(places.value_text(path))
    return Problem(
        "E-toml-integer",
        f"a whole number of {digits:,} digits",
        "whole numbers have at most 19 digits (64 bit)",
        "write it with an exponent, such as 1e12",
        places.value_location(path),
    )


def _is_number(token: str) -> bool:
    return bool(re.fullmatch(r"[+-]?[0-9_]+", token))
