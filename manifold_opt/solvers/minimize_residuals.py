r"""Nonlinear least squares over several arrays, with the interface of TensorFlow Graphics' ``minimize``.

The variables become one point of R^n, the residuals one vector, and `FixedDamping` makes `LevenbergMarquardtState`
that function's method: damping that only grows, a step taken if and only if it decreases the objective, and exactly
the iterations asked for.

References
----------
.. [1] TensorFlow Graphics, ``tensorflow_graphics.math.optimizer.levenberg_marquardt.minimize``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.problem import Problem
from ..core.solve import solve
from ..linalg import namespace
from ..manifolds import Euclidean
from ..objectives import NonlinearLeastSquaresObjective
from ..objectives.least_squares import raveled
from ..stopping import StopAfterIteration
from .damping import FixedDamping
from .levenberg_marquardt import LevenbergMarquardtState


def minimize_residuals(
    residuals: Any,
    variables: Any,
    max_iterations: int,
    regularizer: float = 1e-20,
    regularizer_multiplier: float = 10.0,
    callback: Callable[[int, float, list[Any]], Any] | None = None,
) -> tuple[float, list[Any]]:
    r"""Minimize sum_i 1/2 \|r_i(x, y, ...)\|^2 by Levenberg-Marquardt, for a fixed number of iterations.

    Parameters
    ----------
    residuals : callable or sequence of callables
        Each takes all variables as positional arguments and returns an array of any shape, differentiable by autograd
        (or any function at all: then by finite differences, with a warning).
    variables : array or sequence of arrays
        Start values, of any shapes; not changed.
    max_iterations : int
        Number of iterations, at least 1. All are run.
    regularizer : float
        Damping lam in (J'J + lam I) step = -J'r; default 1e-20.
    regularizer_multiplier : float
        Factor of lam after an iteration that does not decrease the objective (or whose system could not be solved);
        default 10. lam never decreases.
    callback : callable, optional
        ``callback(iteration, objective, variables)`` after each iteration, counted from 1, with the accepted objective
        and variables. What it returns is ignored.

    Returns
    -------
    objective : float
        The final value.
    variables : list of array
        The final variables, in their shapes and dtypes.

    Raises
    ------
    ValueError
        When ``max_iterations`` is less than 1, there is no variable or residual, or a number is out of range.
    TypeError
        When a residual is not a function.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import minimize_residuals
    >>> objective, (x, y) = minimize_residuals([lambda x, y: x, lambda x, y: y - 1.0], [np.ones(2), np.zeros(1)], 1)
    >>> round(objective, 12), y
    (0.0, array([1.]))
    """
    functions = tuple(residuals) if isinstance(residuals, Sequence) else (residuals,)
    _check_iterations(max_iterations)
    _check_functions(functions)
    parts = _Parts(variables)
    problem = Problem(
        Euclidean(parts.size),
        NonlinearLeastSquaresObjective(lambda x: raveled([f(*parts.split(x)) for f in functions])),
    )
    state = LevenbergMarquardtState(
        parts.start,
        damping=FixedDamping(regularizer=float(regularizer), multiplier=float(regularizer_multiplier)),
        stopping=StopAfterIteration(int(max_iterations)),
    )
    if callback is None:
        solve(problem, state)
    else:
        from ..decorators import decorate

        def report(_: Any, state: Any) -> None:
            callback(state.iteration, state.evaluation.cost, parts.restore(state.point))

        solve(problem, decorate(state, problem, callback=report))
    return state.evaluation.cost, parts.restore(state.point)


class _Parts:
    """Several arrays as parts of one flat one."""

    def __init__(self, variables: Any) -> None:
        arrays = [np.asarray(v) for v in (variables if isinstance(variables, list | tuple) else [variables])]
        if not arrays:
            raise ValueError("`variables` is empty: give at least one array.")
        for i, array in enumerate(arrays):
            if array.dtype.kind not in "fiu" or array.size == 0:
                raise ValueError(
                    f"variable {i} must be a non-empty array of real numbers; got shape {array.shape} and dtype "
                    f"{array.dtype}."
                )
        self.shapes = [array.shape for array in arrays]
        self.dtypes = [array.dtype if array.dtype.kind == "f" else np.dtype(float) for array in arrays]
        self.ends = np.cumsum([array.size for array in arrays]).tolist()
        self.size = self.ends[-1]
        self.start = np.concatenate([np.ravel(array) for array in arrays]).astype(np.result_type(*self.dtypes))

    def split(self, x: Any) -> list[Any]:
        """The parts of x, in their shapes."""
        starts = [0, *self.ends[:-1]]
        xp = namespace(x)
        return [xp.reshape(x[a:b], shape) for a, b, shape in zip(starts, self.ends, self.shapes, strict=True)]

    def restore(self, x: Any) -> list[Any]:
        """Copies of the parts of x, in their shapes and dtypes."""
        return [part.astype(dtype) for part, dtype in zip(self.split(x), self.dtypes, strict=True)]


def _check_iterations(max_iterations: Any) -> None:
    try:
        n = operator.index(max_iterations)
    except TypeError:
        raise ValueError(f"`max_iterations` must be an integer, at least 1; got {max_iterations!r}.") from None
    if n < 1:
        raise ValueError(f"`max_iterations` must be at least 1; got {n}.")


def _check_functions(functions: tuple[Any, ...]) -> None:
    if not functions:
        raise ValueError("`residuals` is empty: give at least one function.")
    for i, function in enumerate(functions):
        if not callable(function):
            raise TypeError(f"residual {i} must be a function of the variables; got {function!r}.")
