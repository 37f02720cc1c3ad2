"""Hyperbolic space: against 50-digit values, far out, the other models, and where peers fail."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import Hyperbolic, NotOnManifold, NotTangent
from manifold_opt.testing import check_accuracy, check_exp_accuracy

SPACES = [Hyperbolic(1), Hyperbolic(2), Hyperbolic(6)]


def _point(p):
    """The point with the space part of the stored array, in the digits set."""
    s = exact.lifted(p)[1:]
    return np.concatenate([[mp.sqrt(1 + s.dot(s))], s])


def _vector(p, X):
    s = exact.lifted(X)[1:]
    return np.concatenate([[p[1:].dot(s) / p[0]], s])


def _form(x, y):
    return x[1:].dot(y[1:]) - x[0] * y[0]


def hyperbolic_log(p, q):
    with mp.workdps(400):
        p, q = _point(p), _point(q)
        c = -_form(p, q)
        d = mp.acosh(c)
        return (d / mp.sqrt(c * c - 1)) * (q - c * p), d


def hyperbolic_exp(p, X):
    with mp.workdps(400):
        p = _point(p)
        X = _vector(p, X)
        r = mp.sqrt(_form(X, X))
        return mp.cosh(r) * p + mp.sinh(r) / r * X


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(M, dtype):
    check_accuracy(M, hyperbolic_log, dtype=dtype)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_exp_accuracy(M):
    check_exp_accuracy(M, hyperbolic_exp, allowed=2e-15)


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize("length", [1e-12, 1e-6, 1.0, 5.0, 10.0, 17.0, 20.0, 50.0, 100.0, 300.0])
def test_far_out(M, length):
    """Lengths to 300: there geomstats and Manopt stop at 20 and pymanopt's ball at 36."""
    rng = np.random.default_rng(2)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    X *= length / M.norm(p, X)
    q = M.exp(p, X)
    M.check_point(q, atol=1e-15)
    expected, d = hyperbolic_log(p, q)
    allowed = 3e-15
    assert abs(M.distance(p, q) - d) <= allowed * d
    assert abs(M.distance(q, p) - d) <= allowed * d
    assert abs(float(M.distance(q[None], p[None])[0]) - d) <= allowed * d
    L = M.log(p, q)
    assert max(abs(a - float(b)) for a, b in zip(expected, L)) <= allowed * max(abs(a) for a in expected)
    np.testing.assert_allclose(M.log(p[None], q[None])[0], L, rtol=1e-14, atol=1e-14 * length)
    assert M.norm(p, L) == pytest.approx(length, rel=1e-12 if length > 1e-9 else 1e-3)
    ends = hyperbolic_exp(p, X)
    assert max(abs(a / b - 1) for a, b in zip(q, ends, strict=True) if b) <= 1e-12


@pytest.mark.parametrize("radius", [1.0, 8.0, 30.0, 150.0, 300.0])
def test_both_points_far_out(radius):
    """Points at this distance from the origin: to 1e-13 far apart, to their condition p_0 close together."""
    M = Hyperbolic(3)
    o = np.array([1.0, 0.0, 0.0, 0.0])
    u, v = np.array([0.0, 0.6, 0.0, 0.8]), np.array([0.0, -0.8, 0.0, 0.6])
    p = M.exp(o, radius * u)
    across = [M.exp(o, radius * v), M.exp(o, -radius * u), M.exp(o, radius * (math.cos(0.3) * u + math.sin(0.3) * v))]
    near = [M.exp(o, (radius + gap) * u) for gap in (1e-6, 2.0)] if radius <= 8 else []
    for q in across + near:
        expected, d = hyperbolic_log(p, q)
        allowed = 1e-13 if d > 2.1 else 2e-16 * p[0]
        assert abs(M.distance(p, q) - d) <= allowed * d
        assert abs(float(M.distance(p[None], q[None])[0]) - d) <= allowed * d
        L = M.log(p, q)
        assert max(abs(a - float(b)) for a, b in zip(expected, L)) <= allowed * max(abs(a) for a in expected)


def test_norm_of_a_radial_vector_far_out():
    """The Lorentz form of such a vector as written loses exp(2 r) eps; here the loss is squared away."""
    M = Hyperbolic(3)
    o = np.array([1.0, 0.0, 0.0, 0.0])
    u = np.array([0.0, 0.6, 0.0, 0.8])
    for r in (5.0, 10.0, 15.0):
        p = M.exp(o, r * u)
        assert M.norm(p, -M.log(p, o)) == pytest.approx(r, rel=1e-14)


def test_zero_distance_and_small_distances():
    """There: geomstats' distance is 0 at 1e-8, and pure arcosh forms fail below it."""
    M = Hyperbolic(2)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X /= M.norm(p, X)
    assert M.distance(p, p) == 0.0
    for length in (1e-8, 1e-10, 1e-12):
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, abs=1e-15)


def test_exp_at_20_stays_a_point():
    """There: geomstats' exp raises ValueError at r = 20, its ball returns a point of norm 1."""
    M = Hyperbolic(2)
    q = M.exp(np.array([1.0, 0.0, 0.0]), np.array([0.0, 20.0, 0.0]))
    M.check_point(q)
    assert M.norm(np.array([1.0, 0.0, 0.0]), M.log(np.array([1.0, 0.0, 0.0]), q)) == pytest.approx(20.0)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_models(M):
    rng = np.random.default_rng(0)
    p = M.random_point(rng, (50,))
    for there, back in ((M.to_ball, M.from_ball), (M.to_half_space, M.from_half_space)):
        np.testing.assert_allclose(back(there(p)), p, rtol=1e-12, atol=1e-13)
    assert np.all(np.linalg.norm(M.to_ball(p), axis=-1) < 1.0)
    assert np.all(M.to_half_space(p)[:, -1] > 0.0)
    # distances to the origin: in the ball 2 artanh |x|
    o = M.random_point(0) * 0.0 + np.eye(M.n + 1)[0]
    np.testing.assert_allclose(
        M.distance(o, p), 2.0 * np.arctanh(np.linalg.norm(M.to_ball(p), axis=-1)), rtol=1e-12
    )
    # and upwards in the half space the logarithm of the height
    up = M.from_half_space(np.array([0.0] * (M.n - 1) + [math.exp(3.0)]))
    assert M.distance(o, up) == pytest.approx(3.0)


def test_messages():
    M = Hyperbolic(2)
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match=r"p\[0\] = sqrt"):
        M.check_point(p + 0.1)
    with pytest.raises(NotOnManifold, match=r"p\[0\] = sqrt"):
        M.check_point(-p)
    with pytest.raises(NotTangent, match="tangent to Hyperbolic"):
        M.check_vector(p, p)
    with pytest.raises(NotOnManifold, match="must be real"):
        M.check_point(p + 0j)
    with pytest.raises(ValueError, match="positive integer"):
        Hyperbolic(0)
