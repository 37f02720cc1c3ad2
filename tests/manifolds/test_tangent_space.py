"""A tangent space is a flat manifold of its own."""

import numpy as np
import pytest

from manifold_opt.manifolds import NotOnManifold, Rotations, Sphere, SymmetricPositiveDefinite, TangentSpace


@pytest.fixture(params=[Sphere(2), Rotations(3), SymmetricPositiveDefinite(2)], ids=repr)
def space(request):
    M = request.param
    return TangentSpace(M, M.random_point(0))


def test_base_point_is_copied_and_read_only():
    p = np.array([1.0, 0.0, 0.0])
    T = TangentSpace(Sphere(2), p)
    p[:] = 0.0
    np.testing.assert_array_equal(T.p, [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="read-only"):
        T.p[0] = 2.0


def test_equality_is_by_content():
    M = Sphere(2)
    p = np.array([1.0, 0.0, 0.0])
    assert TangentSpace(M, p) == TangentSpace(M, p.copy())
    assert hash(TangentSpace(M, p)) == hash(TangentSpace(M, np.array([1.0, -0.0, 0.0])))
    assert TangentSpace(M, p) != TangentSpace(M, p[::-1])
    assert TangentSpace(M, p) != TangentSpace(Sphere(3), np.eye(4)[0])


def test_base_point_must_be_one_point():
    with pytest.raises(NotOnManifold, match="single point"):
        TangentSpace(Sphere(2), np.zeros((2, 3)))


def test_geometry_is_that_of_the_inner_product_at_the_base_point(space):
    X, Y = space.random_point(1), space.random_point(2)
    assert space.distance(X, Y) == pytest.approx(space.manifold.norm(space.p, Y - X), rel=1e-13)
    np.testing.assert_allclose(space.exp(X, Y, 0.5), X + 0.5 * Y, atol=1e-15)
    np.testing.assert_allclose(space.get_coordinates(X, Y), space.manifold.get_coordinates(space.p, Y))


def test_quadratic_model_is_minimized_by_one_newton_step(space):
    """The gradient of <g, X> + <X, A X>/2 in coordinates is what subsolvers see."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((space.dim, space.dim))
    A = A @ A.T + np.eye(space.dim)
    g = rng.standard_normal(space.dim)
    X = space.random_point(3)
    gradient = space.get_vector(X, g + A @ space.get_coordinates(X, X))
    step = np.linalg.solve(A, -space.get_coordinates(X, gradient))
    c = space.get_coordinates(X, space.exp(X, space.get_vector(X, step)))
    np.testing.assert_allclose(A @ c, -g, atol=1e-12)


def test_steps_do_not_leave_the_tangent_space():
    """Rounding grows with the root of the number of steps unless it is removed."""
    T = TangentSpace(Sphere(2), Sphere(2).random_point(0))
    rng = np.random.default_rng(1)
    X = T.random_point(rng)
    for _ in range(2000):
        X = T.exp(X, T.random_vector(X, rng), 0.01)
    assert abs(T.p @ X) <= 1e-15 * (1 + np.linalg.norm(X))
