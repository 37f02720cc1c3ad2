"""Gradient descent of many points at once: every trial is one call for all, and members that are done stay put."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.status import Status
from ..directions.base import Gradient
from ..stepsizes import ArmijoLinesearch, ConstantLength
from ..stepsizes.initial_guesses import BarzilaiBorweinGuess, initial_guess
from .batches import merged, over

_MAX_TRIALS = 64
_MAX_GRADIENT_TRIALS = 10


def check_rules(state: Any) -> None:
    """Raise ValueError unless direction and step size are ones that batches know."""
    if type(state.direction) is not Gradient:
        raise ValueError(f"a batch goes along minus the gradient only; got direction={state.direction!r}.")
    rule = state.step_rule
    guessed = isinstance(rule, ArmijoLinesearch) and isinstance(initial_guess(rule.initial_guess), BarzilaiBorweinGuess)
    if not (guessed or isinstance(rule, ConstantLength)):
        raise ValueError(
            f"a batch takes ConstantLength or ArmijoLinesearch with the Barzilai-Borwein guess; got stepsize={rule!r}."
        )


def step(state: Any, problem: Any) -> None:
    """One step of all members that run."""
    e, members = state.evaluation, state.members
    norm = e.gradient_norm
    members.end(norm == 0.0, Status.CONVERGED)
    running = members.running
    X = np.where(over(running, len(problem.manifold.vector_shape)), -e.gradient, 0.0).astype(e.gradient.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        search = _constant if isinstance(state.step_rule, ConstantLength) else _armijo
        new, t, taken = search(state, problem, e, X, running)
        if taken.any():
            _finish(state, problem, e, X, new, t, taken)
    members.iterations[running] += 1


def _finish(state: Any, problem: Any, e: Any, X: Any, new: Any, t: Any, taken: Any) -> None:
    """Move the members whose gradient is finite where they go; end the others where they are."""
    good = np.isfinite(new.gradient_norm)
    state.members.end(taken & ~good, Status.BAD_FUNCTION)
    if not (good | ~taken).all():
        new = merged(problem, e, new, good, state.evaluations)
    moved = taken & good
    state._last = e.point, X, e.gradient_norm, t, moved
    state.evaluation = new
    state.stepsize = np.where(moved, t, state.stepsize)
    state.step_norm = np.where(moved, t * e.gradient_norm, state.step_norm)


def _constant(state: Any, problem: Any, e: Any, X: Any, running: Any) -> tuple[Any, Any, Any]:
    rule = state.step_rule
    t = np.full(running.shape, rule.length, e.gradient_norm.dtype)
    if rule.type == "absolute":
        t = t / np.where(e.gradient_norm > 0.0, e.gradient_norm, 1.0)
    return problem.evaluate(_retracted(state, e, X, t, running), state.evaluations), t, running


def _retracted(state: Any, e: Any, X: Any, t: Any, mask: Any) -> Any:
    """Points of the mask after a step, the others untouched, to the last bit."""
    p = e.point
    return np.where(over(mask, p.ndim - mask.ndim), state.retract(p, X, np.where(mask, t, 0.0).astype(t.dtype)), p)


def _first(state: Any, problem: Any, e: Any, X: Any) -> Any:
    """First trials: the step of Barzilai and Borwein, twice the last one without positive curvature, or the rule's."""
    norm = e.gradient_norm
    initial = np.full(norm.shape, state.step_rule.initial, norm.dtype)
    if state._last is None:
        return initial
    M, p = problem.manifold, e.point
    start, X_last, norm_last, t_last, moved = state._last
    change = M.inner(p, e.gradient, state.transport(start, X_last, p)) + norm_last**2
    step = t_last * norm_last**2 / np.where(change > 0.0, change, 1.0)
    usable = (change > 0.0) & (step > 0.0) & (step < np.finfo(norm.dtype).max)
    return np.where(moved, np.where(usable, step, 2.0 * t_last), initial)


def _armijo(state: Any, problem: Any, e: Any, X: Any, running: Any) -> tuple[Any, Any, Any]:
    """Backtracking as in `manifold_opt.stepsizes.armijo`, with one cost for all in each trial."""
    rule, M, f0, square = state.step_rule, problem.manifold, e.cost, e.gradient_norm**2
    t = _first(state, problem, e, X)
    far = t * e.gradient_norm > state.safe_length
    if np.any(far & running):
        t = np.where(far, np.minimum(t, M.max_step(e.point, X)), t)
    rounding = 10.0 * state.eps * np.abs(f0)
    waiting, taken, judged = running.copy(), np.zeros_like(running), np.zeros(running.shape, int)
    new = e
    for _ in range(_MAX_TRIALS):
        trial = problem.evaluate(_retracted(state, e, X, t, waiting), state.evaluations)
        f = trial.cost
        state.members.end(waiting & (f == -np.inf), Status.DIVERGED)
        drop = t * square
        seen = drop >= rounding
        ok = waiting & seen & (f <= f0 - rule.sufficient_decrease * drop)
        close = waiting & ~seen & (f <= f0 + rounding)
        if close.any():
            ok |= close & _gradient_accepts(state, M, e, trial, X, square)
        judged += waiting & ~seen
        new = trial if ok.all() else merged(problem, new, trial, ok, state.evaluations)
        taken |= ok
        blunt = waiting & ~ok & (judged >= _MAX_GRADIENT_TRIALS)
        state.members.end(blunt, Status.ROUND_OFF)
        waiting = waiting & ~ok & ~blunt & state.members.running
        if not waiting.any():
            break
        t = np.where(waiting, rule.contraction * t, t).astype(t.dtype)
    state.members.end(waiting & ~np.isfinite(f), Status.BAD_FUNCTION)
    state.members.end(waiting, Status.LINE_SEARCH_FAILED)
    return new, t, taken


def _gradient_accepts(state: Any, M: Any, e: Any, trial: Any, X: Any, square: Any) -> Any:
    """Approximate Wolfe condition with a gradient that has not grown."""
    q = trial.point
    end = M.inner(q, trial.gradient, state.transport(e.point, X, q))
    slope = -(2.0 * state.step_rule.sufficient_decrease - 1.0) * square
    return (trial.gradient_norm < e.gradient_norm) & (end <= slope)
