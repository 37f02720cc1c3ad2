r"""The adaptive weighted-norm gradient step size (Grapiglia and Stella 2023): no cost is evaluated.

The step size is 1 / b_k. With omega the gradient norm at the last restart, and c a count of reductions in a row,

    |g_k| <= alpha omega and c + 1 = c_max:   b_k from the bounds, omega = |g_k|, c = 0     (restart with longer steps)
    |g_k| <= alpha omega:                     b_k = b_{k-1} + |g_k|^2 / b_{k-1}, c = c + 1
    else:                                     b_k = b_{k-1} + |g_k|^2 / b_{k-1}, c = 0.

omega stays until the restart; were it the current norm, no gradient could ever be below alpha times it.

References
----------
.. [1] G. Grapiglia and G. Stella, An adaptive Riemannian gradient method without function evaluations, J. Optim. Theory
   Appl. 197 (2023), 1140-1160, algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import BoundStepSize, StepSize, check_positive


@dataclass(frozen=True)
class AdaptiveWNGradient(StepSize):
    """Step size 1 / b_k of the adaptive weighted-norm gradient method.

    Parameters
    ----------
    count_threshold : int
        c_max.
    minimal_bound : float
        Least b_k after a restart.
    gradient_reduction : float
        alpha, in (0, 1).
    gradient_bound : float, optional
        b_0, and the largest b_k after a restart; default the norm of the first gradient.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.

    Notes
    -----
    After a restart b_k = min(gradient_bound, max(minimal_bound, b_{k-1} / (3 c_max))).
    """

    _: KW_ONLY
    count_threshold: int = 4
    minimal_bound: float = 1e-4
    gradient_reduction: float = 0.9
    gradient_bound: float | None = None

    def __post_init__(self) -> None:
        n = self.count_threshold
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"`count_threshold` must be a positive integer; got {n!r}.")
        check_positive("minimal_bound", self.minimal_bound)
        if self.gradient_bound is not None:
            check_positive("gradient_bound", self.gradient_bound)
        if not 0.0 < self.gradient_reduction < 1.0:
            raise ValueError(
                f"`gradient_reduction` must be between 0 and 1, both excluded; got {self.gradient_reduction!r}."
            )

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; its memory are b, omega and c."""
        return _BoundAdaptiveWN(self) if previous is None else previous


class _BoundAdaptiveWN(BoundStepSize):
    __slots__ = ("b", "bound", "c", "omega", "restarts")

    def __init__(self, rule: AdaptiveWNGradient) -> None:
        super().__init__(rule)
        self.b = self.bound = self.omega = math.nan
        self.c = self.restarts = 0

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        self._move(state.evaluation.gradient_norm)
        self.stepsize = t = 1.0 / self.b
        return problem.evaluate(state.retract(state.evaluation.point, X, t), state.evaluations)

    def _move(self, norm: float) -> None:
        rule = self.rule
        if math.isnan(self.b):
            self.omega = norm
            self.b = self.bound = rule.gradient_bound or norm or 1.0
            return
        self.c = self.c + 1 if norm <= rule.gradient_reduction * self.omega else 0
        if self.c == rule.count_threshold:
            shorter = max(rule.minimal_bound, self.b / (3.0 * rule.count_threshold))
            self.b, self.omega, self.c = min(self.bound, shorter), norm, 0
            self.restarts += 1
        else:
            self.b += norm * norm / self.b
