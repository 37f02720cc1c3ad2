"""Criteria that judge the current point: its cost, its gradient, any number of the state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..objectives.evaluation import watched
from .criterion import Bound, StoppingCriterion, check_number, check_tolerance, shown
from .norms import check_norm, vector_size


@dataclass(frozen=True, repr=False)
class StopWhenCostLess(StoppingCriterion):
    """Stop when the cost is less than a target.

    Parameters
    ----------
    target : float
    """

    target: float

    def __post_init__(self) -> None:
        check_number(self, "target")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        cost = watched(state.evaluation, "cost")
        return f"The cost is {shown(cost, self.target)}, less than {self.target!r}." if cost < self.target else None


@dataclass(frozen=True, repr=False)
class StopWhenCostNaN(StoppingCriterion):
    """Stop when the cost is NaN."""

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        cost = watched(state.evaluation, "cost")
        return f"The cost is NaN at iteration {state.iteration}." if math.isnan(cost) else None


@dataclass(frozen=True, repr=False)
class StopWhenIterateNaN(StoppingCriterion):
    """Stop when an entry of the point is NaN."""

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        bad = int(np.count_nonzero(np.isnan(state.evaluation.point)))
        entries = "entry" if bad == 1 else "entries"
        return f"The point has {bad} NaN {entries} at iteration {state.iteration}." if bad else None


class _GradientNormBound(Bound):
    """The Riemannian norm, which the evaluation holds: the rule of nearly every run, so without a detour."""

    __slots__ = ("tolerance",)

    def __init__(self, rule: StopWhenGradientNormLess) -> None:
        self.rule, self.reason, self.tolerance = rule, "", rule.tolerance

    def check(self, problem: Any, state: Any) -> bool:
        norm = state.evaluation.gradient_norm
        return self.fire(self.rule.sentence(norm)) if norm < self.tolerance else False


@dataclass(frozen=True, repr=False)
class StopWhenGradientNormLess(StoppingCriterion):
    """Stop when the norm of the gradient at the current point is less than a tolerance.

    Parameters
    ----------
    tolerance : float
        At least 0; 0 is never undercut. Default 1e-8.
    norm : None, np.inf or callable
        None: the Riemannian norm. ``np.inf``: the largest absolute entry of the gradient as it is stored (scipy's
        ``gtol``). A function ``norm(M, p, X) -> float``.
    outer_norm : float, optional
        On a product or power manifold, the order of the norm over the Riemannian norms of the components; with
        ``np.inf`` every component must be small. Default 2, which is the Riemannian norm of the whole.
    """

    set_by_tolerance = True
    tolerance: float = 1e-8
    norm: Any = None
    outer_norm: float | None = None

    def __post_init__(self) -> None:
        check_tolerance(self)
        check_norm(self)

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`."""
        plain = self.norm is None and self.outer_norm is None
        return _GradientNormBound(self) if plain else Bound(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        norm = _gradient_size(self, problem, state)
        return self.sentence(norm) if norm < self.tolerance else None

    def sentence(self, norm: float) -> str:
        """Say that ``norm`` is small enough."""
        return f"The gradient norm is {shown(norm, self.tolerance)}, less than {self.tolerance!r}."


class _RelativeGradientNormBound(Bound):
    __slots__ = ("first",)
    memory = ("first",)

    def __init__(self, rule: StopWhenRelativeGradientNormLess) -> None:
        super().__init__(rule)
        self.first: float | None = None

    def check(self, problem: Any, state: Any) -> bool:
        norm = _gradient_size(self.rule, problem, state)
        if self.first is None:
            self.first = norm
        limit = self.rule.tolerance * self.first
        if norm < limit:
            fraction = f"{self.rule.tolerance!r} times its first value {self.first:.4g}"
            return self.fire(f"The gradient norm is {shown(norm, limit)}, less than {fraction}.")
        # A gradient of exactly zero is small relative to anything, to a first one of zero too.
        return self.fire("The gradient norm is exactly 0.") if norm == 0.0 < self.rule.tolerance else False


@dataclass(frozen=True, repr=False)
class StopWhenRelativeGradientNormLess(StoppingCriterion):
    """Stop when the gradient norm is less than a fraction of its value at the first point of the run.

    Parameters
    ----------
    tolerance : float
        The fraction, at least 0. Default 1e-8.
    norm, outer_norm
        As in `StopWhenGradientNormLess`.
    """

    bound_type = _RelativeGradientNormBound
    tolerance: float = 1e-8
    norm: Any = None
    outer_norm: float | None = None

    def __post_init__(self) -> None:
        check_tolerance(self)
        check_norm(self)


def _gradient_size(rule: Any, problem: Any, state: Any) -> float:
    e = state.evaluation
    if rule.norm is None and rule.outer_norm is None:
        return watched(e, "gradient_norm")
    return vector_size(rule, problem.manifold, e.point, watched(e, "gradient"))


@dataclass(frozen=True, repr=False)
class StopWhenSmallerOrEqual(StoppingCriterion):
    """Stop when a quantity of the run is at most a value; an array must be so in all its entries.

    Parameters
    ----------
    field : str
        Name of a quantity as in ``debug=`` and ``record=``, or of a field of the solver's state.
    value : float
    """

    field: str
    value: float

    def __post_init__(self) -> None:
        if not isinstance(self.field, str):
            raise TypeError(f"`field` of StopWhenSmallerOrEqual must be a name; got {self.field!r}.")
        check_number(self, "value")

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`; an unknown field is an error here, before the first iteration."""
        from ..decorators.quantities import read

        read(self.field, problem, state)
        return Bound(self)

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        from ..decorators.quantities import read

        now = read(self.field, problem, state)
        if now is None or not np.all(np.less_equal(now, self.value)):
            return None
        return f"The quantity `{self.field}` is {now}, at most {self.value!r}."
