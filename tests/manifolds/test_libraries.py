"""The generic road on JAX and PyTorch, where they are installed: same numbers, same derivatives, none of them NaN."""

import numpy as np
import pytest

from manifold_opt.manifolds import (
    ArraySphere,
    Centered,
    Correlation,
    Euclidean,
    Grassmann,
    HalfSpace,
    Hyperbolic,
    Oblique,
    PoincareBall,
    Positive,
    PowerManifold,
    ProbabilitySimplex,
    ProductManifold,
    ProjectiveSpace,
    PSDFixedRank,
    Rotations,
    SkewSymmetric,
    SpecialEuclidean,
    Spectrahedron,
    Sphere,
    Symmetric,
    SymmetricPositiveDefinite,
    Torus,
)

MANIFOLDS = [
    Euclidean(2, 3),
    Sphere(3),
    Oblique(3, 2),
    ArraySphere(2, 2),
    Torus(3),
    ProbabilitySimplex(3),
    Symmetric(3),
    SkewSymmetric(3),
    Centered(2, 3),
    Positive(3),
    ProjectiveSpace(2),
    Rotations(2),
    Rotations(3),
    SymmetricPositiveDefinite(3),
    Grassmann(5, 2),
    PowerManifold(Sphere(2), 3),
    ProductManifold(R=Rotations(3), t=Euclidean(3)),
    ProductManifold(a=Sphere(2), z=Euclidean(2, field="complex")),
    SpecialEuclidean(3),
    Hyperbolic(3),
    PoincareBall(2),
    HalfSpace(3),
]
# JAX compiles each of these for many seconds, and most of their primitives are those of test_rules.py
WITHOUT_JAX = [
    SymmetricPositiveDefinite(2, metric="bures-wasserstein"),
    SymmetricPositiveDefinite(2, metric="log-euclidean"),
    SymmetricPositiveDefinite(2, metric="log-cholesky"),
    Correlation(3),
    PSDFixedRank(4, 2),
    Spectrahedron(4, 3),
]


class Jax:
    def __init__(self):
        self.jax = pytest.importorskip("jax")
        self.jax.config.update("jax_enable_x64", True)

    def array(self, a):
        return self.jax.numpy.asarray(a)

    def gradient(self, f, a):
        return np.asarray(self.jax.grad(f)(self.array(a)))

    def hessian(self, f, a):
        return np.asarray(self.jax.hessian(f)(self.array(a)))


class Torch:
    def __init__(self):
        self.torch = pytest.importorskip("torch")

    def array(self, a):
        return self.torch.as_tensor(np.array(a))

    def gradient(self, f, a):
        a = self.array(a).requires_grad_()
        return self.torch.autograd.grad(f(a), a)[0].numpy()

    def hessian(self, f, a):
        return self.torch.autograd.functional.hessian(f, self.array(a)).numpy()


@pytest.fixture(params=[Jax, Torch], scope="module")
def library(request):
    return request.param()


@pytest.fixture(params=[*MANIFOLDS, *WITHOUT_JAX], ids=repr)
def setting(request, library):
    M = request.param
    if M in WITHOUT_JAX and isinstance(library, Jax):
        pytest.skip("compiling takes too long")
    rng = np.random.default_rng(3)
    p = M.random_point(rng, (4,))
    X = 0.3 * M.random_vector(p, rng)
    return M, p, X, M.exp(p, X)


def test_values(library, setting):
    M, p, X, q = setting
    to = library.array
    for batch in (slice(None), 0):
        x, y, V = p[batch], q[batch], X[batch]
        for name, arguments in {
            "inner": (x, V, V),
            "distance": (x, y),
            "squared_distance": (x, y),
            "exp": (x, V),
            "log": (x, y),
            "retract": (x, V),
            "vector_transport_to": (x, V, y),
            "project_vector": (x, M.embed_vector(x, V)),
            "get_coordinates": (x, V),
            "get_vector": (x, M.get_coordinates(x, V)),
        }.items():
            got = np.asarray(getattr(M, name)(*map(to, arguments)))
            np.testing.assert_allclose(got, getattr(M, name)(*arguments), atol=1e-12, err_msg=name)


def test_gradients_of_distances(library, setting):
    M, p, _, q = setting
    p, q = p[0], q[0]
    y = library.array(q)
    for f, expected in ((M.distance, -M.log(p, q) / M.distance(p, q)), (M.squared_distance, -2 * M.log(p, q))):
        g = library.gradient(lambda x: f(x, y), p)  # noqa: B023
        np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), expected, atol=1e-12)
        g = library.gradient(lambda x: f(y, x), p)  # noqa: B023
        np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), expected, atol=1e-12)
        np.testing.assert_allclose(library.gradient(lambda x: f(x, y), q), 0.0, atol=1e-12)  # noqa: B023


def test_gradients_in_a_batch(library, setting):
    M, p, _, q = setting
    points = library.array(q)
    g = library.gradient(lambda x: M.squared_distance(x, points).sum(), p[0])
    expected = sum(-2 * M.log(p[0], y) for y in q)
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p[0], g), expected, atol=1e-11)


def test_second_derivative_of_squared_distance_at_its_minimum(library, setting):
    """Twice the identity, as the geometry says."""
    M, p, X, _ = setting
    if not M.stored_as_embedded:
        pytest.skip("stored otherwise than embedded")
    p, X = p[0], X[0]
    y = library.array(p)
    H = library.hessian(lambda x: M.squared_distance(x, y), p)
    k = p.ndim
    product = np.tensordot(H, M.embed_vector(p, X), axes=k)
    got = M.riemannian_hessian(p, np.zeros(M.embedding_shape), product, X)
    np.testing.assert_allclose(got, 2 * X, atol=1e-9)


def test_derivatives_of_exp_and_log_at_zero(library, setting):
    M, p, _, _ = setting
    p = p[0]
    W = library.array(np.random.default_rng(0).standard_normal(M.point_shape))
    to = library.array
    for f, at in (
        (lambda X: (M.exp(to(p), X) * W).sum(), M.zero_vector(p)),
        (lambda q: (M.log(to(p), q) * M.log(to(p), q)).sum(), p),
    ):
        assert np.all(np.isfinite(library.gradient(f, at)))
