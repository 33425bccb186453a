"""A measured table takes the place of the one that a page of the documentation has between two marks."""

from pathlib import Path


def write_table(page: Path, name: str, table: str) -> None:
    """Write a table between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text("utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}", "utf-8")
