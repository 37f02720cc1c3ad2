"""Damped linear least squares: against the augmented system in NumPy, for bad conditions, ranks and kinds of J."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from manifold_opt.linalg.solvers import DenseQR, NormalEquations, dense, solve_symmetric

SOLVERS = [DenseQR(), NormalEquations()]
SHAPES = [(1, 1), (5, 1), (3, 3), (20, 4), (200, 7), (2, 5), (1, 4)]
EPS = np.finfo(float).eps


def matrix(m, d, condition, seed):
    """A random matrix with singular values between 1 and 1 / condition."""
    rng = np.random.default_rng(seed)
    k = min(m, d)
    U, V = np.linalg.qr(rng.standard_normal((m, k)))[0], np.linalg.qr(rng.standard_normal((d, k)))[0]
    return (U * np.geomspace(1.0, 1.0 / condition, k)) @ V.T, rng.standard_normal(m)


def augmented(J, r, lam, scale):
    """Minimizer of |r + J s|^2 + lam |D s|^2 by NumPy, columns brought to length one first."""
    A = np.vstack([J, np.diag(np.sqrt(lam) * scale)])
    norms = np.linalg.norm(A, axis=0)
    norms[norms == 0.0] = 1.0
    return -np.linalg.lstsq(A / norms, np.append(r, np.zeros(J.shape[1])), rcond=None)[0] / norms


def bound(solver, J):
    b = solver.bind()
    b.factor(J)
    return b


def solved(solver, J, r, lam, scale=None):
    return bound(solver, J).solve(r, lam, scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("lam", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("scaled", [False, True])
def test_step_solves_the_augmented_system(solver, shape, lam, scaled):
    J, r = matrix(*shape, 10.0, seed=1)
    scale = np.random.default_rng(2).uniform(0.1, 10.0, shape[1]) if scaled else None
    s, Js = solved(solver, J, r, lam, scale)
    D = np.ones(shape[1]) if scale is None else scale
    expected = augmented(J, r, lam, D)
    # Wedin's bound: the condition, and its square times the part of r that is left; squared at once in J'J
    A = np.vstack([J, np.sqrt(lam) * np.diag(D)])
    w = np.linalg.svd(A, compute_uv=False)
    left = np.linalg.norm(A @ expected + np.append(r, 0.0 * D)) / (w[0] * np.linalg.norm(expected))
    condition = w[0] / w[-1]
    bound = condition + condition**2 * (left if isinstance(solver, DenseQR) else 1.0 + left)
    assert np.linalg.norm(s - expected) <= 20.0 * EPS * bound * np.linalg.norm(expected)
    np.testing.assert_allclose(Js, J @ s, rtol=1e-14, atol=1e-14)


@given(seed=st.integers(0, 2**32 - 1), power=st.floats(0, 12), m=st.integers(3, 12), d=st.integers(1, 6))
def test_error_of_qr_grows_with_the_condition_not_its_square(seed, power, m, d):
    J, _ = matrix(max(m, d), d, 10.0**power, seed)
    solution = np.random.default_rng(seed).standard_normal(d)
    r = -J @ solution  # consistent: the sensitivity is the condition itself
    s, _ = solved(DenseQR(), J, r, 0.0)
    assert np.linalg.norm(s - solution) <= 200.0 * EPS * 10.0**power * np.linalg.norm(solution)


@given(seed=st.integers(0, 2**32 - 1), powers=st.lists(st.integers(-120, 120), min_size=3, max_size=3))
def test_units_of_the_variables_do_not_matter(seed, powers):
    J, r = matrix(7, 3, 10.0, seed)
    D = 10.0 ** np.array(powers, dtype=float)
    plain, scaled = bound(DenseQR(), J), bound(DenseQR(), J * D)
    assert scaled.projected_norm(r) == pytest.approx(plain.projected_norm(r), rel=1e-12)
    for lam in (0.0, 0.3):
        s, Js = plain.solve(r, lam, plain.column_norms())
        S, JS = scaled.solve(r, lam, scaled.column_norms())
        np.testing.assert_allclose(S * D, s, rtol=1e-11, atol=1e-11 * np.abs(s).max())
        np.testing.assert_allclose(JS, Js, atol=1e-12)


@given(power=st.integers(-140, 140))
def test_units_of_the_residual_do_not_matter(power):
    J, r = matrix(7, 3, 10.0, 5)
    c = 10.0**power
    s, _ = solved(DenseQR(), J, r, 0.3, np.linalg.norm(J, axis=0))
    S, _ = solved(DenseQR(), c * J, c * r, 0.3, np.linalg.norm(c * J, axis=0))
    np.testing.assert_allclose(S, s, rtol=1e-12)
    assert bound(DenseQR(), c * J).projected_norm(c * r) == pytest.approx(
        c * bound(DenseQR(), J).projected_norm(r), rel=1e-12
    )


def deficient(name):
    rng = np.random.default_rng(3)
    J = rng.standard_normal((9, 4))
    if name == "zero column":
        J[:, 2] = 0.0
    elif name == "zero matrix":
        J[:] = 0.0
    elif name == "equal columns":
        J[:, 3] = J[:, 0]
    elif name == "rank one":
        J = np.outer(J[:, 0], J[0])
    elif name == "rank one, m < d":
        J = np.outer(J[:2, 0], J[0])
    elif name == "rank one, tiny column":
        J = np.outer(J[:, 0], J[0]) * [1.0, 1e-30, 1.0, 1e30]
    return J, rng.standard_normal(len(J))


DEFICIENT = ["zero column", "zero matrix", "equal columns", "rank one", "rank one, m < d", "rank one, tiny column"]


@pytest.mark.parametrize("name", DEFICIENT)
def test_without_damping_a_deficient_matrix_gives_a_minimizer(name):
    J, r = deficient(name)
    s, Js = solved(DenseQR(), J, r, 0.0)
    assert np.isfinite(s).all()
    norms = np.where(np.linalg.norm(J, axis=0) > 0.0, np.linalg.norm(J, axis=0), 1.0)
    fit = np.linalg.lstsq(J / norms, r, rcond=1e-12)[0]
    np.testing.assert_allclose(Js, -(J / norms) @ fit, atol=1e-12)
    # of smallest norm in units in which the columns have length one, so no huge components
    np.testing.assert_allclose(s * norms, -fit, atol=1e-12)


@pytest.mark.parametrize("name", DEFICIENT)
@pytest.mark.parametrize("solver", [DenseQR(), NormalEquations()], ids=repr)
def test_projection_on_the_range_of_a_deficient_matrix(solver, name):
    if isinstance(solver, NormalEquations) and name == "rank one, tiny column":
        pytest.skip("the product J'J cannot hold such units")
    J, r = deficient(name)
    norms = np.where(np.linalg.norm(J, axis=0) > 0.0, np.linalg.norm(J, axis=0), 1.0)
    U, w, _ = np.linalg.svd(J / norms, full_matrices=False)
    expected = np.linalg.norm(U[:, w > 1e-10].T @ r)
    # from J'J a direction is told from none only down to the root of eps
    tolerance = 1e-12 if isinstance(solver, DenseQR) else 1e-6
    assert bound(solver, J).projected_norm(r) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_projection_and_column_norms(solver, shape):
    J, r = matrix(*shape, 10.0, seed=4)
    b = bound(solver, J)
    Q = np.linalg.svd(J, full_matrices=False)[0]
    assert b.projected_norm(r) == pytest.approx(np.linalg.norm(Q.T @ r), rel=1e-10)
    np.testing.assert_allclose(b.column_norms(), np.linalg.norm(J, axis=0), rtol=1e-14)


def test_one_factorization_serves_all_dampings_and_residuals():
    J, r = matrix(9, 3, 10.0, seed=6)
    b = bound(DenseQR(), J)
    for other in (r, np.arange(9.0), r):
        for lam in (1e-3, 10.0, 1e-3):
            fresh = solved(DenseQR(), J, other, lam)
            np.testing.assert_array_equal(b.solve(other, lam)[0], fresh[0])
    K, _ = matrix(9, 3, 10.0, seed=7)
    b.factor(K)
    np.testing.assert_array_equal(b.solve(r, 0.1)[0], solved(DenseQR(), K, r, 0.1)[0])


def test_arguments_are_not_changed():
    J, r = matrix(9, 3, 10.0, seed=6)
    for order in "CF":
        A, b, D = J.copy(order), r.copy(), np.ones(3)
        for solver in SOLVERS:
            solved(solver, A, b, 0.1, D)
        np.testing.assert_array_equal(A, J)
        np.testing.assert_array_equal(b, r)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize(
    "kind", [sp.csr_matrix, sp.csc_array, sp.coo_matrix, aslinearoperator, np.asfortranarray, np.float32, np.int64]
)
def test_every_kind_of_matrix(solver, kind):
    J = np.array([[1.0, 2.0], [0.0, 3.0], [4.0, 0.0]])
    r = np.array([1.0, -1.0, 2.0])
    A = J.astype(kind) if isinstance(kind, type) and issubclass(kind, np.generic) else kind(J)
    s, Js = solved(solver, A, r, 0.5)
    tolerance = 1e-6 if kind is np.float32 else 1e-14
    np.testing.assert_allclose(s, augmented(J, r, 0.5, np.ones(2)), rtol=tolerance)
    np.testing.assert_allclose(Js, J @ s, rtol=tolerance)


def test_integers_in_a_sparse_matrix():
    J = sp.csr_matrix(np.array([[1, 2], [0, 3], [4, 0]]))
    s, _ = solved(DenseQR(), J, np.array([1.0, -1.0, 2.0]), 0.5)
    np.testing.assert_allclose(s, augmented(J.toarray().astype(float), np.array([1.0, -1, 2]), 0.5, np.ones(2)))


def test_an_operator_is_written_out():
    A = np.arange(6.0).reshape(3, 2)
    operator = LinearOperator((3, 2), matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, dtype=float)
    np.testing.assert_array_equal(dense(operator), A)
    assert dense(A) is A


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_single_precision_stays(solver):
    J, r = matrix(9, 3, 3.0, seed=6)
    s, Js = solved(solver, J.astype(np.float32), r.astype(np.float32), 0.1, np.ones(3, np.float32))
    assert s.dtype == Js.dtype == np.float32
    np.testing.assert_allclose(s, augmented(J, r, 0.1, np.ones(3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [(0, 0), (2, 0), (0, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_what_is_not_finite_raises(solver, value, where):
    J, r = matrix(6, 3, 10.0, seed=6)
    J[where] = value
    with pytest.raises(np.linalg.LinAlgError):
        with np.errstate(invalid="ignore"):
            solved(solver, J, r, 0.1)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_a_residual_that_is_not_finite_raises(solver):
    J, r = matrix(6, 3, 10.0, seed=6)
    r[4] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        solved(solver, J, r, 0.1)


def test_reference_case_6_slightly_unsymmetric_and_nan():
    """Manopt.jl's case for its linear sub-solver: A = [[2, eps], [0, 2]], g = (1, 2)."""
    A = np.array([[2.0, EPS], [0.0, 2.0]])
    np.testing.assert_allclose(solve_symmetric(A, np.array([1.0, 2.0])), [0.5, 1.0], atol=1e-15)
    with pytest.raises(np.linalg.LinAlgError):
        solve_symmetric(np.full((2, 2), np.nan), np.array([1.0, 2.0]))
    with pytest.raises(np.linalg.LinAlgError):
        solve_symmetric(np.eye(2), np.array([1.0, np.nan]))


def test_symmetric_indefinite_is_solved_and_singular_raises():
    A = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -3.0]])
    b = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(solve_symmetric(A, b), np.linalg.solve(A, b), rtol=1e-14)
    with pytest.raises(np.linalg.LinAlgError):
        solve_symmetric(np.zeros((2, 2)), np.ones(2))


def test_normal_equations_with_a_solver_of_the_users_own():
    calls = []

    def by_qr(A, b):
        calls.append(A)
        Q, R = np.linalg.qr(A)
        return np.linalg.solve(R, Q.T @ b)

    J, r = matrix(9, 3, 10.0, seed=6)
    s, _ = solved(NormalEquations(by_qr), J, r, 0.1)
    np.testing.assert_allclose(s, augmented(J, r, 0.1, np.ones(3)), rtol=1e-12)
    np.testing.assert_allclose(calls[0], J.T @ J + 0.1 * np.eye(3), rtol=1e-14)


def test_solvers_are_values_and_share_nothing():
    assert DenseQR() == DenseQR() and hash(DenseQR()) == hash(DenseQR())
    J, r = matrix(9, 3, 10.0, seed=6)
    K, _ = matrix(9, 3, 10.0, seed=8)
    for solver in SOLVERS:
        a, b = bound(solver, J), bound(solver, K)
        np.testing.assert_array_equal(a.solve(r, 0.1)[0], solved(solver, J, r, 0.1)[0])
        np.testing.assert_array_equal(b.solve(r, 0.1)[0], solved(solver, K, r, 0.1)[0])
