"""Manifolds, and a smooth cost and residual with known derivatives on each, for the tests of objectives and solvers."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np

from manifold_opt.manifolds import (
    Euclidean,
    PowerManifold,
    ProductManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
)

MANIFOLDS = [
    Euclidean(3),
    Euclidean(2, 2),
    Sphere(2),
    Rotations(3),
    SymmetricPositiveDefinite(3),
    PowerManifold(Sphere(2), 3),
    ProductManifold(x=PowerManifold(Sphere(2), 3), y=Euclidean(2)),
]


class Quadratic:
    """f(p) = 1/2 z'Qz + b'z for the entries z of the embedded point, with its Euclidean derivatives."""

    def __init__(self, M, seed=0):
        n = int(np.prod(M.embedding_shape))
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((n, n))
        self.M, self.Q, self.b = M, A @ A.T / n, rng.standard_normal(n)

    def __call__(self, p):
        z = anp.reshape(p, (-1,))
        return 0.5 * anp.dot(z, anp.dot(self.Q, z)) + anp.dot(self.b, z)

    def euclidean_gradient(self, p):
        return (self.Q @ p.reshape(-1) + self.b).reshape(p.shape)

    def euclidean_hessian(self, p, X):
        return (self.Q @ X.reshape(-1)).reshape(p.shape)

    def gradient(self, p):
        return self.M.riemannian_gradient(p, self.euclidean_gradient(p))


class Residual:
    """r(p) = A z + sin(z) / 2 - c for the entries z of the point, with its Jacobian in each form."""

    def __init__(self, M, m=None, seed=0):
        n = int(np.prod(M.embedding_shape))
        rng = np.random.default_rng(seed)
        self.M, self.m = M, n + 2 if m is None else m
        self.A, self.c = rng.standard_normal((self.m, n)), rng.standard_normal(self.m)
        self.B = rng.standard_normal((self.m, n))

    def __call__(self, p):
        z = anp.reshape(p, (-1,))
        return anp.dot(self.A, z) + 0.5 * anp.dot(self.B, anp.sin(z)) - self.c

    def partial(self, p):
        """Euclidean: (m, *embedding_shape)."""
        return (self.A + 0.5 * self.B * np.cos(p.reshape(-1))).reshape(self.m, *p.shape)

    def gradients(self, p):
        """Riemannian gradients of the residuals: (m, *vector_shape)."""
        return np.stack([self.M.riemannian_gradient(p, G) for G in self.partial(p)])

    def jacobian(self, p):
        """In orthonormal coordinates: (m, dim), by the definition, entry by entry."""
        M = self.M
        E = [M.get_vector(p, c) for c in np.eye(M.dim)]
        return np.array([[M.inner(p, G, X) for X in E] for G in self.gradients(p)])


def start(M, seed=0, dtype=float):
    """A random point, away from any special one."""
    return M.random_point(np.random.default_rng(seed)).astype(dtype)


def vector(M, p, seed=1):
    return M.random_vector(p, np.random.default_rng(seed))


class Calls:
    """Wraps a function and counts how often it is called."""

    def __init__(self, function):
        self.function, self.n = function, 0

    def __call__(self, *arguments):
        self.n += 1
        return self.function(*arguments)
