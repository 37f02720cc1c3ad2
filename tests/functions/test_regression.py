"""Geodesic regression: exact geodesics leave no residual, distances are what it measures, lines are lines."""

from __future__ import annotations

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import functions, levenberg_marquardt
from manifold_opt.manifolds import Euclidean, Rotations, Sphere, SymmetricPositiveDefinite

MANIFOLDS = [Euclidean(2), Sphere(2), Sphere(4), Rotations(3), SymmetricPositiveDefinite(2)]
T = np.array([-0.5, 0.0, 0.3, 1.0, 1.4])


def on_geodesic(M):
    rng = np.random.default_rng(8)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    X = X * (0.8 / M.norm(p, X))
    return np.stack([p, M.exp(p, X)]), np.stack([M.exp(p, X, t) for t in T])


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_points_of_a_geodesic_leave_no_residual(M):
    pq, points = on_geodesic(M)
    regression = functions.GeodesicRegression(M, T, points)
    assert regression.manifold.dim == 2 * M.dim
    residual = regression.residual(pq)
    assert residual.shape == (len(T) * M.dim,)
    np.testing.assert_allclose(residual, 0.0, atol=1e-14)
    np.testing.assert_allclose(regression.start(), pq, atol=1e-15)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_residuals_are_weighted_distances(M):
    pq, points = on_geodesic(M)
    weights = np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    regression = functions.GeodesicRegression(M, T, np.roll(points, 1, axis=0), weights)
    blocks = regression.residual(pq).reshape(len(T), M.dim)
    distances = [M.distance(y, g) for y, g in zip(regression.points, regression.predict(pq, T), strict=True)]
    expected = np.sqrt(weights / 10) * distances
    np.testing.assert_allclose(np.linalg.norm(blocks, axis=1), expected, rtol=1e-12, atol=1e-15)


def test_bad_times_are_refused():
    with pytest.raises(ValueError, match="`t`"):
        functions.GeodesicRegression(Sphere(2), [0.0, 1.0], np.eye(3))
    with pytest.raises(ValueError, match="`t`"):
        functions.GeodesicRegression(Sphere(2), [0.0, 1.0, np.inf], np.eye(3))


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_the_jacobian_is_the_derivative(M):
    """Against differences, and against autograd's derivative of the same residual along the same vector."""
    pq, points = on_geodesic(M)
    regression = functions.GeodesicRegression(M, T, np.roll(points, 1, axis=0), [1.0, 2.0, 3.0, 4.0, 0.0])
    P = regression.manifold
    X = P.random_vector(pq, 3)
    J = regression.jacobian(pq)
    assert J.shape == (len(T) * M.dim, P.dim)
    along = J @ P.get_coordinates(pq, X)
    h = 1e-3
    f = lambda s: regression.residual(P.exp(pq, X, s))
    np.testing.assert_allclose(along, (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h), atol=1e-9)
    w = np.random.default_rng(4).standard_normal(len(J))
    pulled = autograd.grad(lambda x: anp.sum(w * regression.residual(x)))(pq)
    gradient = P.riemannian_gradient_from_storage(pq, pulled)
    np.testing.assert_allclose(P.get_coordinates(pq, gradient), w @ J, atol=1e-9)


def test_least_squares_with_the_jacobian_given():
    """The same answer as by automatic differentiation, from the same number of steps."""
    M = Sphere(2)
    _, points = on_geodesic(M)
    points = M.exp(points, 0.1 * M.random_vector(points, 5))
    regression = functions.GeodesicRegression(M, T, points)
    solve = lambda **given: levenberg_marquardt(regression.manifold, regression.residual, regression.start(), **given)
    ours, traced = solve(jacobian=regression.jacobian), solve()
    assert ours.converged and ours.iterations == traced.iterations
    np.testing.assert_allclose(ours.point, traced.point, atol=1e-9)
