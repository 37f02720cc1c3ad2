"""A state that wraps a state: everything it does not do itself, the inner one does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class StateDecorator:
    """Base of the states that watch another one; they nest in any order.

    Reading and setting an attribute reaches the inner state unless the decorator has it itself, as one of its
    ``__slots__``, so that a decorated state is used like the bare one, and pickles.

    Parameters
    ----------
    state : SolverState or StateDecorator

    Attributes
    ----------
    inner : SolverState or StateDecorator
        The state wrapped.
    core : SolverState
        The innermost state.
    """

    __slots__ = ("core", "inner")

    def __init__(self, state: Any) -> None:
        self.inner = state
        self.core = unwrap(state)

    def begin(self, problem: Any) -> None:
        """See `SolverState.begin`."""
        self.inner.begin(problem)

    def should_stop(self, problem: Any) -> bool:
        """See `SolverState.should_stop`."""
        return self.inner.should_stop(problem)

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        self.inner.step(problem)

    def reset(self, p: Any = None) -> Any:
        """See `SolverState.reset`."""
        self.inner.reset(p)
        return self

    def __getattr__(self, name: str) -> Any:
        # Reached only where ordinary lookup fails. A half-built object (while unpickling) has no inner state yet.
        if name.startswith("__") or name in StateDecorator.__slots__:
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"


def unwrap(state: Any) -> Any:
    """Innermost state."""
    while isinstance(state, StateDecorator):
        state = state.inner
    return state


def layers(state: Any) -> Iterator[StateDecorator]:
    """Yield the decorators of a state, outermost first."""
    while isinstance(state, StateDecorator):
        yield state
        state = state.inner
