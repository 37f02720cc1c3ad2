"""Calling the user's function while a solver runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.status import Status
from .base import StateDecorator


class CallbackState(StateDecorator):
    """A state that calls a function after every iteration.

    Parameters
    ----------
    state : SolverState or StateDecorator
    callback : callable
        ``callback(problem, state)`` with the innermost state. Returning True ends the run with
        `Status.STOPPED_BY_CALLBACK`; anything else is ignored.
    """

    __slots__ = ("callback",)

    def __init__(self, state: Any, callback: Callable[[Any, Any], Any]) -> None:
        super().__init__(state)
        if not callable(callback):
            raise TypeError(f"`callback` must be a function (problem, state); got {callback!r}.")
        self.callback = callback

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        self.inner.step(problem)
        state = self.core
        answer = self.callback(problem, state)
        # Only a true True: a callback may return what its last expression happens to be.
        if (answer is True or (isinstance(answer, np.bool_) and answer)) and state.status is Status.RUNNING:
            state.status = Status.STOPPED_BY_CALLBACK
            state.message = f"The callback returned True after iteration {state.iteration}."
