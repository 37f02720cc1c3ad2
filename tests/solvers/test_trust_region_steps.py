"""Policies with a radius, scaling, non-monotone steps, acceleration and bounds of the Levenberg-Marquardt driver."""

from __future__ import annotations

import pickle
from itertools import pairwise

import autograd.numpy as anp
import more_wild
import numpy as np
import pytest
from scipy.optimize import Bounds

from manifold_opt import AdachiOkunoTakeda, More, Nielsen, StopAfterIteration
from manifold_opt.core import Problem, Status
from manifold_opt.manifolds import Euclidean, PowerManifold, ProductManifold, Rotations, Sphere
from manifold_opt.objectives import NonlinearLeastSquaresObjective
from manifold_opt.solvers import LevenbergMarquardtState, levenberg_marquardt
from manifold_opt.solvers.box import box_of, flat_coordinates
from manifold_opt.solvers.coordinates import coordinate_blocks, coordinate_sizes

ROSENBROCK = np.array([-1.2, 1.0])


def rosenbrock(x):
    return anp.array([1.0 - x[0], np.sqrt(105.0) * (x[1] - x[0] ** 2)])


def decay(n=30, noise=0.0):
    t = np.linspace(0.0, 4.0, n)
    y = 3.0 * np.exp(-1.3 * t) + 0.5 + noise * np.random.default_rng(0).standard_normal(n)
    return lambda p: p[0] * anp.exp(-p[1] * t) + p[2] - y


# the trust region


@pytest.mark.parametrize("scaling", ["columns", "marquardt", "blocks", None])
@pytest.mark.parametrize("policy", [More, Nielsen])
def test_every_scaling_finds_rosenbrocks_minimum(policy, scaling):
    result = levenberg_marquardt(Euclidean(2), rosenbrock, ROSENBROCK, damping=policy(scaling=scaling))
    assert result.converged
    np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-12)


def test_no_step_is_longer_than_the_radius():
    state = LevenbergMarquardtState(np.array([1.0, 1.0, 1.0]), damping=More(initial_radius=1e-3, scaling=None))
    problem = Problem(Euclidean(3), NonlinearLeastSquaresObjective(decay()))
    state.begin(problem)
    scale = None
    for _ in range(12):
        radius = state.trust_region_radius if state.iteration else 1e-3
        state.step(problem)
        scale = state._damping.scale
        assert state.trial_length * scale[0] <= 1.1001 * radius
    assert state.trust_region_radius > 1e-3  # good steps enlarge it


def test_the_first_radius_is_a_multiple_of_the_size_of_the_point():
    M, p = Euclidean(3), np.array([1.0, -2.0, 0.5])
    state = LevenbergMarquardtState(p, damping=More(factor=0.01), stopping=StopAfterIteration(1))
    problem = Problem(M, NonlinearLeastSquaresObjective(decay()))
    state.begin(problem)
    norms = state.column_norms()
    state.step(problem)
    assert state._damping.length == pytest.approx(0.01 * np.linalg.norm(norms * p), rel=0.11)


@pytest.mark.parametrize(
    "name, value",
    [("factor", 0.0), ("initial_radius", -1.0), ("acceptance", 1.0), ("scaling", "rows")],
)
def test_parameters_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        More(**{name: value})


def test_changing_units_changes_nothing():
    """Powers of two are exact, so the runs are the same in every digit."""
    r, units, p = decay(noise=0.1), np.array([2.0**20, 2.0**-15, 1.0]), np.array([1.0, 1.0, 1.0])
    a = levenberg_marquardt(Euclidean(3), r, p)
    b = levenberg_marquardt(Euclidean(3), lambda q: 2.0**7 * r(q * units), p / units)
    assert a.iterations == b.iterations
    np.testing.assert_array_equal(a.point, b.point * units)


def test_blocks_do_not_see_the_basis():
    """A rotated frame of the first factor, as a residual of rotated unknowns."""
    M = ProductManifold(x=Euclidean(3), y=Euclidean(2))
    rng = np.random.default_rng(3)
    A, c = rng.standard_normal((8, 5)), rng.standard_normal(8)
    Q = np.eye(5)
    Q[:3, :3] = Rotations(3).random_point(rng)
    r = lambda z: anp.dot(A, z + 0.3 * z**3) - c
    a = levenberg_marquardt(M, r, np.ones(5), damping=More(scaling="blocks"))
    b = levenberg_marquardt(M, lambda z: r(anp.dot(Q, z)), Q.T @ np.ones(5), damping=More(scaling="blocks"))
    assert a.iterations == b.iterations
    np.testing.assert_allclose(Q @ b.point, a.point, rtol=1e-8)


def test_a_pickle_continues_where_it_was():
    problem = Problem(Euclidean(3), NonlinearLeastSquaresObjective(decay(noise=0.1)))
    state = LevenbergMarquardtState(np.ones(3), damping=More(initial_radius=0.1), nonmonotone=2)
    state.begin(problem)
    for _ in range(4):
        state.step(problem)
    other = pickle.loads(pickle.dumps(state))
    other.begin(problem)
    for s in (state, other):
        for _ in range(3):
            s.step(problem)
    np.testing.assert_array_equal(state.point, other.point)


# coordinates


def test_sizes_and_blocks_of_coordinates():
    M = ProductManifold(R=PowerManifold(Rotations(3), 2), t=Euclidean(2), s=Sphere(2))
    p = M.random_point(np.random.default_rng(0))
    sizes = coordinate_sizes(M, p)
    assert sizes.shape == (M.dim,) and (sizes > 0.0).all()
    np.testing.assert_array_equal(sizes[6:8], np.abs(M.split(p)[1]))
    np.testing.assert_array_equal(coordinate_blocks(M), [0, 0, 0, 1, 1, 1, 2, 2, 3, 3])


def test_flat_coordinates_are_entries_of_the_point():
    M = ProductManifold(R=Rotations(3), t=PowerManifold(Euclidean(2), 2), s=Sphere(2), u=Euclidean(1))
    p = M.random_point(np.random.default_rng(0))
    coordinates, entries = flat_coordinates(M)
    assert coordinates.size == 5
    for j, i in zip(coordinates, entries, strict=True):
        q = M.exp(p, M.get_vector(p, np.eye(M.dim)[j]), 0.25)
        np.testing.assert_allclose(q - p, 0.25 * np.eye(p.size)[i], atol=1e-15)


# bounds

BOX = (np.array([-2.0, -2.0]), np.array([0.5, 2.0]))


@pytest.mark.parametrize("damping", [More(), Nielsen()], ids=repr)
@pytest.mark.parametrize("bounds", [BOX, Bounds(*BOX), (-2.0, [0.5, 2.0])], ids=["pair", "scipy", "broadcast"])
def test_rosenbrock_in_a_box(bounds, damping):
    result = levenberg_marquardt(Euclidean(2), rosenbrock, ROSENBROCK, bounds=bounds, damping=damping)
    assert result.converged, result
    assert result.point[0] == 0.5 and result.point[1] == pytest.approx(0.25, rel=1e-9)
    assert result.cost == pytest.approx(0.125, rel=1e-12)


def test_bounds_on_one_factor_of_a_product():
    """Rotate and shift points, where the shift is held in a box that excludes the best one."""
    M = ProductManifold(R=Rotations(3), t=Euclidean(3))
    rng = np.random.default_rng(1)
    a, R0, t0 = rng.standard_normal((12, 3)), Rotations(3).random_point(rng), np.array([0.5, -0.2, 1.0])
    b = a @ R0.T + t0
    r = M.componentwise(lambda R, t: anp.reshape(anp.dot(a, R.T) + t - b, (-1,)))
    upper = np.array([0.2, 1.0, 3.0])
    start = M.join(np.eye(3), np.zeros(3))
    result = levenberg_marquardt(M, r, start, bounds={"t": (-np.inf, upper)})
    t = M.split(result.point)[1]
    assert result.converged and t[0] == 0.2 and (t <= upper).all()
    M.check_point(result.point)
    # the rest solves the problem with that coordinate fixed: registration of points less that coordinate
    fixed = levenberg_marquardt(M, r, result.point, bounds={"t": ([0.2, -9.0, -9.0], [0.2, 9.0, 9.0])})
    assert fixed.cost == pytest.approx(result.cost, rel=1e-12)


def test_equal_bounds_fix_a_coordinate():
    result = levenberg_marquardt(Euclidean(2), rosenbrock, np.array([0.3, 1.0]), bounds=([0.3, -5.0], [0.3, 5.0]))
    assert result.converged
    np.testing.assert_allclose(result.point, [0.3, 0.09], rtol=1e-12)


@pytest.mark.parametrize(
    "M, bounds, message",
    [
        (Euclidean(2), (1.0, 0.0), "lower <= upper"),
        (Euclidean(2), (np.zeros(3), np.ones(3)), "shape"),
        (Euclidean(2), 1.0, "pair"),
        (Euclidean(2), {"x": (0.0, 1.0)}, "ProductManifold"),
        (Sphere(2), (0.0, 1.0), "no flat coordinates"),
        (ProductManifold(x=Euclidean(2)), {"y": (0.0, 1.0)}, "'y'"),
        (ProductManifold(x=Sphere(2)), {"x": (0.0, 1.0)}, "no flat coordinates"),
    ],
)
def test_bounds_that_make_no_sense(M, bounds, message):
    with pytest.raises(ValueError, match=message):
        box_of(M, bounds)


def test_a_start_outside_of_the_bounds():
    with pytest.raises(ValueError, match="`p0` is outside"):
        levenberg_marquardt(Euclidean(2), rosenbrock, np.array([1.0, 1.0]), bounds=BOX)


def test_infinite_bounds_are_none():
    assert box_of(Sphere(2), (-np.inf, np.inf)) is None and box_of(Sphere(2), None) is None


# geodesic acceleration, non-monotone steps


@pytest.mark.parametrize("damping", [None, Nielsen()], ids=repr)
def test_acceleration_saves_jacobians_in_a_curved_valley(damping):
    counts = []
    for alpha in (None, 0.75):
        result = levenberg_marquardt(Euclidean(2), rosenbrock, ROSENBROCK, damping=damping, geodesic_acceleration=alpha)
        assert result.converged
        np.testing.assert_allclose(result.point, [1.0, 1.0], rtol=1e-10)
        counts.append(result.evaluations["jacobian"])
    assert counts[1] < counts[0]


def test_long_runs_along_a_bent_valley_accelerate_by_themselves():
    """The cube function in 8 variables."""
    residual, start, _ = more_wild.problem(20, 8, 8, 0)
    counts = {}
    for alpha in (None, "auto"):
        result = levenberg_marquardt(Euclidean(8), residual, start, geodesic_acceleration=alpha, max_iterations=2000)
        assert result.converged
        counts[alpha] = result.evaluations["residual"]
    assert counts["auto"] < 0.6 * counts[None]


def test_a_slow_run_with_large_residuals_loses_at_most_half():
    residual, start, least = more_wild.problem(14, 4, 20, 0)
    counts = {}
    for alpha in (None, "auto"):
        result = levenberg_marquardt(Euclidean(4), residual, start, geodesic_acceleration=alpha)
        assert 2.0 * result.cost <= least * (1.0 + 1e-6)
        counts[alpha] = result.evaluations["residual"]
    assert counts["auto"] < 1.5 * counts[None]


def test_short_runs_and_other_policies_do_not_accelerate():
    for damping in (Nielsen(), AdachiOkunoTakeda(), More()):
        counts = [
            levenberg_marquardt(
                Euclidean(3), decay(), np.ones(3), damping=damping, geodesic_acceleration=alpha, max_iterations=n
            ).evaluations["residual"]
            for alpha in (None, "auto")
            for n in ([60] if damping != More() else [15])
        ]
        assert counts[0] == counts[1]


def test_acceleration_on_a_manifold_with_a_loss():
    M = Rotations(3)
    rng = np.random.default_rng(5)
    a, R0 = rng.standard_normal((20, 3)), M.random_point(rng)
    b = a @ R0.T
    b[0] += 10.0
    r = lambda R: anp.reshape(anp.dot(a, R.T) - b, (-1,))
    start = M.retract(R0, M.random_vector(R0, rng))
    plain = levenberg_marquardt(M, r, start, loss="cauchy", residual_size=3)
    result = levenberg_marquardt(M, r, start, loss="cauchy", residual_size=3, geodesic_acceleration=0.75)
    assert result.converged
    np.testing.assert_allclose(result.point, plain.point, atol=1e-8)


def test_non_monotone_steps_return_the_best_point():
    costs = []
    result = levenberg_marquardt(
        Euclidean(2),
        rosenbrock,
        ROSENBROCK,
        nonmonotone=5,
        callback=lambda problem, state: costs.append(state.evaluation.cost),
    )
    assert result.converged and result.cost <= min(costs)
    assert any(b > a for a, b in pairwise(costs)), "the valley is left for a while"
    cut = levenberg_marquardt(Euclidean(2), rosenbrock, ROSENBROCK, nonmonotone=5, max_iterations=2)
    assert cut.cost <= 0.5 * np.sum(rosenbrock(ROSENBROCK) ** 2)


@pytest.mark.parametrize(
    "keyword, value", [("geodesic_acceleration", 0.0), ("geodesic_acceleration", "yes"), ("nonmonotone", -1)]
)
def test_keywords_out_of_range(keyword, value):
    with pytest.raises(ValueError, match=keyword):
        LevenbergMarquardtState(np.zeros(2), **{keyword: value})


def test_what_can_be_read_of_a_step():
    state = levenberg_marquardt(Euclidean(3), decay(), np.ones(3), max_iterations=3).state
    assert state.status is Status.ITERATION_LIMIT
    assert state.predicted_decrease > 0.0 and state.trial_length > 0.0 and np.isfinite(state.actual_decrease)
    assert state.factorizations <= state.evaluations["jacobian"]
