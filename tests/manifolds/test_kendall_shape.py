"""Shapes of landmarks: 50-digit accuracy, independence of the rotation, transports against an ordinary integration."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from manifold_opt.manifolds import KendallShape, NotOnManifold, NotTangent, PreShape, Rotations
from manifold_opt.testing import check_accuracy, check_exp_accuracy, retraction_order

KINDS = [KendallShape(4, 2), KendallShape(5, 3)]


def to_mp(A):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in A])


def array(A):
    return np.array(A.tolist(), dtype=object).reshape(A.rows, A.cols)


def inner(A, B):
    return sum(x * y for x, y in zip(A, B, strict=True))


def pre_shape(p):
    """Centered and of norm 1, in 50 digits."""
    P = to_mp(p)
    for c in range(P.cols):
        mean = sum(P[r, c] for r in range(P.rows)) / P.rows
        for r in range(P.rows):
            P[r, c] -= mean
    return P / mp.sqrt(inner(P, P))


def exact_log(p, q):
    """The optimal rotation by singular vectors, then the logarithm of the sphere."""
    with mp.workdps(50):
        P, Q = pre_shape(p), pre_shape(q)
        U, _, V = mp.svd_r(Q.T * P)
        D = mp.eye(P.cols)
        D[P.cols - 1, P.cols - 1] = mp.sign(mp.det(U) * mp.det(V))
        Q = Q * U * D * V
        c = inner(P, Q)
        Y = Q - c * P
        s = mp.sqrt(inner(Y, Y))
        return array(Y * (mp.atan2(s, c) / s)), mp.atan2(s, c)


def exact_exp(p, X):
    with mp.workdps(50):
        P, Y = pre_shape(p), to_mp(X)
        s = mp.sqrt(inner(Y, Y))
        return array(P * mp.cos(s) + Y * (mp.sin(s) / s))


@pytest.mark.parametrize("M", [KendallShape(4, 2), KendallShape(3, 2)], ids=repr)
def test_accuracy_in_the_plane(M):
    check_accuracy(M, exact_log, samples=1)
    check_accuracy(M, exact_log, samples=1, dtype=np.float32)
    check_exp_accuracy(M, exact_exp, samples=1, allowed=4e-15)


def exact_sphere_log(p, q):
    with mp.workdps(50):
        P, Q = pre_shape(p), pre_shape(q)
        c = inner(P, Q)
        Y = Q - c * P
        s = mp.sqrt(inner(Y, Y))
        return array(Y * (mp.atan2(s, c) / s)), mp.atan2(s, c)


def test_accuracy_of_pre_shapes():
    check_accuracy(PreShape(4, 2), exact_sphere_log, samples=1)
    M = PreShape(3, 2)
    p = M.random_point(0)
    assert M.norm(p, M.log(p, -p)) == pytest.approx(math.pi)
    assert M.distance(M.exp(p, M.log(p, -p)), -p) < 1e-15


@pytest.mark.parametrize("length", [1e-12, 1e-8, 1e-3, 0.1, 1.0])
def test_accuracy_in_space(length):
    """As long as the logarithm is unique, which the bound on the injectivity radius promises."""
    M = KendallShape(6, 3)
    rng = np.random.default_rng(int(1e3 / length) % 1000)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    X *= length * min(1.0, M.injectivity_radius_at(p)) / M.norm(p, X)
    q = M.exp(p, X)
    L, d = exact_log(p, q)
    assert float(max(abs(L - M.log(p, q)).flat)) <= 1e-13 * float(d)
    assert abs(M.distance(p, q) - d) <= 1e-13 * d
    np.testing.assert_allclose(M.log(p, q), X, atol=1e-13)


@pytest.mark.parametrize("M", KINDS, ids=repr)
def test_rotations_do_not_matter(M):
    rng = np.random.default_rng(2)
    p = M.random_point(rng)
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    q = M.exp(p, 0.2 * X)
    R = Rotations(M.n).random_point(rng)
    assert M.distance(p, q @ R) == pytest.approx(M.distance(p, q), rel=1e-13)
    assert M.distance(p, p @ R) < 1e-15
    np.testing.assert_allclose(M.align(p, q @ R), q, atol=1e-14)
    np.testing.assert_allclose(M.log(p, q @ R), 0.2 * X, atol=1e-13)
    np.testing.assert_allclose(M.log(p @ R, q), 0.2 * X @ R, atol=1e-13)
    for name in ("parallel", "projection"):
        Z = M.vector_transport_to(p, Y, q, method=name)
        np.testing.assert_allclose(M.vector_transport_to(p, Y, q @ R, method=name), Z @ R, atol=1e-12)
        np.testing.assert_allclose(M.vector_transport_to(p @ R, Y @ R, q, method=name), Z, atol=1e-12)
    assert M.distance(p, p * np.array([-1.0] + [1.0] * (M.n - 1))) > 1e-3  # a mirror image is another shape
    assert retraction_order(M, "projection") > 1.85


@pytest.mark.parametrize("M", [*KINDS, KendallShape(5, 4)], ids=repr)
def test_parallel_transport_against_an_integration_of_its_definition(M):
    """The derivative of a parallel field is normal to the sphere or vertical, and the field stays horizontal."""
    rng = np.random.default_rng(4)
    p = M.random_point(rng)
    d, X = M.random_vector(p, rng), M.random_vector(p, rng)
    d *= 1.2 / M.norm(p, d)
    s = M.norm(p, d)

    def slope(t, y):
        Y = y.reshape(M.k, M.n)
        g = np.cos(t * s) * p + np.sin(t * s) / s * d
        v = -s * np.sin(t * s) * p + np.cos(t * s) * d
        S, C = g.T @ g, Y.T @ v - v.T @ Y
        w, U = np.linalg.eigh(S)
        W = U @ ((U.T @ C @ U) / (w[:, None] + w)) @ U.T
        return (-np.sum(Y * v) * g + g @ W).ravel()

    expected = solve_ivp(slope, (0, 1), X.ravel(), method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1].reshape(M.k, M.n)
    np.testing.assert_allclose(M.parallel_transport_direction(p, X, d), expected, atol=2e-12)


def test_parallel_transport_near_degenerate_shapes():
    """More nodes are taken, and in the end it says that it has failed."""
    M = KendallShape(4, 3)
    p = M.random_point(0)
    line = M.project_point(np.outer(np.arange(4.0), [1.0, 2.0, 3.0]))
    d = M.log(p, M.project_point(line + 1e-2 * M.random_point(1)))
    X = M.random_vector(p, 2)
    Y = M.parallel_transport_direction(p, X, d)
    assert M.norm(p, Y) == pytest.approx(M.norm(p, X), rel=1e-12)
    d = 2.0 * M.log(p, M.project_point(line + 1e-6 * M.random_point(1)))
    with pytest.raises(ValueError, match="tolerance.*projection"):
        M.parallel_transport_direction(p, X, d)


def test_planar_triangles_are_a_sphere_of_radius_one_half():
    """Curvature 4 everywhere; distances are half of angles on the sphere of Hopf's map."""
    M = KendallShape(3, 2)
    p, q = M.random_point(0), M.random_point(1)
    assert M.sectional_curvature_bounds == (4.0, 4.0)

    def hopf(a):
        y = a[:2] - a[2] / (1.0 + math.sqrt(3.0))  # an isometry of centered triangles
        z = y[:, 0] + 1j * y[:, 1]
        w = 2 * z[0] * np.conj(z[1])
        return np.array([w.real, w.imag, abs(z[0]) ** 2 - abs(z[1]) ** 2])

    angle = 2 * np.arctan2(np.linalg.norm(hopf(p) - hopf(q)), np.linalg.norm(hopf(p) + hopf(q)))
    assert M.distance(p, q) == pytest.approx(0.5 * angle, rel=1e-13)


def test_bound_of_the_injectivity_radius():
    """On the ball the logarithm undoes the exponential; beyond the true radius, somewhere, it does not."""
    M = KendallShape(4, 3)
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = M.random_point(rng)
        X = M.random_vector(p, rng)
        X *= 0.999 * M.injectivity_radius_at(p) / M.norm(p, X)
        np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=1e-10)
    far = 1.5 * X / M.norm(p, X)
    assert np.max(np.abs(M.log(p, M.exp(p, far)) - far)) > 0.1


def test_gradient_and_hessian_of_an_invariant_function():
    """Half of the squared full Procrustes distance to a shape, ``1 - <p, qR>^2``, along geodesics."""
    M = KendallShape(5, 3)
    rng = np.random.default_rng(5)
    A = rng.standard_normal((5, 5))
    A = A + A.T
    p = M.random_point(rng)
    X = M.random_vector(p, rng)

    def f(q):
        return 0.5 * np.trace(q.T @ A @ q) + 0.25 * np.sum((q @ q.T) ** 2)

    G, H = A @ p + p @ p.T @ p, A @ X + X @ p.T @ p + p @ X.T @ p + p @ p.T @ X
    h = 1e-3
    ends = [f(M.exp(p, X, t)) for t in (h, -h)]
    assert M.inner(p, M.riemannian_gradient(p, G), X) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)
    assert M.inner(p, M.riemannian_hessian(p, G, H, X), X) == pytest.approx((sum(ends) - 2 * f(p)) / h**2, rel=1e-4)


@pytest.fixture(scope="module")
def geomstats_shapes():
    from manifold_opt.manifolds import import_geomstats

    import_geomstats()
    from geomstats.geometry.pre_shape import PreShapeSpace

    space = PreShapeSpace(5, 3)
    space.equip_with_group_action("rotations")
    space.equip_with_quotient()
    return space


def test_the_same_as_geomstats(geomstats_shapes):
    M = KendallShape(5, 3)
    metric = geomstats_shapes.quotient.metric
    rng = np.random.default_rng(1)
    p = M.random_point(rng)
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    X *= 0.4 / M.norm(p, X)
    q = M.exp(p, X) @ Rotations(3).random_point(rng)
    np.testing.assert_allclose(M.exp(p, X), metric.exp(X, p), atol=1e-14)
    np.testing.assert_allclose(M.log(p, q), metric.log(q, p), atol=1e-13)
    assert M.distance(p, q) == pytest.approx(float(metric.dist(p, q)), rel=1e-12)
    theirs = metric.parallel_transport(Y, p, direction=X, n_steps=20)
    np.testing.assert_allclose(M.parallel_transport_direction(p, Y, X), theirs, atol=1e-7)


def test_geomstats_distance_of_close_shapes():
    """There: arc cosine, a relative error of 1e-4 at 1e-6 and of 1 from 1e-8 down."""
    M = KendallShape(5, 3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X /= M.norm(p, X)
    for length in (1e-6, 1e-8, 1e-10, 1e-12):
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, abs=3e-16)


def test_geomstats_turns_single_precision_into_double():
    M = KendallShape(5, 3)
    p = M.random_point(0).astype(np.float32)
    X = M.random_vector(p, 1)
    assert {a.dtype for a in (X, M.exp(p, X), M.log(p, p), M.parallel_transport_direction(p, X, X))} == {p.dtype}


def test_pre_shapes_are_a_sphere():
    M = PreShape(4, 2)
    assert M.dim == 5
    p, q = M.random_point(0), M.random_point(1)
    np.testing.assert_allclose(p.sum(axis=0), 0.0, atol=1e-15)
    assert M.distance(p, q) == pytest.approx(math.acos(np.sum(p * q)), rel=1e-13)
    z = np.random.default_rng(2).standard_normal((4, 2))
    centered = z - z.mean(axis=0)
    np.testing.assert_allclose(M.project_point(z), centered / np.linalg.norm(centered), atol=1e-15)


def test_messages():
    M = KendallShape(4, 3)
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="mean zero"):
        M.check_point(p + 1e-3)
    with pytest.raises(NotTangent, match="mean zero"):
        M.check_vector(p, M.random_vector(p, 1) + 1.0)
    with pytest.raises(NotOnManifold, match="norm 1"):
        M.check_point(2 * p)
    with pytest.raises(NotOnManifold, match="dimension 2"):
        M.check_point(M.project_point(np.outer(np.arange(4.0), [1.0, 2.0, 0.0])))
    with pytest.raises(ValueError, match="landmarks come first"):
        KendallShape(2, 3)
    with pytest.raises(ValueError, match="more landmarks"):
        PreShape(1, 3)
    with pytest.raises(ValueError, match="coincide"):
        M.project_point(np.ones((4, 3)))
