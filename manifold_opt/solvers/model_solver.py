"""What the solvers of models on a tangent space share."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ..core.state import SolverState
from ..core.status import Status


class ModelSolverState(SolverState):
    """Base of the states that minimize a quadratic or cubic model, as subsolvers or alone.

    Solving the model of the same point again, with a smaller trust region or a larger weight of the cubic term,
    reuses the Hessian products made before; a model at another point needs ``reset(X0)`` first.

    Parameters
    ----------
    X0 : array, optional
        Start vector; needed only where the state is not a subsolver.
    stopping : StoppingCriterion, optional

    Attributes
    ----------
    boundary_reached : bool
        Whether the step ends at the boundary of the trust region.
    negative_curvature : bool
        Whether a direction of negative curvature was met.
    trust_region_radius : float
        That of the model solved last.
    model_norm : float
        Length of the step in the norm in which the radius is measured.
    """

    transient: ClassVar[tuple[str, ...]] = ("model", "_stops_on")
    takes_preconditioner: ClassVar[bool] = False
    solves: ClassVar[tuple[str, ...]] = ("trust region",)
    """The models that this solver can minimize: ``"trust region"``, ``"cubic"``."""

    model: Any = None
    _stops_on: Any = None

    def __init__(self, X0: Any = None, *, stopping: Any = None) -> None:
        super().__init__(np.zeros(0) if X0 is None else X0, stopping=stopping)

    def _clear(self) -> None:
        super()._clear()
        self.boundary_reached = self.negative_curvature = False
        self.trust_region_radius = math.inf
        self.model_norm = 0.0
        self.model = None

    def begin(self, problem: Any) -> None:
        """Start at X0, or take up the model of the same point again.

        An outer solver begins here in each of its steps, so criteria without memory are bound once per manifold:
        this and the shortcuts of `TruncatedConjugateGradientState` save a third of a step of trust regions on the
        2-sphere.
        """
        clock = perf_counter()
        self.status, self.message, self._checked = Status.RUNNING, "", -1
        before, self.model = self.model, problem.objective
        if self.evaluation is None:
            self.evaluation = problem.evaluate(self._start, self.evaluations)
            self.start(problem)
        elif before is None or before.evaluation is not self.model.evaluation:
            self._afresh(problem)
        else:
            self.evaluation.attach(problem.functions(self.point, self.evaluations), self.evaluations)
            self.again(problem, before)
        M = problem.manifold.manifold
        if self._stops_on is not M or self._stop.rule is not self.stopping:
            self._stop = self.bound("stopping", self.stopping, problem)
            self._stops_on = None if any(bound.memory for bound in self._stop.tree()) else M
        self.elapsed += perf_counter() - clock

    def _afresh(self, problem: Any) -> None:
        self.evaluation = problem.evaluate(self._start, self.evaluations)
        self.iteration = 0
        self.boundary_reached = self.negative_curvature = False
        self.start(problem)

    def start(self, problem: Any) -> None:
        """Get ready at the start vector, where ``evaluation`` is."""

    def again(self, problem: Any, before: Any) -> None:
        """Take up the model of the same point with other numbers; ``before`` is the one solved last."""
        self._afresh(problem)

    def not_finite(self) -> None:
        """End at the last good vector: a Hessian product was not finite."""
        self.fail(Status.BAD_FUNCTION, "a product with the Hessian is not finite.")
