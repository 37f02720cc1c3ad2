r"""Bézier curves by de Casteljau's algorithm, their derivatives, and fitting them to data.

A curve of degree n has control points b_0, ..., b_n. With g(t; p, q) the shortest geodesic from p to q at time t,

    b_i^0 = b_i,    b_i^k = g(t; b_i^(k-1), b_(i+1)^(k-1)),    c(t) = b_0^n,

is a polynomial in flat space, starts at b_0 with velocity n log(b_0, b_1), and ends at b_n. Each step is a geodesic
between points, so that the derivative along changes of the control points goes forward through the triangle by
`differential_geodesic`, and the gradient backward by its adjoint.

References
----------
R. Bergmann, P.-Y. Gousenbourger, "A variational model for data fitting on manifolds by minimizing the acceleration of a
Bézier curve", Front. Appl. Math. Stat. 4 (2018), sections 3 and 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg import namespace
from ..manifolds import PowerManifold
from ..manifolds.arrays import expanded
from ..objectives.user_functions import Fused
from .jacobi_fields import (
    adjoint_differential_geodesic_endpoint,
    adjoint_differential_geodesic_startpoint,
    differential_geodesic,
    differential_log_argument,
)
from .weights import checked_points, checked_weights


def _between(M: Any, p: Any, q: Any, t: Any) -> Any:
    return M.exp(p, M.log(p, q), t)


def _triangle(M: Any, control: Any, t: Any) -> list[list[Any]]:
    """The points b_i^k, each with the batch of t; the last row is the curve."""
    t = np.asarray(t, dtype=float)
    whole = t.shape + M.point_shape
    rows = [[namespace(b).broadcast_to(b, whole) for b in control]]
    while len(rows[-1]) > 1:
        rows.append([_between(M, p, q, _time(t)) for p, q in zip(rows[-1], rows[-1][1:])])
    return rows


def _time(t: np.ndarray) -> Any:
    return float(t) if t.ndim == 0 else t


def bezier_curve(M: Any, control: Any, t: Any) -> Any:
    """Points of a Bézier curve.

    Parameters
    ----------
    M : Manifold
        Needs ``exp`` and ``log``.
    control : array of shape (n + 1, *point_shape)
        The control points, a point of ``PowerManifold(M, n + 1)``.
    t : float or array of any shape
        Times, usually in [0, 1].

    Returns
    -------
    array of shape (*t.shape, *point_shape)

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, functions
    >>> control = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 0.0]])
    >>> functions.bezier_curve(Euclidean(2), control, 0.5)
    array([1., 1.])
    """
    return _triangle(M, control, t)[-1][0]


def bezier_differential(M: Any, control: Any, t: Any, V: Any) -> Any:
    """The derivative of a Bézier curve along changes of its control points.

    Parameters
    ----------
    M : Manifold
        A symmetric space; see `has_curvature`.
    control, t
        As for `bezier_curve`.
    V : array of shape (n + 1, *batch, *vector_shape)
        Tangent vectors at the control points; a batch follows from its own axes.

    Returns
    -------
    array of shape (*t.shape, *batch, *vector_shape)
        Tangent vectors at the points of the curve.
    """
    times = np.asarray(t, dtype=float)
    extra = V.ndim - 1 - len(M.vector_shape)
    spread = lambda a, k: a.reshape(a.shape[: a.ndim - k] + (1,) * extra + a.shape[a.ndim - k :])
    s = times.reshape(times.shape + (1,) * extra)
    whole = times.shape + V.shape[1:]
    row = [np.broadcast_to(v, whole) for v in V]
    for points in _triangle(M, control, t)[:-1]:
        at = [spread(b, len(M.point_shape)) for b in points]
        row = [
            differential_geodesic(M, p, q, _time(s), v, w)
            for p, q, v, w in zip(at, at[1:], row, row[1:])
        ]
    return row[0]


def bezier_adjoint(M: Any, control: Any, t: Any, W: Any) -> Any:
    """The adjoint of `bezier_differential`, summed over the times: gradients for the control points.

    Parameters
    ----------
    M : Manifold
        A symmetric space; see `has_curvature`.
    control, t
        As for `bezier_curve`.
    W : array of shape (*t.shape, *vector_shape)
        Tangent vectors at the points of the curve, such as the gradient of a function of them.

    Returns
    -------
    array of shape (n + 1, *vector_shape)
        Tangent vectors at the control points.
    """
    times = np.asarray(t, dtype=float)
    row = [W]
    for points in reversed(_triangle(M, control, t)[:-1]):
        s = _time(times)
        starts = [adjoint_differential_geodesic_startpoint(M, p, q, s, w) for p, q, w in zip(points, points[1:], row)]
        ends = [adjoint_differential_geodesic_endpoint(M, p, q, s, w) for p, q, w in zip(points, points[1:], row)]
        row = [starts[0], *(a + b for a, b in zip(starts[1:], ends)), ends[-1]]
    return np.stack([np.sum(w, axis=tuple(range(times.ndim))) for w in row])


class BezierRegression:
    r"""Fitting a Bézier curve to data (t_i, y_i): 1/2 sum_i w_i d(y_i, c(t_i))^2 over the control points.

    Parameters
    ----------
    M : Manifold
        A symmetric space; see `has_curvature`.
    degree : int
        Of the curve; 1 is a geodesic.
    t : array_like of shape (N,)
        Real covariates, best scaled to [0, 1].
    points : array_like of shape (N, *point_shape)
        The responses y_i.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Attributes
    ----------
    manifold : PowerManifold
        M^(degree + 1), where the control points live.

    Raises
    ------
    ValueError
        When shapes do not fit, the degree is not positive, a response is not on M, or weights are negative.

    Notes
    -----
    For least-squares solvers: ``residual`` and ``jacobian``, in orthonormal coordinates. For others: ``fused``, value
    and Riemannian gradient by one backward pass. With fewer data than control points the curve is not determined.
    """

    def __init__(self, M: Any, degree: int, t: Any, points: Any, weights: Any = None) -> None:
        if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)) or degree < 1:
            raise ValueError(f"`degree` must be a positive integer; got {degree!r}.")
        self.base = M
        self.manifold = PowerManifold(M, int(degree) + 1)
        self.points = checked_points(M, points, "points")
        self.t = np.array(t, dtype=float)
        if self.t.shape != (len(self.points),) or not np.isfinite(self.t).all():
            raise ValueError(
                f"`t` must have one finite number for each of the {len(self.points)} points; got shape {self.t.shape}."
            )
        self.weights = checked_weights(weights, len(self.points))
        self._root_weights = np.sqrt(self.weights)[:, None]

    def predict(self, control: Any, t: Any) -> Any:
        """Points of the curve at the times t."""
        return bezier_curve(self.base, control, t)

    def residual(self, control: Any) -> Any:
        """Weighted coordinates of log_{y_i}(c(t_i)), all in one array of N times dim numbers."""
        M = self.base
        logs = M.log(self.points, self.predict(control, self.t))
        return namespace(logs).reshape(self._root_weights * M.get_coordinates(self.points, logs), (-1,))

    def jacobian(self, control: Any) -> np.ndarray:
        """The derivative of the residual in orthonormal coordinates, of shape ``(N dim, (degree + 1) dim)``."""
        M = self.base
        n, m = len(control), M.dim
        basis = M.get_basis(control)
        V = np.zeros((n, n, m, *M.vector_shape), dtype=basis.dtype)
        V[range(n), range(n)] = basis
        moved = bezier_differential(M, control, self.t, V.reshape((n, n * m, *M.vector_shape)))
        at = self.points[:, None]
        logs = differential_log_argument(M, at, self.predict(control, self.t)[:, None], moved)
        c = self._root_weights[:, None] * M.get_coordinates(at, logs)
        return np.swapaxes(c, 1, 2).reshape(-1, n * m)

    def __call__(self, control: Any) -> Any:
        """Half the weighted mean of the squared distances."""
        return 0.5 * self.weights.dot(self.base.squared_distance(self.predict(control, self.t), self.points))

    def gradient(self, control: Any) -> np.ndarray:
        """Riemannian gradient with respect to the control points."""
        return self.cost_and_gradient(control)[1]

    def cost_and_gradient(self, control: Any) -> tuple[float, np.ndarray]:
        """Both, from one logarithm per data point and one backward pass."""
        M = self.base
        at = self.predict(control, self.t)
        logs = M.log(at, self.points)
        cost = 0.5 * float(self.weights.dot(M.inner(at, logs, logs)))
        return cost, bezier_adjoint(M, control, self.t, -expanded(self.weights, len(M.vector_shape)) * logs)

    @property
    def fused(self) -> Fused:
        """``Fused(cost_and_gradient)``, to be given to a solver in place of f."""
        return Fused(self.cost_and_gradient)

    def start(self) -> np.ndarray:
        """Control points on the geodesic through the data nearest to t = 0 and t = 1."""
        p, q = (self.points[np.abs(self.t - s).argmin()] for s in (0.0, 1.0))
        times = np.linspace(0.0, 1.0, self.manifold.copies[0])
        return np.stack([_between(self.base, p, q, float(s)) for s in times])
