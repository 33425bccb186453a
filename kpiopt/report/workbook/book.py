"""Writing sheets: styles, Excel tables, conditional formats, charts; nothing from data can be a formula or a link."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kpiopt.reading.tables.workbook_sheet import column_letters
from kpiopt.report.workbook.sheet import FIRST, HEADER, Bars, Column, Field, Formula, Sheet, quoted

NAVY, PAPER, INK, SOFT = "#1F3864", "#FFFFFF", "#1B2430", "#5B6675"
BLUE, PALE, GREEN, ORANGE, RED, LINE = "#2B5CA0", "#B7C3CF", "#7FB59A", "#F0A35E", "#C0392B", "#D5DBE2"
FAINT, STRONG = "#F4F7FB", "#9DB8DC"
CHART_ROWS = 22
ROWS_ABOVE_CHART = 45
"""Charts stand below tables that are not longer, so that they print well; else beside them, so that they are seen."""
FORMATS = {
    "share": "0.0%", "flag": "0;;", "money": "#,##0", "plain": "#,##0.######",
    "odds": '[<0.0005]"below 0.1%";[>0.9995]"above 99.9%";0.0%',
}  # fmt: skip
"""Number formats by kind of column; odds are never shown as 0 % or 100 %."""

Format = dict[str, Any]


class Book:
    """A workbook that is being written; equal sheets give equal bytes."""

    def __init__(self) -> None:
        import xlsxwriter  # only where a workbook is written

        self._stream = io.BytesIO()
        options = {
            "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
            "default_format_properties": {"font_name": "Calibri", "font_size": 10, "font_color": INK},
        }  # fmt: skip
        self._book = xlsxwriter.Workbook(self._stream, options)
        self._book.set_properties({"created": datetime(2026, 1, 1)})
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def content(self) -> bytes:
        """Return the finished workbook."""
        self._book.close()
        return self._stream.getvalue()

    def page(self, name: str) -> Page:
        """Add an empty sheet, to be written on freely."""
        from kpiopt.report.workbook.plain_sheet import PlainSheet

        return Page(self, self._book.add_worksheet(name, PlainSheet), name)

    def style(self, **properties: Any) -> Any:
        """Return the format with some properties; equal ones are one."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def bars(self) -> Any:
        """Return an empty chart of bars."""
        return self._book.add_chart({"type": "bar"})

    def add(self, sheet: Sheet, footer: str = "") -> None:
        """Write a sheet; `footer` stands below each printed page."""
        page = self.page(sheet.name)
        page.put(1, 1, sheet.title, bold=True, font_size=14, font_color=NAVY)
        page.put(2, 1, sheet.remark, font_color=SOFT, italic=True)
        page.table(sheet)
        is_short = len(sheet.rows) <= ROWS_ABOVE_CHART
        row, column = (FIRST + len(sheet.rows) + 1, 1) if is_short else (HEADER, len(sheet.columns) + 2)
        for chart in sheet.charts:
            page.chart(chart, row, column)
            row += CHART_ROWS + len(chart.names) + 4
        if sheet.charts and not is_short:
            page.widths(24, 15, 15, first=column)
        page.prepare(footer, HEADER, len(sheet.columns))
        if sheet.depths:
            page.outline(sheet.depths)


class Page:
    """One sheet of a workbook. Rows and columns count from 1."""

    def __init__(self, book: Book, sheet: Any, name: str) -> None:
        self.book, self._sheet, self._name = book, sheet, name

    def put(self, row: int, column: int, value: Field, **style: Any) -> None:
        """Write one cell as what it is: text is never taken for a formula, a link or a number."""
        self._sheet.put(row - 1, column - 1, value, self.book.style(**style))

    def across(self, row: int, widths: Sequence[float], text: str, **style: Any) -> None:
        """Write a text over the first columns, as high as it needs in their widths."""
        look = self.book.style(text_wrap=True, valign="top", **style)
        self._sheet.merge_range(row - 1, 0, row - 1, len(widths) - 1, "", look)
        self._sheet.put(row - 1, 0, text, look)
        self.height(row, 15.0 * math.ceil(1.15 * len(text) / sum(widths)))

    def height(self, row: int, points: float) -> None:
        """Set the height of a row."""
        self._sheet.set_row(row - 1, points)

    def table(self, sheet: Sheet) -> None:
        """Write header and rows; one that may be sorted is an Excel table."""
        columns, rows, last = sheet.columns, sheet.rows, FIRST + max(1, len(sheet.rows)) - 1
        header = {"bold": True, "bg_color": NAVY, "font_color": PAPER, "text_wrap": True, "valign": "top"}
        names = [{"header": c.header, "header_format": self.book.style(**header)} for c in columns]
        if not sheet.depths:
            options = {"name": f"table_{''.join(filter(str.isalnum, sheet.name.lower()))}", "columns": names,
                       "style": "Table Style Light 1"}  # fmt: skip
            self._sheet.add_table(HEADER - 1, 0, last - 1, len(columns) - 1, options)
        else:
            self._sheet.autofilter(HEADER - 1, 0, last - 1, len(columns) - 1)
        for i, column in enumerate(columns):
            self.put(HEADER, i + 1, column.header, **header, align="left" if _is_text(column) else "right")
            hidden = {"hidden": True} if rows and all(row[i] in (None, "") for row in rows) else {}
            self._sheet.set_column(i, i, column.width or _width(column, i, rows), None, hidden)
            if column.show:
                self.show(_direction(column.show, i, rows), i + 1, FIRST, last)
        self._sheet.set_row(HEADER - 1, 32)
        self._sheet.freeze_panes(HEADER, sheet.key_columns)
        looks: dict[tuple[object, ...], list[Any]] = {}
        for r, row in enumerate(rows):
            look = tuple(part[r] if part else None for part in (sheet.formats, sheet.depths, sheet.inner))
            if look not in looks:
                looks[look] = [self.book.style(**_style(column, sheet, r, i)) for i, column in enumerate(columns)]
            styles = looks[look]
            for c, (value, style) in enumerate(zip(row, styles, strict=True)):
                self._sheet.put(FIRST - 1 + r, c, value, style)

    def show(self, look: str, column: int, first: int, last: int) -> None:
        """Let the values of some rows of a column be seen as bars, shades or colour."""
        rules: dict[str, Format] = {
            "bar": {"type": "data_bar", "bar_color": GREEN, "bar_solid": True, "min_type": "num", "max_type": "num",
                    "min_value": 0, "max_value": 1},
            "heat": {"type": "2_color_scale", "min_color": "#FDF3E7", "max_color": ORANGE, "min_type": "num",
                     "max_type": "num", "min_value": 0, "max_value": 1},
            "growth": {"type": "2_color_scale", "min_color": FAINT, "max_color": STRONG},
            "fall": {"type": "2_color_scale", "min_color": STRONG, "max_color": FAINT},
            "both": {"type": "3_color_scale", "min_color": STRONG, "mid_color": FAINT, "max_color": STRONG,
                     "mid_type": "num", "mid_value": 0},
            "red": {"type": "no_blanks", "format": self.book.style(font_color=RED, bold=True)},
            "wrong": {"type": "cell", "criteria": "!=", "value": '"OK"',
                      "format": self.book.style(font_color=RED, bold=True)},
        }  # fmt: skip
        self._sheet.conditional_format(first - 1, column - 1, last - 1, column - 1, rules[look])

    def chart(self, chart: Bars, row: int, column: int) -> None:
        """Draw a chart and, below it, the block that it is drawn from."""
        start, count = row + CHART_ROWS, len(chart.names)
        self.put(start, column, chart.title, bold=True, font_color=SOFT)
        figure, where = self.book.bars(), quoted(self._name)
        rows = f"${start + 1}:${{0}}${start + count}"
        names = column_letters(column)
        for i, name in enumerate(chart.names):
            self.put(start + 1 + i, column, name)
        for at, (title, values) in enumerate(chart.series):
            letters = column_letters(column + 1 + at)
            self.put(start, column + 1 + at, title, bold=True, font_color=SOFT, align="right")
            for i, value in enumerate(values):
                self.put(start + 1 + i, column + 1 + at, value, num_format=chart.number_format)
            figure.add_series({
                "name": f"={where}!${letters}${start}",
                "categories": f"={where}!${names}{rows.format(names)}",
                "values": f"={where}!${letters}{rows.format(letters)}",
                "fill": {"color": (PALE, BLUE)[at] if len(chart.series) > 1 else GREEN}, "gap": 60,
            })  # fmt: skip
        self._finish(figure, chart)
        self._sheet.insert_chart(row - 1, column - 1, figure, {"description": chart.title})

    def _finish(self, figure: Any, chart: Bars) -> None:
        figure.set_title({"name": chart.title, "name_font": {"size": 12, "color": INK}})
        figure.set_y_axis({"reverse": True, "line": {"color": LINE}, "num_font": {"size": 9}})
        axis: Format = {
            "num_format": "0%" if chart.is_share else chart.number_format, "num_font": {"size": 9},
            "major_gridlines": {"visible": True, "line": {"color": LINE}},
        }  # fmt: skip
        if all(isinstance(v.value, float) and v.value >= 0 for _, values in chart.series for v in values):
            axis |= {"min": 0, "max": 1} if chart.is_share else {"min": 0}
        figure.set_x_axis(axis)
        figure.set_legend({"position": "bottom"} if len(chart.series) > 1 else {"none": True})
        figure.set_size({"width": 640, "height": CHART_ROWS * 20 - 20})

    def prepare(self, footer: str, header: int, columns: int) -> None:
        """Make a sheet that prints: landscape, as wide as a page, header on each page, footer with page numbers."""
        self._sheet.hide_gridlines(2)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)
        self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0, header - 1)
        self._sheet.set_footer(f"&L&8{footer}&R&8&P / &N")
        if columns:
            self._sheet.ignore_errors({"formula_differs": f"A1:{column_letters(columns)}1048576"})

    def outline(self, depths: Sequence[int]) -> None:
        """Let branches of a tree be folded; the row above stands for what is folded."""
        self._sheet.outline_settings(True, False, True, False)
        for i, depth in enumerate(depths):
            if depth:
                self._sheet.set_row(FIRST - 1 + i, None, None, {"level": min(depth, 7)})

    def widths(self, *widths: float, first: int = 1) -> None:
        """Set the widths of columns."""
        for i, width in enumerate(widths, start=first - 1):
            self._sheet.set_column(i, i, width)


def _direction(show: str, position: int, rows: Sequence[Sequence[Field]]) -> str:
    """Return how the shades of a column go, so that more asked is stronger, also where less is better."""
    if show != "growth":
        return show
    found = (row[position] for row in rows)
    values = [v for v in (f.value if isinstance(f, Formula) else f for f in found) if isinstance(v, float)]
    falls, grows = any(v < 0 for v in values), any(v > 0 for v in values)
    return "both" if falls and grows else "fall" if falls else "growth"


def _is_text(column: Column) -> bool:
    return column.kind in ("text", "wrap")


def _style(column: Column, sheet: Sheet, row: int, position: int) -> Format:
    """Return the look of a cell: its number format, its depth in a tree, bold where others are below."""
    style: Format = {"bottom": 1, "bottom_color": LINE, "valign": "top"}
    if column.kind == "number" and sheet.formats:
        style["num_format"] = sheet.formats[row]
    elif column.kind in FORMATS:
        style["num_format"] = FORMATS[column.kind]
    if column.kind == "odds":
        style["align"] = "right"
    if column.kind == "wrap":
        style["text_wrap"] = True
    if _is_text(column) and (position or sheet.depths):
        style |= {"align": "left", "indent": 1 if position else min(15, sheet.depths[row])}
    if sheet.inner and sheet.inner[row]:
        style["bold"] = True
    return style


def _width(column: Column, position: int, rows: Sequence[Sequence[Field]]) -> float:
    """Return how wide a column must be to be read, looking at its first rows."""
    longest = max((len(str(row[position])) for row in rows[:400] if isinstance(row[position], str)), default=0)
    return float(min(46, max(longest + (6 if position == 0 else 2), 12, 0.62 * len(column.header) + 3)))
