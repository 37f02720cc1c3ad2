"""The demo: its answers agree with independent ones, and its report says so."""

from __future__ import annotations

import json
import sys

import mpmath
import numpy as np
import pytest

from manifold_opt import cli, datasets, demo
from manifold_opt.demo import independent, problems


@pytest.fixture(scope="module")
def outcomes():
    return list(demo.solve_all())


def test_every_answer_agrees_to_eight_digits(outcomes):
    assert len(outcomes) == 5
    for outcome in outcomes:
        assert outcome.result.converged, f"{outcome.problem}: {outcome.result.message}"
        assert outcome.agreement <= 1e-8, f"{outcome.problem}: {outcome.agreement}"
        assert outcome.passed


def test_logarithms_on_the_sphere_against_mpmath(outcomes):
    """The independent check is itself checked, in 30 digits."""
    mean, cities = outcomes[3].result.point, datasets.cities().points
    with mpmath.workdps(30):
        p, total, size = mpmath.matrix(mean.tolist()), mpmath.matrix(3, 1), mpmath.mpf(0)
        p /= mpmath.norm(p)
        for x in cities:
            q = mpmath.matrix(x.tolist())
            q /= mpmath.norm(q)
            cosine = (p.T * q)[0]
            direction = q - cosine * p
            angle = mpmath.acos(cosine)
            total += angle * direction / mpmath.norm(direction)
            size += angle
        assert mpmath.norm(total) / size < 1e-8
    wrong = mean + [0.0, 1e-4, 0.0]
    assert independent.sphere_stationarity(wrong / np.linalg.norm(wrong), cities) > 1e-5


def test_geodesic_regression_against_another_parametrization(outcomes):
    """SciPy's least squares over latitude, longitude, heading and speed finds no better geodesic."""
    from scipy.optimize import least_squares

    cities = datasets.cities()
    t = cities.longitudes / (np.pi / 2)

    def geodesic(x):
        latitude, longitude, heading, speed = x
        p = np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
        east = np.array([-np.sin(longitude), np.cos(longitude), 0.0])
        e = np.cos(heading) * east + np.sin(heading) * np.cross(p, east)
        return np.cos(speed * t)[:, None] * p + np.sin(speed * t)[:, None] * e

    def residual(x):
        g = geodesic(x)
        return np.arctan2(np.linalg.norm(np.cross(g, cities.points), axis=1), (g * cities.points).sum(axis=1))

    fit = least_squares(residual, [0.5, 0.0, 0.0, np.pi / 2], xtol=1e-15, ftol=1e-15, gtol=1e-12, jac="3-point")
    assert outcomes[4].result.cost == pytest.approx(fit.cost / len(t), rel=1e-8)


def test_a_wrong_answer_does_not_pass(outcomes):
    a, b = problems.axes_seen_by_cameras(with_translations=True)
    R, t = independent.rigid_motion(a, b, translation=True)
    assert independent.relative_difference(np.append(R, t + 1e-6), np.append(R, t)) > problems.AGREEMENT
    mean = outcomes[0].result.point
    assert independent.spd_stationarity(mean + 1e-6 * np.eye(28), outcomes[0].data["matrices"]) > problems.AGREEMENT


def test_the_command_prints_a_table_and_draws(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    code = cli.main(["demo", "--plots", str(tmp_path / "figures")])
    text = capsys.readouterr().out
    assert code == 0
    for word in ("connectomes", "levenberg_marquardt", "gradient_descent", "logm", "align_vectors", "shrinkage"):
        assert word in text.replace("\n", " ")
    assert max(len(line) for line in text.splitlines() if not line.startswith("wrote ")) <= 80
    assert "…" not in text
    files = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert files == ["cameras.png", "cities.png", "connectomes.png", "convergence.png"]


def test_the_command_prints_json(capsys):
    assert cli.main(["demo", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] and len(answer["problems"]) == 5
    assert all(problem["agreement"] <= 1e-8 for problem in answer["problems"])
    distances = [row["distance"] for row in answer["regularization"]]
    assert distances == sorted(distances) and distances[0] > 0.0


def test_plots_without_matplotlib_are_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "manifold_opt.plots.demo", raising=False)
    monkeypatch.delattr("manifold_opt.plots.demo", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["demo", "--plots", str(tmp_path)]) == 2
    assert "matplotlib" in capsys.readouterr().err
