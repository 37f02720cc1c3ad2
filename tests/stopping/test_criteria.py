"""Each criterion fires where its definition says, with a true reason."""

import datetime
import math
import re

import numpy as np
import pytest
from scripted import ScriptedState, line, quadratic, stops_at

import manifold_opt.stopping as stopping
from manifold_opt import (
    CostObjective,
    Euclidean,
    PowerManifold,
    Problem,
    ProductManifold,
    Sphere,
    Status,
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    StopWhenChangeLess,
    StopWhenCostChangeLess,
    StopWhenCostLess,
    StopWhenCostNaN,
    StopWhenEntryChangeLess,
    StopWhenGradientChangeLess,
    StopWhenGradientNormLess,
    StopWhenIterateNaN,
    StopWhenRelativeCostChangeLess,
    StopWhenRelativeGradientNormLess,
    StopWhenSmallerOrEqual,
    StopWhenStepNormLess,
    StopWhenStepsizeLess,
    gradient_descent,
    solve,
)


def named(rule):
    """Its ``repr`` without addresses of functions, so that all workers of one run collect the same tests."""
    return re.sub(r" at 0x\w+", "", repr(rule))


def largest(M, p, X):
    return np.max(np.abs(X))


def absolute(problem, state, old, new):
    return abs(new - old)


# rule, points on a line, iteration at which it fires (None: never), status
HALVING = line(1, 0.5, 0.25, 0.125, 0.0625)
CASES = [
    (StopAfterIteration(3), HALVING, 3, Status.ITERATION_LIMIT),
    (StopAfterIteration(0), HALVING, 0, Status.ITERATION_LIMIT),
    (StopAfterEvaluations(4, "gradient"), HALVING, 3, Status.EVALUATION_LIMIT),
    (StopAfter(0.0), HALVING, 0, Status.TIME_LIMIT),
    (StopAfter(datetime.timedelta(hours=1)), HALVING, None, None),
    (StopWhenGradientNormLess(0.3), HALVING, 2, Status.CONVERGED),
    (StopWhenGradientNormLess(0.25), HALVING, 3, Status.CONVERGED),
    (StopWhenGradientNormLess(2.0), HALVING, 0, Status.CONVERGED),
    (StopWhenGradientNormLess(0.0), line(1, 0), None, None),
    (StopWhenGradientNormLess(0.3, norm=np.inf), HALVING, 2, Status.CONVERGED),
    (StopWhenGradientNormLess(0.3, norm=largest), HALVING, 2, Status.CONVERGED),
    (StopWhenRelativeGradientNormLess(0.2), HALVING, 3, Status.CONVERGED),
    (StopWhenRelativeGradientNormLess(0.2), line(0), 0, Status.CONVERGED),
    (StopWhenCostLess(0.04), HALVING, 2, Status.TARGET_REACHED),
    (StopWhenCostLess(1.0), HALVING, 0, Status.TARGET_REACHED),
    (StopWhenSmallerOrEqual("damping", 0.25), HALVING, 2, Status.TARGET_REACHED),
    (StopWhenSmallerOrEqual("cost", 0.03125), HALVING, 2, Status.TARGET_REACHED),
    (StopWhenChangeLess(0.2), HALVING, 3, Status.CONVERGED),
    (StopWhenChangeLess(0.2, inverse_retraction="exponential"), HALVING, 3, Status.CONVERGED),
    (StopWhenCostChangeLess(0.1), HALVING, 2, Status.STALLED),
    (StopWhenRelativeCostChangeLess(0.5), line(4, 1, 0.9), 2, Status.STALLED),
    (StopWhenRelativeCostChangeLess(1e-9), line(1, -1), 1, Status.STALLED),
    (StopWhenGradientChangeLess(0.2), HALVING, 3, Status.STALLED),
    (StopWhenEntryChangeLess("damping", absolute, 0.2), HALVING, 3, Status.STALLED),
    (StopWhenStepNormLess(0.2), HALVING, 3, Status.STALLED),
]


@pytest.mark.parametrize("rule, points, k, status", CASES, ids=lambda x: named(x) if hasattr(x, "why") else None)
def test_fires_where_defined(rule, points, k, status):
    at, state = stops_at(rule, points)
    assert at == k
    if k is not None:
        assert state.status is status
        assert state.message.endswith(".") and state.message[0].isupper()


def test_every_criterion_has_a_meaning_and_a_case():
    rules = {
        name
        for name in stopping.__all__
        if isinstance(getattr(stopping, name), type)
        and issubclass(getattr(stopping, name), stopping.StoppingCriterion)
        and name not in ("StoppingCriterion", "AcceptedStepCriterion")
    }
    combined = {"StopWhenAny", "StopWhenAll", "StopWhenRepeated", "StopWhenIteration"}
    by_itself = {name for name in rules if isinstance(vars(getattr(stopping, name)).get("meaning"), Status)}
    assert set(stopping.MEANING) == rules - combined - by_itself
    tested = {type(case[0]).__name__ for case in CASES}
    assert set(stopping.MEANING) - tested == {"StopWhenCostNaN", "StopWhenIterateNaN", "StopWhenStepsizeLess"}


@pytest.mark.parametrize("rule, points, k, status", [case for case in CASES if case[2]], ids=lambda x: None)
def test_reason_is_true_of_its_numbers(rule, points, k, status):
    _, state = stops_at(rule, points)
    if "less than" in state.message:
        value, limit = re.search(r"(?:is|by) (\S+\d).*less than (\S+\d)", state.message).groups()
        assert float(value) < float(limit)
    else:
        assert re.search(r"\d", state.message) or "did not change" in state.message


def test_reason_shows_all_digits_where_rounding_would_lie():
    _, state = stops_at(StopWhenGradientNormLess(1e-8), [[1e-8 * (1 - 1e-9)]])
    shown, limit = re.findall(r"\d\S*\d", state.message)
    assert float(shown.rstrip(",")) < float(limit)


def test_sees_the_current_gradient_never_the_previous_one():
    # Manopt.jl 0.5 tests the gradient of the iterate before, which costs an iteration (manopt-jl.md 1.5, 12).
    at, state = stops_at(StopWhenGradientNormLess(0.5), line(1, 0.1, 0.1, 0.1))
    assert at == 1 and state.evaluation.gradient_norm == 0.1


def test_a_solver_stops_at_the_first_point_that_satisfies_the_rule():
    M, A = Sphere(2), np.diag([1.0, 2.0, 5.0])
    gradient = lambda p: 2 * (A @ p - (p @ A @ p) * p)
    p0 = np.array([0.6, 0.48, 0.64])
    result = gradient_descent(
        M, lambda p: p @ A @ p, p0, gradient=gradient, stopping=StopWhenGradientNormLess(1e-3), record=["gradient_norm"]
    )
    norms = result.record["gradient_norm"]
    assert norms[-1] < 1e-3 and all(norm >= 1e-3 for norm in norms[:-1])
    assert len(norms) == result.iterations + 1


@pytest.mark.parametrize(
    "rule",
    [
        StopWhenChangeLess(10.0),
        StopWhenCostChangeLess(10.0),
        StopWhenRelativeCostChangeLess(10.0),
        StopWhenGradientChangeLess(10.0),
        StopWhenEntryChangeLess("cost", absolute, 10.0),
        StopWhenStepsizeLess(10.0),
        StopWhenStepNormLess(10.0),
    ],
    ids=named,
)
def test_changes_and_steps_see_accepted_steps_only_and_not_the_start(rule):
    at, _ = stops_at(rule, line(1, None, None, 2, 3))
    assert at == 3
    assert stops_at(rule, line(1, None, None, None))[0] is None


def test_changes_compare_with_the_last_accepted_step_across_rejected_ones():
    assert stops_at(StopWhenChangeLess(0.2), line(1, 0.5, None, None, 0.4, 0.0))[0] == 4


def test_asking_twice_gives_the_same_answer():
    problem = quadratic()
    for rule in (StopWhenChangeLess(0.2), StopWhenChangeLess(0.2).repeated(2), StopWhenGradientNormLess(0.3)):
        _, state = stops_at(rule | StopAfterIteration(4), HALVING)
        bound = state._stop
        assert bound.check(problem, state) and bound.check(problem, state)
        reason = bound.reason
        assert bound.check(problem, state) and bound.reason == reason


def test_stepsize():
    at, state = stops_at(StopWhenStepsizeLess(0.1), HALVING, stepsizes=[math.nan, 1.0, 0.05, 1.0, 1.0])
    assert at == 2 and state.status is Status.STALLED


def test_nan():
    class Careless(ScriptedState):
        def needs_finite(self, evaluation):
            return ""

    problem = Problem(Euclidean(1), CostObjective(lambda p: float(np.log(p[0])) if p[0] > 0 else math.nan, lambda p: p))
    state = solve(problem, Careless([[1.0], [-1.0], [2.0]], stopping=StopWhenCostNaN()))
    assert state.iteration == 1 and state.status is Status.BAD_FUNCTION
    state = solve(problem, Careless([[1.0], [2.0], [math.nan]], stopping=StopWhenIterateNaN()))
    assert state.iteration == 2 and state.status is Status.BAD_FUNCTION and "1 NaN entry" in state.message


def test_evaluations_of_cost_or_residual():
    _, state = stops_at(StopAfterIteration(1), HALVING)
    for name in ("cost", "residual"):
        state.evaluations.clear()
        state.evaluations[name] = 7
        assert StopAfterEvaluations(7).why(None, state) and not StopAfterEvaluations(8).why(None, state)
        assert name in StopAfterEvaluations(7).why(None, state)


def test_a_criterion_that_the_solver_does_not_need_counts_as_watched():
    _, state = stops_at(StopWhenCostLess(0.0) | StopAfterIteration(3), HALVING)
    assert state.evaluations["watched"] == 4 and state.evaluations["cost"] == 0


def test_gradient_change_is_transported():
    # On the sphere with a linear cost, the gradient field along a geodesic is parallel only up to the transport.
    M = Sphere(2)
    p, q = np.array([1.0, 0, 0]), np.array([math.cos(0.3), math.sin(0.3), 0])
    a = np.array([0, 0, 1.0])  # orthogonal to the plane of motion: its projection is parallel
    problem = Problem(M, CostObjective(lambda p: float(a @ p), lambda p: a - (a @ p) * p))
    assert stops_at(StopWhenGradientChangeLess(1e-12), [p, q], problem)[0] == 1
    b = np.array([0, 1.0, 0])
    problem = Problem(M, CostObjective(lambda p: float(b @ p), lambda p: b - (b @ p) * p))
    change = 1 - math.cos(0.3)  # both along the geodesic, of length 1 and cos 0.3
    assert stops_at(StopWhenGradientChangeLess(change + 1e-12), [p, q], problem)[0] == 1
    assert stops_at(StopWhenGradientChangeLess(change - 1e-12), [p, q], problem)[0] is None


@pytest.mark.parametrize(
    "M, p",
    [
        (PowerManifold(Euclidean(2), 3), np.zeros((3, 2))),
        (ProductManifold(a=Euclidean(2), b=Euclidean(4)), np.zeros(6)),
    ],
    ids=named,
)
def test_outer_norms_of_components(M, p):
    X = np.arange(1.0, 7.0).reshape(p.shape)
    parts = X if p.ndim == 2 else (X[:2], X[2:])
    norms = [float(np.linalg.norm(part)) for part in parts]
    problem = Problem(M, CostObjective(lambda p: float(np.sum(p * X)), lambda p: X.copy()))
    for order in (1, 2, 4, np.inf):
        size = float(np.linalg.norm(norms, ord=order))
        fires = lambda tolerance, order=order: (
            stops_at(StopWhenGradientNormLess(tolerance, outer_norm=order), [p], problem)[0] == 0
        )
        assert fires(size * (1 + 1e-12)) and not fires(size * (1 - 1e-12))
        moved = lambda tolerance, order=order: (
            stops_at(StopWhenChangeLess(tolerance, outer_norm=order), [p, p + X], problem)[0] == 1
        )
        assert moved(size * (1 + 1e-12)) and not moved(size * (1 - 1e-12))


def test_outer_norm_inside_a_product_reaches_the_copies():
    M = ProductManifold(a=PowerManifold(Euclidean(2), 2), b=Euclidean(1))
    X = np.array([3.0, 4.0, 6.0, 8.0, 2.0])
    problem = Problem(M, CostObjective(lambda p: float(p @ X), lambda p: X.copy()))
    at, state = stops_at(StopWhenGradientNormLess(10.5, outer_norm=np.inf), [np.zeros(5)], problem)
    assert at == 0 and "10," in state.message


@pytest.mark.parametrize(
    "make",
    [
        lambda: StopAfterIteration(-1),
        lambda: StopAfter(-0.1),
        lambda: StopAfterEvaluations(0),
        lambda: StopWhenGradientNormLess(-1e-8),
        lambda: StopWhenGradientNormLess(math.nan),
        lambda: StopWhenGradientNormLess(1e-8, norm="max"),
        lambda: StopWhenGradientNormLess(1e-8, outer_norm=0.5),
        lambda: StopWhenGradientNormLess(1e-8, norm=np.inf, outer_norm=2),
        lambda: StopWhenCostLess(math.nan),
        lambda: StopWhenChangeLess(-1.0),
        lambda: StopWhenEntryChangeLess("cost", absolute, -1),
    ],
)
def test_values_that_make_no_sense(make):
    with pytest.raises(ValueError, match="Stop"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: StopAfterIteration(1.5),
        lambda: StopAfterIteration(True),
        lambda: StopAfterEvaluations(5, 3),
        lambda: StopWhenGradientNormLess("small"),
        lambda: StopWhenEntryChangeLess("cost", 1e-3, 1e-3),
        lambda: StopWhenEntryChangeLess(3, absolute, 1e-3),
        lambda: StopWhenSmallerOrEqual(3, 1e-3),
    ],
)
def test_types_that_make_no_sense(make):
    with pytest.raises(TypeError, match="Stop"):
        make()


@pytest.mark.parametrize("rule", [StopWhenSmallerOrEqual("dampin", 1), StopWhenEntryChangeLess("dampin", absolute, 1)])
def test_unknown_field_fails_before_the_first_iteration(rule):
    state = ScriptedState(HALVING, stopping=rule)
    with pytest.raises(ValueError, match=r"did you mean 'damping'\?"):
        state.begin(quadratic())
    assert state.iteration == 0


def test_numpy_numbers_are_numbers():
    assert StopAfterIteration(np.int64(5)) == StopAfterIteration(5)
    assert StopWhenGradientNormLess(np.float64(1e-6)) == StopWhenGradientNormLess(1e-6)
    assert StopAfter(datetime.timedelta(seconds=2)) == StopAfter(2)
    assert repr(StopAfterIteration(np.int64(5))) == "StopAfterIteration(5)"
