r"""One L-BFGS step of many points at once, as TensorFlow Probability takes it.

All points share every evaluation: a search goes on for all as long as one needs it, and what it finds for points that
are finished is masked. The memory is a queue of m pairs, zero where nothing has been learned yet, and the direction is
that of the two-loop recursion in which 0 / 0 is 0. On a manifold the queue is transported with the points.

References
----------
.. [1] J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, Springer 2006, algorithm 7.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.status import Status
from ..stepsizes.hager_zhang import HagerZhangLinesearch
from ..stepsizes.hager_zhang_tfp import DEFAULTS, Trials, hager_zhang


@dataclass(frozen=True)
class Tolerances:
    """When a member of a batch has converged: any of the four, with <=.

    Parameters
    ----------
    gradient : float
        Of the largest absolute entry of the gradient.
    position : float
        Of the largest absolute entry of the change of the stored point.
    relative, absolute : float
        Of the change of the cost, relative to the cost before (which never holds for negative costs), and absolute.
    """

    gradient: float = 1e-8
    position: float = 0.0
    relative: float = 0.0
    absolute: float = 0.0

    def at_start(self, M: Any, e: Any) -> Any:
        """Which members are converged at the start: strictly less, and only at finite costs."""
        return np.isfinite(e.cost) & (_size(e.gradient, M.vector_shape) < self.gradient)

    def met(self, M: Any, old: Any, new: Any) -> Any:
        """Which members are converged after a step."""
        with np.errstate(invalid="ignore"):
            change = np.abs(new.cost - old.cost)
            return (
                (_size(new.gradient, M.vector_shape) <= self.gradient)
                | (_size(new.point - old.point, M.point_shape) <= self.position)
                | (change <= self.relative * old.cost)
                | (change <= self.absolute)
            )


def begin(state: Any, problem: Any, e: Any) -> None:
    """Masks and an empty memory at the start."""
    M = problem.manifold
    batch = np.shape(e.cost)
    state.converged = np.zeros(batch, bool) if state.tolerances is None else state.tolerances.at_start(M, e)
    state.failed = np.zeros(batch, dtype=bool)
    state.queue = np.zeros((2, state.memory, *batch, *M.vector_shape), dtype=e.point.dtype)


def step(state: Any, problem: Any) -> None:
    """One iteration of all members that are not finished."""
    M, e, members = problem.manifold, state.evaluation, state.members
    if members is not None:
        running = members.running
        state.converged, state.failed = members.converged, ~running & ~members.converged
    _judge(state, e)
    active = ~(state.converged | state.failed)
    if not np.any(active):
        return
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        X = np.where(_over(active, M), _direction(M, e, state.queue, state.iteration), 0.0).astype(e.point.dtype)
        new, t, found = _searched(state, problem, e, X, ~active)
    state.failed = state.failed | (~state.converged & ~found)
    state.evaluation = new
    _judge(state, new)
    if members is None:
        state.converged = state.converged | (~state.failed & state.tolerances.met(M, e, new))
    else:
        members.iterations[running] += 1
        members.end(new.cost == -np.inf, Status.DIVERGED)
        members.end(state.failed & ~found, Status.LINE_SEARCH_FAILED)
        members.end(state.failed, Status.BAD_FUNCTION)
    state.stepsize = np.where(active, t, 0.0)
    state.step_norm = state.stepsize * M.norm(e.point, X)
    _learn(state, M, e, new, _over(state.stepsize, M) * X)


def _judge(state: Any, e: Any) -> None:
    """A cost of -inf is the end with success; any other that is not finite, or such a gradient, the end without."""
    state.converged = state.converged | (e.cost == -np.inf)
    axes = tuple(range(np.ndim(e.cost), np.ndim(e.gradient)))
    bad = ~np.isfinite(e.cost) | np.any(~np.isfinite(e.gradient), axis=axes)
    state.failed = state.failed | (~state.converged & bad)


def _direction(M: Any, e: Any, queue: Any, iteration: int) -> Any:
    """Minus H g by the two loops."""
    p, q, (S, Y) = e.point, e.gradient, queue
    known = min(iteration, len(S))
    if known == 0:
        return -q
    sy, alpha = M.inner(p, S, Y), {}
    for i in range(len(S) - 1, len(S) - known - 1, -1):
        alpha[i] = _ratio(M.inner(p, S[i], q), sy[i])
        q = q - _over(alpha[i], M) * Y[i]
    r = _over(sy[-1] / M.inner(p, Y[-1], Y[-1]), M) * q
    for i in range(len(S) - known, len(S)):
        beta = _ratio(M.inner(p, Y[i], r), sy[i])
        r = r + _over(alpha[i] - beta, M) * S[i]
    return -r


def _searched(state: Any, problem: Any, e: Any, X: Any, idle: Any) -> tuple[Any, Any, Any]:
    """Evaluation at the points that the search found, its step sizes, and where it found any."""
    M, rule = problem.manifold, state.step_rule
    calls: list[Any] = []

    def evaluate(t: Any) -> Trials:
        t = np.asarray(t, dtype=e.point.dtype) + np.zeros_like(e.cost)
        new = problem.evaluate(state.retract(e.point, X, t), state.evaluations)
        calls.append(new)
        slope = M.inner(new.point, new.gradient, state.transport(e.point, X, new.point))
        return Trials(t, np.asarray(new.cost), np.asarray(slope), np.full(np.shape(t), len(calls) - 1))

    zero = Trials(
        np.zeros_like(e.cost), e.cost, np.asarray(M.inner(e.point, e.gradient, X)), np.full(np.shape(e.cost), -1)
    )
    parameters = {name: getattr(rule, name) for name in DEFAULTS}
    first = 1.0 if rule.initial is None else rule.initial
    found = hager_zhang(evaluate, zero, first, converged=idle, max_iterations=rule.max_trials, **parameters)
    return _gathered(problem, state, e, calls, found.left.index), found.left.x, found.converged


def _gathered(problem: Any, state: Any, e: Any, calls: list[Any], index: Any) -> Any:
    """One evaluation that holds for each member what the call of its index found; -1 is where it was."""
    numbers = np.unique(index)
    if len(numbers) == 1:
        return e if numbers[0] < 0 else calls[numbers[0]]
    M = problem.manifold
    point, cost, gradient = e.point, e.cost, e.gradient
    for k in numbers[numbers >= 0]:
        mask, new = index == k, calls[k]
        point = np.where(_over(mask, M, M.point_shape), new.point, point)
        cost, gradient = np.where(mask, new.cost, cost), np.where(_over(mask, M), new.gradient, gradient)
    return known(problem, point, cost, gradient, state.evaluations)


def known(problem: Any, point: Any, cost: Any, gradient: Any, counts: Any) -> Any:
    """Evaluation of which cost and gradient are known already."""
    e = problem.evaluate(point, counts)
    e._cost, e._gradient = cost, gradient
    return e


def _learn(state: Any, M: Any, old: Any, new: Any, tX: Any) -> None:
    """Push the pairs of the members that go on; transport the memory of all."""
    p, q = old.point, new.point
    if q is p:
        return
    pair = state.transport(p, np.stack([tX, old.gradient]), q)
    queue = state.transport(p, state.queue, q)
    s, y = pair[0], new.gradient - pair[1]
    goes_on = _over(~(state.converged | state.failed), M)
    pushed = np.concatenate([queue[:, 1:], np.stack([s, y])[:, None]], axis=1)
    with np.errstate(invalid="ignore"):
        state.queue = np.where(goes_on, pushed, queue).astype(state.queue.dtype, copy=False)


def check_search(rule: Any) -> None:
    """Raise ValueError unless the step size is one that batches know."""
    if not (isinstance(rule, HagerZhangLinesearch) and rule.compatible == "tfp"):
        raise ValueError(f"a batch searches by HagerZhangLinesearch(compatible='tfp') only; got {rule!r}.")


def _over(a: Any, M: Any, shape: Any = None) -> Any:
    """A number per member, ready to multiply vectors."""
    return np.reshape(a, np.shape(a) + (1,) * len(M.vector_shape if shape is None else shape))


def _size(X: Any, shape: Any) -> Any:
    """Largest absolute entry per member."""
    return np.max(np.abs(X), axis=tuple(range(-len(shape), 0)))


def _ratio(a: Any, b: Any) -> Any:
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))
