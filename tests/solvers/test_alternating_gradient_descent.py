"""Gradient steps in one factor after the other."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from solvers.problems import mixed

from manifold_opt import (
    AlternatingGradientDescentState,
    Euclidean,
    Problem,
    ProductManifold,
    Sphere,
    Status,
    StopAfterIteration,
    alternating_gradient_descent,
    quasi_newton,
    solve,
)

M = ProductManifold(s=Sphere(2), x=Euclidean(2))
N = dict(M.factors)["s"]
A, B = np.diag([1.0, 2.0, 3.0]), 1e4 * np.diag([1.0, 2.0])
P0 = M.join(np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 1.0]))


def f(p):
    """1 at the first axis and (1, 1)."""
    s, x = M.split(p)
    return s @ A @ s + 0.5 * (x - 2.0) @ B @ (x - 2.0)


GRADIENTS = {
    "s": lambda p: N.riemannian_gradient(M.split(p)[0], 2.0 * A @ M.split(p)[0]),
    "x": lambda p: B @ (M.split(p)[1] - 2.0),
}


@pytest.mark.parametrize("order", ["linear", "random", "fixed-random", ("x", "s", "x")])
@pytest.mark.parametrize("gradients", [None, GRADIENTS])
def test_factors_of_different_scales(order, gradients):
    result = alternating_gradient_descent(M, f, P0, gradients=gradients, order=order, rng=0, tolerance=1e-7)
    assert result.converged and np.isclose(result.cost, 1.0, rtol=1e-12)
    assert result.iterations < 40


def test_component_gradients_alone_are_evaluated():
    """One for each step, and those of the stopping criterion once a cycle."""
    calls = {"s": 0, "x": 0}

    def counted(name):
        def gradient(p):
            calls[name] += 1
            return GRADIENTS[name](p)

        return gradient

    gradients = {name: counted(name) for name in calls}
    result = alternating_gradient_descent(
        M, f, P0, gradients=gradients, stopping=StopAfterIteration(1), order=("s",), inner_iterations=3
    )
    assert calls["x"] <= 1 and 3 <= calls["s"] <= 4
    assert result.evaluations["component_gradient"] == sum(calls.values())
    assert np.array_equal(M.split(result.point)[1], M.split(P0)[1])


def test_coupled_factors_reach_the_minimizer_of_another_solver():
    problem, p0, _ = mixed()
    ours = alternating_gradient_descent(problem.manifold, problem.objective, p0)
    other = quasi_newton(problem.manifold, problem.objective, p0)
    assert ours.converged and np.isclose(ours.cost, other.cost, rtol=1e-12)


def test_costs_never_rise_and_states_continue():
    result = alternating_gradient_descent(M, f, P0, gradients=GRADIENTS, record=["cost"], max_iterations=8)
    assert np.all(np.diff(result.record["cost"]) <= 0.0)
    problem = result.problem
    half = solve(problem, AlternatingGradientDescentState(P0, order="random", rng=1, stopping=StopAfterIteration(3)))
    half = pickle.loads(pickle.dumps(half))
    half.stopping = StopAfterIteration(6)
    whole = AlternatingGradientDescentState(P0, order="random", rng=1, stopping=StopAfterIteration(6))
    assert np.array_equal(solve(problem, half).point, solve(problem, whole).point)


def test_a_gradient_that_is_not_finite_ends_the_run():
    gradients = {**GRADIENTS, "x": lambda p: np.full(2, np.nan)}
    result = alternating_gradient_descent(
        M, f, P0, gradients=gradients, stopping=StopAfterIteration(5), order=("s", "x")
    )
    assert result.status is Status.BAD_FUNCTION and np.isfinite(result.cost)


@pytest.mark.parametrize(
    ("keywords", "kind", "message"),
    [
        ({"inner_iterations": 0}, ValueError, "`inner_iterations`"),
        ({"order": "linaer"}, ValueError, "`order`"),
        ({"order": ("s", "y")}, ValueError, "among s, x"),
        ({"gradients": {"s": GRADIENTS["s"]}}, ValueError, "must name the factors s, x"),
        ({"gradients": GRADIENTS, "gradient": lambda p: p}, ValueError, "without `gradient`"),
    ],
)
def test_mistakes_are_named(keywords, kind, message):
    with pytest.raises(kind, match=message):
        alternating_gradient_descent(M, f, P0, **keywords)


def test_a_product_is_needed():
    with pytest.raises(TypeError, match="ProductManifold"):
        alternating_gradient_descent(Sphere(2), lambda p: p[0], np.array([0.0, 1.0, 0.0]))
    with pytest.raises(TypeError, match="ProductManifold"):
        Problem(Sphere(2), alternating_gradient_descent(M, f, P0, gradients=GRADIENTS).problem.objective).cost(P0[:3])
