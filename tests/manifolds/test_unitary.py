"""Orthogonal and unitary groups: against 50-digit logarithms, determinants, half turns, messages."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import expm

from manifold_opt.manifolds import NotOnManifold, NotTangent, Orthogonal, Rotations, SpecialUnitary, Unitary
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def _unit(M, p, rng):
    X = M.random_vector(p, rng)
    return X / np.asarray(M.norm(p, X))[..., None, None]


def _complex(a):
    return mp.matrix([[mp.mpc(float(x.real), float(x.imag)) for x in row] for row in a])


def _polar(A):
    """Newton's iteration for the unitary factor, in 50 digits."""
    for _ in range(60):
        B = (A + (A**-1).H) / 2
        if mp.mnorm(B - A) < mp.mpf(10) ** -48:
            return B
        A = B
    raise ArithmeticError("no polar factor")


def _flipped(p):
    """A rotation out of any orthogonal matrix: the determinant's sign on the first row."""
    q = p.copy()
    q[0] *= np.sign(np.linalg.det(p.astype(float)))
    return q


def orthogonal_log(p, q):
    W, angle = exact.rotation_log(_flipped(p), _flipped(q))
    return W, angle


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_orthogonal_accuracy(dtype):
    check_accuracy(Orthogonal(3), orthogonal_log, rng=1, dtype=dtype)


def test_orthogonal_exp_accuracy():
    def flipped_exp(p, X):
        q = exact.rotation_exp(_flipped(p), X)
        q[0] = q[0] * np.sign(np.linalg.det(p))
        return q

    check_exp_accuracy(Orthogonal(3), flipped_exp, allowed=2e-15)


@pytest.mark.parametrize("M", [Unitary(1), Unitary(2), Unitary(3), SpecialUnitary(2), SpecialUnitary(3)], ids=repr)
@pytest.mark.parametrize(
    ("length", "allowed"),
    [(1e-12, 1e-13), (1e-8, 1e-13), (1e-4, 1e-13), (0.1, 1e-13), (1.0, 1e-13), (0.99, 1e-13), (1 - 1e-7, 1e-7)],
)
def test_unitary_accuracy(M, length, allowed):
    """In 50 digits for the stored points; the last two lengths are parts of the injectivity radius."""
    if 0.9 < length < 1.0:
        length *= M.injectivity_radius
    rng = np.random.default_rng(4)
    for _ in range(2):
        p = M.random_point(rng)
        q = M.exp(p, length * _unit(M, p, rng))
        X, d = M.log(p, q), M.distance(p, q)
        U = _polar(_complex(p)).H * _polar(_complex(q))
        L = mp.matrix([[mp.log(U[0, 0])]]) if M.n == 1 else mp.logm(U)
        if isinstance(M, SpecialUnitary):
            trace = sum(L[i, i] for i in range(M.n))
            if abs(trace) > 1:  # a multiple of 2 pi i: the principal logarithm is not ours
                continue
            L = L - mp.eye(M.n) * (trace / M.n)
        size = max(abs(x) for x in L)
        off = max(abs(L[i, j] - mp.mpc(complex(X[i, j]))) for i in range(M.n) for j in range(M.n))
        assert off <= allowed * size
        exact_length = mp.sqrt(sum(abs(x) ** 2 for x in L))
        assert abs(d - exact_length) <= allowed * exact_length
        np.testing.assert_allclose(M.log(p[None], q[None])[0], X, rtol=0, atol=allowed * float(size))
        single = M.log(p.astype(np.complex64), q.astype(np.complex64))
        assert single.dtype == np.complex64


def test_shortest_traceless_logarithm():
    """Phases (1.2, -0.6, -0.6) pi are within the injectivity radius; the principal logarithm has trace -2 pi i."""
    M = SpecialUnitary(3)
    p = M.random_point(0)
    V = M.random_point(1)
    X = V @ np.diag(1j * math.pi * np.array([1.2, -0.6, -0.6])) @ V.conj().T
    X = M.tangentialize(p, X)
    assert M.norm(p, X) > math.pi * 1.4
    for f in (1.0, -1.0):
        np.testing.assert_allclose(M.log(p, M.exp(p, f * X)), f * X, atol=1e-13)
    np.testing.assert_allclose(M.log(p[None], M.exp(p, X)[None])[0], X, atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_determinant_one_is_kept(n):
    M = SpecialUnitary(n)
    rng = np.random.default_rng(0)
    p = M.random_point(rng, (4,))
    np.testing.assert_allclose(np.linalg.det(M.exp(p, M.random_vector(p, rng))), 1.0, atol=2e-15)
    z = p + 0.1 * (rng.standard_normal(p.shape) + 1j * rng.standard_normal(p.shape))
    np.testing.assert_allclose(np.linalg.det(M.project_point(z)), 1.0, atol=5e-15)


def test_spheres_and_circles():
    """SU(2) is a sphere of radius sqrt(2), U(1) a circle."""
    M = SpecialUnitary(2)
    eye = np.eye(2, dtype=complex)
    assert M.distance(eye, -eye) == pytest.approx(M.injectivity_radius)
    M = Unitary(1)
    q = np.array([[np.exp(0.3j)]])
    assert M.distance(np.eye(1, dtype=complex), q) == pytest.approx(0.3, rel=1e-15)


@pytest.mark.parametrize("angles", [(math.pi, 0.1, 0.0), (math.pi, math.pi, 0.3), (math.pi, math.pi - 1e-9, -0.5)])
def test_half_turns(angles):
    """Finite, skew-Hermitian, of the right length, and inverted by the exponential."""
    M = Unitary(3)
    p, V = M.random_point(0), M.random_point(1)
    q = p @ V @ np.diag(np.exp(1j * np.array(angles))) @ V.conj().T
    X = M.log(p, q)
    M.check_vector(p, X)
    np.testing.assert_allclose(M.exp(p, X), q, atol=1e-14)
    assert M.norm(p, X) == pytest.approx(np.linalg.norm(angles), rel=1e-9)


def test_components_of_the_orthogonal_group():
    M = Orthogonal(3)
    p = M.random_point(np.random.default_rng(0), (20,))
    rotation = p[np.linalg.det(p) > 0][0]
    reflection = p[np.linalg.det(p) < 0][0]
    assert M.distance(rotation, reflection) == math.inf
    batch = np.stack([rotation, reflection])
    d = M.distance(rotation, batch)
    assert d[0] == 0.0
    assert d[1] == math.inf
    with pytest.raises(ValueError, match="no path leads"):
        M.log(rotation, reflection)
    for name in ("exponential", "polar", "qr", "cayley"):
        q = M.retract(reflection, M.random_vector(reflection, 1), method=name)
        assert np.linalg.det(q) < 0
    np.testing.assert_allclose(M.project_point(1.1 * reflection), reflection, atol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_orthogonal_agrees_with_rotations(n):
    M, N = Orthogonal(n), Rotations(n)
    p = N.random_point(0, (3,))
    X = 0.3 * N.random_vector(p, 1)
    q = N.exp(p, X)
    np.testing.assert_allclose(M.exp(p, X), q, atol=1e-14)
    np.testing.assert_allclose(M.log(p, q), X, atol=1e-13)
    for name in ("polar", "qr", "cayley"):
        np.testing.assert_allclose(M.retract(p, X, method=name), N.retract(p, X, method=name), atol=1e-14)
        np.testing.assert_allclose(
            M.inverse_retract(p, q, method=name), N.inverse_retract(p, q, method=name), atol=1e-13
        )
    np.testing.assert_allclose(M.get_coordinates(p, X), N.get_coordinates(p, X))
    assert M.injectivity_radius == N.injectivity_radius


def test_messages():
    with pytest.raises(ValueError, match="at least 2"):
        SpecialUnitary(1)
    with pytest.raises(ValueError, match="metric_scale"):
        Unitary(2, metric_scale=-1.0)
    with pytest.raises(NotOnManifold, match="must be orthogonal"):
        Orthogonal(2).check_point(2.0 * np.eye(2))
    with pytest.raises(NotOnManifold, match="must be real"):
        Orthogonal(2).check_point(np.eye(2) + 0j)
    with pytest.raises(NotOnManifold, match="determinant 1"):
        SpecialUnitary(2).check_point(1j * np.eye(2) @ np.diag([1.0, 1j]))
    with pytest.raises(NotTangent, match="trace zero"):
        SpecialUnitary(2).check_vector(np.eye(2, dtype=complex), 1j * np.eye(2))
    M = Unitary(2)
    p = M.random_point(0)
    with pytest.raises(ValueError, match=r"use M.log\(p, q\)"):
        M.inverse_retract(p, -p, method="polar")
    with pytest.raises(ValueError, match="eigenvalue -1"):
        M.inverse_retract(p, -p, method="cayley")


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("length", [1e-9, 0.5, 3.0])
def test_small_reflections_go_the_way_of_rotations(n, length):
    """The short road turns the last row over; the matrix exponential is the independent answer."""
    M = Orthogonal(n)
    rng = np.random.default_rng(n)
    p = M.random_point(rng, (8,))
    assert len(set(np.sign(np.linalg.det(p)))) == 2
    X = M.random_vector(p, rng)
    X *= (length / M.norm(p, X))[:, None, None]
    q = M.exp(p, X)
    np.testing.assert_allclose(q, p @ np.stack([expm(A) for A in X]), atol=1e-14)
    np.testing.assert_allclose(M.log(p, q), X, atol=2e-15 * max(1.0, length))
    np.testing.assert_allclose(M.distance(p, q), length, rtol=1e-6 if length < 1e-6 else 1e-13)
    for a, V, b in zip(p, X, q, strict=True):
        np.testing.assert_allclose(M.exp(a, V), b, atol=1e-15)
        np.testing.assert_allclose(M.log(a, b), V, atol=2e-15 * max(1.0, length))


@pytest.mark.parametrize("M", [Unitary(2), SpecialUnitary(2)], ids=repr)
@pytest.mark.parametrize("length", [1e-12, 1e-3, 1.0, 3.0])
def test_one_matrix_of_size_two_and_a_batch_of_them(M, length):
    """Entry by entry, and by eigenvectors; the logarithm also where the short road gives up."""
    rng = np.random.default_rng(7)
    p = M.random_point(rng, (20,))
    X = M.random_vector(p, rng)
    X *= (length / M.norm(p, X))[:, None, None]
    q = M.exp(p, X)
    L = M.log(p, q)
    for a, V, b, W in zip(p, X, q, L, strict=True):
        np.testing.assert_allclose(M.exp(a, V), b, atol=2e-15)
        np.testing.assert_allclose(M.log(a, b), W, atol=4e-15 * max(1.0, length))
