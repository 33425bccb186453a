"""What is wrong with single keys and values of a TOML document, although it is valid TOML."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any

from kpiopt.errors import Location, Problem
from kpiopt.reading.key_path import KeyPath, dotted, walk
from kpiopt.reading.toml.text import TomlText

SCHEMA = 1
"""The version of the format that this kpiopt reads."""

NON_FINITE = "E-number-range"
"""Code of numbers that cannot be computed with."""

_WORD = re.compile(r"[^\W\d_]+")
_NOT_ZERO = re.compile(r"[^1-9eE]*[1-9]")
_LARGEST_INTEGER = 2**63
# Scripts that one language writes side by side.
_WRITTEN_TOGETHER = dict.fromkeys(("HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"), "CJK")
_WRITTEN_TOGETHER |= dict.fromkeys(("MASCULINE", "FEMININE"), "LATIN")  # the ordinal signs, as in "1ª" and "nº"


def normal_form(value: Any) -> Any:
    """Copy plain TOML values with keys in Unicode normal form C and -0.0 replaced by 0.0."""
    if isinstance(value, dict):
        return {unicodedata.normalize("NFC", key): normal_form(child) for key, child in value.items()}
    if isinstance(value, list):
        return [normal_form(child) for child in value]
    return value + 0.0 if isinstance(value, float) else value  # -0.0 + 0.0 is 0.0


def check_schema(data: dict[str, Any], places: TomlText) -> Iterator[Problem]:
    """Yield a problem if a document does not say that it is written in this version of the format."""
    rule = f"every document says `schema = {SCHEMA}`, also one that others extend"
    version = data.get("schema")
    if version is None:
        message = "the document does not say its schema version"
        yield Problem(
            "E-schema-missing", message, rule, f"write `schema = {SCHEMA}` as first line", Location(places.file)
        )
    elif not isinstance(version, int) or isinstance(version, bool) or version < 1:
        message = f"schema is {places.value_text(('schema',))[:40] or 'a table'}, not a version number"
        location = places.value_location(("schema",))
        yield Problem("E-schema-version", message, rule, f"write `schema = {SCHEMA}`", location)
    elif version > SCHEMA:
        message = f"schema {places.value_text(('schema',))[:40]} needs a newer kpiopt; this one reads schema {SCHEMA}"
        yield Problem("E-schema-version", message, rule, "update kpiopt", places.value_location(("schema",)))


def check_values(data: Any, places: TomlText) -> Iterator[Problem]:
    """Yield a problem for each value that no scenario can contain."""
    for path, value in walk(data):
        if not isinstance(value, str | dict | list):
            yield from value_problems(path, value, places.value_text, places.value_location)


def value_problems(
    path: KeyPath, value: Any, written: Callable[[KeyPath], str], locate: Callable[[KeyPath], Location]
) -> Iterator[Problem]:
    """Yield what is wrong with one value: not finite, lost to underflow, beyond 64 bit, or a date.

    Parameters
    ----------
    path, value
        The value and its path.
    written, locate : callable
        Give a value as it is written, and its place.
    """
    if isinstance(value, float) and not math.isfinite(value):
        message = f"{dotted(path)} = {written(path)} is not a finite number"
        fix = "write a finite number, or leave the key out where there is none"
        yield Problem(NON_FINITE, message, "numbers are finite and below 1e308", fix, locate(path))
    elif isinstance(value, float) and value == 0.0 and _NOT_ZERO.match(written(path)):
        message = f"{dotted(path)} = {written(path)} is too small and would become 0"
        yield Problem(NON_FINITE, message, "numbers are 0 or above 1e-308", "write 0, or change the unit", locate(path))
    elif isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        token = written(path)
        shown = token if len(token) <= 40 else f"a whole number of {len(token):,} characters"
        fix = "write it with an exponent, such as 1e12"
        rule = "whole numbers have at most 19 digits (64 bit)"
        yield Problem("E-toml-integer", f"{dotted(path)} = {shown} is too large", rule, fix, locate(path))
    elif isinstance(value, date | time):
        rule = 'periods are names, and dates are text in quotes, such as "2026-02-28"'
        fix = f'write {dotted(path)} = "{written(path)}"'
        yield Problem("E-toml-date", f"{dotted(path)} = {written(path)} is a date or time", rule, fix, locate(path))


def check_keys(places: TomlText) -> Iterator[Problem]:
    """Yield a problem for each key that looks like another one, or that TOML wants in quotes."""
    bare = {offset for _, offset in places.foreign}
    for path, offset in places.keys.items():
        name = path[-1]
        if isinstance(name, str):
            yield from _name_problems(name, places.location(offset), is_bare=offset in bare)


def _name_problems(name: str, location: Location, *, is_bare: bool) -> Iterator[Problem]:
    if name.isascii() and name.isprintable():
        return
    hidden = [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co")]
    hidden += [c for c in name if unicodedata.category(c) == "Zs" and c != " "]
    if hidden:
        message = f"the key '{name}' has characters that cannot be seen: {code_points(hidden)}"
        yield Problem("E-key-hidden", message, "keys are visible text", "retype the key", location)
    elif mixes_scripts(name):
        foreign = [c for c in name if not c.isascii()]
        message = f"the key '{name}' mixes alphabets in one word: {code_points(foreign)}"
        yield Problem("E-key-lookalike", message, "a word is written in one alphabet", "retype the key", location)
    elif is_bare:
        fix = f'write "{name}" in quotes'
        yield Problem(
            "E-toml-syntax", f"the key {name} has letters beyond A-Z", "TOML wants such keys quoted", fix, location
        )


def code_points(characters: list[str]) -> str:
    """Name characters with their code points, each once."""
    return ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'without a name')}" for c in dict.fromkeys(characters))


def mixes_scripts(name: str) -> bool:
    """Whether one word of a name has letters of two alphabets, such as a Cyrillic letter among Latin ones."""
    return any(len({_script(letter) for letter in word} - {"MODIFIER"}) > 1 for word in _WORD.findall(name))


def _script(letter: str) -> str:
    script = unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
    return _WRITTEN_TOGETHER.get(script, script)


def duplicate_problems(places: TomlText) -> list[Problem]:
    """Return one problem with both places for each key or table that is written twice."""
    problems, seen = [], set()
    for twin in places.duplicates:
        seen.add(twin.path)
        if any(twin.path[:cut] in seen for cut in range(1, len(twin.path))):
            continue  # inside a table that is reported already
        first, second = places.location(twin.first), places.location(twin.second)
        message = f"{dotted(twin.path)} is written twice: in line {first.line} and in line {second.line}"
        rule = "a key or table is written once in a file"
        problems.append(Problem("E-toml-duplicate", message, rule, "keep one of them", second, (first,)))
    return problems


def case_problems(data: Any, locate: Callable[[KeyPath], Location | None]) -> Iterator[Problem]:
    """Yield a problem for each pair of keys in one table that differ only by letter case."""
    for place, table in walk(data):
        if not isinstance(table, dict):
            continue
        seen: dict[str, str] = {}
        for key in table:
            twin = seen.setdefault(key.casefold(), key)
            if twin != key:
                yield _case_problem((*place, twin), (*place, key), locate)


def _case_problem(first: KeyPath, second: KeyPath, locate: Callable[[KeyPath], Location | None]) -> Problem:
    message = f"{dotted(first)} and {dotted(second)} differ only by letter case"
    rule = "keys and ids in one table differ by more than letter case"
    return Problem(
        "E-key-case", message, rule, "use one spelling", locate(second), tuple(filter(None, [locate(first)]))
    )
