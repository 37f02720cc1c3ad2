r"""Distance and squared distance to a point, with gradients and Hessians.

With X = log_p(q), the curvature operator R_X of `curvature` and c, s of `jacobi_fields`,

    f = d(p, q)^2,   grad f = -2 X,     Hess f(V) = 2 (c / s)(R_X) V,
    f = d(p, q),     grad f = -X / d,   Hess f(V) = (c / s)(R_X)(V - <V, X> X / d^2) / d.

On the sphere c/s is d cot d across X, in hyperbolic space d coth d, in flat space 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg.namespace import Array
from ..manifolds.arrays import expanded
from ..objectives.user_functions import Fused
from .jacobi_fields import differential_log_basepoint
from .weights import checked_points


class SquaredDistance:
    """The squared distance to a point.

    Parameters
    ----------
    M : Manifold
        Needs ``log``; for the Hessian a symmetric space, see `has_curvature`.
    q : array_like of shape point_shape
        The point.

    Raises
    ------
    ValueError
        When q is not on M.

    Notes
    -----
    ``f(p)`` is the value, ``f.gradient(p)`` and ``f.hessian(p, V)`` are Riemannian; all take batches of p. ``f.fused``
    is value and gradient from one logarithm.

    References
    ----------
    X. Pennec, "Hessian of the Riemannian squared distance", technical report, INRIA, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, functions
    >>> f = functions.SquaredDistance(Sphere(2), [0.0, 0.0, 1.0])
    >>> round(f(np.array([1.0, 0.0, 0.0])), 6)  # (pi / 2)^2
    2.467401
    """

    def __init__(self, M: Any, q: Any) -> None:
        self.manifold = M
        self.q = checked_points(M, np.asarray(q)[None], "q")[0]

    def __call__(self, p: Array) -> Any:
        """The squared distance."""
        return self.manifold.squared_distance(p, self.q)

    def gradient(self, p: Array) -> Array:
        """Minus twice the logarithm."""
        return -2.0 * self.manifold.log(p, self.q)

    def hessian(self, p: Array, V: Array) -> Array:
        """Minus twice the derivative of the logarithm along V."""
        return -2.0 * differential_log_basepoint(self.manifold, p, self.q, V)

    @property
    def fused(self) -> Fused:
        """Value and gradient from one logarithm."""
        return Fused(self._value_and_gradient)

    def _value_and_gradient(self, p: Array) -> tuple[Any, Array]:
        X = self.manifold.log(p, self.q)
        return self.manifold.inner(p, X, X), -2.0 * X


class Distance:
    """The distance to a point q; its gradient and its Hessian at q itself are taken as zero.

    Parameters
    ----------
    M : Manifold
        Needs ``log``; for the Hessian a symmetric space, see `has_curvature`.
    q : array_like of shape point_shape
        The point.

    Raises
    ------
    ValueError
        When q is not on M.

    Notes
    -----
    As `SquaredDistance`. The distance is not differentiable at q, where zero is one of its subgradients, and its
    Hessian has the eigenvalue 0 along the geodesic to q.
    """

    def __init__(self, M: Any, q: Any) -> None:
        self.manifold = M
        self.q = checked_points(M, np.asarray(q)[None], "q")[0]

    def __call__(self, p: Array) -> Any:
        """The distance."""
        return self.manifold.distance(p, self.q)

    def gradient(self, p: Array) -> Array:
        """The unit vector away from q."""
        return -self._direction(p)[0]

    def hessian(self, p: Array, V: Array) -> Array:
        """Nothing along the geodesic to q, and the curvature of spheres around q across it."""
        M, k = self.manifold, len(self.manifold.vector_shape)
        X, d = self._direction(p)
        across = V - expanded(np.asarray(M.inner(p, X, V)), k) * X
        inverse = np.where(d > 0, 1.0 / np.where(d > 0, d, 1.0), 0.0)
        return -expanded(inverse, k) * differential_log_basepoint(M, p, self.q, across)

    @property
    def fused(self) -> Fused:
        """Value and gradient from one logarithm."""
        return Fused(self._value_and_gradient)

    def _value_and_gradient(self, p: Array) -> tuple[Any, Array]:
        X, d = self._direction(p)
        return (float(d) if np.ndim(d) == 0 else d), -X

    def _direction(self, p: Array) -> tuple[Array, Array]:
        """The unit vector towards q, zero at q, and the distance."""
        X = self.manifold.log(p, self.q)
        d = np.asarray(self.manifold.norm(p, X))
        near = d <= self.manifold.coincidence_tolerance(p, self.q)
        safe = np.where(near, np.inf, d)
        return X / expanded(safe, len(self.manifold.vector_shape)), np.where(near, 0.0, d)
