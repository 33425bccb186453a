"""What held a kept plan to its promised odds: the rows of its program and the draws that each of them is about.

A check draws the planning draws again and computes every row anew from the draws it names; the kept numbers are then
taken, so that a last digit of another processor changes no program.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kpiopt.errors import Problem, TableError
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.cuts import build_cut, with_cuts
from kpiopt.program.formulation.promises import LEFT, Cut, Cuts, promised_goals, promises_of
from kpiopt.program.trust.arrays import Floats
from kpiopt.program.trust.tolerances import SAME_AGAIN
from kpiopt.reading.regular_file import open_regular
from kpiopt.simulation.planning.margins import planning_draws

CUTS_FILE = "promises.npz"


def cuts_bytes(held: Cuts) -> bytes:
    """Return the file that holds cuts."""
    file = io.BytesIO()
    counted: dict[str, Any] = {f"counted_{i}": np.packbits(cut.counted, axis=1) for i, cut in enumerate(held.cuts)}
    np.savez_compressed(
        file,
        promise=np.array([cut.promise for cut in held.cuts], dtype=np.int64),
        lift=held.lift,
        weight=np.array([cut.weight for cut in held.cuts]),
        odds=np.array(held.odds),
        added=held.added,
        made_again=np.array(held.made_again),
        left=np.array(held.left),
        is_exact=np.array([cut.is_exact for cut in held.cuts]),
        **counted,
        stretch=np.array([cut.stretch for cut in held.cuts]),
        level=np.array([cut.level for cut in held.cuts]),
        constant=np.array([cut.constant for cut in held.cuts]),
        at_stretch=np.array([cut.at_stretch for cut in held.cuts]),
        at_level=np.array([cut.at_level for cut in held.cuts]),
    )
    return file.getvalue()


def load_cuts(path: Path, cascade: Cascade) -> Cuts:
    """Read the cuts of a run.

    Raises
    ------
    TableError
        Where the file is missing, damaged, or not about this cascade.
    """
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        cuts = tuple(_cut(found, i) for i in range(len(found["promise"])))
        left = float(found["left"]) if "left" in found else 0.0  # runs before it was kept
        held = Cuts(cuts, found["lift"], float(found["odds"]), found["added"], int(found["made_again"]), left)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    columns, n = cascade.columns, cascade.graph.scenario.odds.draws
    sizes = len(columns.stretch), len(columns.level)
    fits = (
        0.0 <= held.left <= max(LEFT)
        and len(held.lift) == len(held.added) == len(promises_of(columns))
        and all(
            (len(c.stretch), len(c.level)) == (len(c.at_stretch), len(c.at_level)) == sizes
            and c.counted.shape[1] == len(c.weight) >= n
            and 0 <= c.promise < len(held.lift)
            for c in held.cuts
        )
    )
    if not fits:
        raise _damaged(path, "it is about another program")
    return held


def _cut(found: dict[str, np.ndarray], i: int) -> Cut:
    def numbers(name: str) -> Floats:
        return np.asarray(found[name][i], dtype=np.float64)

    counted = np.unpackbits(found[f"counted_{i}"], axis=1, count=len(found["weight"][i])).astype(bool)
    return Cut(
        int(found["promise"][i]), numbers("weight"), counted, numbers("stretch"), numbers("level"),
        float(found["constant"][i]), numbers("at_stretch"), numbers("at_level"),
        bool(found["is_exact"][i]),
    )  # fmt: skip


def _damaged(path: Path, why: str) -> TableError:
    message = f"{path.name} does not say what holds the plan to its promised odds: {why}"
    return TableError(Problem("E-evidence", message, fix="solve the scenario again"))


def held_to(cascade: Cascade, folder: Path) -> tuple[Cascade, list[str]]:
    """Return a kept run's cascade with its cuts, and what is wrong with them.

    Parameters
    ----------
    cascade : Cascade
        Of the kept scenario, as it is written.
    folder : Path
        Of the run.

    Raises
    ------
    TableError
    """
    if not cascade.promises:
        return cascade, []
    held = load_cuts(folder / CUTS_FILE, cascade)
    draws = planning_draws(cascade.graph, promised_goals(promises_of(cascade.columns, held.odds)))
    wrong = []
    for number, cut in enumerate(held.cuts, start=1):
        promise = promises_of(cascade.columns, held.odds)[cut.promise]
        names_draws = cut.weight.min() >= 0.0 and cut.weight.max() <= 1.0 and cut.weight.sum() > 0.0
        alone = promise.is_mean or bool(np.all(cut.counted.sum(axis=0) == 1))
        if not names_draws or not alone or len(cut.counted) != len(promise.goals):
            wrong.append(f"row {number} names no draws")
            continue
        again = build_cut(
            draws, cascade.columns, cut.promise, promise, cut.weight, cut.counted, (cut.at_stretch, cut.at_level)
        )
        if not _same_row(cut, again, cascade):
            wrong.append(f"row {number} ({promise.name}) is not what its draws say")
    return with_cuts(cascade, held), wrong


def _same_row(kept: Cut, again: Cut, cascade: Cascade) -> bool:
    """Whether two rows say the same anywhere within the boxes of the decisions, to 1e-9 of what they can come to."""
    columns = cascade.columns
    reach = [np.maximum(np.abs(block.lower), np.abs(block.upper)) for block in (columns.stretch, columns.level)]
    pairs = [(kept.stretch, again.stretch), (kept.level, again.level)]
    size = abs(again.constant) + sum(float(np.abs(b) @ r) for (_, b), r in zip(pairs, reach, strict=True))
    apart = abs(kept.constant - again.constant)
    apart += sum(float(np.abs(a - b) @ r) for (a, b), r in zip(pairs, reach, strict=True))
    return bool(apart <= SAME_AGAIN * size)
