r"""Levenberg-Marquardt on manifolds: minimize f(p) = 1/2 |r(p)|^2.

At p the residual along a tangent vector with orthonormal coordinates s is about r + J s. The step minimizes

    |r + J s|^2 + lam |D s|^2,

p moves to retract(p, s), and the decrease of f compared with the one promised by the model decides whether to stay
there and how lam changes (see `manifold_opt.solvers.damping`). For a small lam this is Gauss-Newton's step, for a
large one a short step of steepest descent.

The linear problem is solved by factorizing J, not J'J; one factorization serves all lam at a point, and a rejected
step costs one residual and no Jacobian.

Close to a solution the decrease drowns in the rounding of f while the gradient still tells right from wrong. There a
step is judged by the relative offset |P r| / |r| instead, P the projection onto the range of J: this is what the last
digits of ill-conditioned fits come from.

References
----------
.. [1] D. W. Marquardt, J. SIAM 11 (1963), 431-441.
.. [2] R. Peeters, On a Riemannian version of the Levenberg-Marquardt algorithm, VU Amsterdam 1993.
.. [3] S. Adachi, T. Okuno, A. Takeda, arXiv 2210.00253.
.. [4] K. Madsen, H. B. Nielsen, O. Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004, section 3.2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.result import Result
from ..core.state import SolverState
from ..core.status import Status
from ..linalg.solvers import DenseQR
from ..stopping import (
    StopAfterIteration,
    StopWhenDecreaseUnresolvable,
    StopWhenRelativeOffsetLess,
    StopWhenResidualAtRounding,
)
from .damping import AdachiOkunoTakeda, Damping, Nielsen, Trial

if TYPE_CHECKING:
    from typing_extensions import Unpack

# a scaled damping beyond this moves the point by less than any rounding
_LARGEST_DAMPING = 1e32
_MAX_NONFINITE = 30
# relative decreases of the cost below this many eps are taken for rounding
_ROUNDING = 100.0


class LevenbergMarquardtState(SolverState):
    """State of `levenberg_marquardt`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    damping : Damping, optional
        Default ``Nielsen()``.
    eta, beta, damping_min, expect_zero_residual : optional
        Parameters of `AdachiOkunoTakeda`; giving one of them chooses that policy.
    linear_solver : optional
        Default ``DenseQR()``.
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
    damping : float
        The policy's current number.
    residuals, jacobian : array
        At the current point.

    Raises
    ------
    ValueError
        When a parameter of the damping is outside its interval, or both ``damping`` and parameters are given.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "_damping", "_solver", "_factored", "_norms", "_offset")

    def __init__(
        self,
        p0: Any,
        *,
        damping: Damping | None = None,
        eta: float | None = None,
        beta: float | None = None,
        damping_min: float | None = None,
        expect_zero_residual: bool | None = None,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        super().__init__(p0, stopping=stopping)
        self.damping_rule = _policy(
            damping, eta=eta, beta=beta, damping_min=damping_min, expect_zero_residual=expect_zero_residual
        )
        self.linear_solver = DenseQR() if linear_solver is None else linear_solver
        self.retraction = retraction
        self._buffers = residuals, jacobian

    @classmethod
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
        self.first_residual_norm = math.nan
        self.nonfinite_trials = 0
        self._factored: Any = None
        self._offset: float | None = None

    # what can be read

    @property
    def damping(self) -> float:
        """Current number of the damping policy."""
        _, bound = self._bounds.get("damping", (None, None))
        return math.nan if bound is None else bound.value

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
        solver = self._solver_here()
        if self._offset is None:
            norm = self.residual_norm
            self._offset = solver.projected_norm(self.evaluation.model_residuals) / norm if norm > 0.0 else 0.0
        return self._offset

    @property
    def residual_rounding(self) -> float:
        """Size of the residuals that the rounding of the point explains, an estimate."""
        e = self.evaluation
        norms, size = self._column_norms(), np.abs(e.point)
        bound = 4.0 * self.eps * math.sqrt(norms.dot(norms) * float(np.vdot(size, size)))
        if self.residual_norm <= bound:
            # column by column, so that a large variable does not stand for the small ones
            M = e.functions.manifold
            basis = np.abs(M.embed_vector(e.point, M.get_basis(e.point)))
            bound = (
                4.0
                * self.eps
                * float(np.linalg.norm(norms * np.tensordot(basis, np.abs(M.embed_point(e.point)), size.ndim)))
            )
        return max(bound, self.eps**2 * self.first_residual_norm)

    # the algorithm

    def begin(self, problem: Any) -> None:
        """Hand the buffers to the objective, then begin."""
        self.eps = float(np.finfo(self.point.dtype).eps)
        self._solver = self.linear_solver.bind()
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
        """Resolve the retraction and bind the damping."""
        self.retract = problem.manifold.get_retraction(self.retraction)
        self._damping = self.bound("damping", self.damping_rule, problem)

    def needs_finite(self, evaluation: Any) -> str:
        """Residuals and Jacobian must be finite."""
        if not math.isfinite(evaluation.cost):
            return "the residual is not finite"
        return "" if math.isfinite(evaluation.gradient_norm) else "the Jacobian is not finite"

    def advance(self, problem: Any) -> None:
        """Solve for a step, try it, judge it."""
        e, damping, solver = self.evaluation, self._damping, self._solver_here()
        lam, scale = damping.lam(e.cost), damping.scale
        try:
            s, Js = solver.solve(e.model_residuals, lam, scale)
        except np.linalg.LinAlgError as error:
            return self._unsolved(error)
        p = e.point
        X = problem.manifold.get_vector(p, s)
        candidate = problem.evaluate(self.retract(p, X), self.evaluations)
        Ds = s if scale is None else scale * s
        trial = Trial(_decrease(e, candidate), float(Js.dot(Js)), lam * float(Ds.dot(Ds)))
        length = math.sqrt(s.dot(s))
        if not math.isfinite(candidate.cost):
            return self._not_finite(trial)
        if trial.actual != 0.0:  # a step too short to move the point says nothing about the function
            self.nonfinite_trials = 0
        if damping.judge(trial) or (damping.rule.guarded and self._improves_gradient(candidate)):
            self._take(candidate, length)
        else:
            self._reject(problem, candidate, length, trial)

    def _take(self, candidate: Any, length: float) -> None:
        old = self.evaluation
        self.last_step_successful = True
        if self.accept(candidate):
            self.stepsize, self.step_norm = 1.0, length
            old.release()

    def _improves_gradient(self, candidate: Any) -> bool:
        """Judge a step by the relative offset where the cost cannot tell."""
        e, offset = self.evaluation, self.relative_offset
        if offset**2 > _ROUNDING * self.eps or candidate.cost > e.cost * (1.0 + _ROUNDING * self.eps):
            return False
        if not math.isfinite(candidate.gradient_norm):
            return False
        solver = self.linear_solver.bind()
        solver.factor(candidate.model_jacobian)
        return solver.projected_norm(candidate.model_residuals) < 0.9 * offset * math.sqrt(2.0 * candidate.cost)

    def _reject(self, problem: Any, candidate: Any, length: float, trial: Trial) -> None:
        self.last_step_successful = False
        candidate.release()
        p = self.evaluation.point
        if self._damping.rule.endless:
            return
        # entry by entry, so that a large variable does not stand for the small ones
        small = length <= 4.0 * self.eps * math.sqrt(abs(np.vdot(p, p))) and bool(
            np.all(np.abs(candidate.point - p) <= 4.0 * self.eps * np.abs(p))
        )
        if not small and self._damping.value <= _LARGEST_DAMPING:
            return
        if self.nonfinite_trials:
            return self.fail(
                Status.BAD_FUNCTION,
                f"the residual was not finite at {self.nonfinite_trials} trial points in a row, at steps down to the "
                "rounding of the point.",
            )
        cost = self.evaluation.cost
        undamped = self.relative_offset**2 * cost
        if trial.predicted >= 0.5 * undamped or undamped <= _ROUNDING * self.eps * cost:
            self.fail(Status.CONVERGED, f"The step of length {length:.1e} is below the rounding of the point.")
        else:
            message = (
                f"No step decreases the cost, down to a length of {length:.1e}, although the model promises "
                f"{undamped:.1e}."
            )
            self.fail(Status.STALLED, message + check_given_jacobian(problem, self, self.evaluation))

    def _not_finite(self, trial: Trial) -> None:
        self.last_step_successful = False
        self._damping.grow()
        self.nonfinite_trials += 1
        if self.nonfinite_trials == _MAX_NONFINITE and not self._damping.rule.endless:
            self.fail(Status.BAD_FUNCTION, f"the residual was not finite at {_MAX_NONFINITE} trial points in a row.")

    def _unsolved(self, error: Exception) -> None:
        self.last_step_successful = False
        self._damping.grow()
        if self._damping.value > _LARGEST_DAMPING and not self._damping.rule.endless:
            self.fail(Status.LINEAR_SOLVE_FAILED, f"the linear system could not be solved with any damping: {error}.")

    def _solver_here(self) -> Any:
        """The linear solver, holding the Jacobian of the current point."""
        e = self.evaluation
        if self._factored is not e:
            self._solver.factor(e.model_jacobian)
            self._norms = self._solver.column_norms()
            self._damping.renew(self._norms)
            self._factored, self._offset = e, None
        return self._solver

    def _column_norms(self) -> Any:
        self._solver_here()
        return self._norms


def _decrease(e: Any, candidate: Any) -> float:
    """f(e) - f(candidate), from the factors of the difference of squares where the difference of costs cancels."""
    decrease = e.cost - candidate.cost
    if abs(decrease) > 1e-3 * e.cost:
        return decrease
    if e.functions.robust is not None:
        return 0.5 * float(np.sum(e.losses[0] - candidate.losses[0]))
    r, q = e.residuals, candidate.residuals
    return 0.5 * float((r - q).dot(r + q))


def _policy(damping: Damping | None, **parameters: Any) -> Damping:
    """The damping given, or the one that the parameters belong to."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if damping is None:
        return AdachiOkunoTakeda(**given) if given else Nielsen()
    if not isinstance(damping, Damping):
        raise TypeError(f"`damping` must be a damping policy such as Nielsen(); got {damping!r}.")
    if given:
        raise ValueError(
            f"{', '.join(given)} belong to AdachiOkunoTakeda(...), which they choose by themselves: give either "
            "`damping` or these."
        )
    return damping


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


def levenberg_marquardt(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    jacobian_basis: Any = None,
    loss: Any = None,
    residual_size: int = 1,
    num_residuals: int | None = None,
    autodiff: str = "auto",
    damping: Damping | None = None,
    eta: float | None = None,
    beta: float | None = None,
    damping_min: float | None = None,
    expect_zero_residual: bool | None = None,
    linear_solver: Any = None,
    retraction: Any = None,
    initial_residuals: Any = None,
    initial_jacobian: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the squared norm of a residual by the method of Levenberg and Marquardt.

    Parameters
    ----------
    M : Manifold
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p)``, m real numbers; see `NonlinearLeastSquaresObjective` for all forms.
    p0 : array, optional
        Start point; default a random one.
    jacobian : callable, InPlace, or sequence of callables, optional
        Derivative of the residual; default by differentiation.
    jacobian_type : {"coordinates", "gradients", "euclidean", "operator"}
        What the Jacobian is, see `NonlinearLeastSquaresObjective`.
    jacobian_basis : optional
        Basis of a Jacobian in coordinates; default the manifold's orthonormal one.
    loss : str, Loss or callable, optional
        Robust loss, for example ``"huber"`` or ``Cauchy(scale=0.1)``; default none.
    residual_size : int
        Number of consecutive residuals whose norm is the argument of one loss; default 1.
    num_residuals : int, optional
        m; needed for an in-place residual unless ``initial_residuals`` is given.
    autodiff : str
        Source of a missing Jacobian, see `CostObjective`.
    damping : Damping, optional
        Default `Nielsen`; see `manifold_opt.solvers.damping`.
    eta, beta, damping_min, expect_zero_residual : optional
        Parameters of the method of Adachi, Okuno and Takeda (the one of Manopt.jl 0.5): acceptance ratio in (0, 1),
        factor > 1, smallest damping > 0, and whether the damping may decrease. Giving one chooses that method.
    linear_solver : optional
        ``DenseQR()`` (default) or ``NormalEquations(solve)``.
    retraction : str or callable, optional
        Default the manifold's.
    initial_residuals, initial_jacobian : array, optional
        Memory for an in-place residual and Jacobian.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.cost`` is half the sum of squares.

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, parameters outside their intervals, arrays of the wrong shape, a derivative that
        contradicts the residual.

    Notes
    -----
    Needs of M: a retraction, and coordinates of tangent vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, levenberg_marquardt
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> y = 2.0 * np.exp(-3.0 * t)
    >>> result = levenberg_marquardt(Euclidean(2), lambda p: p[0] * np.exp(p[1] * t) - y, np.array([1.0, 0.0]))
    >>> result.converged, np.round(result.point, 8) + 0.0
    (True, array([ 2., -3.]))
    """
    if num_residuals is None and initial_residuals is not None:
        num_residuals = np.size(initial_residuals)
    objective = least_squares_objective(
        residual,
        jacobian=jacobian,
        jacobian_type=jacobian_type,
        jacobian_basis=jacobian_basis,
        loss=loss,
        residual_size=residual_size,
        num_residuals=num_residuals,
        autodiff=autodiff,
    )
    return run(
        levenberg_marquardt,
        M,
        objective,
        p0,
        lambda p: LevenbergMarquardtState(
            p,
            damping=damping,
            eta=eta,
            beta=beta,
            damping_min=damping_min,
            expect_zero_residual=expect_zero_residual,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=initial_residuals,
            jacobian=initial_jacobian,
        ),
        common,
    )
