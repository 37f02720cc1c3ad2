"""Defects of the peers that touch the first-order solvers, and Euclidean reference cases on curved products.

Numbers refer to the lists of known defects of pymanopt ("peer") and Manopt.jl ("manopt").
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import problem, rayleigh, sphere_mean, unit, with_spheres

from manifold_opt import (
    BFGS,
    ConjugateGradientDescentState,
    ConstantLength,
    CostObjective,
    CubicBracketingLinesearch,
    Euclidean,
    Fused,
    GradientDescentState,
    HagerZhangGuess,
    MomentumGradient,
    PowerManifold,
    ProductManifold,
    QuasiNewtonState,
    Sphere,
    Status,
    StopAfterIteration,
    conjugate_gradient_descent,
    gradient_descent,
    quasi_newton,
    solve,
)

SOLVERS = [gradient_descent, conjugate_gradient_descent, quasi_newton]
STATES = [GradientDescentState, ConjugateGradientDescentState, QuasiNewtonState]
solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda f: f.__name__)


def eigenvalue_problem(n=8):
    M, f, gradient = rayleigh(np.diag(np.arange(1.0, n + 1.0)))
    return M, f, gradient, unit(np.ones(n))


@solver
def test_peer_4_the_limit_of_evaluations_holds(solver):
    M, f, gradient, p0 = eigenvalue_problem()
    result = solver(M, f, p0, gradient=gradient, max_evaluations=5)
    assert result.status is Status.EVALUATION_LIMIT
    assert 5 <= result.evaluations["cost"] <= 10


@solver
def test_peer_4_the_reported_evaluations_are_the_calls(solver):
    M, f, gradient, p0 = eigenvalue_problem()
    calls = {"cost": 0, "gradient": 0}

    def counted(name, function):
        def call(p):
            calls[name] += 1
            return function(p)

        return call

    result = solver(M, counted("cost", f), p0, gradient=counted("gradient", gradient))
    assert {name: result.evaluations[name] for name in calls} == calls


@solver
def test_peer_5_and_manopt_12_the_gradient_norm_is_that_of_the_last_point(solver):
    M, f, gradient, p0 = eigenvalue_problem()
    result = solver(M, f, p0, gradient=gradient, max_iterations=7, record=["iteration", "cost", "gradient_norm"])
    assert result.gradient_norm == pytest.approx(M.norm(result.point, gradient(result.point)), rel=1e-13)
    assert result.record["iteration"][-1] == result.iterations
    assert result.record["cost"][-1] == pytest.approx(f(result.point), rel=1e-14)
    assert result.record["gradient_norm"][-1] == result.gradient_norm


@solver
def test_manopt_12_a_start_that_is_a_solution_takes_no_step(solver):
    M, f, gradient, _ = eigenvalue_problem()
    result = solver(M, f, np.eye(8)[0], gradient=gradient)
    assert result.converged
    assert result.iterations == 0
    assert result.evaluations["gradient"] == 1


def test_manopt_12_momentum_stops_by_the_gradient_not_by_its_direction():
    M, f, gradient, p0, _ = sphere_mean()
    result = gradient_descent(
        M, f, p0, gradient=gradient, direction=MomentumGradient(0.3), stepsize=ConstantLength(0.8), tolerance=1e-6
    )
    assert result.converged
    assert M.norm(result.point, gradient(result.point)) < 1e-6


@solver
def test_peer_7_nan_is_never_the_answer(solver):
    """Not defined where x_0 > 0.8, which is where the descent leads."""
    M = Sphere(2)

    def f(p):
        return -float(p[0]) if p[0] < 0.8 else math.nan

    result = solver(
        M, f, unit([0.1, 0.5, 0.5]), gradient=lambda p: M.project_vector(p, np.array([-1.0, 0.0, 0.0])),
        max_iterations=200,
    )  # fmt: skip
    assert np.isfinite(result.cost)
    assert np.isfinite(result.point).all()
    assert not result.converged


@solver
def test_peer_8_the_preconditioner_is_called(solver):
    calls = []
    d = np.array([1.0, 50.0])

    def preconditioner(x, X):
        calls.append(1)
        return X / d

    objective = CostObjective(lambda x: 0.5 * float(x @ (d * x)), lambda x: d * x, preconditioner=preconditioner)
    keywords = {}
    if solver is gradient_descent:
        from manifold_opt import PreconditionedDirection

        keywords = {"direction": PreconditionedDirection()}
    result = solver(Euclidean(2), objective, np.ones(2), **keywords)
    assert result.converged
    assert calls


@solver
def test_peer_9_the_last_digits_are_resolved_by_the_gradient(solver):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((300, 300))
    M, f, gradient = rayleigh((A + A.T) / 2)
    result = solver(M, f, M.random_point(rng), gradient=gradient, tolerance=1e-7, max_iterations=5000)
    assert result.converged, result


@solver
def test_peer_11_a_fused_cost_is_called_once_per_trial(solver):
    M, f, gradient, p0 = eigenvalue_problem()
    seen = []

    def both(p):
        seen.append(p.tobytes())
        return f(p), gradient(p)

    result = solver(M, Fused(both), p0)
    assert result.converged
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("make", STATES, ids=lambda s: s.__name__)
def test_peer_12_time_is_that_of_the_run(make):
    M, f, gradient, p0 = eigenvalue_problem()
    state = solve(problem(M, f, gradient), make(p0, stopping=StopAfterIteration(5)))
    assert 0.0 < state.elapsed < 10.0


@solver
def test_a_run_saved_and_continued_is_the_same_run(solver, tmp_path):
    M, f, gradient, p0 = eigenvalue_problem()
    whole = solver(M, f, p0, gradient=gradient, max_iterations=9)
    path = tmp_path / "run.npz"
    solver(M, f, p0, gradient=gradient, max_iterations=4, checkpoint=path)
    result = solver(M, f, p0, gradient=gradient, max_iterations=9, checkpoint=path)
    np.testing.assert_array_equal(result.point, whole.point)
    assert result.evaluations == whole.evaluations


@pytest.mark.parametrize("update", [None, BFGS()], ids=["limited", "full"])
def test_a_point_moved_from_outside_drops_the_memory(update):
    """After an interrupt between step and update, or a callback that moves, what was learned elsewhere is not used."""
    M, f, gradient, p0 = eigenvalue_problem()
    pr = problem(M, f, gradient)
    state = QuasiNewtonState(p0, update=update, memory=10 if update is None else None)
    state.begin(pr)
    for _ in range(3):
        state.step(pr)
    state.evaluation = pr.evaluate(unit(np.arange(1.0, 9.0)), state.evaluations)
    state.step(pr)
    assert len(state.model) <= 1
    assert state.status is Status.RUNNING


# Euclidean reference cases, coupled to three spheres


@pytest.mark.parametrize("n", [1, 3])
@solver
def test_case_11_quadratic_coupled_to_spheres(solver, n):
    d = np.array([1.0, 0.1] * n)
    M, f, gradient, start, a = with_spheres(lambda x: float(x @ (d * x)), lambda x: 2.0 * d * x, 2 * n)
    result = solver(M, f, start([0.1, 1.0] * n), gradient=gradient, tolerance=1e-9)
    assert result.converged
    s, x = M.split(result.point)
    np.testing.assert_allclose(s, a, atol=1e-8)
    np.testing.assert_allclose(x, 0.0, atol=1e-8)


@pytest.mark.parametrize("keywords", [dict(), dict(memory=None), dict(memory=None, update=BFGS())], ids=repr)
def test_case_15_mean_of_matrices_coupled_to_spheres(keywords):
    A = np.zeros((3, 16))
    A[0, 0], A[1, 3], A[2, 12] = 18.0, 0.009, -5.0
    M, f, gradient, start, a = with_spheres(
        lambda x: 0.5 * float(np.sum((x - A) ** 2)), lambda x: 3 * x - A.sum(axis=0), 16
    )
    result = quasi_newton(M, f, start(np.zeros(16)), gradient=gradient, tolerance=1e-9, **keywords)
    s, x = M.split(result.point)
    np.testing.assert_allclose(x, A.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(s, a, atol=1e-8)


def test_case_41_cubic_bracketing_coupled_to_spheres():
    M, f, gradient, start, _ = with_spheres(lambda x: float(x @ x), lambda x: 2.0 * x, 2)
    rule = CubicBracketingLinesearch(curvature=1e-6, min_bracket=0.0)
    state = GradientDescentState(start([1.0, 2.0]), stepsize=rule)
    pr = problem(M, f, gradient)
    state.begin(pr)
    before = state.evaluation
    state.step(pr)
    e = state.evaluation
    slope = M.inner(e.point, e.gradient, M.vector_transport_to(before.point, -before.gradient, e.point))
    assert abs(slope) <= 1e-6 * before.gradient_norm**2


def test_case_43_hager_zhang_guess_coupled_to_spheres():
    M, f, gradient, start, _ = with_spheres(lambda x: float((x - 1) @ (x - 1)), lambda x: 2.0 * (x - 1), 2)
    pr = problem(M, f, gradient)
    state = GradientDescentState(start([0.0, 0.0]), stepsize=ConstantLength(0.1))
    state.begin(pr)
    e, bound = state.evaluation, HagerZhangGuess().bind()
    norm = e.gradient_norm
    assert bound.first(pr, state, -e.gradient, -norm * norm, norm) == pytest.approx(0.01 * e.cost / norm**2)
    bound.keep(e.point, -e.gradient, -norm * norm, norm, 1e-3)
    t = bound.first(pr, state, -e.gradient, -norm * norm, norm)
    h = 1e-5
    cost = lambda t: pr.cost(M.retract(e.point, -e.gradient, t))
    bend = (cost(h) - e.cost + h * norm**2) / h**2
    assert t == pytest.approx(0.5 * norm**2 / bend, rel=1e-3)


@pytest.mark.parametrize("solver", SOLVERS[1:], ids=lambda f: f.__name__)
def test_case_46_rosenbrock_coupled_to_spheres(solver):
    valley = lambda x: 100.0 * float(x[0] ** 2 - x[1]) ** 2 + float(x[0] - 1.0) ** 2
    slope = lambda x: np.array(
        [400.0 * x[0] * (x[0] ** 2 - x[1]) + 2.0 * (x[0] - 1.0), -200.0 * (x[0] ** 2 - x[1])]
    )
    M, f, gradient, start, a = with_spheres(valley, slope, 2)
    result = solver(M, f, start([0.1, 0.2]), gradient=gradient, tolerance=1e-7)
    assert result.converged
    s, x = M.split(result.point)
    np.testing.assert_allclose(x, 1.0, atol=1e-5)
    np.testing.assert_allclose(s, a, atol=1e-6)


def test_the_product_of_the_coupled_problems_is_the_one_promised():
    M, f, gradient, start, _ = with_spheres(lambda x: float(x @ x), lambda x: 2.0 * x, 2)
    assert ProductManifold(s=PowerManifold(Sphere(2), 3), x=Euclidean(2)) == M
    p = start([0.3, -0.2])
    X = M.random_vector(p, 0)
    h = 1e-5
    difference = (f(M.retract(p, X, h)) - f(M.retract(p, X, -h))) / (2 * h)
    assert difference == pytest.approx(M.inner(p, gradient(p), X), rel=1e-8)
