"""Printing while a solver runs."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from .alarms import IfEntry, SolverWarning, Watch
from .base import StateDecorator, layers
from .lines import Action, At, Call, Every, Line, Values, check_every
from .output import Writer
from .quantities import Reader, require

DEFAULT_LINES = ("{iteration:5d}  f = {cost:.10e}  |grad| = {gradient_norm:.3e}", "{stop_reason}")
"""What ``debug=True`` and ``debug=10`` print."""


@dataclass(frozen=True)
class _Placed:
    """An action with its place and rhythm."""

    action: Any
    place: str
    every: int


def parse_debug(debug: Any) -> tuple[_Placed, ...]:
    """What a debug list means, each item with its place and rhythm.

    Raises
    ------
    TypeError, ValueError
        On an item that means nothing there.
    """
    items = list(debug) if isinstance(debug, list | tuple) else [debug]
    if all(isinstance(item, int) and item is not False for item in items):  # True, 10, or a list of such
        items += DEFAULT_LINES
    numbers = [check_every(item) for item in items if isinstance(item, int) and not isinstance(item, bool)]
    if len(numbers) > 1:
        raise ValueError(f"a debug list takes one integer, every n-th iteration; got {numbers}: use Every(n, ...).")
    placed: list[_Placed] = []
    for item in items:
        if not isinstance(item, int):
            _place(item, None, numbers[0] if numbers else 1, placed)
    return tuple(placed)


def _place(item: Any, place: str | None, every: int, placed: list[_Placed]) -> None:
    if isinstance(item, At | Every):
        inner_place = item.place if isinstance(item, At) else place
        inner_every = item.n if isinstance(item, Every) else every
        for inner in item.items:
            _place(inner, inner_place, inner_every, placed)
    elif isinstance(item, str):
        line = Line(item)
        placed.append(_Placed(line, place or ("stop" if line.final else "iteration"), every))
    elif isinstance(item, Watch):
        placed.append(_Placed(item, "watch", 1))
    elif isinstance(item, Action):
        placed.append(_Placed(item, place or "iteration", every))
    elif callable(item) and not isinstance(item, type):
        placed.append(_Placed(Call(item), place or "iteration", every))
    else:
        raise TypeError(
            f"a debug list takes lines, an integer, At, Every, EntryChange, WarnIf... and functions; got {item!r}."
        )


class DebugState(StateDecorator):
    """A state that prints while it runs.

    Parameters
    ----------
    state : SolverState or StateDecorator
    debug : str, int, Action, callable or list of these
        Each string is a line with quantities as `str.format` fields. A line that names ``stop_reason``, ``status`` or
        ``converged`` is printed at the end, the others at the start, at every n-th iteration where n is the integer in
        the list (default 1), and at the last iteration. ``WarnIf...`` rules look at every iteration.
    file : text stream or path, optional
        Default ``sys.stdout``.

    Notes
    -----
    A solver used as the subsolver of another prints while its parent's iteration is one that prints.
    """

    __slots__ = (
        "active",
        "due",
        "ended",
        "lines",
        "parent",
        "printed",
        "readers",
        "rules",
        "trackers",
        "watches",
        "writer",
    )

    def __init__(self, state: Any, debug: Any, *, file: Any = None) -> None:
        super().__init__(state)
        self.rules = parse_debug(debug)
        self.writer = Writer(file)
        self.active = True
        self.parent = False
        self.watches = [rule.action for rule in self.rules if rule.place == "watch"]
        self.lines = tuple(rule for rule in self.rules if rule.place == "iteration")
        self._forget()

    def _forget(self) -> None:
        self.readers: dict[Any, Reader] = {}
        self.trackers: list[Any] = []
        self.printed = -1
        self.due: float = 0
        self.ended = False

    def begin(self, problem: Any) -> None:
        """See `SolverState.begin`; an unknown quantity is an error here."""
        self.inner.begin(problem)
        if not self.readers:
            self._find_quantities()
        self.ended = False
        self.parent = hasattr(self.core, "subsolver")
        self._watch(problem)
        self._print(problem, "start")
        if self.printed != self.core.iteration:
            self._print_lines(problem, everything=True)

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        coming = self.core.iteration + 1 >= self.due
        if coming and self.active:
            self._print(problem, "before")
        if self.parent:
            self._activate(self.core.subsolver, coming)
        self.inner.step(problem)
        if self.trackers or self.watches:
            self._watch(problem)
        if self.core.iteration >= self.due:
            self._print_lines(problem)

    def should_stop(self, problem: Any) -> bool:
        """See `SolverState.should_stop`."""
        if not self.inner.should_stop(problem):
            return False
        if not self.ended and self.printed >= 0:  # an interrupted `begin` has nothing to show
            self.ended = True
            if self.printed != self.core.iteration:
                self._print_lines(problem, everything=True)
            self._print(problem, "stop")
        return True

    def reset(self, p: Any = None) -> Any:
        """See `SolverState.reset`. A warning given once stays given."""
        self._forget()
        return super().reset(p)

    def _find_quantities(self) -> None:
        sources = dict.fromkeys(source for rule in self.rules for source in rule.action.sources)
        for source in sources:
            source.require(self.core) if hasattr(source, "require") else require(source, self.core)
        self.readers = {source: Reader(source) for source in sources}
        self.trackers = [reader.tracker for reader in self.readers.values() if reader.tracker is not None]

    def _activate(self, subsolver: Any, coming: bool) -> None:
        for layer in layers(subsolver):
            if isinstance(layer, DebugState):
                layer.active = self.active and coming

    def _values(self, problem: Any) -> Values:
        return Values(problem, self.core, self.readers)

    def _watch(self, problem: Any) -> None:
        for tracker in self.trackers:
            tracker.update(problem, self.core)
        if self.watches:
            values = self._values(problem)
            for rule in tuple(self.watches):
                message = rule.text(values)
                if message is not None:
                    if rule.how == "once":
                        self.watches.remove(rule)
                    self._speak(rule, message)

    def _speak(self, rule: Watch, message: str) -> None:
        action = rule.action if isinstance(rule, IfEntry) else "warn"
        if action == "raise":
            raise RuntimeError(message)
        if action == "print":
            self._write(message)
        else:
            warnings.warn(message, SolverWarning, stacklevel=5)

    def _print_lines(self, problem: Any, everything: bool = False) -> None:
        k, values = self.core.iteration, self._values(problem)
        for rule in self.lines:
            if self.active and (everything or k % rule.every == 0):
                self._write(rule.action.text(values))
        self.printed = k
        rhythms = [rule.every for rule in self.rules if rule.place in ("iteration", "before")]
        self.due = min((k - k % n + n for n in rhythms), default=math.inf)

    def _print(self, problem: Any, place: str) -> None:
        if not self.active:
            return
        values = self._values(problem)
        for rule in self.rules:
            if rule.place == place and (place != "before" or (self.core.iteration + 1) % rule.every == 0):
                self._write(rule.action.text(values))

    def _write(self, text: str | None) -> None:
        if text is not None:
            self.writer.line(text)
