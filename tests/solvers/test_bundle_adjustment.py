"""Bundle adjustment: real scenes against other packages, made-up ones against the truth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from manifold_opt import Cauchy, ResidualBlock, Status, bundle_adjust, levenberg_marquardt
from manifold_opt.datasets import bundle_scene, read_bundler, read_libmv
from manifold_opt.functions import BundleProblem, CameraModel
from manifold_opt.functions.registration import kabsch
from manifold_opt.linalg.block_matrix import BlockMatrix
from manifold_opt.linalg.schur import SchurComplement

FOLDER = os.environ.get("MANIFOLD_OPT_DATA")
REAL = pytest.mark.skipif(not FOLDER, reason="MANIFOLD_OPT_DATA is not set")


def point_errors(scene, p):
    """Distances of the points from the truth after the similarity that takes one to the other best."""
    found, true = (scene.problem.parts(x)[2] for x in (p, scene.truth))
    scale = np.linalg.norm(true - true.mean(axis=0)) / np.linalg.norm(found - found.mean(axis=0))
    R, t = kabsch(scale * found, true)
    return np.linalg.norm(scale * found @ R.T + t - true, axis=1)


# half the sums of squares that Ceres 2.2 (pyceres 2.6, its formula and derivatives written out by hand) and Ceres 2.1
# (in C++, with its automatic differentiation) end at
LIBMV, BALBIANELLO = 4607.5919525855, 125.169594054


@REAL
@pytest.mark.data
@pytest.mark.parametrize("gauge", ["damping", "first"])
def test_libmv_ends_where_ceres_does(gauge):
    problem = read_libmv(Path(FOLDER) / "bundle" / "libmv_problem_01.bin")
    result = bundle_adjust(problem, gauge=gauge)
    assert result.converged and abs(result.cost - LIBMV) < 1e-8 * LIBMV
    # 333 cameras and 26 points: the cameras were eliminated
    assert result.state._solver.elimination.width == 6
    if gauge == "first":
        assert np.array_equal(problem.parts(result.point)[0][0], problem.poses[0])


@REAL
@pytest.mark.data
def test_balbianello_ends_where_ceres_does():
    problem = read_bundler(Path(FOLDER) / "bundle" / "Balbianello.out.xz")
    result = bundle_adjust(problem)
    assert result.converged and abs(result.cost - BALBIANELLO) < 1e-8 * BALBIANELLO
    again = levenberg_marquardt(problem.manifold, problem.block(), problem.start)
    assert again.converged and abs(again.cost - BALBIANELLO) < 1e-8 * BALBIANELLO


def test_a_scene_of_usual_size_reaches_the_level_of_its_noise(monkeypatch):
    """49 cameras, 7776 points, 31 843 observations, and no matrix of all of them."""
    monkeypatch.setattr(BlockMatrix, "toarray", None)
    scene = bundle_scene(noise=0.5, rng=0)
    problem = scene.problem
    result = bundle_adjust(problem)
    assert result.converged and result.iterations <= 8
    freedom = 2 * 31843 - (problem.manifold.dim - 7)
    level = 0.5 * 0.5**2
    # chi-squared: mean freedom, standard deviation sqrt(2 freedom)
    assert abs(result.cost / level - freedom) < 5.0 * np.sqrt(2.0 * freedom)
    assert result.cost < problem.at(scene.truth).errors().ravel() @ problem.at(scene.truth).errors().ravel() / 2
    # the same minimum from the truth, and from another start
    from_truth = bundle_adjust(problem, scene.truth)
    assert abs(from_truth.cost - result.cost) < 1e-8 * result.cost


@pytest.mark.parametrize("layout", ["street", "ring"])
@pytest.mark.parametrize("reduced", ["dense", "sparse", "iterative"])
def test_all_reduced_systems_lead_to_one_minimum(reduced, layout):
    scene = bundle_scene(12, 300, 1400, layout=layout, rng=1)
    solver = SchurComplement(reduced=reduced)
    result = bundle_adjust(scene.problem, linear_solver=solver, tolerance=1e-12)
    expected = bundle_adjust(scene.problem, scene.truth, tolerance=1e-12)
    assert result.converged and abs(result.cost - expected.cost) < 1e-7 * expected.cost


def test_a_shared_lens_is_found():
    scene = bundle_scene(12, 300, 1500, layout="ring", shared_lens=True, noise=0.1, rng=2)
    result = bundle_adjust(scene.problem)
    found, true = (scene.problem.parts(p)[1] for p in (result.point, scene.truth))
    assert result.converged and abs(found[0] / true[0] - 1.0) < 1e-3 and abs(found[1] - true[1]) < 1e-3


def test_points_are_as_good_as_the_noise_allows():
    errors = []
    for noise in (0.1, 1.0):
        scene = bundle_scene(12, 300, 2000, layout="ring", noise=noise, rng=3)
        errors.append(np.median(point_errors(scene, bundle_adjust(scene.problem).point)))
    assert errors[0] < 0.01 and 5.0 < errors[1] / errors[0] < 20.0


def test_outliers_do_not_move_a_robust_fit():
    scene = bundle_scene(12, 300, 2400, layout="ring", outliers=0.05, rng=4)
    median = {}
    for name, loss in (("plain", None), ("huber", "huber"), ("cauchy", Cauchy(scale=1.0))):
        result = bundle_adjust(scene.problem, loss=loss, tolerance=1e-5, max_iterations=60)
        median[name] = np.median(point_errors(scene, result.point))
    clean = bundle_adjust(scene.problem.select(scene.inliers))
    best = np.linalg.norm(clean.problem.objective.blocks[0].residual.__self__.errors(clean.point), axis=1)
    assert np.median(best) < 1.0
    assert median["cauchy"] < 0.05 and median["cauchy"] < 0.1 * median["plain"] and median["huber"] < median["plain"]


def test_gauges_and_fixed_variables():
    scene = bundle_scene(8, 100, 500, rng=5)
    problem = scene.problem
    free, first = bundle_adjust(problem, tolerance=1e-12), bundle_adjust(problem, gauge="first", tolerance=1e-12)
    assert abs(free.cost - first.cost) < 1e-8 * free.cost
    cameras = [problem.manifold.split(p)[0] for p in (problem.start, first.point, free.point)]
    assert np.array_equal(cameras[0][0], cameras[1][0]) and not np.array_equal(cameras[0][0], cameras[2][0])
    held = bundle_adjust(problem, gauge="first", fixed={"cameras": [3]})
    cameras = [problem.manifold.split(p)[0] for p in (problem.start, held.point)]
    assert np.array_equal(cameras[0][[0, 3]], cameras[1][[0, 3]])
    resection = bundle_adjust(problem, fixed="points")
    assert np.array_equal(problem.parts(resection.point)[2], problem.points) and resection.converged


def test_more_residuals_fix_the_gauge():
    """Where the cameras were, by satellite: the scene comes out at its place and in its size."""
    scene = bundle_scene(12, 200, 1200, layout="ring", noise=0.2, rng=6)
    problem = scene.problem
    centers = problem.centers(scene.truth)

    def position(camera, z):
        R = camera[..., :9].reshape(-1, 3, 3)
        return -(R.swapaxes(-1, -2) @ camera[..., 9:12, None])[..., 0] - z

    block = ResidualBlock(position, "cameras", indices=(np.arange(12),), data=(centers,), weight=1e4)
    result = bundle_adjust(problem, blocks=block)
    assert result.converged and np.abs(problem.centers(result.point) - centers).max() < 0.05
    assert np.median(np.linalg.norm(problem.parts(result.point)[2] - problem.parts(scene.truth)[2], axis=1)) < 0.05


def test_points_that_start_behind_a_camera_come_to_the_front():
    scene = bundle_scene(8, 100, 600, rng=7, model=CameraModel((), {"f": 800.0}, axis=-1, least_depth=0.5))
    problem = scene.problem
    points = problem.points.copy()
    points[:3, 1] = -2.0  # behind the street
    wrong = BundleProblem(
        problem.model, problem.poses, points, problem.camera_index, problem.point_index, problem.seen
    )
    assert wrong.behind().any()
    result = bundle_adjust(wrong)
    assert result.converged and not wrong.behind(result.point).any()
    good = bundle_adjust(problem)
    assert abs(result.cost - good.cost) < 1e-3 * good.cost  # weakly seen points have minima side by side


def test_a_guarded_problem_keeps_points_before_their_cameras():
    scene = bundle_scene(30, 1500, 6000, start=4.0, rng=1)
    plain, guarded = bundle_adjust(scene.problem, max_iterations=60), scene.problem.guarded()
    kept = bundle_adjust(guarded, max_iterations=60)
    assert not guarded.behind(kept.point).any()
    assert kept.cost <= plain.cost * (1.0 + 1e-6)
    with pytest.raises(ValueError, match="`axis` of the model"):
        BundleProblem(
            CameraModel(axis=1), *(getattr(scene.problem, name) for name in ("poses", "points")),
            scene.problem.camera_index, scene.problem.point_index, scene.problem.seen, lens=scene.problem.lens,
        ).guarded()


def test_a_run_that_fails_says_what_is_missing():
    scene = bundle_scene(6, 60, 300, rng=0)
    few = scene.problem.select((scene.problem.point_index != 4) | (scene.problem.camera_index == 0))
    twice = few.select(np.arange(len(few.seen)))
    result = bundle_adjust(twice, max_iterations=1)
    assert result.status is Status.ITERATION_LIMIT
    assert all(sentence in result.message for sentence in twice.weaknesses())


def test_keywords_are_checked():
    problem = bundle_scene(5, 20, 60, rng=0).problem
    with pytest.raises(TypeError, match="did you mean 'gauge'"):
        bundle_adjust(problem, guage="first")
    with pytest.raises(ValueError, match="`gauge` must be"):
        bundle_adjust(problem, gauge="second")
    with pytest.raises(TypeError, match="BundleProblem"):
        bundle_adjust(problem.manifold)
    limited = bundle_adjust(problem, max_iterations=2, record=["cost"])
    assert limited.iterations == 2 and len(limited.record["cost"]) == 3
