"""Fixed and tied variables: derivatives against differentiation of the composition, solutions by every solver."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from manifold_opt import (
    BlockObjective,
    CostObjective,
    Euclidean,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    Problem,
    ProductManifold,
    ResidualBlock,
    Rotations,
    Sphere,
    curve_fit,
    fix,
    gradient_descent,
    levenberg_marquardt,
)
from manifold_opt.core.fixed import solve_fixed

M = ProductManifold(
    a=Euclidean(2),
    b=Euclidean(2, 2),
    z=Euclidean(2, field="complex"),
    s=Sphere(2),
    u=Sphere(2),
    P=PowerManifold(Rotations(3), 3),
)
rng = np.random.default_rng(7)
P0 = M.random_point(rng)
A = rng.standard_normal((15, M.point_shape[0]))
FIXED = {"a": True, "b": [[True, False], [False, True]], "z": [0], "P": [1]}
TIED = (("s", "u"),)


def residual(p):
    return A @ p


def cost(p):
    return 0.5 * (A @ p) @ (A @ p) + p[3] ** 3


def test_points_go_there_and_back():
    small = fix(M, cost, P0, FIXED, tied=TIED)
    q = small.manifold.random_point(rng)
    p = small.lift(q)
    M.check_point(p)
    assert np.allclose(small.restrict(p), q)
    a, b, z, s, u, P = M.split(p)
    a0, b0, z0, _, _, R0 = M.split(P0)
    assert np.array_equal(a, a0) and b[0, 0] == b0[0, 0] and b[1, 1] == b0[1, 1] and b[0, 1] != b0[0, 1]
    assert z[0] == z0[0] and z[1] != z0[1]
    assert np.array_equal(s, u)
    assert np.array_equal(P[1], R0[1]) and not np.array_equal(P[0], R0[0])
    assert small.manifold.dim == M.dim - 2 - 2 - 2 - 2 - 3


@pytest.mark.parametrize("fixed", [None, FIXED, "a", ["a", "P"]], ids=str)
@pytest.mark.parametrize("tied", [None, TIED], ids=str)
def test_derivatives_are_those_of_the_composition(fixed, tied):
    """Differentiation through lift is another road to the same numbers."""
    small = fix(M, CostObjective(cost), P0, fixed, tied=tied)
    N, q = small.manifold, small.p0
    X = N.random_vector(q, rng)
    ours, other = Problem(N, small.objective), Problem(N, CostObjective(lambda q: cost(small.lift(q))))
    assert np.allclose(ours.gradient(q), other.gradient(q), atol=1e-11)
    assert np.allclose(ours.hessian(q, X), other.hessian(q, X), atol=1e-10)
    small = fix(M, NonlinearLeastSquaresObjective(residual), P0, fixed, tied=tied)
    e = Problem(N, small.objective).evaluate(q)
    other = Problem(N, NonlinearLeastSquaresObjective(lambda q: residual(small.lift(q)))).evaluate(q)
    assert np.allclose(e.residuals, other.residuals) and np.allclose(e.jacobian, other.jacobian, atol=1e-12)


@pytest.mark.parametrize("tied", [None, TIED], ids=str)
def test_block_and_sparse_jacobians(tied):
    i = np.array([0, 1, 2, 1])
    blocks = [
        ResidualBlock(lambda R, s: (R @ s[..., None])[..., 0], ("P", "s"), indices=(i, None)),
        ResidualBlock(lambda b, u: b @ b.T @ u[:2], ("b", "u")),
    ]
    small = fix(M, BlockObjective(blocks), P0, FIXED, tied=tied)
    full = Problem(M, BlockObjective(blocks)).evaluate(P0 if tied is None else small.lift(small.p0))
    J = Problem(small.manifold, small.objective).evaluate(small.p0).jacobian
    L = small.lift_coordinates(np.eye(small.manifold.dim)).T
    assert np.allclose(J.toarray(), full.jacobian.toarray() @ L, atol=1e-12)
    from scipy.sparse import csr_array

    assert np.allclose(small.restrict_jacobian(csr_array(A[:, : M.dim])).toarray(), A[:, : M.dim] @ L)


def target(p):
    return p - np.arange(6.0)


LINE = ProductManifold(x=Euclidean(2), y=Euclidean(2), w=Euclidean(2))


@pytest.mark.parametrize("solver", [levenberg_marquardt, gradient_descent])
def test_solutions(solver):
    objective = NonlinearLeastSquaresObjective(target)
    p0 = np.full(6, 7.0)
    result = solve_fixed(solver, LINE, objective, p0, fixed="w")
    assert np.allclose(result.point, [0.0, 1.0, 2.0, 3.0, 7.0, 7.0], atol=1e-6)
    result = solve_fixed(solver, LINE, objective, p0, tied=("x", "w"))
    assert np.allclose(result.point, [2.0, 3.0, 2.0, 3.0, 2.0, 3.0], atol=1e-6)
    result = solve_fixed(solver, LINE, objective, p0, fixed={"y": np.array([True, False])}, tied=[("x", "w")])
    assert np.allclose(result.point, [2.0, 3.0, 7.0, 3.0, 2.0, 3.0], atol=1e-6)


def test_single_spaces_take_masks():
    small = fix(Euclidean(3), lambda p: p - [1.0, 2.0, 3.0], np.zeros(3), [True, False, False])
    result = levenberg_marquardt(small.manifold, small.objective, small.p0)
    assert np.allclose(small.lift(result.point), [0.0, 2.0, 3.0])
    small = fix(PowerManifold(Sphere(2), 3), lambda p: p.sum(), PowerManifold(Sphere(2), 3).random_point(rng), [0, 2])
    assert small.manifold == PowerManifold(Sphere(2), 1)


def test_statistics_are_about_all_variables():
    """One of three parameters held: errors of the others are those of the smaller regression, its own are zero."""
    X = np.column_stack([np.ones(30), np.linspace(0, 1, 30), np.linspace(0, 1, 30) ** 2])
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.standard_normal(30)
    result = curve_fit(Euclidean(3), lambda X, b: X @ b, X, y, [1.0, 2.0, 2.5], fixed=[False, False, True])
    fit = result.statistics()
    assert result.point[2] == 2.5 and fit.point[2] == 2.5
    assert fit.degrees_of_freedom == 28
    C = np.linalg.inv(X[:, :2].T @ X[:, :2]) * fit.sigma**2
    assert np.allclose(fit.covariance[:2, :2], C, rtol=1e-9)
    assert not fit.covariance[2].any()
    low, high = fit.confidence_interval("p[1]")
    assert np.allclose((low, high), fit.confidence_interval("p[1]", method="wald"), rtol=1e-4)
    assert fit.confidence_interval("p[2]") == (2.5, 2.5)
    assert "fixed" in result.report()


def test_statistics_of_tied_variables():
    objective = NonlinearLeastSquaresObjective(target)
    result = solve_fixed(levenberg_marquardt, LINE, objective, np.zeros(6), tied=("x", "w"))
    fit = result.statistics(absolute_sigma=True)
    assert np.isclose(fit.covariance[0, 0], 0.5) and np.isclose(fit.covariance[0, 4], 0.5)
    assert fit.labels == ["x[0]", "x[1]", "y[0]", "y[1]", "w[0]", "w[1]"]


def test_it_pickles():
    small = fix(LINE, NonlinearLeastSquaresObjective(target), np.zeros(6), "w")
    again = pickle.loads(pickle.dumps(small))
    assert np.array_equal(again.lift(again.p0), small.lift(small.p0))


@pytest.mark.parametrize(
    ("fixed", "tied", "message"),
    [
        ("q", None, "no factor 'q'"),
        (["x", "y", "w"], None, "nothing left"),
        ({"x": [True]}, None, "shape"),
        ({"x": [5]}, None, "numbers in"),
        (None, [("x", "q")], "no factor"),
        (None, [("x", "y"), ("y", "w")], "once only"),
        ("x", [("x", "y")], "not both"),
        ([0, 1], None, "must name"),
    ],
)
def test_mistakes_are_named(fixed, tied, message):
    with pytest.raises(ValueError, match=message):
        fix(LINE, target, np.zeros(6), fixed, tied=tied)


def test_other_mistakes():
    with pytest.raises(ValueError, match="one manifold"):
        fix(M, cost, P0, tied=[("a", "s")])
    with pytest.raises(ValueError, match="as a whole"):
        fix(M, cost, P0, {"s": [True, False, False]})
    with pytest.raises(ValueError, match="product only"):
        fix(Euclidean(3), cost, np.zeros(3), "x")
    with pytest.raises(ValueError, match="product only"):
        fix(Euclidean(3), cost, np.zeros(3), tied=["x", "y"])
    with pytest.raises(ValueError, match="shape of a point"):
        fix(LINE, target, np.zeros(5), "x")
    with pytest.raises(TypeError, match="`objective`"):
        fix(LINE, 3.0, np.zeros(6), "x")
    with pytest.raises(ValueError, match="`p0` is needed"):
        solve_fixed(levenberg_marquardt, LINE, NonlinearLeastSquaresObjective(target), None, fixed="x")
