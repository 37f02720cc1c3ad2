"""Recording while a solver runs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .base import StateDecorator, layers
from .lines import EntryChange, check_every
from .quantities import Reader, is_final, require

DEFAULT_SERIES = ("iteration", "cost", "gradient_norm", "time")
"""What ``record=True`` records."""


def parse_record(record: Any) -> tuple[dict[str, Any], int]:
    """Series name -> what is recorded, and the n of "every n-th iteration".

    Raises
    ------
    TypeError, ValueError
        On an item that means nothing there, or two series of the same name.
    """
    if isinstance(record, dict):
        items: list[Any] = list(record.items())
    else:
        # A pair ("name", source) alone is one item, not a list of two.
        alone = not isinstance(record, list | tuple) or _is_pair(record)
        items = [record] if alone else list(record)
    numbers = [check_every(item) for item in items if isinstance(item, int) and not isinstance(item, bool)]
    if len(numbers) > 1:
        raise ValueError(f"a record list takes one integer, every n-th iteration; got {numbers}.")
    named = [item for item in items if not isinstance(item, int)] or list(DEFAULT_SERIES)
    series: dict[str, Any] = {}
    for item in named:
        name, source = _series(item)
        if name in series:
            raise ValueError(f'two series of the record are named {name!r}: name one ("other name", {name!r}).')
        series[name] = source
    return series, numbers[0] if numbers else 1


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and not isinstance(item[1], int)


def _series(item: Any) -> tuple[str, Any]:
    if isinstance(item, str):
        return item, item
    if isinstance(item, EntryChange):
        return f"{item.field}_change", item
    if _is_pair(item) and (isinstance(item[1], str | EntryChange) or callable(item[1])):
        return item
    raise TypeError(
        'a record list takes names of quantities, ("name", function or quantity), EntryChange and one integer; '
        f"got {item!r}."
    )


def kept(value: Any) -> Any:
    """Copy of a value that later iterations cannot change; of a recorded subsolver, its record."""
    if value is None or isinstance(value, int | float | complex | str | np.generic):
        return value
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "should_stop"):
        return copy.deepcopy(recorded(value))
    return copy.deepcopy(value)


class RecordState(StateDecorator):
    """A state that keeps a record of its run.

    Parameters
    ----------
    state : SolverState or StateDecorator
    record : str, list or dict
        Names of quantities; ``("name", function)`` with ``function(problem, state)``, and ``("name", "quantity")``,
        for series under a name of your own; `EntryChange`; an integer n for every n-th iteration (start and last point
        are always recorded). A dict is name -> quantity or function. What is known at the end only (``stop_reason``)
        is a list of one. A field that holds a recorded subsolver records that one's record.

    Attributes
    ----------
    record : dict of str to list
    """

    __slots__ = ("every", "readers", "recorded_at", "series", "sources", "trackers")

    def __init__(self, state: Any, record: Any) -> None:
        super().__init__(state)
        self.sources, self.every = parse_record(record)
        self._forget()

    def _forget(self) -> None:
        self.series: dict[str, list[Any]] = {name: [] for name in self.sources}
        self.readers: dict[str, Reader] = {}
        self.trackers: list[Any] = []
        self.recorded_at = -1

    @property
    def record(self) -> dict[str, list[Any]]:
        """Name -> values so far."""
        return self.series

    def begin(self, problem: Any) -> None:
        """See `SolverState.begin`; an unknown quantity is an error here."""
        self.inner.begin(problem)
        if not self.readers:
            self._find_quantities()
        self._track(problem)
        if self.recorded_at != self.core.iteration:
            self._take(problem)

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        self.inner.step(problem)
        if self.trackers:
            self._track(problem)
        if self.core.iteration % self.every == 0:
            self._take(problem)

    def should_stop(self, problem: Any) -> bool:
        """See `SolverState.should_stop`."""
        if not self.inner.should_stop(problem):
            return False
        if self.recorded_at < 0:  # an interrupted `begin` has nothing to record
            return True
        if self.recorded_at != self.core.iteration:
            self._take(problem)
        for name, source in self.sources.items():
            if is_final(source):
                self.series[name][:] = [self.readers[name].read(problem, self.core)]
        return True

    def reset(self, p: Any = None) -> Any:
        """See `SolverState.reset`."""
        self._forget()
        return super().reset(p)

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps of the record."""
        trackers = {name: reader.tracker for name, reader in self.readers.items() if reader.tracker is not None}
        return {"series": self.series, "recorded_at": self.recorded_at, "trackers": trackers}

    def recall(self, memory: dict[str, Any]) -> None:
        """Continue a record kept by `memory`; the state must have been filled before."""
        self.series, self.recorded_at = memory["series"], memory["recorded_at"]
        self._find_quantities()
        for name, tracker in memory["trackers"].items():
            self.readers[name].tracker = tracker
        self.trackers = [reader.tracker for reader in self.readers.values() if reader.tracker is not None]

    def _find_quantities(self) -> None:
        for source in self.sources.values():
            if isinstance(source, str):
                require(source, self.core)
            elif isinstance(source, EntryChange):
                source.require(self.core)
        self.readers = {name: Reader(source) for name, source in self.sources.items()}
        self.trackers = [reader.tracker for reader in self.readers.values() if reader.tracker is not None]

    def _track(self, problem: Any) -> None:
        for tracker in self.trackers:
            tracker.update(problem, self.core)

    def _take(self, problem: Any) -> None:
        self.recorded_at = self.core.iteration
        for name, source in self.sources.items():
            if not is_final(source):
                self.series[name].append(kept(self.readers[name].read(problem, self.core)))


def recorded(state: Any) -> dict[str, list[Any]]:
    """Name -> values of all records of a decorated state; empty without one."""
    merged: dict[str, list[Any]] = {}
    for layer in layers(state):
        if isinstance(layer, RecordState):
            merged = {**layer.series, **merged}
    return merged
