"""Matrices of fixed rank as products of factors: nothing depends on the factors, and all agrees with `FixedRank`."""

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt import Problem, conjugate_gradient_descent, trust_regions
from manifold_opt.manifolds import FixedRank, FixedRankFactors, NotOnManifold, NotTangent, fallbacks
from manifold_opt.objectives import CostObjective

M = FixedRankFactors(6, 5, 2)


def setting(seed=3):
    """A point in factors far from balanced, two vectors, and two Euclidean derivatives."""
    rng = np.random.default_rng(seed)
    L, R = rng.standard_normal((6, 2)), rng.standard_normal((5, 2))
    p = M.join(3.0 * L, R)
    return p, M.random_vector(p, rng), M.random_vector(p, rng), *rng.standard_normal((2, 6, 5))


def turned(p, A):
    L, R = M.split(p)
    return M.join(L @ np.linalg.inv(A), R @ A.T)


def test_factors_do_not_matter():
    p, X, Y, G, H = setting()
    A = np.array([[2.0, 0.7], [-0.3, 0.5]])
    q = turned(p, A)
    np.testing.assert_allclose(M.embed_point(q), M.embed_point(p), atol=1e-13)
    V, W = turned(X, A), turned(Y, A)
    M.check_vector(q, V)
    np.testing.assert_allclose(M.embed_vector(q, V), M.embed_vector(p, X), atol=1e-13)
    assert M.inner(q, V, W) == pytest.approx(M.inner(p, X, Y), rel=1e-12)
    np.testing.assert_allclose(M.riemannian_gradient(q, G), turned(M.riemannian_gradient(p, G), A), atol=1e-12)
    HX = M.riemannian_hessian(p, G, H, X)
    np.testing.assert_allclose(M.riemannian_hessian(q, G, H, V), turned(HX, A), atol=1e-11)
    far = M.retract(p, 0.1 * X)
    np.testing.assert_allclose(M.retract(q, 0.1 * V), turned(far, A), atol=1e-13)
    np.testing.assert_allclose(M.inverse_retract(p, turned(far, A)), 0.1 * X, atol=1e-12)
    np.testing.assert_allclose(M.inverse_retract(p, q), 0.0, atol=1e-13)
    np.testing.assert_allclose(M.embed_point(M.balanced(q)), M.embed_point(p), atol=1e-13)
    L, R = M.split(M.balanced(q))
    np.testing.assert_allclose(L.T @ L, R.T @ R, atol=1e-12)


def test_hessian_against_the_formula_of_koszul():
    """By differences of the metric and of brackets, without a formula of the connection."""
    N = FixedRankFactors(4, 3, 2)
    rng = np.random.default_rng(5)
    p = N.join(rng.standard_normal((4, 2)), rng.standard_normal((3, 2)))
    G, H = rng.standard_normal((2, 4, 3))
    for _ in range(2):
        X = N.random_vector(p, rng)
        np.testing.assert_allclose(N.riemannian_hessian(p, G, H, X), fallbacks.hessian(N, p, G, H, X), atol=1e-8)


def test_the_same_tangent_spaces_as_fixed_rank():
    p, _, _, G, _ = setting()
    N = FixedRank(6, 5, 2)
    q = N.project_point(M.embed_point(p))
    np.testing.assert_allclose(
        M.embed_vector(p, M.project_vector(p, G)), N.embed_vector(q, N.project_vector(q, G)), atol=1e-13
    )
    sparse = sp.csr_array(np.where(abs(G) > 0.5, G, 0.0))
    np.testing.assert_allclose(M.riemannian_gradient(p, sparse), M.riemannian_gradient(p, sparse.toarray()), atol=1e-13)
    np.testing.assert_allclose(M.singular_values(p), N.singular_values(q), atol=1e-13)


def test_derivatives_from_storage_are_those_from_the_embedding():
    p, X, _, T, _ = setting()

    def f(q):
        L, R = M.split(q)
        return 0.25 * anp.sum((L @ R.T - T) ** 4)

    D, Z = M.embed_point(p) - T, M.embed_vector(p, X)
    e = Problem(M, CostObjective(f)).evaluate(p)
    np.testing.assert_allclose(e.gradient, M.riemannian_gradient(p, D**3), rtol=1e-10, atol=1e-10)
    expected = M.riemannian_hessian(p, D**3, 3.0 * D**2 * Z, X)
    np.testing.assert_allclose(e.hessian(X), expected, rtol=1e-10, atol=1e-8)


def test_completion():
    """A tenth of the entries, by a first-order and a second-order method, from the same sparse derivatives."""
    N = FixedRankFactors(300, 200, 3)
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((300, 3)), rng.standard_normal((200, 3))
    rows, columns = np.divmod(rng.choice(300 * 200, 6000, replace=False), 200)
    b = np.einsum("ij,ij->i", left[rows], right[columns])

    def matrix(values):
        return sp.csr_array((values, (rows, columns)), shape=(300, 200))

    keywords = dict(
        gradient=lambda p: matrix(N.entries(p, rows, columns) - b), objective_type="euclidean", tolerance=1e-6
    )
    f = lambda p: 0.5 * float(np.sum((N.entries(p, rows, columns) - b) ** 2))
    p0 = N.project_point(matrix(10.0 * b))
    hessian = lambda p, X: matrix(X.entries(rows, columns))
    for result in (
        conjugate_gradient_descent(N, f, p0, **keywords, max_iterations=300),
        trust_regions(N, f, p0, **keywords, hessian=hessian),
    ):
        assert result.converged
        np.testing.assert_allclose(N.embed_point(result.point), left @ right.T, atol=1e-5)


def test_messages():
    p, _, _, _, _ = setting()
    L, R = M.split(p)
    with pytest.raises(NotOnManifold, match="factor R.*rank 2"):
        M.check_point(M.join(L, 0 * R))
    with pytest.raises(NotTangent, match="horizontal.*tangentialize"):
        M.check_vector(p, M.join_vector(L, -R))
    with pytest.raises(ValueError, match="several steps"):
        M.inverse_retract(p, M.join(-L, R))
    with pytest.raises(ValueError, match="rank below"):
        M.project_point(np.zeros((6, 5)))
    with pytest.raises(ValueError, match="k <= min"):
        FixedRankFactors(3, 2, 3)
