r"""Nesterov's acceleration on manifolds (Zhang and Sra 2018).

With the step size h, the strong convexity mu and a sequence gamma > 0, one iteration from p and a second point v is

    alpha >= 0 with alpha^2 = h ((1 - alpha) gamma + alpha mu),    gamma' = (1 - alpha) gamma + alpha mu
    y  = exp_p(alpha gamma / (gamma + alpha mu) log_p v)
    p' = exp_y(-h grad f(y))
    v' = exp_y(((1 - alpha) gamma log_y v - alpha grad f(y)) / gamma')
    gamma <- gamma' / (1 + b).

The rule returns log_p(p') / h, so that a step of size h leads to p'; retractions and their inverses serve for exp and
log. It costs one gradient at y besides the one at p.

References
----------
.. [1] H. Zhang, S. Sra, An estimate sequence for geodesically convex optimization, COLT 2018, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from .base import BoundDirection, Direction


@dataclass(frozen=True)
class Nesterov(Direction):
    """Accelerated direction for (geodesically, strongly) convex costs.

    Parameters
    ----------
    gamma : float
        First value of gamma, positive.
    mu : float
        Strong convexity of the cost, at least 0.
    shrinkage : callable or float
        b, or ``b(k)`` in iteration k.
    stepsize : float, optional
        h. Default the last step size, in the first iteration the first that the step-size rule would try.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.

    Notes
    -----
    Needs of M: the inverse of the retraction used.
    """

    _: KW_ONLY
    gamma: float = 0.001
    mu: float = 0.9
    shrinkage: Callable[[int], float] | float = 0.8
    stepsize: float | None = None

    def __post_init__(self) -> None:
        if not (self.gamma > 0.0 and self.mu >= 0.0):
            raise ValueError(f"`gamma` must be positive and `mu` not negative; got {self.gamma!r} and {self.mu!r}.")
        if self.stepsize is not None and not self.stepsize > 0.0:
            raise ValueError(f"`stepsize` must be positive; got {self.stepsize!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; its memory are the second point and gamma."""
        return _BoundNesterov(self) if previous is None else previous


class _BoundNesterov(BoundDirection):
    __slots__ = ("gamma", "v")

    def __init__(self, rule: Nesterov) -> None:
        super().__init__(rule)
        self.restart()

    def restart(self) -> None:
        self.gamma = self.rule.gamma
        self.v: Any = None

    def compute(self, problem: Any, state: Any) -> Any:
        rule, p, gamma, mu = self.rule, state.evaluation.point, self.gamma, self.rule.mu
        M, retract = problem.manifold, state.retract
        log = M.get_inverse_retraction(state.retraction if isinstance(state.retraction, str) else None)
        h = self._stepsize(state)
        alpha = 0.5 * (h * (mu - gamma) + math.sqrt(h * h * (mu - gamma) ** 2 + 4.0 * h * gamma))
        after = (1.0 - alpha) * gamma + alpha * mu
        v = p if self.v is None else self.v
        y = retract(p, log(p, v), alpha * gamma / (gamma + alpha * mu))
        g = problem.evaluate(y, state.evaluations).gradient
        q = retract(y, g, -h)
        self.v = retract(y, ((1.0 - alpha) * gamma * log(y, v) - alpha * g) * (1.0 / after))
        b = rule.shrinkage(state.iteration) if callable(rule.shrinkage) else rule.shrinkage
        self.gamma = after / (1.0 + b)
        return log(p, q) * (1.0 / h)

    def _stepsize(self, state: Any) -> float:
        if self.rule.stepsize is not None:
            return self.rule.stepsize
        return state.stepsize if state.stepsize > 0.0 else state.step_rule.first
