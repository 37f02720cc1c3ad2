"""Tests of convergence by absolute and relative changes: SciPy's three tolerances, and those of Numerics.NET.

They depend on units more than the scale-free tests of `manifold_opt.stopping.least_squares` do, and are here for those
who know which change they care for.

References
----------
.. [1] ``scipy.optimize.least_squares``, parameters ``ftol``, ``xtol`` and ``gtol``.
.. [2] Numerics.NET (formerly Extreme Optimization), ``LeastSquaresOptimizer``: ``ValueTest``, ``SolutionTest`` and
   ``GradientTest``.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from ..core.status import Status
from .criterion import Bound, StoppingCriterion, check_tolerance


@dataclass(frozen=True, repr=False)
class StopWhenDecreaseLess(StoppingCriterion):
    """Stop when the cost decreased by less than ``tolerance`` of it, in a step that kept its promise: SciPy's ``ftol``.

    Parameters
    ----------
    tolerance : float
        Relative; 0 switches the test off.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check_tolerance(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        actual, predicted = state.actual_decrease, state.predicted_decrease
        if not (state.last_step_successful and actual < self.tolerance * state.evaluation.cost):
            return None
        if not actual > 0.25 * predicted:
            return None
        return f"The last decrease {actual:.2e} of the cost is less than {self.tolerance:g} of it (ftol)."


@dataclass(frozen=True, repr=False)
class StopWhenTrialStepLess(StoppingCriterion):
    """Stop when a step, taken or not, is short relative to the point: SciPy's ``xtol``.

    Parameters
    ----------
    tolerance : float
        |s| < tol (tol + |p|), |p| the norm of the stored point; 0 switches the test off.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check_tolerance(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        size = float(np.linalg.norm(state.point.reshape(-1)))
        if not state.trial_length < self.tolerance * (self.tolerance + size):
            return None
        return f"The last step of length {state.trial_length:.2e} is below {self.tolerance:g} of the point (xtol)."


@dataclass(frozen=True, repr=False)
class StopWhenOptimalityLess(StoppingCriterion):
    """Stop when no coordinate of the gradient is large: SciPy's ``gtol``.

    Parameters
    ----------
    tolerance : float
        Of ``state.optimality``, the largest coordinate of the gradient, each times the distance to the bound that it
        points away from where there is one; 0 switches the test off.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        check_tolerance(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        optimality = state.optimality
        if not optimality < self.tolerance:
            return None
        return f"The largest coordinate {optimality:.2e} of the gradient is below {self.tolerance:g} (gtol)."


CRITERIA = ("absolute", "relative", "any")


class _TestBound(Bound):
    """A test at work.

    Attributes
    ----------
    error : float
        What was last compared with the tolerance; NaN before that.
    """

    __slots__ = ("before", "error", "found", "seen")
    memory: ClassVar[tuple[str, ...]] = ("before", "error", "seen")

    def __init__(self, rule: Any) -> None:
        super().__init__(rule)
        self.error = math.nan
        self.seen: Any = None
        self.before: Any = None
        self.found = Status.CONVERGED

    @property
    def status(self) -> Status:
        """Converged, or what an error that is not finite means."""
        return self.found

    def check(self, problem: Any, state: Any) -> bool:
        """Measure at a new point only, and where there are two to compare."""
        rule, e = self.rule, state.evaluation
        if not rule.enabled or e is self.seen:
            return False
        self.seen = e
        now, before = rule.observed(e), self.before
        self.before = now
        if before is None and rule.compares:
            return False
        absolute, relative = rule.errors(e, now, before)
        self.error = {"absolute": absolute, "relative": relative, "any": min(absolute, relative)}[rule.criterion]
        name = type(rule).__name__
        if not math.isfinite(self.error):
            self.found = Status.BAD_FUNCTION if math.isnan(self.error) else Status.DIVERGED
            return self.fire(f"{name}: the error is {self.error}.")
        self.found = Status.CONVERGED
        if not self.error <= rule.tolerance:
            return False
        return self.fire(f"{name}: the error {self.error:.2e} is at most {rule.tolerance:g}.")


@dataclass(frozen=True, repr=False)
class ConvergenceTest(StoppingCriterion):
    """Base of the three tests.

    Parameters
    ----------
    tolerance : float
        Of the error; at least 0.
    enabled : bool
        A test that is not is never asked.
    criterion : {"relative", "absolute", "any"}
        Which error counts; for ``"any"``, the smaller of both.
    """

    bound_type = _TestBound
    meaning: ClassVar[Status] = Status.CONVERGED
    compares: ClassVar[bool] = True
    """Whether the error is a change, so that two points are needed."""
    tolerance: float = 1e-8
    _: KW_ONLY
    enabled: bool = True
    criterion: str = "relative"

    def __post_init__(self) -> None:
        check_tolerance(self)
        if self.criterion not in CRITERIA:
            raise ValueError(f"`criterion` must be one of {', '.join(map(repr, CRITERIA))}; got {self.criterion!r}.")

    def observed(self, e: Any) -> Any:
        """What the test looks at."""
        raise NotImplementedError

    def errors(self, e: Any, now: Any, before: Any) -> tuple[float, float]:
        """Absolute and relative error."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class ValueTest(ConvergenceTest):
    """Stop when the cost changes little from one accepted point to the next; off unless ``enabled=True``.

    It is off because one step without much decrease does not mean that none will follow.

    Parameters
    ----------
    tolerance, enabled, criterion
        See `ConvergenceTest`; the change is relative to the cost.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    enabled: bool = False

    def observed(self, e: Any) -> float:
        """The cost."""
        return float(e.cost)

    def errors(self, e: Any, now: Any, before: Any) -> tuple[float, float]:
        """|f - f_before|, and the same over |f|."""
        change = abs(now - before)
        return change, change / abs(now) if now != 0.0 else (0.0 if change == 0.0 else 1.0)


@dataclass(frozen=True, repr=False)
class SolutionTest(ConvergenceTest):
    """Stop when the point changes little from one accepted step to the next.

    Parameters
    ----------
    tolerance, enabled, criterion
        See `ConvergenceTest`; changes are relative entry by entry of the stored point.
    norm : float
        Order of the norm that makes one number of the entries' errors; default the largest entry.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    norm: float = math.inf

    def observed(self, e: Any) -> Any:
        """The point."""
        return e.point

    def errors(self, e: Any, now: Any, before: Any) -> tuple[float, float]:
        """Norms of p - p_before, and of that divided by |p|, entry by entry."""
        change = np.abs(now - before).reshape(-1)
        size = np.maximum(np.abs(now), np.abs(before)).reshape(-1)
        with np.errstate(invalid="ignore"):  # a point at infinity
            relative = np.divide(change, size, where=change > 0.0, out=np.zeros(change.shape))
        return float(np.linalg.norm(change, self.norm)), float(np.linalg.norm(relative, self.norm))


@dataclass(frozen=True, repr=False)
class GradientTest(ConvergenceTest):
    """Stop when the gradient is small.

    Parameters
    ----------
    tolerance, enabled, criterion
        See `ConvergenceTest`; the relative error is the absolute one over the cost, where that exceeds 1.
    norm : float
        Order of the norm of the gradient's coordinates; default the largest one.
    """

    meaning: ClassVar[Status] = Status.CONVERGED
    compares: ClassVar[bool] = False
    norm: float = math.inf

    def observed(self, e: Any) -> Any:
        """Coordinates of the gradient; its entries, where the objective knows no coordinates."""
        return e.gradient_coordinates if hasattr(e, "gradient_coordinates") else np.reshape(e.gradient, -1)

    def errors(self, e: Any, now: Any, before: Any) -> tuple[float, float]:
        """Norm of the gradient, and that over max(1, |f|)."""
        size = float(np.linalg.norm(now, self.norm))
        return size, size / max(1.0, abs(e.cost))
