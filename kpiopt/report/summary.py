"""The answer on a terminal: is the plan possible, what is asked of whom, what holds it back, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.report.limits import price_sentences, used_up
from kpiopt.report.numbers import amount, change, percent, relative_change
from kpiopt.runs.run import GoalResult, Run
from kpiopt.scenario.scenario import Kpi, Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

LARGEST_ASKS = 5
SHOWN_UNITS = 8
SHOWN_KPIS = 3
SHOWN_PRICES = 6
SHOWN_INITIATIVES = 8


def render_summary(run: Run, folder: Path | None = None) -> Group:
    """Lay out a run for a reader who knows the business and not the tool.

    Parameters
    ----------
    run : Run
    folder : Path, optional
        The run folder, named at the end with the commands that go on from there.

    Returns
    -------
    Group
        Renderable with rich, for any width.
    """
    parts = [*_verdict(run), *_goals(run), *_asks(run), *_limits(run), *_money(run)]
    return Group(*parts, *(_next_steps(folder) if folder else ()))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(printable(text), style=style), (0, 0, 0, 2), expand=False)


def _table(*columns: str, left: int = 1) -> Table:
    """Return an empty table; the first `left` columns hold text, the rest numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False, header_style="")
    for i, name in enumerate(columns):
        table.add_column(Text(name), justify="left" if i < left else "right", overflow="fold")
    return table


def _row(*fields: str) -> list[Text]:
    return [Text(printable(text)) for text in fields]


def _verdict(run: Run) -> Iterator[RenderableType]:
    """Possible? certified? in one look."""
    short = [g for g in run.goals if g.shortfall > 0]
    if not run.goals:
        verdict, style = "the plan is possible; the scenario names no goals", "bold"
    elif not short:
        met = "the goal is" if len(run.goals) == 1 else f"all {len(run.goals)} goals are"
        verdict, style = f"the plan is possible, and {met} met", "bold green"
    else:
        verdict, style = f"the plan is possible, but {len(short)} of {len(run.goals)} goals fall short", "bold yellow"
    yield Text(printable(f"{run.scenario.name}{_variant(run)}: {verdict}."), style=style)
    residual = max(step.certificate.primal_residual for step in run.solution.steps)
    gap = max(step.certificate.relative_gap for step in run.solution.steps)
    yield _line(
        f"Certified: every step of the order was checked without the solver (residual {residual:.0e}, gap {gap:.0e}).",
        "dim",
    )


def _variant(run: Run) -> str:
    return f" (variant {run.scenario.variant})" if run.scenario.variant else ""


def _goals(run: Run) -> Iterator[RenderableType]:
    """Baseline, target, plan, odds of each goal."""
    if not run.goals:
        return
    yield _heading("Goals")
    table = _table("goal", "baseline", "target", "plan", "short by", "odds (95 % interval)", "required")
    for i, goal in enumerate(run.goals):
        table.add_row(*_goal_row(run, goal, i))
    yield table
    yield from (_line(text) for text in _asked_sentences(run))
    if run.simulation and run.simulation.all_goals and len(run.goals) > 1:
        yield _line(f"All goals together: {run.simulation.all_goals.text}.")


def _goal_row(run: Run, result: GoalResult, i: int) -> list[Text]:
    kpi, goal = run.scenario.kpis[result.goal.kpi], result.goal
    values = [amount(v, "", kpi.step) for v in (result.baseline, result.target, result.plan)]
    short = amount(result.shortfall, "", kpi.step) if result.shortfall else "met"
    odds = run.simulation.goals[i].odds if run.simulation else None
    required = ""
    if goal.p_min is not None:
        met = "" if odds is None else ", met" if odds.estimate >= goal.p_min else ", not met"
        required = f"{percent(goal.p_min, 0)}{met}"
    row = _row(_goal_name(run, result), *values, short, odds.text if odds else "", required)
    row[4].stylize("yellow" if result.shortfall else "green")
    return row


def _goal_name(run: Run, result: GoalResult) -> str:
    name = _kpi_name(run.scenario.kpis[result.goal.kpi])
    return name if result.goal.unit == 0 else f"{name} ({run.scenario.units.names[result.goal.unit]})"


def _kpi_name(kpi: Kpi) -> str:
    """Return a KPI's name with its unit of measure, unless that says the same."""
    return f"{kpi.name}, {kpi.unit}" if kpi.unit and kpi.unit.casefold() != kpi.name.casefold() else kpi.name


def _asked_sentences(run: Run) -> Iterator[str]:
    """Say where more is asked than expected, because not all that is planned gets done."""
    for result in run.goals:
        kpi = run.scenario.kpis[result.goal.kpi]
        more = kpi.sign * (result.asked - result.plan)
        if more > 1e-6 * max(1.0, abs(result.plan)):
            asked, plan = amount(result.asked, kpi.unit, kpi.step), amount(result.plan, kpi.unit, kpi.step)
            yield f"{kpi.name}: {asked} are asked so that {plan} can be expected."


def _asks(run: Run) -> Iterator[RenderableType]:
    """Who is asked what: the units below the root, and the largest relative stretches."""
    plan, cells = run.plan, run.scenario.cells
    yield _heading("Who is asked what")
    shown = _shown_kpis(run)
    if shown and len(run.scenario.units) > 1:
        yield _unit_table(run, shown)
    asked = np.flatnonzero(plan.stretch > 0)
    decided = int(cells.has_decision.sum())
    yield _line(f"{len(asked):,} of {decided:,} targets that can be stretched are; the largest, relative to baseline:")
    if len(asked):
        yield _ask_table(run, asked)
    open_targets = _open_targets(run)
    if open_targets:
        steps = ", ".join(step.label for step in run.solution.steps[:-1])
        yield _line(f"The steps {steps} leave {open_targets:,} open; the plan closest to the reference was taken.")


def _shown_kpis(run: Run) -> list[Kpi]:
    """Return the KPIs of the goals first, then others that have targets."""
    with_cells = (run.scenario.kpi_ids[k] for k in np.unique(run.scenario.cells.kpi).tolist())
    shown = dict.fromkeys([*(g.goal.kpi for g in run.goals), *with_cells])
    return [run.scenario.kpis[kpi] for kpi in shown][:SHOWN_KPIS]


def _unit_table(run: Run, kpis: list[Kpi]) -> Table:
    """Targets of the root and of the units right below it."""
    units = run.scenario.units
    below = np.flatnonzero(units.parent == 0).tolist()
    table = _table("unit", *(_kpi_name(kpi) for kpi in kpis))
    for unit in [0, *below[:SHOWN_UNITS]]:
        indent = "  " if unit else ""
        table.add_row(*_row(indent + units.names[unit], *(_target_text(run, unit, kpi) for kpi in kpis)))
    if len(below) > SHOWN_UNITS:
        table.add_row(*_row(f"  … and {len(below) - SHOWN_UNITS:,} more", *("" for _ in kpis)))
    return table


def _target_text(run: Run, unit: int, kpi: Kpi) -> str:
    node = run.graph.find_node(kpi.id, unit)
    if node < 0:
        return ""
    baseline, target = float(run.graph.baseline[node]), float(run.plan.target[node])
    return f"{amount(target, '', kpi.step)} ({relative_change(target, baseline)})"


def _ask_table(run: Run, asked: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Table:
    """The cells with the largest stretch relative to their baseline."""
    scenario, cells, plan = run.scenario, run.scenario.cells, run.plan
    size = np.maximum(np.abs(cells.baseline), scenario.kpi_step[cells.kpi])
    share = plan.stretch / np.where(size > 0, size, 1.0)
    largest = asked[np.argsort(-share[asked], kind="stable")[:LARGEST_ASKS]]
    table = _table("unit", "KPI", "stopped by", "baseline", "target", "stretch", left=3)
    kpis = list(scenario.kpis.values())
    for cell in largest.tolist():
        kpi, unit = kpis[cells.kpi[cell]], int(cells.unit[cell])
        baseline, target = float(cells.baseline[cell]), float(plan.target[run.graph.cell_node[cell]])
        table.add_row(
            *_row(
                scenario.units.names[unit],
                kpi.name,
                str(plan.binding[cell]),
                amount(baseline, "", kpi.step),
                amount(target, kpi.unit, kpi.step),
                f"{change(kpi.sign * plan.stretch[cell], '', kpi.step)} ({percent(float(share[cell]))})",
            )
        )
    return table


def _open_targets(run: Run) -> int:
    """Count the stretches that the steps before the reference did not fix."""
    block = run.cascade.columns.stretch
    return int(np.count_nonzero(run.solution.free[block.positions]))


def _limits(run: Run) -> Iterator[RenderableType]:
    """What holds the plan back."""
    sentences, others = price_sentences(run), used_up(run)
    yield _heading("What holds the plan back")
    if not sentences and not others:
        yield _line("No capacity and no budget is used up.")
    yield from (_line(text) for text in sentences[:SHOWN_PRICES])
    if len(sentences) > SHOWN_PRICES:
        yield _line(f"… and {len(sentences) - SHOWN_PRICES:,} more in limits.csv")
    if others:
        named = ", ".join(others[:SHOWN_PRICES]) + (" …" if len(others) > SHOWN_PRICES else "")
        yield _line(f"Used up too, without a price at the margin: {named}.")
    if sentences and any(initiative.whole for initiative in run.scenario.initiatives.values()):
        yield _line("These prices hold with the whole-number levels of initiatives as they are.")


def _money(run: Run) -> Iterator[RenderableType]:
    """Pay and initiatives."""
    lines = [*_pay_lines(run), *_initiative_lines(run)]
    if lines:
        yield _heading("What it costs")
        yield from (_line(text) for text in lines)


def _pay_lines(run: Run) -> Iterator[str]:
    currency, spending = run.scenario.currency, run.spending
    pay = run.simulation.pay if run.simulation else None
    if not spending.pay and spending.pay_limit is None:
        return
    limit = "" if spending.pay_limit is None else f" of a budget of {amount(spending.pay_limit, currency)}"
    yield f"Pay at plan: {amount(spending.pay, currency)}{limit}."
    if pay is None:
        return
    total = pay.total
    yield (
        f"Pay over the draws: {amount(total.mean.estimate, currency)} on average, "
        f"{amount(total.p5)} to {amount(total.p95, currency)} in 9 of 10; "
        f"{amount(pay.all_hit, currency)} when every target is hit exactly."
    )
    for budget, odds in pay.over.items():
        yield f"Probability of paying more than budget {budget}: {odds.text}."


def _initiative_lines(run: Run) -> Iterator[str]:
    graph, scenario = run.graph, run.scenario
    initiatives = list(scenario.initiatives.values())
    levels = run.plan.levels
    chosen = np.flatnonzero(levels > 1e-9)
    if not initiatives:
        return
    if not len(chosen):
        yield "No initiative is chosen."
        return
    cost = amount(run.spending.initiatives, scenario.currency)
    yield f"Initiatives: {len(chosen):,} of {len(levels):,} are chosen, for {cost}."
    for i in chosen[:SHOWN_INITIATIVES].tolist():
        initiative, unit = initiatives[graph.level_initiative[i]], scenario.units.names[graph.level_unit[i]]
        uses = ", ".join(
            _use(scenario, resource, rate * float(levels[i])) for resource, rate in initiative.uses.items()
        )
        yield f"  {initiative.name} at {unit}: {amount(float(levels[i]))} of {amount(initiative.maximum)} ({uses})"
    if len(chosen) > SHOWN_INITIATIVES:
        yield f"  … and {len(chosen) - SHOWN_INITIATIVES:,} more"


def _use(scenario: Scenario, resource: str, used: float) -> str:
    """Say how much of a resource is used; of a budget that is money, in the currency."""
    is_money = any(budget.resource == resource and budget.money for budget in scenario.budgets.values())
    return f"{amount(used, scenario.currency)} of {resource}" if is_money else amount(used, resource)


def _next_steps(folder: Path) -> Iterator[RenderableType]:
    yield _heading("Where it is")
    yield _line(f"{folder}: targets.csv, goals.csv, limits.csv, odds.csv, initiatives.csv, run.json")
    yield _line(f"kpiopt runs show {folder.name}     this summary again", "dim")
    yield _line(f"kpiopt verify {folder.name}        check the certificate without the solver", "dim")
