r"""Strong Wolfe conditions by bracketing and cubic interpolation.

A step t is accepted when phi(t) <= phi(0) + c1 t phi'(0) and |phi'(t)| <= c2 |phi'(0)|. Trials grow until they pass
over a minimizer; then the bracket [lo, hi], of which lo has the lowest cost that is low enough, shrinks by the
minimizer of the cubic or parabola through what is known at its ends.

References
----------
.. [1] J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, Springer 2006, algorithms 3.5 and 3.6.
.. [2] J. More and D. Thuente, Line search algorithms with guaranteed sufficient decrease, ACM Trans. Math. Softw. 20
   (1994), 286-307.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.status import Status
from .interpolation import cubic_minimizer, inside, quadratic_minimizer, secant
from .line import BoundLineSearch, Line, LineSearch, SearchEnds, Trial

# An extrapolation goes at least as far again as the last one, and at most ten times as far from its start.
_GROWTH = 9.0
# Interpolated points keep this fraction of the bracket away from its ends.
_MARGIN = 0.1


@dataclass(frozen=True)
class StrongWolfeLinesearch(LineSearch):
    """Line search for the strong Wolfe conditions; the default of quasi-Newton methods.

    Parameters
    ----------
    sufficient_decrease, curvature, initial, initial_guess, max_trials
        See `LineSearch`: c1 = 1e-4 and c2 = 0.9 suit quasi-Newton directions, smaller c2 make the search more exact.

    Notes
    -----
    The gradient is evaluated only at trials whose cost is low enough.
    """

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundLineSearch:
        """Run-time object; its memory is the last accepted step."""
        return _BoundStrongWolfe(self) if previous is None else previous


class _BoundStrongWolfe(BoundLineSearch):
    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        rule = self.rule
        steep = -rule.curvature * line.slope
        lo, hi, width = line.zero, None, math.inf
        while True:
            trial = line(t)
            if not self._low(line, trial, lo):
                hi = trial
            else:
                slope = trial.slope
                if abs(slope) <= steep:
                    return trial
                if hi is None and slope < 0.0:
                    t = line.cap(_beyond(lo, trial))
                    if t <= trial.t:
                        return trial
                    lo = trial
                    continue
                if hi is None or slope * (hi.t - lo.t) >= 0.0:
                    hi = lo
                lo = trial
            last, width = width, abs(hi.t - lo.t)
            t = _between(line, lo, hi) if width <= 0.66 * last else 0.5 * (lo.t + hi.t)
            if t == lo.t or t == hi.t:
                raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the bracket shrank to the step size {t:.3g}")

    def _low(self, line: Line, trial: Trial, lo: Trial) -> bool:
        """Whether the cost is low enough, and not above that of ``lo``; equal to rounding is low."""
        f, drop = trial.f, -trial.t * line.slope
        if drop < line.noise:
            return f <= line.f0 + line.noise
        return f <= line.f0 - self.rule.sufficient_decrease * drop and f <= lo.f + line.noise


def _beyond(lo: Trial, trial: Trial) -> float:
    """Next trial beyond one that still descends."""
    step = trial.t - lo.t
    t = cubic_minimizer(lo.t, lo.f, lo.slope, trial.t, trial.f, trial.slope)
    if not t > trial.t:
        t = math.inf
    return min(max(t, trial.t + step), trial.t + _GROWTH * step)


def _between(line: Line, lo: Trial, hi: Trial) -> float:
    """Next trial between the ends of a bracket."""
    if hi.f == math.inf:
        # In large steps at first, then so that many fit in before p + t X is p.
        return lo.t + (0.1 if lo.t == 0.0 and line.nonfinite <= 3 else 0.5) * (hi.t - lo.t)
    if abs(hi.f - lo.f) <= line.noise:
        t = secant(lo.t, lo.slope, hi.t, hi.slope) if lo.slope * hi.slope < 0.0 else math.nan
    elif hi.slope_known:
        t = cubic_minimizer(lo.t, lo.f, lo.slope, hi.t, hi.f, hi.slope)
    else:
        t = quadratic_minimizer(lo.t, lo.f, lo.slope, hi.t, hi.f)
    return inside(t, lo.t, hi.t, _MARGIN)
