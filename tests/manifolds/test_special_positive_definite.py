"""Positive definite matrices of one determinant: 50 digits, a totally geodesic hyperbolic plane, messages."""

import math

import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import (
    HermitianPositiveDefinite,
    Hyperbolic,
    NotOnManifold,
    NotTangent,
    SpecialPositiveDefinite,
    SymmetricPositiveDefinite,
)
from manifold_opt.testing import check_accuracy


def condition(p, q):
    return float(max(np.linalg.cond(p), np.linalg.cond(q)))


@pytest.mark.parametrize("n", [2, 4])
def test_log_and_distance_against_fifty_digits(n):
    M = SpecialPositiveDefinite(n)
    check_accuracy(M, exact.special_positive_definite_log, samples=1, condition=condition)
    check_accuracy(
        M, exact.special_positive_definite_log, samples=1, dtype=np.float32, condition=lambda p, q: 0.0
    )


@pytest.mark.parametrize("field", ["real", "complex"])
def test_totally_geodesic(field):
    """Geodesics, distances and transports of all positive definite matrices stay here."""
    M = SpecialPositiveDefinite(3, determinant=2.0, field=field)
    N = SymmetricPositiveDefinite(3) if field == "real" else HermitianPositiveDefinite(3)
    p = M.random_point(0)
    X, Y = M.random_vector(p, 1), M.random_vector(p, 2)
    q = M.exp(p, X)
    assert np.linalg.det(q).real == pytest.approx(2.0, rel=1e-13)
    np.testing.assert_allclose(q, N.exp(p, X), rtol=1e-12, atol=1e-12)
    assert M.distance(p, q) == pytest.approx(N.distance(p, q), rel=1e-13)
    np.testing.assert_allclose(M.parallel_transport_to(p, Y, q), N.parallel_transport_to(p, Y, q), atol=1e-12)


@pytest.mark.parametrize(("field", "n"), [("real", 2), ("complex", 3)])
def test_two_by_two_matrices_are_hyperbolic_space(field, n):
    """Half the trace of a Hermitian matrix is the time coordinate of the hyperboloid; distances grow by sqrt(2)."""
    M, H = SpecialPositiveDefinite(2, field=field), Hyperbolic(n)
    p, q = M.random_point(0), M.random_point(1)

    def hyperboloid(x):
        a = [0.5 * (x[0, 0] + x[1, 1]).real, 0.5 * (x[0, 0] - x[1, 1]).real, x[1, 0].real, -x[1, 0].imag]
        return np.array(a[: n + 1])

    expected = math.sqrt(2.0) * H.distance(hyperboloid(p), hyperboloid(q))
    assert M.distance(p, q) == pytest.approx(expected, rel=1e-12)
    assert M.sectional_curvature_bounds == (-0.5, -0.5)


def test_messages():
    M = SpecialPositiveDefinite(2)
    with pytest.raises(NotOnManifold, match=r"determinant 1 .*logarithm is off by 1\.39.*M\.project_point"):
        M.check_point(2.0 * np.eye(2))
    with pytest.raises(NotTangent, match=r"tr\(p\^-1 X\) = 0.*trace is 2.*M\.project_vector"):
        M.check_vector(np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="determinant must be a positive number, but it is -1"):
        SpecialPositiveDefinite(2, determinant=-1)
    with pytest.raises(ValueError, match="at least 2"):
        SpecialPositiveDefinite(1)
    M.check_point(M.project_point(2.0 * np.eye(2)))
