r"""One door to the solvers of smooth costs, with the words of ``scipy.optimize.minimize``: add the manifold.

Which solver is best without being told? Six problems (Rayleigh quotient on a 999-sphere, Brockett's cost on
Stiefel(60, 5), Karcher mean of SPD matrices, rotation averaging, dominant subspace on Grassmann(40, 4), Rosenbrock in
20 dimensions) to a gradient norm of 1e-6, counting costs, gradients and Hessian products alike: trust regions need from
0.67 to 1.7 times the calls of L-BFGS, 1.06 times in the geometric mean, but a third to a tenth of its costs and
gradients. So a Hessian that is given is used, and none is made up by differentiation. L-BFGS is never far from the
best; conjugate gradients, 1.0 to 3.2 times its calls, are for points so large that its memory matters.

References
----------
.. [1] ``scipy.optimize.minimize``.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable
from typing import Any

from ..core.front import COMMON, cost_objective
from ..core.result import Result
from ..objectives.base import Objective
from ..objectives.least_squares import NonlinearLeastSquaresObjective
from ..objectives.user_functions import Fused
from .adaptive_regularization_with_cubics import adaptive_regularization_with_cubics
from .conjugate_gradient_descent import conjugate_gradient_descent
from .exact_model import ExactModelState
from .gradient_descent import gradient_descent
from .hessian_approximations import SymmetricRankOneHessian
from .lanczos import LanczosState
from .levenberg_marquardt import levenberg_marquardt
from .quasi_newton import quasi_newton
from .trust_regions import trust_regions

# name -> solver, and keywords that make it the method of that name; looked up without case, dashes and underscores
_METHODS: dict[str, tuple[Callable[..., Result], dict[str, Callable[[], Any]]]] = {
    "gradient_descent": (gradient_descent, {}),
    "conjugate_gradient_descent": (conjugate_gradient_descent, {}),
    "quasi_newton": (quasi_newton, {}),
    "trust_regions": (trust_regions, {}),
    "adaptive_regularization_with_cubics": (adaptive_regularization_with_cubics, {}),
    "levenberg_marquardt": (levenberg_marquardt, {}),
    "GD": (gradient_descent, {}),
    "steepest-descent": (gradient_descent, {}),
    "CG": (conjugate_gradient_descent, {}),
    "conjugate-gradient": (conjugate_gradient_descent, {}),
    "L-BFGS": (quasi_newton, {}),
    "L-BFGS-B": (quasi_newton, {}),
    "BFGS": (quasi_newton, {"memory": lambda: None}),
    "RTR": (trust_regions, {}),
    "TR": (trust_regions, {}),
    "Newton-CG": (trust_regions, {}),
    "trust-ncg": (trust_regions, {}),
    "trust-krylov": (trust_regions, {"subsolver": LanczosState}),
    "trust-exact": (trust_regions, {"subsolver": ExactModelState}),
    "SR1": (trust_regions, {"hessian_approximation": SymmetricRankOneHessian}),
    "ARC": (adaptive_regularization_with_cubics, {}),
    "LM": (levenberg_marquardt, {}),
}
_ELSEWHERE = {
    "neldermead": "it needs no derivatives, which are made by differences here: leave `method` out",
    "powell": "it needs no derivatives, which are made by differences here: leave `method` out",
    "cobyla": "constraints belong to the manifold",
    "cobyqa": "constraints belong to the manifold",
    "slsqp": "constraints belong to the manifold",
    "trustconstr": "constraints belong to the manifold",
    "tnc": "use 'trust-ncg'; bounds belong to the manifold",
    "dogleg": "use 'trust-exact', or `manifold_opt.dogleg` for least squares",
}
_OPTIONS = {
    "maxiter": "max_iterations",
    "maxfun": "max_evaluations",
    "maxfev": "max_evaluations",
    "gtol": "tolerance",
}
_DIFFERENCES = {"2-point": "finite-differences", "3-point": "finite-differences", "cs": "complex-step"}
# L-BFGS keeps about 20 vectors, conjugate gradients 3
_MEMORY_VECTORS, _MEMORY_BYTES = 20, 2**30


def minimize(
    M: Any,
    f: Any,
    p0: Any = None,
    method: Any = None,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Callable[..., Any] | None = None,
    hessp: Callable[..., Any] | None = None,
    tol: float | None = None,
    options: dict[str, Any] | None = None,
    **keywords: Any,
) -> Result:
    r"""Minimize a smooth cost by the solver that suits what is given, or the one named.

    Parameters
    ----------
    M : Manifold
        ``Euclidean(n)`` for SciPy's problems.
    f : callable, Fused or Objective
        The cost ``f(p, *args)``; ``Fused(f_and_gradient)``; or an objective.
    p0 : array, optional
        Start point; default a random one.
    method : str or callable, optional
        A front function such as `trust_regions`, its name, or one of "L-BFGS", "BFGS", "CG", "GD", "trust-ncg",
        "trust-krylov", "trust-exact", "SR1", "ARC" and a few more; case, dashes and underscores do not count.
        Default: the first of these that knows all ``keywords``: `levenberg_marquardt` for an objective of least
        squares; `trust_regions` if a Hessian is given; `quasi_newton`, or `conjugate_gradient_descent` if its memory
        would exceed 1 GiB; `conjugate_gradient_descent`; `gradient_descent`; `trust_regions`.
    gradient : callable or InPlace, optional
        ``gradient(p)``; default by differentiation.
    hessian : callable or InPlace, optional
        ``hessian(p, X)``, the Hessian applied to X. Methods of first order do not use it.
    objective_type : {"riemannian", "euclidean"}
        What ``gradient`` and ``hessian`` are.
    autodiff : str
        Source of missing derivatives, see `CostObjective`.
    args : tuple, optional
        More arguments of f, ``jac``, ``hess`` and ``hessp``.
    jac : callable, bool or {"2-point", "3-point", "cs"}, optional
        SciPy's word for a Euclidean gradient ``jac(p, *args)``; True if f returns it after the cost; or differences.
    hess, hessp : callable, optional
        The Euclidean Hessian: ``hess(p, *args)`` of shape ``(*embedding_shape, *embedding_shape)``, or its product
        ``hessp(p, X, *args)`` with the embedded X.
    tol : float, optional
        The same as ``tolerance``.
    options : dict, optional
        SciPy's ``maxiter``, ``maxfun``, ``maxfev``, ``gtol``, and any keyword of the method.
    **keywords
        Those of the method, and the common ones, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``point`` and ``cost`` are SciPy's ``x`` and ``fun``.

    Raises
    ------
    ValueError
        On an unknown method, with the nearest known one; on derivatives given twice.
    TypeError
        On a keyword that the method does not know.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, minimize
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = minimize(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]), method="L-BFGS")
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    _refuse(keywords)
    _merge(keywords, tol, options or {})
    if jac is not None or hess is not None or hessp is not None:
        if gradient is not None or hessian is not None:
            raise ValueError(
                "give derivatives as `gradient` and `hessian`, or as SciPy's `jac`, `hess` and `hessp`, not both."
            )
        f, gradient, hessian, autodiff = _scipy_derivatives(f, jac, hess, hessp, args, autodiff)
        objective_type = "euclidean"
    else:
        f = _with_arguments(f, args)
    objective = cost_objective(f, gradient=gradient, hessian=hessian, objective_type=objective_type, autodiff=autodiff)
    if method is None:
        solver = _chosen(M, objective, p0, keywords)
    else:
        solver, preset = _named(method)
        for name, make in preset.items():
            if name not in keywords:
                keywords[name] = make()
    return solver(M, objective, p0, **keywords)


def _chosen(M: Any, objective: Any, p0: Any, keywords: dict[str, Any]) -> Callable[..., Result]:
    """The first solver, in the order of preference, that knows all keywords."""
    if isinstance(objective, NonlinearLeastSquaresObjective):
        return levenberg_marquardt
    size = getattr(p0, "nbytes", 8 * math.prod(M.point_shape))
    large = _MEMORY_VECTORS * size > _MEMORY_BYTES
    order: list[Callable[..., Result]] = [quasi_newton, conjugate_gradient_descent, gradient_descent, trust_regions]
    if large:
        order[:2] = order[1::-1]
    if getattr(objective, "hessian", None) is not None:
        order.insert(0, trust_regions)
    return next((solver for solver in order if set(keywords) <= _known(solver)), order[0])


def _known(solver: Callable[..., Result]) -> set[str]:
    parameters = inspect.signature(solver).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} | COMMON


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _named(method: Any) -> tuple[Callable[..., Result], dict[str, Callable[[], Any]]]:
    """Solver and preset keywords of a method."""
    if callable(method):
        return method, {}
    if not isinstance(method, str):
        raise TypeError(f"`method` must be the name of a method or a front function; got {method!r}.")
    known = {_plain(name): name for name in _METHODS}
    plain = _plain(method)
    if plain in known:
        return _METHODS[known[plain]]
    if plain in _ELSEWHERE:
        raise ValueError(f"`method`={method!r} is not one of minimize's: {_ELSEWHERE[plain]}.")
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[close[0]]!r}?" if close else f"known ones are {', '.join(_METHODS)}."
    raise ValueError(f"`method`={method!r} is unknown; {hint}")


def _refuse(keywords: dict[str, Any]) -> None:
    for name in ("bounds", "constraints"):
        if keywords.get(name):
            raise ValueError(
                f"minimize() takes no `{name}`: what must hold belongs to the manifold, and bounds "
                "of nonlinear least squares to `least_squares`."
            )
        keywords.pop(name, None)


def _merge(keywords: dict[str, Any], tol: float | None, options: dict[str, Any]) -> None:
    """Put SciPy's ``tol`` and ``options`` among the keywords."""
    renamed = [(_OPTIONS.get(name, name), value) for name, value in options.items()]
    if tol is not None:
        renamed.append(("tolerance", tol))
    for name, value in renamed:
        if keywords.get(name) is not None:
            raise ValueError(f"`{name}` is given twice: as a keyword, in `options` or as `tol`.")
        keywords[name] = value


def _with_arguments(f: Any, args: tuple[Any, ...]) -> Any:
    """``p -> f(p, *args)``."""
    if not args:
        return f
    if isinstance(f, Objective | Fused):
        raise ValueError("`args` are for a plain function `f`; put them into the objective or the Fused function.")
    return lambda p: f(p, *args)


def _scipy_derivatives(
    f: Any, jac: Any, hess: Any, hessp: Any, args: tuple[Any, ...], autodiff: str
) -> tuple[Any, Any, Any, str]:
    """Cost, Euclidean gradient, Hessian product and source of missing derivatives, from SciPy's arguments."""
    if isinstance(f, Objective):
        raise ValueError("`f` is an objective already; give it the derivatives, not `jac`, `hess` or `hessp`.")
    if hess is not None and hessp is not None:
        raise ValueError("give `hess` or `hessp`, not both.")
    for name, value in (("hess", hess), ("hessp", hessp)):
        if value is not None and not callable(value):
            raise TypeError(f"`{name}` must be a function; got {value!r}. Leave it out for an approximation.")
    gradient = None
    f = _with_arguments(f, args)
    if jac is True:
        f = Fused(f)
    elif isinstance(jac, str):
        if jac not in _DIFFERENCES:
            raise ValueError(f"`jac` must be a function, True or one of {', '.join(_DIFFERENCES)}; got {jac!r}.")
        autodiff = _DIFFERENCES[jac]
    elif callable(jac):
        gradient = lambda p: jac(p, *args)
    elif jac is not None and jac is not False:
        raise TypeError(f"`jac` must be a function, True or one of {', '.join(_DIFFERENCES)}; got {jac!r}.")
    product = None
    if hessp is not None:
        product = lambda p, X: hessp(p, X, *args)
    elif hess is not None:

        def product(p: Any, X: Any) -> Any:
            return (hess(p, *args).reshape(X.size, X.size) @ X.reshape(-1)).reshape(X.shape)

    return f, gradient, product, autodiff
