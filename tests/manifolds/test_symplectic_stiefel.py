"""Symplectic frames: geodesics and retractions against dense formulas, symplectic eigenvalues, messages."""

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import expm, sqrtm

from manifold_opt import trust_regions
from manifold_opt.manifolds import MissingOperation, NotOnManifold, NotTangent, SymplecticStiefel
from manifold_opt.testing import check_hessian_conversion, check_retractions
from manifold_opt.testing.derivative_checks import check_gradient_conversion

KINDS = [
    SymplecticStiefel(6, 2),
    SymplecticStiefel(6, 4),
    SymplecticStiefel(4, 4),
    SymplecticStiefel(6, 4, "euclidean"),
]


def form(n):
    return np.kron(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(n // 2))


@pytest.fixture(params=KINDS, ids=repr)
def setting(request):
    M = request.param
    rng = np.random.default_rng(1)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    return M, p, 0.4 * X / M.norm(p, X)


def test_points_and_vectors(setting):
    M, p, X = setting
    J, K = form(M.n), form(M.k)
    np.testing.assert_allclose(p.T @ J @ p, K, atol=1e-14)
    np.testing.assert_allclose(X.T @ J @ p + p.T @ J @ X, 0.0, atol=1e-14)
    assert M.dim == len(M.get_basis(p))


def hamiltonian(p, X):
    J = form(len(p))
    M = np.linalg.inv(p.T @ p)
    Q = np.eye(len(p)) - J.T @ p @ M @ p.T @ J
    return X @ M @ p.T + J @ p @ M @ X.T @ Q @ J


@pytest.mark.parametrize("length", [1e-8, 0.5, 2.0])
def test_geodesics_of_the_canonical_metric(length):
    """The low-rank exponentials against those of n x n matrices, and constant speed."""
    M = SymplecticStiefel(8, 2)
    p = M.random_point(2)
    X = M.random_vector(p, 3)
    X *= length / M.norm(p, X)
    W = hamiltonian(p, X)
    np.testing.assert_allclose(W @ p, X, atol=1e-14)
    assert M.inner(p, X, X) == pytest.approx(0.5 * np.sum(W * W), rel=1e-12)
    np.testing.assert_allclose(M.exp(p, X), expm(W - W.T) @ expm(W.T) @ p, atol=2e-14 * (1 + length) ** 3)
    h = 1e-4
    for t in (0.0, 1.0):
        q, V = M.exp(p, X, t), (M.exp(p, X, t + h) - M.exp(p, X, t - h)) / (2 * h)
        assert M.norm(q, M.tangentialize(q, V)) == pytest.approx(length, rel=1e-6)


@pytest.mark.parametrize("length", [1e-12, 1e-6, 0.1, 1.0, 2.0])
def test_exponential_in_50_digits(length):
    M = SymplecticStiefel(4, 2)
    p = M.random_point(9)
    X = M.random_vector(p, 10)
    X *= length / M.norm(p, X)
    P, V, J = (mp.matrix(exact.lifted(a).tolist()) for a in (p, X, form(4)))
    inverse = (P.T * P) ** -1
    Q = mp.eye(4) - J.T * P * inverse * P.T * J
    W = V * inverse * P.T + J * P * inverse * V.T * Q * J
    true = exact._array(mp.expm(W - W.T, method="taylor") * mp.expm(W.T, method="taylor") * P)
    step = true - exact.lifted(p)
    off = exact.lifted(M.exp(p, X)) - true
    # the exponentials of the formula are larger than their product, the more the longer the way
    assert max(abs(x) for x in off.flat) <= 4e-15 * np.exp(0.5 * length) * max(abs(x) for x in true.flat)
    # the stored point itself is symplectic to rounding, and no more is lost
    assert max(abs(x) for x in off.flat) <= 1e-13 * max(abs(x) for x in step.flat) + 2e-15


def test_retractions_are_their_formulas(setting):
    M, p, X = setting
    J, K = form(M.n), form(M.k)
    plus = lambda Z: K.T @ Z.T @ J
    A = plus(p) @ X
    H = X - p @ A
    expected = -p + (H + 2 * p) @ np.linalg.inv(plus(H) @ H / 4 - A / 2 + np.eye(M.k))
    np.testing.assert_allclose(M.retract(p, X, method="cayley"), expected, atol=1e-14)
    S = p.T @ J @ X
    block = np.block([[-K @ S, K @ X.T @ J @ X], [np.eye(M.k), -K @ S]])
    expected = np.hstack([p, X]) @ expm(block)[:, : M.k] @ expm(K @ S)
    np.testing.assert_allclose(M.retract(p, X, method="quasi-geodesic"), expected, atol=1e-14)


@pytest.mark.parametrize("length", [1e-10, 1e-3, 1.0])
def test_inverse_of_the_cayley_retraction(setting, length):
    M, p, X = setting
    X = length * X
    got = M.inverse_retract(p, M.retract(p, X))
    np.testing.assert_allclose(got, X, atol=1e-13 * length + 2e-15)


@pytest.mark.parametrize("M", KINDS[1:3], ids=repr)
def test_conversions_of_other_shapes(M):
    check_gradient_conversion(M, 5)
    check_hessian_conversion(M, 5)
    check_retractions(M, 5)


@pytest.mark.parametrize("metric", ["canonical", "euclidean"])
def test_random_vectors_have_independent_normal_coordinates(metric):
    M = SymplecticStiefel(4, 2, metric)
    p = M.random_point(4)
    many = np.broadcast_to(p, (4000, 4, 2))
    basis = M.get_basis(p)
    c = np.stack([M.inner(many, M.random_vector(many, 5), np.broadcast_to(b, many.shape)) for b in basis], axis=-1)
    np.testing.assert_allclose(c.T @ c / 4000, np.eye(M.dim), atol=0.1)


@pytest.mark.parametrize("metric", ["canonical", "euclidean"])
def test_symplectic_eigenvalues(metric):
    """The smallest ``tr(p' A p)`` is twice the sum of the smallest symplectic eigenvalues (Son et al., SIMAX 2021)."""
    rng = np.random.default_rng(6)
    n, k = 8, 4
    A = rng.standard_normal((n, n))
    A = A @ A.T / n + np.diag(np.linspace(0.5, 2.0, n))
    root = sqrtm(A)
    values = np.sort(np.abs(np.linalg.eigvals(root @ form(n) @ root).imag))[::2]
    M = SymplecticStiefel(n, k, metric)
    result = trust_regions(
        M,
        lambda p: np.sum(p * (A @ p)),
        M.random_point(rng),
        gradient=lambda p: 2.0 * (A @ p),
        hessian=lambda p, X: 2.0 * (A @ X),
        objective_type="euclidean",
        tolerance=1e-7,
    )
    assert result.converged
    assert result.cost == pytest.approx(2.0 * values[: k // 2].sum(), rel=1e-10)


def test_nearest_symplectic_frame():
    M = SymplecticStiefel(6, 2)
    p = M.random_point(7)
    z = p + 1e-3 * np.random.default_rng(8).standard_normal((6, 2))
    q = M.project_point(z)
    M.check_point(q)
    assert np.linalg.norm(q - z) < 3.0 * np.linalg.norm(p - z)
    with pytest.raises(ValueError, match="near the manifold"):
        M.project_point(np.zeros((6, 2)))


def test_messages():
    M = SymplecticStiefel(6, 2, "euclidean")
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="p' J p must be J"):
        M.check_point(2.0 * p)
    with pytest.raises(NotTangent, match="symmetric p' J X"):
        M.check_vector(p, np.arange(12.0).reshape(6, 2))
    with pytest.raises(MissingOperation, match="no exp"):
        M.exp(p, p)
    with pytest.raises(MissingOperation, match="no log .*cayley"):
        M.log(p, p)
    assert not M.has("exp")
    assert SymplecticStiefel(6, 2).has("exp")
    assert not SymplecticStiefel(6, 2).has("log")
    with pytest.raises(ValueError, match="both even"):
        SymplecticStiefel(5, 2)
    with pytest.raises(ValueError, match="'canonical' or 'euclidean'"):
        SymplecticStiefel(4, 2, "other")
