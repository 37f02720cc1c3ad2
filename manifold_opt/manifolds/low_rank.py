"""What the manifolds of low rank share: sizes, dominant singular vectors of matrices of any kind, signs, checks."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from manifold_opt.linalg import lapack
from manifold_opt.linalg.low_rank import LowRank, is_operator
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace
from manifold_opt.linalg.small import solve
from manifold_opt.manifolds.arrays import default_atol, written
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["broadcast", "check_frame", "divided", "dominant", "phases", "qr", "set_sizes", "signed", "svd", "unit"]

_DOUBLE = np.dtype(np.float64)


def set_sizes(M: Any, names: str) -> None:
    """Make the sizes m, n and k of a manifold Python integers with ``1 <= k <= min(m, n)``, or raise ValueError."""
    for name in names:
        value = getattr(M, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} of {type(M).__name__}(m, n, k) must be a positive integer, but it is {value!r}")
        object.__setattr__(M, name, int(value))
    if M.k > min(M.m, M.n):
        raise ValueError(
            f"{type(M).__name__}(m, n, k) holds matrices of m rows, n columns and rank k and needs k <= min(m, n), but "
            f"m = {M.m}, n = {M.n}, k = {M.k}"
        )


def broadcast(A: Array, B: Array) -> tuple[Array, ...]:
    """Two matrices with the batch of both."""
    return broadcast_batch(2, A, B)


def divided(X: Array, S: Array) -> Array:
    """``X S^-1`` for thin X: by the inverse, since a product with it is several times faster than that many solves."""
    if type(S) is np.ndarray:
        return X @ np.linalg.inv(S)
    return X @ solve(S, namespace(S).eye(S.shape[-1], dtype=S.dtype) + 0.0 * S)


@functools.lru_cache(maxsize=64)
def _upper(k: int) -> np.ndarray:
    return np.tri(k).T


def qr(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The QR decomposition of a thin matrix, or of a batch of them; signs as they come."""
    k = A.shape[-1]
    if A.ndim == 2 and A.dtype is _DOUBLE and k <= A.shape[0]:
        packed, tau, _, info = lapack.dgeqrf(A)
        if info == 0:
            R = packed[:k] * _upper(k)
            return lapack.dorgqr(packed, tau, overwrite_a=1)[0], R
    return np.linalg.qr(A)


def svd(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The thin singular value decomposition ``U, s, V^H``."""
    if A.ndim == 2 and A.dtype is _DOUBLE:
        U, s, V, info = lapack.dgesdd(A, full_matrices=0)
        if info == 0:
            return U, s, V
    return np.linalg.svd(A, full_matrices=False)


def unit(A: np.ndarray) -> np.ndarray:
    """The nearest matrix with orthonormal columns."""
    U, _, V = svd(A)
    return U @ V


def signed(U: Array, V: Array) -> tuple[Array, Array]:
    """Pairs of singular vectors, each turned so that the largest entry in the column of U is positive."""
    phase = phases(U)[..., None, :]
    return U * phase, V * phase


def phases(U: Array) -> Array:
    """What each column of U must be multiplied with to make its largest entry positive."""
    xp = namespace(U)
    size = abs(U)
    largest = size == xp.max(size, axis=-2, keepdims=True)
    entry = xp.sum(xp.where(largest, U, 0.0 * U), axis=-2)
    return xp.conj(entry / abs(entry))


def dominant(z: Any, k: int, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """The k largest singular values of a matrix of any kind with their vectors: U, s, V.

    Sparse matrices and operators go to the Lanczos method with a fixed start, factors to QR decompositions.
    """
    if tuple(z.shape[-2:]) != shape:
        raise ValueError(f"z must have shape {('...', *shape)}, but its shape is {tuple(z.shape)}")
    if isinstance(z, LowRank):
        xp = namespace(z.A, z.B)
        (Qa, Ra), (Qb, Rb) = xp.linalg.qr(z.A), xp.linalg.qr(z.B)
        a, s, b = dominant(Ra @ adjoint(Rb), k, (Ra.shape[-2], Rb.shape[-2]))
        U, V = Qa @ a, Qb @ b
    elif is_operator(z):
        U, s, V = _lanczos(z, k)
    else:
        xp = namespace(z)
        U, s, Vh = xp.linalg.svd(z, full_matrices=False)
        U, s, V = U[..., :k], s[..., :k], adjoint(Vh)[..., :k]
    U, V = signed(U, V)
    return U, s, V


def _lanczos(z: Any, k: int) -> tuple[Array, Array, Array]:
    smallest = min(z.shape)
    if k >= smallest - 1:
        dense = z.toarray() if hasattr(z, "toarray") else z @ np.eye(z.shape[1], dtype=z.dtype)
        return dominant(dense, k, z.shape)
    from scipy.sparse.linalg import svds

    start = np.cos(np.arange(smallest, dtype=float) ** 2).astype(z.dtype)
    U, s, Vh = svds(z.astype(float) if z.dtype.kind in "iub" else z, k, v0=start)
    order = np.argsort(-s)
    return U[:, order], s[order], adjoint(Vh)[:, order]


def check_frame(M: Any, F: Array, name: str, atol: float) -> None:
    """Raise NotOnManifold unless the columns of F are orthonormal."""
    off = float(np.max(np.abs(adjoint(F) @ F - np.eye(F.shape[-1])), initial=0.0))
    if not off <= atol:
        raise NotOnManifold(
            f"{name} must have orthonormal columns on {M!r}, but its Gram matrix is off the identity by {off:.3g} "
            f"(tolerance {atol:.3g}); take M.project_point of the array"
        )


def check_normal(M: Any, F: Array, Z: Array, X: Array, name: str, atol: float | None) -> None:
    """Raise NotTangent unless ``F^H Z = 0``, to the tolerance of the vector X of which Z is a part."""
    size = (default_atol(X) if atol is None else atol) * max(1.0, float(np.max(np.abs(X), initial=0.0)))
    off = float(np.max(np.abs(adjoint(F) @ Z), initial=0.0))
    if not off <= size:
        raise NotTangent(
            f"a tangent vector of {M!r} needs {name} = 0, but an entry is {off:.3g} (tolerance {size:.3g}); clean it "
            "with M.tangentialize(p, X)"
        )


# Where the iteration has not converged in this many steps the points are too far apart. Arrays that are differentiated
# take the second number.
_ITERATIONS, _FIXED = 200, 11


def inverse_by_iteration(M: Any, retract: Any, p: Array, q: Array, out: Array | None) -> Array:
    """The tangent vector X with ``retract(p, X) = q``, by ``X + P_p(q - retract(p, X))``, on factors throughout.

    The error shrinks by the derivative of ``P_p R_p`` less the identity: by a factor like the length of X in units of
    the smallest singular value, and like its square for a retraction of second order.

    Raises
    ------
    ValueError
        If the iteration does not converge (NumPy arrays only).
    """
    target = M.project_vector(p, M.low_rank(q))
    X = M.project_vector(p, M.low_rank(p))
    X = target - X
    if not is_numpy(p, q):
        for _ in range(_FIXED):
            X = X + target - M.project_vector(p, M.low_rank(retract(p, X)))
        return X
    last = np.inf
    eps = float(np.finfo(X.dtype).eps)
    scale = 1.0 + float(np.max(np.abs(p), initial=0.0))
    for _ in range(_ITERATIONS):
        step = target - M.project_vector(p, M.low_rank(retract(p, X)))
        X = X + step
        size = float(np.max(np.abs(step), initial=0.0))
        if size <= 4.0 * eps * scale or (size <= 1e3 * eps * scale and size >= 0.5 * last):
            return written(X, out)
        if not np.isfinite(size) or size > 1e3 * scale:
            break
        last = size
    raise ValueError(
        f"no tangent vector of {M!r} found whose retraction is q: q is too far from p; go there in several steps, or "
        "use method='orthographic'"
    )
