r"""Trust regions: go as far as the quadratic model of the cost can be trusted.

At p the cost along a tangent vector is about

    f(retract(p, X)) = f(p) + <grad f(p), X> + 1/2 <X, H X>,

with H the Hessian or an approximation of it. A subsolver minimizes this model over |X| <= Delta. The ratio

    rho = (f(p) - f(retract(p, X))) / (m(0) - m(X))

says how good the model was: for a small one the step is refused and Delta shrinks, for one near 1 with a step that the
boundary held back it grows. Both decreases contain the curvature of the model; with its linear part alone, a perfect
Newton step would get rho = 1/2.

Near a solution the decrease of f drowns in its rounding. Numerator and denominator are therefore both enlarged by
1e3 eps |f| [2]; where even the predicted decrease is below 10 eps |f|, a step is judged by the gradient: it must become
smaller.

After a poor step Delta is half the length of the step (a quarter of it took up to 1.5 times the evaluations on
Rosenbrock's function), or less where the parabola through both costs has its minimum earlier. So another step comes,
and the subsolver reuses its Hessian products for it. A radius is kept when a run is continued.

References
----------
.. [1] P.-A. Absil, C. G. Baker, K. A. Gallivan, Trust-region methods on Riemannian manifolds, Found. Comput. Math. 7
   (2007), 303-330.
.. [2] N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge 2023, section 6.4.
.. [3] A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, SIAM 2000, sections 6.1 and 17.4.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, cost_objective, run
from ..core.result import Result
from ..manifolds import PowerManifold, ProductManifold
from ..manifolds.identified import Identified
from ..objectives.models import TrustRegionModelObjective
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from ..stopping.models import StopWhenNoNegativeCurvature
from .hessian_approximations import HessianApproximation
from .second_order import SecondOrderState, within
from .truncated_conjugate_gradient_descent import TruncatedConjugateGradientState, check_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TrustRegionsState(SecondOrderState):
    """State of `trust_regions`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    trust_region_radius : float, optional
        First radius; default an eighth of the manifold's typical distance: the injectivity radius where that is
        finite, else ``sqrt(dim)``, combined as distances are on products.
    max_trust_region_radius : float, optional
        Default no bound: how far models can be trusted shows.
    acceptance_rate : float, optional
        A step is taken when rho exceeds this, in [0, 1/4). Default 0.1.
    rho_regularization : float, optional
        Multiple of ``eps |f|`` that guards rho against rounding. Default 1e3.
    reduction_threshold, reduction_factor : float, optional
        Below this rho, Delta becomes this factor times the length of the step. Default 0.25 and 0.5.
    augmentation_threshold, augmentation_factor : float, optional
        Above this rho, at the boundary, Delta grows by this factor. Default 0.75 and 2.
    randomize : bool, optional
        Start each subproblem from a small random vector, which leaves saddle points, and end only where no negative
        curvature is met.
    hessian_approximation : HessianApproximation, optional
        Used instead of the Hessian: ``FiniteDifferenceHessian()``, ``SymmetricRankOneHessian()``, ``BFGSHessian()``, or
        ``GaussNewtonHessian()`` for least squares.
    subsolver : ModelSolverState, optional
        Default ``TruncatedConjugateGradientState()``; copied unless it is wrapped.
    retraction, transport : str or callable, optional
        Default the manifold's. The transport serves the Hessian approximations; its default is the parallel one where
        there is one.
    rng : seed or numpy.random.Generator, optional
        For ``randomize``.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``; randomized
        ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8) & StopWhenNoNegativeCurvature()``.

    Attributes
    ----------
    trust_region_radius : float
        Delta; NaN before the start unless given.
    ratio : float
        rho of the last step.
    last_step_successful : bool
    negative_curvature : bool or None
        Whether the last subproblem met negative curvature; None before the first.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    solves: ClassVar[str] = "trust region"
    default_subsolver: ClassVar[type] = TruncatedConjugateGradientState

    def __init__(
        self,
        p0: Any,
        *,
        trust_region_radius: float | None = None,
        max_trust_region_radius: float | None = None,
        acceptance_rate: float = 0.1,
        rho_regularization: float = 1e3,
        reduction_threshold: float = 0.25,
        reduction_factor: float = 0.5,
        augmentation_threshold: float = 0.75,
        augmentation_factor: float = 2.0,
        randomize: bool = False,
        hessian_approximation: HessianApproximation | None = None,
        subsolver: Any = None,
        retraction: Any = None,
        transport: Any = None,
        rng: Any = None,
        stopping: Any = None,
    ) -> None:
        if stopping is None and randomize:
            stopping = StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8) & StopWhenNoNegativeCurvature()
        self.first_radius = trust_region_radius
        self.max_trust_region_radius = max_trust_region_radius
        _check_radii(trust_region_radius, max_trust_region_radius)
        self.reduction_threshold = within("reduction_threshold", reduction_threshold, 0.0, 1.0)
        self.reduction_factor = within("reduction_factor", reduction_factor, 0.0, 1.0, open_below=True)
        self.augmentation_threshold = within(
            "augmentation_threshold", augmentation_threshold, self.reduction_threshold, 1.0
        )
        self.augmentation_factor = within("augmentation_factor", augmentation_factor, 1.0, math.inf, open_below=True)
        self.randomize = randomize
        self.rng = np.random.default_rng(rng) if randomize else None
        super().__init__(
            p0,
            acceptance_rate=within("acceptance_rate", acceptance_rate, 0.0, 0.25),
            rho_regularization=rho_regularization,
            hessian_approximation=hessian_approximation,
            subsolver=subsolver,
            retraction=retraction,
            transport=transport,
            stopping=stopping,
        )

    @classmethod
    @cache
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.trust_region_radius = math.nan if self.first_radius is None else float(self.first_radius)
        self._random_start: Any = None

    def attach(self, problem: Any) -> None:
        """Choose the radius the first time."""
        super().attach(problem)
        largest = self.max_trust_region_radius
        self._largest = math.inf if largest is None else float(largest)
        if self.trust_region_radius != self.trust_region_radius:
            self.trust_region_radius = min(typical_distance(problem.manifold), self._largest) / 8.0

    def model(self, e: Any, operator: Any) -> TrustRegionModelObjective:
        """Quadratic model over a ball."""
        preconditioner = getattr(e.functions, "preconditioner", None)
        return TrustRegionModelObjective(e, self.trust_region_radius, hessian=operator, preconditioner=preconditioner)

    def start_vector(self, M: Any, p: Any) -> Any:
        """Zero, or a vector long enough to be seen in the gradient of the model, short beside the radius."""
        if not self.randomize:
            return super().start_vector(M, p)
        if self._random_start is None:
            X = M.random_vector(p, self.rng)
            length = M.norm(p, X)
            self._random_start = (1e-3 * self.trust_region_radius / length) * X if length > 0.0 else X
        return self._random_start

    def adapt(self, ratio: float, sub: Any, length: float) -> None:
        """Shrink or enlarge the radius."""
        if ratio < self.reduction_threshold:
            self.distrust(sub, length)
            if ratio < 0.0:
                self.trust_region_radius = min(self.trust_region_radius, _interpolated(ratio, sub) * sub.model_norm)
        elif ratio > self.augmentation_threshold and sub.boundary_reached:
            self.trust_region_radius = min(self.augmentation_factor * self.trust_region_radius, self._largest)

    def distrust(self, sub: Any, length: float) -> None:
        """Shrink the radius below the length of the step."""
        self.trust_region_radius = self.reduction_factor * min(self.trust_region_radius, sub.model_norm)

    def _repeats(self, sub: Any, length: float) -> bool:
        """Whether the user's numbers let a step be refused without shrinking the radius below its length."""
        return self.trust_region_radius >= sub.model_norm

    def taken(self) -> None:
        """Draw anew at the next point."""
        self._random_start = None


def _interpolated(ratio: float, sub: Any) -> float:
    """Where the parabola through both costs with the slope at p is least, as a fraction of the step.

    After [3], section 17.1: no less than 1/16.
    """
    at = sub.evaluation
    slope = at.functions.manifold.inner(at.point, at.functions.slope, at.point)
    increase = -ratio * at.decrease
    return max(0.0625, -slope / (2.0 * (increase - slope))) if slope < 0.0 else 0.0625


def typical_distance(M: Any) -> float:
    """A length over which functions on M may change: its injectivity radius where that is finite, else sqrt(dim)."""
    if isinstance(M, Identified):
        return typical_distance(M.model)
    if isinstance(M, PowerManifold):
        return math.sqrt(math.prod(M.copies)) * typical_distance(M.manifold)
    if isinstance(M, ProductManifold):
        return math.sqrt(sum(typical_distance(factor) ** 2 for _, factor in M.factors))
    radius = M.injectivity_radius if M.has("injectivity_radius") else math.inf
    return float(radius) if 0.0 < radius < math.inf else math.sqrt(max(M.dim, 1))


def _check_radii(radius: float | None, largest: float | None) -> None:
    if radius is not None:
        check_positive("trust_region_radius", radius)
    if largest is not None:
        check_positive("max_trust_region_radius", largest)
        if radius is not None and radius > largest:
            raise ValueError(
                f"`trust_region_radius` must be at most `max_trust_region_radius` = {largest!r}; got {radius!r}."
            )


def trust_regions(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    hessian: Any = None,
    preconditioner: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    trust_region_radius: float | None = None,
    max_trust_region_radius: float | None = None,
    acceptance_rate: float = 0.1,
    rho_regularization: float = 1e3,
    reduction_threshold: float = 0.25,
    reduction_factor: float = 0.5,
    augmentation_threshold: float = 0.75,
    augmentation_factor: float = 2.0,
    randomize: bool = False,
    hessian_approximation: HessianApproximation | None = None,
    subsolver: Any = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by the trust-region method.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        The cost ``f(p)``; ``Fused(f_and_gradient)``; or an objective.
    p0 : array, optional
        Start point; default a random one.
    gradient : callable or InPlace, optional
        ``gradient(p)``; default by differentiation.
    hessian : callable or InPlace, optional
        ``hessian(p, X)``, the Hessian applied to X; default by differentiation, or, with a given gradient, by
        differences of it.
    preconditioner : callable, optional
        ``preconditioner(p, X)``, an approximation of the inverse Hessian applied to X, symmetric and positive.
    objective_type : {"riemannian", "euclidean"}
        What the given gradient and Hessian are.
    autodiff : str
        Source of missing derivatives, see `CostObjective`.
    trust_region_radius, max_trust_region_radius : float, optional
        First and largest radius; see `TrustRegionsState` for the defaults.
    acceptance_rate : float, optional
        A step is taken when the ratio of actual and predicted decrease exceeds this. Default 0.1.
    rho_regularization : float, optional
        Multiple of ``eps |f|`` that guards the ratio against rounding. Default 1e3.
    reduction_threshold, reduction_factor, augmentation_threshold, augmentation_factor : float, optional
        When and how the radius changes. Default 0.25, 0.5, 0.75, 2.
    randomize : bool, optional
        Start each subproblem from a small random vector, which leaves saddle points.
    hessian_approximation : HessianApproximation, optional
        Instead of the Hessian: ``FiniteDifferenceHessian()``, ``SymmetricRankOneHessian()``, ``BFGSHessian()``, or
        ``GaussNewtonHessian()`` for least squares.
    subsolver : ModelSolverState, optional
        ``TruncatedConjugateGradientState()`` (default), ``LanczosState()`` or ``ExactModelState()``.
    retraction, transport : str or callable, optional
        Default the manifold's; of transports, which serve the Hessian approximations, the parallel one if there is one.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, a radius that is not positive, a derivative that contradicts the cost.

    Notes
    -----
    Needs of M: a retraction, ``inner``, ``norm``; coordinates for the exact subsolver and the updated Hessians.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, trust_regions
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = trust_regions(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    objective = cost_objective(
        f,
        gradient=gradient,
        hessian=hessian,
        preconditioner=preconditioner,
        objective_type=objective_type,
        autodiff=autodiff,
    )
    return run(
        trust_regions,
        M,
        objective,
        p0,
        lambda p: TrustRegionsState(
            p,
            trust_region_radius=trust_region_radius,
            max_trust_region_radius=max_trust_region_radius,
            acceptance_rate=acceptance_rate,
            rho_regularization=rho_regularization,
            reduction_threshold=reduction_threshold,
            reduction_factor=reduction_factor,
            augmentation_threshold=augmentation_threshold,
            augmentation_factor=augmentation_factor,
            randomize=randomize,
            hessian_approximation=hessian_approximation,
            subsolver=subsolver,
            retraction=retraction,
            transport=transport,
            rng=common.get("rng"),
        ),
        common,
    )
