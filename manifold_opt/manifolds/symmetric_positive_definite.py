"""Symmetric positive definite matrices with the affine-invariant metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg import lapack
from manifold_opt.linalg.namespace import Array, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.small import cholesky, solve_triangular
from manifold_opt.linalg.symmetric import smat, svec, sym, symmetric_exp, symmetric_log1p, symmetric_sqrt
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, real_dtype, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["SymmetricPositiveDefinite"]

_DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True, repr=False)
class SymmetricPositiveDefinite(Manifold):
    """The symmetric positive definite matrices with the affine-invariant metric ``tr(p^-1 X p^-1 Y)``.

    A point is a symmetric (n, n) matrix p with positive eigenvalues, a tangent vector any symmetric (n, n)
    matrix. For every invertible A the map ``p -> A p A'`` is an isometry; inversion is one too.

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
    All formulas go through the Cholesky factor L of p and an eigendecomposition of ``L^-1 X L^-T``, O(n^3),
    never through square roots and inverses of p, which lose half of the digits of an ill-conditioned p.
    ``log`` and ``distance`` decompose ``L^-1 (q - p) L^-T``, which keeps the digits of close points, and far
    apart take the singular values of ``L^-1 L_q``.

    The space is complete and of nonpositive curvature: geodesics are unique and there is no cut locus.

    References
    ----------
    R. Bhatia, Positive Definite Matrices, Princeton, 2007, chapter 6.
    X. Pennec, P. Fillard, N. Ayache, A Riemannian framework for tensor computing, IJCV 66, 2006, section 3.
    """

    n: int

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

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise ValueError(f"n, the size of the matrices, must be a positive integer, but it is {self.n!r}")
        object.__setattr__(self, "n", int(self.n))

    @property
    def dim(self) -> int:
        """The number of entries on and below the diagonal, n (n + 1) / 2."""
        return self.n * (self.n + 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Square matrices."""
        return (self.n, self.n)

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

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times a bound of the condition of p, ``|p| |p^-1|`` in Frobenius norms."""
        xp = namespace(p)
        L = cholesky(p)
        inverse = solve_triangular(L, xp.eye(self.n, dtype=p.dtype) + xp.zeros_like(L))
        size = xp.sqrt(frobenius(xp, p, p, 2)) * frobenius(xp, inverse, inverse, 2)
        return 8.0 * float(np.finfo(real_dtype(p)).eps) * size

    # ------------------------------------------------------------------------------------------------ metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(p^-1 X p^-1 Y)`` as the product of ``L^-1 X L^-T`` and ``L^-1 Y L^-T``."""
        L = cholesky(p)
        A = _whitened(L, X)
        B = A if Y is X else _whitened(L, Y)
        if type(A) is np.ndarray and type(B) is np.ndarray and A.ndim == 2 == B.ndim:
            return float(np.vdot(A, B))
        return scalar(frobenius(namespace(A, B), A, B, 2))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The norm of the logarithms of the eigenvalues of ``p^-1 q``."""
        if type(p) is np.ndarray and type(q) is np.ndarray:
            logarithms = _log_spectrum(p, q, vectors=False)[1]
            if logarithms.ndim == 1:
                return math.sqrt(logarithms.dot(logarithms))
            return scalar(np.sqrt(np.einsum("...i,...i->...", logarithms, logarithms)))
        S = symmetric_log1p(_whitened(cholesky(p), q - p))
        return safe_sqrt_of(frobenius(namespace(S), S, S, 2))

    # ------------------------------------------------------------------------------------------------ geodesi

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``A A'`` for ``A = L V exp(t w / 2)`` and the eigendecomposition ``L^-1 X L^-T = V diag(w) V'``."""
        if type(p) is np.ndarray and type(X) is np.ndarray:
            L, w, V = _spectrum(p, X)
            A = _product(L, V)
            # not in place: an array of times at one point has more axes than A
            root = np.exp((0.5 * t if type(t) is float else 0.5 * expanded(t, 1)) * w)
            q = _gram(A * (root if root.ndim == 1 else root[..., None, :]))
            return q if out is None else written(q, out)
        L = cholesky(p)
        A = L @ symmetric_exp(_whitened(L, expanded(0.5 * t, 2) * X))
        return written(sym(A @ transpose(A)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``L V diag(log w) V' L'`` for the eigendecomposition ``L^-1 q L^-T = V diag(w) V'``."""
        if type(p) is np.ndarray and type(q) is np.ndarray:
            L, logarithms, V = _log_spectrum(p, q)
            X = _congruence(_product(L, V), logarithms)
            return X if out is None else written(X, out)
        L = cholesky(p)
        return written(sym(L @ symmetric_log1p(_whitened(L, q - p)) @ transpose(L)), out)

    # ------------------------------------------------------------------------------------------------ retract

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
        W = _solved(cholesky(p), tX)
        return written(sym(p + tX + 0.5 * (transpose(W) @ W)), out)

    def _inverse_retract_taylor(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``L ((I + 2E)^(1/2) - I) L'`` for ``E = L^-1 (q - p) L^-T``."""
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
        return written(sym(L @ (symmetric_sqrt(eye + 2.0 * _whitened(L, q - p)) - eye) @ transpose(L)), out)

    # ------------------------------------------------------------------------------------------------ transpo

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``E X E'`` with ``E = (q p^-1)^(1/2)``."""
        if is_numpy(p, X, q):
            L, logarithms, V = _log_spectrum(p, q)
            return written(_carried(L, X, V, np.exp(0.5 * logarithms)), out)
        L = cholesky(p)
        R = L @ symmetric_sqrt(_whitened(L, q))
        return written(sym(R @ _whitened(L, X) @ transpose(R)), out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``E X E'`` with ``E = expm(d p^-1 / 2)``, from the factors of the exponential."""
        if is_numpy(p, X, d):
            L, w, V = _spectrum(p, d)
            return written(_carried(L, X, V, np.exp(0.5 * w)), out)
        L = cholesky(p)
        R = L @ symmetric_exp(0.5 * _whitened(L, d))
        return written(sym(R @ _whitened(L, X) @ transpose(R)), out)

    # ------------------------------------------------------------------------------------------------ coordin

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Diagonal and sqrt(2) times lower triangle of ``L^-1 X L^-T``: O(n^3)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(svec(_whitened(cholesky(p), X)), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``L S L'`` for the symmetric matrix S with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        L = cholesky(p)
        return written(sym(L @ smat(c) @ transpose(L)), out)

    # ------------------------------------------------------------------------------------------------ embeddi

    def project_point(self, z: Array) -> Array:
        """The symmetric part with eigenvalues below sqrt(eps) times the largest raised to that.

        The set is open, so there is no nearest point; this one is as near as a usable condition number
        allows.

        Raises
        ------
        ValueError
            If no eigenvalue is positive.
        """
        xp = namespace(z)
        w, V = xp.linalg.eigh(sym(z))
        top = w[..., -1:]
        if xp is np and not np.all(top > 0):
            raise ValueError(
                "project_point on positive definite matrices needs a positive eigenvalue, but the largest one of z is "
                f"{np.min(top):.3g}; shift z by a multiple of the identity"
            )
        w = xp.maximum(w, math.sqrt(np.finfo(real_dtype(z)).eps) * top)
        return sym((V * w[..., None, :]) @ transpose(V))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The symmetric part."""
        return sym(Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The symmetric part."""
        return sym(X)

    # ------------------------------------------------------------------------------------------------ derivat

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``p sym(G) p``."""
        return sym(p @ G @ p)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``p sym(H) p + sym(X sym(G) p)``."""
        return sym((p @ H + 0.5 * (X @ G)) @ p + 0.5 * (p @ G @ X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``p^-1 X p^-1``."""
        L = cholesky(p)
        S = _solved(L, transpose(_solved(L, _whitened(L, X), adjoint=True)), adjoint=True)
        return sym(S)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: the symmetric matrices are flat in the embedding, whose metric is another than this one."""
        return 0.0 * sym(V + X)

    # ------------------------------------------------------------------------------------------------ random

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """``expm(S)`` for a symmetric S with independent normal coordinates of variance 1/n.

        The distribution is centered at the identity and does not change under rotations; the condition is
        moderate for every n.
        """
        c = np.random.default_rng(rng).standard_normal((*size, self.dim)) / math.sqrt(self.n)
        A = symmetric_exp(0.5 * smat(c))
        return _gram(A)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite, symmetric and positive definite."""
        p = _symmetric(
            cleared(p, "p", self.point_shape, NotOnManifold), "p", atol, NotOnManifold, "M.project_point(p)"
        )
        w = np.linalg.eigvalsh(p)
        low = w[..., 0].min(initial=np.inf)
        if not low > 0:
            raise NotOnManifold(
                f"p must be positive definite to be a point of {self!r}, but its smallest eigenvalue is {low:.3g} "
                f"(the largest is {w.max():.3g}); M.project_point(p) raises eigenvalues, or add a multiple of the "
                "identity"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and symmetric."""
        _symmetric(
            cleared(X, "X", self.vector_shape, NotTangent), "X", atol, NotTangent, "M.project_vector(p, X)"
        )


def _symmetric(a: Array, name: str, atol: float | None, error: type[ValueError], cure: str) -> Array:
    if a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    atol = default_atol(a) if atol is None else atol
    size = np.max(np.abs(a), initial=0.0)
    off = np.max(np.abs(a - transpose(a)), initial=0.0)
    if not off <= atol * size:
        raise error(
            f"{name} must be symmetric, but {name} - {name}' has an entry {off:.3g} (tolerance {atol * size:.3g}); "
            f"symmetrize it with {cure}"
        )
    return a


def _single(p: Array, X: Array) -> bool:
    """Whether one float64 matrix goes straight to LAPACK."""
    return p.ndim == 2 and X.ndim == 2 and p.dtype is _DOUBLE and X.dtype is _DOUBLE


def _solved(L: Array, X: Array, adjoint: bool = False) -> Array:
    if namespace(L, X) is not np:
        L, X = broadcast_batch(2, L, X)
    return solve_triangular(L, X, adjoint=adjoint)


def _whitened(L: Array, X: Array) -> Array:
    """``L^-1 X L^-T``."""
    if type(L) is np.ndarray and type(X) is np.ndarray and _single(L, X):
        return lapack.dtrtrs(L, lapack.dtrtrs(L, X, lower=1)[0].T, lower=1)[0]
    return _solved(L, transpose(_solved(L, X)))


def _spectrum(p: np.ndarray, X: np.ndarray, vectors: bool = True) -> tuple[Any, Any, Any]:
    """The Cholesky factor L of p, and eigenvalues and eigenvectors of ``L^-1 X L^-T``."""
    if p.ndim == 2 == X.ndim and p.dtype is _DOUBLE and X.dtype is _DOUBLE:
        L, info = lapack.dpotrf(p, 1)
        if info == 0:
            w, V, info = lapack.dsyevd(lapack.dsygst(X, L, lower=1)[0], vectors, 1)
        if info == 0:
            return L, w, V
    L = cholesky(p)
    S = _whitened(L, X)
    return (L, *np.linalg.eigh(S)) if vectors else (L, np.linalg.eigvalsh(S), None)


def _log_spectrum(p: np.ndarray, q: np.ndarray, vectors: bool = True) -> tuple[Any, Any, Any]:
    """The Cholesky factor L of p, and logarithms of eigenvalues, and eigenvectors, of ``L^-1 q L^-T``.

    The eigenvalues of ``L^-1 (q - p) L^-T`` have an error of eps times the largest of them (or of 1). Where a
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
    """``B diag(w) B'``, exactly symmetric."""
    if B.ndim == 2:
        X = (B * (0.5 * w)).dot(B.T)
        return X + X.T
    return sym((B * w[..., None, :]) @ transpose(B))


def _gram(A: np.ndarray) -> np.ndarray:
    """``A A'``, exactly symmetric: BLAS does that for one matrix."""
    return A.dot(A.T) if A.ndim == 2 else sym(A @ transpose(A))


def _carried(L: np.ndarray, X: np.ndarray, V: np.ndarray, root: np.ndarray) -> np.ndarray:
    """``A (V' L^-1 X L^-T V) A'`` for ``A = L V diag(root)``."""
    A = (L @ V) * root[..., None, :]
    return sym(A @ (transpose(V) @ _whitened(L, X) @ V) @ transpose(A))
