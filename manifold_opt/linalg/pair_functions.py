"""Functions of the operator ``X -> A X + X A`` for Hermitian A, with their derivatives.

In the basis of the eigenvectors of A = V diag(w) V^H the operator multiplies the entry (i, j) by w_i + w_j, so a
function f of it multiplies by f(w_i + w_j). The derivative in A follows Daleckii and Krein in the product basis:
between (i, j) and (k, j) stands the divided difference f[w_i + w_j, w_k + w_j].

References
----------
N. J. Higham, Functions of Matrices, SIAM 2008, sections 3.2 and B.13.
"""

from __future__ import annotations

from collections.abc import Callable

from manifold_opt.linalg.frames import hermitian
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace
from manifold_opt.linalg.rules import differentiable, pulled
from manifold_opt.linalg.small import eigh
from manifold_opt.linalg.symmetric import SPECTRAL, triples

__all__ = ["pair_function"]


def _forward(A: Array, X: Array, *, name: str) -> Array:
    w, V = eigh(A)
    g = SPECTRAL[name].value(namespace(w), w[..., :, None] + w[..., None, :])
    W = adjoint(V)
    return V @ (g * (W @ X @ V)) @ W


def _along(E: Array, value: Array, A: Array, X: Array, name: str) -> Array:
    xp = namespace(A, X, E)
    w, V = xp.linalg.eigh(A)
    W = adjoint(V)
    E, X = W @ hermitian(E) @ V, W @ X @ V
    i, k, j = triples(w)
    first = SPECTRAL[name].first
    left = xp.einsum("...ikj,...ik,...kj->...ij", first(xp, i + j, k + j), E, X)
    right = xp.einsum("...ikj,...ik,...kj->...ij", first(xp, i + k, i + j), X, E)
    return V @ (left + right) @ W


def _back(G: Array, value: Array, A: Array, X: Array, name: str) -> Array:
    """The adjoint of `_along` in E."""
    xp = namespace(A, X, G)
    w, V = xp.linalg.eigh(A)
    W = adjoint(V)
    G, X = W @ G @ V, xp.conj(W @ X @ V)
    i, k, j = triples(w)
    first = SPECTRAL[name].first
    left = xp.einsum("...ikj,...ij,...kj->...ik", first(xp, i + j, k + j), G, X)
    right = xp.einsum("...ikj,...ij,...ik->...kj", first(xp, i + k, i + j), G, X)
    return hermitian(V @ (left + right) @ W)


_pair_function: Callable[..., Array] = differentiable(
    vjps=(pulled(_back), pulled(lambda G, value, A, X, name: _pair_function(A, G, name=name))),
    jvps=(_along, lambda E, value, A, X, name: _pair_function(A, E, name=name)),
)(_forward)


def pair_function(A: Array, X: Array, *, name: str) -> Array:
    """``V (f(w_i + w_j) * (V^H X V)) V^H`` for Hermitian A = V diag(w) V^H and a function f named in ``SPECTRAL``.

    ``"inverse"`` solves the Lyapunov equation ``A Y + Y A = X``, ``"sqrt"`` and ``"rsqrt"`` are the square root of the
    operator and the inverse of that.
    """
    if is_numpy(A, X):
        return _forward(A, X, name=name)
    return _pair_function(*broadcast_batch(2, hermitian(A), X), name=name)
