"""The cost along lines and planes through a point, as numbers, and drawn on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.problem import Problem
from ..linalg import Array
from .derivatives import _cost_objective, _point_and_direction

__all__ = ["Profile", "line_profile", "plane_profile"]


@dataclass(frozen=True, eq=False)
class Profile:
    """Values of a cost along a line or on a plane of tangent vectors.

    Attributes
    ----------
    steps : tuple of arrays
        Steps along each direction.
    costs : array
        Costs at retract(p, s X) or retract(p, s X + t Y), of shape (len(s),) or (len(s), len(t)).
    directions : tuple of arrays
        Tangent vectors of length one, orthogonal to each other.
    point : array
    """

    steps: tuple[Array, ...]
    costs: Array
    directions: tuple[Array, ...]
    point: Array

    def __repr__(self) -> str:
        shape = " x ".join(str(len(s)) for s in self.steps)
        return f"Profile: {shape} costs from {np.nanmin(self.costs):.6g} to {np.nanmax(self.costs):.6g}"

    def plot(self, ax: Any = None) -> Any:
        """Draw the line as a curve, the plane as level lines.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        matplotlib axes
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure().add_subplot()
        if len(self.steps) == 1:
            ax.plot(self.steps[0], self.costs)
            ax.set(xlabel="t", ylabel="cost")
        else:
            ax.contour(self.steps[0], self.steps[1], self.costs.T, 20)
            ax.plot(0.0, 0.0, "+")
            ax.set(xlabel="s", ylabel="t")
        return ax


def line_profile(
    M: Any,
    f: Any,
    p: Array | None = None,
    X: Array | None = None,
    *,
    steps: Any = None,
    retraction: Any = None,
    rng: Any = None,
    plot: bool = False,
) -> Profile:
    """Costs along a line: f(retract(p, t X)).

    Parameters
    ----------
    M : Manifold
    f : callable or Objective
        The cost.
    p : array, optional
        Point. Default: random.
    X : array, optional
        Direction, a tangent vector of any length but zero: it is made one long. Default: random.
    steps : array, optional
        Values of t. Default: 101 from -1 to 1.
    retraction : str or callable, optional
        Default the manifold's.
    rng : seed or Generator, optional
        For random p and X.
    plot : bool
        Draw it with matplotlib as well. Default False.

    Returns
    -------
    Profile

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt.checks import line_profile
    >>> from manifold_opt.manifolds import Euclidean
    >>> profile = line_profile(Euclidean(1), lambda p: p[0] ** 2, np.zeros(1), np.ones(1), steps=[-1.0, 0.0, 2.0])
    >>> profile.costs
    array([1., 0., 4.])
    """
    p, X = _point_and_direction(M, p, X, rng)
    t = _steps(steps, 101)
    problem, retract = Problem(M, _cost_objective(f, None, None, "riemannian", "auto")), M.get_retraction(retraction)
    cost = _cost(f, problem)
    profile = Profile((t,), np.array([cost(retract(p, X, s)) for s in t.tolist()]), (X,), p)
    if plot:
        profile.plot()
    return profile


def plane_profile(
    M: Any,
    f: Any,
    p: Array | None = None,
    X: Array | None = None,
    Y: Array | None = None,
    *,
    steps: Any = None,
    retraction: Any = None,
    rng: Any = None,
    plot: bool = False,
) -> Profile:
    """Costs on a plane: f(retract(p, s X + t Y)), with Y made orthogonal to X.

    Parameters
    ----------
    M : Manifold
        Of dimension 2 at least.
    f : callable or Objective
        The cost.
    p : array, optional
        Point. Default: random.
    X, Y : array, optional
        Directions, made orthonormal. Default: random.
    steps : array, or pair of arrays, optional
        Values of s and t. Default: 41 from -1 to 1, for both.
    retraction : str or callable, optional
        Default the manifold's.
    rng : seed or Generator, optional
        For random p, X and Y.
    plot : bool
        Draw level lines with matplotlib as well. Default False.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        When X and Y are parallel.
    """
    rng = np.random.default_rng(rng)
    p, X = _point_and_direction(M, p, X, rng)
    p, Y = _point_and_direction(M, p, Y, rng)
    for _ in range(2):
        Y = Y - float(M.inner(p, X, Y)) * X
    length = float(M.norm(p, Y))
    if not length > 1e3 * float(np.finfo(p.dtype).eps):
        raise ValueError("`Y` must not be parallel to `X`: they span the plane.")
    Y = Y / length
    pair = steps if isinstance(steps, tuple) else (steps, steps)
    s, t = (_steps(values, 41) for values in pair)
    problem, retract = Problem(M, _cost_objective(f, None, None, "riemannian", "auto")), M.get_retraction(retraction)
    cost = _cost(f, problem)
    costs = np.array([[cost(retract(p, a * X + b * Y, 1.0)) for b in t.tolist()] for a in s.tolist()])
    profile = Profile((s, t), costs, (X, Y), p)
    if plot:
        profile.plot()
    return profile


def _cost(f: Any, problem: Problem) -> Any:
    """The cost as it is where it is a plain function: nothing is differentiated for a picture."""
    from ..objectives.base import Objective
    from ..objectives.user_functions import Fused

    return problem.cost if isinstance(f, Objective | Fused) else lambda p: float(f(p))


def _steps(steps: Any, number: int) -> Array:
    t = np.linspace(-1.0, 1.0, number) if steps is None else np.asarray(steps, dtype=float)
    if t.ndim != 1 or not t.size or not np.all(np.isfinite(t)):
        raise ValueError(f"`steps` must be a one-dimensional array of finite numbers; got {steps!r}.")
    return t
