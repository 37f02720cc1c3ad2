"""Distances to a point: values, gradients and Hessians against differences and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from manifold_opt import functions, trust_regions
from manifold_opt.manifolds import (
    Euclidean,
    Grassmann,
    Hyperbolic,
    PowerManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
)
from manifold_opt.testing.derivative_checks import bend, slope

MANIFOLDS = [Euclidean(3), Sphere(2), Hyperbolic(3), Rotations(3), SymmetricPositiveDefinite(2), Grassmann(4, 2)]
MANIFOLDS += [PowerManifold(Sphere(2), 2)]


def setting(M):
    rng = np.random.default_rng(3)
    q = M.random_point(rng)
    X = M.random_vector(q, rng)
    p = M.exp(q, 0.7 * X / M.norm(q, X))
    return p, q, M.random_vector(p, rng)


@pytest.mark.parametrize("kind", [functions.SquaredDistance, functions.Distance])
@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_derivatives(M, kind):
    p, q, V = setting(M)
    f = kind(M, q)
    V = V / M.norm(p, V)
    along = lambda t: f(M.exp(p, V, t))
    assert M.inner(p, f.gradient(p), V) == pytest.approx(slope(along), abs=1e-9)
    assert M.inner(p, f.hessian(p, V), V) == pytest.approx(bend(along), abs=1e-7)
    value, gradient = f.fused.function(p)
    assert value == pytest.approx(f(p)) and type(value) is float
    np.testing.assert_allclose(gradient, f.gradient(p), atol=1e-14)


def test_the_hessian_on_the_sphere_is_a_cotangent():
    M = Sphere(2)
    p, q = np.array([0.0, 0.0, 1.0]), np.array([math.sin(1.2), 0.0, math.cos(1.2)])
    f = functions.SquaredDistance(M, q)
    along, across = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(f.hessian(p, along), 2.0 * along, atol=1e-14)
    np.testing.assert_allclose(f.hessian(p, across), 2.0 * 1.2 / math.tan(1.2) * across, atol=1e-14)


def test_at_the_point_itself():
    M = Sphere(2)
    p, _, V = setting(M)
    np.testing.assert_allclose(functions.SquaredDistance(M, p).hessian(p, V), 2.0 * V, atol=1e-14)
    f = functions.Distance(M, p)
    np.testing.assert_array_equal(f.gradient(p), np.zeros(3))
    np.testing.assert_array_equal(f.hessian(p, V), np.zeros(3))


def test_batches():
    M = Sphere(2)
    p, q, V = setting(M)
    points, vectors = np.stack([p, q]), np.stack([V, 0.0 * V])
    for f in (functions.SquaredDistance(M, q), functions.Distance(M, q)):
        assert f.hessian(points, vectors).shape == (2, 3) and np.all(np.isfinite(f.hessian(points, vectors)))
        np.testing.assert_allclose(f.hessian(points, vectors)[0], f.hessian(p, V), atol=1e-15)


def test_a_point_that_is_none():
    with pytest.raises(ValueError, match="q"):
        functions.Distance(Sphere(2), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("M", [Sphere(3), SymmetricPositiveDefinite(3)], ids=repr)
def test_the_hessian_of_the_mean_makes_trust_regions_quadratic(M):
    """An exact Hessian: the gradient norm squares from step to step."""
    rng = np.random.default_rng(4)
    centre = M.random_point(rng)
    points = np.stack([M.exp(centre, M.random_vector(centre, rng), 0.3) for _ in range(6)])
    f = functions.FrechetMean(M, points)
    p, X = points[0], M.random_vector(points[0], rng)
    X = X / M.norm(p, X)
    assert M.inner(p, f.hessian(p, X), X) == pytest.approx(bend(lambda t: f(M.exp(p, X, t))), abs=1e-7)
    result = trust_regions(M, f.fused, p, hessian=f.hessian, tolerance=1e-10)
    assert result.converged and result.iterations <= 8
