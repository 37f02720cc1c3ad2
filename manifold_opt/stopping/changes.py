"""Criteria that compare an accepted step with the one before: they rest while steps are rejected, and at k = 0."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..objectives.evaluation import watched
from .criterion import Bound, StoppingCriterion, check_tolerance, shown
from .norms import check_norm, distance_size, vector_size


class AcceptedStepBound(Bound):
    """Asks ``rule.compare`` once for every accepted step.

    An evaluation owns its point and every accepted trial brings a fresh one, so another point array means an
    accepted step; keeping the array alone keeps no residuals or Jacobian alive.

    Attributes
    ----------
    point : array or None
        The point seen last.
    value : object
        What ``rule.keep`` kept there.
    """

    __slots__ = ("fired", "iteration", "point", "skipped", "value")
    memory = __slots__

    def __init__(self, rule: Any) -> None:
        super().__init__(rule)
        self.point: Any = None
        self.value: Any = None
        self.iteration = -1
        self.fired = False
        self.skipped = True

    def check(self, problem: Any, state: Any) -> bool:
        """See `Bound.check`."""
        if state.iteration != self.iteration:
            self.iteration = state.iteration
            self.fired = self._compare(problem, state)
        return self.fired

    def _compare(self, problem: Any, state: Any) -> bool:
        before, old, point = self.point, self.value, state.evaluation.point
        self.skipped = before is None or point is before
        if point is not before:
            self.point, self.value = point, self.rule.keep(problem, state)
        if self.skipped:
            return False
        reason = self.rule.compare(problem, state, before, old, self.value)
        return False if reason is None else self.fire(reason)


@dataclass(frozen=True, repr=False)
class AcceptedStepCriterion(StoppingCriterion):
    """Base of the criteria that judge accepted steps only."""

    bound_type = AcceptedStepBound

    def keep(self, problem: Any, state: Any) -> Any:
        """What to remember of the current point for the next comparison."""
        return None

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """Sentence if the run should stop, from the point before, what was kept there, and what is kept here."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class StopWhenChangeLess(AcceptedStepCriterion):
    """Stop when an accepted step moved the point by less than a tolerance.

    Parameters
    ----------
    tolerance : float
        At least 0. Default 1e-8.
    inverse_retraction : str or callable, optional
        Measure the change by the norm of this inverse retraction. Default: by ``M.distance`` where the manifold has
        it, else by its default inverse retraction.
    outer_norm : float, optional
        On a product or power manifold, the order of the norm over the changes of the components. Default 2.

    Notes
    -----
    Needs `distance`, or `inverse_retract` and `norm`.
    """

    tolerance: float = 1e-8
    inverse_retraction: Any = None
    outer_norm: float | None = None

    def __post_init__(self) -> None:
        check_tolerance(self)
        check_norm(self)

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        change = distance_size(self, problem.manifold, before, state.evaluation.point)
        if not change < self.tolerance:
            return None
        return _changed("The point", change, self.tolerance, state)


@dataclass(frozen=True, repr=False)
class StopWhenCostChangeLess(AcceptedStepCriterion):
    """Stop when an accepted step changed the cost by less than a tolerance, in absolute value.

    Parameters
    ----------
    tolerance : float
        At least 0, in units of the cost.
    """

    tolerance: float

    def __post_init__(self) -> None:
        check_tolerance(self)

    def keep(self, problem: Any, state: Any) -> Any:
        """The cost."""
        return watched(state.evaluation, "cost")

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        change = abs(new - old)
        if not change < self.tolerance:
            return None
        return _changed("The cost", change, self.tolerance, state)


@dataclass(frozen=True, repr=False)
class StopWhenRelativeCostChangeLess(AcceptedStepCriterion):
    """Stop when an accepted step changed the cost by less than a fraction of the larger of the two costs.

    No change at all counts as less than any fraction.

    Parameters
    ----------
    tolerance : float
        The fraction, at least 0.
    """

    tolerance: float

    def __post_init__(self) -> None:
        check_tolerance(self)

    def keep(self, problem: Any, state: Any) -> Any:
        """The cost."""
        return watched(state.evaluation, "cost")

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        change = abs(new - old)
        if change == 0.0 < self.tolerance:
            return f"The cost did not change in iteration {state.iteration}."
        limit = self.tolerance * max(abs(old), abs(new))
        return _changed("The cost", change, limit, state) if change < limit else None


@dataclass(frozen=True, repr=False)
class StopWhenGradientChangeLess(AcceptedStepCriterion):
    """Stop when an accepted step changed the gradient by less than a tolerance.

    The gradient of the point before is transported to the current point and compared there.

    Parameters
    ----------
    tolerance : float
        At least 0.
    transport : str or callable, optional
        Default: the manifold's.
    norm, outer_norm
        As in `StopWhenGradientNormLess`.

    Notes
    -----
    Needs `vector_transport_to` and `norm`.
    """

    tolerance: float
    transport: Any = None
    norm: Any = None
    outer_norm: float | None = None

    def __post_init__(self) -> None:
        check_tolerance(self)
        check_norm(self)

    def keep(self, problem: Any, state: Any) -> Any:
        """The gradient."""
        return watched(state.evaluation, "gradient")

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        M, point = problem.manifold, state.evaluation.point
        X = new - M.vector_transport_to(before, old, point, method=self.transport)
        change = vector_size(self, M, point, X)
        if not change < self.tolerance:
            return None
        return _changed("The gradient", change, self.tolerance, state)


@dataclass(frozen=True, repr=False)
class StopWhenEntryChangeLess(AcceptedStepCriterion):
    """Stop when an accepted step changed a quantity of the run by less than a threshold.

    Parameters
    ----------
    field : str
        Name of a quantity as in ``debug=`` and ``record=``, or of a field of the solver's state.
    distance : callable
        ``distance(problem, state, old, new) -> float``.
    threshold : float
        At least 0.
    """

    field: str
    distance: Callable[[Any, Any, Any, Any], float]
    threshold: float

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise TypeError(f"`field` of StopWhenEntryChangeLess must be a name; got {self.field!r}.")
        if not callable(self.distance):
            raise TypeError(
                "`distance` of StopWhenEntryChangeLess must be a function (problem, state, old, new) -> float; "
                f"got {self.distance!r}."
            )
        check_tolerance(self, "threshold")

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`; an unknown field is an error here, before the first iteration."""
        self.keep(problem, state)
        return super().bind(problem, state, previous)

    def keep(self, problem: Any, state: Any) -> Any:
        """A copy of the quantity."""
        from ..decorators.quantities import read

        return copy.deepcopy(read(self.field, problem, state))

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        change = self.distance(problem, state, old, new)
        if not change < self.threshold:
            return None
        return _changed(f"The quantity `{self.field}`", change, self.threshold, state)


@dataclass(frozen=True, repr=False)
class StopWhenStepsizeLess(AcceptedStepCriterion):
    """Stop when the step size t of an accepted step is less than a tolerance.

    Parameters
    ----------
    tolerance : float
        At least 0.
    """

    tolerance: float

    def __post_init__(self) -> None:
        check_tolerance(self)

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        return _small_step("step size", state.stepsize, self.tolerance, state)


@dataclass(frozen=True, repr=False)
class StopWhenStepNormLess(AcceptedStepCriterion):
    """Stop when the length |t X| of an accepted step is less than a tolerance.

    Parameters
    ----------
    tolerance : float
        At least 0.
    """

    tolerance: float

    def __post_init__(self) -> None:
        check_tolerance(self)

    def compare(self, problem: Any, state: Any, before: Any, old: Any, new: Any) -> str | None:
        """See `AcceptedStepCriterion.compare`."""
        return _small_step("length of the step", state.step_norm, self.tolerance, state)


def _changed(what: str, change: float, limit: float, state: Any) -> str:
    return f"{what} changed by {shown(change, limit)} in iteration {state.iteration}, less than {limit!r}."


def _small_step(what: str, value: float, tolerance: float, state: Any) -> str | None:
    if math.isnan(value) or not value < tolerance:
        return None
    return f"The {what} is {shown(value, tolerance)} in iteration {state.iteration}, less than {tolerance!r}."
