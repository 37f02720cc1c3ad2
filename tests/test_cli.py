"""The command line as a person uses it: text, JSON, files, and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from manifold_opt import cli, functions
from manifold_opt.manifolds import Rotations, Sphere


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def directions(tmp_path):
    rng = np.random.default_rng(0)
    points = np.array([0.0, 0.0, 1.0]) + 0.3 * rng.standard_normal((20, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    path = tmp_path / "directions.csv"
    np.savetxt(path, points, delimiter=",", header="x,y,z", comments="")
    return path


@pytest.fixture
def point_sets(tmp_path):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((9, 3))
    b = a @ Rotations(3).random_point(rng).T + [1.0, 2.0, 3.0] + 0.1 * rng.standard_normal((9, 3))
    np.save(tmp_path / "a.npy", a)
    np.savetxt(tmp_path / "b.csv", b, delimiter=",")
    return tmp_path / "a.npy", tmp_path / "b.csv"


def test_help_names_every_command(capsys):
    for arguments in (["--help"], ["mean", "--help"], ["fit-rotation", "--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("demo", "mean", "fit-rotation", "--json", "--manifold", "--rigid", "--plots", "exit codes"):
        assert word in text


def test_no_command_prints_the_help(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and "fit-rotation" in out


def test_mean_as_json(capsys, directions, tmp_path):
    out_file = tmp_path / "mean.npy"
    code, out, err = run(capsys, "mean", directions, "--manifold", "sphere", "--json", "--output", out_file)
    answer = json.loads(out)
    assert code == 0 and err == "" and answer["converged"] and answer["points"] == 20
    assert answer["manifold"] == "Sphere(2)"
    f = functions.FrechetMean(Sphere(2), np.loadtxt(directions, delimiter=",", skiprows=1))
    assert np.linalg.norm(f.gradient(np.array(answer["mean"]))) < 1e-7
    np.testing.assert_array_equal(np.load(out_file), answer["mean"])


def test_mean_as_text(capsys, directions):
    code, out, _ = run(capsys, "mean", directions, "--manifold", "sphere")
    assert code == 0 and "Sphere(2)" in out and "CONVERGED" in out and "mean:" in out


def test_weights_matter(capsys, directions, tmp_path):
    weights = np.zeros(20)
    weights[3] = 1.0
    np.save(tmp_path / "w.npy", weights)
    _, out, _ = run(capsys, "mean", directions, "--manifold", "sphere", "--weights", tmp_path / "w.npy", "--json")
    expected = np.loadtxt(directions, delimiter=",", skiprows=1)[3]
    np.testing.assert_allclose(json.loads(out)["mean"], expected, atol=1e-7)


@pytest.mark.parametrize("rigid", [False, True])
def test_fit_rotation_is_the_closed_form(capsys, point_sets, rigid):
    a, b = point_sets
    code, out, err = run(capsys, "fit-rotation", a, b, "--json", *(["--rigid"] if rigid else []))
    answer = json.loads(out)
    R, t = functions.kabsch(np.load(a), np.loadtxt(b, delimiter=","), translation=rigid)
    assert code == 0 and err == ""
    np.testing.assert_allclose(answer["rotation"], R, atol=1e-9)
    assert ("translation" in answer) == rigid
    if rigid:
        np.testing.assert_allclose(answer["translation"], t, atol=1e-9)


@pytest.mark.parametrize("rigid", [False, True])
def test_points_that_need_no_motion_are_a_perfect_fit(capsys, point_sets, rigid):
    """The run starts at the answer, where rounding is all that is left of the residual."""
    a, _ = point_sets
    code, out, _ = run(capsys, "fit-rotation", a, a, "--json", *(["--rigid"] if rigid else []))
    assert code == 0 and json.loads(out)["iterations"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["mean", "none.npy", "--manifold", "sphere"],
        ["mean", "{a}", "--manifold", "sphere"],
        ["mean", "{a}", "--manifold", "euclidean", "--weights", "{b}"],
        ["mean", "{a}", "--manifold", "euclidean", "--output", "mean.txt"],
        ["fit-rotation", "{a}", "none.csv"],
        ["fit-rotation", "{a}", "{short}"],
    ],
)
def test_bad_files_get_one_line_and_exit_code_2(capsys, point_sets, tmp_path, arguments):
    np.save(tmp_path / "short.npy", np.ones((3, 3)))
    names = {"a": point_sets[0], "b": point_sets[1], "short": tmp_path / "short.npy"}
    code, out, err = run(capsys, *(argument.format(**names) for argument in arguments))
    assert code == 2 and out == "" and err.startswith("manifold-opt: ") and err.count("\n") == 1


def test_bad_arguments_exit_with_code_2(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mean", "x.npy", "--manifold", "torus"])
    assert stop.value.code == 2 and "torus" in capsys.readouterr().err


def test_module_runs_as_a_program():
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-m", "manifold_opt", "--version"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0 and answer.stdout.startswith("manifold_opt ")
