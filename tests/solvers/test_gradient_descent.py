"""Gradient descent: minimizers on every manifold, bad scales and conditions, round-off, and Manopt.jl's cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solver_problems import MANIFOLDS, Calls, Quadratic, start

from manifold_opt.core import Status
from manifold_opt.manifolds import Euclidean, Rotations, Sphere
from manifold_opt.solvers import gradient_descent
from manifold_opt.stepsizes import ArmijoLinesearch, ConstantLength, DecreasingLength
from manifold_opt.stopping import StopAfterIteration, StopWhenGradientNormLess

RULES = [
    ArmijoLinesearch(),
    ArmijoLinesearch(initial_guess="last"),
    ArmijoLinesearch(initial_guess="constant"),
    ConstantLength(0.05),
    DecreasingLength(0.1, exponent=0.1),
]


def bowl(M, seed=0):
    """Half the squared distance to a point: one minimizer, and the manifold's own curvature in the Hessian."""
    target = start(M, seed + 10)
    X = M.random_vector(target, np.random.default_rng(seed))
    p0 = M.retract(target, X, 0.5 / M.norm(target, X))
    return lambda p: 0.5 * M.squared_distance(p, target), lambda p: -M.log(p, target), target, p0


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_minimizer_is_found(M, rule):
    f, g, target, p0 = bowl(M)
    result = gradient_descent(M, f, p0, gradient=g, stepsize=rule)
    assert result.converged and result.gradient_norm <= 1e-8
    # the gradient is the logarithm, so its norm is the distance
    assert M.distance(result.point, target) <= 1.1e-8
    assert M.is_point(result.point)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_derivatives_by_autograd_lead_to_the_same_point(M):
    f = Quadratic(M)
    given = gradient_descent(M, f, start(M), gradient=f.gradient, stepsize=ConstantLength(0.05), max_iterations=20)
    derived = gradient_descent(M, f, start(M), stepsize=ConstantLength(0.05), max_iterations=20)
    np.testing.assert_allclose(derived.point, given.point, atol=1e-12)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("rule", RULES[:3], ids=repr)
def test_armijo_decreases_the_cost_and_takes_one_gradient_per_accepted_point(M, rule):
    f = Quadratic(M)
    cost, gradient = Calls(f), Calls(f.gradient)
    result = gradient_descent(
        M,
        cost,
        start(M),
        gradient=gradient,
        stepsize=rule,
        stopping=StopAfterIteration(25) | StopWhenGradientNormLess(1e-4),  # far above rounding
        record=["cost"],
    )
    costs = np.array(result.record["cost"])
    assert (np.diff(costs) <= 1e-14 * np.abs(costs[:-1])).all()
    assert gradient.n == result.evaluations["gradient"]
    assert cost.n == result.evaluations["cost"]
    assert gradient.n == 1 + result.iterations


@pytest.mark.parametrize("rule", RULES[3:], ids=repr)
def test_fixed_steps_need_no_cost(rule):
    f = Quadratic(Sphere(2))
    cost = Calls(f)
    result = gradient_descent(Sphere(2), cost, start(Sphere(2)), gradient=f.gradient, stepsize=rule, max_iterations=9)
    assert cost.n == result.evaluations["watched"] == 1 and result.evaluations["cost"] == 0
    assert result.evaluations["gradient"] == 1 + result.iterations


def test_the_stopping_criterion_sees_the_current_gradient():
    """Manopt.jl tests that of the iterate before (its defect 12)."""
    f, asked = Quadratic(Sphere(2)), []
    gradient_descent(
        Sphere(2),
        f,
        start(Sphere(2)),
        gradient=f.gradient,
        callback=lambda problem, state: asked.append((state.evaluation.gradient_norm, state.point)),
    )
    for norm, p in asked:
        assert norm == pytest.approx(np.linalg.norm(f.gradient(p)), rel=1e-12, abs=1e-15)
    assert asked[-1][0] <= 1e-8 < asked[-2][0]


# scales


@given(power=st.integers(-12, 12), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_units_of_the_cost(power, seed):
    c = 10.0**power
    M = Sphere(3)
    f = Quadratic(M, seed)
    result = gradient_descent(
        M, lambda p: c * f(p), start(M, seed), gradient=lambda p: c * f.gradient(p), tolerance=1e-7 * c
    )
    assert result.converged, result
    assert np.linalg.norm(f.gradient(result.point)) <= 1e-7


@pytest.mark.parametrize("power", [-8, -4, 0, 4, 8])
def test_units_of_the_variables(power):
    c = 10.0**power
    f = lambda p: float(np.sum((p / c - 1.0) ** 2))
    result = gradient_descent(
        Euclidean(3), f, c * np.array([3.0, -1.0, 0.5]), gradient=lambda p: 2.0 * (p / c - 1.0) / c, tolerance=1e-8 / c
    )
    assert result.converged
    np.testing.assert_allclose(result.point / c, 1.0, atol=1e-8)


def test_condition_ten_thousand():
    """Plain steepest descent needs about 10^5 iterations here; Barzilai-Borwein steps a few hundred."""
    d = np.geomspace(1e-4, 1.0, 30)
    x0 = np.random.default_rng(0).standard_normal(30)
    result = gradient_descent(
        Euclidean(30), lambda p: 0.5 * float(p @ (d * p)), x0, gradient=lambda p: d * p, max_iterations=5000
    )
    assert result.converged and result.gradient_norm <= 1e-8 and result.iterations < 2000
    np.testing.assert_allclose(result.point, 0.0, atol=1e-4)  # 1e-8 over the smallest curvature


@pytest.mark.parametrize("offset", [1.0, 1e3, 1e6, 1e9, -1e9])
@pytest.mark.parametrize("M", [Euclidean(3), Sphere(2), Rotations(3)], ids=repr)
def test_the_rounding_of_the_cost_does_not_keep_the_gradient_from_its_tolerance(M, offset):
    """A constant added to the cost hides its decrease, not its gradient: either the tolerance is reached, or it is said
    that rounding prevents it; never an iteration limit, a failed search or a worse cost."""
    f, g, _, p0 = bowl(M)
    result = gradient_descent(M, lambda p: offset + f(p), p0, gradient=g)
    assert result.status in (Status.CONVERGED, Status.ROUND_OFF), result
    assert f(result.point) <= f(p0)
    # at worst, the gradient at which the decrease drowns: f - f* = |g|^2 / 2 near 10 eps |offset|
    assert result.gradient_norm <= max(1e-8, np.sqrt(40.0 * 2.3e-16 * abs(offset)))
    if abs(offset) <= 1e3:
        assert result.converged


def test_an_unreachable_tolerance_ends_as_round_off():
    f, g, _, p0 = bowl(Sphere(2))
    noisy = lambda p: g(p) + 1e-9 * np.cross(p, [1.0, 0.0, 0.0])
    result = gradient_descent(Sphere(2), lambda p: 1.0 + f(p), p0, gradient=noisy, tolerance=1e-300, max_iterations=500)
    assert not result.converged
    assert result.status in (Status.ROUND_OFF, Status.LINE_SEARCH_FAILED, Status.ITERATION_LIMIT)
    assert f(result.point) < 1e-14


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_single_precision(M):
    _, _, target, p0 = bowl(M)
    target32 = target.astype(np.float32)
    result = gradient_descent(
        M,
        lambda p: 0.5 * M.squared_distance(p, target32),
        p0.astype(np.float32),
        gradient=lambda p: -M.log(p, target32),
        tolerance=1e-5,
    )
    assert result.point.dtype == np.float32 and result.converged
    assert M.distance(result.point, target32) <= 1e-4


# Manopt.jl


def circle_mean(angles):
    """f(p) = mean of squared angles to the data, and its Riemannian gradient, on the unit circle."""
    data = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    M = Sphere(1)
    f = lambda p: 0.5 * np.mean([M.squared_distance(p, q) for q in data])
    return M, f, lambda p: -np.mean([M.log(p, q) for q in data], axis=0)


@pytest.mark.parametrize(
    "rule",
    [
        ArmijoLinesearch(),
        ArmijoLinesearch(contraction=0.99),
        ArmijoLinesearch(initial_guess="constant"),
        ArmijoLinesearch(initial_guess="last"),
        ConstantLength(0.5),
    ],
    ids=repr,
)
def test_reference_case_8_circle_mean(rule):
    M, f, g = circle_mean([-np.pi / 2, np.pi / 4, 0.0, np.pi / 4])
    p0 = np.array([np.cos(-np.pi / 2), np.sin(-np.pi / 2)])
    result = gradient_descent(M, f, p0, gradient=g, stepsize=rule, tolerance=1e-10)
    assert result.converged
    assert abs(np.arctan2(result.point[1], result.point[0])) <= 5e-10


@pytest.mark.parametrize("rule", [ArmijoLinesearch(), ConstantLength(0.5)], ids=repr)
def test_reference_case_9_mean_on_the_sphere(rule):
    M, north = Sphere(2), np.array([0.0, 0.0, 1.0])
    X = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    data = np.stack([M.exp(north, Y) for Y in X])
    f = lambda p: 0.125 * sum(M.squared_distance(p, q) for q in data)
    g = lambda p: -0.25 * sum(M.log(p, q) for q in data)
    result = gradient_descent(M, f, data[0], gradient=g, stepsize=rule)
    assert result.converged
    np.testing.assert_allclose(result.point, north, atol=1e-8)
    autodiff = gradient_descent(M, f, data[0], stepsize=rule)
    np.testing.assert_allclose(autodiff.point, north, atol=1e-8)


def test_an_eigenvector_from_a_random_start():
    A = np.diag([1.0, 2.0, 5.0, 9.0])
    for seed in range(5):
        result = gradient_descent(
            Sphere(3), lambda p: p @ A @ p, rng=seed, stopping=StopWhenGradientNormLess(1e-8) | StopAfterIteration(500)
        )
        assert result.converged and result.cost == pytest.approx(1.0, rel=1e-14)
        assert abs(result.point[0]) == pytest.approx(1.0, rel=1e-14)
