"""A run that was killed goes on to the identical answer."""

import io
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from scripted import ScriptedState, line, quadratic

import manifold_opt
from manifold_opt import (
    ArmijoLinesearch,
    ConstantLength,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenChangeLess,
    gradient_descent,
    levenberg_marquardt,
    solve,
)
from manifold_opt.decorators import Checkpoint, CheckpointError, SolverWarning, decorate, recorded

M, A = Sphere(4), np.diag([1.0, 1.1, 1.5, 2.0, 3.0])
P0 = np.ones(5) / np.sqrt(5)
T = np.random.default_rng(1).standard_normal((30, 5))


class Killed(Exception):
    pass


def gradient(p):
    return 2 * (A @ p - (p @ A @ p) * p)


def descend(f=lambda p: float(p @ A @ p), **keywords):
    return gradient_descent(M, f, P0, gradient=gradient, record=["cost", "point", "change"], **keywords)


def fit(residual=lambda p: np.tanh(T @ p) - 0.1, **keywords):
    jacobian = lambda p: (1 - np.tanh(T @ p)[:, None] ** 2) * T
    keywords.setdefault("record", ["cost", "point", "damping"])
    return levenberg_marquardt(M, residual, P0, jacobian=jacobian, jacobian_type="euclidean", **keywords)


def same(a, b):
    """Whether two results are the same to the last bit."""
    first, second = a.record, b.record
    assert a.point.tobytes() == b.point.tobytes()
    assert (a.cost, a.iterations, a.status, a.message) == (b.cost, b.iterations, b.status, b.message)
    assert a.evaluations == b.evaluations
    assert set(first) == set(second)
    return all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def kill_at(k):
    def callback(problem, state):
        if state.iteration == k:
            raise Killed

    return callback


@pytest.mark.parametrize("solver", [descend, fit])
@pytest.mark.parametrize("every", [1, 3])
def test_killed_anywhere_the_answer_is_identical(solver, every, tmp_path):
    whole, path = solver(), tmp_path / "run.npz"
    for k in {1, 2, 3, 5, 8, 13, whole.iterations - 1}:
        if k >= whole.iterations:
            continue
        path.unlink(missing_ok=True)
        with pytest.raises(Killed):
            solver(checkpoint=Checkpoint(path, every=every), callback=kill_at(k))
        assert same(solver(checkpoint=Checkpoint(path, every=every)), whole)


def test_a_run_killed_by_the_system_goes_on(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys
            import numpy as np
            from manifold_opt import Sphere, gradient_descent
            from manifold_opt.decorators import Checkpoint

            A = np.diag([1.0, 1.1, 1.5, 2.0, 3.0])

            def callback(problem, state):
                if state.iteration == int(sys.argv[2]):
                    os.kill(os.getpid(), signal.SIGKILL)

            result = gradient_descent(
                Sphere(4), lambda p: float(p @ A @ p), np.ones(5) / np.sqrt(5), callback=callback,
                gradient=lambda p: 2 * (A @ p - (p @ A @ p) * p), checkpoint=Checkpoint(sys.argv[1], every=4),
            )
            print(result.point.tobytes().hex(), result.iterations)
            """
        )
    )
    root = str(pathlib.Path(manifold_opt.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}

    def run(path, k):
        command = [sys.executable, str(script), str(tmp_path / path), str(k)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    if not hasattr(signal, "SIGKILL"):
        pytest.skip("no SIGKILL on this system")
    killed = run("a.npz", 10)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed, whole = run("a.npz", -1), run("b.npz", -1)
    assert resumed.stdout == whole.stdout and whole.stdout, resumed.stderr


@pytest.mark.parametrize("solver", [descend, fit])
def test_interruption_writes_a_last_checkpoint(solver, tmp_path):
    path, whole = tmp_path / "run.npz", solver()

    def interrupt(problem, state):
        if state.iteration == 3:
            raise KeyboardInterrupt

    result = solver(checkpoint=Checkpoint(path, every=1000), callback=interrupt)
    assert result.status is Status.INTERRUPTED and result.iterations == 3
    resumed = solver(checkpoint=path)
    assert same(resumed, whole)


def test_interruption_inside_the_cost_loses_nothing(tmp_path):
    path, calls = tmp_path / "run.npz", []

    def f(p):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return float(p @ A @ p)

    result = descend(f, checkpoint=Checkpoint(path, every=1000))
    assert result.status is Status.INTERRUPTED and result.iterations > 0
    resumed, whole = descend(checkpoint=path), descend()
    assert resumed.point.tobytes() == whole.point.tobytes() and resumed.iterations == whole.iterations


def test_a_finished_run_stays_finished_and_a_larger_limit_continues_it(tmp_path):
    path, whole = tmp_path / "run.npz", descend()
    first = descend(checkpoint=path, max_iterations=6)
    again = descend(checkpoint=path, max_iterations=6)
    assert first.status is Status.ITERATION_LIMIT and same(again, first)
    assert again.evaluations["cost"] == first.evaluations["cost"]
    assert same(descend(checkpoint=path), whole)


def test_the_memory_of_criteria_is_kept(tmp_path):
    path = tmp_path / "run.npz"
    points, rule = line(1, 0.9, 0.8, 0.7, 0.6, 0.5), StopWhenChangeLess(0.2).repeated(4)
    state = decorate(ScriptedState(points, stopping=rule), checkpoint=Checkpoint(path, every=1), callback=kill_at(2))
    with pytest.raises(Killed):
        solve(quadratic(), state)
    state = decorate(ScriptedState(points, stopping=rule), checkpoint=path)
    assert solve(quadratic(), state).iteration == 4


def test_rhythms(tmp_path):
    writes = []
    path = tmp_path / "run.npz"

    def stamp(problem, state):
        writes.append(path.stat().st_mtime_ns)

    for settings, most in [(Checkpoint(path, seconds=1000), 1), (Checkpoint(path, every=2), 5), (path, 10)]:
        path.unlink(missing_ok=True)
        writes.clear()
        problem = quadratic()
        # the callback is outermost here, so that it sees the file after each iteration
        state = decorate(ScriptedState(line(*range(1, 12)), stopping=StopAfterIteration(9)), checkpoint=settings)
        solve(problem, decorate(state, callback=stamp))
        assert len(set(writes)) <= most
        assert zipfile.ZipFile(path).testzip() is None


def test_random_generators_go_on(tmp_path):
    class Walk(ScriptedState):
        def __init__(self, rng, **keywords):
            super().__init__([[0.0, 0.0]], **keywords)
            self.rng = rng

        def advance(self, problem):
            self.accept(problem.evaluate(self.point + self.rng.standard_normal(2), self.evaluations))

    problem, path = quadratic(), tmp_path / "walk.npz"
    make = lambda n: Walk(np.random.default_rng(3), stopping=StopAfterIteration(n))
    whole = solve(problem, make(20))
    solve(problem, decorate(make(11), checkpoint=path))
    assert np.array_equal(solve(problem, decorate(make(20), checkpoint=path)).point, whole.point)


@dataclass(frozen=True)
class Ball:
    radius: float = 1.0
    center: tuple = (0.0, 0.0)


class Projected(ScriptedState):
    def __init__(self, ball=None, norm=None, **keywords):
        super().__init__(line(*range(1, 9)), **keywords)
        self.ball, self.norm, self.trace = Ball() if ball is None else ball, norm, []

    def advance(self, problem):
        super().advance(problem)
        self.trace.append(self.norm(self.point))


def test_a_solver_of_ones_own_needs_nothing_for_it(tmp_path):
    problem, path, norm = quadratic(), tmp_path / "own.npz", lambda p: float(np.max(p))
    make = lambda n: Projected(Ball(2.0), norm, stopping=StopAfterIteration(n))
    solve(problem, decorate(make(3), checkpoint=path))
    state = make(7)
    solve(problem, decorate(state, checkpoint=path))
    assert state.trace == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] and state.norm is norm


def test_a_decorated_subsolver_keeps_its_decorations(tmp_path):
    class Parent(ScriptedState):
        def __init__(self, subsolver, **keywords):
            super().__init__(line(*range(1, 9)), **keywords)
            self.subsolver = subsolver

        def advance(self, problem):
            super().advance(problem)
            solve(problem, self.subsolver.reset())

    problem, path, file = quadratic(), tmp_path / "run.npz", io.StringIO()

    def make(n):
        inner = ScriptedState(line(4, 2, 1), stopping=StopAfterIteration(2))
        return Parent(decorate(inner, debug="inner {iteration}", file=file), stopping=StopAfterIteration(n))

    solve(problem, decorate(make(2), checkpoint=path))
    before = file.getvalue()
    assert before.count("inner 2") == 2
    state = make(5)
    solve(problem, decorate(state, checkpoint=path))
    assert state.iteration == 5 and file.getvalue().count("inner 2") == 5


# refusals


def refusal(make_state, path, problem=None):
    with pytest.raises(CheckpointError) as caught:
        decorate(make_state, checkpoint=path).begin(quadratic() if problem is None else problem)
    return str(caught.value)


def test_other_rules_are_refused_by_name(tmp_path):
    path = tmp_path / "run.npz"
    descend(checkpoint=path, max_iterations=3, stepsize=ArmijoLinesearch(contraction=0.5))
    for keywords, message in [
        ({"stepsize": ArmijoLinesearch(contraction=0.25)}, r"`step_rule\.contraction` was 0\.5, now 0\.25"),
        ({"stepsize": ConstantLength(0.1)}, "`step_rule` was ArmijoLinesearch, now ConstantLength"),
        ({"retraction": "projection"}, "`retraction` was None, now 'projection'"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            descend(checkpoint=path, **keywords)
    with pytest.raises(CheckpointError, match=r"manifold was Sphere\(4\), now Sphere\(2\)"):
        gradient_descent(Sphere(2), lambda p: float(p[0]), np.array([0, 0, 1.0]), checkpoint=path)
    with pytest.raises(CheckpointError, match="was GradientDescentState, now LevenbergMarquardtState"):
        fit(checkpoint=path)
    assert same(descend(checkpoint=path), descend())  # and the refused ones changed nothing


def test_other_parameters_of_ones_own_rules_are_refused(tmp_path):
    path, norm = tmp_path / "own.npz", lambda p: 0.0
    solve(quadratic(), decorate(Projected(Ball(2.0), norm, stopping=StopAfterIteration(1)), checkpoint=path))
    assert "`ball.radius` was 2.0, now 3.0" in refusal(Projected(Ball(3.0), norm), path)
    assert "`norm` was" in refusal(Projected(Ball(2.0), lambda p: 1.0), path)
    text = refusal(ScriptedState(line(1)), path)
    assert "was Projected, now ScriptedState" in text and "another path" in text


def test_another_record_starts_anew_and_says_so(tmp_path):
    path = tmp_path / "run.npz"
    problem = quadratic()
    make = lambda n, record: decorate(
        ScriptedState(line(*range(1, 9)), stopping=StopAfterIteration(n)), record=record, checkpoint=path
    )
    solve(problem, make(3, ["cost"]))
    with pytest.warns(SolverWarning, match="start at iteration 3"):
        state = solve(problem, make(5, ["iteration"]))
    assert recorded(state) == {"iteration": [3, 4, 5]}


def test_damaged_files_give_one_clear_error(tmp_path):
    path = tmp_path / "run.npz"
    descend(checkpoint=path, max_iterations=3)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    bad = [b"", b"not a zip", good[: len(good) // 2], good[:-1], good[100:], bytes(len(good))]
    for i in rng.integers(0, len(good), 40):
        flipped = bytearray(good)
        flipped[i] ^= 0xFF
        bad.append(bytes(flipped))
    reference = descend(max_iterations=3)
    for content in bad:
        path.write_bytes(content)
        try:
            result = descend(checkpoint=path, max_iterations=3)
        except CheckpointError as error:
            assert "delete it to start afresh" in str(error) or "Give the same arguments" in str(error)
        else:  # a flipped bit where nothing is stored: a time stamp, a comment
            assert same(result, reference)
        assert not list(tmp_path.glob(".*tmp"))
    np.savez(path, a=np.ones(3))
    with pytest.raises(CheckpointError, match="damaged or is no checkpoint"):
        descend(checkpoint=path)


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    descend(checkpoint=path, max_iterations=1)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["state.json"] = members["state.json"].replace(b'"format": 1', b'"format": 99')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match="format 99"):
        descend(checkpoint=path)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: Checkpoint(folder / "missing" / "run.npz"),
        lambda folder: Checkpoint(folder),
        lambda folder: Checkpoint(folder / "run.npz", every=0),
        lambda folder: Checkpoint(folder / "run.npz", seconds=-1),
    ],
)
def test_values_that_make_no_sense(make, tmp_path):
    with pytest.raises(ValueError):
        make(tmp_path)


def test_a_path_is_a_path():
    with pytest.raises(TypeError, match="`checkpoint`"):
        descend(checkpoint=3)


def test_the_file_is_an_npz_without_pickle(tmp_path):
    path = tmp_path / "run.npz"
    result = descend(checkpoint=path)
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[name] for name in file.files if name != "state.json"]
    assert any(np.array_equal(a, result.point) for a in arrays)


def test_writing_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    descend(checkpoint=path, max_iterations=2)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        descend(checkpoint=path, max_iterations=4)
    assert path.read_bytes() == before and not list(tmp_path.glob(".*"))
