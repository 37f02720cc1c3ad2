"""Step sizes for noisy gradients."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import BoundStepSize, StepSize, check_positive


@dataclass(frozen=True)
class DecayingLength(StepSize):
    """Step sizes length / (1 + length decay k) in iteration k = 0, 1, ..., the same from iteration ``until`` on.

    For a cost whose Hessian is at least ``decay`` the distance from the minimizer falls as 1/k.

    Parameters
    ----------
    length : float
        t of iteration 0. Default 0.1.
    decay : float
        Zero keeps the length. Default 0.1, as in MATLAB Manopt's stochasticgradient.
    until : int, optional
        First iteration of the last step size. Default: none.

    Raises
    ------
    ValueError
        When a number is negative or the length zero.
    """

    length: float = 0.1
    _: KW_ONLY
    decay: float = 0.1
    until: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("length", self.length)
        if not self.decay >= 0.0:
            raise ValueError(f"`decay` must not be negative; got {self.decay!r}.")
        if self.until is not None and self.until < 0:
            raise ValueError(f"`until` must be the number of an iteration; got {self.until!r}.")

    def at(self, k: int) -> float:
        """Step size of iteration k."""
        k = k if self.until is None else min(k, self.until)
        return self.length / (1.0 + self.length * self.decay * k)

    @property
    def first(self) -> float:
        """The step size of iteration 0."""
        return self.length

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; it has no memory."""
        return _BoundDecaying(self)


class _BoundDecaying(BoundStepSize):
    __slots__ = ()

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        self.stepsize = t = self.rule.at(state.iteration)
        return problem.evaluate(state.retract(state.evaluation.point, X, t), state.evaluations)
