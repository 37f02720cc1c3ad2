"""Scalar functions against 50-digit values, their derivatives against differences of them."""

import autograd
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifold_opt import linalg
from manifold_opt.linalg import angle_between, safe_divide, safe_sqrt

# function, formula, largest argument, error allowed in eps
FUNCTIONS = {
    "sinc": (lambda t: mp.sin(t) / t, 40.0, 2),
    "cosc": (lambda t: (1 - mp.cos(t)) / t**2, 6.0, 4),
    "tsinc": (lambda t: (t - mp.sin(t)) / t**3, 1e6, 4),
    "cotc": (lambda t: (1 - t / 2 * mp.cot(t / 2)) / t**2, 3.2, 8),
    "cotc_slope": (
        lambda t: (
            (mp.csc(t / 2) ** 2 / 4 + mp.cot(t / 2) / (2 * t) - 2 / t**2) / t**2 if t > 1e-150 else mp.mpf(1) / 360
        ),
        3.2,
        60,
    ),
    "tsinc_slope": (
        lambda t: (t * (1 - mp.cos(t)) - 3 * (t - mp.sin(t))) / t**5 if t > 1e-150 else -mp.mpf(1) / 60,
        4.0,
        20,
    ),
    "sinc_slope": (lambda t: (t * mp.cos(t) - mp.sin(t)) / t**3, 4.0, 6),
    "sinhc": (lambda t: mp.sinh(t) / t, 80.0, 4),
    "coshc": (lambda t: (mp.cosh(t) - 1) / t**2, 80.0, 6),
    "atanhc": (lambda t: mp.atanh(t) / t, 0.999, 4),
    "atanc": (lambda t: mp.atan(t) / t, 1e30, 4),
    "asinc": (lambda t: mp.asin(t) / t, 1.0, 4),
    "expm1c": (lambda t: mp.expm1(t) / t, 80.0, 4),
    "log1pc": (lambda t: mp.log1p(t) / t, 1e30, 4),
}
LIMITS = {
    "sinc": 1.0,
    "cosc": 0.5,
    "tsinc": 1 / 6,
    "tsinc_slope": -1 / 60,
    "cotc": 1 / 12,
    "cotc_slope": 1 / 360,
    "sinc_slope": -1 / 3,
    "coshc": 0.5,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_have_full_relative_accuracy_from_tiny_to_large(name, dtype):
    formula, largest, allowed = FUNCTIONS[name]
    tiny = 1e-300 if dtype is np.float64 else 1e-37
    grid = np.concatenate([np.geomspace(tiny, largest, 60), np.linspace(0.01, min(largest, 3.0), 40)])
    t = grid[grid <= largest].astype(dtype)
    t = t[t.astype(float) <= largest]
    value = getattr(linalg, name)(t)
    assert value.dtype == dtype
    for x, y in zip(t, value, strict=True):
        with mp.workdps(60 if x > 1e-12 else 1000):
            exact = formula(mp.mpf(float(x)))
            assert abs(mp.mpf(float(y)) - exact) <= allowed * float(np.finfo(dtype).eps) * abs(exact), (x, y)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zero_numbers_and_signs(name):
    f = getattr(linalg, name)
    limit = LIMITS.get(name, 1.0)
    assert f(0.0) == limit
    assert type(f(0.0)) is float
    np.testing.assert_array_equal(f(np.zeros((2, 3))), np.full((2, 3), limit))
    if name not in ("expm1c", "log1pc"):
        np.testing.assert_array_equal(f(np.array([-0.3, -0.9])), f(np.array([0.3, 0.9])))
    for x in (0.05, 0.3, 0.7):
        assert f(x) == pytest.approx(float(f(np.array(x))), rel=4e-16)
    assert np.isnan(f(np.array([np.nan, 0.1]))).tolist() == [True, False]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_finite_and_right_everywhere(name):
    f = getattr(linalg, name)
    x = np.array([0.0, 1e-200, 1e-9, 1e-3, 0.12, 0.124, 0.126, 0.3, 0.49, 0.51, 0.7])
    g = autograd.elementwise_grad(f)
    h = autograd.elementwise_grad(g)
    step = 1e-5
    np.testing.assert_allclose(g(x), (f(x + step) - f(x - step)) / (2 * step), rtol=1e-8, atol=3e-10)
    np.testing.assert_allclose(h(x), (g(x + step) - g(x - step)) / (2 * step), rtol=1e-7, atol=1e-8)


def test_boxes_and_arrays_agree():
    x = np.linspace(-0.99, 0.99, 301)
    for name in FUNCTIONS:
        f = getattr(linalg, name)
        traced = autograd.make_vjp(f)(x)[1]
        np.testing.assert_allclose(traced, f(x), rtol=2e-15, err_msg=name)


def test_angle_between_is_accurate_from_zero_to_pi():
    rng = np.random.default_rng(0)
    for angle in (1e-300, 1e-12, 1e-5, 1.0, 3.0, np.pi - 1e-5, np.pi):
        x, y = np.linalg.qr(rng.standard_normal((4, 2)))[0].T
        z = np.cos(angle) * x + np.sin(angle) * y
        with mp.workdps(60):
            u, v = [[mp.mpf(float(c)) for c in w] for w in (3.0 * x, 0.1 * z)]
            dot, uu, vv = (
                mp.fsum(a * b for a, b in zip(s, t, strict=True)) for s, t in ((u, v), (u, u), (v, v))
            )
            cross = mp.sqrt(abs(uu * vv - dot * dot))
            exact = float(mp.atan2(cross, dot))
        assert angle_between(3.0 * x, 0.1 * z) == pytest.approx(exact, abs=1e-15)
    assert angle_between(np.ones((5, 3)), np.ones(3)).tolist() == [0.0] * 5


@given(st.floats(-1e100, 1e100), st.one_of(st.just(0.0), st.floats(1e-100, 1e100)))
@settings(derandomize=True, deadline=None)
def test_safe_division_divides_where_it_can(x, y):
    value = safe_divide(np.array([x]), np.array([y]), 7.0)[0]
    assert value == (7.0 if y == 0 else x / y)


def test_safe_root_and_division_have_finite_derivatives_at_zero():
    x = np.array([0.0, 4.0])
    np.testing.assert_array_equal(autograd.elementwise_grad(safe_sqrt)(x), [0.0, 0.25])
    np.testing.assert_array_equal(safe_sqrt(np.array([-1e-20, 9.0])), [0.0, 3.0])
    slope = autograd.elementwise_grad(lambda y: safe_divide(y * y, y))(x)
    np.testing.assert_array_equal(slope, [0.0, 1.0])
