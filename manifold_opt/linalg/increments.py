"""Differences of matrix functions, accurate relative to themselves where the arguments are close.

Subtracting two values of a function loses the digits of a small difference. These formulas start from the
difference of the arguments instead: for symmetric A = V diag(a) V' and B = U diag(b) U' and a function f,
``f(B) - f(A) = V (f[a_i, b_j] * (V'(B - A) U)) U'`` with the divided differences of f.

References
----------
N. J. Higham, Functions of Matrices, SIAM 2008, section 3.2. R. Bhatia, Matrix Analysis, 1997, section V.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from manifold_opt.linalg.frames import general_sylvester, hermitian
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace
from manifold_opt.linalg.rules import differentiable, pulled
from manifold_opt.linalg.small import (
    _cholesky_jvp,
    _cholesky_vjp,
    _half_lower,
    cholesky,
    eigh,
    solve_triangular,
)
from manifold_opt.linalg.symmetric import SPECTRAL, symmetric_derivative

__all__ = ["cholesky_increment", "log_difference", "log_slopes", "mixed_difference", "sqrt_increment"]


# Up to this size a loop over Python floats is faster than a dozen calls of NumPy.
_SMALL = 4


def _log_slope(x: float, y: float) -> float:
    if x == y:
        return 1.0 / x
    z = (x - y) / (x + y)
    return (2.0 * math.atanh(z) if -0.5 < z < 0.5 else math.log(x / y)) / (x - y)


def log_slopes(a: Array, b: Array) -> Array:
    """The divided differences ``log[a_i, b_j]`` of two vectors of positive numbers."""
    if not is_numpy(a, b):
        return SPECTRAL["log"].first(namespace(a, b), a[..., :, None], b[..., None, :])
    if a.ndim == 1 == b.ndim and a.size <= _SMALL:
        other = b.tolist()
        return np.array([[_log_slope(x, y) for y in other] for x in a.tolist()], dtype=a.dtype)
    la, lb = np.log(a)[..., :, None], np.log(b)[..., None, :]
    a, b = a[..., :, None], b[..., None, :]
    gap = a - b
    x = gap / (a + b)
    close = np.abs(x) < 0.5
    # 2 artanh(x) = log(a / b), which is exact to rounding where a and b are close
    rise = np.where(close, 2.0 * np.arctanh(np.where(close, x, 0.0)), la - lb)
    same = gap == 0.0
    return np.where(same, 1.0 / a, rise / np.where(same, 1.0, gap)).astype(x.dtype, copy=False)


def mixed_difference(slopes: Array, V: Array, E: Array, U: Array) -> Array:
    """``slopes * (V^H E U)``: the difference of two matrix functions, seen from both eigenvector bases."""
    return slopes * (adjoint(V) @ E @ U)


def _log_forward(A: Array, B: Array) -> Array:
    (a, V), (b, U) = eigh(A), eigh(B)
    return hermitian(V @ mixed_difference(log_slopes(a, b), V, B - A, U) @ adjoint(U))


_log_difference = differentiable(
    vjps=(
        lambda G, value, A, B: -symmetric_derivative(A, G, name="log"),
        lambda G, value, A, B: symmetric_derivative(B, G, name="log"),
    ),
    jvps=(
        lambda E, value, A, B: -symmetric_derivative(A, E, name="log"),
        lambda E, value, A, B: symmetric_derivative(B, E, name="log"),
    ),
)(_log_forward)


def log_difference(A: Array, B: Array) -> Array:
    """``log B - log A`` of real symmetric positive definite matrices."""
    if is_numpy(A, B):
        return _log_forward(A, B)
    return _log_difference(*broadcast_batch(2, hermitian(A), hermitian(B)))


# ------------------------------------------------------------------------------------------------------------
def _small_increment(W: np.ndarray) -> np.ndarray:
    """The algorithm of Cholesky, column by column, for what the entries are more than those of the identity."""
    n = len(W)
    rows = W.tolist()
    N = [[0.0] * n for _ in range(n)]
    for j in range(n):
        known = N[j][:j]
        pivot = rows[j][j] - sum([x * x for x in known])
        if not pivot > -1.0:
            raise np.linalg.LinAlgError(f"I + W of shape {W.shape} is not positive definite (leading minor {j + 1})")
        N[j][j] = root = pivot / (1.0 + math.sqrt(1.0 + pivot))
        for i in range(j + 1, n):
            N[i][j] = (rows[i][j] - sum([x * y for x, y in zip(N[i], known, strict=False)])) / (1.0 + root)
    return np.array(N, dtype=W.dtype)


def _increment_of_stack(W: np.ndarray) -> np.ndarray:
    """The same for many matrices at once."""
    N = np.zeros_like(W)
    for j in range(W.shape[-1]):
        known = N[..., j, :j].conj()
        pivot = W[..., j, j].real - np.einsum("...k,...k->...", N[..., j, :j], known).real
        if not np.all(pivot > -1.0):
            raise np.linalg.LinAlgError(f"a matrix I + W of a stack {W.shape} is not positive definite")
        root = pivot / (1.0 + np.sqrt(1.0 + pivot))
        N[..., j, j] = root
        low = W[..., j + 1 :, j] - (N[..., j + 1 :, :j] @ known[..., None])[..., 0]
        N[..., j + 1 :, j] = low / (1.0 + root)[..., None]
    return N


def _cholesky_increment_forward(W: Array) -> Array:
    """By columns; of larger matrices by a Cholesky factor and one Newton step, which leaves the square of its error."""
    xp = namespace(W)
    if xp is np and W.shape[-1] <= (_SMALL if W.ndim == 2 else 2 * _SMALL):
        return _small_increment(W) if W.ndim == 2 and W.dtype.kind != "c" else _increment_of_stack(W)
    eye = xp.eye(W.shape[-1], dtype=W.dtype)
    C = cholesky(eye + W) if xp is np else xp.linalg.cholesky(eye + W)
    N = C - eye
    R = W - N - adjoint(N) - N @ adjoint(N)
    if xp is np:
        R = solve_triangular(C, adjoint(solve_triangular(C, R)))
    else:
        R = xp.linalg.solve(C, adjoint(xp.linalg.solve(C, R)))
    return N + C @ _half_lower(R)


def _shifted(N: Array) -> Array:
    return N + namespace(N).eye(N.shape[-1], dtype=N.dtype)


_cholesky_increment = differentiable(
    vjps=(pulled(lambda G, N, W: _cholesky_vjp(G, _shifted(N), W)),),
    jvps=(lambda E, N, W: _cholesky_jvp(E, _shifted(N), W),),
)(_cholesky_increment_forward)


def cholesky_increment(W: Array) -> Array:
    """The lower triangular N with ``(I + N)(I + N)^H = I + W`` for Hermitian W with eigenvalues above -1."""
    return _cholesky_increment_forward(W) if type(W) is np.ndarray else _cholesky_increment(hermitian(W))


# ------------------------------------------------------------------------------------------------------------
def _sqrt_increment_forward(K: Array, F: Array) -> Array:
    xp = namespace(K, F)
    (k, V), (r, U) = eigh(K), eigh(hermitian(K @ K + F))
    r = xp.sqrt(xp.maximum(r, xp.zeros_like(r)))
    return hermitian(V @ mixed_difference(1.0 / (k[..., :, None] + r[..., None, :]), V, F, U) @ adjoint(U))


def _sqrt_vjp_of_k(G: Array, S: Array, K: Array, F: Array) -> Array:
    Y = _half_way(K + S, hermitian(G))
    return -(Y @ S + S @ Y)


def _half_way(T: Array, C: Array) -> Array:
    """The Hermitian Y with ``T Y + Y T = C``."""
    return general_sylvester(T, T, C)


# dS solves (K + S) dS + dS (K + S) = dF - dK S - S dK.
_sqrt_increment: Callable[..., Array] = differentiable(
    vjps=(
        pulled(_sqrt_vjp_of_k),
        pulled(lambda G, S, K, F: _half_way(K + S, hermitian(G))),
    ),
    jvps=(
        lambda E, S, K, F: -_half_way(K + S, hermitian(E) @ S + S @ hermitian(E)),
        lambda E, S, K, F: _half_way(K + S, hermitian(E)),
    ),
)(_sqrt_increment_forward)


def sqrt_increment(K: Array, F: Array) -> Array:
    """``(K^2 + F)^(1/2) - K`` for Hermitian K > 0 and Hermitian F with ``K^2 + F > 0``."""
    K, F = broadcast_batch(2, hermitian(K), hermitian(F))
    return _sqrt_increment_forward(K, F) if is_numpy(K, F) else _sqrt_increment(K, F)
