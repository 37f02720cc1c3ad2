"""The part of a solver that changes: where it is, what it knows there, and how to go one step further."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ..objectives.evaluation import Counts, Evaluation
from .status import Status

# what `initialize` says of a start point, which stays true when the state is solved again
_BAD_START = (Status.BAD_FUNCTION, Status.DIVERGED, Status.FALSE_CONVERGENCE)


class SolverState:
    """Base of all solver states.

    A subclass is one algorithm. It implements `advance`, one step; it may extend `initialize` (first evaluation) and
    `attach` (run-time objects that need the problem), and names in ``transient`` what a pickle leaves out.
    A state needs no manifold and evaluates nothing until a problem is given to `begin`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    stopping : StoppingCriterion, optional
        When to stop; default the solver's own, ``default_stopping()``.

    Attributes
    ----------
    point : array
        Current point, that of ``evaluation``.
    evaluation : Evaluation or None
        What is known at the current point; None before `begin`.
    iteration : int
        Completed steps, rejected ones included.
    status : Status
    message : str
        Why the run ended, one sentence.
    evaluations : Counts
        Calls of the user's functions by name; the only counter.
    elapsed : float
        Seconds spent inside begin, should_stop and step.
    stepsize, step_norm : float
        t and length of t X of the last accepted step; NaN before the first.
    """

    transient: ClassVar[tuple[str, ...]] = ()

    def __init__(self, p0: Any, *, stopping: Any = None) -> None:
        self.stopping = type(self).default_stopping() if stopping is None else as_stopping(stopping)
        self._start = _as_point(p0)
        self._bounds: dict[str, tuple[Any, Any]] = {}
        self._clear()

    @classmethod
    def default_stopping(cls) -> Any:
        """The solver's default stopping criterion."""
        raise NotImplementedError

    def _clear(self) -> None:
        self.evaluation: Any = None
        self.iteration = 0
        self.status = Status.NOT_RUN
        self.message = ""
        self.evaluations = Counts()
        self.elapsed = 0.0
        self.stepsize = self.step_norm = math.nan
        self._bounds.clear()
        self._checked = -1

    @property
    def point(self) -> Any:
        """Current point."""
        return self._start if self.evaluation is None else self.evaluation.point

    def reset(self, p: Any = None) -> SolverState:
        """Forget the run and start afresh, at p or at the old start point."""
        if p is not None:
            self._start = _as_point(p)
        self._clear()
        return self

    # the three verbs of the loop

    def begin(self, problem: Any) -> None:
        """Get ready to step: evaluate at the start point the first time, continue from where it stopped later."""
        clock = perf_counter()
        try:
            self._checked = -1
            if self.iteration or self.status not in _BAD_START:
                self.status, self.message = Status.RUNNING, ""
            if self.evaluation is None:
                evaluation = problem.evaluate(self._start, self.evaluations)
                self.initialize(problem, evaluation)
                self.evaluation = evaluation
            else:
                self.evaluation.attach(problem.functions(self.point, self.evaluations), self.evaluations)
            self.attach(problem)
            self._stop = self.bound("stopping", self.stopping, problem)
        finally:
            self.elapsed += perf_counter() - clock

    def should_stop(self, problem: Any) -> bool:
        """Whether the run is over; sets ``status`` and ``message`` if so. Asks the criterion once per iteration."""
        if self.status is not Status.RUNNING:
            return True
        if self._checked == self.iteration:
            return False
        clock = perf_counter()
        stop = self._stop
        if stop.check(problem, self):
            self.status, self.message = stop.status, stop.reason
        self._checked = self.iteration
        self.elapsed += perf_counter() - clock
        return self.status is not Status.RUNNING

    def step(self, problem: Any) -> None:
        """One iteration."""
        clock = perf_counter()
        try:
            self.advance(problem)
            self.iteration += 1
        finally:
            self.elapsed += perf_counter() - clock

    # what a solver implements

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """First evaluation at the start point. Default: what `needs_finite` asks for must be finite."""
        trouble = self.needs_finite(evaluation)
        if trouble:
            self.fail(Status.BAD_FUNCTION, f"{trouble} at the start point: choose another one.")

    def attach(self, problem: Any) -> None:
        """Make run-time objects that need the problem; called by every `begin`."""

    def advance(self, problem: Any) -> None:
        """One step of the algorithm."""
        raise NotImplementedError

    def needs_finite(self, evaluation: Any) -> str:
        """Evaluate at a candidate what the solver cannot do without; describe what is not finite, or ``""``."""
        norm = evaluation.gradient_norm
        return "" if norm - norm == 0.0 else "the gradient is not finite"

    def messages(self) -> list[str]:
        """Warnings about the last step."""
        return []

    # what a solver uses

    def accept(self, evaluation: Any) -> bool:
        """Move to a candidate, unless a quantity needed there is not finite: then the run ends where it is."""
        trouble = self.needs_finite(evaluation)
        if trouble:
            self.fail(Status.BAD_FUNCTION, f"{trouble} at a candidate of finite cost; the last good point is returned.")
            return False
        self.evaluation = evaluation
        return True

    def fail(self, status: Status, message: str) -> None:
        """End the run with this status and reason."""
        self.status, self.message = status, message

    def bound(self, name: str, rule: Any, problem: Any) -> Any:
        """Run-time object of a rule; an equal rule bound before keeps its memory."""
        old_rule, old = self._bounds.get(name, (None, None))
        # a changed criterion finds the memory of its unchanged parts by itself
        bound = rule.bind(problem, self, old if old_rule == rule or name == "stopping" else None)
        self._bounds[name] = (rule, bound)
        return bound

    def __getstate__(self) -> dict[str, Any]:
        leave_out = ("_stop", *self.transient)
        return {name: value for name, value in self.__dict__.items() if name not in leave_out}

    def __repr__(self) -> str:
        e: Evaluation | None = self.evaluation
        cost = f", cost {e.cost:.6g}" if e is not None and e.known("cost") else ""  # type: ignore[attr-defined]
        return f"{type(self).__name__}(iteration {self.iteration}{cost}, {self.status.name})"


def as_stopping(criterion: Any) -> Any:
    """A stopping criterion, as it is.

    Raises
    ------
    TypeError
        When it is none, before the first iteration.
    """
    if not hasattr(criterion, "bind"):
        raise TypeError(
            f"`stopping` must be a stopping criterion such as StopAfterIteration(100); got {criterion!r}. A number of "
            "iterations goes into max_iterations=."
        )
    return criterion


def _as_point(p0: Any) -> Any:
    p = np.array(p0)
    return p.astype(float) if p.dtype.kind in "iub" else p
