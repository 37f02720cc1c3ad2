"""Objectives around an objective: counted, cached, scaled.

Each binds the inner objective and passes its run-time functions through one wrapper, so all of them work with every
objective whose functions offer ``mapped`` (and ``scaled``).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .base import Objective
from .evaluation import Counts


@dataclass(frozen=True)
class CountedObjective(Objective):
    """Counts the calls that reach the user's functions, whoever makes them.

    ``state.evaluations`` counts what one solver asked for; this counts for all solvers that share the objective. Put
    it inside a `CachedObjective` to count the misses, around one to count the requests.

    Parameters
    ----------
    objective : Objective
    counts : Counts, optional
        Where to count; default a new, empty counter, found as ``.counts``.
    """

    objective: Objective
    counts: Counts = field(default_factory=Counts, compare=False)

    def bind(self, M: Any, p: Any, counts: Counts) -> Any:
        """Functions of the inner objective, each counting its calls."""
        checks = counts["check"]
        functions = self.objective.bind(M, p, counts)
        self._add((("check", counts["check"] - checks),))

        def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            if name == "hessian":
                return lambda e: self._counting((("hessian", 1),), function(e))
            # a fused gradient or Jacobian counts one each, one by differences its values too
            return self._counting(functions.counted if name in ("gradient", "jacobian") else ((name, 1),), function)

        return functions.mapped(wrap)

    def _counting(self, weights: tuple[tuple[str, int], ...], function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._add(weights)
            return function(*arguments)

        return counted

    def _add(self, weights: tuple[tuple[str, int], ...]) -> None:
        for name, n in weights:
            if n:
                self.counts[name] += n


@dataclass(frozen=True)
class CachedObjective(Objective):
    """Remembers the values at the last points, least recently used ones forgotten first.

    An `Evaluation` never computes anything twice, so this helps only where one problem visits the same point again by
    another evaluation: line searches that return to a point, several solvers or restarts on one `Problem`. Keys are the
    exact bytes of a point.

    Parameters
    ----------
    objective : Objective
    size : int
        Number of points remembered per function.

    Raises
    ------
    ValueError
        When ``size`` is not a positive integer.
    """

    objective: Objective
    size: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"`size`, the number of remembered points, must be a positive integer; got {self.size!r}.")

    def bind(self, M: Any, p: Any, counts: Counts) -> Any:
        """Functions of the inner objective, each with its own memory."""
        return self.objective.bind(M, p, counts).mapped(lambda name, function: _Cached(function, self.size))


class _Cached:
    """Least-recently-used memory of a function of a point (or of an `Evaluation`, by its point)."""

    __slots__ = ("function", "size", "values")

    def __init__(self, function: Callable[[Any], Any], size: int) -> None:
        self.function, self.size = function, size
        self.values: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def __call__(self, argument: Any) -> Any:
        p = getattr(argument, "point", argument)
        key = (p.shape, p.dtype.str, p.tobytes())
        if key in self.values:
            self.values.move_to_end(key)
            return _handed_out(self.values[key])
        value = self.values[key] = self.function(argument)
        if len(self.values) > self.size:
            self.values.popitem(last=False)
        return _handed_out(value)


def _handed_out(value: Any) -> Any:
    """Copies of remembered arrays, since buffers of an evaluation may be reused by its owner."""
    if isinstance(value, tuple):
        return tuple(map(_handed_out, value))
    return value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class ScaledObjective(Objective):
    """The objective times a factor; a negative one turns minimization into maximization.

    Parameters
    ----------
    objective : Objective
    factor : float
        Finite and not zero; for least squares it must be positive.

    Raises
    ------
    ValueError
        When the factor is zero or not finite.
    """

    objective: Objective
    factor: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor) or self.factor == 0.0:
            raise ValueError(f"`factor` must be finite and not zero; got {self.factor!r}.")

    def bind(self, M: Any, p: Any, counts: Counts) -> Any:
        """Functions of the inner objective times the factor."""
        return self.objective.bind(M, p, counts).scaled(self.factor)
