"""Correlation matrices of full rank."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy, namespace, transpose
from manifold_opt.linalg.small import cholesky
from manifold_opt.linalg.symmetric import sym
from manifold_opt.manifolds.arrays import cleared, default_atol
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.log_cholesky import CholeskyChart, mask
from manifold_opt.manifolds.positive_definite import PositiveDefinite, diagonal, gram, solved, whitened

__all__ = ["Correlation"]


class _Factor(NamedTuple):
    """The point, its Cholesky factor L, and the diagonal of L as a column."""

    p: Array
    L: Array
    d: Array


@dataclass(frozen=True, repr=False)
class Correlation(CholeskyChart, PositiveDefinite):
    """Correlation matrices of full rank: symmetric positive definite, with ones on the diagonal.

    A point is such an (n, n) matrix p, a tangent vector a symmetric (n, n) matrix with zeros on the diagonal.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 2.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2.

    Notes
    -----
    The Euclidean-Cholesky metric of Thanwerdas and Pennec: with ``p = L L'`` and ``d = diag(L)`` the matrix
    ``d^-1 L`` has ones on the diagonal, its strict lower triangle may be anything, and its entries are the chart in
    which the metric is Euclidean. Flat and complete: geodesics never end, and the mean of many matrices is that of
    their charts. Every operation is O(n^3), one Cholesky factorization.

    The metric depends on the order of the variables, as every chart by Cholesky factors does.

    References
    ----------
    Y. Thanwerdas, X. Pennec, Theoretically and computationally convenient geometries on full-rank correlation
    matrices, SIAM J. Matrix Anal. Appl. 43, 2022, section 4.
    """

    n: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n == 1:
            raise ValueError("n, the size of the matrices of Correlation, must be at least 2, but it is 1")

    @property
    def dim(self) -> int:
        """``n (n - 1) / 2``."""
        return self.n * (self.n - 1) // 2

    # ---------------- the chart

    def _factor(self, p: Array) -> _Factor:
        L = cholesky(p)
        return _Factor(p, L, diagonal(L)[..., None])

    def _from_increment(self, f: _Factor, N: Array) -> Array:
        n = diagonal(N)[..., None]
        return (f.L @ N - n * f.L) / (f.d * (1.0 + n)) * mask(N, "strict")

    def _from_factor(self, f: _Factor, K: Array) -> Array:
        return (K / diagonal(K)[..., None] - f.L / f.d) * mask(K, "strict")

    def _moved(self, f: _Factor, c: Array) -> Array:
        return _normalized(f.L / f.d + c)

    def _push(self, f: _Factor, X: Array) -> Array:
        S = whitened(f.L, X)
        W = f.L @ (S * mask(S, "half"))
        return (W - (diagonal(W)[..., None] / f.d) * f.L) / f.d * mask(W, "strict")

    def _pull(self, f: _Factor, c: Array) -> Array:
        S = _factor_along(f, c) @ transpose(f.L)
        return (S + transpose(S)) * mask(S, "others")

    def _push_adjoint(self, f: _Factor, c: Array) -> Array:
        """``sym(L^-T half(L' C) L^-1)`` off the diagonal, for the multiplier C of dL."""
        C = (c - f.L * mask(f.L, "diagonal") * _row_dot(c, f.L) / f.d**2) / f.d
        P = transpose(f.L) @ C
        P = solved(f.L, P * mask(P, "half"), adjoint=True)
        return sym(transpose(solved(f.L, transpose(P), adjoint=True))) * mask(P, "others")

    def _chart_gradient(self, f: _Factor, G: Array) -> Array:
        """Row by row: the gradient ``2 sym(G) L`` in L, less its part along the row of L, times d."""
        E = 2.0 * (sym(G) @ f.L) * mask(f.L, "lower")
        return (E - f.L * _row_dot(f.L, E)) * f.d * mask(f.L, "strict")

    def _chart_hessian(self, f: _Factor, G: Array, H: Array, X: Array) -> Array:
        """The derivative of the gradient above, with that of L along the vector, and ``-d^2 (L . c)`` as that of d."""
        c = self._push(f, X)
        W = _factor_along(f, c)
        low = mask(f.L, "lower")
        E = 2.0 * (sym(G) @ f.L) * low
        slope = 2.0 * (sym(H) @ f.L + sym(G) @ W) * low
        along = _row_dot(f.L, E)
        bend = slope - W * along - f.L * (_row_dot(W, E) + _row_dot(f.L, slope))
        bend = bend - (E - f.L * along) * (f.d * _row_dot(f.L, c))
        return bend * f.d * mask(f.L, "strict")

    def _to_vector(self, c: Array) -> Array:
        """The strict lower triangle row by row."""
        rows, columns = np.tril_indices(self.n, -1)
        return c[..., rows, columns]

    def _from_vector(self, c: Array) -> Array:
        xp = namespace(c)
        zero = xp.zeros((*c.shape[:-1], 1), dtype=c.dtype)
        return xp.concatenate([c, zero], axis=-1)[..., _places(self.n)]

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """That of positive definite matrices, scaled to ones on the diagonal."""
        q = super().project_point(z)
        root = namespace(q).sqrt(diagonal(q))
        return _with_ones(q / (root[..., :, None] * root[..., None, :]))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The symmetric part off the diagonal."""
        return sym(Z) * mask(p, "others")

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The symmetric part off the diagonal."""
        return sym(X) * mask(p, "others")

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: the symmetric matrices with ones on the diagonal are flat in the embedding."""
        return 0.0 * sym(V + X) * mask(p, "others")

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent normal coordinates of variance 1/n in the chart, whose center is the identity."""
        c = np.random.default_rng(rng).standard_normal((*size, self.dim)) / math.sqrt(self.n)
        return _normalized(np.eye(self.n) + self._from_vector(c))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite, symmetric and positive definite with ones on the diagonal."""
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(diagonal(p) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have ones on the diagonal to be a point of {self!r}, but an entry is off by {off:.3g} "
                f"(tolerance {atol:.3g}); M.project_point(p) scales rows and columns"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and symmetric with zeros on the diagonal."""
        super().check_vector(p, X, atol)
        X = cleared(X, "X", self.vector_shape, NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(diagonal(X)), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must have zeros on the diagonal to be tangent to {self!r}, but one entry is {off:.3g} (tolerance "
                f"{atol * size:.3g}); project it with M.project_vector(p, X)"
            )


def _row_dot(A: Array, B: Array) -> Array:
    """The dot products of rows, as a column."""
    if is_numpy(A, B):
        return np.einsum("...ij,...ij->...i", A, B)[..., None]
    return namespace(A, B).sum(A * B, axis=-1)[..., None]


def _factor_along(f: _Factor, c: Array) -> Array:
    """The derivative of L along the vector with the image c: each row less its part along the row of L, times d."""
    return (c - f.L * _row_dot(f.L, c)) * f.d


def _normalized(A: Array) -> Array:
    """The matrix of cosines between the rows."""
    return _with_ones(gram(A / namespace(A).sqrt(_row_dot(A, A))))


def _with_ones(q: Array) -> Array:
    return q * mask(q, "others") + mask(q, "diagonal")


@functools.lru_cache(maxsize=64)
def _places(n: int) -> np.ndarray:
    """Where the entries of a strict lower triangle stand in its vector; all others, behind its end."""
    place = np.full((n, n), n * (n - 1) // 2)
    place[np.tril_indices(n, -1)] = np.arange(n * (n - 1) // 2)
    return place
