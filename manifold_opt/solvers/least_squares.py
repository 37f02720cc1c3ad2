r"""Nonlinear least squares with the vocabulary of ``scipy.optimize.least_squares``, over the states of this package.

References
----------
.. [1] ``scipy.optimize.least_squares``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.fixed import solve_fixed
from ..core.front import Common
from ..core.result import Result
from ..objectives.base import Objective
from ..objectives.blocks import is_blocks
from ..objectives.least_squares import NonlinearLeastSquaresObjective
from ..objectives.losses import as_loss
from ..objectives.user_functions import Fused, InPlace
from ..stopping import (
    StopAfterIteration,
    StopWhenDecreaseLess,
    StopWhenOptimalityLess,
    StopWhenTrialStepLess,
)
from .damping import Damping
from .dogleg import dogleg
from .gauss_newton import gauss_newton
from .levenberg_marquardt import levenberg_marquardt
from .trust_region_reflective import trust_region_reflective

if TYPE_CHECKING:
    from typing_extensions import Unpack

METHODS = ("lm", "trf", "dogbox", "gauss-newton")
# names of SciPy for derivatives by differences: which back end, and its scheme
_DIFFERENCES = {
    "2-point": ("finite-differences", "forward"),
    "3-point": ("finite-differences", "central"),
    "cs": ("complex-step", ""),
}
# Bennett5 and MGH17 of NIST, from afar, go along valleys of 2000 and 800 steps
_MAX_ITERATIONS = 5000


def least_squares(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    jac: Any = None,
    bounds: Any = None,
    method: str | None = None,
    ftol: float | None = None,
    xtol: float | None = None,
    gtol: float | None = None,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: float | None = None,
    diff_step: float | None = None,
    max_nfev: int | None = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    jacobian_type: str = "euclidean",
    jac_sparsity: Any = None,
    residual_size: int = 1,
    num_residuals: int | None = None,
    autodiff: Any = "auto",
    fixed: Any = None,
    tied: Any = None,
    damping: Damping | None = None,
    linear_solver: Any = None,
    retraction: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the sum of squares of a residual, or of a loss of them, in a box.

    Parameters
    ----------
    M : Manifold
        ``Euclidean(n)`` for SciPy's problems.
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p, *args, **kwargs)``, m real numbers.
    p0 : array, optional
        Start point; default a random one.
    jac : callable or {"2-point", "3-point", "cs"}, optional
        ``jac(p, *args, **kwargs)``, the derivative of the residual, of the kind ``jacobian_type``; or forward
        differences, central ones (twice the calls, half as many digits again), or complex steps. Default: by automatic
        differentiation, and where that is impossible by central differences.
    bounds : pair, dict or scipy.optimize.Bounds, optional
        ``(lower, upper)``, see `levenberg_marquardt`.
    method : {"lm", "trf", "dogbox", "gauss-newton"}, optional
        `levenberg_marquardt` (with bounds, too), `trust_region_reflective`, `dogleg`, or `gauss_newton`, the one that
        knows no bounds. Default "lm".
    ftol, xtol, gtol : float, optional
        Relative change of the cost, relative length of a step, largest coordinate of the gradient. Giving one of them
        replaces the default tests of convergence, which are free of scales; those not given are then off.
    x_scale : "jac", number or array of shape (dim,), optional
        Typical sizes of the coordinates. Default "jac": from the columns of the Jacobian; numbers need
        ``method="trf"``, and choose it where no method is given.
    loss : str, Loss or callable
        Default "linear", plain squares; see `manifold_opt.objectives.losses`.
    f_scale : float, optional
        Scale of the loss: where residuals begin to count as large. Default 1.
    diff_step : float, optional
        Relative step of differences; chooses them where ``jac`` is not given.
    max_nfev : int, optional
        Largest number of calls of the residual, those of differences included. Default: none; there are at most 5000
        iterations.
    args, kwargs : optional
        More arguments of the residual and of ``jac``.
    jacobian_type : {"euclidean", "coordinates", "gradients", "operator"}
        What ``jac`` returns; default the partial derivatives, as in SciPy.
    jac_sparsity : array or sparse matrix of shape (m, dim), or "detect", optional
        Pattern of a Jacobian that is not given; see `NonlinearLeastSquaresObjective`.
    residual_size, num_residuals, autodiff, linear_solver, retraction : optional
        See `levenberg_marquardt`.
    fixed, tied : optional
        Variables that do not move, and those that move together; see `manifold_opt.fix`.
    damping : Damping, optional
        Policy of the method "lm".
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``cost`` is half the sum of squares; ``state.residuals``, ``state.jacobian``, ``state.optimality`` and
        ``state.active`` are SciPy's ``fun``, ``jac``, ``optimality`` and ``active_mask``.

    Raises
    ------
    ValueError
        On an unknown method, keywords that do not go together, and as the solvers do.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, least_squares
    >>> def rosenbrock(x):
    ...     return [10 * (x[1] - x[0] ** 2), 1 - x[0]]
    >>> result = least_squares(Euclidean(2), rosenbrock, np.array([2.0, 2.0]), jac="3-point")
    >>> np.round(result.point, 8)
    array([1., 1.])
    """
    method = _method(method, x_scale, damping)
    residual, jac = _with_arguments(residual, jac, args, kwargs or {})
    jac, autodiff = _derivatives(jac, diff_step, autodiff)
    keywords: dict[str, Any] = {**common, "linear_solver": linear_solver, "retraction": retraction}
    if isinstance(residual, Objective) or is_blocks(residual):
        _nothing_more(jac=jac, f_scale=f_scale, num_residuals=num_residuals, jac_sparsity=jac_sparsity)
        keywords["loss"] = as_loss(loss, f_scale)
    elif jac_sparsity is not None:
        residual = NonlinearLeastSquaresObjective(
            residual,
            jac,
            jacobian_sparsity=jac_sparsity,
            loss=as_loss(loss, None if loss in (None, "linear") else f_scale),
            residual_size=residual_size,
            num_residuals=num_residuals,
            autodiff=autodiff,
        )
        autodiff = "auto"
    else:
        keywords.update(
            jacobian=jac,
            jacobian_type="coordinates" if jac is None else jacobian_type,
            loss=as_loss(loss, None if loss in (None, "linear") else f_scale),
            residual_size=residual_size,
            num_residuals=num_residuals,
        )
    keywords["autodiff"] = autodiff
    solver: Callable[..., Result] = levenberg_marquardt
    if method == "trf":
        solver = trust_region_reflective
        keywords["x_scale"] = "jac" if x_scale is None else x_scale
    elif method == "lm":
        keywords["damping"] = damping
    else:
        solver = dogleg if method == "dogbox" else gauss_newton
    if solver is not gauss_newton:
        keywords["bounds"] = bounds
    elif bounds is not None:
        raise ValueError('`bounds` need another `method` than "gauss-newton", for example "trf".')
    _set_tolerances(keywords, ftol, xtol, gtol, max_nfev)
    return solve_fixed(solver, M, residual, p0, fixed=fixed, tied=tied, **keywords)


def _method(method: str | None, x_scale: Any, damping: Any) -> str:
    numbers = not (x_scale is None or isinstance(x_scale, str))
    if method is None:
        method = "trf" if numbers and damping is None else "lm"
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(map(repr, METHODS))}; got {method!r}.")
    if method != "trf" and numbers:
        raise ValueError('`x_scale` in numbers needs method="trf"; the others take their scales from the Jacobian.')
    if method != "lm" and damping is not None:
        raise ValueError('`damping` is a policy of method="lm"; the others have steps of their own.')
    return method


def _with_arguments(residual: Any, jac: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The functions of the point alone."""
    if not args and not kwargs:
        return residual, jac

    def wrapped(f: Any) -> Any:
        if isinstance(f, Fused | InPlace) or not callable(f):
            raise ValueError(
                "`args` and `kwargs` go with plain functions; bind them yourself to a sequence of functions, to "
                "Fused(f) and to InPlace(f)."
            )
        return lambda p: f(p, *args, **kwargs)

    return wrapped(residual), wrapped(jac) if callable(jac) else jac


def _derivatives(jac: Any, diff_step: float | None, autodiff: Any) -> tuple[Any, Any]:
    """The user's Jacobian or None, and where a missing one comes from."""
    scheme = "central"
    if isinstance(jac, str):
        if jac not in _DIFFERENCES:
            raise ValueError(
                f"`jac` must be a function or one of {', '.join(map(repr, _DIFFERENCES))}; got {jac!r}. Automatic "
                "differentiation is the default."
            )
        autodiff, scheme = _DIFFERENCES[jac]
        jac = None
    if diff_step is not None and (jac is not None or autodiff not in ("auto", "finite-differences")):
        raise ValueError("`diff_step` is the step of differences; it does not go with another `jac`.")
    if diff_step is not None or scheme == "forward":
        from ..autodiff import FiniteDifferences

        autodiff = FiniteDifferences(step=None if diff_step is None else float(diff_step), scheme=scheme)
    return jac, autodiff


def _nothing_more(**given: Any) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ValueError(f"`residual` is an objective already; give {', '.join(names)} to it.")


def _set_tolerances(keywords: dict[str, Any], ftol: Any, xtol: Any, gtol: Any, max_nfev: Any) -> None:
    """SciPy's tests of convergence where one is given, and its limit."""
    if max_nfev is not None:
        if keywords.get("max_evaluations") is not None:
            raise ValueError("give either `max_nfev` or `max_evaluations`: they are the same.")
        keywords["max_evaluations"] = max_nfev
    tests = [
        test(tolerance)
        for test, tolerance in (
            (StopWhenDecreaseLess, ftol),
            (StopWhenTrialStepLess, xtol),
            (StopWhenOptimalityLess, gtol),
        )
        if tolerance is not None
    ]
    if not tests:
        if keywords.get("stopping") is None and keywords.get("max_iterations") is None:
            keywords["max_iterations"] = _MAX_ITERATIONS
        return
    if keywords.get("stopping") is not None or keywords.get("tolerance") is not None:
        raise ValueError("give either `stopping` or `tolerance`, or some of `ftol`, `xtol` and `gtol`.")
    from ..stopping import edit

    edits = {name: keywords.pop(name, None) for name in ("max_iterations", "max_evaluations", "max_time")}
    criterion: Any = StopAfterIteration(_MAX_ITERATIONS)
    for test in tests:
        criterion = criterion | test
    keywords["stopping"] = edit(criterion, **{k: v for k, v in edits.items() if v is not None})
