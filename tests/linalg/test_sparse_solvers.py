"""Sparse factorizations of J'J: against dense solvers on random patterns, singular ones, and one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt.linalg.automatic import Automatic, chosen
from manifold_opt.linalg.block_matrix import BlockMatrix, BlockPart
from manifold_opt.linalg.solvers import DenseQR
from manifold_opt.linalg.sparse_solvers import SparseCholesky


def graph(rng, n=40, edges=90, k=3, m=4, dtype=float):
    """A connected graph of n nodes of width k, as a block matrix."""
    i = np.concatenate([np.arange(n - 1), rng.integers(0, n, edges)])
    j = np.concatenate([np.arange(1, n), rng.integers(0, n, edges)])
    blocks = [rng.standard_normal((len(i), m, k)).astype(dtype) for _ in range(2)]
    parts = [BlockPart(0, k * i, blocks[0]), BlockPart(0, k * j, blocks[1])]
    return BlockMatrix((m * len(i), k * n), parts)


def bound(J):
    b = SparseCholesky().bind()
    b.factor(J)
    return b


@pytest.mark.parametrize("kind", ["blocks", "csr", "csc"])
@pytest.mark.parametrize("lam", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_is_that_of_the_dense_solver(kind, lam, scaled):
    rng = np.random.default_rng(0)
    J = graph(rng)
    r, D = rng.standard_normal(J.shape[0]), rng.uniform(0.5, 2.0, J.shape[1]) if scaled else None
    dense = DenseQR().bind()
    dense.factor(J.toarray())
    b = bound(J if kind == "blocks" else sp.csr_matrix(J.toarray()).asformat(kind))
    s, Js = b.solve(r, lam, D)
    t, Jt = dense.solve(r, lam, D)
    np.testing.assert_allclose(s, t, atol=1e-11 * np.abs(t).max())
    np.testing.assert_allclose(Js, Jt, atol=1e-11)
    assert b.projected_norm(r) == pytest.approx(dense.projected_norm(r), rel=1e-10)
    np.testing.assert_allclose(b.column_norms(), dense.column_norms(), rtol=1e-13)


def test_one_damping_costs_one_factorization():
    rng = np.random.default_rng(1)
    J = graph(rng)
    b, r = bound(J), rng.standard_normal(J.shape[0])
    b.solve(r, 1e-3)
    b.solve(rng.standard_normal(J.shape[0]), 1e-3)
    assert b.factorizations == 1
    b.solve(r, 1e-2)
    assert b.factorizations == 2


@pytest.mark.parametrize(
    ("J", "kind"),
    [
        (np.ones((3, 300)), "DenseQR"),
        (sp.csr_array((3, 300)), "SparseCholesky"),
        (sp.csr_array((3, 30)), "DenseQR"),
        (BlockMatrix((3, 300), []), "SparseCholesky"),
    ],
    ids=["dense", "sparse", "small", "blocks"],
)
def test_the_solver_is_chosen_by_the_jacobian(J, kind):
    assert type(chosen(Automatic(), J)).__name__ == kind
