"""Every back end finds the same derivatives: those of an independent difference formula."""

import importlib.util
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose

from manifold_opt.autodiff import BACKENDS, AutogradBackend, choose_backend
from manifold_opt.autodiff.finite_differences import hessian_by_differences
from manifold_opt.manifolds import Euclidean, Manifold, Sphere

from .problems import CASES, case, coordinates_of_gradient, covariant_derivative

OPTIONAL = ("jax", "torch")


def backend_params(names):
    missing = lambda name: name in OPTIONAL and importlib.util.find_spec(name) is None
    skip = lambda name: pytest.mark.skipif(missing(name), reason=f"{name} is not installed")
    return [pytest.param(name, marks=skip(name)) for name in names]


each_backend = pytest.mark.parametrize("name", backend_params(BACKENDS))
each_case = pytest.mark.parametrize("problem", CASES, ids=str)


def choose(name, f, p):
    if name == "complex-step" and not np.iscomplexobj(np.asarray(f(p + 0j))):
        pytest.skip("not analytic")
    return choose_backend(name, f, p)


@each_backend
@each_case
def test_gradient_agrees_with_an_independent_difference(name, problem):
    M, p = problem.M, problem.p
    backend = choose(name, problem.cost, p)
    value, X = backend.value_and_gradient(problem.cost, M)(p)
    assert type(value) is float
    assert_allclose(value, float(problem.cost(p)), rtol=1e-14)
    assert X.dtype == p.dtype and X.shape == M.vector_shape
    M.check_vector(p, X)
    expected = coordinates_of_gradient(problem.cost, M, p)
    size = np.linalg.norm(expected)
    assert_allclose(M.get_coordinates(p, X), expected, atol=1e-8 * size)  # the reference is good to h^4
    assert_allclose(backend.gradient(problem.cost, M)(p), X, atol=1e-12 * size)


@each_backend
@each_case
def test_hessian_is_the_covariant_derivative_of_the_gradient(name, problem):
    M, p = problem.M, problem.p
    if not (M.has("exp") and M.has("parallel_transport_to")):
        pytest.skip("the reference needs geodesics")
    X = problem.direction()
    gradient = AutogradBackend().gradient(problem.cost, M)
    expected = covariant_derivative(gradient, M, p, X)
    product = choose(name, problem.cost, p).hessian(problem.cost, M)(p)
    tolerance = {"finite-differences": 1e-5, "complex-step": 1e-6}.get(name, 1e-8)
    assert_allclose(product(X), expected, atol=tolerance * max(1.0, np.abs(expected).max()))
    assert_allclose(product(2.0 * X), 2.0 * product(X), atol=2 * tolerance * max(1.0, np.abs(expected).max()))


@each_backend
@each_case
@pytest.mark.parametrize("which", ["residual", "short_residual"])
def test_jacobian_has_the_derivatives_along_the_basis_as_columns(name, problem, which):
    M, p, r = problem.M, problem.p, getattr(problem, which)
    values, J = choose(name, r, p).jacobian(r, M)(p)
    assert_allclose(values, r(p), rtol=1e-14, atol=1e-14)
    assert J.shape == (len(values), M.dim) and J.dtype == p.dtype
    expected = coordinates_of_gradient(r, M, p).T
    assert_allclose(J, expected, atol=1e-8 * max(1.0, np.abs(expected).max()))


@each_backend
def test_jacobian_is_right_again_at_a_second_point(name):
    problem = CASES[2]
    jacobian = choose(name, problem.residual, problem.p).jacobian(problem.residual, problem.M)
    jacobian(problem.p)
    q = problem.M.random_point(np.random.default_rng(9))
    values, J = jacobian(q)
    assert_allclose(values, problem.residual(q), rtol=1e-14, atol=1e-14)
    assert_allclose(J, coordinates_of_gradient(problem.residual, problem.M, q).T, atol=1e-7)


@each_backend
@pytest.mark.parametrize("M", [Euclidean(3), Sphere(2)], ids=str)
def test_single_precision_stays_single_and_right(name, M):
    problem = case(M)
    problem.weights = problem.weights.astype(np.float32)
    p = problem.p.astype(np.float32)
    backend = choose(name, problem.cost, p)
    X = backend.gradient(problem.cost, M)(p)
    assert X.dtype == np.float32
    expected = AutogradBackend().gradient(problem.cost, M)(p.astype(float))
    size = np.abs(expected).max()
    assert_allclose(X, expected, atol=(2e-3 if name == "finite-differences" else 1e-5) * size)
    values, J = backend.jacobian(problem.residual, M)(p)
    assert J.dtype == values.dtype == np.float32


@pytest.mark.parametrize("name", backend_params(["autograd", "finite-differences", *OPTIONAL]))
class TestComplex:
    """A complex gradient satisfies df = Re<G, dz>."""

    M = Euclidean(3, field="complex")
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
    z = rng.standard_normal(3) + 1j * rng.standard_normal(3)

    def functions(self, name):
        if name == "torch":
            import torch as xp

            A = xp.as_tensor(self.A)
        elif name == "jax":
            import jax.numpy as xp

            A = self.A
        else:
            import autograd.numpy as xp

            A = self.A
        cost = lambda z: xp.sum(xp.abs(A @ z) ** 2) + xp.sum(xp.real(z * z * z))
        stack = lambda parts: xp.cat(parts) if name == "torch" else xp.concatenate(parts)
        residual = lambda z: stack([xp.real(A @ z), xp.imag(z * z), xp.real(z)])
        return cost, residual

    def test_gradient(self, name):
        cost, _ = self.functions(name)
        G = choose_backend(name, cost, self.z).gradient(cost, self.M)(self.z)
        expected = 2 * self.A.conj().T @ self.A @ self.z + 3 * np.conj(self.z**2)
        assert_allclose(G, expected, rtol=1e-8 if name == "finite-differences" else 1e-13)

    def test_hessian(self, name):
        cost, _ = self.functions(name)
        Z = np.array([1.0, 2.0j, 0.3 + 1.0j])
        H = choose_backend(name, cost, self.z).hessian(cost, self.M)(self.z)(Z)
        expected = 2 * self.A.conj().T @ self.A @ Z + 6 * np.conj(self.z * Z)
        assert_allclose(H, expected, rtol=1e-5 if name == "finite-differences" else 1e-13)

    @pytest.mark.parametrize("m", [9, 4])  # more and fewer than the real dimension 6
    def test_jacobian(self, name, m):
        _, residual = self.functions(name)
        some = lambda z: residual(z)[:m]
        _, J = choose_backend(name, some, self.z).jacobian(some, self.M)(self.z)
        derivative = lambda Z: np.concatenate([np.real(self.A @ Z), np.imag(2 * self.z * Z), np.real(Z)])[:m]
        expected = np.stack([derivative(Z) for Z in self.M.get_basis(self.z)], axis=1)
        assert_allclose(J, expected, atol=1e-8 if name == "finite-differences" else 1e-13)


@dataclass(frozen=True, repr=False)
class Ellipsoid(Manifold):
    """A user's manifold with the least a user writes: everything else is a fallback, and there is no exponential."""

    isometric = True
    dim = 2
    point_shape = (3,)
    axes = np.array([1.0, 2.0, 0.5])

    def inner(self, p, X, Y):
        return np.sum(X * Y, axis=-1)

    def project_point(self, z):
        return z / np.linalg.norm(z / self.axes, axis=-1, keepdims=True)

    def project_vector(self, p, Z):
        n = p / self.axes**2
        return Z - np.sum(n * Z, axis=-1, keepdims=True) / np.sum(n * n, axis=-1, keepdims=True) * n

    def random_point(self, rng=None, size=()):
        return self.project_point(np.random.default_rng(rng).standard_normal((*size, 3)))

    def check_point(self, p, atol=None):
        assert abs(np.sum((p / self.axes) ** 2) - 1.0) < 1e-9


@pytest.mark.parametrize("name", ["autograd", "finite-differences", "complex-step"])
def test_a_users_manifold_needs_no_more_than_its_five_methods(name):
    problem = case(Ellipsoid())
    M, p, X = problem.M, problem.p, problem.direction()
    backend = choose(name, problem.cost, p)
    exact = AutogradBackend()
    c = M.get_coordinates(p, backend.gradient(problem.cost, M)(p))
    assert_allclose(c, coordinates_of_gradient(problem.cost, M, p), atol=1e-7 * np.abs(c).max())
    H = backend.hessian(problem.cost, M)(p)(X)
    assert_allclose(H, exact.hessian(problem.cost, M)(p)(X), atol=1e-5 * np.abs(H).max())
    _, J = backend.jacobian(problem.residual, M)(p)
    assert_allclose(J, coordinates_of_gradient(problem.residual, M, p).T, atol=1e-7)


def test_differences_of_gradients_give_the_hessian_on_a_users_manifold():
    problem = case(Ellipsoid())
    M, p, X = problem.M, problem.p, problem.direction()
    by_rule = AutogradBackend().hessian(problem.cost, M)(p)(X)
    by_differences = hessian_by_differences(AutogradBackend().gradient(problem.cost, M), M)(p)(X)
    assert_allclose(by_differences, by_rule, atol=1e-7 * np.abs(by_rule).max())
