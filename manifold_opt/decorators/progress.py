"""A progress bar while a solver runs."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from .base import StateDecorator
from .output import Writer

REFRESH = 0.1
"""Seconds between two looks of the bar: what an eye can follow."""


class ProgressState(StateDecorator):
    """A state that shows a progress bar on a terminal, and nothing elsewhere.

    It shows what is known anyway, and evaluates nothing.

    Parameters
    ----------
    state : SolverState or StateDecorator
    file : text stream or path, optional
        Default ``sys.stdout``; the bar appears only if this is a terminal.
    """

    __slots__ = ("bar", "due", "writer")

    def __init__(self, state: Any, *, file: Any = None) -> None:
        super().__init__(state)
        self.writer = Writer(file)
        self.bar: Any = None
        self.due = 0.0

    def begin(self, problem: Any) -> None:
        """See `SolverState.begin`."""
        self.inner.begin(problem)
        stream = self.writer.stream
        if self.bar is None and stream is not None and getattr(stream, "isatty", lambda: False)():
            self.bar = _Bar(stream, _limit(self.core.stopping))
        self.due = 0.0
        self._show()

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        if self.bar is None:
            return self.inner.step(problem)
        try:
            self.inner.step(problem)
        except BaseException:
            self._close()
            raise
        if perf_counter() >= self.due:
            self._show()
        return None

    def should_stop(self, problem: Any) -> bool:
        """See `SolverState.should_stop`."""
        if not self.inner.should_stop(problem):
            return False
        self._close()
        return True

    def _show(self) -> None:
        if self.bar is not None:
            self.bar.show(self.core)
            self.due = perf_counter() + REFRESH

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.show(self.core)
            self.bar.close()
            self.bar = None

    def __getstate__(self) -> Any:
        own = {"inner": self.inner, "core": self.core, "writer": self.writer, "bar": None, "due": 0.0}
        return None, own


class _Bar:
    """The bar of rich, with iteration, cost and gradient norm."""

    def __init__(self, stream: Any, limit: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[known]}"))
        self.progress = Progress(*columns, TimeElapsedColumn(), console=Console(file=stream), auto_refresh=False)
        self.task = self.progress.add_task("starting", total=limit, known="")
        self.progress.start()

    def show(self, state: Any) -> None:
        """Bring the bar up to date."""
        e = state.evaluation
        known = [f"f = {e.cost:.6e}"] if e is not None and e.known("cost") else []
        if e is not None and e.known("gradient_norm"):
            known.append(f"|grad| = {e.gradient_norm:.2e}")
        k = state.iteration
        self.progress.update(self.task, completed=k, description=f"iteration {k}", known="  ".join(known))
        self.progress.refresh()

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self.progress.stop()


def _limit(stopping: Any) -> int | None:
    from ..stopping.edit import leaves
    from ..stopping.limits import StopAfterIteration

    limits = [rule.n for rule in leaves(stopping) if isinstance(rule, StopAfterIteration)]
    return min(limits) if limits else None
