"""Objectives around objectives: exact counts, a memory that forgets the least recently used, factors of either sign."""

from __future__ import annotations

import numpy as np
import pytest
from solver_problems import MANIFOLDS, Calls, Quadratic, Residual, start, vector

from manifold_opt.core import Problem, solve
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import (
    CachedObjective,
    CostObjective,
    CountedObjective,
    Counts,
    Fused,
    InPlace,
    ScaledObjective,
)
from manifold_opt.objectives import NonlinearLeastSquaresObjective as LeastSquares
from manifold_opt.solvers import GradientDescentState, gradient_descent, levenberg_marquardt

M = Sphere(2)
F, R = Quadratic(M), Residual(M)
P = start(M)

COSTS = {
    "given": lambda f: CostObjective(f, f.gradient, lambda p, X: M.project_vector(p, f.Q @ X)),
    "euclidean": lambda f: CostObjective(f, f.euclidean_gradient, f.euclidean_hessian, objective_type="euclidean"),
    "fused": lambda f: CostObjective(Fused(lambda p: (f(p), f.gradient(p)))),
    "in place": lambda f: CostObjective(f, InPlace(lambda p, out: np.copyto(out, f.gradient(p)))),
    "autograd": lambda f: CostObjective(f),
    "differences": lambda f: CostObjective(f, autodiff="finite-differences"),
}
WRAPPERS = {
    "counted": CountedObjective,
    "cached": CachedObjective,
    "scaled": lambda o: ScaledObjective(o, 1.0),
    "all": lambda o: CountedObjective(CachedObjective(ScaledObjective(CountedObjective(o), 1.0))),
}
WRAPPED = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


@WRAPPED
@pytest.mark.parametrize("kind", COSTS)
def test_a_wrapper_changes_no_value_and_no_count(wrap, kind):
    X = vector(M, P)
    plain, wrapped, counts, wrapped_counts = None, None, Counts(), Counts()
    for objective, book in ((COSTS[kind](F), counts), (wrap(COSTS[kind](F)), wrapped_counts)):
        e = Problem(M, objective).evaluate(P, book)
        values = (e.cost, e.gradient, e.gradient_norm, e.hessian(X), e.hessian(2.0 * X))
        plain, wrapped = (values, wrapped) if plain is None else (plain, values)
    for a, b in zip(plain, wrapped, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-13, atol=1e-13)
    assert wrapped_counts == counts


@WRAPPED
@pytest.mark.parametrize("in_place", [False, True])
def test_a_wrapped_fit_is_the_same_fit(wrap, in_place):
    fill = lambda f: InPlace(lambda p, out: np.copyto(out, f(p)))
    objective = LeastSquares(fill(R), fill(R.jacobian), num_residuals=R.m) if in_place else LeastSquares(R, R.jacobian)
    plain, wrapped = levenberg_marquardt(M, objective, P), levenberg_marquardt(M, wrap(objective), P)
    np.testing.assert_array_equal(wrapped.point, plain.point)
    assert wrapped.evaluations == plain.evaluations


# counting


def test_counted_calls_are_the_users_calls():
    f, g, h = Calls(F), Calls(F.gradient), Calls(lambda p, X: 0.0 * X)
    counted = CountedObjective(CostObjective(f, g, h))
    result = gradient_descent(M, counted, P)
    assert counted.counts == {"cost": f.n, "gradient": g.n} == dict(result.evaluations)
    e = Problem(M, counted).evaluate(P)
    for _ in range(3):
        e.hessian(e.gradient)
    assert counted.counts["hessian"] == h.n == 3 and counted.counts["gradient"] == g.n


def test_counting_goes_on_over_several_solvers():
    f, g = Calls(F), Calls(F.gradient)
    counted = CountedObjective(CostObjective(f, g))
    for seed in range(3):
        gradient_descent(M, counted, start(M, seed))
    assert counted.counts == {"cost": f.n, "gradient": g.n}
    mine = Counts(cost=100)
    gradient_descent(M, CountedObjective(CostObjective(F, F.gradient), mine), P, max_iterations=0)
    assert mine["cost"] == 101


def test_a_fused_call_counts_one_each_and_differences_their_values():
    both = Calls(lambda p: (F(p), F.gradient(p)))
    counted = CountedObjective(CostObjective(Fused(both)))
    gradient_descent(M, counted, P)
    assert counted.counts == {"cost": both.n, "gradient": both.n}
    f = Calls(F)
    counted = CountedObjective(CostObjective(f, autodiff="finite-differences"))
    gradient_descent(M, counted, P, tolerance=1e-5)
    # two per dimension are counted; a coordinate that is all but zero may take a few more
    assert 0 <= f.n - counted.counts["cost"] - counted.counts["check"] <= 0.1 * f.n


def test_counted_residuals_and_jacobians():
    r, J = Calls(R), Calls(R.jacobian)
    counted = CountedObjective(LeastSquares(r, J))
    result = levenberg_marquardt(M, counted, P)
    assert counted.counts == {"residual": r.n, "jacobian": J.n} == dict(result.evaluations)


def test_watched_calls_are_counted_too():
    f = Calls(F)
    counted = CountedObjective(CostObjective(f, F.gradient))
    from manifold_opt.stepsizes import ConstantLength

    result = gradient_descent(M, counted, P, stepsize=ConstantLength(0.1), max_iterations=4, record=["cost"])
    assert counted.counts["cost"] == f.n == result.evaluations["watched"] == 5


# caching


def test_the_last_points_are_remembered_and_the_least_recently_used_forgotten():
    f = Calls(lambda p: float(p @ p))
    problem = Problem(Euclidean(1), CachedObjective(CostObjective(f, lambda p: 2 * p), 3))
    points = [np.array([float(k)]) for k in range(5)]

    def ask(k):
        before = f.n
        assert problem.cost(points[k]) == float(k) ** 2
        return f.n - before

    assert [ask(k) for k in (0, 1, 2)] == [1, 1, 1]
    assert [ask(k) for k in (0, 1, 2)] == [0, 0, 0]
    assert ask(0) == 0  # 1 is the oldest now
    assert ask(3) == 1
    assert [ask(k) for k in (0, 2, 3)] == [0, 0, 0]
    assert ask(1) == 1


def test_points_are_told_apart_to_the_last_bit_and_by_precision():
    f = Calls(lambda p: float(p[0]))
    problem = Problem(Euclidean(1), CachedObjective(CostObjective(f, lambda p: p)))
    for p in (np.ones(1), np.nextafter(np.ones(1), 2.0), np.ones(1, np.float32), np.zeros(1), -np.zeros(1)):
        problem.cost(p)
    assert f.n == 5


def test_what_is_handed_out_is_a_copy():
    problem = Problem(Euclidean(2), CachedObjective(CostObjective(lambda p: p @ p, lambda p: 2 * p)))
    p = np.ones(2)
    problem.gradient(p)[:] = 7.0
    np.testing.assert_array_equal(problem.gradient(p), [2.0, 2.0])
    problem = Problem(Euclidean(2), CachedObjective(LeastSquares(lambda p: p - 3.0, lambda p: np.eye(2))))
    problem.evaluate(p).residuals[:] = 7.0
    np.testing.assert_array_equal(problem.evaluate(p).residuals, [-2.0, -2.0])


def test_a_second_solver_on_the_same_problem_asks_nothing_twice():
    f, g = Calls(F), Calls(F.gradient)
    problem = Problem(M, CachedObjective(CostObjective(f, g), 1000))
    first = solve(problem, GradientDescentState(P))
    calls = f.n, g.n
    second = solve(problem, GradientDescentState(P))
    assert (f.n, g.n) == calls
    np.testing.assert_array_equal(first.point, second.point)
    assert second.evaluations == first.evaluations  # what it asked for


def test_counting_around_a_cache_counts_requests_and_inside_it_misses():
    inner = CountedObjective(CostObjective(F, F.gradient))
    outer = CountedObjective(CachedObjective(inner))
    problem = Problem(M, outer)
    for _ in range(5):
        problem.cost(P)
        problem.gradient(P)
    assert outer.counts == {"cost": 5, "gradient": 5}
    assert inner.counts == {"cost": 1, "gradient": 1}


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "many"])
def test_the_size_must_be_a_positive_integer(size):
    with pytest.raises(ValueError, match="`size`.*positive integer"):
        CachedObjective(CostObjective(F), size)


# scaling


@pytest.mark.parametrize("N", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("factor", [3.0, -2.0, 1e-6])
@pytest.mark.parametrize("kind", ["given", "euclidean", "fused", "autograd"])
def test_scaling_scales_cost_gradient_and_hessian(N, factor, kind):
    f = Quadratic(N)
    objective = CostObjective(f, f.gradient) if kind == "given" else COSTS[kind](f)
    p = start(N)
    X = vector(N, p)
    for order in ("gradient first", "hessian first"):
        plain, counts = Problem(N, objective).evaluate(p), Counts()
        scaled = Problem(N, ScaledObjective(objective, factor)).evaluate(p, counts)
        expected = plain.cost, plain.gradient, plain.hessian(X)
        if order == "gradient first":
            found = scaled.cost, scaled.gradient, scaled.hessian(X)
        else:
            HX = scaled.hessian(X)
            found = scaled.cost, scaled.gradient, HX
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b, factor * a, rtol=1e-8, atol=1e-7 * abs(factor))
        # two for a difference of gradients, one where the Hessian is known
        assert counts["gradient"] <= 2


def test_a_negative_factor_maximizes():
    A = np.diag([1.0, 2.0, 7.0])
    objective = CostObjective(lambda p: p @ A @ p, lambda p: 2 * A @ p, objective_type="euclidean")
    result = gradient_descent(M, ScaledObjective(objective, -1.0), P)
    assert result.converged and result.cost == pytest.approx(-7.0) and abs(result.point[2]) == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [4.0, 1e-8, 1e8])
def test_scaled_least_squares(factor):
    objective = LeastSquares(R, R.jacobian)
    plain = Problem(M, objective).evaluate(P)
    scaled = Problem(M, ScaledObjective(objective, factor)).evaluate(P)
    assert scaled.cost == pytest.approx(factor * plain.cost, rel=1e-14)
    np.testing.assert_allclose(scaled.gradient, factor * plain.gradient, rtol=1e-12)
    np.testing.assert_allclose(scaled.residuals, np.sqrt(factor) * plain.residuals, rtol=1e-14)
    np.testing.assert_allclose(
        levenberg_marquardt(M, ScaledObjective(objective, factor), P).point,
        levenberg_marquardt(M, objective, P).point,
        atol=1e-9,
    )


def test_least_squares_cannot_be_maximized():
    with pytest.raises(ValueError, match="a positive factor only; got -1.0"):
        levenberg_marquardt(M, ScaledObjective(LeastSquares(R), -1.0), P)


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf, -np.inf])
def test_factors_must_be_finite_and_not_zero(factor):
    with pytest.raises(ValueError, match="`factor` must be finite and not zero"):
        ScaledObjective(CostObjective(F), factor)


def test_wrappers_are_values():
    base = CostObjective(F)
    assert CachedObjective(base, 3) == CachedObjective(base, 3) != CachedObjective(base, 4)
    assert ScaledObjective(base, 2.0) == ScaledObjective(base, 2.0) != ScaledObjective(base, 3.0)
    assert CountedObjective(base) == CountedObjective(base)
    with pytest.raises(AttributeError):
        CachedObjective(base).size = 5
