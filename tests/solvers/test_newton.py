"""Newton's method finds critical points of any kind, and quadratically."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from solvers.problems import TRIDIAGONAL, mixed, quadratic, rayleigh

from manifold_opt import (
    CostObjective,
    Euclidean,
    NewtonState,
    Problem,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenGradientNormLess,
    newton,
    solve,
)


@pytest.mark.parametrize("k", range(4))
def test_finds_each_eigenvector_nearby(k):
    w, V = np.linalg.eigh(TRIDIAGONAL)
    p0 = V[:, k] + 0.05 * np.array([1.0, -1, 1, 1])
    result = newton(Sphere(3), rayleigh(TRIDIAGONAL), p0 / np.linalg.norm(p0), tolerance=1e-12)
    assert result.converged and result.iterations <= 4
    assert math.isclose(result.cost, w[k], rel_tol=1e-13)
    assert result.evaluations["cost"] == 0


def test_converges_quadratically():
    f = lambda x: np.exp(x[0]) - x[0] + (x[1] - 1.0) ** 4 + (x[1] - 1.0) ** 2 + x[0] * (x[1] - 1.0)
    result = newton(Euclidean(2), f, np.array([0.7, 1.4]), record=["gradient_norm"], tolerance=1e-14)
    errors = np.array(result.record["gradient_norm"])
    late = errors[(errors < 1e-1) & (errors > 1e-14)]
    assert np.all(late[1:] <= 3.0 * late[:-1] ** 2 + 1e-14)


def test_a_quadratic_takes_one_step_whatever_its_signs():
    result = newton(Euclidean(3), quadratic(np.diag([1.0, -2.0, 3.0]), np.ones(3)), np.zeros(3))
    assert result.iterations == 1
    np.testing.assert_allclose(result.point, [1.0, -0.5, 1 / 3], rtol=1e-10)


def test_a_product_of_spheres_and_a_vector_space():
    problem, p0, _ = mixed()
    result = newton(problem.manifold, problem.objective, p0, tolerance=1e-10)
    assert result.converged
    assert np.all(np.diff(newton(problem.manifold, problem.objective, p0, record=["gradient_norm"]).record[
        "gradient_norm"
    ]) < 0.0)


def test_damping_tames_a_function_on_which_full_steps_diverge():
    """sqrt(1 + x^2) from 2: the undamped iteration is x <- -x^3."""
    f = lambda x: np.sqrt(1.0 + x[0] ** 2)
    with np.errstate(all="ignore"):
        plain = newton(Euclidean(1), f, np.array([2.0]), damped=False, max_iterations=4)
    assert not plain.converged
    result = newton(Euclidean(1), f, np.array([2.0]), tolerance=1e-12)
    assert result.converged
    assert abs(result.point[0]) <= 1e-12


def test_a_singular_hessian_ends_with_a_status():
    result = newton(Euclidean(2), lambda x: x[0] + x[1] ** 2, np.array([0.0, 1.0]))
    assert not result.converged
    assert result.status in (Status.LINEAR_SOLVE_FAILED, Status.LINE_SEARCH_FAILED)


def test_rounding_and_exact_zeros():
    result = newton(Sphere(3), rayleigh(TRIDIAGONAL), np.eye(4)[0], tolerance=0.0)
    assert result.status in (Status.ROUND_OFF, Status.CONVERGED)
    assert result.gradient_norm <= 1e-13


def test_a_hessian_that_is_not_finite():
    objective = CostObjective(lambda x: float(x @ x), lambda x: 2 * x, lambda x, X: math.nan * X)
    result = newton(Euclidean(2), objective, np.ones(2))
    assert result.status is Status.BAD_FUNCTION


def test_counts_and_resuming():
    problem = Problem(Sphere(3), rayleigh(TRIDIAGONAL))
    whole = solve(problem, NewtonState(np.eye(4)[0]))
    state = NewtonState(np.eye(4)[0])
    for n in (1, 2, 100):
        state.stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-8)
        state = pickle.loads(pickle.dumps(solve(problem, state)))
    assert np.array_equal(state.point, whole.point)
    assert state.evaluations == whole.evaluations
    assert whole.evaluations["hessian"] > 0


def test_parts_of_another_kind():
    with pytest.raises(TypeError, match="subsolver"):
        NewtonState(np.ones(2), subsolver="dense")


def test_a_step_that_leaves_the_domain_is_halved():
    def gradient(x):
        if x[0] <= 0.0:
            raise np.linalg.LinAlgError("not positive definite")
        return 1.0 - 1.0 / x

    objective = CostObjective(lambda x: float(x[0] - np.log(x[0])), gradient, lambda x, X: X / x**2)
    result = newton(Euclidean(1), objective, np.array([5.0]))
    assert result.converged
    assert math.isclose(result.point[0], 1.0, rel_tol=1e-8)
    with pytest.raises(np.linalg.LinAlgError):
        newton(Euclidean(1), objective, np.array([5.0]), damped=False)
