"""Positive definite matrices: 50-digit accuracy up to condition 1e12, invariance, curvature, messages."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import expm, logm

from manifold_opt.linalg import skew_exp
from manifold_opt.manifolds import NotOnManifold, NotTangent, SymmetricPositiveDefinite
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def to_mp(A):
    """The symmetric part in many digits."""
    A = mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])
    return (A + A.T) / 2


def factors(p, X):
    L = mp.cholesky(to_mp(p))
    inverse = L**-1
    w, V = mp.eigsy(inverse * to_mp(X) * inverse.T)
    return L * V, w


def exact_log(p, q):
    with mp.workdps(60):
        B, w = factors(p, q)
        n = len(p)
        logarithms = [mp.log(x) for x in w]
        X = B * mp.diag(logarithms) * B.T
        return np.array(X.tolist(), dtype=object).reshape(n, n), mp.sqrt(sum(x * x for x in logarithms))


def exact_exp(p, X):
    with mp.workdps(60):
        B, w = factors(p, X)
        return np.array((B * mp.diag([mp.exp(x) for x in w]) * B.T).tolist(), dtype=object).reshape(p.shape)


def with_condition(n, condition, seed):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    p = (Q * np.geomspace(1.0, 1.0 / condition, n)) @ Q.T
    return 0.5 * (p + p.T)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_log_and_distance_against_fifty_digits(n):
    M = SymmetricPositiveDefinite(n)
    condition = lambda p, q: max(np.linalg.cond(p), np.linalg.cond(q))
    check_accuracy(M, exact_log, samples=2, condition=condition)
    check_accuracy(M, exact_log, samples=2, dtype=np.float32, condition=lambda p, q: 0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_exp_against_fifty_digits(n):
    check_exp_accuracy(SymmetricPositiveDefinite(n), exact_exp, samples=2, allowed=1e-14)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("condition", [1e3, 1e6, 1e9, 1e12])
def test_ill_conditioned_points(condition, batch):
    """Ten times better than promised, also for the logarithm measured in the metric and for unrelated points."""
    M = SymmetricPositiveDefinite(4)
    for seed in range(3):
        p, r = with_condition(4, condition, seed), with_condition(4, condition, seed + 10)
        V = M.get_vector(p, np.random.default_rng(seed).standard_normal(M.dim))
        for q in [r, *(M.exp(p, V, length / M.norm(p, V)) for length in (1e-9, 1e-3, 1.0, 4.0))]:
            X, d = exact_log(p, q)
            allowed = max(1e-13, 1e-16 * max(np.linalg.cond(p), np.linalg.cond(q)))
            P, Q = (np.stack([p, np.eye(4)]), np.stack([q, np.eye(4)])) if batch else (p[None], q[None])
            log, distance = (
                (M.log(P, Q)[0], M.distance(P, Q)[0]) if batch else (M.log(p, q), M.distance(p, q))
            )
            assert abs(distance - d) <= allowed * d
            error = M.norm(p, (log - X).astype(float))
            assert error <= allowed * d


@pytest.mark.parametrize("condition", [1e6, 1e12])
def test_round_trips_and_transport_of_ill_conditioned_points(condition):
    M = SymmetricPositiveDefinite(4)
    p = with_condition(4, condition, 0)
    X, Y = (M.get_vector(p, c) for c in np.random.default_rng(1).standard_normal((2, M.dim)))
    q = M.exp(p, X)
    assert M.norm(p, M.log(p, q) - X) <= 1e-15 * condition
    U = M.parallel_transport_to(p, Y, q)
    assert M.norm(q, U) == pytest.approx(M.norm(p, Y), rel=1e-14 * condition)
    r = M.retract(p, X, method="taylor")
    M.check_point(r)


def test_against_scipys_matrix_functions():
    M = SymmetricPositiveDefinite(3)
    p, q = M.random_point(0), M.random_point(1)
    np.testing.assert_allclose(M.log(p, q), p @ logm(np.linalg.solve(p, q)), atol=1e-12)
    X = M.random_vector(p, 2)
    np.testing.assert_allclose(M.exp(p, X), p @ expm(np.linalg.solve(p, X)), atol=1e-12)
    assert M.distance(p, q) == pytest.approx(
        np.linalg.norm(np.log(np.linalg.eigvals(np.linalg.solve(p, q)))), rel=1e-13
    )
    E = expm(0.5 * M.log(p, q) @ np.linalg.inv(p))
    np.testing.assert_allclose(M.parallel_transport_to(p, X, q), E @ X @ E.T, atol=1e-12)
    np.testing.assert_allclose(
        M.retract(p, X, method="taylor"), p + X + X @ np.linalg.solve(p, X) / 2, atol=1e-12
    )


def test_congruence_and_inversion_are_isometries():
    M = SymmetricPositiveDefinite(3)
    p, q = M.random_point(0), M.random_point(1)
    A = np.random.default_rng(2).standard_normal((3, 3))
    assert M.distance(A @ p @ A.T, A @ q @ A.T) == pytest.approx(M.distance(p, q), rel=1e-13)
    assert M.distance(np.linalg.inv(p), np.linalg.inv(q)) == pytest.approx(M.distance(p, q), rel=1e-13)


def test_positive_numbers_have_the_logarithmic_metric():
    M = SymmetricPositiveDefinite(1)
    p, q = np.array([[2.0]]), np.array([[7.0]])
    assert M.dim == 1
    assert M.distance(p, q) == pytest.approx(math.log(3.5), rel=1e-15)
    np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, rtol=1e-15)
    np.testing.assert_allclose(M.mid_point(p, q), [[math.sqrt(14.0)]], rtol=1e-15)


def test_a_plane_of_two_by_two_matrices_has_curvature_minus_one_half():
    """Points of determinant 1 are a hyperbolic plane: the sides of a right triangle show its curvature."""
    M = SymmetricPositiveDefinite(2)
    eye = np.eye(2)
    X, Y = np.diag([1.0, -1.0]) / 2**0.5, np.array([[0.0, 1.0], [1.0, 0.0]]) / 2**0.5
    a, b = 1.3, 0.8
    c = M.distance(M.exp(eye, a * X), M.exp(eye, b * Y))
    k = math.sqrt(-M.sectional_curvature_bounds[0])
    assert math.cosh(k * c) == pytest.approx(math.cosh(k * a) * math.cosh(k * b), rel=1e-14)


def test_results_are_exactly_symmetric_and_stay_definite():
    M = SymmetricPositiveDefinite(4)
    p = M.random_point(0, (5,))
    X = 2 * M.random_vector(p, 1)
    for q in (
        M.exp(p, X),
        M.exp(p[0], X[0]),
        M.retract(p, X, method="taylor"),
        M.log(p, p[::-1]),
        M.log(p[0], p[1]),
    ):
        np.testing.assert_array_equal(q, np.swapaxes(q, -1, -2))
    assert np.all(np.linalg.eigvalsh(M.exp(p, X)) > 0)


def test_random_points_do_not_prefer_a_basis():
    M = SymmetricPositiveDefinite(2)
    p = M.random_point(0, (4000,))
    R = skew_exp(np.array([[0.0, -0.7], [0.7, 0.0]]))
    mean, turned = (np.mean(M.log(np.eye(2), x), axis=0) for x in (p, R @ p @ R.T))
    assert np.abs(mean).max() < 0.05 and np.abs(turned).max() < 0.05


def test_messages():
    M = SymmetricPositiveDefinite(2)
    with pytest.raises(
        NotOnManifold, match=r"smallest eigenvalue is -1 .*the largest is 1.*M\.project_point"
    ):
        M.check_point(np.diag([1.0, -1.0]))
    with pytest.raises(NotOnManifold, match=r"must be symmetric.*entry 1 .*M\.project_point"):
        M.check_point(np.array([[2.0, 1.0], [0.0, 2.0]]))
    with pytest.raises(NotTangent, match=r"must be symmetric.*M\.project_vector"):
        M.check_vector(np.eye(2), np.array([[2.0, 1.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match="not positive definite"):
        M.log(np.eye(2), np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"method='taylor'.*above 1/2.*M\.log"):
        M.inverse_retract(np.eye(2), 0.1 * np.eye(2), method="taylor")
    with pytest.raises(ValueError, match="needs a positive eigenvalue"):
        M.project_point(-np.eye(2))
    with pytest.raises(ValueError, match="positive integer"):
        SymmetricPositiveDefinite(0)
    M.check_point(M.project_point(np.diag([1.0, -1.0])))


def test_derivatives_may_be_sparse_and_need_not_be_symmetric():
    from scipy.sparse import csr_array

    M = SymmetricPositiveDefinite(3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    G, H = np.random.default_rng(2).standard_normal((2, 3, 3))
    S, T = 0.5 * (G + G.T), 0.5 * (H + H.T)
    for g, h in ((G, H), (csr_array(G), csr_array(H))):
        np.testing.assert_allclose(M.riemannian_gradient(p, g), p @ S @ p, atol=1e-13)
        hessian = p @ T @ p + 0.5 * (X @ S @ p + p @ S @ X)
        np.testing.assert_allclose(M.riemannian_hessian(p, g, h, X), hessian, atol=1e-13)
