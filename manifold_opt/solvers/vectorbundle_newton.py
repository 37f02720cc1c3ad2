r"""Newton's method for zeros of sections: find p in M with F(p) = 0, F a section of a vector bundle E over M.

F(p) lies in the fibre of E over p. With the covariant derivative F'(p) of F by a connection of E, Newton's equation is

    F'(p)[X] + F(p) = 0,   p <- retract(p, t X).

Where E is a fixed space R^m this is a system of equations; where E is the tangent bundle and F a gradient, it is
Newton's method for critical points; equations of equilibrium, such as those of elastic rods on a surface, live in the
cotangent bundle.

The damping t is chosen by an affine covariant rule, which does not change when the fibres are transformed: a simplified
Newton step with the old derivative and the new value, carried back to the fibre over p,

    F'(p)[Y] + V F(q) - (1 - t) F(p) = 0,   q = retract(p, t X),

measures by theta = |Y| / |t X| how far the equation is from linear. t is accepted for theta <= theta_accept; the next
one tried is t theta_desired / theta, at most 1.

References
----------
.. [1] L. Weigl, R. Bergmann, A. Schiela, Newton's method for nonlinear mappings into vector bundles, arXiv 2404.04073.
.. [2] P. Deuflhard, Newton Methods for Nonlinear Problems, Springer 2011, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.result import Result
from ..core.state import SolverState
from ..core.status import Status
from ..linalg.solvers import DenseQR
from ..stopping import StopAfterIteration, StopWhenChangeLess, StopWhenSmallerOrEqual

if TYPE_CHECKING:
    from typing_extensions import Unpack

_SMALLEST_DAMPING = 1e-10
# steps up to this multiple of the rounding of the point are taken as they are
_ROUNDING = 1e4


@dataclass(frozen=True)
class AffineCovariantStepsize:
    """Damping by the contraction theta of simplified Newton steps.

    Parameters
    ----------
    theta_desired : float
        Contraction aimed at, in (0, 1). Default 0.5.
    theta_accept : float, optional
        Largest contraction of an accepted step. Default 1.1 times the desired one.
    initial : float
        First t, in (0, 1]. Default 1.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    theta_desired: float = 0.5
    theta_accept: float | None = None
    initial: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.theta_desired < 1.0:
            raise ValueError(f"`theta_desired` must be between 0 and 1, both excluded; got {self.theta_desired!r}.")
        if self.theta_accept is None:
            object.__setattr__(self, "theta_accept", 1.1 * self.theta_desired)
        elif not self.theta_accept >= self.theta_desired:
            raise ValueError(f"`theta_accept` must be at least `theta_desired`; got {self.theta_accept!r}.")
        if not 0.0 < self.initial <= 1.0:
            raise ValueError(f"`initial` must be in (0, 1]; got {self.initial!r}.")


class VectorBundleNewtonState(SolverState):
    """State of `vectorbundle_newton`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    damping : AffineCovariantStepsize or None, optional
        None takes full steps. Default ``AffineCovariantStepsize()``.
    bundle_transport : callable, optional
        ``bundle_transport(q, v, p)`` carries v of the fibre over q to the fibre over p; default: the components stay.
    linear_solver : optional
        Default ``DenseQR()``, which solves in the least-squares sense where that is needed.
    retraction : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenChangeLess(1e-12) |
        StopWhenSmallerOrEqual("section_norm", 0.0)``.

    Attributes
    ----------
    damping_factor : float
        t that is tried next.
    contraction : float
        theta of the last step.
    """

    transient: ClassVar[tuple[str, ...]] = ("retract", "_solver")

    def __init__(
        self,
        p0: Any,
        *,
        damping: AffineCovariantStepsize | None = AffineCovariantStepsize(),
        bundle_transport: Callable[[Any, Any, Any], Any] | None = None,
        linear_solver: Any = None,
        retraction: Any = None,
        stopping: Any = None,
    ) -> None:
        if not (damping is None or isinstance(damping, AffineCovariantStepsize)):
            raise TypeError(f"`damping` must be an AffineCovariantStepsize(...) or None; got {damping!r}.")
        self.damping = damping
        self.bundle_transport = bundle_transport
        self.linear_solver = DenseQR() if linear_solver is None else linear_solver
        self.retraction = retraction
        super().__init__(p0, stopping=stopping)

    @classmethod
    def default_stopping(cls) -> Any:
        """1000 iterations, a change of 1e-12, or a section that is exactly zero."""
        return StopAfterIteration(1000) | StopWhenChangeLess(1e-12) | StopWhenSmallerOrEqual("section_norm", 0.0)

    def _clear(self) -> None:
        super()._clear()
        self.damping_factor = 1.0 if self.damping is None else float(self.damping.initial)
        self.contraction = math.nan

    @property
    def section_norm(self) -> float:
        """|F(p)|."""
        return math.sqrt(2.0 * self.evaluation.cost)

    def attach(self, problem: Any) -> None:
        """Resolve the retraction."""
        self.retract = problem.manifold.get_retraction(self.retraction)
        self._solver = self.linear_solver.bind()
        self.eps = float(np.finfo(self.point.dtype).eps)

    def needs_finite(self, evaluation: Any) -> str:
        """Section and derivative must be finite."""
        if not math.isfinite(evaluation.cost):
            return "the section is not finite"
        return "" if math.isfinite(evaluation.gradient_norm) else "the derivative of the section is not finite"

    def advance(self, problem: Any) -> None:
        """Solve Newton's equation and go along its solution."""
        M, e, solver = problem.manifold, self.evaluation, self._solver
        try:
            solver.factor(e.jacobian)
            s, _ = solver.solve(e.residuals, 0.0, None)
        except np.linalg.LinAlgError as error:
            self.fail(Status.LINEAR_SOLVE_FAILED, f"Newton's equation cannot be solved: {error}.")
            return
        length = float(np.linalg.norm(s))
        if not math.isfinite(length):
            self.fail(Status.LINEAR_SOLVE_FAILED, "Newton's equation has no finite solution.")
            return
        if length == 0.0:
            self._no_step()
            return
        p, X = e.point, M.get_vector(e.point, s)
        t = self.damping_factor
        # how much a step contracts that is little more than the rounding of the point cannot be measured
        free = self.damping is None or length <= _ROUNDING * self.eps * math.sqrt(abs(np.vdot(p, p)))
        while t > _SMALLEST_DAMPING:
            candidate = problem.evaluate(self.retract(p, X, t), self.evaluations)
            finite = math.isfinite(candidate.cost)
            if free or (finite and self._contracts(e, candidate, t, length)):
                if self.accept(candidate):
                    self.stepsize, self.step_norm = t, t * length
                    e.release()
                return
            candidate.release()
            # a section that is not finite says nothing about the contraction
            t = max(0.1 * t, min(0.5 * t, self.damping_factor)) if finite else 0.1 * t
        self.fail(
            Status.LINE_SEARCH_FAILED,
            f"no damping down to {_SMALLEST_DAMPING:g} makes Newton's method contract: the derivative is singular, or "
            "not that of the section.",
        )

    def _contracts(self, e: Any, candidate: Any, t: float, length: float) -> bool:
        """Measure the contraction of a trial, and choose the damping to try next."""
        rule, carry = self.damping, self.bundle_transport
        value = candidate.residuals if carry is None else carry(candidate.point, candidate.residuals, e.point)
        Y, _ = self._solver.solve(value - (1.0 - t) * e.residuals, 0.0, None)
        self.contraction = theta = float(np.linalg.norm(Y)) / (t * length)
        self.damping_factor = min(1.0, t * rule.theta_desired / theta) if theta > 0.0 else 1.0  # type: ignore[union-attr]
        return theta <= rule.theta_accept  # type: ignore[union-attr,operator]  # set in __post_init__

    def _no_step(self) -> None:
        if self.evaluation.cost == 0.0:
            self.fail(Status.CONVERGED, "The section is exactly zero.")
        else:
            self.fail(Status.STALLED, "Newton's step is zero at a point that is no zero of the section.")


def vectorbundle_newton(
    M: Any,
    section: Any,
    p0: Any = None,
    *,
    derivative: Any = None,
    autodiff: str = "auto",
    damping: AffineCovariantStepsize | None = AffineCovariantStepsize(),
    bundle_transport: Callable[[Any, Any, Any], Any] | None = None,
    linear_solver: Any = None,
    retraction: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Find a zero of a section of a vector bundle by Newton's method.

    Parameters
    ----------
    M : Manifold
    section : callable, Fused, InPlace or Objective
        ``section(p)``, the components ``(m,)`` of F(p) in an orthonormal frame of the fibre; ``Fused`` returns
        ``(F(p), derivative)``. Or a `NonlinearLeastSquaresObjective`.
    p0 : array, optional
        Start point; default a random one.
    derivative : callable, optional
        ``derivative(p)``, the covariant derivative as a matrix ``(m, dim)``: column i belongs to the i-th vector of the
        default orthonormal basis at p. Default: by differentiation of the components, which is right for a fixed fibre.
    autodiff : str
        Source of a missing derivative, see `CostObjective`.
    damping : AffineCovariantStepsize or None, optional
        None takes full steps.
    bundle_transport : callable, optional
        ``bundle_transport(q, v, p)`` carries the components v of the fibre over q to the fibre over p. Default: they
        stay the same.
    linear_solver : optional
        Default ``DenseQR()``.
    retraction : str or callable, optional
        Default the manifold's.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.cost`` is half the squared norm of the section.

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, or arrays of the wrong shape.

    Notes
    -----
    Needs of M: a retraction, and coordinates of tangent vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, vectorbundle_newton
    >>> result = vectorbundle_newton(Sphere(2), lambda p: p[:2] - 0.5, np.array([0.0, 0.0, 1.0]))
    >>> result.converged, np.round(result.point**2, 12)
    (True, array([0.25, 0.25, 0.5 ]))
    """
    objective = least_squares_objective(
        section, jacobian=derivative, jacobian_type="coordinates", autodiff=autodiff
    )
    return run(
        vectorbundle_newton,
        M,
        objective,
        p0,
        lambda p: VectorBundleNewtonState(
            p,
            damping=damping,
            bundle_transport=bundle_transport,
            linear_solver=linear_solver,
            retraction=retraction,
        ),
        common,
    )
