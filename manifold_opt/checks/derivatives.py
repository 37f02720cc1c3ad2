"""Are the user's derivatives right? Slopes of Taylor errors along a random direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.safeguards import WrongDerivative, check_cost_gradient, check_residual_jacobian
from ..core.problem import Problem
from ..linalg import Array
from ..objectives import CostObjective, NonlinearLeastSquaresObjective
from ..objectives.base import Objective
from .slopes import SlopeCheck, steps, taylor_check

__all__ = ["check_differential", "check_gradient", "check_hessian", "check_jacobian"]


def check_gradient(
    M: Any,
    f: Any,
    gradient: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    *,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    retraction: Any = None,
    scale: float = 1.0,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check a gradient: f(R_p(tX)) - f(p) - t <gradient, X> falls as t^2, and the gradient is tangent.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        Cost, as solvers take it.
    gradient : callable, optional
        Gradient, as solvers take it. Default: that of automatic differentiation.
    p : array, optional
        Point. Default: random.
    X : array, optional
        Direction, a tangent vector of any length but zero. Default: random.
    objective_type : {"riemannian", "euclidean"}
        What ``gradient`` is.
    autodiff : str
        How a gradient not given is obtained.
    retraction : str or callable, optional
        Curve along which f is evaluated. Default: the manifold's default retraction.
    scale : float
        Longest step, in units of the metric; the shortest is 1e-8 (sqrt(eps)) of it. Choose about the length over which
        f changes. Default 1.
    rng : seed or Generator, optional
        For random p and X.
    plot : bool
        Draw the error curve with matplotlib as well. Default False.

    Returns
    -------
    SlopeCheck
        True if the gradient passes; its ``repr`` says what is wrong if not.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt.checks import check_gradient
    >>> from manifold_opt.manifolds import Sphere
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> bool(check_gradient(Sphere(2), lambda p: p @ A @ p, lambda p: 2 * A @ p, objective_type="euclidean", rng=0))
    True
    """
    problem = Problem(M, _cost_objective(f, gradient, None, objective_type, autodiff))
    p, X = _point_and_direction(M, p, X, rng)
    grad = problem.gradient(p)
    problems = _tangency(M, p, grad, "gradient")
    # a vector that is not tangent has an inner product with X all the same where the shapes agree
    slope = float(M.inner(p, grad, X)) if np.shape(grad) == np.shape(X) else float("nan")
    result = _first_order("gradient", M, problem.cost, p, X, slope, retraction, scale, problems)
    if not result and not problems:
        result = _explained(result, lambda: check_cost_gradient(problem.cost, grad, M, p, rng, given=True))
    return _drawn(result, plot)


def check_differential(
    M: Any,
    f: Any,
    differential: Callable[[Array, Array], Any],
    p: Array | None = None,
    X: Array | None = None,
    *,
    retraction: Any = None,
    scale: float = 1.0,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check a differential ``differential(p, X)``: f(R_p(tX)) - f(p) - t differential(p, X) falls as t^2.

    Parameters
    ----------
    M, f, p, X, retraction, scale, rng, plot
        As for `check_gradient`.
    differential : callable
        (p, X) -> directional derivative of f at p along X, a real number.

    Returns
    -------
    SlopeCheck
    """
    p, X = _point_and_direction(M, p, X, rng)
    cost = Problem(M, f).cost if isinstance(f, Objective) else f
    slope = float(differential(p, X))
    return _drawn(_first_order("differential", M, cost, p, X, slope, retraction, scale, []), plot)


def check_hessian(
    M: Any,
    f: Any,
    gradient: Any = None,
    hessian: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    *,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    retraction: Any = None,
    scale: float = 1.0,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check a Hessian: the second-order Taylor error falls as t^3, and it is tangent, linear and symmetric.

    Parameters
    ----------
    M, f, gradient, p, X, autodiff, scale, rng, plot
        As for `check_gradient`.
    hessian : callable, optional
        Hessian, as solvers take it: ``hessian(p, X)``. Default: that of automatic differentiation.
    objective_type : {"riemannian", "euclidean"}
        What ``gradient`` and ``hessian`` are.
    retraction : str or callable, optional
        Curve along which f is evaluated; it must be of second order unless p is critical. Default: the exponential
        map where the manifold has it, else the default retraction.

    Returns
    -------
    SlopeCheck
        ``figures`` has the relative deviations from linearity and symmetry.

    Notes
    -----
    A wrong gradient shows as slope 1; check it first.
    """
    problem = Problem(M, _cost_objective(f, gradient, hessian, objective_type, autodiff))
    rng = np.random.default_rng(rng)
    p, X = _point_and_direction(M, p, X, rng)
    e = problem.evaluate(p)
    HX = e.hessian(X)
    problems = _tangency(M, p, e.gradient, "gradient") + _tangency(M, p, HX, "hessian")
    figures: dict[str, float] = {}
    if not problems:
        problems, figures = _linear_and_symmetric(M, p, X, e.hessian, rng)
    if retraction is None and M.has("exp"):
        retract = M.exp
    else:
        retract = M.get_retraction(retraction)
    first, second = float(M.inner(p, e.gradient, X)), float(M.inner(p, HX, X))
    result = taylor_check(
        "hessian",
        lambda t: problem.cost(retract(p, X, t)),
        lambda t: e.cost + t * first + 0.5 * t * t * second,
        3,
        steps(scale, p.real.dtype),
        _eps(p),
        problems,
        figures,
        "Slope 1: the gradient is wrong; slope 2: the Hessian is, or the retraction is of first order only.",
    )
    return _drawn(result, plot)


def check_jacobian(
    M: Any,
    residual: Any,
    jacobian: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    *,
    jacobian_type: str = "coordinates",
    jacobian_basis: Any = None,
    num_residuals: int | None = None,
    autodiff: str = "auto",
    retraction: Any = None,
    scale: float = 1.0,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check a Jacobian: |r(R_p(tX)) - r(p) - t J X| falls as t^2.

    Parameters
    ----------
    M, p, X, autodiff, retraction, scale, rng, plot
        As for `check_gradient`.
    residual : callable, InPlace, Fused, sequence or Objective
        Residuals, as the least-squares solvers take them.
    jacobian : callable, optional
        Jacobian, as the solvers take it. Default: that of automatic differentiation.
    jacobian_type, jacobian_basis, num_residuals
        As for `NonlinearLeastSquaresObjective`.

    Returns
    -------
    SlopeCheck
    """
    if isinstance(residual, Objective):
        objective = residual
    else:
        objective = NonlinearLeastSquaresObjective(
            residual,
            jacobian,
            jacobian_type=jacobian_type,
            jacobian_basis=jacobian_basis,
            num_residuals=num_residuals,
            autodiff=autodiff,
        )
    problem = Problem(M, objective)
    p, X = _point_and_direction(M, p, X, rng)
    e = problem.evaluate(p)
    J = e.jacobian
    r0, change = np.array(e.residuals), np.asarray(J @ M.get_coordinates(p, X)).reshape(-1)
    retract = M.get_retraction(retraction)
    residuals = lambda q: np.array(problem.evaluate(q).residuals)
    result = taylor_check(
        "jacobian",
        lambda t: residuals(retract(p, X, t)),
        lambda t: r0 + t * change,
        2,
        steps(scale, p.real.dtype),
        _eps(p),
        [],
        {},
        "The Jacobian is wrong at p.",
    )
    if not result:
        result = _explained(result, lambda: check_residual_jacobian(residuals, J, M, p, rng, given=True))
    return _drawn(result, plot)


def _cost_objective(f: Any, gradient: Any, hessian: Any, objective_type: str, autodiff: str) -> Objective:
    if isinstance(f, Objective):
        if gradient is not None or hessian is not None:
            raise ValueError("`f` is an objective and brings its derivatives: leave out `gradient=` and `hessian=`.")
        return f
    return CostObjective(f, gradient, hessian, objective_type=objective_type, autodiff=autodiff)


def _point_and_direction(M: Any, p: Array | None, X: Array | None, rng: Any) -> tuple[Array, Array]:
    rng = np.random.default_rng(rng)
    if p is None:
        p = M.random_point(rng)
    else:
        p = np.asarray(p)
        M.check_point(p)
    if X is None:
        X = M.random_vector(p, rng)
    else:
        X = np.asarray(X)
        M.check_vector(p, X)
    length = float(M.norm(p, X))
    if length == 0.0:
        raise ValueError("`X`, the direction of the check, must not be zero.")
    return p, X / length


def _tangency(M: Any, p: Array, Y: Array, name: str) -> list[str]:
    if M.is_vector(p, Y):
        return []
    hint = "Euclidean derivatives? use objective_type='euclidean'."
    return [f"`{name}` does not return a tangent vector. {hint}"]


def _first_order(
    name: str,
    M: Any,
    f: Callable[[Array], Any],
    p: Array,
    X: Array,
    slope: float,
    retraction: Any,
    scale: float,
    problems: list[str],
) -> SlopeCheck:
    retract = M.get_retraction(retraction)
    f0 = float(f(p))
    t = steps(scale, p.real.dtype)
    hint = f"The {name} is wrong at p."
    return taylor_check(
        name, lambda s: float(f(retract(p, X, s))), lambda s: f0 + s * slope, 2, t, _eps(p), problems, {}, hint
    )


def _linear_and_symmetric(
    M: Any, p: Array, X: Array, hessian: Callable[[Array], Array], rng: np.random.Generator
) -> tuple[list[str], dict[str, float]]:
    Y = M.random_vector(p, rng)
    Y = Y / float(M.norm(p, Y))
    a, b = rng.standard_normal(2)
    HX, HY, HZ = hessian(X), hessian(Y), hessian(a * X + b * Y)
    size = max(float(M.norm(p, HX)), float(M.norm(p, HY)), float(np.finfo(float).tiny))
    figures = {
        "nonlinearity": float(M.norm(p, HZ - a * HX - b * HY)) / size,
        "asymmetry": abs(float(M.inner(p, HX, Y)) - float(M.inner(p, X, HY))) / size,
    }
    tolerance = _eps(p) ** 0.5  # Hessians by differences pass, wrong ones fail by far
    problems = []
    if figures["nonlinearity"] > 10.0 * tolerance:
        problems.append("The Hessian is not linear: hessian(aX + bY) differs from a hessian(X) + b hessian(Y).")
    if figures["asymmetry"] > 10.0 * tolerance:
        problems.append("The Hessian is not symmetric: <hessian(X), Y> differs from <X, hessian(Y)>.")
    return problems, figures


def _explained(result: SlopeCheck, check: Callable[[], int]) -> SlopeCheck:
    """Add what the check by differences says, such as a missing factor."""
    try:
        check()
    except WrongDerivative as error:
        return SlopeCheck(**{**vars(result), "problems": (*result.problems, f"In numbers: {error}")})
    return result


def _drawn(result: SlopeCheck, plot: bool) -> SlopeCheck:
    if plot:
        result.plot()
    return result


def _eps(p: Array) -> float:
    return float(np.finfo(p.real.dtype).eps)
