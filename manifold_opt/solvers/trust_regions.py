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

A refused step leads to a radius below its own length, and the subsolver reuses its Hessian products there. A radius is
kept when a run is continued.

References
----------
.. [1] P.-A. Absil, C. G. Baker, K. A. Gallivan, Trust-region methods on Riemannian manifolds, Found. Comput. Math. 7
   (2007), 303-330.
.. [2] N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge 2023, section 6.4.
.. [3] A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, SIAM 2000, sections 6.1 and 17.4.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, cost_objective, run
from ..core.problem import Problem
from ..core.result import Result
from ..core.solve import solve
from ..core.state import SolverState
from ..core.status import Status
from ..decorators.base import unwrap
from ..manifolds import PowerManifold, ProductManifold, TangentSpace
from ..objectives.models import TrustRegionModelObjective
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from ..stopping.models import StopWhenNoNegativeCurvature
from .hessian_approximations import HessianApproximation
from .line_search import check_given_gradient
from .model_solver import ModelSolverState
from .truncated_conjugate_gradient_descent import TruncatedConjugateGradientState, check_positive

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MAX_NONFINITE = 30
# a decrease below this multiple of eps |f| cannot be seen in f
_UNRESOLVED = 10.0


class TrustRegionsState(SolverState):
    """State of `trust_regions`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    trust_region_radius : float, optional
        First radius; default an eighth of the manifold's typical distance: the injectivity radius where that is
        finite, else ``sqrt(dim)``, combined as distances are on products.
    max_trust_region_radius : float, optional
        Default the typical distance where the injectivity radius is finite, else no bound.
    acceptance_rate : float, optional
        A step is taken when rho exceeds this, in [0, 1/4). Default 0.1.
    rho_regularization : float, optional
        Multiple of ``eps |f|`` that guards rho against rounding. Default 1e3.
    reduction_threshold, reduction_factor : float, optional
        Below this rho, Delta becomes this factor times the length of the step. Default 0.1 and 0.25.
    augmentation_threshold, augmentation_factor : float, optional
        Above this rho, at the boundary, Delta grows by this factor. Default 0.75 and 2.
    randomize : bool, optional
        Start each subproblem from a small random vector, which leaves saddle points, and end only where no negative
        curvature is met.
    hessian_approximation : HessianApproximation, optional
        Used instead of the Hessian: ``FiniteDifferenceHessian()``, ``SymmetricRankOneHessian()``, ``BFGSHessian()``.
    subsolver : ModelSolverState, optional
        Default ``TruncatedConjugateGradientState()``; copied unless it is wrapped.
    retraction, transport : str or callable, optional
        Default the manifold's. The transport serves the Hessian approximations.
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

    transient: ClassVar[tuple[str, ...]] = ("retract", "transport", "_operator", "_approximation", "_same_model")

    def __init__(
        self,
        p0: Any,
        *,
        trust_region_radius: float | None = None,
        max_trust_region_radius: float | None = None,
        acceptance_rate: float = 0.1,
        rho_regularization: float = 1e3,
        reduction_threshold: float = 0.1,
        reduction_factor: float = 0.25,
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
        self.acceptance_rate = _within("acceptance_rate", acceptance_rate, 0.0, 0.25)
        self.rho_regularization = _within("rho_regularization", rho_regularization, 0.0, math.inf)
        self.reduction_threshold = _within("reduction_threshold", reduction_threshold, 0.0, 1.0)
        self.reduction_factor = _within("reduction_factor", reduction_factor, 0.0, 1.0, open_below=True)
        self.augmentation_threshold = _within(
            "augmentation_threshold", augmentation_threshold, self.reduction_threshold, 1.0
        )
        self.augmentation_factor = _within("augmentation_factor", augmentation_factor, 1.0, math.inf, open_below=True)
        self.randomize = randomize
        self.hessian_approximation = hessian_approximation
        if not (hessian_approximation is None or isinstance(hessian_approximation, HessianApproximation)):
            raise TypeError(
                "`hessian_approximation` must be a rule such as SymmetricRankOneHessian(); got "
                f"{hessian_approximation!r}."
            )
        self.subsolver = _subsolver(subsolver, "trust region", TruncatedConjugateGradientState)
        self.retraction, self.vector_transport = retraction, transport
        self.rng = np.random.default_rng(rng) if randomize else None
        super().__init__(p0, stopping=stopping)

    @classmethod
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.trust_region_radius = math.nan if self.first_radius is None else float(self.first_radius)
        self.ratio = math.nan
        self.last_step_successful = True
        self.negative_curvature: bool | None = None
        self.nonfinite_trials = self.unresolved_trials = 0

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate cost and gradient at the start, and choose the radius."""
        if not math.isfinite(evaluation.cost):
            self.fail(Status.BAD_FUNCTION, f"the cost is {evaluation.cost} at the start point: choose another one.")
            return
        super().initialize(problem, evaluation)
        if self.status is Status.RUNNING and evaluation.gradient_norm == 0.0:
            check_given_gradient(problem, self, evaluation)

    def attach(self, problem: Any) -> None:
        """Resolve the methods of the manifold, bind the Hessian approximation, choose the radius the first time."""
        M = problem.manifold
        self.retract = M.get_retraction(self.retraction)
        self.transport = M.get_transport(self.vector_transport)
        self.eps = float(np.finfo(self.point.dtype).eps)
        self._operator: Any = None
        self._approximation: Any = None
        if self.hessian_approximation is not None:
            self._approximation = self.bound("hessian_approximation", self.hessian_approximation, problem)
        self._same_model = False
        typical, bounded = typical_distance(M)
        largest = self.max_trust_region_radius
        self._largest = (typical if bounded else math.inf) if largest is None else float(largest)
        if self.trust_region_radius != self.trust_region_radius:
            self.trust_region_radius = min(typical, self._largest) / 8.0

    def advance(self, problem: Any) -> None:
        """Minimize the model, try its minimizer, judge it."""
        e, M = self.evaluation, problem.manifold
        p = e.point
        sub = self._solve_model(problem, e)
        predicted, X = -sub.evaluation.cost, sub.evaluation.point
        if not predicted > 0.0:
            self._no_decrease(problem, sub)
            return
        candidate = problem.evaluate(self.retract(p, X), self.evaluations)
        f, f0 = candidate.cost, e.cost
        if not f - f == 0.0:
            self._not_finite(f, sub)
            return
        self.nonfinite_trials = 0
        rounding = self.eps * max(abs(f0), abs(f))
        if predicted < _UNRESOLVED * rounding:
            self._judge_by_gradient(problem, candidate, X, sub, f - f0 <= _UNRESOLVED * rounding)
            return
        guard = self.rho_regularization * rounding
        self.ratio = ratio = (f0 - f + guard) / (predicted + guard)
        if ratio < self.reduction_threshold:
            self._shrink(sub)
        elif ratio > self.augmentation_threshold and sub.boundary_reached:
            self.trust_region_radius = min(self.augmentation_factor * self.trust_region_radius, self._largest)
        # an increase that only the guard lets pass must at least decrease the gradient
        if ratio > self.acceptance_rate and (f <= f0 or candidate.gradient_norm < e.gradient_norm):
            self._take(problem, candidate, X)
        else:
            self._refuse(problem, M.norm(p, X))

    # the model

    def _solve_model(self, problem: Any, e: Any) -> Any:
        sub, M = self.subsolver, problem.manifold
        if not self._same_model:
            X0 = M.zero_vector(e.point)
            sub.reset(self._random_start(M, e.point) if self.randomize else X0)
            self._operator = None if self._approximation is None else self._approximation.operator(problem, e)
        model = TrustRegionModelObjective(
            e, self.trust_region_radius, hessian=self._operator, preconditioner=e.functions.preconditioner
        )
        before = sub.evaluations.copy() if self._same_model else {}
        solve(Problem(TangentSpace(M, e.point), model), sub)
        inner = unwrap(sub)
        if self._approximation is None:
            for name, n in inner.evaluations.items():
                self.evaluations[name] += n - before.get(name, 0)
        self._same_model = True
        self.negative_curvature = inner.negative_curvature
        return inner

    def _random_start(self, M: Any, p: Any) -> Any:
        """A vector long enough to be seen in the gradient of the model, short beside the radius."""
        X = M.random_vector(p, self.rng)
        length = M.norm(p, X)
        return (1e-3 * self.trust_region_radius / length) * X if length > 0.0 else X

    # the outcomes

    def _take(self, problem: Any, candidate: Any, X: Any) -> None:
        old = self.evaluation
        if not self.accept(candidate):
            return
        self.last_step_successful, self._same_model, self.unresolved_trials = True, False, 0
        self.stepsize, self.step_norm = 1.0, problem.manifold.norm(old.point, X)
        if self._approximation is not None:
            self._approximation.update(problem, self.transport, old, X, candidate)

    def _shrink(self, sub: Any) -> None:
        self.last_step_successful = False
        self.trust_region_radius = self.reduction_factor * min(self.trust_region_radius, sub.model_norm)

    def _refuse(self, problem: Any, length: float) -> None:
        self.last_step_successful = False
        if self._vanishes(length):
            self.fail(
                Status.STALLED,
                f"no step decreases the cost, down to a length of {length:.1e}."
                + check_given_gradient(problem, self, self.evaluation),
            )
        elif self.ratio >= self.reduction_threshold:  # refused without being reduced, by the user's choice of numbers
            self._shrink(unwrap(self.subsolver))

    def _vanishes(self, length: float) -> bool:
        p = self.evaluation.point
        return length <= 4.0 * self.eps * math.sqrt(abs(np.vdot(p, p)))

    def _judge_by_gradient(self, problem: Any, candidate: Any, X: Any, sub: Any, level: bool) -> None:
        """Accept a step whose decrease cannot be seen in f when the gradient decreases."""
        self.ratio = math.nan
        if level and candidate.gradient_norm < self.evaluation.gradient_norm:
            self._take(problem, candidate, X)
            return
        self.unresolved_trials += 1
        self._shrink(sub)
        if self.unresolved_trials == 2:
            self._round_off(problem, -sub.evaluation.cost)

    def _round_off(self, problem: Any, predicted: float) -> None:
        self.fail(
            Status.ROUND_OFF,
            f"the predicted decrease {predicted:.1e} is below the rounding of the cost {self.evaluation.cost:.6g}, and "
            "the gradient does not decrease either: rounding prevents further progress."
            + check_given_gradient(problem, self, self.evaluation),
        )

    def _no_decrease(self, problem: Any, sub: Any) -> None:
        self.last_step_successful = False
        if sub.status is Status.BAD_FUNCTION:
            self.fail(Status.BAD_FUNCTION, f"the subproblem cannot be solved: {sub.message}")
        elif self.randomize and not self.unresolved_trials and not sub.negative_curvature:
            self.unresolved_trials += 1  # the criterion is asked first
        else:
            self._round_off(problem, -sub.evaluation.cost)

    def _not_finite(self, f: float, sub: Any) -> None:
        self.ratio = math.nan
        if f == -math.inf:
            self.fail(Status.DIVERGED, "the cost is -inf at a trial point: it is unbounded below.")
            return
        self._shrink(sub)
        self.nonfinite_trials += 1
        # shrinking by a quarter, a step may vanish in the rounding of the point before thirty trials
        if self.nonfinite_trials == _MAX_NONFINITE or self._vanishes(sub.model_norm):
            self.fail(Status.BAD_FUNCTION, f"the cost was not finite at {self.nonfinite_trials} trial points in a row.")


def typical_distance(M: Any) -> tuple[float, bool]:
    """A length over which functions on M change, and whether M is bounded by it."""
    if isinstance(M, PowerManifold):
        length, bounded = typical_distance(M.manifold)
        return math.sqrt(math.prod(M.copies)) * length, bounded
    if isinstance(M, ProductManifold):
        parts = [typical_distance(factor) for _, factor in M.factors]
        return math.sqrt(sum(length * length for length, _ in parts)), all(bounded for _, bounded in parts)
    radius = M.injectivity_radius if M.has("injectivity_radius") else math.inf
    if 0.0 < radius < math.inf:
        return radius, True
    return math.sqrt(max(M.dim, 1)), False


def _subsolver(subsolver: Any, model: str, default: type) -> Any:
    """The subsolver's own copy, so that two runs share nothing; a watched one is used as it is."""
    if subsolver is None:
        return default()
    core = unwrap(subsolver)
    if not isinstance(core, SolverState) or (isinstance(core, ModelSolverState) and model not in core.solves):
        raise TypeError(f"`subsolver` must be a state that solves {model} models, such as {default.__name__}().")
    return copy.deepcopy(subsolver) if core is subsolver else subsolver


def _check_radii(radius: float | None, largest: float | None) -> None:
    if radius is not None:
        check_positive("trust_region_radius", radius)
    if largest is not None:
        check_positive("max_trust_region_radius", largest)
        if radius is not None and radius > largest:
            raise ValueError(
                f"`trust_region_radius` must be at most `max_trust_region_radius` = {largest!r}; got {radius!r}."
            )


def _within(name: str, value: float, low: float, high: float, *, open_below: bool = False) -> float:
    if not (low < value if open_below else low <= value) or not value < high:
        raise ValueError(f"`{name}` must be in {'(' if open_below else '['}{low:g}, {high:g}); got {value!r}.")
    return float(value)


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
    reduction_threshold: float = 0.1,
    reduction_factor: float = 0.25,
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
        When and how the radius changes. Default 0.1, 0.25, 0.75, 2.
    randomize : bool, optional
        Start each subproblem from a small random vector, which leaves saddle points.
    hessian_approximation : HessianApproximation, optional
        Instead of the Hessian: ``FiniteDifferenceHessian()``, ``SymmetricRankOneHessian()`` or ``BFGSHessian()``.
    subsolver : ModelSolverState, optional
        ``TruncatedConjugateGradientState()`` (default), ``LanczosState()`` or ``ExactModelState()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
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
