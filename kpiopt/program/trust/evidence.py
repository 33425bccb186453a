"""Evidence: the numbers behind a run's certificates, stored so that anyone can check them again without a solver.

The file is a NumPy archive without pickled objects. Arrays that several steps share, such as the matrix, are stored
once under the hash of their bytes; an index tells which step uses which.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import Problem, TableError
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.certificate import (
    Certificate,
    verify_infeasible,
    verify_optimal,
    verify_quadratic,
)
from kpiopt.program.trust.whole_tree import OrderStep, TreeProof, verify_tree
from kpiopt.reading.regular_file import open_regular

FORMAT = "kpiopt.evidence/2"
OPTIONAL = ("weight", "centre", "reduced_cost", "row_from", "row_to")
KINDS = ("optimal", "tree", "closest", "infeasible")

_STEP_VECTORS = ("cost", "witness", "weight", "centre")


@dataclass(frozen=True)
class Evidence:
    """One claim and the numbers that prove it.

    Attributes
    ----------
    label : str
        The step, such as "goals 1".
    kind : str
        "optimal": x with multipliers; "closest": the quadratic last step; "tree": all steps over whole numbers;
        "infeasible": a Farkas proof in `row_dual`.
    arrays : ProgramArrays
        The program the claim is about.
    x : (n,) float
        Empty for "infeasible".
    row_dual : (m,) float
        Empty for "tree".
    weight, centre : (n,) float or None
        For "closest".
    reduced_cost : (n,) float, optional
        For "optimal", as the solver gave them: nothing is proved by them, prices of limits are found from there.
    row_from, row_to : (m,) float, optional
        For "optimal": the sides between which the solver found the multipliers to hold.
    tree : TreeProof or None
        For "tree".
    """

    label: str
    kind: str
    arrays: ProgramArrays
    x: Floats
    row_dual: Floats
    weight: Floats | None = None
    centre: Floats | None = None
    reduced_cost: Floats | None = None
    row_from: Floats | None = None
    row_to: Floats | None = None
    tree: TreeProof | None = None

    def verify(self) -> Certificate:
        """Check the claim anew; of the steps of a tree the certificate that leaves most open counts."""
        if self.kind == "infeasible":
            return verify_infeasible(self.arrays, self.row_dual)
        if self.tree is not None:
            return weakest(verify_tree(self.arrays, self.tree))
        if self.kind == "closest" and self.weight is not None and self.centre is not None:
            return verify_quadratic(self.arrays, self.weight, self.centre, self.x, self.row_dual)
        return verify_optimal(self.arrays, self.x, self.row_dual)


def weakest(found: Sequence[Certificate]) -> Certificate:
    """Return the certificate that leaves most open."""
    return max(found, key=lambda c: (not c.passed, max(c.primal_residual, c.relative_gap)))


def evidence_bytes(steps: Sequence[Evidence]) -> bytes:
    """Return the file that holds the evidence of all steps."""
    stored: dict[str, Any] = {}
    index = [_index_step(step, stored) for step in steps]
    file = io.BytesIO()
    np.savez_compressed(file, index=np.array(json.dumps({"format": FORMAT, "steps": index})), **stored)
    return file.getvalue()


def _index_step(step: Evidence, stored: dict[str, Any]) -> dict[str, Any]:
    """Store a step's arrays by content and return where they are."""
    vectors: dict[str, Any] = {"x": step.x, "row_dual": step.row_dual} | {k: getattr(step, k) for k in OPTIONAL}
    vectors |= {f.name: getattr(step.arrays, f.name) for f in fields(step.arrays) if f.name not in ("offset", "matrix")}
    matrix = step.arrays.matrix
    vectors |= {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data}
    places = {name: _store(vector, stored) for name, vector in vectors.items() if vector is not None}
    entry = {"label": step.label, "kind": step.kind, "offset": float(step.arrays.offset).hex(), "arrays": places}
    return entry if step.tree is None else {**entry, "tree": _index_tree(step.tree, stored)}


def _index_tree(tree: TreeProof, stored: dict[str, Any]) -> dict[str, Any]:
    """Store a tree's arrays by content and return where they are."""
    y = tree.multipliers
    vectors: dict[str, Any] = {"plan": tree.plan, "names": tree.names, "splits": tree.splits, "records": tree.records}
    vectors |= {"indptr": y.indptr, "indices": y.indices, "data": y.data}
    steps = []
    for step in tree.steps:
        own = {name: getattr(step, name) for name in _STEP_VECTORS}
        places = {name: _store(vector, stored) for name, vector in own.items() if vector is not None}
        steps.append({"offset": float(step.offset).hex(), "slack": float(step.slack).hex(), "arrays": places})
    places = {name: _store(vector, stored) for name, vector in vectors.items()}
    return {"columns": y.shape[1], "steps": steps, "arrays": places}


def _read_tree(entry: dict[str, Any], stored: dict[str, Any]) -> TreeProof:
    vector = {name: stored[key] for name, key in entry["arrays"].items()}
    shape = (len(vector["indptr"]) - 1, int(entry["columns"]))
    y = sp.csr_array((vector["data"], vector["indices"], vector["indptr"]), shape=shape)
    y.check_format()
    steps = []
    for step in entry["steps"]:
        own: dict[str, Any] = {name: stored[key] for name, key in step["arrays"].items() if name in _STEP_VECTORS}
        steps.append(OrderStep(offset=float.fromhex(step["offset"]), slack=float.fromhex(step["slack"]), **own))
    return TreeProof(tuple(steps), vector["plan"], vector["names"], vector["splits"], vector["records"], y)


def _store(vector: Floats, stored: dict[str, Any]) -> str:
    key = _content_key(vector)
    stored[key] = vector
    return key


def _content_key(vector: Floats) -> str:
    return hashlib.sha256(vector.dtype.str.encode() + vector.tobytes()).hexdigest()[:32]


def load_evidence(path: Path) -> tuple[Evidence, ...]:
    """Read the evidence of a run.

    Raises
    ------
    TableError
        Where the file is missing, damaged or not evidence.
    """
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
            index = json.loads(str(archive["index"]))
            if index["format"] != FORMAT:
                raise ValueError(f"format {index['format']!r}")
            stored = {name: archive[name] for name in archive.files if name != "index"}
        if any(_content_key(vector) != name for name, vector in stored.items()):
            raise ValueError("its numbers were changed")
        return tuple(_read_step(step, stored) for step in index["steps"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TableError(
            Problem("E-evidence", f"{path.name} holds no readable evidence: {error}", fix="solve the scenario again")
        ) from error


def _read_step(step: dict[str, Any], stored: dict[str, Any]) -> Evidence:
    vector = {name: stored[key] for name, key in step["arrays"].items()}
    if step["kind"] not in KINDS:
        raise ValueError(f"kind {step['kind']!r}")
    shape = (len(vector["row_lower"]), len(vector["cost"]))
    matrix = sp.csr_array((vector["data"], vector["indices"], vector["indptr"]), shape=shape)
    matrix.check_format()
    sides = {name: vector[name] for name in ("row_lower", "row_upper", "column_lower", "column_upper")}
    arrays = ProgramArrays(
        cost=vector["cost"], offset=float.fromhex(step["offset"]), matrix=matrix, integer=vector["integer"], **sides
    )
    extra = {name: vector.get(name) for name in OPTIONAL}
    tree = _read_tree(step["tree"], stored) if step["kind"] == "tree" else None
    return Evidence(step["label"], step["kind"], arrays, vector["x"], vector["row_dual"], tree=tree, **extra)
