"""The one table of what can be watched: printed, recorded, compared.

A quantity is named; its name is looked up in `QUANTITIES`, then among the fields of the solver's state, then among
what the evaluation of the current point holds. Reading never repeats an evaluation: what the solver did not need
is evaluated once and counted under ``evaluations["watched"]``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..objectives.evaluation import watched


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Attributes
    ----------
    about : str
        What it is.
    read : callable, optional
        ``read(problem, state)`` with the innermost state.
    tracker : type of Tracker, optional
        Instead of ``read``, for what compares with the iteration before.
    format : str
        Format of a field in a debug line that names none, for example ``".2e"``.
    unit : str
    final : bool
        Whether it is known only when the run has ended: debug lines that name it print at the end.
    """

    about: str
    read: Callable[[Any, Any], Any] | None = None
    format: str = ""
    unit: str = ""
    final: bool = False
    tracker: type[Tracker] | None = None


class Tracker:
    """A quantity that compares an iteration with the one before; told of every iteration once, by `update`."""

    __slots__ = ("iteration",)

    def __init__(self) -> None:
        self.iteration = -1

    def update(self, problem: Any, state: Any) -> None:
        """Take note of the current iteration."""
        if state.iteration != self.iteration:
            self.iteration = state.iteration
            self.move(problem, state)

    def move(self, problem: Any, state: Any) -> None:
        """Take note of a new iteration."""
        raise NotImplementedError

    def read(self, problem: Any, state: Any) -> Any:
        """Value at the iteration noted last."""
        raise NotImplementedError


class ChangeTracker(Tracker):
    """Distance between this iterate and the one before."""

    __slots__ = ("before", "point")

    def __init__(self) -> None:
        super().__init__()
        self.before = self.point = None

    def move(self, problem: Any, state: Any) -> None:
        """See `Tracker.move`."""
        self.before, self.point = self.point, state.evaluation.point

    def read(self, problem: Any, state: Any) -> float:
        """See `Tracker.read`."""
        p, q = self.before, self.point
        if p is None:
            return math.nan
        if p is q:
            return 0.0
        M = problem.manifold
        return M.distance(p, q) if M.has("distance") else M.norm(p, M.inverse_retract(p, q))


class CostChangeTracker(Tracker):
    """Cost of this iterate minus that of the one before."""

    __slots__ = ("before", "cost")

    def __init__(self) -> None:
        super().__init__()
        self.before = self.cost = math.nan

    def move(self, problem: Any, state: Any) -> None:
        """See `Tracker.move`."""
        self.before, self.cost = self.cost, watched(state.evaluation, "cost")

    def read(self, problem: Any, state: Any) -> float:
        """See `Tracker.read`."""
        return self.cost - self.before


class GradientChangeTracker(Tracker):
    """Norm of this gradient minus the transported one of the iterate before."""

    __slots__ = ("before", "now")

    def __init__(self) -> None:
        super().__init__()
        self.before: Any = None
        self.now: Any = None

    def move(self, problem: Any, state: Any) -> None:
        """See `Tracker.move`."""
        e = state.evaluation
        self.before, self.now = self.now, (e.point, watched(e, "gradient"))

    def read(self, problem: Any, state: Any) -> float:
        """See `Tracker.read`."""
        if self.before is None:
            return math.nan
        M, (p, X), (q, Y) = problem.manifold, self.before, self.now
        return 0.0 if p is q else M.norm(q, Y - M.vector_transport_to(p, X, q))


class IterationTimeTracker(Tracker):
    """Time of the last iteration."""

    __slots__ = ("before", "now")

    def __init__(self) -> None:
        super().__init__()
        self.before = self.now = math.nan

    def move(self, problem: Any, state: Any) -> None:
        """See `Tracker.move`."""
        self.before, self.now = self.now, state.elapsed

    def read(self, problem: Any, state: Any) -> float:
        """See `Tracker.read`."""
        return self.now - self.before


QUANTITIES: dict[str, Quantity] = {
    "iteration": Quantity("iterations done, k", lambda problem, state: state.iteration, "d"),
    "cost": Quantity("cost f(p)", lambda problem, state: watched(state.evaluation, "cost"), ".8e"),
    "cost_change": Quantity("cost minus that of the iteration before", None, ".3e", tracker=CostChangeTracker),
    "gradient_norm": Quantity(
        "Riemannian norm of the gradient", lambda problem, state: watched(state.evaluation, "gradient_norm"), ".3e"
    ),
    "gradient": Quantity(
        "Riemannian gradient, a stored tangent vector",
        lambda problem, state: watched(state.evaluation, "gradient"),
    ),
    "gradient_change": Quantity(
        "norm of the transported change of the gradient", tracker=GradientChangeTracker, format=".3e"
    ),
    "point": Quantity("current point p", lambda problem, state: state.evaluation.point),
    "change": Quantity("distance from the iterate before; 0 after a rejected step", None, ".3e", tracker=ChangeTracker),
    "stepsize": Quantity("step size t of the last accepted step", lambda problem, state: state.stepsize, ".3e"),
    "step_norm": Quantity("length of t X of the last accepted step", lambda problem, state: state.step_norm, ".3e"),
    "time": Quantity("time in the solver since the start", lambda problem, state: state.elapsed, ".3f", "s"),
    "iteration_time": Quantity("time of the last iteration", None, ".3g", "s", tracker=IterationTimeTracker),
    "evaluations": Quantity(
        "calls of your functions by name, as `{evaluations[cost]}`", lambda problem, state: state.evaluations
    ),
    "messages": Quantity("warnings of the last step", lambda problem, state: "; ".join(state.messages())),
    "status": Quantity("how the run ended", lambda problem, state: state.status.name, final=True),
    "stop_reason": Quantity("why the run ended, one sentence", lambda problem, state: state.message, final=True),
    "converged": Quantity("whether that means convergence", lambda problem, state: state.status.converged, final=True),
}
"""Name -> `Quantity`."""


class UnknownQuantity(ValueError):
    """A name that is no quantity, no field of the state, and nothing that the evaluation holds."""


class Reader:
    """How one quantity is read in one run; it holds no functions but the user's own, so that it pickles.

    Parameters
    ----------
    source : str, callable or value with a method ``tracker``
        Name of a quantity, a function ``(problem, state) -> value``, or a rule such as `EntryChange`.
    """

    __slots__ = ("source", "tracker")

    def __init__(self, source: Any) -> None:
        self.source = source
        row = QUANTITIES.get(source) if isinstance(source, str) else None
        make = row.tracker if row is not None else getattr(source, "tracker", None)
        self.tracker: Tracker | None = None if make is None else make()

    def read(self, problem: Any, state: Any) -> Any:
        """Value now; ``state`` is the innermost."""
        if self.tracker is not None:
            return self.tracker.read(problem, state)
        return read(self.source, problem, state) if isinstance(self.source, str) else self.source(problem, state)


def is_final(source: Any) -> bool:
    """Whether the quantity is known at the end of a run only."""
    return isinstance(source, str) and source in QUANTITIES and QUANTITIES[source].final


def require(name: str, state: Any) -> None:
    """Raise `UnknownQuantity`, naming the nearest, unless there is such a quantity; evaluates nothing."""
    if not (name in QUANTITIES or _is_field(state, name) or _is_evaluated(state, name)):
        raise UnknownQuantity(_suggestion(name, state))


def read(name: str, problem: Any, state: Any) -> Any:
    """Value of a quantity that compares nothing with the iteration before.

    Raises
    ------
    UnknownQuantity
        When there is no such quantity, naming the nearest.
    """
    row = QUANTITIES.get(name)
    if row is not None:
        if row.read is None:
            raise UnknownQuantity(f"{name!r} compares two iterations: it can be printed and recorded, not used here.")
        return row.read(problem, state)
    if _is_evaluated(state, name):
        return watched(state.evaluation, name)
    if _is_field(state, name):
        return getattr(state, name)
    raise UnknownQuantity(_suggestion(name, state))


def _is_evaluated(state: Any, name: str) -> bool:
    return not name.startswith("_") and isinstance(getattr(type(state.evaluation), name, None), property)


def _is_field(state: Any, name: str) -> bool:
    if name.startswith("_"):
        return False
    shared = getattr(type(state), name, None)
    return name in vars(state) if shared is None else not callable(shared)


def fields(state: Any) -> list[str]:
    """Names beyond the table that can be watched: what the evaluation holds, and the fields of the state."""
    evaluated = [name for name in dir(type(state.evaluation)) if _is_evaluated(state, name)]
    return sorted({*evaluated, *(name for name in dir(state) if _is_field(state, name))})


def _suggestion(name: str, state: Any) -> str:
    known = list(dict.fromkeys([*QUANTITIES, *fields(state)]))
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    return f"there is no quantity {name!r} in {type(state).__name__}: {hint}"


def quantity_table() -> str:
    """The table as Markdown, for the documentation.

    Returns
    -------
    str
        One row per quantity: name, meaning, unit, format, and whether it is known at the end only.
    """
    rows = ["| name | what it is | format |", "|---|---|---|"]
    for name, row in QUANTITIES.items():
        unit = f", in {row.unit}" if row.unit else ""
        end = " (at the end)" if row.final else ""
        rows.append(f"| `{name}` | {row.about}{unit}{end} | {f'`{row.format}`' if row.format else ''} |")
    return "\n".join(rows) + "\n"
