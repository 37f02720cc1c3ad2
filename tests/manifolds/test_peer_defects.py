"""Defects found in other libraries' versions of these manifolds; each must stay absent here."""

import math

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt.manifolds import Euclidean, PowerManifold, ProductManifold, Sphere

M = Sphere(2)


@pytest.fixture
def direction():
    rng = np.random.default_rng(11)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    return p, X / M.norm(p, X)


def test_geomstats_sphere_log_near_the_antipode(direction):
    """There: error 1.4e-4 at pi - 1e-6, norm 2.6e8 at pi - 1e-8, zero at the antipode."""
    p, X = direction
    for gap in (1e-6, 1e-8):
        L = M.log(p, M.exp(p, X, math.pi - gap))
        assert np.linalg.norm(L - (math.pi - gap) * X) <= 1e-15 / gap + 1e-14
    assert M.norm(p, M.log(p, -p)) == pytest.approx(math.pi)


def test_geomstats_and_pymanopt_sphere_distance_below_1e_8(direction):
    """There: arc cosine, relative error 1."""
    p, X = direction
    for length in (1e-8, 1e-10, 1e-12):
        # the stored end point is within 1e-16 of the exact one
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, abs=2e-16)


def test_geomstats_float32_stays(direction):
    p, X = (a.astype(np.float32) for a in direction)
    assert M.exp(p, X).dtype == np.float32
    assert M.log(p, X).dtype == np.float32


def test_manifolds_jl_sphere_log_in_the_far_region(direction):
    """There: cosines within sqrt(eps) of -1 count as antipodal, a wrong direction (error 6.3) at pi - 1e-4."""
    p, X = direction
    L = M.log(p, M.exp(p, X, math.pi - 1e-4))
    assert np.linalg.norm(L - (math.pi - 1e-4) * X) <= 1e-11


def test_gradient_of_distance_where_users_start(direction):
    """Elsewhere NaN, from the arc cosine or the norm at zero."""
    p, _ = direction
    for f in (M.distance, M.squared_distance):
        np.testing.assert_array_equal(autograd.grad(lambda x: f(x, p))(p), np.zeros(3))  # noqa: B023
    mean_of_distances = lambda x: anp.sum(M.distance(x, np.stack([p, -p, p])))
    assert np.all(np.isfinite(autograd.grad(mean_of_distances)(p)))


def test_pymanopt_product_points_are_ordinary_arrays(direction):
    """There: lists, which break scipy, copying and arithmetic."""
    N = ProductManifold(R=Sphere(2), t=Euclidean(3))
    p = N.random_point(0)
    X = N.random_vector(p, 1)
    assert type(p + 2.0 * X) is np.ndarray
    assert p.flags.writeable
    assert p.copy().shape == N.point_shape


def test_pymanopt_gradients_are_writable():
    """There: automatic differentiation hands out read-only arrays."""
    p = M.random_point(0)
    gradient = M.riemannian_gradient(p, autograd.grad(lambda x: anp.sum(x))(p))
    assert gradient.flags.writeable


def test_pymanopt_global_random_state():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    N = PowerManifold(Sphere(2), 3)
    N.random_vector(N.random_point())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_pymanopt_batches_on_leading_axes():
    """There: a fixed first axis on some classes only."""
    p = M.random_point(0, (2, 3, 4))
    assert M.distance(p, M.random_point(1, (2, 3, 4))).shape == (2, 3, 4)
