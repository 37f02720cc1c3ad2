"""Scaling of positive matrices to doubly stochastic ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifold_opt.linalg.frames import solve_batch
from manifold_opt.linalg.namespace import Array, namespace, transpose

__all__ = ["scaling_directions", "sinkhorn"]


def sinkhorn(L: Array) -> Array:
    """The doubly stochastic matrix ``exp(L + a 1' + 1 b')``, from the logarithm L of a positive square matrix.

    Sinkhorn's iteration on logarithms, which converges from everywhere, then Newton's method for a and b: the former
    alone needs many iterations where the matrix is close to reducible. On NumPy arrays until all sums are 1 up to eps;
    should that fail, a correction of rank one makes them so. Elsewhere a fixed number of steps, so that the result can
    be differentiated.

    Parameters
    ----------
    L : array of shape (..., n, n)
        Finite numbers.

    References
    ----------
    R. Sinkhorn, P. Knopp, Concerning nonnegative matrices and doubly stochastic matrices, Pacific J. Math. 21, 1967. P.
    A. Knight, D. Ruiz, A fast algorithm for matrix balancing, IMA J. Numer. Anal. 33, 2013. J. Altschuler, J. Weed, P.
    Rigollet, Near-linear time approximation algorithms for optimal transport via Sinkhorn iteration, NeurIPS 2017,
    algorithm 2, for the correction.
    """
    xp = namespace(L)
    if xp is not np:
        for _ in range(10):
            L = _normalized(xp, _normalized(xp, L, -1), -2)
        for _ in range(8):
            L = _newton(xp, L)
        return xp.exp(L)
    L = _normalized(np, L, -2)
    allowed, last = 4.0 * np.finfo(L.dtype).eps, np.inf
    for _ in range(500):
        off = float(np.max(np.abs(np.sum(np.exp(L), axis=-1) - 1.0), initial=0.0))
        if off <= allowed or (off < 1e-3 and off >= 0.5 * last):
            break
        # Newton's steps are good where they are short
        L = _newton(np, L) if off < 0.1 else _normalized(np, _normalized(np, L, -1), -2)
        last = off
    return _rounded(np.exp(L))


def _rounded(q: np.ndarray) -> np.ndarray:
    """The matrix with rows, then columns, of sum above 1 scaled down, plus the product of what is missing."""
    q = q / np.maximum(np.sum(q, axis=-1, keepdims=True), q.dtype.type(1))
    q = q / np.maximum(np.sum(q, axis=-2, keepdims=True), q.dtype.type(1))
    r = np.maximum(1 - np.sum(q, axis=-1, keepdims=True), q.dtype.type(0))
    c = np.maximum(1 - np.sum(q, axis=-2, keepdims=True), q.dtype.type(0))
    total = np.sum(r, axis=-2, keepdims=True)
    return q + r * c / np.where(total > 0, total, q.dtype.type(1))


def _normalized(xp: Any, L: Array, axis: int) -> Array:
    """L less the logarithm of the sums of exp(L) along an axis."""
    top = xp.max(L, axis=axis, keepdims=True)
    return L - top - xp.log(xp.sum(xp.exp(L - top), axis=axis, keepdims=True))


def _newton(xp: Any, L: Array) -> Array:
    """One Newton step for the row sums, then columns of sum 1; steps above 1 are shortened."""
    q = xp.exp(L)
    rows = xp.sum(q, axis=-1)
    a, b = scaling_directions(q, 1.0 - rows, 0.0 * rows, rows)
    size = xp.maximum(xp.max(abs(a), axis=-1), xp.max(abs(b), axis=-1))
    factor = 1.0 / xp.maximum(size, 1.0)
    if factor.ndim:  # an axis on a scalar would make it double precision under NumPy 1
        factor = factor[..., None]
    return _normalized(xp, L + (factor * a)[..., :, None] + (factor * b)[..., None, :], -2)


def scaling_directions(q: Array, r: Array, c: Array, rows: Array | None = None) -> tuple[Array, Array]:
    """a and b such that ``q (a 1' + 1 b')``, entry by entry, has the row sums r and the column sums c.

    Parameters
    ----------
    q : array of shape (..., n, n)
        Positive, with columns of sum 1.
    r, c : array of shape (..., n)
        Of one total.
    rows : array of shape (..., n), optional
        Row sums of q, if they are not 1.

    Notes
    -----
    ``diag(rows) a + q b = r`` and ``q' a + b = c``; the Schur complement ``diag(rows) - q q'`` has the null vector of
    ones, to which ``1 1' / n`` is added, and ``n eps I``, for where q is reducible to rounding.
    """
    xp = namespace(q, r, c)
    n = q.shape[-1]
    eye = xp.eye(n, dtype=q.dtype)
    diagonal = eye if rows is None else rows[..., None] * eye
    S = diagonal - q @ transpose(q) + 1.0 / n + n * float(np.finfo(_precision(q)).eps) * eye
    a = solve_batch(S, (r - (q @ c[..., None])[..., 0])[..., None])[..., 0]
    return a, c - (transpose(q) @ a[..., None])[..., 0]


def _precision(a: Array) -> Any:
    """The NumPy dtype of a real array of any library."""
    return np.dtype(str(a.dtype).rpartition(".")[2])
