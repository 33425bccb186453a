"""The bytes of a table's file: regular files only, never blocking, of known form and bounded size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from kpiopt.errors import LimitReached, Location, Problem, SecurityError, TableError, UsageError
from kpiopt.reading.key_path import did_you_mean
from kpiopt.reading.regular_file import NotRegularError, open_regular
from kpiopt.reading.tables.messages import refuse

MAX_FILE_BYTES = 512 * 1024**2
"""Largest table file, as `docs/format.md` states it: unpacked and checked it takes several times as much memory."""

Form = Literal["csv", "parquet", "workbook"]

_FORMS: dict[str, Form] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".xlsx": "workbook"}
_NEVER_LOADED = {".pkl", ".pickle", ".joblib", ".yaml", ".yml", ".npy", ".npz", ".dill", ".h5", ".hdf5", ".rds"}
_OTHER_WORKBOOKS = {
    ".xls": "an old Excel workbook (.xls)",
    ".ods": "an OpenDocument spreadsheet (.ods)",
    ".xlsb": "a binary Excel workbook (.xlsb)",
    ".numbers": "an Apple Numbers document",
}
_MACRO_WORKBOOKS = {".xlsm", ".xltm", ".xlam"}
_FORM_RULE = "a table is a .csv or .tsv file, a .parquet file or a sheet of an .xlsx workbook (book.xlsx#sheet)"


def table_form(path: Path, display: str) -> Form:
    """Tell the form of a table from its file name.

    Raises
    ------
    UsageError
        For forms that can run code or guess types when loaded; they are never opened.
    SecurityError
        For workbooks with macros.
    TableError
        For any other form.
    """
    suffix = path.suffix.lower()
    if suffix in _FORMS:
        return _FORMS[suffix]
    where = Location(display)
    if suffix in _NEVER_LOADED:
        message = f"a {suffix} file is never loaded as a table"
        raise UsageError(Problem("E-table-form", message, _FORM_RULE, "export the table as .csv", where))
    if suffix in _MACRO_WORKBOOKS:
        message = f"a {suffix} workbook can contain macros"
        raise SecurityError(Problem("E-workbook-macros", message, _FORM_RULE, "save it as .xlsx in Excel", where))
    if suffix in _OTHER_WORKBOOKS:
        message, fix = f"this is {_OTHER_WORKBOOKS[suffix]}", "save it as .xlsx or .csv"
    else:
        message = f"the file name ends in '{suffix}'" if suffix else "the file name has no ending"
        fix = "save it as .csv (for another separator declare delimiter)"
    raise refuse("E-table-form", message, display, rule=_FORM_RULE, fix=fix)


def read_table_bytes(path: Path, display: str) -> bytes:
    """Read a whole table file.

    Returns
    -------
    bytes
        The content; not empty.

    Raises
    ------
    TableError
        If the file is missing, empty, unreadable, a folder or anything but a regular file.
    LimitReached
        If it is larger than `MAX_FILE_BYTES`.
    """
    try:
        with open_regular(path) as file:
            _require_size(os.fstat(file.fileno()).st_size, path, display)
            data = file.read(MAX_FILE_BYTES + 1)  # it may have grown since
    except (OSError, ValueError) as error:
        raise _unreadable(error, path, display) from None
    _require_size(len(data), path, display)
    if not data:
        raise refuse("E-table-empty", "the file is empty: 0 rows", display, fix="write a header and at least one row")
    return data


def _require_size(size: int, path: Path, display: str) -> None:
    if size > MAX_FILE_BYTES:
        message = f"the file has {size:,} bytes"
        rule = f"a table's file has at most {MAX_FILE_BYTES:,} bytes"
        fix = "write it as .parquet, which is smaller" if _FORMS.get(path.suffix.lower()) != "parquet" else ""
        fix = fix or "leave out columns that kpiopt does not read, or split the scenario"
        raise LimitReached(Problem("E-table-size", message, rule, fix, Location(display)))


def _unreadable(error: OSError | ValueError, path: Path, display: str) -> TableError:
    if isinstance(error, FileNotFoundError):
        return _unusable("does not exist", path, display, _nearest_file(path))
    if isinstance(error, PermissionError):
        return _unusable("may not be read (no permission)", path, display)
    if isinstance(error, IsADirectoryError):
        return _unusable("is a folder, not a file", path, display)
    if isinstance(error, NotRegularError):
        return _unusable(error.strerror or "", path, display)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _unusable(f"cannot be read ({reason})", path, display)


def _unusable(what: str, path: Path, display: str, fix: str = "") -> TableError:
    try:
        resolved = str(path.resolve())
    except (OSError, ValueError, RuntimeError):  # loops of links, names with NUL
        resolved = str(path)
    return refuse("E-table-file", f"the table '{display}' {what}; looked for it at {resolved}", display, fix=fix)


def _nearest_file(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _FORMS]
    except (OSError, ValueError):
        return f"the folder {path.parent} does not exist"
    return did_you_mean(path.name, names) or f"{path.parent} holds {len(names)} other tables"
