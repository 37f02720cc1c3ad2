"""Jacobians of a known pattern: few passes, the same numbers."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt import (
    Euclidean,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    Problem,
    ProductManifold,
    Rotations,
    Sphere,
    least_squares,
    levenberg_marquardt,
)
from manifold_opt.autodiff.sparsity import color_columns, detect_sparsity

N = 120


def tridiagonal(x):
    """Broyden's tridiagonal function: each residual has three neighbours."""
    left, right = anp.concatenate([anp.zeros(1), x[:-1]]), anp.concatenate([x[1:], anp.zeros(1)])
    return (3.0 - 2.0 * x) * x - left - 2.0 * right + 1.0


BAND = sp.csr_array(sp.diags([np.ones(N - 1), np.ones(N), np.ones(N - 1)], [-1, 0, 1]))


def exact(x):
    return np.diag(3.0 - 4.0 * x) - np.eye(N, k=-1) - 2.0 * np.eye(N, k=1)


def test_columns_of_one_colour_share_no_row():
    rng = np.random.default_rng(0)
    A = sp.csr_array(sp.random(80, 50, 0.05, random_state=rng))
    colors = color_columns(A)
    for color in range(colors.max() + 1):
        assert (np.count_nonzero(A.toarray()[:, colors == color], axis=1) <= 1).all()
    assert color_columns(BAND).max() + 1 == 3


@pytest.mark.parametrize(("autodiff", "rtol"), [("auto", 1e-12), ("finite-differences", 1e-8)])
@pytest.mark.parametrize("pattern", ["given", "dense", "detect"])
def test_a_banded_jacobian(autodiff, rtol, pattern):
    given = {"given": BAND, "dense": BAND.toarray(), "detect": "detect"}[pattern]
    x = np.random.default_rng(1).standard_normal(N)
    objective = NonlinearLeastSquaresObjective(tridiagonal, jacobian_sparsity=given, autodiff=autodiff)
    e = Problem(Euclidean(N), objective).evaluate(x)
    assert sp.issparse(e.jacobian) and e.jacobian.nnz == 3 * N - 2
    np.testing.assert_allclose(e.jacobian.toarray(), exact(x), atol=10 * rtol)


def test_differences_cost_two_calls_per_colour():
    calls = []

    def counted(x):
        calls.append(1)
        return np.asarray(tridiagonal(x))

    result = least_squares(Euclidean(N), counted, np.full(N, -1.0), jac="3-point", jac_sparsity=BAND)
    assert result.converged and np.abs(tridiagonal(result.point)).max() < 1e-10
    assert result.evaluations["residual"] == 7 * result.evaluations["jacobian"] + result.iterations + 1
    assert len(calls) <= result.evaluations["residual"] + result.evaluations["check"] + 10


M = ProductManifold(R=PowerManifold(Rotations(3), 5), b=Euclidean(2), u=PowerManifold(Sphere(2), 4))


def geometry(p):
    R, b, u = M.split(p)
    first = anp.einsum("nij,nj->ni", R[:4], u) - u[::-1]
    return anp.concatenate([anp.reshape(first, (-1,)), anp.reshape(R[4] - anp.eye(3), (-1,)), b * u[0, :2]])


@pytest.mark.parametrize("autodiff", ["auto", "finite-differences"])
def test_patterns_on_a_product_are_detected_and_used(autodiff):
    p = M.random_point(0)
    pattern = detect_sparsity(geometry, M, p)
    dense = Problem(M, NonlinearLeastSquaresObjective(geometry)).evaluate(p).jacobian
    assert (pattern.toarray() != 0)[np.abs(dense) > 1e-14].all()
    # all of a variable at once: rotations 0..3 with two points each, the last alone, b and u[0]
    assert pattern.nnz == 4 * 3 * (3 + 2 + 2) + 9 * 3 + 2 * (1 + 2)
    objective = NonlinearLeastSquaresObjective(geometry, jacobian_sparsity="detect", autodiff=autodiff)
    e = Problem(M, objective).evaluate(p)
    np.testing.assert_allclose(e.jacobian.toarray(), dense, atol=1e-8)


def test_a_pattern_that_misses_an_entry_is_refused():
    wrong = sp.csr_array(sp.diags([np.ones(N), np.ones(N - 1)], [0, 1]))
    with pytest.raises(ValueError, match="does it miss an entry"):
        Problem(Euclidean(N), NonlinearLeastSquaresObjective(tridiagonal, jacobian_sparsity=wrong)).evaluate(
            np.ones(N)
        )
    for shape, what in (((N, N + 1), "one column per coordinate"), ((N + 1, N), "one row per residual")):
        objective = NonlinearLeastSquaresObjective(tridiagonal, jacobian_sparsity=np.ones(shape))
        with pytest.raises(ValueError, match=what):
            _ = Problem(Euclidean(N), objective).evaluate(np.ones(N)).jacobian
    with pytest.raises(ValueError, match="not given"):
        NonlinearLeastSquaresObjective(tridiagonal, exact, jacobian_sparsity=BAND)
    with pytest.raises(ValueError, match="'detect'"):
        NonlinearLeastSquaresObjective(tridiagonal, jacobian_sparsity="guess")


def test_a_residual_that_stops_nan_says_so():
    def careful(x):
        if not np.isfinite(x).all():
            raise RuntimeError("not finite")
        return x

    with pytest.raises(ValueError, match="give the pattern itself"):
        detect_sparsity(careful, Euclidean(3), np.ones(3))


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_scipy_jacobians_of_a_large_problem(form):
    n = 400

    def jacobian(x):
        diagonals = [-np.ones(n - 1), 3.0 - 4.0 * x, -2.0 * np.ones(n - 1)]
        return sp.csr_array(sp.diags(diagonals, [-1, 0, 1])).asformat(form)

    result = least_squares(Euclidean(n), lambda x: np.asarray(tridiagonal(x)), np.full(n, -1.0), jac=jacobian)
    assert result.converged and result.cost < 1e-20
    by_default = levenberg_marquardt(
        Euclidean(n), NonlinearLeastSquaresObjective(tridiagonal, jacobian_sparsity="detect"), np.full(n, -1.0)
    )
    np.testing.assert_allclose(by_default.point, result.point, atol=1e-9)
