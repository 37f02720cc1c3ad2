"""The metrics of positive definite matrices beside the affine-invariant one: 50-digit values, identities, messages."""

import copy
import math
import pickle

import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import expm, logm, sqrtm

from manifold_opt import gradient_descent, trust_regions
from manifold_opt.manifolds import HermitianPositiveDefinite, MissingOperation, SymmetricPositiveDefinite
from manifold_opt.testing import check_accuracy, check_exp_accuracy

METRICS = ["log-euclidean", "log-cholesky", "bures-wasserstein"]
LOGS = {name: getattr(exact, name.replace("-", "_") + "_log") for name in METRICS}
EXPS = {name: getattr(exact, name.replace("-", "_") + "_exp") for name in METRICS}


def condition(p, q):
    return float(max(np.linalg.cond(p), np.linalg.cond(q)))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("metric", METRICS)
def test_against_fifty_digits(metric, n):
    M = SymmetricPositiveDefinite(n, metric=metric)
    check_accuracy(M, LOGS[metric], samples=1, condition=condition)
    check_accuracy(M, LOGS[metric], samples=1, dtype=np.float32, condition=lambda p, q: 0.0)
    check_exp_accuracy(M, EXPS[metric], samples=1, allowed=1e-14)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("metric", METRICS)
def test_ill_conditioned_points(metric, size):
    """Within 1e-15 times the condition, also for the logarithm measured in the metric."""
    M = SymmetricPositiveDefinite(4, metric=metric)
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    p = (Q * np.geomspace(1.0, 1.0 / size, 4)) @ Q.T
    p = 0.5 * (p + p.T)
    V = M.get_vector(p, rng.standard_normal(M.dim))
    reach = min(1.0, np.linalg.eigvalsh(p)[0] ** 0.5)
    for length in (1e-9, 1e-3, 0.9):
        q = M.exp(p, V, reach * length / M.norm(p, V))
        X, d = LOGS[metric](p, q)
        allowed = max(1e-13, 1e-15 * condition(p, q))
        assert abs(M.distance(p, q) - d) <= allowed * d
        assert M.norm(p, (M.log(p, q) - X).astype(float)) <= allowed * d


def test_one_door_many_classes():
    kinds = [SymmetricPositiveDefinite(3), *(SymmetricPositiveDefinite(3, metric=name) for name in METRICS)]
    assert len(set(kinds)) == 4
    for M in kinds:
        assert isinstance(M, SymmetricPositiveDefinite)
        assert eval(repr(M)) == M == pickle.loads(pickle.dumps(M)) == copy.deepcopy(M)
    assert kinds[0] == SymmetricPositiveDefinite(3, metric="affine-invariant") != SymmetricPositiveDefinite(2)
    with pytest.raises(ValueError, match=r"one of 'affine-invariant', .*'euclid'"):
        SymmetricPositiveDefinite(3, metric="euclid")
    with pytest.raises(ValueError, match=r"call SymmetricPositiveDefinite\(n, metric='log-euclidean'\)"):
        type(kinds[0])(3, metric="log-euclidean")

    class Loud(type(kinds[0])):
        def distance(self, p, q):
            return 2.0 * super().distance(p, q)

    assert Loud(3).distance(np.eye(3), 2.0 * np.eye(3)) == pytest.approx(2.0 * math.sqrt(3.0) * math.log(2.0))


def test_log_euclidean_against_scipy():
    M = SymmetricPositiveDefinite(3, metric="log-euclidean")
    p, q = M.random_point(0), M.random_point(1)
    assert M.distance(p, q) == pytest.approx(np.linalg.norm(logm(p) - logm(q)), rel=1e-12)
    np.testing.assert_allclose(M.mid_point(p, q), expm(0.5 * (logm(p) + logm(q))), atol=1e-13)
    # orthogonal congruence and inversion are isometries, general congruence is not
    A = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    assert M.distance(A @ p @ A.T, A @ q @ A.T) == pytest.approx(M.distance(p, q), rel=1e-12)
    assert M.distance(np.linalg.inv(p), np.linalg.inv(q)) == pytest.approx(M.distance(p, q), rel=1e-12)


def test_equal_eigenvalues_need_no_care():
    """Divided differences at coinciding eigenvalues, where quotients of differences are 0/0."""
    M = SymmetricPositiveDefinite(3, metric="log-euclidean")
    p = np.diag([2.0, 2.0, 2.0 * (1 + 1e-15)])
    X = np.random.default_rng(0).standard_normal((3, 3))
    X = X + X.T
    np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=1e-13)
    assert M.norm(p, X) == pytest.approx(0.5 * np.linalg.norm(X), rel=1e-14)
    eye = np.eye(3)
    np.testing.assert_allclose(M.exp(eye, X), expm(X), rtol=1e-12)


def test_log_cholesky_is_the_euclidean_metric_of_its_chart():
    M = SymmetricPositiveDefinite(3, metric="log-cholesky")
    p, q = M.random_point(0), M.random_point(1)

    def chart(x):
        L = np.linalg.cholesky(x)
        return np.concatenate([np.log(np.diag(L)), L[np.tril_indices(3, -1)]])

    assert M.distance(p, q) == pytest.approx(np.linalg.norm(chart(p) - chart(q)), rel=1e-13)
    np.testing.assert_allclose(M.get_coordinates(p, M.log(p, q)), chart(q) - chart(p), atol=1e-13)
    np.testing.assert_allclose(chart(M.mid_point(p, q)), 0.5 * (chart(p) + chart(q)), atol=1e-13)


def test_manifolds_jl_log_cholesky_vectors_are_pushed_forward_with_the_cholesky_factor():
    """There: with p in its place. A vector of coordinates e moves the chart by e."""
    M = SymmetricPositiveDefinite(2, metric="log-cholesky")
    p = M.random_point(0)
    h = 1e-5
    for e in np.eye(3):
        X = M.get_vector(p, e)
        up, down = (np.linalg.cholesky(p + t * X) for t in (h, -h))
        moved = np.array([np.log(up[0, 0] / down[0, 0]), np.log(up[1, 1] / down[1, 1]), up[1, 0] - down[1, 0]])
        np.testing.assert_allclose(moved / (2 * h), e, atol=1e-9)


def test_bures_wasserstein_distance_and_transport_map():
    M = SymmetricPositiveDefinite(3, metric="bures-wasserstein")
    p, q = M.random_point(0), M.random_point(1)
    root = sqrtm(p)
    cross = np.trace(sqrtm(root @ q @ root))
    assert M.distance(p, q) == pytest.approx(math.sqrt(np.trace(p) + np.trace(q) - 2 * cross), rel=1e-12)
    # diagonal matrices: Euclidean distance of the roots
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 16.0])
    assert M.distance(np.diag(a), np.diag(b)) == pytest.approx(math.sqrt(3.0), rel=1e-15)
    # orthogonal congruences are isometries
    A = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    assert M.distance(A @ p @ A.T, A @ q @ A.T) == pytest.approx(M.distance(p, q), rel=1e-12)


def test_manifolds_jl_bures_wasserstein_log_of_products_that_are_not_symmetric():
    """There: the root of the mirrored upper triangle of p q; round trip error 3.1 for values near 4."""
    M = SymmetricPositiveDefinite(3, metric="bures-wasserstein")
    rng = np.random.default_rng(5)
    for _ in range(5):
        A, B = rng.standard_normal((2, 3, 3))
        p, q = A @ A.T + 0.1 * np.eye(3), B @ B.T + 0.1 * np.eye(3)
        np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, atol=1e-12)
        # X = (pq)^(1/2) + (qp)^(1/2) - 2p
        product = np.real(sqrtm(p @ q))
        np.testing.assert_allclose(M.log(p, q), product + product.T - 2 * p, atol=1e-9)


def test_bures_wasserstein_geodesics_end_at_singular_matrices():
    M = SymmetricPositiveDefinite(2, metric="bures-wasserstein")
    p = np.diag([1.0, 4.0])
    X = np.diag([-1.0, 2.0])  # S = diag(-1/2, 1/4): singular at t = 2
    assert M.max_step(p, X) == pytest.approx(0.99 * 2.0, rel=1e-15)
    assert M.max_step(p, -X) == pytest.approx(0.99 * 4.0, rel=1e-15)
    assert M.max_step(p, np.diag([1.0, 2.0])) == math.inf
    np.testing.assert_array_equal(
        M.max_step(np.stack([p, p]), np.stack([X, np.eye(2)])), [M.max_step(p, X), math.inf]
    )
    np.testing.assert_allclose(M.log(p, M.exp(p, X, 1.9)), 1.9 * X, atol=1e-13)
    assert M.norm(p, M.log(p, M.exp(p, X, 2.5))) < 2.5 * M.norm(p, X)
    assert M.injectivity_radius == 0.0
    assert M.injectivity_radius_at(p) == pytest.approx(1.0)
    with pytest.raises(MissingOperation, match="parallel_transport_to.*horizontal"):
        M.parallel_transport_to(p, X, p)
    with pytest.raises(np.linalg.LinAlgError, match=r"smallest eigenvalue is 0; .*M\.max_step"):
        M.exp(M.exp(p, X, 2.0), X)


def test_bures_wasserstein_horizontal_transport_never_stretches():
    M = SymmetricPositiveDefinite(3, metric="bures-wasserstein")
    p, q = M.random_point(0, (50,)), M.random_point(1, (50,))
    X = M.random_vector(p, 2)
    assert np.all(M.norm(q, M.vector_transport_to(p, X, q)) <= M.norm(p, X) * (1 + 1e-12))


def test_derivatives_may_be_sparse_and_need_not_be_symmetric():
    from scipy.sparse import csr_array

    for metric in METRICS:
        M = SymmetricPositiveDefinite(3, metric=metric)
        p = M.random_point(0)
        X = M.random_vector(p, 1)
        G, H = np.random.default_rng(2).standard_normal((2, 3, 3))
        S, T = 0.5 * (G + G.T), 0.5 * (H + H.T)
        for g, h in ((G, H), (csr_array(G), csr_array(H))):
            np.testing.assert_allclose(M.riemannian_gradient(p, g), M.riemannian_gradient(p, S), atol=1e-12)
            np.testing.assert_allclose(
                M.riemannian_hessian(p, g, h, X), M.riemannian_hessian(p, S, T, X), atol=1e-12
            )


# ---------------- Hermitian matrices


def test_hermitian_matrices_against_scipy_and_against_real_ones():
    M = HermitianPositiveDefinite(3)
    p, q = M.random_point(0), M.random_point(1)
    X = M.random_vector(p, 2)
    np.testing.assert_allclose(M.exp(p, X), p @ expm(np.linalg.solve(p, X)), atol=1e-12)
    np.testing.assert_allclose(M.log(p, q), p @ logm(np.linalg.solve(p, q)), atol=1e-12)
    A = np.random.default_rng(3).standard_normal((2, 3, 3)) @ np.ones((3, 3)) + np.eye(3)
    A = A[0] + 1j * A[1]
    c = lambda x: A @ x @ A.conj().T
    assert M.distance(c(p), c(q)) == pytest.approx(M.distance(p, q), rel=1e-12)
    # H = A + iB becomes [[A, -B], [B, A]]: distances grow by sqrt(2), since each eigenvalue comes twice
    real = lambda x: np.block([[x.real, -x.imag], [x.imag, x.real]])
    R = SymmetricPositiveDefinite(6)
    assert R.distance(real(p), real(q)) == pytest.approx(math.sqrt(2.0) * M.distance(p, q), rel=1e-13)
    np.testing.assert_allclose(R.log(real(p), real(q)), real(M.log(p, q)), atol=1e-13)
    Y = M.parallel_transport_to(p, X, q)
    np.testing.assert_allclose(R.parallel_transport_to(real(p), real(X), real(q)), real(Y), atol=1e-13)


@pytest.mark.parametrize("length", [1e-12, 1e-6, 1e-2, 1.0, 10.0])
def test_hermitian_matrices_against_fifty_digits(length):
    """Through the real form, whose logarithm the 50-digit one of real matrices gives."""
    M = HermitianPositiveDefinite(2)
    real = lambda x: np.block([[x.real, -x.imag], [x.imag, x.real]])
    p = M.random_point(4)
    X = M.random_vector(p, 5)
    q = M.exp(p, X, length / M.norm(p, X))
    exact_X, d = exact.spd_log(real(p), real(q))
    allowed = max(1e-13, 1e-15 * condition(p, q))
    assert abs(M.distance(p, q) * math.sqrt(2.0) - d) <= allowed * d
    off = (real(M.log(p, q)) - exact_X).astype(float)
    assert np.abs(off).max() <= allowed * float(max(abs(x) for x in exact_X.flat))


def test_geomstats_pymanopt_positive_definite_round_trips():
    """There: errors of 1.6e-5 and 1e-3 at condition 1e12, through square roots and inverses of the point."""
    for M in (SymmetricPositiveDefinite(3), HermitianPositiveDefinite(3)):
        rng = np.random.default_rng(0)
        Q = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(complex if M.field == "complex" else float)
        p = (Q * np.array([1.0, 1e-6, 1e-12])) @ Q.T
        p = 0.5 * (p + p.T)
        X = M.random_vector(p, 1)
        assert M.norm(p, M.log(p, M.exp(p, X)) - X) <= 1e-3 * M.norm(p, X)
        q = M.exp(p, X)
        np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, atol=1e-15 * np.abs(q).max())


# ---------------- more defects of peers


@pytest.mark.parametrize("metric", ["affine-invariant", *METRICS])
def test_geomstats_one_by_one_matrices(metric):
    """There: n = 1 fails. Positive numbers, with a logarithmic metric or the distance of roots."""
    M = SymmetricPositiveDefinite(1, metric=metric)
    p, q = np.array([[2.0]]), np.array([[7.0]])
    expected = {
        "affine-invariant": math.log(3.5),
        "log-euclidean": math.log(3.5),
        "log-cholesky": 0.5 * math.log(3.5),
        "bures-wasserstein": math.sqrt(7.0) - math.sqrt(2.0),
    }[metric]
    assert M.distance(p, q) == pytest.approx(expected, rel=1e-15)
    np.testing.assert_allclose(M.exp(p, M.log(p, q)), q, rtol=1e-15)


@pytest.mark.parametrize("metric", ["affine-invariant", *METRICS])
def test_geomstats_gradient_of_exp_where_eigenvalues_coincide(metric):
    """There: NaN, at the identity and along multiples of it, where everybody starts."""
    import autograd
    import autograd.numpy as anp

    M = SymmetricPositiveDefinite(3, metric=metric)
    eye = np.eye(3)
    S = np.random.default_rng(0).standard_normal((3, 3))
    S = S + S.T
    for X in (np.zeros((3, 3)), 0.1 * eye):
        for f in (lambda X: anp.sum(S * M.exp(eye, X)), lambda q: anp.sum(S * M.log(eye, eye + q))):
            g = autograd.grad(f)(X)
            h = 1e-5
            expected = (f(X + h * S) - f(X - h * S)) / (2 * h)
            assert np.sum(g * S) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("metric", ["affine-invariant", *METRICS])
def test_manifolds_jl_bases_are_orthonormal_and_cubic(metric):
    """There: a basis that was not orthonormal, and coordinates by inner products with all basis matrices, O(n^5)."""
    M = SymmetricPositiveDefinite(3, metric=metric)
    p = M.random_point(0)
    basis = M.get_basis(p)
    gram = [[M.inner(p, a, b) for b in basis] for a in basis]
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-13)
    large = SymmetricPositiveDefinite(120, metric=metric)  # 7260 basis matrices would take minutes
    p = large.random_point(0)
    X = large.random_vector(p, 1)
    c = large.get_coordinates(p, X)
    assert np.linalg.norm(c) == pytest.approx(large.norm(p, X), rel=1e-11)
    np.testing.assert_allclose(large.get_vector(p, c), X, atol=1e-10)


@pytest.mark.parametrize("metric", ["affine-invariant", *METRICS])
def test_geomstats_single_precision_stays(metric):
    M = SymmetricPositiveDefinite(3, metric=metric)
    p, q = (M.random_point(seed).astype(np.float32) for seed in (0, 1))
    assert M.log(p, q).dtype == np.float32
    assert M.exp(p, M.log(p, q)).dtype == np.float32


# ---------------- means


def test_barycenter_of_normal_distributions():
    """The Bures-Wasserstein mean solves S = mean of (S^(1/2) A_i S^(1/2))^(1/2)."""
    M = SymmetricPositiveDefinite(3, metric="bures-wasserstein")
    A = M.random_point(0, (5,))
    result = gradient_descent(
        M,
        lambda p: 0.5 * np.mean(M.squared_distance(p, A)),
        A[0],
        gradient=lambda p: -np.mean(M.log(p, A), axis=0),
        objective_type="riemannian",
    )
    S = result.point
    root = np.real(sqrtm(S))
    np.testing.assert_allclose(np.mean([np.real(sqrtm(root @ B @ root)) for B in A], axis=0), S, atol=1e-7)


@pytest.mark.parametrize("metric", ["log-euclidean", "log-cholesky"])
def test_flat_means_are_closed_forms_that_solvers_find(metric):
    M = SymmetricPositiveDefinite(3, metric=metric)
    A = M.random_point(0, (5,))
    eye = np.eye(3)
    mean = M.exp(eye, np.mean(M.log(eye, A), axis=0))
    import autograd.numpy as anp

    result = trust_regions(M, lambda p: 0.5 * anp.mean(M.squared_distance(p, A)), A[0])
    np.testing.assert_allclose(result.point, mean, atol=1e-8)
    assert result.converged
