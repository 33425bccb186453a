"""`kpiopt map`: the strategy map of a scenario or a run, as a picture, a page or a text."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, Overrides, Replace, RunsFolder, Variants, joined
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import print_file, say
from kpiopt.errors import Problem, UsageError
from kpiopt.reading.regular_file import is_regular

if TYPE_CHECKING:
    from kpiopt.report.strategy_map.collect import MapSource
    from kpiopt.report.strategy_map.content import StrategyMap


class MapFormat(StrEnum):
    """Formats of a map."""

    SVG = "svg"
    HTML = "html"
    PNG = "png"
    PDF = "pdf"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


SUFFIXES = {".mmd": MapFormat.MERMAID, ".gv": MapFormat.DOT, ".htm": MapFormat.HTML}
BINARY = (MapFormat.PNG, MapFormat.PDF)
COMMENTS = {
    MapFormat.SVG: "<!-- {} -->",
    MapFormat.MERMAID: "%% {}",
    MapFormat.DOT: "// {}",
}
"""How a format says who wrote the file; the others do so by themselves."""


def strategy_map(
    context: typer.Context,
    of: Annotated[
        str, typer.Argument(metavar="SCENARIO_OR_RUN", help="Scenario file or kept run.", show_default=False)
    ],
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="WHAT",
            help="+KPI (and what drives it), KPI+ (and what it drives), perspective:ID, objective:ID, unit:ID. "
            "May be repeated.",
        ),
    ] = None,
    file_format: Annotated[
        MapFormat | None, typer.Option("--format", help="By default what the name of the file says, else svg.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Write to a file.")] = None,
    all_kpis: Annotated[bool, typer.Option("--all-kpis", help="Show every KPI, also where there are many.")] = False,
    variants: Variants = None,
    overrides: Overrides = None,
    out: RunsFolder = DEFAULT_RUNS,
    force: Replace = False,
) -> None:
    """Draw the strategy map: perspectives, objectives, KPIs, what drives what and by how much."""
    from kpiopt.report.strategy_map.collect import collect_map  # numpy
    from kpiopt.report.strategy_map.selection import fold_large, select_cards, unit_of
    from kpiopt.runs.durable import require_place, write_output

    chosen = file_format or _format_of(file)
    if chosen in BINARY and file is None and sys.stdout.isatty():
        raise UsageError(Problem("E-usage", f"{chosen.value} is not for a terminal", fix="name a file: --file map.png"))
    if out != DEFAULT_RUNS and not out.is_dir():
        message = f"--out names the folder of kept runs, and {out} is no folder"
        raise UsageError(Problem("E-usage", message, fix="--file writes the picture: kpiopt map RUN --file map.svg"))
    source, inputs = _source(of, joined(variants), list(overrides or ()), out)
    if file is not None:
        require_place(file, inputs, force=force)
    found = collect_map(source, unit_of(select or (), source.graph.scenario.units.ids))
    found = select_cards(found, select or ())
    content = _written(found if all_kpis else fold_large(found), chosen)
    if file is not None:
        write_output(file, _marked(content, chosen), inputs, force=force, is_private=False)
        say(f"wrote {file}: {len(found.cards)} cards, {len(found.arrows)} arrows")
    else:
        print_file(content if chosen in BINARY else content.rstrip(b"\n") + b"\n")


def _format_of(file: Path | None) -> MapFormat:
    suffix = file.suffix.lower() if file else ""
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    return next((f for f in MapFormat if f".{f.value}" == suffix), MapFormat.SVG)


def _source(of: str, variant: str | None, overrides: list[str], out: Path) -> tuple[MapSource, list[str | Path]]:
    """Return what is to be drawn, a kept run with its plan or a scenario before it is solved, and its own files."""
    import numpy as np

    from kpiopt.graph import build_graph, straight
    from kpiopt.report.page.source import map_source_of_kept
    from kpiopt.report.strategy_map.collect import MapSource
    from kpiopt.runs.store import RunStore
    from kpiopt.runs.stored_run import reading_kept

    if is_regular(Path(of)):
        scenario, _ = read_scenario(Path(of), variant, overrides)
        graph = build_graph(scenario)
        start = straight(graph, np.zeros(len(scenario.cells)), np.zeros(graph.n_levels))
        return MapSource(start), list(scenario.files)
    if variant or overrides:
        raise UsageError(
            Problem("E-usage", "--variant and --set need a scenario", fix="a run is what it was solved as")
        )
    stored = RunStore(out).find(of)
    with reading_kept(stored):
        return map_source_of_kept(stored), list(stored.files)


def _marked(content: bytes, chosen: MapFormat) -> bytes:
    """Let a file say that kpiopt wrote it: it may then be written again without --force."""
    from kpiopt.runs.durable import WRITTEN_BY

    mark = COMMENTS.get(chosen)
    return content if mark is None else f"{mark.format(f'{WRITTEN_BY} map')}\n".encode() + content


def _written(found: StrategyMap, chosen: MapFormat) -> bytes:
    from kpiopt.report.page.report import render_map_page
    from kpiopt.report.strategy_map.drawing import draw_map
    from kpiopt.report.strategy_map.export import svg_to_pdf, svg_to_png
    from kpiopt.report.strategy_map.texts import map_as_dot, map_as_json, map_as_mermaid

    if chosen is MapFormat.PNG:
        return svg_to_png(draw_map(found, dark=False))
    if chosen is MapFormat.PDF:
        return svg_to_pdf(draw_map(found, dark=False), found.title)
    write = {
        MapFormat.SVG: draw_map,
        MapFormat.HTML: render_map_page,
        MapFormat.MERMAID: map_as_mermaid,
        MapFormat.DOT: map_as_dot,
        MapFormat.JSON: map_as_json,
    }[chosen]
    return f"{write(found).rstrip()}\n".encode()
