"""Residuals of poses, rotations and points against closed forms, their Jacobians against two kinds of derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import (
    BlockObjective,
    Euclidean,
    PowerManifold,
    Problem,
    ProductManifold,
    Rotations,
    SpecialEuclidean,
    functions,
)

N = 7


def manifold(d):
    return ProductManifold(
        poses=PowerManifold(SpecialEuclidean(d), N),
        rotations=PowerManifold(Rotations(d), N),
        landmarks=PowerManifold(Euclidean(d), N),
    )


def families(d, rng):
    """Every family, with measurements that fit badly, and the point to look at."""
    M = manifold(d)
    p = M.random_point(rng)
    SE = SpecialEuclidean(d)
    i, j = np.arange(N), np.roll(np.arange(N), 1)
    Z = SE.random_point(rng, (N,))
    poses = M.split(p)[0]
    exact = SE.compose(SE.inverse(poses[i]), poses[j])
    Z[0] = exact[0]  # a residual of zero
    Z[1] = SE.retract(exact[1], 1e-7 * SE.random_vector(exact[1], rng))
    X = SE.random_vector(exact[2], rng)
    W, v = SE.split_vector(X)
    turn = Rotations(d)
    W = W * (0.98 * np.pi / turn.norm(np.eye(d), W))
    Z[2] = SE.retract(exact[2], SE.join_vector(W, v))  # nearly half a turn
    R, z = SE.split(Z)
    m = d * (d + 1) // 2
    A = rng.standard_normal((N, m, m))
    return (
        M,
        p,
        {
            "pose_between": functions.pose_between(i, j, Z, sqrt_information=A),
            "pose_prior": functions.pose_prior(i, Z),
            "chordal_between": functions.chordal_between(i, j, Z, rng.uniform(1, 2, N), 3.0),
            "relative_rotation": functions.relative_rotation(i, j, R),
            "relative_translation": functions.relative_translation(i, j, z),
            "landmark": functions.landmark(i, j, z),
            "range_to_landmark": functions.range_to_landmark(i, j, rng.uniform(0, 3, N)),
            "bearing_to_landmark": functions.bearing_to_landmark(i, j, z),
        },
    )


NAMES = list(families(2, np.random.default_rng(0))[2])


def jacobian(M, p, block, **options):
    return Problem(M, BlockObjective([block], **options)).evaluate(p).jacobian.toarray()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_jacobians_agree_with_differentiation_and_with_differences(name, d):
    from dataclasses import replace

    M, p, blocks = families(d, np.random.default_rng(d))
    block = blocks[name]
    J = jacobian(M, p, block)
    without = replace(block, jacobian=None)
    exact = jacobian(M, p, without, autodiff="autograd")
    differences = jacobian(M, p, without, autodiff="finite-differences")
    scale = np.abs(exact).max()
    np.testing.assert_allclose(J, exact, atol=1e-9 * scale)
    np.testing.assert_allclose(J, differences, atol=1e-6 * scale)


@pytest.mark.parametrize("d", [2, 3])
def test_chordal_distances_are_those_of_matrices(d):
    M, p, _ = families(d, rng := np.random.default_rng(4))
    SE = SpecialEuclidean(d)
    i, j = np.arange(N), np.roll(np.arange(N), 2)
    Z, kappa, tau = SE.random_point(rng, (N,)), rng.uniform(1, 5, N), rng.uniform(1, 5, N)
    (R, t), (S, z) = SE.split(M.split(p)[0]), SE.split(Z)
    F = kappa @ ((R[j] - R[i] @ S) ** 2).sum(axis=(1, 2))
    F += tau @ ((t[j] - t[i] - np.einsum("nab,nb->na", R[i], z)) ** 2).sum(axis=1)
    cost = Problem(M, BlockObjective([functions.chordal_between(i, j, Z, kappa, tau)])).cost(p)
    assert 2.0 * cost == pytest.approx(F, rel=1e-13)


@pytest.mark.parametrize("d", [2, 3])
def test_errors_of_poses_are_twists_of_the_group(d):
    """The residual r of a relative pose brings it back: T_i Z exp(r) = T_j."""
    SE = SpecialEuclidean(d)
    rng = np.random.default_rng(5)
    p, q, Z = (SE.random_point(rng, (N,)) for _ in range(3))
    M = ProductManifold(poses=PowerManifold(SE, 2 * N))
    point = M.join(np.concatenate([p, q]))
    block = functions.pose_between(np.arange(N), N + np.arange(N), Z)
    r = Problem(M, BlockObjective([block])).evaluate(point).residuals.reshape(N, -1)
    start = SE.compose(p, Z)
    X = SE.get_vector(start, np.concatenate([r[:, d:], r[:, :d]], axis=1))
    np.testing.assert_allclose(SE.retract(start, X, method="group"), q, atol=1e-12)


def test_bearings_are_angles():
    SE2, SE3 = SpecialEuclidean(2), SpecialEuclidean(3)
    for SE, x, directions, angle in (
        (SE2, [[1.0, 1.0]], np.array([0.0]), np.pi / 4),
        (SE2, [[0.0, -2.0]], np.array([[0.0, 3.0]]), np.pi),
        (SE3, [[1.0, 0.0, 1.0]], np.array([[5.0, 0.0, 0.0]]), np.pi / 4),
    ):
        M = ProductManifold(poses=PowerManifold(SE, 1), landmarks=PowerManifold(Euclidean(SE.n), 1))
        point = M.join(SE.identity()[None], np.array(x))
        block = functions.bearing_to_landmark([0], [0], directions)
        r = Problem(M, BlockObjective([block])).evaluate(point).residuals
        assert np.linalg.norm(r) == pytest.approx(angle, rel=1e-14)
    with pytest.raises(ValueError, match="must not be zero; number 1"):
        functions.bearing_to_landmark([0, 0], [0, 0], [[1.0, 0.0], [0.0, 0.0]])


def test_families_can_be_pickled():
    import pickle

    M, p, blocks = families(3, np.random.default_rng(6))
    again = pickle.loads(pickle.dumps(blocks["pose_between"]))
    np.testing.assert_array_equal(jacobian(M, p, again), jacobian(M, p, blocks["pose_between"]))
