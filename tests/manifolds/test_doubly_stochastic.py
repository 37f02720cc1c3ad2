"""Doubly stochastic matrices: scaling, long steps, corners, and what the fallbacks say."""

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import trust_regions
from manifold_opt.linalg.sinkhorn import sinkhorn
from manifold_opt.manifolds import DoublyStochastic, MissingOperation, NotOnManifold, NotTangent, fallbacks

SPACES = [DoublyStochastic(3), DoublyStochastic(4), DoublyStochastic(3, symmetric=True)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scaling(dtype):
    L = np.random.default_rng(0).standard_normal((7, 6, 6)).astype(dtype)
    q = sinkhorn(L)
    eps = np.finfo(dtype).eps
    assert q.dtype == dtype
    assert np.max(np.abs(q.sum(-1) - 1)) <= 8 * eps
    assert np.max(np.abs(q.sum(-2) - 1)) <= 8 * eps
    # log q - L is a 1' + 1 b': its mixed differences vanish
    D = np.log(q) - L
    mixed = D[:, 1:, 1:] - D[:, :1, 1:] - D[:, 1:, :1] + D[:, :1, :1]
    assert np.max(np.abs(mixed)) <= 1e5 * eps


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_long_steps_end_at_points(M):
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    for t in (1.0, 30.0, 1e4, 1e12):
        q = M.retract(p, X, t)
        M.check_point(q)
        Y = M.riemannian_gradient(q, X)
        M.check_vector(q, Y)
        M.check_point(M.retract(q, Y))


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_conversions_against_differences(M):
    """The fallbacks know the metric alone: a Gram system, and Koszul's formula by central differences."""
    rng = np.random.default_rng(2)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    G, H = rng.standard_normal((2, M.n, M.n))
    np.testing.assert_allclose(M.riemannian_gradient(p, G), fallbacks.gradient(M, p, G), atol=1e-12)
    expected = fallbacks.hessian(M, p, G, H, X)
    np.testing.assert_allclose(M.riemannian_hessian(p, G, H, X), expected, atol=1e-7 * np.max(np.abs(expected)))


def test_nearest_matrix():
    M = DoublyStochastic(4)
    A = M.random_point(5)
    result = trust_regions(M, lambda p: anp.sum((p - A) ** 2), M.random_point(6))
    assert result.converged
    np.testing.assert_allclose(result.point, A, atol=1e-7)


def test_assignment_ends_at_a_permutation():
    M = DoublyStochastic(4)
    cost = np.random.default_rng(1).uniform(size=(4, 4))
    result = trust_regions(M, lambda p: anp.sum(cost * p), np.full((4, 4), 0.25), max_iterations=100)
    M.check_point(result.point)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    assert result.cost == pytest.approx(cost[rows, columns].sum(), abs=1e-5)
    np.testing.assert_array_equal(np.argmax(result.point, axis=1), columns)


def test_what_is_missing_says_what_to_use():
    M = DoublyStochastic(3)
    p = M.random_point(0)
    assert not M.has("exp")
    with pytest.raises(MissingOperation, match="sinkhorn"):
        M.exp(p, M.zero_vector(p))
    with pytest.raises(MissingOperation, match="sinkhorn"):
        M.log(p, p)


def test_messages():
    M = DoublyStochastic(2, symmetric=True)
    with pytest.raises(NotOnManifold, match="rows of p must have sum 1"):
        M.check_point(np.ones((2, 2)))
    with pytest.raises(NotOnManifold, match="positive"):
        M.check_point(np.eye(2))
    with pytest.raises(NotOnManifold, match="columns of p must have sum 1"):
        M.check_point(np.array([[0.4, 0.6], [0.4, 0.6]]))
    with pytest.raises(NotTangent, match="rows of X must have sum 0"):
        M.check_vector(np.full((2, 2), 0.5), np.eye(2))
    cyclic = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6]])
    DoublyStochastic(3).check_point(cyclic)
    with pytest.raises(NotOnManifold, match="symmetric"):
        DoublyStochastic(3, symmetric=True).check_point(cyclic)
    with pytest.raises(ValueError, match="2 or more"):
        DoublyStochastic(1)
