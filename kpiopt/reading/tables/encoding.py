"""The text encoding and line ends of a CSV file: UTF-8 or a clear refusal, never a guess."""

from __future__ import annotations

from kpiopt.errors import Location, Problems
from kpiopt.reading.tables.messages import refuse

_RULE = "tables are UTF-8 text"
_RESAVE = "save it again as 'CSV UTF-8'"
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16 (little endian)"),
    (b"\xfe\xff", "UTF-16 (big endian)"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "a zip file, perhaps an .xlsx workbook"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook or a password-protected one"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip-compressed file"),
)


def normalise_csv(data: bytes, display: str, findings: Problems) -> bytes:
    """Return the text of a CSV file as UTF-8 without byte order mark, every line ended by one line feed.

    Raises
    ------
    TableError
        If the bytes are not UTF-8 text, with the offset of the first wrong byte and the likely encoding.
    """
    _refuse_other_files(data, display)
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        findings.warn("N-bom", "the file starts with a byte order mark, which is ignored", Location(display))
    _require_utf8(data, display)
    data = data.replace(b"\r\n", b"\n")
    if b"\r" in data and b"\n" not in data:
        fix = "save it again with line feeds (LF or CRLF)"
        raise refuse("E-table-line-ends", "the lines end in CR alone, as on old Macintoshes", display, fix=fix)
    return data if data.endswith(b"\n") else data + b"\n"


def _refuse_other_files(data: bytes, display: str) -> None:
    for mark, name in _OTHER_FILES:
        if data.startswith(mark):
            raise refuse(
                "E-table-form", f"the file is named .csv but is {name}", display, fix="give it its true ending"
            )
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise refuse("E-table-encoding", f"byte 0: the file is {name}, not UTF-8", display, rule=_RULE, fix=_RESAVE)
    head = data[:4096]
    if head.count(0) * 3 > len(head):  # every second byte of UTF-16 text in Latin letters is 0
        offset = data.index(0)
        message = f"byte {offset}: the file looks like UTF-16 without a byte order mark"
        raise refuse("E-table-encoding", message, display, rule=_RULE, fix=_RESAVE)


def _require_utf8(data: bytes, display: str) -> None:
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start
        line = data.count(b"\n", 0, offset) + 1
        message = f"byte {offset} (line {line}) is 0x{data[offset]:02X}, which is not UTF-8; {_likely(data, offset)}"
        raise refuse("E-table-encoding", message, display, rule=_RULE, fix=_RESAVE) from None


def _likely(data: bytes, offset: int) -> str:
    """Name the encoding that the wrong byte most likely comes from."""
    meaning = data[offset : offset + 1].decode("cp1252", errors="replace")
    as_windows = (
        f"in Windows-1252 (cp1252) it would be '{meaning}'" if meaning != "\ufffd" else "its encoding is unclear"
    )
    if data[:offset].isascii():
        return f"likely Windows-1252: {as_windows}" if meaning != "\ufffd" else as_windows
    return f"text before it is valid UTF-8, so the file mixes encodings: {as_windows}"
