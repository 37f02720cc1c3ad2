r"""Backtracking until the cost has decreased enough (Armijo 1966), with a first trial that rarely needs it.

Along c(t) = retract(p, X, t) the step t is accepted when f(c(t)) <= f(p) + s t <grad f(p), X>. The sufficient decrease
s = 0.3 and the contraction 0.5 are the pair that failed least in trials on 16 problems; the customary s = 1e-4 lets
useless long steps pass.

The first trial is the step of Barzilai and Borwein (1988), <S, S> / <S, Y>, with S the last step and Y the change of
the gradient, both at the new point: S is transported there, and <S, Y> only needs the slope of f along it at both
ends. It is the exact line search of the *previous* direction on a quadratic, and makes steepest descent about as fast
as conjugate gradients. Where the curvature is not positive the last step is doubled.

Near a minimizer the decrease drowns in the rounding of f: where the expected one is below 10 eps |f|, the step is
judged by the gradient instead (the approximate Wolfe condition of Hager and Zhang 2005, section 4), one gradient per
trial; when that fails too, rounding prevents further progress. A search whose first trial promised far more than
rounding, and which gets there all the same, has a cost that does not decrease as its gradient says: once is bad luck
with a first trial, three times in a row a wrong gradient or noise.

References
----------
.. [1] L. Armijo, Pacific J. Math. 16 (1966), 1-3.
.. [2] J. Barzilai and J. Borwein, IMA J. Numer. Anal. 8 (1988), 141-148.
.. [3] W. Hager and H. Zhang, SIAM J. Optim. 16 (2005), 170-192.
.. [4] B. Iannazzo and M. Porcelli, IMA J. Numer. Anal. 38 (2018), 495-517, section 3 (on manifolds).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from ..core.status import Status
from .base import BoundStepSize, StepSize, check_positive
from .initial_guesses import initial_guess
from .line import BEYOND_ROUNDING

_ABYSS = float("-inf")
# Beyond this many contractions by 1/2 no step of a double is left.
_MAX_TRIALS = 64
# DESIGN: that many non-finite trials in a row are the function's fault.
_MAX_NONFINITE = 30
# Trials judged by the gradient before rounding is blamed: a Barzilai-Borwein step may be too long by the condition of
# the problem, and 2^10 covers most.
_MAX_GRADIENT_TRIALS = 10
# Searches in a row that end within rounding although much was promised, before the gradient is blamed.
_MAX_DOUBTFUL = 3


@dataclass(frozen=True)
class ArmijoLinesearch(StepSize):
    """Backtracking line search with sufficient decrease.

    Parameters
    ----------
    initial : float
        First trial of the first iteration.
    sufficient_decrease : float
        Fraction of the decrease promised by the slope that must be realized, in (0, 1).
    contraction : float
        Factor between trials, in (0, 1).
    initial_guess : {"barzilai-borwein", "hager-zhang", "last", "constant"} or InitialGuess
        First trial of later iterations: the Barzilai-Borwein step (or twice the last one), that of CG_DESCENT, twice
        the last accepted step, or always ``initial``; or a rule such as ``LastStepGuess(1.0)``.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    _: KW_ONLY
    initial: float = 1.0
    sufficient_decrease: float = 0.3
    contraction: float = 0.5
    initial_guess: Any = "barzilai-borwein"

    uses_cost: ClassVar[bool] = True
    needs_descent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("initial", self.initial)
        for name in ("sufficient_decrease", "contraction"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise ValueError(f"`{name}` must be between 0 and 1, both excluded; got {value!r}.")
        initial_guess(self.initial_guess)

    @property
    def first(self) -> float:
        """The first trial."""
        return self.initial

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; its memory is the last accepted step."""
        return _BoundArmijo(self) if previous is None else previous


class _BoundArmijo(BoundStepSize):
    __slots__ = ("doubtful", "guess")

    def __init__(self, rule: ArmijoLinesearch) -> None:
        super().__init__(rule)
        self.guess = initial_guess(rule.initial_guess).bind()
        self.doubtful = 0

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        if not slope < 0.0:
            return self._fail(
                Status.LINE_SEARCH_FAILED, f"the direction is not one of descent: its slope is {slope:.3g}."
            )
        rule, e = self.rule, state.evaluation
        p, f0, retract, counts = e.point, e.cost, state.retract, state.evaluations
        t = state.natural_step
        if t is None:
            t = self.guess.first(problem, state, X, slope, length)
            if t is None:
                t = rule.initial
        if t * length > state.safe_length:
            t = min(t, problem.manifold.max_step(p, X))
        rounding = 10.0 * state.eps * abs(f0)
        promised = -t * slope
        nonfinite = judged = 0
        for _ in range(_MAX_TRIALS):
            candidate = problem.evaluate(retract(p, X, t), counts)
            f = candidate.cost
            if f == _ABYSS:
                return self._fall(candidate, t)
            decrease = -t * slope
            if decrease < rounding:
                judged += 1
                expected = promised <= BEYOND_ROUNDING * rounding
                if f <= f0 + rounding and self._gradient_accepts(state, e, candidate, X, slope):
                    self.doubtful = 0 if expected else self.doubtful + 1
                    if self.doubtful == _MAX_DOUBTFUL:
                        return self._no_decrease(t * length)
                    return self._accepted(e, candidate, t, X, slope, length)
                if judged == _MAX_GRADIENT_TRIALS and expected:
                    return self._fail(
                        Status.ROUND_OFF,
                        f"the expected decrease {decrease:.1e} is below the rounding of the cost {f0:.6g}, and the "
                        "gradient does not decrease either: rounding prevents further progress.",
                    )
            elif f <= f0 - rule.sufficient_decrease * decrease:
                self.doubtful = 0
                return self._accepted(e, candidate, t, X, slope, length)
            if f - f != 0.0:
                nonfinite += 1
                if nonfinite == _MAX_NONFINITE:
                    return self._fail(
                        Status.BAD_FUNCTION, f"the cost was not finite at {nonfinite} trial points in a row."
                    )
            else:
                nonfinite = 0
            t *= rule.contraction
        return self._no_decrease(t * length)

    def _no_decrease(self, length: float) -> None:
        self._fail(
            Status.LINE_SEARCH_FAILED,
            f"the cost does not decrease along a descent direction as its slope says, down to a step of length "
            f"{length:.1e}.",
        )

    def _gradient_accepts(self, state: Any, e: Any, candidate: Any, X: Any, slope: float) -> bool:
        """Approximate Wolfe condition, together with a gradient that has not grown so that this ends."""
        norm = candidate.gradient_norm
        if not norm < e.gradient_norm:
            return False
        q = candidate.point
        end = candidate.functions.manifold.inner(q, candidate.gradient, state.transport(e.point, X, q))
        return end <= (2.0 * self.rule.sufficient_decrease - 1.0) * slope

    def _accepted(self, e: Any, candidate: Any, t: float, X: Any, slope: float, length: float) -> Any:
        self.stepsize = t
        self.guess.keep(e.point, X, slope, length, t)
        return candidate
