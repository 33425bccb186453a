"""The map as SVG: bands, groups, arrows, cards, in light and dark, for eyes, keyboards and screen readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from kpiopt.report.drawing.fit import fit, fold, text_width
from kpiopt.report.drawing.palette import BANDS, FONT, css, tone_of_odds
from kpiopt.report.drawing.short import short
from kpiopt.report.drawing.svg import Svg, draw, join
from kpiopt.report.numbers import one_of, percent
from kpiopt.report.strategy_map.content import Arrow, Card, StrategyMap
from kpiopt.report.strategy_map.positions import CARD, Box, Layout, lay_out_map
from kpiopt.report.strategy_map.routes import Route, group_label, route_arrows
from kpiopt.report.strategy_map.season_line import HEIGHT as SEASON_HEIGHT
from kpiopt.report.strategy_map.season_line import RULES as SEASON_RULES
from kpiopt.report.strategy_map.season_line import season_line, season_words
from kpiopt.simulation.odds import Estimate

RULES = """
.map{font-family:@FONT;font-size:11px}
.map text{fill:@ink}
.map .heading{font-size:16px;font-weight:700}
.map .soft,.map .owner,.map .legend{fill:@soft}
.map .bandname{font-size:13px;font-weight:700}
.map .group{fill:@paper;fill-opacity:.45;stroke:@line}
.map .groupname{font-size:11px;font-weight:700}
.map .box{fill:@paper;stroke-width:1.3}
.map .name{font-size:12.5px;font-weight:700}
.map .strong{font-weight:700}
.map .track{fill:@track}
.map .likely{fill:@teal}
.map .open{fill:@ochre}
.map .unlikely{fill:@red}
.map .whisker{stroke:@ink;stroke-width:1.2}
.map .star{fill:@ochre}
.map .line{fill:none}
.map .raise .line{stroke:@raise}
.map .raise .tip{fill:@raise}
.map .lower .line{stroke:@lower;stroke-dasharray:6 3.5}
.map .lower .tip{fill:@lower}
.map .arrow{opacity:.8}
.map .goal .box{stroke-width:2.4}
.map .changed{fill:@blue;font-weight:700}
.map [role=button]{cursor:pointer}
.map .card:focus{outline:none}
.map .card:focus-visible .box{stroke:@blue;stroke-width:3.5}
.map .chosen .box{stroke:@blue;stroke-width:3.5}
.map.traced .card:not(.on),.map.traced .arrow:not(.on){opacity:.13}
.map.traced .arrow.on{opacity:1}
"""
BAND_RULES = "".join(
    f".map .band{i}{{fill:@band{i}}}\n.map .edge{i}{{stroke:@edge{i}}}\n.map .ink{i}{{fill:@edge{i}}}\n"
    for i in range(BANDS)
)
STAR = "M0 -5L1.5 -1.6L5 -1.5L2.3 .8L3.1 4.4L0 2.4L-3.1 4.4L-2.3 .8L-5 -1.5L-1.5 -1.6Z"
PADDING = 9.0
NAME_ROOM = CARD - 2 * PADDING
LEAST_BAR = 14.0
OWNER_HEIGHT, BEFORE_OWNER = 13.0, 6.0


def map_style(*, dark: bool = True) -> str:
    """Return the style of maps."""
    return css((RULES + SEASON_RULES + BAND_RULES).replace("@FONT", FONT), dark=dark)


def draw_map(found: StrategyMap, *, standalone: bool = True, dark: bool = True, levers: Iterable[str] = ()) -> Svg:
    """Draw a map.

    Parameters
    ----------
    standalone : bool
        Whether the picture carries its own style; a page has it already.
    dark : bool
        Whether a standalone picture follows the reader's dark mode.
    levers : iterable of str
        Cards that get room for a lever.
    """
    pullable = set(levers)
    heights = {card.id: _height(card) + (24.0 if card.id in pullable else 0.0) for card in found.cards}
    legend, legend_end = _legend(found)
    layout = lay_out_map(found, heights, legend_end)
    number = {card.id: i for i, card in enumerate(found.cards)}
    style = [draw("style", Svg(map_style(dark=dark)))] if standalone else []
    title = "Strategy map: causes and effects between KPIs, by perspective"
    routes = zip(found.arrows, route_arrows(found, layout), strict=True)
    width, height = layout.width, layout.height
    heading = draw("text", fit(found.title, 16, width - 12, bold=True), x=6, y=20, class_="heading")
    return draw(
        "svg",
        draw("title", found.title),
        draw("desc", f"{title}. {len(found.cards)} cards, {len(found.arrows)} arrows. {found.note}".strip()),
        *style,
        heading,
        legend,
        join(_bands(found, layout)),
        join(_groups(found, layout)),
        draw("g", *(_arrow(found, number, arrow, route) for arrow, route in routes)),
        join(_group_names(found, layout)),
        draw("g", *(_card(found, layout, card, number[card.id]) for card in found.cards)),
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:.0f} {height:.0f}", width=round(width),
        height=round(height), class_="map", role="group", aria_label=found.title,
    )  # fmt: skip


def _height(card: Card) -> float:
    lines = len(_name_lines(card))
    if card.kind in ("kpi", "objective"):
        lines += bool(card.goal_value)
        below = OWNER_HEIGHT if _owner_below(card) else 0.0
        return 32.0 + 14.0 * lines + below + (17.0 if card.odds else 0.0) + (SEASON_HEIGHT if card.periods else 0.0)
    return 30.0 + 14.0 * lines


def _name_lines(card: Card) -> list[str]:
    return fold(card.name, 12.5, NAME_ROOM - (10.0 if card.is_goal else 0.0), 2, bold=True)


def _legend(found: StrategyMap) -> tuple[Svg, float]:
    """Write what arrows and colours mean; return how far to the right it reaches, too."""
    pieces, x = [], 6.0
    y = 44.0

    def say(text: str) -> None:
        nonlocal x
        pieces.append(draw("text", text, x=x, y=y + 4, class_="legend"))
        x += text_width(text, 11) + 16

    for kind, label in (("raise", "raises"), ("lower", "lowers")):
        line = draw("path", d=f"M{x:.1f} {y}h30", class_="line", stroke_width=2)
        pieces.append(draw("g", line, draw("path", d=f"M{x + 37:.1f} {y}l-7 -4v8z", class_="tip"), class_=kind))
        x += 42
        say(label)
    if any(arrow.tells_share for arrow in found.arrows):
        say("thicker: more of what moves it")
    if any(group.critical for group in found.groups):
        pieces.append(draw("path", d=STAR, transform=f"translate({x + 5:.1f} {y})", class_="star"))
        x += 15
        say("critical success factor")
    if any(card.odds for card in found.cards):
        for tone, label in (("likely", "odds from 70 %"), ("open", "50 to 70 %"), ("unlikely", "below 50 %")):
            pieces.append(draw("rect", x=x, y=y - 3.5, width=22, height=7, rx=3.5, class_=tone))
            x += 28
            say(label)
    if any(card.periods for card in found.cards):
        for look, label in (("before", "by period, without new effort"), ("aim", "target")):
            pieces.append(draw("path", d=f"M{x:.1f} {y}h22", class_=f"season {look}"))
            x += 28
            say(label)
    return draw("g", *pieces), x


def _bands(found: StrategyMap, layout: Layout) -> Iterable[Svg]:
    for i, (band, box) in enumerate(zip(found.bands, layout.bands, strict=True)):
        colour = _colour(found, i)
        yield draw("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=10, class_=f"band{colour}")
        lines = fold(band.name, 13, box.height - 12, 2, bold=True)
        for line, x in zip(lines, (22.0,) if len(lines) == 1 else (15.0, 30.0), strict=True):
            place = f"translate({box.x + x:.1f} {box.y + 0.5 * box.height:.1f}) rotate(-90)"
            yield draw("text", line, transform=place, text_anchor="middle", class_=f"bandname ink{colour}")


def _colour(found: StrategyMap, band: int) -> int:
    return BANDS - 1 if found.bands[band].id in ("foot", "other") else band % (BANDS - 1)


def _groups(found: StrategyMap, layout: Layout) -> Iterable[Svg]:
    for group in found.groups:
        box = layout.groups[group.id]
        yield draw("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=8, class_="group")


def _group_names(found: StrategyMap, layout: Layout) -> Iterable[Svg]:
    for group in (g for g in found.groups if g.name):
        box, colour = layout.groups[group.id], _colour(found, group.band)
        shift = 14.0 if group.critical else 0.0
        name, end = group_label(group, box)
        star = draw("path", d=STAR, transform=f"translate({box.x + PADDING + 4:.1f} {box.y + 12:.1f})", class_="star")
        hint = f"{group.name}{', a critical success factor' if group.critical else ''}. {group.description}".strip()
        yield draw(
            "g",
            draw("title", hint),
            draw(
                "rect",
                x=box.x + PADDING - 4,
                y=box.y + 4,
                width=end - box.x - PADDING + 4,
                height=16,
                rx=4,
                class_=f"band{colour}",
            ),
            *([star] if group.critical else []),
            draw("text", name, x=box.x + PADDING + shift, y=box.y + 16, class_=f"groupname ink{colour}"),
        )


def _arrow(found: StrategyMap, number: Mapping[str, int], arrow: Arrow, route: Route) -> Svg:
    thickness = 0.9 + 2.6 * arrow.share**0.5
    return draw(
        "g",
        draw("title", arrow_text(found, arrow)),
        draw("path", d=route.line, class_="line", stroke_width=thickness),
        draw("path", d=route.tip, class_="tip"),
        class_=f"arrow {'raise' if arrow.amount >= 0 else 'lower'}",
        data_from=number[arrow.cause],
        data_to=number[arrow.effect],
    )


def arrow_text(found: StrategyMap, arrow: Arrow) -> str:
    """Say what an arrow does: "1 point more raises B by 0.3 points"."""
    cause, effect = found.card(arrow.cause), found.card(arrow.effect)
    verb = "raises" if arrow.amount >= 0 else "lowers"
    one = (
        "1 point more"
        if cause.unit.strip() == "%"
        else f"1 {one_of(cause.unit)} more"
        if cause.unit
        else "one more level everywhere"
        if cause.kind == "initiative"
        else "1 more"
    )
    size, unit = short(abs(arrow.amount)), "points" if effect.unit.strip() == "%" else effect.unit
    by = f"{size} {one_of(unit) if size == '1' else unit}".strip()
    later = f", {arrow.lag} periods later" if arrow.lag else ""
    if cause.kind == "objective":
        return f"{cause.name} acts on {effect.name}"
    told = f"; {percent(arrow.share, 0)} of what can move it" if arrow.tells_share else ""
    return f"{cause.name}: {one} {verb} {effect.name} by {by}{later}{told}"


def _card(found: StrategyMap, layout: Layout, card: Card, number: int) -> Svg:
    box = layout.cards[card.id]
    colour = _colour(found, next(g.band for g in found.groups if g.id == card.group))
    said = card_text(found, card)
    y = box.y + 17.0
    pieces = [draw("title", said), draw("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=7,
                                        class_=f"box edge{colour}")]  # fmt: skip
    for line in _name_lines(card):
        pieces.append(draw("text", line, x=box.x + PADDING, y=y, class_="name"))
        y += 14.0
    pieces += _value_line(card, box, y + 2)
    if owner := _owner_below(card):
        y += OWNER_HEIGHT
        pieces.append(draw("text", owner, x=box.x + PADDING, y=y + 2, class_="owner"))
    if card.goal_value:
        y += 14.0
        said_of_goal = f"goal {card.goal_value}{', its odds:' if card.odds else ''}"
        pieces.append(draw("text", fit(said_of_goal, 11, NAME_ROOM), x=box.x + PADDING, y=y + 2, class_="value soft"))
    if card.odds:
        pieces += _odds_line(card.odds, box, y + 19)
        y += 17.0
    if card.periods:
        pieces += season_line(card.periods, box.x + PADDING, y + 8, NAME_ROOM)
    return draw(
        "g", *pieces, class_=f"card {card.kind}{' goal' if card.is_goal else ''}", role="button", tabindex=0,
        aria_pressed="false", aria_label=said, data_card=number, data_id=card.id,
    )  # fmt: skip


def _value_line(card: Card, box: Box, y: float) -> list[Svg]:
    if not card.after:
        text = f"{card.before} {card.unit}".strip() if card.kind == "kpi" else card.before
        return [draw("text", fit(text, 11, NAME_ROOM), x=box.x + PADDING, y=y, class_="value soft")]
    owner = "" if _owner_below(card) else card.owner
    room = NAME_ROOM - (text_width(owner, 10) + BEFORE_OWNER if owner else 0.0)
    taken = text_width(f"{card.before} → ", 11) + text_width(card.after, 11, bold=True)
    unit = fit(f" {card.unit}", 11, room - taken) if card.unit and room - taken > 16 else ""
    value = draw("text", f"{card.before} → ", draw("tspan", card.after, class_="strong"), unit,
                 x=box.x + PADDING, y=y, class_="value")  # fmt: skip
    if not owner:
        return [value]
    return [value, draw("text", owner, x=box.right - PADDING, y=y, text_anchor="end", class_="owner")]


def _owner_below(card: Card) -> str:
    """Return the owner where the line with value and unit has no room for it: it stands on the next one."""
    if not (card.owner and card.after):
        return ""
    taken = text_width(f"{card.before} →  {card.unit}", 11) + text_width(card.after, 11, bold=True)
    is_beside = taken + BEFORE_OWNER + text_width(card.owner, 10) <= NAME_ROOM
    return "" if is_beside else fit(card.owner, 10, NAME_ROOM)


def _odds_line(odds: Estimate, box: Box, y: float) -> list[Svg]:
    """Draw the odds as a bar with the ends of their interval, and write both; of long figures only the first."""
    text = fit(odds_text(odds), 11, NAME_ROOM)
    if NAME_ROOM - text_width(text, 11) - 6.0 < LEAST_BAR:
        text = fit(odds_text(odds).partition(" (")[0], 11, NAME_ROOM)
    x, length = box.x + PADDING, min(54.0, NAME_ROOM - text_width(text, 11) - 6.0)
    written = draw("text", text, x=box.right - PADDING, y=y, text_anchor="end", class_="odds")
    if length < LEAST_BAR:
        return [written]
    filled, tone = max(3.0, length * odds.estimate), tone_of_odds(odds.estimate)
    ends = f"M{x + length * odds.low:.1f} {y - 9:.1f}v11M{x + length * odds.high:.1f} {y - 9:.1f}v11"
    return [
        draw("rect", x=x, y=y - 7, width=length, height=7, rx=3.5, class_="track"),
        draw("rect", x=x, y=y - 7, width=filled, height=7, rx=3.5, class_=tone),
        draw("path", d=ends, class_="whisker"),
        written,
    ]


def odds_text(odds: Estimate) -> str:
    """Write odds with their interval as short as a card needs it: "50.2 % (49.8–50.6)"."""
    text = odds.text
    if " (" not in text:
        return text.replace("less than", "<").replace("more than", ">")
    value, _, interval = text.partition(" (")
    return f"{value} ({interval.replace(' %', '').replace(' to ', '–')}"


def card_text(found: StrategyMap, card: Card) -> str:
    """Say everything that a card shows, and what it hangs together with."""
    unit = f" {card.unit}" if card.unit and card.kind == "kpi" else ""
    said = [card.name, f"{card.before}{unit}" if not card.after else f"from {card.before} to {card.after}{unit}"]
    said.append(season_words(card.periods))
    said.append(f"goal {card.goal_value}{unit}" if card.goal_value else "")
    if card.odds:
        said.append(f"odds {'of the goal ' if card.goal_value else ''}{card.odds.text}")
    if card.owner:
        said.append(f"owner {card.owner}")
    ties: dict[str, list[str]] = defaultdict(list)
    for arrow in found.arrows:
        if arrow.effect == card.id:
            ties["driven by"].append(found.card(arrow.cause).name)
        if arrow.cause == card.id:
            ties["drives"].append(found.card(arrow.effect).name)
    said += [f"{verb} {', '.join(names)}" for verb, names in ties.items()]
    return "; ".join([*(part for part in said if part), *([card.description] if card.description else [])])
