"""A manifold whose metric is a multiple of another's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from manifold_opt.linalg.namespace import Array
from manifold_opt.manifolds.arrays import written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.wrapped import Wrapped

__all__ = ["Scaled"]


@dataclass(frozen=True, repr=False)
class Scaled(Wrapped):
    """A manifold with its metric multiplied by a number: lengths grow by the root of it.

    Parameters
    ----------
    manifold : Manifold
        The manifold.
    scale : float
        What inner products are multiplied by.

    Raises
    ------
    TypeError, ValueError
        If `manifold` is no manifold, or the scale not positive and finite.

    Notes
    -----
    Geodesics, retractions and transports stay what they are. Gradients are divided by the scale, so that a variable
    with a larger scale moves less; orthonormal coordinates are multiplied by its root; curvatures are divided by it.
    """

    manifold: Manifold
    scale: float

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise TypeError(f"manifold must be a Manifold, but it is {self.manifold!r}")
        scale = float(self.scale)
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite, but it is {self.scale!r}")
        object.__setattr__(self, "scale", scale)

    @property
    def root(self) -> float:
        """The square root of the scale, by which lengths grow."""
        return math.sqrt(self.scale)

    @property
    def isometric(self) -> bool:
        """Only with scale 1."""
        return self.manifold.isometric and self.scale == 1.0

    @property
    def frobenius_scale(self) -> float | None:
        """Times the scale."""
        inner = self.manifold.frobenius_scale
        return None if inner is None else self.scale * inner

    @property
    def injectivity_radius(self) -> float:
        """Times the root of the scale."""
        return self.root * self.manifold.injectivity_radius

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """Times the root of the scale."""
        return self.root * self.manifold.injectivity_radius_at(p, retraction)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Over the scale."""
        low, high = self.manifold.sectional_curvature_bounds
        return low / self.scale, high / self.scale

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """Times the scale."""
        return self.scale * self.manifold.inner(p, X, Y)

    def norm(self, p: Array, X: Array) -> Any:
        """Times the root of the scale."""
        return self.root * self.manifold.norm(p, X)

    def distance(self, p: Array, q: Array) -> Any:
        """Times the root of the scale."""
        return self.root * self.manifold.distance(p, q)

    def squared_distance(self, p: Array, q: Array) -> Any:
        """Times the scale."""
        return self.scale * self.manifold.squared_distance(p, q)

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """Times the root of the scale."""
        return self.root * self.manifold.coincidence_tolerance(p, q)

    def get_basis(self, p: Array, basis: Any = None) -> Array:
        """The default one over the root of the scale."""
        return self.manifold.get_basis(p) / self.root if basis is None else super().get_basis(p, basis)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Times the root of the scale; those in a given basis are what they were."""
        c = self.manifold.get_coordinates(p, X, basis)
        return written(c if basis is not None else self.root * c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """From coordinates over the root of the scale."""
        return written(self.manifold.get_vector(p, c if basis is not None else c / self.root, basis), out)

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Over the root of the scale."""
        return self.manifold.random_vector(p, rng) / self.root

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """Over the scale."""
        return self.manifold.riemannian_gradient(p, G) / self.scale

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """Over the scale."""
        return self.manifold.riemannian_gradient_from_storage(p, g) / self.scale

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """Over the scale."""
        return self.manifold.riemannian_hessian(p, G, H, X) / self.scale

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """Over the scale."""
        return self.manifold.riemannian_hessian_from_storage(p, g, h, X) / self.scale

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """Times the scale."""
        return self.scale * self.manifold.euclidean_representer(p, X)

    def storage_representer(self, p: Array, X: Array) -> Array:
        """Times the scale."""
        return self.scale * self.manifold.storage_representer(p, X)
