r"""Mean, median and variance of points on a manifold, by fixed-point iterations.

Mean: p <- exp_p(sum_i w_i log_p(x_i)), gradient descent with step 1 for half the weighted mean squared distance.
Median: Weiszfeld's iteration p <- exp_p(sum_i u_i log_p(x_i) / sum_i u_i) with u_i = w_i / d(p, x_i), which is the same
for the weighted mean distance. Both converge from any start near data that lie in a small ball; solvers on
`FrechetMean` and `FrechetMedian` take the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds.arrays import expanded
from ..objectives.user_functions import Fused
from .frechet import FrechetMean
from .weights import checked_points, checked_weights


def frechet_mean(
    M: Any,
    points: Any,
    weights: Any = None,
    *,
    start: Any = None,
    tolerance: float = 1e-12,
    max_iterations: int = 500,
) -> np.ndarray:
    """The (weighted) Fréchet mean of points that lie close together.

    Parameters
    ----------
    M : Manifold
        Needs ``exp`` and ``log``.
    points : array_like of shape (N, *point_shape)
        The data.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.
    start : array_like of shape point_shape, optional
        Default: the projected arithmetic mean where there is one, else the first point.
    tolerance : float, default 1e-12
        Of the length of the mean of the logarithms, relative to their root mean square length.
    max_iterations : int, default 500

    Returns
    -------
    ndarray of shape point_shape

    Raises
    ------
    ValueError
        On bad data, or when the iteration has not converged: minimize `FrechetMean` with a solver then.

    References
    ----------
    H. Karcher, "Riemannian center of mass and mollifier smoothing", Comm. Pure Appl. Math. 30 (1977), section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, functions
    >>> bool(np.allclose(functions.frechet_mean(Sphere(2), np.eye(3)), 3.0**-0.5))
    True
    """
    f = FrechetMean(M, points, weights)
    p = f.start() if start is None else checked_points(M, np.asarray(start)[None], "start")[0]
    for _ in range(max_iterations):
        cost, gradient = f.cost_and_gradient(p)
        # a gradient that is all rounding is no smaller than where two points count as one
        if M.norm(p, gradient) <= max(tolerance * (2.0 * cost) ** 0.5, M.coincidence_tolerance(p, p)):
            return p
        p = M.exp(p, -gradient)
    raise _unfinished("mean", "FrechetMean", max_iterations)


def frechet_median(
    M: Any,
    points: Any,
    weights: Any = None,
    *,
    start: Any = None,
    tolerance: float = 1e-10,
    max_iterations: int = 2000,
) -> np.ndarray:
    """The (weighted) Fréchet median of points that lie close together: the least mean distance.

    Parameters
    ----------
    M, points, weights, start, tolerance, max_iterations
        As for `frechet_mean`. The iteration starts at the mean.

    Returns
    -------
    ndarray of shape point_shape

    Raises
    ------
    ValueError
        On bad data, or when the iteration has not converged: minimize `FrechetMedian` with a solver then.

    Notes
    -----
    At a data point, where Weiszfeld's weights divide by zero, Vardi and Zhang's rule decides whether it is the median
    or the iteration leaves it.

    References
    ----------
    P. T. Fletcher, S. Venkatasubramanian, S. Joshi, "The geometric median on Riemannian manifolds with application to
    robust atlas estimation", NeuroImage 45 (2009), section 3. Y. Vardi, C.-H. Zhang, "The multivariate L1-median and
    associated data depth", PNAS 97 (2000).
    """
    x = checked_points(M, points, "points")
    w = checked_weights(weights, len(x))
    p = FrechetMean(M, x, w).start() if start is None else checked_points(M, np.asarray(start)[None], "start")[0]
    for _ in range(max_iterations):
        logs = M.log(p, x)
        d = np.asarray(M.norm(p, logs))
        spread = float(w @ d)
        near = d <= 1e-9 * spread
        u = np.where(near, 0.0, w / np.where(near, 1.0, d))
        pull = _combined(M, u, logs)
        strength, held = M.norm(p, pull), float(w[near].sum())
        if spread == 0.0 or strength <= held + tolerance:
            return x[near.argmax()].copy() if near.any() else p
        p = M.exp(p, pull * ((1.0 - held / strength) / u.sum()))
    raise _unfinished("median", "FrechetMedian", max_iterations)


def frechet_variance(M: Any, points: Any, weights: Any = None, *, mean: Any = None) -> float:
    """The (weighted) mean squared distance of points to their Fréchet mean, or to a point given as `mean`."""
    p = frechet_mean(M, points, weights) if mean is None else checked_points(M, np.asarray(mean)[None], "mean")[0]
    return 2.0 * float(FrechetMean(M, points, weights)(p))


class FrechetMedian:
    r"""Cost whose minimizer is the (weighted) Fréchet median: sum_i w_i d(p, x_i), with sum_i w_i = 1.

    Parameters
    ----------
    M : Manifold
        Needs ``log``.
    points : array_like of shape (N, *point_shape)
        The data.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Raises
    ------
    ValueError
        When shapes do not fit, a data point is not on M, or weights are negative.

    Notes
    -----
    Not differentiable at the data points, one of which may be the minimizer; there ``gradient`` leaves that point out,
    which is a subgradient. `frechet_median` solves the problem where the data are close together.
    """

    def __init__(self, M: Any, points: Any, weights: Any = None) -> None:
        self.manifold = M
        self.points = checked_points(M, points, "points")
        self.weights = checked_weights(weights, len(self.points))

    def __call__(self, p: Any) -> Any:
        """The weighted mean distance."""
        return self.weights.dot(self.manifold.distance(p, self.points))

    def gradient(self, p: Any) -> Any:
        """Riemannian (sub)gradient: minus the weighted mean of the unit vectors towards the data."""
        return self.cost_and_gradient(p)[1]

    def cost_and_gradient(self, p: Any) -> tuple[float, Any]:
        """Both, from one logarithm per data point."""
        M = self.manifold
        logs = M.log(p, self.points)
        d = np.asarray(M.norm(p, logs))
        near = d <= M.coincidence_tolerance(p, self.points)
        u = np.where(near, 0.0, self.weights / np.where(near, 1.0, d))
        return float(self.weights @ d), -_combined(M, u, logs)

    @property
    def fused(self) -> Fused:
        """``Fused(cost_and_gradient)``, to be given to a solver in place of f."""
        return Fused(self.cost_and_gradient)


def _combined(M: Any, u: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """``sum_i u_i logs_i``."""
    return np.sum(expanded(u, len(M.vector_shape)) * logs, axis=0).astype(logs.dtype, copy=False)


def _unfinished(what: str, name: str, n: int) -> ValueError:
    return ValueError(
        f"the iteration for the Fréchet {what} has not converged after {n} steps: the points are too far apart, or "
        f"max_iterations is too small; minimize functions.{name}(M, points) with a solver"
    )
