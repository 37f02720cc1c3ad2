"""Factors of long chains: what fills in is in the pattern, however small its numbers would be."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.linalg.sparse_solvers import SparseCholesky


@pytest.mark.parametrize("method", ["numpy", "compiled"])
def test_a_chain_of_thousands_that_closes(method):
    if method == "compiled":
        pytest.importorskip("numba")
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import spsolve

    rng = np.random.default_rng(0)
    n = 12000
    far = np.array([[0, n - 1], [100, 8000], [4000, 9000]])
    i, j = np.concatenate([np.stack([np.arange(n - 1), np.arange(1, n)], axis=1), far]).T
    k = np.arange(len(i))
    J = csr_array((np.r_[np.ones(len(k)), -np.ones(len(k)), 1.0], (np.r_[k, k, len(k)], np.r_[i, j, 0])))
    solver = SparseCholesky(method=method).bind()
    solver.factor(J)
    r = rng.standard_normal(J.shape[0])
    s, _ = solver.solve(r, 0.0)
    exact = spsolve((J.T @ J).tocsc(), -(J.T @ r))
    np.testing.assert_allclose(s, exact, atol=1e-8 * np.abs(exact).max())
