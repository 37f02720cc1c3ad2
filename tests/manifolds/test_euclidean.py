"""Flat space costs nothing and means what NumPy means."""

import numpy as np
import pytest

from manifold_opt.manifolds import Euclidean, NotOnManifold


def test_shapes_and_reprs():
    assert Euclidean(3).dim == 3
    assert Euclidean(2, 3).point_shape == (2, 3)
    assert Euclidean((2, 3)) == Euclidean(2, 3)
    assert repr(Euclidean(2, 3)) == "Euclidean(2, 3)"
    assert repr(Euclidean(3, field="complex")) == "Euclidean(3, field='complex')"
    assert Euclidean(3, field="complex").dim == 6


@pytest.mark.parametrize("shape", [(), (0,), (2, -1), (2.0,), (True,)])
def test_a_point_is_never_a_number_without_axes(shape):
    with pytest.raises(ValueError, match="positive integers"):
        Euclidean(*shape)


def test_field_is_checked():
    with pytest.raises(ValueError, match="field"):
        Euclidean(2, field="quaternion")
    with pytest.raises(NotOnManifold, match="field='complex'"):
        Euclidean(2).check_point(np.array([1j, 0.0]))


def test_complex_inner_product_is_the_real_part():
    M = Euclidean(2, field="complex")
    X, Y = np.array([1 + 2j, 3j]), np.array([2 - 1j, 1 + 1j])
    assert M.inner(X, X, Y) == pytest.approx(np.vdot(X, Y).real)
    np.testing.assert_array_equal(M.get_coordinates(X, X), [1.0, 0.0, 2.0, 3.0])
    np.testing.assert_array_equal(M.get_vector(X, np.array([1.0, 0.0, 2.0, 3.0])), X)


def test_operations_are_numpys():
    M = Euclidean(2, 3)
    rng = np.random.default_rng(0)
    p, X = rng.standard_normal((2, 2, 3))
    np.testing.assert_array_equal(M.exp(p, X), p + X)
    np.testing.assert_array_equal(M.retract(p, X, 0.5), p + 0.5 * X)
    np.testing.assert_array_equal(M.log(p, X), X - p)
    assert M.distance(p, X) == pytest.approx(np.linalg.norm(X - p), rel=1e-15)
    np.testing.assert_array_equal(M.get_coordinates(p, X), X.ravel())
    assert M.riemannian_hessian(p, p, X, p) is X


def test_exp_returns_a_point_of_its_own():
    """Neither argument is handed back: an accepted point must never share memory with a step."""
    M = Euclidean(3)
    p, X = np.ones(3), np.zeros(3)
    assert not np.shares_memory(M.exp(p, X), p)
    assert not np.shares_memory(M.exp(p, X, 0.0), X)
