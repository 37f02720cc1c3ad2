"""Frames: matrices with orthonormal columns, real or complex, and the equations that belong to them.

Everything is batched over leading axes, differentiable, and takes complex matrices where the older functions of
this package take real ones. Adjoints of real-linear maps of complex matrices are with respect to ``Re tr(G^H E)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, namespace, transpose
from manifold_opt.linalg.rules import differentiable, pulled
from manifold_opt.linalg.small import solve
from manifold_opt.linalg.symmetric import (
    SPECTRAL,
    first_derivative,
    from_eigenvectors,
    pairs,
    second_derivative,
    triples,
)

__all__ = [
    "antihermitian",
    "frame_polar",
    "frame_qf",
    "general_sylvester",
    "hermitian",
    "hermitian_exp",
    "hermitian_inverse_sqrt",
    "hermitian_log1p",
    "hermitian_sqrt",
    "matrix_exp",
    "orthonormalize_frame",
    "solve_batch",
    "unitary_exp",
]


def hermitian(A: Array) -> Array:
    """Hermitian part (A + A^H) / 2 over the last two axes."""
    return 0.5 * (A + adjoint(A))


def antihermitian(A: Array) -> Array:
    """Skew-Hermitian part (A - A^H) / 2 over the last two axes."""
    return 0.5 * (A - adjoint(A))


def solve_batch(A: Array, B: Array) -> Array:
    """Solve A X = B for matrices B whose batch axes may differ from those of A."""
    return solve(*broadcast_batch(2, A, B))


def orthonormalize_frame(A: Array) -> Array:
    """One Newton-Schulz step A (3I - A^H A) / 2 towards the polar factor: squares an error that is small.

    References
    ----------
    N. J. Higham, Functions of Matrices, SIAM 2008, (8.20).
    """
    xp = namespace(A)
    return A + 0.5 * (A @ (xp.eye(A.shape[-1], dtype=A.dtype) - adjoint(A) @ A))


# ------------------------------------------------------------------------------------------------------------
# Functions of Hermitian matrices. They are holomorphic, so their derivative is complex linear and its transpose is
# the function itself on transposes.
def _second(A: Array, E: Array, H: Array, *, name: str) -> Array:
    xp = namespace(A, E, H)
    w, V = xp.linalg.eigh(A)
    return second_derivative(V, SPECTRAL[name].second(xp, *triples(w)), E, H)


def _first_forward(A: Array, E: Array, *, name: str) -> Array:
    xp = namespace(A, E)
    w, V = xp.linalg.eigh(A)
    return first_derivative(V, SPECTRAL[name].first(xp, *pairs(w)), E)


_first: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, A, E, name: transpose(_second(A, transpose(G), E, name=name)),
        lambda G, value, A, E, name: transpose(_first(A, transpose(G), name=name)),
    ),
    jvps=(
        lambda H, value, A, E, name: _second(A, E, H, name=name),
        lambda H, value, A, E, name: _first(A, H, name=name),
    ),
)(_first_forward)


def _function_forward(A: Array, *, name: str) -> Array:
    xp = namespace(A)
    w, V = xp.linalg.eigh(A)
    return from_eigenvectors(V, SPECTRAL[name].value(xp, w))


_function = differentiable(
    vjps=(lambda G, value, A, name: transpose(_first(A, transpose(G), name=name)),),
    jvps=(lambda E, value, A, name: _first(A, E, name=name),),
)(_function_forward)


def hermitian_inverse_sqrt(A: Array) -> Array:
    """Inverse matrix square root of the Hermitian part of A, which must be positive definite."""
    return _function(hermitian(A), name="rsqrt")


def hermitian_exp(A: Array) -> Array:
    """Matrix exponential of the Hermitian part of A."""
    return _function(hermitian(A), name="exp")


def hermitian_log1p(A: Array) -> Array:
    """Matrix logarithm of I + A for the Hermitian part of A, accurate relative to itself for small A."""
    return _function(hermitian(A), name="log1p")


def hermitian_sqrt(A: Array) -> Array:
    """Matrix square root of the Hermitian part of A, which must be positive definite."""
    return _function(hermitian(A), name="sqrt")


def unitary_exp(A: Array) -> Array:
    """Unitary exponential of the skew-Hermitian part of A; orthogonal where A is real."""
    U = _function(-1j * antihermitian(A), name="expi")
    return U if "complex" in str(A.dtype) else namespace(A).real(U)


# ------------------------------------------------------------------------------------------------------------
def _matrix_exp_forward(M: Array) -> Array:
    xp = namespace(M)
    if xp is np:
        from scipy.linalg import expm

        return expm(M).astype(M.dtype, copy=False)
    if xp.__name__ == "jax.numpy":
        from jax.scipy.linalg import expm

        return expm(M)
    return xp.linalg.matrix_exp(M)


def _blocks(A: Array, B: Array, D: Array) -> Array:
    """``[[A, B], [0, D]]``."""
    A, B, D = broadcast_batch(2, A, B, D)
    xp = namespace(A, B, D)
    top, low = xp.concatenate([A, B], axis=-1), xp.concatenate([0.0 * B, D], axis=-1)
    return xp.concatenate([top, low], axis=-2)


def _along_forward(M: Array, E: Array) -> Array:
    """The derivative of the exponential: the upper right block of the exponential of ``[[M, E], [0, M]]``.

    N. J. Higham, Functions of Matrices, SIAM 2008, theorem 3.6.
    """
    k = M.shape[-1]
    return _matrix_exp_forward(_blocks(M, E, M))[..., :k, k:]


def _along_twice(M: Array, E: Array, H: Array) -> Array:
    """The second derivative along E and H, by the same theorem for the blocks."""
    k = M.shape[-1]
    return _exp_along(_blocks(M, H, M), _blocks(E, 0.0 * E, E))[..., :k, k:]


_along: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, M, E: _along_twice(transpose(M), transpose(E), G),
        lambda G, value, M, E: _exp_along(transpose(M), G),
    ),
    jvps=(lambda H, value, M, E: _along_twice(M, E, H), lambda H, value, M, E: _exp_along(M, H)),
)(_along_forward)


def _exp_along(M: Array, E: Array) -> Array:
    return _along(*broadcast_batch(2, M, E))


_matrix_exp = differentiable(
    vjps=(lambda G, value, M: _exp_along(transpose(M), G),),
    jvps=(lambda E, value, M: _exp_along(M, E),),
)(_matrix_exp_forward)


def matrix_exp(M: Array) -> Array:
    """Exponential of any square matrices, by scaling and squaring, with derivatives of every order."""
    return _matrix_exp(M)


# ------------------------------------------------------------------------------------------------------------
def _polar_forward(A: Array) -> Array:
    U, _, W = namespace(A).linalg.svd(A, full_matrices=False)
    return U @ W


def _polar_tangent(E: Array, Q: Array, A: Array) -> Array:
    """From Q^H dQ = Omega with S Omega + Omega S = Q^H E - E^H Q and (I - QQ^H) dQ = (I - QQ^H) E S^-1, S = Q^H A."""
    W = adjoint(Q) @ E
    S = hermitian(adjoint(Q) @ A)
    return Q @ general_sylvester(S, S, W - adjoint(W)) + adjoint(solve(S, adjoint(E - Q @ W)))


_polar = differentiable(
    # the map is self-adjoint: M = Q^H G enters where W = Q^H E does
    vjps=(pulled(_polar_tangent),),
    jvps=(_polar_tangent,),
)(_polar_forward)


def frame_polar(A: Array) -> Array:
    """Nearest frames: the factor Q of A = Q S, S Hermitian positive definite, by the singular value decomposition."""
    return _polar(A)


# ------------------------------------------------------------------------------------------------------------
def _tril(A: Array, k: int) -> Array:
    xp = namespace(A)
    return A * xp.asarray(np.tri(A.shape[-2], A.shape[-1], k), dtype=A.dtype)


def _unsigned(xp: Any, d: Array) -> Array:
    """Phases of numbers, 1 where they are zero."""
    zero = d == 0
    one = xp.ones_like(d)
    safe = xp.where(zero, one, d)
    return safe / abs(safe)


def _qf_forward(A: Array) -> Array:
    xp = namespace(A)
    Q, R = xp.linalg.qr(A)
    return Q * _unsigned(xp, xp.einsum("...ii->...i", R))[..., None, :]


def frame_turn(W: Array) -> Array:
    """The skew-Hermitian Omega with W - Omega upper triangular with a real diagonal."""
    below = _tril(W, -1)
    turn = below - adjoint(below)
    if "complex" in str(W.dtype):
        middle = _tril(W, 0) - below
        turn = turn + 0.5 * (middle - adjoint(middle))
    return turn


def _qf_vjp(G: Array, Q: Array, A: Array) -> Array:
    M = adjoint(Q) @ G
    R = adjoint(Q) @ A
    half = _tril(M - adjoint(M), -1)
    if "complex" in str(M.dtype):
        middle = _tril(M, 0) - _tril(M, -1)
        half = half + 0.5 * (middle - adjoint(middle))
    return adjoint(solve(R, adjoint(Q @ (half - M) + G)))


def _qf_jvp(E: Array, Q: Array, A: Array) -> Array:
    F = transpose(solve(transpose(adjoint(Q) @ A), transpose(E)))
    W = adjoint(Q) @ F
    return Q @ (frame_turn(W) - W) + F


_qf = differentiable(vjps=(pulled(_qf_vjp),), jvps=(_qf_jvp,))(_qf_forward)


def frame_qf(A: Array) -> Array:
    """Orthonormal factor of the QR decomposition with a positive diagonal of R (unique at full rank)."""
    return _qf(A)


# ------------------------------------------------------------------------------------------------------------
# Up to this size the k^2 equations are solved as they stand; above, by the sign iteration in O(k^3).
_DIRECT = 6


def _general_forward(A: Array, B: Array, C: Array) -> Array:
    xp = namespace(A, B, C)
    m, n = C.shape[-2:]
    if xp is np and max(m, n) > _DIRECT:
        X = _sign_iteration(A, B, C)
        return X + _sign_iteration(A, B, C - A @ X - X @ B)
    I, J = xp.eye(m, dtype=A.dtype), xp.eye(n, dtype=B.dtype)
    left = A[..., :, None, :, None] * J[:, None, :]
    right = I[:, None, :, None] * transpose(B)[..., None, :, None, :]
    whole = (left + right).reshape((*C.shape[:-2], m * n, m * n))
    return xp.linalg.solve(whole, C.reshape((*C.shape[:-2], m * n, 1))).reshape(C.shape)


def _sign_iteration(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Newton's iteration for the sign of ``[[A, -C], [0, -B]]``, whose upper right block is -2 X.

    J. D. Roberts, Linear model reduction and solution of the algebraic Riccati equation by use of the sign
    function, Int. J. Control 32, 1980.
    """
    same = A is B
    for _ in range(60):
        a = np.linalg.inv(A)
        b = a if same else np.linalg.inv(B)
        C = 0.5 * (C + a @ C @ b)
        change = np.max(np.abs(A - a), initial=0.0)
        A = 0.5 * (A + a)
        B = A if same else 0.5 * (B + b)
        if not change > 1e-8:  # the next change is its square
            break
    return 0.5 * C


_general: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, X, A, B, C: -_general(transpose(A), transpose(B), G) @ transpose(X),
        lambda G, X, A, B, C: -transpose(X) @ _general(transpose(A), transpose(B), G),
        lambda G, X, A, B, C: _general(transpose(A), transpose(B), G),
    ),
    jvps=(
        lambda E, X, A, B, C: -_general(A, B, E @ X),
        lambda E, X, A, B, C: -_general(A, B, X @ E),
        lambda E, X, A, B, C: _general(A, B, E),
    ),
)(_general_forward)


def general_sylvester(A: Array, B: Array, C: Array) -> Array:
    """Solve A X + X B = C for A and B whose eigenvalues have positive real parts."""
    same = A is B
    A, B, C = broadcast_batch(2, A, B, C)
    return _general(A, A if same else B, C)
