"""Where the records and fields of a CSV file begin and end, found on whole arrays of bytes.

The rules are those of RFC 4180: a quote opens only at the start of a field, closes only at its end, and stands for
itself when doubled. Everything that breaks them is refused, because each reader would mend it differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.reading.tables.table import Integers

_QUOTE, _BREAK = ord('"'), ord("\n")


@dataclass(frozen=True, slots=True)
class BadQuote:
    """A quote that breaks the rules.

    Attributes
    ----------
    line : int
        1-based line of the quote; where a field was opened and not properly closed, the line of its opening quote.
    opened : bool
        Whether it belongs to a quoted field (else it stands inside an unquoted one).
    ended_at : int or None
        1-based line where the field seems to end but goes on; None where it never ends.
    """

    line: int
    opened: bool
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a CSV file.

    Attributes
    ----------
    start, end : (n,) int
        Byte range of each record, its line break excluded.
    line : (n,) int
        1-based line where it starts.
    fields : (n,) int
        Number of its fields; 1 in a blank line.
    """

    start: Integers
    end: Integers
    line: Integers
    fields: Integers

    @property
    def blank(self) -> NDArray[np.bool_]:
        """Whether the record is a blank line, (n,) bool."""
        return np.equal(self.start, self.end)


def scan_records(data: bytes, delimiter: str) -> Records | BadQuote:
    """Find all records of a file whose lines end in a line feed, the last one included."""
    stream = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero(stream == _BREAK)
    delimiters = np.flatnonzero(stream == ord(delimiter))
    ends = breaks
    if b'"' in data:
        quotes = np.flatnonzero(stream == _QUOTE)
        if bad := _bad_quote(stream, quotes, breaks, ord(delimiter)):
            return bad
        ends, delimiters = _outside(breaks, quotes), _outside(delimiters, quotes)
    start = np.concatenate(([0], ends[:-1] + 1))
    fields = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
    line = np.arange(1, len(ends) + 1) if ends is breaks else np.searchsorted(breaks, start) + 1
    return Records(start, ends, line, fields)


def _outside(positions: Integers, quotes: Integers) -> Integers:
    """Keep the positions with an even number of quotes before them."""
    even: NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 0
    return positions[even]


def _bad_quote(stream: NDArray[np.uint8], quotes: Integers, breaks: Integers, delimiter: int) -> BadQuote | None:
    """Return the first quote that breaks the rules, if any."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = stream[opening - 1]  # of a quote at position 0 this is the final line feed, which is a fine neighbour
    after = stream[closing + 1]
    stray = opening[~np.isin(before, (delimiter, _BREAK, _QUOTE))]
    unclosed = closing[~np.isin(after, (delimiter, _BREAK, _QUOTE))]
    first_stray = int(stray[0]) if stray.size else len(stream)
    first_unclosed = int(unclosed[0]) if unclosed.size else len(stream)
    if first_stray < first_unclosed:
        return BadQuote(_line(breaks, first_stray), opened=False)
    if first_unclosed < len(stream):
        pair = int(np.searchsorted(closing, first_unclosed))
        return BadQuote(_line(breaks, _field_start(opening, closing, pair)), True, _line(breaks, first_unclosed))
    if len(quotes) % 2:
        return BadQuote(_line(breaks, _field_start(opening, closing, len(opening) - 1)), opened=True)
    return None


def _field_start(opening: Integers, closing: Integers, pair: int) -> int:
    """Go back over doubled quotes to the quote that opened the field."""
    while pair > 0 and closing[pair - 1] == opening[pair] - 1:
        pair -= 1
    return int(opening[pair])


def _line(breaks: Integers, position: int) -> int:
    return int(np.searchsorted(breaks, position)) + 1
