"""Differences of matrix functions at close arguments, and functions of pairs of eigenvalues."""

import mpmath as mp
import numpy as np
import pytest
from linalg.derivatives import check_rules

from manifold_opt.linalg.increments import cholesky_increment, log_difference, log_slopes, sqrt_increment
from manifold_opt.linalg.pair_functions import pair_function
from manifold_opt.linalg.small import cholesky, lyapunov, solve_triangular
from manifold_opt.linalg.symmetric import symmetric_log, symmetric_sqrt

rng = np.random.default_rng(0)
B, C, E = rng.standard_normal((3, 4, 4))
P, S, E = B @ B.T + np.eye(4), 0.5 * (C + C.T), 0.5 * (E + E.T)
Z = B + 1j * C
H = Z @ Z.conj().T + np.eye(4)


def many_digits(A):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])


def plain(A):
    return np.array(A.tolist(), dtype=object).reshape(A.rows, A.cols)


def function(A, f):
    w, Q = mp.eigsy(A)
    return Q * mp.diag([f(x) for x in w]) * Q.T


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e-2, 0.3])
def test_against_fifty_digits(size):
    with mp.workdps(50):
        Q = P + size * S
        exact = plain(function(many_digits(Q), mp.log) - function(many_digits(P), mp.log))
        assert np.abs((log_difference(P, Q) - exact).astype(float)).max() <= 1e-14 * size
        W = size * S
        W = 0.5 * (W + W.T)
        exact = plain(mp.cholesky(mp.eye(4) + many_digits(W)) - mp.eye(4))
        for given in (W, np.stack([W, W])):  # columns in floats, and Newton's step
            off = np.atleast_3d((cholesky_increment(given) - exact).astype(float))
            assert np.abs(off).max() <= 1e-14 * size
        K = many_digits(P)
        exact = plain(function(K * K + many_digits(W), mp.sqrt) - K)
        assert np.abs((sqrt_increment(P, W) - exact).astype(float)).max() <= 1e-14 * size


def test_single_precision_and_larger_sizes():
    W = 0.1 * S.astype(np.float32)
    eye = np.eye(4, dtype=np.float32)
    for value in (cholesky_increment(W), log_difference(eye, eye + W), sqrt_increment(eye, W)):
        assert value.dtype == np.float32
    big = np.random.default_rng(1).standard_normal((7, 7))
    W = 0.05 * (big + big.T)
    np.testing.assert_allclose(cholesky_increment(W), np.linalg.cholesky(np.eye(7) + W) - np.eye(7), atol=1e-14)
    with pytest.raises(np.linalg.LinAlgError, match="leading minor 1"):
        cholesky_increment(-2.0 * np.eye(2))


def test_hermitian_arguments():
    W = 0.1 * (Z + Z.conj().T)
    N = cholesky_increment(W)
    np.testing.assert_allclose((np.eye(4) + N) @ (np.eye(4) + N).conj().T, np.eye(4) + W, atol=1e-14)
    R = sqrt_increment(H, W)
    np.testing.assert_allclose((H + R) @ (H + R), H @ H + W, atol=1e-11)
    L = cholesky(H)
    np.testing.assert_allclose(L @ L.conj().T, H, atol=1e-13)
    np.testing.assert_allclose(solve_triangular(L, Z, adjoint=True), np.linalg.solve(L.conj().T, Z), atol=1e-13)
    Y = pair_function(H, Z, name="inverse")
    np.testing.assert_allclose(H @ Y + Y @ H, Z, atol=1e-12)


def test_slopes_of_the_logarithm():
    w = np.array([1e-12, 1.0, 1.0 + 1e-13, 3.0])
    with mp.workdps(50):
        slope = lambda a, b: 1 / a if a == b else (mp.log(a) - mp.log(b)) / (a - b)
        exact = [[slope(a, b) for b in map(mp.mpf, w)] for a in map(mp.mpf, w)]
        for got in (log_slopes(w, w), log_slopes(np.stack([w, w]), np.stack([w, w]))[0]):
            np.testing.assert_allclose(got, np.array(exact, dtype=float), rtol=1e-15)


def test_functions_of_pairs_of_eigenvalues():
    np.testing.assert_allclose(pair_function(P, S, name="inverse"), lyapunov(P, S), atol=1e-14)
    twice = pair_function(P, pair_function(P, S, name="sqrt"), name="sqrt")
    np.testing.assert_allclose(twice, P @ S + S @ P, atol=1e-12)
    np.testing.assert_allclose(pair_function(P, pair_function(P, S, name="sqrt"), name="rsqrt"), S, atol=1e-13)


@pytest.mark.parametrize("point", [P, np.eye(4)], ids=["apart", "coinciding eigenvalues"])
def test_rules(point):
    check_rules(lambda A: log_difference(A, P + S @ S), point, E)
    check_rules(lambda A: log_difference(P, A), point, E)
    check_rules(lambda A: sqrt_increment(A, S @ S), point, E)
    check_rules(lambda A: sqrt_increment(P, A), point, E)
    check_rules(cholesky_increment, point, E)


def test_rules_of_functions_of_pairs_at_coinciding_eigenvalues():
    """First derivatives need no eigenvalues apart."""
    import autograd

    f = lambda A: pair_function(A, S, name="rsqrt")
    h = 1e-6
    for point in (P, np.eye(4)):
        expected = (f(point + h * E) - f(point - h * E)) / (2 * h)
        np.testing.assert_allclose(autograd.make_jvp(f)(point)(E)[1], expected, atol=1e-8)
        g = autograd.grad(lambda A: autograd.numpy.sum(f(A) * C))(point)
        assert np.sum(g * E) == pytest.approx(np.sum(expected * C), rel=1e-7, abs=1e-8)


def test_increments_are_differences():
    Q = P + S @ S
    np.testing.assert_allclose(log_difference(P, Q), symmetric_log(Q) - symmetric_log(P), atol=1e-13)
    np.testing.assert_allclose(sqrt_increment(P, S), symmetric_sqrt(P @ P + S) - P, atol=1e-13)
