"""The logarithm of Stiefel manifolds: it converges to the shortest geodesic, up to the injectivity radius."""

import mpmath as mp
import numpy as np
import pytest

from manifold_opt.manifolds import Sphere, Stiefel
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def to_mp(A):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])


def array(A):
    return np.array(A.tolist(), dtype=object).reshape(A.rows, A.cols)


def nearest_frame(p):
    P = to_mp(p)
    values, V = mp.eigsy(P.T * P)
    return P * V * mp.diag([1 / mp.sqrt(x) for x in values]) * V.T


def exponential(M, P, X):
    """``expm(2 beta W) p expm((1 - 2 beta) A)`` with an (n, n) generator, in 50 digits."""
    beta = mp.mpf(1 if M.isometric else 0.5)
    A = P.T * X
    A = (A - A.T) / 2
    B = X - P * (P.T * X)
    W = 2 * beta * P * A * P.T + B * P.T - P * B.T
    return mp.expm(W, method="taylor") * P * mp.expm((1 - 2 * beta) * A, method="taylor")


def exact_exp(M):
    def exact(p, X):
        with mp.workdps(50):
            P = nearest_frame(p)
            X = to_mp(X)
            S = (P.T * X + X.T * P) / 2
            return array(exponential(M, P, X - P * S))

    return exact


def exact_log(M):
    """Chord steps in 50 digits, with the slope of the exponential in double precision, from the logarithm there."""

    def exact(p, q):
        with mp.workdps(50):
            P, Q = nearest_frame(p), nearest_frame(q)
            p, q = (np.array(A.tolist(), dtype=float) for A in (P, Q))
            c = M.get_coordinates(p, M.log(p, q))
            gap = lambda c: M.get_coordinates(q, M.project_vector(q, M.exp(p, M.get_vector(p, c)) - q))
            h = 1e-4
            slope = np.stack([(gap(c + h * e) - gap(c - h * e)) / (2 * h) for e in np.eye(M.dim)], axis=-1)
            basis = [to_mp(M.get_vector(p, e)) for e in np.eye(M.dim)]
            ends = [to_mp(M.get_vector(q, e)) for e in np.eye(M.dim)]
            factor = [1 if M.isometric or i >= M.k * (M.k - 1) // 2 else mp.mpf(0.5) for i in range(M.dim)]
            inverse = to_mp(np.linalg.inv(slope))
            X = mp.zeros(M.n, M.k)
            for e, x in zip(basis, c):
                X += mp.mpf(float(x)) * e
            for _ in range(7):
                X = X - P * (P.T * X + X.T * P) / 2
                R = exponential(M, P, X) - Q
                r = mp.matrix([f * sum(x * y for x, y in zip(R, e)) for e, f in zip(ends, factor)])
                step = inverse * r
                for e, x in zip(basis, step):
                    X -= x * e
            X = X - P * (P.T * X + X.T * P) / 2
            A = P.T * X
            square = sum(x * x for x in X) - (0 if M.isometric else sum(x * x for x in A) / 2)
            return array(X), mp.sqrt(square)

    return exact


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "canonical"])
def test_accuracy(metric):
    M = Stiefel(4, 2, metric=metric)
    check_exp_accuracy(M, exact_exp(M), samples=1, allowed=4e-15)
    check_accuracy(M, exact_log(M), samples=1)
    check_accuracy(M, exact_log(M), samples=1, dtype=np.float32)


KINDS = [
    Stiefel(5, 2),
    Stiefel(4, 3),
    Stiefel(30, 4),
    Stiefel(8, 3, metric="canonical"),
    Stiefel(4, 2, field="complex"),
    Stiefel(4, 2, field="complex", metric="canonical"),
    Stiefel(3, 3, field="complex"),
    Stiefel(3, 3),
]


@pytest.mark.parametrize("M", KINDS, ids=repr)
@pytest.mark.parametrize("part", [1e-12, 1e-3, 0.5, 0.9, 0.99])
def test_converges_within_the_injectivity_radius(M, part):
    """Damped Newton steps alone fail on many of these from 0.6 on."""
    rng = np.random.default_rng(int(1e3 * part))
    p = M.random_point(rng, (4,))
    X = M.random_vector(p, rng)
    X *= (part * M.injectivity_radius / M.norm(p, X))[:, None, None]
    got = M.log(p, M.exp(p, X))
    # the stored end points are within eps of the exact ones
    assert np.max(np.abs(got - X)) <= 3e-14 * max(part, 0.05)


def test_many_columns():
    """With more than 700 directions the steps are those of shooting."""
    M = Stiefel(60, 23, metric="canonical")
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X *= 0.8 / M.norm(p, X)
    np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=1e-14)


def test_with_one_column_it_is_the_sphere():
    M, S = Stiefel(4, 1), Sphere(3)
    p, q = S.random_point(0), S.random_point(1)
    np.testing.assert_allclose(M.log(p[:, None], q[:, None])[:, 0], S.log(p, q), atol=1e-14)


def test_says_when_there_is_no_geodesic():
    M = Stiefel(3, 3)
    p = np.eye(3)
    with pytest.raises(ValueError, match="cut locus"):
        M.log(p, p[:, [1, 0, 2]])  # a reflection, in the other component


def test_pymanopt_has_no_distance_on_stiefel():
    """Asked for there since 2017 (issues 266, 288); with it, means and interpolation work."""
    M = Stiefel(5, 2)
    p, q = M.random_point(0), M.random_point(3)
    m = M.mid_point(p, q)
    assert M.distance(p, m) == pytest.approx(M.distance(m, q), rel=1e-13)
    assert M.distance(p, m) == pytest.approx(0.5 * M.distance(p, q), rel=1e-13)
