"""The compatible mode of the Hager-Zhang search: the tables and cases of TensorFlow Probability's own tests.

The tabulated functions are polynomials through given values and slopes, as there.
"""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.stepsizes.hager_zhang_tfp import Interval, Trials, bisect, bracket, hager_zhang, secant2, update


def counted(f, df):
    """Batched evaluation of a line function, with the number of calls in ``calls``."""

    def evaluate(t):
        evaluate.calls += 1
        t = np.asarray(t, dtype=float)
        return Trials(t, np.asarray(f(t)), np.asarray(df(t)), np.full(np.shape(t), evaluate.calls - 1))

    evaluate.calls = 0
    return evaluate


def through(x, y, dy, eps=0.01):
    """Polynomial with (almost) the values y and slopes dy at x; rows of y are members of a batch."""
    x, y, dy = (np.asarray(a, dtype=float) for a in (x, y, dy))
    nodes = np.concatenate([x + eps, x - eps])
    values = np.concatenate([y + eps * dy, y - eps * dy], axis=-1)
    rows = [np.polynomial.Polynomial.fit(nodes, row, len(nodes) - 1) for row in np.atleast_2d(values)]
    if y.ndim == 1:
        return counted(rows[0], rows[0].deriv())

    def each(functions):
        return lambda t: np.array([f(s) for f, s in zip(functions, np.broadcast_to(t, len(rows)), strict=True)])

    return counted(each(rows), each([row.deriv() for row in rows]))


def interval(left, right):
    false = np.zeros(np.shape(left.x), dtype=bool)
    return Interval(left, right, false, false, np.zeros(np.shape(left.x), dtype=int))


def roof(zero):
    return zero.f + 1e-6 * np.abs(zero.f)


def exact_wolfe(t, f, df, f0, df0, delta=0.1, sigma=0.9):
    return (f - f0 <= delta * t * df0) & (df >= sigma * df0)


# update


def test_update_takes_a_trial_as_new_left_end():
    fun = through([0.0, 0.6, 1.0], [1.0, 0.9, 1.2], [-0.8, -0.7, 0.6])
    a, b, c = fun(0.0), fun(1.0), fun(0.6)
    fun.calls = 0
    left, right, failed = update(fun, a, b, c, roof(a))
    assert (fun.calls, float(left.x), float(right.x), bool(failed)) == (0, 0.6, 1.0, False)
    assert left.df < 0 <= right.df


UPDATES = (
    [[1.0, 1.2, 1.1], [1.0, 0.9, 1.2], [1.0, 1.1, 1.2], [1.0, 1.1, 1.2], [1.0, 0.9, 1.2]],
    [[-0.8, 0.6, 0.6], [-0.8, -0.7, 0.6], [-0.8, -0.7, 0.6], [-0.8, -0.7, 0.6], [-0.8, -0.7, 0.6]],
)


def test_update_of_a_batch():
    """Right end, left end, bisection, a trial outside, and a member that is not active."""
    fun = through([0.0, 0.6, 1.0], *UPDATES)
    a, b, c = fun(np.zeros(5)), fun([1.0, 1.0, 1.0, 1.0, 0.0]), fun([0.6, 0.6, 0.6, 1.5, 0.0])
    fun.calls = 0
    left, right, failed = update(fun, a, b, c, roof(a), np.array([True] * 4 + [False]))
    assert fun.calls == 1
    assert not failed.any()
    np.testing.assert_allclose(left.x, [0.0, 0.6, 0.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(right.x, [0.6, 1.0, 0.3, 1.0, 0.0], atol=1e-5)
    assert (left.df[:-1] < 0).all()
    assert (right.df[:-1] >= 0).all()


def test_update_of_a_batch_is_that_of_its_members():
    y, dy = (np.array(a[:2]) for a in UPDATES)
    whole = through([0.0, 0.6, 1.0], y, dy)
    a, b, c = whole(np.zeros(2)), whole(np.ones(2)), whole(np.full(2, 0.6))
    together = update(whole, a, b, c, roof(a))
    for i in range(2):
        fun = through([0.0, 0.6, 1.0], y[i], dy[i])
        a, b, c = fun(0.0), fun(1.0), fun(0.6)
        alone = update(fun, a, b, c, roof(a))
        assert float(alone[0].x) == together[0].x[i]
        assert float(alone[1].x) == together[1].x[i]


# bracket


def test_bracket_expands_once_and_bisects_once():
    fun = through([0.0, 1.0, 2.5, 5.0], [1.0, 0.9, -2.0, 1.1], [-0.8, -0.7, 1.6, -0.8])
    a, b = fun(0.0), fun(1.0)
    fun.calls = 0
    found, failed = bracket(fun, interval(a, b), roof(a), 5)
    assert int(found.iterations) == 1
    assert fun.calls == 2
    assert (float(found.left.x), float(found.right.x), bool(failed)) == (0.0, 2.5, False)
    assert found.left.df < 0 <= found.right.df


def test_bracket_accepts_a_right_end_of_zero_slope():
    fun = counted(lambda t: np.where(t < 0.5, 1.0 - t, 5.0), lambda t: np.where(t < 0.5, -1.0, 0.0))
    a, b = fun(0.0), fun(1.0)
    fun.calls = 0
    found, failed = bracket(fun, interval(a, b), roof(a), 5)
    assert (int(found.iterations), fun.calls, bool(failed)) == (0, 0, False)
    assert (float(found.left.x), float(found.right.x)) == (0.0, 1.0)


def test_bracket_of_a_batch():
    """Bracketed at once, after one expansion, by bisection, and by both."""
    fun = through(
        [0.0, 1.0, 2.5, 5.0],
        [[1.0, 1.2, 1.4, 1.1], [1.0, 0.9, -2.5, 1.2], [1.0, 1.1, -3.0, 1.2], [1.0, 0.9, -2.0, 1.1]],
        [[-0.8, 0.6, -0.5, -0.8], [-0.8, -0.7, -0.5, 0.6], [-0.8, -0.7, -0.3, -0.8], [-0.8, -0.7, 1.6, -0.8]],
    )
    a, b = fun(np.zeros(4)), fun(np.ones(4))
    fun.calls = 0
    found, failed = bracket(fun, interval(a, b), roof(a), 5)
    assert fun.calls == 2
    assert not failed.any()
    np.testing.assert_allclose(found.left.x, [0.0, 1.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(found.right.x, [1.0, 5.0, 0.5, 2.5], atol=1e-5)


# bisect


def test_bisect_once():
    fun = through([0.0, 0.5, 1.0], [1.0, 0.6, 1.2], [-0.8, 0.6, -0.7])
    a, b = fun(0.0), fun(1.0)
    _, right, failed = bisect(fun, a, b, roof(a))
    assert float(right.x) == 0.5
    assert not failed


def test_bisect_a_batch():
    fun = through(
        [0.0, 0.5, 1.0],
        [[1.0, 0.6, 1.2], [1.0, 0.6, 1.2], [1.0, 1.6, 1.2], [1.0, 1.6, 1.2]],
        [[-0.8, 0.6, -0.7], [-0.8, -0.4, -0.7], [-0.8, 0.8, -0.7], [-0.8, -0.4, -0.7]],
    )
    a, b = fun(np.zeros(4)), fun(np.ones(4))
    left, right, failed = bisect(fun, a, b, roof(a))
    assert not failed.any()
    np.testing.assert_allclose(left.x, [0.0, 0.5, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(right.x, [0.5, 0.75, 0.5, 0.25], atol=1e-5)
    assert (left.df < 0).all()
    assert (right.df >= 0).all()


def test_bisect_stands_infinities_and_fails_at_nan():
    bad = np.array([np.inf, -np.inf, np.nan])
    fun = counted(
        lambda t: np.where(t > 4.0, bad, (t - 2.0) ** 2), lambda t: np.where(t > 4.0, np.nan, 2.0 * (t - 2.0))
    )
    a, b = fun(np.zeros(3)), fun(np.full(3, 5.0))
    left, right, failed = bisect(fun, a, b, roof(a))
    assert failed.tolist() == [False, False, True]
    assert (left.df < 0).tolist() == [True, False, True]
    assert (right.df >= 0).tolist() == [True, False, False]
    np.testing.assert_allclose(left.x, [0.0, 5.0, 0.0])
    np.testing.assert_allclose(right.x, [2.5, 5.0, 5.0])


# secant2


def test_secant2_of_a_batch_is_that_of_its_members():
    x = [0.0, 1.0, 1.5, 2.0]
    y = np.array([[1.1, 1.0, 0.5, 1.0], [1.1, 1.0, 1.0, 1.0]])
    dy = np.array([[-0.8, -0.8, 0.1, 0.8], [-0.8, -0.8, -1.0, 0.8]])

    def run(fun, shape):
        zero, a, b = (fun(np.full(shape, t)) for t in (0.0, 1.0, 2.0))
        fun.calls = 0
        return secant2(fun, zero, interval(a, b), roof(zero)), fun.calls

    (one, n1), (two, n2), (both, n) = (
        run(through(x, y[0], dy[0]), ()),
        run(through(x, y[1], dy[1]), ()),
        run(through(x, y, dy), (2,)),
    )
    assert one.converged
    assert not two.converged
    assert both.converged.tolist() == [True, False]
    assert n < n1 + n2
    assert [float(one.left.x), float(two.left.x)] == both.left.x.tolist()
    assert [float(one.right.x), float(two.right.x)] == both.right.x.tolist()
    assert float(one.left.x) == float(one.right.x)


# the whole search


def search(f, df, initial, **keywords):
    fun = counted(f, df)
    zero = fun(np.zeros(np.shape(initial)))
    fun.calls = 0
    found = hager_zhang(fun, zero, np.asarray(initial, dtype=float), **keywords)
    return found, fun.calls, zero


@pytest.mark.parametrize("initial", [0.1, 7.0])
def test_quadratic(initial):
    found, _, zero = search(lambda x: (x - 1.3) ** 2, lambda x: 2 * (x - 1.3), initial)
    assert found.converged
    assert found.left.x == found.right.x
    assert exact_wolfe(found.left.x, found.left.f, found.left.df, zero.f, zero.df)


QUINTIC = (
    lambda x: 0.988 * x**5 - 4.96 * x**4 + 4.978 * x**3 + 5.015 * x**2 - 6.043 * x - 1,
    lambda x: 4.94 * x**4 - 19.84 * x**3 + 14.934 * x**2 + 10.03 * x - 6.043,
)


@pytest.mark.parametrize("initial", [0.1, 1.5, 2.0, 4.0])
def test_two_minima(initial):
    found, _, zero = search(*QUINTIC, initial)
    assert found.converged
    assert exact_wolfe(found.left.x, found.left.f, found.left.df, zero.f, zero.df)


def test_a_batch_gives_what_its_members_give_with_fewer_evaluations():
    initial = [0.1, 1.5, 2.0, 4.0]
    batch, calls, _ = search(*QUINTIC, initial)
    single = [search(*QUINTIC, t) for t in initial]
    assert batch.converged.all()
    np.testing.assert_allclose(batch.left.x, [float(found.left.x) for found, _, _ in single], atol=1e-5)
    assert calls < sum(n for _, n, _ in single)


def test_bracketing_failures_in_a_batch():
    found, _, zero = search(
        lambda x: np.exp(-(x - 1)) - np.exp(-((x - 1) ** 2)),
        lambda x: 2 * (x - 1) * np.exp(-((x - 1) ** 2)) - np.exp(-(x - 1)),
        [0.01, 0.1, 1.0, 1.5, 2.0, -5.0],
    )
    assert found.converged.tolist() == [True] * 5 + [False]
    assert found.failed.tolist() == [False] * 5 + [True]
    wolfe = exact_wolfe(found.left.x, found.left.f, found.left.df, zero.f, zero.df)
    assert wolfe.tolist() == [False, True, False, True, True, False]


def test_rosenbrock_ray():
    x0, d = np.array([-3.0, -4.0]), np.array([0.5, 1.0])

    def f(t):
        x, y = x0 + t * d
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2

    def df(t):
        x, y = x0 + t * d
        return d @ np.array([2 * (x - 1) + 400 * x * (x * x - y), 200 * (y - x * x)])

    assert search(f, df, 1.0)[0].converged


def test_approximate_wolfe():
    shift = 0.99999999255000149
    f = lambda x: 1.0 - 2.0 * (x + shift) + (x + shift) ** 2
    df = lambda x: -2.0 + 2.0 * (x + shift)
    found, _, zero = search(f, df, 1e-8)
    assert found.converged
    assert not exact_wolfe(found.left.x, found.left.f, found.left.df, zero.f, zero.df)
    assert found.left.f <= zero.f + 1e-6 * abs(zero.f)
    assert 0.8 * -zero.df >= found.left.df >= 0.9 * zero.df


def test_determinism():
    runs = [search(lambda x: (x - 1.8) ** 2, lambda x: 2 * (x - 1.8), 0.9) for _ in range(2)]
    assert runs[0][0].converged
    assert runs[0][1] == runs[1][1]
    assert float(runs[0][0].left.x) == float(runs[1][0].left.x)


def test_the_values_are_those_at_the_step_found():
    f = lambda x: 10.0 + (x - 0.25) ** 2 - 10 * np.cos(2 * np.pi * (x - 0.25))
    df = lambda x: 2 * (x - 0.25) + 20 * np.pi * np.sin(2 * np.pi * (x - 0.25))
    found, _, _ = search(f, df, 0.1)
    assert found.converged
    assert float(found.left.f) == f(float(found.left.x))
    assert float(found.left.df) == df(float(found.left.x))


def test_infinity_beyond_four():
    f = lambda x: np.where(x > 4, np.inf, (x - 2.0) ** 2)
    df = lambda x: np.where(x > 4, np.nan, 2 * (x - 2.0))
    found, _, zero = search(f, df, 1.0)
    assert found.converged
    assert found.left.x == found.right.x
    assert exact_wolfe(found.left.x, found.left.f, found.left.df, zero.f, zero.df)


def test_finished_members_are_left_alone():
    found, calls, zero = search(*QUINTIC, [0.1, 1.5], converged=np.array([True, True]))
    assert found.converged.all()
    assert calls == 1
    np.testing.assert_array_equal(found.left.x, zero.x)
