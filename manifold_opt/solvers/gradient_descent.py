r"""Gradient descent: from p go along the steepest descent direction, p <- retract(p, -t grad f(p)).

All freedom is in the step size t. The default, backtracking from the Barzilai-Borwein step, needs one cost per trial
and one gradient per iteration, and no knowledge of the scale of f.

References
----------
.. [1] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, section 4.2.
.. [2] N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge 2023, sections 4.3 and 4.4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, cost_objective, run
from ..core.result import Result
from ..core.state import SolverState
from ..core.status import Status
from ..stepsizes import ArmijoLinesearch, StepSize
from ..stopping import StopAfterIteration, StopWhenGradientNormLess

if TYPE_CHECKING:
    from typing_extensions import Unpack


class GradientDescentState(SolverState):
    """State of `gradient_descent`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "transport", "safe_length", "_search")

    def __init__(
        self,
        p0: Any,
        *,
        stepsize: StepSize | None = None,
        retraction: Any = None,
        transport: Any = None,
        stopping: Any = None,
    ) -> None:
        super().__init__(p0, stopping=stopping)
        self.step_rule = ArmijoLinesearch() if stepsize is None else stepsize
        if not isinstance(self.step_rule, StepSize):
            raise TypeError(f"`stepsize` must be a step-size rule such as ConstantLength(0.1); got {stepsize!r}.")
        self.retraction, self.vector_transport = retraction, transport

    @classmethod
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate at the start; a gradient of exactly zero there is looked at twice."""
        if self.step_rule.uses_cost and not math.isfinite(evaluation.cost):
            self.fail(Status.BAD_FUNCTION, f"the cost is {evaluation.cost} at the start point: choose another one.")
            return
        super().initialize(problem, evaluation)
        if self.status is Status.RUNNING and evaluation.gradient_norm == 0.0:
            check_given_gradient(problem, self, evaluation)

    def attach(self, problem: Any) -> None:
        """Resolve the methods of the manifold and bind the step-size rule."""
        M = problem.manifold
        self.retract = M.get_retraction(self.retraction)
        self.transport = M.get_transport(self.vector_transport)
        self.eps = float(np.finfo(self.point.dtype).eps)
        # steps up to this length need not ask M.max_step
        self.safe_length = M.injectivity_radius if M.has("injectivity_radius") else math.inf
        self._search = self.bound("stepsize", self.step_rule, problem)

    def advance(self, problem: Any) -> None:
        """One step along the negative gradient."""
        e, search = self.evaluation, self._search
        norm = e.gradient_norm
        candidate = search.search(problem, self, -e.gradient, -norm * norm, norm)
        if candidate is None:
            if search.status is Status.LINE_SEARCH_FAILED:
                search.reason += check_given_gradient(problem, self, e)
            self.fail(search.status, search.reason)
        elif self.accept(candidate):
            self.stepsize = search.stepsize
            self.step_norm = search.stepsize * norm


def check_given_gradient(problem: Any, state: SolverState, e: Any) -> str:
    """Compare a user's gradient with one difference of the cost: raise before the first step, describe it later."""
    from ..autodiff import WrongDerivative, check_cost_gradient

    functions = e.functions
    if not getattr(functions, "given_gradient", False) or functions.cost is None:
        return ""
    try:
        state.evaluations["check"] += check_cost_gradient(
            functions.cost, lambda p: functions.gradient(p)[1], problem.manifold, e.point
        )
    except WrongDerivative as error:
        if state.iteration == 0:
            raise
        return f" {error}"
    return ""


def gradient_descent(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by gradient descent.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        The cost ``f(p)``; ``Fused(f_and_gradient)``; or an objective.
    p0 : array, optional
        Start point; default a random one.
    gradient : callable or InPlace, optional
        ``gradient(p)``; default by differentiation.
    objective_type : {"riemannian", "euclidean"}
        What the given gradient is.
    autodiff : str
        Source of a missing gradient, see `CostObjective`.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's. The transport serves the Barzilai-Borwein guess.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, a gradient of the wrong shape, a derivative that contradicts the cost.

    Notes
    -----
    Needs of M: a retraction, ``inner`` and ``norm``; a vector transport for the default step size.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, gradient_descent
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = gradient_descent(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    objective = cost_objective(f, gradient=gradient, objective_type=objective_type, autodiff=autodiff)
    return run(
        gradient_descent,
        M,
        objective,
        p0,
        lambda p: GradientDescentState(p, stepsize=stepsize, retraction=retraction, transport=transport),
        common,
    )
