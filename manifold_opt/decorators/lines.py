"""What a debug list is made of: lines and their places; all frozen values."""

from __future__ import annotations

import copy
import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .quantities import QUANTITIES, Tracker, is_final, read, require


class Values:
    """The quantities of the moment, by name or by rule."""

    __slots__ = ("problem", "readers", "state")

    def __init__(self, problem: Any, state: Any, readers: dict[Any, Any]) -> None:
        self.problem, self.state, self.readers = problem, state, readers

    def __getitem__(self, source: Any) -> Any:
        return self.readers[source].read(self.problem, self.state)


class Action:
    """Base of what is asked for text at certain iterations.

    ``sources`` are the quantities it reads; ``text(values)`` is a line to print or None.
    """

    @property
    def sources(self) -> tuple[Any, ...]:
        """Quantities that it reads."""
        return ()

    def text(self, values: Values) -> str | None:
        """Line to print now."""
        raise NotImplementedError


class _Field(NamedTuple):
    literal: str
    name: str | None
    source: str
    spec: str
    conversion: str | None


@lru_cache(maxsize=256)
def _fields(text: str) -> tuple[_Field, ...]:
    parts = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        source = "" if name is None else name.partition(".")[0].partition("[")[0]
        if name is not None and (not source or source.isdigit()):
            raise ValueError(f"the debug line {text!r} has a field without a name: write for example {{cost:.3e}}.")
        if not spec and not conversion and source == name and source in QUANTITIES:
            spec = QUANTITIES[source].format
        parts.append(_Field(literal, name, source, spec or "", conversion))
    return tuple(parts)


@dataclass(frozen=True)
class Line(Action):
    """A line of text with the quantities of the moment, in the notation of `str.format`.

    Parameters
    ----------
    template : str
        For example ``"{iteration:4d}  f = {cost:.6e}"``. A field without a format gets that of its quantity.
    """

    template: str

    def __post_init__(self) -> None:
        try:
            _fields(self.template)
        except ValueError as error:
            raise ValueError(f"the debug line {self.template!r} cannot be formatted: {error}") from None

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return tuple(field.source for field in _fields(self.template) if field.name is not None)

    @property
    def final(self) -> bool:
        """Whether it names something known at the end only."""
        return any(map(is_final, self.sources))

    def text(self, values: Any) -> str:
        """See `Action.text`."""
        return "".join(field.literal + self._value(field, values) for field in _fields(self.template))

    def _value(self, field: _Field, values: Any) -> str:
        if field.name is None:
            return ""
        formatter = string.Formatter()
        value = formatter.get_field(field.name, (), values)[0]
        value = formatter.convert_field(value, field.conversion)
        try:
            return format(value, field.spec)
        except (TypeError, ValueError) as error:
            # None, arrays and the like have no numeric format; a number with a wrong one is the user's mistake.
            if isinstance(value, int | float | complex):
                raise ValueError(f"the debug line {self.template!r} cannot format {field.name!r}: {error}") from None
            return str(value)


@dataclass(frozen=True)
class Call(Action):
    """A function of the user that makes a line.

    Parameters
    ----------
    function : callable
        ``function(problem, state) -> str or None``, with the innermost state.
    """

    function: Callable[[Any, Any], Any]

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        line = self.function(values.problem, values.state)
        return line if isinstance(line, str) else None


def _difference(problem: Any, state: Any, old: Any, new: Any) -> float:
    return float(np.linalg.norm(np.subtract(new, old)))


class EntryChangeTracker(Tracker):
    """Keeps the value of a field at this iteration and the one before."""

    __slots__ = ("before", "now", "rule", "seen")

    def __init__(self, rule: EntryChange) -> None:
        super().__init__()
        self.rule, self.seen, self.before, self.now = rule, 0, None, None

    def move(self, problem: Any, state: Any) -> None:
        """See `Tracker.move`."""
        self.before, self.now = self.now, copy.deepcopy(read(self.rule.field, problem, state))
        self.seen += 1

    def read(self, problem: Any, state: Any) -> float:
        """See `Tracker.read`."""
        return math.nan if self.seen < 2 else self.rule.distance(problem, state, self.before, self.now)


@dataclass(frozen=True)
class EntryChange(Action):
    """How much a quantity changed in the last iteration; in a debug list a line, in a record list a series.

    Parameters
    ----------
    field : str
        Name of a quantity or of a field of the state.
    distance : callable, optional
        ``distance(problem, state, old, new) -> float``. Default: the Euclidean norm of the difference.
    line : str
        Line to print, with ``{value}`` and ``{field}``.
    """

    field: str
    distance: Callable[[Any, Any, Any, Any], float] = _difference
    line: str = "change of {field}: {value:.3e}"

    def tracker(self) -> Tracker:
        """What follows the quantity in one run."""
        return EntryChangeTracker(self)

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return (self,)

    def require(self, state: Any) -> None:
        """Raise unless there is such a field."""
        require(self.field, state)

    def text(self, values: Values) -> str:
        """See `Action.text`."""
        return self.line.format(field=self.field, value=values[self])


# where and how often


@dataclass(frozen=True, init=False)
class Every:
    """Lines with a rhythm of their own: printed at every n-th iteration, whatever the list says.

    Parameters
    ----------
    n : int
    *items
        As in a debug list.
    """

    n: int
    items: tuple[Any, ...]

    def __init__(self, n: int, *items: Any) -> None:
        object.__setattr__(self, "n", check_every(n))
        object.__setattr__(self, "items", items)


PLACES = ("start", "before", "iteration", "stop")


@dataclass(frozen=True, init=False)
class At:
    """Lines with a place of their own.

    Parameters
    ----------
    place : {"start", "before", "iteration", "stop"}
        Before the first iteration; before each n-th step; after each n-th step, at the start and the end (where lines
        go by themselves); at the end.
    *items
        As in a debug list.
    """

    place: str
    items: tuple[Any, ...]

    def __init__(self, place: str, *items: Any) -> None:
        if place not in PLACES:
            raise ValueError(f"`place` of At must be one of {', '.join(PLACES)}; got {place!r}.")
        object.__setattr__(self, "place", place)
        object.__setattr__(self, "items", items)


def check_every(n: Any) -> int:
    """Raise unless ``n`` makes sense in "every n-th iteration"."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f'`n` in "every n-th iteration" must be an integer; got {n!r}.')
    if n < 1:
        raise ValueError(f'`n` in "every n-th iteration" must be at least 1; got {n!r}.')
    return int(n)
