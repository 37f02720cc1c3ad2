"""Spectra, critical points, profiles and bases against closed forms."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from solver_problems import MANIFOLDS, Quadratic, start, vector

from manifold_opt import CostObjective, Euclidean, Fused, Grassmann, PowerManifold, ProductManifold, Sphere
from manifold_opt.checks import (
    critical_points,
    extreme_eigenvalues,
    hessian_matrix,
    hessian_spectrum,
    line_profile,
    operator_matrix,
    plane_profile,
    tangent_basis_matrix,
)

matplotlib.use("Agg")
ids = [str(M) for M in MANIFOLDS]


@pytest.mark.parametrize("M", MANIFOLDS, ids=ids)
def test_the_matrix_is_the_second_derivative_along_geodesics(M):
    """c'Hc is the second difference of f(exp(t X)), X of coordinates c."""
    f, p = Quadratic(M), start(M)
    H = hessian_matrix(M, f, p)
    assert H.shape == (M.dim, M.dim)
    assert np.allclose(H, H.T, atol=1e-9 * np.abs(H).max())
    X = vector(M, p)
    X = X / M.norm(p, X)
    c = M.get_coordinates(p, X)
    along = line_profile(M, f, p, X, steps=[-1e-3, 0.0, 1e-3], retraction="exponential").costs
    assert np.isclose(c @ H @ c, (along[0] - 2.0 * along[1] + along[2]) / 1e-6, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("M", MANIFOLDS, ids=ids)
def test_eigenvectors_and_extreme_eigenvalues(M):
    f, p = Quadratic(M), start(M)
    spectrum = hessian_spectrum(M, f, p)
    problem_hessian = hessian_matrix(M, f, p)
    for value, X in zip(spectrum.eigenvalues, spectrum.eigenvectors):
        c = M.get_coordinates(p, X)
        assert np.isclose(M.norm(p, X), 1.0)
        assert np.allclose(problem_hessian @ c, value * c, atol=1e-8 * np.abs(spectrum.eigenvalues).max())
    low, high = extreme_eigenvalues(M, f, p)
    scale = np.abs(spectrum.eigenvalues).max()
    assert np.allclose([low, high], spectrum.eigenvalues[[0, -1]], atol=1e-8 * scale)


def test_extreme_eigenvalues_of_a_large_problem():
    """At an eigenvector v_i of A the Hessian of p'Ap on the sphere has the eigenvalues 2 (a_j - a_i)."""
    n = 400
    a = np.linspace(1.0, 2.0, n)
    a[[0, -1]] = 0.0, 3.0
    p = np.eye(n)[200]
    low, high = extreme_eigenvalues(
        Sphere(n - 1),
        lambda p: p @ (a * p),
        p,
        gradient=lambda p: 2 * a * p,
        hessian=lambda p, X: 2 * a * X,
        objective_type="euclidean",
    )
    assert np.allclose([low, high], 2.0 * (a[[0, -1]] - a[200]), rtol=1e-8)
    with pytest.raises(ValueError, match="`tolerance`"):
        extreme_eigenvalues(Sphere(2), lambda p: p[0], np.array([1.0, 0.0, 0.0]), tolerance=0.0)


def test_a_flat_direction_counts_as_zero():
    """On the sphere the cost of the height has none; with one coordinate left out of R^3 there is one."""
    spectrum = hessian_spectrum(Euclidean(3), lambda x: x[0] ** 2 - 3.0 * x[1] ** 2, np.zeros(3))
    assert np.allclose(spectrum.eigenvalues, [-6.0, 0.0, 2.0])
    assert (spectrum.index, spectrum.nullity, spectrum.condition) == (1, 1, np.inf)
    assert "1 negative, 1 zero" in repr(spectrum)


@pytest.mark.parametrize("M", MANIFOLDS, ids=ids)
def test_basis_matrices(M):
    p = start(M)
    B, c = tangent_basis_matrix(M, p), np.arange(1.0, M.dim + 1.0)
    assert np.allclose(B @ c, np.asarray(M.embed_vector(p, M.get_vector(p, c))).reshape(-1))
    if M.isometric:
        assert np.allclose(B.T @ B, np.eye(M.dim))
    assert np.allclose(operator_matrix(M, p, lambda X: 3.0 * X), 3.0 * np.eye(M.dim))


def test_the_matrix_of_a_parallel_transport_is_orthogonal():
    M = Sphere(3)
    p, q = M.random_point(0), M.random_point(1)
    T = operator_matrix(M, p, lambda X: M.parallel_transport_to(p, X, q), q)
    assert np.allclose(T.T @ T, np.eye(3))


def test_all_critical_points_of_a_quadratic_form_are_eigenvectors():
    A = np.diag([1.0, 2.0, 4.0, 7.0])
    found = critical_points(Sphere(3), lambda p: p @ A @ p, starts=60, rng=1)
    assert len(found) == 8
    assert np.allclose([c.cost for c in found], np.repeat([1.0, 2.0, 4.0, 7.0], 2))
    assert [c.kind for c in found] == ["minimum"] * 2 + ["saddle"] * 4 + ["maximum"] * 2
    assert [c.spectrum.index for c in found] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert sum(c.found for c in found) <= 60 and "minimum" in repr(found[0])


def test_critical_points_of_a_product_and_of_a_quotient():
    M = ProductManifold(s=PowerManifold(Sphere(1), 1), x=Euclidean(1))
    found = critical_points(M, M.componentwise(lambda s, x: s[0, 0] + (x[0] ** 2 - 1.0) ** 2), starts=80, rng=0)
    kinds = sorted((round(c.cost, 6), c.kind) for c in found)
    assert kinds == [
        (-1.0, "minimum"),
        (-1.0, "minimum"),
        (0.0, "saddle"),
        (1.0, "saddle"),
        (1.0, "saddle"),
        (2.0, "maximum"),
    ]
    A = np.diag([1.0, 2.0, 4.0])
    planes = critical_points(Grassmann(3, 2), lambda p: (p * (A @ p)).sum(), starts=40, rng=0)
    assert [(c.kind, round(c.cost, 8)) for c in planes] == [("minimum", 3.0), ("saddle", 5.0), ("maximum", 6.0)]


def test_a_continuum_of_critical_points_is_degenerate():
    found = critical_points(Sphere(2), lambda p: p[2] ** 2, starts=[np.array([0.6, 0.8, 0.01]) / np.hypot(1, 0.01)])
    assert [c.kind for c in found] == ["degenerate"]


def test_profiles_are_costs_of_retracted_points():
    M, f = Sphere(2), (lambda p: p[0] + p[1] * p[2])
    p = M.random_point(0)
    X, Y = M.random_vector(p, 1), M.random_vector(p, 2)
    line = line_profile(M, f, p, X)
    assert line.costs.shape == (101,) and np.isclose(line.costs[50], f(p))
    X = X / M.norm(p, X)
    assert np.isclose(line.costs[-1], f(M.exp(p, X)))
    plane = plane_profile(M, f, p, X, Y, steps=(np.array([0.0, 0.2]), np.array([-0.1, 0.0, 0.3])))
    U, V = plane.directions
    assert plane.costs.shape == (2, 3)
    assert np.isclose(M.inner(p, U, V), 0.0, atol=1e-15) and np.isclose(M.norm(p, V), 1.0)
    assert np.isclose(plane.costs[1, 2], f(M.exp(p, 0.2 * U + 0.3 * V)))
    assert "2 x 3" in repr(plane)


def test_profiles_take_what_solvers_take():
    M = Sphere(2)
    for f in (CostObjective(lambda p: p[0]), Fused(lambda p: (p[0], np.array([1.0, 0.0, 0.0])))):
        assert np.allclose(line_profile(M, f, rng=0).costs, line_profile(M, lambda p: p[0], rng=0).costs)


def test_drawing_on_request():
    from matplotlib import pyplot

    M, f = Sphere(2), (lambda p: p[0])
    line_profile(M, f, rng=0, plot=True)
    plane_profile(M, f, rng=0, steps=np.linspace(-1, 1, 5), plot=True)
    axes = hessian_spectrum(M, lambda p: p[0] ** 2, np.array([0.6, 0.0, 0.8]), plot=True).plot()
    assert axes.get_ylabel() == "eigenvalue of the Hessian"
    pyplot.close("all")


def test_mistakes_are_named():
    M, p = Sphere(2), np.array([1.0, 0.0, 0.0])
    X = np.array([0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="parallel"):
        plane_profile(M, lambda p: p[0], p, X, 2.0 * X)
    with pytest.raises(ValueError, match="`steps`"):
        line_profile(M, lambda p: p[0], p, X, steps=[[0.0]])
    with pytest.raises(ValueError, match="objective and brings"):
        hessian_spectrum(M, CostObjective(lambda p: p[0]), p, gradient=lambda p: p)
