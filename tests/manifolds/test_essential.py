"""Essential matrices: epipolar geometry, the alignment against a grid, transports, accuracy, radii."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import Essential, NotOnManifold, NotTangent, Rotations
from manifold_opt.testing import check_accuracy, check_exp_accuracy, check_weingarten

M, U, R3 = Essential(), Essential(signed=False), Rotations(3)


def about_third_axis(theta):
    theta = np.asarray(theta)
    Z = np.zeros((*theta.shape, 3, 3))
    Z[..., 0, 0] = Z[..., 1, 1] = np.cos(theta)
    Z[..., 1, 0] = np.sin(theta)
    Z[..., 0, 1] = -Z[..., 1, 0]
    Z[..., 2, 2] = 1.0
    return Z


def turned(p, theta):
    return about_third_axis(theta)[..., None, :, :] @ p


def test_rays_of_one_point_satisfy_the_epipolar_constraint():
    rng = np.random.default_rng(0)
    p = M.random_point(rng)
    R, t = M.pose(p)
    second = rng.standard_normal((20, 3))
    first = second @ R.T + t
    E = M.matrix(p)
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", first, E, second), 0.0, atol=1e-14)
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    np.testing.assert_allclose(E, cross @ R, atol=1e-15)
    np.testing.assert_allclose(np.linalg.svd(E, compute_uv=False), [1.0, 1.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("size", [(), (5,)], ids=["one", "batch"])
def test_conversions(size):
    p = M.random_point(1, size)
    E = M.matrix(p)
    again = M.from_matrix(3.0 * E)
    M.check_point(again)
    sign = np.sign(np.sum(M.matrix(again) * E, axis=(-2, -1)))[..., None, None]
    np.testing.assert_allclose(sign * M.matrix(again), E, atol=1e-14)
    np.testing.assert_allclose(U.distance(p, again), 0.0, atol=1e-14)
    R, t = M.pose(p)
    q = M.from_pose(R, 2.0 * t)
    M.check_point(q)
    np.testing.assert_allclose(M.distance(p, q), 0.0, atol=1e-14)
    four = M.equivalents(p)
    np.testing.assert_array_equal(four[..., 0, :, :, :], p)
    signs = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None]
    np.testing.assert_allclose(signs * M.matrix(four) - E[..., None, :, :], 0.0, atol=1e-15)


def test_distance_is_the_minimum_over_the_turn():
    rng = np.random.default_rng(2)
    p, q = M.random_point(rng, (40,)), M.random_point(rng, (40,))
    grid = np.linspace(0.0, 2 * math.pi, 721)
    moved = turned(q[:, None], grid)
    angles = R3.distance(np.broadcast_to(p[:, None], moved.shape), moved)
    best = np.sqrt(np.min(np.sum(angles**2, axis=-1), axis=-1))
    d = M.distance(p, q)
    assert np.all(d <= best + 1e-12)
    np.testing.assert_allclose(d, best, atol=2e-4)
    np.testing.assert_allclose([M.distance(a, b) for a, b in zip(p, q, strict=True)], d, rtol=1e-13)
    best = np.min([M.distance(p, M.equivalents(q)[:, k]) for k in range(4)], axis=0)
    np.testing.assert_allclose(U.distance(p, q), best, rtol=1e-13)


@pytest.mark.parametrize("N", [M, U], ids=repr)
def test_the_point_counts_not_the_pair(N):
    rng = np.random.default_rng(3)
    p, q = N.random_point(rng, (6,)), N.random_point(rng, (6,))
    a, b = turned(p, rng.uniform(0, 6, 6)), turned(q, rng.uniform(0, 6, 6))
    X = N.random_vector(p, rng)
    np.testing.assert_allclose(N.log(a, b), N.log(p, q), atol=1e-13)
    for name in ("left", "parallel"):
        got, expected = (N.vector_transport_to(x, X, y, method=name) for x, y in ((a, b), (p, q)))
        np.testing.assert_allclose(got, expected, atol=1e-12)
    np.testing.assert_allclose(N.distance(N.exp(p, N.log(p, q)), q), 0.0, atol=1e-13)
    np.testing.assert_allclose(N.matrix(a), N.matrix(p), atol=1e-14)


def test_gradient_of_a_function_of_the_essential_matrix_is_horizontal():
    A = np.random.default_rng(4).standard_normal((3, 3))
    p = M.random_point(5)
    # d tr(A' R1' Z R2): Euclidean partial derivatives in R1 and R2
    Z = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]])
    G = np.array([Z @ p[1] @ A.T, Z.T @ p[0] @ A])
    total = R3.riemannian_gradient(p, G)
    np.testing.assert_allclose(M.riemannian_gradient(p, G), total, atol=1e-14)


def test_parallel_transport_is_that_of_rotations_made_horizontal_at_every_step():
    p = M.random_point(6)
    X, d = M.random_vector(p, 7), M.random_vector(p, 8)
    errors = []
    for steps in (100, 200):
        q, Y = p, X
        for _ in range(steps):
            Y = M.tangentialize(q, R3.parallel_transport_direction(q, Y, d / steps))
            q = M.exp(q, d / steps)
        errors.append(Y - M.parallel_transport_direction(p, X, d))
    assert np.max(np.abs(errors[0])) < 0.03
    np.testing.assert_allclose(2.0 * errors[1] - errors[0], 0.0, atol=1e-4)
    q = M.exp(p, d)
    assert M.inner(q, *[M.parallel_transport_direction(p, X, d)] * 2) == pytest.approx(M.inner(p, X, X), rel=1e-13)


def test_injectivity_radius_is_half_of_a_closed_geodesic():
    for N in (M, U):
        p = N.random_point(9)
        X = N.get_vector(p, np.array([0.0, 0, 0, 0, 1.0]))
        r = N.injectivity_radius
        assert N.distance(p, N.exp(p, X, 2.0 * r)) == pytest.approx(0.0, abs=1e-14)
        assert N.distance(p, N.exp(p, X, 0.999 * r)) == pytest.approx(0.999 * r)
        assert N.distance(p, N.exp(p, X, 1.1 * r)) == pytest.approx(0.9 * r)


def test_curvature_bound_is_attained():
    p = M.random_point(10)
    X, Y = (M.get_vector(p, np.eye(5)[k]) for k in (0, 1))
    t = 0.05
    squared = M.distance(M.exp(p, X, t), M.exp(p, Y, t)) ** 2
    assert (2 * t**2 - squared) * 3 / t**4 == pytest.approx(M.sectional_curvature_bounds[1], abs=0.01)


def test_weingarten_map_where_the_metric_is_that_of_the_embedding():
    check_weingarten(Essential(metric_scale=1.0))


def _exact_log(p, q):
    pairs = [(exact._nearest_rotation(a), exact._nearest_rotation(b)) for a, b in zip(p, q, strict=True)]

    def logs(theta):
        c, s = mp.cos(theta), mp.sin(theta)
        Z = mp.matrix([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        vectors = []
        for A, B in pairs:
            D = A.T * Z * B
            S = (D - D.T) / 2
            w = [S[2, 1], S[0, 2], S[1, 0]]
            sine = mp.sqrt(sum(x * x for x in w))
            angle = mp.atan2(sine, (D[0, 0] + D[1, 1] + D[2, 2] - 1) / 2)
            vectors.append([x * angle / sine for x in w])
        return vectors

    def vertical(theta):
        return sum(w[k] * A[2, k] for w, (A, _) in zip(logs(theta), pairs, strict=True) for k in range(3))

    theta = mp.findroot(vertical, (mp.mpf(0), mp.mpf("1e-3")), tol=mp.mpf(10) ** -80)
    w = logs(theta)
    X = [[[0, -z, y], [z, 0, -x], [-y, x, 0]] for x, y, z in w]
    return np.array(X, dtype=object), mp.sqrt(sum(x * x for v in w for x in v))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(dtype):
    check_accuracy(M, _exact_log, dtype=dtype, samples=1)


def test_exp_accuracy():
    def exp(p, X):
        return np.array([exact.rotation_exp(a, W) for a, W in zip(p, X, strict=True)])

    check_exp_accuracy(M, exp, samples=1)


def test_on_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    p, q = M.random_point(0), M.random_point(1)
    np.testing.assert_allclose(jax.jit(M.log)(p, q), M.log(p, q), atol=1e-12)


def test_on_torch():
    torch = pytest.importorskip("torch")
    p, q = M.random_point(0), M.random_point(1)
    x, y = torch.as_tensor(p), torch.as_tensor(q)
    np.testing.assert_allclose(M.log(x, y), M.log(p, q), atol=1e-12)
    np.testing.assert_allclose(U.distance(x, y), U.distance(p, q), atol=1e-12)
    x.requires_grad_()
    g = torch.autograd.grad(M.squared_distance(x, y), x)[0].numpy()
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), -2.0 * M.log(p, q), atol=1e-11)


def test_messages():
    p = M.random_point(0)
    bad = p.copy()
    bad[1, 0, 0] += 1.0
    with pytest.raises(NotOnManifold, match="in the second rotation of a point"):
        M.check_point(bad)
    with pytest.raises(NotTangent, match="skew-symmetric"):
        M.check_vector(p, np.ones((2, 3, 3)))
    with pytest.raises(NotTangent, match="not tangent"):
        M.check_vector(p, R3.get_vector(p, p[:, 2]))
    with pytest.raises(ValueError, match="signed must be True"):
        Essential("yes")
    with pytest.raises(ValueError, match="metric_scale must be a positive number"):
        Essential(metric_scale=0)
