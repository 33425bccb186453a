"""Scenarios written again: as a workbook to fill in, or as TOML with tables."""
