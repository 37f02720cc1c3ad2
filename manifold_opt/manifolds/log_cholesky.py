"""Symmetric positive definite matrices with the metric of their Cholesky factors, diagonals on a logarithmic scale."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from manifold_opt.linalg.increments import cholesky_increment
from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.small import cholesky
from manifold_opt.linalg.symmetric import sym
from manifold_opt.manifolds.flat_chart import FlatChart
from manifold_opt.manifolds.positive_definite import gram, solved, whitened
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite

__all__ = ["CholeskyChart", "LogCholesky", "mask"]


# Entries of ``L^-1 (q - p) L^-T`` beyond which the difference of two Cholesky factors has digits enough.
_FAR = 0.5


class CholeskyChart(FlatChart):
    """A flat chart of positive definite matrices by Cholesky factors; a subclass gives its difference in two ways."""

    @abstractmethod
    def _from_increment(self, f: Any, N: Array) -> Array:
        """The difference in the chart of ``L (I + N)`` and L."""

    @abstractmethod
    def _from_factor(self, f: Any, K: Array) -> Array:
        """The difference in the chart of the Cholesky factors K and L of arrays."""

    def _difference(self, f: Any, q: Array) -> Array:
        """By the increment of the Cholesky factor, on arrays only where it is small."""
        W = whitened(f.L, q - f.p)
        if type(W) is not np.ndarray:
            return self._from_increment(f, cholesky_increment(W))
        if W.ndim == 2:
            if max(W.max(), -W.min()) > _FAR:
                return self._from_factor(f, cholesky(q))
            return self._from_increment(f, cholesky_increment(W))
        far = np.abs(W).max(axis=(-2, -1), keepdims=True) > _FAR
        near = self._from_increment(f, cholesky_increment(np.where(far, 0 * W, W)))
        return np.where(far, self._from_factor(f, cholesky(q)), near) if far.any() else near


class _Factor(NamedTuple):
    """The point, its Cholesky factor L, and the matrix with the diagonal of L and ones below."""

    p: Array
    L: Array
    D: Array


class LogCholesky(CholeskyChart, SymmetricPositiveDefinite):
    """`SymmetricPositiveDefinite` with the metric ``"log-cholesky"``.

    The chart takes ``p = L L'`` to the strict lower triangle of L and the logarithms of its diagonal. Its derivative
    goes through ``dL = L half(L^-1 X L^-T)``, half the lower triangle with half of the diagonal; the difference of two
    Cholesky factors is found from the difference of the points.

    References
    ----------
    Z. Lin, Riemannian geometry of symmetric positive definite matrices via Cholesky decomposition, SIAM J. Matrix
    Anal. Appl. 40, 2019.
    """

    def _factor(self, p: Array) -> _Factor:
        L = cholesky(p)
        return _Factor(p, L, L * mask(L, "diagonal") + mask(L, "others"))

    def _from_increment(self, f: _Factor, N: Array) -> Array:
        return (f.L @ N) * mask(N, "strict") + namespace(N).log1p(N * mask(N, "diagonal"))

    def _from_factor(self, f: _Factor, K: Array) -> Array:
        middle = mask(K, "diagonal")
        return (K - f.L) * mask(K, "strict") + np.log(K * middle / f.D + (1 - middle)) * middle

    def _moved(self, f: _Factor, c: Array) -> Array:
        middle = mask(f.L, "diagonal")
        return gram((f.L + c) * mask(f.L, "strict") + f.L * middle * namespace(f.L, c).exp(c * middle))

    def _push(self, f: _Factor, X: Array) -> Array:
        S = whitened(f.L, X)
        return (f.L @ (S * mask(S, "half"))) / f.D

    def _pull(self, f: _Factor, c: Array) -> Array:
        S = (c * f.D) @ transpose(f.L)
        return S + transpose(S)

    def _push_adjoint(self, f: _Factor, c: Array) -> Array:
        """``sym(L^-T half(L' C) L^-1)`` for the multiplier C of dL."""
        P = transpose(f.L) @ (c / f.D)
        P = solved(f.L, P * mask(P, "half"), adjoint=True)
        return sym(transpose(solved(f.L, transpose(P), adjoint=True)))

    def _chart_gradient(self, f: _Factor, G: Array) -> Array:
        """The gradient ``2 sym(G) L`` in L; on the diagonal L_ii times that."""
        return 2.0 * (sym(G) @ f.L) * f.D * mask(f.L, "lower")

    def _chart_hessian(self, f: _Factor, G: Array, H: Array, X: Array) -> Array:
        W = self._push(f, X) * f.D
        G = 2.0 * sym(G)
        slope = (2.0 * (sym(H) @ f.L) + G @ W) * f.D * mask(f.L, "lower")
        return slope + (G @ f.L) * W * mask(f.L, "diagonal")

    def _to_vector(self, c: Array) -> Array:
        """The diagonal, then the strict lower triangle row by row."""
        rows, columns = _lower_places(self.n)
        return c[..., rows, columns]

    def _from_vector(self, c: Array) -> Array:
        xp = namespace(c)
        zero = xp.zeros((*c.shape[:-1], 1), dtype=c.dtype)
        return xp.concatenate([c, zero], axis=-1)[..., _vector_places(self.n)]


# ---------------- triangles


@functools.lru_cache(maxsize=256)
def _mask(n: int, kind: str, dtype: str) -> np.ndarray:
    lower, strict = np.tri(n), np.tri(n, k=-1)
    mask = {
        "lower": lower,
        "strict": strict,
        "half": 0.5 * (lower + strict),
        "diagonal": lower - strict,
        "others": 1.0 - lower + strict,
    }[kind].astype(dtype)
    return mask


def mask(A: Array, kind: str) -> Array:
    """Ones where a part of a square matrix is (halves on the diagonal of ``"half"``), in the library of A."""
    if type(A) is np.ndarray:
        return _mask(A.shape[-1], kind, A.dtype.char)
    return namespace(A).asarray(_mask(A.shape[-1], kind, "d"), dtype=A.dtype)


@functools.lru_cache(maxsize=64)
def _lower_places(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the diagonal, then of the strict lower triangle row by row."""
    rows, columns = np.tril_indices(n, -1)
    return np.concatenate((np.arange(n), rows)), np.concatenate((np.arange(n), columns))


@functools.lru_cache(maxsize=64)
def _vector_places(n: int) -> np.ndarray:
    """Where the entries of a lower triangular matrix stand in its vector; above the diagonal, behind its end."""
    place = np.full((n, n), n * (n + 1) // 2)
    place[_lower_places(n)] = np.arange(n * (n + 1) // 2)
    return place
