"""Step sizes that are known beforehand."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import BoundStepSize, StepSize, check_positive


def _check_type(value: str) -> None:
    if value not in ("relative", "absolute"):
        raise ValueError(f"`type` must be 'relative' (t X) or 'absolute' (t X / |X|); got {value!r}.")


@dataclass(frozen=True)
class ConstantLength(StepSize):
    """The same step size in every iteration.

    Parameters
    ----------
    length : float
        t.
    type : {"relative", "absolute"}
        Whether the step is t X, or t X / |X|.
    """

    length: float = 1.0
    _: KW_ONLY
    type: str = "relative"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("length", self.length)
        _check_type(self.type)

    @property
    def first(self) -> float:
        """The length."""
        return self.length

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; it has no memory."""
        return _BoundConstant(self)


@dataclass(frozen=True)
class DecreasingLength(StepSize):
    """Step sizes (length - k subtrahend) factor^k / (k + shift)^exponent in iteration k = 0, 1, ...

    Parameters
    ----------
    length : float
    factor : float
    subtrahend : float
    exponent : float
    shift : float
        Positive when there is an exponent, since k starts at 0.
    type : {"relative", "absolute"}
        Whether the step is t X, or t X / |X|.
    """

    length: float = 1.0
    _: KW_ONLY
    factor: float = 1.0
    subtrahend: float = 0.0
    exponent: float = 0.0
    shift: float = 1.0
    type: str = "relative"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("length", self.length)
        check_positive("factor", self.factor)
        check_positive("shift", self.shift)
        if self.subtrahend < 0.0 or self.exponent < 0.0:
            raise ValueError(
                f"`subtrahend` and `exponent` must not be negative; got {self.subtrahend!r} and {self.exponent!r}."
            )
        _check_type(self.type)

    def at(self, k: int) -> float:
        """Step size of iteration k."""
        return (self.length - k * self.subtrahend) * self.factor**k / (k + self.shift) ** self.exponent

    @property
    def first(self) -> float:
        """The step size of iteration 0."""
        return self.at(0)

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; it has no memory."""
        return _BoundDecreasing(self)


class _BoundConstant(BoundStepSize):
    __slots__ = ()

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        t = self.rule.length
        if self.rule.type == "absolute":
            t = t / length if length else 0.0
        self.stepsize = t
        return problem.evaluate(state.retract(state.evaluation.point, X, t), state.evaluations)


class _BoundDecreasing(BoundStepSize):
    __slots__ = ()

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        t = self.rule.at(state.iteration)
        if t <= 0.0:
            self._fail(self.status, f"the decreasing step size is used up in iteration {state.iteration}.")
            return None
        if self.rule.type == "absolute":
            t = t / length if length else 0.0
        self.stepsize = t
        return problem.evaluate(state.retract(state.evaluation.point, X, t), state.evaluations)
