"""A direction through a preconditioner, an approximation of the inverse Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import STEEPEST, BoundDirection, Direction, check_direction


@dataclass(frozen=True)
class PreconditionedDirection(Direction):
    """The preconditioner applied to a direction.

    Parameters
    ----------
    preconditioner : callable, optional
        ``preconditioner(p, X)``, self-adjoint and positive definite on every tangent space. Default that of the
        objective.
    direction : Direction
        What it is applied to; default minus the gradient.

    Raises
    ------
    ValueError
        In the first iteration, when there is no preconditioner.
    """

    preconditioner: Callable[[Any, Any], Any] | None = None
    _: KW_ONLY
    direction: Direction = STEEPEST

    def __post_init__(self) -> None:
        if self.preconditioner is not None and not callable(self.preconditioner):
            raise TypeError(f"`preconditioner` must be a function of (p, X); got {self.preconditioner!r}.")
        check_direction(self.direction)

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; it has the memory of the inner rule alone."""
        return _BoundPreconditioned(self, problem, state, previous)


class _BoundPreconditioned(BoundDirection):
    __slots__ = ("inner",)

    def __init__(self, rule: PreconditionedDirection, problem: Any, state: Any, previous: Any) -> None:
        super().__init__(rule)
        if preconditioner_of(rule.preconditioner, state.evaluation) is None:
            raise ValueError(
                "PreconditionedDirection() needs a preconditioner: give it one, PreconditionedDirection(P) with "
                "P(p, X), or give one to the objective, CostObjective(f, ..., preconditioner=P)."
            )
        self.inner = rule.direction.bind(problem, state, previous and previous.inner)

    def compute(self, problem: Any, state: Any) -> Any:
        e = state.evaluation
        apply: Any = preconditioner_of(self.rule.preconditioner, e)
        state.evaluations["preconditioner"] += 1
        return apply(e.point, self.inner.compute(problem, state))

    def restart(self) -> None:
        self.inner.restart()


def preconditioner_of(given: Callable[[Any, Any], Any] | None, e: Any) -> Callable[[Any, Any], Any] | None:
    """Preconditioner given to a rule or solver, else that of the objective, else None."""
    return given if given is not None else getattr(e.functions, "preconditioner", None)
