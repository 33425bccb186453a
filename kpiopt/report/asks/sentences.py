"""What the summary says about cushions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpiopt.report.numbers import percent
from kpiopt.simulation import Estimate


def cushion_sentences(document: Mapping[str, Any]) -> Iterator[str]:
    """Say what each level is asked on top of the plan, and for what odds.

    Parameters
    ----------
    document : mapping
        With the entry `over_assignment` of the answer "kpiopt.solve/1".
    """
    for entry in document.get("over_assignment", ()):
        much = f"Over-assigned: targets of level {entry['level']} are {percent(entry['share'])} more than the plan asks"
        if entry["goal"] is None:
            yield f"{much}."
            continue
        drawn = f"; from other draws {Estimate.from_dict(entry['odds']).text}" if entry["odds"] else ""
        why = f"the least that gives {entry['goal']} odds of {percent(entry['wanted'], 0)} when it is worked for"
        yield f"{much}, {why} ({percent(entry['planned'])} of the planning draws{drawn})."
