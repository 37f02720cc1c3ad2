r"""Weak Wolfe conditions by doubling, halving and bisection (Wolfe 1969, Powell 1976).

A step t is accepted when phi(t) <= phi(0) + c1 t phi'(0) and phi'(t) >= c2 phi'(0). `WolfePowellLinesearch` first looks
for a step that is too short and one that is too long and then halves their distance; its binary variant keeps one
interval from the start.

References
----------
.. [1] W. Huang, K. Gallivan, P.-A. Absil, SIAM J. Optim. 25 (2015), 1660-1685, section 6.
.. [2] J. Burke, A. Lewis, M. Overton, SIAM J. Optim. 15 (2005), 751-779, section 4 (the binary variant).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.status import Status
from .line import BoundLineSearch, Line, LineSearch, SearchEnds, Trial


@dataclass(frozen=True)
class WolfePowellLinesearch(LineSearch):
    """Line search for the weak Wolfe conditions.

    Parameters
    ----------
    sufficient_decrease, curvature, initial, initial_guess, max_trials
        See `LineSearch`; c1 = 1e-4, c2 = 0.999.
    """

    curvature: float = 0.999
    max_trials: int = 100

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundLineSearch:
        """Run-time object; its memory is the last accepted step."""
        return _BoundWolfePowell(self) if previous is None else previous


class _BoundWolfePowell(BoundLineSearch):
    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        c1, least = self.rule.sufficient_decrease, self.rule.curvature * line.slope
        short = line(t)
        if line.low(short, c1):
            while True:
                if short.slope >= least:
                    return short
                t = line.cap(2.0 * short.t)
                if t <= short.t:
                    return short
                trial = line(t)
                if not line.low(trial, c1):
                    break
                short = trial
        else:
            while not line.low(short, c1):
                t = short.t
                short = line(0.5 * t)
            if short.slope >= least:
                return short
        return self._halve(line, short, t, c1, least)

    def _halve(self, line: Line, short: Trial, long: float, c1: float, least: float) -> Trial:
        """Between a step that is low but too steep and one that is not low there is an acceptable one."""
        while True:
            t = 0.5 * (short.t + long)
            if t in (short.t, long):
                return short
            trial = line(t)
            if not line.low(trial, c1):
                long = t
            elif trial.slope >= least:
                return trial
            else:
                short = trial


@dataclass(frozen=True)
class WolfePowellBinaryLinesearch(LineSearch):
    """Line search for the weak Wolfe conditions by bisection of one interval.

    Parameters
    ----------
    sufficient_decrease, curvature, initial, initial_guess, max_trials
        See `LineSearch`; c1 = 1e-4, c2 = 0.999.
    """

    curvature: float = 0.999
    max_trials: int = 100

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundLineSearch:
        """Run-time object; its memory is the last accepted step."""
        return _BoundBinary(self) if previous is None else previous


class _BoundBinary(BoundLineSearch):
    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        c1, least = self.rule.sufficient_decrease, self.rule.curvature * line.slope
        short, long = 0.0, math.inf
        while True:
            trial = line(t)
            if not line.low(trial, c1):
                long = t
            elif trial.slope >= least:
                return trial
            else:
                short = t
            t = 0.5 * (short + long) if long < math.inf else line.cap(2.0 * short)
            if t == short:
                return trial
            if t == long:
                raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the interval shrank to the step size {t:.3g}")
