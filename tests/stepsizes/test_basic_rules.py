"""Constant, decreasing and Armijo step sizes: what they promise, on every manifold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from solver_problems import MANIFOLDS, Quadratic, start

from manifold_opt.core import Problem, Status
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import CostObjective
from manifold_opt.solvers import GradientDescentState, gradient_descent
from manifold_opt.stepsizes import ArmijoLinesearch, ConstantLength, DecreasingLength
from manifold_opt.stopping import StopAfterIteration


def path(M, rule, n, f=None, p0=None):
    """Step size, its length, and the points before and after, of each of n steps."""
    f = Quadratic(M) if f is None else f
    problem = Problem(M, CostObjective(f, f.gradient))
    state = GradientDescentState(start(M) if p0 is None else p0, stepsize=rule, stopping=StopAfterIteration(n))
    state.begin(problem)
    steps = []
    while not state.should_stop(problem):
        before = state.evaluation
        state.step(problem)
        if state.evaluation is not before:
            steps.append((state.stepsize, state.step_norm, before, state.evaluation))
    return steps


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("rule", [ArmijoLinesearch(), ConstantLength(0.1), DecreasingLength(0.3, factor=0.9)], ids=repr)
def test_a_step_is_the_retraction_of_t_times_the_negative_gradient(M, rule):
    steps = path(M, rule, 6)
    assert len(steps) == 6
    for t, length, e, q in steps:
        np.testing.assert_allclose(q.point, M.retract(e.point, -e.gradient, t), atol=1e-13)
        assert length == pytest.approx(t * e.gradient_norm, rel=1e-13)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_constant_and_absolute_lengths(M, kind):
    for t, length, _, _ in path(M, ConstantLength(0.05, type=kind), 5):
        assert (t if kind == "relative" else length) == pytest.approx(0.05, rel=1e-13)


def test_decreasing_lengths_follow_their_formula():
    rule = DecreasingLength(0.5, factor=0.9, subtrahend=0.02, exponent=0.7, shift=2.0)
    for k, (t, _, _, _) in enumerate(path(Euclidean(3), rule, 8)):
        assert t == pytest.approx((0.5 - 0.02 * k) * 0.9**k / (k + 2.0) ** 0.7, rel=1e-14)


def test_a_decreasing_length_that_is_used_up_ends_the_run():
    f = Quadratic(Euclidean(3))
    rule = DecreasingLength(0.1, subtrahend=0.03)
    result = gradient_descent(Euclidean(3), f, np.ones(3), gradient=f.gradient, stepsize=rule)
    assert result.status is Status.LINE_SEARCH_FAILED and "used up in iteration 4" in result.message


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("s, c", [(0.3, 0.5), (1e-4, 0.5), (0.3, 0.9), (0.49, 0.1)])
def test_armijo_steps_decrease_enough_and_are_not_needlessly_short(M, s, c):
    rule = ArmijoLinesearch(sufficient_decrease=s, contraction=c, initial_guess="constant", initial=4.0)
    for t, _, e, q in path(M, rule, 8):
        promised = t * e.gradient_norm**2
        if promised <= 1e-10 * abs(e.cost):
            continue  # judged by the gradient
        assert q.cost <= e.cost - s * promised
        first = 4.0 if 4.0 * e.gradient_norm <= M.injectivity_radius else min(4.0, M.max_step(e.point, -e.gradient))
        power = np.log(t / first) / np.log(c)
        assert power == pytest.approx(round(power), abs=1e-9)  # a power of the contraction below the first trial
        if round(power) > 0:  # the trial before was not enough
            longer = M.retract(e.point, -e.gradient, t / c)
            assert Quadratic(M)(longer) > e.cost - s * promised / c


def test_barzilai_borwein_is_the_exact_step_of_the_direction_before_on_a_quadratic():
    M = Euclidean(4)
    f = Quadratic(M)
    steps = path(M, ArmijoLinesearch(sufficient_decrease=1e-6), 6)
    for (_, _, e, _), (t, _, _, _) in pairwise(steps):
        g = e.gradient
        exact = g @ g / (g @ f.Q @ g)
        halvings = np.log2(exact / t)
        assert halvings == pytest.approx(round(halvings), abs=1e-6) and halvings > -1e-6


def test_no_step_leaves_the_domain_of_the_retraction():
    """However long the first trial: on the sphere a step beyond the cut locus would come back on itself."""
    M = Sphere(2)
    for _, length, _, _ in path(M, ArmijoLinesearch(initial=1e6), 5):
        assert length <= np.pi + 1e-12


@pytest.mark.parametrize(
    "build, name",
    [
        (lambda: ConstantLength(0.0), "length"),
        (lambda: ConstantLength(-1.0), "length"),
        (lambda: ConstantLength(np.inf), "length"),
        (lambda: ConstantLength(True), "length"),
        (lambda: ConstantLength("1"), "length"),
        (lambda: ConstantLength(1.0, type="other"), "type"),
        (lambda: DecreasingLength(1.0, factor=0.0), "factor"),
        (lambda: DecreasingLength(1.0, shift=0.0), "shift"),
        (lambda: DecreasingLength(1.0, exponent=-1.0), "exponent"),
        (lambda: DecreasingLength(1.0, subtrahend=-1.0), "subtrahend"),
        (lambda: ArmijoLinesearch(initial=np.nan), "initial"),
        (lambda: ArmijoLinesearch(sufficient_decrease=1.0), "sufficient_decrease"),
        (lambda: ArmijoLinesearch(contraction=0.0), "contraction"),
        (lambda: ArmijoLinesearch(initial_guess="newton"), "initial_guess"),
    ],
)
def test_parameters_out_of_range_are_named(build, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        build()


@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.5), 1])
def test_numbers_of_any_kind_are_lengths(value):
    """And none turns single precision into double."""
    f, p0 = Quadratic(Euclidean(3)), np.ones(3, np.float32)
    gradient = lambda p: f.gradient(p).astype(np.float32)
    for rule in (ConstantLength(value), DecreasingLength(value), ArmijoLinesearch(initial=value)):
        result = gradient_descent(Euclidean(3), f, p0, gradient=gradient, stepsize=rule, max_iterations=2)
        assert result.iterations == 2 and result.point.dtype == np.float32


def test_what_is_no_step_size_is_refused():
    with pytest.raises(TypeError, match="`stepsize` must be a step-size rule such as"):
        gradient_descent(Euclidean(3), Quadratic(Euclidean(3)), np.ones(3), stepsize=0.1)
