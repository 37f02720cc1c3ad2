"""Bézier curves: polynomials in flat space, geodesics, derivatives by differences, and fits of data from a curve."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions as F
from manifold_opt import levenberg_marquardt, quasi_newton
from manifold_opt.manifolds import (
    Euclidean,
    Grassmann,
    Hyperbolic,
    PowerManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
)
from manifold_opt.testing.derivative_checks import slope

MANIFOLDS = [Sphere(2), Hyperbolic(2), Rotations(3), SymmetricPositiveDefinite(2), Euclidean(2)]
T = np.array([[0.0, 0.2, 0.5], [0.7, 1.0, 1.1]])


def control_points(M, n=4, seed=7):
    rng = np.random.default_rng(seed)
    p = M.random_point(rng)
    return np.stack([M.exp(p, M.random_vector(p, rng), 0.4) for _ in range(n)])


def test_in_flat_space_it_is_bernsteins_polynomial():
    b = control_points(Euclidean(2))
    expected = sum(c * t**k * (1 - t) ** (3 - k) * b[k] for k, c in enumerate((1, 3, 3, 1)) for t in [T[..., None]])
    np.testing.assert_allclose(F.bezier_curve(Euclidean(2), b, T), expected, atol=1e-14)
    assert F.bezier_curve(Euclidean(2), b, 0.5).shape == (2,)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_ends_and_velocity(M):
    b = control_points(M)
    np.testing.assert_allclose(F.bezier_curve(M, b, np.array([0.0, 1.0])), b[[0, 3]], atol=1e-13)
    velocity = slope(lambda t: M.embed_point(F.bezier_curve(M, b, t)))
    np.testing.assert_allclose(M.embed_vector(b[0], 3.0 * M.log(b[0], b[1])), velocity, atol=1e-9)
    geodesic = F.bezier_curve(M, b[:2], T)
    np.testing.assert_allclose(geodesic[0, 1], M.exp(b[0], M.log(b[0], b[1]), 0.2), atol=1e-14)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_differential_and_adjoint(M):
    b = control_points(M)
    P = PowerManifold(M, 4)
    V = P.random_vector(b, 8)
    curve = F.bezier_curve(M, b, T)
    by_differences = slope(lambda h: M.embed_point(F.bezier_curve(M, P.exp(b, V, h), T)))
    D = F.bezier_differential(M, b, T, V)
    np.testing.assert_allclose(M.embed_vector(curve, D), by_differences, atol=1e-8)
    W = M.random_vector(curve, 9)
    assert P.inner(b, V, F.bezier_adjoint(M, b, T, W)) == pytest.approx(np.sum(M.inner(curve, D, W)), abs=1e-11)
    many = np.stack([V, 2.0 * V], axis=1)
    np.testing.assert_allclose(F.bezier_differential(M, b, T, many)[:, :, 1], 2.0 * D, atol=1e-12)


def noisy(M, n=12):
    t = np.linspace(0.0, 1.0, n)
    rng = np.random.default_rng(10)
    points = F.bezier_curve(M, control_points(M, 3), t)
    return t, M.exp(points, 0.05 * M.random_vector(points, rng))


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_derivatives_of_the_fit(M):
    t, points = noisy(M)
    f = F.BezierRegression(M, 2, t, points, np.arange(1.0, 13.0))
    P, b = f.manifold, control_points(M, 3, seed=11)
    X = P.random_vector(b, 12)
    assert P.inner(b, f.gradient(b), X) == pytest.approx(slope(lambda h: f(P.exp(b, X, h))), abs=1e-8)
    r = f.residual(b)
    assert 0.5 * r @ r == pytest.approx(f(b), rel=1e-12)
    J = f.jacobian(b)
    np.testing.assert_allclose(J @ P.get_coordinates(b, X), slope(lambda h: f.residual(P.exp(b, X, h))), atol=1e-8)
    np.testing.assert_allclose(P.get_coordinates(b, f.gradient(b)), J.T @ r, atol=1e-12)


def test_two_solvers_find_the_same_curve():
    M = Sphere(2)
    t, points = noisy(M)
    f = F.BezierRegression(M, 2, t, points)
    lm = levenberg_marquardt(f.manifold, f.residual, f.start(), jacobian=f.jacobian)
    qn = quasi_newton(f.manifold, f.fused, f.start(), tolerance=1e-9)
    assert lm.converged and qn.converged
    np.testing.assert_allclose(lm.point, qn.point, atol=1e-6)
    assert lm.cost < f(f.start())


def test_degree_one_is_geodesic_regression():
    M = SymmetricPositiveDefinite(2)
    t, points = noisy(M)
    a, b = F.BezierRegression(M, 1, t, points), F.GeodesicRegression(M, t, points)
    pq = control_points(M, 2)
    np.testing.assert_allclose(a.residual(pq), b.residual(pq), atol=1e-14)
    np.testing.assert_allclose(a.jacobian(pq), b.jacobian(pq), atol=1e-12)


def test_bad_degrees_are_refused():
    with pytest.raises(ValueError, match="degree"):
        F.BezierRegression(Sphere(2), 0, [0.0], np.eye(3)[:1])
    with pytest.raises(ValueError, match="`t`"):
        F.BezierRegression(Sphere(2), 1, [0.0, 1.0], np.eye(3))
    assert not F.has_curvature(Grassmann(4, 2)) or F.has_curvature(PowerManifold(Grassmann(4, 2), 3))
