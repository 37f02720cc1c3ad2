"""TensorFlow Probability's ``lbfgs_minimize``: its arguments, its results, its evaluation counts, on NumPy arrays.

A door for people from there, over `QuasiNewtonState` with ``batched=True``. New code gets further with `quasi_newton`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core.problem import Problem
from ..core.solve import solve
from ..core.status import Status
from ..manifolds import Euclidean
from ..objectives.batched import BatchedCostObjective
from ..stepsizes import HagerZhangLinesearch
from ..stopping import Bound, StopAfterIteration, StoppingCriterion
from .batched_quasi_newton import Tolerances, known
from .quasi_newton import QuasiNewtonState


class LBfgsOptimizerResults(NamedTuple):
    """What `lbfgs_minimize` returns, and takes to go on.

    Attributes
    ----------
    converged, failed : array of bool, ``(...)``
        Both are False where iterations ran out.
    num_iterations, num_objective_evaluations : int
        Shared by all members of a batch.
    position : array ``(..., n)``
    objective_value : array ``(...)``
    objective_gradient : array ``(..., n)``
    position_deltas, gradient_deltas : array ``(m, ..., n)``
        Correction pairs, newest last; zero where there are none yet.
    """

    converged: Any
    failed: Any
    num_iterations: int
    num_objective_evaluations: int
    position: Any
    objective_value: Any
    objective_gradient: Any
    position_deltas: Any
    gradient_deltas: Any


def converged_all(converged: Any, failed: Any) -> bool:
    """Stop when every member has converged or failed."""
    return bool(np.all(converged | failed))


def converged_any(converged: Any, failed: Any) -> bool:
    """Stop when one member has converged, or all have failed."""
    return bool(np.any(converged) or np.all(failed))


@dataclass(frozen=True, repr=False)
class StopWhenMembers(StoppingCriterion):
    """Stop when a condition on the members of a batch holds.

    Parameters
    ----------
    condition : callable
        ``condition(converged, failed) -> bool``, of two arrays of bool.
    """

    condition: Callable[[Any, Any], Any]
    meaning = Status.CONVERGED

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`."""
        return _BoundMembers(self)


class _BoundMembers(Bound):
    __slots__ = ("ended",)

    def __init__(self, rule: StopWhenMembers) -> None:
        super().__init__(rule)
        self.ended = Status.CONVERGED

    def check(self, problem: Any, state: Any) -> bool:
        converged, failed = state.converged, state.failed
        if not bool(np.all(self.rule.condition(converged, failed))):
            return False
        self.ended = Status.CONVERGED if np.any(converged) else Status.LINE_SEARCH_FAILED
        return self.fire(f"{np.count_nonzero(converged)} of {np.size(converged)} members have converged.")

    @property
    def status(self) -> Status:
        return self.ended


def lbfgs_minimize(
    value_and_gradients_function: Callable[[Any], tuple[Any, Any]],
    initial_position: Any = None,
    previous_optimizer_results: LBfgsOptimizerResults | None = None,
    num_correction_pairs: int = 10,
    tolerance: float = 1e-8,
    x_tolerance: float = 0,
    f_relative_tolerance: float = 0,
    initial_inverse_hessian_estimate: Any = None,
    max_iterations: int = 50,
    parallel_iterations: int = 1,
    stopping_condition: Callable[[Any, Any], Any] | None = None,
    max_line_search_iterations: int = 50,
    f_absolute_tolerance: float = 0,
    name: str | None = None,
) -> LBfgsOptimizerResults:
    """Minimize a function, or many at once, by L-BFGS as in TensorFlow Probability.

    Parameters
    ----------
    value_and_gradients_function : callable
        Takes x of shape ``(..., n)`` and returns values ``(...)`` and gradients ``(..., n)``; leading axes are a batch.
    initial_position : array ``(..., n)``
        Where to start.
    previous_optimizer_results : LBfgsOptimizerResults
        What an earlier call returned: go on from there. Exactly one of this and ``initial_position`` is given.
    num_correction_pairs : int
        Pairs kept.
    tolerance : float
        On the largest absolute entry of the gradient.
    x_tolerance : float
        On the largest absolute entry of the change of the position.
    f_relative_tolerance, f_absolute_tolerance : float
        On the change of the value, relative to the value before (never fulfilled by negative values), and absolute.
    initial_inverse_hessian_estimate : None
        Not supported there, nor here.
    max_iterations : int
        Iterations in all, those of earlier calls included.
    parallel_iterations : int
        Means something for graphs only; accepted and not used.
    stopping_condition : callable, optional
        ``stopping_condition(converged, failed) -> bool``; default `converged_all`.
    max_line_search_iterations : int
        Bracketing and secant steps in one search.
    name : str, optional
        Means something for graphs only; accepted and not used.

    Returns
    -------
    LBfgsOptimizerResults

    Raises
    ------
    NotImplementedError
        When ``initial_inverse_hessian_estimate`` is given.
    ValueError
        When not exactly one of ``initial_position`` and ``previous_optimizer_results`` is given, or values and
        gradients have wrong shapes.

    Notes
    -----
    A value of -inf counts as converged; +inf, NaN and gradients that are not finite as failed, and the position stays
    finite. Evaluations are counted as there, one per call on the whole batch, except that a start at which all members
    are finished costs no further call.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import lbfgs_minimize
    >>> scales = np.array([2.0, 3.0])
    >>> def bowl(x):
    ...     return np.sum(scales * (x - 1.0) ** 2, axis=-1), 2.0 * scales * (x - 1.0)
    >>> result = lbfgs_minimize(bowl, np.array([0.6, 0.8]))
    >>> bool(result.converged), np.allclose(result.position, 1.0)
    (True, True)
    """
    if initial_inverse_hessian_estimate is not None:
        raise NotImplementedError("`initial_inverse_hessian_estimate` is not supported, there or here; leave it out.")
    if (initial_position is None) == (previous_optimizer_results is None):
        raise ValueError("give exactly one of `initial_position` and `previous_optimizer_results`.")
    earlier = previous_optimizer_results
    position = _floats(initial_position if earlier is None else earlier.position)
    problem = Problem(Euclidean(position.shape[-1]), BatchedCostObjective(value_and_gradients_function))
    state = QuasiNewtonState(
        position,
        batched=True,
        memory=num_correction_pairs if earlier is None else len(earlier.position_deltas),
        tolerances=Tolerances(tolerance, x_tolerance, f_relative_tolerance, f_absolute_tolerance),
        stepsize=HagerZhangLinesearch(compatible="tfp", max_trials=max_line_search_iterations),
        stopping=StopAfterIteration(max_iterations) | StopWhenMembers(stopping_condition or converged_all),
    )
    if earlier is not None:
        _resume(state, problem, earlier)
    return _results(solve(problem, state))


def _floats(x: Any) -> Any:
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(float)
    if x.ndim == 0:
        raise ValueError("`initial_position` must have shape (..., n); got a single number: give an array of one.")
    return x


def _resume(state: QuasiNewtonState, problem: Problem, earlier: LBfgsOptimizerResults) -> None:
    """Put a state where an earlier call ended."""
    state.evaluations["cost"] = state.evaluations["gradient"] = int(earlier.num_objective_evaluations)
    state.iteration = int(earlier.num_iterations)
    state.evaluation = known(
        problem,
        np.array(earlier.position),
        np.asarray(earlier.objective_value),
        np.asarray(earlier.objective_gradient),
        state.evaluations,
    )
    state.converged, state.failed = np.asarray(earlier.converged), np.asarray(earlier.failed)
    state.queue = np.stack([earlier.position_deltas, earlier.gradient_deltas])


def _results(state: QuasiNewtonState) -> LBfgsOptimizerResults:
    e = state.evaluation
    return LBfgsOptimizerResults(
        converged=state.converged,
        failed=state.failed,
        num_iterations=state.iteration,
        num_objective_evaluations=state.evaluations["cost"],
        position=e.point,
        objective_value=e.cost,
        objective_gradient=e.gradient,
        position_deltas=state.queue[0],
        gradient_deltas=state.queue[1],
    )
