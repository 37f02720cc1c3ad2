"""Cameras: pixels against the formula written out, derivatives against differences and autograd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manifold_opt import BlockObjective, Problem, SpecialEuclidean
from manifold_opt.functions import BundleProblem, CameraModel

SE3 = SpecialEuclidean(3)
MODELS = [
    CameraModel(axis=-1),
    CameraModel((), {"f": 500.0, "cx": 3.0}),
    CameraModel(("p1", "f", "k3", "p2", "cx", "k1", "cy"), {"k2": 0.03}),
    CameraModel(("f", "k1", "k2", "k3", "p1", "p2"), least_depth=1.0),
]


def some_problem(model: CameraModel, shared: bool = False, seed: int = 0) -> BundleProblem:
    """Five cameras and seven points about the origin, most before the cameras."""
    rng = np.random.default_rng(seed)
    poses = SE3.random_point(rng, (5,))
    poses[:, 9:] *= 0.3
    poses[:, 11] += 3.0 * model.axis
    lens = rng.uniform(0.02, 0.1, (len(model.lens),) if shared else (5, len(model.lens)))
    c, p = rng.integers(0, 5, 30), rng.integers(0, 7, 30)
    return BundleProblem(
        model, poses, rng.standard_normal((7, 3)), c, p, rng.standard_normal((30, 2)), lens=lens if model.lens else None
    )


def written_out(model: CameraModel, pose: np.ndarray, lens: np.ndarray, X: np.ndarray) -> np.ndarray:
    """One pixel, scalar by scalar."""
    v = {name: 0.0 for name in ("cx", "cy", "k1", "k2", "k3", "p1", "p2")} | {"f": 1.0}
    v |= dict(model.constants) | dict(zip(model.lens, lens, strict=True))
    P = pose[:9].reshape(3, 3) @ X + pose[9:]
    a, b = P[0] / (model.axis * P[2]), P[1] / (model.axis * P[2])
    s = a**2 + b**2
    d = 1 + v["k1"] * s + v["k2"] * s**2 + v["k3"] * s**3
    x = a * d + 2 * v["p1"] * a * b + v["p2"] * (s + 2 * a**2)
    y = b * d + v["p1"] * (s + 2 * b**2) + 2 * v["p2"] * a * b
    return np.array([v["f"] * x + v["cx"], v["f"] * y + v["cy"]])


@pytest.mark.parametrize("model", MODELS[:3])
def test_pixels_are_those_of_the_formula(model):
    problem = some_problem(model)
    lens = np.broadcast_to(problem.lens, (5, len(model.lens)))
    for i, (c, p) in enumerate(zip(problem.camera_index, problem.point_index, strict=True)):
        expected = written_out(model, problem.poses[c], lens[c], problem.points[p])
        assert np.allclose(problem.errors()[i] + problem.seen[i], expected, rtol=1e-13)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_derivatives_are_those_of_differences_and_of_autograd(model, shared):
    problem = some_problem(model, shared)
    M, p = problem.manifold, problem.start
    at = Problem(M, problem.objective())
    J = at.evaluate(p).jacobian.toarray()
    h = 1e-6
    for a in range(M.dim):
        X = M.get_vector(p, np.eye(M.dim)[a])
        ahead, behind = (at.evaluate(M.retract(p, X, t)).residuals for t in (h, -h))
        assert np.allclose(J[:, a], (ahead - behind) / (2 * h), atol=1e-8 * np.abs(J).max())
    differentiated = Problem(M, BlockObjective(replace(problem.block(), jacobian=None)))
    assert np.allclose(J, differentiated.evaluate(p).jacobian.toarray(), atol=1e-13 * np.abs(J).max())


def test_a_camera_looks_along_its_axis():
    X = np.array([0.1, 0.2, 2.0])
    ahead = CameraModel((), {"f": 10.0})
    assert ahead.depth(SE3.identity(), X) == 2.0
    assert np.allclose(ahead.pixels(SE3.identity(), None, X), [0.5, 1.0])
    # BAL: p = -P / P_z
    back = CameraModel((), {"f": 10.0}, axis=-1)
    assert back.depth(SE3.identity(), -X) == 2.0
    assert np.allclose(back.pixels(SE3.identity(), None, -X), [-0.5, -1.0])


def test_behind_the_camera_the_formula_mirrors_and_is_never_nan():
    model = CameraModel((), {"f": 10.0})
    X = np.array([[0.1, 0.2, -2.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.0]])
    poses = np.broadcast_to(SE3.identity(), (3, 12))
    pixels = model.pixels(poses, None, X)
    assert np.allclose(pixels[0], [-0.5, -1.0])
    assert np.isfinite(pixels).all() and np.isfinite(model.derivatives(poses, None, X)[0]).all()


def test_the_continued_depth_grows_smoothly_and_pushes_to_the_front():
    model = CameraModel((), {"f": 1.0}, least_depth=0.5)
    poses = np.broadcast_to(SE3.identity(), (5, 12))
    z = np.array([0.5 + 1e-9, 0.5 - 1e-9, 0.1, -1.0, -10.0])
    X = np.stack([0.1 + 0.0 * z, 0.0 * z, z], axis=1)
    x = model.pixels(poses, None, X)[:, 0]
    assert abs(x[0] - x[1]) < 1e-8 and (np.diff(x) > 0).all()
    slope = model.derivatives(poses, None, X)[1][:, 0, 2]
    assert np.allclose(slope[0], slope[1], rtol=1e-6) and (slope < 0.0).all()  # to the front the error shrinks


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CameraModel(("f", "zoom")), "'zoom'"),
        (lambda: CameraModel(("f", "f")), "named once"),
        (lambda: CameraModel(("f",), {"f": 1.0}), "named once"),
        (lambda: CameraModel((), {"f": np.inf}), "finite"),
        (lambda: CameraModel(axis=0), "`axis`"),
        (lambda: CameraModel(least_depth=-1.0), "`least_depth`"),
    ],
)
def test_mistakes_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
