"""Rotations and poses as quaternions: the same geometry as matrices, conversions at every angle, signs, accuracy."""

import math

import autograd
import autograd.numpy as anp
import mpmath as mp
import numpy as np
import pytest
from manifolds import exact
from scipy.spatial.transform import Rotation

from manifold_opt.manifolds import (
    NotOnManifold,
    NotTangent,
    QuaternionPoses,
    Rotations,
    SpecialEuclidean,
    UnitQuaternions,
)
from manifold_opt.testing import check_accuracy, check_exp_accuracy

M, N = UnitQuaternions(), Rotations(3)
P, S = QuaternionPoses(0.5, 4.0), SpecialEuclidean(3, 0.5, 4.0)


def near(got, expected, atol=1e-14):
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("size", [(), (4,)], ids=["one", "batch"])
def test_geometry_of_rotation_matrices(size):
    rng = np.random.default_rng(1)
    p = M.random_point(rng, size)
    c = rng.standard_normal((*size, 3))
    X, R = M.get_vector(p, c), M.to_matrix(p)
    W = N.get_vector(R, c)
    for name in ("exponential", "cayley", "polar"):
        near(M.to_matrix(M.retract(p, X, 0.7, method=name)), N.retract(R, W, 0.7, method=name))
        q = M.retract(p, 0.3 * X, method=name)
        near(M.inverse_retract(p, -q, method=name), 0.3 * X)
    q = M.random_point(rng, size)
    Q = M.to_matrix(q)
    near(M.distance(p, q), N.distance(R, Q))
    near(M.get_coordinates(p, M.log(p, q)), N.get_coordinates(R, N.log(R, Q)), 1e-13)
    moved = M.parallel_transport_to(p, X, q)
    near(M.get_coordinates(q, moved), N.get_coordinates(Q, N.parallel_transport_to(R, W, Q)), 1e-13)
    near(M.inner(p, X, X), N.inner(R, W, W))
    near(M.to_matrix(M.compose(p, q)), R @ Q)
    near(M.to_matrix(M.inverse(p)), np.swapaxes(R, -1, -2))
    near(M.apply(p, c), (R @ c[..., None])[..., 0])


@pytest.mark.parametrize("size", [(), (4,)], ids=["one", "batch"])
def test_geometry_of_pose_matrices(size):
    rng = np.random.default_rng(2)
    p, q = P.random_point(rng, size), P.random_point(rng, size)
    c = rng.standard_normal((*size, 6))
    X, A, B = P.get_vector(p, c), P.to_rotation_matrices(p), P.to_rotation_matrices(q)
    W = S.get_vector(A, c)
    near(S.get_coordinates(A, W), P.get_coordinates(p, X))
    for name in ("exponential", "group", "cayley", "polar"):
        near(P.to_rotation_matrices(P.retract(p, X, 0.7, method=name)), S.retract(A, W, 0.7, method=name))
    near(P.distance(p, q), S.distance(A, B), 1e-13)
    near(P.to_matrix(P.compose(p, P.inverse(q))), S.to_matrix(S.compose(A, S.inverse(B))))
    near(P.from_matrix(P.to_matrix(p))[..., 4:], p[..., 4:])
    near(P.distance(P.from_rotation_matrices(A), p), 0.0)
    for name in ("exponential", "group"):
        near(P.inverse_retract(p, q, method=name), _body(S.inverse_retract(A, B, method=name)), 1e-13)
    moved = S.parallel_transport_to(A, W, B)
    near(P.parallel_transport_to(p, X, q), _body(moved), 1e-13)
    near(P.adjoint(p), S.adjoint(A))
    near(P.left_jacobian(c), S.left_jacobian(c))
    near(P.right_jacobian(c) @ P.right_jacobian_inverse(c), np.broadcast_to(np.eye(6), (*size, 6, 6)), 1e-13)
    x = rng.standard_normal((*size, 5, 3))
    near(P.apply(p, x), S.apply(A, x))
    near(P.apply(p, x[..., 0, :]), S.apply(A, x[..., 0, :]))


def _body(X):
    """Rotation vector and velocity of a vector stored with a matrix."""
    return np.concatenate([X[..., [7, 2, 3]], X[..., 9:]], axis=-1)


def test_both_signs_are_one_rotation():
    p, q = M.random_point(0, (6,)), M.random_point(1, (6,))
    X = M.random_vector(p, 2)
    for a, b in ((p, -q), (-p, q), (-p, -q)):
        near(M.distance(a, b), M.distance(p, q))
        near(M.log(a, b), M.log(p, q))
        for name in ("left", "parallel", "projection"):
            near(M.vector_transport_to(a, X, b, method=name), M.vector_transport_to(p, X, q, method=name))
    near(M.canonical(-p), M.canonical(p))
    assert np.all(M.canonical(p)[:, 0] > 0)
    np.testing.assert_array_equal(M.canonical(np.array([0.0, -1.0, 0.0, 0.0])), [0.0, 1.0, 0.0, 0.0])


def test_half_turns_take_one_direction_from_either_sign():
    p = M.random_point(3)
    for v in ([1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [-0.6, 0.0, 0.8]):
        q = M.compose(p, np.array([0.0, *v]))
        X = M.log(p, q)
        near(np.linalg.norm(X), math.pi)
        assert X[np.argmax(np.abs(X))] > 0
        near(M.log(p, -q), X)
        near(M.log(p[None], q[None])[0], X)


def test_conversion_of_matrices_at_every_angle():
    """One row of the quadratic form is used where the others cancel; SciPy is the independent answer."""
    rng = np.random.default_rng(4)
    axis = rng.standard_normal((50, 3))
    axis[:3] = np.eye(3)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    for angle in (0.0, 1e-12, 1e-6, 1.0, 3.0, math.pi - 1e-9, math.pi):
        R = Rotation.from_rotvec(angle * axis).as_matrix()
        q = M.from_matrix(R)
        assert np.all(q[:, 0] >= 0)
        near(M.to_matrix(q), R, 1e-15 * 4)
        near(np.linalg.norm(q, axis=-1), 1.0, 4e-16)
        near(M.from_matrix(R[7]), q[7], 4e-16)
        theirs = Rotation.from_matrix(R).as_quat()[:, [3, 0, 1, 2]]
        near(np.abs(np.sum(q * theirs, axis=-1)), 1.0)
        if angle < 3.0:  # small rotations keep their digits
            near(q[:, 1:], np.sin(0.5 * angle) * axis, 2e-16 + 1e-15 * angle)


def test_gradient_of_a_cost_of_the_matrix():
    """The gradient through the matrix of the quaternion is that of rotations."""
    A = np.random.default_rng(5).standard_normal((3, 3))
    p = M.random_point(6)
    g = autograd.grad(lambda q: anp.sum(A * M.to_matrix(q)))(p)
    R = M.to_matrix(p)
    expected = N.get_coordinates(R, N.riemannian_gradient(R, A))
    near(M.get_coordinates(p, M.riemannian_gradient_from_storage(p, g)), expected, 1e-14)


def _values(A, p, q, X):
    return A.distance(p, q), A.log(p, q), A.exp(p, X), A.parallel_transport_to(p, X, q)


@pytest.mark.parametrize("A", [M, P], ids=repr)
def test_on_jax(A):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    p, q = A.random_point(0), A.random_point(1)
    X = A.random_vector(p, 2)
    for got, expected in zip(jax.jit(_values, static_argnums=0)(A, p, q, X), _values(A, p, q, X), strict=True):
        near(got, expected, 1e-14)
    g = jax.jit(jax.grad(A.squared_distance))(p, q)
    near(A.riemannian_gradient_from_storage(p, np.asarray(g)), -2.0 * A.log(p, q), 1e-13)


@pytest.mark.parametrize("A", [M, P], ids=repr)
def test_on_torch(A):
    torch = pytest.importorskip("torch")
    p, q = A.random_point(0, (3,)), A.random_point(1, (3,))
    X = A.random_vector(p, 2)
    x, y, V = map(torch.as_tensor, (p, q, X))
    for got, expected in zip(_values(A, x, y, V), _values(A, p, q, X), strict=True):
        near(got, expected, 1e-14)
    x.requires_grad_()
    g = torch.autograd.grad(A.squared_distance(x, y).sum(), x)[0].numpy()
    near(A.riemannian_gradient_from_storage(p, g), -2.0 * A.log(p, q), 1e-13)


def test_float32_stays():
    p = P.random_point(0, (3,)).astype(np.float32)
    X = np.ones((3, 6), np.float32)
    for a, V in ((p, X), (p[0], X[0])):
        q = P.exp(a, V, np.float64(0.5))
        assert q.dtype == P.log(a, q).dtype == P.compose(a, q).dtype == P.to_matrix(a).dtype == np.float32
        assert M.from_matrix(M.to_matrix(a[..., :4])).dtype == np.float32


def _exact_unit(p):
    p = exact.lifted(p)
    return p / exact._length(p)


def _exact_product(a, b):
    (p, *u), (q, *v) = a, b
    cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    return np.array([p * q - sum(x * y for x, y in zip(u, v)), *(p * y + q * x + c for x, y, c in zip(u, v, cross))])


def _exact_log(p, q):
    p, q = _exact_unit(p), _exact_unit(q)
    r = _exact_product(np.array([p[0], *(-p[1:])]), q)
    r = -r if r[0] < 0 else r
    s = exact._length(r[1:])
    angle = 2 * mp.atan2(s, r[0])
    return r[1:] * (angle / s), angle


def _exact_exp(p, X):
    X = exact.lifted(X)
    t = exact._length(X)
    return _exact_product(_exact_unit(p), np.array([mp.cos(t / 2), *(mp.sin(t / 2) / t * X)]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(dtype):
    check_accuracy(M, _exact_log, dtype=dtype)


def test_exp_accuracy():
    check_exp_accuracy(M, _exact_exp)


def test_pose_accuracy():
    def log(p, q):
        w, angle = _exact_log(p[:4], q[:4])
        a = _exact_unit(p[:4])
        d = exact.lifted(q[4:]) - exact.lifted(p[4:])
        v = _exact_product(_exact_product(np.array([a[0], *(-a[1:])]), np.array([mp.mpf(0), *d])), a)[1:]
        return np.concatenate([w, v]), mp.sqrt(angle**2 + sum(x * x for x in v))

    check_accuracy(QuaternionPoses(), log)


def test_messages():
    with pytest.raises(NotOnManifold, match="length 1"):
        M.check_point(np.ones(4))
    with pytest.raises(NotOnManifold, match="in the rotation of a point"):
        P.check_point(np.ones(7))
    with pytest.raises(NotTangent, match="shape"):
        P.check_vector(np.ones(7), np.ones(7))
    with pytest.raises(NotOnManifold, match="must be real"):
        M.check_point(np.array([1j, 0, 0, 0]))
    with pytest.raises(ValueError, match="z is zero"):
        M.project_point(np.zeros(4))
    with pytest.raises(ValueError, match="metric_scale must be a positive number"):
        UnitQuaternions(-1.0)
    with pytest.raises(ValueError, match="translation_weight must be a positive number"):
        QuaternionPoses(translation_weight=0)
    i = np.array([0.0, 1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="no half turn"):
        M.inverse_retract(M.identity(), i, method="cayley")
    with pytest.raises(ValueError, match="below pi/2"):
        M.inverse_retract(M.identity(), i, method="polar")


# ---------------- defects of other libraries that concern rotations and poses


def test_geomstats_logarithm_at_and_near_half_turns():
    """There: complex at pi - 1e-7, an error at pi - 1e-9 and at pi, relative error 4e-8 at 1e-9."""
    p = M.random_point(11)
    v = M.random_vector(p, 12)
    v = v / np.linalg.norm(v)
    for angle in (1e-9, math.pi - 1e-7, math.pi - 1e-9, math.pi):
        X = M.log(p, M.exp(p, angle * v))
        assert X.dtype == np.float64
        assert np.linalg.norm(X) == pytest.approx(angle, rel=1e-7 if angle < 1 else 1e-14)
        near(min(np.linalg.norm(X - angle * v), np.linalg.norm(X + angle * v)), 0.0, 1e-15 if angle < 1 else 1e-8)


def test_geomstats_injectivity_radius_is_that_of_its_metric():
    """There: 5.44 for a metric whose half turns have length pi."""
    assert M.injectivity_radius == math.pi
    p = M.random_point(0)
    assert M.distance(p, M.compose(p, np.array([0.0, 0.0, 1.0, 0.0]))) == pytest.approx(math.pi)


def test_distributed_factor_graphs_791_coordinates_are_rotation_vectors():
    """There: coordinates scaled by the root of 2, where users of poses expected angles."""
    p = P.random_point(1)
    c = np.array([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    A = QuaternionPoses()
    q = A.exp(p, A.get_vector(p, c))
    np.testing.assert_allclose(A.distance(p, q) ** 2, c @ c, rtol=1e-14)
    assert UnitQuaternions().distance(p[:4], q[:4]) == pytest.approx(np.linalg.norm(c[:3]))


def test_geomstats_1431_and_910_poses_in_batches():
    """There: slow exponentials on SE(n), and no batches of poses in pymanopt (46, 117)."""
    p = P.random_point(2, (3, 5))
    X = P.random_vector(p, 3)
    q = P.exp(p, X)
    assert q.shape == (3, 5, 7)
    near(P.log(p, q)[1, 2], P.log(p[1, 2], q[1, 2]))
