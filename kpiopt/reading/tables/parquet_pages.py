"""A walk over the page headers of a Parquet file, before its reader trusts them.

A footer or page header that claims other counts than the file holds makes fast readers crash or allocate without
bound. All counts are therefore compared first: rows of the row groups, values of the column chunks, values and bytes
of the pages. The headers are Thrift structures in the compact protocol, of which only integers matter here; see
https://parquet.apache.org/docs/file-format/ and the Thrift compact protocol specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_UNPACKED = 4 * 1024**3
"""Bytes that all pages together may unpack to."""

_FOOTER_TAIL = 8  # four bytes of length, then PAR1
_MAX_DEPTH = 16
_VALUES_BY_PAGE_TYPE = {0: (5, 1), 3: (8, 1)}  # data page v1 and v2: field of the header, field of its value count

Struct = dict[int, Any]


class PageError(ValueError):
    """The headers of a Parquet file contradict each other or the file."""


@dataclass(slots=True)
class _Thrift:
    """Reads structures of the compact protocol; a structure is a dict of field id to value."""

    data: bytes
    position: int
    depth: int = 0

    def struct(self) -> Struct:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise PageError("its headers are nested too deeply")
        fields: Struct = {}
        last = 0
        while header := self._byte():
            last = last + (header >> 4) if header >> 4 else self._integer()
            fields[last] = self._value(header & 15)
        self.depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._unsigned())
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise PageError("a header holds a value of unknown type")

    def _list(self) -> list[Any]:
        header = self._byte()
        size = self._unsigned() if header >> 4 == 15 else header >> 4
        kind = header & 15
        if size > len(self.data):
            raise PageError("a list in its headers is longer than the file")
        # In a list a truth value takes a byte; as a field it is part of the field's type.
        return [self._byte() == 1 if kind in (1, 2) else self._value(kind) for _ in range(size)]

    def _byte(self) -> int:
        if not 0 <= self.position < len(self.data):
            raise PageError("a header lies outside the file")
        self.position += 1
        return self.data[self.position - 1]

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise PageError("a number in its headers never ends")

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.position += size


def check_pages(data: bytes) -> int:
    """Compare all counts of a Parquet file.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    PageError
        If any count contradicts another or the file's size.
    """
    length = int.from_bytes(data[-_FOOTER_TAIL:-4], "little")
    footer = _Thrift(data, len(data) - _FOOTER_TAIL - length).struct()
    try:
        groups = footer.get(4, [])
        rows = sum(group[3] for group in groups)
        if rows != footer[3] or min((group[3] for group in groups), default=0) < 0:
            raise PageError(f"it announces {footer[3]:,} rows, its row groups hold {rows:,}")
        unpacked = sum(_check_chunk(data, chunk[3], group[3]) for group in groups for chunk in group[1])
    except (KeyError, TypeError) as error:
        raise PageError(f"its headers lack a field ({error})") from None
    if unpacked > MAX_UNPACKED:
        raise PageError(f"it unpacks to {unpacked:,} bytes, more than {MAX_UNPACKED:,}")
    return int(rows)


def _check_chunk(data: bytes, chunk: Struct, rows: int) -> int:
    """Walk the pages of one column chunk; return the bytes they unpack to."""
    first_data, dictionary = chunk[9], chunk.get(11, 0)
    position = dictionary if 0 < dictionary < first_data else first_data
    end = position + chunk[7]
    values = unpacked = 0
    while position < end:
        reader = _Thrift(data, position)
        page = reader.struct()
        position = reader.position + page[3]
        if page[2] < 0 or page[3] < 0 or position > end:
            raise PageError("a page is larger than its column")
        unpacked += page[2]
        if page[1] in _VALUES_BY_PAGE_TYPE:
            header, count = _VALUES_BY_PAGE_TYPE[page[1]]
            values += page[header][count]
    is_flat = len(chunk[3]) == 1  # its path; nested columns have other counts, and are refused by their type
    if values != chunk[5] or (is_flat and values != rows):
        raise PageError(f"a column announces {chunk[5]:,} values, its pages {values:,}, its row group {rows:,}")
    return int(unpacked)
