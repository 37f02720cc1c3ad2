"""The mean of the last directions, all transported to the current point."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import STEEPEST, BoundDirection, Direction, check_direction


@dataclass(frozen=True)
class AverageGradient(Direction):
    """Mean of the directions of the last iterations; before there are so many, of those there are.

    Parameters
    ----------
    n : int
        How many, at least 1.
    direction : Direction
        What is averaged; default minus the gradient.

    Raises
    ------
    ValueError
        When ``n`` is less than 1.
    """

    n: int = 10
    _: KW_ONLY
    direction: Direction = STEEPEST

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise ValueError(f"`n` must be a positive integer; got {self.n!r}.")
        check_direction(self.direction)

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; its memory are the last n directions."""
        return _BoundAverage(self, problem, state, previous)


class _BoundAverage(BoundDirection):
    __slots__ = ("inner", "past", "point")

    def __init__(self, rule: AverageGradient, problem: Any, state: Any, previous: Any) -> None:
        super().__init__(rule)
        self.inner = rule.direction.bind(problem, state, previous and previous.inner)
        self.past: list[Any] = previous.past if previous else []
        self.point = previous and previous.point

    def compute(self, problem: Any, state: Any) -> Any:
        p, n = state.evaluation.point, self.rule.n
        kept = [state.transport(self.point, X, p) for X in (self.past[1 - n :] if n > 1 else [])]
        self.past, self.point = [*kept, self.inner.compute(problem, state)], p
        return sum(self.past[1:], self.past[0]) * (1.0 / len(self.past))

    def restart(self) -> None:
        self.inner.restart()
        self.past = []
