"""Evidence: what was stored verifies again, what was changed does not."""

import os
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from kpiopt.errors import TableError
from kpiopt.program.trust.evidence import Evidence, evidence_bytes, load_evidence
from kpiopt.program.trust.whole_tree import OrderStep, TreeProof
from kpiopt.runs.kept_cuts import load_cuts
from tests.program.random_programs import INF, program

WYNDOR = program([[1, 0], [0, 2], [3, 2]], [-3, -5], columns=(0, 100), rows=(-INF, [4, 12, 18]), offset=0.1)
CLASH = replace(WYNDOR, row_lower=np.array([-INF, -INF, 1000.0]), row_upper=np.array([4.0, 12.0, INF]))
SIMPLEX = program([[1, 1, 1]], 0.0, columns=(0, 1), rows=(1, 1))
X, Y = np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.0])
NONE = np.empty(0)
TREE = TreeProof(
    (OrderStep(WYNDOR.cost, WYNDOR.offset, 0.0, X),),
    X,
    np.array([0, 1]),
    np.array([[-1, 0, -1, -1]]),
    np.array([[0, 0, 0, 0]]),
    sp.csr_array(np.array([[*Y, 0.0]])),
)
STEPS = [
    Evidence("goals 1", "optimal", WYNDOR, X, Y),
    Evidence("whole numbers", "tree", replace(WYNDOR, integer=np.array([True, True])), X, NONE, tree=TREE),
    Evidence(
        "reference",
        "closest",
        SIMPLEX,
        np.array([0.7, 0.3, 0.0]),
        np.array([-0.4]),
        weight=np.ones(3),
        centre=np.array([0.9, 0.5, -0.4]),
    ),
    Evidence("clash", "infeasible", CLASH, NONE, np.array([-3.0, -1.0, 1.0])),
]


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "evidence.npz"
    path.write_bytes(evidence_bytes(STEPS))
    return path


def test_every_kind_verifies_again_after_a_round_trip(stored):
    loaded = load_evidence(stored)
    assert [step.label for step in loaded] == [step.label for step in STEPS]
    for step, original in zip(loaded, STEPS, strict=True):
        assert step.verify().passed
        assert step.verify() == original.verify()


def test_a_changed_claim_fails(tmp_path):
    path = tmp_path / "evidence.npz"
    claims = [
        replace(STEPS[0], x=X + 1e-3),
        replace(STEPS[1], tree=replace(TREE, plan=X - 1)),
        replace(STEPS[3], row_dual=Y),
    ]
    path.write_bytes(evidence_bytes(claims))
    assert [step.verify().passed for step in load_evidence(path)] == [False, False, False]


def rewritten(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez_compressed(path, **arrays)


def test_numbers_changed_in_the_file_are_noticed(stored):
    def raise_a_number(arrays):
        name = next(name for name, vector in arrays.items() if vector.tolist() == X.tolist())
        arrays[name] = X + 1.0

    rewritten(stored, raise_a_number)
    with pytest.raises(TableError, match="changed"):
        load_evidence(stored)


def test_evidence_is_read_from_regular_files_only(tmp_path):
    os.mkfifo(tmp_path / "evidence.npz")  # opened in the ordinary way, it would block for ever
    with pytest.raises(TableError, match="pipe"):
        load_evidence(tmp_path / "evidence.npz")
    with pytest.raises(TableError, match="pipe"):
        load_cuts(tmp_path / "evidence.npz", None)


def test_objects_are_never_unpickled(stored):
    rewritten(stored, lambda arrays: arrays.update(extra=np.array([{"code": 1}], dtype=object)))
    with pytest.raises(TableError, match="evidence"):
        load_evidence(stored)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_what_is_not_evidence_is_refused(tmp_path, content):
    path = tmp_path / "evidence.npz"
    path.write_bytes(content)
    with pytest.raises(TableError, match="no readable evidence"):
        load_evidence(path)


def test_a_truncated_file_is_refused(stored):
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError):
        load_evidence(stored)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r"evidence\.npz"):
        load_evidence(tmp_path / "evidence.npz")


def test_shared_arrays_are_stored_once(tmp_path):
    path = tmp_path / "evidence.npz"
    path.write_bytes(evidence_bytes([replace(STEPS[0], label=str(i)) for i in range(20)]))
    with np.load(path) as archive:
        matrices = [name for name in archive.files if archive[name].tolist() == WYNDOR.matrix.data.tolist()]
    assert len(matrices) == 1
    assert len(load_evidence(path)) == 20
