r"""Newton's method for critical points: solve Hess f(p)[X] = -grad f(p), go to retract(p, X).

It converges quadratically to a critical point where the Hessian is invertible: a minimizer, a maximizer or a saddle,
whichever is near. f itself is never evaluated. The linear system, which is indefinite in general, is solved by
conjugate residuals.

Far from a critical point the step is damped: t is halved until the norm of the gradient falls,

    |grad f(retract(p, t X))|^2 <= (1 - 2e-4 t) |grad f(p)|^2,

since X is a direction of descent for 1/2 |grad f|^2 unless the Hessian is singular.

References
----------
.. [1] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, chapter 6.
.. [2] R. L. Adler, J.-P. Dedieu, J. Y. Margulies, M. Martens, M. Shub, Newton's method on Riemannian manifolds and a
   geometric model for the human spine, IMA J. Numer. Anal. 22 (2002), 359-390.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, cost_objective, run
from ..core.problem import Problem
from ..core.result import Result
from ..core.solve import solve
from ..core.state import SolverState
from ..core.status import Status
from ..decorators.base import unwrap
from ..manifolds import TangentSpace
from ..objectives.linear_systems import SymmetricLinearSystemObjective
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from .conjugate_residual import ConjugateResidualState
from .hessian_approximations import check_has_hessian

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MAX_HALVINGS = 30
# sufficient decrease of the squared gradient norm, as in Armijo's rule with 1e-4
_SUFFICIENT = 2e-4


class NewtonState(SolverState):
    """State of `newton`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    damped : bool, optional
        Whether to halve steps that do not decrease the gradient. Default True.
    subsolver : SolverState, optional
        Solver of symmetric linear systems; default ``ConjugateResidualState`` to a relative residual of 1e-8. Copied
        unless it is wrapped.
    retraction : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(200) | StopWhenGradientNormLess(1e-8)``.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract",)

    def __init__(
        self, p0: Any, *, damped: bool = True, subsolver: Any = None, retraction: Any = None, stopping: Any = None
    ) -> None:
        self.damped = bool(damped)
        if subsolver is None:
            subsolver = ConjugateResidualState(np.zeros(0))
        elif not isinstance(unwrap(subsolver), SolverState):
            raise TypeError(f"`subsolver` must be a state such as ConjugateResidualState(X0); got {subsolver!r}.")
        self.subsolver = copy.deepcopy(subsolver) if unwrap(subsolver) is subsolver else subsolver
        self.retraction = retraction
        super().__init__(p0, stopping=stopping)

    @classmethod
    def default_stopping(cls) -> Any:
        """200 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(200) | StopWhenGradientNormLess(1e-8)

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate the gradient at the start."""
        check_has_hessian(evaluation, "newton")
        super().initialize(problem, evaluation)

    def attach(self, problem: Any) -> None:
        """Resolve the retraction."""
        self.retract = problem.manifold.get_retraction(self.retraction)
        self.eps = float(np.finfo(self.point.dtype).eps)

    def advance(self, problem: Any) -> None:
        """Solve Newton's equation and go along its solution."""
        M, e = problem.manifold, self.evaluation
        if e.gradient_norm == 0.0:
            self.fail(Status.CONVERGED, "The gradient is exactly zero.")
            return
        X = self._solve(M, e)
        if X is None:
            return
        p = e.point
        length = M.norm(p, X)
        if not length > 0.0:
            self.fail(Status.LINEAR_SOLVE_FAILED, "the solution of Newton's equation is zero: the Hessian is singular.")
            return
        t = min(1.0, float(M.max_step(p, X)))
        bound = e.gradient_norm**2
        for _ in range(_MAX_HALVINGS):
            try:
                candidate = problem.evaluate(self.retract(p, X, t), self.evaluations)
                norm = candidate.gradient_norm
            except np.linalg.LinAlgError:
                # Nothing bounds a full step: far out a positive definite matrix, say, has lost that in rounding.
                if not self.damped:
                    raise
                norm = math.nan
            if not self.damped or norm * norm <= (1.0 - _SUFFICIENT * t) * bound:
                if self.accept(candidate):
                    self.stepsize, self.step_norm = t, t * length
                return
            t *= 0.5
        self._stuck(p, length)

    def _solve(self, M: Any, e: Any) -> Any:
        sub = self.subsolver
        p = e.point
        sub.reset(M.zero_vector(p))
        solve(Problem(TangentSpace(M, p), SymmetricLinearSystemObjective(e.hessian_operator, e.gradient)), sub)
        inner = unwrap(sub)
        self.evaluations["hessian"] += inner.evaluations["operator"]
        if inner.status is Status.BAD_FUNCTION:
            self.fail(Status.BAD_FUNCTION, f"Newton's equation cannot be solved: {inner.message}")
            return None
        return inner.point

    def _stuck(self, p: Any, length: float) -> None:
        scale = math.sqrt(abs(np.vdot(p, p)))
        norm = self.evaluation.gradient_norm
        # so near, one step squares the error unless rounding keeps it from doing so
        if length <= math.sqrt(self.eps) * scale:
            self.fail(Status.ROUND_OFF, f"rounding keeps the gradient norm at {norm:.1e}.")
        else:
            self.fail(
                Status.LINE_SEARCH_FAILED,
                f"no step along Newton's direction decreases the gradient norm {norm:.3g}: the Hessian is singular or "
                "not the derivative of the gradient.",
            )


def newton(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    damped: bool = True,
    subsolver: Any = None,
    retraction: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Find a critical point of a cost by Newton's method.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        The cost, of which only the derivatives are used.
    p0 : array, optional
        Start point; default a random one.
    gradient, hessian : callable or InPlace, optional
        ``gradient(p)`` and ``hessian(p, X)``; default by differentiation.
    objective_type : {"riemannian", "euclidean"}
        What the given gradient and Hessian are.
    autodiff : str
        Source of missing derivatives, see `CostObjective`.
    damped : bool, optional
        Whether to halve steps that do not decrease the norm of the gradient. Default True.
    subsolver : SolverState, optional
        Solver of the linear systems; default ``ConjugateResidualState``.
    retraction : str or callable, optional
        Default the manifold's.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.point`` may be any critical point, not only a minimizer.

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M.

    Notes
    -----
    Needs of M: a retraction, ``inner``, ``norm``.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, newton
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = newton(Sphere(2), lambda p: p @ A @ p, np.array([0.1, 0.7, 0.1]) / np.sqrt(0.51))
    >>> round(result.cost, 12), result.iterations <= 5
    (2.0, True)
    """
    objective = cost_objective(
        f, gradient=gradient, hessian=hessian, objective_type=objective_type, autodiff=autodiff
    )
    return run(
        newton,
        M,
        objective,
        p0,
        lambda p: NewtonState(p, damped=damped, subsolver=subsolver, retraction=retraction),
        common,
    )
