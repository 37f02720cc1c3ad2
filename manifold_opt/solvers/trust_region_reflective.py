r"""Trust-region reflective method for nonlinear least squares with bounds, also on products of manifolds and boxes.

Minus the gradient points, for each flat coordinate x_i, towards one of its bounds or nowhere in particular. With v_i
the distance to that bound (1 where there is none, and for the coordinates of other manifolds), the conditions of
first order for a minimum in the box are v_i g_i = 0. In the variables s = d * h with d = sqrt(v) / D, Newton's method
for these conditions minimizes

    q(h) = <d g, h> + 1/2 |J diag(d) h|^2 + 1/2 sum c_i h_i^2,    c_i = |g_i| / D_i where there is a bound, else 0,

inside the radius: a step that would leave the box is shortened before it does so. Of three candidates the one with the
least q is tried: that step cut at the box, the same reflected where it hits first, and steepest descent in h.

The coordinates of a manifold are never cut nor reflected: the point moves by its retraction as everywhere, and only the
entries of Euclidean factors know bounds. A coordinate that has gone nearly all the way to its bound is put on it where
the rest is worth next to nothing, and stays until its gradient changes sign.

References
----------
.. [1] T. F. Coleman, Y. Li, SIAM J. Optim. 6 (1996), 418-445.
.. [2] M. A. Branch, T. F. Coleman, Y. Li, SIAM J. Sci. Comput. 21 (1999), 1-23.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.result import Result
from ..core.status import Status
from ..linalg.damped_steps import SingularSteps, SolvedSteps
from .box import Box, box_of
from .coordinates import coordinate_sizes
from .damping import new_scale
from .least_squares_state import LeastSquaresState, decrease

if TYPE_CHECKING:
    from typing_extensions import Unpack

_ACCEPTANCE = 1e-4
# least fraction of the way to a bound that a step may go, section 2 of [2]
_THETA = 0.995
_LENGTH_TOLERANCE = 0.1
# a coordinate that has gone all but this fraction of the way to a bound may be put on it
_LANDING = 0.01

# root of the damping that keeps a coordinate where it is, in units of the largest column
_HELD = 1e6


class _Model:
    """The quadratic q(h) at a point.

    Parameters
    ----------
    J : matrix
        With ``dot``; the Jacobian, or its triangle.
    g, d, c : array of shape (dim,)
    """

    __slots__ = ("J", "c", "d", "g", "steps")

    def __init__(self, J: Any, g: Any, d: Any, c: Any) -> None:
        self.J, self.d, self.c = J, d, c
        self.g = d * g
        self.steps: Any = None

    def curvature(self, h: Any, k: Any) -> float:
        """The bilinear form of the second-order part."""
        Jh = self.J.dot(self.d * h)
        Jk = Jh if h is k else self.J.dot(self.d * k)
        return float(Jh.dot(Jk)) + float((self.c * h).dot(k))

    def value(self, h: Any) -> float:
        """q(h)."""
        return float(self.g.dot(h)) + 0.5 * self.curvature(h, h)

    def along(self, h: Any, k: Any, low: float, high: float) -> tuple[float, float]:
        """Minimizer t in [low, high] of q(h + t k), and its value."""
        a = 0.5 * self.curvature(k, k)
        b = float(self.g.dot(k)) + (self.curvature(h, k) if h.any() else 0.0)
        ends = [low, high]
        if a > 0.0 and low < -0.5 * b / a < high:
            ends.append(-0.5 * b / a)
        start = self.value(h)
        return min(((t, start + t * (b + t * a)) for t in ends), key=lambda pair: pair[1])


class TrustRegionReflectiveState(LeastSquaresState):
    """State of `trust_region_reflective`.

    Parameters
    ----------
    p0 : array
        Start point, inside the bounds; copied.
    bounds : optional
        Of flat coordinates, see `manifold_opt.solvers.box.box_of`.
    x_scale : "jac", number or array of shape (dim,)
        Typical sizes of the coordinates; ``"jac"`` takes the inverse norms of the columns of J (the largest so far).
    factor : float
        First radius relative to the size of the point.
    initial_radius : float, optional
        First radius itself, in the scaled variables.
    linear_solver, retraction, residuals, jacobian, stopping : optional
        See `LeastSquaresState`.

    Attributes
    ----------
    trust_region_radius : float
    optimality : float
        max_i |v_i g_i|, SciPy's measure.
    active : array of int
        -1 or 1 for each coordinate on its lower or upper bound, else 0.
    """

    transient: ClassVar[tuple[str, ...]] = (*LeastSquaresState.transient, "_box", "_model")

    def __init__(
        self,
        p0: Any,
        *,
        bounds: Any = None,
        x_scale: Any = "jac",
        factor: float = 1.0,
        initial_radius: float | None = None,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        super().__init__(
            p0,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=residuals,
            jacobian=jacobian,
            stopping=stopping,
        )
        self.bounds = bounds
        self.x_scale = _checked_scale(x_scale)
        if not 0.0 < factor < math.inf:
            raise ValueError(f"`factor` must be positive and finite; got {factor!r}.")
        if initial_radius is not None and not 0.0 < initial_radius < math.inf:
            raise ValueError(f"`initial_radius` must be positive and finite; got {initial_radius!r}.")
        self.factor, self.initial_radius = factor, initial_radius

    def _clear(self) -> None:
        super()._clear()
        self.trust_region_radius = math.nan
        self._scale: Any = None

    # what can be read

    @property
    def optimality(self) -> float:
        """max |v_i g_i| with v_i the distance to the bound that minus the gradient points to, 1 without one."""
        e = self.evaluation
        v, _ = self._distances(e)
        return float(np.max(np.abs(v * e.gradient_coordinates)))

    @property
    def active(self) -> Any:
        """-1 or 1 for each coordinate on its lower or upper bound, else 0."""
        if self._box is None:
            return np.zeros(len(self.evaluation.gradient_coordinates), int)
        return self._box.active(self.evaluation.point)

    # the algorithm

    def begin(self, problem: Any) -> None:
        """Resolve the bounds, then begin."""
        self._box: Box | None = box_of(problem.manifold, self.bounds)
        self._model: _Model | None = None
        self._manifold = problem.manifold
        if self._box is not None and self.evaluation is None:
            self._box.check(self._start)
        super().begin(problem)

    def renew(self, column_norms: Any) -> None:
        """Adapt the scaling D to a new Jacobian."""
        self._model = None
        if isinstance(self.x_scale, str):
            self._scale = new_scale("columns", self._scale, column_norms, self._manifold)
        else:
            scale = np.broadcast_to(np.asarray(self.x_scale, column_norms.dtype), column_norms.shape)
            self._scale = 1.0 / scale

    def projected_norm(self, solver: Any, e: Any) -> float:
        """Root of twice the decrease that the model promises without a radius."""
        model = self._here() if e is self.evaluation else self._model_at(solver, e)
        b = model.steps.b
        return math.sqrt(b.dot(b))

    def advance(self, problem: Any) -> None:
        """Solve for a step, keep it in the box, try it, judge it."""
        e = self.evaluation
        try:
            self.solver_here()
            model = self._here()
        except np.linalg.LinAlgError as error:
            return self.fail(Status.LINEAR_SOLVE_FAILED, f"the linear system could not be solved: {error}.")
        if not math.isfinite(self.trust_region_radius):
            self.trust_region_radius = self._first_radius(e, model)
        radius = self.trust_region_radius
        h = model.steps.of_length(radius, _LENGTH_TOLERANCE)[0]
        h, value = self._inside(model, h, radius)
        s = model.d * h
        candidate = problem.evaluate(self._moved(problem, s), self.evaluations)
        actual, predicted = decrease(e, candidate), -value
        length, scaled = math.sqrt(s.dot(s)), math.sqrt(h.dot(h))
        self.actual_decrease, self.predicted_decrease, self.trial_length = actual, predicted, length
        if not math.isfinite(candidate.cost):
            self.trust_region_radius = 0.25 * scaled
            return self.count_nonfinite()
        ratio = actual / predicted if predicted > 0.0 else -1.0
        if not ratio >= 0.25:
            self.trust_region_radius = 0.25 * scaled
        elif ratio > 0.75 and scaled > 0.9 * radius:
            self.trust_region_radius = max(radius, 2.0 * scaled)
        if ratio > _ACCEPTANCE or self.improves_gradient(candidate):
            self.take(candidate, length)
        else:
            self.last_step_successful = False
            candidate.release()
            if self.is_below_rounding(candidate, length):
                self.end_without_step(problem, length, predicted)

    # the model

    def _here(self) -> _Model:
        if self._model is None:
            self._model = self._model_at(self.solver_here(), self.evaluation)
        return self._model

    def _model_at(self, solver: Any, e: Any) -> _Model:
        v, bounded = self._distances(e)
        D = self._scale
        # v is measured in the scaled variables, like the step
        d = np.sqrt(np.where(bounded, v * D, 1.0)) / D
        if self._box is not None:
            d[self._box.fixed] = 0.0
        g = e.gradient_coordinates
        c = np.where(bounded, np.abs(g) / D, 0.0)
        if hasattr(solver, "reduced"):
            R, rhs = solver.reduced(e.model_residuals)
            model = _Model(R, g, d, c)
            A = R * d
        elif hasattr(solver, "regularized"):
            model = _Model(self.model_jacobian(e), g, d, c)
            model.steps = _FactoredSteps(solver, e.model_residuals, model)
            return model
        else:
            model, A, rhs = self._subspace(solver, e, g, d, c)
        rows = np.flatnonzero(c)
        if rows.size:
            root = np.sqrt(c[rows])
            if model.steps is not None:
                below = root[:, None] * model.steps[rows]
            else:
                below = np.zeros((rows.size, len(d)), A.dtype)
                below[np.arange(rows.size), rows] = root
            A, rhs = np.vstack([A, below]), np.append(rhs, np.zeros(rows.size, rhs.dtype))
        basis = model.steps
        model.steps = SingularSteps(A, rhs, None) if A.any() else _NoSteps(A.shape[1], A.dtype)
        if basis is not None:
            model.steps = _InSubspace(model.steps, basis)
        return model

    def _subspace(self, solver: Any, e: Any, g: Any, d: Any, c: Any) -> tuple[_Model, Any, Any]:
        """Gradient and Gauss-Newton step of q, for solvers without a triangle; the basis waits in ``steps``."""
        J = self.model_jacobian(e)
        model = _Model(J, g, d, c)
        weights = np.sqrt(c) / np.where(d > 0.0, d, 1.0)
        s = solver.solve(e.model_residuals, 1.0, weights)[0]
        plane = np.column_stack([model.g, np.where(d > 0.0, s / np.where(d > 0.0, d, 1.0), 0.0)])
        basis = np.linalg.qr(plane / np.maximum(np.linalg.norm(plane, axis=0), 1e-300))[0]
        model.steps = basis
        return model, np.column_stack([J.dot(d * column) for column in basis.T]), e.model_residuals

    def _distances(self, e: Any) -> tuple[Any, Any]:
        """Distance of each coordinate to the bound that minus the gradient points to, and whether there is one."""
        g = e.gradient_coordinates
        if self._box is None:
            return np.ones_like(g), np.zeros(g.shape, bool)
        x, box = self._box.position(e.point), self._box
        v = np.where(g < 0.0, box.upper - x, np.where(g > 0.0, x - box.lower, np.inf))
        bounded = np.isfinite(v)
        return np.where(bounded, v, 1.0), bounded

    def _first_radius(self, e: Any, model: _Model) -> float:
        if self.initial_radius is not None:
            return float(self.initial_radius)
        sizes = np.divide(coordinate_sizes(self._manifold, e.point), model.d, where=model.d > 0.0, out=0.0 * model.d)
        size = math.sqrt(sizes.dot(sizes))
        return self.factor * (size or math.sqrt(2.0 * e.cost) or 1.0)

    # keeping inside

    def _moved(self, problem: Any, s: Any) -> Any:
        """The point that a step leads to; coordinates that have all but reached their bound are put on it."""
        e, box = self.evaluation, self._box
        q = self.retract(e.point, problem.manifold.get_vector(e.point, s))
        if box is None:
            return q
        x, g = box.position(q), e.gradient_coordinates
        bound = np.where(g > 0.0, box.lower, box.upper)
        v = np.abs(bound - box.position(e.point))
        left = np.abs(bound - x)
        with np.errstate(invalid="ignore"):
            there = np.isfinite(bound) & (left <= _LANDING * v) & (np.abs(g) * left <= math.sqrt(self.eps) * e.cost)
        return box.placed(q, np.clip(np.where(there, bound, x), box.lower, box.upper))

    def _inside(self, model: _Model, h: Any, radius: float) -> tuple[Any, float]:
        """Of the step cut at the box, its reflection and steepest descent, the one with the least value of q."""
        box = self._box
        if box is None:
            return h, model.value(h)
        x = box.position(self.evaluation.point)
        stride, hits = _to_bound(x, model.d * h, box)
        if stride >= 1.0:
            return h, model.value(h)
        theta = max(_THETA, 1.0 - self.relative_offset)
        cut = stride * h
        candidates = [(theta * cut, model.value(theta * cut))]
        turned = np.where(hits, -h, h)
        reflected = self._reflected(model, x, cut, turned, stride, theta, radius)
        if reflected is not None:
            candidates.append(reflected)
        down = -model.g
        norm = math.sqrt(down.dot(down))
        if norm > 0.0:
            limit = radius / norm
            reach, _ = _to_bound(x, model.d * down, box)
            t, value = model.along(np.zeros_like(h), down, 0.0, min(theta * reach, limit))
            candidates.append((t * down, value))
        return min(candidates, key=lambda pair: pair[1])

    def _reflected(
        self, model: _Model, x: Any, cut: Any, turned: Any, stride: float, theta: float, radius: float
    ) -> tuple[Any, float] | None:
        box = self._box
        reach, _ = _to_bound(x + model.d * cut, model.d * turned, box)
        limit = _to_sphere(cut, turned, radius)
        most = min(reach, limit)
        if not most > 0.0:
            return None
        low, high = (1.0 - theta) * stride / most, theta * reach if reach <= limit else limit
        if low > high:
            return None
        t, value = model.along(cut, turned, low, high)
        return cut + t * turned, value


class _NoSteps:
    """Where no coordinate can move: the zero step."""

    __slots__ = ("b", "n")

    def __init__(self, n: int, dtype: Any) -> None:
        self.n, self.b = n, np.zeros(0, dtype)

    def of_length(self, radius: float, tolerance: float) -> tuple[Any, float, float]:
        """Zero."""
        return np.zeros(self.n, self.b.dtype), 0.0, 0.0


class _FactoredSteps(SolvedSteps):
    """Steps h of least q(h) + 1/2 lam |h|^2, by a sparse factorization for each lam.

    Parameters
    ----------
    solver : object
        A bound linear solver with a factorization of J'J.
    r : array
    model : _Model
    """

    __slots__ = ("b", "model")

    def __init__(self, solver: Any, r: Any, model: _Model) -> None:
        super().__init__(solver, r, None)
        self.model = model
        h = self.least_damped()[0]
        # |b|^2 is twice the decrease of q
        self.b = np.array([math.sqrt(max(-float(model.g.dot(h)), 0.0))], h.dtype)

    def _step(self, lam: float) -> tuple[Any, float]:
        d = self.model.d
        held = d <= 0.0
        weights = np.sqrt(self.model.c + lam) / np.where(held, 1.0, d)
        if held.any():
            weights[held] = _HELD * (self.solver.column_norms().max(initial=0.0) or 1.0)
        # without bounds and damping it is the undamped step, which may be singular
        s = self.solver.solve(self.r, 1.0, weights)[0] if weights.any() else self.solver.solve(self.r, 0.0, None)[0]
        h = np.where(held, 0.0, s / np.where(held, 1.0, d))
        return h, math.sqrt(h.dot(h))


class _InSubspace:
    """Steps of a small model along the columns of a basis."""

    __slots__ = ("b", "basis", "steps")

    def __init__(self, steps: Any, basis: Any) -> None:
        self.steps, self.basis, self.b = steps, basis, steps.b

    def of_length(self, radius: float, tolerance: float) -> tuple[Any, float, float]:
        """See `SingularSteps.of_length`."""
        z, length, lam = self.steps.of_length(radius, tolerance)
        return self.basis @ z, length, lam


def _to_bound(x: Any, s: Any, box: Any) -> tuple[float, Any]:
    """Largest t with x + t s in the box, and which coordinates hit their bound there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(s > 0.0, (box.upper - x) / s, np.where(s < 0.0, (box.lower - x) / s, np.inf))
    t = np.maximum(t, 0.0)
    least = float(t.min())
    return least, (t == least) & (s != 0.0)


def _to_sphere(h: Any, k: Any, radius: float) -> float:
    """Largest t with |h + t k| = radius; 0 where h is outside of the sphere."""
    a, b, c = float(k.dot(k)), float(h.dot(k)), float(h.dot(h)) - radius * radius
    if not a > 0.0 or c > 0.0:
        return 0.0
    root = math.sqrt(b * b - a * c)
    return (root - b) / a if b <= 0.0 else -c / (root + b)


def _checked_scale(x_scale: Any) -> Any:
    if isinstance(x_scale, str):
        if x_scale != "jac":
            raise ValueError(f"`x_scale` must be 'jac' or positive numbers; got {x_scale!r}.")
        return x_scale
    array = np.array(x_scale, float)
    if not (np.isfinite(array).all() and (array > 0.0).all()):
        raise ValueError(f"`x_scale` must be 'jac' or positive numbers; got {x_scale!r}.")
    return array


def trust_region_reflective(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    bounds: Any = None,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    jacobian_basis: Any = None,
    loss: Any = None,
    residual_size: int = 1,
    num_residuals: int | None = None,
    autodiff: str = "auto",
    x_scale: Any = "jac",
    factor: float = 1.0,
    initial_radius: float | None = None,
    linear_solver: Any = None,
    retraction: Any = None,
    initial_residuals: Any = None,
    initial_jacobian: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the squared norm of a residual, in a box, by the trust-region reflective method.

    Parameters
    ----------
    M : Manifold
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p)``, m real numbers; see `NonlinearLeastSquaresObjective` for all forms.
    p0 : array, optional
        Start point inside the bounds; default a random one.
    bounds : pair, dict or scipy.optimize.Bounds, optional
        ``(lower, upper)``, numbers or arrays like a point, on Euclidean spaces; a dict of such pairs by the names of
        Euclidean factors on a product, whose other factors are free. Equal bounds fix a coordinate.
    jacobian, jacobian_type, jacobian_basis, loss, residual_size, num_residuals, autodiff : optional
        See `levenberg_marquardt`.
    x_scale : "jac", number or array of shape (dim,)
        Typical sizes of the coordinates; default from the columns of the Jacobian.
    factor : float
        First radius relative to the size of the point.
    initial_radius : float, optional
        First radius itself, in the scaled variables.
    linear_solver : optional
        Default ``DenseQR()``; a solver without a triangle restricts each step to the plane of the gradient and the
        Gauss-Newton step.
    retraction : str or callable, optional
        Default the manifold's.
    initial_residuals, initial_jacobian : array, optional
        Memory for an in-place residual and Jacobian.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result
        ``result.state.active`` says which coordinates are on a bound.

    Raises
    ------
    ValueError
        When p0 is outside of the bounds, or these make no sense; else as `levenberg_marquardt`.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, trust_region_reflective
    >>> rosenbrock = lambda x: np.array([1.0 - x[0], np.sqrt(105.0) * (x[1] - x[0] ** 2)])
    >>> jacobian = lambda x: np.array([[-1.0, 0.0], [-2.0 * np.sqrt(105.0) * x[0], np.sqrt(105.0)]])
    >>> result = trust_region_reflective(
    ...     Euclidean(2), rosenbrock, np.array([-1.2, 1.0]), bounds=(-2.0, [0.5, 2.0]), jacobian=jacobian
    ... )
    >>> np.round(result.point, 10), round(result.cost, 10)
    (array([0.5 , 0.25]), 0.125)
    """
    if num_residuals is None and initial_residuals is not None:
        num_residuals = np.size(initial_residuals)
    objective = least_squares_objective(
        residual,
        jacobian=jacobian,
        jacobian_type=jacobian_type,
        jacobian_basis=jacobian_basis,
        loss=loss,
        residual_size=residual_size,
        num_residuals=num_residuals,
        autodiff=autodiff,
    )
    return run(
        trust_region_reflective,
        M,
        objective,
        p0,
        lambda p: TrustRegionReflectiveState(
            p,
            bounds=bounds,
            x_scale=x_scale,
            factor=factor,
            initial_radius=initial_radius,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=initial_residuals,
            jacobian=initial_jacobian,
        ),
        common,
    )
