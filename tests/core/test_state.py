"""States: stepped by hand, continued, pickled at every iteration, reset, given other rules; for every solver."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from solver_problems import MANIFOLDS, Quadratic, Residual, start

from manifold_opt.core import Problem, Status, solve
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import CostObjective, NonlinearLeastSquaresObjective
from manifold_opt.solvers import (
    AdachiOkunoTakeda,
    FixedDamping,
    GradientDescentState,
    LevenbergMarquardtState,
    Nielsen,
)
from manifold_opt.stepsizes import ArmijoLinesearch, ConstantLength, DecreasingLength
from manifold_opt.stopping import (
    StopAfterIteration,
    StoppingCriterion,
    StopWhenGradientNormLess,
)


def descent(rule):
    def make(M, n=30):
        p = start(M)
        return Problem(M, CostObjective(Quadratic(M))), GradientDescentState(
            p, stepsize=rule, stopping=StopAfterIteration(n)
        )

    return make


def fit(rule):
    def make(M, n=12):
        problem = Problem(M, NonlinearLeastSquaresObjective(Residual(M)))
        return problem, LevenbergMarquardtState(start(M), damping=rule, stopping=StopAfterIteration(n))

    return make


SOLVERS = {
    "constant": descent(ConstantLength(0.1)),
    "decreasing": descent(DecreasingLength(0.3, exponent=0.5)),
    "armijo": descent(ArmijoLinesearch()),
    "nielsen": fit(Nielsen()),
    "adachi": fit(AdachiOkunoTakeda()),
    "fixed": fit(FixedDamping()),
}
EVERY = pytest.mark.parametrize("make", SOLVERS.values(), ids=SOLVERS)
EUCLIDEAN_AND_CURVED = pytest.mark.parametrize("M", [Euclidean(3), MANIFOLDS[-1]], ids=repr)


def facts(state):
    """All that a run has come to, to the last bit."""
    e = state.evaluation
    values = (state.iteration, state.status, state.message, dict(state.evaluations), state.stepsize, state.step_norm)
    return (state.point.tobytes(), e.cost, e.gradient_norm, *map(repr, values))


@EVERY
def test_nothing_is_evaluated_before_a_problem_comes(make):
    _, state = make(Sphere(2))
    assert state.status is Status.NOT_RUN and state.evaluation is None and dict(state.evaluations) == {}
    np.testing.assert_array_equal(state.point, start(Sphere(2)))
    assert state.elapsed == 0.0 and np.isnan(state.stepsize) and state.iteration == 0
    assert "NOT_RUN" in repr(state)


@EVERY
def test_a_state_owns_its_start(make):
    p = np.array([0.6, 0.0, 0.8])
    state = GradientDescentState(p)
    p[:] = 7.0
    np.testing.assert_array_equal(state.point, [0.6, 0.0, 0.8])


@EVERY
@EUCLIDEAN_AND_CURVED
def test_stepping_by_hand_is_solving(make, M):
    problem, state = make(M)
    expected = facts(solve(problem, state))
    problem, state = make(M)
    state.begin(problem)
    while not state.should_stop(problem):
        state.step(problem)
    assert facts(state) == expected


@EVERY
@EUCLIDEAN_AND_CURVED
@pytest.mark.parametrize("pickled", [False, True])
def test_a_run_cut_anywhere_continues_to_the_identical_answer(make, M, pickled):
    problem, whole = make(M, 9)
    expected = facts(solve(problem, whole))
    for cut in range(10):
        problem, state = make(M, cut)
        solve(problem, state)
        assert state.iteration <= cut
        if pickled:
            state = pickle.loads(pickle.dumps(state))
            problem = Problem(problem.manifold, problem.objective)
        state.stopping = StopAfterIteration(9)
        solve(problem, state)
        left, right = facts(state), expected
        if pickled:  # a new problem resolves its derivatives anew, and books the checks
            left, right = left[:6] + left[7:], right[:6] + right[7:]
        assert left == right, f"cut at {cut}"


@EVERY
def test_continuing_evaluates_nothing_again(make):
    problem, state = make(Sphere(2), 3)
    solve(problem, state)
    before = dict(state.evaluations)
    solve(problem, state)
    assert dict(state.evaluations) == before and state.iteration == 3 and state.status is Status.ITERATION_LIMIT


@EVERY
def test_reset_starts_afresh(make):
    problem, state = make(Sphere(2))
    solve(problem, state)
    expected = facts(state)
    assert state.reset() is state
    assert state.status is Status.NOT_RUN and state.evaluation is None and state.elapsed == 0.0
    # the first run also paid for resolving the derivatives
    left = facts(solve(problem, state))
    assert left[:6] + left[7:] == expected[:6] + expected[7:]


@EVERY
def test_reset_to_another_point(make):
    problem, state = make(Sphere(2))
    solve(problem, state)
    state.reset([0, 1, 0])
    np.testing.assert_array_equal(state.point, [0.0, 1.0, 0.0])
    assert state.point.dtype == float
    solve(problem, state)
    assert state.iteration > 0


@dataclass(frozen=True)
class Asked(StoppingCriterion):
    """Writes down at which iterations it is asked, and never stops."""

    meaning = Status.CONVERGED
    log: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "log", [])

    def __hash__(self):
        return 0

    def why(self, problem, state):
        self.log.append(state.iteration)


@EVERY
def test_a_criterion_is_asked_once_per_iteration(make):
    problem, state = make(Sphere(2))
    asked = Asked()
    state.stopping = StopAfterIteration(5) | asked
    state.begin(problem)
    while not state.should_stop(problem):
        for _ in range(3):
            assert not state.should_stop(problem)
        state.step(problem)
    assert state.should_stop(problem) and state.should_stop(problem)
    assert asked.log == list(range(6))


@EVERY
def test_the_start_is_tested_before_the_first_step(make):
    problem, state = make(Sphere(2), 0)
    solve(problem, state)
    assert state.iteration == 0 and state.status is Status.ITERATION_LIMIT
    assert state.evaluation is not None


def test_a_changed_rule_is_taken_up_and_an_equal_one_keeps_its_memory():
    problem, state = SOLVERS["armijo"](Sphere(2), 4)
    solve(problem, state)
    state.stopping = StopAfterIteration(50) | StopWhenGradientNormLess(1e-6)
    solve(problem, state)
    assert state.status is Status.CONVERGED and state.evaluation.gradient_norm < 1e-6 and state.iteration > 4


@pytest.mark.parametrize("cut", range(5))
def test_equal_parts_of_a_changed_criterion_keep_their_memory(cut):
    five_times = StopWhenGradientNormLess(1e9).repeated(5)  # at k = 0, 1, 2, 3, 4
    problem, state = SOLVERS["constant"](Sphere(2))
    for limit in (cut, 50):
        state.stopping = StopAfterIteration(limit) | five_times
        solve(problem, state)
    assert state.iteration == 4 and state.status is Status.CONVERGED


def test_rules_in_two_states_share_nothing():
    rule, stopping = ArmijoLinesearch(), StopAfterIteration(200) | StopWhenGradientNormLess(1e-7)
    M = Sphere(2)
    problem = Problem(M, CostObjective(Quadratic(M)))

    def alone(seed):
        return GradientDescentState(start(M, seed), stepsize=ArmijoLinesearch(), stopping=stopping)

    a, b = (GradientDescentState(start(M, seed), stepsize=rule, stopping=stopping) for seed in (1, 2))
    a.begin(problem)
    b.begin(problem)
    while not (a.should_stop(problem) & b.should_stop(problem)):  # in turn
        for state in (a, b):
            if not state.should_stop(problem):
                state.step(problem)
    for state, seed in ((a, 1), (b, 2)):
        fresh = solve(Problem(M, problem.objective), alone(seed))
        np.testing.assert_array_equal(state.point, fresh.point)
        assert state.iteration == fresh.iteration


def test_dampings_in_two_states_share_nothing():
    M, rule = Sphere(2), Nielsen()
    problem = Problem(M, NonlinearLeastSquaresObjective(Residual(M)))
    states = [LevenbergMarquardtState(start(M, seed), damping=rule) for seed in (1, 2)]
    for state in states:
        state.begin(problem)
    first = states[0]
    value = states[1].damping
    for _ in range(3):
        first.step(problem)
    assert states[1].damping == value != first.damping


def test_rules_are_values():
    for make in (
        lambda: ArmijoLinesearch(contraction=0.4),
        lambda: ConstantLength(0.2),
        lambda: DecreasingLength(0.2, exponent=1.0),
        lambda: Nielsen(tau=1e-2),
        lambda: AdachiOkunoTakeda(eta=0.1),
        lambda: FixedDamping(multiplier=3.0),
    ):
        a, b = make(), make()
        assert a == b and hash(a) == hash(b) and pickle.loads(pickle.dumps(a)) == a
        with pytest.raises(AttributeError):
            a.anything = 1


@EVERY
def test_every_count_is_of_this_state(make):
    """Two states on one problem count apart."""
    problem, first = make(Sphere(2), 5)
    _, second = make(Sphere(2), 5)
    solve(problem, first)
    solve(problem, second)
    ours, theirs = dict(second.evaluations), dict(first.evaluations)
    theirs.pop("check", None)  # deriving was paid for by the first
    ours.pop("check", None)
    assert ours == theirs


@EVERY
def test_elapsed_time_grows_in_the_solver_only(make):
    import time

    problem, state = make(Sphere(2), 3)
    state.begin(problem)
    before = state.elapsed
    time.sleep(0.02)
    assert state.elapsed == before > 0.0
    state.step(problem)
    assert before < state.elapsed < before + 10.0


@pytest.mark.parametrize("value", [10, "iterations", 1e-8, StopAfterIteration])
def test_what_is_no_stopping_rule_is_refused_at_once(value):
    if value is StopAfterIteration:
        value = object()
    with pytest.raises(TypeError, match="`stopping` must be a stopping criterion such as"):
        GradientDescentState(np.ones(2), stopping=value)


def test_a_bad_start_stays_bad_when_solved_again():
    problem = Problem(Euclidean(2), CostObjective(lambda p: np.nan, lambda p: p))
    state = GradientDescentState(np.ones(2))
    for _ in range(2):
        solve(problem, state)
        assert state.status is Status.BAD_FUNCTION and "start point" in state.message
        np.testing.assert_array_equal(state.point, [1.0, 1.0])
    state.reset(np.zeros(2))
    solve(Problem(Euclidean(2), CostObjective(lambda p: p @ p, lambda p: 2 * p)), state)
    assert state.status is Status.CONVERGED


def test_an_exception_of_the_users_leaves_a_state_that_continues():
    fail_at = 7
    calls = []

    def f(p):
        calls.append(p)
        if len(calls) == fail_at:
            raise ZeroDivisionError("mine")
        return float(p @ p) + p[0] ** 4

    problem = Problem(Euclidean(2), CostObjective(f, lambda p: 2 * p + [4 * p[0] ** 3, 0.0]))
    state = GradientDescentState(np.array([3.0, 1.0]))
    with pytest.raises(ZeroDivisionError, match="mine"):
        solve(problem, state)
    assert np.isfinite(state.evaluation.cost)
    solve(problem, state)
    assert state.status is Status.CONVERGED
