"""Batches: each member goes where a run of its own would, and those that have ended stay put."""

from __future__ import annotations

import pickle

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import (
    ArmijoLinesearch,
    ConstantLength,
    CostObjective,
    Euclidean,
    Fused,
    GradientDescentState,
    HagerZhangLinesearch,
    LevenbergMarquardtState,
    Nielsen,
    Problem,
    Rotations,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenChangeLess,
    StopWhenGradientNormLess,
    StopWhenRelativeOffsetLess,
    gradient_descent,
    levenberg_marquardt,
    quasi_newton,
    solve,
)
from manifold_opt.linalg.batched_qr import damped, triangles
from manifold_opt.objectives import BatchedCostObjective, BatchedLeastSquaresObjective

T = np.linspace(0.0, 1.0, 20)


def decays(batch=(7,), seed=0, dtype=float):
    """Fits of a exp(b t), one for each member."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1.0, 3.0, batch), rng.uniform(-4.0, -1.0, batch)
    y = (a[..., None] * np.exp(b[..., None] * T) + 0.02 * rng.standard_normal((*batch, 20))).astype(dtype)
    t = T.astype(dtype)

    def residual(p):
        return p[..., :1] * anp.exp(p[..., 1:] * t) - y

    def jacobian(p):
        e = np.exp(p[..., 1:] * t)
        return np.stack([e, p[..., :1] * t * e], axis=-1)

    return residual, jacobian, np.tile(np.array([1.0, 0.0], dtype), (*batch, 1)), y


def quotients(n=5, batch=6, seed=0):
    """Rayleigh quotients of different matrices, one for each member."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((batch, n, n))
    A = A + np.swapaxes(A, 1, 2)
    f = lambda p: anp.einsum("bi,bij,bj->b", p, A, p)
    gradient = lambda p: 2.0 * np.einsum("bij,bj->bi", A, p)
    return Sphere(n - 1), f, gradient, Sphere(n - 1).random_point(rng, (batch,)), A


# linear algebra


@pytest.mark.parametrize("shape", [(6, 3), (3, 3), (2, 4), (5, 1)], ids=str)
def test_triangles_are_those_of_lapack_up_to_signs(shape):
    A = np.random.default_rng(0).standard_normal((*shape, 8))
    A[:, 0, 3] = 0.0  # a column of zeros in one of them
    R = triangles(A.copy())
    for i in range(8):
        expected = np.linalg.qr(A[:, :, i], mode="r")
        np.testing.assert_allclose(R[:, :, i].T @ R[:, :, i], expected.T @ expected, atol=1e-13)
        np.testing.assert_array_equal(np.tril(R[:, :, i], -1), 0.0)


def test_damped_steps_are_those_of_the_augmented_system():
    rng = np.random.default_rng(1)
    T, D = triangles(rng.standard_normal((9, 4, 5))), rng.uniform(0.1, 2.0, (3, 5))
    s = damped(T, D)
    for i in range(5):
        A = np.vstack([T[:, :3, i], np.diag(D[:, i])])
        expected = -np.linalg.lstsq(A, np.append(T[:, 3, i], np.zeros(3)), rcond=None)[0]
        np.testing.assert_allclose(s[:, i], expected, rtol=1e-10)


# fits


@pytest.mark.parametrize("batch", [(7,), (2, 3)], ids=str)
def test_each_fit_is_the_fit_alone(batch):
    residual, jacobian, p0, y = decays(batch)
    result = levenberg_marquardt(Euclidean(2), residual, p0, jacobian=jacobian, batched=True)
    assert result.converged.shape == result.cost.shape == result.iterations.shape == batch
    assert result.converged.all() and set(result.status.ravel()) == {Status.CONVERGED}
    for i in np.ndindex(*batch):
        one = levenberg_marquardt(
            Euclidean(2),
            lambda p: p[0] * np.exp(p[1] * T) - y[i],  # noqa: B023
            p0[i],
            jacobian=lambda p: np.stack([np.exp(p[1] * T), p[0] * T * np.exp(p[1] * T)], axis=1),
            damping=Nielsen(),
        )
        np.testing.assert_allclose(result.point[i], one.point, rtol=1e-12)
        assert result.iterations[i] == one.iterations and result.cost[i] == pytest.approx(one.cost, rel=1e-13)
    # a call for all members counts once
    assert result.evaluations["residual"] <= result.iterations.max() + 1


@pytest.mark.parametrize("autodiff", ["auto", "autograd", "finite-differences"])
def test_jacobians_by_differentiation(autodiff):
    residual, jacobian, p0, _ = decays()
    given = levenberg_marquardt(Euclidean(2), residual, p0, jacobian=jacobian, batched=True)
    made = levenberg_marquardt(Euclidean(2), residual, p0, autodiff=autodiff, batched=True)
    np.testing.assert_allclose(made.point, given.point, rtol=1e-7)
    assert made.converged.all()
    assert (made.evaluations["residual"] > 4 * made.evaluations["jacobian"]) == (autodiff == "finite-differences")


def test_rotations_fitted_to_their_own_points():
    M, rng = Rotations(3), np.random.default_rng(3)
    points = rng.standard_normal((40, 8, 3))
    truth = M.random_point(rng, (40,))
    targets = np.einsum("bij,bkj->bki", truth, points)
    residual = lambda R: (anp.einsum("bij,bkj->bki", R, points) - targets).reshape(len(R), -1)
    start = M.exp(truth, M.get_vector(truth, 0.5 * rng.standard_normal((40, 3))))
    result = levenberg_marquardt(M, residual, start, batched=True)
    assert result.converged.all() and M.is_point(result.point)
    assert M.distance(result.point, truth).max() < 1e-7

    def euclidean(R):
        J = np.zeros((40, 8, 3, 3, 3))
        for i in range(3):
            J[:, :, i, i] = points
        return J.reshape(40, 24, 3, 3)

    given = levenberg_marquardt(M, residual, start, jacobian=euclidean, jacobian_type="euclidean", batched=True)
    assert given.converged.all() and M.distance(given.point, truth).max() < 1e-7


def test_a_member_that_has_ended_stays_to_the_last_bit():
    residual, jacobian, p0, _ = decays()
    solution = levenberg_marquardt(Euclidean(2), residual, p0, jacobian=jacobian, batched=True).point
    p0[3] = solution[3]
    points = []
    result = levenberg_marquardt(
        Euclidean(2), residual, p0, jacobian=jacobian, batched=True,
        callback=lambda problem, state: points.append(state.point[3].copy()),
    )  # fmt: skip
    assert result.iterations[3] == 0 < result.iterations[2]
    assert all((p == solution[3]).all() for p in points)


def test_bad_members_end_and_the_others_go_on():
    residual, jacobian, p0, y = decays()
    y[1] = np.nan  # bad at the start
    broken = lambda p: np.where((np.arange(7) == 2)[:, None] & (p[:, :1] != 1.0), np.inf, residual(p))
    result = levenberg_marquardt(Euclidean(2), broken, p0, jacobian=jacobian, batched=True)
    assert result.status[1] is Status.BAD_FUNCTION and result.status[2] is Status.BAD_FUNCTION
    np.testing.assert_array_equal(result.point[[1, 2]], p0[[1, 2]])
    assert result.converged[[0, 3, 4, 5, 6]].all() and np.isfinite(result.point).all()
    assert "5 of 7 members have converged; the others: 2 BAD_FUNCTION" in result.message
    assert "batch of shape (7,)" in repr(result)


def test_a_jacobian_that_is_not_finite_ends_its_member_where_it_is():
    residual, jacobian, p0, _ = decays()

    def broken(p):
        J = jacobian(p)
        J[4][p[4, 0] != 1.0] = np.nan
        return J

    result = levenberg_marquardt(Euclidean(2), residual, p0, jacobian=broken, batched=True)
    assert result.status[4] is Status.BAD_FUNCTION and (result.point[4] == p0[4]).all()
    assert result.converged.sum() == 6


def test_perfect_fits_and_zero_columns():
    y = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    residual = lambda p: p[:, :1] * np.array([1.0, 2.0, 3.0]) - y
    result = levenberg_marquardt(Euclidean(2), residual, np.zeros((2, 2)), autodiff="finite-differences", batched=True)
    assert result.converged.all()
    np.testing.assert_allclose(result.point, [[1.0, 0.0], [2.0, 0.0]], atol=1e-8)


def test_single_precision_survives():
    residual, jacobian, p0, _ = decays(dtype=np.float32)
    result = levenberg_marquardt(Euclidean(2), residual, p0, jacobian=jacobian, batched=True)
    assert result.point.dtype == np.float32 and result.converged.all()


def test_limits_and_criteria_are_asked_of_each_member():
    residual, jacobian, p0, _ = decays()
    keywords = {"jacobian": jacobian, "batched": True}
    few = levenberg_marquardt(Euclidean(2), residual, p0, max_iterations=5, **keywords)
    assert few.iterations.max() <= 5 and Status.ITERATION_LIMIT in few.status
    loose = levenberg_marquardt(Euclidean(2), residual, p0, tolerance=1e-3, **keywords)
    assert loose.converged.all() and loose.iterations.sum() < few.iterations.sum() + 14
    rule = StopWhenRelativeOffsetLess(1e-3) & StopWhenGradientNormLess(10.0) | StopAfterIteration(50)
    both = levenberg_marquardt(Euclidean(2), residual, p0, stopping=rule, **keywords)
    np.testing.assert_array_equal(both.iterations, loose.iterations)
    with pytest.raises(ValueError, match="does not judge the members"):
        levenberg_marquardt(Euclidean(2), residual, p0, stopping=StopWhenChangeLess(1e-3), **keywords)


def test_a_batch_is_recorded_stepped_pickled_and_continued():
    residual, jacobian, p0, _ = decays()
    M, objective = Euclidean(2), BatchedLeastSquaresObjective(residual, jacobian)
    whole = levenberg_marquardt(M, objective, p0, batched=True, record=["iteration", "cost"])
    assert np.shape(whole.record["cost"]) == (whole.iterations.max() + 1, 7)
    problem, state = Problem(M, objective), LevenbergMarquardtState(p0, batched=True)
    state.begin(problem)
    for _ in range(3):
        assert not state.should_stop(problem)
        state.step(problem)
    state = solve(problem, pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(state.point, whole.point)
    np.testing.assert_array_equal(state.members.iterations, whole.iterations)


def test_a_batch_is_saved_and_goes_on(tmp_path):
    residual, jacobian, p0, _ = decays()
    keywords = {"jacobian": jacobian, "batched": True}
    whole = levenberg_marquardt(Euclidean(2), residual, p0, **keywords)
    path = tmp_path / "batch.npz"
    levenberg_marquardt(Euclidean(2), residual, p0, max_iterations=3, checkpoint=path, **keywords)
    part = levenberg_marquardt(Euclidean(2), residual, p0, checkpoint=path, **keywords)
    np.testing.assert_array_equal(part.iterations, whole.iterations)
    np.testing.assert_array_equal(part.point, whole.point)
    M, f, gradient, start, _ = quotients()
    keywords = {"gradient": gradient, "objective_type": "euclidean", "batched": True, "tolerance": 1e-6}
    for solver in (gradient_descent, quasi_newton):
        whole = solver(M, f, start, **keywords)
        stopped = solver(
            M,
            f,
            start,
            checkpoint=tmp_path / solver.__name__,
            callback=lambda problem, state: state.iteration == 4,
            **keywords,
        )
        assert stopped.iterations.max() <= 4 and Status.STOPPED_BY_CALLBACK in stopped.status
        part = solver(M, f, start, checkpoint=tmp_path / solver.__name__, **keywords)
        np.testing.assert_allclose(part.point, whole.point, atol=1e-12)


# costs


@pytest.mark.parametrize("rule", [None, ArmijoLinesearch(sufficient_decrease=0.1), ConstantLength(0.03)], ids=repr)
def test_gradient_descent_of_each_is_that_of_one(rule):
    M, f, gradient, p0, A = quotients()
    keywords = {"stepsize": rule, "tolerance": 1e-6, "max_iterations": 400, "objective_type": "euclidean"}
    result = gradient_descent(M, f, p0, gradient=gradient, batched=True, **keywords)
    for i in range(len(p0)):
        one = gradient_descent(
            M, lambda p: float(p @ A[i] @ p), p0[i], gradient=lambda p: 2.0 * A[i] @ p, **keywords  # noqa: B023
        )  # fmt: skip
        np.testing.assert_allclose(result.point[i], one.point, atol=1e-6)
        assert result.status[i] is one.status
        assert abs(result.iterations[i] - one.iterations) <= 2
    assert result.evaluations["gradient"] <= result.iterations.max() + 20


@pytest.mark.parametrize("how", ["given", "fused", "autograd", "finite-differences"])
def test_l_bfgs_of_each_finds_its_eigenvalue(how):
    M, f, gradient, p0, A = quotients(seed=1)
    project = lambda p, G: G - np.einsum("bi,bi->b", p, G)[:, None] * p
    keywords = {
        "given": {"gradient": gradient, "objective_type": "euclidean"},
        "fused": {},
        "autograd": {"autodiff": "autograd"},
        "finite-differences": {"autodiff": "finite-differences"},
    }[how]
    cost = Fused(lambda p: (f(p), project(p, gradient(p)))) if how == "fused" else f
    result = quasi_newton(M, cost, p0, batched=True, tolerance=1e-6, **keywords)
    assert result.converged.all() and (result.gradient_norm < 1e-6).all()
    np.testing.assert_allclose(result.cost, np.linalg.eigvalsh(A)[:, 0], rtol=1e-10)
    assert result.iterations.min() < result.iterations.max()


def test_descent_ends_each_member_with_its_own_status():
    d = np.array([1.0, 2.0, 3.0, 4.0])
    f = lambda x: np.where(np.arange(4) == 3, -(x[:, 0] ** 2) * 1e200, 0.5 * d * (x * x).sum(axis=1))
    gradient = lambda x: np.where((np.arange(4) == 1)[:, None], -1.0, 1.0) * d[:, None] * x
    x0 = np.ones((4, 2))
    x0[2] = 0.0
    result = gradient_descent(Euclidean(2), f, x0, gradient=gradient, batched=True, max_iterations=50)
    assert result.status[0] is Status.CONVERGED and result.iterations[2] == 0
    assert result.status[1] in (Status.LINE_SEARCH_FAILED, Status.ROUND_OFF)
    assert not result.converged[3]
    assert np.isfinite(result.point).all()


def test_steps_stay_within_the_manifolds_reach_and_precision():
    M, f, gradient, p0, _ = quotients()
    big = lambda p: 1e3 * f(p)
    result = gradient_descent(
        M, big, p0.astype(np.float32), gradient=lambda p: (1e3 * gradient(p)).astype(np.float32),
        objective_type="euclidean", batched=True, tolerance=1.0, max_iterations=300,
    )  # fmt: skip
    assert result.point.dtype == np.float32 and result.converged.all()


# mistakes


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, batched=True), "needs its starts"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(3), r, p, batched=True), "shape"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, p, batched=True, loss="huber"), "loss"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, p, batched=True, bounds=(0, 1)), "bounds"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, p, batched=True, eta=0.3), "Nielsen"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), lambda p: r(p)[0], p, batched=True), "residual"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, p, jacobian=lambda p: J(p)[0], batched=True), "jacobian"),
        (lambda r, J, p: gradient_descent(Euclidean(2), lambda p: 0.0, p, batched=True, gradient=J), "shape"),
        (lambda r, J, p: quasi_newton(Euclidean(2), r, p, batched=True, memory=None), "limited memory"),
        (lambda r, J, p: levenberg_marquardt(Euclidean(2), r, p, batched=True, cache=True), "cache"),
    ],
)
def test_mistakes_are_named(call, message):
    residual, jacobian, p0, _ = decays()
    with pytest.raises((ValueError, TypeError), match=message):
        call(residual, jacobian, p0)


def test_rules_that_batches_do_not_know():
    for rule in (HagerZhangLinesearch(), ArmijoLinesearch(initial_guess="last")):
        with pytest.raises(ValueError, match="a batch takes"):
            GradientDescentState(np.zeros((2, 2)), stepsize=rule, batched=True)


def test_a_batch_of_one_is_not_a_batch_without_axes():
    f = lambda x: (x * x).sum(axis=-1)
    objective = BatchedCostObjective(f, lambda x: 2.0 * x)
    one = gradient_descent(Euclidean(2), objective, np.ones((1, 2)), batched=True)
    assert one.converged.shape == (1,) and one.converged.all()
    plain = gradient_descent(Euclidean(2), CostObjective(lambda x: float(f(x)), lambda x: 2.0 * x), np.ones(2))
    np.testing.assert_allclose(one.point[0], plain.point)
