r"""Second differences of points in a row, and the acceleration of Bézier curves.

Of three points x, y, z the second difference is the distance of y to the middle m of x and z: half of |x - 2 y + z| in
flat space, zero where they lie equally spaced on a geodesic. The middle is the geodesic from x to z at time 1/2, so
that the gradient goes to x and z by the adjoints of `jacobi_fields`.

References
----------
M. Bačák, R. Bergmann, G. Steidl, A. Weinmann, "A second order nonsmooth variational model for restoring manifold-valued
images", SIAM J. Sci. Comput. 38 (2016), section 3. R. Bergmann, P.-Y. Gousenbourger, "A variational model for data
fitting on manifolds by minimizing the acceleration of a Bézier curve", Front. Appl. Math. Stat. 4 (2018), section 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds import PowerManifold
from ..manifolds.arrays import expanded
from ..objectives.user_functions import Fused
from .bezier import bezier_adjoint, bezier_curve
from .jacobi_fields import adjoint_differential_geodesic_endpoint, adjoint_differential_geodesic_startpoint


class SecondOrderVariation:
    r"""The sum over three neighbours in a row of their second differences, or of half their squares.

    Parameters
    ----------
    M : PowerManifold
        Of a symmetric space (see `has_curvature`); its copies may be an array of any number of axes.
    exponent : {1, 2}
        1 for second differences, which keeps kinks, 2 for half their squares, which smooths.

    Raises
    ------
    TypeError, ValueError
        When M is no power manifold, or on another exponent.

    Notes
    -----
    ``f(x)`` is the value, ``f.gradient(x)`` the Riemannian gradient (with exponent 1 a subgradient, zero for rows that
    are geodesic). Zero on equally spaced points of a geodesic, where `TotalVariation` is not.
    """

    def __init__(self, M: Any, exponent: int = 2) -> None:
        if not isinstance(M, PowerManifold):
            raise TypeError(f"`M` must be a PowerManifold, whose copies are the neighbours; got {M!r}.")
        if exponent not in (1, 2):
            raise ValueError(f"`exponent` must be 1, for differences, or 2, for half their squares; got {exponent!r}.")
        self.manifold = M
        self.exponent = exponent

    def _row(self, x: Any, axis: int, own: int, shift: int) -> Any:
        """The first, second or third points of all rows along an axis; `own` axes belong to one copy."""
        at = x.ndim - own - len(self.manifold.copies) + axis
        n = self.manifold.copies[axis]
        return x[(slice(None),) * at + (slice(shift, shift + max(0, n - 2)),)]

    def __call__(self, x: Any) -> Any:
        """The sum over all rows."""
        M, k = self.manifold.manifold, len(self.manifold.manifold.point_shape)
        total = 0.0
        for axis in range(len(self.manifold.copies)):
            p, y, q = (self._row(x, axis, k, shift) for shift in (0, 1, 2))
            m = M.mid_point(p, q)
            d = M.distance(m, y) if self.exponent == 1 else 0.5 * M.squared_distance(m, y)
            total = total + d.sum(axis=tuple(range(-len(self.manifold.copies), 0)))
        return float(total) if isinstance(total, np.generic) else total

    def gradient(self, x: Any) -> Any:
        """The Riemannian gradient."""
        M = self.manifold.manifold
        k, own = len(M.point_shape), len(M.vector_shape)
        G = self.manifold.zero_vector(x)
        for axis in range(len(self.manifold.copies)):
            p, y, q = (self._row(x, axis, k, shift) for shift in (0, 1, 2))
            m = M.mid_point(p, q)
            to_y, to_m = self._pull(m, y), self._pull(y, m)
            self._row(G, axis, own, 0)[...] -= adjoint_differential_geodesic_startpoint(M, p, q, 0.5, to_y)
            self._row(G, axis, own, 1)[...] -= to_m
            self._row(G, axis, own, 2)[...] -= adjoint_differential_geodesic_endpoint(M, p, q, 0.5, to_y)
        return G

    def _pull(self, p: Any, q: Any) -> Any:
        """The logarithm, with exponent 1 as a unit vector, zero where the points coincide."""
        M = self.manifold.manifold
        X = M.log(p, q)
        if self.exponent == 2:
            return X
        d = np.asarray(M.norm(p, X))
        near = d <= M.coincidence_tolerance(p, q)
        return expanded(np.where(near, 0.0, 1.0 / np.where(near, 1.0, d)), len(M.vector_shape)) * X


class BezierAcceleration:
    r"""The mean squared acceleration of a Bézier curve, by second differences.

        1/2 int_0^1 |D c'(t)/dt|^2 dt  is about  1/2 mean_k (2 d_k / h^2)^2,

    d_k the second difference of c(t_k - h), c(t_k), c(t_k + h) at the inner points of a grid of width h.

    Parameters
    ----------
    M : Manifold
        A symmetric space; see `has_curvature`.
    degree : int
        Of the curve.
    samples : int, default 33
        Points of the grid, 3 at least.

    Raises
    ------
    ValueError
        On a degree below 1 or fewer than three samples.

    Notes
    -----
    Add a multiple of it to a `BezierRegression` to choose the smoothest of many curves through few data.
    ``f(control)``, ``f.gradient(control)`` and ``f.fused`` take a point of ``f.manifold``.
    """

    def __init__(self, M: Any, degree: int, samples: int = 33) -> None:
        if degree < 1 or samples < 3:
            raise ValueError(f"`degree` must be at least 1 and `samples` at least 3; got {degree!r} and {samples!r}.")
        self.base = M
        self.manifold = PowerManifold(M, int(degree) + 1)
        self.t = np.linspace(0.0, 1.0, samples)
        self._variation = SecondOrderVariation(PowerManifold(M, samples), 2)
        self._weight = 4.0 * (samples - 1.0) ** 4 / (samples - 2.0)

    def __call__(self, control: Any) -> Any:
        """Half the mean squared acceleration."""
        return self._weight * self._variation(bezier_curve(self.base, control, self.t))

    def gradient(self, control: Any) -> np.ndarray:
        """Riemannian gradient with respect to the control points."""
        points = bezier_curve(self.base, control, self.t)
        return bezier_adjoint(self.base, control, self.t, self._weight * self._variation.gradient(points))

    @property
    def fused(self) -> Fused:
        """Value and gradient together."""
        return Fused(lambda control: (self(control), self.gradient(control)))
