"""A problem: a manifold and an objective on it. It never changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objectives.base import Objective
from ..objectives.evaluation import Counts


class Problem:
    """An objective to be minimized over a manifold.

    A problem does not change while it is solved; all that does is in the solver's state. (Which back end supplies
    missing derivatives is found out at the first point and remembered privately.)

    Parameters
    ----------
    M : Manifold
    objective : Objective
        For example ``CostObjective(f, gradient)`` or ``NonlinearLeastSquaresObjective(residual)``.

    Raises
    ------
    TypeError
        When ``objective`` is not an objective; a plain function must be wrapped.
    """

    __slots__ = ("_functions", "manifold", "objective")

    def __init__(self, M: Any, objective: Objective) -> None:
        if not isinstance(objective, Objective):
            raise TypeError(
                f"Problem(M, objective) takes an objective, got {type(objective).__name__}; wrap a cost function as "
                "CostObjective(f) and a residual as NonlinearLeastSquaresObjective(r)."
            )
        self.manifold = M
        self.objective = objective
        self._functions: Any = None

    def functions(self, p: Any, counts: Counts | None = None) -> Any:
        """Run-time side of the objective; derivatives are resolved at p when this is the first point."""
        if self._functions is None:
            self._functions = self.objective.bind(self.manifold, p, Counts() if counts is None else counts)
        return self._functions

    def evaluate(self, p: Any, counts: Counts | None = None) -> Any:
        """Lazy `Evaluation` at the point p; what is asked of it is booked in ``counts``."""
        functions = self._functions
        if counts is None:
            p, counts = np.asarray(p), Counts()
            if p.dtype.kind in "iub":
                p = p.astype(float)
        if functions is None:
            functions = self.functions(p, counts)
        return functions.evaluation(p, counts)

    def cost(self, p: Any) -> float:
        """f(p), counted nowhere."""
        return self.evaluate(p).cost

    def gradient(self, p: Any) -> Any:
        """Riemannian gradient at p, counted nowhere."""
        return self.evaluate(p).gradient

    def hessian(self, p: Any, X: Any) -> Any:
        """Riemannian Hessian at p applied to X, counted nowhere."""
        return self.evaluate(p).hessian(X)

    def __getstate__(self) -> tuple[Any, Objective]:
        return self.manifold, self.objective

    def __setstate__(self, values: tuple[Any, Objective]) -> None:
        self.manifold, self.objective = values
        self._functions = None

    def __repr__(self) -> str:
        return f"Problem({self.manifold!r}, {self.objective!r})"
