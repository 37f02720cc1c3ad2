"""The sphere at zero, at the antipode, and in closed forms checked independently."""

import math

import numpy as np
import pytest

from manifold_opt.manifolds import NotOnManifold, NotTangent, Sphere
from manifold_opt.testing import retraction_order

M = Sphere(3)


@pytest.fixture
def points():
    rng = np.random.default_rng(5)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    return p, X / M.norm(p, X)


def test_dimension_and_shape():
    assert Sphere(2).dim == 2
    assert Sphere(2).point_shape == (3,)
    assert repr(Sphere(2)) == "Sphere(2)"


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "2"])
def test_dimension_must_be_a_positive_integer(n):
    with pytest.raises(ValueError, match="positive integer"):
        Sphere(n)


def test_projection_is_a_second_order_retraction():
    assert retraction_order(M, "projection") > 1.9
    assert retraction_order(M, "exponential") == math.inf


@pytest.mark.parametrize("length", [0.0, 1e-320, 1e-200, 1e-9, 1.0, math.pi, 2 * math.pi, 1e3, 1e160, np.inf])
def test_exp_has_unit_length_however_long_the_vector(points, length):
    p, X = points
    if length == np.inf:
        # nothing sensible exists: NaN, not an exception in the middle of a run
        with np.errstate(invalid="ignore"):
            assert np.isnan(M.exp(p, np.inf * np.ones(4))).any()
        return
    with np.errstate(over="ignore", invalid="ignore"):
        q = M.exp(p, length * X)
    if length <= 1e3:
        assert abs(np.linalg.norm(q) - 1) <= 8 * np.finfo(float).eps


def test_log_at_the_antipode_is_a_fixed_vector_of_length_pi(points):
    p, _ = points
    X = M.log(p, -p)
    np.testing.assert_array_equal(X, M.log(p, -p))
    assert M.norm(p, X) == pytest.approx(math.pi, rel=1e-15)
    M.check_vector(p, X)
    np.testing.assert_allclose(M.exp(p, X), -p, atol=1e-15)
    batch = M.log(np.stack([p, p]), np.stack([-p, M.exp(p, X, 0.5)]))
    np.testing.assert_allclose(batch[0], X, atol=1e-15)
    assert M.distance(p, -p) == math.pi


def test_mid_point_and_transport_at_the_antipode_follow_the_log(points):
    p, X = points
    direction = M.log(p, -p)
    np.testing.assert_allclose(M.mid_point(p, -p), M.exp(p, direction, 0.5), atol=1e-15)
    there = M.parallel_transport_to(p, X, -p)
    np.testing.assert_allclose(there, M.parallel_transport_direction(p, X, direction), atol=1e-14)


@pytest.mark.parametrize("gap", [1e-4, 1e-6, 1e-8, 1e-10, 1e-13])
def test_log_close_to_the_antipode(points, gap):
    p, X = points
    q = M.exp(p, X, math.pi - gap)
    np.testing.assert_allclose(M.log(p, q), (math.pi - gap) * X, atol=1e-15 / gap + 1e-14)
    assert M.distance(p, q) == pytest.approx(math.pi - gap, abs=1e-15)
    assert abs(M.norm(p, M.log(p, q)) - math.pi) <= 2 * gap


def test_inverse_projection_needs_the_open_half_sphere(points):
    p, X = points
    with pytest.raises(ValueError, match="below pi/2"):
        M.inverse_retract(p, M.exp(p, X, 1.6), method="projection")


def test_parallel_transport_against_the_schild_ladder_limit(points):
    """Small parallelograms: a transport of another making agrees to the order of the steps."""
    p, X = points
    rng = np.random.default_rng(1)
    Y = M.random_vector(p, rng)
    exact = M.parallel_transport_to(p, Y, M.exp(p, X))
    steps = 200
    q, Z = p, Y
    for k in range(steps):
        there = M.exp(p, X, (k + 1) / steps)
        small = 1e-3
        diagonal = M.mid_point(M.exp(q, Z, small), there)
        Z = M.log(there, M.exp(q, 2.0 * M.log(q, diagonal))) / small
        q = there
    np.testing.assert_allclose(Z, exact, atol=2e-2)


def test_coordinates_do_not_depend_on_where_the_first_axis_points():
    rng = np.random.default_rng(0)
    for p in (*np.eye(4), *-np.eye(4), np.array([0.0, 0.6, 0.8, 0.0]), np.array([-0.0, 0.6, 0.0, 0.8])):
        X = M.random_vector(p, rng)
        c = M.get_coordinates(p, X)
        assert np.linalg.norm(c) == pytest.approx(np.linalg.norm(X), rel=1e-15)
        np.testing.assert_allclose(M.get_vector(p, c), X, atol=1e-15)
        np.testing.assert_allclose(M.get_coordinates(p[None], X[None])[0], c, atol=1e-15)


def test_errors_name_rule_value_and_way_out():
    with pytest.raises(NotOnManifold, match=r"length 1 .* off by 1 .*M.project_point\(p\)"):
        M.check_point(np.array([0.0, 0.0, 0.0, 2.0]))
    with pytest.raises(NotTangent, match=r"orthogonal to p .* is 1 .*M.project_vector\(p, X\)"):
        M.check_vector(np.eye(4)[0], np.eye(4)[0])
    with pytest.raises(NotOnManifold, match="real"):
        M.check_point(np.eye(4)[0] * 1j)
    with pytest.raises(ValueError, match="z is zero"):
        M.project_point(np.zeros(4))
    with pytest.raises(ValueError, match="Did you mean 'projection'"):
        M.retract(np.eye(4)[0], np.eye(4)[1], method="projektion")


def test_random_points_are_uniform():
    p = Sphere(2).random_point(0, (20_000,))
    # Archimedes: each coordinate is uniform on [-1, 1]; second and fourth moments within five standard errors
    for k, moment in ((2, 1 / 3), (4, 1 / 5)):
        np.testing.assert_allclose(
            np.mean(p**k, axis=0), moment, atol=5 * math.sqrt(1 / (2 * k + 1) / len(p))
        )
