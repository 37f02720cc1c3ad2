r"""Exact minimizers of quadratic and cubic models, by the eigenvalues of the whole Hessian.

The Hessian is made a dim x dim matrix in orthonormal coordinates, from dim products in one go, and diagonalized. Its
eigenvalues turn the trust-region problem, hard case included, and the cubic one into an equation for one number
[1]; another radius or weight at the same point costs no more than solving that again. For small dimensions, and to
judge the other subsolvers by.

References
----------
.. [1] J. J. Moré, D. C. Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983), 553-572.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..core.status import Status
from ..linalg.secular import minimize_cubic, minimize_in_ball
from ..objectives.models import ModelEvaluation
from ..stopping import StopAfterIteration
from .model_solver import ModelSolverState


class ExactModelState(ModelSolverState):
    """Subsolver of `trust_regions` and `adaptive_regularization_with_cubics` that takes dim Hessian products.

    Attributes
    ----------
    eigenvalues : array
        Of the Hessian, ascending.
    multiplier : float
        lam, with (H + lam) X = -g.
    """

    transient: ClassVar[tuple[str, ...]] = ("model", "_stops_on", "_vectors")
    solves: ClassVar[tuple[str, ...]] = ("trust region", "cubic")

    @classmethod
    def default_stopping(cls) -> Any:
        """One iteration."""
        return StopAfterIteration(1)

    def _clear(self) -> None:
        super()._clear()
        self.eigenvalues: Any = None
        self.multiplier = 0.0
        self._vectors: Any = None

    def start(self, problem: Any) -> None:
        """Nothing is known yet: the model at zero."""
        e, X = self.evaluation, problem.manifold.zero_vector(self._start)
        e.point, e._image, e._cost = X, X, 0.0
        self.trust_region_radius = getattr(self.model, "radius", math.inf)

    def again(self, problem: Any, before: Any) -> None:
        """Solve for another radius or weight."""
        self.trust_region_radius = getattr(self.model, "radius", math.inf)
        if self.iteration:
            self._minimize(problem)

    def advance(self, problem: Any) -> None:
        """Diagonalize the Hessian and solve."""
        TM, e = problem.manifold, self.evaluation
        M, p = TM.manifold, TM.p
        H = np.stack([M.get_coordinates(p, e.apply(E)) for E in M.get_basis(p)])
        if not np.all(np.isfinite(H)):
            self.not_finite()
            return
        self.eigenvalues, self._vectors = np.linalg.eigh(0.5 * (H + H.T))
        self._minimize(problem)

    def _minimize(self, problem: Any) -> None:
        TM, functions = problem.manifold, self.evaluation.functions
        M, p = TM.manifold, TM.p
        w, V, sigma = self.eigenvalues, self._vectors, functions.sigma
        c = V.T @ M.get_coordinates(p, functions.slope)
        x, lam = minimize_cubic(w, c, sigma) if sigma else minimize_in_ball(w, c, self.model.radius)
        self.multiplier, self.model_norm = lam, float(np.linalg.norm(x))
        self.boundary_reached = not sigma and lam > 0.0
        self.negative_curvature = bool(w[0] < -1e-14 * max(abs(float(w[0])), abs(float(w[-1]))))
        cost = float(c @ x + 0.5 * (w * x) @ x + sigma / 3.0 * self.model_norm**3)
        X, HX = M.get_vector(p, V @ x), M.get_vector(p, V @ (w * x))
        self.evaluation = ModelEvaluation(functions, X, self.evaluation.counts, cost=cost)
        self.evaluation._image = HX
        self.fail(Status.CONVERGED, "The model is minimized exactly.")
