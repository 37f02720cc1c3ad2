"""Dogleg and Gauss-Newton: the same minimizers as Levenberg-Marquardt, and what is theirs alone."""

from __future__ import annotations

import numpy as np
import pytest
from solver_problems import MANIFOLDS, Residual, start

from manifold_opt import Status, dogleg, gauss_newton, levenberg_marquardt
from manifold_opt.core import Problem
from manifold_opt.linalg.solvers import NormalEquations
from manifold_opt.manifolds import Euclidean
from manifold_opt.objectives import NonlinearLeastSquaresObjective
from manifold_opt.solvers import DoglegState, GaussNewtonState

T = np.linspace(0.0, 4.0, 30)
Y = 3.0 * np.exp(-1.3 * T) + 0.5
ROSENBROCK = np.array([-1.2, 1.0])


def decay(p):
    return p[0] * np.exp(-p[1] * T) + p[2] - Y


def decay_jacobian(p):
    e = np.exp(-p[1] * T)
    return np.stack([e, -p[0] * T * e, np.ones_like(T)], axis=1)


def rosenbrock(x):
    return np.array([1.0 - x[0], np.sqrt(105.0) * (x[1] - x[0] ** 2)])


def rosenbrock_jacobian(x):
    return np.array([[-1.0, 0.0], [-2.0 * np.sqrt(105.0) * x[0], np.sqrt(105.0)]])


METHODS = [
    (dogleg, {}),
    (dogleg, {"subspace": True}),
    (dogleg, {"scaling": None}),
    (dogleg, {"linear_solver": NormalEquations()}),
    (gauss_newton, {}),
    (gauss_newton, {"linear_solver": NormalEquations()}),
]


@pytest.mark.parametrize("solver, keywords", METHODS)
def test_known_minimizers(solver, keywords):
    result = solver(Euclidean(3), decay, np.ones(3), jacobian=decay_jacobian, **keywords)
    assert result.converged, result
    np.testing.assert_allclose(result.point, [3.0, 1.3, 0.5], rtol=1e-7)
    result = solver(Euclidean(2), rosenbrock, ROSENBROCK, jacobian=rosenbrock_jacobian, **keywords)
    assert result.converged, result
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-9)


@pytest.mark.parametrize("M", [M for M in MANIFOLDS if M.dim < 6], ids=repr)
@pytest.mark.parametrize("solver, keywords", [(dogleg, {}), (dogleg, {"subspace": True}), (gauss_newton, {})])
def test_stationary_points_on_manifolds(M, solver, keywords):
    r, p = Residual(M), start(M, 3)
    result = solver(M, r, p, jacobian=r.jacobian, **keywords)
    assert result.converged, result
    # close to the minimum all find the same one
    other = levenberg_marquardt(M, r, result.point, jacobian=r.jacobian)
    assert other.cost == pytest.approx(result.cost, rel=1e-10)


def test_the_dogleg_stays_inside_its_radius_and_turns_at_the_cauchy_point():
    problem = Problem(Euclidean(3), NonlinearLeastSquaresObjective(decay, decay_jacobian))
    p = np.array([1.0, 0.3, 0.0])
    J, r = decay_jacobian(p), decay(p)
    g, newton = J.T @ r, -np.linalg.lstsq(J, r, rcond=None)[0]
    cauchy = -(g @ g) / ((J @ g) @ (J @ g)) * g
    assert np.linalg.norm(cauchy) < np.linalg.norm(newton)
    for radius in (0.3 * np.linalg.norm(cauchy), 0.5 * (np.linalg.norm(cauchy) + np.linalg.norm(newton)), 1e3):
        state = DoglegState(p, initial_radius=radius * np.linalg.norm(J, axis=0).max(), scaling=None)
        state.begin(problem)
        state.step(problem)
        assert state.trial_length <= radius * (1.0 + 1e-12)
        s = state._damping.kept
        assert np.linalg.norm(s[0]) <= np.linalg.norm(s[1])
    assert state.trial_length == pytest.approx(np.linalg.norm(newton))


def test_rejected_steps_of_a_dogleg_cost_no_factorization():
    result = dogleg(Euclidean(2), rosenbrock, ROSENBROCK, jacobian=rosenbrock_jacobian, initial_radius=1e4)
    assert result.evaluations["residual"] > result.evaluations["jacobian"] >= result.state.factorizations - 1


def test_dogleg_in_a_box():
    result = dogleg(Euclidean(2), rosenbrock, ROSENBROCK, jacobian=rosenbrock_jacobian, bounds=(-2.0, [0.5, 2.0]))
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-8)


def test_gauss_newton_needs_one_step_for_a_linear_residual():
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((8, 3)), rng.standard_normal(8)
    result = gauss_newton(Euclidean(3), lambda p: A @ p - b, np.zeros(3), jacobian=lambda p: A)
    assert result.converged and result.iterations == 1
    np.testing.assert_allclose(result.point, np.linalg.lstsq(A, b, rcond=None)[0], rtol=1e-12)


def test_gauss_newton_takes_the_shortest_step_where_the_rank_is_low():
    r, J = lambda p: np.array([p[0] + p[1] - 2.0]), lambda p: np.array([[1.0, 1.0]])
    result = gauss_newton(Euclidean(2), r, np.zeros(2), jacobian=J)
    assert result.converged
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-14)


def test_the_line_search_shortens_a_step_that_overshoots():
    """atan: from 3, whole steps diverge."""
    result = gauss_newton(
        Euclidean(1), lambda p: np.arctan(p), np.array([3.0]), jacobian=lambda p: 1.0 / (1.0 + p[:, None] ** 2)
    )
    assert result.converged and abs(result.point[0]) < 1e-9
    assert result.evaluations["residual"] > result.iterations + 1


def test_the_line_search_comes_back_from_where_nothing_is_finite():
    r = lambda p: np.log(p) if p[0] > 0.0 else np.full(1, np.nan)
    result = gauss_newton(Euclidean(1), r, np.array([30.0]), jacobian=lambda p: 1.0 / p[:, None])
    assert result.converged and result.point[0] == pytest.approx(1.0, rel=1e-12)
    r = lambda p: p if p[0] == 1.0 else np.full(1, np.nan)
    result = gauss_newton(Euclidean(1), r, np.ones(1), jacobian=lambda p: np.eye(1))
    assert not result.converged and result.point[0] == 1.0


def test_a_system_that_cannot_be_solved_ends_the_run():
    def fails(A, b):
        raise np.linalg.LinAlgError("mine")

    for solver in (dogleg, gauss_newton):
        result = solver(Euclidean(3), decay, np.ones(3), jacobian=decay_jacobian, linear_solver=NormalEquations(fails))
        assert result.status is Status.LINEAR_SOLVE_FAILED and "mine" in result.message


def test_parameters_out_of_range():
    with pytest.raises(ValueError, match="sufficient_decrease"):
        GaussNewtonState(np.zeros(2), sufficient_decrease=0.5)
    with pytest.raises(ValueError, match="factor"):
        DoglegState(np.zeros(2), factor=-1.0)
