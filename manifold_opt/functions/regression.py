r"""Geodesic regression: the geodesic that best fits points on a manifold over a real variable.

The geodesic is given by its points p at t = 0 and q at t = 1,

    gamma(t) = exp_p(t log_p(q)),

so that the parameters are a point of the manifold M x M and need no tangent bundle; the two describe the same
geodesics as long as p and q are closer than the injectivity radius (rescale t if they are not). The cost is
1/2 sum_i w_i d(y_i, gamma(t_i))^2.

The residual of the i-th data point is log_{y_i}(gamma(t_i)) in orthonormal coordinates of the tangent space *at the
data point*: its norm is the distance, and it lies in one vector space for all parameters. The vector
log_{gamma(t_i)}(y_i) has the same norm but lives in a tangent space that moves with the parameters, so that differences
of its coordinates would depend on the choice of bases along the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg import namespace
from ..manifolds import PowerManifold
from .jacobi_fields import differential_geodesic, differential_log_argument
from .weights import checked_points, checked_weights


class GeodesicRegression:
    r"""Least-squares problem of fitting a geodesic to data (t_i, y_i).

    Parameters
    ----------
    M : Manifold
        Needs ``exp``, ``log`` and ``get_coordinates``.
    t : array_like of shape (N,)
        Real covariates. Best scaled to about [-1, 1]: the geodesic is represented by its points at t = 0 and t = 1.
    points : array_like of shape (N, *point_shape)
        The responses y_i.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Attributes
    ----------
    manifold : PowerManifold
        M x M, where the parameters (p, q) live: arrays of shape ``(2, *point_shape)``.

    Raises
    ------
    ValueError
        When shapes do not fit, a response is not on M, or weights are negative.

    Notes
    -----
    ``regression.residual(pq)`` is to be given to a least-squares solver on ``regression.manifold``, on symmetric spaces
    with ``jacobian=regression.jacobian``, which costs a few batched operations of M; elsewhere automatic
    differentiation does it. 1/2 |residual|^2 is half the weighted mean of the squared distances.

    References
    ----------
    P. T. Fletcher, "Geodesic regression and the theory of least squares on Riemannian manifolds", Int. J. Comput. Vis.
    105 (2013), section 3.
    """

    def __init__(self, M: Any, t: Any, points: Any, weights: Any = None) -> None:
        self.base = M
        self.manifold = PowerManifold(M, 2)
        self.points = checked_points(M, points, "points")
        self.t = np.array(t, dtype=float)
        if self.t.shape != (len(self.points),) or not np.isfinite(self.t).all():
            raise ValueError(
                f"`t` must have one finite number for each of the {len(self.points)} points; got shape {self.t.shape}."
            )
        self.weights = checked_weights(weights, len(self.points))
        self._root_weights = np.sqrt(self.weights)[:, None]

    def predict(self, pq: Any, t: Any) -> Any:
        """Points of the geodesic with parameters ``pq`` at the times ``t``: shape ``(*t.shape, *point_shape)``."""
        p, q = pq[0], pq[1]
        return self.base.exp(p, self.base.log(p, q), t)

    def residual(self, pq: Any) -> Any:
        """Weighted coordinates of log_{y_i}(gamma(t_i)), all in one array of N times dim numbers."""
        M = self.base
        logs = M.log(self.points, self.predict(pq, self.t))
        return namespace(logs).reshape(self._root_weights * M.get_coordinates(self.points, logs), (-1,))

    def jacobian(self, pq: Any) -> np.ndarray:
        """The derivative of the residual in orthonormal coordinates of p, then of q: shape ``(N dim, 2 dim)``.

        By Jacobi fields, on symmetric spaces; see `has_curvature`.
        """
        M = self.base
        p, q = pq[0], pq[1]
        t = self.t[:, None]
        B, C = M.get_basis(p), M.get_basis(q)
        V, W = np.concatenate([B, 0.0 * B]), np.concatenate([0.0 * C, C])
        columns = differential_geodesic(M, p, q, t, V, W)  # (N, 2 dim, *vector_shape), at the points of the geodesic
        at = self.points[:, None]
        logs = differential_log_argument(M, at, self.predict(pq, self.t)[:, None], columns)
        c = self._root_weights[:, None] * M.get_coordinates(at, logs)
        return np.swapaxes(c, 1, 2).reshape(-1, 2 * M.dim)

    def start(self) -> np.ndarray:
        """Parameters to start from: the geodesic through the two data points nearest to t = 0 and t = 1."""
        return self.points[[np.abs(self.t).argmin(), np.abs(self.t - 1.0).argmin()]]
