r"""The Fréchet mean: the point with the least mean squared distance to the data.

    f(p) = 1/2 sum_i w_i d(p, x_i)^2,    grad f(p) = - sum_i w_i log_p(x_i),    sum_i w_i = 1.

Where the data lie in a small enough ball (always on SPD matrices, whose curvature is not positive), f has one
minimizer; elsewhere a solver finds a local one, which may depend on the start.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objectives.user_functions import Fused
from .jacobi_fields import differential_log_basepoint
from .weights import checked_points, checked_weights


class FrechetMean:
    r"""Cost whose minimizer is the (weighted) Fréchet mean of points on a manifold.

    Parameters
    ----------
    M : Manifold
        Needs ``log`` and ``inner``; ``squared_distance`` for the cost alone.
    points : array_like of shape (N, *point_shape)
        The data, points on M.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Raises
    ------
    ValueError
        When shapes do not fit, a data point is not on M, or weights are negative.

    Notes
    -----
    ``f(p)`` is the cost and ``f.gradient(p)`` the Riemannian gradient, both over all data at once; ``f.fused`` gives
    both from one logarithm per data point and is what solvers should get. ``f.hessian(p, X)`` exists on symmetric
    spaces. `frechet_mean` solves the problem where the data are close together.

    References
    ----------
    H. Karcher, "Riemannian center of mass and mollifier smoothing", Comm. Pure Appl. Math. 30 (1977), section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, functions, gradient_descent
    >>> M = Sphere(2)
    >>> f = functions.FrechetMean(M, np.eye(3))
    >>> result = gradient_descent(M, f.fused, np.array([1.0, 0.0, 0.0]))
    >>> bool(np.allclose(result.point, np.full(3, 3.0**-0.5), atol=1e-6))
    True
    """

    def __init__(self, M: Any, points: Any, weights: Any = None) -> None:
        self.manifold = M
        self.points = checked_points(M, points, "points")
        self.weights = checked_weights(weights, len(self.points))

    def __call__(self, p: Any) -> Any:
        """Half the weighted mean of the squared distances from p, a number."""
        return 0.5 * self.weights.dot(self.manifold.squared_distance(p, self.points))

    def gradient(self, p: Any) -> Any:
        """Riemannian gradient at p: minus the weighted mean of the logarithms, a stored tangent vector."""
        return self._minus_mean(self.manifold.log(p, self.points))

    def cost_and_gradient(self, p: Any) -> tuple[float, Any]:
        """Cost and Riemannian gradient at p, from one logarithm per data point."""
        logs = self.manifold.log(p, self.points)
        return 0.5 * float(self.weights.dot(self.manifold.inner(p, logs, logs))), self._minus_mean(logs)

    @property
    def fused(self) -> Fused:
        """``Fused(cost_and_gradient)``, to be given to a solver in place of f."""
        return Fused(self.cost_and_gradient)

    def hessian(self, p: Any, X: Any) -> Any:
        """Riemannian Hessian at p along X: the weighted mean of those of half the squared distances.

        On symmetric spaces; see `has_curvature`.
        """
        M, N = self.manifold, len(self.points)
        spread = [np.broadcast_to(a, (N, *np.shape(a))) for a in (p, X)]
        return self._minus_mean(differential_log_basepoint(M, spread[0], self.points, spread[1]))

    def start(self) -> Any:
        """Where to start: the projected arithmetic mean where there is one, else the first data point."""
        M = self.manifold
        try:
            p = M.project_point(self.weights.dot(self.points.reshape(len(self.points), -1)).reshape(M.point_shape))
            M.check_point(p)
        except (ValueError, NotImplementedError):
            return self.points[0].copy()
        return p

    def _minus_mean(self, logs: Any) -> Any:
        flat = logs.reshape(len(self.points), -1)
        return -self.weights.dot(flat).reshape(logs.shape[1:])
