"""A tangent space as a flat manifold, where subproblems live."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import expanded, repeated, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["TangentSpace"]


@dataclass(frozen=True, repr=False, eq=False)
class TangentSpace(Manifold):
    """The tangent space of a manifold at one point, a flat manifold with the inner product there.

    Parameters
    ----------
    manifold : Manifold
        The manifold.
    p : array
        The base point; copied and read-only. Two tangent spaces are equal when manifold and base point are.

    Notes
    -----
    Its points and its vectors are tangent vectors as the manifold stores them. Its embedding is that of the
    manifold, so Euclidean gradients and Hessians are those with respect to embedded vectors.
    """

    manifold: Manifold
    p: Array

    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "log",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "parallel": "parallel_transport_to",
        "projection": "parallel_transport_to",
    }
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance squared_distance exp log parallel_transport_to parallel_transport_direction get_coordinates "
        "get_vector project_point project_vector tangentialize riemannian_gradient riemannian_hessian "
        "weingarten mid_point random_point check_point check_vector injectivity_radius "
        "sectional_curvature_bounds".split()
    )
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        p = np.array(self.p)
        if p.shape != self.manifold.point_shape:
            raise NotOnManifold(
                f"the base point of a tangent space of {self.manifold!r} must be a single point of shape "
                f"{self.manifold.point_shape}, but its shape is {p.shape}"
            )
        p.setflags(write=False)
        object.__setattr__(self, "p", p)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Pickled arrays come back writable; the base point must not be."""
        self.__dict__.update(state)
        self.p.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TangentSpace):
            return NotImplemented
        return (
            self.manifold == other.manifold
            and self.p.dtype == other.p.dtype
            and np.array_equal(self.p, other.p)
        )

    def __hash__(self) -> int:
        # adding zero turns -0.0, which equals 0.0, into it
        return hash((self.manifold, (self.p + 0).tobytes()))

    @property
    def dim(self) -> int:
        """That of the manifold."""
        return self.manifold.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape of stored vectors."""
        return self.manifold.vector_shape

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """That of the manifold."""
        return self.manifold.embedding_shape

    @property
    def isometric(self) -> bool:
        """That of the manifold."""
        return self.manifold.isometric

    @property
    def field(self) -> str:
        """That of the manifold."""
        return self.manifold.field

    @property
    def stored_as_embedded(self) -> bool:
        """False: vectors may be stored otherwise than they are embedded."""
        return False

    @property
    def injectivity_radius(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Flat."""
        return 0.0, 0.0

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The inner product at the base point, whatever p is."""
        return scalar(self.manifold.inner(self._base(p), X, Y))

    def _base(self, p: Array, k: int | None = None) -> Array:
        """The base point, with as many batch axes of length 1 as p has before its last k axes."""
        extra = p.ndim - (len(self.point_shape) if k is None else k)
        base = self.p.reshape((1,) * extra + self.p.shape) if extra else self.p
        return base.astype(p.dtype) if type(p) is np.ndarray and p.dtype != base.dtype else base

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of ``q - p``."""
        X = q - p
        return safe_sqrt_of(self.inner(X, X, X))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The inner product of ``q - p`` with itself."""
        X = q - p
        return self.inner(X, X, X)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``, cleaned of the rounding that would grow over many steps."""
        return written(self.tangentialize(p, p + expanded(t, len(self.point_shape)) * X), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q - p``."""
        return written(q - p, out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The mean."""
        return 0.5 * (p + q)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """A vector is the same everywhere."""
        return written(repeated(X, self._batch(q), len(self.point_shape)) if X.ndim < q.ndim else X, out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """A vector is the same everywhere."""
        return self.parallel_transport_to(p, X, d, out=out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the manifold at the base point."""
        return self.manifold.get_coordinates(self._base(p), X, basis, out=out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """That of the manifold at the base point."""
        return self.manifold.get_vector(self._base(p), c, basis, out=out)

    def project_point(self, z: Array) -> Array:
        """The tangent vector nearest to z of the embedding."""
        return self.manifold.project_vector(self._base(z, len(self.embedding_shape)), z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The tangent vector nearest to Z of the embedding."""
        return self.manifold.project_vector(self._base(p), Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As the manifold does at the base point."""
        return self.manifold.tangentialize(self._base(p), X)

    def embed_point(self, p: Array) -> Array:
        """The tangent vector in the embedding."""
        return self.manifold.embed_vector(self._base(p), p)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """The tangent vector in the embedding."""
        return self.manifold.embed_vector(self._base(p), X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """That of the manifold at the base point: the metric is constant."""
        return self.manifold.riemannian_gradient(self._base(p), G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The gradient conversion of H: the space is flat."""
        return self.manifold.riemannian_gradient(self._base(p), H)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """That of the manifold at the base point."""
        return self.manifold.euclidean_representer(self._base(p), X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """The vector itself: points are stored as vectors are."""
        return X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: a subspace is flat."""
        return 0.0 * X

    def zero_vector(self, p: Array) -> Array:
        """The zero vector."""
        return namespace(p).zeros(tuple(p.shape), dtype=p.dtype)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent standard normal coordinates."""
        return self.manifold.random_vector(np.broadcast_to(self.p, (*size, *self.p.shape)), rng)

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent standard normal coordinates."""
        return self.random_point(rng, self._batch(p)).astype(p.dtype, copy=False)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a tangent vector at the base point."""
        try:
            self.manifold.check_vector(self.p, p, atol)
        except NotTangent as error:
            raise NotOnManifold(str(error)) from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a tangent vector at the base point."""
        self.manifold.check_vector(self.p, X, atol)
