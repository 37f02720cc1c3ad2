"""Steps of central differences, from zero to huge points, and their count."""

import autograd.numpy as anp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from manifold_opt.autodiff import DerivativeWarning, FiniteDifferences
from manifold_opt.autodiff.finite_differences import hessian_by_differences
from manifold_opt.autodiff.steps import coordinate_scales, scale_along
from manifold_opt.manifolds import Euclidean, Sphere

BACKEND = FiniteDifferences()
FORWARD = FiniteDifferences(scheme="forward")
M = Euclidean(3)
U = np.array([1.0, -2.0, 0.5])


class Counted:
    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, p):
        self.calls += 1
        return self.f(p)


@pytest.mark.parametrize("s", [0.0, 1e-300, 1e-12, 1e-6, 1e-3, 1.0, 1e3])
def test_near_zero_a_function_of_scale_one_has_eight_digits(s):
    p = s * U
    X = BACKEND.gradient(lambda p: np.sum(np.cos(p)) + np.sum((p - 1.0) ** 2), M)(p)
    assert_allclose(X, -np.sin(p) + 2.0 * (p - 1.0), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("s", [1e-25, 1e-12, 1e-6, 1.0, 1e6, 1e150])
def test_a_function_of_the_scale_of_its_point_has_eight_digits(s):
    X = BACKEND.gradient(lambda p: np.sum(np.sin(p / s)), M)(s * U)
    assert_allclose(s * X, np.cos(U), rtol=1e-8)


@pytest.mark.parametrize("s", [0.0, 1e-300, 1e-12, 1e-6, 1e-3, 1.0, 1e3])
def test_forward_differences_near_zero_have_half_of_the_digits(s):
    p = s * U
    X = FORWARD.gradient(lambda p: np.sum(np.cos(p)) + np.sum((p - 1.0) ** 2), M)(p)
    # the function is 6 to 1e6 times larger than its derivative times a step
    assert_allclose(X, -np.sin(p) + 2.0 * (p - 1.0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("s", [1e-25, 1e-12, 1e-6, 1.0, 1e6, 1e150])
def test_forward_differences_of_a_function_of_the_scale_of_its_point(s):
    X = FORWARD.gradient(lambda p: np.sum(np.sin(p / s)), M)(s * U)
    assert_allclose(s * X, np.cos(U), rtol=1e-6)


def test_forward_differences_cost_one_call_per_dimension_and_one_at_the_point():
    f = Counted(lambda p: np.sum(p**4))
    X = FORWARD.gradient(f, M)(U)
    assert_allclose(X, 4.0 * U**3, rtol=1e-6)
    assert f.calls == FORWARD.cost_per_gradient(M) + 1 == 4
    r = Counted(lambda p: np.concatenate([p**2, np.sin(p)]))
    values, J = FORWARD.jacobian(r, M)(U)
    assert r.calls == 4
    assert_allclose(values, np.concatenate([U**2, np.sin(U)]))
    assert_allclose(J, np.concatenate([np.diag(2.0 * U), np.diag(np.cos(U))]), atol=1e-7)


def test_a_forward_difference_of_a_constant_or_of_nothing_finite_ends():
    assert not FORWARD.gradient(Counted(lambda p: 3.0), M)(np.array([1e-9, 0.0, 1.0])).any()
    f = Counted(lambda p: np.nan)
    assert np.isnan(FORWARD.gradient(f, M)(np.array([1e-9, 1.0, 1.0]))).all()
    assert f.calls <= 10


def test_an_unknown_scheme():
    with pytest.raises(ValueError, match="'central', 'forward'; got 'backward'"):
        FiniteDifferences(scheme="backward")


def test_each_coordinate_has_its_own_scale():
    p = np.array([1e-7, 2.0, 1e5])
    X = BACKEND.gradient(lambda p: np.exp(p[0] * 1e7) * p[1] + np.sin(p[2] * 1e-5), M)(p)
    assert_allclose(X, [2e7 * np.e, np.e, 1e-5 * np.cos(1.0)], rtol=1e-8)


@pytest.mark.parametrize("x", [[1.0, 0.0, 0.0], [1.0, 1e-9, 0.0], [0.6, 0.8, 0.0], [0.3, 0.4, -0.5]])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-9), (np.float32, 2e-4)])
def test_points_of_the_sphere_near_the_axes(x, dtype, tolerance):
    p = np.array(x, dtype=dtype) / np.linalg.norm(x).astype(dtype)
    A = np.diag([1.0, 2.0, 3.0]).astype(dtype)
    X = BACKEND.gradient(lambda p: p @ A @ p, Sphere(2))(p)
    assert X.dtype == dtype
    assert_allclose(X, 2 * (A @ p - (p @ A @ p) * p), atol=tolerance)


def test_a_gradient_costs_two_calls_per_dimension():
    f = Counted(lambda p: np.sum(p**4))
    BACKEND.gradient(f, M)(U)
    assert f.calls == BACKEND.cost_per_gradient(M) == 6
    f.calls = 0
    BACKEND.value_and_gradient(f, M)(U)
    assert f.calls == 7


def test_a_function_may_use_one_buffer_for_all_its_residuals():
    buffer = np.empty(3)

    def residual(p):
        np.multiply(p, p, out=buffer)
        return buffer

    values, J = BACKEND.jacobian(residual, M)(U)
    assert_allclose(values, U**2)
    assert_allclose(J, np.diag(2 * U), atol=1e-8)


def test_non_finite_values_end_the_search_for_a_step():
    p = np.array([1e-9, 1.0, 1.0])
    f = Counted(lambda p: np.nan)
    assert np.isnan(BACKEND.gradient(f, M)(p)).all()
    assert f.calls <= 10


def test_fifty_passes_are_announced():
    with pytest.warns(DerivativeWarning, match="takes 50 passes"):
        BACKEND.jacobian(lambda p: p, Euclidean(50))(np.ones(50))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("name", ["step", "scale"])
def test_steps_must_be_positive(name, bad):
    with pytest.raises(ValueError, match=f"`{name}`"):
        FiniteDifferences(**{name: bad})


def test_the_scale_may_be_given():
    X = FiniteDifferences(scale=1e-9).gradient(lambda p: anp.sum(anp.sin(p * 1e9)), M)(np.zeros(3))
    assert_allclose(X, 1e9, rtol=1e-8)


def test_scales_are_those_of_the_entries_that_move():
    V = np.eye(3)
    p = np.array([0.0, 2.0, 1e-9])
    assert_allclose(coordinate_scales(p, V), [1.0, 2.0, 1e-9])
    assert_allclose([scale_along(p, v) for v in V], [1.0, 2.0, 1e-9])


@pytest.mark.parametrize("p", [np.zeros(3), 1e-12 * U, U, 1e4 * U], ids=["0", "1e-12", "1", "1e4"])
def test_hessian_products_by_differences_of_an_exact_gradient(p):
    gradient = lambda p: 4 * (p - 1) ** 3
    product = hessian_by_differences(gradient, M)(p)
    X = np.array([1.0, 2.0, -1.0])
    expected = 12 * (p - 1) ** 2 * X
    size = np.abs(expected).max()
    assert_allclose(product(X), expected, atol=1e-8 * size)
    assert_allclose(product(1e-9 * X), 1e-9 * expected, atol=1e-17 * size)
    assert not product(0 * X).any()
