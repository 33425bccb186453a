"""The map as a picture for slides and paper: PNG by resvg, PDF by Typst, one landscape page."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kpiopt.errors import Problem, UsageError
from kpiopt.report.drawing.svg import Svg
from kpiopt.runs.durable import WRITTEN_BY

PNG_SCALE = 2.0
PNG_HEADER = 33
"""Bytes of a PNG file's signature and first chunk."""
PAGE = """#set page(paper: "a4", flipped: true, margin: 8mm)
#set document(title: json("title.json"))
#align(center + horizon, image("map.svg", width: 100%, height: 100%, fit: "contain", alt: json("title.json")))
"""


def svg_to_png(svg: Svg) -> bytes:
    """Return a picture as PNG, twice as large for sharp screens.

    Raises
    ------
    UsageError
        Where the extra `png` is not installed.
    """
    try:
        import resvg_py  # an extra
    except ImportError:
        raise missing_extra("png", "resvg-py") from None
    drawn = bytes(resvg_py.svg_to_bytes(svg_string=str(svg), zoom=int(PNG_SCALE), background="#ffffff"))
    return drawn[:PNG_HEADER] + _png_text("Software", WRITTEN_BY) + drawn[PNG_HEADER:]


def _png_text(key: str, text: str) -> bytes:
    """Return a text chunk of a PNG file: length, kind, content, checksum."""
    chunk = b"tEXt" + key.encode() + b"\0" + text.encode()
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))


def svg_to_pdf(svg: Svg, title: str) -> bytes:
    """Return a picture as PDF on one landscape page.

    Raises
    ------
    UsageError
        Where the extra `pdf` is not installed.
    """
    with TemporaryDirectory(prefix="kpiopt-") as name:
        folder = Path(name)
        (folder / "map.svg").write_text(svg, "utf-8")
        (folder / "title.json").write_text(json.dumps(title), "utf-8")
        return typeset(folder, PAGE)


def typeset(folder: Path, template: str, **options: Any) -> bytes:
    """Return the PDF of a Typst template that reads what stands in a folder.

    Raises
    ------
    UsageError
        Where the extra `pdf` is not installed.
    """
    try:
        import typst  # an extra
    except ImportError:
        raise missing_extra("pdf", "typst") from None
    (folder / "page.typ").write_text(template, "utf-8")
    return bytes(typst.compile(str(folder / "page.typ"), **options)) + f"\n% {WRITTEN_BY}\n".encode()


def missing_extra(extra: str, package: str) -> UsageError:
    """Return the error for a form of output whose package is not installed."""
    message = f"{extra.upper()} needs the package {package}"
    return UsageError(Problem("E-extra", message, fix=f"pip install 'kpiopt[{extra}]', or choose another form"))
