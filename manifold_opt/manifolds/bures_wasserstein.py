"""Symmetric positive definite matrices with the metric of optimal transport."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.increments import sqrt_increment
from manifold_opt.linalg.namespace import Array, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.pair_functions import pair_function
from manifold_opt.linalg.small import cholesky, eigh, lyapunov, svd
from manifold_opt.linalg.symmetric import smat, svec, sym
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.flat_chart import dense
from manifold_opt.manifolds.positive_definite import diagonal, gram, solved
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite

__all__ = ["BuresWasserstein"]

# The part of the way to the next singular matrix that one step may go, as in interior point methods.
_FRACTION = 0.99


class BuresWasserstein(SymmetricPositiveDefinite):
    """`SymmetricPositiveDefinite` with the metric ``"bures-wasserstein"``.

    With the symmetric solution S of ``p S + S p = X`` the inner product is ``tr(S Y) / 2``. This is the quotient of
    the invertible matrices B, ``p = B B'``, with their Frobenius metric, by the orthogonal group: ``S B`` is the
    horizontal lift of X, and geodesics are ``(I + t S) p (I + t S)``.

    ``log`` and ``distance`` find the increment S of the transport map ``T = I + S``, ``T p T = q``, from the difference
    q - p, by divided differences of the square root.

    References
    ----------
    R. Bhatia, T. Jain, Y. Lim, On the Bures-Wasserstein distance between positive definite matrices, Expo. Math. 37,
    2019. L. Malagò, L. Montrucchio, G. Pistone, Wasserstein Riemannian geometry of Gaussian densities, Inf. Geom. 1,
    2018. E. Massart, P.-A. Absil, Quotient geometry with simple geodesics for the manifold of fixed-rank
    positive-semidefinite matrices, SIAM J. Matrix Anal. Appl. 41, 2020.
    """

    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log get_coordinates get_vector project_point project_vector tangentialize "
        "riemannian_gradient riemannian_hessian euclidean_representer weingarten random_point check_point check_vector "
        "injectivity_radius injectivity_radius_at sectional_curvature_bounds max_step".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}
    transports: ClassVar[Mapping[str, str]] = {
        "horizontal": "_transport_horizontal",
        "projection": "_transport_projection",
    }
    default_transport = "horizontal"

    @property
    def injectivity_radius(self) -> float:
        """Zero: singular matrices are at finite distance."""
        return 0.0

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance to the nearest singular matrix, the root of the smallest eigenvalue; of a batch the least.

        References
        ----------
        E. Massart, P.-A. Absil, 2020, theorem 6.3.
        """
        return math.sqrt(max(float(np.min(np.linalg.eigvalsh(p))), 0.0))

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0 up without bound, as ``3 / (w_1 + w_2)`` for the two smallest eigenvalues of p."""
        return (0.0, math.inf) if self.n > 1 else (0.0, 0.0)

    def max_step(self, p: Array, X: Array) -> Any:
        """0.99 times the t at which ``I + t S``, and the point, becomes singular; infinite for S >= 0."""
        w, V = _spectrum(p)
        low = np.linalg.eigvalsh(_rotated(V, X) / _sums(w))[..., 0]
        if low.ndim == 0:
            return -_FRACTION / float(low) if low < 0.0 else math.inf
        return np.where(low < 0.0, -_FRACTION / np.where(low < 0.0, low, -1.0), math.inf)

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times the length of a factor of p, the root of its trace, and a bound of its condition."""
        xp = namespace(p)
        return super().coincidence_tolerance(p, q) * xp.sqrt(xp.sum(diagonal(p), axis=-1))

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(S Y) / 2``."""
        if is_numpy(p, X, Y):
            w, V = _spectrum(p)
            A = _rotated(V, X)
            B = A if Y is X else _rotated(V, Y)
            A = A / _sums(w)
            if A.ndim == 2 == B.ndim:
                return 0.5 * float(np.vdot(A, B))
            return 0.5 * frobenius(np, A, B, 2)
        S = lyapunov(*broadcast_batch(2, p, X))
        return 0.5 * scalar(frobenius(namespace(S, Y), S, Y, 2))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the horizontal difference ``S B`` of two factors."""
        if is_numpy(p, q):
            _, s, _, S = _transported(p, q)
            Z = S / s[..., :, None]
            return math.sqrt(np.vdot(Z, Z)) if Z.ndim == 2 else np.sqrt(frobenius(np, Z, Z, 2))
        _, Z = _lifted(p, q)
        return safe_sqrt_of(frobenius(namespace(Z), Z, Z, 2))

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(I + t S) p (I + t S)``, a geodesic as long as ``I + t S`` is positive definite: see `max_step`.

        Beyond that it goes on, as the image of the straight line of the horizontal lift, which is reflected where it
        meets the singular matrices, and is shortest no more.
        """
        if is_numpy(p, X):
            w, V = _spectrum(p)
            S = expanded(t, 2) * (_rotated(V, X) / _sums(w))
            np.einsum("...ii->...i", S)[...] += 1.0
            return written(gram(V @ (S * np.sqrt(w)[..., None, :])), out)
        S = lyapunov(*broadcast_batch(2, p, expanded(t, 2) * X))
        return written(sym(p + expanded(t, 2) * X + S @ p @ S), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``S p + p S`` for the increment S of the transport map: ``(I + S) p (I + S) = q``."""
        if is_numpy(p, q):
            w, s, V, S = _transported(p, q)
            return written(sym(V @ (S * (_sums(w) / (s[..., :, None] * s[..., None, :]))) @ transpose(V)), out)
        L, Z = _lifted(p, q)
        X = Z @ transpose(L)
        return written(X + transpose(X), out)

    def _transport_horizontal(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``S p T + T p S`` for the transport map T: the horizontal part at q of the lift of X. It never grows.

        The lift is a vector of the flat space of factors; taking its horizontal part is an orthogonal projection.
        """
        if is_numpy(p, X, q):
            w, s, V, S = _transported(p, q)
            return written(_carried(w, V, X, S / (s[..., :, None] * s[..., None, :])), out)
        return written(_carried_anywhere(p, X, self.log(p, q)), out)

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """See `Manifold.vector_transport_direction`; the horizontal one needs no logarithm."""
        if method is None or method == "horizontal":
            if is_numpy(p, X, d):
                w, V = _spectrum(p)
                return written(_carried(w, V, X, _rotated(V, d) / _sums(w)), out)
            return written(_carried_anywhere(p, X, d), out)
        return super().vector_transport_direction(p, X, d, method=method, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Diagonal and sqrt(2) times lower triangle of the inverse root of ``X -> 2 (p X + X p)``, of X: O(n^3)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(svec(pair_function(2.0 * p, X, name="rsqrt")), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The root of ``X -> 2 (p X + X p)``, of the symmetric matrix with these entries: O(n^3)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(sym(pair_function(2.0 * p, smat(c), name="sqrt")), out)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``2 (sym(G) p + p sym(G))``."""
        S = sym(dense(G)) @ p
        return 2.0 * (S + transpose(S))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``4 sym(H p) + 2 sym(G X) - 2 sym(g S) + 4 sym(p sym(G S))``: symmetric G, H, gradient g and solution S of X.

        The gradient along X, ``4 sym(H p + G X)``, less what the metric turns by.
        """
        G, H = sym(dense(G)), sym(dense(H))
        S = _lyapunov(p, X)
        g = G @ p
        g = 2.0 * (g + transpose(g))
        return sym(4.0 * (H @ p) + 2.0 * (G @ X) - g @ S + 4.0 * (p @ sym(G @ S)))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """Half of the solution S of ``p S + S p = X``."""
        return 0.5 * sym(_lyapunov(p, X))


def _spectrum(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    w, V = eigh(p)
    if not (w[0] > 0.0 if w.ndim == 1 else np.all(w[..., 0] > 0.0)):
        raise np.linalg.LinAlgError(
            f"p is not positive definite: its smallest eigenvalue is {np.min(w):.3g}; steps must stay below M.max_step"
        )
    return w, V


def _sums(w: np.ndarray) -> np.ndarray:
    return w[..., :, None] + w[..., None, :]


def _rotated(V: np.ndarray, X: np.ndarray) -> np.ndarray:
    if V.ndim == 2 == X.ndim:
        return V.T.dot(X).dot(V)
    return transpose(V) @ X @ V


def _lyapunov(p: Array, X: Array) -> Array:
    """The symmetric S with ``p S + S p = X``."""
    if is_numpy(p, X):
        w, V = eigh(p)
        return V @ (_rotated(V, X) / _sums(w)) @ transpose(V)
    return lyapunov(*broadcast_batch(2, p, X))


def _carried(w: np.ndarray, V: np.ndarray, X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """``S p (I + D) + (I + D) p S``, D seen from the eigenvectors V of p."""
    S = _rotated(V, X) / _sums(w) * w[..., None, :]
    Y = S + S @ D
    return V @ (Y + transpose(Y)) @ transpose(V)


def _carried_anywhere(p: Array, X: Array, d: Array) -> Array:
    """The same on any array, along the vector d."""
    S, D = _lyapunov(p, X), _lyapunov(p, d)
    Y = S @ (p + p @ D)
    return Y + transpose(Y)


def _transported(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, ...]:
    """Eigenvalues w of p, their roots s, eigenvectors V, and ``s_i s_j S_ij`` for the increment S, seen from V.

    With ``B = V diag(s)`` the matrix ``B' S B`` is ``(W^2 + F)^(1/2) - W`` for ``W = diag(w)``, ``F = B' (q - p) B``.
    The root has the singular values and vectors of ``L_q' B``, of which no squares are formed.
    """
    w, V = _spectrum(p)
    s = np.sqrt(w)
    B = V * s[..., None, :]
    r, R = _singular(transpose(cholesky(q)) @ B)
    F = transpose(B) @ (q - p) @ B
    return w, s, V, sym(((F @ R) / (w[..., :, None] + r[..., None, :])) @ transpose(R))


def _singular(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values and right vectors; of a stack, where they are alike, by the squares, in half of the time."""
    if A.ndim == 2:
        _, r, R = svd(A)
        return r, transpose(R)
    squares, R = np.linalg.eigh(transpose(A) @ A)
    # the squares lose the digits of the ratio: at most two of them, which are to spare
    far = ~(squares[..., 0] > 0.01 * squares[..., -1])
    r = np.sqrt(np.where(far[..., None], 1.0, squares).astype(A.dtype, copy=False))
    if far.any():
        _, r[far], rows = np.linalg.svd(A[far])
        R[far] = transpose(rows)
    return r, R


def _lifted(p: Array, q: Array) -> tuple[Array, Array]:
    """The Cholesky factor L of p and the horizontal lift ``Z = S L`` of the logarithm, on any array."""
    L = cholesky(p)
    F = transpose(L) @ (q - p) @ L
    S = sqrt_increment(transpose(L) @ L, F)
    return L, solved(L, S, adjoint=True)
