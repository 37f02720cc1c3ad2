r"""Confidence intervals: from the quadratic model (Wald), and from the cost itself (profile likelihood).

The profile of a function h is the least cost that any point with h(p) = c has. Its interval holds all c at which the
profile exceeds the minimum by no more than half sigma^2 t^2, which for a curved problem is not symmetric, may be
infinite, and does not depend on how the point is parametrized.

A point of the profile costs one fit: whatever c' and mu, the minimizer of f(p) + mu/2 (h(p) - c')^2 is the minimizer
of f among all points with its own value of h, since a better one would improve the sum. So no constraint needs to be
met to the last digit, and one root of a function of c' is to be found per end of the interval.

References
----------
.. [1] D. M. Bates and D. G. Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988, sections 2.3, 6.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.problem import Problem
from ..core.solve import solve
from ..linalg.solvers import dense
from ..objectives.base import Objective
from ..objectives.corrections import Groups, Robust
from ..objectives.evaluation import Counts
from ..objectives.least_squares import LeastSquaresFunctions
from ..objectives.losses import LinearLoss
from ..solvers.levenberg_marquardt import LevenbergMarquardtState

# how much stiffer than the profile the penalty is: it must outweigh any concave part of the profile
_STIFFNESS = 100.0
# an interval longer than this many times the Wald interval is called infinite
_LONGEST = 1e4
_ACCURACY = 1e-6


def quantile(level: float, degrees_of_freedom: float) -> float:
    """The t with P(|T| <= t) = level for Student's distribution; of the normal one for infinitely many degrees.

    Raises
    ------
    ValueError
        When ``level`` is not between 0 and 1.
    """
    from scipy.special import ndtri, stdtrit

    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must be between 0 and 1, such as 0.95; got {level!r}.")
    if degrees_of_freedom <= 0:
        return math.inf
    upper = 0.5 * (1.0 + level)
    return float(ndtri(upper) if math.isinf(degrees_of_freedom) else stdtrit(degrees_of_freedom, upper))


@dataclass(frozen=True)
class _Penalized(Objective):
    """A least-squares objective with the residual sqrt(mu) (h(p) - c) below the others."""

    functions: LeastSquaresFunctions
    number: int
    scalar: Callable[[Any], tuple[float, Any]]
    root_mu: float
    target: float

    def bind(self, M: Any, p: Any, counts: Counts) -> LeastSquaresFunctions:
        """The functions of the objective with one more residual."""
        inner, scalar, root = self.functions, self.scalar, self.root_mu

        def residual(p: Any) -> Any:
            r = inner.evaluation(p, Counts()).residuals
            return np.append(r, root * (scalar(p)[0] - self.target))

        def jacobian(p: Any) -> tuple[Any, Any]:
            h, g = scalar(p)
            e = inner.evaluation(p, Counts())
            J = dense(e.jacobian)
            return np.append(e.residuals, root * (h - self.target)), np.vstack([J, root * g])

        return LeastSquaresFunctions(M, residual, jacobian, robust=_with_one_more(inner.robust, self.number))


def _with_one_more(robust: Robust | None, number: int) -> Robust | None:
    """Losses of the residuals with the penalty, which has none, below."""
    if robust is None:
        return None
    groups = tuple(g if g.number is not None else g._replace(number=number // g.size) for g in robust.groups)
    return Robust((*groups, Groups(1, 1, LinearLoss())), robust.correction)


def scalar_function(h: Callable[[Any], Any], M: Any, p: Any) -> Callable[[Any], tuple[float, Any]]:
    """Value and coordinates of the gradient of a user's h : M -> R.

    Raises
    ------
    ValueError
        When h does not return one number.
    """
    from ..autodiff import choose_backend

    if np.size(h(p)) != 1:
        raise ValueError(f"the function of an interval must return one number; it returned shape {np.shape(h(p))}.")
    jacobian = choose_backend("auto", h, p).jacobian(_one(h), M)

    def evaluate(p: Any) -> tuple[float, Any]:
        _, J = jacobian(p)
        return float(np.reshape(h(p), ())), dense(J).reshape(-1)

    return evaluate


def _one(h: Callable[[Any], Any]) -> Callable[[Any], Any]:
    from ..linalg import namespace

    def vector(p: Any) -> Any:
        value = h(p)
        return namespace(value).reshape(value, (1,))

    return vector


def profile_interval(
    M: Any,
    functions: LeastSquaresFunctions,
    p: Any,
    scalar: Callable[[Any], tuple[float, Any]],
    *,
    sigma: float,
    standard_error: float,
    factor: float,
) -> tuple[float, float]:
    """Profile-likelihood interval of a scalar function.

    Parameters
    ----------
    M : Manifold
    functions : LeastSquaresFunctions
        Those of the fit.
    p : array
        Its solution.
    scalar : callable
        p -> (h(p), coordinates of its gradient).
    sigma : float
        Standard deviation of the residuals.
    standard_error : float
        Of h(p).
    factor : float
        The t up to which |h - h(p)| is inside.

    Returns
    -------
    low, high : float
        Infinite where the profile stays below the level out to ten thousand times the Wald interval.
    """
    e = functions.evaluation(p, Counts())
    center = scalar(p)[0]
    if standard_error == 0.0 or sigma == 0.0:
        return center, center
    root_mu = math.sqrt(_STIFFNESS) * sigma / standard_error
    ends = []
    for sign in (-1.0, 1.0):
        branch = _Branch(M, functions, e, scalar, sigma, root_mu)
        ends.append(branch.end(center, sign * factor * standard_error, factor))
    return ends[0], ends[1]


class _Branch:
    """One side of a profile, walked with warm starts."""

    def __init__(self, M: Any, functions: Any, e: Any, scalar: Any, sigma: float, root_mu: float) -> None:
        self.M, self.functions, self.scalar, self.sigma, self.root_mu = M, functions, scalar, sigma, root_mu
        self.cost, self.number = e.cost, len(e.residuals)
        self.points = [(scalar(e.point)[0], e.point)]

    def pulled(self, target: float) -> tuple[float, float]:
        """Excess (as a number of standard deviations) and value of h of the fit pulled to ``target``."""
        _, start = min(self.points, key=lambda known: abs(known[0] - target))
        objective = _Penalized(self.functions, self.number, self.scalar, self.root_mu, target)
        p = solve(Problem(self.M, objective), LevenbergMarquardtState(start)).point
        h = self.scalar(p)[0]
        self.points.append((h, p))
        excess = self.functions.evaluation(p, Counts()).cost - self.cost
        return math.sqrt(max(2.0 * excess, 0.0)) / self.sigma, h

    def end(self, center: float, step: float, factor: float) -> float:
        """Value of h at which the excess is ``factor``; infinite if it never is."""
        low, t = (0.0, 0.0, center), 1.0 + 1.0 / _STIFFNESS
        while True:
            z, h = self.pulled(center + t * step)
            if z >= factor:
                return self._between(center, step, factor, low, (t, z, h))
            if t > _LONGEST:
                return math.copysign(math.inf, step)
            low, t = (t, z, h), 2.0 * t

    def _between(
        self,
        center: float,
        step: float,
        factor: float,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
    ) -> float:
        """Root between two multiples of the step, by the secant rule kept inside and away from the ends."""
        for _ in range(60):
            part = (factor - low[1]) / (high[1] - low[1])
            if min(high[1] - factor, factor - low[1]) <= _ACCURACY * factor or high[0] - low[0] <= 1e-9 * high[0]:
                break
            t = low[0] + min(max(part, 0.02), 0.98) * (high[0] - low[0])
            point = (t, *self.pulled(center + t * step))
            low, high = (low, point) if point[1] > factor else (point, high)
        return low[2] + part * (high[2] - low[2])
