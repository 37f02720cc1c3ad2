"""Pivoted QR, singular values, LSMR and conjugate gradients: against the augmented system, and in fits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

from manifold_opt.linalg.block_matrix import BlockMatrix, BlockPart
from manifold_opt.linalg.iterative_solvers import LSMR, ConjugateGradients
from manifold_opt.linalg.solvers import DenseQR, DenseSVD, PivotedQR
from manifold_opt.manifolds import Euclidean, Rotations
from manifold_opt.solvers import levenberg_marquardt, trust_region_reflective

EXACT = [PivotedQR(), DenseSVD()]
TIGHT = {"least": 1e-14, "largest": 1e-14, "max_products": 500}
SOLVERS = [*EXACT, LSMR(**TIGHT), ConjugateGradients(**TIGHT)]


def bound(solver, J):
    b = solver.bind()
    b.factor(J)
    return b


def augmented(J, r, lam, D):
    A = np.vstack([J, np.sqrt(lam) * np.diag(D)])
    return -np.linalg.lstsq(A, np.append(r, 0.0 * D), rcond=None)[0]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("shape", [(1, 1), (20, 4), (3, 3), (2, 5)], ids=str)
@pytest.mark.parametrize("lam", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_solves_the_augmented_system(solver, shape, lam, scaled):
    rng = np.random.default_rng(0)
    J, r = rng.standard_normal(shape), rng.standard_normal(shape[0])
    D = rng.uniform(0.1, 10.0, shape[1]) if scaled else None
    s, Js = bound(solver, J).solve(r, lam, D)
    expected = augmented(J, r, lam, np.ones(shape[1]) if D is None else D)
    np.testing.assert_allclose(s, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(Js, J @ s, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_projection_onto_the_range(solver):
    rng = np.random.default_rng(1)
    J, r = rng.standard_normal((9, 3)), rng.standard_normal(9)
    Q = np.linalg.qr(J)[0]
    assert bound(solver, J).projected_norm(r) == pytest.approx(np.linalg.norm(Q.T @ r), rel=1e-8)


@pytest.mark.parametrize("solver", EXACT, ids=lambda s: type(s).__name__)
def test_deficient_ranks(solver):
    rng = np.random.default_rng(2)
    J = rng.standard_normal((8, 2)) @ rng.standard_normal((2, 4))
    r = rng.standard_normal(8)
    b = bound(solver, J)
    s, Js = b.solve(r, 0.0)
    assert b.rank == 2
    np.testing.assert_allclose(J.T @ (r + Js), 0.0, atol=1e-12)
    assert (np.count_nonzero(s) == 2) if isinstance(solver, PivotedQR) else np.isfinite(s).all()


def test_singular_values():
    J = np.diag([3.0, 2.0, 1.0])
    b = bound(DenseSVD(), J)
    b.solve(np.ones(3), 1.0)
    np.testing.assert_allclose(b.singular_values, [3.0, 2.0, 1.0])


@pytest.mark.parametrize("solver", [LSMR(**TIGHT), ConjugateGradients(**TIGHT)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("kind", ["sparse", "operator", "blocks"])
def test_matrices_that_are_never_written_out(solver, kind):
    rng = np.random.default_rng(3)
    blocks = rng.standard_normal((5, 3, 2))
    B = BlockMatrix((15, 6), [BlockPart(0, np.array([0, 2, 4, 0, 2]), blocks)])
    J = B.toarray()
    r, given = rng.standard_normal(15), {"sparse": sp.csr_array(J), "operator": aslinearoperator(J), "blocks": B}[kind]
    b = bound(solver, given)
    s, _ = b.solve(r, 0.1, np.full(6, 2.0))
    np.testing.assert_allclose(s, augmented(J, r, 0.1, np.full(6, 2.0)), rtol=1e-8)
    if kind != "operator":
        np.testing.assert_allclose(b.column_norms(), np.linalg.norm(J, axis=0))
    assert 0 < b.products <= 30


def test_the_forcing_term_follows_the_gradient():
    rng = np.random.default_rng(4)
    J, r = rng.standard_normal((30, 10)), rng.standard_normal(30)
    b = ConjugateGradients().bind()
    seen = []
    for size in (1.0, 0.1, 1e-3):
        b.factor(J)
        b.solve(size * r, 0.0)
        seen.append((b.eta, b.products))
    assert [eta for eta, _ in seen] == pytest.approx([1e-2, 9e-3, 9e-5])
    products = np.diff([0, *(n for _, n in seen)])
    assert products[0] <= products[2] <= 10


@pytest.mark.parametrize(
    "solver", [PivotedQR(), DenseSVD(), LSMR(), ConjugateGradients()], ids=lambda s: type(s).__name__
)
def test_fits_on_a_manifold(solver):
    M = Rotations(3)
    rng = np.random.default_rng(5)
    a, Q = rng.standard_normal((12, 3)), M.random_point(rng)
    b = a @ Q.T + 0.01 * rng.standard_normal((12, 3))
    r = lambda R: (a @ R.T - b).reshape(-1)
    expected = levenberg_marquardt(M, r, np.eye(3), linear_solver=DenseQR())
    result = levenberg_marquardt(M, r, np.eye(3), linear_solver=solver)
    assert result.converged
    np.testing.assert_allclose(result.point, expected.point, atol=1e-8)


@pytest.mark.parametrize("solver", [LSMR(), ConjugateGradients()], ids=lambda s: type(s).__name__)
def test_a_large_fit_with_an_operator(solver):
    """200 unknowns in a chain: r_i = x_{i+1} - x_i^2 / 4 - c_i, x_0 = 1."""
    n = 200
    c = np.cos(np.arange(n - 1))

    def r(x):
        return np.append(x[1:] - 0.25 * x[:-1] ** 2 - c, x[0] - 1.0)

    def jacobian(x):
        J = sp.diags([-0.5 * x[:-1], np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
        return aslinearoperator(sp.vstack([J, sp.csr_array(([1.0], ([0], [0])), shape=(1, n))]).tocsr())

    for method in (levenberg_marquardt, trust_region_reflective):
        result = method(Euclidean(n), r, np.ones(n), jacobian=jacobian, jacobian_type="operator", linear_solver=solver)
        assert result.converged and result.cost < 1e-16


@pytest.mark.parametrize(
    "name, value", [("gamma", 0.0), ("alpha", 1.0), ("least", 0.0), ("largest", 1.0), ("max_products", 0)]
)
def test_parameters_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        LSMR(**{name: value})
