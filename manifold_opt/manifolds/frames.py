"""What the manifolds of orthonormal frames share: coordinates, inverses of retractions, geodesics, checks."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from manifold_opt.linalg.frames import (
    frame_polar,
    frame_turn,
    general_sylvester,
    matrix_exp,
    solve_batch,
)
from manifold_opt.linalg.namespace import Array, adjoint, namespace, transpose
from manifold_opt.manifolds.arrays import cleared, default_atol

__all__ = [
    "check_field",
    "check_sizes",
    "checked",
    "complement_coordinates",
    "complement_vector",
    "eye_like",
    "gaussian",
    "geodesic_factors",
    "pack",
    "polar_factor",
    "skew_coordinates",
    "skew_from_coordinates",
    "triangular_factor",
    "unpack",
]


def check_sizes(name: str, n: Any, k: Any, strict: bool = False) -> tuple[int, int]:
    """The sizes as Python integers with ``1 <= k <= n`` (``k < n`` where strict), or a ValueError."""
    for letter, value in (("n", n), ("k", k)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{letter} of {name}(n, k) must be a positive integer, but it is {value!r}")
    if k > n or (strict and k == n):
        raise ValueError(
            f"{name}(n, k) holds n rows and k columns and needs k {'<' if strict else '<='} n, but n = {n}, k = {k}; "
            "the number of rows comes first"
        )
    return int(n), int(k)


def check_field(field: Any) -> None:
    """Raise unless the field is one of the two known ones."""
    if field not in ("real", "complex"):
        raise ValueError(f"field must be 'real' or 'complex', but it is {field!r}")


def checked(a: Any, name: str, shape: tuple[int, ...], field: str, error: type[ValueError]) -> Array:
    """The array after the checks of shape, finiteness and field."""
    a = cleared(a, name, shape, error)
    if field == "real" and a.dtype.kind == "c":
        raise error(
            f"{name} must be real, but its dtype is {a.dtype}; take its real part, or the manifold with field='complex'"
        )
    return a


def tolerance(a: Array, atol: float | None) -> float:
    """The tolerance given, or the default one of the precision of the array."""
    return default_atol(a) if atol is None else atol


def gaussian(rng: Any, shape: tuple[int, ...], field: str) -> Array:
    """Independent standard normal entries."""
    rng = np.random.default_rng(rng)
    z = rng.standard_normal(shape)
    return z + 1j * rng.standard_normal(shape) if field == "complex" else z


def eye_like(A: Array, k: int | None = None) -> Array:
    """The identity of the size of the columns of A, or of size k, in its dtype."""
    return namespace(A).eye(A.shape[-1] if k is None else k, dtype=A.dtype)


# ------------------------------------------------------------------------------------------------ coordinates


def _reflector(p: Array) -> tuple[Array, Array, Array]:
    """The blocks of the unitary reflection that maps the first k unit vectors, turned by -W, to p.

    With the polar decomposition ``p1 = W P`` of the upper block the columns of ``[[-W p2^H], [I - p2 K p2^H]]``, ``K =
    (I + P)^-1``, complete p; for k = 1 it is the reflection of Householder.

    R. Schreiber, B. Parlett, Block reflectors: theory and computation, SIAM J. Numer. Anal. 25, 1988, section 2.
    """
    k = p.shape[-1]
    W = frame_polar(p[..., :k, :])
    return W, eye_like(p) + adjoint(W) @ p[..., :k, :], p[..., k:, :]


def complement_coordinates(p: Array, X: Array, A: Array) -> Array:
    """``Q^H X`` for the completion Q of p, where ``A = p^H X``: O(n k^2), and Q is never formed."""
    W, K, p2 = _reflector(p)
    k = p.shape[-1]
    return X[..., k:, :] - p2 @ solve_batch(K, adjoint(W) @ X[..., :k, :] + A)


def complement_vector(p: Array, B: Array) -> Array:
    """``Q B`` for the completion Q of p: O(n k^2), and Q is never formed."""
    W, K, p2 = _reflector(p)
    Y = adjoint(p2) @ B
    return namespace(p, B).concatenate([-(W @ Y), B - p2 @ solve_batch(K, Y)], axis=-2)


@functools.lru_cache(maxsize=64)
def _tables(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the strict lower triangle, places of its entries (0 elsewhere), and signs."""
    rows, columns = np.tril_indices(k, -1)
    place = np.zeros((k, k), dtype=np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(1, rows.size + 1)
    return rows, columns, place, np.tri(k, k, -1) - np.tri(k, k, -1).T


def skew_coordinates(A: Array, complex_field: bool) -> Array:
    """Orthonormal coordinates of skew-Hermitian matrices: sqrt(2) lower triangle; complex: diagonal first."""
    xp = namespace(A)
    rows, columns, _, _ = _tables(A.shape[-1])
    lower = A[..., rows, columns]
    root = math.sqrt(2.0)
    if not complex_field:
        return root * lower
    every = np.arange(A.shape[-1])
    middle = xp.imag(A[..., every, every])
    return xp.concatenate([middle, root * xp.real(lower), root * xp.imag(lower)], axis=-1)


def skew_from_coordinates(c: Array, k: int, complex_field: bool) -> Array:
    """The inverse of `skew_coordinates`."""
    xp = namespace(c)
    _, _, place, sign = _tables(k)
    m = k * (k - 1) // 2
    zero = xp.zeros((*c.shape[:-1], 1), dtype=c.dtype)

    def spread(lower: Array) -> Array:
        return xp.concatenate([zero, math.sqrt(0.5) * lower], axis=-1)[..., place]

    if not complex_field:
        return spread(c) * xp.asarray(sign, dtype=c.dtype)
    real = spread(c[..., k : k + m]) * xp.asarray(sign, dtype=c.dtype)
    middle = c[..., :k, None] * xp.eye(k, dtype=c.dtype)
    return real + 1j * (middle + spread(c[..., k + m :]))


def pack(B: Array, complex_field: bool) -> Array:
    """Matrices as real vectors, in C order; complex ones with real parts first."""
    xp = namespace(B)
    c = B.reshape((*B.shape[:-2], B.shape[-2] * B.shape[-1]))
    return xp.concatenate([xp.real(c), xp.imag(c)], axis=-1) if complex_field else c


def unpack(c: Array, shape: tuple[int, int], complex_field: bool) -> Array:
    """The inverse of `pack`."""
    if complex_field:
        half = c.shape[-1] // 2
        c = c[..., :half] + 1j * c[..., half:]
    return c.reshape((*c.shape[:-1], *shape))


# ------------------------------------------------------------------------------------------------ retractions


def polar_factor(D: Array) -> Array:
    """E with ``M (I + E) + (I + E) M^H = 2 I`` for ``M = I + D``: ``q (I + E) - p`` is tangent at p.

    T. Kaneko, S. Fiori, T. Tanaka, Empirical arithmetic averaging over the compact Stiefel manifold, IEEE Trans.
    Signal Process. 61, 2013, section III.
    """
    M = eye_like(D) + D
    return general_sylvester(M, adjoint(M), -(D + adjoint(D)))


def triangular_factor(D: Array) -> Array:
    """Upper triangular E with a real diagonal and ``M (I + E) + (I + E)^H M^H = 2 I`` for ``M = I + D``, by columns.

    T. Kaneko, S. Fiori, T. Tanaka, Empirical arithmetic averaging over the compact Stiefel manifold, IEEE Trans.
    Signal Process. 61, 2013, section III.
    """
    xp = namespace(D)
    k = D.shape[-1]
    M = eye_like(D) + D
    H = D + adjoint(D)
    columns: list[Array] = []
    for j in range(k):
        # the equations of the rows above j are complex, that of row j is real, as is the last unknown r
        last = -0.5 * xp.real(H[..., j, j])
        slope = xp.real(M[..., j, j])
        parts: list[Array] = []
        if j:
            known = [xp.sum(M[..., j, : i + 1] * columns[i], axis=-1) for i in range(j)]
            right = xp.stack([-H[..., i, j] - xp.conj(known[i]) for i in range(j)], axis=-1)
            both = solve_batch(M[..., :j, :j], xp.stack([right, M[..., :j, j]], axis=-1))
            last = last - xp.real(xp.sum(M[..., j, :j] * both[..., 0], axis=-1))
            slope = slope - xp.real(xp.sum(M[..., j, :j] * both[..., 1], axis=-1))
            parts.append(both[..., 0] - (last / slope)[..., None] * both[..., 1])
        r = (last / slope)[..., None] + 0.0 * M[..., j, j : j + 1]
        columns.append(xp.concatenate([*parts, r], axis=-1))
    filled = [xp.concatenate([c, 0.0 * D[..., 0, c.shape[-1] :]], axis=-1) for c in columns]
    E = xp.stack(filled, axis=-1)
    # under NumPy 1 the entries of one matrix, being scalars, have turned single precision into double
    return E.astype(D.dtype, copy=False) if xp is np else E


def geodesic_factors(A: Array, S: Array, beta: float) -> tuple[Array, Array]:
    """a and b of the geodesic ``p a + B b``, ``A = p^H X``, ``B = X - p A``, ``S = B^H B``; smooth in A and S.

    ``[a; b] = expm([[2 beta A, -S], [I, 0]])[:, :k] expm((1 - 2 beta) A)``.

    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIAM J. Matrix
    Anal. Appl. 20, 1998, section 2.2.2. K. Hüper, I. Markina, F. Silva Leite, A Lagrangian approach to extremal
    curves on Stiefel manifolds, J. Geom. Mech. 13, 2021.
    """
    xp = namespace(A, S)
    k = A.shape[-1]
    top = xp.concatenate([2.0 * beta * A, -S], axis=-1)
    low = xp.concatenate([eye_like(A) + 0.0 * A, 0.0 * A], axis=-1)
    E = matrix_exp(xp.concatenate([top, low], axis=-2))[..., :k]
    if beta != 0.5:
        E = E @ matrix_exp((1.0 - 2.0 * beta) * A)
    return E[..., :k, :], E[..., k:, :]


def turned(W: Array) -> Array:
    """The rotation of the frame when the QR retraction moves: the skew-Hermitian part that W keeps."""
    return frame_turn(W)


def right_divided(X: Array, S: Array) -> Array:
    """``X S^-1``."""
    return transpose(solve_batch(transpose(S), transpose(X)))
