"""The Hager-Zhang search as TensorFlow Probability does it, evaluation by evaluation, for one line or a batch of them.

All lines of a batch are evaluated together as long as one of them needs it; each call counts once. A trial is a tuple
of arrays of the batch shape; what else is known there is found through ``index``, the number of the call. Differences
from the published algorithm, kept on purpose so that counts agree: the first trial is only ever an end of the bracket,
+inf counts as too high and NaN as a failure, -inf ends the search with success, and bisection has no limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..core.status import Status
from .line import BoundLineSearch, Line, SearchEnds, Trial

DEFAULTS = {"sufficient_decrease": 0.1, "curvature": 0.9, "epsilon": 1e-6, "shrinkage": 0.66, "expansion": 5.0}


class Trials(NamedTuple):
    """Step sizes, costs, slopes, and the number of the call they come from; one of each per line."""

    x: Any
    f: Any
    df: Any
    index: Any


@dataclass(frozen=True)
class Interval:
    """Brackets of all lines, and how far the search has come on each.

    Attributes
    ----------
    left, right : Trials
    converged, failed : array of bool
    iterations : array of int
    """

    left: Trials
    right: Trials
    converged: Any
    failed: Any
    iterations: Any

    @property
    def active(self) -> Any:
        """Where there is something left to do."""
        return ~(self.converged | self.failed)


Evaluate = Callable[[Any], Trials]


def hager_zhang(
    evaluate: Evaluate,
    zero: Trials,
    initial: Any,
    *,
    converged: Any = None,
    max_iterations: int = 50,
    **parameters: float,
) -> Interval:
    """Search on all lines.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(t) -> Trials`` for an array of step sizes.
    zero : Trials
        At t = 0.
    initial : array
        First trials.
    converged : array of bool, optional
        Lines on which there is nothing to do.
    max_iterations : int
        Of bracketing and secant steps together.
    **parameters
        See `HagerZhangLinesearch`; those that are missing are `DEFAULTS`.

    Returns
    -------
    Interval
        Its left end is the step found.
    """
    own = {**DEFAULTS, **parameters}
    first = evaluate(initial)
    roof = zero.f + own["epsilon"] * np.abs(zero.f)
    valid = _finite(zero) & (zero.df < 0) & np.isfinite(first.x) & (first.x > 0)
    done = np.zeros(np.shape(valid), dtype=bool) if converged is None else np.asarray(converged)
    start = Interval(zero, where(done, zero, first), done, ~done & ~valid, np.zeros(np.shape(valid), dtype=int))
    if not np.any(start.active):
        return start
    found, failed = bracket(evaluate, start, roof, max_iterations, own["expansion"])
    done = start.converged | _adjacent(found.left.x, found.right.x)
    exhausted = ~done & (found.iterations >= max_iterations)
    now = replace(found, converged=done, failed=failed | exhausted)
    while np.any((now.iterations < max_iterations) & now.active):
        now = _narrowed(evaluate, now, zero, roof, own)
    return now


def _narrowed(evaluate: Evaluate, old: Interval, zero: Trials, roof: Any, own: dict[str, float]) -> Interval:
    """One double secant step on every active line, and a bisection where it did not shrink the bracket enough."""
    new = secant2(evaluate, zero, old, roof, own["sufficient_decrease"], own["curvature"])
    new = replace(
        new,
        iterations=old.iterations + old.active,
        converged=new.converged & ~old.failed,
        failed=new.failed | old.failed,
    )
    asked = new.active
    if np.any(asked):
        small = (new.right.x - new.left.x) < (old.right.x - old.left.x) * own["shrinkage"]
        flat = _adjacent(old.left.f, old.right.f) & _adjacent(new.left.f, new.right.f)
        new = replace(new, converged=new.converged | (asked & small & flat))
        slow = asked & ~small
        if np.any(slow):
            new = _halved(evaluate, new, slow, roof)
    return replace(new, converged=new.converged | (~new.failed & _adjacent(new.left.x, new.right.x)))


def _halved(evaluate: Evaluate, now: Interval, slow: Any, roof: Any) -> Interval:
    middle = evaluate((now.left.x + now.right.x) / 2)
    good = slow & _finite(middle)
    now = replace(now, failed=now.failed | (slow & ~_finite(middle)))
    if not np.any(good):
        return now
    left, right, failed = update(evaluate, now.left, now.right, middle, roof, good)
    return replace(now, left=left, right=right, failed=now.failed | failed)


def bracket(
    evaluate: Evaluate, start: Interval, roof: Any, max_iterations: int, expansion: float = 5.0
) -> tuple[Interval, Any]:
    """Steps B0 to B3: expand the right end until it rises, bisect where it is too high. Returns what failed too."""
    idle = start.failed | start.converged
    left, right, iterations = start.left, start.right, start.iterations
    failed = start.failed | _nan(right)
    stopped = idle | failed | _abyss(right) | _rises(right) | _too_high(right, roof)
    while np.any((iterations < max_iterations) & ~stopped):
        trial = evaluate(expansion * right.x)
        left, right = where(stopped, left, right), where(stopped, right, trial)
        iterations = iterations + ~stopped
        failed = failed | _nan(right)
        stopped = stopped | failed | _abyss(right) | _rises(right) | _too_high(right, roof)
    left = where(_abyss(right), right, where(_too_high(right, roof), start.left, left))
    stopped = idle | failed | _abyss(right) | _rises(right)
    left, right, failed = _bisected(evaluate, left, right, roof, stopped, failed)
    return Interval(left, right, start.converged, start.failed, iterations), failed


def bisect(evaluate: Evaluate, left: Trials, right: Trials, roof: Any) -> tuple[Trials, Trials, Any]:
    """Step U3: halve until the right end rises. Returns the new ends and what failed."""
    failed = ~_finite(left) | np.isnan(right.f)
    stopped = failed | _abyss(right) | ~_too_high(right, roof)
    return _bisected(evaluate, where(_abyss(right), right, left), right, roof, stopped, failed)


def _bisected(
    evaluate: Evaluate, left: Trials, right: Trials, roof: Any, stopped: Any, failed: Any
) -> tuple[Trials, Trials, Any]:
    while not np.all(stopped):
        middle = evaluate((left.x + right.x) / 2)
        fallen = _abyss(middle)
        lost = _nan(middle) | (middle.x == left.x) | (middle.x == right.x)
        failed = failed | (~fallen & ~stopped & lost)
        move = ~(stopped | failed)
        low = (middle.df < 0) & (middle.f <= roof)
        left = where(move & (low | fallen), middle, left)
        right = where(move & (~low | fallen), middle, right)
        stopped = stopped | failed | fallen | _rises(right)
    return left, right, failed


def update(
    evaluate: Evaluate, left: Trials, right: Trials, trial: Trials, roof: Any, active: Any = True
) -> tuple[Trials, Trials, Any]:
    """Steps U0 to U3: the part of the bracket on the right side of a trial. Returns the new ends and what failed."""
    inside = (left.x < trial.x) & (trial.x < right.x) & active
    low = (trial.df < 0) & (trial.f <= roof)
    bisected = inside & (trial.df < 0) & (trial.f > roof)
    left, right = where(inside & low, trial, left), where(inside & ~low, trial, right)
    return _bisected(evaluate, left, right, roof, ~bisected, np.zeros(np.shape(inside), dtype=bool))


def secant2(
    evaluate: Evaluate, zero: Trials, old: Interval, roof: Any, delta: float = 0.1, sigma: float = 0.9
) -> Interval:
    """Steps S1 to S4: two secant steps, ended early where a trial is acceptable."""
    c = evaluate(_secant(old.left, old.right))
    fallen = _abyss(c)
    failed = ~old.converged & (old.failed | (~fallen & ~_finite(c)))
    converged = old.converged | fallen | (~failed & _wolfe(zero, c, roof, delta, sigma))
    new = converged & ~old.converged
    left, right, active = where(new, c, old.left), where(new, c, old.right), ~failed & ~converged
    now = replace(old, left=left, right=right, converged=converged, failed=failed)
    if not np.any(active):
        return now
    moved_left, moved_right, lost = update(evaluate, left, right, c, roof, active)
    failed, active = failed | lost, active & ~lost
    a, b = where(active, moved_left, left), where(active, moved_right, right)
    from_left, from_right = active & (a.x == c.x), active & (b.x == c.x)
    t = np.where(from_left, _secant(left, a), c.x)
    t = np.where(from_right, _secant(right, b), t)
    inside = (a.x <= t) & (t <= b.x)
    now = replace(now, left=a, right=b, failed=failed)
    again = bool(np.any(inside & (from_left | from_right)))
    active = active & inside
    if not np.any(active):
        if again:
            evaluate(t)
        return now
    return _second(evaluate, zero, now, evaluate(t) if again else c, active, roof, delta, sigma)


def _second(
    evaluate: Evaluate, zero: Trials, now: Interval, c: Trials, active: Any, roof: Any, delta: float, sigma: float
) -> Interval:
    failed = now.failed | (active & ~_finite(c))
    active = active & _finite(c)
    found = active & _wolfe(zero, c, roof, delta, sigma)
    left, right, active = where(found, c, now.left), where(found, c, now.right), active & ~found
    if np.any(active):
        left, right, lost = update(evaluate, left, right, c, roof, active)
        failed = failed | lost
    return replace(now, left=left, right=right, converged=now.converged | found, failed=failed)


def where(mask: Any, yes: Trials, no: Trials) -> Trials:
    """Line by line one trial or the other."""
    return Trials(*(np.where(mask, a, b) for a, b in zip(yes, no, strict=True)))


def _finite(c: Trials) -> Any:
    return np.isfinite(c.f) & np.isfinite(c.df)


def _nan(c: Trials) -> Any:
    return np.isnan(c.f) | (np.isfinite(c.f) & np.isnan(c.df))


def _abyss(c: Trials) -> Any:
    return np.asarray(c.f == -np.inf)


def _rises(c: Trials) -> Any:
    return np.isfinite(c.f) & (c.df >= 0)


def _too_high(c: Trials, roof: Any) -> Any:
    return (c.f == np.inf) | ((c.df < 0) & (c.f > roof))


def _adjacent(x: Any, y: Any) -> Any:
    return np.nextafter(x, y) >= y


def _secant(a: Trials, b: Trials) -> Any:
    return _ratio(a.x * b.df - b.x * a.df, b.df - a.df)


def _ratio(a: Any, b: Any) -> Any:
    """The quotient a / b, zero where b is."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def _wolfe(zero: Trials, c: Trials, roof: Any, delta: float, sigma: float) -> Any:
    curved = c.df >= sigma * zero.df
    exact = delta * zero.df >= _ratio(c.f - zero.f, c.x)
    approximate = (c.f <= roof) & ((2 * delta - 1) * zero.df >= c.df)
    return curved & (exact | approximate)


class BoundHagerZhangTFP(BoundLineSearch):
    """The search on one line, for solvers that are not batched."""

    __slots__ = ()

    def find(self, line: Line, t: float) -> Trial:
        """See `BoundLineSearch.find`."""
        rule = self.rule
        calls: list[Trial] = []

        def evaluate(x: Any) -> Trials:
            t = line.cap(float(x))
            trial = line(t)
            calls.append(trial)
            return Trials(*map(np.asarray, (t, trial.f, trial.slope, len(calls) - 1)))

        zero = Trials(np.asarray(0.0), np.asarray(line.f0), np.asarray(line.slope), np.asarray(-1))
        parameters = {name: getattr(rule, name) for name in DEFAULTS}
        # TFP counts brackets and secant steps, not trials; the line's own limit stays as the end of all bisection.
        line.max_trials = 64 * rule.max_trials
        first = 1.0 if rule.initial is None else rule.initial
        with np.errstate(invalid="ignore"):
            found = hager_zhang(evaluate, zero, np.asarray(first), max_iterations=rule.max_trials, **parameters)
        index = int(found.left.index)
        if not found.converged or index < 0:
            raise SearchEnds(Status.LINE_SEARCH_FAILED, f"the search ended at the step size {float(found.left.x):.3g}")
        return calls[index]
