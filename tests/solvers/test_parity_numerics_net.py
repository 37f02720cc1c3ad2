"""The least squares of Numerics.NET, row by row, on its own example: Rosenbrock's residuals."""

from __future__ import annotations

import math

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import (
    GradientTest,
    InPlace,
    SolutionTest,
    Status,
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    ValueTest,
    least_squares,
    levenberg_marquardt,
    trust_region_reflective,
)
from manifold_opt.core import Problem
from manifold_opt.manifolds import Euclidean
from manifold_opt.objectives import NonlinearLeastSquaresObjective
from manifold_opt.solvers import LevenbergMarquardtState, TrustRegionReflectiveState
from manifold_opt.solvers.least_squares_state import LeastSquaresState

M = Euclidean(2)
START = np.array([-1.2, 1.0])
BOX = ([-2.0, -2.0], [0.5, 2.0])
SOLVERS = [levenberg_marquardt, trust_region_reflective]


def residual(x):
    return anp.array([1.0 - x[0], np.sqrt(105.0) * (x[1] - x[0] ** 2)])


def jacobian(x):
    return np.array([[-1.0, 0.0], [-2.0 * np.sqrt(105.0) * x[0], np.sqrt(105.0)]])


def fitted(stopping=None, **keywords):
    return levenberg_marquardt(M, residual, START, jacobian=jacobian, stopping=stopping, **keywords)


def test_row_classes():
    """LevenbergMarquardtOptimizer, TrustRegionReflectiveOptimizer, LeastSquaresOptimizer: `LevenbergMarquardtState`,
    `TrustRegionReflectiveState`, `LeastSquaresState`.
    """
    assert issubclass(LevenbergMarquardtState, LeastSquaresState)
    assert issubclass(TrustRegionReflectiveState, LeastSquaresState)


@pytest.mark.parametrize("solver", SOLVERS)
def test_row_objective_function(solver):
    """ObjectiveFunction, filling f or allocating: a function, or `InPlace(f)`."""
    a = solver(M, residual, START, jacobian=jacobian)
    b = solver(M, InPlace(lambda x, f: np.copyto(f, residual(x))), START, jacobian=jacobian, num_residuals=2)
    np.testing.assert_array_equal(a.point, b.point)


@pytest.mark.parametrize("solver", SOLVERS)
def test_row_jacobian_function(solver):
    """JacobianFunction, row i the gradient of f_i: `jacobian`, or `InPlace(jacobian)`."""
    result = solver(M, residual, START, jacobian=InPlace(lambda x, J: np.copyto(J, jacobian(x))))
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_row_no_jacobian(solver):
    """no Jacobian, numerical approximation: `autodiff="finite-differences"`, central ones; the default is exact."""
    result = solver(M, residual, START, autodiff="finite-differences")
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_row_symbolic_objective_function(solver):
    """SetSymbolicObjectiveFunction, a list of expressions: a list of functions, differentiated automatically."""
    result = solver(M, [lambda x: 1.0 - x[0], lambda x: np.sqrt(105.0) * (x[1] - x[0] ** 2)], START)
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)
    assert result.evaluations["jacobian"] > 0 and result.evaluations["residual"] <= result.iterations + 1


def test_row_initial_guess_and_dimensions():
    """InitialGuess, Dimensions: `p0`, which needs no more, and the manifold."""
    assert fitted().point.shape == M.point_shape == (2,)
    with pytest.raises(ValueError, match="`p0`"):
        levenberg_marquardt(M, residual, np.zeros(3))


@pytest.mark.parametrize("solver", SOLVERS)
def test_row_bounds(solver):
    """LowerBounds, UpperBounds: `bounds=(lower, upper)`, infinite for none, for both methods."""
    result = solver(M, residual, START, jacobian=jacobian, bounds=(-np.inf, [0.5, np.inf]))
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-9)


def test_row_initial_trust_region_size():
    """InitialTrustRegionSize > 0: `initial_radius`, of `More` and `trust_region_reflective`."""
    problem = Problem(M, NonlinearLeastSquaresObjective(residual, jacobian))
    state = TrustRegionReflectiveState(START, initial_radius=1e-3, x_scale=1.0)
    state.begin(problem)
    state.step(problem)
    assert state.trial_length <= 1.1e-3
    with pytest.raises(ValueError, match="initial_radius"):
        trust_region_reflective(M, residual, START, initial_radius=0.0)


def test_row_find_minimum():
    """FindMinimum(), Minimum, GradientVector: the call; `result.point`, `result.state.evaluation.gradient`."""
    result = fitted()
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)
    g = result.state.evaluation.gradient
    np.testing.assert_allclose(g, jacobian(result.point).T @ residual(result.point), atol=1e-12)


def test_row_limits_and_counters():
    """MaxIterations, MaxEvaluations, what was needed and what remains, Jacobians: `max_iterations`,
    `max_evaluations`, `iterations`, `evaluations`, `state.remaining`, `state.factorizations`.
    """
    result = fitted(max_iterations=5)
    assert result.status is Status.ITERATION_LIMIT and result.iterations == 5
    result = fitted(max_evaluations=4, max_iterations=9)
    assert result.status is Status.EVALUATION_LIMIT and result.evaluations["residual"] == 4
    assert result.state.remaining == {"iterations": 9 - result.iterations, "evaluations": 0}
    assert 1 <= result.state.factorizations <= result.evaluations["jacobian"]
    stopping = StopAfterIteration(7) | StopAfterEvaluations(20) | StopAfter(60.0)
    assert set(fitted(stopping).state.remaining) == {"iterations", "evaluations", "time"}


def test_row_value_test():
    """ValueTest, off by default, Divergent on infinity, BadFunction on NaN: `ValueTest`, the same."""
    assert not ValueTest().enabled
    assert fitted(StopAfterIteration(99) | ValueTest(1e-3, enabled=True)).status is Status.CONVERGED
    result = levenberg_marquardt(M, lambda x: np.full(2, np.nan), START, jacobian=jacobian)
    assert result.status is Status.BAD_FUNCTION


def test_row_solution_test():
    """SolutionTest, largest componentwise relative change: `SolutionTest`, that by default."""
    result = fitted(StopAfterIteration(99) | SolutionTest(1e-8))
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-8)


def test_row_gradient_test():
    """GradientTest, on the norm of the gradient: `GradientTest`; the gradient is known in every method."""
    result = fitted(StopAfterIteration(99) | GradientTest(1e-8, criterion="absolute"))
    assert result.status is Status.CONVERGED
    assert np.max(np.abs(jacobian(result.point).T @ residual(result.point))) <= 1e-8


def test_row_each_test():
    """each test's Enabled, Tolerance, Error, criterion and norm: fields of the criterion; `error` in
    `state.convergence_tests`.
    """
    rule = SolutionTest(0.05, enabled=True, criterion="any", norm=2.0)
    (test,) = [t for t in fitted(StopAfterIteration(99) | rule).state.convergence_tests if t.rule == rule]
    assert test.error <= rule.tolerance and test.converged and "SolutionTest" in test.reason
    for criterion in ("absolute", "relative", "any"):
        assert GradientTest(criterion=criterion).criterion == criterion


def test_row_estimated_error():
    """EstimatedError, ConvergenceTests: `state.estimated_error`, the largest coordinate of the Gauss-Newton step,
    `state.convergence_tests`.
    """
    result = fitted(max_iterations=13)
    error = np.max(np.abs(result.point - 1.0))
    assert math.isclose(result.state.estimated_error, error, rel_tol=0.9) or error < 1e-6
    assert len(result.state.convergence_tests) == 4


def test_row_status():
    """AlgorithmStatus: `Status`; NOT_RUN, RUNNING, CONVERGED, FALSE_CONVERGENCE, ITERATION_LIMIT, EVALUATION_LIMIT,
    ROUND_OFF, BAD_FUNCTION, DIVERGED and more.
    """
    state = LevenbergMarquardtState(START)
    assert state.status is Status.NOT_RUN
    state.begin(Problem(M, NonlinearLeastSquaresObjective(residual, jacobian)))
    assert state.status is Status.RUNNING
    assert {"FALSE_CONVERGENCE", "ROUND_OFF", "DIVERGED"} <= set(Status.__members__)
    assert fitted().status is Status.CONVERGED


@pytest.mark.parametrize("solver", [*SOLVERS, least_squares])
def test_row_example_free(solver):
    """the example, free: from (-1.2, 1) to (1, 1)."""
    result = solver(M, residual, START)
    assert result.converged
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("solver", [*SOLVERS, least_squares])
def test_row_example_in_a_box(solver):
    """the example, in the box from (-2, -2) to (0.5, 2): (0.5, 0.25), sum of squares 0.25, which is a cost of 0.125."""
    result = solver(M, residual, START, bounds=BOX)
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-9)
    assert result.cost == pytest.approx(0.125, rel=1e-12)
