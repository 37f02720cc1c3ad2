"""The Fréchet mean: derivatives by differences, known minimizers, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions
from manifold_opt.manifolds import Euclidean, PowerManifold, Rotations, Sphere, SymmetricPositiveDefinite
from manifold_opt.objectives import Fused

MANIFOLDS = [
    Euclidean(3),
    Euclidean(2, 3),
    Sphere(2),
    Sphere(6),
    Rotations(2),
    Rotations(3),
    SymmetricPositiveDefinite(3),
    PowerManifold(Sphere(2), 4),
]
WEIGHTS = np.array([0.1, 2.0, 0.0, 1.0, 0.7])


def problem(M, weights=WEIGHTS):
    """A cost with data within a ball where it is smooth, and a point in that ball."""
    rng = np.random.default_rng(5)
    centre = M.random_point(rng)

    def near():
        X = M.random_vector(centre, rng)
        return M.retract(centre, X, 0.4 / max(1.0, M.norm(centre, X)))

    return functions.FrechetMean(M, np.stack([near() for _ in range(5)]), weights), near()


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_gradient_agrees_with_central_differences(M):
    f, p = problem(M)
    X = M.random_vector(p, np.random.default_rng(1))
    h = 1e-5
    difference = (f(M.exp(p, X, h)) - f(M.exp(p, X, -h))) / (2 * h)
    assert M.inner(p, f.gradient(p), X) == pytest.approx(difference, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_fused_is_cost_and_gradient(M):
    f, p = problem(M)
    assert isinstance(f.fused, Fused)
    cost, gradient = f.cost_and_gradient(p)
    assert cost == pytest.approx(f(p), rel=1e-13)
    np.testing.assert_allclose(gradient, f.gradient(p), atol=1e-15)


def test_cost_is_half_the_weighted_mean_of_squared_distances():
    M = Sphere(2)
    f, p = problem(M)
    by_hand = sum(w * M.distance(p, x) ** 2 for w, x in zip(WEIGHTS, f.points, strict=True)) / (2 * WEIGHTS.sum())
    assert f(p) == pytest.approx(by_hand, rel=1e-14)


def test_euclidean_mean_is_the_average():
    f, _ = problem(Euclidean(3))
    average = WEIGHTS @ f.points / WEIGHTS.sum()
    np.testing.assert_allclose(f.gradient(average), 0.0, atol=1e-15)
    np.testing.assert_allclose(f.start(), average, rtol=1e-14)


def test_commuting_spd_matrices_have_the_geometric_mean():
    M = SymmetricPositiveDefinite(2)
    x = np.array([[1.0, 4.0], [2.0, 1.0], [9.0, 0.5]])
    f = functions.FrechetMean(M, np.stack([np.diag(d) for d in x]))
    np.testing.assert_allclose(f.gradient(np.diag(np.exp(np.log(x).mean(axis=0)))), 0.0, atol=1e-14)


def test_start_where_the_arithmetic_mean_says_nothing():
    f = functions.FrechetMean(Sphere(2), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))
    np.testing.assert_array_equal(f.start(), [0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("points", "weights", "message"),
    [
        (np.eye(3), [1.0, 2.0], "weights"),
        (np.eye(3), [1.0, -2.0, 1.0], "weights"),
        (np.eye(3), [0.0, 0.0, 0.0], "weights"),
        (np.eye(4), None, "points"),
        (np.empty((0, 3)), None, "points"),
        (2.0 * np.eye(3), None, r"points\[0\]"),
    ],
)
def test_bad_data_is_refused(points, weights, message):
    with pytest.raises(ValueError, match=message):
        functions.FrechetMean(Sphere(2), points, weights)
