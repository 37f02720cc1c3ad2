"""Subspaces of matrices, positive numbers and boxes."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt import gradient_descent
from manifold_opt.manifolds import (
    Centered,
    Hermitian,
    Hyperrectangle,
    NotOnManifold,
    NotTangent,
    Positive,
    SkewSymmetric,
    Symmetric,
)
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def positive_log(p, q):
    p, q = exact.lifted(p), exact.lifted(q)
    L = np.vectorize(mp.log, otypes=[object])(q / p)
    return p * L, mp.sqrt((L * L).sum())


def positive_exp(p, X):
    p, X = exact.lifted(p), exact.lifted(X)
    return p * np.vectorize(mp.exp, otypes=[object])(X / p)


def test_positive_numbers_against_50_digits():
    for M in (Positive(1), Positive(3), Positive(2, 2)):
        check_accuracy(M, positive_log)
        check_accuracy(M, positive_log, dtype=np.float32)
        check_exp_accuracy(M, positive_exp)


def test_positive_numbers_far_apart():
    M = Positive(2)
    p, q = np.array([1e-300, 1.0]), np.array([1e300, 1e-200])
    assert M.distance(p, q) == pytest.approx(math.hypot(600 * math.log(10), 200 * math.log(10)), rel=1e-14)
    for X in (np.array([1e4, -1e4]), np.array([-1e308, 1e308])):
        M.check_point(M.exp(np.ones(2), X))
        M.check_point(M.exp(np.ones(2, dtype=np.float32), X.clip(-1e30, 1e30).astype(np.float32)))
    np.testing.assert_allclose(
        M.exp(p, p * np.array([1000.0, -100.0])), [np.exp(500.0) * 1e-300 * np.exp(500.0), np.exp(-100.0)]
    )
    np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, rtol=1e-12)


def test_differences_are_exact_in_linear_spaces():
    for M in (Symmetric(3), SkewSymmetric(3), Hermitian(2), Centered(2, 3)):
        p = M.random_point(0)
        X = 1e-12 * M.random_vector(p, 1)
        q = p + X
        np.testing.assert_array_equal(M.log(p, q), q - p)
        assert M.distance(p, q) == pytest.approx(np.linalg.norm(q - p), rel=1e-15)


def test_dimensions():
    assert [Symmetric(4).dim, SkewSymmetric(4).dim, SkewSymmetric(4, field="complex").dim] == [10, 6, 16]
    assert [Hermitian(4).dim, Centered(2, 4).dim, Positive(2, 4).dim] == [16, 6, 8]


def test_nearest_symmetric_matrix_to_a_given_one():
    A = np.arange(9.0).reshape(3, 3)
    result = gradient_descent(
        Symmetric(3),
        lambda p: 0.5 * np.sum((p - A) ** 2),
        np.eye(3),
        gradient=lambda p: p - A,
        objective_type="euclidean",
    )
    np.testing.assert_allclose(result.point, 0.5 * (A + A.T), atol=1e-6)


def test_messages():
    with pytest.raises(NotOnManifold, match="must be symmetric"):
        Symmetric(2).check_point(np.array([[0.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(NotTangent, match="must be Hermitian"):
        Hermitian(2).check_vector(np.eye(2), np.array([[0.0, 1j], [1j, 0.0]]))
    with pytest.raises(NotOnManifold, match="centered"):
        Centered(1, 2).check_point(np.ones((1, 2)))
    with pytest.raises(NotOnManifold, match="positive"):
        Positive(2).check_point(np.array([1.0, 0.0]))
    with pytest.raises(NotOnManifold, match="must be real"):
        Symmetric(1).check_point(np.array([[1j]]))
    with pytest.raises(NotOnManifold, match="outside by 1"):
        Hyperrectangle(0.0, [1.0, 2.0]).check_point(np.array([0.5, 3.0]))
    for make in (
        lambda: Symmetric(0),
        lambda: SkewSymmetric(1),
        lambda: Centered(2, 1),
        lambda: Positive(),
        lambda: Hyperrectangle([0.0, 1.0], 1.0),
        lambda: Hyperrectangle(np.nan, 1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            make()


def test_box():
    M = Hyperrectangle([0.0, -np.inf], [1.0, 2.0])
    p = np.array([0.25, 0.0])
    assert M.max_step(p, np.array([1.0, 1.0])) == 0.75
    assert M.max_step(p, np.array([-1.0, -1.0])) == 0.25
    assert M.injectivity_radius_at(p) == 0.25
    assert Hyperrectangle(-np.inf, np.inf).injectivity_radius == math.inf
    np.testing.assert_array_equal(M.retract(p, np.array([-5.0, 5.0])), [0.0, 2.0])
    assert M == Hyperrectangle([0, -np.inf], [1, 2])
    assert M != Hyperrectangle([0, -np.inf], [1, 3])
    assert len({M, Hyperrectangle([0, -np.inf], [1, 2])}) == 1
    with pytest.raises(ValueError, match="read-only"):
        M.lower[0] = 3.0
