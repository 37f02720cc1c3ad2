"""Criteria that limit the effort: iterations, time, evaluations."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from .criterion import Bound, StoppingCriterion, check_count, check_tolerance


class _IterationBound(Bound):
    __slots__ = ("limit",)

    def __init__(self, rule: StopAfterIteration) -> None:
        self.rule, self.reason, self.limit = rule, "", rule.n

    def check(self, problem: Any, state: Any) -> bool:
        if state.iteration < self.limit:
            return False
        return self.fire(f"After {state.iteration} iterations, the limit of {self.limit} is reached.")


@dataclass(frozen=True, repr=False)
class StopAfterIteration(StoppingCriterion):
    """Stop once ``n`` iterations are done.

    Parameters
    ----------
    n : int
        At least 0; ``StopAfterIteration(0)`` only evaluates the start.
    """

    bound_type = _IterationBound
    n: int

    def __post_init__(self) -> None:
        check_count(self, "n")


@dataclass(frozen=True, repr=False)
class StopAfter(StoppingCriterion):
    """Stop at the first iteration that ends after a time, in seconds; a running iteration is never cut.

    Parameters
    ----------
    seconds : float or datetime.timedelta
        Time in the solver's own steps, what `state.elapsed` says: a pause between two parts of a resumed run, or
        time spent elsewhere while stepping by hand, does not count.
    """

    seconds: float

    def __post_init__(self) -> None:
        if isinstance(self.seconds, datetime.timedelta):
            object.__setattr__(self, "seconds", self.seconds.total_seconds())
        check_tolerance(self, "seconds")

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        if state.elapsed < self.seconds:
            return None
        return f"After {state.elapsed:.6g} seconds, the limit of {self.seconds!r} seconds is reached."


@dataclass(frozen=True, repr=False)
class StopAfterEvaluations(StoppingCriterion):
    """Stop once the user's function was called ``n`` times.

    Tested between iterations, so the last iteration may pass the limit by what it needs itself.

    Parameters
    ----------
    n : int
        At least 1.
    counter : str, optional
        Which count: ``"cost"``, ``"residual"``, ``"gradient"``, ``"hessian"``, ``"jacobian"``, ... Default: the
        calls of the cost, or of the residual in least squares. What watching cost is counted apart.
    """

    n: int
    counter: str | None = None

    def __post_init__(self) -> None:
        check_count(self, "n", least=1)
        if not (self.counter is None or isinstance(self.counter, str)):
            raise TypeError(f'`counter` of StopAfterEvaluations must be a name, as "cost"; got {self.counter!r}.')

    def why(self, problem: Any, state: Any) -> str | None:
        """See `StoppingCriterion.why`."""
        counts = state.evaluations
        # A least-squares cost comes from its residual: whichever of the two was called is what the user pays for.
        name = self.counter or ("residual" if counts.get("residual", 0) > counts.get("cost", 0) else "cost")
        used = counts.get(name, 0)
        if used < self.n:
            return None
        return f"After {used} {name} evaluations, the limit of {self.n} is reached."
