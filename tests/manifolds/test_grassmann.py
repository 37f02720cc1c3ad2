"""Grassmann manifolds: 50-digit accuracy, principal angles, independence of the frame, invariant functions."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import subspace_angles

from manifold_opt import trust_regions
from manifold_opt.manifolds import Grassmann, NotOnManifold, NotTangent
from manifold_opt.testing import check_accuracy, check_exp_accuracy, retraction_order


def to_mp(A):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])


def nearest_frame(p):
    """``p (p'p)^(-1/2)`` by an eigendecomposition in 50 digits."""
    P = to_mp(p)
    values, V = mp.eigsy(P.T * P)
    return P * V * mp.diag([1 / mp.sqrt(x) for x in values]) * V.T


def array(A):
    return np.array(A.tolist(), dtype=object).reshape(A.rows, A.cols)


def exact_log(p, q):
    """The arc tangents of the singular values of ``q (p'q)^-1 - p``."""
    with mp.workdps(50):
        P, Q = nearest_frame(p), nearest_frame(q)
        T = Q * (P.T * Q) ** -1 - P
        U, s, V = mp.svd_r(T)
        angles = [mp.atan(x) for x in s]
        return array(U * mp.diag(angles) * V), mp.sqrt(sum(x * x for x in angles))


def exact_exp(p, X):
    with mp.workdps(50):
        P = nearest_frame(p)
        Y = to_mp(X)
        Y = Y - P * (P.T * Y)
        U, s, V = mp.svd_r(Y)
        cos, sin = (mp.diag([f(x) for x in s]) for f in (mp.cos, mp.sin))
        return array(P * V.T * cos * V + U * sin * V)


KINDS = [Grassmann(5, 2), Grassmann(4, 1), Grassmann(6, 3)]


@pytest.mark.parametrize("M", KINDS, ids=repr)
def test_accuracy(M):
    check_accuracy(M, exact_log, samples=2)
    check_accuracy(M, exact_log, samples=2, dtype=np.float32)
    check_exp_accuracy(M, exact_exp, samples=2, allowed=4e-15)


@pytest.mark.parametrize("gap", [1e-7, 1e-10])
def test_accuracy_where_every_angle_is_nearly_right(gap):
    """Forms with an inverse of p'q or an arc sine lose half of the digits here."""
    M = Grassmann(6, 2)
    p = M.random_point(3)
    X = M.random_vector(p, 4)
    U, _, V = np.linalg.svd(X, full_matrices=False)
    X = (0.5 * math.pi - gap) * U @ V
    L = M.log(p, M.exp(p, X))
    assert M.norm(p, L) == pytest.approx(M.norm(p, X), rel=1e-14)
    np.testing.assert_allclose(L, X, atol=1e-15 / gap + 1e-14)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_frames_do_not_matter(field):
    M = Grassmann(6, 3, field=field)
    rng = np.random.default_rng(7)
    p, q = M.random_point(rng), M.random_point(rng)
    X = M.random_vector(p, rng)
    R = Grassmann(7, 3, field=field).random_point(rng)
    R = np.linalg.qr(R[:3] + 1.0)[0]
    assert M.distance(p, q @ R) == pytest.approx(M.distance(p, q), rel=1e-14)
    assert M.distance(p, q) == pytest.approx(np.linalg.norm(subspace_angles(p, q)), rel=1e-13)
    assert M.distance(p, p @ R) < 1e-15
    np.testing.assert_allclose(M.log(p, q @ R), M.log(p, q), atol=1e-13)
    np.testing.assert_allclose(M.log(p @ R, q), M.log(p, q) @ R, atol=1e-13)
    for name in ("parallel", "projection"):
        Y = M.vector_transport_to(p, X, q, method=name)
        np.testing.assert_allclose(M.vector_transport_to(p, X, q @ R, method=name), Y @ R, atol=1e-12)
        np.testing.assert_allclose(M.vector_transport_to(p @ R, X @ R, q, method=name), Y, atol=1e-12)


def test_orders_of_retractions():
    assert retraction_order(Grassmann(6, 3), "polar") > 1.85


def test_cut_locus():
    """There geomstats returns a complex zero matrix without a word."""
    M = Grassmann(4, 2)
    p, q = np.eye(4)[:, :2], np.eye(4)[:, [0, 2]]
    X = M.log(p, q)
    assert X.dtype == float
    assert M.norm(p, X) == pytest.approx(0.5 * math.pi)
    assert M.distance(M.exp(p, X), q) < 1e-15
    with pytest.raises(ValueError, match="below pi/2"):
        M.inverse_retract(p, q, method="polar")


def test_short_distances():
    """There pymanopt takes arc cosines: relative error 1 below 1e-8."""
    M = Grassmann(5, 2)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X /= M.norm(p, X)
    for length in (1e-6, 1e-9, 1e-12):
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, abs=1e-15)


def test_distance_is_that_of_angles():
    """geomstats measures projectors, which makes distances larger by sqrt(2)."""
    M = Grassmann(2, 1)
    p, q = np.array([[1.0], [0.0]]), np.array([[math.cos(0.3)], [math.sin(0.3)]])
    assert M.distance(p, q) == pytest.approx(0.3, rel=1e-15)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_gradient_and_hessian_of_an_invariant_function(field):
    """Half of tr(p^H S p), whose Hessian is also (I - p p^H)(S X - X p^H S p)."""
    M = Grassmann(6, 2, field=field)
    rng = np.random.default_rng(4)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    S = rng.standard_normal((6, 6)) + (1j * rng.standard_normal((6, 6)) if field == "complex" else 0)
    S = S + S.conj().T
    f = lambda q: 0.5 * np.trace(q.conj().T @ S @ q).real
    expected = M.project_vector(p, S @ X - X @ (p.conj().T @ S @ p))
    HX = M.riemannian_hessian(p, S @ p, S @ X, X)
    np.testing.assert_allclose(HX, expected, atol=1e-13)
    h = 1e-3
    measured = (f(M.exp(p, X, h)) - 2 * f(p) + f(M.exp(p, X, -h))) / h**2
    assert M.inner(p, HX, X) == pytest.approx(measured, rel=1e-4)


def test_curvature_bounds_are_attained():
    M = Grassmann(4, 2)
    p = M.random_point(0)
    assert M.sectional_curvature_bounds == (0.0, 2.0)
    basis = M.get_basis(p)
    J = np.array([1.0, 0.0, 0.0, 1.0]) / math.sqrt(2), np.array([0.0, 1.0, -1.0, 0.0]) / math.sqrt(2)
    X, Y = (np.tensordot(c, basis, 1) for c in J)
    t = 0.02
    K = (2 * t**2 - M.distance(M.exp(p, X, t), M.exp(p, Y, t)) ** 2) * 3 / t**4
    assert K == pytest.approx(2.0, abs=1e-2)


def test_messages():
    M = Grassmann(4, 2)
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="orthonormal columns.*project_point"):
        M.check_point(2 * p)
    with pytest.raises(NotTangent, match="horizontal.*project_vector"):
        M.check_vector(p, p)
    with pytest.raises(ValueError, match="k < n"):
        Grassmann(3, 3)


def test_rounding_along_the_frame_does_not_grow_in_conjugate_gradients():
    """The vertical part of a direction once had negative curvature, and steps left the manifold near the minimum."""
    rng = np.random.default_rng(5)
    n = 40
    A = np.diag(np.arange(1.0, n + 1)) + 0.1 * rng.standard_normal((n, n))
    A = A + A.T
    result = trust_regions(
        Grassmann(n, 3),
        lambda p: np.sum(p * (A @ p)),
        Grassmann(n, 3).random_point(rng),
        gradient=lambda p: 2.0 * (A @ p),
        hessian=lambda p, X: 2.0 * (A @ X),
        objective_type="euclidean",
    )
    assert result.converged
    assert result.iterations <= 25
