"""Bounded least squares by projection and by reflection: the published optima, and boxes beside manifolds."""

from __future__ import annotations

import pickle

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.optimize
from bounded_problems import PROBLEMS
from scipy.sparse.linalg import aslinearoperator

from manifold_opt import Status, StopAfterIteration
from manifold_opt.core import Problem
from manifold_opt.linalg.solvers import NormalEquations
from manifold_opt.manifolds import Euclidean, PowerManifold, ProductManifold, Rotations
from manifold_opt.objectives import NonlinearLeastSquaresObjective
from manifold_opt.solvers import (
    TrustRegionReflectiveState,
    dogleg,
    least_squares,
    levenberg_marquardt,
    trust_region_reflective,
)

SOLVERS = [levenberg_marquardt, trust_region_reflective]


def plane_dogleg(*arguments, **keywords):
    return dogleg(*arguments, subspace=True, **keywords)


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow at rejected trials
ROSENBROCK = np.array([-1.2, 1.0])


def rosenbrock(x):
    return anp.array([1.0 - x[0], np.sqrt(105.0) * (x[1] - x[0] ** 2)])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("factor", [1, 10, 100])
@pytest.mark.parametrize("name", PROBLEMS)
def test_published_optima(name, factor, solver):
    """All 27 comparable runs of the bounded set; SciPy's defaults solve 24, Ceres 14."""
    problem = PROBLEMS[name]
    lower, upper = np.array(problem.lower), np.array(problem.upper)
    start = np.clip(factor * np.array(problem.start), lower, upper)
    result = solver(Euclidean(len(start)), problem.residual, start, bounds=(lower, upper), max_iterations=1000)
    assert 2.0 * result.cost <= problem.least * (1.0 + 1e-6) + 1e-12
    assert (result.point >= lower).all() and (result.point <= upper).all()
    # the reflections of Brown-Dennis' large residuals end slowly
    assert result.converged or (name == "Brown-Dennis" and solver is trust_region_reflective), result


@pytest.mark.parametrize("solver", [*SOLVERS, dogleg, plane_dogleg, least_squares])
def test_rosenbrock_of_numerics_net(solver):
    M, box = Euclidean(2), ([-2.0, -2.0], [0.5, 2.0])
    result = solver(M, rosenbrock, ROSENBROCK)
    assert result.converged
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)
    result = solver(M, rosenbrock, ROSENBROCK, bounds=box)
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-9)
    assert result.cost == pytest.approx(0.125, rel=1e-12)
    np.testing.assert_array_equal(result.state.active, [1, 0])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", [None, "soft_l1", "cauchy"])
def test_the_same_as_scipy_on_random_boxes(solver, loss):
    rng = np.random.default_rng(0)
    for _ in range(5):
        A, c = rng.standard_normal((12, 4)), rng.standard_normal(12)
        r = lambda x: A @ x + 0.2 * np.sin(A @ x) - c  # noqa: B023  # used at once
        J = lambda x: (1.0 + 0.2 * np.cos(A @ x))[:, None] * A  # noqa: B023
        low, start = -rng.uniform(0.0, 0.3, 4), np.zeros(4)
        high = low + rng.uniform(0.3, 0.6, 4)
        start = np.clip(start, low, high)
        result = solver(Euclidean(4), r, start, jacobian=J, bounds=(low, high), loss=loss)
        other = scipy.optimize.least_squares(
            r, 0.5 * (low + high), J, (low, high), loss=loss or "linear", xtol=1e-15, ftol=1e-15, gtol=1e-12
        )
        assert result.converged
        assert result.cost <= other.cost * (1.0 + 1e-9)
        np.testing.assert_allclose(result.point, other.x, atol=1e-6)


def poses(seed=1):
    """Points seen by rotated and shifted cameras; the shifts that fit best lie outside of their box."""
    rng = np.random.default_rng(seed)
    M = ProductManifold(R=PowerManifold(Rotations(3), 2), t=PowerManifold(Euclidean(3), 2))
    a = rng.standard_normal((10, 3))
    R0, t0 = M["R"].random_point(rng), np.array([[0.6, 0.1, 0.0], [-0.7, 0.0, 0.3]])
    b = anp.einsum("kij,nj->kni", R0, a) + t0[:, None]
    r = M.componentwise(lambda R, t: anp.reshape(anp.einsum("kij,nj->kni", R, a) + t[:, None] - b, (-1,)))
    start = M.join(M["R"].retract(R0, 0.3 * M["R"].random_vector(R0, rng)), np.zeros((2, 3)))
    return M, r, start


def test_reflection_beside_rotations():
    M, r, start = poses()
    box = {"t": (-0.5, 0.5)}
    result = trust_region_reflective(M, r, start, bounds=box)
    other = levenberg_marquardt(M, r, start, bounds=box)
    assert result.converged and other.converged
    M.check_point(result.point)
    t = M.split(result.point)[1]
    assert t[0, 0] == pytest.approx(0.5, abs=1e-9) and t[1, 0] == pytest.approx(-0.5, abs=1e-9)
    assert (np.abs(t) <= 0.5).all()
    np.testing.assert_allclose(result.point, other.point, atol=1e-7)
    assert result.state.optimality < 1e-6


def test_without_bounds_it_is_a_trust_region_on_any_manifold():
    M, r, start = poses()
    result = trust_region_reflective(M, r, start)
    assert result.converged and result.cost < 1e-20


@pytest.mark.parametrize("x_scale", [1.0, [0.1, 10.0], "jac"])
def test_scales(x_scale):
    result = trust_region_reflective(Euclidean(2), rosenbrock, ROSENBROCK, bounds=(-2.0, [0.5, 2.0]), x_scale=x_scale)
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-8)


def test_a_solver_without_a_triangle_works_in_a_plane():
    """Also with a Jacobian that is an operator."""
    A = np.random.default_rng(0).standard_normal((9, 3))
    r = lambda x: A @ x - 1.0
    box = (-0.05, 0.05)
    exact = trust_region_reflective(Euclidean(3), r, np.zeros(3), jacobian=lambda x: A, bounds=box)
    for jacobian, kind in ((lambda x: A, "coordinates"), (lambda x: aslinearoperator(A), "operator")):
        result = trust_region_reflective(
            Euclidean(3),
            r,
            np.zeros(3),
            jacobian=jacobian,
            jacobian_type=kind,
            bounds=box,
            linear_solver=NormalEquations(),
        )
        assert result.converged
        np.testing.assert_allclose(result.point, exact.point, atol=1e-8)


def test_equal_bounds_hold_a_coordinate():
    result = trust_region_reflective(Euclidean(2), rosenbrock, np.array([0.3, 1.0]), bounds=([0.3, -5.0], [0.3, 5.0]))
    assert result.converged
    np.testing.assert_allclose(result.point, [0.3, 0.09], rtol=1e-10)


def test_a_start_in_a_corner_is_left():
    result = trust_region_reflective(Euclidean(2), rosenbrock, np.array([-2.0, -2.0]), bounds=(-2.0, [0.5, 2.0]))
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.25], rtol=1e-9)


def test_a_residual_that_is_not_finite_shrinks_the_radius():
    r = lambda x: np.where(x > 0.0, np.log(np.maximum(x, 1e-300)), np.nan)
    result = trust_region_reflective(Euclidean(1), r, np.array([20.0]), jacobian=lambda x: 1.0 / x[:, None])
    assert result.converged and result.point[0] == pytest.approx(1.0, rel=1e-9)
    r = lambda x: x if x[0] == 1.0 else np.full(1, np.nan)
    result = trust_region_reflective(Euclidean(1), r, np.ones(1), jacobian=lambda x: np.eye(1))
    assert not result.converged and result.point[0] == 1.0


def test_a_pickle_continues_where_it_was():
    problem = Problem(Euclidean(2), NonlinearLeastSquaresObjective(rosenbrock))
    state = TrustRegionReflectiveState(ROSENBROCK, bounds=(-2.0, [0.5, 2.0]), stopping=StopAfterIteration(50))
    state.begin(problem)
    for _ in range(5):
        state.step(problem)
    other = pickle.loads(pickle.dumps(state))
    other.begin(problem)
    for s in (state, other):
        for _ in range(4):
            s.step(problem)
    np.testing.assert_array_equal(state.point, other.point)
    assert other.status is Status.RUNNING


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"x_scale": "columns"}, "x_scale"),
        ({"x_scale": -1.0}, "x_scale"),
        ({"factor": 0.0}, "factor"),
        ({"initial_radius": -1.0}, "initial_radius"),
    ],
)
def test_parameters_out_of_range(keywords, message):
    with pytest.raises(ValueError, match=message):
        TrustRegionReflectiveState(np.zeros(2), **keywords)


def test_a_start_outside_of_the_bounds():
    with pytest.raises(ValueError, match="`p0` is outside"):
        trust_region_reflective(Euclidean(2), rosenbrock, ROSENBROCK, bounds=(0.0, 1.0))
