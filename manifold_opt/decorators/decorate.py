"""Wrapping a state as the keywords of a front function ask."""

from __future__ import annotations

from typing import Any

from .callback import CallbackState
from .debug import DebugState
from .progress import ProgressState
from .record import RecordState


def decorate(
    state: Any,
    problem: Any = None,
    debug: Any = None,
    record: Any = None,
    callback: Any = None,
    checkpoint: Any = None,
    file: Any = None,
    progress: bool = False,
) -> Any:
    """State that also prints, records, calls back, shows its progress, saves itself.

    Parameters
    ----------
    state : SolverState
    problem : Problem, optional
        Not used by the wrappers of this package, which get it from the loop.
    debug : str, int, Action, callable or list of these, optional
        See `DebugState`.
    record : str, list or dict, optional
        See `RecordState`.
    callback : callable, optional
        See `CallbackState`.
    checkpoint : path or Checkpoint, optional
        See `CheckpointState`.
    file : text stream or path, optional
        Where debug lines and the progress bar go; default ``sys.stdout``.
    progress : bool
        Whether to show a progress bar if that is a terminal.

    Returns
    -------
    SolverState or StateDecorator
        The state itself when nothing is asked for. From the inside out: debug, record, progress, callback, checkpoint.
    """
    if _asked(debug):
        state = DebugState(state, debug, file=file)
    if _asked(record):
        state = RecordState(state, record)
    if progress:
        state = ProgressState(state, file=file)
    if callback is not None:
        state = CallbackState(state, callback)
    if checkpoint is not None:
        from .checkpoint import CheckpointState

        state = CheckpointState(state, checkpoint)
    return state


def _asked(value: Any) -> bool:
    return not (value is None or value is False or (isinstance(value, list | tuple | dict) and not value))
