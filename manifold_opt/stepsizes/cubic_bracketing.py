r"""Minimization along a line by a bracket and cubic interpolation of values and slopes (Hager 1989).

The bracket [a, b] has phi'(a) < 0 and either phi'(b) >= 0 or phi(b) > phi(a), so a minimizer lies inside. It shrinks
to the minimizer of the cubic through both ends; a step that does not halve the bracket is followed by a bisection. The
search ends where |phi'(t)| <= c |phi'(0)| at a cost below phi(0), or with a bracket as short as asked for.

References
----------
.. [1] W. Hager, A derivative-based bracketing scheme for univariate minimization and the conjugate gradient method,
   Comput. Math. Appl. 18 (1989), 779-795.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from ..core.status import Status
from .base import check_positive
from .interpolation import cubic_minimizer
from .line import BoundLineSearch, Line, LineSearch, SearchEnds, Trial


@dataclass(frozen=True)
class CubicBracketingLinesearch(LineSearch):
    """Line search that minimizes along the direction, to the accuracy asked for.

    Parameters
    ----------
    curvature : float
        c, the fraction of the slope that may remain. 1e-4 is nearly exact.
    growth : float
        Factor between trials until a minimizer is bracketed, more than 1.
    min_bracket : float
        Length of the bracket, in units of t, at which its better end is taken.
    hybrid : bool
        Whether to bisect a bracket that the cubic did not halve.
    initial, initial_guess, max_trials
        See `LineSearch`.
    """

    _: KW_ONLY
    sufficient_decrease: float = 1e-10
    curvature: float = 0.2
    growth: float = 1.5
    min_bracket: float = 1e-4
    hybrid: bool = True
    max_trials: int = 100

    def __post_init__(self) -> None:
        check_positive("curvature", self.curvature)
        if not self.growth > 1.0:
            raise ValueError(f"`growth` must be more than 1; got {self.growth!r}.")
        if not self.min_bracket >= 0.0:
            raise ValueError(f"`min_bracket` must not be negative; got {self.min_bracket!r}.")
        self._check_rest()

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundLineSearch:
        """Run-time object; its memory is the last accepted step."""
        return _BoundCubicBracketing(self) if previous is None else previous


class _BoundCubicBracketing(BoundLineSearch):
    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        a, b = self._bracket(line, t)
        if b is None:
            return a
        while not self._done(line, a):
            if self._done(line, b):
                return b
            width = abs(b.t - a.t)
            if width <= self.rule.min_bracket or self._middle(a, b) in (a.t, b.t):
                return self._better(line, a, b)
            a, b = _shrunk(a, b, line(self._inner(a, b)))
            if self.rule.hybrid and abs(b.t - a.t) > 0.5 * width and self._middle(a, b) not in (a.t, b.t):
                a, b = _shrunk(a, b, line(self._middle(a, b)))
        return a

    def _bracket(self, line: Line, t: float) -> tuple[Trial, Trial | None]:
        """Two ends with a minimizer between them; the second is None where the manifold ends before."""
        a, b = line.zero, line(t)
        while b.f <= a.f + line.noise and b.slope < 0.0:
            if self._done(line, b):
                return b, None
            t = line.cap(self.rule.growth * b.t)
            if t <= b.t:
                return b, None
            a, b = b, line(t)
        return a, b

    def _done(self, line: Line, trial: Trial) -> bool:
        flat = trial.f <= line.f0 + line.noise and trial.t > 0.0
        return flat and abs(trial.slope) <= -self.rule.curvature * line.slope

    def _better(self, line: Line, a: Trial, b: Trial) -> Trial:
        trial = a if a.f <= b.f else b
        if trial.t == 0.0:
            raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the bracket shrank to a step size below {max(a.t, b.t):.3g}")
        return trial

    @staticmethod
    def _middle(a: Trial, b: Trial) -> float:
        return 0.5 * (a.t + b.t)

    def _inner(self, a: Trial, b: Trial) -> float:
        """Minimizer of the cubic where it lies inside the bracket, else its middle."""
        low, high = min(a.t, b.t), max(a.t, b.t)
        if b.f - b.f != 0.0:
            return self._middle(a, b)
        t = cubic_minimizer(a.t, a.f, a.slope, b.t, b.f, b.slope)
        return t if low < t < high else self._middle(a, b)


def _shrunk(a: Trial, b: Trial, c: Trial) -> tuple[Trial, Trial]:
    """The part of the bracket [a, b] in which a minimizer must lie, given a point c inside it.

    The slope at a points into the bracket, and phi(a) is the lower one unless the slope at b points into it too.
    """
    if c.f > a.f:
        return a, c
    if c.slope * (b.t - a.t) < 0.0:
        return c, b
    return c, a
