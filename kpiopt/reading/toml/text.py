"""Where every key and value stands in a TOML text.

`tomllib` parses but tells no positions, and two of its loops are quadratic or recursive in what a file contains. So
the text is walked once before it is parsed: the walk notes the place of each key and value and refuses what nests
too deep. It is exact on valid TOML. On an invalid text it goes on as far as it can read and does not stop before
the first error that `tomllib` finds, so nothing that was not looked at reaches the parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from kpiopt.errors import Location
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.toml.walk import SCALAR, Duplicate, Unreadable, Walk, locate


@dataclass(frozen=True)
class TomlText:
    """A TOML text with the places of its keys and values.

    Attributes
    ----------
    file : str
        Name to show.
    text : str
        The text, with newlines as line ends.
    keys : dict of path to int
        Offset of the key that defines a path: of a dotted key or a header its last part, of a table that is only
        implied its first mention.
    values : dict of path to int
        Offset where a value begins; tables under a header have none.
    foreign : tuple of (str, int)
        Bare keys with characters beyond ASCII, which TOML forbids, and their offsets.
    duplicates : tuple of Duplicate
        Keys and tables that are written twice.
    """

    file: str
    text: str = field(repr=False)
    keys: dict[KeyPath, int] = field(repr=False)
    values: dict[KeyPath, int] = field(repr=False)
    foreign: tuple[tuple[str, int], ...] = ()
    duplicates: tuple[Duplicate, ...] = ()

    @cached_property
    def _newlines(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def location(self, offset: int) -> Location:
        """Return line and column (1-based, in characters) of an offset, with the source line."""
        return locate(self.file, self.text, offset, self._newlines)

    def key_location(self, path: KeyPath) -> Location:
        """Return where the key of `path` stands, or of the nearest table around it that is in the text."""
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        if not path:
            return Location(self.file)
        return self.location(self.keys[path] if path in self.keys else self.values[path])

    def value_location(self, path: KeyPath) -> Location:
        """Return where the value of `path` begins; a table under a header has none, so its key is taken."""
        return self.location(self.values[path]) if path in self.values else self.key_location(path)

    def value_text(self, path: KeyPath) -> str:
        """Return a scalar as it is written, or an empty string where there is none at `path`."""
        match = SCALAR.match(self.text, self.values[path]) if path in self.values else None
        return match.group() if match else ""


def scan_toml(text: str, file: str) -> TomlText:
    """Walk a TOML text and note the place of each key and value.

    Parameters
    ----------
    text : str
        The text with newlines as line ends.
    file : str
        Name to show in messages.

    Raises
    ------
    SecurityError
        If tables or arrays nest deeper than `MAX_DEPTH`, or a key has more than `MAX_KEY_PARTS` parts.
    """
    walk = Walk(file, text)
    walk.read_document()
    return TomlText(file, text, walk.keys, walk.values, tuple(walk.foreign), tuple(walk.duplicates))


_POSITION = re.compile(r"\[([0-9]{1,9})\]")


def scan_key(text: str, file: str) -> tuple[tuple[str, ...], int] | None:
    """Read the dotted key that a text begins with: its parts and where it ends; None if there is no key."""
    walk = Walk(file, text)
    try:
        parts = walk.read_key()
    except Unreadable:
        return None
    return tuple(part for part, _ in parts), walk.position


_PART = r'[\w/@-]+|"[^"\\]*"'
_TYPED = re.compile(rf"(?:{_PART})(?:\.(?:{_PART}))*(?=[=\[]|$)")
"""A path as it is typed into a shell, which takes quotes away: `cell.north/sales.max_stretch`."""


def scan_typed_key(text: str, file: str) -> tuple[tuple[str, ...], int] | None:
    """Read the dotted key that a typed text begins with, as `scan_key` does; ids of cells need no quotes in it.

    Examples
    --------
    >>> scan_typed_key("cell.x/sales.max_stretch=5", "--set")
    (('cell', 'x/sales', 'max_stretch'), 24)
    """
    found = scan_key(text, file)
    if found and text[found[1] : found[1] + 1] in ("", "=", "["):
        return found
    typed = _TYPED.match(text)
    if typed is None:
        return found
    return tuple(part.strip('"') for part in re.findall(_PART, typed.group())), typed.end()


def read_path(text: str) -> KeyPath | None:
    """Return the keys of a dotted path, positions in arrays at its end; None where it is none.

    Examples
    --------
    >>> read_path('cell."x/sales".max_stretch')
    ('cell', 'x/sales', 'max_stretch')
    >>> read_path("guardrail.usual.growth[1]")
    ('guardrail', 'usual', 'growth', 1)
    """
    found = scan_typed_key(text, "")
    if not found:
        return None
    keys, end = found
    positions, end = scan_positions(text, end)
    return (*keys, *positions) if end == len(text) else None


def scan_positions(text: str, start: int) -> tuple[tuple[int, ...], int]:
    """Read positions in arrays such as "[1][0]", from 0: the positions and where they end."""
    positions: list[int] = []
    while found := _POSITION.match(text, start):
        positions.append(int(found[1]))
        start = found.end()
    return tuple(positions), start


def is_one_value(text: str, file: str) -> bool:
    """Whether a text is one value from its first to its last character, as far as the walk can tell."""
    walk = Walk(file, text)
    try:
        walk.read_value(("value",))
    except Unreadable:
        return False
    return walk.position == len(text)
