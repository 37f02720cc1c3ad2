"""The simplex with the Fisher-Rao metric: against 50 digits, near the boundary, and as a cost sees it."""

import math

import autograd.numpy as anp
import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt import trust_regions
from manifold_opt.manifolds import Multinomial, NotOnManifold, NotTangent, ProbabilitySimplex
from manifold_opt.testing.accuracy import LENGTHS
from manifold_opt.testing.samples import unit_vector

ROOT = np.vectorize(mp.sqrt, otypes=[object])


def exact_log(p, q):
    """By the definition: the sphere of the roots."""
    p, q = (exact.lifted(a) / sum(exact.lifted(a)) for a in (p, q))
    s, r = ROOT(p), ROOT(q)
    c = s.dot(r)
    Y = r - c * s
    sine = mp.sqrt(Y.dot(Y))
    angle = mp.atan2(sine, c)
    return 2 * angle / sine * s * Y, 2 * angle


@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_log_and_distance(dtype, allowed):
    rng = np.random.default_rng(5)
    for n in (1, 2, 9):
        M = ProbabilitySimplex(n)
        for length in LENGTHS:
            p = M.random_point(rng)
            if length > 0.99 * M.injectivity_radius_at(p) or (dtype is np.float32 and length < 1e-4):
                continue
            q = M.exp(p, length * unit_vector(M, p, rng))
            p, q = p.astype(dtype), q.astype(dtype)
            X, d = exact_log(p, q)
            size = max(abs(x) for x in X)
            for L, distance in ((M.log(p, q), M.distance(p, q)), (M.log(p[None], q[None])[0], M.distance(p, q))):
                assert max(abs(x - float(y)) for x, y in zip(X, L, strict=True)) <= allowed * size
                assert abs(distance - d) <= allowed * d


def test_softmax_stays_inside_whatever_the_step():
    M = ProbabilitySimplex(3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    for t in (1.0, 1e3, 1e300):
        M.check_point(M.retract(p, X, t))
    edge = np.array([1e-300, 1e-20, 0.5, 0.5])
    M.check_point(M.retract(edge, 1e-3 * M.random_vector(edge, 2)))
    assert M.inverse_retract(edge, p) == pytest.approx(edge * (np.log(p / edge) - edge @ np.log(p / edge)))


def test_inverse_softmax_of_close_points_is_accurate():
    M = ProbabilitySimplex(4)
    p = M.random_point(0)
    X = 1e-9 * M.random_vector(p, 1)
    np.testing.assert_allclose(M.inverse_retract(p, M.retract(p, X)), X, atol=1e-16)


def test_radius_is_the_distance_to_the_boundary():
    M = ProbabilitySimplex(2)
    p = np.array([0.1, 0.3, 0.6])
    towards = M.log(p, np.array([1e-200, 1 / 3, 2 / 3]))
    assert M.norm(p, towards) == pytest.approx(M.injectivity_radius_at(p))
    assert M.injectivity_radius_at(p, "softmax") == math.inf


def test_rows_of_a_multinomial_point_sum_to_one():
    M = Multinomial(3, 4)
    assert repr(M) == "Multinomial(3, 4)"
    assert M.point_shape == (3, 4)
    assert M.dim == 9
    np.testing.assert_allclose(M.random_point(0).sum(axis=1), 1.0)
    with pytest.raises(NotOnManifold, match=r"copy \[2\].*sum 1"):
        M.check_point(M.random_point(0) * np.array([[1.0], [1.0], [2.0]]))
    with pytest.raises(NotOnManifold, match="positive"):
        ProbabilitySimplex(1).check_point(np.array([1.5, -0.5]))
    with pytest.raises(NotTangent, match="sum 0"):
        ProbabilitySimplex(1).check_vector(np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    for make in (lambda: Multinomial(2, 1), lambda: ProbabilitySimplex(0)):
        with pytest.raises(ValueError, match="must"):
            make()


def test_trust_regions_find_the_distribution_of_least_divergence():
    M = ProbabilitySimplex(3)
    w = np.array([0.1, 0.2, 0.3, 0.4])
    result = trust_regions(M, lambda p: anp.sum(p * anp.log(p / w)), np.full(4, 0.25))
    assert result.converged
    np.testing.assert_allclose(result.point, w, atol=1e-7)
