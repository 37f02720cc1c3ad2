"""Similarities: geodesics, the group and its derivatives against matrix exponentials, accuracy, messages."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import expm

from manifold_opt import levenberg_marquardt
from manifold_opt.manifolds import NotOnManifold, NotTangent, Similarity, SpecialEuclidean
from manifold_opt.testing import check_accuracy, check_exp_accuracy

SPACES = [Similarity(2), Similarity(3), Similarity(4)]


def group_exp(M, c):
    return M.retract(M.identity(), M.from_twist(c), method="group")


def group_log(M, p):
    return M.to_twist(M.inverse_retract(M.identity(), p, method="group"))


def twist_matrix(M, c):
    """The element of the Lie algebra as an (n + 1, n + 1) matrix."""
    W, v, sigma = M.split_vector(M.from_twist(c))
    T = np.zeros((M.n + 1, M.n + 1))
    T[:-1, :-1], T[:-1, -1] = W + sigma * np.eye(M.n), v
    return T


def some_twist(M, angle, growth, rng):
    c = rng.standard_normal(M.dim)
    c[: M.dim - M.n - 1] *= angle / np.linalg.norm(c[: M.dim - M.n - 1])
    c[-1] = growth
    return c


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize(
    ("angle", "growth"), [(1e-9, 1e-9), (1e-9, 0.7), (0.5, 1e-8), (0.0, 0.0), (2.9, -2.0), (3.0, 8.0)]
)
def test_group_exponential_is_the_matrix_exponential(M, angle, growth):
    """Small angle and small growth are where closed forms of V cancel."""
    c = some_twist(M, angle, growth, np.random.default_rng(3))
    p = group_exp(M, c)
    np.testing.assert_allclose(M.to_matrix(p), expm(twist_matrix(M, c)), rtol=1e-13, atol=1e-14 * math.exp(abs(growth)))
    np.testing.assert_allclose(group_log(M, p), c, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(M.from_matrix(M.to_matrix(p)), p, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_group_operations(M):
    rng = np.random.default_rng(4)
    p, q = M.random_point(rng, (5,)), M.random_point(rng, (5,))
    np.testing.assert_allclose(M.to_matrix(M.compose(p, q)), M.to_matrix(p) @ M.to_matrix(q), atol=1e-13)
    eye = np.broadcast_to(M.identity(), p.shape)
    np.testing.assert_allclose(M.compose(p, M.inverse(p)), eye, atol=1e-13)
    x = rng.standard_normal((5, 7, M.n))
    A = M.to_matrix(p)
    expected = x @ np.swapaxes(A[:, :-1, :-1], 1, 2) + A[:, None, :-1, -1]
    np.testing.assert_allclose(M.apply(p, x), expected, atol=1e-13)
    np.testing.assert_allclose(M.apply(p, x[:, 0]), expected[:, 0], atol=1e-13)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_adjoint(M):
    p = M.random_point(1, (5,))
    c = 0.5 * np.random.default_rng(2).standard_normal((5, M.dim))
    left = M.compose(M.compose(p, group_exp(M, c)), M.inverse(p))
    right = group_exp(M, (M.adjoint(p) @ c[..., None])[..., 0])
    np.testing.assert_allclose(left, right, atol=1e-12)


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize("size", [0.0, 1e-7, 0.3, 1.9])
def test_jacobians_against_differences(M, size):
    c = size * np.random.default_rng(5).standard_normal(M.dim)
    h = 1e-5

    def difference(left):
        columns = []
        for e in np.eye(M.dim):
            ends = []
            for s in (h, -h):
                moved, back = group_exp(M, c + s * e), M.inverse(group_exp(M, c))
                ends.append(group_log(M, M.compose(moved, back) if left else M.compose(back, moved)))
            columns.append((ends[0] - ends[1]) / (2 * h))
        return np.stack(columns, axis=1)

    size = np.max(np.abs(M.left_jacobian(c)))
    np.testing.assert_allclose(M.left_jacobian(c), difference(left=True), atol=2e-7 * size)
    np.testing.assert_allclose(M.right_jacobian(c), difference(left=False), atol=2e-7 * size)
    eye = np.eye(M.dim)
    np.testing.assert_allclose(M.left_jacobian_inverse(c) @ M.left_jacobian(c), eye, atol=1e-11)
    np.testing.assert_allclose(M.right_jacobian(c) @ M.right_jacobian_inverse(c), eye, atol=1e-11)
    np.testing.assert_allclose(M.left_jacobian(c), M.adjoint(group_exp(M, c)) @ M.right_jacobian(c), atol=1e-11)


def test_without_growth_it_is_a_rigid_motion():
    M, S = Similarity(3), SpecialEuclidean(3)
    p, q = S.random_point(0), S.random_point(1)
    one = np.ones(())
    a, b = (M.join(*S.split(x), one) for x in (p, q))
    assert M.distance(a, b) == pytest.approx(S.distance(p, q), rel=1e-14)
    for name in ("exponential", "group"):
        X = S.inverse_retract(p, q, method=name)
        np.testing.assert_allclose(M.inverse_retract(a, b, method=name)[:-1], X, atol=1e-13)
    np.testing.assert_allclose(M.adjoint(a)[:6, :6], S.adjoint(p), atol=1e-15)
    c = np.append(S.get_coordinates(p, X), 0.0)
    np.testing.assert_allclose(M.left_jacobian(c)[:6, :6], S.left_jacobian(c[:6]), atol=1e-13)


def test_left_transport_is_the_translation_of_the_group():
    M = Similarity(3)
    p, q = M.random_point(0), M.random_point(1)
    X = M.random_vector(p, 2)
    h = 1e-6
    g = M.compose(q, M.inverse(p))
    moved = [M.compose(g, M.retract(p, X, t)) for t in (h, -h)]
    expected = M.project_vector(q, (moved[0] - moved[1]) / (2 * h))
    np.testing.assert_allclose(M.vector_transport_to(p, X, q, method="left"), expected, atol=1e-8)


def test_point_sets_are_registered_as_umeyama_does():
    M = Similarity(3)
    rng = np.random.default_rng(6)
    true = M.random_point(rng)
    x = rng.standard_normal((30, 3))
    y = M.apply(true, x) + 0.01 * rng.standard_normal((30, 3))
    result = levenberg_marquardt(M, lambda p: (M.apply(p, x) - y).reshape(-1), M.identity())
    assert result.converged
    # Umeyama, PAMI 1991, (40) to (42)
    a, b = x - x.mean(0), y - y.mean(0)
    U, d, Vt = np.linalg.svd(b.T @ a / 30)
    S = np.diag([1.0, 1.0, np.linalg.det(U) * np.linalg.det(Vt)])
    R, s = U @ S @ Vt, np.trace(np.diag(d) @ S) / np.mean(np.sum(a * a, axis=1))
    expected = M.join(R, y.mean(0) - s * R @ x.mean(0), np.asarray(s))
    assert M.distance(result.point, expected) < 1e-7


def _exact_parts(p):
    return exact._nearest_rotation(p[:9].reshape(3, 3)), exact.lifted(p[9:12]), mp.mpf(float(p[12]))


def _exact_log(p, q):
    W, angle = exact.rotation_log(p[:9].reshape(3, 3), q[:9].reshape(3, 3))
    (R, t, s), (_, u, r) = _exact_parts(p), _exact_parts(q)
    d, a = u - t, mp.log(r / s)
    v = exact._array(R.T * mp.matrix(d) / s)
    return np.concatenate([W.ravel(), v.ravel(), [a]]), mp.sqrt(angle**2 + sum(x * x for x in d) + a**2)


def _exact_exp(p, X):
    R, t, s = _exact_parts(p)
    v = exact._array(R * mp.matrix(exact.lifted(X[9:12]))).ravel() * s
    S = exact.rotation_exp(p[:9].reshape(3, 3), X[:9].reshape(3, 3))
    return np.concatenate([S.ravel(), t + v, [s * mp.exp(mp.mpf(float(X[12])))]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(dtype):
    check_accuracy(Similarity(3), _exact_log, dtype=dtype)


def test_exp_accuracy():
    check_exp_accuracy(Similarity(3), _exact_exp, allowed=2e-15)


def test_messages():
    M = Similarity(3)
    p = M.random_point(0)
    bad = p.copy()
    bad[-1] = -1.0
    with pytest.raises(NotOnManifold, match="scale, the last entry of p, must be positive"):
        M.check_point(bad)
    with pytest.raises(ValueError, match="positive scale"):
        M.project_point(bad)
    bad = p.copy()
    bad[0] += 1.0
    with pytest.raises(NotOnManifold, match="in the rotation of a point"):
        M.check_point(bad)
    with pytest.raises(NotTangent, match="in the rotation of a vector"):
        M.check_vector(p, np.ones(13))
    with pytest.raises(ValueError, match="n, the dimension of the space"):
        Similarity(1)
    with pytest.raises(ValueError, match="scale_weight must be a positive number"):
        Similarity(3, scale_weight=-1.0)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_on_other_libraries(library):
    module = pytest.importorskip(library)
    M = Similarity(3)
    p, q = M.random_point(0), M.random_point(1)
    X = M.random_vector(p, 2)

    def values(p, q, X):
        return M.distance(p, q), M.log(p, q), M.exp(p, X), M.retract(p, X, method="group"), M.adjoint(p)

    if library == "jax":
        module.config.update("jax_enable_x64", True)
        got = module.jit(values)(p, q, X)
        g = module.jit(module.grad(M.squared_distance))(p, q)
    else:
        x, y, V = map(module.as_tensor, (p, q, X))
        got = values(x, y, V)
        x.requires_grad_()
        g = module.autograd.grad(M.squared_distance(x, y), x)[0].numpy()
    for a, b in zip(got, values(p, q, X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, np.asarray(g)), -2.0 * M.log(p, q), atol=1e-12)
