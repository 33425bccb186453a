"""The zip file behind an .xlsx workbook, checked before anything in it is understood.

Only XML parts are unpacked, in memory and within limits. The sheet is later read from a new archive that holds just
those parts, so what was checked is what is read, however the original was put together.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from xml.parsers import expat

from kpiopt.errors import Location, Problem, SecurityError, TableError
from kpiopt.reading.tables.messages import listing, refuse, show

MAX_ENTRIES = 10_000
MAX_UNPACKED = 512 * 1024**2
MAX_RATIO = 100
"""Honest worksheets shrink to about a tenth; one hundredth is a bomb."""

WORKBOOK_PART = "xl/workbook.xml"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read_parts(data: bytes, display: str) -> dict[str, bytes]:
    """Unpack the XML parts of a workbook.

    Returns
    -------
    dict of str to bytes
        Part name -> well-formed XML without document type.

    Raises
    ------
    TableError
        If the file is no .xlsx workbook: old, encrypted, damaged or of another kind.
    SecurityError
        If it breaks a limit, has unsafe names, macros, or XML with a document type.
    """
    if data.startswith(_OLE):
        raise _legacy(data, display)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_limits(entries, len(data), display)
            _check_names([entry.filename for entry in entries], display)
            if any(entry.flag_bits & 1 for entry in entries):
                raise refuse("E-workbook-password", "the workbook is encrypted", display, fix="remove the password")
            parts = {e.filename: archive.read(e) for e in entries if e.filename.endswith((".xml", ".rels"))}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise _damaged(str(error), display) from None
    for name, xml in parts.items():
        parse_xml(xml, name, display)
    return parts


def pack_parts(parts: Mapping[str, bytes]) -> BytesIO:
    """Return a fresh, uncompressed archive that holds exactly these parts."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, xml in parts.items():
            archive.writestr(name, xml)
    stream.seek(0)
    return stream


def parse_xml(xml: bytes, name: str, display: str, handler: object | None = None) -> None:
    """Run a part through expat, refusing document types, which workbooks never have and attacks need.

    Parameters
    ----------
    handler : object, optional
        Its methods `start(tag, attributes)`, `end(tag)` and `text(data)` are called.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def forbid(*_: object) -> None:
        message = f"the part {name} declares a document type, which can hide entity bombs and outside files"
        raise SecurityError(Problem("E-workbook-entities", message, "workbooks have none", location=Location(display)))

    parser.StartDoctypeDeclHandler = forbid
    if handler is not None:
        parser.StartElementHandler = handler.start  # type: ignore[attr-defined]
        parser.EndElementHandler = handler.end  # type: ignore[attr-defined]
        parser.CharacterDataHandler = handler.text  # type: ignore[attr-defined]
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise _damaged(f"the part {name} is not well-formed XML ({error})", display) from None


def _legacy(data: bytes, display: str) -> TableError:
    """Tell an encrypted workbook from an old one: both are OLE containers."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return refuse("E-workbook-password", "the workbook is password-protected", display, fix="remove the password")
    return refuse("E-table-form", "this is an old Excel workbook (.xls)", display, fix="save it as .xlsx or .csv")


def _damaged(reason: str, display: str) -> TableError:
    return refuse("E-table-damaged", f"the workbook is damaged: {reason}", display, fix="open and save it in Excel")


def _check_limits(entries: list[zipfile.ZipInfo], packed: int, display: str) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise _unsafe("E-workbook-bomb", f"it has {len(entries):,} parts, more than {MAX_ENTRIES:,}", display)
    if unpacked > MAX_UNPACKED:
        message = f"it unpacks to {unpacked:,} bytes, more than {MAX_UNPACKED:,}"
        raise _unsafe("E-workbook-bomb", message, display)
    if unpacked > MAX_RATIO * packed:
        message = f"it unpacks to {unpacked / packed:,.0f} times its size, more than {MAX_RATIO}"
        raise _unsafe("E-workbook-bomb", message, display)


def _check_names(names: list[str], display: str) -> None:
    unsafe = [n for n in names if n.startswith(("/", "\\")) or ":" in n or ".." in n.replace("\\", "/").split("/")]
    if unsafe:
        raise _unsafe("E-workbook-names", f"its parts have unsafe names: {listing([show(n) for n in unsafe])}", display)
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(folded):
        raise _unsafe("E-workbook-names", "two of its parts have the same name", display)
    if any(name.endswith("vbaproject.bin") for name in folded):
        raise _unsafe("E-workbook-macros", "it contains macros", display)
    if "xl/workbook.bin" in folded:
        raise refuse("E-table-form", "this is a binary Excel workbook (.xlsb)", display, fix="save it as .xlsx")
    if WORKBOOK_PART not in names:
        kind = "an OpenDocument file (.ods)" if "mimetype" in names and "content.xml" in names else "no Excel workbook"
        raise refuse("E-table-form", f"the file is a zip archive but {kind}", display, fix="save it as .xlsx or .csv")


def _unsafe(code: str, message: str, display: str) -> SecurityError:
    fix = "copy the sheet's values into a new workbook, or save it as .csv"
    return SecurityError(Problem(code, f"the workbook is refused: {message}", fix=fix, location=Location(display)))
