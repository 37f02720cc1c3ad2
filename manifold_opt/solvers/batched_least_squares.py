r"""Levenberg-Marquardt of many small fits at once, with Nielsen's damping and Moré's scaling.

Residuals and Jacobians of all members come from one call each; the triangles of their QR factorizations, the damped
steps and the verdicts are arrays over the batch. Linear algebra is done for the members that still run, and anew only
for those that moved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.status import Status
from ..linalg.batched_qr import damped, triangles
from .batches import merged, over
from .damping import Nielsen
from .least_squares_state import MAX_NONFINITE, ROUNDING

_LARGEST_DAMPING = 1e32


class BatchedModel:
    """What is known of the linear models of all members, the batch raveled on the last axis.

    Attributes
    ----------
    triangle : array of shape (k, dim + 1, n)
        [R Q'r].
    norms, scale : array of shape (dim, n)
        Norms of the columns of J, and D.
    lam, factor : array of shape (n,)
        Nielsen's damping, and what a bad step multiplies it with.
    offset : array of shape (n,)
        |P r| / |r|.
    nonfinite : array of int
        Trials in a row that were not finite.
    """

    def __init__(self, n: int, tau: float, dtype: Any) -> None:
        self.triangle: Any = None
        self.norms: Any = None
        self.scale: Any = None
        self.lam, self.factor = np.full(n, tau, dtype), np.full(n, 2.0, dtype)
        self.offset = np.full(n, np.inf, dtype)
        self.nonfinite = np.zeros(n, int)
        self.levels: Any = None

    def begin(self, e: Any, eps: float) -> None:
        """Factorize all Jacobians, and choose the first scaling."""
        self.triangle, self.norms, self.offset = factorized(*_stacked(e), eps)
        norms = self.norms
        largest = np.where(norms.max(axis=0) > 0.0, norms.max(axis=0), 1.0)
        self.scale = np.where(norms > 0.0, norms, largest)

    def renew(self, e: Any, i: Any, eps: float) -> Any:
        """Factorize the Jacobians of the members with these numbers; which of them are finite."""
        J, r = _stacked(e)
        T, norms, offset = factorized(J[i], r[i], eps)
        sound = np.isfinite(offset + norms.sum(axis=0))
        if not sound.all():
            i, T, norms, offset = i[sound], T[:, :, sound], norms[:, sound], offset[sound]
        self.triangle[:, :, i], self.norms[:, i], self.offset[i] = T, norms, offset
        self.scale[:, i] = np.maximum(self.scale[:, i], norms)
        self.nonfinite[i] = 0
        return sound


def factorized(J: Any, r: Any, eps: float) -> tuple[Any, Any, Any]:
    """Triangle, norms of the columns, and relative offset."""
    n, m, d = J.shape
    A = np.empty((m, d + 1, n), J.dtype)
    A[:, :d], A[:, d] = np.moveaxis(J, 0, -1), r.T
    norms = np.sqrt(np.einsum("mdn,mdn->dn", A[:, :d], A[:, :d]))
    size = np.sqrt(np.einsum("mn,mn->n", A[:, d], A[:, d]))
    T = triangles(A)[: min(m, d)]
    c = T[:, d]
    k = np.arange(len(T))
    # of a column that depends on those before, the rest of the residual is not in the range
    inside = np.abs(T[k, k]) > m * eps * norms[: len(T)]
    offset = np.sqrt(np.sum(np.where(inside, c * c, 0.0), axis=0)) / np.where(size > 0.0, size, 1.0)
    return T.copy(), norms, offset


def _stacked(e: Any) -> tuple[Any, Any]:
    J = e.jacobian
    return J.reshape(-1, *J.shape[-2:]), e.residuals.reshape(-1, e.residuals.shape[-1])


def check_rules(state: Any, given: dict[str, Any]) -> None:
    """Raise ValueError on what batches do not know."""
    if not isinstance(state.damping_rule, Nielsen) or state.damping_rule.scaling != "columns":
        raise ValueError(f"a batch takes the damping Nielsen() only; got {state.damping_rule!r}.")
    for name, value in given.items():
        if value not in (None, 0):
            raise ValueError(f"a batch takes no `{name}`; got {value!r}.")


def begin(state: Any, problem: Any, e: Any) -> None:
    """First models, after the first evaluation."""
    n = state.members.codes.size
    with np.errstate(invalid="ignore", over="ignore"):
        state.model = BatchedModel(n, state.damping_rule.tau, e.residuals.dtype)
        state.model.begin(e, state.eps)
    state.last_step_successful = np.ones(state.members.shape, bool)
    state.first_residual_norm = np.sqrt(2.0 * e.cost)


def step(state: Any, problem: Any) -> None:
    """Solve for the steps of all members that run, try them in one call, judge each."""
    M, e, model, members = problem.manifold, state.evaluation, state.model, state.members
    running = members.running
    i = np.flatnonzero(running)
    shape, d, dtype = members.shape, M.dim, e.residuals.dtype
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        D, lam, T = model.scale[:, i], model.lam[i], model.triangle[:, :, i]
        s_running = damped(T, np.sqrt(lam) * D)
        s = np.zeros((d, running.size), dtype)
        s[:, i] = s_running
        coordinates = np.ascontiguousarray(s.T).reshape(*shape, d)
        q = state.retract(e.point, M.get_vector(e.point, coordinates))
        q = np.where(over(running, len(M.point_shape)), q, e.point)
        candidate = problem.evaluate(q, state.evaluations)
        r, rq = e.residuals, candidate.residuals
        actual = 0.5 * np.einsum("...m,...m->...", r - rq, r + rq)
        Rs = np.einsum("kdn,dn->kn", T[:, :d], s_running)  # as long as J s
        predicted = np.zeros(running.size, dtype)
        predicted[i] = 0.5 * np.sum(Rs * Rs, axis=0) + lam * np.sum((D * s_running) ** 2, axis=0)
        predicted = predicted.reshape(shape)
        finite = np.isfinite(candidate.cost)
        ratio = np.where(finite & (predicted > 0.0), actual / np.where(predicted > 0.0, predicted, 1.0), -1.0)
        good = running & (ratio > state.damping_rule.acceptance)
        _adapt(model, i, good.ravel()[i], ratio.ravel()[i])
        good |= _improves(state, candidate, running & ~good & finite, 0.9)
        # below the rounding of the cost its sign says nothing: two points might be better than each other for ever
        blind = good & (predicted <= state.eps * e.cost)
        if blind.any():
            blind &= state.relative_offset**2 <= state.decrease_rounding
            good &= ~blind | _improves(state, candidate, blind, 1.0)
        length = np.sqrt(np.einsum("...d,...d->...", coordinates, coordinates))
        _accept(state, problem, candidate, good, running, length)
        state.last_step_successful = good & members.running | ~running & state.last_step_successful
        _give_up(state, running & ~good, finite, length)
    members.iterations[running] += 1


def _adapt(model: BatchedModel, i: Any, good: Any, ratio: Any) -> None:
    """Nielsen's rule: a good step divides lam by up to 3, a bad one multiplies it by 2, 4, 8, ..."""
    lam, factor = model.lam[i], model.factor[i]
    shrunk = np.maximum(lam * np.maximum(1.0 / 3.0, 1.0 - (2.0 * np.minimum(ratio, 1.0) - 1.0) ** 3), 1e-300)
    model.lam[i] = np.where(good, shrunk, np.minimum(lam * factor, 1e300))
    model.factor[i] = np.where(good, 2.0, np.minimum(2.0 * factor, 1e300))


def _improves(state: Any, candidate: Any, open_: Any, factor: float) -> Any:
    """Judge by the relative offset where the cost cannot tell."""
    if not open_.any():
        return open_
    e, model = state.evaluation, state.model
    offset, level = model.offset.reshape(open_.shape), state.decrease_rounding
    near = open_ & (offset**2 <= level) & (candidate.cost <= e.cost * (1.0 + level))
    if not near.any():
        return near
    J, r = _stacked(candidate)
    i = np.flatnonzero(near)
    found = factorized(J[i], r[i], state.eps)[2]
    better = np.zeros(near.size, bool)
    better[i] = found < factor * model.offset[i]
    return better.reshape(near.shape)


def _accept(state: Any, problem: Any, candidate: Any, good: Any, running: Any, length: Any) -> None:
    """Move the members whose step is good, if their Jacobian is finite there."""
    if not good.any():
        return
    e, i = state.evaluation, np.flatnonzero(good)
    # the candidates of those that have ended are their points
    new = candidate if (good | ~running).all() else merged(problem, e, candidate, good, state.evaluations)
    sound = state.model.renew(new, i, state.eps)
    if not sound.all():
        bad = np.zeros(good.size, bool)
        bad[i[~sound]] = True
        bad = bad.reshape(good.shape)
        state.members.end(bad, Status.BAD_FUNCTION)
        good = good & ~bad
        new = merged(problem, e, new, ~bad, state.evaluations)
    state.evaluation = new
    state.step_norm = np.where(good, length, state.step_norm)
    state.stepsize = np.where(good, 1.0, state.stepsize)


def _give_up(state: Any, refused: Any, finite: Any, length: Any) -> None:
    """End the members for which no step is left."""
    model, members, p = state.model, state.members, state.evaluation.point
    wild = (refused & ~finite).ravel()
    model.nonfinite[wild] += 1
    members.end((model.nonfinite >= MAX_NONFINITE).reshape(refused.shape) & refused, Status.BAD_FUNCTION)
    axes = tuple(range(refused.ndim, p.ndim))
    size = np.sqrt(np.sum(np.abs(p) ** 2, axis=axes))
    tiny = length <= 4.0 * state.eps * size
    over_damped = (model.lam > _LARGEST_DAMPING).reshape(refused.shape)
    stuck = refused & (tiny | over_damped)
    members.end(stuck & (model.nonfinite > 0).reshape(refused.shape), Status.BAD_FUNCTION)
    solved = model.offset.reshape(refused.shape) ** 2 <= state.decrease_rounding
    members.end(stuck & solved, Status.CONVERGED)
    members.end(stuck, Status.STALLED)


def relative_offset(state: Any) -> Any:
    """|P r| / |r| of each member."""
    return state.model.offset.reshape(state.members.shape)


def decrease_rounding(state: Any) -> Any:
    """Relative decreases of the cost that its rounding hides, an estimate."""
    return _levels(state)[0]


def residual_rounding(state: Any) -> Any:
    """Size of the residuals that the rounding of the points explains, an estimate."""
    return _levels(state)[1]


def _levels(state: Any) -> tuple[Any, Any]:
    """Both, found once at an evaluation."""
    e, model, members = state.evaluation, state.model, state.members
    if model.levels is None or model.levels[0] is not e:
        p, norm = e.point, state.residual_norm
        size = np.sqrt(np.sum(np.abs(p) ** 2, axis=tuple(range(len(members.shape), p.ndim))))
        columns = np.sqrt(np.sum(model.norms**2, axis=0)).reshape(members.shape)
        rounding = 4.0 * state.eps * columns * size
        relative = np.maximum(ROUNDING * state.eps, rounding / np.where(norm > 0.0, norm, 1.0))
        model.levels = e, relative, np.maximum(rounding, state.eps**2 * state.first_residual_norm)
    return model.levels[1], model.levels[2]
