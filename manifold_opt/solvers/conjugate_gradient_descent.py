r"""Conjugate gradients: X_0 = -g_0, then X_{k+1} = -g_{k+1} + beta T X_k with the transported last direction.

The coefficient beta and the condition under which the direction is reset to minus the gradient are exchangeable; on a
convex quadratic with exact steps all coefficients agree and n steps suffice. The default is that of Hager and Zhang
with the parameter of Dai and Kou, which took the fewest evaluations on our test problems. The first trial of the search
comes from the curvature seen along the last step, so that most searches need one trial or two.

References
----------
.. [1] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, section 8.3.
.. [2] H. Sato, SIAM J. Optim. 32 (2022), 2690-2717.
.. [3] Y.-H. Dai and C.-X. Kou, A nonlinear conjugate gradient algorithm with an optimal property and an improved Wolfe
   line search, SIAM J. Optim. 23 (2013), 296-320.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..core.front import Common, cost_objective, run
from ..core.result import Result
from ..directions.conjugate_gradient import (
    Coefficient,
    HagerZhangCoefficient,
    Pair,
    RestartCondition,
    RestartOnNonDescent,
    check_coefficient,
)
from ..directions.preconditioned import preconditioner_of
from ..stepsizes import StepSize, StrongWolfeLinesearch
from ..stepsizes.initial_guesses import carried
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from .line_search import LineSearchState

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ConjugateGradientDescentState(LineSearchState):
    """State of `conjugate_gradient_descent`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    coefficient : Coefficient, optional
        Default ``HagerZhangCoefficient(mu=1.0)``.
    restart : RestartCondition, optional
        Default ``RestartOnNonDescent()``.
    preconditioner : callable, optional
        ``preconditioner(p, X)``; default that of the objective.
    stepsize : StepSize, optional
        Default ``StrongWolfeLinesearch(curvature=0.7)``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.

    Attributes
    ----------
    beta : float
        Last coefficient; 0 after a restart.
    """

    def __init__(
        self,
        p0: Any,
        *,
        coefficient: Coefficient | None = None,
        restart: RestartCondition | None = None,
        preconditioner: Any = None,
        **keywords: Any,
    ) -> None:
        super().__init__(p0, **keywords)
        self.coefficient = HagerZhangCoefficient(mu=1.0) if coefficient is None else coefficient
        check_coefficient(self.coefficient)
        self.restart_condition = RestartOnNonDescent() if restart is None else restart
        if not isinstance(self.restart_condition, RestartCondition):
            raise TypeError(f"`restart` must be a condition such as RestartOnNonDescent(); got {restart!r}.")
        if preconditioner is not None and not callable(preconditioner):
            raise TypeError(f"`preconditioner` must be a function of (p, X); got {preconditioner!r}.")
        self.preconditioner = preconditioner

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """Strong Wolfe conditions; more exact searches cost more gradients than they save iterations."""
        return StrongWolfeLinesearch(curvature=0.7)

    @classmethod
    @cache
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.restart()

    def restart(self) -> None:
        """Forget the last direction."""
        self._last: Any = None
        self.beta = 0.0

    def advance(self, problem: Any) -> None:
        """One step along the conjugate direction."""
        M, e, old = problem.manifold, self.evaluation, self._last
        p, g = e.point, e.gradient
        z, gz = self._preconditioned(M, e)
        X, slope, self.beta = -z, -gz, 0.0
        if old is not None:
            pair = Pair(M, self.transport, p, g, z, gz, old, carried(self, old[0], old[3], p))
            beta = self.coefficient(pair)
            if beta and beta - beta == 0.0:
                Y = beta * pair.direction - z
                descent = M.inner(p, g, Y)
                if not self.restart_condition(descent, gz):
                    X, slope, self.beta = Y, descent, beta
        self._last = (p, g, z, X, gz, slope)
        self.follow(problem, X, slope, M.norm(p, X), retry=self.beta != 0.0)

    def descend_steepest(self, problem: Any) -> bool:
        """Start anew along minus the (preconditioned) gradient."""
        self.restart()
        M, e = problem.manifold, self.evaluation
        z, gz = self._preconditioned(M, e)
        self._last = (e.point, e.gradient, z, -z, gz, -gz)
        return self.follow(problem, -z, -gz, M.norm(e.point, z))

    def _preconditioned(self, M: Any, e: Any) -> tuple[Any, float]:
        """Return z = P g and <g, z>; where P is not positive there, g itself."""
        norm = e.gradient_norm
        apply = preconditioner_of(self.preconditioner, e)
        if apply is not None:
            self.evaluations["preconditioner"] += 1
            z = apply(e.point, e.gradient)
            gz = M.inner(e.point, e.gradient, z)
            if gz > 0.0:
                return z, gz
        return e.gradient, norm * norm


def conjugate_gradient_descent(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    coefficient: Coefficient | None = None,
    restart: RestartCondition | None = None,
    preconditioner: Any = None,
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by nonlinear conjugate gradients.

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
    coefficient : Coefficient, optional
        How much of the last direction to keep; default ``HagerZhangCoefficient(mu=1.0)``.
    restart : RestartCondition, optional
        When to start anew; default ``RestartOnNonDescent()``.
    preconditioner : callable, optional
        ``preconditioner(p, X)``, an approximation of the inverse Hessian, positive definite.
    stepsize : StepSize, optional
        Default ``StrongWolfeLinesearch(curvature=0.7)``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword or a value that is no rule.
    ValueError
        On a point that is not on M, a gradient of the wrong shape, a derivative that contradicts the cost.

    Notes
    -----
    Needs of M: a retraction, a vector transport, ``inner`` and ``norm``.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, conjugate_gradient_descent
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = conjugate_gradient_descent(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    objective = cost_objective(f, gradient=gradient, objective_type=objective_type, autodiff=autodiff)
    return run(
        conjugate_gradient_descent,
        M,
        objective,
        p0,
        lambda p: ConjugateGradientDescentState(
            p,
            coefficient=coefficient,
            restart=restart,
            preconditioner=preconditioner,
            stepsize=stepsize,
            retraction=retraction,
            transport=transport,
        ),
        common,
    )
