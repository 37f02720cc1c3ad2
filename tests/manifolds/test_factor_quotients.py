"""Factors of positive semidefinite matrices: 50 digits, other manifolds in disguise, known optima, messages."""

import math
from dataclasses import dataclass

import autograd.numpy as anp
import numpy as np
import pytest
from manifolds import exact
from scipy.linalg import sqrtm

from manifold_opt import trust_regions
from manifold_opt.manifolds import (
    Elliptope,
    NotOnManifold,
    NotTangent,
    ProductManifold,
    ProjectiveSpace,
    PSDFixedRank,
    Spectrahedron,
    SymmetricPositiveDefinite,
)
from manifold_opt.testing import check_accuracy

KINDS = [PSDFixedRank, Elliptope, Spectrahedron]
LOGS = {PSDFixedRank: exact.psd_fixed_rank_log, Spectrahedron: exact.spectrahedron_log}


def turn(k, seed, complex_field=False):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((k, k))
    return np.linalg.qr(Z + 1j * rng.standard_normal((k, k)) if complex_field else Z)[0]


def condition(p, q):
    """That of the matrices, not of the factors."""
    return float(max(np.linalg.cond(p), np.linalg.cond(q))) ** 2


@pytest.mark.parametrize(("n", "k"), [(3, 1), (5, 2), (6, 3)])
@pytest.mark.parametrize("kind", LOGS)
def test_log_and_distance_against_fifty_digits(kind, n, k):
    M = kind(n, k)
    check_accuracy(M, LOGS[kind], samples=1, condition=condition)
    check_accuracy(M, LOGS[kind], samples=1, dtype=np.float32)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("kind", LOGS)
def test_nearly_lower_rank(kind, size):
    """Errors grow with the ratio of the singular values, not with its square, the condition of the matrix."""
    M = kind(6, 3)
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.standard_normal((6, 3)))[0]
    p = M.project_point((U * np.geomspace(1.0, 1.0 / size, 3)) @ turn(3, 1))
    X = M.random_vector(p, 1)
    for part in (1e-5, 1e-2, 0.9):
        q = M.exp(p, X, part * M.injectivity_radius_at(p) / M.norm(p, X))
        Y, d = LOGS[kind](p, q)
        assert abs(M.distance(p, q) - d) <= max(1e-13, 1e-16 * size) * d
        assert M.norm(p, (M.log(p, q) - Y).astype(float)) <= max(1e-13, 1e-15 * size) * d


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("kind", KINDS)
def test_points_are_factors_up_to_turns(kind, field):
    M = kind(5, 2, field=field)
    p, r = M.random_point(0), M.random_point(1)
    Q = turn(2, 3, field == "complex")
    q = M.retract(p, 0.3 * M.random_vector(p, 2))
    np.testing.assert_allclose(M.matrix(p @ Q), M.matrix(p), atol=1e-14)
    np.testing.assert_allclose(M.matrix(M.from_matrix(M.matrix(p))), M.matrix(p), atol=1e-13)
    X = M.random_vector(p, 4)
    np.testing.assert_allclose(M.matrix(M.exp(p @ Q, X @ Q)), M.matrix(M.exp(p, X)), atol=1e-13)
    # the transported vector belongs to the factor that was given
    Y, Z = (M.vector_transport_to(p, X, other) for other in (r, r @ Q))
    np.testing.assert_allclose(Z, Y @ Q, atol=1e-13)
    M.check_vector(r @ Q, Z)
    V = M.inverse_retract(p, q @ Q)
    np.testing.assert_allclose(V, M.inverse_retract(p, q), atol=1e-12)
    np.testing.assert_allclose(M.matrix(M.retract(p, V)), M.matrix(q), atol=1e-12)
    assert M.distance(p, q @ Q) == pytest.approx(M.distance(p, q), rel=1e-13)
    far = q if kind is Elliptope else r
    np.testing.assert_allclose(M.log(p, far @ Q), M.log(p, far), atol=1e-12)
    assert M.distance(p, p @ Q) <= 1e-14


@pytest.mark.parametrize("kind", LOGS)
def test_complex_factors_are_real_ones_of_twice_the_size(kind):
    M, N = kind(4, 2, field="complex"), kind(8, 4)
    scale = math.sqrt(0.5) if kind is Spectrahedron else 1.0
    real = lambda x: scale * np.block([[x.real, -x.imag], [x.imag, x.real]])
    p, q = M.random_point(0), M.random_point(1)
    expected = N.distance(real(p), real(q)) * (1.0 if kind is Spectrahedron else math.sqrt(0.5))
    assert M.distance(p, q) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(real(M.log(p, q)), N.log(real(p), real(q)), atol=1e-12)
    if kind is PSDFixedRank:  # without a factor that rounds
        close = M.exp(p, M.random_vector(p, 2), 1e-10)
        np.testing.assert_allclose(real(M.log(p, close)), N.log(real(p), real(close)), atol=1e-23)


def test_full_rank_is_bures_wasserstein():
    M, N = PSDFixedRank(3, 3), SymmetricPositiveDefinite(3, metric="bures-wasserstein")
    p, q = M.random_point(0), M.random_point(1)
    S, T = M.matrix(p), M.matrix(q)
    assert M.distance(p, q) == pytest.approx(N.distance(S, T), rel=1e-12)
    X = M.log(p, q)
    np.testing.assert_allclose(X @ p.T + p @ X.T, N.log(S, T), atol=1e-12)
    # any rank: |p|^2 + |q|^2 - 2 tr((S^(1/2) T S^(1/2))^(1/2))
    M = PSDFixedRank(4, 2)
    p, q = M.random_point(2), M.random_point(3)
    nuclear = np.linalg.svd(p.T @ q, compute_uv=False).sum()
    assert M.distance(p, q) ** 2 == pytest.approx(np.sum(p * p) + np.sum(q * q) - 2 * nuclear, rel=1e-13)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_rank_one_of_trace_one_is_projective_space(field):
    M, N = Spectrahedron(4, 1, field=field), ProjectiveSpace(3, field=field)
    p, q = M.random_point(0), M.random_point(1)
    assert M.distance(p, q) == pytest.approx(N.distance(p[:, 0], q[:, 0]), rel=1e-14)
    np.testing.assert_allclose(M.log(p, q)[:, 0], N.log(p[:, 0], q[:, 0]), atol=1e-14)
    assert M.sectional_curvature_bounds == N.sectional_curvature_bounds
    assert M.injectivity_radius == N.injectivity_radius


def test_bures_angle_of_density_matrices():
    M = Spectrahedron(3, 3, field="complex")
    p, q = M.random_point(0), M.random_point(1)
    root = sqrtm(M.matrix(p))
    fidelity = np.trace(sqrtm(root @ M.matrix(q) @ root)).real
    assert M.distance(p, q) == pytest.approx(math.acos(fidelity), rel=1e-5)


@pytest.mark.parametrize("kind", LOGS)
def test_geodesics_are_shortest_up_to_the_largest_step(kind):
    M = kind(4, 2)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    t = M.max_step(p, X) / 0.99
    if t == math.inf:
        X = -X
        t = M.max_step(p, X) / 0.99
    length = M.norm(p, X)
    assert M.distance(p, M.exp(p, X, 0.999 * t)) == pytest.approx(0.999 * t * length, rel=1e-10)
    assert M.distance(p, M.exp(p, X, 1.02 * t)) < 1.0199 * t * length
    # towards the smallest singular vector, at the injectivity radius
    U, _, Vh = np.linalg.svd(p, full_matrices=False)
    Z = M.project_vector(p, -np.outer(U[:, -1], Vh[-1]))
    Z = Z / M.norm(p, Z)
    assert M.max_step(p, Z) / 0.99 == pytest.approx(M.injectivity_radius_at(p), rel=1e-12)


# ---------------- optima


def test_nearest_matrix_of_low_rank():
    """Eckart and Young."""
    M = PSDFixedRank(5, 2)
    B = np.random.default_rng(0).standard_normal((5, 5))
    S = B @ B.T
    result = trust_regions(M, lambda p: anp.sum((anp.dot(p, p.T) - S) ** 2), M.random_point(1))
    w, V = np.linalg.eigh(S)
    np.testing.assert_allclose(M.matrix(result.point), (V[:, -2:] * w[-2:]) @ V[:, -2:].T, atol=1e-6)


def test_smallest_eigenvalue():
    M = Spectrahedron(5, 1)
    B = np.random.default_rng(0).standard_normal((5, 5))
    C = B + B.T
    result = trust_regions(M, lambda p: anp.sum(p * anp.dot(C, p)), M.random_point(1))
    assert result.cost == pytest.approx(np.linalg.eigvalsh(C)[0], rel=1e-12)


def test_largest_cut_of_a_pentagon_relaxed():
    """The semidefinite relaxation has its optimum at angles 4 pi / 5 between neighbours, of rank 2."""
    M = Elliptope(5, 2)
    C = np.roll(np.eye(5), 1, axis=0)
    C = C + C.T
    result = trust_regions(M, lambda p: anp.sum(p * anp.dot(C, p)), M.random_point(3))
    assert result.cost == pytest.approx(10.0 * math.cos(0.8 * math.pi), rel=1e-12)


# ---------------- defects of peers, messages


def test_pymanopt_elliptope_has_no_exponential():
    """There: NotImplementedError. Great circles of all rows, which stay horizontal."""
    M = Elliptope(5, 3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    h = 1e-4
    q = M.exp(p, X, 0.7)
    velocity = (M.exp(p, X, 0.7 + h) - M.exp(p, X, 0.7 - h)) / (2 * h)
    np.testing.assert_allclose(M.project_vector(q, velocity), velocity, atol=1e-7)
    assert M.norm(q, velocity) == pytest.approx(M.norm(p, X), rel=1e-7)


def test_pymanopt_and_manopt_psd_distances_of_close_points():
    """There: from singular values of p'q or norms of differences of aligned factors, absolute error 1e-16 or 1e-8."""
    M = PSDFixedRank(5, 2)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X = X / M.norm(p, X)
    for length in (1e-8, 1e-10, 1e-12):
        q = p + length * X
        _, d = exact.psd_fixed_rank_log(p, q)
        assert abs(M.distance(p, q) - d) <= 1e-14 * d


@pytest.mark.parametrize("length", [1e-12, 1e-8, 1e-4, 1e-2, 0.3, 0.8])
def test_logarithm_of_the_elliptope_against_fifty_digits(length):
    M = Elliptope(5, 3)
    for seed in range(2):
        p = M.random_point(seed)
        X = M.random_vector(p, seed + 10)
        q = M.exp(p, X, length / M.norm(p, X))
        Y, d = exact.elliptope_log(p, q)
        allowed = 1e-15 * condition(p, q) + 1e-13
        assert abs(M.distance(p, q) - d) <= allowed * d
        assert M.norm(p, (M.log(p, q) - Y).astype(float)) <= allowed * d
        assert abs(M.distance(p[None], q[None])[0] - d) <= allowed * d


@pytest.mark.parametrize("method", ["projection", "exponential"])
def test_inverses_on_the_elliptope_far_away(method):
    M = Elliptope(6, 3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    q = M.retract(p, 0.8 * X / M.norm(p, X), method=method) @ turn(3, 5)
    V = M.inverse_retract(p, q, method=method)
    np.testing.assert_allclose(M.matrix(M.retract(p, V, method=method)), M.matrix(q), atol=1e-13)
    with pytest.raises(ValueError, match="too far from p; go there in several steps"):
        M.inverse_retract(p, np.concatenate([-p[:1], p[1:]]))


def test_elliptope_coordinates_are_smooth_for_higher_rank():
    """The turns around two rows in R^4 are told apart by others only: the coordinates must not start with two rows."""
    M = Elliptope(6, 4)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    q = M.retract(p, 1e-7 * M.random_vector(p, 2))
    there = M.get_coordinates(q, M.vector_transport_to(p, X, q))
    np.testing.assert_allclose(there, M.get_coordinates(p, X), atol=1e-4)


def test_products_invert_what_every_factor_can_invert():
    """An exponential without a logarithm must not be mixed with another inverse."""

    @dataclass(frozen=True, repr=False)
    class OneWay(Spectrahedron):
        inverse_retractions = {"projection": "_inverse_retract_projection"}
        default_inverse_retraction = "projection"

    M = ProductManifold(C=OneWay(3, 2), S=Spectrahedron(3, 2))
    assert "exponential" not in M._names("inverse retraction")
    with pytest.raises(ValueError, match="no inverse retraction named 'exponential'"):
        M.get_inverse_retraction("exponential")


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_gradients_of_distances_at_any_scale(scale):
    """Where points coincide is relative to their size."""
    import autograd

    for M, N in (
        (PSDFixedRank(3, 2), math.sqrt(scale)),
        (SymmetricPositiveDefinite(2, metric="bures-wasserstein"), scale),
    ):
        p = N * M.random_point(0)
        X = M.random_vector(p, 1)
        q = M.exp(p, X, 1e-6 * math.sqrt(scale) / M.norm(p, X))
        g = M.riemannian_gradient(p, autograd.grad(lambda x: M.distance(x, q))(p))  # noqa: B023
        assert M.norm(p, g) == pytest.approx(1.0, rel=1e-8)
        g = M.riemannian_gradient(p, autograd.grad(lambda x: M.distance(x, p))(p))  # noqa: B023
        assert M.norm(p, g) == 0.0


def test_messages():
    flat = np.zeros((4, 2))
    flat[:, 0] = 0.5
    for kind in KINDS:
        M = kind(4, 2)
        with pytest.raises(NotOnManifold, match="rank 2 .*smallest singular value is 0 "):
            M.check_point(M.project_point(flat))
        p = M.random_point(0)
        with pytest.raises(NotTangent, match=r"horizontal, .*M\.project_vector"):
            M.check_vector(p, p @ np.array([[0.0, 1.0], [-1.0, 0.0]]))
        with pytest.raises(ValueError, match="k <= n"):
            kind(2, 3)
        with pytest.raises(ValueError, match="needs 2 positive eigenvalues"):
            M.from_matrix(np.diag([1.0, 0.0, 0.0, -1.0]))
    with pytest.raises(NotOnManifold, match=r"rows of length 1 .*off by 1 .*M\.project_point"):
        Elliptope(3, 2).check_point(2.0 * Elliptope(3, 2).random_point(0))
    with pytest.raises(NotOnManifold, match=r"Frobenius norm 1 .*off by 1 .*M\.project_point"):
        Spectrahedron(3, 2).check_point(2.0 * Spectrahedron(3, 2).random_point(0))
    with pytest.raises(ValueError, match="at least 2, but it is 1"):
        Elliptope(3, 1)
    with pytest.raises(ValueError, match="dimension 0"):
        Spectrahedron(1, 1)
    with pytest.raises(ValueError, match="dimension 0"):
        Elliptope(1, 1, field="complex")
