r"""Truncated conjugate gradients (Steihaug-Toint): the model of a trust region, minimized as far as it is worth it.

Minimize m(X) = <g, X> + 1/2 <X, H X> over |X| <= Delta in a tangent space. Conjugate gradients from X = 0,

    alpha = <r, z> / <d, H d>,   X <- X + alpha d,   r <- r + alpha H d,   z = P r,   d <- -z + beta d,

with r = g + H X, P the preconditioner and beta = <r+, z+> / <r, z>, decrease m in each step and lengthen X in the norm
of the inverse of P, in which Delta is measured. So the first step to leave the ball is the last: it is cut off at the
boundary. A direction of curvature <d, H d> <= 0 leads to the boundary as well. Otherwise the iteration stops once the
residual r is small enough. The decrease is at least that of the Cauchy point, which makes trust regions converge.

For a smaller Delta at the same point the iteration would repeat itself up to an earlier cut. The state therefore keeps
its iterates: solving a model again with a smaller radius takes no Hessian product.

From a random start vector, for which no preconditioner is used, the iteration sees directions of negative curvature
at a saddle point too, where g = 0.

References
----------
.. [1] T. Steihaug, SIAM J. Numer. Anal. 20 (1983), 626-637.
.. [2] Ph. L. Toint, Towards an efficient sparsity exploiting Newton method, in: Sparse Matrices and Their Uses,
   Academic Press 1981.
.. [3] A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, SIAM 2000, algorithm 7.5.1.
.. [4] P.-A. Absil, C. G. Baker, K. A. Gallivan, Found. Comput. Math. 7 (2007), 303-330.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..core.front import Common, cost_objective, run, start_point
from ..core.problem import Problem
from ..core.result import Result
from ..core.status import Status
from ..manifolds import TangentSpace
from ..objectives.models import ModelEvaluation, TrustRegionModelObjective
from ..stopping.models import (
    StopAfterDimension,
    StopWhenCurvatureIsNegative,
    StopWhenModelIncreased,
    StopWhenResidualIsReducedByFactorOrPower,
    StopWhenTrustRegionIsExceeded,
)
from .hessian_approximations import check_has_hessian
from .model_solver import ModelSolverState

if TYPE_CHECKING:
    from typing_extensions import Unpack

# three digits in one outer step are enough, see `StopWhenResidualIsReducedByFactorOrPower`
LEAST_REDUCTION = 1e-3
# iterates beyond this many bytes are not kept
_KEPT_BYTES = 2**28


class _Segment(NamedTuple):
    """A step of conjugate gradients: from the evaluation at X along d, with what the cut at a radius needs."""

    evaluation: ModelEvaluation
    d: Any
    Hd: Any
    curvature: float
    slope: float  # <gradient of m at X, d>
    XX: float  # squared norms and products in the norm of the preconditioner
    Xd: float
    dd: float


class TruncatedConjugateGradientState(ModelSolverState):
    """State of `truncated_conjugate_gradient_descent`, the default subsolver of `trust_regions`.

    Parameters
    ----------
    X0 : array, optional
        Start vector; as a subsolver the outer solver chooses it.
    theta, kappa : float, optional
        Power and factor of the default criterion: the residual is to be reduced by ``min(|r0|^theta, kappa)``, with
        1e-3 in place of a smaller power. Default 1 and 0.1.
    stopping : StoppingCriterion, optional
        Default ``StopAfterDimension() | StopWhenResidualIsReducedByFactorOrPower(kappa, theta, 1e-3) |
        StopWhenTrustRegionIsExceeded() | StopWhenCurvatureIsNegative() | StopWhenModelIncreased()``.

    Attributes
    ----------
    residual_norm, first_residual_norm : float
        Norm of the gradient of the model, now and at zero.
    residual_floor : float
        A residual that is small enough in any case; 0 unless the start vector is not zero.
    boundary_reached, negative_curvature, model_increased : bool
        What the last step met.
    """

    transient: ClassVar[tuple[str, ...]] = ("model", "_stops_on", "_path", "_inner", "_precondition")
    takes_preconditioner: ClassVar[bool] = True

    def __init__(
        self, X0: Any = None, *, theta: float | None = None, kappa: float | None = None, stopping: Any = None
    ) -> None:
        if stopping is None:
            stopping = self.default_stopping(1.0 if theta is None else theta, 0.1 if kappa is None else kappa)
        elif theta is not None or kappa is not None:
            raise ValueError("`theta` and `kappa` belong to the default criterion, which `stopping` replaces.")
        super().__init__(X0, stopping=stopping)

    @classmethod
    def default_stopping(cls, theta: float = 1.0, kappa: float = 0.1) -> Any:
        """A residual small enough, the boundary, negative curvature, a model at rounding, or dim iterations."""
        return (
            StopAfterDimension()
            | StopWhenResidualIsReducedByFactorOrPower(kappa, theta, LEAST_REDUCTION)
            | StopWhenTrustRegionIsExceeded()
            | StopWhenCurvatureIsNegative()
            | StopWhenModelIncreased()
        )

    def _clear(self) -> None:
        super()._clear()
        self.model_increased = False
        self.residual_norm = self.first_residual_norm = math.nan
        self.residual_floor = 0.0
        self._path: list[_Segment] = []
        self._kept = True

    def start(self, problem: Any) -> None:
        """Residual and first direction at the start vector."""
        e, M, X = self.evaluation, problem.manifold, self.evaluation.point
        self.trust_region_radius = self.model.radius
        self._path, self._kept = [], True
        self.model_increased = False
        # the inner product at the base point, without the detour by the tangent space
        self._inner, self._p = M.manifold.inner, M.p
        self._started_off_zero = bool(X.any())
        if self._started_off_zero:
            self._precondition = None  # the norm of X0 in which the radius is measured would be unknown
            XX = M.inner(X, X, X)
        else:
            self._precondition, XX = self.model.preconditioner, 0.0
            e._cost = 0.0
            e._gradient, e._gradient_norm = e.functions.slope, self.model.evaluation.gradient_norm
        self.first_residual_norm = self.residual_norm = norm = e.gradient_norm
        self.residual_floor = 0.0
        if self._started_off_zero:
            # The residual that the start vector brings must be small beside the gradient in the end, or near a
            # solution all steps are noise; reduced by sqrt(eps) it is small enough.
            self.first_residual_norm = self.model.evaluation.gradient_norm
            self.residual_floor = math.sqrt(np.finfo(X.dtype).eps) * norm
        r = e.gradient
        if self._precondition is None:
            self._d, self._rz = -r, norm * norm
        else:
            z = self._precondition(self._p, r)
            self._d, self._rz = -z, self._inner(self._p, r, z)
        self._XX, self._Xd, self._dd = XX, M.inner(X, X, self._d) if XX else 0.0, self._rz
        self.model_norm = math.sqrt(XX)

    def again(self, problem: Any, before: Any) -> None:
        """Cut the path at a smaller radius."""
        if self.model.radius < self.trust_region_radius and self._kept and self.iteration:
            self.trust_region_radius = self.model.radius
            self._cut(problem)
        elif self.model.radius != self.trust_region_radius:
            self._afresh(problem)

    def advance(self, problem: Any) -> None:
        """One step of conjugate gradients, cut at the boundary."""
        if self.boundary_reached or self.model_increased:
            self.fail(Status.STALLED, "the iteration has ended and no criterion asks about its end.")
            return
        if not self._rz > 0.0:
            self.fail(Status.BAD_FUNCTION, f"the preconditioner is not positive: <r, P r> is {self._rz:.3g}.")
            return
        e, d, inner, p = self.evaluation, self._d, self._inner, self._p
        Hd = e.apply(d)
        curvature = inner(p, d, Hd)
        rz, XX, Xd, dd = self._rz, self._XX, self._Xd, self._dd
        if not curvature - curvature == 0.0:
            self.not_finite()
            return
        # <gradient of m, d> is -<r, z> in exact arithmetic, and so it is used
        segment = _Segment(e, d, Hd, curvature, -rz, XX, Xd, dd)
        self._keep(segment)
        alpha = rz / curvature if curvature > 0.0 else math.inf
        new_XX = XX + alpha * (2.0 * Xd + alpha * dd) if curvature > 0.0 else math.inf
        if new_XX >= self.trust_region_radius * self.trust_region_radius:
            self._to_boundary(segment)
            return
        cost = e.cost - 0.5 * alpha * rz
        if not cost < e.cost:
            self.model_increased = True
            return
        r, X = alpha * Hd, alpha * d
        r += e.gradient
        X += e.point
        P = self._precondition
        self.evaluation = ModelEvaluation(e.functions, X, e.counts, r, cost)
        self._XX = new_XX
        self.model_norm = math.sqrt(new_XX)
        rr = inner(p, r, r)
        self.residual_norm = math.sqrt(rr) if rr > 0.0 else 0.0
        if P is None:
            z, self._rz = r, rr
        else:
            z = P(p, r)
            self._rz = inner(p, r, z)
        beta = self._rz / rz
        self._d = beta * d
        self._d -= z
        # z is orthogonal to all of X but its start
        self._Xd = beta * (Xd + alpha * dd) - (inner(p, self.evaluation.point, z) if self._started_off_zero else 0.0)
        self._dd = self._rz + beta * beta * dd

    def _to_boundary(self, s: _Segment) -> None:
        """End the step from X along d where it meets the boundary."""
        radius, e = self.trust_region_radius, s.evaluation
        gap = max(radius * radius - s.XX, 0.0)
        root = math.sqrt(s.Xd * s.Xd + s.dd * gap)
        # the form without cancellation
        t = gap / (s.Xd + root) if s.Xd >= 0.0 else (root - s.Xd) / s.dd
        if not t - t == 0.0:
            self.fail(Status.DIVERGED, "the curvature is not positive and the radius is infinite: no minimizer.")
            return
        cost = e.cost + t * (s.slope + 0.5 * t * s.curvature)
        r = e.gradient + t * s.Hd
        self.evaluation = ModelEvaluation(e.functions, e.point + t * s.d, self.evaluations, r, cost)
        self.boundary_reached, self.negative_curvature = True, s.curvature <= 0.0
        self.model_norm = radius

    def _keep(self, segment: _Segment) -> None:
        if self._kept and 4 * (len(self._path) + 1) * segment.d.nbytes <= _KEPT_BYTES:
            self._path.append(segment)
        else:
            self._kept = False

    def _cut(self, problem: Any) -> None:
        """Follow the path again up to the smaller radius."""
        radius, path = self.trust_region_radius, self._path
        if path[0].XX >= radius * radius:  # a random start vector of the larger ball
            self._start = (0.5 * radius / math.sqrt(path[0].XX)) * self._start
            self._afresh(problem)
            return
        if self.model_norm < radius:  # the step lies inside the smaller ball too
            return
        j = next((j for j, following in enumerate(path[1:]) if following.XX >= radius * radius), len(path) - 1)
        self.model_increased = False
        self.iteration = j + 1
        del path[j + 1 :]
        self._to_boundary(path[j])


def truncated_conjugate_gradient_descent(
    M: Any,
    f: Any,
    p: Any = None,
    X0: Any = None,
    *,
    gradient: Any = None,
    hessian: Any = None,
    preconditioner: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    trust_region_radius: float | None = None,
    theta: float | None = None,
    kappa: float | None = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize the quadratic model of a cost at p over a ball of the tangent space, by truncated conjugate gradients.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        The cost.
    p : array, optional
        Point of the model; default a random one.
    X0 : array, optional
        Start vector; default zero.
    gradient, hessian : callable or InPlace, optional
        ``gradient(p)`` and ``hessian(p, X)``; default by differentiation.
    preconditioner : callable, optional
        ``preconditioner(p, X)``, an approximation of the inverse Hessian applied to X, symmetric and positive.
    objective_type, autodiff : str
        See `CostObjective`.
    trust_region_radius : float, optional
        Default a quarter of the injectivity radius, or no bound where that is infinite or unknown.
    theta, kappa : float, optional
        See `TruncatedConjugateGradientState`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.point`` is the tangent vector X, ``result.cost`` the change of f that the model predicts.

    Raises
    ------
    ValueError
        On a radius that is not positive.

    Notes
    -----
    Needs of M: ``inner``.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, truncated_conjugate_gradient_descent
    >>> A = np.diag([1.0, 2.0, 4.0])
    >>> result = truncated_conjugate_gradient_descent(Euclidean(3), lambda p: p @ A @ p / 2, np.ones(3), kappa=1e-10)
    >>> np.round(result.point, 12)
    array([-1., -1., -1.])
    """
    objective = cost_objective(
        f,
        gradient=gradient,
        hessian=hessian,
        preconditioner=preconditioner,
        objective_type=objective_type,
        autodiff=autodiff,
    )
    p = start_point(M, p, common.get("rng"))
    if trust_region_radius is None:
        radius = M.injectivity_radius if M.has("injectivity_radius") else math.inf
        trust_region_radius = radius / 4.0 if radius > 0.0 else math.inf
    check_positive("trust_region_radius", trust_region_radius)
    e = Problem(M, objective).evaluate(p)
    check_has_hessian(e, "truncated_conjugate_gradient_descent")
    preconditioner = getattr(e.functions, "preconditioner", None)
    model = TrustRegionModelObjective(e, float(trust_region_radius), preconditioner=preconditioner)
    result = run(
        truncated_conjugate_gradient_descent,
        TangentSpace(M, p),
        model,
        M.zero_vector(p) if X0 is None else X0,
        lambda X: TruncatedConjugateGradientState(X, theta=theta, kappa=kappa),
        common,
    )
    add_counts(result.evaluations, e.counts)
    return result


def add_counts(total: Any, part: Any) -> None:
    """Add the counts of a subproblem to its parent's."""
    for name, n in part.items():
        total[name] += n


def check_positive(name: str, value: Any) -> None:
    """Raise unless value > 0."""
    if not value > 0.0:
        raise ValueError(f"`{name}` must be positive; got {value!r}.")
