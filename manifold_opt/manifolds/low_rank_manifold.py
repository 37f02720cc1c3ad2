"""What manifolds of matrices and tensors of low rank have in common: factors in one flat array, no dense embedding."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.layout import Layout

__all__ = ["LowRankManifold"]


class LowRankManifold(Manifold):
    """A manifold of matrices or tensors that are stored in factors and never formed, unless embedded.

    A subclass gives ``_layout``, `low_rank`, `low_rank_vector` and ``_projected``, the parts of the tangent vector
    whose matrix or tensor is nearest to an array, a sparse or a factored one.
    """

    stored_as_embedded: ClassVar[bool] = False
    takes_operators: ClassVar[bool] = True
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}
    default_transport = "projection"

    @cached_property
    @abstractmethod
    def _layout(self) -> Layout:
        """The parts of points and of vectors."""

    @abstractmethod
    def low_rank(self, p: Array) -> Any:
        """The point in factors: entries, products with arrays."""

    @abstractmethod
    def low_rank_vector(self, p: Array, X: Array) -> Any:
        """The tangent vector in factors."""

    @abstractmethod
    def _projected(self, p: Array, Z: Any) -> Sequence[Array]:
        """The parts of the projection of Z."""

    # ---------------- what it is

    @cached_property
    def point_shape(self) -> tuple[int, ...]:
        """One axis: the parts, each in C order."""
        return (self._layout.size,)

    @property
    def injectivity_radius(self) -> float:
        """Zero: lower rank is as near as the smallest singular value."""
        return 0.0

    def max_step(self, p: Array, X: Array) -> Any:
        """Infinite: the default retraction goes anywhere."""
        batch = np.broadcast_shapes(p.shape[:-1], X.shape[:-1])
        return np.full(batch, math.inf) if batch else math.inf

    # ---------------- parts

    def split(self, p: Array) -> tuple[Array, ...]:
        """The parts of a point: views of a NumPy array."""
        return self._layout.split(p)

    def join(self, *parts: Array, out: Array | None = None) -> Array:
        """The point with these parts."""
        return self._layout.join(parts, out)

    def split_vector(self, X: Array) -> tuple[Array, ...]:
        """The parts of a tangent vector."""
        return self._layout.split(X)

    def join_vector(self, *parts: Array, out: Array | None = None) -> Array:
        """The tangent vector with these parts."""
        return self._layout.join(parts, out)

    def split_embedding(self, Z: Any) -> tuple[Any, ...]:
        """The matrix or tensor itself: the embedding has one part."""
        return (Z,)

    def join_embedding(self, Z: Any) -> Any:
        """The matrix or tensor itself."""
        return Z

    # ---------------- embedding

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The projection to the tangent space at q, by products of factors."""
        return self.join_vector(*self._projected(q, self.low_rank_vector(p, X)), out=out)

    def project_vector(self, p: Array, Z: Any) -> Array:
        """The tangent vector that is nearest to Z, an array, a sparse or a factored one."""
        return self.join_vector(*self._projected(p, Z))

    def embed_point(self, p: Array) -> Array:
        """The matrix or tensor, an array of full size; `low_rank` does not form it."""
        return self.low_rank(p).toarray()

    def embed_vector(self, p: Array, X: Array) -> Array:
        """The matrix or tensor, an array of full size; `low_rank_vector` does not form it."""
        return self.low_rank_vector(p, X).toarray()

    def euclidean_direction(self, p: Array, X: Array) -> Any:
        """The tangent vector in factors."""
        return self.low_rank_vector(p, X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """The vector itself: its parts are the derivatives of those of the point."""
        xp = namespace(p, X)
        batch = np.broadcast_shapes(tuple(p.shape[:-1]), tuple(X.shape[:-1]))
        return xp.broadcast_to(X, (*batch, X.shape[-1])) if tuple(X.shape[:-1]) != batch else X + 0.0
