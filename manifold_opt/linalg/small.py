"""Factorizations and equations of small matrices, batched over leading axes, with their derivative rules.

A single float64 or float32 matrix goes straight to LAPACK, where numpy.linalg would spend most of its time on
checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg import lapack
from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.namespace import adjoint as conjugate
from manifold_opt.linalg.rules import differentiable, pulled
from manifold_opt.linalg.symmetric import skew, sym

_DOUBLE, _SINGLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.complex128)


def _solve_forward(A: Array, B: Array) -> Array:
    return namespace(A, B).linalg.solve(A, B)


_solve: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, X, A, B: -_solve(transpose(A), G) @ transpose(X),
        lambda G, X, A, B: _solve(transpose(A), G),
    ),
    jvps=(lambda E, X, A, B: -_solve(A, E @ X), lambda E, X, A, B: _solve(A, E)),
)(_solve_forward)


def solve(A: Array, B: Array) -> Array:
    """Solve A X = B for matrices B, with the derivatives of both modes (autograd's own has no forward mode)."""
    return _solve(A, B)


def _tril(A: Array, k: int) -> Array:
    xp = namespace(A)
    return A * xp.asarray(np.tri(A.shape[-2], A.shape[-1], k), dtype=A.dtype)


# ------------------------------------------------------------------------------------------------------------
def _half_lower(A: Array) -> Array:
    return 0.5 * (_tril(A, 0) + _tril(A, -1))


def _cholesky_vjp(G: Array, L: Array, A: Array) -> Array:
    """Reverse of dL = L Phi(L^-1 dA L^-H), Phi the lower triangle with half its diagonal.

    I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, 2016.
    """
    P = _half_lower(conjugate(L) @ G)
    S = solve_triangular(L, conjugate(solve_triangular(L, conjugate(P), adjoint=True)), adjoint=True)
    return 0.5 * (S + conjugate(S))


def _cholesky_jvp(E: Array, L: Array, A: Array) -> Array:
    half = solve_triangular(L, 0.5 * (E + conjugate(E)))
    return L @ _half_lower(solve_triangular(L, conjugate(half)))


def _cholesky_forward(A: Array) -> Array:
    if type(A) is np.ndarray and A.ndim == 2 and A.dtype is _DOUBLE:
        L, info = lapack.dpotrf(A, 1)
        if info:
            raise np.linalg.LinAlgError(
                f"matrix of shape {A.shape} is not positive definite (leading minor {info})"
            )
        return L
    return namespace(A).linalg.cholesky(A)


_cholesky = differentiable(vjps=(pulled(_cholesky_vjp),), jvps=(_cholesky_jvp,))(_cholesky_forward)


def cholesky(A: Array) -> Array:
    """Lower Cholesky factor of symmetric or Hermitian positive definite matrices.

    Raises
    ------
    numpy.linalg.LinAlgError
        A ValueError; when a matrix is not positive definite (NumPy arrays only).
    """
    return _cholesky_forward(A) if type(A) is np.ndarray else _cholesky(0.5 * (A + conjugate(A)))


def _triangular_forward(L: Array, B: Array, *, adjoint: bool) -> Array:
    if type(L) is not np.ndarray or type(B) is not np.ndarray:
        return _solve(conjugate(L) if adjoint else L, B)
    if L.ndim == 2 and B.ndim == 2 and L.dtype is B.dtype:
        if L.dtype is _DOUBLE:
            return lapack.dtrtrs(L, B, lower=1, trans=int(adjoint))[0]
        if L.dtype is _COMPLEX:
            return lapack.ztrtrs(L, B, lower=1, trans=2 * int(adjoint))[0]
    return _substitute(conjugate(L) if adjoint else L, B, upper=adjoint)


def _substitute(A: np.ndarray, B: np.ndarray, upper: bool) -> np.ndarray:
    """Substitution on all members of a batch at once; the loops are over the rows of one triangular matrix."""
    n = A.shape[-1]
    X = np.empty(np.broadcast_shapes(A.shape[:-2], B.shape[:-2]) + B.shape[-2:], dtype=np.result_type(A, B))
    for i in reversed(range(n)) if upper else range(n):
        known = range(i + 1, n) if upper else range(i)
        row = B[..., i, :]
        if n <= 8:
            for k in known:
                row = row - A[..., i, k][..., None] * X[..., k, :]
        elif known:
            part = slice(known.start, known.stop)
            row = row - (A[..., i, None, part] @ X[..., part, :])[..., 0, :]
        X[..., i, :] = row / A[..., i, i][..., None]
    return X


# X = L^-1 B: the cotangent of B is L^-H G, that of L is -tril(L^-H G X^H); conjugated for X = L^-H B.
def _triangular_vjp(G: Array, X: Array, L: Array, B: Array, adjoint: bool) -> Array:
    Y = solve_triangular(L, G, adjoint=not adjoint)
    return -_tril(X @ conjugate(Y) if adjoint else Y @ conjugate(X), 0)


def _triangular_jvp(E: Array, X: Array, L: Array, B: Array, adjoint: bool) -> Array:
    E = _tril(E, 0)
    return -solve_triangular(L, (conjugate(E) if adjoint else E) @ X, adjoint=adjoint)


_triangular = differentiable(
    vjps=(
        pulled(_triangular_vjp),
        pulled(lambda G, X, L, B, adjoint: solve_triangular(L, G, adjoint=not adjoint)),
    ),
    jvps=(_triangular_jvp, lambda E, X, L, B, adjoint: solve_triangular(L, E, adjoint=adjoint)),
)(_triangular_forward)


def solve_triangular(L: Array, B: Array, adjoint: bool = False) -> Array:
    """Solve L X = B, or L^H X = B with ``adjoint=True``, for lower triangular L; L and B have the same batch axes."""
    if type(L) is np.ndarray and type(B) is np.ndarray:
        return _triangular_forward(L, B, adjoint=adjoint)
    return _triangular(L, B, adjoint=adjoint)


# ------------------------------------------------------------------------------------------------------------
def _qf_forward(A: Array) -> Array:
    xp = namespace(A)
    Q, R = xp.linalg.qr(A)
    sign = xp.einsum("...ii->...i", R) < 0
    one = xp.ones_like(R[..., 0, :])
    return Q * xp.where(sign, -one, one)[..., None, :]


def _qf_vjp(G: Array, Q: Array, A: Array) -> Array:
    M = transpose(Q) @ G
    R = transpose(Q) @ A
    return transpose(_solve(R, transpose(Q @ _tril(M - transpose(M), -1) + G - Q @ M)))


def _qf_jvp(E: Array, Q: Array, A: Array) -> Array:
    R = transpose(Q) @ A
    F = transpose(_solve(transpose(R), transpose(E)))
    W = transpose(Q) @ F
    below = _tril(W, -1)
    return Q @ (below - transpose(below)) + F - Q @ W


_qf = differentiable(vjps=(_qf_vjp,), jvps=(_qf_jvp,))(_qf_forward)


def qf(A: Array) -> Array:
    """Orthonormal factor of the QR decomposition with a positive diagonal of R (unique at full rank)."""
    return _qf(A)


def qr_positive(A: Array) -> tuple[Array, Array]:
    """QR decomposition with a positive diagonal of the upper triangular factor, batched over leading axes."""
    Q = qf(A)
    R = transpose(Q) @ A
    return Q, R - _tril(R, -1)


def _polar_forward(A: Array) -> Array:
    U, _, W = namespace(A).linalg.svd(A, full_matrices=False)
    return U @ W


def _polar_vjp(G: Array, Q: Array, A: Array) -> Array:
    """From Q'dQ = Omega with S Omega + Omega S = Q'dA - dA'Q and (I - QQ') dQ = (I - QQ') dA S^-1, S = Q'A."""
    M = transpose(Q) @ G
    S = sym(transpose(Q) @ A)
    Y = lyapunov(S, M - transpose(M))
    return Q @ Y + transpose(_solve(S, transpose(G - Q @ M)))


def _polar_jvp(E: Array, Q: Array, A: Array) -> Array:
    W = transpose(Q) @ E
    S = sym(transpose(Q) @ A)
    return Q @ lyapunov(S, W - transpose(W)) + transpose(_solve(S, transpose(E - Q @ W)))


_polar = differentiable(vjps=(_polar_vjp,), jvps=(_polar_jvp,))(_polar_forward)


def polar(A: Array) -> Array:
    """Nearest matrices with orthonormal columns: the factor Q of A = Q S, S symmetric positive definite, by the SVD."""
    return _polar(A)


def nearest_rotation(A: Array) -> Array:
    """Nearest rotations in the Frobenius norm: polar factors with the last singular direction flipped where det A < 0.

    References
    ----------
    S. Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991,
    (43).
    """
    return _nearest_rotation(A)


def _nearest_forward(A: Array) -> Array:
    xp = namespace(A)
    U, _, W = xp.linalg.svd(A, full_matrices=False)
    sign = xp.where(
        xp.linalg.det(U @ W) < 0, -xp.ones_like(A[..., 0, 0]), xp.ones_like(A[..., 0, 0])
    )
    last = xp.asarray(np.arange(A.shape[-1]) == A.shape[-1] - 1)
    return (U * xp.where(last, sign[..., None], xp.ones_like(sign)[..., None])[..., None, :]) @ W


def _nearest_rotation_tangent(E: Array, Q: Array, A: Array) -> Array:
    """From Q'dQ = Omega with S Omega + Omega S = Q'E - E'Q, S = Q'A, which may be singular; its own adjoint."""
    W = transpose(Q) @ E
    return Q @ _skew_lyapunov(sym(transpose(Q) @ A), W - transpose(W))


_nearest_rotation = differentiable(vjps=(_nearest_rotation_tangent,), jvps=(_nearest_rotation_tangent,))(
    _nearest_forward
)


def orthonormalize(A: Array) -> Array:
    """One Newton-Schulz step A (3I - A'A) / 2 towards the polar factor: squares an error that is small.

    References
    ----------
    N. J. Higham, Functions of Matrices, SIAM 2008, (8.20).
    """
    xp = namespace(A)
    return A + 0.5 * (A @ (xp.eye(A.shape[-1], dtype=A.dtype) - transpose(A) @ A))


# ------------------------------------------------------------------------------------------------------------
def _sylvester_forward(A: Array, B: Array, C: Array) -> Array:
    xp = namespace(A, B, C)
    a, U = xp.linalg.eigh(A)
    b, V = (a, U) if A is B else xp.linalg.eigh(B)
    return U @ ((transpose(U) @ C @ V) / (a[..., :, None] + b[..., None, :])) @ transpose(V)


_sylvester: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, X, A, B, C: -sym(_sylvester(A, B, G) @ transpose(X)),
        lambda G, X, A, B, C: -sym(transpose(X) @ _sylvester(A, B, G)),
        lambda G, X, A, B, C: _sylvester(A, B, G),
    ),
    jvps=(
        lambda E, X, A, B, C: -_sylvester(A, B, sym(E) @ X),
        lambda E, X, A, B, C: -_sylvester(A, B, X @ sym(E)),
        lambda E, X, A, B, C: _sylvester(A, B, E),
    ),
)(_sylvester_forward)


def sylvester(A: Array, B: Array, C: Array) -> Array:
    """Solve A X + X B = C for symmetric A and B whose eigenvalues have no zero sum, by diagonalizing both."""
    return _sylvester(sym(A), sym(B), C)


def lyapunov(S: Array, C: Array) -> Array:
    """Solve S X + X S = C for symmetric S without opposite eigenvalues, by one eigendecomposition."""
    S = sym(S)
    return _sylvester(S, S, C)


def _skew_lyapunov_forward(S: Array, C: Array) -> Array:
    xp = namespace(S, C)
    a, U = xp.linalg.eigh(S)
    off = xp.asarray(~np.eye(S.shape[-1], dtype=bool))
    gaps = a[..., :, None] + a[..., None, :]
    return U @ ((transpose(U) @ C @ U) / xp.where(off, gaps, xp.ones_like(gaps))) @ transpose(U)


_skew_lyapunov: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, X, S, C: -2.0 * sym(_skew_lyapunov(S, skew(G)) @ transpose(X)),
        lambda G, X, S, C: _skew_lyapunov(S, skew(G)),
    ),
    jvps=(
        lambda E, X, S, C: -_skew_lyapunov(S, sym(E) @ X + X @ sym(E)),
        lambda E, X, S, C: _skew_lyapunov(S, skew(E)),
    ),
)(_skew_lyapunov_forward)
"""Solve S X + X S = C for skew C, where only sums of two different eigenvalues of S must not be zero."""


def eigh(A: Array) -> tuple[Array, Array]:
    """Eigenvalues (ascending) and eigenvectors of symmetric matrices, without a derivative rule."""
    if type(A) is np.ndarray and A.ndim == 2:
        routine: Any = lapack.dsyevd if A.dtype is _DOUBLE else lapack.ssyevd if A.dtype is _SINGLE else None
        if routine is not None:
            w, V, info = routine(A)
            if info == 0:
                return w, V
    return namespace(A).linalg.eigh(A)


def svd(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin singular value decomposition ``A = U diag(s) Vh`` of NumPy arrays."""
    if A.ndim == 2 and A.dtype is _DOUBLE:
        U, s, Vh, info = lapack.dgesdd(A, full_matrices=0)
        if info == 0:
            return U, s, Vh
    return np.linalg.svd(A, full_matrices=False)
