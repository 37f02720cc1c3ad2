"""The loop."""

from __future__ import annotations

from typing import Any, TypeVar

State = TypeVar("State", bound=Any)


def solve(problem: Any, state: State) -> State:
    """Run a solver: step until its stopping criterion fires.

    This is the whole loop, for every solver. Solving a state again continues it where it stopped, also after it was
    pickled; ``state.reset()`` starts it afresh.

    Parameters
    ----------
    problem : Problem
    state : SolverState
        Changed in place.

    Returns
    -------
    SolverState
        The same state.
    """
    state.begin(problem)
    while not state.should_stop(problem):
        state.step(problem)
    return state
