"""Active sides as equations: factors stay as sparse as the program, also where rows depend on each other."""

import numpy as np
import scipy.sparse as sp

from kpiopt.program.solver import active_set


def test_rows_that_depend_on_each_other_are_factored_as_sparsely_as_others(monkeypatch):
    """Every row twice: the small regularisation cancels, and pivoting by columns, which fills in, is not needed."""
    orders = []
    splu = active_set.splu

    def recorded(system, **settings):
        found = splu(system, **settings)
        orders.append(settings.get("permc_spec"))
        return found

    monkeypatch.setattr(active_set, "splu", recorded)
    once = sp.block_diag([np.ones((1, 3))] * 40)
    inner = sp.csr_array(sp.vstack([once, once]))
    n, level = inner.shape[1], np.tile(np.arange(1.0, 41.0), 2)
    solved = active_set.factorise(np.zeros(n), inner)(np.concatenate([np.zeros(n), level]))
    assert orders == ["MMD_AT_PLUS_A"]
    np.testing.assert_allclose(inner @ solved[:n], level, rtol=1e-7)


def test_with_curvature_the_regularisation_is_never_as_large_as_it(monkeypatch):
    """The steps from one point to the next would lead elsewhere."""
    diagonals = []
    system_of = active_set._system

    def recorded(diagonal, inner, dual_proximal):
        diagonals.append(float(diagonal.max()))
        return system_of(diagonal, inner, dual_proximal)

    monkeypatch.setattr(active_set, "_system", recorded)
    monkeypatch.setattr(active_set, "_is_accurate", lambda *_: False)
    active_set.factorise(np.array([1.0, 1.0]), sp.csr_array(np.array([[1.0, 1.0]])))
    assert len(diagonals) == 3
    assert max(diagonals) < 1.00001
