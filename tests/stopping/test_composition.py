"""Criteria are values that compose."""

import copy
import itertools
import pickle
import timeit

import numpy as np
import pytest
from scripted import ScriptedState, line, quadratic, stops_at

from manifold_opt import (
    Status,
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    StoppingCriterion,
    StopWhenChangeLess,
    StopWhenCostChangeLess,
    StopWhenCostLess,
    StopWhenGradientNormLess,
    solve,
)
from manifold_opt.stopping import StopWhenAll, StopWhenAny, StopWhenIteration, StopWhenRepeated, edit

A, B, C = StopAfterIteration(5), StopWhenGradientNormLess(1e-3), StopWhenCostLess(2.0)
ALL = [
    A,
    B,
    StopWhenGradientNormLess(1e-3, norm=np.inf),
    A | B,
    A & B,
    (A | B) & C,
    A | B & C,
    B.repeated(3),
    B.repeated(2, consecutive=False),
    (A | B).after(4),
    B.at(4),
    B.before(4),
    (B & C).repeated(2).after(1),
]


def test_flattening():
    assert (A | B | C).parts == (A, B, C) == (A | (B | C)).parts
    assert (A & B & C).parts == (A, B, C)
    assert ((A | B) & C).parts == (A | B, C)


@pytest.mark.parametrize("rule", ALL, ids=repr)
def test_values(rule):
    assert rule == copy.deepcopy(rule) == pickle.loads(pickle.dumps(rule))
    assert hash(rule) == hash(copy.deepcopy(rule))
    names = {**vars(__import__("manifold_opt")), **globals(), "inf": np.inf}
    assert eval(repr(rule), names) == rule  # the repr is how to write it


def test_different_values_differ():
    assert len(set(ALL)) == len(ALL)
    assert A != StopAfterIteration(6) and (A | B) != (B | A)


def test_frozen():
    with pytest.raises(AttributeError):
        A.n = 3


@pytest.mark.parametrize("rule", [A, A | B, B.repeated(2)], ids=repr)
def test_bool_raises_and_explains(rule):
    with pytest.raises(TypeError, match="`a & b`"):
        bool(rule)
    with pytest.raises(TypeError, match="would silently be"):
        rule and B  # noqa: B018


def test_only_criteria_compose():
    with pytest.raises(TypeError):
        A | 3
    with pytest.raises(TypeError):
        A & "B"
    with pytest.raises(TypeError, match="takes stopping criteria"):
        StopWhenAny(A, 3)
    with pytest.raises(ValueError):
        StopWhenAll()
    with pytest.raises(ValueError, match="`n`"):
        B.repeated(0)
    with pytest.raises(TypeError, match="`n`"):
        B.after(1.5)
    with pytest.raises(ValueError, match="comparison"):
        StopWhenIteration(B, "<=", 1)
    with pytest.raises(TypeError, match="criterion"):
        StopWhenRepeated(3, 3)


def test_any_a_converging_part_wins_then_the_first():
    points = line(1, 0.5, 0.25)
    _, state = stops_at(StopAfterIteration(2) | StopWhenGradientNormLess(0.3), points)
    assert state.status is Status.CONVERGED and state.message.startswith("The gradient norm")
    _, state = stops_at(StopAfter(0) | StopAfterIteration(0), points)
    assert state.status is Status.TIME_LIMIT
    _, state = stops_at(StopAfterIteration(0) | StopAfter(0), points)
    assert state.status is Status.ITERATION_LIMIT


def test_any_asks_all_parts_so_that_none_misses_an_iteration():
    # The first part holds from k = 1 on; the changes must be counted all the same, and win at k = 3.
    small_change = StopWhenChangeLess(0.3).repeated(2)
    _, state = stops_at((StopAfterIteration(1) | small_change) & StopAfterIteration(3), line(1, 0.5, 0.4, 0.3))
    assert state.iteration == 3 and "changed" in state.message and state.status is Status.CONVERGED


def test_all_needs_all_at_once_and_names_all():
    rule = StopWhenGradientNormLess(0.6) & StopWhenChangeLess(0.2)
    at, state = stops_at(rule, line(1, 0.9, 0.5, 0.4))
    assert at == 3 and state.status is Status.CONVERGED
    assert "gradient norm" in state.message and "; and the point changed" in state.message
    rule = StopAfterIteration(1) & StopWhenGradientNormLess(0.6)
    assert stops_at(rule, line(1, 0.9, 0.5))[1].status is Status.CONVERGED


def test_truth_table_of_any_and_all():
    for i, j, k in itertools.product(range(4), repeat=3):
        a, b, c = (StopAfterIteration(n) for n in (i, j, k))
        points = line(*range(5))
        assert stops_at(a | b | c, points)[0] == min(i, j, k)
        assert stops_at(a & b & c, points)[0] == max(i, j, k)
        assert stops_at((a | b) & c, points)[0] == max(min(i, j), k)


def test_convergence_flags():
    assert B.indicates_convergence and not A.indicates_convergence
    assert not (A | B).indicates_convergence and (A & B).indicates_convergence
    assert (B | StopWhenChangeLess(1e-8)).indicates_convergence
    assert B.repeated(3).indicates_convergence and not A.after(2).indicates_convergence


SMALL = StopWhenGradientNormLess(0.5)
BLINK = line(1, 0.1, 1, 0.1, 0.1, 1, 0.1, 0.1, 0.1)


def test_repeated():
    assert stops_at(SMALL.repeated(1), BLINK)[0] == 1
    assert stops_at(SMALL.repeated(2), BLINK)[0] == 4
    assert stops_at(SMALL.repeated(3), BLINK)[0] == 8
    assert stops_at(SMALL.repeated(3, consecutive=False), BLINK)[0] == 4
    _, state = stops_at(SMALL.repeated(3), BLINK)
    assert "3 times running" in state.message and state.status is Status.CONVERGED


def test_rejected_steps_do_not_interrupt_a_row_of_small_changes():
    assert stops_at(StopWhenChangeLess(0.2).repeated(2), line(1, 0.9, None, 0.8))[0] == 3
    assert stops_at(StopWhenChangeLess(0.2).repeated(2), line(1, 0.9, 0.5, 0.4, 0.3))[0] == 4


def test_at_certain_iterations():
    assert stops_at(SMALL.after(1), BLINK)[0] == 3
    assert stops_at(SMALL.after(4), BLINK)[0] == 6
    assert stops_at(SMALL.at(4), BLINK)[0] == 4
    assert stops_at(SMALL.at(5), BLINK)[0] is None
    assert stops_at(SMALL.before(2), BLINK)[0] == 1
    assert stops_at(SMALL.before(1), BLINK)[0] is None
    assert stops_at(StopWhenGradientNormLess(2).after(0), BLINK)[0] == 1


def test_a_change_rule_keeps_its_memory_outside_its_window():
    # The comparison at k = 3 is with k = 2, though the rule may fire only after 2.
    assert stops_at(StopWhenCostChangeLess(0.01).after(2), line(1, 0.5, 0.4, 0.39, 0.2))[0] == 3


def test_a_rule_outside_its_window_evaluates_nothing():
    _, state = stops_at(StopWhenCostLess(0.0).after(2) | StopAfterIteration(3), line(1, 2, 3, 4))
    assert state.evaluations["watched"] == 1


def test_one_rule_in_two_runs_shares_nothing():
    rule = StopWhenChangeLess(0.2).repeated(2)
    problem = quadratic()
    first = ScriptedState(line(1, 0.9, 0.8, 0.7), stopping=rule)
    second = ScriptedState(line(1, 0.9, 0.8, 0.7), stopping=rule)
    for state in (first, second):
        state.begin(problem)
    while not first.should_stop(problem):
        first.step(problem)
    assert not second.should_stop(problem)
    assert solve(problem, second).iteration == first.iteration == 2


@pytest.mark.parametrize("k", range(6))
def test_memory_survives_pickling_and_a_change_of_the_other_parts(k):
    points = line(1, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1)
    rule = StopWhenChangeLess(0.2).repeated(3)
    whole = stops_at(rule, points)[0]
    problem = quadratic()
    state = solve(problem, ScriptedState(points, stopping=StopAfterIteration(k) | rule))
    state = pickle.loads(pickle.dumps(state))
    solve(problem, state)
    assert state.iteration == min(k, whole)
    state.stopping = StopAfterIteration(100) | rule
    assert solve(problem, state).iteration == whole


def test_reset_forgets():
    problem = quadratic()
    state = solve(problem, ScriptedState(line(1, 0.9, 0.8), stopping=StopWhenChangeLess(0.2)))
    assert solve(problem, state.reset()).iteration == 1


def test_a_users_own_criterion():
    from dataclasses import dataclass

    @dataclass(frozen=True, repr=False)
    class StopWhenFar(StoppingCriterion):
        meaning = Status.DIVERGED
        radius: float = 10.0

        def why(self, problem, state):
            r = float(np.linalg.norm(state.point))
            return f"The point is {r:g} from the origin." if r > self.radius else None

    rule = StopWhenFar(3.0) | StopAfterIteration(10)
    at, state = stops_at(rule, line(1, 2, 4, 8))
    assert at == 2 and state.status is Status.DIVERGED and repr(rule).startswith("StopWhenFar(3.0)")

    @dataclass(frozen=True, repr=False)
    class Silent(StoppingCriterion):
        pass

    with pytest.raises(NotImplementedError, match="meaning"):
        Silent().meaning  # noqa: B018
    with pytest.raises(NotImplementedError, match="why"):
        stops_at(Silent(), line(1, 2))


# edit


def test_edit_replaces_numbers():
    rule = A | B
    assert edit(rule) == rule
    assert edit(rule, max_iterations=7) == StopAfterIteration(7) | B
    assert edit(rule, tolerance=1e-5) == A | StopWhenGradientNormLess(1e-5)
    assert edit(StopWhenGradientNormLess(1e-3, norm=np.inf), tolerance=1e-5) == StopWhenGradientNormLess(1e-5, np.inf)


def test_edit_adds_what_is_not_there():
    assert edit(B, max_iterations=7) == StopAfterIteration(7) | B
    assert set(edit(A | B, max_time=3, max_evaluations=9).parts) == {A, B, StopAfter(3), StopAfterEvaluations(9)}
    own = StopAfterEvaluations(5, "hessian")
    assert own in edit(own | B, max_evaluations=9).parts


def test_edit_reaches_inside():
    assert edit((A & C) | B.repeated(2), tolerance=1e-5, max_iterations=7) == (StopAfterIteration(7) & C) | (
        StopWhenGradientNormLess(1e-5).repeated(2)
    )


def test_edit_names_the_parts_when_there_is_no_tolerance():
    with pytest.raises(ValueError, match=r"StopAfterIteration, StopWhenCostLess.*`stopping=`"):
        edit(A | C, tolerance=1e-3)
    with pytest.raises(ValueError, match="`n`"):
        edit(A, max_iterations=-1)


def test_speed_of_the_common_pair():
    problem = quadratic()
    state = ScriptedState(line(1, 2), stopping=StopAfterIteration(100) | StopWhenGradientNormLess(1e-8))
    state.begin(problem)
    check = state._stop.check
    seconds = min(timeit.repeat(lambda: check(problem, state), number=2000, repeat=20)) / 2000
    assert seconds < 5e-6  # the budget is 1 us; the margin is for slow and busy machines
