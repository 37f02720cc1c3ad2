"""Poincaré ball and half space: against 50-digit values, each other, the boundary, and where peers fail."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import HalfSpace, Hyperbolic, NotOnManifold, PoincareBall
from manifold_opt.testing import check_accuracy


def _from_hyperboloid(P, Q):
    """Distance, and the coordinates at P = (p0, ps) of the logarithm of Q, by the boost that takes P to the origin."""
    c = P[0] * Q[0] - P[1:].dot(Q[1:])
    d = mp.acosh(c)
    L = (d / mp.sqrt(c * c - 1)) * (Q - c * P)
    return d, L


def _ball_to_hyperboloid(x):
    gap = 1 - x.dot(x)
    return np.concatenate([[(1 + x.dot(x)) / gap], 2 * x / gap])


def _push_to_ball(P, L):
    """The derivative of ``p_s / (1 + p_0)``."""
    return L[1:] / (1 + P[0]) - P[1:] * L[0] / (1 + P[0]) ** 2


def ball_log(p, q):
    with mp.workdps(80):
        P, Q = (_ball_to_hyperboloid(exact.lifted(a)) for a in (p, q))
        d, L = _from_hyperboloid(P, Q)
        return _push_to_ball(P, L), d


def _half_to_hyperboloid(y):
    n2, h = y.dot(y), y[-1]
    return np.concatenate([[(1 + n2) / (2 * h)], y[:-1] / h, [(n2 - 1) / (2 * h)]])


def half_log(p, q):
    with mp.workdps(80):
        P, Q = (_half_to_hyperboloid(exact.lifted(a)) for a in (p, q))
        d, L = _from_hyperboloid(P, Q)
        # (x, h) = (side, 1) / (p0 - pn)
        below = P[0] - P[-1]
        slope = -(L[0] - L[-1]) / below**2
        return np.concatenate([L[1:-1] / below + P[1:-1] * slope, [slope]]), d


MODELS = [(PoincareBall(1), ball_log), (PoincareBall(3), ball_log), (HalfSpace(1), half_log), (HalfSpace(3), half_log)]


@pytest.mark.parametrize(("M", "log"), MODELS, ids=lambda x: repr(x) if not callable(x) else "")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(M, log, dtype):
    check_accuracy(M, log, dtype=dtype)


@pytest.mark.parametrize("M", [PoincareBall(3), HalfSpace(3)], ids=repr)
def test_exp_accuracy(M):
    """``log`` in 80 digits of what ``exp`` returned is the vector, to the rounding of the point."""
    rng = np.random.default_rng(0)
    log = ball_log if isinstance(M, PoincareBall) else half_log
    for length in (1e-8, 1e-3, 0.1, 1.0, 3.0, 10.0):
        p = M.random_point(rng)
        c = rng.standard_normal(3)
        X = M.get_vector(p, length * c / np.linalg.norm(c))
        q = M.exp(p, X)
        L, _ = log(p, q)
        units = float(M._unit(p)[0]) / float(M._unit(q)[0]) if isinstance(M, PoincareBall) else math.exp(length)
        off = max(abs(a - float(b)) for a, b in zip(L, X, strict=True))
        assert off <= 1e-15 * (float(M._unit(p)[0]) + 1.0) * max(1.0, units) * 10


def test_agreement_of_the_models():
    """Maps are isometries: distances, and vectors carried by differences, agree with the hyperboloid."""
    H, B, S = Hyperbolic(3), PoincareBall(3), HalfSpace(3)
    rng = np.random.default_rng(1)
    p = H.random_point(rng, (20,))
    q = H.exp(p, H.random_vector(p, rng))
    d = H.distance(p, q)
    ball, half = H.to_ball, H.to_half_space
    np.testing.assert_allclose(B.distance(ball(p), ball(q)), d, rtol=1e-12)
    np.testing.assert_allclose(S.distance(half(p), half(q)), d, rtol=1e-12)
    middle = H.mid_point(p, q)
    np.testing.assert_allclose(B.mid_point(ball(p), ball(q)), ball(middle), atol=1e-13)
    np.testing.assert_allclose(S.mid_point(half(p), half(q)), half(middle), rtol=1e-11, atol=1e-13)
    x = ball(p)
    np.testing.assert_allclose(B.to_hyperboloid(x), p, rtol=1e-11)
    np.testing.assert_allclose(B.from_hyperboloid(p), x)
    np.testing.assert_allclose(B.to_half_space(x), half(p), rtol=1e-11)
    np.testing.assert_allclose(B.from_half_space(half(p)), x, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(S.to_ball(half(p)), x, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(S.from_ball(x), half(p), rtol=1e-11)
    np.testing.assert_allclose(S.to_hyperboloid(half(p)), p, rtol=1e-11)
    np.testing.assert_allclose(S.from_hyperboloid(p), half(p))


@pytest.mark.parametrize("length", [20.0, 40.0, 400.0])
def test_ball_exp_stays_inside(length):
    """There: exp(20 e1) is on the boundary, of norm 1, and everything after it NaN."""
    M = PoincareBall(2)
    for p in (np.zeros(2), M.random_point(0)):
        q = M.exp(p, M.get_vector(p, np.array([length, 0.0])))
        M.check_point(q)
        assert np.isfinite(M.distance(p, q))
        assert np.all(np.isfinite(M.log(p, q)))
        M.check_point(M.exp(p.astype(np.float32), np.array([length, 0.0], np.float32)))


def test_ball_distances_below_1e_8():
    """There: arcosh(1 + ...) is zero."""
    M = PoincareBall(2)
    p = M.random_point(3)
    X = M.get_vector(p, np.array([0.6, 0.8]))
    for length in (1e-8, 1e-10, 1e-12):
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, abs=1e-15)


def test_half_space_reaches_300():
    M = HalfSpace(2)
    p = np.array([0.3, 0.7])
    for height in (300.0, -300.0):
        X = M.get_vector(p, np.array([0.0, height]))
        q = M.exp(p, X)
        assert M.distance(p, q) == pytest.approx(300.0, rel=1e-14)
        np.testing.assert_allclose(M.log(p, q), X, rtol=1e-13)
    sideways = M.exp(p, M.get_vector(p, np.array([300.0, 1.0])))
    assert M.distance(p, sideways) == pytest.approx(math.hypot(300.0, 1.0), rel=1e-12)


def test_pymanopt_ball_has_no_transport():
    """Ours is parallel and keeps inner products."""
    M = PoincareBall(3)
    rng = np.random.default_rng(0)
    p, q = M.random_point(rng), M.random_point(rng)
    X = M.random_vector(p, rng)
    assert M.norm(q, M.vector_transport_to(p, X, q)) == pytest.approx(M.norm(p, X), rel=1e-13)


def test_messages():
    with pytest.raises(NotOnManifold, match="length below 1"):
        PoincareBall(2).check_point(np.array([0.6, 0.8]))
    with pytest.raises(NotOnManifold, match="positive last entry"):
        HalfSpace(2).check_point(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="positive integer"):
        PoincareBall(0)
    np.testing.assert_array_less(np.linalg.norm(PoincareBall(2).project_point(np.array([3.0, 4.0]))), 1.0)
    assert HalfSpace(2).project_point(np.array([1.0, -1.0]))[1] > 0.0
