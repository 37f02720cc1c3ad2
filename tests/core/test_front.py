"""What all front functions share: keywords, start points, limits, results; for every front function."""

from __future__ import annotations

import io

import numpy as np
import pytest
from solver_problems import Calls, Quadratic, Residual, start

from manifold_opt.core import Problem, Result, Status, solve
from manifold_opt.manifolds import Euclidean, NotOnManifold, Rotations, Sphere
from manifold_opt.objectives import (
    CachedObjective,
    CostObjective,
    CountedObjective,
    NonlinearLeastSquaresObjective,
    ScaledObjective,
)
from manifold_opt.solvers import (
    GradientDescentState,
    LevenbergMarquardtState,
    gradient_descent,
    levenberg_marquardt,
)
from manifold_opt.stepsizes import ConstantLength
from manifold_opt.stopping import StopAfterIteration, StopWhenCostLess, StopWhenGradientNormLess

M = Sphere(2)
P = start(M)
FRONTS = {
    "gradient_descent": (gradient_descent, Quadratic(M)),
    "levenberg_marquardt": (levenberg_marquardt, Residual(M)),
}
EVERY = pytest.mark.parametrize("solver, f", FRONTS.values(), ids=FRONTS)


@EVERY
def test_the_shortest_call_works(solver, f):
    result = solver(M, f, P)
    assert isinstance(result, Result) and result.converged and result.status is Status.CONVERGED
    assert M.is_point(result.point) and result.message
    assert result.cost == Problem(M, result.problem.objective).cost(result.point)
    assert result.iterations == result.state.iteration and result.time > 0.0


@EVERY
def test_an_unknown_keyword_is_refused_with_the_nearest_one(solver, f):
    near = {"max_iteration": "max_iterations", "max_iter": "max_iterations", "retractions": "retraction"}
    for wrong, right in (near | {"tol": "tolerance"}).items():
        with pytest.raises(TypeError, match=rf"{solver.__name__}\(\) got an unknown keyword '{wrong}'.*'{right}'"):
            solver(M, f, P, **{wrong: 1})
    with pytest.raises(TypeError, match="known ones are .*autodiff.*max_time"):
        solver(M, f, P, zzzzzz=1)


@EVERY
def test_mistakes_are_found_before_the_function_is_called(solver, f):
    for keywords in (
        {"maxiter": 3},
        {"stopping": 3},
        {"stopping": StopAfterIteration(3), "max_iterations": 3},
        {"max_iterations": -1},
        {"max_iterations": 2.5},
        {"max_time": -1.0},
        {"tolerance": np.nan},
        {"cache": -3},
        {"retraction": 3.0},
        {"out": np.zeros(2)},
        {"out": "p"},
        {"record": ["cots"]},
        {"debug": "{cots}"},
    ):
        calls = Calls(f)
        with pytest.raises((TypeError, ValueError)) as error:
            solver(M, calls, P, **keywords)
        assert any(part in str(error.value) for part in ("cots", "`size`", next(iter(keywords)))), str(error.value)
        # these are looked up with the first evaluation at hand, but before the first iteration
        assert calls.n == 0 or not {"retraction", "record", "debug"}.isdisjoint(keywords)


@EVERY
def test_limits_edit_the_default_and_stopping_replaces_it(solver, f):
    result = solver(M, f, P, max_iterations=2)
    assert result.status is Status.ITERATION_LIMIT and result.iterations == 2 and not result.converged
    result = solver(M, f, P, max_iterations=0)
    assert result.iterations == 0
    np.testing.assert_array_equal(result.point, P)
    result = solver(M, f, P, max_evaluations=3)
    name = "residual" if solver is levenberg_marquardt else "cost"
    assert result.status is Status.EVALUATION_LIMIT and 3 <= result.evaluations[name] <= 4
    assert solver(M, f, P, max_time=0.0).status is Status.TIME_LIMIT
    result = solver(M, f, P, stopping=StopWhenCostLess(solver(M, f, P).cost + 1e-3))
    assert result.status is Status.TARGET_REACHED and result.converged
    with pytest.raises(ValueError, match="give either `stopping` or max_iterations, tolerance"):
        solver(M, f, P, stopping=StopAfterIteration(3), max_iterations=3, tolerance=1e-3)


@EVERY
def test_a_tolerance_is_obeyed(solver, f):
    loose, tight = solver(M, f, P, tolerance=1e-2), solver(M, f, P, tolerance=1e-8)
    assert loose.converged and tight.converged and loose.iterations < tight.iterations
    assert tight.gradient_norm < loose.gradient_norm


# the start point


@EVERY
def test_whole_numbers_are_points(solver, f):
    for p in ([0, 0, 1], (0, 0, 1), np.array([0, 0, 1]), np.array([False, False, True])):
        result = solver(M, f, p)
        assert result.point.dtype == float and result.converged


@EVERY
@pytest.mark.parametrize(
    "p, error, message",
    [
        (np.zeros(4), ValueError, r"`p0` must have the shape of a point of Sphere\(2\), \(3,\); got \(4,\)"),
        (np.eye(3), ValueError, r"`p0` must have the shape .* got \(3, 3\)"),
        (1.0, ValueError, r"`p0` must have the shape .* got \(\)"),
        (np.array([np.nan, 0.0, 1.0]), ValueError, "`p0` is not a point of Sphere"),
        (np.array([np.inf, 0.0, 1.0]), ValueError, "`p0` is not a point of Sphere"),
        (np.array([2.0, 0.0, 0.0]), NotOnManifold, "`p0` is not a point of Sphere.*project_point"),
        (np.array([1j, 0.0, 0.0]), ValueError, "`p0` is not a point of Sphere"),
        (np.array(["a", "b", "c"]), TypeError, "`p0` must be an array of numbers"),
        (np.array([None, 1, 2]), TypeError, "`p0` must be an array of numbers"),
    ],
    ids=str,
)
def test_bad_start_points_are_refused_by_name(solver, f, p, error, message):
    calls = Calls(f)
    with pytest.raises(error, match=message):
        solver(M, calls, p)
    assert calls.n == 0


@EVERY
def test_no_start_point_is_a_random_one_from_rng(solver, f):
    first, again = solver(M, f, rng=3, max_iterations=0), solver(M, f, rng=3, max_iterations=0)
    np.testing.assert_array_equal(first.point, again.point)
    np.testing.assert_array_equal(first.point, M.random_point(np.random.default_rng(3)))
    assert not np.array_equal(first.point, solver(M, f, rng=4, max_iterations=0).point)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(solver(M, f, rng=generator, max_iterations=0).point, first.point)
    assert not np.array_equal(solver(M, f, rng=generator, max_iterations=0).point, first.point)
    assert solver(M, f).converged


@EVERY
def test_the_start_point_is_left_alone_unless_told(solver, f):
    p = P.copy()
    result = solver(M, f, p)
    np.testing.assert_array_equal(p, P)
    inside = solver(M, f, p, out=p)
    assert inside.point is p
    np.testing.assert_array_equal(p, result.point)
    other = np.empty(3)
    assert solver(M, f, P, out=other).point is other
    np.testing.assert_array_equal(other, result.point)
    with pytest.raises(ValueError, match=r"`out` must be an array of shape \(3,\) that holds float64"):
        solver(M, f, P, out=np.zeros(3, int))


# objectives in place of functions


def test_an_objective_takes_the_place_of_a_function():
    f = Quadratic(M)
    expected = gradient_descent(M, f, P, gradient=f.gradient)
    for objective in (
        CostObjective(f, f.gradient),
        CountedObjective(CostObjective(f, f.gradient)),
        CachedObjective(CostObjective(f, f.gradient)),
        ScaledObjective(ScaledObjective(CostObjective(f, f.gradient), 2.0), 0.5),
    ):
        result = gradient_descent(M, objective, P)
        np.testing.assert_array_equal(result.point, expected.point)
        assert result.evaluations == expected.evaluations
    r = Residual(M)
    expected = levenberg_marquardt(M, r, P, jacobian=r.jacobian)
    result = levenberg_marquardt(M, NonlinearLeastSquaresObjective(r, r.jacobian), P)
    np.testing.assert_array_equal(result.point, expected.point)


def test_what_belongs_to_the_objective_is_refused_beside_one():
    f, r = Quadratic(M), Residual(M)
    with pytest.raises(ValueError, match="`f` is an objective already; give gradient to it"):
        gradient_descent(M, CostObjective(f), P, gradient=f.gradient)
    with pytest.raises(ValueError, match="`f` is an objective already; give objective_type"):
        gradient_descent(M, CostObjective(f), P, objective_type="euclidean")
    with pytest.raises(ValueError, match="`residual` is an objective already; give jacobian to it"):
        levenberg_marquardt(M, NonlinearLeastSquaresObjective(r), P, jacobian=r.jacobian)
    basis = np.eye(3)[:2]
    with pytest.raises(ValueError, match="`residual` is an objective already; give jacobian_basis to it"):
        levenberg_marquardt(M, NonlinearLeastSquaresObjective(r), P, jacobian_basis=basis)


def test_gradient_descent_minimizes_a_least_squares_objective():
    r = Residual(M)
    by_fit = levenberg_marquardt(M, r, P)
    by_descent = gradient_descent(M, NonlinearLeastSquaresObjective(r), P)
    assert by_descent.cost == pytest.approx(by_fit.cost, rel=1e-12)


def test_the_state_functions_are_the_front_functions():
    f = Quadratic(M)
    result = gradient_descent(M, f, P)
    state = solve(Problem(M, CostObjective(f)), GradientDescentState(P))
    np.testing.assert_array_equal(state.point, result.point)
    r = Residual(M)
    result = levenberg_marquardt(M, r, P)
    state = solve(Problem(M, NonlinearLeastSquaresObjective(r)), LevenbergMarquardtState(P))
    np.testing.assert_array_equal(state.point, result.point)


# watching


@EVERY
def test_watching_changes_nothing(solver, f):
    plain = solver(M, f, P)
    text = io.StringIO()
    result = solver(
        M,
        f,
        P,
        debug=["{iteration} {cost:.3e} {gradient_norm:.1e}", "{stop_reason}"],
        record=["iteration", "cost", "gradient_norm"],
        callback=lambda problem, state: None,
        file=text,
    )
    np.testing.assert_array_equal(result.point, plain.point)
    evaluations = dict(result.evaluations)
    evaluations.pop("watched", None)
    assert evaluations == dict(plain.evaluations)
    assert result.record["iteration"] == list(range(plain.iterations + 1))
    assert result.record["cost"][-1] == result.cost
    assert plain.message in text.getvalue()


@EVERY
def test_a_callback_stops(solver, f):
    result = solver(M, f, P, callback=lambda problem, state: state.iteration == 2)
    assert result.status is Status.STOPPED_BY_CALLBACK and result.iterations == 2 and not result.converged


def test_watching_a_constant_step_counts_its_costs_apart():
    f = Quadratic(M)
    result = gradient_descent(
        M, f, P, gradient=f.gradient, stepsize=ConstantLength(0.1), max_iterations=5, record=["cost"]
    )
    assert len(result.record["cost"]) == 6
    assert result.evaluations["cost"] == 0 and result.evaluations["watched"] == 6
    unwatched = gradient_descent(M, f, P, gradient=f.gradient, stepsize=ConstantLength(0.1), max_iterations=5)
    assert unwatched.cost == result.cost and unwatched.evaluations["watched"] == 1  # that of the result


# results


@EVERY
def test_a_result_says_what_happened(solver, f):
    text = repr(solver(M, f, P))
    for part in ("CONVERGED, converged: True", "cost", "gradient norm", "iterations", "evaluations", "time", "point"):
        assert part in text
    assert len(text.splitlines()) == 8
    big = repr(
        solver(Euclidean(2000), lambda p: (p - 1.0)[:3], np.zeros(2000), autodiff="autograd", max_iterations=0)
        if solver is levenberg_marquardt
        else solver(Euclidean(2000), lambda p: 0.5 * ((p - 1.0) ** 2).sum(), np.zeros(2000), max_iterations=0)
    )
    assert max(map(len, big.splitlines())) < 250


def test_a_point_that_left_the_manifold_is_no_success():
    def away(M, p, X, t=1.0, out=None):
        return p + t * X

    f = Quadratic(M)
    result = gradient_descent(M, f, P, retraction=away, stopping=StopWhenGradientNormLess(1e6).after(0))
    assert result.status is Status.FALSE_CONVERGENCE and not result.converged
    assert "left the manifold" in result.message


def test_retractions_are_taken_by_name_and_an_unknown_one_is_named():
    f = Quadratic(Rotations(3))
    p = start(Rotations(3))
    costs = [gradient_descent(Rotations(3), f, p, retraction=name).cost for name in (None, "qr", "polar", "cayley")]
    np.testing.assert_allclose(costs, costs[0], rtol=1e-10)
    with pytest.raises(ValueError, match="polar"):
        gradient_descent(Rotations(3), f, p, retraction="pollar")
