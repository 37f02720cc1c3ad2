"""Second differences and acceleration: zero on geodesics, derivatives by differences, integrals in flat space."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import functions as F
from manifold_opt import quasi_newton
from manifold_opt.manifolds import Euclidean, Hyperbolic, PowerManifold, Rotations, Sphere, SymmetricPositiveDefinite
from manifold_opt.testing.derivative_checks import slope

MANIFOLDS = [Euclidean(2), Sphere(2), Hyperbolic(2), Rotations(3), SymmetricPositiveDefinite(2)]


def points(M, size):
    rng = np.random.default_rng(20)
    centre = np.broadcast_to(M.random_point(rng), (*size, *M.point_shape)).copy()
    return M.exp(centre, 0.4 * M.random_vector(centre, rng))


@pytest.mark.parametrize("exponent", [1, 2])
@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_gradient(M, exponent):
    P = PowerManifold(M, (3, 4))
    f, x = F.SecondOrderVariation(P, exponent), points(M, (3, 4))
    X = P.random_vector(x, 21)
    assert P.inner(x, f.gradient(x), X) == pytest.approx(slope(lambda h: f(P.exp(x, X, h)), 2e-4), abs=1e-7)


def test_flat_values():
    P = PowerManifold(Euclidean(1), 4)
    x = np.array([[0.0], [1.0], [4.0], [9.0]])  # second differences 2 and 2, of which half is counted
    assert F.SecondOrderVariation(P, 1)(x) == 2.0
    assert F.SecondOrderVariation(P, 2)(x) == 1.0
    assert F.SecondOrderVariation(P, 2)(np.stack([x, 2.0 * x])).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_geodesics_have_none(M):
    p, q = points(M, (2,))
    x = M.exp(p[None], M.log(p, q)[None], np.linspace(0.0, 1.0, 6))
    for exponent in (1, 2):
        f = F.SecondOrderVariation(PowerManifold(M, 6), exponent)
        assert f(x) == pytest.approx(0.0, abs=1e-13)
        np.testing.assert_allclose(F.BezierAcceleration(M, 1)(np.stack([p, q])), 0.0, atol=1e-18)
        if exponent == 2:
            np.testing.assert_allclose(f.gradient(x), 0.0, atol=1e-13)


def test_acceleration_of_a_parabola():
    """c'' is 2 (b_0 - 2 b_1 + b_2), constant, so that second differences are exact."""
    b = points(Euclidean(2), (3,))
    second = 2.0 * (b[0] - 2.0 * b[1] + b[2])
    for samples in (3, 33):
        assert F.BezierAcceleration(Euclidean(2), 2, samples)(b) == pytest.approx(0.5 * second @ second, rel=1e-9)


def test_acceleration_of_a_cubic_converges():
    b = points(Euclidean(2), (4,))
    t = (np.arange(2000) + 0.5) / 2000
    second = 6.0 * ((1 - t)[:, None] * (b[0] - 2 * b[1] + b[2]) + t[:, None] * (b[1] - 2 * b[2] + b[3]))
    exact = 0.5 * np.mean(np.sum(second**2, axis=1))
    errors = [abs(F.BezierAcceleration(Euclidean(2), 3, n)(b) - exact) for n in (17, 33, 65)]
    assert errors[2] < errors[1] < errors[0] < 0.1 * exact


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_gradient_of_the_acceleration(M):
    f, b = F.BezierAcceleration(M, 3, 9), points(M, (4,))
    X = f.manifold.random_vector(b, 22)
    measured = slope(lambda h: f(f.manifold.exp(b, X, h)))
    assert f.manifold.inner(b, f.gradient(b), X) == pytest.approx(measured, rel=1e-6, abs=1e-7)
    value, gradient = f.fused.function(b)
    assert value == f(b) and np.array_equal(gradient, f.gradient(b))


def test_the_smoothest_curve_through_two_points_is_the_geodesic():
    """A cubic has twice as many control points as two data need: the acceleration chooses among all that fit."""
    M = Sphere(2)
    ends = points(M, (2,))
    fit, smooth = F.BezierRegression(M, 3, [0.0, 1.0], ends), F.BezierAcceleration(M, 3, 9)
    f = lambda b: fit(b) + 1e-3 * smooth(b)
    start = fit.manifold.exp(fit.start(), 0.1 * fit.manifold.random_vector(fit.start(), 23))
    result = quasi_newton(
        fit.manifold, f, start, gradient=lambda b: fit.gradient(b) + 1e-3 * smooth.gradient(b), tolerance=1e-8
    )
    assert result.converged and result.cost < 1e-12
    middle = fit.predict(result.point, 0.5)
    np.testing.assert_allclose(middle, M.mid_point(*ends), atol=1e-5)


def test_bad_arguments():
    with pytest.raises(TypeError, match="PowerManifold"):
        F.SecondOrderVariation(Sphere(2))
    with pytest.raises(ValueError, match="exponent"):
        F.SecondOrderVariation(PowerManifold(Sphere(2), 3), 0)
    with pytest.raises(ValueError, match="samples"):
        F.BezierAcceleration(Sphere(2), 3, 2)
