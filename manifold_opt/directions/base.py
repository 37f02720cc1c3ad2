"""Which way to go: what every direction rule is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Direction:
    """Base of all direction rules: frozen values, bound at run time.

    A bound rule turns what is known at the current point into a tangent vector to go along, by default minus the
    gradient. Rules nest: one that takes ``direction=`` changes what that rule gives.
    """

    __slots__ = ()

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object with the rule's memory; ``previous`` is that of an equal rule, to be continued."""
        raise NotImplementedError


class BoundDirection:
    """Run-time side of a direction rule.

    Attributes
    ----------
    rule : Direction
    """

    __slots__ = ("rule",)

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def compute(self, problem: Any, state: Any) -> Any:
        """Tangent vector at the current point to go along. Called once per iteration.

        Parameters
        ----------
        problem : Problem
        state : SolverState
            Offers ``evaluation``, ``stepsize`` and the resolved ``retract`` and ``transport``.
        """
        raise NotImplementedError

    def restart(self) -> None:
        """Forget earlier iterations, because the last direction was not one of descent."""


@dataclass(frozen=True)
class Gradient(Direction):
    """Minus the gradient, the direction of steepest descent."""

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; it has no memory."""
        return _BoundGradient(self)


class _BoundGradient(BoundDirection):
    __slots__ = ()

    def compute(self, problem: Any, state: Any) -> Any:
        return -state.evaluation.gradient


STEEPEST = Gradient()


def check_direction(value: Any) -> None:
    """Raise TypeError unless ``value`` is a direction rule."""
    if not isinstance(value, Direction):
        raise TypeError(f"`direction` must be a direction rule such as MomentumGradient(0.9); got {value!r}.")
