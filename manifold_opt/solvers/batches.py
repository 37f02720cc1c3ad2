"""What solvers of batches share: which members still run, how the others have ended, and the loop's question."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from ..core.status import Status
from ..stopping.members import ended

_STATUS = tuple(Status)
_LIMITS = (Status.ITERATION_LIMIT, Status.EVALUATION_LIMIT, Status.TIME_LIMIT)


class Members:
    """The members of a batch in one run.

    Parameters
    ----------
    shape : tuple of int
        Leading axes of the points.

    Attributes
    ----------
    codes : array of int
        Which of all `Status` each has.
    running : array of bool
        Those that go on.
    iterations : array of int
        Steps that each member took part in.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.codes = np.full(shape, _STATUS.index(Status.RUNNING))
        self.running = np.ones(shape, dtype=bool)
        self.iterations = np.zeros(shape, dtype=int)

    @property
    def status(self) -> Any:
        """How each has ended, an array of Status."""
        table = np.empty(len(_STATUS), object)
        table[:] = _STATUS
        return table[self.codes]

    @property
    def converged(self) -> Any:
        """Mask of those that ended with success."""
        return np.array([status.converged for status in _STATUS])[self.codes]

    def end(self, mask: Any, status: Status) -> None:
        """End the members of a mask, unless they have ended already."""
        mask = mask & self.running
        if mask.any():
            self.codes[mask] = _STATUS.index(status)
            self.running = self.running & ~mask


def begin(state: Any, problem: Any, e: Any) -> None:
    """A new run of the members from where they are; those whose numbers are not finite there have ended."""
    p, k = e.point, len(problem.manifold.point_shape)
    state.members = members = Members(p.shape[: p.ndim - k])
    state.stepsize = state.step_norm = np.full(members.shape, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        members.end(e.cost == -np.inf, Status.DIVERGED)
        members.end(~(np.isfinite(e.cost) & np.isfinite(e.gradient_norm)), Status.BAD_FUNCTION)


def resume(state: Any) -> None:
    """Let the members go on that a limit has ended, when the run is continued."""
    members = state.members
    if members is not None:
        again = np.isin(members.codes, [_STATUS.index(status) for status in _LIMITS])
        members.codes[again] = _STATUS.index(Status.RUNNING)
        members.running = members.running | again


def should_stop(state: Any, problem: Any) -> bool:
    """Whether all members have ended; what has ended is frozen from here on."""
    if state.status is not Status.RUNNING:
        return True
    if state._checked == state.iteration:
        return False
    clock = perf_counter()
    fired = ended(state.stopping, state)
    for mask, status in sorted(fired, key=lambda pair: not pair[1].converged):  # converging ones first
        state.members.end(mask, status)
    state._checked = state.iteration
    if not state.members.running.any():
        _end(state)
    state.elapsed += perf_counter() - clock
    return state.status is not Status.RUNNING


def _end(state: Any) -> None:
    members = state.members
    counts = {_STATUS[code]: int(n) for code, n in zip(*np.unique(members.codes, return_counts=True), strict=True)}
    converged = sum(n for status, n in counts.items() if status.converged)
    total = members.codes.size
    others = ", ".join(f"{n} {status.name}" for status, n in counts.items() if not status.converged)
    worst = next((status for status in counts if not status.converged), Status.CONVERGED)
    state.status = worst
    state.message = f"{converged} of {total} members have converged{f'; the others: {others}' if others else ''}."


def over(a: Any, axes: int) -> Any:
    """A number per member, ready to multiply arrays with so many axes of their own."""
    return np.reshape(a, np.shape(a) + (1,) * axes)


def merged(problem: Any, old: Any, new: Any, mask: Any, counts: Any) -> Any:
    """Evaluation with the points and what is known of ``new`` for the members of the mask, of ``old`` elsewhere."""
    M = problem.manifold
    k = len(M.point_shape)
    e = problem.evaluate(np.where(over(mask, k), new.point, old.point), counts)
    for name in old.quantities:
        if old.known(name) and new.known(name):
            a, b = getattr(new, "_" + name), getattr(old, "_" + name)
            setattr(e, "_" + name, np.where(over(mask, np.ndim(b) - np.ndim(mask)), a, b))
    return e
