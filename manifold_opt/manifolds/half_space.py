"""Hyperbolic space as the upper half space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.linalg.scalars import safe_sqrt, sinhc
from manifold_opt.manifolds import hyperbolic_models as models
from manifold_opt.manifolds.base import real_dtype
from manifold_opt.manifolds.conformal_models import ConformalModel, arsinh_quotient, dot
from manifold_opt.manifolds.errors import NotOnManifold

__all__ = ["HalfSpace"]


@dataclass(frozen=True, repr=False)
class HalfSpace(ConformalModel):
    """The hyperbolic space of curvature -1 as the points (x, h) of positive height h with the metric ``X . Y / h^2``.

    The height is the last entry. Every vector of R^n is tangent.

    Parameters
    ----------
    n : int
        Dimension. Points have shape ``(n,)``.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    Every operation is O(n). Shifting and scaling take the first point to ((0, ..., 0), 1), so lengths are accurate
    relative to themselves at every height; upwards and downwards the model reaches beyond distance 300.

    References
    ----------
    J. G. Ratcliffe, Foundations of Hyperbolic Manifolds, 3rd ed., Springer, 2019, section 4.6.
    """

    n: int

    def _unit(self, p: Array) -> Array:
        return p[..., -1:]

    def _relative(self, p: Array, q: Array) -> tuple[Array, Array]:
        """Side and height of q over that of p, seen from p; the height minus 1."""
        d = (q - p) / p[..., -1:]
        return d[..., :-1], d[..., -1:]

    def _log_coordinates(self, p: Array, q: Array) -> Array:
        """Seen from p, q = (u, k) is ``w = (u, (|u|^2 + (k - 1)(k + 1))/2) / k`` on the hyperboloid.

        The coordinates are ``arsinh(|w|)/|w| w``.
        """
        u, rise = self._relative(p, q)
        k = q[..., -1:] / p[..., -1:]
        up = 0.5 * (dot(u, u) + rise * (2.0 + rise)) / k
        w = namespace(u, up).concatenate((u / k, up), axis=-1)
        return arsinh_quotient(dot(w, w)) * w

    def _exp_coordinates(self, p: Array, c: Array) -> Array:
        """From (0, 1) to ``(s, 1) / (cosh r - b)`` with ``(s, b) = sinh(r)/r c``.

        For positive b the divisor is written ``(1 + |s|^2) / (cosh r + b)``.
        """
        xp = namespace(p, c)
        r = safe_sqrt(dot(c, c))
        y = sinhc(r) * c
        s, b = y[..., :-1], y[..., -1:]
        cosh = xp.cosh(r)
        scale = xp.where(b > 0, (cosh + abs(b)) / (1.0 + dot(s, s)), 1.0 / (cosh + abs(b)))
        h = p[..., -1:]
        return xp.concatenate((p[..., :-1] + h * scale * s, h * scale), axis=-1)

    def _carried(self, p: Array, c: Array, q: Array) -> Array:
        """The rotation of the plane of the geodesic by twice the angle with the tangent ``|u| / (1 + k)``."""
        u, rise = self._relative(p, q)
        a = u / (2.0 + rise)
        cs, cn = c[..., :-1], c[..., -1:]
        along, square = dot(a, cs), dot(a, a)
        f = 2.0 / (1.0 + square)
        side = cs + f * (cn - along) * a
        return namespace(side, cn).concatenate((side, cn - f * (along + square * cn)), axis=-1)

    def project_point(self, z: Array) -> Array:
        """Z itself; heights that are not positive become eps."""
        xp = namespace(z)
        h = z[..., -1:]
        least = float(np.finfo(real_dtype(z)).eps) * xp.ones_like(h)
        return xp.concatenate((z[..., :-1], xp.where(h > 0, h, least)), axis=-1)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``h^2 H + h (X_n G + (X.G) e_n - G_n X)``."""
        h = p[..., -1:]
        Y = h * H + X[..., -1:] * G - G[..., -1:] * X
        return h * namespace(Y).concatenate((Y[..., :-1], Y[..., -1:] + dot(X, G)), axis=-1)

    def to_hyperboloid(self, p: Array) -> Array:
        """The point of `Hyperbolic`."""
        return models.half_space_to_hyperboloid(p)

    def from_hyperboloid(self, p: Array) -> Array:
        """The point of the half space that a point of `Hyperbolic` is."""
        return models.hyperboloid_to_half_space(p)

    def to_ball(self, p: Array) -> Array:
        """The point of `PoincareBall`."""
        return models.half_space_to_ball(p)

    def from_ball(self, p: Array) -> Array:
        """The point of the half space that a point of `PoincareBall` is."""
        return models.ball_to_half_space(p)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """The image of a standard normal space part on the hyperboloid."""
        z = np.random.default_rng(rng).standard_normal((*size, self.n))
        return models.hyperboloid_to_half_space(np.concatenate((np.sqrt(1.0 + dot(z, z)), z), axis=-1))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and of positive height; there is no tolerance."""
        p = self._real_point(p)
        least = float(np.min(p[..., -1], initial=np.inf))
        if not least > 0.0:
            raise NotOnManifold(
                f"p must have a positive last entry, its height, to be a point of {self!r}, but it is {least:.17g}; "
                "M.project_point(p) lifts it"
            )
