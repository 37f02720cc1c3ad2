"""Matrices of fixed rank: gradients of every kind, retractions by definition, real sizes, peers' defects."""

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from manifold_opt import Euclidean, Problem, trust_regions
from manifold_opt.linalg import LowRank
from manifold_opt.manifolds import (
    FixedRank,
    MissingOperation,
    NotOnManifold,
    NotTangent,
    PowerManifold,
    ProductManifold,
    Sphere,
)
from manifold_opt.objectives import CostObjective

M = FixedRank(7, 5, 2)


def setting(N=M, seed=3, length=0.3, size=()):
    rng = np.random.default_rng(seed)
    p = N.random_point(rng, size)
    return rng, p, length * N.random_vector(p, rng), length * N.random_vector(p, rng)


def nearest(A, k):
    """The best approximation of rank k by a singular value decomposition of the whole matrix."""
    U, s, V = np.linalg.svd(A)
    return (U[:, :k] * s[:k]) @ V[:k]


@pytest.mark.parametrize("field", ["real", "complex"])
def test_retractions_are_what_they_say(field):
    N = FixedRank(6, 5, 2, field=field)
    _, p, X, _ = setting(N, length=0.5)
    A = N.embed_point(p) + N.embed_vector(p, X)
    np.testing.assert_allclose(N.embed_point(N.retract(p, X)), nearest(A, 2), atol=1e-13)
    off = N.embed_point(N.retract(p, X, method="orthographic")) - A
    np.testing.assert_allclose(N.project_vector(p, off), 0.0, atol=1e-13)


def test_a_large_step_of_the_projection_retraction():
    """Also where the subspaces turn by right angles."""
    for seed in range(20):
        _, p, X, _ = setting(seed=seed, length=20.0)
        q = M.retract(p, X)
        M.check_point(q)
        np.testing.assert_allclose(M.embed_point(q), nearest(M.embed_point(p) + M.embed_vector(p, X), 2), atol=1e-11)


@pytest.mark.parametrize("method", ["projection", "orthographic"])
def test_retractions_are_of_second_order(method):
    """The acceleration of t -> R(tX) at zero has no tangential part."""
    _, p, X, _ = setting(length=1.0)
    h = 1e-3
    ends = [M.embed_point(M.retract(p, X, t, method=method)) for t in (h, -h)]
    acceleration = (ends[0] + ends[1] - 2.0 * M.embed_point(p)) / h**2
    assert np.linalg.norm(acceleration) > 0.1
    assert np.max(np.abs(M.project_vector(p, acceleration))) < 1e-5


def test_inverse_of_the_projection_retraction_says_what_is_out_of_reach():
    S = np.diag([2.0, 1.0])
    (left, right), turned = (np.eye(n)[:, :2] for n in (7, 5)), [np.eye(n)[:, [0, 2]] for n in (7, 5)]
    p = M.join(left, S, right)
    far = [np.linalg.qr(0.05 * F + T)[0] for F, T in zip((left, right), turned)]
    with pytest.raises(ValueError, match="projection.*several steps"):
        M.inverse_retract(p, M.join(far[0], S, far[1]))
    with pytest.raises(ValueError, match="orthographic.*several steps"):
        M.inverse_retract(p, M.join(turned[0], S, right), method="orthographic")


def kinds(G):
    """The same matrix as everything a Euclidean derivative may be."""
    U, s, V = np.linalg.svd(G, full_matrices=False)
    return {
        "csr": sp.csr_array(G),
        "csc": sp.csc_matrix(G),
        "coo": sp.coo_array(G),
        "operator": aslinearoperator(G),
        "matvec": LinearOperator(G.shape, matvec=lambda x: G @ x, rmatvec=lambda y: G.conj().T @ y, dtype=G.dtype),
        "factors": LowRank(U * s, V.conj().T),
    }


@pytest.mark.parametrize("field", ["real", "complex"])
def test_derivatives_of_every_kind(field):
    N = FixedRank(6, 5, 2, field=field)
    rng, p, X, _ = setting(N)
    G, H = (rng.standard_normal((6, 5)) + (1j * rng.standard_normal((6, 5)) if field == "complex" else 0) for _ in "GH")
    points = N.random_point(rng, (2, 3))
    for name, Z in kinds(G).items():
        np.testing.assert_allclose(N.riemannian_gradient(p, Z), N.riemannian_gradient(p, G), atol=1e-13, err_msg=name)
        together = N.riemannian_gradient(points, Z)
        np.testing.assert_allclose(together, N.riemannian_gradient(points, G), atol=1e-13, err_msg=name)
        HX = N.riemannian_hessian(p, Z, kinds(H)[name], X)
        np.testing.assert_allclose(HX, N.riemannian_hessian(p, G, H, X), atol=1e-13, err_msg=name)
        np.testing.assert_allclose(N.weingarten(p, X, Z), N.weingarten(p, X, G), atol=1e-13, err_msg=name)
    with pytest.raises(ValueError, match="rows come first"):
        N.riemannian_gradient(p, sp.csr_array(G.T))


@pytest.mark.parametrize("kind", ["csr", "operator", "factors"])
def test_nearest_points_of_matrices_of_every_kind(kind):
    G = np.random.default_rng(0).standard_normal((7, 5))
    z = kinds(G)[kind]
    p = M.project_point(z)
    M.check_point(p)
    np.testing.assert_allclose(M.embed_point(p), nearest(G, 2), atol=1e-12)
    np.testing.assert_allclose(p, M.project_point(G), atol=1e-12)
    np.testing.assert_allclose(M.singular_values(p), np.linalg.svd(G)[1][:2], atol=1e-13)
    full = FixedRank(7, 5, 5)
    np.testing.assert_allclose(full.embed_point(full.project_point(z)), G, atol=1e-13)


def test_sizes_whose_matrix_would_not_fit_into_memory():
    """2e5 rows and 1e5 columns: 160 GB. Manifolds.jl forms the matrix in its inverse orthographic retraction."""
    N = FixedRank(200_000, 100_000, 3)
    rng, p, X, Y = setting(N, length=1e-3)
    i, j = rng.integers(0, N.m, 20_000), rng.integers(0, N.n, 20_000)
    G = sp.csr_array((rng.standard_normal(20_000), (i, j)), shape=(N.m, N.n))
    gradient = N.riemannian_gradient(p, G)
    N.check_vector(p, gradient)
    assert N.inner(p, gradient, X) == pytest.approx(G.data @ N.low_rank_vector(p, X).entries(*G.nonzero()), rel=1e-9)

    def hessian(V):
        seen = N.euclidean_direction(p, V).entries(i, j)
        return N.riemannian_hessian(p, G, sp.csr_array((seen, (i, j)), shape=(N.m, N.n)), V)

    assert N.inner(p, hessian(X), Y) == pytest.approx(N.inner(p, X, hessian(Y)), rel=1e-9)
    for method in ("projection", "orthographic"):
        q = N.retract(p, X, method=method)
        N.check_point(q, atol=1e-14)
        np.testing.assert_allclose(N.inverse_retract(p, q, method=method), X, atol=1e-12)
    assert N.norm(q, N.vector_transport_to(p, Y, q)) == pytest.approx(N.norm(p, Y), rel=0.1)
    c = N.get_coordinates(p, X)
    assert np.linalg.norm(c) == pytest.approx(N.norm(p, X), rel=1e-13)
    np.testing.assert_allclose(N.get_vector(p, c), X, atol=1e-15)


def test_small_singular_values_do_no_harm():
    """A rank chosen too large leaves singular values near rounding."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((n, 3)))[0] for n in (7, 5))
    N = FixedRank(7, 5, 3)
    p = N.join(U, np.diag([1.0, 1e-6, 1e-13]), V)
    X = N.random_vector(p, rng)
    for method in ("projection", "orthographic"):
        q = N.retract(p, X, method=method)
        N.check_point(q, atol=1e-14)
        if method == "projection":
            A = N.embed_point(p) + N.embed_vector(p, X)
            np.testing.assert_allclose(N.embed_point(q), nearest(A, 3), atol=1e-14)


def quartic(A):
    return 0.25 * anp.sum((A - TARGET) ** 4)


TARGET = np.random.default_rng(9).standard_normal((7, 5))


def test_derivatives_from_storage_are_those_from_the_embedding():
    """A cost differentiated through U, S and V, its Hessian included."""
    _, p, X, _ = setting()

    def f(q):
        U, S, V = M.split(q)
        return quartic(U @ S @ V.T)

    A, Z = M.embed_point(p), M.embed_vector(p, X)
    G, H = (A - TARGET) ** 3, 3.0 * (A - TARGET) ** 2 * Z
    e = Problem(M, CostObjective(f)).evaluate(p)
    np.testing.assert_allclose(e.gradient, M.riemannian_gradient(p, G), atol=1e-12)
    np.testing.assert_allclose(e.hessian(X), M.riemannian_hessian(p, G, H, X), atol=1e-12)
    result = trust_regions(M, f, p)
    assert result.converged and result.evaluations["hessian"] > 0


def test_derivatives_from_storage_in_powers_and_products():
    """Exact there too: the Hessian of a sum over the parts is that of each."""
    N = FixedRank(4, 3, 2)
    for whole in (PowerManifold(N, 2), ProductManifold(A=N, x=Sphere(2))):
        rng = np.random.default_rng(0)
        p = whole.random_point(rng)
        X = whole.random_vector(p, rng)

        first = (lambda q: q[0]) if isinstance(whole, PowerManifold) else (lambda q: whole.split(q)[0])  # noqa: B023

        def f(q, first=first):
            U, S, V = N.split(first(q))
            return anp.sum((U @ S @ V.T - TARGET[:4, :3]) ** 4)

        e = Problem(whole, CostObjective(f)).evaluate(p)
        h = 1e-4
        ends = [
            whole.vector_transport_to(q, Problem(whole, CostObjective(f)).gradient(q), p, method="projection")
            for q in (whole.retract(p, X, h), whole.retract(p, X, -h))
        ]
        np.testing.assert_allclose(e.hessian(X), (ends[0] - ends[1]) / (2 * h), atol=1e-4)


def test_a_sparse_gradient_may_fill_one_matrix_again_and_again():
    """The Hessian at a point needs the gradient there, whatever has been written since."""
    _, p, X, _ = setting()
    mask = sp.csr_matrix((np.random.default_rng(1).uniform(size=(7, 5)) < 0.7).astype(float))
    i, j = mask.nonzero()
    buffer = mask.copy()

    def gradient(q, out=buffer):
        out.data[:] = M.entries(q, i, j) - TARGET[i, j]
        return out

    def f(q):
        return 0.5 * np.sum((M.entries(q, i, j) - TARGET[i, j]) ** 2)

    def hessian(q, Y):
        return sp.csr_matrix((Y.entries(i, j), mask.indices, mask.indptr), shape=(7, 5))

    problem = Problem(M, CostObjective(f, gradient, hessian, objective_type="euclidean"))
    e = problem.evaluate(p)
    e.gradient  # noqa: B018
    problem.gradient(M.retract(p, X))
    expected = M.riemannian_hessian(p, sp.csr_matrix(gradient(p)), hessian(p, M.euclidean_direction(p, X)), X)
    np.testing.assert_allclose(e.hessian(X), expected, atol=1e-14)


def test_operators_are_refused_where_the_embedding_is_an_array():
    problem = Problem(Euclidean(2, 2), CostObjective(lambda p: 0.0, lambda p: sp.eye(2), objective_type="euclidean"))
    with pytest.raises(TypeError, match="toarray"):
        problem.gradient(np.eye(2))
    problem = Problem(M, CostObjective(lambda p: 0.0, lambda p: sp.eye(7, 5)))
    with pytest.raises(TypeError, match="objective_type='euclidean'"):
        problem.gradient(M.random_point(0))


def curvature(N, p, X, Y):
    """Of the plane of two orthonormal vectors, by the equation of Gauss with the second fundamental form."""

    def second(A, B):
        _, S, _ = N.split(p)
        (a, _, b), (c, _, d) = N.split_vector(A), N.split_vector(B)
        return a @ np.linalg.solve(S, d.T) + c @ np.linalg.solve(S, b.T)

    return np.sum(second(X, X) * second(Y, Y)) - np.sum(second(X, Y) ** 2)


def test_curvature_has_both_signs_from_rank_two_on():
    U, V = np.eye(7)[:, :2], np.eye(5)[:, :2]
    p = M.join(U, np.diag([3.0, 2.0]), V)
    e, f, zero = np.zeros((7, 2)), np.zeros((5, 2)), np.zeros((2, 2))
    e[3, 0] = f[3, 0] = 1.0
    X, Y = M.join_vector(e, zero, 0 * f), M.join_vector(0 * e, zero, f)
    assert curvature(M, p, X, Y) == pytest.approx(-1.0 / 9.0)
    X = M.join_vector(e, zero, f) / np.sqrt(2)
    Y = M.join_vector(e[:, ::-1], zero, f[:, ::-1]) / np.sqrt(2)
    assert curvature(M, p, X, Y) == pytest.approx(1.0 / 6.0)
    assert M.sectional_curvature_bounds == (-np.inf, np.inf)
    N = FixedRank(4, 3, 1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = N.random_point(rng)
        Q = np.linalg.qr(np.stack([N.random_vector(p, rng) for _ in "XY"], axis=1))[0]
        assert curvature(N, p, *Q.T) <= 1e-15
    assert N.sectional_curvature_bounds == (-np.inf, 0.0)
    assert FixedRank(3, 4, 3).sectional_curvature_bounds == (0.0, 0.0)


def test_pymanopt_lets_no_trust_region_have_this_manifold():
    """There: no Hessian, no batches, no inverse retraction, points that are tuples."""
    rng, p, X, _ = setting(size=(2, 4))
    assert type(p + X) is np.ndarray
    assert M.retract(p, X).shape == (2, 4, *M.point_shape)
    np.testing.assert_allclose(M.inverse_retract(p, M.retract(p, X)), X, atol=1e-12)
    A = nearest(rng.standard_normal((7, 5)), 2)
    result = trust_regions(
        M,
        lambda q: 0.5 * np.sum((M.embed_point(q) - A) ** 2),
        p[0, 0],
        gradient=lambda q: M.embed_point(q) - A,
        hessian=lambda q, Z: Z,
        objective_type="euclidean",
    )
    assert result.converged
    np.testing.assert_allclose(M.embed_point(result.point), A, atol=1e-6)


def test_what_is_missing_names_what_is_there():
    _, p, X, _ = setting()
    with pytest.raises(MissingOperation, match="orthographic"):
        M.exp(p, X)
    with pytest.raises(MissingOperation, match="inverse_retract"):
        M.log(p, p)


def test_messages():
    _, p, _, _ = setting()
    U, S, V = M.split(p)
    with pytest.raises(NotOnManifold, match="part U.*orthonormal"):
        M.check_point(M.join(2 * U, S, V))
    with pytest.raises(NotOnManifold, match="invertible"):
        M.check_point(M.join(U, 0 * S, V))
    with pytest.raises(NotTangent, match="Vp.*tangentialize"):
        M.check_vector(p, M.join_vector(0 * U, S, V))
    with pytest.raises(ValueError, match="k <= min"):
        FixedRank(3, 2, 3)
    with pytest.raises(ValueError, match="positive integer"):
        FixedRank(3, 2, 0)
    with pytest.raises(ValueError, match="rank below"):
        M.project_point(np.zeros((7, 5)))


def test_low_rank_matrices():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
    X = LowRank(A, B)
    D = A @ B.T
    np.testing.assert_allclose((2.0 * X - X / 4 + X.H.H).toarray(), 2.75 * D)
    np.testing.assert_allclose(D.T @ X, D.T @ D)
    np.testing.assert_allclose(X @ D.T, D @ D.T)
    i, j = rng.integers(0, 4, 40_000), rng.integers(0, 3, 40_000)
    np.testing.assert_allclose(X.entries(i, j), D[i, j])
    with pytest.raises(TypeError, match="toarray"):
        np.ones((4, 3)) * X
    with pytest.raises(ValueError, match="as many columns"):
        LowRank(A, B.T)
    assert "(4, 3)" in repr(X)
