r"""Adaptive regularization with cubics (ARC): the quadratic model, held back by a cubic term.

At p the step minimizes, as well as it is worth it,

    m(X) = <grad f(p), X> + 1/2 <X, H X> + sigma/3 |X|^3

over the whole tangent space. For sigma at least half the Lipschitz constant of the Hessian m is an upper bound of the
change of f, so a ratio

    rho = (f(p) - f(retract(p, X))) / -(<grad f(p), X> + 1/2 <X, H X>)

that is too small asks for a larger sigma, and one near 1 allows a smaller one. To reach a gradient of norm eps the
method takes O(eps^(-3/2)) steps, the best possible for methods with a Hessian, where trust regions have O(eps^(-2)). A
step is good enough when the gradient of m is at most ``theta |X|^2``.

By default m is minimized over Krylov spaces, where a refused step costs no Hessian product; any solver that takes a
problem may do it instead.

References
----------
.. [1] C. Cartis, N. I. M. Gould, Ph. L. Toint, Adaptive cubic regularisation methods for unconstrained optimization,
   Math. Program. 127 (2011), 245-295.
.. [2] N. Agarwal, N. Boumal, B. Bullins, C. Cartis, Adaptive regularization with cubics on manifolds, Math. Program.
   188 (2021), 85-134.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.front import Common, cost_objective, run
from ..core.result import Result
from ..core.state import SolverState
from ..objectives.models import CubicModelObjective
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from ..stopping.models import StopAfterDimension, StopWhenFirstOrderProgress
from .hessian_approximations import HessianApproximation
from .lanczos import LanczosState
from .model_solver import ModelSolverState
from .second_order import SecondOrderState, within
from .truncated_conjugate_gradient_descent import check_positive
from .trust_regions import typical_distance

if TYPE_CHECKING:
    from typing_extensions import Unpack

# sigma is not enlarged beyond this per refused step
_STEEPEST = 1e3


class AdaptiveRegularizationState(SecondOrderState):
    """State of `adaptive_regularization_with_cubics`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    sigma : float, optional
        First weight of the cubic term. Default 100 over the typical distance of `trust_regions`, made to grow with f by
        the norm of the first gradient: a weight has the unit of f over a length cubed.
    sigma_min : float, optional
        Default 1e-10.
    acceptance_rate : float, optional
        eta1: a step is taken when rho exceeds this. Default 0.1.
    augmentation_threshold : float, optional
        eta2: above this rho, sigma decreases. Default 0.9.
    reduction_factor, augmentation_factor : float, optional
        gamma1 and gamma2: what sigma is multiplied with after a very good and a refused step. Default 0.1 and 2.
    theta : float, optional
        The subproblem is solved until its gradient is at most ``theta |X|^2``. Default 0.5.
    rho_regularization : float, optional
        Multiple of ``eps |f|`` that guards rho against rounding. Default 1e3.
    hessian_approximation : HessianApproximation, optional
        Used instead of the Hessian.
    subsolver : SolverState, optional
        Default ``LanczosState()`` with the criterion of ``theta``. ``ExactModelState()``, or any solver of problems
        with a gradient such as ``GradientDescentState(p0, stopping=...)``, whose start point does not matter; copied
        unless it is wrapped.
    retraction, transport : str or callable, optional
        Default the manifold's; of transports, which serve the Hessian approximations, the parallel one if there is one.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.

    Attributes
    ----------
    sigma : float
        Weight of the cubic term; NaN before the start unless given.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    solves: ClassVar[str] = "cubic"
    default_subsolver: ClassVar[type] = LanczosState

    def __init__(
        self,
        p0: Any,
        *,
        sigma: float | None = None,
        sigma_min: float = 1e-10,
        acceptance_rate: float = 0.1,
        augmentation_threshold: float = 0.9,
        reduction_factor: float = 0.1,
        augmentation_factor: float = 2.0,
        theta: float = 0.5,
        rho_regularization: float = 1e3,
        hessian_approximation: HessianApproximation | None = None,
        subsolver: Any = None,
        retraction: Any = None,
        transport: Any = None,
        stopping: Any = None,
    ) -> None:
        if sigma is not None:
            check_positive("sigma", sigma)
        check_positive("sigma_min", sigma_min)
        check_positive("theta", theta)
        acceptance_rate = within("acceptance_rate", acceptance_rate, 0.0, 1.0)
        self.first_sigma, self.sigma_min = sigma, float(sigma_min)
        self.augmentation_threshold = within("augmentation_threshold", augmentation_threshold, acceptance_rate, 1.0)
        self.reduction_factor = within("reduction_factor", reduction_factor, 0.0, 1.0, open_below=True)
        self.augmentation_factor = within("augmentation_factor", augmentation_factor, 1.0, math.inf, open_below=True)
        if subsolver is None:
            subsolver = LanczosState(
                stopping=StopAfterIteration(300) | StopAfterDimension() | StopWhenFirstOrderProgress(theta)
            )
        super().__init__(
            p0,
            acceptance_rate=acceptance_rate,
            rho_regularization=rho_regularization,
            hessian_approximation=hessian_approximation,
            subsolver=subsolver,
            retraction=retraction,
            transport=transport,
            stopping=stopping,
        )

    @classmethod
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.sigma = math.nan if self.first_sigma is None else float(self.first_sigma)

    def solves_with(self, core: SolverState) -> bool:
        """Any solver; of those of models, the ones for the cubic."""
        return "cubic" in core.solves if isinstance(core, ModelSolverState) else True

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate at the start and choose the weight."""
        super().initialize(problem, evaluation)
        if self.sigma != self.sigma:
            # the first step is then at most a tenth of the typical distance L long: sigma |X|^2 <= |g|
            typical = typical_distance(problem.manifold)
            self.sigma = max(self.sigma_min, 100.0 * evaluation.gradient_norm / typical**2)

    def model(self, e: Any, operator: Any) -> CubicModelObjective:
        """Quadratic model with a cubic term."""
        return CubicModelObjective(e, self.sigma, hessian=operator)

    def adapt(self, ratio: float, sub: Any, length: float) -> None:
        """Decrease the weight after a very good step, increase it after a bad one."""
        if ratio > self.augmentation_threshold:
            self.sigma = max(self.sigma_min, self.reduction_factor * self.sigma)
        elif not ratio > self.acceptance_rate:
            self.distrust(sub, length)

    def distrust(self, sub: Any, length: float) -> None:
        """Increase the weight by its factor, and so much that the step really gets shorter."""
        # At the minimizer (H + sigma |X|) X = -g: where sigma |X| is small beside H, doubling sigma changes nothing.
        # The step shortens for sure once sigma |X|^2 is comparable to |g|.
        g = self.evaluation.gradient_norm
        enough = 0.1 * g / (length * length) if length > 0.0 else 0.0
        self.sigma = max(self.augmentation_factor * self.sigma, min(enough, _STEEPEST * self.sigma))

    def _repeats(self, sub: Any, length: float) -> bool:
        return self.ratio > self.acceptance_rate


def adaptive_regularization_with_cubics(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    sigma: float | None = None,
    sigma_min: float = 1e-10,
    acceptance_rate: float = 0.1,
    augmentation_threshold: float = 0.9,
    reduction_factor: float = 0.1,
    augmentation_factor: float = 2.0,
    theta: float = 0.5,
    rho_regularization: float = 1e3,
    hessian_approximation: HessianApproximation | None = None,
    subsolver: Any = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by adaptive regularization with cubics.

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
    objective_type : {"riemannian", "euclidean"}
        What the given gradient and Hessian are.
    autodiff : str
        Source of missing derivatives, see `CostObjective`.
    sigma, sigma_min : float, optional
        First and least weight of the cubic term; see `AdaptiveRegularizationState`.
    acceptance_rate, augmentation_threshold, reduction_factor, augmentation_factor : float, optional
        When a step is taken and how the weight changes. Default 0.1, 0.9, 0.1, 2.
    theta : float, optional
        Accuracy of the subproblems. Default 0.5.
    rho_regularization : float, optional
        Multiple of ``eps |f|`` that guards the ratio against rounding. Default 1e3.
    hessian_approximation : HessianApproximation, optional
        Instead of the Hessian: ``FiniteDifferenceHessian()``, ``SymmetricRankOneHessian()`` or ``BFGSHessian()``.
    subsolver : SolverState, optional
        Default ``LanczosState()``.
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
        On a point that is not on M, a parameter outside its interval, a derivative that contradicts the cost.

    Notes
    -----
    Needs of M: a retraction, ``inner``, ``norm``.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, adaptive_regularization_with_cubics
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = adaptive_regularization_with_cubics(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    objective = cost_objective(
        f, gradient=gradient, hessian=hessian, objective_type=objective_type, autodiff=autodiff
    )
    return run(
        adaptive_regularization_with_cubics,
        M,
        objective,
        p0,
        lambda p: AdaptiveRegularizationState(
            p,
            sigma=sigma,
            sigma_min=sigma_min,
            acceptance_rate=acceptance_rate,
            augmentation_threshold=augmentation_threshold,
            reduction_factor=reduction_factor,
            augmentation_factor=augmentation_factor,
            theta=theta,
            rho_regularization=rho_regularization,
            hessian_approximation=hessian_approximation,
            subsolver=subsolver,
            retraction=retraction,
            transport=transport,
        ),
        common,
    )
