"""Direction rules: reference cases 8 and 9 of Manopt.jl, nesting, memory, restarts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from problems import circle_mean, problem, rayleigh, rosenbrock, rosenbrock_gradient, sphere_mean, unit, with_spheres

from manifold_opt import (
    ArmijoLinesearch,
    AverageGradient,
    ConstantLength,
    CostObjective,
    Euclidean,
    Gradient,
    GradientDescentState,
    MomentumGradient,
    Nesterov,
    PreconditionedDirection,
    Sphere,
    StopAfterIteration,
    gradient_descent,
    solve,
)

RULES = [
    Gradient(),
    MomentumGradient(0.4),
    AverageGradient(3),
    Nesterov(stepsize=0.2),
    PreconditionedDirection(lambda p, X: 0.5 * X),
    MomentumGradient(0.3, direction=AverageGradient(2, direction=PreconditionedDirection(lambda p, X: 0.7 * X))),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_rule_is_a_value(rule):
    assert rule == rule
    assert hash(rule) == hash(rule)
    if "lambda" not in repr(rule):
        assert pickle.loads(pickle.dumps(rule)) == rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_finds_the_mean_on_the_sphere(rule):
    M, f, gradient, p0, north = sphere_mean()
    result = gradient_descent(M, f, p0, gradient=gradient, direction=rule, max_iterations=3000)
    assert result.converged, result
    assert M.distance(result.point, north) < 1e-7


# Reference case 8, start at a data point


@pytest.mark.parametrize(
    "rule", [Gradient(), Nesterov(), PreconditionedDirection(lambda p, X: 0.5 * X)], ids=lambda r: type(r).__name__
)
def test_case_8_mean_on_the_circle(rule):
    M, f, gradient, p0, answer = circle_mean()
    result = gradient_descent(
        M, f, p0, gradient=gradient, direction=rule, max_iterations=2000, tolerance=1e-10
    )
    assert M.distance(result.point, answer) < 5e-10


# Reference case 9


def test_case_9_momentum_with_constant_step():
    M, f, gradient, p0, north = sphere_mean()
    result = gradient_descent(
        M, f, p0, gradient=gradient, direction=MomentumGradient(0.2), stepsize=ConstantLength(1.0), tolerance=1e-12
    )
    assert M.distance(result.point, north) < 1e-11


def test_case_9_average_of_five():
    M, f, gradient, p0, north = sphere_mean()
    result = gradient_descent(
        M, f, p0, gradient=gradient, direction=AverageGradient(5), stepsize=ConstantLength(0.5), max_iterations=800
    )
    assert M.distance(result.point, north) < 1e-7


def test_momentum_on_a_quadratic_is_the_heavy_ball():
    A, x0, t, m = np.diag([1.0, 3.0]), np.array([1.0, -2.0]), 0.2, 0.5
    pr = problem(Euclidean(2), lambda x: 0.5 * float(x @ A @ x), lambda x: A @ x)
    state = GradientDescentState(x0, direction=MomentumGradient(m), stepsize=ConstantLength(t))
    state.begin(pr)
    x, X = x0, np.zeros(2)
    for _ in range(10):
        state.step(pr)
        X = -A @ x + m * X
        x = x + t * X
    np.testing.assert_allclose(state.point, x, rtol=1e-14)


def test_the_average_of_two_gradients_in_the_plane():
    A, x0, t = np.diag([1.0, 3.0]), np.array([1.0, -2.0]), 0.2
    pr = problem(Euclidean(2), lambda x: 0.5 * float(x @ A @ x), lambda x: A @ x)
    state = GradientDescentState(x0, direction=AverageGradient(2), stepsize=ConstantLength(t))
    state.begin(pr)
    x, last = x0, None
    for _ in range(6):
        state.step(pr)
        g = A @ x
        x, last = x - t * (g if last is None else 0.5 * (g + last)), g
    np.testing.assert_allclose(state.point, x, rtol=1e-14)


def test_nesterov_accelerates_an_ill_conditioned_quadratic():
    d = np.geomspace(1e-3, 1.0, 20)
    f, gradient = (lambda x: 0.5 * float(x @ (d * x))), (lambda x: d * x)
    keywords = dict(gradient=gradient, stepsize=ConstantLength(1.0), max_iterations=20000, tolerance=1e-6)
    plain = gradient_descent(Euclidean(20), f, np.ones(20), **keywords)
    fast = gradient_descent(
        Euclidean(20), f, np.ones(20), direction=Nesterov(mu=1e-3, gamma=1e-3, shrinkage=0.0), **keywords
    )
    assert fast.converged
    assert fast.iterations < 0.2 * plain.iterations


def test_the_objective_brings_the_preconditioner():
    d = np.array([1.0, 100.0, 1e4])
    objective = CostObjective(lambda x: 0.5 * float(x @ (d * x)), lambda x: d * x, preconditioner=lambda x, X: X / d)
    result = gradient_descent(Euclidean(3), objective, np.ones(3), direction=PreconditionedDirection())
    assert result.converged
    assert result.iterations <= 2
    assert result.evaluations["preconditioner"] >= 1


def test_a_missing_preconditioner_is_named():
    with pytest.raises(ValueError, match="needs a preconditioner"):
        gradient_descent(Sphere(1), lambda p: p[0], np.array([0.0, 1.0]), direction=PreconditionedDirection())


def test_a_direction_that_does_not_descend_is_dropped():
    """Momentum that points uphill after overshooting: the search restarts it instead of failing."""
    M, f, gradient = rayleigh(np.diag([1.0, 2.0, 30.0]))
    result = gradient_descent(
        M, f, unit([0.3, 0.5, 0.8]), gradient=gradient, direction=MomentumGradient(0.8), stepsize=ArmijoLinesearch()
    )
    assert result.converged
    assert result.cost == pytest.approx(1.0, abs=1e-13)


def test_a_run_continues_with_the_memory_of_its_direction():
    M, f, gradient, p0, _ = sphere_mean()
    pr = problem(M, f, gradient)
    make = lambda n: GradientDescentState(
        p0, direction=MomentumGradient(0.5), stepsize=ConstantLength(0.3), stopping=n
    )
    whole = solve(pr, make(StopAfterIteration(8)))
    parts = solve(pr, make(StopAfterIteration(4)))
    parts = pickle.loads(pickle.dumps(parts))
    parts.stopping = StopAfterIteration(8)
    solve(pr, parts)
    np.testing.assert_array_equal(parts.point, whole.point)


def test_one_rule_in_two_states_shares_nothing():
    M, f, gradient, p0, _ = sphere_mean()
    pr, rule = problem(M, f, gradient), MomentumGradient(0.5)
    states = [GradientDescentState(p0, direction=rule, stepsize=ConstantLength(0.3)) for _ in range(2)]
    for state in states:
        state.begin(pr)
    states[0].step(pr)
    states[0].step(pr)
    states[1].step(pr)
    alone = GradientDescentState(p0, direction=rule, stepsize=ConstantLength(0.3))
    alone.begin(pr)
    alone.step(pr)
    np.testing.assert_array_equal(states[1].point, alone.point)


@pytest.mark.parametrize("rule", RULES[:3], ids=lambda rule: type(rule).__name__)
def test_rosenbrock_coupled_to_spheres(rule):
    M, f, gradient, start, a = with_spheres(rosenbrock, rosenbrock_gradient, 2)
    result = gradient_descent(
        M, f, start([-0.5, 0.5]), gradient=gradient, direction=rule, max_iterations=20000, tolerance=1e-6
    )
    assert result.converged, result
    s, x = M.split(result.point)
    np.testing.assert_allclose(s, a, atol=1e-5)
    np.testing.assert_allclose(x, 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MomentumGradient(1.0), "momentum"),
        (lambda: AverageGradient(0), "n"),
        (lambda: Nesterov(gamma=0.0), "gamma"),
        (lambda: MomentumGradient(0.1, direction="gradient"), "direction rule"),
        (lambda: PreconditionedDirection(3), "preconditioner"),
        (lambda: GradientDescentState(np.ones(2), direction=0.1), "direction rule"),
    ],
)
def test_wrong_values_are_named(make, match):
    with pytest.raises((ValueError, TypeError), match=match):
        make()
