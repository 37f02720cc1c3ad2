"""The value that holds a pose graph, and its information matrices."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import PoseGraph, SpecialEuclidean
from manifold_opt.datasets import grid_graph, ring_graph
from manifold_opt.pose_graphs import InformationError

SE2 = SpecialEuclidean(2)


def graph(**changes):
    fields = {
        "edges": [[0, 1], [1, 2]],
        "measurements": SE2.random_point(0, (2,)),
        "information": np.tile(np.eye(3), (2, 1, 1)),
    }
    return PoseGraph(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": [[0.0, 1.0], [1.0, 2.0]]}, "pairs of integers"),
        ({"edges": [[0, 1], [2, 2]]}, "edge 1 joins pose 2 to itself"),
        ({"edges": [[0, 1], [1, -1]]}, r"must join poses 0..1; got -1..1"),
        ({"measurements": np.zeros((2, 5))}, "must have shape"),
        ({"measurements": np.full((2, 6), np.nan)}, "`measurements` must be finite"),
        ({"information": np.zeros((2, 6, 6))}, r"must have shape \(2, 3, 3\)"),
        ({"information": np.tile(np.triu(np.ones((3, 3))), (2, 1, 1))}, "must be symmetric; that of edge 0"),
        ({"poses": np.zeros((3, 5))}, "`poses` must have shape"),
        ({"ids": [3, 2, 1]}, "ascending order"),
        ({"fixed": [3]}, "must be numbers of poses"),
        ({"inliers": [True]}, "`inliers` must have shape"),
    ],
)
def test_what_makes_no_sense_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        graph(**changes)


def test_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        graph().information[0, 0, 0] = 2.0


def test_pieces_have_an_anchor_each():
    g = graph(edges=[[0, 1], [2, 3]], poses=SE2.random_point(1, (5,)), fixed=[3])
    np.testing.assert_array_equal(g.components, [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(g.anchors, [0, 3, 4])


def test_indefinite_information_is_an_error_or_repaired():
    """A matrix that says less than nothing about one direction."""
    bad = np.diag([1.0, -0.5, 2.0])
    g = graph(information=[np.eye(3), bad])
    np.testing.assert_array_equal(g.indefinite(), [1])
    with pytest.raises(InformationError, match=r"1 of 2 edges .* edge 1, from 1 to 2.*graph.repaired\(\)"):
        g.sqrt_information()
    with pytest.raises(InformationError, match="block of the information matrix"):
        g.isotropic_weights()
    fixed = g.repaired()
    np.testing.assert_allclose(fixed.information[1], np.diag([1.0, 0.0, 2.0]), atol=1e-15)
    np.testing.assert_array_equal(fixed.information[0], np.eye(3))
    W = fixed.sqrt_information()
    np.testing.assert_allclose(W.swapaxes(1, 2) @ W, fixed.information, atol=1e-14)
    kappa, tau = fixed.isotropic_weights()
    np.testing.assert_allclose([kappa, tau], [[1.0, 2.0], [1.0, 0.0]])
    assert fixed.repaired(1e-3).sqrt_information().shape == (2, 3, 3)
    fine = graph()
    assert fine.repaired() is fine


@pytest.mark.parametrize("d", [2, 3])
def test_isotropic_weights_are_those_of_isotropic_noise(d):
    """For normal noise sigma and s of rotations and translations: kappa = 1/sigma^2 or half of it, tau = 1/s^2."""
    g = ring_graph(5, dimension=d, rotation_noise=0.1, translation_noise=0.2, rng=0)
    kappa, tau = g.isotropic_weights()
    np.testing.assert_allclose(kappa, (1.0 if d == 2 else 0.5) / 0.01)
    np.testing.assert_allclose(tau, 1.0 / 0.04)


def test_generators_tell_the_truth():
    g = grid_graph((3, 3, 3), rotation_noise=0.0, translation_noise=0.0, outliers=0.2, rng=0)
    SE, (i, j) = g.pose_manifold, g.edges.T
    exact = SE.compose(SE.inverse(g.truth[i]), g.truth[j])
    right = np.abs(exact - g.measurements).max(axis=1) < 1e-12
    np.testing.assert_array_equal(right, g.inliers)
    closures = np.abs(i - j) > 1
    assert np.mean(~g.inliers[closures]) == pytest.approx(0.2, abs=0.02)
