"""Ctrl-C at every possible call of the user's functions: a result, a consistent state, a run that continues."""

from __future__ import annotations

import numpy as np
import pytest
from solver_problems import Quadratic, Residual, start

from manifold_opt.core import Problem, Status, solve
from manifold_opt.manifolds import Sphere
from manifold_opt.objectives import CostObjective, Fused, InPlace, NonlinearLeastSquaresObjective
from manifold_opt.solvers import (
    GradientDescentState,
    gradient_descent,
    levenberg_marquardt,
    minimize_residuals,
)
from manifold_opt.stepsizes import ArmijoLinesearch, ConstantLength
from manifold_opt.stopping import StopAfterIteration

M = Sphere(2)
P = start(M)
F, R = Quadratic(M), Residual(M)


class Interrupted:
    """Wraps functions that share one clock, and raises at one tick."""

    def __init__(self, at):
        self.at, self.tick = at, 0

    def __call__(self, function):
        def wrapped(*arguments):
            self.tick += 1
            if self.tick == self.at:
                raise KeyboardInterrupt
            return function(*arguments)

        return wrapped


def fill(f):
    return lambda p, out: np.copyto(out, f(p))


DESCENTS = {
    "given": lambda w: CostObjective(w(F), w(F.gradient)),
    "fused": lambda w: CostObjective(Fused(w(lambda p: (F(p), F.gradient(p))))),
    "in place": lambda w: CostObjective(w(F), InPlace(w(fill(F.gradient)))),
    "autograd": lambda w: CostObjective(w(F)),
}
FITS = {
    "given": lambda w: NonlinearLeastSquaresObjective(w(R), w(R.jacobian)),
    "in place": lambda w: NonlinearLeastSquaresObjective(
        InPlace(w(fill(R))), InPlace(w(fill(R.jacobian))), num_residuals=R.m
    ),
    "fused": lambda w: NonlinearLeastSquaresObjective(Fused(w(lambda p: (R(p), R.jacobian(p))))),
    "autograd": lambda w: NonlinearLeastSquaresObjective(w(R)),
}


def check(front, objective, cost, steps):
    """Interrupt at every call; returns how many there are."""
    limit = StopAfterIteration(steps)
    whole = Interrupted(0)
    answer = front(M, objective(whole), P, stopping=limit)
    assert answer.iterations > 3
    best = cost(P)
    for at in range(1, whole.tick + 1):
        clock = Interrupted(at)
        result = front(M, objective(clock), P, stopping=limit)
        assert result.status is Status.INTERRUPTED and not result.converged and "interrupted" in result.message
        state, e = result.state, result.state.evaluation
        assert M.is_point(result.point)
        if e is None:  # nothing is known yet
            np.testing.assert_array_equal(result.point, P)
            assert result.iterations == 0
        else:
            if e.known("cost"):
                assert result.cost == pytest.approx(float(cost(result.point)), rel=1e-13)
            else:  # a constant step; whoever interrupts does not wait for one more call
                assert np.isnan(result.cost)
            assert cost(result.point) <= best + 1e-13
            best = min(best, cost(result.point))
            for name in ("cost", "gradient", "gradient_norm"):  # what is known belongs to this point
                if e.known(name):
                    fresh = Problem(M, objective(Interrupted(0))).evaluate(e.point)
                    np.testing.assert_allclose(getattr(e, name), getattr(fresh, name), atol=1e-12)
        # the interrupted run goes on to the same answer, within what its memory may have lost
        state.stopping = type(state).default_stopping()
        solve(result.problem, state)
        assert state.status.converged
        assert state.evaluation.cost == pytest.approx(final(front, objective), rel=1e-9)
    return whole.tick


def final(front, objective):
    result = front(M, objective(Interrupted(0)), P)
    assert result.converged
    return result.cost


@pytest.mark.parametrize("convention", DESCENTS)
@pytest.mark.parametrize("rule", [ArmijoLinesearch(), ConstantLength(0.1)], ids=["armijo", "constant"])
def test_descent_interrupted_anywhere(convention, rule):
    front = lambda M, f, p, **keywords: gradient_descent(M, f, p, stepsize=rule, **keywords)
    assert check(front, DESCENTS[convention], F, 6) >= 6


@pytest.mark.parametrize("convention", FITS)
@pytest.mark.parametrize("damping", [None, 0.1], ids=["nielsen", "adachi"])
def test_fit_interrupted_anywhere(convention, damping):
    front = lambda M, f, p, **keywords: levenberg_marquardt(M, f, p, damping_min=damping, **keywords)
    cost = lambda p: 0.5 * float(R(p) @ R(p))
    assert check(front, FITS[convention], cost, 6) >= 6


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_callback_may_be_interrupted_too(at):
    clock = Interrupted(at)
    result = gradient_descent(M, F, P, callback=clock(lambda problem, state: None))
    assert result.status is Status.INTERRUPTED and result.iterations <= at


@pytest.mark.parametrize("outer", [gradient_descent, levenberg_marquardt])
@pytest.mark.parametrize("at", [1, 4, 30])
def test_only_the_outermost_front_function_catches(outer, at):
    """An inner run passes Ctrl-C on; it does not make up an answer for the outer one."""
    clock, inner = Interrupted(at), []

    def f(p):
        result = gradient_descent(M, clock(F), p, gradient=F.gradient, max_iterations=2)
        inner.append(result.status)
        return result.cost - 10.0 if outer is gradient_descent else np.array([result.cost + 10.0])

    result = outer(M, f, P, autodiff="finite-differences", max_iterations=3)
    assert result.status is Status.INTERRUPTED
    assert Status.INTERRUPTED not in inner
    # and the next run is an outermost one again
    assert gradient_descent(M, Interrupted(3)(F), P, gradient=F.gradient).status is Status.INTERRUPTED


def test_the_loop_itself_and_minimize_residuals_pass_it_on():
    state = GradientDescentState(P)
    with pytest.raises(KeyboardInterrupt):
        solve(Problem(M, CostObjective(Interrupted(4)(F), F.gradient)), state)
    assert state.evaluation is not None
    with pytest.raises(KeyboardInterrupt):
        minimize_residuals(Interrupted(9)(lambda x: x), np.ones(2), 20)


def test_other_exceptions_come_through():
    def fails(p):
        raise ZeroDivisionError("mine")

    for solver in (gradient_descent, levenberg_marquardt):
        with pytest.raises(ZeroDivisionError, match="mine"):
            solver(M, fails, P)
    assert gradient_descent(M, Interrupted(3)(F), P, gradient=F.gradient).status is Status.INTERRUPTED
