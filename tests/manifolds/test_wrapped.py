"""Scaled and weighted metrics, a metric of one's own, tangent bundles, and manifolds that check their arguments."""

from __future__ import annotations

import math

import autograd.numpy as anp
import numpy as np
import pytest
from manifolds.all_manifolds import half_plane_matrix

from manifold_opt import gradient_descent, quasi_newton, trust_regions
from manifold_opt.manifolds import (
    DoublyStochastic,
    Euclidean,
    FixedRank,
    HalfSpace,
    Manifold,
    MetricManifold,
    MissingOperation,
    NotOnManifold,
    NotTangent,
    PowerManifold,
    ProductManifold,
    Rotations,
    Scaled,
    Sphere,
    Stiefel,
    SymmetricPositiveDefinite,
    TangentBundle,
    Validated,
)
from manifold_opt.manifolds.wrapped import Wrapped

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("M", [FixedRank(4, 3, 2), Stiefel(4, 2), Sphere(2)], ids=repr)
def test_nothing_of_the_inner_manifold_is_lost(M):
    """A new operation of the interface must be forwarded too, or fallbacks would take its place silently."""
    for name in (n for n in dir(Manifold) if not n.startswith("_")):
        if name not in ("is_point", "is_vector"):  # ask check_point and check_vector
            assert name in vars(Wrapped), name
    N = Validated(M)
    for name in ("takes_operators", "dim", "default_retraction", "point_shape", "operations"):
        assert getattr(N, name) == getattr(M, name)
    assert Scaled(M, 4.0).frobenius_scale == (4.0 * M.frobenius_scale if M.frobenius_scale is not None else None)


# ---------------- scaled metrics and weights


def test_lengths_grow_by_the_root_and_curvature_shrinks():
    """The sphere of radius 3 is the unit sphere with its metric times 9."""
    M = Scaled(Sphere(2), 9.0)
    p, q = M.random_point(0, (2,))
    assert M.distance(p, q) == pytest.approx(3.0 * Sphere(2).distance(p, q))
    assert M.injectivity_radius == pytest.approx(3.0 * math.pi)
    assert M.sectional_curvature_bounds == pytest.approx((1 / 9, 1 / 9))
    with pytest.raises(ValueError, match="positive"):
        Scaled(Sphere(2), 0.0)


def test_weights_of_a_product():
    M = ProductManifold(R=Rotations(3), t=Euclidean(2), weights={"t": 0.25})
    N = ProductManifold(R=Rotations(3), t=Euclidean(2))
    p, q = M.random_point(1, (2,))
    (dR, dt) = (N["R"].distance(p[:9].reshape(3, 3), q[:9].reshape(3, 3)), np.linalg.norm(p[9:] - q[9:]))
    assert M.distance(p, q) == pytest.approx(math.hypot(dR, 0.5 * dt))
    G = RNG.standard_normal(11)
    ours, plain = M.split_vector(M.riemannian_gradient(p, G)), N.split_vector(N.riemannian_gradient(p, G))
    np.testing.assert_allclose(ours[0], plain[0], atol=1e-15)
    np.testing.assert_allclose(ours[1], 4.0 * plain[1], atol=1e-14)
    assert M == ProductManifold(R=Rotations(3), t=Euclidean(2), weights={"t": 0.25, "R": 1.0}) != N
    assert eval(repr(M)) == M


def test_weights_that_name_no_factor():
    with pytest.raises(ValueError, match=r"'s'.*'R'"):
        ProductManifold(R=Sphere(2), weights={"s": 2.0})
    assert ProductManifold(weights=Sphere(2)).names == ("weights",)


def test_weights_balance_a_badly_scaled_problem():
    """With the second factor 10^4 times as steep, gradient descent needs the weight that says so."""
    target = np.array([0.3, -0.4])

    def cost(p):
        return anp.sum((p[:2] - target) ** 2) + 1e4 * anp.sum((p[2:] - target) ** 2)

    keywords = dict(stopping=None, max_iterations=200, tolerance=1e-8)
    balanced = ProductManifold(a=Euclidean(2), b=Euclidean(2), weights={"b": 1e4})
    result = gradient_descent(balanced, cost, np.zeros(4), **keywords)
    assert result.converged and result.iterations <= 20
    np.testing.assert_allclose(result.point, [*target, *target], atol=1e-8)


# ---------------- a metric of one's own


def test_the_half_plane_as_a_metric_on_its_points():
    """Gradient and Hessian against closed forms that know the metric."""
    H = HalfSpace(2)
    M = MetricManifold(H, half_plane_matrix)
    p = H.random_point(2, (4,))
    X, G, K = (RNG.standard_normal((4, 2)) for _ in range(3))
    np.testing.assert_allclose(M.inner(p, X, G), H.inner(p, X, G), rtol=1e-6)  # the matrix is in single precision
    M = MetricManifold(H, lambda p: (1.0 / p[..., -1] ** 2)[..., None, None] * np.eye(2))
    np.testing.assert_allclose(M.riemannian_gradient(p, G), H.riemannian_gradient(p, G), rtol=1e-12)
    np.testing.assert_allclose(M.riemannian_hessian(p, G, K, X), H.riemannian_hessian(p, G, K, X), rtol=1e-7, atol=1e-8)


def test_a_metric_on_the_sphere_has_no_geodesics_but_a_minimum():
    A = np.diag([1.0, 10.0, 100.0])
    M = MetricManifold(Sphere(2), lambda p: A + np.eye(3))
    with pytest.raises(MissingOperation, match="exp"):
        M.exp(M.random_point(0), np.zeros(3))
    assert "exponential" not in M._names("retraction") and "base exponential" in M._names("retraction")
    b = np.array([1.0, 2.0, 3.0])
    for solver in (quasi_newton, trust_regions):
        result = solver(M, lambda p: 0.5 * p @ A @ p - b @ p, M.random_point(1), tolerance=1e-8)
        plain = solver(Sphere(2), lambda p: 0.5 * p @ A @ p - b @ p, M.random_point(1), tolerance=1e-8)
        assert result.converged
        np.testing.assert_allclose(result.point, plain.point, atol=1e-6)


def test_the_hessian_as_a_metric_makes_descent_newtons_method():
    A = np.diag([1.0, 1e6]) + 0.3
    b = np.array([1.0, -2.0])
    M = MetricManifold(Euclidean(2), lambda p: A)
    p = np.array([3.0, 4.0])
    np.testing.assert_allclose(p - M.riemannian_gradient(p, A @ p - b), np.linalg.solve(A, b), rtol=1e-9)


def test_metrics_that_cannot_be():
    with pytest.raises(TypeError, match="lambda p: A"):
        MetricManifold(Sphere(2), np.eye(3))
    with pytest.raises(TypeError, match="complex"):
        MetricManifold(Euclidean(2, field="complex"), lambda p: np.eye(2))


# ---------------- tangent bundles


def test_over_a_flat_base_the_bundle_is_a_product():
    M, N = TangentBundle(Euclidean(2)), Euclidean(4)
    x, y = M.random_point(0, (2,))
    assert M.distance(x, y) == pytest.approx(N.distance(x, y))
    np.testing.assert_allclose(M.log(x, y), y - x)


def test_no_exponential_over_a_curved_base():
    M = TangentBundle(Sphere(2))
    with pytest.raises(MissingOperation):
        M.exp(M.random_point(0), M.random_vector(M.random_point(0), 0))
    with pytest.raises(TypeError, match="parallel transport"):
        TangentBundle(DoublyStochastic(3))


def test_the_vector_stays_parallel_along_the_retraction():
    M, S = TangentBundle(Sphere(2)), Sphere(2)
    x = M.random_point(3)
    p, X = M.split(x)
    V = S.random_vector(p, 4)
    q, Y = M.split(M.retract(x, M.join_vector(V, 0.0 * V)))
    np.testing.assert_allclose(q, S.exp(p, V), atol=1e-15)
    np.testing.assert_allclose(Y, S.parallel_transport_direction(p, X, V), atol=1e-15)


@pytest.mark.parametrize("M", [Sphere(3), SymmetricPositiveDefinite(2), Rotations(3)], ids=repr)
def test_regression_by_initial_velocity(M):
    """Data on a geodesic: its point and velocity at time 0, an element of the bundle, are found by a solver."""
    B = TangentBundle(M)
    rng = np.random.default_rng(5)
    p = M.random_point(rng)
    X = M.random_vector(p, rng)
    X = X * (0.8 / M.norm(p, X))
    times = np.linspace(-1.0, 1.0, 5)
    data = M.exp(p[None], X[None], times)

    def cost(x):
        at, V = B.split(x)
        return 0.5 * sum(M.squared_distance(M.exp(at, V, t), y) for t, y in zip(times, data))

    q = M.exp(p, M.random_vector(p, rng), 0.1)
    start = B.join(q, 0.5 * M.parallel_transport_to(p, X, q))
    result = quasi_newton(B, cost, start, tolerance=1e-7)
    assert result.converged
    at, V = B.split(result.point)
    np.testing.assert_allclose(at, p, atol=1e-6)
    np.testing.assert_allclose(V, X, atol=1e-5)


def test_the_message_says_which_part_of_the_bundle_is_off():
    M = TangentBundle(Sphere(2))
    x = M.random_point(0)
    with pytest.raises(NotOnManifold, match="base point"):
        M.check_point(x + np.array([1.0, 0, 0, 0, 0, 0]))
    with pytest.raises(NotOnManifold, match="vector of a point"):
        M.check_point(M.join(x[:3], x[3:] + x[:3]))
    with pytest.raises(NotTangent, match="vertical"):
        M.check_vector(x, np.concatenate([np.zeros(3), x[:3]]))


# ---------------- validated


def test_errors_say_argument_member_factor_and_copy():
    M = Validated(ProductManifold(R=PowerManifold(Rotations(3), 4), t=Euclidean(3)))
    p = M.random_point(0, (5,))
    X = M.random_vector(p, 1)
    off = p.copy()
    off[3, 9] += 1.0
    with pytest.raises(NotOnManifold, match=r"argument q of log .* member \[3\] .* factor R .* copy \[1\]"):
        M.log(p, off)
    bad = X.copy()
    bad[2, 1] += 1e-3
    with pytest.raises(NotTangent, match=r"argument Y of inner .* member \[2\] .* factor R .* copy \[0\]"):
        M.inner(p, X, bad)
    with pytest.raises(NotTangent, match="argument X of retract"):
        M.get_retraction()(p, np.nan * X)
    with pytest.raises(ValueError, match="argument c of get_vector"):
        M.get_vector(p, np.zeros((5, 4)))


def test_a_result_that_is_off_is_named():
    class Careless(Sphere):
        def exp(self, p, X, t=1.0, *, out=None):
            return p + t * X

    with pytest.raises(NotOnManifold, match="the result of exp"):
        Validated(Careless(2)).exp(Sphere(2).random_point(0), Sphere(2).random_vector(Sphere(2).random_point(0), 0))


def test_a_wrong_gradient_is_found_by_the_solver():
    """The classical slip: a Euclidean gradient handed over as a Riemannian one."""
    A = np.diag([1.0, 2.0, 3.0])
    p0 = np.array([0.6, 0.0, 0.8])
    with pytest.raises(NotTangent, match="argument"):
        gradient_descent(Validated(Sphere(2)), lambda p: p @ A @ p, p0, gradient=lambda p: 2.0 * A @ p)
    result = gradient_descent(
        Validated(Sphere(2)), lambda p: p @ A @ p, p0, gradient=lambda p: 2.0 * A @ p, objective_type="euclidean"
    )
    assert result.converged
