r"""Robust fits as sequences of weighted plain ones: iteratively reweighted least squares, and graduated non-convexity.

Each iteration takes the weights w = rho'(|r|^2 / c^2) of the residuals at the current point and solves the weighted
least-squares problem, warm-started, by Levenberg-Marquardt: the minimizer of a quadratic upper bound of the robust
cost, so that with a fixed loss the cost never increases.

Graduated non-convexity starts from the plain fit with a loss that is convex there, and makes it less convex from one
iteration to the next; a minimizer followed this way survives shares of outliers at which a robust fit from the same
start ends in a local minimum. The last loss, the one the user asked for, is minimized to the end.

The scale c may be found on the way: it is a quantile of the noise whose size is the weighted median absolute deviation
of the residuals. What is an outlier loses its weight in the median, too.

References
----------
.. [1] P. W. Holland, R. E. Welsch, Robust regression using iteratively reweighted least-squares, Comm. Statist. A6
   (1977), 813-827: the method, and the constants for 95 % efficiency.
.. [2] H. Yang, P. Antonante, V. Tzoumas, L. Carlone, Graduated non-convexity for robust spatial perception, IEEE RA-L 5
   (2020), 1127-1134, algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.problem import Problem
from ..core.result import Result
from ..core.solve import solve
from ..core.state import SolverState
from ..core.status import Status
from ..objectives.base import Objective
from ..objectives.blocks import BlockObjective, is_blocks
from ..objectives.corrections import Groups, Robust, scaled_rows
from ..objectives.evaluation import Counts
from ..objectives.graduated import (
    GraduatedGemanMcClure,
    GraduatedLoss,
    GraduatedTruncated,
    chi_quantile,
    robust_scale,
)
from ..objectives.least_squares import LeastSquaresFunctions
from ..objectives.losses import Cauchy, Huber, LinearLoss, Loss, Tukey, Welsch, as_loss
from ..stopping import StopAfterIteration
from .levenberg_marquardt import LevenbergMarquardtState

if TYPE_CHECKING:
    from typing_extensions import Unpack

GRADUATED: dict[str, type[GraduatedLoss]] = {"truncated": GraduatedTruncated, "geman_mcclure": GraduatedGemanMcClure}

# c in units of sigma, for 95 % efficiency with normal errors; section 3 of [1]
_EFFICIENT: dict[type[Loss], float] = {Huber: 1.345, Cauchy: 2.385, Tukey: 4.685, Welsch: 2.985}
# other losses: 1 % of good residuals are beyond c
_INSIDE = 0.99
# c follows the estimate down by at most this factor, so that no stage leaves its predecessor's basin
_SLOWEST = math.sqrt(1.4)


@dataclass(frozen=True)
class _Given(Objective):
    """Functions that exist already."""

    functions: LeastSquaresFunctions

    def bind(self, M: Any, p: Any, counts: Counts) -> LeastSquaresFunctions:
        """Them."""
        return self.functions


def _weighted(inner: LeastSquaresFunctions, rows: Any) -> LeastSquaresFunctions:
    """Plain least squares of residuals times a number each."""
    residual = inner.residual

    def jacobian(p: Any) -> tuple[Any, Any]:
        r, J = inner.jacobian(p)
        return None if r is None else rows * r, scaled_rows(rows, J)

    lifted = None if residual is None else lambda p: rows * residual(p)
    return replace(inner, residual=lifted, jacobian=jacobian, robust=None, buffers=None)


class IterativelyReweightedState(SolverState):
    """State of `iteratively_reweighted` and `graduated_non_convexity`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    loss : Loss, str, or callable
        The loss; its scale is ignored where ``scale`` is given.
    scale : float, "mad" or None
        c, or how to find it; None takes that of the loss.
    residual_size : int
        Residuals per group, where the objective does not say.
    graduated : bool
        Whether to start from a convex loss; for the truncated and the Geman-McClure loss.
    factor : float
        By which mu changes from one iteration to the next.
    tolerance : float
        Largest change of a weight that ends an iteration with a fixed loss.
    stopping : StoppingCriterion, optional
        Default: 200 iterations.

    Attributes
    ----------
    loss : Loss
        The current one.
    weights : array
        rho' of each group at the current point.
    scale : float
        Current c of groups of the first size.

    Raises
    ------
    ValueError
        When a parameter is outside its interval, or the loss cannot be graduated.
    """

    transient: ClassVar[tuple[str, ...]] = ("_plain", "_robust")

    def __init__(
        self,
        p0: Any,
        *,
        loss: Any = "huber",
        scale: Any = None,
        residual_size: int = 1,
        graduated: bool = False,
        factor: float = 1.4,
        tolerance: float = 1e-8,
        stopping: Any = None,
    ) -> None:
        self.final_loss = as_loss(loss) or LinearLoss()
        if graduated and loss not in GRADUATED and type(loss).__name__ not in ("Truncated", "GemanMcClure"):
            raise ValueError(f"`loss` can be graduated for {', '.join(map(repr, GRADUATED))} only; got {loss!r}.")
        if scale is not None and scale != "mad" and not (isinstance(scale, int | float) and 0.0 < scale < math.inf):
            raise ValueError(f"`scale` must be a positive number, 'mad' or None; got {scale!r}.")
        if not factor > 1.0:
            raise ValueError(f"`factor` must be greater than 1; got {factor!r}.")
        self.scale_rule, self.residual_size, self.graduated = scale, residual_size, graduated
        self.factor, self.tolerance = factor, tolerance
        super().__init__(p0, stopping=stopping)

    @classmethod
    def default_stopping(cls) -> Any:
        """200 iterations; convergence is seen by the state itself."""
        return StopAfterIteration(200)

    def _clear(self) -> None:
        super()._clear()
        self.mu: float | None = None
        self.sigma = math.nan
        self._robust: Robust | None = None
        self._fitted = False

    @property
    def weights(self) -> Any:
        """rho' of each group of residuals at the current point."""
        return self.evaluation.weights

    @property
    def loss(self) -> Loss:
        """The loss in use."""
        robust = getattr(self, "_robust", None)  # not before a state from a pickle has begun
        return self.final_loss if robust is None else robust.groups[0].loss

    @property
    def scale(self) -> float:
        """c of the loss in use."""
        return self.loss.scale

    # the algorithm

    def attach(self, problem: Any) -> None:
        """Keep the functions of the problem; those of the evaluation have the current loss."""
        self._plain = problem.functions(self.point, self.evaluations)
        e = self.evaluation
        self._robust = self._grouped(len(e.residuals))
        if self.scale_rule == "mad" and not math.isfinite(self.sigma):
            norms, sizes, free = self._norms(e)
            self.sigma = self._found(norms[free], sizes[free])
        self._use(e, self._losses())

    def needs_finite(self, evaluation: Any) -> str:
        """Residuals must be finite; the inner solver looks at Jacobians."""
        return "" if math.isfinite(evaluation.cost) else "the residual is not finite"

    def advance(self, problem: Any) -> None:
        """One weighted fit, and the loss after it."""
        e = self.evaluation
        if self.graduated and not self._fitted:
            rows = np.ones(len(e.residuals))  # the plain fit first
        else:
            rows = np.sqrt(self._expanded(e.weights))
        p = self._solved(problem, _weighted(self._plain, rows))
        if p is None:
            return
        before, first = e.weights, not self._fitted
        candidate = self._plain.evaluation(p, self.evaluations)
        self._fitted = True
        self._use(candidate, self._next(candidate, before, first))
        if not self.accept(candidate):
            return
        change = float(np.abs(candidate.weights - before).max())
        if not candidate.weights.any():
            self.fail(Status.FALSE_CONVERGENCE, "every residual is an outlier to the loss: enlarge its scale.")
        elif self.mu is None and not first and change <= (1e-2 if self.graduated else self.tolerance):
            self._finish(problem, change)

    def _finish(self, problem: Any, change: float) -> None:
        """The last loss is minimized to the end where the iteration only came close."""
        message = f"No weight changes by more than {change:.1e}."
        if self.graduated:
            p = self._solved(problem, replace(self._plain, robust=self._robust, buffers=None))
            if p is None:
                return
            candidate = self._plain.evaluation(p, self.evaluations)
            self._use(candidate, self._robust)
            if not self.accept(candidate):
                return
            message = "The loss is no longer graduated, and its cost is at a minimum."
        self.fail(Status.CONVERGED, message)

    def _solved(self, problem: Any, functions: LeastSquaresFunctions) -> Any:
        """Minimizer from the current point on; None where the run must end."""
        inner = solve(Problem(problem.manifold, _Given(functions)), LevenbergMarquardtState(self.point))
        for name, n in inner.evaluations.items():
            self.evaluations[name] += n
        if inner.status in (Status.BAD_FUNCTION, Status.LINEAR_SOLVE_FAILED, Status.DIVERGED):
            self.fail(inner.status, f"the weighted fit failed: {inner.message}")
            return None
        self.stepsize, self.step_norm = inner.stepsize, inner.step_norm
        return inner.point

    # losses

    def _grouped(self, m: int) -> Robust:
        """Groups as the objective has them, each with the final loss; those without a loss of their own stay plain."""
        robust = self._plain.robust
        if robust is None:
            return Robust((Groups(m // self.residual_size, self.residual_size, self.final_loss),), "irls")
        groups = [g if g.number is not None else g._replace(number=m // g.size) for g in robust.groups]
        plain = all(isinstance(g.loss, LinearLoss) for g in groups)
        return Robust(
            tuple(
                g if isinstance(g.loss, LinearLoss) and not plain else g._replace(loss=self.final_loss) for g in groups
            ),
            "irls",
        )

    def _use(self, e: Any, robust: Any) -> None:
        """Look at an evaluation with these losses."""
        self._robust = robust
        e.functions = replace(self._plain, robust=robust, buffers=None)
        e._losses = e._model = e._cost = e._gradient_coordinates = e._gradient = e._gradient_norm = None

    def _expanded(self, weights: Any) -> Any:
        return self._robust.expand(weights)  # type: ignore[union-attr]  # set by attach

    def _next(self, e: Any, weights: Any, first: bool) -> Robust:
        """Losses for the residuals at a new point."""
        norms, sizes, free = self._norms(e)
        norms, sizes = norms[free], sizes[free]
        if self.scale_rule == "mad" and (first or self.graduated or self.iteration < 30):
            w = weights[free]
            if first or not w.any():
                self.sigma = self._found(norms, sizes)
            else:
                self.sigma = max(min(self._found(norms, sizes, w), self.sigma), self.sigma / _SLOWEST)
        if self.graduated:
            c = np.array([self._c(int(d)) for d in sizes])
            largest = float(((norms / c) ** 2).max())
            kind: Any = GRADUATED["truncated" if type(self.final_loss).__name__ == "Truncated" else "geman_mcclure"]
            self.mu = (
                kind.start(largest) if first else (None if self.mu is None else kind.advanced(self.mu, self.factor))
            )
        return self._losses()

    def _norms(self, e: Any) -> tuple[Any, Any, Any]:
        """|r| of each group, its size, and whether it has a robust loss."""
        robust: Any = self._robust
        free = np.concatenate([np.full(g.number, not isinstance(g.loss, LinearLoss)) for g in robust.groups])
        sizes = np.concatenate([np.full(g.number, g.size) for g in robust.groups])
        r = e.residuals
        return np.sqrt(np.add.reduceat(r * r, np.concatenate([[0], np.cumsum(sizes)[:-1]]))), sizes, free

    @staticmethod
    def _found(norms: Any, sizes: Any, weights: Any = None) -> float:
        """Standard deviation; above rounding where more than half of the data are fitted perfectly."""
        return max(robust_scale(norms, sizes, weights), 1e-12 * float(norms.max()), float(np.finfo(float).tiny))

    def _losses(self) -> Robust:
        """The groups with the current scale and mu."""
        robust: Any = self._robust
        groups = tuple(
            g if isinstance(g.loss, LinearLoss) else g._replace(loss=self._loss_of(g.size)) for g in robust.groups
        )
        return Robust(groups, "irls")

    def _loss_of(self, size: int) -> Loss:
        c = self._c(size)
        if self.mu is None:
            return replace(self.final_loss, scale=c)
        kind = GRADUATED["truncated" if type(self.final_loss).__name__ == "Truncated" else "geman_mcclure"]
        return kind(scale=c, mu=self.mu)

    def _c(self, size: int) -> float:
        """Scale of the loss of groups of this size."""
        if self.scale_rule == "mad" and math.isfinite(self.sigma):
            constant = _EFFICIENT.get(type(self.final_loss))
            return self.sigma * (chi_quantile(_INSIDE, size) if constant is None or size > 1 else constant)
        return self.final_loss.scale if self.scale_rule in (None, "mad") else float(self.scale_rule)


def iteratively_reweighted(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    loss: Any = "huber",
    scale: Any = "mad",
    residual_size: int = 1,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    autodiff: str = "auto",
    **common: Unpack[Common],
) -> Result:
    r"""Robust least squares by iterative reweighting.

    Parameters
    ----------
    M : Manifold
    residual : callable, sequence of ResidualBlock, or Objective
        See `levenberg_marquardt`. In blocks, those with a loss of their own take part, or all if none has.
    p0 : array, optional
        Start point; default a random one.
    loss : str, Loss or callable
        Robust loss; default Huber's.
    scale : float, "mad" or None
        Size c of a residual up to which it counts in full. ``"mad"`` (default): 1.345 (Huber), 2.385 (Cauchy), 4.685
        (Tukey), 2.985 (Welsch) times the standard deviation found by the weighted median absolute deviation, the 99 %
        quantile of the noise for other losses and groups; held after 30 iterations. None: the one of the loss.
    residual_size : int
        Consecutive residuals whose norm is the argument of one loss.
    jacobian, jacobian_type, autodiff : optional
        See `levenberg_marquardt`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.state.weights`` tells who was believed, ``result.state.scale`` is c.

    Raises
    ------
    ValueError, TypeError
        On parameters that make no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, iteratively_reweighted
    >>> y = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 80.0])
    >>> result = iteratively_reweighted(Euclidean(1), lambda p: p - y, np.array([0.0]), loss="tukey")
    >>> np.round(result.point, 2), float(np.round(result.state.weights[-1], 2))
    (array([1.]), 0.0)
    """
    return _front(
        iteratively_reweighted,
        M,
        residual,
        p0,
        common,
        {"loss": loss, "scale": scale, "residual_size": residual_size},
        {"jacobian": jacobian, "jacobian_type": jacobian_type, "autodiff": autodiff},
    )


def graduated_non_convexity(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    loss: Any = "truncated",
    scale: Any = "mad",
    residual_size: int = 1,
    factor: float = 1.4,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    autodiff: str = "auto",
    **common: Unpack[Common],
) -> Result:
    r"""Robust least squares among many outliers, by graduated non-convexity.

    Parameters
    ----------
    M : Manifold
    residual : callable, sequence of ResidualBlock, or Objective
        See `levenberg_marquardt`. In blocks, those with a loss of their own take part, or all if none has.
    p0 : array, optional
        Start point of the plain fit with which it begins; default a random one.
    loss : {"truncated", "geman_mcclure"}, Truncated or GemanMcClure
        What it ends with.
    scale : float, "mad" or None
        c, beyond which a residual is an outlier (truncated) or counts little. ``"mad"`` (default): the 99 % quantile of
        the noise whose size the weighted median absolute deviation of the residuals finds on the way. None: the one of
        the loss. A known noise level is always better than a guessed one: ``scale=2.6 * sigma``.
    residual_size : int
        Consecutive residuals whose norm is the argument of one loss: 3 for points in space.
    factor : float
        By which the parameter of the loss changes from one iteration to the next; nearer to 1 is slower and safer.
    jacobian, jacobian_type, autodiff : optional
        See `levenberg_marquardt`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.state.weights`` tells who was believed, ``result.state.scale`` is c.

    Raises
    ------
    ValueError, TypeError
        On parameters that make no sense.

    Notes
    -----
    With random outliers and a known scale it is usually right up to 60 or 70 % of them, with ``"mad"`` up to one half,
    where a median breaks down; there is no proof for the case at hand.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, graduated_non_convexity
    >>> y = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 80.0, 90.0, 85.0])
    >>> result = graduated_non_convexity(Euclidean(1), lambda p: p - y, np.array([0.0]), scale=0.3)
    >>> np.round(result.point, 2), result.state.weights.astype(int)
    (array([1.]), array([1, 1, 1, 1, 1, 0, 0, 0]))
    """
    return _front(
        graduated_non_convexity,
        M,
        residual,
        p0,
        common,
        {"loss": loss, "scale": scale, "residual_size": residual_size, "graduated": True, "factor": factor},
        {"jacobian": jacobian, "jacobian_type": jacobian_type, "autodiff": autodiff},
    )


def _front(
    solver: Any, M: Any, residual: Any, p0: Any, common: Any, parameters: dict[str, Any], derivative: dict[str, Any]
) -> Result:
    if is_blocks(residual):
        residual = BlockObjective(residual, autodiff=derivative["autodiff"])
        derivative = {}
    if isinstance(residual, BlockObjective) and all(block.loss is None for block in residual.blocks):
        # a loss makes the objective remember its groups; which one does not matter
        residual = replace(residual, blocks=tuple(replace(block, loss=Huber()) for block in residual.blocks))
    objective = least_squares_objective(residual, **derivative)
    return run(solver, M, objective, p0, lambda p: IterativelyReweightedState(p, **parameters), common)
