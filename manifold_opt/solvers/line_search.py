"""What the solvers share that choose a direction, go along it by a step-size rule, and accept what that finds.

Gradient descent, conjugate gradients and quasi-Newton methods differ in the direction alone: their states derive from
`LineSearchState`, choose X in `advance`, and hand it to `descend` or, its slope and length known, to `follow`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..core.state import SolverState
from ..core.status import Status
from ..stepsizes.base import StepSize

_WORTH_A_RETRY = (Status.LINE_SEARCH_FAILED, Status.ROUND_OFF)


class LineSearchState(SolverState):
    """Base of the states that go along a direction.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    stepsize : StepSize, optional
        Default ``default_stepsize()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional

    Attributes
    ----------
    retract, transport : callable
        Resolved: ``retract(p, X, t)`` and ``transport(p, X, q)``.
    eps : float
        Machine precision of the point's numbers.
    safe_length : float
        Steps up to this length need not ask ``M.max_step``.
    carried : tuple or None
        Last direction that was transported: (X, q, transported X).
    along : array
        Direction of the last accepted step, at the point where it started.
    natural_step : float or None
        t for which the direction is scaled, to be tried first; None where the step-size rule had better guess.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "transport", "safe_length", "_search", "carried")
    natural_step: float | None = None
    carried: Any = None

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
        self.step_rule = type(self).default_stepsize() if stepsize is None else stepsize
        if not isinstance(self.step_rule, StepSize):
            raise TypeError(f"`stepsize` must be a step-size rule such as ConstantLength(0.1); got {stepsize!r}.")
        self.retraction, self.vector_transport = retraction, transport

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """The solver's default step-size rule."""
        raise NotImplementedError

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate at the start; a gradient of exactly zero there is looked at twice."""
        if self.step_rule.uses_cost and not math.isfinite(evaluation.cost):
            if evaluation.cost == -math.inf:
                self.fail(Status.DIVERGED, "the cost is -inf at the start point.")
            else:
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
        self.safe_length = M.injectivity_radius if M.has("injectivity_radius") else math.inf
        self._search = self.bound("stepsize", self.step_rule, problem)

    def descend(self, problem: Any, X: Any) -> bool:
        """Go along X; where the search needs descent and X has none, `restart` and go along minus the gradient."""
        e, M = self.evaluation, problem.manifold
        slope = M.inner(e.point, e.gradient, X)
        if not slope < 0.0 and self.step_rule.needs_descent:
            return self.descend_steepest(problem)
        return self.follow(problem, X, slope, M.norm(e.point, X), retry=True)

    def descend_steepest(self, problem: Any) -> bool:
        """Forget the directions of the past and go along minus the gradient."""
        self.restart()
        e = self.evaluation
        norm = e.gradient_norm
        return self.follow(problem, -e.gradient, -norm * norm, norm)

    def restart(self) -> None:
        """Forget what earlier iterations say about the direction."""

    def follow(self, problem: Any, X: Any, slope: float, length: float, retry: bool = False) -> bool:
        """Search along X and accept what is found; False when the run has ended instead.

        With ``retry``, a search that finds nothing gets a second chance along minus the gradient: a direction built
        from the past may be a bad one, near a minimizer above all.
        """
        if length == 0.0:
            return self._stand_still()
        search = self._search
        candidate = search.search(problem, self, X, slope, length)
        if candidate is not None:
            if self.accept(candidate):
                self.along = X
                self.stepsize = t = search.stepsize
                self.step_norm = t * length
                return True
            return False
        if retry and search.status in _WORTH_A_RETRY:
            return self.descend_steepest(problem)
        if search.status in _WORTH_A_RETRY:
            search.reason += check_given_gradient(problem, self, self.evaluation)
        elif search.status is Status.DIVERGED and search.abyss is not None:
            self.evaluation, search.abyss = search.abyss, None
        self.fail(search.status, search.reason)
        return False

    def _stand_still(self) -> bool:
        """End a run whose direction is zero, which goes nowhere."""
        if self.evaluation.gradient_norm == 0.0:
            self.fail(Status.CONVERGED, "The gradient is exactly zero.")
        else:
            self.fail(Status.STALLED, "The direction of the step is zero, although the gradient is not.")
        return False


def check_given_gradient(problem: Any, state: SolverState, e: Any) -> str:
    """Compare a user's gradient with one difference of the cost: raise before the first step, describe it later."""
    from ..autodiff import WrongDerivative, check_cost_gradient

    functions = e.functions
    if not getattr(functions, "given_gradient", False) or functions.cost is None:
        return ""
    try:
        state.evaluations["check"] += check_cost_gradient(
            functions.cost, lambda p: functions.gradient(p)[1], problem.manifold, e.point, given=True
        )
    except WrongDerivative as error:
        if math.isnan(state.step_norm):
            raise
        return f" {error}"
    return ""
