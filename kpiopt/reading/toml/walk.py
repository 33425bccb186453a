"""One pass over a TOML text that notes the place of each key and value, and refuses what nests too deep."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from kpiopt.errors import Location, Problem, SecurityError
from kpiopt.reading.key_path import KeyPath

MAX_DEPTH = 32
"""Tables and arrays inside each other, and parts of a path from the root of the document."""
MAX_KEY_PARTS = 16
"""Parts of one dotted key or table header."""
LINE_SHOWN = 500
"""Characters of a source line that a location keeps."""

_BASIC = r'"(?:[^"\\\n]++|\\.)*+"'
_LITERAL = r"'[^'\n]*+'"
_BLANK = re.compile(r"[ \t]*+")
_REST_OF_LINE = re.compile(r"[ \t]*+(?:#[^\n]*+)?+")
_GAP = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
# Letters beyond ASCII are not allowed in bare keys; the walk reads them, so that a message can name them.
_KEY_PART = re.compile(rf"(?P<bare>[\w-]++)|(?P<basic>{_BASIC})|{_LITERAL}")
SCALAR = re.compile(
    r'"""(?:[^"\\]++|\\[\s\S]|"(?!""))*+"{3,5}+'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}+"
    rf"|{_BASIC}|{_LITERAL}"
    r"|\d{4}-\d\d-\d\d \d\d:[^\s,\[\]{}#\"'=]*+"
    r"|[^\s,\[\]{}#\"'=]++"
)
"""A string, number, boolean or date."""


class Unreadable(Exception):
    """The text is no TOML from here on."""


class _Kind(Enum):
    """How a path came into being; decides what may be written to it later."""

    VALUE = "value"
    HEADER = "header"
    DOTTED = "dotted"
    IMPLIED = "implied"
    ARRAY = "array of tables"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key or table that is written twice; offsets of both keys."""

    path: KeyPath
    first: int
    second: int


@dataclass
class _Container:
    """An array or inline table that is still open; `count` is the number of array items so far."""

    path: KeyPath
    is_array: bool
    count: int = 0


def locate(file: str, text: str, offset: int, newlines: list[int]) -> Location:
    """Return line and column (1-based, in characters) of an offset; `newlines` are the offsets of line ends.

    Of a very long line only the beginning is kept.
    """
    line = bisect_right(newlines, offset - 1)
    start = newlines[line - 1] + 1 if line else 0
    end = newlines[line] if line < len(newlines) else len(text)
    return Location(file, line + 1, offset - start + 1, text=text[start : min(end, start + LINE_SHOWN)])


class Walk:
    """Reads a text from front to back. Nothing recurses: nesting is a list of open containers.

    Attributes
    ----------
    position : int
        Offset of the next character to read.
    keys, values : dict of path to int
        Offsets, as `TomlText` documents them.
    foreign : list of (str, int)
        Bare keys with characters beyond ASCII, and their offsets.
    duplicates : list of Duplicate
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.position = 0
        self.keys: dict[KeyPath, int] = {}
        self.values: dict[KeyPath, int] = {}
        self.foreign: list[tuple[str, int]] = []
        self.duplicates: list[Duplicate] = []
        self._kinds: dict[KeyPath, _Kind] = {}
        self._table_counts: dict[KeyPath, int] = {}
        self._table: KeyPath = ()

    def read_document(self) -> None:
        """Walk until the end, or until the text cannot be read."""
        try:
            while self._read_statement():
                pass
        except Unreadable:
            pass

    def read_key(self) -> list[tuple[str, int]]:
        """Read a dotted key: its parts and their offsets."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            parts.append(self._read_part())
            if len(parts) > MAX_KEY_PARTS:
                self._refuse(f"a key has more than {MAX_KEY_PARTS} parts")
            self._skip(_BLANK)
            if not self._sees("."):
                return parts
            self.position += 1

    def read_value(self, path: KeyPath) -> None:
        """Read a value with everything inside it."""
        containers: list[_Container] = []
        self._begin_value(path, containers)
        while containers:
            self._skip(_GAP)
            if self._sees(","):
                self.position += 1
            elif self._sees("]" if containers[-1].is_array else "}"):
                self.position += 1
                containers.pop()
            else:
                self._begin_value(self._next_path(containers[-1]), containers)

    def _read_statement(self) -> bool:
        self._skip(_GAP)
        if self.position == len(self.text):
            return False
        if self._sees("["):
            self._read_header()
        else:
            self.read_value(self._claim_key(self._table))
        self._skip(_REST_OF_LINE)
        if self.position < len(self.text):
            self._expect("\n")
        return True

    def _read_header(self) -> None:
        is_array = self._sees("[[")
        self.position += 2 if is_array else 1
        *around, (name, offset) = self.read_key()
        path: KeyPath = ()
        for part, part_offset in around:
            path = self._enter((*path, part), part_offset)
        path = (*path, name)
        if is_array:
            path = self._append_table(path, offset)
        else:
            self._claim(path, _Kind.HEADER, offset)
        self._table = path
        self._expect("]]" if is_array else "]")

    def _enter(self, path: KeyPath, offset: int) -> KeyPath:
        """Go through a table on the way to a header; of an array of tables that is the last one."""
        kind = self._kinds.get(path)
        if kind is None:
            self._define(path, _Kind.IMPLIED, offset)
        elif kind is _Kind.VALUE:
            self.duplicates.append(Duplicate(path, self.keys[path], offset))
        elif kind is _Kind.ARRAY:
            return (*path, self._table_counts[path] - 1)
        return path

    def _append_table(self, path: KeyPath, offset: int) -> KeyPath:
        if self._kinds.get(path) is not _Kind.ARRAY:
            self._claim(path, _Kind.ARRAY, offset)
        index = self._table_counts.get(path, 0)
        self._table_counts[path] = index + 1
        self._define((*path, index), _Kind.HEADER, offset)
        return (*path, index)

    def _claim_key(self, table: KeyPath) -> KeyPath:
        """Read `key =` inside a table and return the path that it defines."""
        *around, (name, offset) = self.read_key()
        path = table
        for part, part_offset in around:
            path = (*path, part)
            if self._kinds.get(path) not in (_Kind.DOTTED, _Kind.IMPLIED):
                self._claim(path, _Kind.DOTTED, part_offset)
        path = (*path, name)
        self._claim(path, _Kind.VALUE, offset)
        self._expect("=")
        self._skip(_BLANK)
        return path

    def _claim(self, path: KeyPath, kind: _Kind, offset: int) -> None:
        """Define a path, or note that it was defined before."""
        old = self._kinds.get(path)
        if old is None or (old is _Kind.IMPLIED and kind is _Kind.HEADER):
            self._define(path, kind, offset)
        else:
            self.duplicates.append(Duplicate(path, self.keys[path], offset))

    def _define(self, path: KeyPath, kind: _Kind, offset: int) -> None:
        if len(path) > MAX_DEPTH:
            self._refuse(f"tables and arrays nest deeper than {MAX_DEPTH}")
        self._kinds[path] = kind
        self.keys[path] = offset

    def _begin_value(self, path: KeyPath, containers: list[_Container]) -> None:
        self.values.setdefault(path, self.position)
        if self._sees("[") or self._sees("{"):
            containers.append(_Container(path, self._sees("[")))
            if len(containers) > MAX_DEPTH or len(path) >= MAX_DEPTH:
                self._refuse(f"tables and arrays nest deeper than {MAX_DEPTH}")
            self.position += 1
        else:
            self._take(SCALAR)

    def _next_path(self, container: _Container) -> KeyPath:
        if not container.is_array:
            return self._claim_key(container.path)
        container.count += 1
        return (*container.path, container.count - 1)

    def _read_part(self) -> tuple[str, int]:
        offset = self.position
        match = self._take(_KEY_PART)
        name = _decode(match)
        if match["bare"] and not name.isascii():
            self.foreign.append((name, offset))
        # One spelling for what looks the same, as in tables: names are compared in normal form C.
        return unicodedata.normalize("NFC", name), offset

    def _sees(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def _expect(self, text: str) -> None:
        if not self._sees(text):
            raise Unreadable
        self.position += len(text)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise Unreadable
        self.position = match.end()
        return match

    def _refuse(self, message: str) -> NoReturn:
        newlines = [match.start() for match in re.finditer("\n", self.text)]
        place = locate(self.file, self.text, self.position, newlines)
        rule = f"at most {MAX_KEY_PARTS} parts in a key, at most {MAX_DEPTH} tables and arrays inside each other"
        raise SecurityError(Problem("E-toml-depth", message, rule, "write flatter tables", place))


def _decode(match: re.Match[str]) -> str:
    token = match.group()
    if match["bare"]:
        return token
    if match["basic"] and "\\" in token:
        try:
            return str(tomllib.loads(f"key = {token}")["key"])
        except tomllib.TOMLDecodeError:
            raise Unreadable from None
    return token[1:-1]
