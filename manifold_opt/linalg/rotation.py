"""Skew-symmetric matrices and rotations: coordinates, exponential and logarithm with their derivatives.

Closed forms for n = 2 and 3; for larger n symmetric and Hermitian eigendecompositions, batched, real in and
real out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.rules import differentiable
from manifold_opt.linalg.scalars import asinc, cosc, safe_sqrt, sinc
from manifold_opt.linalg.symmetric import (
    SPECTRAL,
    first_derivative,
    from_eigenvectors,
    pairs,
    second_derivative,
    skew,
    triples,
)


@functools.lru_cache(maxsize=64)
def lower_indices(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the coordinates: (3,2), (1,3), (2,1) for n = 3, else the strict lower triangle."""
    if n == 3:
        return np.array([2, 0, 1]), np.array([1, 2, 0])
    return np.tril_indices(n, -1)


@functools.lru_cache(maxsize=64)
def _hat_table(n: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = lower_indices(n)
    place, sign = np.zeros((n, n), dtype=np.intp), np.zeros((n, n))
    place[rows, columns] = place[columns, rows] = np.arange(rows.size)
    sign[rows, columns], sign[columns, rows] = 1.0, -1.0
    return place, sign


def vee(A: Array) -> Array:
    """Coordinates of skew matrices: angle (n = 2), rotation vector (n = 3), strict lower triangle by rows."""
    rows, columns = lower_indices(A.shape[-1])
    return A[..., rows, columns]


def hat(c: Array) -> Array:
    """Skew matrices from their coordinates; the inverse of vee."""
    place, sign = _hat_table((1 + math.isqrt(1 + 8 * c.shape[-1])) // 2)
    return c[..., place] * namespace(c).asarray(sign, dtype=c.dtype)


def skew_exp(A: Array) -> Array:
    """Rotation exp(A) of the skew part of A, batched over leading axes.

    References
    ----------
    J. Gallier, D. Xu, Computing exponentials of skew-symmetric matrices and logarithms of orthogonal
    matrices, 2002, section 2.
    """
    return _exp(skew(A))


def rotation_log(R: Array) -> Array:
    """Principal logarithm of rotations, a skew matrix with angles of at most pi; see rotation_log1p."""
    xp = namespace(R)
    return rotation_log1p(R - xp.eye(R.shape[-1], dtype=R.dtype))


def rotation_log1p(D: Array) -> Array:
    """Principal logarithm of the rotations I + D, accurate relative to itself however small D is.

    At an angle of pi the two logarithms differ in sign; the answer is deterministic: for n = 3 the largest
    component of the rotation vector is positive, for larger n a fixed reference plane orients the half turns.
    The result is always real.

    Parameters
    ----------
    D : array, shape (*batch, n, n)
        Rotation minus identity; compute it as ``p' @ (q - p)`` to keep the digits of small angles.

    Returns
    -------
    array, shape (*batch, n, n)
        Skew-symmetric.
    """
    return _log1p(D)


# ------------------------------------------------------------------------------------------------------------
def _exp_forward(A: Array) -> Array:
    xp = namespace(A)
    n = A.shape[-1]
    if n == 2:
        c, s = xp.cos(A[..., 1, 0]), xp.sin(A[..., 1, 0])
        return xp.stack((xp.stack((c, -s), -1), xp.stack((s, c), -1)), -2)
    if n == 3:
        v = vee(A)
        t = safe_sqrt(xp.sum(v * v, axis=-1))[..., None, None]
        return xp.eye(3, dtype=A.dtype) + sinc(t) * A + cosc(t) * (A @ A)
    theta, U = xp.linalg.eigh(-1j * A)
    return xp.real(from_eigenvectors(U, xp.exp(1j * theta)))


def _exp_derivative_forward(A: Array, E: Array) -> Array:
    xp = namespace(A, E)
    theta, U = xp.linalg.eigh(-1j * A)
    return xp.real(first_derivative(U, -1j * SPECTRAL["expi"].first(xp, *pairs(theta)), E + 0j))


def _exp_second(A: Array, E: Array, H: Array) -> Array:
    xp = namespace(A, E, H)
    theta, U = xp.linalg.eigh(-1j * A)
    return xp.real(second_derivative(U, -SPECTRAL["expi"].second(xp, *triples(theta)), E + 0j, H + 0j))


# tr(G' D^2 F(A)[E, H]) is symmetric in G', E and H, so adjoints are the function itself on transposes (see
# symmetric.py).
_exp_derivative: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, A, E: transpose(_exp_second(A, transpose(G), E)),
        lambda G, value, A, E: transpose(_exp_derivative(A, transpose(G))),
    ),
    jvps=(lambda H, value, A, E: _exp_second(A, E, H), lambda H, value, A, E: _exp_derivative(A, H)),
)(_exp_derivative_forward)
_exp = differentiable(
    vjps=(lambda G, value, A: transpose(_exp_derivative(A, transpose(G))),),
    jvps=(lambda E, value, A: _exp_derivative(A, E),),
)(_exp_forward)


# ------------------------------------------------------------------------------------------------------------
def _log_forward(D: Array) -> Array:
    if type(D) is np.ndarray:
        return _log(np, D).astype(D.dtype, copy=False)  # scalars of one float32 matrix turn double under NumPy 1
    return _log(namespace(D), D)


def _log(xp: Any, D: Array) -> Array:
    n = D.shape[-1]
    if n == 2:
        sine, cosine = 0.5 * (D[..., 1, 0] - D[..., 0, 1]), 1.0 + 0.5 * (D[..., 0, 0] + D[..., 1, 1])
        return hat(xp.arctan2(sine, cosine)[..., None])
    return hat(_log3(xp, D)) if n == 3 else _log_large(xp, D)


def _log3(xp: Any, D: Array) -> Array:
    """Rotation vector by sine and cosine below 0.86 pi; above, the axis is read off the symmetric part."""
    v = 0.5 * (vee(D) - vee(transpose(D)))
    s = safe_sqrt(xp.sum(v * v, axis=-1))
    versine = -0.5 * (D[..., 0, 0] + D[..., 1, 1] + D[..., 2, 2])
    angle = xp.arctan2(s, 1.0 - versine)
    zero = s == 0
    value = xp.where(zero, 1.0 + s, angle / xp.where(zero, 1.0 + s, s))[..., None] * v
    near_pi = versine > 1.9
    if xp is np:
        if near_pi.any():
            value = np.array(value)
            value[near_pi] = _half_turn(np, D[near_pi], v[near_pi], versine[near_pi], angle[near_pi])
        return value
    return xp.where(near_pi[..., None], _half_turn(xp, D, v, versine, angle), value)


def _half_turn(xp: Any, D: Array, v: Array, versine: Array, angle: Array) -> Array:
    """Angle times axis u: sym(D) + (1 - cos) I = (1 - cos) u u' gives u up to its sign, v = sin u the sign."""
    B = 0.5 * (D + transpose(D)) + versine[..., None, None] * xp.eye(3, dtype=D.dtype)
    diagonal = xp.stack((B[..., 0, 0], B[..., 1, 1], B[..., 2, 2]), -1)
    largest = xp.argmax(diagonal, axis=-1)[..., None] == xp.asarray(np.arange(3))
    u = xp.sum(B * xp.where(largest, xp.ones_like(v), xp.zeros_like(v))[..., None, :], axis=-1)
    length = safe_sqrt(xp.sum(u * u, axis=-1))
    u = u / xp.where(length > 0, length, xp.ones_like(length))[..., None]
    # below 8 eps the sign of v is rounding: the largest component of u is positive then
    backward = xp.sum(u * v, axis=-1) < -8.0 * _eps(D)
    return xp.where(backward, -angle, angle)[..., None] * u


def _log_large(xp: Any, D: Array) -> Array:
    """Log R = g(S) K for the commuting parts S = sym R and K = skew R.

    Their eigenvalues are cos t and +- i sin t, so g = t / sin t.
    The planes with cos t near -1, where g is singular, are split off at the widest gap between -0.8 and -0.2
    and there the angle is sign(x) pi - arcsin(x) of the Hermitian matrix -iK. Eigenvalues of S come in pairs,
    and pairs are never split.
    """
    n = D.shape[-1]
    S, K = 0.5 * (D + transpose(D)), skew(D)
    mu, V = xp.linalg.eigh(S)
    versine = xp.clip(-mu, 0.0, 2.0)
    high = _near_half_turn(xp, versine, n)
    y = xp.where(high, 0.0 * versine, safe_sqrt(0.5 * versine))
    g = xp.where(high, 0.0 * versine, asinc(y) / xp.sqrt(1.0 - y * y))
    A = skew(from_eigenvectors(V, g) @ K)
    if xp is not np:
        return A + _log_half_turns(xp, V, high, K)
    some = high.any(axis=-1)
    if some.any():
        A[some] += _log_half_turns(np, V[some], high[some], K[some])
    return A


def _near_half_turn(xp: Any, versine: Array, n: int) -> Array:
    half = 0.5 * (versine[..., 0 : n - 1 : 2] + versine[..., 1:n:2])
    edge = xp.zeros_like(half[..., :1])
    middle = xp.concatenate((edge + 1.8, xp.clip(half, 1.2, 1.8), edge + 1.2), axis=-1)
    cut = xp.argmax(middle[..., :-1] - middle[..., 1:], axis=-1)
    return xp.asarray(np.arange(n) // 2) < cut[..., None]


def _log_half_turns(xp: Any, V: Array, high: Array, K: Array) -> Array:
    """Pi J - arcsin(K) on the split-off planes, J the real complex structure with K J negative semidefinite."""
    n = V.shape[-1]
    V = V * xp.where(high, xp.ones_like(V[..., 0]), xp.zeros_like(V[..., 0]))[..., None, :]
    P = V @ transpose(V)
    K = skew(P @ K @ P)
    M = -1j * K + 4.0 * (
        xp.eye(n, dtype=K.dtype) - P
    )  # puts the complement of the planes at 4, away from sin t
    x, U = xp.linalg.eigh(M)
    # Where sin t is lost in rounding nothing orients a half turn; a fixed reference, seen in the lost planes,
    # does.
    lost = abs(x) < 1e3 * _eps(K)
    if xp is not np or lost.any():
        reference = np.sin(np.arange(1.0, n * n + 1.0) ** 2).reshape(n, n)
        reference = (reference - reference.T) / np.linalg.norm(reference - reference.T, 2)
        N = xp.real(from_eigenvectors(U, xp.where(lost, xp.ones_like(x), xp.zeros_like(x))))
        x, U = xp.linalg.eigh(M - 1j * skew(N @ xp.asarray(reference, dtype=K.dtype) @ N))
    sine = xp.clip(xp.real(xp.sum(xp.conj(U) * ((-1j * K) @ U), axis=-2)), -1.0, 1.0)
    inside = xp.where(x < 2.0, xp.ones_like(x), xp.zeros_like(x))
    J = skew(xp.real(from_eigenvectors(U, 1j * xp.sign(x) * inside)))
    for _ in range(
        2
    ):  # Newton's iteration for the sign of a matrix: rounding divided by sin t is squared twice
        J = 1.5 * J + 0.5 * skew(J @ J @ J)
    return math.pi * J - skew(xp.real(from_eigenvectors(U, 1j * xp.arcsin(sine) * inside)))


def _eps(A: Array) -> float:
    return float(np.finfo(str(A.dtype).rpartition(".")[-1]).eps)


def _log_slopes(xp: Any, D: Array) -> tuple[Array, Array, Array]:
    """Angles, eigenvectors and first divided differences of the logarithm at I + D, finite at the cut locus too."""
    theta, U = xp.linalg.eigh(-1j * _log_forward(D))
    a, b = pairs(theta)
    chord = xp.clip(sinc(0.5 * (a - b)), _eps(D), 1.0)
    return theta, U, xp.exp(-0.5j * (a + b)) / chord


def _log_derivative_forward(D: Array, E: Array) -> Array:
    xp = namespace(D, E)
    _, U, slopes = _log_slopes(xp, D)
    return xp.real(first_derivative(U, slopes, E + 0j))


def _log_second(D: Array, E: Array, H: Array) -> Array:
    """The second derivative of an inverse function: -D log[D^2 exp[D log, D log]], entry by entry."""
    xp = namespace(D, E, H)
    theta, U, s = _log_slopes(xp, D)
    bend = SPECTRAL["expi"].second(xp, *triples(theta))
    psi = s[..., :, None, :] * s[..., :, :, None] * s[..., None, :, :] * bend
    return xp.real(second_derivative(U, psi, E + 0j, H + 0j))


_log_derivative: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, D, E: transpose(_log_second(D, transpose(G), E)),
        lambda G, value, D, E: transpose(_log_derivative(D, transpose(G))),
    ),
    jvps=(lambda H, value, D, E: _log_second(D, E, H), lambda H, value, D, E: _log_derivative(D, H)),
)(_log_derivative_forward)
_log1p = differentiable(
    vjps=(lambda G, value, D: transpose(_log_derivative(D, transpose(G))),),
    jvps=(lambda E, value, D: _log_derivative(D, E),),
)(_log_forward)
