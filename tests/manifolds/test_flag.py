"""Flags: Grassmann manifolds and SO(3) among them, independence of the frame, logarithms, eigenspaces."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt import trust_regions
from manifold_opt.linalg.frames import frame_qf
from manifold_opt.manifolds import Flag, Grassmann, MissingOperation, NotOnManifold, NotTangent, fallbacks
from manifold_opt.testing import check_accuracy, check_exp_accuracy, retraction_order

KINDS = [Flag(5, (1, 3)), Flag(6, (2, 4)), Flag(4, (1, 2), "complex")]


def other_frame(M, p, rng):
    """The same flag in a frame with turned blocks."""
    q = np.array(p)
    for block in M.blocks:
        s = block.stop - block.start
        Z = rng.standard_normal((s, s)) + (1j * rng.standard_normal((s, s)) if M.field == "complex" else 0)
        q[..., block] = p[..., block] @ frame_qf(Z)
    return q


@pytest.mark.parametrize("field", ["real", "complex"])
def test_one_subspace_is_a_point_of_the_grassmann_manifold(field):
    M, N = Flag(5, [2], field), Grassmann(5, 2, field)
    assert M.dim == N.dim
    p = N.random_point(0, (3,))
    X = N.random_vector(p, 1)
    X *= (1.2 / N.norm(p, X))[:, None, None]
    q = N.exp(p, X)
    np.testing.assert_allclose(M.exp(p, X), q, atol=1e-14)
    np.testing.assert_allclose(M.log(p, other_frame(M, q, np.random.default_rng(2))), X, atol=1e-12)
    G, H = (N.random_vector(p, k) + p for k in (3, 4))
    H = H + 0.3 * X
    np.testing.assert_allclose(M.riemannian_gradient(p, G), N.riemannian_gradient(p, G), atol=1e-14)
    np.testing.assert_allclose(M.riemannian_hessian(p, G, H, X), N.riemannian_hessian(p, G, H, X), atol=1e-13)
    np.testing.assert_allclose(M.get_coordinates(p, X), N.get_coordinates(p, X), atol=1e-14)


@pytest.mark.parametrize("M", KINDS, ids=repr)
@pytest.mark.parametrize("part", [1e-6, 0.3, 0.7, 0.99])
def test_logarithm_finds_the_geodesic_whatever_the_frame(M, part):
    """Up to 0.99 of the injectivity radius, for every random pair tried."""
    rng = np.random.default_rng(int(1e3 * part))
    p = M.random_point(rng, (3,))
    X = M.random_vector(p, rng)
    X *= (part * M.injectivity_radius / M.norm(p, X))[:, None, None]
    q = other_frame(M, M.exp(p, X), rng)
    np.testing.assert_allclose(M.log(p, q), X, atol=1e-11 * max(part, 1e-4))
    R = other_frame(M, p, rng)
    turned = X @ (np.conj(np.swapaxes(p, -1, -2)) @ R)
    np.testing.assert_allclose(M.distance(R, q), M.norm(p, X), rtol=1e-9)
    np.testing.assert_allclose(M.log(R, q), turned, atol=1e-11 * max(part, 1e-4))


@pytest.mark.parametrize("M", KINDS, ids=repr)
def test_methods_do_not_see_the_frame(M):
    rng = np.random.default_rng(3)
    p = M.random_point(rng)
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    X *= 0.4 / M.norm(p, X)
    for name in ("exponential", "polar", "qr", "cayley"):
        q = other_frame(M, M.retract(p, X, method=name), rng)
        np.testing.assert_allclose(M.inverse_retract(p, q, method=name), X, atol=1e-12)
    moved = M.vector_transport_to(p, Y, q)
    M.check_vector(q, moved)
    R = other_frame(M, q, rng)
    turned = moved @ (np.conj(q.T) @ R)
    np.testing.assert_allclose(M.vector_transport_to(p, Y, R), turned, atol=1e-13)


def test_weingarten_map_is_the_derivative_of_the_projection():
    M = Flag(5, (1, 3))
    rng = np.random.default_rng(6)
    p = M.random_point(rng)
    X, V = M.random_vector(p, rng), rng.standard_normal((5, 3))
    np.testing.assert_allclose(M.weingarten(p, X, V), fallbacks.weingarten(M, p, X, V), atol=1e-9)


def test_orders_of_retractions():
    M = Flag(5, (1, 3))
    assert retraction_order(M, "cayley") > 1.8
    assert 0.85 < retraction_order(M, "qr") < 1.5


def test_injectivity_radius_is_half_of_a_closed_geodesic():
    M = Flag(5, (1, 3))
    p = M.random_point(4)
    X = np.zeros((5, 3))
    X[:, 0], X[:, 1] = p[:, 1], -p[:, 0]  # swaps a direction of the first block for one of the second
    assert M.norm(p, X) == pytest.approx(1.0)
    assert M.distance(p, M.exp(p, X, math.pi)) == pytest.approx(0.0, abs=1e-13)
    assert M.distance(p, M.exp(p, X, 0.52 * math.pi)) == pytest.approx(0.48 * math.pi)


def test_nested_eigenspaces():
    """Principal components one dimension after the other: the sum of the energies of nested subspaces."""
    rng = np.random.default_rng(5)
    A = rng.standard_normal((7, 7))
    A = A @ A.T + np.diag(np.arange(7.0))
    M = Flag(7, (1, 3))
    weights = np.array([2.0, 1.0, 1.0])  # the first column is in both subspaces
    result = trust_regions(
        M,
        lambda p: -np.sum(p * (A @ p) * weights),
        M.random_point(rng),
        gradient=lambda p: -2.0 * (A @ p) * weights,
        hessian=lambda p, X: -2.0 * (A @ X) * weights,
        objective_type="euclidean",
        tolerance=1e-8,
    )
    assert result.converged
    values, vectors = np.linalg.eigh(A)
    assert result.cost == pytest.approx(-(2.0 * values[-1] + values[-2] + values[-3]), rel=1e-12)
    for k, subspace in zip(M.dims, M.subspaces(result.point), strict=True):
        assert Grassmann(7, k).distance(subspace, vectors[:, -k:]) < 1e-7


def _full(p):
    """The rotation whose first columns are p, in 50 digits."""
    A = [[mp.mpf(float(x)) for x in row] for row in p]
    a, b = ([A[i][j] for i in range(3)] for j in (0, 1))
    c = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    return exact._nearest_rotation_of(mp.matrix([[a[i], b[i], c[i]] for i in range(3)]))


def _exact_log(p, q):
    """Full flags of space are rotations up to half turns about the columns."""
    P, Q = _full(p), _full(q)
    best = None
    for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        D = P.T * Q * mp.diag(signs)
        S = (D - D.T) / 2
        sine = mp.sqrt(S[2, 1] ** 2 + S[0, 2] ** 2 + S[1, 0] ** 2)
        angle = mp.atan2(sine, (D[0, 0] + D[1, 1] + D[2, 2] - 1) / 2)
        if best is None or angle < best[1]:
            best = (P * (S * (angle / sine)), angle)
    return exact._array(best[0])[:, :2], best[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accuracy(dtype):
    check_accuracy(Flag(3, (1, 2)), _exact_log, dtype=dtype, samples=1)


def test_exp_accuracy():
    M = Flag(3, (1, 2))

    def exp(p, X):
        P = _full(p)
        A = P.T * mp.matrix(exact.lifted(X).tolist())
        v = [A[2, 1], -A[2, 0], (A[1, 0] - A[0, 1]) / 2]
        t = mp.sqrt(sum(x * x for x in v))
        K = mp.matrix([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
        E = mp.eye(3) + K * (mp.sin(t) / t) + K * K * ((1 - mp.cos(t)) / t**2)
        return exact._array(P * E)[:, :2]

    check_exp_accuracy(M, exp, samples=1, allowed=4e-15)


def test_on_torch():
    torch = pytest.importorskip("torch")
    M = Flag(5, (1, 3))
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    q = other_frame(M, M.exp(p, 0.8 * X / M.norm(p, X)), np.random.default_rng(2))
    x, y = torch.as_tensor(p), torch.as_tensor(q)
    np.testing.assert_allclose(M.log(x, y), M.log(p, q), atol=1e-12)
    x.requires_grad_()
    g = torch.autograd.grad(M.squared_distance(x, y), x)[0].numpy()
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), -2.0 * M.log(p, q), atol=1e-10)


def test_messages():
    M = Flag(4, (1, 2))
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="in the frame of a point"):
        M.check_point(2.0 * p)
    with pytest.raises(NotTangent, match="zero diagonal blocks"):
        M.check_vector(p, p)
    for dims in ((2, 1), (), (1, 4), (0, 1)):
        with pytest.raises(ValueError, match="must increase"):
            Flag(4, dims)
    with pytest.raises(ValueError, match="must be integers"):
        Flag(4, (1.5,))
    with pytest.raises(MissingOperation, match="parallel_transport_to"):
        M.parallel_transport_to(p, 0 * p, p)
