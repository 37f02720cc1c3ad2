"""The cost along a direction, and what all searches on it share.

A search asks for trials phi(t) = f(retract(p, X, t)). A trial knows its cost; its slope, which takes the gradient
there, is found when first asked for. NaN counts as +inf. What ends a search from outside is raised as `SearchEnds`:
a cost of -inf, too many trials, too many in a row that are not finite, a gradient that is not finite.

The slope is the inner product of the gradient at the trial with the transported direction: exact for geodesics and
parallel transport, right to first order in t for other pairs.

Where the decrease to be expected is below the rounding of f, costs cannot be compared: a trial whose cost is equal to
rounding counts as low, and its slope decides (the approximate Wolfe condition of Hager and Zhang 2005, section 4).

References
----------
.. [1] W. Hager and H. Zhang, SIAM J. Optim. 16 (2005), 170-192.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .base import BoundStepSize, StepSize, check_positive
from .initial_guesses import carried, initial_guess

# DESIGN: that many non-finite trials in a row are the function's fault.
MAX_NONFINITE = 30
# Steps within rounding that bring no smaller gradient, before rounding is blamed.
MAX_FLAT = 30

# A search that ends within rounding has failed for another reason if a trial promised this multiple of it.
BEYOND_ROUNDING = 1e6


class SearchEnds(Exception):  # no error: a search that has nothing more to say
    """A search is over without an acceptable trial."""

    def __init__(self, status: Status, reason: str, trial: Any = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.trial = status, reason, trial


class Trial:
    """One point on a line.

    Attributes
    ----------
    t : float
    f : float
        Cost; +inf for NaN.
    evaluation : Evaluation
    """

    __slots__ = ("_slope", "evaluation", "f", "line", "t")

    def __init__(self, line: Line, t: float, f: float, evaluation: Any, slope: float | None = None) -> None:
        self.line, self.t, self.f, self.evaluation, self._slope = line, t, f, evaluation, slope

    @property
    def slope(self) -> float:
        """Derivative of the cost with respect to t; NaN where the cost is not finite."""
        value = self._slope
        if value is None:
            value = self._slope = self.line.slope_at(self)
        return value

    @property
    def slope_known(self) -> bool:
        """Whether reading the slope costs nothing."""
        return self._slope is not None


class Line:
    """The cost along X from the current point of a state.

    Attributes
    ----------
    f0, slope : float
        Cost and slope at t = 0.
    length : float
        Norm of X.
    noise : float
        Differences of the cost below this are rounding: 10 eps |f0|.
    zero : Trial
        t = 0.
    longest : float
        Largest t tried.
    best : Trial
        Of the lowest cost so far.
    """

    __slots__ = (
        "X",
        "_limit",
        "best",
        "e",
        "f0",
        "length",
        "longest",
        "max_trials",
        "noise",
        "nonfinite",
        "problem",
        "slope",
        "state",
        "trials",
        "zero",
    )

    def __init__(self, problem: Any, state: Any, X: Any, slope: float, length: float, max_trials: int) -> None:
        self.problem, self.state, self.X, self.slope, self.length = problem, state, X, slope, length
        e = self.e = state.evaluation
        self.f0 = e.cost
        self.noise = 10.0 * state.eps * abs(self.f0)
        self.zero = self.best = Trial(self, 0.0, self.f0, e, slope)
        self.trials = self.nonfinite = 0
        self.longest = 0.0
        self.max_trials = max_trials
        self._limit: float | None = None

    def __call__(self, t: float) -> Trial:
        """Trial at t."""
        if self.trials == self.max_trials:
            raise SearchEnds(Status.LINE_SEARCH_FAILED, f"no acceptable step among {self.trials} trials")
        self.trials += 1
        if t > self.longest:
            self.longest = t
        state = self.state
        e = self.problem.evaluate(state.retract(self.e.point, self.X, t), state.evaluations)
        f = e.cost
        if f - f != 0.0:
            return self._nonfinite(t, f, e)
        self.nonfinite = 0
        trial = Trial(self, t, f, e)
        if f < self.best.f:
            self.best = trial
        return trial

    def _nonfinite(self, t: float, f: float, e: Any) -> Trial:
        if f == -math.inf:
            raise SearchEnds(Status.DIVERGED, "", Trial(self, t, f, e, math.nan))
        self.nonfinite += 1
        if self.nonfinite == MAX_NONFINITE:
            raise SearchEnds(Status.BAD_FUNCTION, f"the cost was not finite at {self.nonfinite} trial points in a row")
        return Trial(self, t, math.inf, e, math.nan)

    def slope_at(self, trial: Trial) -> float:
        """Inner product of the gradient at the trial and X transported there."""
        e = trial.evaluation
        q = e.point
        value = self.problem.manifold.inner(q, e.gradient, carried(self.state, self.e.point, self.X, q))
        if value - value != 0.0:
            raise SearchEnds(Status.BAD_FUNCTION, "the gradient is not finite at a trial point of finite cost")
        return value

    def cap(self, t: float) -> float:
        """Step size t, or the longest that the manifold allows along X."""
        if t * self.length <= self.state.safe_length:
            return t
        if self._limit is None:
            self._limit = self.problem.manifold.max_step(self.e.point, self.X)
        return min(t, self._limit)

    @property
    def within_rounding(self) -> bool:
        """Whether rounding can be to blame: no trial had much more decrease to expect than the rounding of the cost."""
        return self.longest * -self.slope <= BEYOND_ROUNDING * self.noise

    def low(self, trial: Trial, sufficient_decrease: float) -> bool:
        """Whether a trial has decreased the cost enough, as far as rounding lets one see."""
        drop = -trial.t * self.slope
        if drop >= self.noise:
            return trial.f <= self.f0 - sufficient_decrease * drop
        return trial.f <= self.f0 + self.noise and trial.slope <= (2.0 * sufficient_decrease - 1.0) * self.slope


@dataclass(frozen=True)
class LineSearch(StepSize):
    """Base of the searches that look for the Wolfe conditions.

    Parameters
    ----------
    sufficient_decrease : float
        c1: fraction of the decrease promised by the slope that must be realized.
    curvature : float
        c2: fraction of the slope that may remain.
    initial : float, optional
        First trial of the first iteration; default a step of length one, or X itself where that is shorter.
    initial_guess : str or InitialGuess
        First trial of later iterations, see `initial_guesses`. Where the direction brings its own (quasi-Newton), that
        comes first.
    max_trials : int
        Trials in one search.
    """

    _: KW_ONLY
    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    initial: float | None = None
    initial_guess: Any = "barzilai-borwein"
    max_trials: int = 50

    uses_cost: ClassVar[bool] = True
    needs_descent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        c1, c2 = self.sufficient_decrease, self.curvature
        if not 0.0 < c1 < c2 < 1.0:
            raise ValueError(f"`sufficient_decrease` < `curvature` must lie between 0 and 1; got {c1!r} and {c2!r}.")
        self._check_rest()

    def _check_rest(self) -> None:
        if self.initial is not None:
            check_positive("initial", self.initial)
        initial_guess(self.initial_guess)
        if isinstance(self.max_trials, bool) or not isinstance(self.max_trials, int) or self.max_trials < 1:
            raise ValueError(f"`max_trials` must be a positive integer; got {self.max_trials!r}.")

    @property
    def first(self) -> float:
        """The first trial, 1 unless given."""
        return 1.0 if self.initial is None else self.initial


class BoundLineSearch(BoundStepSize):
    """Runs `find` of a subclass on the line, and turns what it ends with into an evaluation or a status."""

    __slots__ = ("flat", "guess", "least")

    def __init__(self, rule: Any) -> None:
        super().__init__(rule)
        self.guess = initial_guess(rule.initial_guess).bind()
        self.least, self.flat = math.inf, 0

    def find(self, line: Line, t: float) -> Trial:
        """Acceptable trial on the line, t being the first to try; raises `SearchEnds` when there is none."""
        raise NotImplementedError

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        """See `BoundStepSize.search`."""
        if not slope < 0.0:
            return self._fail(
                Status.LINE_SEARCH_FAILED, f"the direction is not one of descent: its slope is {slope:.3g}."
            )
        line = Line(problem, state, X, slope, length, self.rule.max_trials)
        t = state.natural_step
        try:
            if t is None:
                t = self.guess.first(problem, state, X, slope, length)
            if t is None:
                t = self.rule.initial or min(1.0, 1.0 / length)
            trial = self.find(line, line.cap(t))
        except SearchEnds as end:
            if end.status is Status.DIVERGED:
                return self._fall(end.trial.evaluation, end.trial.t)
            trial = line.best
            if end.status is not Status.LINE_SEARCH_FAILED or not self._good_enough(line, trial):
                return self._explain(line, end)
        return self._taken(line, trial)

    def _good_enough(self, line: Line, trial: Trial) -> bool:
        """Whether a search that ran out of trials may settle for the best."""
        return trial.f < line.f0 - line.noise and trial.f <= line.f0 + 1e-4 * trial.t * line.slope

    def _explain(self, line: Line, end: SearchEnds) -> None:
        if end.status is Status.LINE_SEARCH_FAILED and line.within_rounding:
            return self._fail(
                Status.ROUND_OFF, f"{end.reason}, and the cost {line.f0:.6g} does not change beyond its rounding."
            )
        self._fail(end.status, f"{end.reason} along a descent direction of slope {line.slope:.3g}.")

    def _taken(self, line: Line, trial: Trial) -> Any:
        e, t = trial.evaluation, trial.t
        if -t * line.slope < line.noise:
            if not line.within_rounding:
                return self._fail(
                    Status.LINE_SEARCH_FAILED,
                    f"no decrease of the cost along a descent direction of slope {line.slope:.3g}, down to a step size "
                    f"of {t:.1e}.",
                )
            if self._idles(e.gradient_norm):
                return self._fail(
                    Status.ROUND_OFF,
                    f"the cost {line.f0:.6g} does not change beyond its rounding, and in {MAX_FLAT} steps the gradient "
                    "did not decrease either: rounding prevents further progress.",
                )
        self.stepsize = t
        self.guess.keep(line.e.point, line.X, line.slope, line.length, t)
        return e

    def _idles(self, norm: float) -> bool:
        if norm < self.least:
            self.least, self.flat = norm, 0
        else:
            self.flat += 1
        return self.flat >= MAX_FLAT
