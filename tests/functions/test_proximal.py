"""Proximal maps minimize what they say: by comparison, in flat closed forms, and in denoising."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions as F
from manifold_opt.manifolds import Euclidean, Hyperbolic, PowerManifold, Rotations, Sphere, SymmetricPositiveDefinite
from manifold_opt.testing.derivative_checks import slope

MANIFOLDS = [Euclidean(2), Sphere(2), Hyperbolic(2), Rotations(3), SymmetricPositiveDefinite(2)]


def pair(M):
    rng = np.random.default_rng(13)
    x = M.random_point(rng)
    X = M.random_vector(x, rng)
    return x, M.exp(x, 0.9 * X / M.norm(x, X))


@pytest.mark.parametrize("lam", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("exponent", [1, 2])
@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_nothing_nearby_is_better(M, exponent, lam):
    x, q = pair(M)
    power = lambda d: d if exponent == 1 else 0.5 * d * d
    f = lambda y: power(M.distance(y, q)) + M.squared_distance(x, y) / (2.0 * lam)
    y = F.prox_distance(M, lam, q, x, exponent)
    g = lambda a, b: power(M.distance(a, b)) + (M.squared_distance(x, a) + M.squared_distance(q, b)) / (2.0 * lam)
    a, b = F.prox_pair(M, lam, x, q, exponent)
    rng = np.random.default_rng(14)
    for _ in range(20):
        for step in (1e-1, 1e-3):
            assert f(M.exp(y, M.random_vector(y, rng), step)) >= f(y) - 1e-14
            other = (M.exp(z, M.random_vector(z, rng), step) for z in (a, b))
            assert g(*other) >= g(a, b) - 1e-14


def test_soft_threshold_in_one_dimension():
    M = Euclidean(1)
    x = np.array([[-3.0], [0.2], [5.0]])
    zero = np.zeros(1)
    np.testing.assert_allclose(F.prox_distance(M, 1.0, zero, x), [[-2.0], [0.0], [4.0]])
    np.testing.assert_allclose(F.prox_distance(M, 1.0, zero, x, exponent=2), 0.5 * x)


def test_points_that_coincide_stay():
    x, _ = pair(Sphere(2))
    np.testing.assert_allclose(F.prox_distance(Sphere(2), 0.5, x, x), x, atol=1e-16)
    for y in F.prox_pair(Sphere(2), 0.5, x, x):
        np.testing.assert_allclose(y, x, atol=1e-16)


@pytest.mark.parametrize("exponent", [1, 2])
@pytest.mark.parametrize("copies", [5, (3, 4)])
def test_gradient_of_total_variation(exponent, copies):
    M = PowerManifold(Sphere(2), copies)
    f = F.TotalVariation(M, exponent)
    x = M.random_point(15)
    X = M.random_vector(x, 16)
    assert M.inner(x, f.gradient(x), X) == pytest.approx(slope(lambda h: f(M.exp(x, X, h)), 1e-4), abs=1e-6)


def test_total_variation_counts_every_pair_once():
    M = PowerManifold(Euclidean(1), (2, 3))
    x = np.arange(6.0).reshape(2, 3, 1)
    assert F.TotalVariation(M)(x) == 4 * 1.0 + 3 * 3.0
    assert F.TotalVariation(M, 2)(x) == 0.5 * (4 * 1.0 + 3 * 9.0)
    assert F.TotalVariation(M)(np.stack([x, x])).shape == (2,)


def test_proximal_maps_cover_all_pairs_and_move_each_point_once():
    M = PowerManifold(Euclidean(1), (3, 4))
    maps = F.TotalVariation(M).proximal_maps()
    assert len(maps) == 4
    x = M.random_point(17)
    total = 0.0
    for prox in maps:
        y = prox(1e-6, x)
        total += np.sum(np.abs(y - x)) / 2e-6  # each pair moves two points by lambda
    assert total == pytest.approx(2 * 4 + 3 * 3, rel=1e-6)
    np.testing.assert_array_equal(x, M.random_point(17))


def test_denoising_on_the_circle_keeps_the_jump():
    """The cyclic proximal point algorithm: a noisy step function of directions comes out piecewise constant."""
    M = PowerManifold(Sphere(1), 60)
    rng = np.random.default_rng(18)
    angles = np.where(np.arange(60) < 30, 0.0, 1.5)
    as_points = lambda a: np.stack([np.cos(a), np.sin(a)], axis=-1)
    clean, noisy = as_points(angles), as_points(angles + 0.15 * rng.standard_normal(60))
    maps = F.TotalVariation(M).proximal_maps()
    x = noisy
    for k in range(1, 200):
        lam = 3.0 / k
        x = F.prox_distance(Sphere(1), lam, noisy, x, exponent=2)
        for prox in maps:
            x = prox(0.5 * lam, x)
    assert np.mean(M.manifold.squared_distance(x, clean)) < 0.2 * np.mean(M.manifold.squared_distance(noisy, clean))
    assert Sphere(1).distance(x[29], x[30]) > 1.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="negative"):
        F.prox_distance(Sphere(2), -1.0, *pair(Sphere(2)))
    with pytest.raises(ValueError, match="exponent"):
        F.prox_pair(Sphere(2), 1.0, *pair(Sphere(2)), exponent=3)
    with pytest.raises(TypeError, match="PowerManifold"):
        F.TotalVariation(Sphere(2))
