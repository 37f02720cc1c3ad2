"""Criteria made of criteria: any, all, repeated, at certain iterations."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.status import Status
from .criterion import Bound, StoppingCriterion, check_count


class _CombinedBound(Bound):
    """Several bounds, all asked at every iteration: those that remember must not miss one."""

    __slots__ = ("parts", "winner")

    def __init__(self, rule: Any, parts: tuple[Bound, ...]) -> None:
        super().__init__(rule)
        self.parts = parts
        self.winner = parts[0]

    def inner(self) -> Iterator[Bound]:
        return iter(self.parts)

    @property
    def status(self) -> Status:
        return self.winner.status

    @property
    def skipped(self) -> bool:  # type: ignore[override]  # a slot or a constant elsewhere
        return all(part.skipped for part in self.parts)

    def win(self, fired: list[Bound]) -> Bound:
        """Of the parts that fired, the first that means convergence, else the first."""
        self.winner = next((part for part in fired if part.converged), fired[0])
        return self.winner


class _AnyBound(_CombinedBound):
    __slots__ = ()

    def check(self, problem: Any, state: Any) -> bool:
        fired = None
        for part in self.parts:
            if part.check(problem, state):
                if fired is None:
                    fired = [part]
                else:
                    fired.append(part)
        return False if fired is None else self.fire(self.win(fired).reason)


class _AllBound(_CombinedBound):
    __slots__ = ()

    def check(self, problem: Any, state: Any) -> bool:
        fired = [part for part in self.parts if part.check(problem, state)]
        if len(fired) < len(self.parts):
            return False
        self.win(fired)
        return self.fire("; and ".join(_clause(part.reason, i) for i, part in enumerate(fired)) + ".")


def _clause(sentence: str, i: int) -> str:
    sentence = sentence.rstrip(".")
    return sentence if i == 0 else sentence[:1].lower() + sentence[1:]


@dataclass(frozen=True, repr=False, init=False)
class _Combined(StoppingCriterion):
    """Several criteria in order, those of the same kind among them laid open."""

    parts: tuple[StoppingCriterion, ...]

    def __init__(self, *parts: StoppingCriterion) -> None:
        if not parts:
            raise ValueError(f"{type(self).__name__} needs at least one criterion.")
        for part in parts:
            if not isinstance(part, StoppingCriterion):
                raise TypeError(f"{type(self).__name__} takes stopping criteria; got {part!r}.")
        flat = (inner for part in parts for inner in (part.parts if type(part) is type(self) else (part,)))
        object.__setattr__(self, "parts", tuple(flat))

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`."""
        return self.bound_type(self, tuple(part.bind(problem, state, previous) for part in self.parts))  # type: ignore[call-arg]  # a _CombinedBound


@dataclass(frozen=True, repr=False, init=False)
class StopWhenAny(_Combined):
    """Stop when one of the criteria holds; ``a | b`` makes it.

    All are asked at every iteration. Of those that hold together, the first that means convergence gives reason and
    status, else the first of all.
    """

    bound_type = _AnyBound

    @property
    def indicates_convergence(self) -> bool:
        """Whether each of them means convergence."""
        return all(part.indicates_convergence for part in self.parts)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.parts))


@dataclass(frozen=True, repr=False, init=False)
class StopWhenAll(_Combined):
    """Stop when all of the criteria hold at the same iteration; ``a & b`` makes it.

    The status is that of the first that means convergence, else of the first; the reason names all.
    """

    bound_type = _AllBound

    @property
    def indicates_convergence(self) -> bool:
        """Whether one of them means convergence."""
        return any(part.indicates_convergence for part in self.parts)

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" if isinstance(part, StopWhenAny) else repr(part) for part in self.parts)


class _WrappingBound(Bound):
    """A bound with conditions on another one."""

    __slots__ = ("part",)

    def __init__(self, rule: Any, part: Bound) -> None:
        super().__init__(rule)
        self.part = part

    def inner(self) -> Iterator[Bound]:
        yield self.part

    @property
    def status(self) -> Status:
        return self.part.status

    @property
    def skipped(self) -> bool:  # type: ignore[override]  # a slot or a constant elsewhere
        return self.part.skipped


@dataclass(frozen=True, repr=False)
class _Wrapping(StoppingCriterion):
    criterion: StoppingCriterion

    def __post_init__(self) -> None:
        if not isinstance(self.criterion, StoppingCriterion):
            raise TypeError(f"`criterion` of {type(self).__name__} must be one; got {self.criterion!r}.")

    @property
    def meaning(self) -> Status:
        """That of the criterion inside."""
        return self.criterion.meaning

    @property
    def indicates_convergence(self) -> bool:
        """That of the criterion inside."""
        return self.criterion.indicates_convergence

    def bind(self, problem: Any, state: Any, previous: Bound | None = None) -> Bound:
        """See `StoppingCriterion.bind`."""
        bound = self.bound_type(self, self.criterion.bind(problem, state, previous))  # type: ignore[call-arg]  # a _WrappingBound
        bound.recall(previous)
        return bound

    def _operand(self) -> str:
        return f"({self.criterion!r})" if isinstance(self.criterion, _Combined) else repr(self.criterion)


class _RepeatedBound(_WrappingBound):
    __slots__ = ("count", "fired", "iteration")
    memory = __slots__

    def __init__(self, rule: StopWhenRepeated, part: Bound) -> None:
        super().__init__(rule, part)
        self.count = 0
        self.iteration = -1
        self.fired = False

    def check(self, problem: Any, state: Any) -> bool:
        if state.iteration != self.iteration:
            self.iteration = state.iteration
            self.fired = self._counted(self.part.check(problem, state))
        return self.fired

    def _counted(self, held: bool) -> bool:
        if held:
            self.count += 1
        elif self.rule.consecutive and not self.part.skipped:
            self.count = 0
        if not held or self.count < self.rule.n:
            return False
        running = " running" if self.rule.consecutive else ""
        times = f"{self.count} times{running}" if self.count > 1 else "once"
        return self.fire(f"{self.part.reason.rstrip('.')} (held {times}).")


@dataclass(frozen=True, repr=False)
class StopWhenRepeated(_Wrapping):
    """Stop when a criterion has held ``n`` times; ``a.repeated(n)`` makes it.

    Parameters
    ----------
    criterion : StoppingCriterion
    n : int
        At least 1.
    consecutive : bool
        Whether the n iterations must follow each other (default). Rejected steps do not interrupt a row for
        criteria that judge accepted steps only.
    """

    bound_type = _RepeatedBound
    n: int
    consecutive: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, "n", least=1)

    def __repr__(self) -> str:
        how = "" if self.consecutive else ", consecutive=False"
        return f"{self._operand()}.repeated({self.n}{how})"


_COMPARISONS = {
    ">": (operator.gt, "after"),
    "==": (operator.eq, "at"),
    "<": (operator.lt, "before"),
}


class _IterationConditionBound(_WrappingBound):
    __slots__ = ()

    def check(self, problem: Any, state: Any) -> bool:
        rule, k = self.rule, state.iteration
        inside = _COMPARISONS[rule.comparison][0](k, rule.n)
        # Outside the window only those are asked that must not miss an iteration.
        if not inside and (k > rule.n or not any(bound.memory for bound in self.part.tree())):
            return False
        return self.part.check(problem, state) and inside and self.fire(self.part.reason)


@dataclass(frozen=True, repr=False)
class StopWhenIteration(_Wrapping):
    """Stop when a criterion holds at certain iterations; ``a.after(n)``, ``a.at(n)``, ``a.before(n)`` make it.

    Parameters
    ----------
    criterion : StoppingCriterion
    comparison : {">", "==", "<"}
        How the iteration k must compare with n.
    n : int
    """

    bound_type = _IterationConditionBound
    comparison: str
    n: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.comparison not in _COMPARISONS:
            raise ValueError(f"`comparison` of StopWhenIteration must be one of >, ==, <; got {self.comparison!r}.")
        check_count(self, "n")

    def __repr__(self) -> str:
        return f"{self._operand()}.{_COMPARISONS[self.comparison][1]}({self.n})"
