"""What every stopping criterion is: a frozen value, bound to a run-time object by the loop."""

from __future__ import annotations

import math
import numbers
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.status import Status
from .meaning import MEANING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .combine import StopWhenAll, StopWhenAny, StopWhenIteration, StopWhenRepeated


class Bound:
    """A criterion at work in one run: what it remembers, and why it fired.

    Attributes
    ----------
    rule : StoppingCriterion
    reason : str
        One sentence saying why it fired last, ``""`` before that.
    skipped : bool
        Whether the last check had nothing to judge (no accepted step); never true for rules that judge the point.
    """

    __slots__ = ("reason", "rule")
    memory: ClassVar[tuple[str, ...]] = ()
    """The slots that an equal rule, bound later in the same run, takes over."""
    skipped: bool = False

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        self.reason = ""

    def check(self, problem: Any, state: Any) -> bool:
        """Whether to stop at the current iteration; asked again there, it answers the same."""
        reason = self.rule.why(problem, state)
        return False if reason is None else self.fire(reason)

    def fire(self, reason: str) -> bool:
        """Keep the reason and answer True."""
        self.reason = reason
        return True

    @property
    def status(self) -> Status:
        """What a run that this criterion ends has come to."""
        return self.rule.meaning

    @property
    def converged(self) -> bool:
        """Whether that means convergence."""
        return self.status.converged

    def inner(self) -> Iterator[Bound]:
        """The bounds that this one asks."""
        return iter(())

    def tree(self) -> Iterator[Bound]:
        """Yield this bound and all below it."""
        yield self
        for bound in self.inner():
            yield from bound.tree()

    def recall(self, previous: Bound | None) -> None:
        """Take over the memory of an equal rule found in ``previous``, if there is one."""
        if previous is None or not self.memory:
            return
        for bound in previous.tree():
            if type(bound) is type(self) and bound.rule == self.rule:
                for name in self.memory:
                    setattr(self, name, getattr(bound, name))
                return

    def __repr__(self) -> str:
        return f"<{self.rule!r}: {self.reason or 'not met'}>"


@dataclass(frozen=True, repr=False)
class StoppingCriterion:
    """Base of all stopping criteria: a value that says when a solver stops.

    Criteria compose: ``a | b`` stops when either holds, ``a & b`` when both do, ``a.repeated(3)`` when a holds three
    times running, ``a.after(10)``, ``a.at(10)`` and ``a.before(10)`` when it holds at such an iteration.

    A criterion of your own is a frozen dataclass with a class attribute ``meaning`` (a `Status`) and a method `why`;
    one that remembers something names its own `Bound` in ``bound_type``.
    """

    bound_type: ClassVar[type[Bound]] = Bound
    set_by_tolerance: ClassVar[bool] = False
    """Whether the keyword ``tolerance=`` of a front function sets its field ``tolerance``."""

    @property
    def meaning(self) -> Status:
        """`Status` of a run that this criterion ends."""
        try:
            return MEANING[type(self).__name__]
        except KeyError:
            raise NotImplementedError(
                f"{type(self).__name__} does not say what it means: give it a class attribute `meaning`, a Status."
            ) from None

    @property
    def indicates_convergence(self) -> bool:
        """Whether the criterion means convergence whenever it fires."""
        return self.meaning.converged

    def why(self, problem: Any, state: Any) -> str | None:
        """One true sentence if the run should stop here, None otherwise."""
        raise NotImplementedError(f"{type(self).__name__} has neither a method `why` nor a Bound of its own.")

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """Bind the criterion to a run.

        Parameters
        ----------
        problem : Problem
        state : SolverState
        previous : Bound, optional
            The bound of an earlier part of the same run: the memory of equal rules in it is kept.

        Returns
        -------
        Bound
        """
        bound = self.bound_type(self)
        bound.recall(previous)
        return bound

    def __or__(self, other: Any) -> StopWhenAny:
        from .combine import StopWhenAny

        return StopWhenAny(self, other) if isinstance(other, StoppingCriterion) else NotImplemented

    def __and__(self, other: Any) -> StopWhenAll:
        from .combine import StopWhenAll

        return StopWhenAll(self, other) if isinstance(other, StoppingCriterion) else NotImplemented

    def repeated(self, n: int, consecutive: bool = True) -> StopWhenRepeated:
        """Stop when this holds ``n`` times: running, or in all if not ``consecutive``."""
        from .combine import StopWhenRepeated

        return StopWhenRepeated(self, n, consecutive)

    def after(self, n: int) -> StopWhenIteration:
        """Stop when this holds at an iteration k > n."""
        from .combine import StopWhenIteration

        return StopWhenIteration(self, ">", n)

    def at(self, n: int) -> StopWhenIteration:
        """Stop when this holds at iteration k = n."""
        from .combine import StopWhenIteration

        return StopWhenIteration(self, "==", n)

    def before(self, n: int) -> StopWhenIteration:
        """Stop when this holds at an iteration k < n."""
        from .combine import StopWhenIteration

        return StopWhenIteration(self, "<", n)

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is neither true nor false, so `a and b` would silently be `b`: "
            "write `a & b`, `a | b`, or `criterion is None`."
        )

    def __repr__(self) -> str:
        shown = []
        for i, field in enumerate(fields(self)):
            value = getattr(self, field.name)
            if i == 0 or field.default is MISSING or value != field.default:
                shown.append(repr(value) if i == 0 else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def check_number(rule: Any, name: str) -> None:
    """Raise unless the field is a number that is not NaN; make it a Python float."""
    value = getattr(rule, name)
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` of {type(rule).__name__} must be a number; got {value!r}.")
    if math.isnan(value):
        raise ValueError(f"`{name}` of {type(rule).__name__} must be a number; got nan, which nothing is less than.")
    object.__setattr__(rule, name, float(value))


def check_tolerance(rule: Any, name: str = "tolerance") -> None:
    """Raise unless the field is a number >= 0 (0 switches the rule off); make it a Python float."""
    check_number(rule, name)
    if getattr(rule, name) < 0:
        raise ValueError(f"`{name}` of {type(rule).__name__} must be >= 0; got {getattr(rule, name)!r}.")


def check_count(rule: Any, name: str, least: int = 0) -> None:
    """Raise unless the field is an integer >= least; make it a Python int."""
    value = getattr(rule, name)
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"`{name}` of {type(rule).__name__} must be an integer; got {value!r}.")
    if value < least:
        raise ValueError(f"`{name}` of {type(rule).__name__} must be >= {least}; got {value!r}.")
    object.__setattr__(rule, name, int(value))


def shown(value: float, limit: float) -> str:
    """A value below its limit, with four digits where they tell the truth and all of them otherwise."""
    short = f"{value:.4g}"
    return short if float(short) < limit else repr(float(value))
