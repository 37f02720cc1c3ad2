r"""The line search of CG_DESCENT (Hager and Zhang 2005), with approximate Wolfe conditions.

A step t is accepted under the Wolfe conditions, or where phi(t) <= phi(0) + epsilon |phi(0)| under approximate ones,

    (2 delta - 1) phi'(0) >= phi'(t) >= sigma phi'(0),

which rounding does not spoil: they compare slopes alone. The bracket [a, b] keeps phi'(a) < 0 <= phi'(b) with phi(a)
low, and shrinks by two secant steps at a time, and by bisection where they are slow.

References
----------
.. [1] W. Hager and H. Zhang, A new conjugate gradient method with guaranteed descent and an efficient line search,
   SIAM J. Optim. 16 (2005), 170-192, section 4.
.. [2] W. Hager and H. Zhang, Algorithm 851: CG_DESCENT, ACM Trans. Math. Softw. 32 (2006), 113-137, section 4.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from ..core.status import Status
from .interpolation import secant
from .line import BoundLineSearch, Line, LineSearch, SearchEnds, Trial


@dataclass(frozen=True)
class HagerZhangLinesearch(LineSearch):
    """Line search for the Wolfe or the approximate Wolfe conditions.

    Parameters
    ----------
    sufficient_decrease : float
        delta.
    curvature : float
        sigma.
    epsilon : float
        Relative increase of the cost up to which slopes alone decide.
    shrinkage : float
        gamma: a bracket that two secant steps did not shrink to this fraction is bisected.
    expansion : float
        rho: factor between trials until a minimizer is bracketed.
    compatible : {None, "tfp"}
        ``"tfp"`` does exactly what TensorFlow Probability's ``hager_zhang`` does, evaluation by evaluation: the first
        trial is t = 1 and is not itself a candidate, and both cost and gradient are evaluated at every trial.
    initial, initial_guess, max_trials
        See `LineSearch`.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    _: KW_ONLY
    sufficient_decrease: float = 0.1
    curvature: float = 0.9
    epsilon: float = 1e-6
    shrinkage: float = 0.66
    expansion: float = 5.0
    compatible: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sufficient_decrease < 0.5:
            raise ValueError(f"`sufficient_decrease` must be less than 1/2; got {self.sufficient_decrease!r}.")
        if not (self.epsilon >= 0.0 and 0.0 < self.shrinkage < 1.0 and self.expansion > 1.0):
            raise ValueError(
                "`epsilon` must be at least 0, `shrinkage` between 0 and 1, `expansion` more than 1; got "
                f"{self.epsilon!r}, {self.shrinkage!r}, {self.expansion!r}."
            )
        if self.compatible not in (None, "tfp"):
            raise ValueError(f"`compatible` must be None or 'tfp'; got {self.compatible!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundLineSearch:
        """Run-time object; its memory is the last accepted step."""
        if previous is not None:
            return previous
        if self.compatible is None:
            return _BoundHagerZhang(self)
        from .hager_zhang_tfp import BoundHagerZhangTFP

        return BoundHagerZhangTFP(self)


class _Found(Exception):  # no error: the acceptable trial, from however deep inside the search
    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial


class _BoundHagerZhang(BoundLineSearch):
    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        search = _Search(self.rule, line)
        try:
            a, b = search.bracket(t)
            while True:
                width = b.t - a.t
                a, b = search.secant2(a, b)
                if b.t - a.t > self.rule.shrinkage * width:
                    a, b = search.update(a, b, search.trial(0.5 * (a.t + b.t)))
        except _Found as found:
            return found.trial


class _Search:
    """One search: the steps of the algorithm on one line."""

    __slots__ = ("line", "roof", "rule")

    def __init__(self, rule: HagerZhangLinesearch, line: Line) -> None:
        self.rule, self.line = rule, line
        self.roof = line.f0 + max(rule.epsilon * abs(line.f0), line.noise)

    def trial(self, t: float) -> Trial:
        """Trial at t; acceptable ones end the search."""
        line, rule = self.line, self.rule
        trial = line(t)
        if trial.f <= self.roof:
            s0, s = line.slope, trial.slope
            delta = rule.sufficient_decrease
            decreased = trial.f - line.f0 <= delta * t * s0 or s <= (2.0 * delta - 1.0) * s0
            if decreased and s >= rule.curvature * s0:
                raise _Found(trial)
        return trial

    def bracket(self, t: float) -> tuple[Trial, Trial]:
        """Steps B0 to B3: grow until the slope turns or the cost gets high."""
        line, a = self.line, self.line.zero
        c = self.trial(t)
        while c.f <= self.roof and c.slope < 0.0:
            t = line.cap(self.rule.expansion * c.t)
            if t <= c.t:
                if c.f < line.f0:
                    raise _Found(c)
                return self._bisect(line.zero, c)
            a, c = c, self.trial(t)
        return (a, c) if c.f <= self.roof or c.slope >= 0.0 else self._bisect(line.zero, c)

    def _bisect(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """Step U3: b descends but is too high; halve until there is a right end."""
        while True:
            t = 0.5 * (a.t + b.t)
            if t == a.t or t == b.t:
                raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the bracket shrank to the step size {t:.3g}")
            c = self.trial(t)
            if c.f < math.inf and c.slope >= 0.0:
                return a, c
            if c.f <= self.roof:
                a = c
            else:
                b = c

    def update(self, a: Trial, b: Trial, c: Trial) -> tuple[Trial, Trial]:
        """Steps U0 to U3: the part of [a, b] on the right side of c."""
        if not a.t < c.t < b.t:
            return a, b
        if c.f < math.inf and c.slope >= 0.0:
            return a, c
        return (c, b) if c.f <= self.roof else self._bisect(a, c)

    def secant2(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """Steps S1 to S4: a secant step, then a second one from the end that it moved."""
        t = secant(a.t, a.slope, b.t, b.slope)
        if not a.t < t < b.t:
            t = 0.5 * (a.t + b.t)
            if t == a.t or t == b.t:
                raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the bracket shrank to the step size {t:.3g}")
        c = self.trial(t)
        A, B = self.update(a, b, c)
        if B is c:
            t = secant(b.t, b.slope, c.t, c.slope)
        elif A is c:
            t = secant(a.t, a.slope, c.t, c.slope)
        else:
            return A, B
        return self.update(A, B, self.trial(t)) if A.t < t < B.t else (A, B)
