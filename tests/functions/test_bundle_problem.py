"""Bundle adjustment as data: the gauge, what is not determined, and parts of a problem."""

from __future__ import annotations

import numpy as np
import pytest
from functions.test_cameras import MODELS, some_problem

from manifold_opt import Problem
from manifold_opt.datasets import bundle_scene
from manifold_opt.functions import BundleProblem, CameraModel


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("model", MODELS[:3])
def test_no_picture_shows_the_gauge(model, shared):
    problem = some_problem(model, shared)
    J = Problem(problem.manifold, problem.objective()).evaluate(problem.start).jacobian.toarray()
    G = problem.gauge()
    assert np.linalg.matrix_rank(G) == 7
    assert np.abs(J @ G).max() < 1e-13 * np.abs(J).max() * np.abs(G).max()


def test_the_gauge_is_all_that_is_free_in_a_well_seen_scene():
    problem = bundle_scene(6, 60, 300, rng=0).problem
    J = Problem(problem.manifold, problem.objective()).evaluate(problem.start).jacobian.toarray()
    w = np.linalg.svd(J / np.linalg.norm(J, axis=0), compute_uv=False)
    assert w[-7] < 1e-13 < 1e-8 < w[-8]
    assert problem.weaknesses() == []


def test_what_is_not_determined_is_said():
    problem = bundle_scene(6, 60, 300, rng=0).problem
    twice = BundleProblem(
        problem.model,
        np.concatenate([problem.poses] * 2),
        np.concatenate([problem.points] * 2),
        np.concatenate([problem.camera_index, problem.camera_index + 6]),
        np.concatenate([problem.point_index, problem.point_index + 60]),
        np.concatenate([problem.seen] * 2),
        lens=np.concatenate([problem.lens] * 2),
    )
    assert "fall into 2 parts" in twice.weaknesses()[0]
    seen_once = problem.point_index == 4
    seen_once[np.argmax(seen_once)] = False
    assert "fewer than two cameras" in problem.select(~seen_once).weaknesses()[0]
    few = (problem.camera_index == 2) & (np.cumsum(problem.camera_index == 2) > 4)
    assert any("camera" in w and "9 numbers" in w for w in problem.select(~few).weaknesses())


def test_a_selection_keeps_its_errors():
    problem = bundle_scene(6, 60, 300, rng=0).problem
    keep = np.random.default_rng(0).random(300) < 0.5
    part = problem.select(keep)
    assert np.array_equal(part.errors(), problem.errors()[keep])
    assert len(part.points) == len(np.unique(problem.point_index[keep]))
    assert np.array_equal(part.points, problem.points[part.point_ids])


def test_an_answer_is_kept_as_a_problem():
    problem = bundle_scene(6, 60, 300, rng=0).problem
    p = problem.manifold.random_point(0)
    assert np.array_equal(problem.at(p).start, p)
    assert np.array_equal(problem.at(p).errors(), problem.errors(p))
    R, t = problem.poses[:, :9].reshape(-1, 3, 3), problem.poses[:, 9:]
    assert np.allclose(np.einsum("cij,cj->ci", R, problem.centers()) + t, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"poses": np.zeros((2, 11))}, "`poses`"),
        ({"poses": np.ones((2, 12))}, "rotation"),
        ({"points": np.full((3, 3), np.nan)}, "`points` must be finite"),
        ({"camera_index": np.array([0, 2, 1, 1])}, r"0\.\.1"),
        ({"camera_index": np.array([0, 1])}, "one for each of the 4"),
        ({"point_index": np.array([0.0, 1.0, 2.0, 2.0])}, "integers"),
        ({"lens": np.ones((2, 2))}, "`lens`"),
        ({"point_ids": np.arange(2)}, "`point_ids`"),
    ],
)
def test_mistakes_are_named(change, words):
    from manifold_opt import SpecialEuclidean

    arguments = {
        "poses": np.stack([SpecialEuclidean(3).identity()] * 2),
        "points": np.ones((3, 3)),
        "camera_index": np.array([0, 0, 1, 1]),
        "point_index": np.array([0, 1, 2, 2]),
        "seen": np.zeros((4, 2)),
        "lens": np.ones((2, 3)),
    }
    assert len(BundleProblem(CameraModel(), **arguments).seen) == 4
    with pytest.raises(ValueError, match=words):
        BundleProblem(CameraModel(), **{**arguments, **change})
