"""What a notebook shows: scenarios, runs, comparisons and sweeps as small tables, figures by name.

The values belong to earlier rooms, which cannot import this one; they look it up when a notebook asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kpiopt.errors import Problem, UsageError
from kpiopt.reading.key_path import did_you_mean
from kpiopt.report.charts.frame import Figure, chart_style
from kpiopt.report.charts.heat import shade_style
from kpiopt.report.compare_page import compare_sections
from kpiopt.report.drawing.svg import Svg, draw, escape
from kpiopt.report.numbers import amount
from kpiopt.report.page.cascade import cascade_section
from kpiopt.report.page.goals import goals_section, headline
from kpiopt.report.page.limits import limits_section, money_section
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.periods import periods_section
from kpiopt.report.page.source import ReportSource, source_of_run
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.strategy_map.drawing import draw_map
from kpiopt.report.strategy_map.selection import fold_large
from kpiopt.report.sweep_page import sweep_section
from kpiopt.run.run import Run
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.comparison.compare import Unsolved
from kpiopt.studies.comparison.contenders import Comparisons
from kpiopt.studies.sweep.sweep_answer import SweepAnswer

MOST_ROWS = 20
LEFT = ' style="text-align:left"'


@dataclass(frozen=True)
class ShownFigure:
    """A picture that a notebook shows.

    Attributes
    ----------
    svg : str
        A whole picture, with its style.
    """

    title: str
    svg: str

    def _repr_html_(self) -> str:
        return f'<div style="max-width:900px">{self.svg}</div>'

    def _repr_svg_(self) -> str:
        return self.svg


def html_of(value: Scenario | Run | Comparisons | SweepAnswer) -> str:
    """Return a value as a notebook shows it."""
    if isinstance(value, Scenario):
        return _block(value.name, list(_scenario_lines(value)), _scenario_goals(value))
    if isinstance(value, Run):
        return _run(value)
    if isinstance(value, Comparisons):
        return _comparisons(value)
    return _frame(f"Sweep of {value.scenario.name}", value.frame)


def figure_of(value: Run | Comparisons | SweepAnswer, name: str) -> ShownFigure:
    """Return a figure by its name: the first whose title begins so, commas and letter case apart.

    Of a comparison and a sweep these are the titles of their pages. Of a run: "map", "tornado", "bridge", "odds",
    "cascade", "stretch", "fairness" or "pay"; "bridge GOAL" and "odds GOAL" are those of one goal, by its title. With
    periods there are "by period", "by period KPI", "when" the stretch is worked for and "limits" as well.

    Raises
    ------
    UsageError
        Where there is no such figure.
    """
    known = []
    if isinstance(value, Run):
        source, known = source_of_run(value, "notebook"), ["map", "tornado"]
        if name == "map":
            return ShownFigure("Strategy map", draw_map(fold_large(collect_map(source.map_source()))))
        found = list(_figures(source, tornado=name == "tornado"))
    else:
        sections = compare_sections(value) if isinstance(value, Comparisons) else [sweep_section(value)]
        found = [block for section in sections for block in section.blocks if isinstance(block, PageFigure)]
    for figure in found:
        if _plain(figure.title).startswith(_plain(name)):
            return ShownFigure(figure.title, styled(figure.figure))
    known += dict.fromkeys(figure.title for figure in found)
    listed = "there are: " + "; ".join(f'"{title}"' for title in known) if known else "it has none"
    fix = "; ".join(part for part in (did_you_mean(name, known), listed) if part)
    raise UsageError(Problem("E-figure", f"there is no figure {name!r} here", fix=fix))


def _plain(title: str) -> str:
    return title.casefold().replace(",", "")


def styled(figure: Figure) -> Svg:
    """Return a chart that carries its own style."""
    head, mark, rest = figure.wide.partition(">")
    return Svg(f"{head}{mark}{draw('style', Svg(chart_style() + shade_style()))}{rest}")


def _figures(source: ReportSource, *, tornado: bool) -> Iterator[PageFigure]:
    sections: list[PageSection] = [goals_section(source), cascade_section(source), money_section(source)]
    if source.scenario.periods is not None:
        sections += [periods_section(source), limits_section(source)]
    if tornado:
        sections = [_tornado(source.scenario)]
    yield from (block for section in sections for block in section.blocks if isinstance(block, PageFigure))


def _tornado(scenario: Scenario) -> PageSection:
    """Study what the scenario's plan hinges on."""
    from kpiopt.report.tornado_section import tornado_section  # only where it is asked for
    from kpiopt.scenario.load import FileReader
    from kpiopt.studies.sensitivity.study import SensitivityQuestion, study_sensitivity

    found = study_sensitivity(scenario, SensitivityQuestion(), FileReader(scenario.source, scenario.variant))
    return tornado_section(found, scenario.name)


def _scenario_lines(scenario: Scenario) -> Iterator[str]:
    yield (
        f"{len(scenario.units):,} units, {len(scenario.horizon):,} cells, {len(scenario.kpis)} KPIs, "
        f"{len(scenario.initiatives)} initiatives, {len(scenario.budgets)} budgets"
    )
    if scenario.periods is not None:
        yield f"periods: {scenario.periods.names[0]} to {scenario.periods.names[-1]}"
    if scenario.variants:
        yield f"variants: {', '.join(scenario.variants)}"
    if scenario.warnings:
        yield f"{len(scenario.warnings)} warnings; kpiopt.check(path) lists them"


def _scenario_goals(scenario: Scenario) -> PageTable:
    rows = []
    for goal in scenario.goals.values():
        kpi = scenario.kpis[goal.kpi]
        target = amount(goal.target, kpi.unit, kpi.step)
        when = scenario.period_name(goal.period)
        name = f"{kpi.name} in {when}" if when else kpi.name
        rows.append((name, scenario.units.names[goal.unit], target, f"{goal.priority}"))
    return PageTable("Goals", ("goal", "at", "target", "priority"), rows, 2)


def _run(run: Run) -> str:
    source = source_of_run(run, "notebook")
    tables = [block for block in goals_section(source).blocks if isinstance(block, PageTable)]
    return _block(run.scenario.name, [headline(source)], tables[0] if tables else None)


def _comparisons(found: Comparisons) -> str:
    rows = []
    for side in (found.base, *(other if isinstance(other, Unsolved) else other.second for other in found.others)):
        if isinstance(side, Unsolved):
            rows.append((side.label, side.error.problems[0].message, "", ""))
            continue
        together = side.simulation.all_goals.text if side.simulation and side.simulation.all_goals else ""
        met = f"{sum(goal.met for goal in side.goals)} of {len(side.goals)}"
        rows.append((side.label, met, together, amount(side.pay, side.scenario.currency)))
    return _block("Comparison", [], PageTable("", ("scenario", "goals met", "odds of all goals", "pay"), rows))


def _frame(title: str, frame: Any) -> str:
    rows = [tuple("" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in row)
            for row in frame.head(MOST_ROWS).rows()]  # fmt: skip
    more = [f"the first {len(rows)} of {frame.height:,} points"] if frame.height > len(rows) else []
    return _block(title, more, PageTable("", frame.columns, rows, 0))


def _block(title: str, lines: Sequence[str], table: PageTable | None) -> str:
    """Return a title, lines and a table; every text is escaped."""
    head = f"<strong>{escape(title)}</strong>" + "".join(f"<div>{escape(line)}</div>" for line in lines)
    if table is None:
        return f"<div>{head}</div>"
    looks = [LEFT if i < table.left else "" for i in range(len(table.columns))]
    names = "".join(f"<th{look}>{escape(name)}</th>" for look, name in zip(looks, table.columns, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{look}>{escape(field)}</td>' for look, field in zip(looks, row, strict=True))}</tr>"
        for row in table.rows
    )
    return f"<div>{head}<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div>"
