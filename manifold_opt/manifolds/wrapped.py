"""Manifolds that are another manifold but for a few operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from manifold_opt.linalg.namespace import Array
from manifold_opt.manifolds.base import Manifold

__all__ = ["Wrapped"]


class Wrapped(Manifold):
    """A manifold every operation of which is that of ``self.manifold``; a subclass replaces some.

    Unlike fallbacks, which would be computed from the replaced ones, the operations of the inner manifold know nothing
    of the outer: a subclass replaces all that its change touches.
    """

    manifold: Manifold

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # the inner manifold's
        """Those of the inner manifold."""
        return self.manifold.operations

    @property
    def isometric_transports(self) -> frozenset[str]:  # type: ignore[override]  # the inner manifold's
        """Those of the inner manifold."""
        return self.manifold.isometric_transports

    def has(self, name: str) -> bool:
        """Whether the inner manifold has it."""
        return self.manifold.has(name)

    def _names(self, kind: str) -> list[str]:
        return self.manifold._names(kind)

    def _table(self, kind: str) -> Mapping[str, str]:
        return self.manifold._table(kind)

    def _works(self, kind: str, name: str) -> bool:
        return self.manifold._works(kind, name)

    # abstract ones, spelled out for type checkers

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """As in the inner manifold."""
        return self.manifold.inner(p, X, Y)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.project_vector(p, Z)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """As in the inner manifold."""
        return self.manifold.random_point(rng, size)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a point of the inner manifold."""
        self.manifold.check_point(p, atol)


def _method(name: str) -> Callable[..., Any]:
    def method(self: Wrapped, *args: Any, **keywords: Any) -> Any:
        return getattr(self.manifold, name)(*args, **keywords)

    method.__name__, method.__doc__ = name, "As in the inner manifold."
    return method


def _property(name: str) -> property:
    return property(lambda self: getattr(self.manifold, name), doc="That of the inner manifold.")


_PROPERTIES = """
    dim point_shape vector_shape embedding_shape isometric field stored_as_embedded injectivity_radius
    sectional_curvature_bounds frobenius_scale takes_operators open_storage retractions inverse_retractions transports
    default_retraction default_inverse_retraction default_transport
"""
_METHODS = """
    norm distance squared_distance coincidence_tolerance exp log geodesic mid_point retract inverse_retract
    get_retraction get_inverse_retraction get_transport vector_transport_to vector_transport_direction
    parallel_transport_to parallel_transport_direction get_basis get_coordinates get_vector project_point
    tangentialize embed_point embed_vector zero_vector riemannian_gradient riemannian_hessian
    riemannian_gradient_from_storage riemannian_hessian_from_storage euclidean_direction euclidean_representer
    storage_representer storage_vector weingarten injectivity_radius_at max_step random_vector check_vector
"""
for _name in _PROPERTIES.split():
    setattr(Wrapped, _name, _property(_name))
for _name in _METHODS.split():
    setattr(Wrapped, _name, _method(_name))
