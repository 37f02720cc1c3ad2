"""Made-up scenes: the sizes asked for, the noise asked for, and wrong observations where they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.datasets import bundle_scene
from manifold_opt.functions import CameraModel


@pytest.mark.parametrize("layout", ["street", "ring"])
def test_sizes_noise_and_visibility(layout):
    scene = bundle_scene(20, 500, 2500, layout=layout, noise=0.7, rng=0)
    problem = scene.problem
    assert (len(problem.poses), len(problem.points), len(problem.seen)) == (20, 500, 2500)
    assert np.bincount(problem.point_index).min() >= 2
    pairs = problem.camera_index * 500 + problem.point_index
    assert len(np.unique(pairs)) == 2500  # no camera sees a point twice
    errors = problem.errors(scene.truth)
    assert abs(errors.std() - 0.7) < 0.03 and not problem.behind(scene.truth).any()
    assert problem.weaknesses() == [] and problem.errors().std() > 10.0
    centers = problem.centers(scene.truth)[problem.camera_index]
    points = problem.parts(scene.truth)[2][problem.point_index]
    assert np.linalg.norm(points - centers, axis=1).max() < 25.0


def test_a_seed_makes_the_same_scene():
    a, b, c = (bundle_scene(5, 40, 160, outliers=0.1, rng=seed) for seed in (3, 3, 4))
    assert np.array_equal(a.problem.start, b.problem.start) and np.array_equal(a.problem.seen, b.problem.seen)
    assert not np.array_equal(a.problem.seen, c.problem.seen)


@pytest.mark.parametrize("policy", ["uniform", "mismatch", "tracks"])
def test_outliers_are_where_they_are_said_to_be(policy):
    scene = bundle_scene(20, 500, 2500, outliers=0.1, outlier_policy=policy, noise=0.5, rng=0)
    errors = np.linalg.norm(scene.problem.errors(scene.truth), axis=1)
    assert (~scene.inliers).sum() == 250
    assert errors[scene.inliers].max() < 3.0 and np.median(errors[~scene.inliers]) > 20.0
    if policy == "tracks":
        right = np.bincount(scene.problem.point_index[scene.inliers], minlength=500)
        assert right.min() >= 2


def test_lenses():
    model = CameraModel(("f", "k1", "p1", "cx"), {"cy": 10.0})
    own = bundle_scene(6, 50, 200, model=model, rng=0).problem
    assert own.lens.shape == (6, 4) and np.all(own.lens[:, 1:3] == 0.0)
    shared = bundle_scene(6, 50, 200, model=model, shared_lens=True, rng=0).problem
    assert shared.shares_lens and shared.lens.shape == (4,)
    still = bundle_scene(6, 50, 200, start=0.0, rng=0)
    assert np.allclose(still.problem.start, still.truth, atol=1e-14)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cameras": 1}, "`cameras`"),
        ({"observations": 99}, r"`observations` must be in 100\.\."),
        ({"observations": 10**6}, "`observations`"),
        ({"layout": "spiral"}, "'street' or 'ring'"),
        ({"outliers": 1.0}, "`outliers`"),
        ({"outlier_policy": "some"}, "`outlier_policy`"),
        ({"noise": -1.0}, "`noise`"),
    ],
)
def test_mistakes_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        bundle_scene(**{"cameras": 5, "points": 50, "observations": 150, "rng": 0, **change})
