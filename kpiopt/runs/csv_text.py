"""CSV that no spreadsheet mistakes for formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

FORMULA_STARTS = r"^[=+\-@\t\r]"


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """Write a frame as CSV: full precision, empty fields for nulls, an apostrophe before texts that look like formulas.

    Numbers stay as they are, negative ones too.

    Parameters
    ----------
    frame : polars.DataFrame

    Returns
    -------
    bytes
        UTF-8, lines end with a line feed.

    References
    ----------
    OWASP, "CSV Injection"; ASVS 4.0 requirement 5.3.10.
    """
    import polars as pl  # loaded only when a table is written

    texts = [pl.col(name) for name, kind in frame.schema.items() if kind == pl.String]
    safe = [
        pl.when(text.str.contains(FORMULA_STARTS)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).name.keep()
        for text in texts
    ]
    return frame.with_columns(safe).write_csv(line_terminator="\n").encode()
