"""Conjugate residuals solve symmetric systems, definite or not, with one product per step."""

from __future__ import annotations

import numpy as np
import pytest
from solvers.problems import mixed

from manifold_opt import (
    ConjugateResidualState,
    Euclidean,
    Problem,
    Rotations,
    Status,
    SymmetricLinearSystemObjective,
    TangentSpace,
    conjugate_residual,
    solve,
)

RNG = np.random.default_rng(3)


def system(w):
    Q, _ = np.linalg.qr(RNG.standard_normal((len(w), len(w))))
    A = (Q * w) @ Q.T
    return 0.5 * (A + A.T), Q @ np.ones(len(w))


def test_reference_case_26():
    result = conjugate_residual(
        Euclidean(2), np.array([[2.0, 1], [1, 4]]), np.array([1.0, 2]), np.array([3.0, 4]), tolerance=1e-14
    )
    assert result.converged
    np.testing.assert_allclose(result.point, [-2 / 7, -3 / 7], atol=3e-15)


@pytest.mark.parametrize(
    "w",
    [[1.0, 2, 3], [-1.0, 1], [-2.0, -1, 1, 2], np.linspace(-3, 3, 20), -np.logspace(0, 2, 10), [0.5]],
    ids=str,
)
def test_solves(w):
    A, b = system(np.array(w))
    result = conjugate_residual(Euclidean(len(w)), A, b, tolerance=1e-12)
    assert result.converged
    np.testing.assert_allclose(A @ result.point, -b, atol=1e-11)
    assert result.iterations <= len(w) + 4
    assert result.evaluations["operator"] <= 2 * result.iterations


def test_one_product_per_step():
    A, b = system(np.linspace(1.0, 9.0, 12))
    result = conjugate_residual(Euclidean(12), lambda X: A @ X, b)
    assert result.evaluations["operator"] == result.iterations


def test_residuals_never_increase():
    A, b = system(np.linspace(-3.0, 5.0, 15))
    result = conjugate_residual(Euclidean(15), A, b, np.ones(15), record=["residual_norm"], tolerance=1e-12)
    assert np.all(np.diff(result.record["residual_norm"]) <= 1e-12)


def test_where_the_first_residual_adds_nothing():
    """<b, A b> = 0: the plain method breaks down at once."""
    result = conjugate_residual(Euclidean(2), np.array([[0.0, 1], [1, 0]]), np.array([1.0, 0]))
    np.testing.assert_allclose(result.point, [0.0, -1.0], atol=1e-15)


def test_a_zero_right_hand_side_is_solved_by_zero():
    result = conjugate_residual(Euclidean(3), np.eye(3), np.zeros(3))
    assert result.converged and result.iterations == 0
    assert result.evaluations["operator"] == 0


def test_a_singular_system_without_solution():
    result = conjugate_residual(Euclidean(2), np.diag([1.0, 0.0]), np.ones(2))
    assert not result.converged
    np.testing.assert_allclose(result.point[0], -1.0)
    assert result.status in (Status.LINEAR_SOLVE_FAILED, Status.ITERATION_LIMIT)


def test_an_operator_that_is_not_finite():
    result = conjugate_residual(Euclidean(2), lambda X: np.nan * X, np.ones(2))
    assert result.status is Status.BAD_FUNCTION
    assert np.array_equal(result.point, np.zeros(2))


def test_newton_s_equation_on_a_product_of_spheres_and_a_vector_space():
    problem, p0, _ = mixed()
    M = problem.manifold
    e = problem.evaluate(p0)
    result = conjugate_residual(TangentSpace(M, p0), e.hessian_operator, e.gradient, tolerance=1e-11)
    assert result.converged
    M.check_vector(p0, result.point)
    assert M.norm(p0, e.hessian(result.point) + e.gradient) <= 1e-10


def test_a_matrix_acts_on_coordinates():
    M, p = Rotations(3), np.eye(3)
    A = np.diag([1.0, 2.0, 4.0])
    b = M.get_vector(p, np.ones(3))
    result = conjugate_residual(TangentSpace(M, p), A, b)
    np.testing.assert_allclose(M.get_coordinates(p, result.point), [-1.0, -0.5, -0.25], rtol=1e-9)


def test_objective_in_place_of_the_operator():
    objective = SymmetricLinearSystemObjective(np.eye(2), np.ones(2))
    assert conjugate_residual(Euclidean(2), objective).converged
    state = solve(Problem(Euclidean(2), objective), ConjugateResidualState(np.zeros(2)))
    assert state.status is Status.CONVERGED
    with pytest.raises(ValueError, match="`b`"):
        conjugate_residual(Euclidean(2), objective, np.ones(2))
    with pytest.raises(TypeError, match="`b`"):
        conjugate_residual(Euclidean(2), np.eye(2))


def test_wrong_shapes():
    with pytest.raises(ValueError, match="`b`"):
        conjugate_residual(Euclidean(2), np.eye(2), np.ones(3))
    with pytest.raises(ValueError, match="`operator`"):
        conjugate_residual(Euclidean(2), np.eye(3), np.ones(2))


def test_derivatives_of_the_objective():
    A, b = system(np.linspace(-1.0, 2.0, 4))
    problem = Problem(Euclidean(4), SymmetricLinearSystemObjective(A, b))
    X = RNG.standard_normal(4)
    np.testing.assert_allclose(problem.cost(X), 0.5 * np.sum((A @ X + b) ** 2), rtol=1e-13)
    np.testing.assert_allclose(problem.gradient(X), A @ (A @ X + b), rtol=1e-12)
