r"""What the solvers for nonlinear least squares share: the model |r + J s|^2 at a point, and how a run ends.

The linear problem is solved by factorizing J, not J'J; one factorization serves all steps that are tried at a point,
and a rejected step costs one residual and no Jacobian.

Close to a solution the decrease drowns in the rounding of f while the gradient still tells right from wrong. There a
step is judged by the relative offset |P r| / |r| instead, P the projection onto the range of J: this is what the last
digits of ill-conditioned fits come from.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.state import SolverState
from ..core.status import Status
from ..linalg.automatic import Automatic, chosen
from ..objectives.evaluation import Counts
from ..stopping import (
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    StopWhenDecreaseUnresolvable,
    StopWhenRelativeOffsetLess,
    StopWhenResidualAtRounding,
)
from ..stopping.edit import leaves
from .coordinates import coordinate_sizes

MAX_NONFINITE = 30
# relative decreases of the cost below this many eps are taken for rounding
ROUNDING = 100.0


class Trial(NamedTuple):
    """What is known about a step s before it is judged.

    Attributes
    ----------
    actual : float
        Decrease of the cost f = 1/2 |r|^2; NaN or -inf where the candidate is not finite.
    linear : float
        |J s|^2.
    regularization : float
        lam |D s|^2, or whatever else the model promises beyond 1/2 |J s|^2.
    """

    actual: float
    linear: float
    regularization: float

    @property
    def predicted(self) -> float:
        """Decrease of the model 1/2 |r + J s|^2; no cancellation, since (J'J + lam D^2) s = -J'r."""
        return 0.5 * self.linear + self.regularization


class LeastSquaresState(SolverState):
    """Base of the states for nonlinear least squares.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    linear_solver : optional
        Default ``Automatic()``: a sparse factorization for large block and sparse Jacobians, else ``DenseQR()``.
    retraction : str or callable, optional
        Default the manifold's.
    residuals, jacobian : array, optional
        Buffers for an in-place residual and Jacobian, of shapes ``(m,)`` and ``(m, dim)``.
    stopping : StoppingCriterion, optional
        Default: 500 iterations, or one of the scale-free tests of convergence.

    Attributes
    ----------
    last_step_successful : bool
        Whether the last step was taken.
    actual_decrease, predicted_decrease, trial_length : float
        What came of the last step that was tried, what the model promised, and the length of that step; NaN before the
        first.
    factorizations : int
        How many Jacobians were factorized.
    residuals, jacobian : array
        At the current point.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "_solver", "_factored", "_norms", "_offset")

    def __init__(
        self,
        p0: Any,
        *,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        super().__init__(p0, stopping=stopping)
        self.linear_solver = Automatic() if linear_solver is None else linear_solver
        if not hasattr(self.linear_solver, "bind"):
            raise TypeError(f"`linear_solver` must be a linear solver such as DenseQR(); got {linear_solver!r}.")
        self.retraction = retraction
        self._buffers = residuals, jacobian

    @classmethod
    @cache
    def default_stopping(cls) -> Any:
        """500 iterations or one of the scale-free tests of convergence."""
        return (
            StopAfterIteration(500)
            | StopWhenRelativeOffsetLess(1e-9)
            | StopWhenDecreaseUnresolvable()
            | StopWhenResidualAtRounding()
        )

    def _clear(self) -> None:
        super()._clear()
        self.last_step_successful = True
        self.actual_decrease = self.predicted_decrease = self.trial_length = math.nan
        self.first_residual_norm = math.nan
        self.nonfinite_trials = 0
        self.factorizations = 0
        self._factored: Any = None
        self._offset: float | None = None

    # what can be read

    @property
    def residuals(self) -> Any:
        """Residuals at the current point."""
        return self.evaluation.residuals

    @property
    def jacobian(self) -> Any:
        """Jacobian at the current point, in orthonormal coordinates."""
        return self.evaluation.jacobian

    @property
    def residual_norm(self) -> float:
        """|r| at the current point; sqrt(2 f) with a loss."""
        return math.sqrt(2.0 * self.evaluation.cost)

    @property
    def relative_offset(self) -> float:
        """|P r| / |r| with P the projection onto the range of J: 0 at a stationary point, at most 1."""
        solver = self.solver_here()
        if self._offset is None:
            norm = self.residual_norm
            self._offset = self.projected_norm(solver, self.evaluation) / norm if norm > 0.0 else 0.0
        return self._offset

    def offset_exceeds(self, tolerance: float) -> bool:
        """Whether the relative offset is above a number: often known for less than the offset itself costs."""
        return self.relative_offset > tolerance

    @property
    def residual_rounding(self) -> float:
        """Size of the residuals that the rounding of the point explains, an estimate."""
        e = self.evaluation
        norms = self.column_norms()
        bound = 4.0 * self.eps * math.sqrt(norms.dot(norms) * abs(np.vdot(e.point, e.point)))
        if self.residual_norm <= bound:
            bound = self._rounding_by_columns()
        return max(bound, self.eps**2 * self.first_residual_norm)

    @property
    def decrease_rounding(self) -> float:
        """Relative decreases of the cost up to this one are lost in the rounding of the residuals, an estimate."""
        norm = self.residual_norm
        return max(ROUNDING * self.eps, self._rounding_by_columns() / norm if norm > 0.0 else 0.0)

    def _rounding_by_columns(self) -> float:
        """Rounding of the residuals, column by column, so that a large variable does not stand for the small ones."""
        e = self.evaluation
        sizes = coordinate_sizes(e.functions.manifold, e.point)
        return 4.0 * self.eps * float(np.linalg.norm(self.column_norms() * sizes))

    @property
    def optimality(self) -> float:
        """Largest coordinate of the gradient, SciPy's measure."""
        g = self.evaluation.gradient_coordinates
        return float(np.max(np.abs(g))) if g.size else 0.0

    @property
    def estimated_error(self) -> float:
        """Largest coordinate of the Gauss-Newton step from here: about how far the solution is."""
        solver = self.solver_here()
        try:
            s = solver.solve(self.evaluation.model_residuals, 0.0, None)[0]
        except np.linalg.LinAlgError:
            return math.inf
        return float(np.max(np.abs(s)))

    @property
    def convergence_tests(self) -> list[Any]:
        """The parts of the stopping criterion at work, each with its ``rule``, ``reason`` and, if any, ``error``."""
        return [bound for bound in self._stop.tree() if not any(True for _ in bound.inner())]

    @property
    def remaining(self) -> dict[str, float]:
        """What is left of each limit of the stopping criterion: ``"iterations"``, ``"evaluations"``, ``"time"``."""
        left: dict[str, float] = {}
        for rule in leaves(self.stopping):
            if isinstance(rule, StopAfterIteration):
                _keep_least(left, "iterations", rule.n - self.iteration)
            elif isinstance(rule, StopAfter):
                _keep_least(left, "time", rule.seconds - self.elapsed)
            elif isinstance(rule, StopAfterEvaluations):
                name = rule.counter or "residual"
                key = "evaluations" if rule.counter is None else f"{name} evaluations"
                _keep_least(left, key, rule.n - self.evaluations[name])
        return left

    # the start

    def begin(self, problem: Any) -> None:
        """Hand the buffers to the objective, then begin."""
        self.eps = float(np.finfo(self.point.dtype).eps)
        self._solver: Any = None
        self._factored = None
        super().begin(problem)

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate residuals and Jacobian at the start."""
        evaluation.functions.offer(*self._buffers)
        super().initialize(problem, evaluation)
        self.first_residual_norm = math.sqrt(2.0 * evaluation.cost)
        if self.status is Status.RUNNING and evaluation.gradient_norm == 0.0 and evaluation.cost > 0.0:
            check_given_jacobian(problem, self, evaluation)
        if evaluation.functions.robust is not None and not evaluation.weights.any():
            self.fail(
                Status.FALSE_CONVERGENCE,
                "every residual is an outlier to the loss at the start point, so that nothing pulls: start closer, or "
                "enlarge the scale of the loss.",
            )

    def attach(self, problem: Any) -> None:
        """Resolve the retraction."""
        self.retract = problem.manifold.get_retraction(self.retraction)

    def needs_finite(self, evaluation: Any) -> str:
        """Residuals and Jacobian must be finite."""
        if not math.isfinite(evaluation.cost):
            return "the residual is not finite"
        return "" if math.isfinite(evaluation.gradient_norm) else "the Jacobian is not finite"

    # the linear model

    def solver_here(self) -> Any:
        """The linear solver, holding the Jacobian of the current point."""
        e = self.evaluation
        if self._factored is not e:
            J = self.model_jacobian(e)
            if self._solver is None:
                self._solver = chosen(self.linear_solver, J).bind()
            self._solver.factor(J)
            self.factorizations += 1
            self._norms = self._solver.column_norms()
            self._factored, self._offset = e, None
            self.renew(self._norms)
        return self._solver

    def is_sparse(self) -> bool:
        """Whether the linear systems at the current point are solved by a sparse factorization."""
        if getattr(self.linear_solver, "sparse", False):
            return True
        known = self.status is Status.RUNNING and self.evaluation is not None
        return known and getattr(chosen(self.linear_solver, self.evaluation.jacobian), "sparse", False)

    def model_jacobian(self, e: Any) -> Any:
        """Matrix of the linear model at an evaluation."""
        return e.model_jacobian

    def renew(self, column_norms: Any) -> None:
        """Adapt to a new Jacobian, given the norms of its columns."""

    def projected_norm(self, solver: Any, e: Any) -> float:
        """|P r| at an evaluation whose Jacobian the solver holds."""
        return float(solver.projected_norm(e.model_residuals))

    def column_norms(self) -> Any:
        """Norms of the columns of the Jacobian at the current point."""
        self.solver_here()
        return self._norms

    # accepting and ending

    def take(self, candidate: Any, length: float, stepsize: float = 1.0) -> bool:
        """Go to a candidate that is good enough."""
        old = self.evaluation
        self.last_step_successful = True
        self.nonfinite_trials = 0
        if not self.accept(candidate):
            return False
        self.stepsize, self.step_norm = stepsize, length
        self.leave(old)
        return True

    def leave(self, old: Any) -> None:
        """Give back the memory of a point that was left."""
        old.release()

    def improves_gradient(self, candidate: Any, factor: float = 0.9) -> bool:
        """Judge a step by the relative offset where the cost cannot tell: it must decrease by this factor."""
        e, offset = self.evaluation, self.relative_offset
        level = self.decrease_rounding
        if offset**2 > level or candidate.cost > e.cost * (1.0 + level):
            return False
        if not math.isfinite(candidate.gradient_norm):
            return False
        J = self.model_jacobian(candidate)
        solver = self._solver.fresh() if hasattr(self._solver, "fresh") else chosen(self.linear_solver, J).bind()
        solver.factor(J)
        return self.projected_norm(solver, candidate) < factor * offset * math.sqrt(2.0 * candidate.cost)

    def is_below_rounding(self, candidate: Any, length: float) -> bool:
        """Whether a step is too short to move the point."""
        p = self.evaluation.point
        # entry by entry, so that a large variable does not stand for the small ones
        return length <= 4.0 * self.eps * math.sqrt(abs(np.vdot(p, p))) and bool(
            np.all(np.abs(candidate.point - p) <= 4.0 * self.eps * np.abs(p))
        )

    def end_without_step(self, problem: Any, length: float, predicted: float) -> None:
        """End a run in which no step is left that could be tried: at a solution, or far from one."""
        cost = self.evaluation.cost
        undamped = self.relative_offset**2 * cost
        if predicted >= 0.5 * undamped or undamped <= self.decrease_rounding * cost:
            self.fail(Status.CONVERGED, f"The step of length {length:.1e} is below the rounding of the point.")
        elif self._is_least_along_gradient(problem):
            self.fail(Status.CONVERGED, "Along its gradient the cost is at its minimum, to rounding.")
        else:
            message = (
                f"No step decreases the cost, down to a length of {length:.1e}, although the model promises "
                f"{undamped:.1e}."
            )
            self.fail(Status.STALLED, message + check_given_jacobian(problem, self, self.evaluation))

    def _is_least_along_gradient(self, problem: Any) -> bool:
        """Whether the cost has the slope that the gradient says, and so much curvature that nothing is to be gained.

        Where residuals are large and bent, the model of Gauss and Newton promises what their curvature takes away.
        """
        e, norms = self.evaluation, self.column_norms()
        moves = norms > 0.0
        g = np.where(moves, e.gradient_coordinates, 0.0)
        u = -g / np.where(moves, norms, 1.0) ** 2
        sizes = norms * coordinate_sizes(problem.manifold, e.point)
        length = math.sqrt(float(np.sum((norms * u) ** 2)))
        if not 0.0 < length < math.inf:
            return False
        h = self.eps ** (1.0 / 3.0) * (math.sqrt(float(sizes.dot(sizes))) or self.residual_norm) / length
        X = problem.manifold.get_vector(e.point, u)
        ahead, behind = (problem.evaluate(self.retract(e.point, X, t), Counts()).cost - e.cost for t in (h, -h))
        self.evaluations["check"] += 2
        slope, curvature, noise = float(g.dot(u)), (ahead + behind) / (h * h), self.decrease_rounding * e.cost
        if not (math.isfinite(curvature) and curvature > 0.0):
            return False
        right = abs((ahead - behind) / (2.0 * h) - slope) <= 0.1 * abs(slope) + noise / h
        return right and slope * slope <= 2.0 * noise * curvature

    def count_nonfinite(self) -> None:
        """Note that a candidate's residual was not finite; too many in a row end the run."""
        self.last_step_successful = False
        self.nonfinite_trials += 1
        if self.nonfinite_trials == MAX_NONFINITE:
            self.fail(Status.BAD_FUNCTION, f"the residual was not finite at {MAX_NONFINITE} trial points in a row.")


def _keep_least(left: dict[str, float], name: str, value: float) -> None:
    left[name] = max(min(value, left.get(name, math.inf)), 0)


def decrease(e: Any, candidate: Any) -> float:
    """f(e) - f(candidate), from the factors of the difference of squares where the difference of costs cancels."""
    difference: float = e.cost - candidate.cost
    if abs(difference) > 1e-3 * e.cost:
        return difference
    if e.functions.robust is not None:
        return 0.5 * float(np.sum(e.losses[0] - candidate.losses[0]))
    r, q = e.residuals, candidate.residuals
    return 0.5 * float((r - q).dot(r + q))


def check_given_jacobian(problem: Any, state: SolverState, e: Any) -> str:
    """Compare a user's Jacobian with one difference of the residual: raise before the first step is taken, else say."""
    from ..autodiff import WrongDerivative, check_residual_jacobian

    functions = e.functions
    if not functions.given_jacobian or functions.residual is None:
        return ""
    try:
        state.evaluations["check"] += check_residual_jacobian(
            functions.residual, lambda p: functions.jacobian(p)[1], problem.manifold, e.point, given=True
        )
    except WrongDerivative as error:
        if not math.isfinite(state.step_norm):
            raise
        return f" {error}"
    return ""
