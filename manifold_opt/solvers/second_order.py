r"""What trust regions and adaptive regularization share: a model is minimized, its minimizer tried and judged.

The ratio of the actual decrease of the cost and the one that the quadratic model predicts says how good the model was.
It is guarded against rounding by adding ``1e3 eps |f|`` to both decreases; a step that only this guard would accept,
since the cost has grown, must decrease the gradient. Where the predicted decrease itself is below ``10 eps |f|``, the
gradient alone decides.
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import numpy as np

from ..core.problem import Problem
from ..core.solve import solve
from ..core.state import SolverState
from ..core.status import Status
from ..decorators.base import unwrap
from ..manifolds import TangentSpace
from .hessian_approximations import HessianApproximation, check_has_hessian
from .line_search import check_given_gradient
from .model_solver import ModelSolverState

_MAX_NONFINITE = 30
# a decrease below this multiple of eps |f| cannot be seen in f
_UNRESOLVED = 10.0


class SecondOrderState(SolverState):
    """Base of `TrustRegionsState` and `AdaptiveRegularizationState`.

    Attributes
    ----------
    ratio : float
        Actual over predicted decrease of the last step; NaN where rounding makes it meaningless.
    last_step_successful : bool
        Whether the last step was taken.
    negative_curvature : bool or None
        Whether the last subproblem met negative curvature; None before the first.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "transport", "_operator", "_approximation", "_same_point")
    solves: ClassVar[str]
    """The kind of model, see `ModelSolverState.solves`."""
    default_subsolver: ClassVar[type]
    randomize: bool = False

    def __init__(
        self,
        p0: Any,
        *,
        acceptance_rate: float,
        rho_regularization: float,
        hessian_approximation: HessianApproximation | None,
        subsolver: Any,
        retraction: Any,
        transport: Any,
        stopping: Any,
    ) -> None:
        self.acceptance_rate = acceptance_rate
        self.rho_regularization = within("rho_regularization", rho_regularization, 0.0, math.inf)
        self.hessian_approximation = hessian_approximation
        if not (hessian_approximation is None or isinstance(hessian_approximation, HessianApproximation)):
            raise TypeError(
                "`hessian_approximation` must be a rule such as SymmetricRankOneHessian(); got "
                f"{hessian_approximation!r}."
            )
        self.subsolver = self._own(subsolver)
        self.retraction, self.vector_transport = retraction, transport
        super().__init__(p0, stopping=stopping)

    def _own(self, subsolver: Any) -> Any:
        """The subsolver's own copy, so that two runs share nothing; a watched one is used as it is."""
        if subsolver is None:
            return type(self).default_subsolver()
        core = unwrap(subsolver)
        if not isinstance(core, SolverState) or not self.solves_with(core):
            raise TypeError(
                f"`subsolver` must be a state that solves {self.solves} models, such as "
                f"{type(self).default_subsolver.__name__}(); got {subsolver!r}."
            )
        return copy.deepcopy(subsolver) if core is subsolver else subsolver

    def solves_with(self, core: SolverState) -> bool:
        """Whether this state can be the subsolver."""
        return isinstance(core, ModelSolverState) and self.solves in core.solves

    def _clear(self) -> None:
        super()._clear()
        self.ratio = math.nan
        self.last_step_successful = True
        self.negative_curvature: bool | None = None
        self.nonfinite_trials = self.unresolved_trials = 0

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate cost and gradient at the start."""
        if self.hessian_approximation is None:
            check_has_hessian(evaluation, type(self).__name__)
        if evaluation.cost == -math.inf:
            self.fail(Status.DIVERGED, "the cost is -inf at the start point.")
            return
        if not math.isfinite(evaluation.cost):
            self.fail(Status.BAD_FUNCTION, f"the cost is {evaluation.cost} at the start point: choose another one.")
            return
        super().initialize(problem, evaluation)
        if self.status is Status.RUNNING and evaluation.gradient_norm == 0.0:
            check_given_gradient(problem, self, evaluation)

    def attach(self, problem: Any) -> None:
        """Resolve the methods of the manifold and bind the Hessian approximation."""
        M = problem.manifold
        self.retract = M.get_retraction(self.retraction)
        # that of the metric: differences of gradients taken along by another one, as the left translation of rotations,
        # are not those of a symmetric Hessian, and SR1 took up to a tenth more iterations with it
        name = self.vector_transport
        if name is None and "parallel" in M.transports and M.has("parallel_transport_to"):
            name = "parallel"
        self.transport = M.get_transport(name)
        self.eps = float(np.finfo(self.point.dtype).eps)
        self._operator: Any = None
        self._approximation: Any = None
        if self.hessian_approximation is not None:
            self._approximation = self.bound("hessian_approximation", self.hessian_approximation, problem)
        self._same_point = False

    def advance(self, problem: Any) -> None:
        """Minimize the model, try its minimizer, judge it."""
        e, M = self.evaluation, problem.manifold
        p = e.point
        sub = self._solve_model(problem, e)
        at = sub.evaluation
        X, predicted = at.point, at.decrease
        if not predicted > 0.0:
            self._no_decrease(problem, sub, predicted)
            return
        length = M.norm(p, X)
        candidate = problem.evaluate(self.retract(p, X), self.evaluations)
        f, f0 = candidate.cost, e.cost
        if not f - f == 0.0:
            self._not_finite(candidate, sub, length)
            return
        self.nonfinite_trials = 0
        # a candidate where f is huge is not one where its decrease drowns
        rounding = self.eps * max(abs(f0), min(abs(f), abs(f0) + predicted))
        if predicted < _UNRESOLVED * rounding:
            self._judge_by_gradient(problem, candidate, X, sub, predicted, f - f0 <= _UNRESOLVED * rounding)
            return
        guard = self.rho_regularization * rounding
        self.ratio = ratio = (f0 - f + guard) / (predicted + guard)
        self.adapt(ratio, sub, length)
        if ratio > self.acceptance_rate and (f <= f0 or candidate.gradient_norm < e.gradient_norm):
            self._take(problem, candidate, X, length)
        else:
            self._refuse(problem, sub, length)

    # what the two methods do differently

    def model(self, e: Any, operator: Any) -> Any:
        """Objective of the subproblem."""
        raise NotImplementedError

    def start_vector(self, M: Any, p: Any) -> Any:
        """Where the subsolver starts."""
        return M.zero_vector(p)

    def adapt(self, ratio: float, sub: Any, length: float) -> None:
        """Trust the next model more or less."""
        raise NotImplementedError

    def distrust(self, sub: Any, length: float) -> None:
        """Make the next step shorter."""
        raise NotImplementedError

    def taken(self) -> None:
        """Told of each step that is taken."""

    # the model

    def _solve_model(self, problem: Any, e: Any) -> Any:
        sub, M = self.subsolver, problem.manifold
        inner = unwrap(sub)
        before: Any = {}
        if not self._same_point:
            self._operator = None if self._approximation is None else self._approximation.operator(problem, e)
        if self._same_point and isinstance(inner, ModelSolverState):
            before = inner.evaluations.copy()
        else:
            sub.reset(self.start_vector(M, e.point))
        solve(Problem(TangentSpace(M, e.point), self.model(e, self._operator)), sub)
        if self._approximation is None:
            products = inner.evaluations["hessian"] - before.get("hessian", 0)
            if products:
                self.evaluations["hessian"] += products
        self._same_point = True
        self.negative_curvature = getattr(inner, "negative_curvature", None)
        return inner

    # the outcomes

    def _take(self, problem: Any, candidate: Any, X: Any, length: float) -> None:
        old = self.evaluation
        if not self.accept(candidate):
            return
        self.last_step_successful, self._same_point, self.unresolved_trials = True, False, 0
        self.stepsize, self.step_norm = 1.0, length
        self.taken()
        if self._approximation is not None:
            self._approximation.update(problem, self.transport, old, X, candidate)

    def _refuse(self, problem: Any, sub: Any, length: float) -> None:
        self.last_step_successful = False
        if self._vanishes(length):
            self.fail(
                Status.STALLED,
                f"no step decreases the cost, down to a length of {length:.1e}."
                + check_given_gradient(problem, self, self.evaluation),
            )
        elif self._repeats(sub, length):
            self.distrust(sub, length)

    def _repeats(self, sub: Any, length: float) -> bool:
        """Whether the step refused would come again, since `adapt` has left everything as it was."""
        return False

    def _vanishes(self, length: float) -> bool:
        p = self.evaluation.point
        return length <= 4.0 * self.eps * math.sqrt(abs(np.vdot(p, p)))

    def _judge_by_gradient(
        self, problem: Any, candidate: Any, X: Any, sub: Any, predicted: float, level: bool
    ) -> None:
        """Accept a step whose decrease cannot be seen in f when the gradient decreases."""
        self.ratio = math.nan
        length = problem.manifold.norm(self.evaluation.point, X)
        if level and candidate.gradient_norm < self.evaluation.gradient_norm:
            self._take(problem, candidate, X, length)
            return
        self.last_step_successful = False
        self.unresolved_trials += 1
        self.distrust(sub, length)
        if self.unresolved_trials == 2:
            self._round_off(problem, predicted)

    def _round_off(self, problem: Any, predicted: float) -> None:
        self.fail(
            Status.ROUND_OFF,
            f"the predicted decrease {predicted:.1e} is below the rounding of the cost {self.evaluation.cost:.6g}, and "
            "the gradient does not decrease either: rounding prevents further progress."
            + check_given_gradient(problem, self, self.evaluation),
        )

    def _no_decrease(self, problem: Any, sub: Any, predicted: float) -> None:
        self.last_step_successful = False
        if sub.status is Status.BAD_FUNCTION:
            self.fail(Status.BAD_FUNCTION, f"the subproblem cannot be solved: {sub.message}")
        elif self.randomize and not self.unresolved_trials and not sub.negative_curvature:
            self.unresolved_trials += 1  # the criterion is asked first
        else:
            self._round_off(problem, predicted)

    def _not_finite(self, candidate: Any, sub: Any, length: float) -> None:
        self.ratio = math.nan
        self.last_step_successful = False
        if candidate.cost == -math.inf and np.all(np.isfinite(candidate.point)):
            self.evaluation = candidate
            self.fail(Status.DIVERGED, "the cost is -inf at a trial point: it is unbounded below.")
            return
        self.distrust(sub, length)
        self.distrust(sub, 0.5 * length)  # twice, since nothing says how far off the trial was
        self.nonfinite_trials += 1
        # a step may vanish in the rounding of the point before thirty trials
        if self.nonfinite_trials == _MAX_NONFINITE or self._vanishes(length):
            self.fail(Status.BAD_FUNCTION, f"the cost was not finite at {self.nonfinite_trials} trial points in a row.")


def within(name: str, value: float, low: float, high: float, *, open_below: bool = False) -> float:
    """The value as a float, or ValueError unless it is in the interval."""
    if not (low < value if open_below else low <= value) or not value < high:
        raise ValueError(f"`{name}` must be in {'(' if open_below else '['}{low:g}, {high:g}); got {value!r}.")
    return float(value)
