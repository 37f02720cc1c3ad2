"""Which members of a batch a stopping criterion ends, and with which status.

The criteria of one run ask for numbers; here each of those that make sense for a batch asks for arrays ``(*batch,)``.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from ..core.status import Status
from .changes import StopWhenStepNormLess
from .combine import StopWhenAll, StopWhenAny
from .least_squares import StopWhenDecreaseUnresolvable, StopWhenRelativeOffsetLess, StopWhenResidualAtRounding
from .limits import StopAfter, StopAfterEvaluations, StopAfterIteration
from .values import StopWhenCostLess, StopWhenGradientNormLess


@singledispatch
def ended(rule: Any, state: Any) -> list[tuple[Any, Status]]:
    """Masks of the members for which the rule holds, with what that means.

    Raises
    ------
    ValueError
        For a rule that knows nothing of batches.
    """
    known = ", ".join(kind.__name__ for kind in ended.registry if kind is not object)
    raise ValueError(f"{rule!r} does not judge the members of a batch; those that do: {known}.")


@ended.register
def _(rule: StopWhenAny, state: Any) -> list[tuple[Any, Status]]:
    return [pair for part in rule.parts for pair in ended(part, state)]


@ended.register
def _(rule: StopWhenAll, state: Any) -> list[tuple[Any, Status]]:
    parts = [ended(part, state) for part in rule.parts]
    masks = [np.logical_or.reduce([mask for mask, _ in part]) for part in parts]
    meanings = [status for part in parts for _, status in part]
    status = next((status for status in meanings if status.converged), meanings[0])
    return [(np.logical_and.reduce(masks), status)]


def _all(state: Any, holds: bool) -> Any:
    return np.full(state.members.shape, holds)


@ended.register
def _(rule: StopAfterIteration, state: Any) -> list[tuple[Any, Status]]:
    return [(_all(state, state.iteration >= rule.n), rule.meaning)]


@ended.register
def _(rule: StopAfter, state: Any) -> list[tuple[Any, Status]]:
    return [(_all(state, state.elapsed >= rule.seconds), rule.meaning)]


@ended.register
def _(rule: StopAfterEvaluations, state: Any) -> list[tuple[Any, Status]]:
    counts = state.evaluations
    used = counts[rule.counter] if rule.counter else max(counts["cost"], counts["residual"])
    return [(_all(state, used >= rule.n), rule.meaning)]


@ended.register
def _(rule: StopWhenGradientNormLess, state: Any) -> list[tuple[Any, Status]]:
    e = state.evaluation
    if rule.norm is None and rule.outer_norm is None:
        size = e.gradient_norm
    elif rule.norm is np.inf and rule.outer_norm is None:
        size = np.abs(e.gradient).max(axis=tuple(range(len(state.members.shape), np.ndim(e.gradient))))
    else:
        raise ValueError(f"in a batch, the norm of {rule!r} must be None or np.inf.")
    return [(size < rule.tolerance, rule.meaning)]


@ended.register
def _(rule: StopWhenCostLess, state: Any) -> list[tuple[Any, Status]]:
    return [(state.evaluation.cost < rule.target, rule.meaning)]


@ended.register
def _(rule: StopWhenStepNormLess, state: Any) -> list[tuple[Any, Status]]:
    return [(state.step_norm < rule.tolerance, rule.meaning)]


@ended.register
def _(rule: StopWhenRelativeOffsetLess, state: Any) -> list[tuple[Any, Status]]:
    return [(state.relative_offset <= rule.tolerance, rule.meaning)]


@ended.register
def _(rule: StopWhenDecreaseUnresolvable, state: Any) -> list[tuple[Any, Status]]:
    level = np.maximum(rule.factor * state.eps, state.decrease_rounding)
    stuck = ~state.last_step_successful if state.iteration else _all(state, False)
    return [(stuck & (state.relative_offset**2 <= level), rule.meaning)]


@ended.register
def _(rule: StopWhenResidualAtRounding, state: Any) -> list[tuple[Any, Status]]:
    return [(state.residual_norm <= state.residual_rounding, rule.meaning)]
