"""Differentials by Jacobi fields against differences, adjoints against inner products, and both against autograd."""

from __future__ import annotations

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import functions as F
from manifold_opt.functions.jacobi_fields import generalized_cosine, generalized_sinc
from manifold_opt.manifolds import (
    Euclidean,
    Grassmann,
    HermitianPositiveDefinite,
    Hyperbolic,
    MissingOperation,
    Oblique,
    PowerManifold,
    ProbabilitySimplex,
    ProductManifold,
    ProjectiveSpace,
    Rotations,
    SpecialEuclidean,
    Sphere,
    Stiefel,
    SymmetricPositiveDefinite,
    Unitary,
)

MANIFOLDS = [
    Euclidean(2),
    Sphere(1),
    Sphere(3),
    Hyperbolic(2),
    SymmetricPositiveDefinite(3),
    HermitianPositiveDefinite(2),
    Rotations(3),
    Rotations(4),
    Unitary(3),
    Grassmann(5, 2),
    Grassmann(3, 2),
    Grassmann(4, 2, field="complex"),
    ProjectiveSpace(2),
    ProjectiveSpace(2, field="complex"),
    ProbabilitySimplex(2),
    Oblique(3, 2),
    SpecialEuclidean(3),
    PowerManifold(SymmetricPositiveDefinite(2), 2),
    ProductManifold(a=Sphere(2), b=Rotations(3)),
]
T = 0.3


class Setting:
    """Two points, what lies between them, and vectors at them."""

    def __init__(self, M, size=()):
        rng = np.random.default_rng(1)
        self.p = M.random_point(rng, size)
        X = M.random_vector(self.p, rng)
        self.X = 0.8 * X / np.reshape(M.norm(self.p, X), size + (1,) * len(M.vector_shape))
        self.q, self.g = M.exp(self.p, self.X), M.exp(self.p, self.X, T)
        self.V, self.W, self.U = (M.random_vector(at, rng) for at in (self.p, self.q, self.g))


def slope(f, h=1e-3):
    return (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h)


def moved(M, f, at):
    """The velocity of a curve of points, without what moves the representative of a class only."""
    return M.project_vector(at, slope(lambda s: M.embed_point(f(s))))


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_exponential(M):
    s = Setting(M)
    X, V = s.X, s.V
    by_differences = moved(M, lambda h: M.exp(s.p, X + h * V), s.q)
    np.testing.assert_allclose(F.differential_exp_argument(M, s.p, X, V), by_differences, atol=1e-9)
    carried = lambda h: M.exp(M.exp(s.p, V, h), M.parallel_transport_direction(s.p, X, h * V))
    np.testing.assert_allclose(F.differential_exp_basepoint(M, s.p, X, V), moved(M, carried, s.q), atol=1e-9)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_logarithm(M):
    s = Setting(M)
    by_differences = slope(lambda h: M.log(s.p, M.exp(s.q, s.W, h)))
    np.testing.assert_allclose(F.differential_log_argument(M, s.p, s.q, s.W), by_differences, atol=1e-9)

    def log_from(h):
        there = M.exp(s.p, s.V, h)
        return M.parallel_transport_to(there, M.log(there, s.q), s.p)

    np.testing.assert_allclose(F.differential_log_basepoint(M, s.p, s.q, s.V), slope(log_from), atol=1e-9)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_geodesics_between_points(M):
    s = Setting(M)
    between = lambda p, q: M.exp(p, M.log(p, q), T)
    start = moved(M, lambda h: between(M.exp(s.p, s.V, h), s.q), s.g)
    end = moved(M, lambda h: between(s.p, M.exp(s.q, s.W, h)), s.g)
    np.testing.assert_allclose(F.differential_geodesic_startpoint(M, s.p, s.q, T, s.V), start, atol=1e-9)
    np.testing.assert_allclose(F.differential_geodesic_endpoint(M, s.p, s.q, T, s.W), end, atol=1e-9)
    np.testing.assert_allclose(F.differential_geodesic(M, s.p, s.q, T, s.V, s.W), start + end, atol=1e-9)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_adjoints(M):
    s = Setting(M)
    p, q, g, X, V, W, U = s.p, s.q, s.g, s.X, s.V, s.W, s.U
    at = lambda f, *given: f(M, *given)
    # the differential, its arguments, where it leads and what is there; the adjoint's where and what
    rows = [
        ("exp_argument", (p, X), V, q, W, p),
        ("exp_basepoint", (p, X), V, q, W, p),
        ("log_argument", (p, q), W, p, V, q),
        ("log_basepoint", (p, q), V, p, X, p),
        ("geodesic_startpoint", (p, q, T), V, g, U, p),
        ("geodesic_endpoint", (p, q, T), W, g, U, q),
    ]
    for name, given, vector, there, covector, here in rows:
        forward = M.inner(there, at(getattr(F, f"differential_{name}"), *given, vector), covector)
        backward = M.inner(here, vector, at(getattr(F, f"adjoint_differential_{name}"), *given, covector))
        assert forward == pytest.approx(backward, abs=1e-12), name


@pytest.mark.parametrize("M", [Sphere(3), Hyperbolic(2), SymmetricPositiveDefinite(3), Rotations(3)], ids=repr)
def test_autograd_says_the_same(M):
    s = Setting(M)
    E = np.random.default_rng(2).standard_normal(M.embedding_shape)
    f = lambda h: anp.sum(E * M.exp(s.p, s.X + h * s.V))
    expected = np.sum(E * M.embed_vector(s.q, F.differential_exp_argument(M, s.p, s.X, s.V)))
    assert autograd.grad(f)(0.0) == pytest.approx(expected, abs=1e-11)
    G = autograd.grad(lambda y: anp.sum(s.X * M.log(s.p, y)))(s.q)
    to_X = M.riemannian_gradient(s.p, M.embed_vector(s.p, s.X))  # <to_X, .> is the sum over entries with X
    there = F.adjoint_differential_log_argument(M, s.p, s.q, to_X)
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(s.q, G), there, atol=1e-10)


@pytest.mark.parametrize("M", [Sphere(2), SymmetricPositiveDefinite(2), Grassmann(4, 2), Rotations(3)], ids=repr)
def test_batches(M):
    s = Setting(M, (2, 3))
    t = np.linspace(0.1, 0.9, 6).reshape(2, 3)
    together = F.differential_geodesic_startpoint(M, s.p, s.q, t, s.V)
    for i in np.ndindex(2, 3):
        one = F.differential_geodesic_startpoint(M, s.p[i], s.q[i], float(t[i]), s.V[i])
        np.testing.assert_allclose(together[i], one, atol=1e-12)
    many = F.differential_exp_argument(M, s.p[0, 0], s.X[0, 0], np.stack([s.V[0, 0], 2.0 * s.X[0, 0]]))
    np.testing.assert_allclose(many[0], F.differential_exp_argument(M, s.p[0, 0], s.X[0, 0], s.V[0, 0]), atol=1e-13)
    small = F.differential_exp_argument(M, *(a.astype(np.float32) for a in (s.p, s.X, s.V)))
    assert small.dtype == np.float32


def test_any_frame_of_the_other_subspace():
    """Vectors at q are stored at the frame that q is given by."""
    M = Grassmann(5, 2)
    s = Setting(M)
    R = np.array([[0.0, 1.0], [-1.0, 0.0]])
    D = F.differential_log_argument(M, s.p, s.q, s.W)
    np.testing.assert_allclose(F.differential_log_argument(M, s.p, s.q @ R, s.W @ R), D, atol=1e-13)
    A = F.adjoint_differential_log_argument(M, s.p, s.q, s.V)
    np.testing.assert_allclose(F.adjoint_differential_log_argument(M, s.p, s.q @ R, s.V), A @ R, atol=1e-13)


@pytest.mark.parametrize("M", [Sphere(2), Hyperbolic(2), SymmetricPositiveDefinite(2), Grassmann(4, 2)], ids=repr)
def test_along_the_zero_vector_nothing_changes(M):
    p, V = Setting(M).p, Setting(M).V
    for f in (F.differential_exp_argument, F.differential_exp_basepoint):
        np.testing.assert_allclose(f(M, p, M.zero_vector(p), V), V, atol=1e-14)


def test_scalar_functions():
    """Both sides of zero, and through it: solutions of y'' + x y = 0 at time 1."""
    x = np.array([-40.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 9.0])
    root = np.sqrt(x.astype(complex))
    np.testing.assert_allclose(generalized_cosine(x), np.cos(root).real, rtol=1e-14)
    with np.errstate(invalid="ignore"):
        sinc = np.where(x == 0, 1.0, (np.sin(root) / root).real)
    np.testing.assert_allclose(generalized_sinc(x), sinc, rtol=1e-14)


def test_where_the_eigenvectors_are_not_known():
    assert not F.has_curvature(Stiefel(3, 2)) and not F.has_curvature(PowerManifold(Stiefel(3, 2), 2))
    M = Stiefel(3, 2)
    p = M.random_point(0)
    with pytest.raises(MissingOperation, match="curvature"):
        F.differential_exp_argument(M, p, M.random_vector(p, 1), M.random_vector(p, 2))
