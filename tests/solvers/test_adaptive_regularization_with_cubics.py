"""Adaptive regularization with cubics: reference cases, subsolvers, counts."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from solvers.problems import RAYLEIGH, TRIDIAGONAL, mixed, quadratic, rayleigh, rosenbrock

from manifold_opt import (
    AdaptiveRegularizationState,
    ConjugateGradientDescentState,
    CostObjective,
    CubicModelObjective,
    Euclidean,
    ExactModelState,
    FiniteDifferenceHessian,
    GradientDescentState,
    Grassmann,
    LanczosState,
    Problem,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenFirstOrderProgress,
    StopWhenGradientNormLess,
    SymmetricRankOneHessian,
    TangentSpace,
    TruncatedConjugateGradientState,
    adaptive_regularization_with_cubics,
    solve,
)


def gradient_subsolver():
    return GradientDescentState(np.zeros(1), stopping=StopAfterIteration(300) | StopWhenFirstOrderProgress(0.5))


def conjugate_subsolver():
    return ConjugateGradientDescentState(
        np.zeros(1), stopping=StopAfterIteration(300) | StopWhenFirstOrderProgress(0.5)
    )


SUBSOLVERS = {
    "default": lambda: None,
    "exact": ExactModelState,
    "gradient": gradient_subsolver,
    "conjugate gradients": conjugate_subsolver,
}


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
@pytest.mark.parametrize("A, start", [(TRIDIAGONAL, 0), (RAYLEIGH, 3)])
def test_reference_cases_16_and_20_eigenvectors(A, start, subsolver):
    result = adaptive_regularization_with_cubics(
        Sphere(3), rayleigh(A), np.eye(4)[start], subsolver=SUBSOLVERS[subsolver]()
    )
    assert result.converged
    assert math.isclose(result.cost, np.linalg.eigvalsh(A)[0], rel_tol=1e-13)


@pytest.mark.parametrize("hessian", [None, FiniteDifferenceHessian()], ids=["Hessian", "differences"])
@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_reference_case_22_dominant_subspace(subsolver, hessian):
    A = np.diag(np.arange(1.0, 9.0)) + np.diag(np.ones(7), 1) + np.diag(np.ones(7), -1)
    cost = CostObjective(
        lambda p: -0.5 * float(np.sum(p * (A @ p))), lambda p: -A @ p, lambda p, X: -A @ X, objective_type="euclidean"
    )
    result = adaptive_regularization_with_cubics(
        Grassmann(8, 3),
        cost,
        np.eye(8)[:, :3],
        sigma=100.0,
        theta=0.5,
        retraction="polar",
        subsolver=SUBSOLVERS[subsolver](),
        hessian_approximation=hessian,
    )
    assert result.converged
    assert abs(result.cost + 10.99790308533299) <= 5e-14


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_a_product_of_spheres_and_a_vector_space(subsolver):
    problem, p0, _ = mixed()
    result = adaptive_regularization_with_cubics(
        problem.manifold, problem.objective, p0, subsolver=SUBSOLVERS[subsolver]()
    )
    assert result.converged
    assert math.isclose(result.cost, 3.5, rel_tol=1e-12)


@pytest.mark.parametrize("hessian", [FiniteDifferenceHessian(), SymmetricRankOneHessian()], ids=repr)
def test_hessian_approximations(hessian):
    result = adaptive_regularization_with_cubics(
        Sphere(3), rayleigh(TRIDIAGONAL), np.eye(4)[0], hessian_approximation=hessian
    )
    assert result.converged
    assert math.isclose(result.cost, -2.223613732679, rel_tol=1e-12)
    assert result.evaluations["hessian"] == 0


def test_rosenbrock():
    result = adaptive_regularization_with_cubics(Euclidean(2), rosenbrock, np.array([-1.2, 1.0]))
    assert result.converged and result.iterations <= 40
    np.testing.assert_allclose(result.point, 1.0, rtol=1e-8)


def test_the_ratio_leaves_out_the_cubic_term():
    """On a quadratic the model is exact, and the ratio 1 for any weight."""
    problem = Problem(Euclidean(2), quadratic([[2.0, 0.5], [0.5, 1.0]], [1.0, 1.0]))
    state = AdaptiveRegularizationState(np.array([3.0, -2.0]), sigma=5.0)
    state.begin(problem)
    state.step(problem)
    assert math.isclose(state.ratio, 1.0, rel_tol=1e-12)
    assert math.isclose(state.sigma, 0.5)


@pytest.mark.parametrize("subsolver", [LanczosState, ExactModelState])
def test_the_subsolver_minimizes_the_model(subsolver):
    M, p = Sphere(5), np.eye(6)[0]
    A = np.random.default_rng(1).standard_normal((6, 6))
    e = Problem(M, rayleigh(A + A.T)).evaluate(p)
    for sigma in (1e-3, 1.0, 1e3):
        state = solve(
            Problem(TangentSpace(M, p), CubicModelObjective(e, sigma)),
            subsolver(M.zero_vector(p), stopping=StopAfterIteration(5)),
        )
        X = state.point
        gradient = e.gradient + e.hessian(X) + sigma * M.norm(p, X) * X
        assert M.norm(p, gradient) <= 1e-10 * max(1.0, sigma)
        assert state.evaluation.cost < 0.0
        assert math.isclose(state.multiplier, sigma * M.norm(p, X), rel_tol=1e-9)


def test_model_derivatives():
    M, p = Sphere(3), np.eye(4)[0]
    problem = Problem(TangentSpace(M, p), CubicModelObjective(Problem(M, rayleigh(TRIDIAGONAL)).evaluate(p), 2.0))
    X, Y = M.random_vector(p, 1), M.random_vector(p, 2)
    t = 1e-5
    slope = (problem.cost(X + t * Y) - problem.cost(X - t * Y)) / (2 * t)
    assert math.isclose(slope, M.inner(p, problem.gradient(X), Y), rel_tol=1e-8)
    change = (problem.gradient(X + t * Y) - problem.gradient(X - t * Y)) / (2 * t)
    np.testing.assert_allclose(problem.hessian(X, Y), change, atol=1e-8)


def test_a_refused_step_costs_one_cost():
    problem = Problem(Euclidean(2), CostObjective(rosenbrock))
    state = AdaptiveRegularizationState(np.array([-1.2, 1.0]), sigma=1e-8)
    state.begin(problem)
    refused = 0
    while not state.should_stop(problem):
        before, again = dict(state.evaluations), state._same_point
        state.step(problem)
        refused += not state.last_step_successful
        assert state.evaluations["cost"] == before["cost"] + 1
        assert state.evaluations["gradient"] == before["gradient"] + state.last_step_successful
        if again:
            # a larger weight may need a longer basis, never the products again
            assert state.evaluations["hessian"] <= before.get("hessian", 0) + 1
    assert refused >= 3
    assert state.status is Status.CONVERGED


def test_interrupted_anywhere_and_unpickled_it_continues_identically():
    problem = Problem(Euclidean(4), CostObjective(rosenbrock))
    p0 = np.array([-1.2, 1.0, -1.2, 1.0])
    whole = solve(problem, AdaptiveRegularizationState(p0, sigma=1e-6))
    state = AdaptiveRegularizationState(p0, sigma=1e-6)
    for n in (1, 2, 3, 5, 8, 1000):
        state.stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-8)
        state = pickle.loads(pickle.dumps(solve(problem, state)))
    assert np.array_equal(state.point, whole.point)
    assert state.iteration == whole.iteration


def test_ends_by_rounding():
    for sign in (1e-8, 1.0, 1e8):
        result = adaptive_regularization_with_cubics(
            Sphere(3), rayleigh(TRIDIAGONAL, sign), np.eye(4)[0], tolerance=0.0
        )
        assert result.status in (Status.ROUND_OFF, Status.STALLED)
        assert result.gradient_norm <= 1e-13 * sign


def test_trials_that_are_not_finite_raise_the_weight():
    def f(x):
        return float(x[0] - math.log(x[0])) if x[0] > 0 else math.nan

    result = adaptive_regularization_with_cubics(
        Euclidean(1),
        f,
        np.array([5.0]),
        gradient=lambda x: 1.0 - 1.0 / x,
        hessian=lambda x, X: X / x**2,
        sigma=1e-10,
    )
    assert result.converged
    assert math.isclose(result.point[0], 1.0, rel_tol=1e-8)


@pytest.mark.parametrize(
    "name, value",
    [
        ("sigma", -1.0),
        ("sigma_min", 0.0),
        ("theta", 0.0),
        ("acceptance_rate", 1.0),
        ("augmentation_threshold", 0.05),
        ("reduction_factor", 0.0),
        ("augmentation_factor", 1.0),
    ],
)
def test_parameters_outside_their_interval(name, value):
    with pytest.raises(ValueError, match=name):
        AdaptiveRegularizationState(np.ones(2), **{name: value})


def test_a_subsolver_for_balls_is_refused():
    with pytest.raises(TypeError, match="subsolver"):
        AdaptiveRegularizationState(np.ones(2), subsolver=TruncatedConjugateGradientState())


def test_checkpoint(tmp_path):
    arguments = Euclidean(4), rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0])
    whole = adaptive_regularization_with_cubics(*arguments)
    adaptive_regularization_with_cubics(*arguments, checkpoint=tmp_path / "run.npz", max_iterations=7)
    rest = adaptive_regularization_with_cubics(*arguments, checkpoint=tmp_path / "run.npz")
    assert np.array_equal(rest.point, whole.point)
    assert rest.iterations == whole.iterations
