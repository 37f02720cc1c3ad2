r"""Levenberg-Marquardt on manifolds: minimize f(p) = 1/2 |r(p)|^2.

At p the residual along a tangent vector with orthonormal coordinates s is about r + J s. The step minimizes

    |r + J s|^2 + lam |D s|^2,

p moves to retract(p, s), and the decrease of f compared with the one promised by the model decides whether to stay
there and how lam, or the radius that it comes from, changes (see `manifold_opt.solvers.damping` and
`manifold_opt.solvers.trust_region_steps`). For a small lam this is Gauss-Newton's step, for a
large one a short step of steepest descent.

Bounds are kept by projection: coordinates on a bound that the gradient pushes outward stay, the others move, and what
leaves the box is cut off.

References
----------
.. [1] D. W. Marquardt, J. SIAM 11 (1963), 431-441.
.. [2] R. Peeters, On a Riemannian version of the Levenberg-Marquardt algorithm, VU Amsterdam 1993.
.. [3] S. Adachi, T. Okuno, A. Takeda, arXiv 2210.00253.
.. [4] K. Madsen, H. B. Nielsen, O. Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004, section 3.2.
.. [5] M. K. Transtrum, J. P. Sethna, Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares
   minimization, arXiv 1201.5885 (geodesic acceleration).
.. [6] A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, SIAM 2000, algorithm 10.1.2 (non-monotone steps).
.. [7] C. Kanzow, N. Yamashita, M. Fukushima, J. Comput. Appl. Math. 172 (2004), 375-397 (projection).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, batched_least_squares_objective, least_squares_objective, run
from ..core.result import Result
from ..core.status import Status
from ..linalg.solvers import without_columns
from . import batched_least_squares, batches
from .box import Box, box_of
from .damping import AdachiOkunoTakeda, Damping, Nielsen, Step
from .least_squares_state import LeastSquaresState, Trial, decrease
from .trust_region_steps import More, PowellDogleg

if TYPE_CHECKING:
    from typing_extensions import Unpack

# a scaled damping beyond this moves the point by less than any rounding
_LARGEST_DAMPING = 1e32
# |h delta| for the difference that the acceleration is made of, relative to the step; section 2.3 of [5]
_BEND = 0.1
# Acceleration by itself, "auto": the ratio of section 2 of [5]; after so many steps; so far from a solution, as a
# relative offset. Over NIST's 54 and Moré and Wild's 53 runs it takes 4925 residuals instead of 7437, and 2949
# Jacobians instead of 5842; the slowest of those with large residuals take up to half as many residuals again.
_AUTOMATIC, _LATE, _FAR = 0.75, 20, 0.01


class LevenbergMarquardtState(LeastSquaresState):
    """State of `levenberg_marquardt`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    damping : Damping, optional
        Default ``More()``, or ``PowellDogleg()`` where the Jacobian is large and sparse.
    eta, beta, damping_min, expect_zero_residual : optional
        Parameters of `AdachiOkunoTakeda`; giving one of them chooses that policy.
    bounds : optional
        Of flat coordinates, see `manifold_opt.solvers.box.box_of`.
    geodesic_acceleration : float, "auto" or None
        Largest ratio of the second-order part of a step to the first; see `levenberg_marquardt`.
    nonmonotone : int
        How many steps in a row may increase the cost; default 0.
    batched : bool
        Whether p0 is a batch of starts, with leading axes, and the objective one of batches; damping ``Nielsen()``.
    linear_solver, retraction, residuals, jacobian, stopping : optional
        See `LeastSquaresState`.

    Attributes
    ----------
    damping : float
        The policy's current number.
    members : Members or None
        Of a batch: who runs, and how the others have ended. Numbers of the state are arrays then.

    Raises
    ------
    ValueError
        When a parameter of the damping is outside its interval, or both ``damping`` and parameters are given.
    """

    transient: ClassVar[tuple[str, ...]] = (*LeastSquaresState.transient, "_damping", "_box")

    def __init__(
        self,
        p0: Any,
        *,
        damping: Damping | None = None,
        eta: float | None = None,
        beta: float | None = None,
        damping_min: float | None = None,
        expect_zero_residual: bool | None = None,
        bounds: Any = None,
        geodesic_acceleration: float | str | None = "auto",
        nonmonotone: int = 0,
        batched: bool = False,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        self.batched = batched
        super().__init__(
            p0,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=residuals,
            jacobian=jacobian,
            stopping=stopping,
        )
        if batched and (damping, eta, beta, damping_min, expect_zero_residual) == (None,) * 5:
            damping = Nielsen()
        self.damping_rule = _policy(
            damping, eta=eta, beta=beta, damping_min=damping_min, expect_zero_residual=expect_zero_residual
        )
        self._default_damping = damping is None and self.damping_rule == More()
        alpha = geodesic_acceleration
        if not (alpha is None or alpha == "auto" or (not isinstance(alpha, str) and alpha > 0.0)):
            raise ValueError(f'`geodesic_acceleration` must be positive, "auto" or None; got {alpha!r}.')
        if not nonmonotone >= 0:
            raise ValueError(f"`nonmonotone` must be a number of steps, at least 0; got {nonmonotone!r}.")
        self.bounds = bounds
        self.geodesic_acceleration = geodesic_acceleration
        self.nonmonotone = int(nonmonotone)
        if batched:
            unknown = {"bounds": bounds, "nonmonotone": nonmonotone, "linear_solver": linear_solver}
            unknown["geodesic_acceleration"] = None if alpha == "auto" else alpha
            batched_least_squares.check_rules(self, unknown)

    def _clear(self) -> None:
        super()._clear()
        self.members: Any = None
        self.model: Any = None
        self._reference: Reference | None = None
        self._best: Any = None

    # what can be read

    @property
    def damping(self) -> float:
        """Current number of the damping policy."""
        _, bound = self._bounds.get("damping", (None, None))
        return math.nan if bound is None else float(bound.value)

    @property
    def residual_norm(self) -> Any:
        """|r| at the current point; sqrt(2 f) with a loss."""
        return np.sqrt(2.0 * self.evaluation.cost) if self.batched else super().residual_norm

    @property
    def relative_offset(self) -> Any:
        """|P r| / |r| with P the projection onto the range of J: 0 at a stationary point, at most 1."""
        return batched_least_squares.relative_offset(self) if self.batched else super().relative_offset

    @property
    def residual_rounding(self) -> Any:
        """Size of the residuals that the rounding of the point explains, an estimate."""
        return batched_least_squares.residual_rounding(self) if self.batched else super().residual_rounding

    @property
    def decrease_rounding(self) -> Any:
        """Relative decreases of the cost up to this one are lost in the rounding of the residuals, an estimate."""
        return batched_least_squares.decrease_rounding(self) if self.batched else super().decrease_rounding

    @property
    def trust_region_radius(self) -> float:
        """Current radius of a policy that has one, in the norm of D; NaN for the others and before the first step."""
        _, bound = self._bounds.get("damping", (None, None))
        radius = getattr(bound, "radius", None)
        return math.nan if radius is None else float(radius)

    @property
    def optimality(self) -> float:
        """Largest coordinate of the gradient that the bounds let move."""
        if self._box is None:
            return super().optimality
        e = self.evaluation
        g = e.gradient_coordinates
        return float(np.max(np.abs(np.where(self._box.blocked(e.point, g), 0.0, g))))

    @property
    def active(self) -> Any:
        """-1 or 1 for each coordinate on its lower or upper bound, else 0."""
        if self._box is None:
            return np.zeros(len(self.evaluation.gradient_coordinates), int)
        return self._box.active(self.evaluation.point)

    def offset_exceeds(self, tolerance: float) -> bool:
        """From the next step, where that has a damping of its own: it removes less of the residual than is possible."""
        solver = self.solver_here()
        if self._offset is None and hasattr(solver, "damped_projection") and self._damping.prescribes:
            e, damping = self.evaluation, self._damping
            try:
                least = solver.damped_projection(e.model_residuals, damping.lam(e.cost), damping.scale)
            except np.linalg.LinAlgError:
                least = 0.0
            if least > tolerance * self.residual_norm:
                return True
        return super().offset_exceeds(tolerance)

    # the algorithm

    def begin(self, problem: Any) -> None:
        """Resolve the bounds, then begin."""
        self._box: Box | None = box_of(problem.manifold, self.bounds)
        if self._box is not None and self.evaluation is None:
            self._box.check(self._start)
        super().begin(problem)

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate residuals and Jacobian at the start."""
        if self.batched:
            batches.begin(self, problem, evaluation)
            batched_least_squares.begin(self, problem, evaluation)
        else:
            super().initialize(problem, evaluation)

    def attach(self, problem: Any) -> None:
        """Resolve the retraction and bind the damping."""
        super().attach(problem)
        if self.batched:
            return batches.resume(self)
        if self._default_damping and self.is_sparse():
            # singular values are out of reach, and each length of a damped step would cost some factorizations; a
            # dogleg costs one, and none after a step that was rejected
            self.damping_rule = PowellDogleg()
        self._damping = self.bound("damping", self.damping_rule, problem)

    def renew(self, column_norms: Any) -> None:
        """Hand the norms to the policy."""
        self._damping.renew(column_norms)

    def model_jacobian(self, e: Any) -> Any:
        """Matrix of the model; the columns of coordinates that must not move are zero."""
        if self._box is None:
            return e.model_jacobian
        return without_columns(e.model_jacobian, self._box.blocked(e.point, e.gradient_coordinates))

    def should_stop(self, problem: Any) -> bool:
        """Whether the run is over; a non-monotone one returns to its best point then."""
        if self.batched:
            return batches.should_stop(self, problem)
        stop = super().should_stop(problem)
        if stop and self._best is not None and self._best.cost < self.evaluation.cost:
            self.evaluation, self._factored = self._best, None
        return stop

    def advance(self, problem: Any) -> None:
        """Solve for a step, try it, judge it."""
        if self.batched:
            return self.step_batched(problem)
        e, damping, solver = self.evaluation, self._damping, self.solver_here()
        try:
            step = damping.step(solver, e)
        except np.linalg.LinAlgError as error:
            return self._unsolved(error)
        if self._bends(step):
            step = self._accelerated(problem, step)
        p, s = e.point, step.s
        q = self.retract(p, problem.manifold.get_vector(p, s))
        if self._box is not None:
            q, step = self._cut(q, step)
            s = step.s
        candidate = problem.evaluate(q, self.evaluations)
        trial = Trial(decrease(e, candidate), float(step.Js.dot(step.Js)), step.regularization)
        length = math.sqrt(s.dot(s))
        self.actual_decrease, self.predicted_decrease, self.trial_length = trial.actual, trial.predicted, length
        if not math.isfinite(candidate.cost):
            return self._not_finite()
        if trial.actual != 0.0:  # a step too short to move the point says nothing about the function
            self.nonfinite_trials = 0
        if self.nonfinite_trials:
            return self.fail(
                Status.BAD_FUNCTION,
                f"the residual was not finite at {self.nonfinite_trials} trial points in a row, at steps down to the "
                "rounding of the point.",
            )
        if self._good_enough(trial, candidate):
            if self._reference is not None:
                self._reference.accept(candidate.cost, trial.predicted)
            self.take(candidate, length)
            if self._best is not None and self.evaluation.cost < self._best.cost:
                self._best = self.evaluation
        else:
            self._reject(problem, candidate, length, trial)

    def _good_enough(self, trial: Trial, candidate: Any) -> bool:
        """Whether to go to a candidate: by the policy, near a solution by the gradient."""
        damping = self._damping
        good = damping.judge(trial if self.nonmonotone == 0 else self._forgiving(trial, candidate))
        if not damping.rule.guarded:
            return bool(good)
        if not good:
            return self.improves_gradient(candidate)
        # below the rounding of the cost its sign says nothing: two points might be better than each other for ever
        blind = trial.predicted <= self.eps * self.evaluation.cost and self.relative_offset**2 <= self.decrease_rounding
        return not blind or self.improves_gradient(candidate, 1.0)

    def step_batched(self, problem: Any) -> None:
        """One step of all members that run."""
        batched_least_squares.step(self, problem)

    def leave(self, old: Any) -> None:
        """Give back the memory of a point that was left, unless it is the best so far."""
        if old is not self._best:
            old.release()

    def _forgiving(self, trial: Trial, candidate: Any) -> Trial:
        """The trial as seen from a reference point of the past, where that is higher."""
        if self._reference is None:
            self._reference = Reference(self.evaluation.cost, self.nonmonotone)
            self._best = self.evaluation
        return trial._replace(actual=self._reference.decrease(trial, candidate.cost))

    def _cut(self, q: Any, step: Step) -> tuple[Any, Step]:
        """The trial point inside the bounds, and the step that leads there."""
        e, box = self.evaluation, self._box
        inside = box.clipped(q)  # type: ignore[union-attr]  # there is a box
        move = inside.reshape(-1)[box.entries] - e.point.reshape(-1)[box.entries]  # type: ignore[union-attr]
        s = step.s.copy()
        s[box.coordinates] = move  # type: ignore[union-attr]
        if np.array_equal(inside, q):
            return q, step
        Js = e.model_jacobian.dot(s)
        promised = -float(e.model_residuals.dot(Js)) - 0.5 * float(Js.dot(Js))
        return inside, Step(s, Js, step.lam, promised - 0.5 * float(Js.dot(Js)))

    def _bends(self, step: Step) -> bool:
        """Whether to look for the second-order part of a step."""
        if self.geodesic_acceleration != "auto":
            return self.geodesic_acceleration is not None
        return (
            self.iteration >= _LATE
            and step.lam > 0.0
            and self.last_step_successful
            and self._damping.rule.accelerated
            and hasattr(self._solver, "reduced")
            and self.relative_offset > _FAR
        )

    def _accelerated(self, problem: Any, step: Step) -> Step:
        """The step with half its second-order correction, where that is small enough: section 2 of [5]."""
        e, M, h = self.evaluation, problem.manifold, _BEND
        p, s = e.point, step.s
        there = problem.evaluate(self.retract(p, M.get_vector(p, h * s)), self.evaluations)
        bend = (2.0 / h) * ((there.residuals - e.residuals) / h - e.jacobian.dot(s))
        there.release()
        if e.functions.robust is not None:
            bend = bend * e.functions.robust.expand(e.weights)
        g = e.jacobian.T @ bend
        correction = _regularized(self._solver, g, step.lam, self._damping.scale)
        if correction is None or not np.isfinite(correction).all():
            return step
        scale = self._damping.scale
        first, second = (s, correction) if scale is None else (scale * s, scale * correction)
        ratio = 2.0 * math.sqrt(second.dot(second) / first.dot(first)) if first.any() else math.inf
        alpha = self.geodesic_acceleration
        if not ratio <= (_AUTOMATIC if alpha == "auto" else alpha):  # type: ignore[operator]  # the caller looked
            return step
        return step._replace(s=s + 0.5 * correction)

    def _reject(self, problem: Any, candidate: Any, length: float, trial: Trial) -> None:
        self.last_step_successful = False
        candidate.release()
        if self._damping.rule.endless:
            return
        if self.is_below_rounding(candidate, length) or self._damping.value > _LARGEST_DAMPING:
            self.end_without_step(problem, length, trial.predicted)

    def _not_finite(self) -> None:
        self._damping.grow()
        if self._damping.rule.endless:
            self.last_step_successful = False
        else:
            self.count_nonfinite()

    def _unsolved(self, error: Exception) -> None:
        self.last_step_successful = False
        self._damping.unsolvable()
        if self._damping.value > _LARGEST_DAMPING and not self._damping.rule.endless:
            self.fail(Status.LINEAR_SOLVE_FAILED, f"the linear system could not be solved with any damping: {error}.")


class Reference:
    """The cost that a non-monotone method compares a candidate with: the highest since a while.

    Parameters
    ----------
    cost : float
        At the start.
    most : int
        How many steps without a new minimum may pass before the reference comes down.
    """

    __slots__ = ("candidate", "candidate_promised", "cost", "least", "most", "promised", "since")

    def __init__(self, cost: float, most: int) -> None:
        self.most, self.since = most, 0
        self.least = self.cost = self.candidate = cost
        self.promised = self.candidate_promised = 0.0

    def decrease(self, trial: Trial, cost: float) -> float:
        """Decrease relative to the reference, scaled to what this step alone promises; the plain one if larger."""
        predicted = trial.predicted
        if not predicted > 0.0:
            return trial.actual
        return max(trial.actual, (self.cost - cost) / (self.promised + predicted) * predicted)

    def accept(self, cost: float, predicted: float) -> None:
        """Take note of an accepted step."""
        self.promised += predicted
        self.candidate_promised += predicted
        if cost < self.least:
            self.least = self.candidate = cost
            self.since, self.candidate_promised = 0, 0.0
            return
        self.since += 1
        if cost > self.candidate:
            self.candidate, self.candidate_promised = cost, 0.0
        if self.since == self.most:
            self.cost, self.promised = self.candidate, self.candidate_promised
            self.since = 0


def _regularized(solver: Any, g: Any, lam: float, scale: Any) -> Any:
    """Solution x of (J'J + lam D^2) x = -g by the triangle of the last step; None where that is singular."""
    if hasattr(solver, "regularized"):
        return solver.regularized(g, lam, scale)
    if not hasattr(solver, "reduced"):
        return None
    R, _ = solver.reduced_last()
    d = R.shape[1]
    D = np.full(d, math.sqrt(lam)) if scale is None else math.sqrt(lam) * scale
    T: Any = np.linalg.qr(np.vstack([R, np.diag(D)]), mode="r")
    if not np.abs(T.diagonal()).min() > d * np.finfo(T.dtype).eps * np.abs(T.diagonal()).max():
        return None
    y = np.linalg.solve(T.T, -g)
    return np.linalg.solve(T, y)


def _policy(damping: Damping | None, **parameters: Any) -> Damping:
    """The damping given, or the one that the parameters belong to."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if damping is None:
        return AdachiOkunoTakeda(**given) if given else More()
    if not isinstance(damping, Damping):
        raise TypeError(f"`damping` must be a damping policy such as More(); got {damping!r}.")
    if given:
        raise ValueError(
            f"{', '.join(given)} belong to AdachiOkunoTakeda(...), which they choose by themselves: give either "
            "`damping` or these."
        )
    return damping


def levenberg_marquardt(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    jacobian_basis: Any = None,
    loss: Any = None,
    residual_size: int = 1,
    num_residuals: int | None = None,
    autodiff: str = "auto",
    damping: Damping | None = None,
    eta: float | None = None,
    beta: float | None = None,
    damping_min: float | None = None,
    expect_zero_residual: bool | None = None,
    bounds: Any = None,
    geodesic_acceleration: float | str | None = "auto",
    nonmonotone: int = 0,
    linear_solver: Any = None,
    retraction: Any = None,
    initial_residuals: Any = None,
    initial_jacobian: Any = None,
    batched: bool = False,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the squared norm of a residual by the method of Levenberg and Marquardt.

    Parameters
    ----------
    M : Manifold
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p)``, m real numbers; see `NonlinearLeastSquaresObjective` for all forms.
    p0 : array, optional
        Start point; default a random one.
    jacobian : callable, InPlace, or sequence of callables, optional
        Derivative of the residual; default by differentiation.
    jacobian_type : {"coordinates", "gradients", "euclidean", "operator"}
        What the Jacobian is, see `NonlinearLeastSquaresObjective`.
    jacobian_basis : optional
        Basis of a Jacobian in coordinates; default the manifold's orthonormal one.
    loss : str, Loss or callable, optional
        Robust loss, for example ``"huber"`` or ``Cauchy(scale=0.1)``; default none.
    residual_size : int
        Number of consecutive residuals whose norm is the argument of one loss; default 1.
    num_residuals : int, optional
        m; needed for an in-place residual unless ``initial_residuals`` is given.
    autodiff : str
        Source of a missing Jacobian, see `CostObjective`.
    damping : Damping, optional
        Default `More`, the trust region of MINPACK, or `PowellDogleg` where the Jacobian is large and sparse; see
        `manifold_opt.solvers.damping`.
    eta, beta, damping_min, expect_zero_residual : optional
        Parameters of the method of Adachi, Okuno and Takeda (the one of Manopt.jl 0.5): acceptance ratio in (0, 1),
        factor > 1, smallest damping > 0, and whether the damping may decrease. Giving one chooses that method.
    bounds : pair, dict or scipy.optimize.Bounds, optional
        ``(lower, upper)`` of the flat coordinates, or a dict of such pairs by the names of a product's factors.
    geodesic_acceleration : float, "auto" or None
        Add the second-order part of each step where its length, relative to the first-order part, is at most half of
        this number (0.75 is usual); costs one residual per step. Default "auto": with `More`, once 20 steps were not
        enough, where the radius cuts the step and the relative offset is above 0.01. None: never.
    nonmonotone : int
        How many steps in a row may increase the cost; the best point is returned. Default 0; 5 is usual.
    linear_solver : optional
        Default ``DenseQR()``, or ``SparseCholesky()`` for block and sparse Jacobians of more than 200 columns.
    retraction : str or callable, optional
        Default the manifold's.
    initial_residuals, initial_jacobian : array, optional
        Memory for an in-place residual and Jacobian.
    batched : bool
        Whether p0 is a batch of starts ``(*batch, *point_shape)``: the residual then returns ``(*batch, m)`` and the
        Jacobian ``(*batch, m, ...)``, all numbers of the result are arrays ``(*batch,)``, and members that have ended
        stay where they are. Without losses, bounds, acceleration; with the damping `Nielsen`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.cost`` is half the sum of squares.

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, parameters outside their intervals, arrays of the wrong shape, a derivative that
        contradicts the residual.

    Notes
    -----
    Needs of M: a retraction, and coordinates of tangent vectors; a second-order retraction for the acceleration.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, levenberg_marquardt
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> y = 2.0 * np.exp(-3.0 * t)
    >>> result = levenberg_marquardt(Euclidean(2), lambda p: p[0] * np.exp(p[1] * t) - y, np.array([1.0, 0.0]))
    >>> result.converged, np.round(result.point, 8) + 0.0
    (True, array([ 2., -3.]))
    """
    if num_residuals is None and initial_residuals is not None:
        num_residuals = np.size(initial_residuals)
    keywords: dict[str, Any] = {"jacobian": jacobian, "jacobian_type": jacobian_type, "autodiff": autodiff}
    others = {
        "jacobian_basis": jacobian_basis,
        "loss": loss,
        "residual_size": residual_size,
        "num_residuals": num_residuals,
    }
    if batched:
        objective = batched_least_squares_objective(residual, keywords, others | {"out": common.get("out")})
    else:
        objective = least_squares_objective(residual, **keywords, **others)
    return run(
        levenberg_marquardt,
        M,
        objective,
        p0,
        lambda p: LevenbergMarquardtState(
            p,
            damping=damping,
            eta=eta,
            beta=beta,
            damping_min=damping_min,
            expect_zero_residual=expect_zero_residual,
            bounds=bounds,
            geodesic_acceleration=geodesic_acceleration,
            nonmonotone=nonmonotone,
            batched=batched,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=initial_residuals,
            jacobian=initial_jacobian,
        ),
        common,
        batched,
    )
