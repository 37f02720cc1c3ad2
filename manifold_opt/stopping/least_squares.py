"""Scale-free convergence tests for least squares: none of them changes when residuals or variables change units.

References
----------
.. [1] D. M. Bates and D. G. Watts, A relative offset orthogonality convergence criterion for nonlinear least squares,
   Technometrics 23 (1981), 179-183.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .criterion import StoppingCriterion, check_tolerance


@dataclass(frozen=True, repr=False)
class StopWhenRelativeOffsetLess(StoppingCriterion):
    """Stop when the part of the residual that a small move could still remove is small: |P r| <= tol |r|.

    P projects on the range of the Jacobian; the ratio is the cosine between r and the tangent plane of the values of
    the model. At 1e-9 the parameters are known to about 1e-9 of their standard errors.

    Parameters
    ----------
    tolerance : float
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    set_by_tolerance: ClassVar[bool] = True
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        check_tolerance(self, "tolerance")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        if state.offset_exceeds(self.tolerance):
            return None
        offset = state.relative_offset
        if not offset <= self.tolerance:
            return None
        return f"The relative offset {offset:.2e} of the residual is at most {self.tolerance:g}."


@dataclass(frozen=True, repr=False)
class StopWhenDecreaseUnresolvable(StoppingCriterion):
    """Stop when the model promises less than the rounding of the cost, and the last step did not improve the gradient.

    Parameters
    ----------
    factor : float
        How many units in the last place of the cost count as rounding; more do where the residuals are small
        differences of large numbers, see ``state.decrease_rounding``.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    factor: float = 100.0

    def __post_init__(self) -> None:
        check_tolerance(self, "factor")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        if state.last_step_successful or not state.iteration:
            return None
        decrease = state.relative_offset**2
        if not decrease <= max(self.factor * state.eps, state.decrease_rounding):
            return None
        return (
            f"The best decrease of the cost that the model promises, {decrease:.1e} of it, is below its rounding, and "
            "the gradient does not decrease any more."
        )


@dataclass(frozen=True, repr=False)
class StopWhenResidualAtRounding(StoppingCriterion):
    """Stop when the residual is as small as the rounding of the point lets it be: |r| <= 4 eps |J| |p|.

    The residuals of a perfect fit end in noise of that size, where no other test can succeed. A residual below eps^2
    times the first one counts as zero too.
    """

    meaning: ClassVar[Status] = Status.CONVERGED

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        level, norm = state.residual_rounding, state.residual_norm
        if not norm <= level:
            return None
        return f"The norm {norm:.2e} of the residual is at its rounding level {level:.2e}: the fit is perfect."
