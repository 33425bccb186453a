"""Derive the tables of the model of Canada's service standards from the published records.

    python models/canada_service_standards/derive.py

reads `data/` and writes `units.csv`, `cells.csv`, `published.csv` (the published targets, as a plan to be judged) and
`derived.json` (what was left out and why, and the totals). Same input, same bytes. Needs nothing but Python. What is
measured and what is assumed: README.md; assumed numbers stand in `Assumptions` and nowhere else.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
KPI = "on_standard"
ROOT = "canada"
NO_PROGRAMME = "no-programme"
INTERNAL = "ISS"
"""Programmes of this name are every organization's own administration: the same ids stand for many."""


@dataclass(frozen=True)
class Assumptions:
    """What the records do not hold. Change them here, run the script, and every table follows."""

    more_staff: float = 0.02
    """Staff that may be added in the whole government, as a share of the programmes' staff."""
    more_staff_of_one: float = 0.10
    """Staff that one programme can take in within a year, as a share of its own."""
    share_of_misses: float = 0.5
    """Share of the cases that missed the standard that can be won in a year."""
    year: float = 0.05
    """How much a share p moves from year to year, in sqrt(p (1 - p)), beside the chance of its cases."""


@dataclass(frozen=True)
class Standard:
    """One service standard of one year."""

    id: str
    name: str
    service: str
    type: str
    target: float
    met: float
    volume: float

    @property
    def share(self) -> float:
        """Share of the cases that met the standard."""
        return self.met / self.volume


def read(name: str) -> list[dict[str, str]]:
    with (HERE / "data" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name: str, header: str, rows: Iterable[Iterable[object]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def number(text: str) -> float | None:
    return float(text) if text else None


def why_not(row: dict[str, str]) -> str | None:
    """Why a record cannot be planned with; None where it can."""
    target, met, volume = (number(row[c]) for c in ("target", "volume_meeting_target", "total_volume"))
    if not volume or met is None:
        return "no cases"
    if met > volume:
        return "more cases met the standard than there were"
    if not target:
        return "no target"
    return None


def read_standards() -> tuple[list[Standard], Counter[str]]:
    kept, left, seen = [], Counter[str](), Counter[str]()
    for row in read("service_standards.csv"):
        if reason := why_not(row):
            left[reason] += 1
            continue
        target, met, volume = (float(row[c]) for c in ("target", "volume_meeting_target", "total_volume"))
        base = f"{row['service_id']}-{row['service_standard_id'] or 'none'}".lower().replace(" ", "-")
        seen[base] += 1
        name = f"{row['service_name_en']}, {row['channel'] or 'any channel'}"
        unit = base if seen[base] == 1 else f"{base}-{seen[base]}"
        kept.append(Standard(unit, name, row["service_id"], row["type"], target, met, volume))
    return kept, left


def read_staff() -> dict[str, tuple[str, float]]:
    """Name and staff (full-time equivalents in 2023-24) of each programme that has some."""
    return {
        row["program_id"]: (row["program_name"], float(row["actual_ftes"]))
        for row in read("program_staff.csv")
        if not row["program_id"].startswith(INTERNAL) and (number(row["actual_ftes"]) or 0.0) > 0.0
    }


def programme_of(staff: dict[str, tuple[str, float]]) -> dict[str, str]:
    """The first programme, by id, that a service belongs to and that has staff."""
    found: dict[str, str] = {}
    for row in read("service_programs.csv"):
        if row["program_id"] in staff:
            found.setdefault(row["service_id"], row["program_id"].lower())
    return found


def exact(value: float) -> str:
    return repr(value).removesuffix(".0")


def rounded(value: float) -> str:
    return f"{value:.6g}"


def main(assumed: Assumptions) -> None:
    standards, left = read_standards()
    staff = {key.lower(): value for key, value in read_staff().items()}
    programme = programme_of({key.upper(): value for key, value in staff.items()})
    home = {s.service: programme.get(s.service, NO_PROGRAMME) for s in standards}
    used = sorted({p for p in home.values() if p != NO_PROGRAMME})
    volume: Counter[str] = Counter()
    for s in standards:
        volume[home[s.service]] += s.volume
    write_units(standards, home, {p: staff[p] for p in used}, assumed)
    write(
        "cells.csv",
        "unit,kpi,baseline,size,max_stretch,effort.fte,reference,noise_sd",
        (cell(s, home[s.service], staff, volume, assumed) for s in standards),
    )
    write("published.csv", "unit,kpi,target", ((s.id, KPI, exact(s.target)) for s in standards))
    total = sum(s.volume for s in standards)
    answer = {
        "assumed": asdict(assumed),
        "records": len(standards) + sum(left.values()),
        "left_out": dict(sorted(left.items())),
        "standards": len(standards),
        "services": len(home),
        "programmes": len(used),
        "cases": total,
        "on_standard": sum(s.met for s in standards) / total,
        "staff": round(sum(staff[p][1] for p in used), 2),
    }
    (HERE / "derived.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


def write_units(
    standards: list[Standard], home: dict[str, str], staff: dict[str, tuple[str, float]], assumed: Assumptions
) -> None:
    most = assumed.more_staff * sum(people for _, people in staff.values())
    rows = [(ROOT, "Government of Canada", "", "government", "", rounded(most))]
    rows += [
        (p, name, ROOT, "programme", "", rounded(assumed.more_staff_of_one * people))
        for p, (name, people) in staff.items()
    ]
    rows.append((NO_PROGRAMME, "Services without a programme of their own", ROOT, "programme", "", ""))
    names = {s.service: s.name.rpartition(", ")[0] for s in standards}
    rows += [(f"service-{s}".lower(), names[s], home[s], "service", "", "") for s in sorted(home)]
    rows += [(s.id, s.name, f"service-{s.service}".lower(), "standard", s.type.lower(), "") for s in standards]
    write("units.csv", "unit,name,parent,level,role,capacity.fte", rows)


def cell(
    s: Standard, programme: str, staff: dict[str, tuple[str, float]], volume: dict[str, float], assumed: Assumptions
) -> tuple[str, ...]:
    """A row of cells.csv: standards share their programme's staff by cases, and a case on time takes a case's staff."""
    likely = (s.met + 1.0) / (s.volume + 2.0)
    noise = math.sqrt(likely * (1.0 - likely) * (1.0 / s.volume + assumed.year**2))
    stretch = assumed.share_of_misses * (1.0 - s.share)
    can_move = programme in staff and stretch > 0.0
    effort = staff[programme][1] * s.volume / volume[programme] if can_move else 0.0
    return (
        s.id, KPI, exact(s.share), exact(s.volume), rounded(stretch) if can_move else "",
        rounded(effort) if can_move else "", exact(max(s.target, s.share)) if can_move else "", rounded(noise),
    )  # fmt: skip


if __name__ == "__main__":
    main(Assumptions())
