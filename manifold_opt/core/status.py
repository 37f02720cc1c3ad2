"""How a run ended: the one table of outcomes."""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """Why a solver stopped, or that it has not.

    Each member's value is one sentence for users; `converged` says whether it means success.
    """

    NOT_RUN = "the solver has not run"
    RUNNING = "the solver is running"
    CONVERGED = "a convergence criterion is met"
    TARGET_REACHED = "the cost reached its target"
    ITERATION_LIMIT = "the limit of iterations is reached"
    EVALUATION_LIMIT = "the limit of evaluations is reached"
    TIME_LIMIT = "the time limit is reached"
    STALLED = "the iterates do not change any more"
    LINE_SEARCH_FAILED = "the line search found no acceptable step"
    LINEAR_SOLVE_FAILED = "the linear system of the step could not be solved"
    ROUND_OFF = "rounding errors prevent further progress"
    FALSE_CONVERGENCE = "the iterates converge to a point that is not stationary"
    BAD_FUNCTION = "the user's function returned NaN or infinity where a finite value is needed"
    DIVERGED = "the cost is unbounded below or the iterates diverge"
    INTERRUPTED = "the run was interrupted"
    STOPPED_BY_CALLBACK = "a callback asked to stop"

    @property
    def converged(self) -> bool:
        """Whether this outcome means that the problem is solved."""
        return self in _CONVERGED


_CONVERGED = frozenset({Status.CONVERGED, Status.TARGET_REACHED})
