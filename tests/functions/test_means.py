"""Means, medians and variances: closed forms, solvers, and points where iterations divide by zero."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions, quasi_newton
from manifold_opt.manifolds import Euclidean, Hyperbolic, Rotations, Sphere, SymmetricPositiveDefinite
from manifold_opt.testing.derivative_checks import slope

MANIFOLDS = [Euclidean(3), Sphere(2), Hyperbolic(2), Rotations(3), SymmetricPositiveDefinite(2)]
WEIGHTS = [1.0, 2.0, 0.5, 0.0, 1.0]


def cloud(M, n=5, radius=0.4):
    rng = np.random.default_rng(6)
    centre = M.random_point(rng)
    return np.stack([M.exp(centre, M.random_vector(centre, rng), radius) for _ in range(n)])


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_the_mean_is_what_a_solver_finds(M):
    x = cloud(M)
    f = functions.FrechetMean(M, x, WEIGHTS)
    mean = functions.frechet_mean(M, x, WEIGHTS)
    assert M.norm(mean, f.gradient(mean)) < 1e-12
    solved = quasi_newton(M, f.fused, x[0], tolerance=1e-9)
    np.testing.assert_allclose(mean, solved.point, atol=1e-7)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_the_median_is_what_a_solver_finds(M):
    x = cloud(M, 8)
    for weights in (None, [1.0, 9.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0]):  # with the second, a data point wins
        f = functions.FrechetMedian(M, x, weights)
        median = functions.frechet_median(M, x, weights)
        held = float(f.weights[M.distance(median, x) < 1e-8].sum())
        assert M.norm(median, f.gradient(median)) <= held + 1e-8
        assert (held > 0) == (weights is not None)
        solved = quasi_newton(M, f.fused, functions.frechet_mean(M, x), tolerance=1e-7)
        assert f(median) <= solved.cost + 1e-12


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_gradient_of_the_median_by_differences(M):
    x = cloud(M)
    f = functions.FrechetMedian(M, x, WEIGHTS)
    p = M.exp(x[0], M.random_vector(x[0], 1), 0.1)
    X = M.random_vector(p, 2)
    assert M.inner(p, f.gradient(p), X) == pytest.approx(slope(lambda t: f(M.exp(p, X, t))), abs=1e-8)


def test_flat_means_are_averages():
    x = cloud(Euclidean(3))
    np.testing.assert_allclose(functions.frechet_mean(Euclidean(3), x), x.mean(axis=0), atol=1e-15)
    assert functions.frechet_variance(Euclidean(3), x) == pytest.approx(np.sum(x.var(axis=0)))
    line = np.array([[0.0], [1.0], [2.0], [10.0], [50.0]])
    np.testing.assert_allclose(functions.frechet_median(Euclidean(1), line), [2.0], atol=1e-8)


def test_a_median_that_is_a_data_point():
    """Weiszfeld's weights are infinite there; starting on a data point that is none, the iteration leaves it."""
    M = Sphere(2)
    corners = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 1.0] / np.sqrt(3.0)])
    np.testing.assert_allclose(functions.frechet_median(M, corners), corners[3], atol=1e-9)
    np.testing.assert_allclose(functions.frechet_median(M, corners, start=corners[0]), corners[3], atol=1e-9)
    heavy = functions.frechet_median(M, corners, [10.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(heavy, corners[0], atol=1e-9)


def test_equal_points():
    M = Sphere(2)
    p = M.random_point(0)
    for f in (functions.frechet_mean, functions.frechet_median):
        np.testing.assert_allclose(f(M, np.stack([p, p, p])), p, atol=1e-15)
    assert functions.frechet_variance(M, np.stack([p, p])) == pytest.approx(0.0, abs=1e-30)


def test_an_outlier_moves_the_mean_more_than_the_median():
    M = SymmetricPositiveDefinite(2)
    x = cloud(M, 9, 0.1)
    with_outlier = np.concatenate([x, 50.0 * np.eye(2)[None]])
    moved = [M.distance(f(M, x), f(M, with_outlier)) for f in (functions.frechet_mean, functions.frechet_median)]
    assert moved[1] < 0.3 * moved[0]


def test_an_iteration_that_does_not_end():
    with pytest.raises(ValueError, match="FrechetMean"):
        functions.frechet_mean(Sphere(2), cloud(Sphere(2)), max_iterations=1)
    with pytest.raises(ValueError, match="FrechetMedian"):
        functions.frechet_median(Sphere(2), cloud(Sphere(2)), max_iterations=1)
    with pytest.raises(ValueError, match="start"):
        functions.frechet_mean(Sphere(2), cloud(Sphere(2)), start=[1.0, 1.0, 1.0])
