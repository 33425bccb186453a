"""Signs and units of measure that a planner would want to look at again: nearly all are questions, not errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log10

from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.links import Driver, Initiative
from kpiopt.scenario.scenario import Kpi

PERCENT = ("%", "percent", "per cent", "pct")
"""Units of measure in which 15 % is written 15."""

_PERCENT = re.compile(r"[%％]|\bper ?cent|\bpct\b|\bprozent|\bpp\b|\bpercentage")

_LARGE_GROWTH = 2.0
"""Guardrails beyond this share of the baseline are asked about: 200 % is rarely meant, 2 % often."""

_LARGE_ATTAINMENT = 20.0
"""Payout beyond this attainment is asked about: 2,000 % of a target is rarely meant, 20 % often."""

_SCALES = {
    "k": 1e3, "t": 1e3, "tsd": 1e3, "thousand": 1e3, "000": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6,
    "bn": 1e9, "mrd": 1e9, "billion": 1e9,
}  # fmt: skip
_TIMES = {
    "second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "hr": 3600.0, "h": 3600.0, "day": 86400.0,
    "week": 604800.0,
}  # fmt: skip
_CURRENCIES = {"€": "eur", "euro": "eur", "euros": "eur", "$": "usd", "£": "gbp", "¥": "jpy"}
_MEASURE = re.compile(r"(?:(k|t|tsd|thousand|000|mn|mio|million|m|bn|mrd|billion)[.\s]*)?(€|\$|£|¥|[a-z]{3}|euros?)")


@dataclass(frozen=True)
class MeasureChecks:
    """Checks of signs and units of one scenario."""

    findings: Findings
    model: ScenarioDocument
    kpis: Mapping[str, Kpi]
    initiatives: Mapping[str, Initiative]

    def run(self) -> None:
        """Note everything that looks like another sign or unit than meant."""
        self.check_growth()
        self.check_shares()
        for kpi in self.kpis.values():
            for driver in kpi.drivers:
                if not driver.is_factor and driver.cause in self.kpis:
                    self._check_sign(kpi, driver)
                    self._check_scale(kpi, driver)
        for initiative in self.initiatives.values():
            self._check_effects(initiative)

    def check_growth(self) -> None:
        """A guardrail is a share of the baseline: 0.15 for 15 %."""
        for name, entry in self.model.guardrail.items():
            largest = entry.growth[-1] if entry.growth else None
            if largest is not None and largest >= _LARGE_GROWTH:
                message = f"growth up to {largest:g} is {100 * largest:,.6g} % of the baseline"
                fix = f"write {largest / 100:g} if {largest:g} % is meant"
                rule = "growth is a share of the baseline: 0.15 for 15 %"
                self.findings.at("W-growth", message, ("guardrail", name, "growth"), rule=rule, fix=fix)
            elif entry.growth and entry.growth[0] >= 1.0:
                message = f"growth of at least {entry.growth[0]:g} asks everyone for twice the baseline or more"
                rule = "growth is a share of the baseline that comes on top of it: 0.15 for 15 %"
                fix = (
                    f"write [{entry.growth[0] - 1:g}, {entry.growth[-1] - 1:g}] if these are multiples of the baseline"
                )
                self.findings.at("W-growth", message, ("guardrail", name, "growth"), rule=rule, fix=fix)

    def check_shares(self) -> None:
        """Slack, bands, steps between periods, noise and attainment are shares too: 0.05 for 5 %, 1.1 for 110 %."""
        model = self.model
        shares: list[tuple[KeyPath, float | None]] = [
            (("fairness", "band"), model.fairness.band if model.fairness else None)
        ]
        shares += [(("decide", "slack", step), share) for step, share in model.decide.slack.items()]
        shares += [(("guardrail", name, "ramp"), entry.ramp) for name, entry in model.guardrail.items()]
        shares += [(("noise", name, "sd"), entry.sd) for name, entry in model.noise.items() if not entry.additive]
        for path, share in shares:
            if share is not None and share >= _LARGE_GROWTH:
                message = f"{dotted(path)} is {share:g}, which is {100 * share:,.6g} %"
                fix = f"write {share / 100:g} if {share:g} % is meant"
                self.findings.at("W-share", message, path, rule="it is a share: 0.05 for 5 %", fix=fix)
        for name, plan in model.pay_plan.items():
            most = max((float(attainment) for attainment, _ in plan.payout), default=0.0)
            if most > _LARGE_ATTAINMENT:
                message = f"the payout of pay plan '{name}' reaches an attainment of {100 * most:,.6g} %"
                fix = f"write {most / 100:g} for {most:g} %, in attainments and shares of pay alike"
                rule = "attainment is actual / target: 1 for 100 %"
                self.findings.at("W-share", message, ("pay_plan", name, "payout"), rule=rule, fix=fix)

    def _check_sign(self, kpi: Kpi, driver: Driver) -> None:
        cause, contribution = self.kpis[driver.cause], driver.slope
        if cause.sign * contribution * kpi.sign >= 0 or self.model.kpi[kpi.id].drivers[driver.cause].trade_off:
            return
        better = "more" if cause.sign > 0 else "less"
        effect = "raises" if cause.sign * contribution > 0 else "lowers"
        worse = "higher" if kpi.sign > 0 else "lower"
        message = (
            f"{better} {cause.id} is better, but it {effect} {kpi.id}, of which {worse} is better "
            f"(contribution {contribution:g})"
        )
        fix = "turn the sign, or write trade_off = true beside the contribution if one is the price of the other"
        self._ask("W-sign", message, kpi, driver, fix)

    def _check_scale(self, kpi: Kpi, driver: Driver) -> None:
        """Ask about one currency, or time, in two scales with a contribution as if they were one."""
        cause, size = self.kpis[driver.cause], abs(driver.slope)
        ours, theirs = (money_of(unit) or time_of(unit) for unit in (kpi.unit, cause.unit))
        if ours is None or theirs is None or ours[1] != theirs[1] or ours[0] == theirs[0] or not size:
            return
        ratio = theirs[0] / ours[0]
        if abs(log10(size)) >= abs(log10(size / ratio)):
            return
        message = f"{cause.id} is in {cause.unit} and {kpi.id} in {kpi.unit}: {size:g} {kpi.unit} per {cause.unit}?"
        fix = f"write {driver.slope * ratio:g} if the two amounts are meant to be alike"
        self._ask("W-scale", message, kpi, driver, fix)

    def _ask(self, code: str, message: str, kpi: Kpi, driver: Driver, fix: str) -> None:
        rule = "a contribution is the change of the driven KPI per unit of its cause, each in its own unit of measure"
        self.findings.at(code, message, ("kpi", kpi.id, "drivers", driver.cause), rule=rule, fix=fix)

    def _check_effects(self, initiative: Initiative) -> None:
        """Ask about an initiative that makes everything worse that it changes."""
        effects = [effect for effect in initiative.effects if effect.kpi in self.kpis]
        worse = [effect for effect in effects if effect.slope * self.kpis[effect.kpi].sign < 0]
        if not worse or len(worse) < len(effects):
            return
        names = ", ".join(effect.kpi for effect in worse)
        message = f"initiative '{initiative.id}' makes {names} worse and nothing better"
        rule = "an effect is the change of the KPI: below 0 where less is wanted"
        path = ("initiative", initiative.id, "effects", worse[0].kpi)
        self.findings.at("W-sign", message, path, rule=rule, fix="turn the sign if that is not meant")


def is_percent(unit: str) -> bool:
    """Whether 15 % is written 15 in a unit of measure.

    Examples
    --------
    >>> is_percent("% satisfied"), is_percent("Prozent"), is_percent("share")
    (True, True, False)
    """
    return _PERCENT.search(unit.casefold()) is not None


def time_of(unit: str) -> tuple[float, str] | None:
    """Return the seconds of a unit of time and "time"; None where it is none.

    Examples
    --------
    >>> time_of("hours"), time_of("min"), time_of("calls")
    ((3600.0, 'time'), (60.0, 'time'), None)
    """
    word = unit.strip().casefold()
    seconds = _TIMES.get(word) or _TIMES.get(word.removesuffix("s"))
    return None if seconds is None else (seconds, "time")


def money_of(unit: str) -> tuple[float, str] | None:
    """Return the scale and the currency of a unit of measure; None where it is no amount of money.

    Examples
    --------
    >>> money_of("kEUR"), money_of("€"), money_of("days")
    ((1000.0, 'eur'), (1.0, 'eur'), None)
    """
    text = unit.strip().casefold()
    known = {"eur", "usd", "gbp", "jpy", "chf", "cad", "aud", "sek", "nok", "dkk", "pln", "czk", "cny", "inr", "brl"}
    if after := re.fullmatch(r"(.+?)\s+(?:in\s+)?(thousand|000|million|billion|mn|bn|mio|tsd)\.?", text):
        text = f"{after[2]} {after[1]}"
    match = _MEASURE.fullmatch(re.sub(r"^(?:in\s+|1[.,])", "", text))
    if match is None:
        return None
    currency = _CURRENCIES.get(match[2], match[2])
    return (_SCALES[match[1]] if match[1] else 1.0, currency) if currency in known else None
