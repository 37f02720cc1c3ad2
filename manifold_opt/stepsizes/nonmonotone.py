r"""Barzilai-Borwein steps with a nonmonotone Armijo rule (Iannazzo and Porcelli 2018).

With s the last step and y the change of the gradient, both transported to the current point, the trial is

    direct   <s, s> / <s, y>,        inverse   <s, y> / <y, y>,

or they take turns; kept between two bounds, and the upper one where <s, y> <= 0. It is accepted, after contractions if
need be, when the cost is below the *largest* of the last costs by the promised amount: the step may climb, which is
what makes the method fast.

References
----------
.. [1] B. Iannazzo and M. Porcelli, The Riemannian Barzilai-Borwein method with nonmonotone line search, IMA J. Numer.
   Anal. 38 (2018), 495-517, algorithm 1.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .base import BoundStepSize, StepSize, check_positive
from .line import Line, SearchEnds

STRATEGIES = ("direct", "inverse", "alternating")


@dataclass(frozen=True)
class NonmonotoneLinesearch(StepSize):
    """Barzilai-Borwein step sizes with a nonmonotone line search.

    Parameters
    ----------
    memory : int
        Number of last costs of which the largest is the measure; 1 is monotone.
    strategy : {"direct", "inverse", "alternating"}
        Which of the two step sizes; alternating takes the direct one in even iterations.
    initial : float
        First trial of the first iteration.
    min_step, max_step : float
        Bounds of the trials.
    contraction : float
        Factor between trials, in (0, 1).
    sufficient_decrease : float
        Fraction of the promised decrease that must be realized, in (0, 1).

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    _: KW_ONLY
    memory: int = 10
    strategy: str = "direct"
    initial: float = 1.0
    min_step: float = 1e-3
    max_step: float = 1e3
    contraction: float = 0.5
    sufficient_decrease: float = 1e-4

    uses_cost: ClassVar[bool] = True
    needs_descent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not isinstance(self.memory, int) or self.memory < 1:
            raise ValueError(f"`memory` must be a positive integer; got {self.memory!r}.")
        if self.strategy not in STRATEGIES:
            raise ValueError(f"`strategy` must be one of {', '.join(map(repr, STRATEGIES))}; got {self.strategy!r}.")
        for name in ("initial", "min_step", "max_step"):
            check_positive(name, getattr(self, name))
        if self.min_step > self.max_step:
            raise ValueError(f"`min_step` must not exceed `max_step`; got {self.min_step!r} and {self.max_step!r}.")
        for name in ("contraction", "sufficient_decrease"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"`{name}` must be between 0 and 1, both excluded; got {getattr(self, name)!r}.")

    @property
    def first(self) -> float:
        """The first trial."""
        return self.initial

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; its memory are the last costs and the last step."""
        return _BoundNonmonotone(self) if previous is None else previous


class _BoundNonmonotone(BoundStepSize):
    __slots__ = ("costs", "last", "steps")

    def __init__(self, rule: NonmonotoneLinesearch) -> None:
        super().__init__(rule)
        self.costs: list[float] = []
        self.last: Any = None
        self.steps = 0

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        if not slope < 0.0:
            return self._fail(
                Status.LINE_SEARCH_FAILED, f"the direction is not one of descent: its slope is {slope:.3g}."
            )
        rule, e = self.rule, state.evaluation
        line = Line(problem, state, X, slope, length, 64)
        self.costs = [*self.costs[1 - rule.memory :], e.cost] if rule.memory > 1 else [e.cost]
        top, t = max(self.costs), line.cap(self._trial(problem.manifold, state, e))
        try:
            trial = line(t)
            while trial.f > top + rule.sufficient_decrease * t * slope:
                # Where the decrease is below the rounding of the cost, equal is low enough.
                if -t * slope < line.noise and trial.f <= top + line.noise and line.within_rounding:
                    break
                t *= rule.contraction
                trial = line(t)
        except SearchEnds as end:
            if end.status is Status.DIVERGED:
                return self._fall(end.trial.evaluation, end.trial.t)
            return self._fail(*_explained(line, end, t))
        if -t * slope < line.noise and not line.within_rounding:
            reason = f"no decrease of the cost along a descent direction, down to a step size of {t:.1e}."
            return self._fail(Status.LINE_SEARCH_FAILED, reason)
        self.last, self.stepsize, self.steps = (e.point, e.gradient, X), t, self.steps + 1
        return trial.evaluation

    def _trial(self, M: Any, state: Any, e: Any) -> float:
        rule = self.rule
        if self.last is None:
            return rule.initial
        start, g, X = self.last
        p = e.point
        s, y = self.stepsize * state.transport(start, X, p), e.gradient - state.transport(start, g, p)
        sy = M.inner(p, s, y)
        if not sy > 0.0:
            return rule.max_step
        direct = rule.strategy == "direct" or (rule.strategy == "alternating" and self.steps % 2 == 0)
        t = M.inner(p, s, s) / sy if direct else sy / M.inner(p, y, y)
        return min(max(t, rule.min_step), rule.max_step)


def _explained(line: Line, end: SearchEnds, t: float) -> tuple[Status, str]:
    """Status and sentence of a backtracking search that found nothing."""
    if end.status is not Status.LINE_SEARCH_FAILED:
        return end.status, f"{end.reason}."
    if line.within_rounding:
        return Status.ROUND_OFF, f"{end.reason}, and the cost {line.f0:.6g} does not change beyond its rounding."
    return end.status, f"{end.reason}, down to a step of length {t * line.length:.1e} along a descent direction."
