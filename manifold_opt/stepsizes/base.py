"""How far to go along a direction."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..core.status import Status


class StepSize:
    """Base of all step-size rules: frozen values, bound at run time."""

    __slots__ = ()
    uses_cost: ClassVar[bool] = False
    """Whether the cost must be finite at the start point."""
    needs_descent: ClassVar[bool] = False
    """Whether the rule is a search, which finds nothing along a direction that does not descend."""

    def __post_init__(self) -> None:
        # a scalar of NumPy is no weak one: a float64 would turn a run in single precision into one in double
        for name, value in vars(self).items():
            if isinstance(value, np.floating):
                object.__setattr__(self, name, float(value))

    @property
    def first(self) -> float:
        """A step size to reckon with before any was found."""
        return 1.0

    def bind(self, problem: Any, state: Any, previous: Any = None) -> Any:
        """Run-time object with the rule's memory; ``previous`` is that of an equal rule, to be continued."""
        raise NotImplementedError


class BoundStepSize:
    """Run-time side of a step-size rule.

    Attributes
    ----------
    rule : StepSize
    stepsize : float
        t of the last search.
    status : Status
        Why the last search failed.
    reason : str
        The same as a sentence.
    abyss : Evaluation or None
        Where a search that ended with ``DIVERGED`` found the cost -inf.
    """

    __slots__ = ("abyss", "reason", "rule", "status", "stepsize")

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        self.abyss: Any = None
        self.stepsize = math.nan
        self.status = Status.LINE_SEARCH_FAILED
        self.reason = ""

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        """Evaluation of an accepted candidate retract(p, X, stepsize), or None with ``status`` and ``reason``.

        Parameters
        ----------
        problem : Problem
        state : SolverState
            Offers ``evaluation`` (at p) and the resolved ``retract`` and ``transport``.
        X : array
            Direction, a tangent vector at p.
        slope : float
            Inner product of the gradient and X.
        length : float
            Norm of X.
        """
        raise NotImplementedError

    def _fail(self, status: Status, reason: str) -> None:
        self.status, self.reason = status, reason

    def _fall(self, candidate: Any, t: float) -> None:
        """Fail because the cost at a trial point is -inf: there is nothing to go on from, and nothing lower."""
        self.abyss, self.stepsize = candidate, t
        self._fail(Status.DIVERGED, f"the cost is -inf at a step size of {t:.3g}: it is unbounded below.")


def check_positive(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
        raise ValueError(f"`{name}` must be a positive finite number; got {value!r}.")
