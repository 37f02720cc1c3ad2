r"""Momentum (Polyak 1964): X_k = -g_k + m T X_{k-1}, the last direction transported and added.

References
----------
.. [1] B. Polyak, Some methods of speeding up the convergence of iteration methods, USSR Comput. Math. 4 (1964), 1-17.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import STEEPEST, BoundDirection, Direction, check_direction


@dataclass(frozen=True)
class MomentumGradient(Direction):
    """A direction plus a fraction of the one before, transported to the current point.

    Parameters
    ----------
    momentum : float
        The fraction, in [0, 1).
    direction : Direction
        What is added to it; default minus the gradient.

    Raises
    ------
    ValueError
        When ``momentum`` is outside its interval.
    """

    momentum: float = 0.2
    _: KW_ONLY
    direction: Direction = STEEPEST

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(f"`momentum` must be at least 0 and less than 1; got {self.momentum!r}.")
        check_direction(self.direction)

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; its memory is the last direction."""
        return _BoundMomentum(self, problem, state, previous)


class _BoundMomentum(BoundDirection):
    __slots__ = ("inner", "last")

    def __init__(self, rule: MomentumGradient, problem: Any, state: Any, previous: Any) -> None:
        super().__init__(rule)
        self.inner = rule.direction.bind(problem, state, previous and previous.inner)
        self.last = previous and previous.last

    def compute(self, problem: Any, state: Any) -> Any:
        p = state.evaluation.point
        X = self.inner.compute(problem, state)
        if self.last is not None:
            q, Y = self.last
            X = X + self.rule.momentum * state.transport(q, Y, p)
        self.last = (p, X)
        return X

    def restart(self) -> None:
        self.inner.restart()
        self.last = None
