"""Debug, record, callback, progress: what they show is what happened, and showing it changes nothing."""

import copy
import io
import math
import pickle
import re
import time

import numpy as np
import pytest
from scripted import ScriptedState, line, quadratic

from manifold_opt import (
    CostObjective,
    Problem,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenGradientNormLess,
    gradient_descent,
    levenberg_marquardt,
    solve,
)
from manifold_opt.decorators import (
    At,
    DebugState,
    EntryChange,
    Every,
    IfEntry,
    RecordState,
    SolverWarning,
    WarnIfCostIncreases,
    WarnIfCostNotFinite,
    WarnIfFieldIncreases,
    WarnIfFieldNotFinite,
    WarnIfGradientNormTooLarge,
    WarnIfGradientNotFinite,
    WarnIfStepsizeCollapsed,
    WarnMessages,
    decorate,
    recorded,
    unwrap,
)

POINTS = line(16, 8, 4, 2, 1, 0.5, 0.25, 0.125)


def run(points=POINTS, problem=None, n=None, state=None, stopping=None, **keywords):
    """Decorated state of a run, and what it printed."""
    file = io.StringIO()
    stopping = StopAfterIteration(len(points) - 1 if n is None else n) if stopping is None else stopping
    state = ScriptedState(points, stopping=stopping) if state is None else state
    problem = quadratic() if problem is None else problem
    state = decorate(state, problem, file=file, **keywords)
    solve(problem, state)
    return state, file.getvalue().splitlines()


# debug


def test_lines_print_at_the_start_every_nth_iteration_and_the_last():
    _, lines = run(debug=["{iteration} {cost}", 3, "end: {stop_reason}"])
    ends = "end: After 7 iterations, the limit of 7 is reached."
    assert lines == ["0 1.28000000e+02", "3 2.00000000e+00", "6 3.12500000e-02", "7 7.81250000e-03", ends]


def test_the_last_line_is_not_printed_twice():
    assert run(debug=["{iteration}", 7])[1] == ["0", "7"]
    assert run(debug=["{iteration}"])[1] == [str(k) for k in range(8)]
    assert run(debug=["{iteration}", 100])[1] == ["0", "7"]
    assert run(debug="{iteration}", n=0)[1] == ["0"]


def test_formats_are_those_of_str_format():
    _, lines = run(debug=["{iteration:4d}|{cost:.3e}|{point}|{evaluations[gradient]}|{status}"], n=1)
    assert lines == ["   1|3.200e+01|[8. 0.]|2|ITERATION_LIMIT"]
    _, lines = run(debug=["{{}} {cost!r} {stopping.n} {damping:>6}"], n=0)
    assert lines == ["{} 128.0 0    1.0"]


def test_several_lines_and_rhythms_keep_their_order():
    _, lines = run(debug=["a{iteration}", Every(4, "b{iteration}"), 2, "{status}"])
    assert lines == ["a0", "b0", "a2", "a4", "b4", "a6", "a7", "b7", "ITERATION_LIMIT"]


def test_places():
    debug = [At("start", "go"), At("before", "from {iteration}"), "at {iteration}", At("stop", "stop")]
    assert run(debug=debug, n=2)[1] == ["go", "at 0", "from 0", "at 1", "from 1", "at 2", "stop"]
    assert run(debug=[*debug, 2], n=3)[1] == ["go", "at 0", "from 1", "at 2", "at 3", "stop"]


def test_short_forms():
    assert run(debug="{iteration}", n=1)[1] == ["0", "1"]
    assert len(run(debug=True)[1]) == 9
    assert len(run(debug=5)[1]) == 4
    assert run(debug=False)[1] == [] == run(debug=[])[1]


def test_a_function_makes_a_line_from_the_innermost_state():
    seen = []
    debug = [
        lambda problem, state: seen.append(type(state)) or f"x = {state.point[0]:g}",
        lambda problem, state: None,
        4,
    ]
    assert run(debug=debug)[1] == ["x = 16", "x = 1", "x = 0.125"]
    assert set(seen) == {ScriptedState}


def test_standard_output_and_files(capsys, tmp_path):
    problem = quadratic()
    solve(problem, DebugState(ScriptedState(POINTS, stopping=StopAfterIteration(1)), "{iteration}"))
    assert capsys.readouterr().out == "0\n1\n"
    path = tmp_path / "log.txt"
    solve(problem, DebugState(ScriptedState(POINTS, stopping=StopAfterIteration(1)), "{iteration}", file=path))
    assert path.read_text() == "0\n1\n"
    with pytest.raises(TypeError, match="`file`"):
        DebugState(ScriptedState(POINTS), "{iteration}", file=3)


@pytest.mark.parametrize(
    "debug, message",
    [
        ("{dampin}", r"did you mean 'damping'"),
        ("{gradientnorm}", r"did you mean 'gradient_norm'"),
        ("{cost_}", r"did you mean 'cost'"),
        ("{zzzz}", r"known are .*'?cost"),
        ("{_bounds}", "no quantity '_bounds'"),
        ("{}", "without a name"),
        ("{0}", "without a name"),
        ("{cost", "cannot be formatted"),
        ("{cost:.2q}", "cannot format 'cost'"),
        ([EntryChange("dampin")], "did you mean"),
        ([WarnIfFieldNotFinite("dampin")], "did you mean"),
        (["{cost}", 0], "at least 1"),
        (["{cost}", 3, 4], "one integer"),
    ],
)
def test_mistakes_fail_before_the_first_iteration(debug, message):
    calls = []
    with pytest.raises(ValueError, match=message):
        run(debug=debug, callback=lambda problem, state: calls.append(1))
    assert not calls


@pytest.mark.parametrize("debug", [[3.5], [None], [int], [b"x"], {"cost": 3}])
def test_items_that_mean_nothing(debug):
    with pytest.raises(TypeError, match="debug list"):
        run(debug=debug)
    with pytest.raises(ValueError, match="`place`"):
        At("middle", "x")


# quantities


def test_changes_are_of_the_last_iteration():
    _, lines = run(
        points=line(3, 1, None, 2),
        debug=["{iteration} {change:g} {cost_change:g} {gradient_change:g} {step_norm:g} {stepsize:g}"],
    )
    assert lines == ["0 nan nan nan nan nan", "1 2 -4 2 2 1", "2 0 0 0 2 1", "3 1 1.5 1 1 1"]


def test_changes_are_of_the_last_iteration_also_between_printed_ones():
    assert run(debug=["{change:g}", 3])[1] == ["nan", "2", "0.25", "0.125"]


def test_times_add_up():
    class Slow(ScriptedState):
        def advance(self, problem):
            time.sleep(0.002)
            super().advance(problem)

    state, _ = run(state=Slow(POINTS, stopping=StopAfterIteration(5)), record=["time", "iteration_time"])
    record = recorded(state)
    assert np.allclose(np.diff(record["time"]), record["iteration_time"][1:]) and min(np.diff(record["time"])) >= 0.002
    assert record["time"][-1] <= state.elapsed and math.isnan(record["iteration_time"][0])


def test_fields_of_the_state_and_the_evaluation():
    class Residual(ScriptedState):
        def advance(self, problem):
            super().advance(problem)
            self.inner_values = {"a": self.iteration}

    state = Residual(POINTS, stopping=StopAfterIteration(2))
    state.inner_values = {"a": -1}
    _, lines = run(state=state, debug=["{inner_values[a]} {damping}"])
    assert lines == ["-1 1.0", "0 0.5", "1 0.25"]
    file = io.StringIO()
    keywords = {"debug": "{residuals} {damping_rule.acceptance}", "file": file, "max_iterations": 1}
    levenberg_marquardt(quadratic().manifold, lambda p: 1 * p, np.ones(2), jacobian=lambda p: np.eye(2), **keywords)
    assert file.getvalue().startswith("[1. 1.] 0.0001\n")


def counted(**keywords):
    M, A = Sphere(3), np.diag([1.0, 2.0, 3.0, 7.0])
    calls = {"cost": 0, "gradient": 0}

    def f(p):
        calls["cost"] += 1
        return float(p @ A @ p)

    def gradient(p):
        calls["gradient"] += 1
        return 2 * (A @ p - (p @ A @ p) * p)

    p0 = np.ones(4) / 2
    return gradient_descent(M, f, p0, gradient=gradient, **keywords), calls


def test_watching_repeats_no_evaluation_and_changes_nothing():
    everything = ["cost", "gradient", "gradient_norm", "change", "cost_change", "gradient_change", "point", "time"]
    plain, calls = counted()
    watched, watched_calls = counted(
        debug=[" ".join(f"{{{name}}}" for name in everything), WarnIfCostIncreases(), WarnIfGradientNotFinite()],
        record=everything,
        callback=lambda problem, state: None,
        file=io.StringIO(),
    )
    assert watched_calls == calls and watched.evaluations == plain.evaluations
    assert np.array_equal(watched.point, plain.point)


def test_what_the_solver_did_not_need_is_counted_as_watched():
    problem = quadratic()
    state, _ = run(record=["cost", "cost_change"], debug=["{cost}"], problem=problem)
    assert state.evaluations["watched"] == len(POINTS) and state.evaluations["cost"] == 0


# warnings


def failing(values):
    """Problem on the line whose cost at x is values[x]."""
    return Problem(quadratic().manifold, CostObjective(lambda p: values[int(p[0])], lambda p: np.array([1.0, 0.0])))


def test_warning_when_the_cost_is_not_finite_comes_once_or_always():
    problem, points = failing([1.0, math.nan, math.inf]), line(0, 1, 2)
    with pytest.warns(SolverWarning) as caught:
        run(points, problem, debug=[WarnIfCostNotFinite()])
    assert [str(w.message) for w in caught] == ["`cost` is not finite at iteration 1: nan."]
    with pytest.warns(SolverWarning) as caught:
        run(points, problem, debug=[WarnIfCostNotFinite(how="always"), 100])
    assert len(caught) == 2


def test_warning_when_the_gradient_is_not_finite():
    class Careless(ScriptedState):
        def needs_finite(self, evaluation):
            return ""

    M = quadratic().manifold
    problem = Problem(M, CostObjective(lambda p: 0.0, lambda p: p if p[0] < 2 else np.array([math.inf, 0.0])))
    with pytest.warns(SolverWarning, match="`gradient` is not finite at iteration 1"):
        run(state=Careless(line(1, 2), stopping=StopAfterIteration(1)), problem=problem, debug=[At("stop", "x"), WARN])


WARN = WarnIfGradientNotFinite()


def test_warning_when_the_cost_increases():
    with pytest.warns(SolverWarning, match=r"`cost` increased by 3 in iteration 2"):
        run(line(0, 1, 2), failing([5.0, 1.0, 4.0]), debug=[WarnIfCostIncreases()])
    run(line(0, 1, 2), failing([5.0, 1.0, 1.0 + 1e-14]), debug=[WarnIfCostIncreases()])
    run(line(0, 1, 2), failing([5.0, 1.0, 4.0]), debug=[WarnIfCostIncreases(tolerance=5)])


def test_warning_when_another_field_increases_or_is_not_finite():
    with pytest.warns(SolverWarning, match="`damping` increased by 1.5 in iteration 2"):
        run(line(0, 1, None), debug=[WarnIfFieldIncreases("damping")])
    with pytest.warns(SolverWarning, match="`step_norm` is not finite at iteration 0"):
        run(debug=[WarnIfFieldNotFinite("step_norm")])


def test_warning_when_the_gradient_is_longer_than_the_injectivity_radius():
    M = Sphere(2)
    a = np.array([0.0, 4.0, 0.0])
    problem = Problem(M, CostObjective(lambda p: float(a @ p), lambda p: a - (a @ p) * p))
    with pytest.warns(SolverWarning, match=r"gradient norm 4 .* more than 1 times the injectivity radius 3.142"):
        run([[1.0, 0, 0]], problem, debug=[WarnIfGradientNormTooLarge()])
    run([[1.0, 0, 0]], problem, debug=[WarnIfGradientNormTooLarge(2.0)])
    run(debug=[WarnIfGradientNormTooLarge()])  # a radius without end


def test_warning_when_the_step_size_collapses():
    state = ScriptedState(line(1, 2, 3), stepsizes=[1, 1e-3, 1e-9], stopping=StopAfterIteration(2))
    with pytest.warns(SolverWarning, match="step size is 1e-09 at iteration 2"):
        run(state=state, debug=[WarnIfStepsizeCollapsed()])


def test_messages_of_the_solver():
    class Talking(ScriptedState):
        def messages(self):
            return [f"message {self.iteration}"] if self.iteration % 2 else []

    make = lambda: Talking(POINTS, stopping=StopAfterIteration(4))
    with pytest.warns(SolverWarning) as caught:
        run(state=make(), debug=[WarnMessages()])
    assert [str(w.message) for w in caught] == ["message 1", "message 3"]
    with pytest.warns(SolverWarning) as caught:
        run(state=make(), debug=[WarnMessages(how="once")])
    assert len(caught) == 1
    assert run(state=make(), debug="{messages}")[1] == ["", "message 1", "", "message 3", ""]


def test_if_entry_warns_prints_or_raises():
    debug = [IfEntry("damping", lambda v: v > 0.2, "damping {value} at {iteration}", "print")]
    assert run(debug=debug, n=4)[1] == ["damping 0.125 at 3", "damping 0.0625 at 4"]
    with pytest.warns(SolverWarning, match="`damping` is 0.125 at iteration 3"):
        run(debug=[IfEntry("damping", lambda v: v > 0.2, how="once")], n=5)
    with pytest.raises(RuntimeError, match="`damping`"):
        run(debug=[IfEntry("damping", lambda v: v > 0.2, action="raise")])
    with pytest.raises(ValueError, match="`action`"):
        IfEntry("damping", action="shout")
    with pytest.raises(ValueError, match="`how`"):
        WarnIfCostNotFinite(how="never")


def test_entry_change():
    halves = lambda problem, state, old, new: old / new
    debug = [EntryChange("damping"), EntryChange("damping", halves, "{field} / {value:g}"), EntryChange("point")]
    _, lines = run(debug=debug, n=1)
    assert lines[3:] == ["change of damping: 5.000e-01", "damping / 2", "change of point: 8.000e+00"]
    state, _ = run(record=[EntryChange("damping"), ("mine", EntryChange("damping", halves))], n=2)
    assert recorded(state)["damping_change"][1:] == [0.5, 0.25] and recorded(state)["mine"][1:] == [2.0, 2.0]


# record


def test_record_includes_start_and_last_point():
    state, _ = run(record=["iteration", "cost", "point", "stop_reason", 3])
    record = recorded(state)
    assert record["iteration"] == [0, 3, 6, 7]
    assert record["cost"] == [0.5 * x * x for x in (16, 2, 0.25, 0.125)]
    assert [p[0] for p in record["point"]] == [16, 2, 0.25, 0.125]
    assert record["stop_reason"] == [state.message]


def test_own_names_and_functions():
    twice = lambda problem, state: 2 * state.iteration
    state, _ = run(record=["iteration", ("double", twice), ("f", "cost")], n=2)
    assert recorded(state)["double"] == [0, 2, 4] and recorded(state)["f"] == [128.0, 32.0, 8.0]
    state, _ = run(record={"double": twice, "f": "cost"}, n=2)
    assert list(recorded(state)) == ["double", "f"]
    state, _ = run(record=("double", twice), n=2)
    assert recorded(state) == {"double": [0, 2, 4]}
    assert list(recorded(run(record=True)[0])) == ["iteration", "cost", "gradient_norm", "time"]
    assert list(recorded(run(record="cost")[0])) == ["cost"]


def test_mutable_values_are_copied():
    class Reusing(ScriptedState):
        def __init__(self, *args, **keywords):
            super().__init__(*args, **keywords)
            self.buffer, self.notes = np.zeros(1), []

        def advance(self, problem):
            super().advance(problem)
            self.buffer += 1
            self.notes.append(self.iteration)

    state, _ = run(
        state=Reusing(POINTS, stopping=StopAfterIteration(3)), record=["buffer", "notes", "evaluations", "point"]
    )
    record = recorded(state)
    assert [float(b[0]) for b in record["buffer"]] == [0, 1, 2, 3]
    assert record["notes"] == [[], [0], [0, 1], [0, 1, 2]]
    assert [c["gradient"] for c in record["evaluations"]] == [1, 2, 3, 4]
    assert not np.shares_memory(record["point"][-1], state.point)


@pytest.mark.parametrize("record", [["cost", "cost"], ["cost", ("cost", "time")], ["cost", 2, 3], ["cost", 0], ["cst"]])
def test_record_values_that_make_no_sense(record):
    with pytest.raises(ValueError):
        run(record=record)


@pytest.mark.parametrize("record", [[3.5], [("a", 3)], [("a",)], [lambda problem, state: 1]])
def test_record_types_that_make_no_sense(record):
    with pytest.raises(TypeError, match="record list"):
        run(record=record)


def test_nested_records_merge():
    problem = quadratic()
    state = RecordState(RecordState(ScriptedState(POINTS, stopping=StopAfterIteration(2)), ["cost"]), ["iteration", 2])
    assert recorded(solve(problem, state)) == {"cost": [128.0, 32.0, 8.0], "iteration": [0, 2]}
    assert recorded(ScriptedState(POINTS)) == {}


# callback


def test_callback_is_called_after_every_iteration_and_may_stop():
    seen = []
    state, _ = run(callback=lambda problem, state: seen.append((type(state), state.iteration)))
    assert seen == [(ScriptedState, k) for k in range(1, 8)] and state.status is Status.ITERATION_LIMIT
    for true in (True, np.True_):
        state, lines = run(
            callback=lambda problem, state, t=true: t if state.iteration == 3 else None, debug=["{status}"]
        )
        assert state.status is Status.STOPPED_BY_CALLBACK and state.iteration == 3 and "iteration 3" in state.message
        assert lines == ["STOPPED_BY_CALLBACK"]
    state, _ = run(callback=lambda problem, state: 1)
    assert state.status is Status.ITERATION_LIMIT
    with pytest.raises(TypeError, match="`callback`"):
        run(callback=3)


def test_a_failure_is_not_hidden_by_the_callback():
    class Failing(ScriptedState):
        def advance(self, problem):
            self.fail(Status.ROUND_OFF, "Too small.")

    state, _ = run(state=Failing(POINTS), callback=lambda problem, state: True)
    assert state.status is Status.ROUND_OFF


# subsolvers


class Parent(ScriptedState):
    """Solves another problem in every iteration."""

    def __init__(self, subsolver, **keywords):
        super().__init__(POINTS, **keywords)
        self.subsolver = subsolver

    def advance(self, problem):
        super().advance(problem)
        solve(problem, self.subsolver.reset(POINTS[2]))


def family(parent_debug, file, **keywords):
    inner = ScriptedState(line(4, 2, 1), stopping=StopAfterIteration(2))
    inner = decorate(inner, debug=["  inner {iteration}", "  inner end {status}"], file=file, **keywords)
    return decorate(Parent(inner, stopping=StopAfterIteration(4)), debug=parent_debug, file=file)


def test_a_subsolver_prints_when_its_parent_prints():
    file = io.StringIO()
    solve(quadratic(), family(["outer {iteration}", 2], file))
    block = ["  inner 0", "  inner 1", "  inner 2", "  inner end ITERATION_LIMIT"]
    assert file.getvalue().splitlines() == ["outer 0", *block, "outer 2", *block, "outer 4"]
    file = io.StringIO()
    solve(quadratic(), family(["{stop_reason}"], file))
    assert len(file.getvalue().splitlines()) == 1
    file = io.StringIO()
    solve(quadratic(), family(None, file))  # nobody to wait for
    assert file.getvalue().splitlines() == 4 * block


def test_the_record_of_a_subsolver():
    state = family(None, io.StringIO(), record=["iteration"])
    state = decorate(
        state, record=["iteration", "subsolver", ("last", lambda problem, state: state.subsolver.cost_now)]
    )
    state.core.subsolver.core.cost_now = 7.0
    solve(quadratic(), state)
    record = recorded(state)
    assert record["subsolver"] == [{"iteration": []}, *[{"iteration": [0, 1, 2]}] * 4]
    assert record["subsolver"][1] is not record["subsolver"][2] and record["last"] == [7.0] * 5


# progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_and_nowhere_else():
    terminal, plain, problem = Terminal(), io.StringIO(), quadratic()
    for file in (terminal, plain):
        state = ScriptedState(POINTS, stopping=StopAfterIteration(7) | StopWhenGradientNormLess(1e-9))
        solve(problem, decorate(state, progress=True, file=file))
    assert "iteration 7" in terminal.getvalue() and "|grad|" in terminal.getvalue()
    assert plain.getvalue() == ""
    assert state.evaluations["watched"] == 0


def test_progress_gives_the_terminal_back_when_a_function_fails():
    def f(p):
        raise ZeroDivisionError

    terminal, problem = Terminal(), quadratic()
    state = decorate(ScriptedState(POINTS), callback=None, progress=True, file=terminal)
    state.begin(problem)
    state.core.advance = f
    with pytest.raises(ZeroDivisionError):
        state.step(problem)
    assert state.bar is None and terminal.getvalue().endswith(("\n", "\x1b[?25h"))


# one base


def all_around(state, tmp_path):
    return decorate(
        state,
        debug=["{iteration} {change}", EntryChange("damping"), WarnIfCostIncreases(), "{stop_reason}"],
        record=["cost", "change", EntryChange("damping")],
        progress=True,
        callback=stop_at_six,
        checkpoint=tmp_path / "run.npz",
        file=tmp_path / "log.txt",
    )


def stop_at_six(problem, state):
    return state.iteration == 6


def test_gets_and_sets_reach_the_innermost_state(tmp_path):
    core = ScriptedState(POINTS)
    state = all_around(core, tmp_path)
    assert unwrap(state) is core and unwrap(core) is core
    state.damping = 5.0
    state.brand_new = 6.0
    assert core.damping == 5.0 and core.brand_new == 6.0 and state.damping == 5.0
    assert state.iteration == 0 and not hasattr(state, "nonsense")
    with pytest.raises(AttributeError):
        state.nonsense  # noqa: B018
    assert repr(core) in repr(state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_decorated_state_pickles_and_goes_on(duplicate, tmp_path):
    problem = quadratic()
    whole = solve(problem, all_around(ScriptedState(POINTS), tmp_path))
    log = (tmp_path / "log.txt").read_text()
    (tmp_path / "log.txt").unlink()
    (tmp_path / "run.npz").unlink()
    state = all_around(ScriptedState(POINTS), tmp_path)
    state.begin(problem)
    for _ in range(3):
        assert not state.should_stop(problem)
        state.step(problem)
    state = duplicate(state)
    solve(problem, state)
    assert state.iteration == 6 and state.status is Status.STOPPED_BY_CALLBACK
    assert np.array_equal(state.point, whole.point)
    assert recorded(state)["cost"] == recorded(whole)["cost"]
    assert recorded(state)["change"][1:] == recorded(whole)["change"][1:]
    assert (tmp_path / "log.txt").read_text() == log


@pytest.mark.parametrize("at", [1, 2, 7])
def test_interruption_ends_like_any_other_run(at, tmp_path):
    calls, file = [], Terminal()

    def f(p):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return float(p[0])

    debug = ["{iteration}", 100, "end {status}"]
    keywords = {"debug": debug, "record": "cost", "progress": True, "checkpoint": tmp_path / "run.npz", "file": file}
    result = gradient_descent(
        Sphere(2), f, np.array([0.6, 0, 0.8]), gradient=lambda p: np.array([1.0, 0, 0]) - p[0] * p, **keywords
    )
    assert result.status is Status.INTERRUPTED
    if at > 1:
        assert file.getvalue().count("end INTERRUPTED") == 1 and len(result.record["cost"]) == result.iterations + 1


def test_solving_again_continues_and_repeats_no_line():
    problem, file = quadratic(), io.StringIO()
    state = decorate(
        ScriptedState(POINTS, stopping=StopAfterIteration(3)), debug="{iteration}", record="cost", file=file
    )
    solve(problem, state)
    state.stopping = StopAfterIteration(6)
    solve(problem, state)
    assert file.getvalue().split() == [str(k) for k in range(7)] and len(recorded(state)["cost"]) == 7
    solve(problem, state.reset())
    assert len(recorded(state)["cost"]) == 7 and file.getvalue().split() == 2 * [str(k) for k in range(7)]


def test_nothing_asked_for_nothing_wrapped():
    state = ScriptedState(POINTS)
    assert decorate(state) is state and decorate(state, debug=None, record=[], progress=False) is state


class Idle:
    """A state that does nothing, to time what is around it."""

    evaluation = None
    iteration = 0

    def begin(self, problem):
        self.evaluation = self

    def should_stop(self, problem):
        return False

    def step(self, problem):
        self.iteration += 1


@pytest.mark.parametrize(
    "keywords",
    [{"debug": ["{iteration}", 10**9]}, {"record": ["iteration", 10**9]}, {"callback": lambda problem, state: None}],
    ids=["debug", "record", "callback"],
)
def test_a_wrapper_with_nothing_to_do_costs_little(keywords):
    def seconds(state, n=5000):
        state.begin(None)
        best = math.inf
        for _ in range(5):
            clock = time.perf_counter()
            for _ in range(n):
                state.should_stop(None)
                state.step(None)
            best = min(best, time.perf_counter() - clock)
        return best / n

    extra = seconds(decorate(Idle(), file=io.StringIO(), **keywords)) - seconds(Idle())
    assert extra < 10e-6  # the budget is 2 us; the margin is for slow and busy machines


def test_errors_of_a_format_name_the_line():
    with pytest.raises(ValueError, match=re.escape("'{iteration:.2e}x{cost:d}'")):
        run(debug="{iteration:.2e}x{cost:d}")
