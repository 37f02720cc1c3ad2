"""Symmetric positive definite matrices with the metric of their logarithms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from manifold_opt.linalg.increments import log_difference, log_slopes, mixed_difference
from manifold_opt.linalg.namespace import Array, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.small import eigh
from manifold_opt.linalg.symmetric import (
    SPECTRAL,
    second_derivative,
    smat,
    svec,
    sym,
    symmetric_derivative,
    symmetric_exp,
    symmetric_log,
    symmetric_second_derivative,
    triples,
)
from manifold_opt.manifolds.arrays import expanded, frobenius, written
from manifold_opt.manifolds.base import safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.flat_chart import FlatChart
from manifold_opt.manifolds.positive_definite import gram
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite

__all__ = ["LogEuclidean"]


class _Factor(NamedTuple):
    """The point; on arrays its eigenvalues, eigenvectors and the slopes ``log[w_i, w_j]``, elsewhere its logarithm."""

    p: Array
    w: Array = None
    V: Array = None
    slopes: Array = None
    S: Array = None


class LogEuclidean(FlatChart, SymmetricPositiveDefinite):
    """`SymmetricPositiveDefinite` with the metric ``"log-euclidean"``: the chart is the matrix logarithm.

    The derivative of the logarithm multiplies by divided differences in the basis of the eigenvectors of p (Daleckii
    and Krein), and differences of logarithms are taken by divided differences too, so close points and equal
    eigenvalues lose nothing.

    References
    ----------
    V. Arsigny, P. Fillard, X. Pennec, N. Ayache, Geometric means in a novel vector space structure on symmetric
    positive-definite matrices, SIAM J. Matrix Anal. Appl. 29, 2007.
    """

    # On arrays products, distances and geodesics stay in the basis of the eigenvectors of p.

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``<Dlog_p X, Dlog_p Y>``."""
        if not is_numpy(p, X, Y):
            return super().inner(p, X, Y)
        f = self._factor(p)
        A = f.slopes * (transpose(f.V) @ X @ f.V)
        B = A if Y is X else f.slopes * (transpose(f.V) @ Y @ f.V)
        return float(np.vdot(A, B)) if A.ndim == 2 == B.ndim else frobenius(np, A, B, 2)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """``|log q - log p|``."""
        if not is_numpy(p, q):
            D = log_difference(p, q)
            return safe_sqrt_of(frobenius(namespace(D), D, D, 2))
        (w, V), (u, U) = eigh(p), eigh(q)
        D = mixed_difference(log_slopes(w, u), V, q - p, U)
        return math.sqrt(np.vdot(D, D)) if D.ndim == 2 else np.sqrt(frobenius(np, D, D, 2))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``Exp(log p + t Dlog_p X)``."""
        if not is_numpy(p, X):
            return super().exp(p, X, t, out=out)
        f = self._factor(p)
        S = expanded(t, 2) * (f.slopes * (transpose(f.V) @ X @ f.V))
        np.einsum("...ii->...i", S)[...] += np.log(f.w)
        m, U = eigh(S)
        return written(gram((f.V @ U) * np.exp(0.5 * m)[..., None, :]), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``Dexp_(log p)[log q - log p]``."""
        if not is_numpy(p, q):
            return super().log(p, q, out=out)
        f, (u, U) = self._factor(p), eigh(q)
        D = mixed_difference(log_slopes(f.w, u), f.V, q - f.p, U) @ (transpose(U) @ f.V)
        return written(sym(f.V @ (D / f.slopes) @ transpose(f.V)), out)

    def _factor(self, p: Array) -> _Factor:
        if type(p) is not np.ndarray:
            return _Factor(p, S=symmetric_log(p))
        w, V = eigh(p)
        return _Factor(p, w, V, log_slopes(w, w))

    def _difference(self, f: _Factor, q: Array) -> Array:
        if f.w is None or type(q) is not np.ndarray:
            return log_difference(f.p, q)
        u, U = eigh(q)
        return sym(f.V @ mixed_difference(log_slopes(f.w, u), f.V, q - f.p, U) @ transpose(U))

    def _moved(self, f: _Factor, c: Array) -> Array:
        if f.w is None or type(c) is not np.ndarray:
            A = symmetric_exp(0.5 * ((symmetric_log(f.p) if f.S is None else f.S) + c))
            return gram(A)
        S = (f.V * np.log(f.w)[..., None, :]) @ transpose(f.V)
        m, U = eigh(sym(S) + c)
        return gram(U * np.exp(0.5 * m)[..., None, :])

    def _push(self, f: _Factor, X: Array) -> Array:
        if f.w is None or type(X) is not np.ndarray:
            return symmetric_derivative(*broadcast_batch(2, f.p, sym(X)), name="log")
        return sym(f.V @ (f.slopes * (transpose(f.V) @ X @ f.V)) @ transpose(f.V))

    def _pull(self, f: _Factor, c: Array) -> Array:
        if f.w is None or type(c) is not np.ndarray:
            S = symmetric_log(f.p) if f.S is None else f.S
            return symmetric_derivative(*broadcast_batch(2, S, sym(c)), name="exp")
        return sym(f.V @ ((transpose(f.V) @ c @ f.V) / f.slopes) @ transpose(f.V))

    # both derivatives are self-adjoint

    def _push_adjoint(self, f: _Factor, c: Array) -> Array:
        return self._push(f, c)

    def _chart_gradient(self, f: _Factor, G: Array) -> Array:
        return self._pull(f, sym(G))

    def _chart_hessian(self, f: _Factor, G: Array, H: Array, X: Array) -> Array:
        """``Dexp[H] + D^2 exp[push(X), G]``: tr(G D^2 exp[E, F]) is symmetric in E, F and G."""
        E = self._push(f, X)
        if f.w is None or any(type(a) is not np.ndarray for a in (G, H, X)):
            S = symmetric_log(f.p) if f.S is None else f.S
            bend = symmetric_second_derivative(*broadcast_batch(2, S, E, sym(G)), name="exp")
        else:
            psi = SPECTRAL["exp"].second(np, *triples(np.log(f.w)))
            bend = second_derivative(f.V, psi, E, sym(G))
        return self._pull(f, sym(H)) + bend

    def _to_vector(self, c: Array) -> Array:
        return svec(c)

    def _from_vector(self, c: Array) -> Array:
        return smat(c)
