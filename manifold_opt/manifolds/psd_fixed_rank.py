"""Positive semidefinite matrices of fixed rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import hermitian
from manifold_opt.linalg.namespace import Array, adjoint, namespace
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, frobenius, written
from manifold_opt.manifolds.base import safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.factor_quotient import FactorQuotient

__all__ = ["PSDFixedRank", "lowest_ratio"]


@dataclass(frozen=True, repr=False)
class PSDFixedRank(FactorQuotient):
    """The positive semidefinite (n, n) matrices of rank k, each represented by a factor.

    A point is an (n, k) matrix p of rank k; it stands for ``p p^H``, and so does ``p Q`` with unitary Q. A tangent
    vector is horizontal: an (n, k) matrix X with ``p^H X`` Hermitian. At the factor ``p Q`` it is ``X Q``.

    Parameters
    ----------
    n, k : int
        Size and rank of the matrices, ``k <= n``.
    field : {"real", "complex"}
        What the entries are.

    Raises
    ------
    ValueError
        If the sizes are not ``1 <= k <= n`` or the field is unknown.

    Notes
    -----
    The quotient of the matrices of full rank with the Frobenius metric, for k = n the Bures-Wasserstein geometry:
    geodesics are straight lines of factors, and the distance is the least ``|q Q - p|``. Every operation is O(n k^2);
    the (n, n) matrix is never formed.

    A cost must depend on ``p p^H`` only. With the Euclidean gradient G of it at ``p p^H`` its Euclidean gradient at p
    is ``2 G p``. `log`, `distance` and the transport take any factor of q.

    References
    ----------
    E. Massart, P.-A. Absil, Quotient geometry with simple geodesics for the manifold of fixed-rank
    positive-semidefinite matrices, SIAM J. Matrix Anal. Appl. 41, 2020. M. Journée, F. Bach, P.-A. Absil, R. Sepulchre,
    Low-rank optimization on the cone of positive semidefinite matrices, SIAM J. Optim. 20, 2010.
    """

    n: int
    k: int
    field: str = "real"

    open_storage: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log get_coordinates get_vector project_point project_vector tangentialize "
        "riemannian_gradient riemannian_hessian weingarten random_point check_point check_vector injectivity_radius "
        "injectivity_radius_at sectional_curvature_bounds max_step".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "log",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"

    @property
    def dim(self) -> int:
        """``n k - k (k - 1) / 2``, complex ``2 n k - k^2``."""
        return self._entries - self._turns

    @property
    def injectivity_radius(self) -> float:
        """Zero: matrices of lower rank are at finite distance."""
        return 0.0

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance to the nearest matrix of lower rank, the smallest singular value of p; of a batch the least.

        References
        ----------
        E. Massart, P.-A. Absil, 2020, theorem 6.3.
        """
        return float(np.min(np.linalg.svd(p, compute_uv=False)))

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0 up without bound, towards lower rank; for real k = 1 flat."""
        return (0.0, 0.0) if self.k == 1 and (not self._complex or self.n == 1) else (0.0, math.inf)

    def max_step(self, p: Array, X: Array) -> Any:
        """0.99 times the t at which ``p + t X`` has lower rank and ceases to be shortest; infinite if never."""
        low = lowest_ratio(p, X)
        if low.ndim == 0:
            return -0.99 / float(low) if low < 0.0 else math.inf
        return np.where(low < 0.0, -0.99 / np.where(low < 0.0, low, -1.0), math.inf)

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times the norm of p."""
        xp = namespace(p)
        return super().coincidence_tolerance(p, q) * xp.sqrt(frobenius(xp, p, p, 2))

    # ---------------- geodesics

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The least ``|q Q - p|`` for unitary Q."""
        E = self._nearest_difference(p, q)
        if type(E) is np.ndarray and E.ndim == 2:
            return math.sqrt(np.vdot(E, E).real)
        return safe_sqrt_of(frobenius(namespace(E), E, E, 2))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``; shortest up to `max_step`."""
        return written(p + (X if type(t) is float and t == 1.0 else expanded(t, 2) * X), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q Q - p`` for the unitary Q that makes it shortest (Procrustes).

        Where ``p^H q`` is singular, and Q not unique, a fixed one.
        """
        return written(self._nearest_difference(p, q), out)

    def _retract_default(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self.exp(p, X, t, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates of the part along p, then of the part normal to its columns: O(n k^2)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(self._horizontal_coordinates(p, X), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The horizontal vector with these coordinates: O(n k^2)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(self._horizontal_vector(p, c), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """z itself: every matrix of rank k is a point."""
        return z

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The horizontal part of G, all of it for a cost of ``p p^H``."""
        return self._horizontal(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The horizontal part of H."""
        return self._horizontal(p, H)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(X Omega)`` for the vertical ``V = p Omega``."""
        turning = self._turning(p, V)
        return 0.0 * (X + V) if turning is None else -self._horizontal(p, X @ turning)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent normal entries of variance 1/n."""
        return frames.gaussian(rng, (*size, self.n, self.k), self.field) / math.sqrt(self.n)


def lowest_ratio(p: np.ndarray, X: np.ndarray) -> np.ndarray:
    """The smallest eigenvalue of ``p^H X`` relative to ``p^H p``."""
    # by the triangle of p, whose condition is not that of p^H p: iterates may come close to lower rank
    Q, R = np.linalg.qr(p)
    S = np.linalg.solve(R.swapaxes(-1, -2), (adjoint(Q) @ X).swapaxes(-1, -2)).swapaxes(-1, -2)
    return np.linalg.eigvalsh(hermitian(S))[..., 0]
