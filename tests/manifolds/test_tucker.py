"""Tensors of fixed multilinear rank: retractions by definition, sparse derivatives, completion at real size."""

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import Problem, conjugate_gradient_descent, trust_regions
from manifold_opt.linalg.tensors import SparseTensor, TuckerTensor, contract, fold, mode_product, unfold
from manifold_opt.manifolds import FixedRank, MissingOperation, NotOnManifold, NotTangent, Tucker
from manifold_opt.objectives import CostObjective

M = Tucker((5, 4, 3), (2, 3, 2))


def setting(seed=3, length=0.3, size=()):
    rng = np.random.default_rng(seed)
    p = M.random_point(rng, size)
    return rng, p, length * M.random_vector(p, rng), length * M.random_vector(p, rng)


def hosvd(A, ranks):
    """Truncated at once, by singular value decompositions of the unfoldings of the whole tensor."""
    B = A
    for d, r in enumerate(ranks):
        U = np.linalg.svd(np.moveaxis(A, d, 0).reshape(A.shape[d], -1))[0][:, :r]
        B = np.moveaxis(np.tensordot(U @ U.T, B, (1, d)), 0, d)
    return B


def test_retractions_are_what_they_say():
    _, p, X, _ = setting(length=0.5)
    A = M.embed_point(p) + M.embed_vector(p, X)
    np.testing.assert_allclose(M.embed_point(M.retract(p, X)), hosvd(A, M.ranks), atol=1e-13)
    off = M.embed_point(M.retract(p, X, method="orthographic")) - A
    np.testing.assert_allclose(M.project_vector(p, off), 0.0, atol=1e-13)
    np.testing.assert_allclose(M.embed_point(M.project_point(A)), hosvd(A, M.ranks), atol=1e-13)


def test_the_orthographic_retraction_is_of_second_order():
    """The acceleration of t -> R(tX) at zero has no tangential part."""
    _, p, X, _ = setting(length=1.0)
    h = 1e-3
    ends = [M.embed_point(M.retract(p, X, t, method="orthographic")) for t in (h, -h)]
    acceleration = (ends[0] + ends[1] - 2.0 * M.embed_point(p)) / h**2
    assert np.linalg.norm(acceleration) > 0.1
    assert np.max(np.abs(M.project_vector(p, acceleration))) < 1e-5


def test_two_modes_are_matrices_of_fixed_rank():
    T, N = Tucker((5, 4), (2, 2)), FixedRank(5, 4, 2)
    assert T.dim == N.dim
    rng = np.random.default_rng(0)
    A, G, H = rng.standard_normal((3, 5, 4))
    p, q = T.project_point(A), N.project_point(A)
    np.testing.assert_allclose(T.embed_point(p), N.embed_point(q), atol=1e-13)
    X, Y = T.riemannian_gradient(p, G), N.riemannian_gradient(q, G)
    np.testing.assert_allclose(T.embed_vector(p, X), N.embed_vector(q, Y), atol=1e-13)
    HX, HY = T.riemannian_hessian(p, G, H, X), N.riemannian_hessian(q, G, H, Y)
    np.testing.assert_allclose(T.embed_vector(p, HX), N.embed_vector(q, HY), atol=1e-12)
    for ours, theirs in (("hosvd", "projection"), ("orthographic", "orthographic")):
        np.testing.assert_allclose(
            T.embed_point(T.retract(p, 0.1 * X, method=ours)),
            N.embed_point(N.retract(q, 0.1 * Y, method=theirs)),
            atol=1e-13,
        )


def test_derivatives_of_every_kind():
    rng, p, X, _ = setting()
    indices = rng.integers(0, M.shape, (40, 3))
    G = SparseTensor(indices, rng.standard_normal(40), M.shape)
    H = TuckerTensor(rng.standard_normal((3, 3, 3)), [rng.standard_normal((n, 3)) for n in M.shape])
    for Z in (G, H):
        np.testing.assert_allclose(M.riemannian_gradient(p, Z), M.riemannian_gradient(p, Z.toarray()), atol=1e-13)
        np.testing.assert_allclose(M.weingarten(p, X, Z), M.weingarten(p, X, Z.toarray()), atol=1e-13)
        np.testing.assert_allclose(M.project_point(Z)[:1], M.project_point(Z.toarray())[:1], atol=1e-12)
    HX = M.riemannian_hessian(p, G, H, X)
    np.testing.assert_allclose(HX, M.riemannian_hessian(p, G.toarray(), H.toarray(), X), atol=1e-13)
    np.testing.assert_allclose(M.entries(p, indices), M.embed_point(p)[tuple(indices.T)], atol=1e-14)
    D = M.euclidean_direction(p, X)
    np.testing.assert_allclose(D.entries(indices), M.embed_vector(p, X)[tuple(indices.T)], atol=1e-14)
    with pytest.raises(ValueError, match="shape"):
        M.riemannian_gradient(p, np.zeros((5, 4, 4)))


def test_derivatives_from_storage_are_those_from_the_embedding():
    """A cost differentiated through core and frames, its Hessian included."""
    _, p, X, _ = setting()
    target = np.random.default_rng(8).standard_normal(M.shape)

    def f(q):
        C, A, B, D = M.split(q)
        return 0.25 * anp.sum((anp.einsum("abc,ia,jb,kc->ijk", C, A, B, D) - target) ** 4)

    R, Z = M.embed_point(p) - target, M.embed_vector(p, X)
    e = Problem(M, CostObjective(f)).evaluate(p)
    np.testing.assert_allclose(e.gradient, M.riemannian_gradient(p, R**3), atol=1e-12)
    np.testing.assert_allclose(e.hessian(X), M.riemannian_hessian(p, R**3, 3.0 * R**2 * Z, X), atol=1e-11)


def test_completion():
    """Three percent of 50^3 entries, by a first-order and a second-order method; no dense tensor anywhere."""
    N = Tucker((50, 50, 50), (2, 2, 2))
    rng = np.random.default_rng(1)
    truth = N.random_point(rng)
    seen, unseen = rng.integers(0, 50, (2, 4000, 3))
    b = 100.0 * N.entries(truth, seen)

    def residual(p):
        return N.entries(p, seen) - b

    p0 = N.project_point(SparseTensor(seen, b * (50**3 / len(b)), N.shape))
    keywords = dict(
        gradient=lambda p: SparseTensor(seen, residual(p), N.shape),
        objective_type="euclidean",
        tolerance=1e-8 * np.linalg.norm(b),
    )
    f = lambda p: 0.5 * float(np.sum(residual(p) ** 2))
    hessian = lambda p, X: SparseTensor(seen, X.entries(seen), N.shape)
    for result in (
        conjugate_gradient_descent(N, f, p0, **keywords, max_iterations=300),
        trust_regions(N, f, p0, **keywords, hessian=hessian),
    ):
        assert result.converged
        expected = 100.0 * N.entries(truth, unseen)
        assert np.linalg.norm(N.entries(result.point, unseen) - expected) < 1e-5 * np.linalg.norm(expected)


def test_sizes_whose_tensor_would_not_fit_into_memory():
    """1e15 entries; Manifolds.jl has no Hessian and no retraction with an inverse here."""
    N = Tucker((100_000,) * 3, (2, 2, 2))
    rng = np.random.default_rng(0)
    p = N.random_point(rng)
    X = 1e-2 * N.random_vector(p, rng) / np.sqrt(N.dim)
    G = SparseTensor(rng.integers(0, 100_000, (1000, 3)), rng.standard_normal(1000), N.shape)
    gradient = N.riemannian_gradient(p, G)
    assert N.inner(p, gradient, X) == pytest.approx(G.values @ N.low_rank_vector(p, X).entries(G.indices), rel=1e-9)
    for method in ("hosvd", "orthographic"):
        q = N.retract(p, X, method=method)
        N.check_point(q, atol=1e-14)
        np.testing.assert_allclose(N.inverse_retract(p, q, method=method), X, atol=1e-13)


def test_modes():
    rng = np.random.default_rng(0)
    T, A = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 6, 4))
    np.testing.assert_allclose(mode_product(T, A, 1, 3), np.einsum("bxiz,bji->bxjz", T, A))
    for d in range(3):
        np.testing.assert_array_equal(fold(unfold(T, d, 3), d, T.shape[1:]), T)
    np.testing.assert_allclose(contract(T, [None, A.swapaxes(1, 2), None]), mode_product(T, A, 1, 3))
    S = SparseTensor([[0, 1], [0, 1], [1, 0]], np.array([1.0, 2.0, 5.0]), (2, 3))
    np.testing.assert_array_equal(S.toarray(), [[0, 3, 0], [5, 0, 0]])
    np.testing.assert_array_equal(S.unfolded(1).toarray(), S.toarray().T)
    B = [rng.standard_normal((n, 2)) for n in (2, 3)]
    np.testing.assert_allclose(S.contract(B), B[0].T @ S.toarray() @ B[1])
    with pytest.raises(ValueError, match="all modes but one"):
        S.contract([None, None])
    with pytest.raises(ValueError, match="one value per row"):
        SparseTensor([[0, 0]], np.ones(2), (2, 2))
    with pytest.raises(ValueError, match="integer array"):
        SparseTensor([0, 0], np.ones(2), (2, 2))


def test_messages():
    _, p, _, _ = setting()
    C, *U = M.split(p)
    with pytest.raises(NotOnManifold, match="frame 1.*orthonormal"):
        M.check_point(M.join(C, U[0], 2 * U[1], U[2]))
    with pytest.raises(NotOnManifold, match="unfolding 0.*rank 2"):
        M.check_point(M.join(0 * C, *U))
    with pytest.raises(NotTangent, match="mode 2.*tangentialize"):
        M.check_vector(p, M.join_vector(C, 0 * U[0], 0 * U[1], U[2]))
    with pytest.raises(MissingOperation, match="orthographic"):
        M.exp(p, M.zero_vector(p))
    with pytest.raises(ValueError, match="rank 1 can be 4 at most"):
        Tucker((5, 6, 4), (2, 5, 2))
    with pytest.raises(ValueError, match="one rank for each"):
        Tucker((5, 4, 3), (2, 2))
    with pytest.raises(ValueError, match="rank below 2"):
        M.project_point(np.zeros(M.shape))
    far = M.random_point(99)
    with pytest.raises(ValueError, match="several steps"):
        M.inverse_retract(p, M.join(-M.split(far)[0], *M.split(far)[1:]))
