"""Criteria of the solvers that work on models in a tangent space.

References
----------
.. [1] A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, SIAM 2000, section 7.5.
.. [2] N. Agarwal, N. Boumal, B. Bullins, C. Cartis, Adaptive regularization with cubics on manifolds, Mathematical
   Programming 188 (2021), 85-134.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .criterion import Bound, StoppingCriterion, check_number, check_tolerance


@dataclass(frozen=True, repr=False)
class StopWhenResidualIsReducedByFactorOrPower(StoppingCriterion):
    """Stop truncated conjugate gradients when |r| <= |r0| min(|r0|^power, factor), r the gradient of the model.

    Far from a solution the factor ends the iteration early, where more accuracy is wasted; near to one the power
    makes the outer method converge with order 1 + power.

    Parameters
    ----------
    factor : float
        kappa; default 0.1.
    power : float
        theta; default 1, quadratic convergence.
    least : float
        The power does not ask for a reduction by more than this. Default 0. Where the Hessian is singular at the
        solution, a power alone asks for what rounding does not allow: a MaxCut relaxation of 9500 dimensions took 14459
        products for its last digits, and 639 with 1e-3.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    factor: float = 0.1
    power: float = 1.0
    least: float = 0.0

    def __post_init__(self) -> None:
        check_tolerance(self, "factor")
        check_tolerance(self, "power")
        check_tolerance(self, "least")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        first, norm = state.first_residual_norm, state.residual_norm
        # the power only counts below 1, where it is computed in vain no more than once
        limit = self.factor if first >= 1.0 else min(max(first**self.power, self.least), self.factor)
        if norm <= first * limit:
            return f"The residual {norm:.3g} is at most {limit:.3g} times the first one, {first:.3g}."
        if norm <= state.residual_floor:
            return f"The residual {norm:.3g} of the random start is reduced to {state.residual_floor:.3g}."
        return None


@dataclass(frozen=True, repr=False)
class StopWhenTrustRegionIsExceeded(StoppingCriterion):
    """Stop truncated conjugate gradients at the boundary of the trust region: the answer of Steihaug's method."""

    meaning: ClassVar[Status] = Status.CONVERGED

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        if not state.boundary_reached or state.negative_curvature:
            return None
        return f"The step reaches the boundary of the trust region of radius {state.trust_region_radius:.3g}."


@dataclass(frozen=True, repr=False)
class StopWhenCurvatureIsNegative(StoppingCriterion):
    """Stop truncated conjugate gradients at a direction of curvature <= 0, followed to the boundary."""

    meaning: ClassVar[Status] = Status.CONVERGED

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        return "A direction of curvature that is not positive is followed to the boundary of the trust region." if (
            state.negative_curvature
        ) else None


@dataclass(frozen=True, repr=False)
class StopWhenModelIncreased(StoppingCriterion):
    """Stop truncated conjugate gradients when the model does not decrease any more: rounding has taken over."""

    meaning: ClassVar[Status] = Status.ROUND_OFF

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        return "The last step would increase the model: rounding errors have taken over." if (
            state.model_increased
        ) else None


class _DimensionBound(Bound):
    __slots__ = ("limit",)

    def __init__(self, rule: StopAfterDimension) -> None:
        super().__init__(rule)
        self.limit = 0

    def check(self, problem: Any, state: Any) -> bool:
        if state.iteration < self.limit:
            return False
        return self.fire(f"After {state.iteration} iterations, {self.rule.factor:g} times the dimension.")


@dataclass(frozen=True, repr=False)
class StopAfterDimension(StoppingCriterion):
    """Stop after as many iterations as the manifold has dimensions: in exact arithmetic a Krylov method is done then.

    Parameters
    ----------
    factor : float
        Multiple of the dimension. Default 1.
    """

    meaning: ClassVar[Status] = Status.ITERATION_LIMIT
    bound_type = _DimensionBound
    factor: float = 1.0

    def __post_init__(self) -> None:
        check_tolerance(self, "factor")

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`."""
        bound = _DimensionBound(self)
        bound.limit = max(1, int(self.factor * problem.manifold.dim))
        return bound


@dataclass(frozen=True, repr=False)
class StopWhenNoNegativeCurvature(StoppingCriterion):
    """Stop when the last search of `trust_regions` met no direction of negative curvature.

    Together with a small gradient it tells minimizers from saddle points: it never holds before the first step, and
    with ``randomize=True`` each search starts at random and so finds such a direction almost surely.
    """

    meaning: ClassVar[Status] = Status.CONVERGED

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        if state.negative_curvature is not False:
            return None
        return "The last search met no direction of negative curvature."


@dataclass(frozen=True, repr=False)
class StopWhenFirstOrderProgress(StoppingCriterion):
    """Stop the minimization of a model when its gradient is at most ``theta |X|^2`` and the model has decreased.

    Parameters
    ----------
    theta : float
        Default 0.5. With ``relative=True`` the bound is ``theta min(1, |X|) |g|`` instead, g the gradient at zero.
    relative : bool
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    theta: float = 0.5
    relative: bool = False

    def __post_init__(self) -> None:
        check_number(self, "theta")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        e = state.evaluation
        length = getattr(state, "model_norm", None)  # known without the vector to Krylov methods
        if length is None:
            length = problem.manifold.norm(e.point, e.point)
        if self.relative:
            limit = self.theta * min(1.0, length) * problem.manifold.norm(e.point, e.functions.slope)
        else:
            limit = self.theta * length * length
        norm = e.gradient_norm
        if not (norm <= limit and e.cost < 0.0):
            return None
        return f"The gradient {norm:.3g} of the model is at most {limit:.3g}."


@dataclass(frozen=True, repr=False)
class StopWhenRelativeResidualLess(StoppingCriterion):
    """Stop a linear solver when |A X + b| is less than a fraction of |b|.

    Parameters
    ----------
    tolerance : float
        Default 1e-8.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    set_by_tolerance: ClassVar[bool] = True
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check_tolerance(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        norm, b = state.residual_norm, state.right_hand_side_norm
        if not (norm <= self.tolerance * b and self.tolerance > 0.0) and norm != 0.0:
            return None
        return f"The residual {norm:.3g} is at most {self.tolerance!r} times the norm {b:.3g} of the right-hand side."
