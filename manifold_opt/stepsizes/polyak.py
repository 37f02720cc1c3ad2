"""Polyak's step size, for costs whose minimum is known or estimated.

References
----------
.. [1] B. Polyak, Introduction to Optimization, Optimization Software 1987, section 5.3.
.. [2] A. Nedic and D. Bertsekas, SIAM J. Optim. 12 (2001), 109-138, section 2.2 (the estimate of the minimum).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .base import BoundStepSize, StepSize


@dataclass(frozen=True)
class Polyak(StepSize):
    r"""The step size (f(p) - f* + gamma_k) / |X|^2.

    Parameters
    ----------
    minimum : float, optional
        f*, where it is known; then gamma_k is not used. Default the least cost seen so far.
    gamma : callable
        ``gamma(k)`` in iteration k = 0, 1, ...: by how much the minimum is expected to be below the least cost seen;
        default 1 / (k + 1).
    """

    _: KW_ONLY
    minimum: float | None = None
    gamma: Callable[[int], float] | None = None

    uses_cost: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.minimum is not None and not math.isfinite(self.minimum):
            raise ValueError(f"`minimum` must be a finite number; got {self.minimum!r}.")
        if self.gamma is not None and not callable(self.gamma):
            raise TypeError(f"`gamma` must be a function of the iteration; got {self.gamma!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; its memory is the least cost seen."""
        return _BoundPolyak(self) if previous is None else previous


class _BoundPolyak(BoundStepSize):
    __slots__ = ("least",)

    def __init__(self, rule: Polyak) -> None:
        super().__init__(rule)
        self.least = math.inf

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        rule, e = self.rule, state.evaluation
        f = e.cost
        self.least = min(self.least, f)
        if f - f != 0.0:
            return self._fail(Status.BAD_FUNCTION, f"the cost is {f} and gives no step size.")
        if rule.minimum is not None:
            gap = f - rule.minimum
        else:
            k = state.iteration
            gap = f - self.least + (1.0 / (k + 1.0) if rule.gamma is None else rule.gamma(k))
        if not (gap > 0.0 and length > 0.0):
            return self._fail(
                Status.STALLED, f"the cost {f:.6g} is not above its minimum, so the step size would be zero."
            )
        self.stepsize = t = gap / (length * length)
        return problem.evaluate(state.retract(e.point, X, t), state.evaluations)
