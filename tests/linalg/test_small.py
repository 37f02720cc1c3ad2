"""Factorizations and equations of small matrices: defining properties, batches, precisions, derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linalg.derivatives import check_rules

from manifold_opt.linalg import (
    cholesky,
    eigh,
    lyapunov,
    nearest_rotation,
    orthonormalize,
    polar,
    qf,
    qr_positive,
    solve,
    solve_triangular,
    sylvester,
    sym,
    transpose,
)

RNG = np.random.default_rng(0)
TALL = RNG.standard_normal((2, 5, 3))
SQUARE = RNG.standard_normal((2, 4, 4))
DEFINITE = SQUARE @ transpose(SQUARE) + np.eye(4)


@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32 - 1))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_qr_and_polar_have_their_defining_properties(k, more, seed):
    A = np.random.default_rng(seed).standard_normal((3, k + more, k))
    Q, R = qr_positive(A)
    eye = np.broadcast_to(np.eye(k), R.shape)
    np.testing.assert_allclose(Q @ R, A, atol=1e-13)
    np.testing.assert_allclose(transpose(Q) @ Q, eye, atol=3e-15)
    assert np.all(np.diagonal(R, axis1=-2, axis2=-1) > 0) and np.all(R == np.triu(R))
    P = polar(A)
    S = transpose(P) @ A
    np.testing.assert_allclose(transpose(P) @ P, eye, atol=3e-15)
    np.testing.assert_allclose(S, transpose(S), atol=1e-13)
    assert np.all(np.linalg.eigvalsh(sym(S)) > -1e-13)


def test_nearest_rotation_beats_random_rotations_also_for_reflections():
    rng = np.random.default_rng(1)
    for n in (2, 3, 4):
        A = rng.standard_normal((20, n, n))
        R = nearest_rotation(A)
        np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=1e-14)
        others = nearest_rotation(rng.standard_normal((200, 1, n, n)))
        assert np.all(
            np.linalg.norm(A - R, axis=(-2, -1)) <= np.linalg.norm(A - others, axis=(-2, -1)) + 1e-14
        )


def test_one_newton_step_squares_the_error():
    Q = qf(SQUARE)
    bent = Q + 1e-5 * RNG.standard_normal(Q.shape)
    error = np.abs(transpose(orthonormalize(bent)) @ orthonormalize(bent) - np.eye(4)).max()
    assert error < 1e-8


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("n", [1, 3, 12])
def test_triangular_solves_alone_and_in_batches(n, adjoint):
    L = np.tril(np.random.default_rng(n).standard_normal((4, n, n))) + 3 * np.eye(n)
    B = np.random.default_rng(n + 1).standard_normal((4, n, 2))
    X = solve_triangular(L, B, adjoint=adjoint)
    np.testing.assert_allclose((transpose(L) if adjoint else L) @ X, B, atol=1e-13)
    for i in range(4):
        np.testing.assert_allclose(solve_triangular(L[i], B[i], adjoint=adjoint), X[i], atol=1e-14)


def test_cholesky_and_eigenvectors_alone_in_batches_and_in_single_precision():
    np.testing.assert_allclose(cholesky(DEFINITE), np.linalg.cholesky(DEFINITE), atol=1e-14)
    np.testing.assert_allclose(cholesky(DEFINITE[0]), np.linalg.cholesky(DEFINITE[0]), atol=1e-14)
    for dtype in (np.float64, np.float32):
        for A in (DEFINITE, DEFINITE[0]):
            w, V = eigh(A.astype(dtype))
            assert w.dtype == V.dtype == cholesky(A.astype(dtype)).dtype == dtype
            np.testing.assert_allclose(
                (V * w[..., None, :]) @ transpose(V), A, rtol=0, atol=100 * np.finfo(dtype).eps
            )


def test_cholesky_of_an_indefinite_matrix_is_an_error():
    for A in (np.diag([1.0, -1.0]), np.stack([np.eye(2), -np.eye(2)])):
        with pytest.raises(ValueError, match="positive definite"):
            cholesky(A)


def test_matrix_equations():
    C = RNG.standard_normal((2, 4, 4))
    X = lyapunov(DEFINITE, C)
    np.testing.assert_allclose(DEFINITE @ X + X @ DEFINITE, C, atol=1e-12)
    T = DEFINITE + np.eye(4)
    X = sylvester(DEFINITE, T, C)
    np.testing.assert_allclose(DEFINITE @ X + X @ T, C, atol=1e-12)


RULES = {
    "cholesky": (cholesky, DEFINITE, True),
    "cholesky, one": (cholesky, DEFINITE[0], True),
    "triangular, L": (lambda L: solve_triangular(L, SQUARE[:, :, :3]), np.linalg.cholesky(DEFINITE), False),
    "triangular, L'": (
        lambda L: solve_triangular(L, SQUARE, adjoint=True),
        np.linalg.cholesky(DEFINITE),
        False,
    ),
    "triangular, B": (lambda B: solve_triangular(np.linalg.cholesky(DEFINITE), B), SQUARE, False),
    "qf": (qf, TALL, False),
    "qf, square": (qf, TALL[:, :3], False),
    "polar": (polar, TALL, False),
    "polar, square": (polar, DEFINITE @ qf(SQUARE), False),
    "nearest rotation": (nearest_rotation, TALL[:, :3], False),
    "solve": (lambda A: solve(A, A @ SQUARE + SQUARE), DEFINITE, False),
    "lyapunov": (lambda S: lyapunov(S, S @ SQUARE), DEFINITE, False),
    "sylvester": (lambda S: sylvester(S, S + np.eye(4), S @ SQUARE), DEFINITE, False),
    "orthonormalize": (orthonormalize, SQUARE, False),
}


@pytest.mark.parametrize("name", RULES)
def test_derivatives(name):
    f, A, symmetric = RULES[name]
    E = np.random.default_rng(2).standard_normal(A.shape)
    check_rules(f, A, sym(E) if symmetric else E, tolerance=1e-7)
