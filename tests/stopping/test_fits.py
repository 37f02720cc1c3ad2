"""Tests of convergence by changes, and what is left of the limits."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from scripted import line, stops_at

from manifold_opt import (
    GradientTest,
    SolutionTest,
    Status,
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    ValueTest,
)
from manifold_opt.core import Problem
from manifold_opt.manifolds import Euclidean
from manifold_opt.objectives import NonlinearLeastSquaresObjective
from manifold_opt.solvers import LevenbergMarquardtState, levenberg_marquardt
from manifold_opt.stopping import StopWhenDecreaseLess, StopWhenOptimalityLess, StopWhenTrialStepLess

T = np.linspace(0.0, 2.0, 12)
Y = 3.0 * np.exp(-T) + 0.1 * np.sin(9.0 * T)
M, P0 = Euclidean(2), np.array([1.0, 0.5])


def residual(p):
    return p[0] * np.exp(-p[1] * T) - Y


def jacobian(p):
    e = np.exp(-p[1] * T)
    return np.stack([e, -p[0] * T * e], axis=1)


def fitted(stopping):
    return levenberg_marquardt(M, residual, P0, jacobian=jacobian, stopping=stopping)


# Numerics.NET's three


def test_a_value_test_is_off_by_default():
    assert stops_at(ValueTest(1.0), line(1, 1, 1, 1))[0] is None
    assert stops_at(ValueTest(1e-3, enabled=True), line(4, 2, 1, 0.9999))[0] == 3


@pytest.mark.parametrize("criterion, iteration", [("absolute", 3), ("relative", None), ("any", 3)])
def test_value_criteria(criterion, iteration):
    """Costs 0.5, 0.02, 0.0002, 0.000002: the change falls below 1e-3, but never below 1e-3 of the cost."""
    rule = ValueTest(1e-3, enabled=True, criterion=criterion)
    assert stops_at(rule, line(1.0, 0.2, 0.02, 0.002))[0] == iteration


@pytest.mark.parametrize("criterion, iteration", [("absolute", None), ("relative", 2), ("any", 2)])
def test_solution_criteria(criterion, iteration):
    """Relative entry by entry: 1e6 to 1e6 + 1 is a small change, though one."""
    rule = SolutionTest(1e-5, criterion=criterion)
    assert stops_at(rule, [[1.0, 2e6], [1.0, 1e6], [1.0, 1e6 + 1.0], [1.0, 1e6 + 2.0]])[0] == iteration


def test_the_default_error_is_the_largest_relative_change_of_an_entry():
    result = fitted(StopAfterIteration(3) | SolutionTest(1e-12))
    two = fitted(StopAfterIteration(2)).point
    (test,) = [test for test in result.state.convergence_tests if isinstance(test.rule, SolutionTest)]
    p = result.point
    expected = np.max(np.abs(p - two) / np.maximum(np.abs(p), np.abs(two)))
    assert test.error == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("norm", [1.0, 2.0, math.inf])
def test_norms_of_solution_and_gradient(norm):
    result = fitted(
        StopAfterIteration(2) | SolutionTest(0.0, norm=norm, criterion="absolute") | GradientTest(0.0, norm=norm)
    )
    solution, gradient = result.state.convergence_tests[1:]
    one = fitted(StopAfterIteration(1)).point
    assert solution.error == pytest.approx(np.linalg.norm(result.point - one, norm))
    g = jacobian(result.point).T @ residual(result.point)
    assert gradient.error == pytest.approx(np.linalg.norm(g, norm) / max(1.0, result.cost))


@pytest.mark.parametrize("rule", [SolutionTest(1e-9), GradientTest(1e-9), ValueTest(1e-12, enabled=True)], ids=repr)
def test_each_ends_a_fit_with_success(rule):
    result = fitted(StopAfterIteration(100) | rule)
    assert result.status is Status.CONVERGED and type(rule).__name__ in result.message
    assert np.max(np.abs(jacobian(result.point).T @ residual(result.point))) < 1e-5


def test_a_test_that_is_not_enabled_is_never_asked():
    result = fitted(StopAfterIteration(5) | SolutionTest(1e3, enabled=False))
    assert result.status is Status.ITERATION_LIMIT
    (test,) = [test for test in result.state.convergence_tests if isinstance(test.rule, SolutionTest)]
    assert math.isnan(test.error)


@pytest.mark.parametrize("value, status", [(np.inf, Status.DIVERGED), (np.nan, Status.BAD_FUNCTION)])
def test_errors_that_are_not_finite(value, status):
    bound = SolutionTest(1e-9, criterion="absolute").bind(None, None)
    for x in (1.0, value):
        state = SimpleNamespace(evaluation=SimpleNamespace(point=np.array([x])))
        fired = bound.check(None, state)
    assert fired and bound.status is status and not bound.converged


def test_rejected_steps_are_no_small_changes():
    assert stops_at(SolutionTest(1e-3), line(2, 1, None, None, 0.5))[0] is None


def test_the_last_value_survives_a_pickle():
    problem = Problem(M, NonlinearLeastSquaresObjective(residual, jacobian))
    state = LevenbergMarquardtState(P0, stopping=StopAfterIteration(9) | SolutionTest(1e-30))
    state.begin(problem)
    for _ in range(3):
        state.step(problem)
        state.should_stop(problem)
    error = state.convergence_tests[1].error
    other = pickle.loads(pickle.dumps(state))
    other.begin(problem)
    assert other.convergence_tests[1].error == error > 0.0


@pytest.mark.parametrize("rule", [ValueTest, SolutionTest, GradientTest])
def test_parameters_out_of_range(rule):
    with pytest.raises(ValueError, match="tolerance"):
        rule(-1.0)
    with pytest.raises(ValueError, match="criterion"):
        rule(1e-3, criterion="both")


# SciPy's three


@pytest.mark.parametrize("rule", [StopWhenDecreaseLess, StopWhenTrialStepLess, StopWhenOptimalityLess])
def test_scipys_tolerances(rule):
    result = fitted(StopAfterIteration(100) | rule(1e-6))
    assert result.status is Status.CONVERGED
    assert fitted(StopAfterIteration(100) | rule(1e-3)).iterations <= result.iterations
    assert fitted(StopAfterIteration(6) | rule(0.0)).iterations == 6
    with pytest.raises(ValueError, match="tolerance"):
        rule(-1.0)


# what is left, and how far the solution is


def test_what_remains_of_each_limit():
    stopping = StopAfterIteration(10) | StopAfterEvaluations(50) | StopAfterEvaluations(7, "jacobian") | StopAfter(1e3)
    result = fitted(stopping | GradientTest(1e6))
    left = result.state.remaining
    assert left["iterations"] == 10 and left["evaluations"] == 49 and left["jacobian evaluations"] == 6
    assert 0.0 < left["time"] <= 1e3
    assert fitted(StopAfterIteration(3)).state.remaining == {"iterations": 0}


def test_the_estimated_error_is_about_the_distance_to_the_solution():
    best = fitted(StopAfterIteration(100) | GradientTest(1e-14)).point
    for k in (4, 6):
        result = fitted(StopAfterIteration(k))
        distance = np.max(np.abs(result.point - best))
        assert 0.3 * distance <= result.state.estimated_error <= 3.0 * distance + 1e-13
