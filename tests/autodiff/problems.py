"""Smooth costs and residuals on several manifolds, written for any array library, for all back ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt.linalg import namespace
from manifold_opt.manifolds import (
    Euclidean,
    PowerManifold,
    ProductManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
)


@dataclass
class Case:
    """A manifold, a point and functions there."""

    M: Any
    p: Any
    weights: Any
    name: str

    def __str__(self):
        return self.name

    def cost(self, p):
        """Quartic in the entries of p, with every entry and many products of entries in it."""
        xp = namespace(p)
        u = xp.reshape(p, (-1,))
        v = xp.matmul(self.matrix(u), u)
        return xp.sum(v * v * v * v) / 4.0 + xp.sum(v * u) + xp.sum(u)

    def residual(self, p):
        """More residuals than dimensions."""
        xp = namespace(p)
        u = xp.reshape(p, (-1,))
        v = xp.matmul(self.matrix(u), u)
        return xp.concatenate([v * v, v * u, u, xp.sin(v)])

    def short_residual(self, p):
        """One residual for two entries, at most as many as dimensions."""
        return self.residual(p)[: max(1, self.M.dim // 2)]

    def matrix(self, like):
        if type(like).__module__.startswith("torch"):
            import torch

            return torch.as_tensor(self.weights, dtype=like.dtype)
        return self.weights

    def direction(self, seed=3):
        return self.M.random_vector(self.p, np.random.default_rng(seed))


def case(M, seed=0, name=None):
    rng = np.random.default_rng(seed)
    p = M.random_point(rng)
    n = p.size
    return Case(M, p, rng.standard_normal((n, n)) / np.sqrt(n), name or repr(M))


MANIFOLDS = [
    Euclidean(3),
    Euclidean(2, 2),
    Sphere(2),
    Sphere(4),
    PowerManifold(Sphere(2), 2),
    ProductManifold(x=Euclidean(2), u=Sphere(2)),
    Rotations(2),
    Rotations(3),
    Rotations(4),
    SymmetricPositiveDefinite(3),
    ProductManifold(R=Rotations(3), S=SymmetricPositiveDefinite(2), t=Euclidean(3)),
]
CASES = [case(M) for M in MANIFOLDS]


def coordinates_of_gradient(f, M, p, h=1e-3):
    """Gradient in the default basis by a fourth-order central difference, an independent formula."""
    along = lambda X: (
        (
            8.0 * (f(M.retract(p, X, h)) - f(M.retract(p, X, -h)))
            - (f(M.retract(p, X, 2 * h)) - f(M.retract(p, X, -2 * h)))
        )
        / (12.0 * h)
    )
    return np.array([along(X) for X in M.get_basis(p)])


def covariant_derivative(gradient, M, p, X, h=1e-3):
    """Hessian along X by a fourth-order central difference of parallel transported gradients along the geodesic."""
    back = lambda t: M.parallel_transport_to(p_at(t), gradient(p_at(t)), p)
    p_at = lambda t: M.exp(p, X, t)
    return (8.0 * (back(h) - back(-h)) - (back(2 * h) - back(-2 * h))) / (12.0 * h)
