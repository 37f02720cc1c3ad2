r"""Critical points, saddles and maxima included.

From random points, Newton's method finds zeros of the gradient; a critical point found again is dropped, and the
spectrum of the Hessian says what each is. There is no promise that all are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.problem import Problem
from ..linalg import Array
from ..solvers.newton import newton
from .derivatives import _cost_objective
from .spectrum import HessianSpectrum, hessian_spectrum

__all__ = ["CriticalPoint", "critical_points"]


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """A zero of the gradient.

    Attributes
    ----------
    point : array
    cost : float
    gradient_norm : float
    spectrum : HessianSpectrum
        Of the Hessian there.
    found : int
        How many starts ended here.
    """

    point: Array
    cost: float
    gradient_norm: float
    spectrum: HessianSpectrum
    found: int = 1

    @property
    def kind(self) -> str:
        """One of "minimum", "maximum", "saddle" and "degenerate"; the last has a Hessian that is singular."""
        if self.spectrum.nullity:
            return "degenerate"
        index = self.spectrum.index
        return "minimum" if index == 0 else "maximum" if index == len(self.spectrum.eigenvalues) else "saddle"

    def __repr__(self) -> str:
        i = self.spectrum.index
        return f"CriticalPoint({self.kind}, cost {self.cost:.9g}, index {i}, found {self.found} times)"


def critical_points(
    M: Any,
    f: Any,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    starts: Any = 20,
    tolerance: float = 1e-8,
    separation: float = 1e-4,
    rng: Any = None,
) -> list[CriticalPoint]:
    """Find critical points by Newton's method from many starts.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        Cost, as solvers take it.
    gradient, hessian, objective_type, autodiff : optional
        Those of solvers.
    starts : int or sequence of points, optional
        How many random points to start from, or the points. Default 20.
    tolerance : float, optional
        Largest gradient norm of a critical point. Default 1e-8.
    separation : float, optional
        Points closer than this are the same. Default 1e-4.
    rng : seed or Generator, optional
        For the random points.

    Returns
    -------
    list of CriticalPoint
        In ascending order of the cost. Symmetries of f show as several points of one cost, a continuous one as
        points of kind "degenerate".

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt.checks import critical_points
    >>> from manifold_opt.manifolds import Sphere
    >>> A = np.diag([1.0, 2.0, 4.0])
    >>> points = critical_points(Sphere(2), lambda p: p @ A @ p, rng=0)
    >>> [(c.kind, round(c.cost, 9)) for c in points[::2]]
    [('minimum', 1.0), ('saddle', 2.0), ('maximum', 4.0)]
    """
    objective = _cost_objective(f, gradient, hessian, objective_type, autodiff)
    rng = np.random.default_rng(rng)
    if isinstance(starts, int | np.integer):
        starts = [M.random_point(rng) for _ in range(int(starts))]
    problem = Problem(M, objective)
    found: list[tuple[Array, int]] = []
    for p0 in starts:
        result = newton(M, objective, p0, tolerance=tolerance, rng=rng)
        if not (result.converged and result.gradient_norm <= tolerance):
            continue
        near = [i for i, (q, _) in enumerate(found) if _distance(M, q, result.point) <= separation]
        if near:
            found[near[0]] = (found[near[0]][0], found[near[0]][1] + 1)
        else:
            found.append((result.point, 1))
    points = []
    for p, times in found:
        spectrum = hessian_spectrum(M, objective, p)
        points.append(CriticalPoint(p, problem.cost(p), spectrum.gradient_norm, spectrum, times))
    return sorted(points, key=lambda c: c.cost)


def _distance(M: Any, p: Array, q: Array) -> float:
    if M.has("distance"):
        return float(M.distance(p, q))
    return float(np.linalg.norm(np.asarray(M.embed_point(p)) - np.asarray(M.embed_point(q))))
