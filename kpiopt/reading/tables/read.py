"""Strict reading of tables: `.csv`, `.parquet` and sheets of `.xlsx` workbooks into typed columns."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kpiopt.errors import Problems
from kpiopt.reading.tables.columns import build_table
from kpiopt.reading.tables.csv_file import CsvStyle, read_csv
from kpiopt.reading.tables.messages import refuse
from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE, ColumnRule, Table, TableRule
from kpiopt.reading.tables.table_file import read_table_bytes, table_form

__all__ = ["CELLS_TABLE", "UNITS_TABLE", "ColumnRule", "Table", "TableRule", "read_table"]


def read_table(
    path: Path,
    display: str,
    rule: TableRule,
    *,
    sheet: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Table:
    """Read a table and check it against the rule of the format.

    Parameters
    ----------
    path : Path
        Where the file is; its ending tells its form.
    display : str
        The file as the planner would write it, for messages.
    rule : TableRule
        Which columns there may be.
    sheet : str, optional
        Worksheet of a workbook; may be left out where the workbook has one sheet.
    delimiter, decimal, thousands : str, optional
        How a CSV file separates fields and writes numbers, where it is not "," (a tab in .tsv files), "." and not at
        all.

    Raises
    ------
    TableError, NumericsError
        With all errors of the table: the first 50 spelled out, the others counted.
    SecurityError, LimitReached
        For files that could do harm or are too large.
    UsageError
        For forms that are never loaded, such as pickle.
    """
    form = table_form(path, display)
    if form != "csv" and (delimiter or decimal or thousands):
        message = "delimiter, decimal and thousands are for .csv files only"
        raise refuse("E-table-option", message, display, fix="leave them out")
    if path.suffix.lower() == ".tsv":
        delimiter = delimiter or "\t"
    if form != "workbook" and sheet is not None:
        raise refuse("E-table-option", f"only a workbook has sheets, but '#{sheet}' is given", display)
    data = read_table_bytes(path, display)
    findings = Problems()
    if form == "csv":
        raw = read_csv(data, display, rule, findings, CsvStyle(delimiter, decimal, thousands))
    elif form == "parquet":
        from kpiopt.reading.tables.parquet_file import read_parquet  # most plans have tables of one form

        raw = read_parquet(data, display, rule, findings)
    else:
        from kpiopt.reading.tables.workbook import read_workbook

        raw = read_workbook(data, display, rule, findings, sheet)
    return build_table(raw, rule, hashlib.sha256(data).hexdigest(), findings)
