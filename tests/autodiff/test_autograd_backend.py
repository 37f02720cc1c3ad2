"""What autograd is asked to do, and how often."""

import warnings

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import trace_stack
from numpy.testing import assert_allclose

from manifold_opt.autodiff import AutogradBackend, DerivativeWarning
from manifold_opt.manifolds import Euclidean, Sphere

BACKEND = AutogradBackend()


class Counted:
    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, p):
        self.calls += 1
        return self.f(p)


def test_value_and_gradient_take_one_run_of_the_function():
    f = Counted(lambda p: anp.sum(p**3))
    value, X = BACKEND.value_and_gradient(f, Euclidean(3))(np.array([1.0, 2.0, 3.0]))
    assert (value, f.calls) == (36.0, 1)
    assert_allclose(X, [3.0, 12.0, 27.0])


def test_products_at_one_point_share_one_tape():
    f = Counted(lambda p: anp.sum(p**3))
    product = BACKEND.hessian(f, Sphere(2))(np.array([0.6, 0.0, 0.8]))
    calls = f.calls
    product(np.array([0.0, 1.0, 0.0]))
    product(np.array([0.8, 0.0, -0.6]))
    assert f.calls == calls == 1


def test_forward_mode_runs_the_residual_once_for_all_columns():
    r = Counted(lambda p: anp.concatenate([p, p**2, anp.sin(p)]))
    jacobian = BACKEND.jacobian(r, Euclidean(2))
    for p in (np.ones(2), np.zeros(2)):
        r.calls = 0
        jacobian(p)
        assert r.calls == 1


def test_a_function_without_rules_for_many_columns_is_run_once_per_column():
    @primitive
    def cube(x):
        return x**3

    defvjp(cube, lambda ans, x: lambda g: g * 3 * x**2)
    defjvp(cube, lambda g, ans, x: g * 3 * x**2)
    r = Counted(lambda p: anp.concatenate([p, cube(p)]))
    jacobian = BACKEND.jacobian(r, Euclidean(2))
    p = np.array([1.0, 2.0])
    jacobian(p)
    r.calls = 0
    _, J = jacobian(p)
    assert r.calls == 2
    assert_allclose(J, np.concatenate([np.eye(2), np.diag(3 * p**2)]))


def test_reverse_mode_runs_the_residual_once():
    r = Counted(lambda p: anp.stack([anp.sum(p), anp.sum(p**2)]))
    jacobian = BACKEND.jacobian(r, Euclidean(40))
    jacobian(np.ones(40))
    assert r.calls == 1


def test_without_forward_rules_dim_passes_through_the_transposed_tape():
    # there is no forward rule for the Cholesky factor
    r = Counted(lambda p: anp.ravel(anp.linalg.cholesky(anp.diag(p) + anp.eye(3))))
    p = np.array([0.1, 0.2, 0.3])
    jacobian = BACKEND.jacobian(r, Euclidean(3))
    jacobian(p)
    r.calls = 0
    _, J = jacobian(p)
    assert r.calls == 1  # one tape for all 9 residuals
    expected = np.zeros((9, 3))
    expected[[0, 4, 8], [0, 1, 2]] = 0.5 / np.sqrt(p + 1.0)
    assert_allclose(J, expected, atol=1e-14)


def test_missing_second_derivative_falls_back_on_differences_with_a_warning():
    @primitive
    def cube(x):
        return x**3

    @primitive
    def slope(x):
        return 3 * x**2

    defvjp(cube, lambda ans, x: lambda g: g * slope(x))
    f = lambda p: anp.sum(cube(p))
    hessian = BACKEND.hessian(f, Euclidean(2))
    p = np.array([1.0, 2.0])
    with pytest.warns(DerivativeWarning, match="no second derivative"):
        product = hessian(p)
    assert_allclose(product(np.array([1.0, 1.0])), 6 * p, rtol=1e-8)
    hessian(p)  # says so once


def test_many_passes_are_announced_once_with_a_way_out():
    M = Euclidean(60)
    jacobian = BACKEND.jacobian(lambda p: p[:55] ** 2, M)
    with pytest.warns(DerivativeWarning, match="takes 55 passes") as record:
        jacobian(np.ones(60))
        jacobian(np.ones(60))
    assert len(record) == 1
    assert "jacobian=" in str(record[0].message)


def test_few_passes_are_not_announced():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BACKEND.jacobian(lambda p: anp.concatenate([p] * 30), Euclidean(3))(np.ones(3))


def test_constant_functions_have_zero_derivatives_in_silence():
    p = np.ones(3)
    value, X = BACKEND.value_and_gradient(lambda p: 3.0, Euclidean(3))(p)
    assert value == 3.0 and not X.any()
    _, J = BACKEND.jacobian(lambda p: np.ones(5), Euclidean(3))(p)
    assert J.shape == (5, 3) and not J.any()
    assert not BACKEND.hessian(lambda p: anp.sum(p), Euclidean(3))(p)(p).any()


@pytest.mark.parametrize(
    "value",
    [
        lambda s: s,
        lambda s: anp.reshape(s, (1,)),
        lambda s: anp.reshape(s, (1, 1)),
        lambda s: np.array(s),
        lambda s: [s],
    ],
    ids=["0-d", "(1,)", "(1, 1)", "object array", "list"],
)
def test_a_cost_may_come_as_any_array_of_size_one(value):
    value, X = BACKEND.value_and_gradient(lambda p: value_of(p, value), Euclidean(2))(np.array([1.0, 2.0]))
    assert value == 5.0 and type(value) is float
    assert_allclose(X, [2.0, 4.0])


def value_of(p, value):
    return value(anp.sum(p**2))


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda p: p * 2, r"ndarray of shape \(3,\)"),
        (lambda p: None, "returned None"),
        (lambda p: "high", "str"),
        (lambda p: anp.sum(p) * 1j, "real part"),
    ],
)
def test_a_cost_that_is_not_one_real_number_is_an_error(f, message):
    with pytest.raises(TypeError, match=message):
        BACKEND.value_and_gradient(f, Euclidean(3))(np.ones(3))


@pytest.mark.parametrize(
    "r",
    [
        lambda p: [p[0] - 1.0, p[1] * p[0], 2.0],
        lambda p: np.array([p[0] - 1.0, p[1] * p[0], 2.0]),
        lambda p: (p[:1] - 1.0, anp.array([p[1] * p[0], 2.0])),
        lambda p: anp.array([[p[0] - 1.0], [p[1] * p[0]], [2.0]]),
    ],
    ids=["list", "NumPy object array", "tuple of arrays", "column"],
)
@pytest.mark.parametrize("m", [3, 1])
def test_residuals_may_come_as_lists_and_object_arrays(r, m):
    values, J = BACKEND.jacobian(lambda p: r(p)[:m], Euclidean(2))(np.array([3.0, 5.0]))
    assert_allclose(values, [2.0, 15.0, 2.0][:m])
    assert_allclose(J, [[1.0, 0.0], [5.0, 3.0], [0.0, 0.0]][:m])


def test_an_exception_inside_a_trace_leaves_autograd_in_order():
    top = trace_stack.top
    with pytest.raises(ZeroDivisionError):
        BACKEND.value_and_gradient(lambda p: 1 / 0, Euclidean(1))(np.ones(1))
    assert trace_stack.top == top


def test_a_real_function_through_complex_numbers_has_a_real_gradient():
    f = lambda p: anp.sum(anp.abs(anp.exp(1j * p) + p) ** 2)
    p = np.array([0.3, 0.7])
    X = BACKEND.gradient(f, Euclidean(2))(p)
    assert X.dtype == float
    assert_allclose(X, 2 * p + 2 * np.cos(p) - 2 * p * np.sin(p))  # |e^ip + p|^2 = 1 + p^2 + 2 p cos p
