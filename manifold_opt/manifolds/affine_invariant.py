"""Positive definite matrices, real or complex, with the affine-invariant metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg import lapack
from manifold_opt.linalg.frames import hermitian, hermitian_exp, hermitian_log1p, hermitian_sqrt
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace
from manifold_opt.linalg.small import cholesky, solve_triangular
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.positive_definite import PositiveDefinite, gram, solved, whitened
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite

__all__ = ["AffineInvariant", "AffineInvariantGeometry", "HermitianPositiveDefinite", "log_spectrum"]

_DOUBLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


class AffineInvariantGeometry(PositiveDefinite):
    """The metric ``tr(p^-1 X p^-1 Y)`` and all that follows from it.

    Notes
    -----
    All formulas go through the Cholesky factor L of p and an eigendecomposition of ``L^-1 X L^-H``, O(n^3),
    never through square roots and inverses of p, which lose half of the digits of an ill-conditioned p.
    ``log`` and ``distance`` decompose ``L^-1 (q - p) L^-H``, which keeps the digits of close points, and far
    apart take the singular values of ``L^-1 L_q``.

    The space is complete and of nonpositive curvature: geodesics are unique and there is no cut locus.

    References
    ----------
    R. Bhatia, Positive Definite Matrices, Princeton, 2007, chapter 6.
    X. Pennec, P. Fillard, N. Ayache, A Riemannian framework for tensor computing, IJCV 66, 2006, section 3.
    """

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize riemannian_gradient riemannian_hessian euclidean_representer
        weingarten random_point check_point check_vector injectivity_radius injectivity_radius_at
        sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "taylor": "_retract_taylor"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "taylor": "_inverse_retract_taylor",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    @property
    def injectivity_radius(self) -> float:
        """Infinite: a Hadamard manifold."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Between -1/2 and 0; SPD(2) already contains a hyperbolic plane of curvature -1/2.

        References
        ----------
        C. Criscitiello, N. Boumal, An accelerated first-order method for non-convex optimization on
        manifolds, 2020.
        """
        return (-0.5, 0.0) if self.n > 1 else (0.0, 0.0)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """Infinite; for the Taylor retraction log 2, as its inverse needs eigenvalues of ``p^-1 q`` above 1/2."""
        return math.log(2.0) if retraction == "taylor" else math.inf

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(p^-1 X p^-1 Y)`` as the product of ``L^-1 X L^-H`` and ``L^-1 Y L^-H``."""
        L = cholesky(p)
        A = whitened(L, X)
        B = A if Y is X else whitened(L, Y)
        if type(A) is np.ndarray and type(B) is np.ndarray and A.ndim == 2 == B.ndim:
            return float(np.vdot(A, B).real)
        return scalar(frobenius(namespace(A, B), A, B, 2))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The norm of the logarithms of the eigenvalues of ``p^-1 q``."""
        if type(p) is np.ndarray and type(q) is np.ndarray:
            logarithms = log_spectrum(p, q, vectors=False)[1]
            if logarithms.ndim == 1:
                return math.sqrt(logarithms.dot(logarithms))
            return scalar(np.sqrt(np.einsum("...i,...i->...", logarithms, logarithms)))
        S = hermitian_log1p(whitened(cholesky(p), q - p))
        return safe_sqrt_of(frobenius(namespace(S), S, S, 2))

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``A A^H`` for ``A = L V exp(t w / 2)`` and the eigendecomposition ``L^-1 X L^-H = V diag(w) V^H``."""
        if type(p) is np.ndarray and type(X) is np.ndarray:
            L, w, V = _spectrum(p, X)
            A = _product(L, V)
            # not in place: an array of times at one point has more axes than A
            root = np.exp((0.5 * t if type(t) is float else 0.5 * expanded(t, 1)) * w)
            q = gram(A * (root if root.ndim == 1 else root[..., None, :]))
            return q if out is None else written(q, out)
        L = cholesky(p)
        A = L @ hermitian_exp(whitened(L, expanded(0.5 * t, 2) * X))
        return written(hermitian(A @ adjoint(A)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``L V diag(log w) V^H L^H`` for the eigendecomposition ``L^-1 q L^-H = V diag(w) V^H``."""
        if type(p) is np.ndarray and type(q) is np.ndarray:
            L, logarithms, V = log_spectrum(p, q)
            X = _congruence(_product(L, V), logarithms)
            return X if out is None else written(X, out)
        L = cholesky(p)
        return written(hermitian(L @ hermitian_log1p(whitened(L, q - p)) @ adjoint(L)), out)

    # ---------------- retractions

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or the Taylor retraction; see `Manifold.retract`."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_taylor(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + tX + t^2/2 X p^-1 X``, the exponential to second order, positive definite for every X.

        References
        ----------
        B. Jeuris, R. Vandebril, B. Vandereycken, A survey and comparison of contemporary algorithms for
        computing the matrix geometric mean, ETNA 39, 2012.
        """
        tX = expanded(t, 2) * X
        W = solved(cholesky(p), tX)
        return written(hermitian(p + tX + 0.5 * (adjoint(W) @ W)), out)

    def _inverse_retract_taylor(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``L ((I + 2E)^(1/2) - I) L^H`` for ``E = L^-1 (q - p) L^-H``."""
        if is_numpy(p, q):
            L, w, V = _spectrum(p, q - p)
            if not np.all(w > -0.5):
                raise ValueError(
                    "inverse_retract(method='taylor') on positive definite matrices needs eigenvalues of inv(p) q "
                    f"above 1/2, but one is {1.0 + np.min(w):.3g}; use M.log(p, q), which reaches every q"
                )
            return written(_congruence(_product(L, V), 2.0 * w / (1.0 + np.sqrt(1.0 + 2.0 * w))), out)
        L = cholesky(p)
        eye = namespace(L).eye(self.n, dtype=L.dtype)
        return written(hermitian(L @ (hermitian_sqrt(eye + 2.0 * whitened(L, q - p)) - eye) @ adjoint(L)), out)

    # ---------------- transports

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``E X E^H`` with ``E = (q p^-1)^(1/2)``."""
        if is_numpy(p, X, q):
            L, logarithms, V = log_spectrum(p, q)
            return written(_carried(L, X, V, np.exp(0.5 * logarithms)), out)
        L = cholesky(p)
        R = L @ hermitian_sqrt(whitened(L, q))
        return written(hermitian(R @ whitened(L, X) @ adjoint(R)), out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``E X E^H`` with ``E = expm(d p^-1 / 2)``, from the factors of the exponential."""
        if is_numpy(p, X, d):
            L, w, V = _spectrum(p, d)
            return written(_carried(L, X, V, np.exp(0.5 * w)), out)
        L = cholesky(p)
        R = L @ hermitian_exp(0.5 * whitened(L, d))
        return written(hermitian(R @ whitened(L, X) @ adjoint(R)), out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Diagonal and sqrt(2) times lower triangle of ``L^-1 X L^-H``: O(n^3)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(self._coordinates(whitened(cholesky(p), X)), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``L S L^H`` for the symmetric matrix S with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        L = cholesky(p)
        return written(hermitian(L @ self._matrix(c) @ adjoint(L)), out)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``p sym(G) p``, with the symmetric or Hermitian part."""
        return hermitian(p @ G @ p)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``p sym(H) p + sym(X sym(G) p)``, with symmetric or Hermitian parts."""
        return hermitian((p @ H + 0.5 * (X @ G)) @ p + 0.5 * (p @ G @ X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``p^-1 X p^-1``."""
        L = cholesky(p)
        S = solved(L, adjoint(solved(L, whitened(L, X), adjoint=True)), adjoint=True)
        return hermitian(S)


class AffineInvariant(AffineInvariantGeometry, SymmetricPositiveDefinite):
    """`SymmetricPositiveDefinite` with the metric ``"affine-invariant"``."""


@dataclass(frozen=True, repr=False)
class HermitianPositiveDefinite(AffineInvariantGeometry):
    """The Hermitian positive definite matrices with the affine-invariant metric ``tr(p^-1 X p^-1 Y)``.

    A point is a complex Hermitian (n, n) matrix p with positive eigenvalues, a tangent vector any Hermitian
    (n, n) matrix. For every invertible complex A the map ``p -> A p A^H`` is an isometry; inversion is one too.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 1.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    The formulas, their accuracy and their cost are those of `SymmetricPositiveDefinite` with its default metric.
    Coordinates are those of `Hermitian`, of ``L^-1 X L^-H`` for the Cholesky factor L of p.

    References
    ----------
    R. Bhatia, Positive Definite Matrices, Princeton, 2007, chapter 6.
    """

    n: int

    field = "complex"


def _spectrum(p: np.ndarray, X: np.ndarray, vectors: bool = True) -> tuple[Any, Any, Any]:
    """The Cholesky factor L of p, and eigenvalues and eigenvectors of ``L^-1 X L^-H``."""
    if p.ndim == 2 == X.ndim and p.dtype is _DOUBLE and X.dtype is _DOUBLE:
        L, info = lapack.dpotrf(p, 1)
        if info == 0:
            w, V, info = lapack.dsyevd(lapack.dsygst(X, L, lower=1)[0], vectors, 1)
        if info == 0:
            return L, w, V
    elif p.ndim == 2 == X.ndim and p.dtype is _COMPLEX and X.dtype is _COMPLEX:
        L, info = lapack.zpotrf(p, 1)
        if info == 0:
            w, V, info = lapack.zheevd(lapack.zhegst(X, L, lower=1)[0], vectors, 1)
        if info == 0:
            return L, w, V
    L = cholesky(p)
    S = whitened(L, X)
    return (L, *np.linalg.eigh(S)) if vectors else (L, np.linalg.eigvalsh(S), None)


def log_spectrum(p: np.ndarray, q: np.ndarray, vectors: bool = True) -> tuple[Any, Any, Any]:
    """The Cholesky factor L of p, and logarithms of eigenvalues, and eigenvectors, of ``L^-1 q L^-H``.

    The eigenvalues of ``L^-1 (q - p) L^-H`` have an error of eps times the largest of them (or of 1). Where a
    ratio of more than 50 makes too much of that, squares of singular values of ``L^-1 L_q`` replace them,
    whose error is eps times the root of the ratio.
    """
    L, mu, V = _spectrum(p, q - p, vectors)
    if mu.ndim == 1:
        low, high = float(mu[0]), float(mu[-1])
        if 50.0 * (1.0 + low) > (1.0 + high if high > 0.0 else 1.0):
            return L, np.log1p(mu), V
        U, logarithms = _singular(L, q, vectors)
        return L, logarithms, U
    far = ~(50.0 * (1.0 + mu[..., 0]) > np.maximum(1.0 + mu[..., -1], 1.0))
    if not far.any():
        return L, np.log1p(mu), V
    logarithms = np.log1p(np.where(far[..., None], 0.0, mu).astype(mu.dtype, copy=False))
    shape = far.shape + p.shape[-2:]
    U, logarithms[far] = _singular(np.broadcast_to(L, shape)[far], np.broadcast_to(q, shape)[far], vectors)
    if vectors:
        V[far] = U
    return L, logarithms, V


def _singular(L: np.ndarray, q: np.ndarray, vectors: bool) -> tuple[Any, Any]:
    W = solve_triangular(L, cholesky(q))
    if W.ndim == 2 and W.dtype is _DOUBLE:
        U, s, _, info = lapack.dgesdd(W, compute_uv=vectors)
        if info == 0:
            return U, 2.0 * np.log(s)
    if vectors:
        U, s, _ = np.linalg.svd(W)
        return U, 2.0 * np.log(s)
    return None, 2.0 * np.log(np.linalg.svd(W, compute_uv=False))


def _product(L: np.ndarray, V: np.ndarray) -> np.ndarray:
    return L.dot(V) if L.ndim == 2 == V.ndim else L @ V


def _congruence(B: np.ndarray, w: np.ndarray) -> np.ndarray:
    """``B diag(w) B^H``, exactly symmetric."""
    if B.ndim == 2 and B.dtype.kind != "c":
        X = (B * (0.5 * w)).dot(B.T)
        return X + X.T
    return hermitian((B * w[..., None, :]) @ adjoint(B))


def _carried(L: np.ndarray, X: np.ndarray, V: np.ndarray, root: np.ndarray) -> np.ndarray:
    """``A (V^H L^-1 X L^-H V) A^H`` for ``A = L V diag(root)``."""
    A = (L @ V) * root[..., None, :]
    return hermitian(A @ (adjoint(V) @ whitened(L, X) @ V) @ adjoint(A))
