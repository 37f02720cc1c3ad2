"""What Manopt.jl 0.5 can print, warn about and record, and how it is said here (its names in the first column)."""

import io

import pytest
from scripted import ScriptedState, line, quadratic

from manifold_opt import StopAfterIteration, solve
from manifold_opt.decorators import (
    At,
    EntryChange,
    Every,
    IfEntry,
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
)


def spoken(values):
    return values > 100


DEBUG = [
    (":Iteration", "{iteration}", "0"),
    (":Cost", "f(x): {cost}", "f(x): 5.00000000e-01"),
    (":Change", "Last Change: {change}", "Last Change: nan"),
    (":Iterate", "p: {point}", "p: [1. 0.]"),
    (":Gradient", "grad f(p): {gradient}", "grad f(p): [1. 0.]"),
    (":GradientNorm", "|grad f(p)|: {gradient_norm}", "|grad f(p)|: 1.000e+00"),
    (":GradientChange", "Last Change: {gradient_change}", "Last Change: nan"),
    (":Stepsize", "s: {stepsize}", "s: nan"),
    (":Stop", "{stop_reason}", "After 1 iterations, the limit of 1 is reached."),
    (":Time", "time spent: {time}", None),
    (":IterativeTime", "time spent: {iteration_time}", "time spent: nan"),
    (":damping (a field)", "{damping}", "1.0"),
    ("(:Cost, format)", "{cost:.2f}", "0.50"),
    ("divider", "{iteration} | {cost:g}", "0 | 0.5"),
    ("DebugEntryChange", EntryChange("damping"), "change of damping: nan"),
    ("DebugIfEntry", IfEntry("damping", spoken, "no: {value}", "print"), "no: 1.0"),
    ("DebugEvery", Every(2, "{iteration}"), "0"),
    ("function", lambda problem, state: f"k = {state.iteration}", "k = 0"),
    (":Start =>", At("start", "begin"), "begin"),
    (":BeforeIteration =>", At("before", "from {iteration}"), "from 0"),
    (":Iteration =>", At("iteration", "{iteration}"), "0"),
    (":Stop =>", At("stop", "done"), "done"),
    (":Messages", "{messages}", ""),
    # looked at in every iteration; silent in this run
    (":WarnCost", WarnIfCostNotFinite(), None),
    (":WarnGradient", WarnIfGradientNotFinite(), None),
    (":WarnStepsize", WarnIfStepsizeCollapsed(), None),
    (":WarnBundle", WarnIfFieldIncreases("damping"), None),
    (":WarningMessages", WarnMessages(), None),
    ("DebugWarnIfCostIncreases", WarnIfCostIncreases(), None),
    ("DebugWarnIfFieldNotFinite", WarnIfFieldNotFinite("point"), None),
    ("DebugWarnIfGradientNormTooLarge", WarnIfGradientNormTooLarge(), None),
]
# Not here yet, for want of solvers that have them: :Feasibility, :ProximalParameter, the primal and dual residuals and
# changes. A field of such a state is printed by its name.

RECORD = [
    (":Iteration", "iteration"),
    (":Cost", "cost"),
    (":Change", "change"),
    (":Iterate", "point"),
    (":Gradient", "gradient"),
    (":GradientNorm", "gradient_norm"),
    (":GradientChange", "gradient_change"),
    (":Stepsize", "stepsize"),
    (":Time", "time"),
    (":IterativeTime", "iteration_time"),
    (":Stop", "stop_reason"),
    (":damping (a field)", "damping"),
    ("RecordEntryChange", EntryChange("damping")),
    ("action => :name", ("own name", "cost")),
    ("function", ("own name", lambda problem, state: 1.0)),
]


def run(**keywords):
    state = ScriptedState(line(1, 0.5), stopping=StopAfterIteration(1))
    return solve(quadratic(), decorate(state, **keywords))


@pytest.mark.parametrize("symbol, item, first", DEBUG, ids=[row[0] for row in DEBUG])
def test_debug(symbol, item, first):
    file = io.StringIO()
    run(debug=[item], file=file)
    lines = file.getvalue().split("\n")
    if first is None:
        assert "time" in lines[0] or lines == [""]
    else:
        assert lines[0] == first


@pytest.mark.parametrize("symbol, item", RECORD, ids=[row[0] for row in RECORD])
def test_record(symbol, item):
    ((_, values),) = recorded(run(record=[item])).items()
    assert len(values) == (1 if item == "stop_reason" else 2)


def test_everything_together():
    state = run(debug=[row[1] for row in DEBUG], record=[row[1] for row in RECORD[:-1]], file=io.StringIO())
    assert len(recorded(state)) == len(RECORD) - 1
