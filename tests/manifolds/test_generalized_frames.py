"""Frames and subspaces in the inner product of a dense, sparse or operator matrix, against B = I and eigenproblems."""

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from manifolds import exact
from scipy.sparse.linalg import LinearOperator

from manifold_opt import trust_regions
from manifold_opt.linalg import MetricMatrix
from manifold_opt.manifolds import (
    GeneralizedGrassmann,
    GeneralizedStiefel,
    Grassmann,
    NotOnManifold,
    NotTangent,
    Stiefel,
)
from manifold_opt.testing import check_accuracy, check_exp_accuracy


def definite(n, rng, complex_field=False):
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if complex_field else 0)
    return A @ A.conj().T / n + np.eye(n)


def banded(n):
    return sp.diags([np.full(n - 1, -0.5), np.linspace(1.5, 3.0, n), np.full(n - 1, -0.5)], [-1, 0, 1]).tocsc()


PAIRS = [(GeneralizedStiefel, Stiefel), (GeneralizedGrassmann, Grassmann)]


@pytest.mark.parametrize(("kind", "plain"), PAIRS)
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_it_is_isometric_to_the_manifold_with_the_identity(kind, plain, field, sparse):
    rng = np.random.default_rng(1)
    B = definite(6, rng, field == "complex")
    M, N = kind(6, 2, sp.csc_matrix(B) if sparse else B, field), plain(6, 2, field)
    C = np.linalg.cholesky(B).conj().T
    p = M.random_point(rng, (3,))
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    X, Y = 0.2 * X, 0.2 * Y
    y, U, V = C @ p, C @ X, C @ Y
    np.testing.assert_allclose(M.inner(p, X, Y), N.inner(y, U, V), atol=1e-13)
    for name in ("exponential", "polar", "qr"):
        q = M.retract(p, X, method=name)
        np.testing.assert_allclose(C @ q, N.retract(y, U, method=name), atol=1e-13)
        np.testing.assert_allclose(M.inverse_retract(p, q, method=name), X, atol=1e-12)
    q = M.retract(p, Y)
    for name in M.transports:
        if M._works("transport", name):
            moved = M.vector_transport_to(p, X, q, method=name)
            np.testing.assert_allclose(C @ moved, N.vector_transport_to(y, U, C @ q, method=name), atol=1e-12)
    G = rng.standard_normal((3, 6, 2)) + (1j * rng.standard_normal((3, 6, 2)) if field == "complex" else 0)
    H = rng.standard_normal((3, 6, 2)) + 0 * G
    G2, H2 = (np.linalg.solve(C.conj().T, A) for A in (G, H))  # the gradient of f(C^-1 y)
    np.testing.assert_allclose(C @ M.riemannian_gradient(p, G), N.riemannian_gradient(y, G2), atol=1e-12)
    np.testing.assert_allclose(C @ M.riemannian_hessian(p, G, H, X), N.riemannian_hessian(y, G2, H2, U), atol=1e-12)


@pytest.mark.parametrize("kind", [GeneralizedStiefel, GeneralizedGrassmann])
def test_pymanopt_275_dense_sparse_and_operator_agree(kind):
    """Asked for there: all three kinds of B."""
    T = banded(9)
    dense = kind(9, 2, T.toarray())
    operator = LinearOperator((9, 9), matvec=lambda x: T @ x, matmat=lambda X: T @ X, dtype=float)
    lu = sp.linalg.splu(T)
    kinds = [kind(9, 2, T), kind(9, 2, operator), kind(9, 2, MetricMatrix(operator, divide=lu.solve))]
    rng = np.random.default_rng(2)
    p = dense.random_point(rng, (2,))
    X = 0.4 * dense.random_vector(p, rng)
    q, G = dense.exp(p, X), rng.standard_normal((2, 9, 2))
    for M in kinds:
        M.check_point(p)
        np.testing.assert_allclose(M.exp(p, X), q, atol=1e-13)
        np.testing.assert_allclose(M.log(p, q), X, atol=1e-12)
        np.testing.assert_allclose(M.inner(p, X, X), dense.inner(p, X, X), atol=1e-13)
        np.testing.assert_allclose(M.riemannian_gradient(p, G), dense.riemannian_gradient(p, G), atol=1e-12)
        point = M.random_point(3, (4,))
        M.check_point(point)
        V = M.random_vector(point, 4)
        M.check_vector(point, V)
        c = M.get_coordinates(point, V)
        np.testing.assert_allclose(np.sum(c * c, axis=-1), M.inner(point, V, V), rtol=1e-12)
        np.testing.assert_allclose(M.get_vector(point, c), V, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_generalized_eigenvalues(sparse):
    """The smallest sum of Rayleigh quotients is that of ``scipy.linalg.eigh(A, B)``."""
    rng = np.random.default_rng(5)
    n, k = 40, 3
    A = np.diag(np.arange(1.0, n + 1)) + 0.1 * definite(n, rng)
    B = banded(n)
    M = GeneralizedGrassmann(n, k, B if sparse else B.toarray())
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
    values, vectors = scipy.linalg.eigh(A, B.toarray(), subset_by_index=(0, k - 1))
    assert result.cost == pytest.approx(values.sum(), rel=1e-12)
    assert M.distance(result.point, vectors) < 1e-6
    # Ritz values of the subspace are the eigenvalues one by one
    np.testing.assert_allclose(np.linalg.eigvalsh(result.point.T @ A @ result.point), values, rtol=1e-10)


def test_generalized_eigenvectors_one_by_one():
    """Brockett's cost tells the eigenvectors apart; automatic differentiation."""
    rng = np.random.default_rng(6)
    A, B = np.diag(np.arange(1.0, 9.0)), definite(8, rng)
    M = GeneralizedStiefel(8, 2, B)
    N = np.array([2.0, 1.0])
    result = trust_regions(M, lambda p: (p * (A @ p) * N).sum(), M.random_point(rng), tolerance=1e-7)
    values, vectors = scipy.linalg.eigh(A, B, subset_by_index=(0, 1))
    assert result.cost == pytest.approx(float(N @ values), rel=1e-10)
    np.testing.assert_allclose(np.abs(vectors.T @ B @ result.point), np.eye(2), atol=1e-5)


def test_factor_of_a_sparse_matrix():
    B = MetricMatrix(banded(30))
    C = B._root
    np.testing.assert_allclose((C @ C.T).toarray(), banded(30).toarray(), atol=1e-14)
    X = np.random.default_rng(0).standard_normal((30, 2))
    np.testing.assert_allclose(B.root_divide(B.root(X)), X, atol=1e-13)
    np.testing.assert_allclose(B.solve(B.times(X)), X, atol=1e-13)
    # a sparse factor, not a filled one
    assert C.nnz == 59


def test_metric_matrices_are_values():
    A = banded(5)
    for B in (A, A.toarray()):
        assert MetricMatrix(B) == MetricMatrix(B.copy())
        assert hash(MetricMatrix(B)) == hash(MetricMatrix(B.copy()))
        assert MetricMatrix(B) != MetricMatrix(2.0 * B)
    changed = A.toarray()
    M = GeneralizedStiefel(5, 2, changed)
    changed[0, 0] = 7.0
    assert GeneralizedStiefel(5, 2, A.toarray()) == M


def test_float32_stays():
    for B in (banded(5), banded(5).toarray()):
        M = GeneralizedGrassmann(5, 2, B)
        p = M.random_point(0).astype(np.float32)
        X = 0.1 * M.random_vector(p, 1)
        q = M.exp(p, X)
        for value in (X, q, M.log(p, q), M.riemannian_gradient(p, X)):
            assert value.dtype == np.float32


def _ellipsoid_log(M):
    """With one column: the sphere of the inner product of B."""
    B = mp.matrix(exact.lifted(np.asarray(M.B.B)).tolist())
    C = mp.cholesky(B).T

    def log(p, q):
        u, v = (exact._array(C * mp.matrix(exact.lifted(x[:, 0]))).ravel() for x in (p, q))
        u, v = (a / exact._length(a) for a in (u, v))
        c = u.dot(v)
        c, v = (c, v) if c >= 0 or isinstance(M, GeneralizedStiefel) else (-c, -v)
        Y = v - c * u
        s = exact._length(Y)
        angle = mp.atan2(s, c)
        return exact._array(mp.lu_solve(C, mp.matrix(angle / s * Y))), angle

    def exp(p, X):
        u = exact._array(C * mp.matrix(exact.lifted(p[:, 0]))).ravel()
        U = exact._array(C * mp.matrix(exact.lifted(X[:, 0]))).ravel()
        u = u / exact._length(u)
        U = U - u.dot(U) * u
        t = exact._length(U)
        return exact._array(mp.lu_solve(C, mp.matrix(mp.cos(t) * u + mp.sin(t) / t * U)))

    return log, exp


@pytest.mark.parametrize("kind", [GeneralizedStiefel, GeneralizedGrassmann])
def test_accuracy(kind):
    M = kind(3, 1, definite(3, np.random.default_rng(7)))
    log, exp = _ellipsoid_log(M)
    check_accuracy(M, log, samples=2)
    check_accuracy(M, log, samples=1, dtype=np.float32)
    check_exp_accuracy(M, exp, samples=2, allowed=5e-15)


@pytest.mark.parametrize("part", [1e-6, 0.3, 0.9])
def test_logarithm_of_frames(part):
    M = GeneralizedStiefel(5, 3, banded(5))
    p = M.random_point(8, (4,))
    X = M.random_vector(p, 9)
    X *= (part * M.injectivity_radius / M.norm(p, X))[:, None, None]
    np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=2e-13 * max(part, 0.05))


def test_on_other_libraries():
    torch = pytest.importorskip("torch")
    M = GeneralizedGrassmann(5, 2, definite(5, np.random.default_rng(0)))
    p, q = M.random_point(0), M.random_point(1)
    x, y = torch.as_tensor(p), torch.as_tensor(q)
    np.testing.assert_allclose(M.log(x, y), M.log(p, q), atol=1e-12)
    np.testing.assert_allclose(M.exp(x, M.log(x, y)), M.exp(p, M.log(p, q)), atol=1e-12)
    x.requires_grad_()
    g = torch.autograd.grad(M.squared_distance(x, y), x)[0].numpy()
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), -2.0 * M.log(p, q), atol=1e-11)
    with pytest.raises(TypeError, match="give B as an array"):
        GeneralizedGrassmann(5, 2, banded(5)).log(torch.as_tensor(p), torch.as_tensor(q))


def test_messages():
    B = banded(4)
    M = GeneralizedStiefel(4, 2, B)
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="p\\^H B p must be the identity"):
        M.check_point(2.0 * p)
    with pytest.raises(NotTangent, match="skew-Hermitian p\\^H B X"):
        M.check_vector(p, p)
    with pytest.raises(NotTangent, match="horizontal"):
        GeneralizedGrassmann(4, 2, B).check_vector(p, p)
    with pytest.raises(ValueError, match="must be Hermitian"):
        GeneralizedStiefel(2, 1, np.array([[1.0, 1.0], [0.0, 1.0]]))
    for indefinite in (np.diag([1.0, -1.0]), sp.diags([1.0, -1.0]).tocsc(), np.zeros((2, 2)), sp.csc_matrix((2, 2))):
        with pytest.raises(ValueError, match="positive definite"):
            GeneralizedStiefel(2, 1, indefinite).random_point(0)
    with pytest.raises(ValueError, match="n = 3 rows"):
        GeneralizedStiefel(3, 1, B)
    with pytest.raises(ValueError, match="field='complex'"):
        GeneralizedStiefel(2, 1, np.array([[1.0, 0.1j], [-0.1j, 1.0]]))
    with pytest.raises(ValueError, match="square"):
        MetricMatrix(np.ones((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        MetricMatrix(np.full((2, 2), np.nan))
    indefinite = LinearOperator((2, 2), matvec=lambda x: np.array([x[0], -x[1]]), dtype=float)
    with pytest.raises(ValueError, match="did not solve a system"):
        MetricMatrix(indefinite).solve(np.ones((2, 1)))
    with pytest.raises(ValueError, match="divide is for operators"):
        MetricMatrix(B, divide=abs)
