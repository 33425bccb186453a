"""The plan as a workbook: a sheet for each table, formulas where a reader will trace, charts, checks that tie out."""
