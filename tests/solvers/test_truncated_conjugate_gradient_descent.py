"""Truncated conjugate gradients: the model is minimized, cut at the ball, and never multiplied twice."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from solvers.problems import mixed, quadratic, rayleigh

from manifold_opt import (
    Euclidean,
    Problem,
    Sphere,
    Status,
    StopAfterDimension,
    StopAfterIteration,
    StopWhenResidualIsReducedByFactorOrPower,
    TangentSpace,
    TruncatedConjugateGradientState,
    TrustRegionModelObjective,
    solve,
    truncated_conjugate_gradient_descent,
)

RNG = np.random.default_rng(11)
Q, _ = np.linalg.qr(RNG.standard_normal((8, 8)))
SPD = (Q * np.linspace(0.5, 6.0, 8)) @ Q.T
INDEFINITE = (Q * np.linspace(-1.0, 6.0, 8)) @ Q.T
B = RNG.standard_normal(8)


def model(H, radius, p=None, **keywords):
    """Problem on the tangent space of R^n, and its base problem."""
    problem = Problem(Euclidean(len(H)), quadratic(H, B[: len(H)]))
    p = np.zeros(len(H)) if p is None else p
    e = problem.evaluate(p)
    return Problem(TangentSpace(problem.manifold, p), TrustRegionModelObjective(e, radius, **keywords))


def with_radius(problem, radius):
    return Problem(problem.manifold, TrustRegionModelObjective(problem.objective.evaluation, radius))


def fresh(problem, **keywords):
    return solve(problem, TruncatedConjugateGradientState(np.zeros(8), **keywords))


def test_solves_a_positive_system():
    state = fresh(model(SPD, math.inf), kappa=1e-12, theta=0.0)
    assert state.status is Status.CONVERGED
    np.testing.assert_allclose(state.point, np.linalg.solve(SPD, B), rtol=1e-10)
    assert state.evaluations["hessian"] == state.iteration <= 8


def test_is_newton_s_step_on_a_product_of_spheres_and_a_vector_space():
    problem, p0, _ = mixed()
    M = problem.manifold
    p = solve(problem, _near(problem, p0)).point
    result = truncated_conjugate_gradient_descent(
        M, problem.objective, p, trust_region_radius=10.0, kappa=1e-8, theta=0.0
    )
    e = problem.evaluate(p)
    residual = e.gradient + e.hessian(result.point)
    assert M.norm(p, residual) <= 1e-8 * e.gradient_norm
    assert result.converged


def _near(problem, p0):
    from manifold_opt import TrustRegionsState

    return TrustRegionsState(p0, stopping=StopAfterIteration(4))


def test_stops_at_the_boundary():
    state = fresh(model(SPD, 0.1))
    assert state.boundary_reached and not state.negative_curvature
    assert state.status is Status.CONVERGED
    assert "boundary" in state.message
    assert math.isclose(np.linalg.norm(state.point), 0.1, rel_tol=1e-14)


def test_follows_negative_curvature_to_the_boundary():
    state = fresh(model(INDEFINITE, 50.0), kappa=1e-12)
    assert state.negative_curvature and state.boundary_reached
    assert math.isclose(np.linalg.norm(state.point), 50.0, rel_tol=1e-12)
    assert "curvature" in state.message


def test_negative_curvature_without_a_bound_is_no_minimizer():
    state = fresh(model(-SPD, math.inf))
    assert state.status is Status.DIVERGED
    assert np.all(np.isfinite(state.point))


@pytest.mark.parametrize("H", [SPD, INDEFINITE])
def test_knows_model_and_image_of_its_answer(H):
    for radius in (0.05, 0.5, 2.0):
        state = fresh(model(H, radius))
        X = state.point
        np.testing.assert_allclose(state.evaluation.image, H @ X, rtol=1e-11, atol=1e-13)
        assert math.isclose(state.evaluation.cost, 0.5 * X @ H @ X - B @ X, rel_tol=1e-11)


@pytest.mark.parametrize("H", [SPD, INDEFINITE])
def test_a_smaller_radius_costs_no_product_and_changes_nothing(H):
    problem = model(H, 2.0)
    state = fresh(problem, kappa=1e-12)
    products = state.evaluations["hessian"]
    for radius in (1.0, 0.9, 0.5, 0.1, 1e-3):
        smaller = with_radius(problem, radius)
        solve(smaller, state)
        assert state.evaluations["hessian"] == products
        alone = fresh(smaller, kappa=1e-12)
        assert np.array_equal(state.point, alone.point)
        assert state.evaluation.cost == alone.evaluation.cost
        assert state.iteration == alone.iteration
        assert state.status is alone.status


def test_a_larger_radius_starts_afresh():
    problem = model(SPD, 0.1)
    state = fresh(problem)
    solve(with_radius(problem, 1.0), state)
    assert np.array_equal(state.point, fresh(with_radius(problem, 1.0)).point)


def test_solved_again_it_stays_and_unpickled_it_agrees():
    problem = model(SPD, 0.5)
    state = fresh(problem)
    X = state.point
    assert np.array_equal(solve(problem, state).point, X)
    assert np.array_equal(solve(problem, pickle.loads(pickle.dumps(state))).point, X)


def test_an_exact_preconditioner_needs_one_step():
    problem = model(SPD, math.inf, preconditioner=lambda p, X: np.linalg.solve(SPD, X))
    state = solve(problem, TruncatedConjugateGradientState(np.zeros(8), kappa=1e-10, theta=0.0))
    assert state.iteration == 1
    np.testing.assert_allclose(state.point, np.linalg.solve(SPD, B), rtol=1e-12)


def test_the_radius_is_measured_in_the_preconditioner_s_norm():
    problem = model(SPD, 0.3, preconditioner=lambda p, X: np.linalg.solve(SPD, X))
    X = solve(problem, TruncatedConjugateGradientState(np.zeros(8))).point
    assert math.isclose(math.sqrt(X @ SPD @ X), 0.3, rel_tol=1e-12)


def test_a_preconditioner_that_is_not_positive_is_named():
    problem = model(SPD, 0.3, preconditioner=lambda p, X: -X)
    state = solve(problem, TruncatedConjugateGradientState(np.zeros(8)))
    assert state.status is Status.BAD_FUNCTION
    assert "preconditioner" in state.message


def test_criteria_compose():
    rule = StopAfterIteration(2) | StopWhenResidualIsReducedByFactorOrPower(1e-14, 0.0)
    state = solve(model(SPD, 10.0), TruncatedConjugateGradientState(np.zeros(8), stopping=rule))
    assert state.iteration == 2 and state.status is Status.ITERATION_LIMIT
    with pytest.raises(ValueError, match="theta"):
        TruncatedConjugateGradientState(stopping=rule, theta=1.0)


def test_without_the_criterion_of_the_boundary_it_ends_there_too():
    state = solve(model(SPD, 0.1), TruncatedConjugateGradientState(np.zeros(8), stopping=StopAfterIteration(50)))
    assert state.status is Status.STALLED


def test_stops_by_rounding_or_dimension_when_nothing_is_small_enough():
    state = fresh(model(SPD, 10.0), kappa=0.0)
    assert state.status in (Status.ITERATION_LIMIT, Status.ROUND_OFF)
    assert state.iteration <= 8
    rule = TruncatedConjugateGradientState.default_stopping(kappa=0.0).parts
    rule = StopAfterDimension(100.0) | rule[1] | rule[2] | rule[3] | rule[4]
    state = fresh(model(SPD, 10.0), stopping=rule)
    assert state.status is Status.ROUND_OFF
    np.testing.assert_allclose(state.point, np.linalg.solve(SPD, B), rtol=1e-12)


def test_a_random_start_sees_negative_curvature_at_a_saddle():
    M, p = Sphere(3), np.array([0.0, 1.0, 0.0, 0.0])
    objective = rayleigh(np.diag([1.0, 2.0, 3.0, 4.0]))
    X0 = 1e-3 * M.random_vector(p, 5)
    result = truncated_conjugate_gradient_descent(M, objective, p, X0, trust_region_radius=0.5)
    assert math.isclose(M.norm(p, result.point), 0.5, rel_tol=1e-12)
    assert result.cost < 0.0


def test_a_hessian_that_is_not_finite_ends_it():
    objective = quadratic(np.eye(3), np.ones(3))
    bad = type(objective)(objective.cost, objective.gradient, lambda p, X: np.nan * X)
    result = truncated_conjugate_gradient_descent(Euclidean(3), bad, np.zeros(3))
    assert result.status is Status.BAD_FUNCTION
    assert np.array_equal(result.point, np.zeros(3))


def test_front_function_counts_everything_and_checks_its_radius():
    result = truncated_conjugate_gradient_descent(Euclidean(8), quadratic(SPD, B), np.zeros(8), kappa=1e-10)
    assert result.evaluations["gradient"] == 1
    assert result.evaluations["hessian"] == result.iterations
    with pytest.raises(ValueError, match="trust_region_radius"):
        truncated_conjugate_gradient_descent(Sphere(2), lambda p: p[0], trust_region_radius=-1.0)
