"""Registration: exact motions are found, Jacobians match differences, the closed form is the minimizer."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions
from manifold_opt.manifolds import Rotations


def points(n, noise, seed=3):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((7, n))
    R = Rotations(n).random_point(rng)
    return a, a @ R.T + np.arange(1.0, n + 1) + noise * rng.standard_normal(a.shape), R


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kind", ["rotation", "rigid"])
def test_jacobian_agrees_with_central_differences(n, kind):
    a, b, R = points(n, 0.3)
    registration = (functions.RotationRegistration if kind == "rotation" else functions.RigidRegistration)(a, b)
    M = registration.manifold
    p = R if kind == "rotation" else M.join(R, np.full(n, 0.3))
    h = 1e-5
    columns = []
    for c in np.eye(M.dim):
        forth, back = (registration.residual(M.retract(p, M.get_vector(p, c), t)) for t in (h, -h))
        columns.append((forth - back) / (2 * h))
    np.testing.assert_allclose(registration.jacobian(p), np.stack(columns, axis=1), atol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_kabsch_finds_an_exact_motion(n):
    a, b, R = points(n, 0.0)
    found, t = functions.kabsch(a, b)
    np.testing.assert_allclose(found, R, atol=1e-14)
    np.testing.assert_allclose(t, np.arange(1.0, n + 1), atol=1e-14)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 0.1, 3.0, 1.0, 1.0]])
def test_kabsch_is_a_stationary_point_of_the_residual(weights):
    a, b, _ = points(3, 0.5)
    rigid = functions.RigidRegistration(a, b, weights)
    p = rigid.manifold.join(*functions.kabsch(a, b, weights))
    np.testing.assert_allclose(rigid.jacobian(p).T @ rigid.residual(p), 0.0, atol=1e-14)
    rotation = functions.RotationRegistration(a, b, weights)
    R, t = functions.kabsch(a, b, weights, translation=False)
    np.testing.assert_allclose(rotation.jacobian(R).T @ rotation.residual(R), 0.0, atol=1e-14)
    np.testing.assert_array_equal(t, 0.0)


def test_kabsch_never_answers_with_a_reflection():
    a, _, _ = points(3, 0.0)
    R, _ = functions.kabsch(a, a * [1.0, 1.0, -1.0])
    assert np.linalg.det(R) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((3, 3)), np.ones((4, 3)), "shape"),
        (np.ones(3), np.ones(3), "shape"),
        (np.ones((3, 1)), np.ones((3, 1)), "n >= 2"),
        (np.ones((3, 2)), np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, 0.0]]), "`b` must be finite; row 1"),
    ],
)
def test_bad_points_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        functions.RotationRegistration(a, b)
