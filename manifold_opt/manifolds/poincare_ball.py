"""Hyperbolic space as the Poincaré ball."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy, namespace
from manifold_opt.linalg.scalars import safe_sqrt
from manifold_opt.manifolds import hyperbolic_models as models
from manifold_opt.manifolds.arrays import expanded, written
from manifold_opt.manifolds.base import real_dtype
from manifold_opt.manifolds.conformal_models import ConformalModel, arsinh_quotient, dot
from manifold_opt.manifolds.errors import NotOnManifold

__all__ = ["PoincareBall"]


@dataclass(frozen=True, repr=False)
class PoincareBall(ConformalModel):
    """The hyperbolic space of curvature -1 as the open unit ball with the metric ``4 X . Y / (1 - |p|^2)^2``.

    Every vector of R^n is tangent.

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
    Every operation is O(n) and smooth at coinciding points. In double precision the ball ends at distance 36 from the
    center, where points meet the boundary; `exp` stops just inside it. `Hyperbolic` reaches 300 and beyond.

    References
    ----------
    A. A. Ungar, Analytic Hyperbolic Geometry and Albert Einstein's Special Theory of Relativity, World Scientific,
    2008, chapters 3 and 6. O.-E. Ganea, G. Bécigneul, T. Hofmann, Hyperbolic neural networks, NeurIPS 2018, section 2.
    """

    n: int

    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }

    def _unit(self, p: Array) -> Array:
        return 0.5 * models.conformal_gap(p)

    def _log_coordinates(self, p: Array, q: Array) -> Array:
        """With ``d = q - p`` and ``g = 1 - |.|^2`` the Möbius difference is ``(g_p d - |d|^2 p)/(g_p g_q + |d|^2)``.

        The hyperbolic sine of half the distance is ``|d| / sqrt(g_p g_q)``.
        """
        d = q - p
        square, gap = dot(d, d), models.conformal_gap(p)
        gaps = gap * models.conformal_gap(q)
        scale = 2.0 * arsinh_quotient(square / gaps) / (gaps * (gaps + square)) ** 0.5
        return scale * (gap * d - square * p)

    def _exp_coordinates(self, p: Array, c: Array) -> Array:
        """The Möbius sum ``p + g_p (y + |y|^2 p) / (1 + 2 p.y + |p|^2 |y|^2)`` for ``y = tanh(|c|/2) c/|c|``."""
        if is_numpy(p, c) and p.ndim == 1 == c.ndim:
            return self._exp_of_one(p, c)
        xp = namespace(p, c)
        s = dot(c, c)
        r = safe_sqrt(s)
        near = s < 1e-4
        safe = xp.where(near, xp.ones_like(r), r)
        # tanh(r/2)/r; the next term of the series is 17 r^6 / 40320
        y = xp.where(near, 0.5 - s / 24.0 + s * s / 240.0, xp.tanh(0.5 * safe) / safe) * c
        square = dot(y, y)
        below = 1.0 + 2.0 * dot(p, y) + dot(p, p) * square
        return self.project_point(p + models.conformal_gap(p) * (y + square * p) / below)

    def _exp_of_one(self, p: np.ndarray, c: np.ndarray) -> np.ndarray:
        """The same for one point, whose products are Python floats."""
        r = math.sqrt(c.dot(c))
        f = math.tanh(0.5 * r) / r if r > 0.0 else 0.5  # of y = f c; NaN stays
        square, gap = (f * r) ** 2, models.conformal_gap(p).item(0)
        scale = gap / (1.0 + 2.0 * f * float(p.dot(c)) + float(p.dot(p)) * square)
        q = p + (scale * square) * p + (scale * f) * c
        return q if q.dot(q) < 0.999 else self.project_point(q)

    def _carried(self, p: Array, c: Array, q: Array) -> Array:
        """The gyration ``gyr[q, -p] c``, a rotation; Ungar, chapter 3."""
        d = q - p
        below = models.conformal_gap(p) * models.conformal_gap(q) + dot(d, d)
        pc, qc = dot(p, c), dot(q, c)
        a = -qc * dot(p, p) - pc + 2.0 * dot(p, q) * pc
        b = pc * dot(q, q) - qc
        return c + (2.0 / below) * (a * q - b * p)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``, stopped just inside the boundary; first order."""
        return written(self.project_point(p + expanded(t, 1) * X), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q - p``."""
        return written(q - p, out)

    def project_point(self, z: Array) -> Array:
        """Z itself, or, on and beyond the boundary, the point just inside it in the same direction."""
        xp = namespace(z)
        square = dot(z, z)
        last = 1.0 - 2.0 * float(np.finfo(real_dtype(z)).eps)
        out = square >= last * last
        if xp is np and not out.any():
            return z.copy()
        return z * xp.where(out, last / xp.sqrt(xp.where(out, square, xp.ones_like(square))), xp.ones_like(square))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``(H - l ((p.X) G - (p.G) X + (X.G) p)) / l^2`` with ``l = 2/(1 - |p|^2)``."""
        unit = self._unit(p)
        return unit * (unit * H - (dot(p, X) * G - dot(p, G) * X + dot(X, G) * p))

    def to_hyperboloid(self, p: Array) -> Array:
        """The point of `Hyperbolic`."""
        return models.ball_to_hyperboloid(p)

    def from_hyperboloid(self, p: Array) -> Array:
        """The point of the ball that a point of `Hyperbolic` is."""
        return models.hyperboloid_to_ball(p)

    def to_half_space(self, p: Array) -> Array:
        """The point of `HalfSpace`."""
        return models.ball_to_half_space(p)

    def from_half_space(self, p: Array) -> Array:
        """The point of the ball that a point of `HalfSpace` is."""
        return models.half_space_to_ball(p)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """The image of a standard normal space part on the hyperboloid."""
        z = np.random.default_rng(rng).standard_normal((*size, self.n))
        return z / (1.0 + np.sqrt(1.0 + dot(z, z)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and of length below 1; there is no tolerance."""
        p = self._real_point(p)
        length = float(np.max(np.linalg.norm(p, axis=-1), initial=0.0))
        if not length < 1.0:
            raise NotOnManifold(
                f"p must have length below 1 to be a point of {self!r}, but its length is {length:.17g}; "
                "M.project_point(p) gives a point just inside the ball"
            )
