"""Tensors of fixed tensor-train rank: retractions by definition, sparse derivatives, completion at real size."""

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import Problem, conjugate_gradient_descent, trust_regions
from manifold_opt.linalg.tensors import SparseTensor
from manifold_opt.linalg.trains import TrainTensor
from manifold_opt.manifolds import FixedRank, MissingOperation, NotOnManifold, NotTangent, TensorTrain
from manifold_opt.objectives import CostObjective

M = TensorTrain((4, 3, 3, 4), (2, 3, 2))


def setting(seed=3, length=0.2):
    rng = np.random.default_rng(seed)
    p = M.random_point(rng)
    p = M.retract(p, M.random_vector(p, rng) / np.sqrt(M.dim))
    return rng, p, length * M.random_vector(p, rng)


def rounded(A, ranks):
    """The truncated decomposition of a whole tensor, one unfolding after the other."""
    shape, bond, cores = A.shape, 1, []
    for n, r in zip(shape, ranks):
        U, s, V = np.linalg.svd(A.reshape(bond * n, -1), full_matrices=False)
        cores.append(U[:, :r].reshape(bond, n, r))
        A, bond = s[:r, None] * V[:r], r
    return TrainTensor([*cores, A.reshape(bond, shape[-1], 1)]).toarray()


def test_retractions_are_what_they_say():
    _, p, X = setting()
    A = M.embed_point(p) + M.embed_vector(p, X)
    np.testing.assert_allclose(M.embed_point(M.retract(p, X)), rounded(A, M.ranks), atol=1e-12)
    np.testing.assert_allclose(M.embed_point(M.project_point(A)), rounded(A, M.ranks), atol=1e-12)
    off = M.embed_point(M.retract(p, X, method="orthographic")) - A
    np.testing.assert_allclose(M.project_vector(p, off), 0.0, atol=1e-12)


def test_the_orthographic_retraction_is_of_second_order():
    """The acceleration of t -> R(tX) at zero has no tangential part."""
    _, p, X = setting(length=1.0)
    h = 1e-3
    ends = [M.embed_point(M.retract(p, X, t, method="orthographic")) for t in (h, -h)]
    acceleration = (ends[0] + ends[1] - 2.0 * M.embed_point(p)) / h**2
    assert np.linalg.norm(acceleration) > 0.1
    assert np.max(np.abs(M.project_vector(p, acceleration))) < 1e-5


def test_the_projection_is_that_of_the_span_of_all_tangent_vectors():
    rng, p, _ = setting()
    basis = M.embed_vector(p, M.get_basis(p)).reshape(M.dim, -1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(M.dim), atol=1e-12)
    Z = rng.standard_normal(M.shape)
    expected = (basis.T @ (basis @ Z.ravel())).reshape(M.shape)
    np.testing.assert_allclose(M.embed_vector(p, M.project_vector(p, Z)), expected, atol=1e-12)


def test_two_modes_are_matrices_of_fixed_rank():
    T, N = TensorTrain((5, 4), (2,)), FixedRank(5, 4, 2)
    assert T.dim == N.dim
    A, G, H = np.random.default_rng(0).standard_normal((3, 5, 4))
    p, q = T.project_point(A), N.project_point(A)
    np.testing.assert_allclose(T.embed_point(p), N.embed_point(q), atol=1e-13)
    X, Y = T.riemannian_gradient(p, G), N.riemannian_gradient(q, G)
    np.testing.assert_allclose(T.embed_vector(p, X), N.embed_vector(q, Y), atol=1e-13)
    HX, HY = T.riemannian_hessian(p, G, H, X), N.riemannian_hessian(q, G, H, Y)
    np.testing.assert_allclose(T.embed_vector(p, HX), N.embed_vector(q, HY), atol=1e-12)
    for ours, theirs in (("tt-svd", "projection"), ("orthographic", "orthographic")):
        left = T.embed_point(T.retract(p, 0.1 * X, method=ours))
        np.testing.assert_allclose(left, N.embed_point(N.retract(q, 0.1 * Y, method=theirs)), atol=1e-13)


def test_derivatives_of_every_kind():
    rng, p, X = setting()
    indices = rng.integers(0, M.shape, (60, 4))
    G = SparseTensor(indices, rng.standard_normal(60), M.shape)
    H = M.low_rank_vector(p, X)
    for Z in (G, H):
        np.testing.assert_allclose(M.riemannian_gradient(p, Z), M.riemannian_gradient(p, Z.toarray()), atol=1e-12)
        np.testing.assert_allclose(M.weingarten(p, X, Z), M.weingarten(p, X, Z.toarray()), atol=1e-12)
        nearest = M.embed_point(M.project_point(Z))
        np.testing.assert_allclose(nearest, M.embed_point(M.project_point(Z.toarray())), atol=1e-12)
    HX = M.riemannian_hessian(p, G, H, X)
    np.testing.assert_allclose(HX, M.riemannian_hessian(p, G.toarray(), H.toarray(), X), atol=1e-12)
    np.testing.assert_allclose(M.entries(p, indices), M.embed_point(p)[tuple(indices.T)], atol=1e-14)
    np.testing.assert_allclose(H.entries(indices), M.embed_vector(p, X)[tuple(indices.T)], atol=1e-14)
    with pytest.raises(ValueError, match="shape"):
        M.riemannian_gradient(p, np.zeros((4, 3, 3, 3)))
    with pytest.raises(ValueError, match="one point at a time"):
        M.riemannian_gradient(np.stack([p, p]), G)


def test_derivatives_from_storage_are_those_from_the_embedding():
    """A cost differentiated through the cores, its Hessian included."""
    _, p, X = setting()
    target = np.random.default_rng(8).standard_normal(M.shape)

    def f(q):
        A, B, C, D = M.split(q)
        return 0.25 * anp.sum((anp.einsum("xia,ajb,bkc,cly->ijkl", A, B, C, D) - target) ** 4)

    R, Z = M.embed_point(p) - target, M.embed_vector(p, X)
    e = Problem(M, CostObjective(f)).evaluate(p)
    np.testing.assert_allclose(e.gradient, M.riemannian_gradient(p, R**3), atol=1e-11)
    np.testing.assert_allclose(e.hessian(X), M.riemannian_hessian(p, R**3, 3.0 * R**2 * Z, X), atol=1e-10)


def test_completion():
    """Of 20^4 = 160 000 entries 2000 are seen; by a first-order and a second-order method."""
    N = TensorTrain((20,) * 4, (2, 2, 2))
    rng = np.random.default_rng(1)
    truth = N.random_point(rng)
    seen, unseen = rng.integers(0, 20, (2, 2000, 4))
    b = 1000.0 * N.entries(truth, seen)

    def residual(p):
        return N.entries(p, seen) - b

    start = N.retract(truth, 0.6 * N.random_vector(truth, rng) / np.sqrt(N.dim))
    *rest, end = N.split(start)
    p0 = N.join(*rest, 1000.0 * end)
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
        expected = 1000.0 * N.entries(truth, unseen)
        assert np.linalg.norm(N.entries(result.point, unseen) - expected) < 1e-5 * np.linalg.norm(expected)


def test_sizes_whose_tensor_would_not_fit_into_memory():
    """100^20 entries; here Manifolds.jl, pymanopt and geomstats have nothing."""
    N = TensorTrain((100,) * 20, (3,) * 19)
    rng = np.random.default_rng(0)
    p = N.random_point(rng)
    X = 0.1 * N.random_vector(p, rng) / np.sqrt(N.dim)
    G = SparseTensor(rng.integers(0, 100, (1000, 20)), rng.standard_normal(1000), N.shape)
    gradient = N.riemannian_gradient(p, G)
    along = G.values @ N.low_rank_vector(p, X).entries(G.indices)
    assert N.inner(p, gradient, X) == pytest.approx(along, abs=1e-12 * np.linalg.norm(G.values))
    for method in ("tt-svd", "orthographic"):
        q = N.retract(p, X, method=method)
        N.check_point(q, atol=1e-13)
        np.testing.assert_allclose(N.inverse_retract(p, q, method=method), X, atol=1e-12)


def test_messages():
    _, p, X = setting()
    G = M.split(p)
    with pytest.raises(NotOnManifold, match="core 1.*orthonormal"):
        M.check_point(M.join(G[0], 2 * G[1], *G[2:]))
    with pytest.raises(NotOnManifold, match="rank"):
        M.check_point(M.join(*G[:-1], 0 * G[-1]))
    with pytest.raises(NotTangent, match="core 0.*tangentialize"):
        M.check_vector(p, M.join_vector(G[0], *M.split(X)[1:]))
    with pytest.raises(MissingOperation, match="orthographic"):
        M.exp(p, X)
    with pytest.raises(ValueError, match="rank 0 can be 4 at most"):
        TensorTrain((4, 3, 3), (5, 2))
    with pytest.raises(ValueError, match="one rank less"):
        TensorTrain((4, 3, 3), (2, 2, 2))
    with pytest.raises(ValueError, match="rank below 2"):
        M.project_point(np.zeros(M.shape))
