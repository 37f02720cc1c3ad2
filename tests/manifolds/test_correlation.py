"""Correlation matrices: 50 digits, two variables in closed form, means, messages."""

import math

import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import Correlation, NotOnManifold, NotTangent
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def condition(p, q):
    return float(max(np.linalg.cond(p), np.linalg.cond(q)))


@pytest.mark.parametrize("n", [2, 4])
def test_against_fifty_digits(n):
    M = Correlation(n)
    check_accuracy(M, exact.correlation_log, samples=1, condition=condition)
    check_accuracy(M, exact.correlation_log, samples=1, dtype=np.float32, condition=lambda p, q: 0.0)
    check_exp_accuracy(M, exact.correlation_exp, samples=1, allowed=1e-13)


@pytest.mark.parametrize("gap", [1e-2, 1e-5, 1e-8])
def test_two_variables(gap):
    """The chart of two variables is r / sqrt(1 - r^2), to the last digit of nearly collinear ones."""
    M = Correlation(2)
    r, s = 1.0 - gap, -0.3
    p, q = (np.array([[1.0, x], [x, 1.0]]) for x in (r, s))
    chart = lambda x: x / math.sqrt((1.0 - x) * (1.0 + x))
    assert M.distance(p, q) == pytest.approx(chart(r) - chart(s), rel=1e-14 / gap)
    np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, atol=1e-15 / gap * M.distance(p, q))


def test_mean_in_closed_form():
    """The minimizer of the sum of squared distances is the mean of the charts."""
    M = Correlation(4)
    points = M.random_point(0, (7,))
    eye = np.eye(4)
    mean = M.exp(eye, np.mean(M.log(eye, points), axis=0))
    np.testing.assert_allclose(np.sum(M.log(mean, points), axis=0), 0.0, atol=1e-13)


def test_geodesics_never_leave():
    M = Correlation(3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    for t in (-100.0, 100.0):
        q = M.exp(p, X, t)
        np.testing.assert_array_equal(np.diag(q), 1.0)
        assert np.max(np.abs(q - np.eye(3))) < 1.0
        np.testing.assert_allclose(M.log(p, q), t * X, atol=1e-6)


def test_nearest_usable_matrix():
    """A symmetric matrix with unit diagonal that is not definite becomes a point; a covariance is scaled."""
    M = Correlation(3)
    z = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    M.check_point(M.project_point(z))
    S = np.array([[4.0, 2.0, 0.0], [2.0, 9.0, 3.0], [0.0, 3.0, 25.0]])
    expected = np.array([[1.0, 1 / 3, 0.0], [1 / 3, 1.0, 0.2], [0.0, 0.2, 1.0]])
    np.testing.assert_allclose(M.project_point(S), expected, atol=1e-14)


def test_messages():
    M = Correlation(2)
    with pytest.raises(NotOnManifold, match=r"ones on the diagonal.*off by 1 .*M\.project_point"):
        M.check_point(2.0 * np.eye(2))
    with pytest.raises(NotTangent, match=r"zeros on the diagonal.*is 1 .*M\.project_vector"):
        M.check_vector(np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="at least 2"):
        Correlation(1)
