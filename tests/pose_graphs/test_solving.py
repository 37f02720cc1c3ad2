"""Initialization, certificate, relaxation, outliers: against dense linear algebra, the truth, and each other."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import SpecialEuclidean, solve_pose_graph
from manifold_opt.datasets import city_graph, grid_graph, ring_graph, sphere_graph, torus_graph
from manifold_opt.pose_graphs import certify, climb, dual_matrix, initial_poses, pose_graph_costs, rounded
from manifold_opt.pose_graphs.quadratic import PoseMatrix, residual_matrix, rotation_form, stacked

METHODS = ["chordal", "spectral", "odometry", "spanning-tree"]
GENERATORS = {
    "grid 2D": lambda **noise: grid_graph((4, 5), **noise),
    "grid 3D": lambda **noise: grid_graph((3, 3, 3), **noise),
    "sphere": lambda **noise: sphere_graph(5, 8, **noise),
    "torus": lambda **noise: torus_graph(5, 6, **noise),
    "ring": lambda **noise: ring_graph(20, laps=2, **noise),
    "ring in space": lambda **noise: ring_graph(12, dimension=3, **noise),
    "city": lambda **noise: city_graph(60, **noise),
}


def aligned(graph, poses):
    """Poses moved together so that the first is the true one."""
    SE = graph.pose_manifold
    return SE.compose(SE.compose(graph.truth[0], SE.inverse(poses[0])), poses)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", GENERATORS)
def test_without_noise_every_start_is_the_truth(name, method):
    graph = GENERATORS[name](rotation_noise=0.0, translation_noise=0.0, rng=1)
    poses = initial_poses(graph, method)
    np.testing.assert_allclose(aligned(graph, poses), graph.truth, atol=1e-9)
    # anchors stay where the graph has them
    np.testing.assert_allclose(poses[graph.anchors], graph.poses[graph.anchors], atol=1e-12)


def test_spectral_rotations_are_eigenvectors():
    graph = grid_graph((3, 3, 3), rotation_noise=0.2, rng=2)
    L = rotation_form(graph, graph.isotropic_weights()[0])
    from manifold_opt.pose_graphs.initialization import _smallest_eigenvectors

    U = _smallest_eigenvectors(PoseMatrix(L, graph.num_poses, 3), 3, 100)
    w, V = np.linalg.eigh(L.toarray())
    np.testing.assert_allclose(np.abs(V[:, :3].T @ U).sum(axis=0) > 0.9, True)
    assert np.trace(U.T @ (L @ U)) == pytest.approx(w[:3].sum(), rel=1e-4)


def test_chordal_start_is_a_minimizer():
    """Of the cost of rotations over all matrices, by dense least squares."""
    graph = grid_graph((3, 3), rotation_noise=0.3, init=None, rng=3)
    A = residual_matrix(graph, *graph.isotropic_weights()).toarray()[: 2 * graph.num_edges, : 2 * graph.num_poses]
    X = np.linalg.lstsq(A[:, 2:], -A[:, :2], rcond=None)[0].reshape(-1, 2, 2)
    U, _, W = np.linalg.svd(X)
    nearest = U @ W  # no reflections here
    R = SpecialEuclidean(2).split(initial_poses(graph, "chordal"))[0]
    np.testing.assert_allclose(R[1:].swapaxes(1, 2), nearest, atol=1e-10)


def test_several_pieces_and_fixed_poses():
    from dataclasses import replace

    ring = ring_graph(8, rotation_noise=0.01, rng=0)
    n, m = ring.num_poses, ring.num_edges
    SE = ring.pose_manifold
    double = replace(
        ring,
        edges=np.concatenate([ring.edges, ring.edges + n]),
        measurements=np.tile(ring.measurements, (2, 1)),
        information=np.tile(ring.information, (2, 1, 1)),
        poses=np.concatenate([ring.poses, SE.compose(SE.random_point(5), ring.poses)]),
        ids=np.arange(2 * n),
        fixed=[3],
        truth=None,
        inliers=None,
    )
    assert double.num_edges == 2 * m
    np.testing.assert_array_equal(double.anchors, [3, n])
    one, two = solve_pose_graph(ring, certify=True), solve_pose_graph(double, certify=True)
    assert two.costs["chordal"] == pytest.approx(2.0 * one.costs["chordal"], rel=1e-9)
    assert two.certificate.optimal
    np.testing.assert_array_equal(two.poses[3], double.poses[3])
    for method in ("odometry", "spanning-tree"):
        np.testing.assert_allclose(initial_poses(double, method)[n], double.poses[n], atol=1e-12)
    with pytest.raises(ValueError, match="in one piece"):
        initial_poses(double, "spectral")
    held = replace(ring, fixed=[0, 4], poses=ring.truth)
    result = solve_pose_graph(held)
    np.testing.assert_array_equal(result.poses[[0, 4]], ring.truth[[0, 4]])
    with pytest.raises(ValueError, match="several fixed poses"):
        certify(held, result.poses)


@pytest.mark.parametrize("d", [2, 3])
def test_the_certificate_bounds_the_eigenvalues(d):
    graph = grid_graph((3,) * d, rotation_noise=0.1, rng=4)
    result = solve_pose_graph(graph, certify=True)
    assert result.certificate.optimal and 0.0 <= result.certificate.relative_gap < 1e-7
    Y = stacked(graph, result.poses)
    S, multipliers, F = dual_matrix(graph, Y)
    assert F == pytest.approx(2.0 * result.cost, rel=1e-12)
    assert np.trace(multipliers, axis1=1, axis2=2).sum() == pytest.approx(F, rel=1e-9)
    assert np.abs(S @ Y).max() < 1e-6 * S.diagonal().max()  # a critical point
    assert np.linalg.eigvalsh(S.toarray())[0] > -1e-9 * S.diagonal().max()
    # no other poses are better by more than the gap
    rng = np.random.default_rng(0)
    SE = graph.pose_manifold
    near = [SE.retract(result.poses, 1e-3 * SE.random_vector(result.poses, rng)) for _ in range(20)]
    assert min(pose_graph_costs(graph, p)["chordal"] for p in near) > F - result.certificate.gap


def turned_ring(n, turns):
    """A ring whose edges are exact but for one, and poses that wind around it a wrong number of times."""
    graph = ring_graph(n, rotation_noise=0.0, translation_noise=0.1, rng=0)
    SE = graph.pose_manifold
    R, t = SE.split(graph.truth)
    a = 2.0 * np.pi * turns * np.arange(n) / n
    c, s = np.cos(a), np.sin(a)
    twist = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)
    return graph, SE.join(twist @ R, t)


def test_a_bad_minimum_is_seen_and_left():
    """Rotations that turn once too often around a ring are a local minimum; one more dimension leaves it."""
    graph, wound = turned_ring(20, 1)
    stuck = solve_pose_graph(graph, init=wound, certify=True, escape=False)
    best = solve_pose_graph(graph, certify=True)
    assert best.certificate.optimal
    assert stuck.converged and stuck.costs["chordal"] > 10.0 * best.costs["chordal"] + 1.0
    assert not stuck.certificate.optimal and stuck.certificate.eigenvalue < 0.0
    v = stuck.certificate.direction
    S = dual_matrix(graph, stacked(graph, stuck.poses))[0]
    assert v @ (S @ v) < 0.0
    free = solve_pose_graph(graph, init=wound, certify=True)
    assert free.certificate.optimal and free.escaped_by == "chordal"
    assert "escape" in free.report()
    relaxed = climb(graph, stuck.poses, stuck.certificate)
    assert relaxed.certificate.optimal and relaxed.ranks[0] == 3
    free = solve_pose_graph(graph, init=rounded(graph, relaxed.Y), certify=True, escape=False)
    assert free.certificate.optimal
    assert free.costs["chordal"] == pytest.approx(best.costs["chordal"], rel=1e-6)


def test_the_relaxation_is_a_lower_bound():
    """With noise so strong that the relaxation is not tight the gap is what is between it and the best poses."""
    graph = grid_graph((4, 4), rotation_noise=1.5, translation_noise=0.5, rng=5)
    result = solve_pose_graph(graph, certify=True, escape=False)
    assert not result.certificate.optimal
    relaxed = climb(graph, result.poses, result.certificate)
    assert relaxed.certificate.optimal
    lower = relaxed.certificate.cost
    starts = [initial_poses(graph, method) for method in METHODS] + [rounded(graph, relaxed.Y)]
    costs = [solve_pose_graph(graph, init=start).costs["chordal"] for start in starts]
    assert min(costs) >= lower * (1.0 - 1e-9)
    bounded = solve_pose_graph(graph, certify=True)
    assert 2.0 * bounded.cost - bounded.certificate.gap == pytest.approx(lower, rel=1e-6)


@pytest.mark.parametrize("policy", ["random", "local", "grouped", "local-grouped"])
def test_outliers_are_found(policy):
    graph = ring_graph(40, laps=2, outliers=0.4, policy=policy, rotation_noise=0.02, translation_noise=0.02, rng=6)
    result = solve_pose_graph(graph, graduated=True, certify=True)
    believed = result.weights > 0.5
    assert not (believed & ~graph.inliers).any()
    assert (~believed & graph.inliers).sum() <= 1
    assert result.certificate.optimal
    error = np.linalg.norm((aligned(graph, result.poses) - graph.truth)[:, 4:], axis=1)
    assert error.max() < 2.0
    plain = solve_pose_graph(graph)
    assert np.linalg.norm((aligned(graph, plain.poses) - graph.truth)[:, 4:], axis=1).max() > 2.0 * error.max()


def test_losses_leave_trusted_edges_alone():
    graph = ring_graph(30, laps=2, outliers=0.1, rotation_noise=0.02, translation_noise=0.02, rng=7)
    robust = solve_pose_graph(graph, "log", loss="cauchy")
    plain = solve_pose_graph(graph, "log")
    errors = [np.abs(aligned(graph, r.poses) - graph.truth).max() for r in (robust, plain)]
    assert errors[0] < 0.2 * errors[1]


def test_summaries_are_plain_numbers():
    import json

    result = solve_pose_graph(ring_graph(10, rng=0), certify=True)
    text = json.dumps(result.summary())
    assert json.loads(text)["certificate"]["optimal"] is True
    assert "globally optimal within" in result.report()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"objective": "cord"}, "`objective` must be"),
        ({"objective": "log", "certify": True}, "`certify` is for objective='chordal'"),
        ({"loss": "cauchy", "certify": True}, "leave out `loss`"),
        ({"loss": "cauchy", "graduated": True}, "brings its own"),
        ({"init": "chorddal"}, "`init` must be one of"),
        ({"init": np.zeros((3, 3))}, "`init` must be the name of a method or poses of shape"),
        ({"graduated": True, "trusted": [True]}, "`trusted` must be a mask"),
    ],
)
def test_keywords_that_make_no_sense(keywords, message):
    with pytest.raises(ValueError, match=message):
        solve_pose_graph(ring_graph(6, rng=0), **keywords)


def test_a_file_without_poses_has_no_start():
    with pytest.raises(ValueError, match="no estimate of its poses"):
        solve_pose_graph(ring_graph(6, init=None, rng=0), init="file")
