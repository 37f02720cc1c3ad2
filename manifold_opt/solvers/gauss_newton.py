r"""Gauss-Newton's method on manifolds, with a line search.

The step s minimizes |r + J s|, the shortest one where J has not full rank, and the point moves to retract(p, t s) with
t from 1 downwards: the first t at which the cost has decreased by a fraction of what its slope promises. It needs
fewest evaluations of all where residuals are small or nearly linear, and a full rank of J; elsewhere
Levenberg-Marquardt is the safer one.

References
----------
.. [1] J. Nocedal, S. Wright, Numerical Optimization, 2nd edition, Springer 2006, sections 3.5 and 10.3.
.. [2] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, section 8.4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.result import Result
from ..core.status import Status
from .least_squares_state import MAX_NONFINITE, LeastSquaresState, decrease

if TYPE_CHECKING:
    from typing_extensions import Unpack

# between these fractions of the last trial lies the next one
_SHORTEST, _LONGEST = 0.1, 0.5


class GaussNewtonState(LeastSquaresState):
    """State of `gauss_newton`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    sufficient_decrease : float
        Least decrease of the cost relative to the slope times the step, in (0, 1/2).
    linear_solver, retraction, residuals, jacobian, stopping : optional
        See `LeastSquaresState`.

    Raises
    ------
    ValueError
        When ``sufficient_decrease`` is out of its interval.
    """

    def __init__(
        self,
        p0: Any,
        *,
        sufficient_decrease: float = 1e-4,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        super().__init__(
            p0,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=residuals,
            jacobian=jacobian,
            stopping=stopping,
        )
        if not 0.0 < sufficient_decrease < 0.5:
            raise ValueError(f"`sufficient_decrease` must be between 0 and 1/2; got {sufficient_decrease!r}.")
        self.sufficient_decrease = sufficient_decrease

    def advance(self, problem: Any) -> None:
        """Solve for the step and go along it."""
        e, solver = self.evaluation, self.solver_here()
        try:
            s, Js = solver.solve(e.model_residuals, 0.0, None)
        except np.linalg.LinAlgError as error:
            return self._unsolved(error)
        if not np.isfinite(s).all():
            return self._unsolved("its solution is not finite")
        X = problem.manifold.get_vector(e.point, s)
        # r + J s is orthogonal to J s: the model promises |J s|^2 (t - t^2 / 2)
        slope, length, t, bad = -float(Js.dot(Js)), math.sqrt(s.dot(s)), 1.0, 0
        while True:
            candidate = problem.evaluate(self.retract(e.point, X, t), self.evaluations)
            actual = decrease(e, candidate)
            self.actual_decrease, self.predicted_decrease = actual, -slope * t * (1.0 - 0.5 * t)
            self.trial_length = t * length
            if not math.isfinite(candidate.cost):
                bad += 1
                if bad == MAX_NONFINITE:
                    self.last_step_successful = False
                    return self.fail(
                        Status.BAD_FUNCTION, f"the residual was not finite at {bad} trial points in a row."
                    )
                t *= _SHORTEST
                continue
            enough = actual >= -self.sufficient_decrease * t * slope and actual > 0.0
            if enough or (t == 1.0 and self.improves_gradient(candidate)):
                self.take(candidate, t * length, t)
                return None
            candidate.release()
            if self.is_below_rounding(candidate, t * length) or self._is_over(t):
                self.last_step_successful = False
                return self.end_without_step(problem, t * length, self.predicted_decrease)
            # the least of the parabola through f, its slope, and the value found
            least = -0.5 * slope * t * t / (-actual - slope * t) if -actual > slope * t else _LONGEST * t
            t = min(max(least, _SHORTEST * t), _LONGEST * t)

    def _is_over(self, t: float) -> bool:
        """Whether shorter steps make no sense: at a solution, where no decrease can be seen."""
        return t < self.eps or (t == 1.0 and self.relative_offset**2 <= self.decrease_rounding)

    def _unsolved(self, reason: Any) -> None:
        self.last_step_successful = False
        self.fail(Status.LINEAR_SOLVE_FAILED, f"the linear system of the step could not be solved: {reason}.")


def gauss_newton(
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
    sufficient_decrease: float = 1e-4,
    linear_solver: Any = None,
    retraction: Any = None,
    initial_residuals: Any = None,
    initial_jacobian: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the squared norm of a residual by Gauss-Newton's method with a line search.

    Parameters
    ----------
    M : Manifold
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p)``, m real numbers; see `NonlinearLeastSquaresObjective` for all forms.
    p0 : array, optional
        Start point; default a random one.
    jacobian, jacobian_type, jacobian_basis, loss, residual_size, num_residuals, autodiff : optional
        See `levenberg_marquardt`.
    sufficient_decrease : float
        Least decrease of the cost relative to its slope times the step, in (0, 1/2).
    linear_solver, retraction, initial_residuals, initial_jacobian : optional
        See `levenberg_marquardt`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        As `levenberg_marquardt`.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, gauss_newton
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> y = 2.0 * np.exp(-3.0 * t)
    >>> result = gauss_newton(Euclidean(2), lambda p: p[0] * np.exp(p[1] * t) - y, np.array([1.0, -1.0]))
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
        gauss_newton,
        M,
        objective,
        p0,
        lambda p: GaussNewtonState(
            p,
            sufficient_decrease=sufficient_decrease,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=initial_residuals,
            jacobian=initial_jacobian,
        ),
        common,
    )
