"""Exponential and logarithm of rotations: accuracy, half turns, repeated angles, derivatives."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linalg.derivatives import check_rules

from manifold_opt.linalg import (
    hat,
    nearest_rotation,
    rotation_log,
    rotation_log1p,
    skew,
    skew_exp,
    transpose,
    vee,
)


def blocks(angles, n):
    """exp(A) - I, to full relative accuracy, and A, for the rotation by these angles in coordinate planes."""
    D, A = np.zeros((n, n)), np.zeros((n, n))
    for i, t in enumerate(angles):
        j = slice(2 * i, 2 * i + 2)
        D[j, j] = [[-2 * np.sin(t / 2) ** 2, -np.sin(t)], [np.sin(t), -2 * np.sin(t / 2) ** 2]]
        A[j, j] = [[0, -t], [t, 0]]
    return D, A


def random_rotation(n, seed=0, size=()):
    return nearest_rotation(np.random.default_rng(seed).standard_normal((*size, n, n)))


@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_coordinates_and_matrices_are_inverse(n, seed):
    c = np.random.default_rng(seed).standard_normal((2, n * (n - 1) // 2))
    A = hat(c)
    np.testing.assert_array_equal(A, -transpose(A))
    np.testing.assert_array_equal(vee(A), c)
    assert hat(c.astype(np.float32)).dtype == np.float32


def test_three_coordinates_are_the_rotation_vector():
    v, x = np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_allclose(hat(v) @ x, np.cross(v, x), atol=1e-15)
    assert hat(np.array([0.3])).tolist() == [[0.0, -0.3], [0.3, 0.0]]


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_exponential_is_a_rotation_and_equals_the_series(n):
    A = skew(np.random.default_rng(n).standard_normal((5, n, n)))
    R = skew_exp(A)
    np.testing.assert_allclose(transpose(R) @ R, np.broadcast_to(np.eye(n), R.shape), atol=2e-15)
    np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=5e-15)
    with mp.workdps(40):
        exact = np.array(mp.expm(mp.matrix(A[0].tolist())).tolist(), dtype=float)
    np.testing.assert_allclose(R[0], exact, atol=2e-15)
    np.testing.assert_allclose(R[0], skew_exp(A[0]), atol=1e-15)
    assert skew_exp(A.astype(np.float32)).dtype == np.float32


ANGLES = [1e-12, 1e-9, 1e-5, 0.1, 0.5, 1, 2, 2.6, 2.69, 2.7, 3, 3.1]
ANGLES += [np.pi - 1e-3, np.pi - 1e-6, np.pi - 1e-9, np.pi - 1e-12]


@pytest.mark.parametrize("angle", ANGLES)
def test_rotation_vector_has_full_relative_accuracy(angle):
    rng = np.random.default_rng(1)
    for _ in range(5):
        v = rng.standard_normal(3)
        v *= angle / np.linalg.norm(v)
        with mp.workdps(60):
            x, y, z = map(mp.mpf, v)
            t = mp.sqrt(x * x + y * y + z * z)
            K = mp.matrix([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            D = mp.sin(t) / t * K + (1 - mp.cos(t)) / t**2 * K * K
            D = np.array(D.tolist(), dtype=float)
        got = vee(rotation_log1p(D))
        np.testing.assert_allclose(got, v, rtol=0, atol=5e-16 * angle)
        np.testing.assert_array_equal(vee(rotation_log1p(np.stack([D, D])))[1], got)


SPECTRA = {
    "random": lambda k, rng: rng.uniform(0, 3.1, k),
    "tiny": lambda k, rng: rng.uniform(0, 1e-9, k),
    "thirds of a turn, repeated": lambda k, rng: np.full(k, 2 * np.pi / 3),
    "almost a half turn": lambda k, rng: np.full(k, 0.99 * np.pi),
    "half turns": lambda k, rng: np.full(k, np.pi),
    "one half turn": lambda k, rng: np.r_[np.pi, rng.uniform(0, 3, k - 1)],
    "half turns but for 1e-7": lambda k, rng: np.full(k, np.pi - 1e-7),
    "half turns but for 1e-12": lambda k, rng: np.full(k, np.pi - 1e-12),
    "clustered at the split": lambda k, rng: np.arccos(-0.5 + 1e-15 * rng.standard_normal(k)),
}


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 9])
def test_logarithm_of_any_rotation_is_real_skew_and_principal(n, kind):
    rng = np.random.default_rng(n)
    for _ in range(3):
        angles = SPECTRA[kind](n // 2, rng)
        D, A = blocks(angles, n)
        Q = random_rotation(n, rng.integers(1000))
        D, A = Q @ D @ Q.T, Q @ A @ Q.T
        X = rotation_log1p(np.stack([D, D]))[0]
        assert X.dtype == np.float64
        np.testing.assert_array_equal(X, -X.T)
        np.testing.assert_allclose(skew_exp(X) - np.eye(n), D, atol=1e-12 if "1e-12" in kind else 1e-13)
        np.testing.assert_allclose(np.linalg.norm(X), np.linalg.norm(A), rtol=1e-13)
        if "half turns" not in kind and "one" not in kind:
            np.testing.assert_allclose(X, A, atol=1e-13 * np.abs(A).max())


def test_half_turns_are_deterministic_and_batches_equal_members():
    D = np.stack([np.diag([-2.0, -2, 0, -2, -2]), np.zeros((5, 5)), random_rotation(5) - np.eye(5)])
    X = rotation_log1p(D)
    for i in range(3):
        np.testing.assert_allclose(rotation_log1p(D[i]), X[i], atol=1e-14)
    for axis in np.eye(3):
        np.testing.assert_allclose(
            vee(rotation_log(2 * np.outer(axis, axis) - np.eye(3))), np.pi * axis, atol=1e-15
        )


def test_single_precision():
    for n in (2, 3, 4):
        R = random_rotation(n, size=(4,)).astype(np.float32)
        X = rotation_log(R)
        assert X.dtype == np.float32
        np.testing.assert_allclose(skew_exp(X), R, atol=3e-6)
        assert rotation_log(R[0]).dtype == skew_exp(X[0]).dtype == np.float32


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_exponential_derivatives(n):
    rng = np.random.default_rng(n)
    check_rules(skew_exp, skew(rng.standard_normal((2, n, n))), rng.standard_normal((2, n, n)))
    check_rules(skew_exp, np.zeros((n, n)), rng.standard_normal((n, n)))


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_logarithm_derivatives_along_the_group(n, size):
    rng = np.random.default_rng(n)
    R = skew_exp(size * skew(rng.standard_normal((n, n))))
    B, E = 0.1 * skew(rng.standard_normal((2, n, n)))
    check_rules(lambda B: rotation_log(R @ skew_exp(B)), B, E)


def test_derivative_is_finite_at_a_half_turn():
    import autograd

    D = np.diag([-2.0, -2, 0])
    slope = autograd.grad(lambda D: rotation_log1p(D)[0, 1])(D)
    assert np.all(np.isfinite(slope))
