r"""Distance over gradients: a step size without parameters to tune (Dodd, Sharrock and Nemeth 2024).

    t_k = r_k / sqrt(zeta(r_k) G_k),    r_k = max(epsilon, max_j d(p_0, p_j)),    G_k = sum_j |g_j|^2,

with zeta(r) = sqrt(-kappa) r / tanh(sqrt(-kappa) r) for a lower bound kappa < 0 of the curvature, else 1.

References
----------
.. [1] D. Dodd, L. Sharrock, C. Nemeth, Learning-rate-free stochastic optimization over Riemannian manifolds, ICML 2024,
   section 3.
.. [2] M. Ivgi, O. Hinder, Y. Carmon, DoG is SGD's best friend, ICML 2023.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from ..core.status import Status
from .base import BoundStepSize, StepSize, check_positive


@dataclass(frozen=True)
class DistanceOverGradients(StepSize):
    """Step size from the distance come so far over the gradients seen.

    Parameters
    ----------
    initial_distance : float
        epsilon, the distance to reckon with at first: a guess that is too small costs a few iterations.
    curvature_bound : float, optional
        kappa, a lower bound of the sectional curvature; default that of no curvature correction.

    Notes
    -----
    Needs of M: ``distance`` (or an inverse retraction).
    """

    _: KW_ONLY
    initial_distance: float = 1e-3
    curvature_bound: float | None = None

    def __post_init__(self) -> None:
        check_positive("initial_distance", self.initial_distance)
        if self.curvature_bound is not None and not math.isfinite(self.curvature_bound):
            raise ValueError(f"`curvature_bound` must be a finite number; got {self.curvature_bound!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundStepSize:
        """Run-time object; its memory are the start, the distance and the sum."""
        return _BoundDistanceOverGradients(self) if previous is None else previous


class _BoundDistanceOverGradients(BoundStepSize):
    __slots__ = ("distance", "squares", "start")

    def __init__(self, rule: DistanceOverGradients) -> None:
        super().__init__(rule)
        self.start: Any = None
        self.distance, self.squares = rule.initial_distance, 0.0

    def search(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> Any:
        M, e = problem.manifold, state.evaluation
        p = e.point
        if self.start is None:
            self.start = p
        else:
            far = M.distance(self.start, p) if M.has("distance") else M.norm(p, M.inverse_retract(p, self.start))
            self.distance = max(self.distance, far)
        self.squares += e.gradient_norm**2
        if not self.squares > 0.0:
            return self._fail(Status.STALLED, "all gradients so far are zero.")
        self.stepsize = t = self.distance / math.sqrt(self._bending() * self.squares)
        return problem.evaluate(state.retract(p, X, t), state.evaluations)

    def _bending(self) -> float:
        """Correction zeta(r) for negative curvature."""
        kappa = self.rule.curvature_bound
        if kappa is None or kappa >= 0.0:
            return 1.0
        r = math.sqrt(-kappa) * self.distance
        return r / math.tanh(r)
