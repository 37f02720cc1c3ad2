"""Rotations: 50-digit accuracy, half turns, retractions, reflections, agreement with SciPy."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manifold_opt.linalg import skew, transpose
from manifold_opt.manifolds import NotOnManifold, NotTangent, Rotations
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def to_mp(A):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])


def nearest(A):
    """The orthogonal polar factor by Newton's iteration, scaled by the determinant."""
    for _ in range(200):
        scale = abs(mp.det(A)) ** (mp.mpf(-1) / A.rows)
        B = (scale * A + (A**-1).T / scale) / 2
        change = mp.mnorm(B - A, 1)
        A = B
        if change < mp.mpf(10) ** (-mp.mp.dps // 2 - 2):  # the next step would square it
            return (A + (A**-1).T) / 2
    raise ArithmeticError("no convergence")


def exact_log(n, metric_scale=0.5):
    """Logarithm by three square roots, polar factors of I + R, and the series of artanh of the Cayley transform."""

    def exact(p, q):
        with mp.workdps(50):
            I = mp.eye(n)
            R = nearest(to_mp(p)).T * nearest(to_mp(q))
            for _ in range(3):
                R = nearest(I + R)
            C = (R - I) * (R + I) ** -1
            term, total = C, mp.zeros(n)
            square = C * C
            for k in range(40):
                total += term / (2 * k + 1)
                term = term * square
            X = 16 * total
            square = sum(X[i, j] ** 2 for i in range(n) for j in range(n))
            array = np.array(X.tolist(), dtype=object).reshape(n, n)
            return array, mp.sqrt(metric_scale * square)

    return exact


def exact_exp(n):
    def exact(p, X):
        with mp.workdps(60):
            E = mp.expm(to_mp(skew(X)), method="taylor")
            return np.array((nearest(to_mp(p)) * E).tolist(), dtype=object).reshape(n, n)

    return exact


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_log_and_distance_against_fifty_digits(n):
    check_accuracy(Rotations(n), exact_log(n), samples=2 if n < 4 else 1)
    check_accuracy(Rotations(n), exact_log(n), samples=1, dtype=np.float32)


def test_other_scale_against_fifty_digits():
    check_accuracy(Rotations(3, metric_scale=1.0), exact_log(3, 1.0), samples=1)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_exp_against_fifty_digits(n):
    check_exp_accuracy(Rotations(n), exact_exp(n), samples=2)


@pytest.mark.parametrize("n", [3, 4])
def test_batches_are_as_accurate_as_members(n):
    M = Rotations(n)
    rng = np.random.default_rng(5)
    p = M.random_point(rng, (40,))
    X = M.random_vector(p, rng)
    X *= (np.geomspace(1e-12, 0.999999, 40) * M.injectivity_radius / M.norm(p, X))[:, None, None]
    q = M.exp(p, X)
    d = M.distance(p, q)
    for i in range(40):
        np.testing.assert_allclose(M.log(p, q)[i], M.log(p[i], q[i]), rtol=0, atol=1e-13 * max(d[i], 1e-12))
        assert d[i] == pytest.approx(M.distance(p[i], q[i]), rel=1e-14)


def test_space_rotations_agree_with_scipy():
    M = Rotations(3)
    p, q = M.random_point(0, (50,)), M.random_point(1, (50,))
    vector = (Rotation.from_matrix(p).inv() * Rotation.from_matrix(q)).as_rotvec()
    np.testing.assert_allclose(M.get_coordinates(p, M.log(p, q)), vector, atol=1e-14)
    np.testing.assert_allclose(M.exp(p, M.get_vector(p, vector)), q, atol=1e-14)
    np.testing.assert_allclose(M.distance(p, q), np.linalg.norm(vector, axis=-1), rtol=1e-14)


def test_distances_are_angles_and_the_radius_is_pi():
    for n in (2, 3):
        M = Rotations(n)
        assert M.injectivity_radius == math.pi
        p = M.random_point(2)
        X = M.get_vector(p, np.full(M.dim, 0.7 / math.sqrt(M.dim)))
        assert M.distance(p, M.exp(p, X)) == pytest.approx(0.7, rel=1e-15)
    assert Rotations(3, metric_scale=1).injectivity_radius == pytest.approx(math.pi * math.sqrt(2))


@pytest.mark.parametrize("n", [3, 4, 5])
def test_at_a_half_turn_the_logarithm_is_real_shortest_and_repeatable(n):
    M = Rotations(n)
    p = M.random_point(3)
    q = p @ np.diag([-1.0, -1.0] + [1.0] * (n - 2))
    X = M.log(p, q)
    assert M.distance(p, q) == pytest.approx(math.pi, rel=1e-15)
    assert M.norm(p, X) == pytest.approx(math.pi, rel=1e-15)
    np.testing.assert_allclose(M.exp(p, X), q, atol=1e-14)
    np.testing.assert_array_equal(M.log(p, q), X)


@pytest.mark.parametrize("method", ["polar", "qr", "cayley"])
def test_inverse_retractions_say_where_they_end(method):
    M = Rotations(3)
    p = M.random_point(0)
    angle = math.pi if method == "cayley" else 0.6 * math.pi
    q = M.exp(p, M.get_vector(p, np.array([angle, 0.0, 0.0])))
    if method == "cayley":
        q = p @ np.diag([1.0, -1.0, -1.0])
    with pytest.raises(ValueError, match=rf"method='{method}'.*M\.log"):
        M.inverse_retract(p, q, method=method)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_polar_is_the_nearest_rotation_and_qr_its_triangular_sibling(n):
    M = Rotations(n)
    p = M.random_point(0, (3,))
    X = M.random_vector(p, 1)
    np.testing.assert_allclose(M.retract(p, X, method="polar"), M.project_point(p + p @ X), atol=1e-14)
    Q, R = np.linalg.qr(p + p @ X)
    sign = np.sign(np.diagonal(R, axis1=-2, axis2=-1))
    np.testing.assert_allclose(M.retract(p, X, method="qr"), Q * sign[:, None, :], atol=1e-14)
    cayley = p @ np.linalg.solve(np.eye(n) - X / 2, np.eye(n) + X / 2)
    np.testing.assert_allclose(M.retract(p, X, method="cayley"), cayley, atol=1e-14)


def test_projection_of_reflections_is_a_rotation():
    M = Rotations(3)
    z = np.random.default_rng(0).standard_normal((20, 3, 3))
    p = M.project_point(z)
    M.check_point(p)
    assert np.any(np.linalg.det(z) < 0)


def test_parallel_transport_is_not_left_translation_but_both_keep_inner_products():
    M = Rotations(3)
    p, q = M.random_point(0), M.random_point(1)
    X, Y = M.random_vector(p, 2), M.random_vector(p, 3)
    for method in ("left", "parallel"):
        U, V = (M.vector_transport_to(p, Z, q, method=method) for Z in (X, Y))
        assert M.inner(q, U, V) == pytest.approx(M.inner(p, X, Y), rel=1e-13)
    assert np.abs(M.parallel_transport_to(p, X, q) - X).max() > 0.1
    d = M.log(p, q)
    np.testing.assert_allclose(M.parallel_transport_to(p, d, q), d, atol=1e-14)
    assert not np.shares_memory(M.vector_transport_to(p, X, q), X)


def test_rounding_of_the_base_point_does_not_reach_the_result():
    for n in (2, 3, 4):
        M = Rotations(n)
        p = M.random_point(0) + 1e-10 * np.random.default_rng(1).standard_normal((n, n))
        q = M.exp(p, M.random_vector(p, 2))
        assert np.abs(q.T @ q - np.eye(n)).max() <= 8 * np.finfo(float).eps


def test_messages():
    M = Rotations(3)
    with pytest.raises(NotOnManifold, match=r"determinant is -1, a reflection; M\.project_point"):
        M.check_point(np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(NotOnManifold, match=r"p'p differs from the identity by 3.*M\.project_point"):
        M.check_point(2 * np.eye(3))
    with pytest.raises(NotTangent, match=r"skew-symmetric.*entry 2"):
        M.check_vector(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="n, the size"):
        Rotations(1)
    with pytest.raises(ValueError, match="metric_scale must be a positive number"):
        Rotations(3, metric_scale=0.0)
    assert repr(Rotations(3)) == "Rotations(3)"
    assert repr(Rotations(3, metric_scale=1)) == "Rotations(3, metric_scale=1.0)"


def test_infinite_vectors_give_points_that_are_not_finite():
    for n in (2, 3):
        M = Rotations(n)
        X = np.nan_to_num(M.get_vector(np.eye(n), np.ones(M.dim))) * (1e300 if n == 3 else np.nan)
        assert not np.all(np.isfinite(M.exp(np.eye(n), X)))


def test_hessian_of_a_quadratic_is_symmetric_and_matches_the_geodesic():
    M = Rotations(4)
    p = M.random_point(0)
    A = np.random.default_rng(1).standard_normal((4, 4))
    X, Y = M.random_vector(p, 2), M.random_vector(p, 3)

    def hessian(X):
        return M.riemannian_hessian(p, A @ p @ A.T, A @ M.embed_vector(p, X) @ A.T, X)

    A = A + A.T
    assert M.inner(p, hessian(X), Y) == pytest.approx(M.inner(p, X, hessian(Y)), rel=1e-12)
    f = [0.5 * np.sum(q * (A @ q @ A.T)) for q in M.exp(p, X, np.array([-1e-3, 0.0, 1e-3]))]
    assert M.inner(p, X, hessian(X)) == pytest.approx((f[0] - 2 * f[1] + f[2]) / 1e-6, rel=1e-5)
    np.testing.assert_allclose(transpose(hessian(X)), -hessian(X), atol=1e-13)


def test_derivatives_may_be_sparse():
    from scipy.sparse import csr_array

    M = Rotations(3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    G, H = np.random.default_rng(2).standard_normal((2, 3, 3))
    sparse = csr_array(G), csr_array(H)
    np.testing.assert_allclose(M.riemannian_gradient(p, sparse[0]), M.riemannian_gradient(p, G), atol=1e-14)
    np.testing.assert_allclose(
        M.riemannian_hessian(p, *sparse, X), M.riemannian_hessian(p, G, H, X), atol=1e-14
    )
