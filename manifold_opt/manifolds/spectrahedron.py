"""Positive semidefinite matrices of fixed rank and trace 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import frobenius, scalar, written
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.factor_quotient import SphericalFactors
from manifold_opt.manifolds.psd_fixed_rank import lowest_ratio
from manifold_opt.manifolds.sphere import angle_over_sine, safe_atan2

__all__ = ["Spectrahedron"]


@dataclass(frozen=True, repr=False)
class Spectrahedron(SphericalFactors):
    """The positive semidefinite (n, n) matrices of rank k and trace 1, each represented by a factor.

    A point is an (n, k) matrix p of rank k with ``|p| = 1``; it stands for ``p p^H``, and so does ``p Q`` with unitary
    Q. A tangent vector is horizontal: an (n, k) matrix X with ``Re tr(p^H X) = 0`` and ``p^H X`` Hermitian. At the
    factor ``p Q`` it is ``X Q``.

    Parameters
    ----------
    n, k : int
        Size and rank of the matrices, ``k <= n``.
    field : {"real", "complex"}
        What the entries are; complex points are the density matrices of rank k.

    Raises
    ------
    ValueError
        If the sizes are not ``1 <= k <= n``, the dimension is zero, or the field is unknown.

    Notes
    -----
    The quotient of the unit sphere of factors, on density matrices the metric of Bures: the distance is the angle
    between factors turned to be nearest, between 0 and pi/2. For k = 1 it is projective space. Every operation is
    O(n k^2); the (n, n) matrix is never formed.

    A cost must depend on ``p p^H`` only. With the Euclidean gradient G of it at ``p p^H`` its Euclidean gradient at p
    is ``2 G p``.

    References
    ----------
    M. Journée, F. Bach, P.-A. Absil, R. Sepulchre, Low-rank optimization on the cone of positive semidefinite matrices,
    SIAM J. Optim. 20, 2010. I. Bengtsson, K. Życzkowski, Geometry of Quantum States, Cambridge, 2006, section 9.4.
    """

    n: int
    k: int
    field: str = "real"

    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log get_coordinates get_vector project_point project_vector tangentialize "
        "riemannian_gradient riemannian_hessian weingarten random_point check_point check_vector injectivity_radius "
        "injectivity_radius_at sectional_curvature_bounds max_step".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    _rule: ClassVar[str] = "Re tr(p^H X) = 0 and p^H X Hermitian"

    @property
    def dim(self) -> int:
        """``n k - 1 - k (k - 1) / 2``, complex ``2 n k - 1 - k^2``."""
        return self._entries - self._turns - 1

    @property
    def injectivity_radius(self) -> float:
        """Zero, as matrices of lower rank are at finite distance; a right angle for k = 1."""
        return 0.0 if self.k > 1 else 0.5 * math.pi

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """``arcsin`` of the smallest singular value of p: the distance to lower rank; of a batch the least.

        A geodesic is shortest as long as ``p^H exp(p, t X)`` is positive definite, and the direction in which that ends
        first is towards the smallest singular vector.
        """
        return math.asin(min(float(np.min(np.linalg.svd(p, compute_uv=False))), 1.0))

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 1, that of the sphere, up without bound towards lower rank; for k = 1 that of projective space."""
        if self.dim == 1:
            return (0.0, 0.0)
        if self.k > 1:
            return (1.0, math.inf)
        if not self._complex:
            return (1.0, 1.0)
        return (1.0, 4.0) if self.n > 2 else (4.0, 4.0)

    def max_step(self, p: Array, X: Array) -> Any:
        """0.99 times the t at which the geodesic meets matrices of lower rank and ceases to be shortest."""
        low = lowest_ratio(p, X)
        length = np.asarray(self.norm(p, X))
        still = length == 0.0
        t = np.where(still, math.inf, 0.99 * np.arctan2(length, -low) / np.where(still, 1.0, length))
        return scalar(t)

    def _dot(self, A: Array, B: Array) -> Array:
        return frobenius(namespace(A, B), A, B, 2)[..., None, None]

    # ---------------- geodesics

    def _seen(self, p: Array, q: Array) -> tuple[Array, Array, Array]:
        """The part of the nearest factor of q orthogonal to p, its squared length, and the cosine of the angle."""
        E = self._nearest_difference(p, q)
        along = self._dot(p, E)
        Y = E - along * p
        return Y, self._dot(Y, Y), self._dot(p, p + E)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between p and the nearest factor of q, radians between 0 and pi/2."""
        _, s2, c = self._seen(p, q)
        return scalar(safe_atan2(namespace(s2), s2, c)[..., 0, 0])

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of the nearest factor of q times the angle.

        Where ``p^H q`` is singular, and the nearest factor not unique, a fixed one.
        """
        Y, s2, c = self._seen(p, q)
        return written(angle_over_sine(namespace(s2), s2, c) * Y, out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The part of the nearest factor of q orthogonal to p, over the cosine."""
        Y, _, c = self._seen(p, q)
        return written(Y / c, out)

    def _retract_default(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self.exp(p, X, t, out=out)

    # ---------------- coordinates

    # Those of factors of any norm, in which p itself has a positive first coordinate; a reflection takes it to the
    # first axis, which is left out.

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates of the part along p, then of the part normal to its columns: O(n k^2)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        y, c = self._own_coordinates(p), self._horizontal_coordinates(p, X)
        m = y.shape[-1]
        head = c[..., 1:m] - (c[..., :1] / (1.0 + y[..., :1])) * y[..., 1:]
        return written(namespace(c).concatenate([head, c[..., m:]], axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The horizontal vector with these coordinates: O(n k^2)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        xp = namespace(p, c)
        y = self._own_coordinates(p)
        m = y.shape[-1] - 1
        along = xp.sum(y[..., 1:] * c[..., :m], axis=-1)[..., None]
        head = c[..., :m] - (along / (1.0 + y[..., :1])) * y[..., 1:]
        tail = c[..., m:] + 0.0 * along  # one point may meet many vectors
        return written(self._horizontal_vector(p, xp.concatenate([-along, head, tail], axis=-1)), out)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform on the sphere of factors."""
        return self._unit(frames.gaussian(rng, (*size, self.n, self.k), self.field))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, of rank k and of Frobenius norm 1."""
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = frames.tolerance(p, atol)
        off = float(np.max(np.abs(np.linalg.norm(p, axis=(-2, -1)) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have Frobenius norm 1 to be a point of {self!r}, but its norm is off by {off:.3g} (tolerance "
                f"{atol:.3g}); divide by it with M.project_point(p)"
            )
