"""Changing the numbers of a default criterion: what the keywords of the front functions do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .combine import StopWhenAny, _Combined, _Wrapping
from .criterion import StoppingCriterion
from .limits import StopAfter, StopAfterEvaluations, StopAfterIteration


def edit(
    criterion: StoppingCriterion,
    *,
    max_iterations: int | None = None,
    max_evaluations: int | None = None,
    max_time: Any = None,
    tolerance: float | None = None,
) -> StoppingCriterion:
    """Criterion with some of its numbers replaced.

    Parameters
    ----------
    criterion : StoppingCriterion
    max_iterations : int, optional
        Number of every `StopAfterIteration` in it; without one, ``| StopAfterIteration(...)`` is added.
    max_evaluations : int, optional
        The same for a `StopAfterEvaluations` of the cost or residual.
    max_time : float or datetime.timedelta, optional
        The same for `StopAfter`, in seconds.
    tolerance : float, optional
        Tolerance of every `StopWhenGradientNormLess` in it, and of what says ``set_by_tolerance`` of itself.

    Returns
    -------
    StoppingCriterion

    Raises
    ------
    ValueError
        On a ``tolerance`` where the criterion does not test the gradient norm.

    Examples
    --------
    >>> from manifold_opt import StopAfterIteration, StopWhenGradientNormLess
    >>> edit(StopAfterIteration(500) | StopWhenGradientNormLess(1e-8), max_iterations=50, tolerance=1e-6)
    StopAfterIteration(50) | StopWhenGradientNormLess(1e-06)
    """
    if max_iterations is not None:
        criterion = _set_or_add(criterion, StopAfterIteration(max_iterations))
    if max_evaluations is not None:
        criterion = _set_or_add(criterion, StopAfterEvaluations(max_evaluations))
    if max_time is not None:
        criterion = _set_or_add(criterion, StopAfter(max_time))
    if tolerance is not None:
        criterion = _set_tolerance(criterion, tolerance)
    return criterion


def _set_or_add(criterion: StoppingCriterion, limit: StoppingCriterion) -> StoppingCriterion:
    def same_kind(part: StoppingCriterion) -> bool:
        return type(part) is type(limit) and getattr(part, "counter", None) is None

    if any(map(same_kind, leaves(criterion))):
        return _mapped(criterion, lambda part: limit if same_kind(part) else part)
    return StopWhenAny(limit, criterion)


def _set_tolerance(criterion: StoppingCriterion, tolerance: float) -> StoppingCriterion:
    def changed(part: StoppingCriterion) -> StoppingCriterion:
        return replace(part, tolerance=tolerance) if part.set_by_tolerance else part  # type: ignore[call-arg]  # has one

    if not any(part.set_by_tolerance for part in leaves(criterion)):
        names = ", ".join(dict.fromkeys(type(part).__name__ for part in leaves(criterion)))
        raise ValueError(
            f"`tolerance` is that of the gradient norm or its like, which {criterion!r} does not test (its parts: "
            f"{names}): give the whole criterion by `stopping=`."
        )
    return _mapped(criterion, changed)


def leaves(criterion: StoppingCriterion) -> list[StoppingCriterion]:
    """The criteria that a compound one is made of, from left to right."""
    if isinstance(criterion, _Combined):
        return [leaf for part in criterion.parts for leaf in leaves(part)]
    return leaves(criterion.criterion) if isinstance(criterion, _Wrapping) else [criterion]


def _mapped(
    criterion: StoppingCriterion, change: Callable[[StoppingCriterion], StoppingCriterion]
) -> StoppingCriterion:
    if isinstance(criterion, _Combined):
        return type(criterion)(*(_mapped(part, change) for part in criterion.parts))
    if isinstance(criterion, _Wrapping):
        return replace(criterion, criterion=_mapped(criterion.criterion, change))
    return change(criterion)
