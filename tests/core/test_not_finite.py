"""NaN, infinities and unbounded costs: never an answer, always the last good point and the right status."""

from __future__ import annotations

import math

import numpy as np
import pytest
from solver_problems import Quadratic, Residual, start

from manifold_opt.core import Status
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import Fused
from manifold_opt.solvers import gradient_descent, levenberg_marquardt, minimize_residuals
from manifold_opt.stepsizes import ArmijoLinesearch, ConstantLength
from manifold_opt.stopping import StopAfterIteration, StopWhenCostLess

M = Sphere(2)
P = start(M)
F, R = Quadratic(M), Residual(M)
BAD = [np.nan, np.inf]
RULES = [ArmijoLinesearch(), ConstantLength(0.1)]
LINE = Euclidean(1)


def ended(result, status, message=""):
    assert result.status is status and not result.converged, result
    assert message in result.message
    assert np.isfinite(result.point).all()
    return result


# a bad start


@pytest.mark.parametrize("value", BAD)
def test_a_bad_cost_at_the_start(value):
    result = ended(gradient_descent(M, lambda p: value, P, gradient=F.gradient), Status.BAD_FUNCTION, "start point")
    np.testing.assert_array_equal(result.point, P)
    assert result.iterations == 0 and result.evaluations["cost"] == 1 and result.evaluations["gradient"] == 0


@pytest.mark.parametrize("rule", RULES, ids=["armijo", "constant"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_gradient_at_the_start(rule, value):
    gradient = lambda p: np.array([0.0, value, 0.0])
    result = gradient_descent(M, F, P, gradient=gradient, stepsize=rule)
    ended(result, Status.BAD_FUNCTION, "the gradient is not finite at the start point")
    np.testing.assert_array_equal(result.point, P)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["residual", "jacobian"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_bad_residual_or_jacobian_at_the_start(value, what, fused):
    def spoiled(f, name):
        def function(p):
            array = f(p)
            if name == what:
                array[-1] = value
            return array

        return function

    r, J = spoiled(R, "residual"), spoiled(R.jacobian, "jacobian")
    with np.errstate(invalid="ignore"):
        result = (
            levenberg_marquardt(M, Fused(lambda p: (r(p), J(p))), P)
            if fused
            else levenberg_marquardt(M, r, P, jacobian=J)
        )
    ended(result, Status.BAD_FUNCTION, f"the {what if what == 'residual' else 'Jacobian'} is not finite at the start")
    np.testing.assert_array_equal(result.point, P)


def test_minus_infinity_at_the_start_is_divergence():
    result = gradient_descent(LINE, lambda p: -np.inf, np.ones(1), gradient=lambda p: p)
    ended(result, Status.DIVERGED)
    assert result.cost == -np.inf and result.point == [1.0]


# a bad trial


@pytest.mark.parametrize("value", BAD)
def test_a_bad_cost_at_a_trial_rejects_it(value):
    """f = p - log p has a domain p > 0 only; the first steps lead out of it."""
    trials = []

    def f(p):
        trials.append(p[0])
        return p[0] - math.log(p[0]) if p[0] > 0.0 else value

    result = gradient_descent(
        LINE, f, np.array([30.0]), gradient=lambda p: 1.0 - 1.0 / p, stepsize=ArmijoLinesearch(initial=100.0)
    )
    assert result.converged and result.point[0] == pytest.approx(1.0, abs=1e-7)
    assert min(trials) < 0.0


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("damping", [None, 0.1])
def test_a_bad_residual_at_a_trial_rejects_it(value, damping):
    """r = log p: Gauss-Newton's step from p = 10 leads to p < 0."""
    trials = []

    def r(p):
        trials.append(p[0])
        return np.log(p) if p[0] > 0.0 else np.array([value])

    result = levenberg_marquardt(LINE, r, np.array([10.0]), jacobian=lambda p: 1.0 / p[:, None], damping_min=damping)
    assert result.converged and result.point[0] == pytest.approx(1.0, abs=1e-12)
    assert min(trials) <= 0.0 or damping is not None


@pytest.mark.parametrize("value", BAD)
def test_thirty_bad_trials_in_a_row_end_the_run(value):
    f = lambda p: 1.0 if p[0] == 1.0 else value
    result = gradient_descent(LINE, f, np.ones(1), gradient=lambda p: np.ones(1))
    ended(result, Status.BAD_FUNCTION, "not finite at 30 trial points in a row")
    assert result.point == [1.0] and result.cost == 1.0 and result.evaluations["cost"] == 31
    r = lambda p: p if p[0] == 1.0 else np.full(1, value)
    result = levenberg_marquardt(LINE, r, np.ones(1), jacobian=lambda p: np.eye(1))
    # the damping grows so fast that the steps reach the rounding of the point before that many trials
    ended(result, Status.BAD_FUNCTION, "trial points in a row")
    assert result.point == [1.0] and result.evaluations["residual"] <= 31
    result = levenberg_marquardt(LINE, r, np.ones(1), jacobian=lambda p: np.eye(1), beta=1.1)
    ended(result, Status.BAD_FUNCTION, "not finite at 30 trial points in a row")
    assert result.evaluations["residual"] == 31


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", RULES, ids=["armijo", "constant"])
def test_a_bad_gradient_at_a_finite_cost_ends_at_the_last_good_point(value, rule):
    f = lambda p: float(p @ p)
    gradient = lambda p: 2.0 * p if p[0] > 0.5 else np.full(1, value)
    result = gradient_descent(LINE, f, np.array([3.0]), gradient=gradient, stepsize=rule)
    ended(result, Status.BAD_FUNCTION, "the last good point is returned")
    assert result.point[0] > 0.5 and np.isfinite(result.gradient_norm) and result.cost == f(result.point)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_jacobian_at_a_finite_residual_ends_at_the_last_good_point(value):
    jacobian = lambda p: np.eye(1) if p[0] > 0.5 else np.full((1, 1), value)
    with np.errstate(invalid="ignore"):  # the residual is zero there
        result = levenberg_marquardt(LINE, lambda p: p, np.array([3.0]), jacobian=jacobian)
    ended(result, Status.BAD_FUNCTION, "the last good point is returned")
    assert result.point[0] > 0.5 and result.cost == 0.5 * result.point[0] ** 2


# no lower bound


@pytest.mark.parametrize("gradient_there", [1.0, np.nan])
def test_a_cost_of_minus_infinity_ends_as_divergence_at_finite_coordinates(gradient_there):
    f = lambda p: -np.inf if p[0] > 3.0 else -p[0]
    gradient = lambda p: np.array([-1.0]) if p[0] <= 3.0 else np.full(1, gradient_there)
    result = ended(gradient_descent(LINE, f, np.ones(1), gradient=gradient), Status.DIVERGED)
    assert result.cost in (-np.inf, f(result.point))


def test_a_cost_without_lower_bound_is_never_converged():
    for f, g in ((lambda p: -float(p @ p), lambda p: -2 * p), (lambda p: -float(np.exp(p[0])), lambda p: -np.exp(p))):
        with np.errstate(over="ignore"):
            result = gradient_descent(LINE, f, np.ones(1), gradient=g)
        assert not result.converged and np.isfinite(result.point).all()
        assert result.status in (Status.DIVERGED, Status.BAD_FUNCTION, Status.ITERATION_LIMIT)


def test_a_target_reached_at_minus_infinity_is_no_success():
    f = lambda p: -np.inf if p[0] > 3.0 else -p[0]
    result = gradient_descent(
        LINE,
        f,
        np.ones(1),
        gradient=lambda p: np.array([-1.0]),
        stopping=StopWhenCostLess(-1e9) | StopAfterIteration(99),
    )
    ended(result, Status.DIVERGED)


def test_a_constant_step_that_walks_off_to_nan_does_not_hide_it():
    f = lambda p: np.nan if p[0] < 2.0 else p[0]
    result = gradient_descent(
        LINE, f, np.array([5.0]), gradient=lambda p: np.ones(1), stepsize=ConstantLength(1.0), max_iterations=4
    )
    ended(result, Status.BAD_FUNCTION, "the cost at the final point is nan")


def test_a_constant_step_that_blows_up_ends_at_finite_coordinates():
    with np.errstate(over="ignore", invalid="ignore"):
        result = gradient_descent(
            LINE, lambda p: float(p @ p), np.ones(1), gradient=lambda p: 2 * p, stepsize=ConstantLength(1e30)
        )
    assert np.isfinite(result.point).all() and not result.converged
    assert result.status in (Status.BAD_FUNCTION, Status.DIVERGED)


def test_minimize_residuals_rejects_nan_and_keeps_the_last_good_point():
    objective, (x,) = minimize_residuals(
        lambda x: np.log(x) if np.all(np.asarray(getattr(x, "_value", x)) > 0) else x * np.nan, np.array([1.0]), 3
    )
    assert objective == 0.0 and x == [1.0]


# zero steps


@pytest.mark.parametrize("rule", RULES, ids=["armijo", "constant"])
@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_a_zero_gradient_ends_the_run_whatever_the_criterion(rule, kind):
    if isinstance(rule, ConstantLength):
        rule = ConstantLength(0.5, type=kind)
    f, g = lambda p: float((p - 1.0) @ (p - 1.0)), lambda p: 2.0 * (p - 1.0)
    result = gradient_descent(LINE, f, np.ones(1), gradient=g, stepsize=rule, stopping=StopAfterIteration(7))
    assert result.status is Status.CONVERGED and "exactly zero" in result.message
    assert result.point == [1.0] and np.isnan(result.state.stepsize)


def test_a_fit_that_starts_at_its_solution_stays_there():
    for stopping in (None, StopAfterIteration(50)):
        result = levenberg_marquardt(LINE, lambda p: p - 1.0, np.ones(1), stopping=stopping)
        assert result.converged and result.point == [1.0] and result.cost == 0.0


def test_given_derivatives_that_are_zero_at_the_start_are_looked_at_twice():
    with pytest.raises(ValueError, match="`gradient` says 0"):
        gradient_descent(M, F, P, gradient=lambda p: 0.0 * p)
    with pytest.raises(ValueError, match="rows of the Jacobian are wrong"):
        levenberg_marquardt(M, R, P, jacobian=lambda p: np.zeros((R.m, 2)))


def test_a_gradient_of_the_wrong_sign_is_named_when_the_search_fails():
    f = lambda p: float((p - 1.0) @ (p - 1.0))
    with pytest.raises(ValueError, match="-1.000 times the one from `gradient`: its sign is wrong"):
        gradient_descent(Euclidean(2), f, np.zeros(2), gradient=lambda p: -2.0 * (p - 1.0))


def test_a_wrong_jacobian_is_named_when_no_step_helps():
    with pytest.raises(ValueError, match="sign is wrong"):
        levenberg_marquardt(Euclidean(2), lambda p: p - 1.0, np.zeros(2), jacobian=lambda p: -np.eye(2))


def test_euclidean_gradients_given_as_riemannian_are_named():
    """By an error before the first step is taken, in the message after."""
    result = gradient_descent(M, F, P, gradient=F.euclidean_gradient)
    assert result.status is Status.LINE_SEARCH_FAILED and "objective_type='euclidean'" in result.message


@pytest.mark.parametrize("sufficient_decrease", [0.3, 0.6, 0.9])
def test_a_gradient_that_is_too_long_is_named_however_strict_the_search(sufficient_decrease):
    """Steps within rounding, which the gradient would accept one after the other, are not taken for progress."""
    d = np.arange(1.0, 6.0)
    f = lambda x: 1.0 + 0.5 * float(x @ (d * x))
    rule = ArmijoLinesearch(sufficient_decrease=sufficient_decrease)
    result = gradient_descent(Euclidean(5), f, np.ones(5), gradient=lambda x: 5.0 * d * x, stepsize=rule)
    assert result.status is Status.LINE_SEARCH_FAILED and "0.200 times" in result.message
    assert result.iterations < 10


def test_a_first_trial_that_is_far_too_long_is_no_wrong_gradient():
    f = lambda x: 1.0 + 5e12 * float(x @ x)
    result = gradient_descent(
        Euclidean(2), f, np.array([1e-14, 2e-14]), gradient=lambda x: 1e13 * x, stepsize=ArmijoLinesearch(initial=1e4)
    )
    assert result.converged, result
