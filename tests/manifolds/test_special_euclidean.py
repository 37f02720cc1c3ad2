"""Rigid motions: geodesics, the group and its derivatives against matrix exponentials, accuracy, messages."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import expm

from manifold_opt.manifolds import MissingOperation, NotOnManifold, NotTangent, Rotations, SpecialEuclidean
from manifold_opt.testing import check_accuracy, check_exp_accuracy

SPACES = [SpecialEuclidean(2), SpecialEuclidean(3)]


def twist_matrix(M, c):
    """The element of the Lie algebra as an (n + 1, n + 1) matrix."""
    W, v = M.split_vector(M.get_vector(M.identity(), c))
    T = np.zeros((M.n + 1, M.n + 1))
    T[:-1, :-1], T[:-1, -1] = W, v
    return T


def group_exp(M, c):
    return M.retract(M.identity(), M.get_vector(M.identity(), c), method="group")


def group_log(M, p):
    return M.get_coordinates(p, M.inverse_retract(M.identity(), p, method="group"))


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize("size", [1e-9, 1e-4, 0.1, 1.0, 2.9])
def test_group_exponential_is_the_matrix_exponential(M, size):
    c = np.random.default_rng(3).standard_normal(M.dim)
    c *= size / np.linalg.norm(c[: -M.n])
    p = group_exp(M, c)
    np.testing.assert_allclose(M.to_matrix(p), expm(twist_matrix(M, c)), rtol=0, atol=3e-15 * (1 + size) ** 2)
    np.testing.assert_allclose(group_log(M, p), c, rtol=1e-12, atol=1e-15)


def test_group_logarithm_is_finite_at_half_turns():
    M = SpecialEuclidean(3)
    c = np.array([math.pi, 0.0, 0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.abs(group_log(M, group_exp(M, c))), np.abs(c), rtol=1e-12)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_group(M):
    rng = np.random.default_rng(0)
    p, q, r = M.random_point(rng, (3, 4))
    T = M.to_matrix
    np.testing.assert_allclose(T(M.compose(p, q)), T(p) @ T(q), atol=1e-14)
    np.testing.assert_allclose(
        M.compose(M.compose(p, q), r), M.compose(p, M.compose(q, r)), atol=1e-13
    )
    np.testing.assert_allclose(M.compose(p, M.inverse(p)), np.tile(M.identity(), (4, 1)), atol=1e-14)
    np.testing.assert_array_equal(M.from_matrix(T(p)), p)
    x = rng.standard_normal((4, 7, M.n))
    np.testing.assert_allclose(
        M.apply(M.compose(p, q), x), M.apply(p, M.apply(q, x)), atol=1e-13
    )
    np.testing.assert_allclose(M.apply(p, x)[:, 2], M.apply(p, x[:, 2]), atol=1e-14)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_adjoint(M):
    p = M.random_point(1, (5,))
    c = np.random.default_rng(2).standard_normal((5, M.dim))
    left = M.compose(M.compose(p, group_exp(M, c)), M.inverse(p))
    right = group_exp(M, (M.adjoint(p) @ c[..., None])[..., 0])
    np.testing.assert_allclose(left, right, atol=1e-13)


@pytest.mark.parametrize("M", SPACES, ids=repr)
@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 0.3, 1.9, 2.1, 3.1])
def test_jacobians_against_differences(M, size):
    rng = np.random.default_rng(5)
    c = rng.standard_normal(M.dim)
    c[: -M.n] *= size / np.linalg.norm(c[: -M.n])
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

    np.testing.assert_allclose(M.left_jacobian(c), difference(left=True), atol=1e-8)
    np.testing.assert_allclose(M.right_jacobian(c), difference(left=False), atol=1e-8)
    eye = np.eye(M.dim)
    np.testing.assert_allclose(M.left_jacobian_inverse(c) @ M.left_jacobian(c), eye, atol=1e-13)
    np.testing.assert_allclose(M.right_jacobian(c) @ M.right_jacobian_inverse(c), eye, atol=1e-13)
    # the adjoint of the exponential carries one into the other
    np.testing.assert_allclose(M.left_jacobian(c), M.adjoint(group_exp(M, c)) @ M.right_jacobian(c), atol=1e-13)


@pytest.mark.parametrize("M", SPACES, ids=repr)
def test_jacobian_is_the_series_of_the_adjoint(M):
    """The sum of ``ad^k / (k + 1)!``, as an exponential of a block matrix (Van Loan)."""
    rng = np.random.default_rng(8)
    c = rng.standard_normal((4, M.dim))
    J = M.left_jacobian(c)
    for i in range(4):
        h = 1e-6
        ad = (M.adjoint(group_exp(M, h * c[i])) - M.adjoint(group_exp(M, -h * c[i]))) / (2 * h)
        block = np.block([[ad, np.eye(M.dim)], [np.zeros((M.dim, 2 * M.dim))]])
        np.testing.assert_allclose(J[i], expm(block)[: M.dim, M.dim :], atol=1e-8)


def test_coordinates_are_rotation_then_translation_in_the_body_frame():
    M = SpecialEuclidean(3)
    p = M.random_point(0)
    R, t = M.split(p)
    c = np.array([0.1, -0.2, 0.3, 1.0, 2.0, 3.0])
    q = M.exp(p, M.get_vector(p, c))
    S, u = M.split(q)
    np.testing.assert_allclose(u - t, R @ c[3:], atol=1e-15)
    np.testing.assert_allclose(S, Rotations(3).exp(R, Rotations(3).get_vector(R, c[:3])), atol=1e-15)
    weighted = SpecialEuclidean(3, translation_weight=4.0)
    assert weighted.distance(p, q) == pytest.approx(math.sqrt(0.14 + 4.0 * 14.0))


def test_parts_are_views():
    M = SpecialEuclidean(2)
    p = M.random_point(0, (3,))
    R, t = M.split(p)
    t[1] = 7.0
    R[0] = np.eye(2)
    np.testing.assert_array_equal(p[1, 4:], [7.0, 7.0])
    np.testing.assert_array_equal(p[0, :4], [1.0, 0.0, 0.0, 1.0])


def _exact_log(p, q):
    W, angle = exact.rotation_log(p[:9].reshape(3, 3), q[:9].reshape(3, 3))
    R = exact._nearest_rotation(p[:9].reshape(3, 3))
    v = exact._array(R.T * mp.matrix(exact.lifted(q[9:]) - exact.lifted(p[9:])))
    return np.concatenate([W.ravel(), v.ravel()]), mp.sqrt(angle**2 + sum(x * x for x in v.flat))


def _exact_exp(p, X):
    R = exact._nearest_rotation(p[:9].reshape(3, 3))
    t = mp.matrix(exact.lifted(p[9:])) + R * mp.matrix(exact.lifted(X[9:]))
    S = exact.rotation_exp(p[:9].reshape(3, 3), X[:9].reshape(3, 3))
    return np.concatenate([S.ravel(), exact._array(t).ravel()])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(dtype):
    check_accuracy(SpecialEuclidean(3), _exact_log, dtype=dtype)


def test_exp_accuracy():
    check_exp_accuracy(SpecialEuclidean(3), _exact_exp, allowed=2e-15)


def test_messages():
    M = SpecialEuclidean(3)
    p = M.random_point(0)
    bad = p.copy()
    bad[0] += 1.0
    with pytest.raises(NotOnManifold, match="in the rotation of a point"):
        M.check_point(bad)
    with pytest.raises(NotTangent, match="in the rotation of a vector"):
        M.check_vector(p, np.ones(12))
    with pytest.raises(ValueError, match="n, the dimension of the space"):
        SpecialEuclidean(1)
    with pytest.raises(ValueError, match="translation_weight must be a positive number"):
        SpecialEuclidean(3, translation_weight=0.0)
    with pytest.raises(MissingOperation, match="n = 2 and 3"):
        SpecialEuclidean(4).left_jacobian(np.zeros(10))
    with pytest.raises(ValueError, match="no retraction named 'group'"):
        SpecialEuclidean(4).get_retraction("group")
