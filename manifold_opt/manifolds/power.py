"""Many points of one manifold at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import expanded, flattened_sum, scalar
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["PowerManifold"]


@dataclass(frozen=True, repr=False)
class PowerManifold(Manifold):
    """The product of n copies of a manifold, the copies on the first axis of a point.

    Parameters
    ----------
    manifold : Manifold
        The manifold to be copied.
    n : int or tuple of int
        Number of copies, or the shape of an array of copies.

    Raises
    ------
    ValueError
        If n is not positive.

    Notes
    -----
    The copies are a batch of the base manifold: every operation is one batched call of it, and scalars are
    one sum more. Coordinates are those of the copies, one after the other in C order. Method names are those
    of the base manifold.
    """

    manifold: Manifold
    n: int | tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise TypeError(
                f"manifold must be a Manifold, but it is {self.manifold!r}; write PowerManifold(Sphere(2), n)"
            )
        shape = self.n if isinstance(self.n, tuple) else (self.n,)
        if not shape or any(
            isinstance(m, bool) or not isinstance(m, (int, np.integer)) or m < 1 for m in shape
        ):
            raise ValueError(
                f"n, the number of copies, must be a positive integer or a tuple of them, but it is {self.n!r}"
            )
        whole = tuple(int(m) for m in shape)
        object.__setattr__(self, "n", whole if isinstance(self.n, tuple) else whole[0])

    @property
    def copies(self) -> tuple[int, ...]:
        """The shape of the array of copies."""
        return self.n if isinstance(self.n, tuple) else (self.n,)

    @property
    def dim(self) -> int:
        """Copies times the dimension of one."""
        return math.prod(self.copies) * self.manifold.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Copies, then the shape of one."""
        return self.copies + self.manifold.point_shape

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """Copies, then the shape of one."""
        return self.copies + self.manifold.vector_shape

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Copies, then the shape of one."""
        return self.copies + self.manifold.embedding_shape

    @property
    def isometric(self) -> bool:
        """As the base manifold."""
        return self.manifold.isometric

    @property
    def frobenius_scale(self) -> float | None:
        """As the base manifold."""
        return self.manifold.frobenius_scale

    @cached_property
    def _plain(self) -> tuple[float | None, int, int]:
        """The scale of a plain inner product, and the axes of a point and a vector."""
        return self.frobenius_scale, len(self.point_shape), len(self.vector_shape)

    @property
    def field(self) -> str:
        """As the base manifold."""
        return self.manifold.field

    @property
    def stored_as_embedded(self) -> bool:
        """As the base manifold."""
        return self.manifold.stored_as_embedded

    @property
    def injectivity_radius(self) -> float:
        """As the base manifold: a single copy may move alone."""
        return self.manifold.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Those of the base manifold and, with two copies or more, zero: planes across copies are flat."""
        low, high = self.manifold.sectional_curvature_bounds
        return (low, high) if math.prod(self.copies) == 1 else (min(low, 0.0), max(high, 0.0))

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # the base manifold's
        """Those of the base manifold; the norm is the root of the inner product."""
        return self.manifold.operations - {"norm"}

    @property
    def isometric_transports(self) -> frozenset[str]:  # type: ignore[override]  # the base manifold's
        """Those of the base manifold."""
        return self.manifold.isometric_transports

    def has(self, name: str) -> bool:
        """Whether the base manifold has it."""
        return self.manifold.has(name)

    def _sum(self, values: Any) -> Any:
        """The sum over the copies."""
        return scalar(flattened_sum(namespace(values), values, len(self.copies)))

    def _times(self, t: Any) -> Any:
        """A batch of times, the same for all copies."""
        return expanded(t, len(self.copies))

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The sum of the inner products of the copies."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.shape == Y.shape:
            scale, point_axes, axes = self._plain
            if scale is not None and X.ndim == axes and p.ndim == point_axes:
                return scale * float(np.vdot(X, Y).real)
        return self._sum(self.manifold.inner(p, X, Y))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared distances."""
        d = self.manifold.distance(p, q)
        return safe_sqrt_of(self._sum(d * d))

    def squared_distance(self, p: Array, q: Array) -> Any:
        """The sum of squared distances, each with its own derivative rule."""
        return self._sum(self.manifold.squared_distance(p, q))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squares of those of the copies."""
        one = self.manifold.coincidence_tolerance(p, q)
        if isinstance(one, float):
            return one * math.sqrt(math.prod(self.copies))
        return safe_sqrt_of(self._sum(one * one))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The exponential of each copy."""
        return self.manifold.exp(p, X, self._times(t), out=out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of each copy."""
        return self.manifold.log(p, q, out=out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The middle of each copy."""
        return self.manifold.mid_point(p, q)

    # ---------------- methods

    @property
    def retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the base manifold's
        """Those of the base manifold."""
        return self.manifold.retractions

    @property
    def inverse_retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the base manifold's
        """Those of the base manifold."""
        return self.manifold.inverse_retractions

    @property
    def transports(self) -> Mapping[str, str]:  # type: ignore[override]  # the base manifold's
        """Those of the base manifold."""
        return self.manifold.transports

    @property
    def default_retraction(self) -> str:
        """That of the base manifold."""
        return self.manifold.default_retraction

    @property
    def default_inverse_retraction(self) -> str:
        """That of the base manifold."""
        return self.manifold.default_inverse_retraction

    @property
    def default_transport(self) -> str:
        """That of the base manifold."""
        return self.manifold.default_transport

    def _names(self, kind: str) -> list[str]:
        return self.manifold._names(kind)

    def get_retraction(self, method: Any = None) -> Callable[..., Array]:
        """The retraction of the base manifold on all copies; a callable gets the power manifold itself."""
        if callable(method):
            return self._resolved("retraction", method)
        return _OnCopies(self.manifold.get_retraction(method), len(self.copies))

    def get_inverse_retraction(self, method: Any = None) -> Callable[..., Array]:
        """The inverse retraction of the base manifold on all copies."""
        return (
            self._resolved("inverse retraction", method)
            if callable(method)
            else self.manifold.get_inverse_retraction(method)
        )

    def get_transport(self, method: Any = None) -> Callable[..., Array]:
        """The transport of the base manifold on all copies."""
        return (
            self._resolved("transport", method) if callable(method) else self.manifold.get_transport(method)
        )

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The transport of each copy."""
        if callable(method):
            return super().vector_transport_direction(p, X, d, method=method, out=out)
        return self.manifold.vector_transport_direction(p, X, d, method=method, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The parallel transport of each copy."""
        return self.manifold.parallel_transport_to(p, X, q, out=out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """The parallel transport of each copy."""
        return self.manifold.parallel_transport_direction(p, X, d, out=out)

    # ---------------- coordinates and embedding

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the copies one after the other."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = self.manifold.get_coordinates(p, X)
        c = c.reshape(tuple(c.shape[: c.ndim - 1 - len(self.copies)]) + (self.dim,))
        if out is None:
            return c
        out[...] = c
        return out

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Each copy from its part of the coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        parts = c.reshape(tuple(c.shape[:-1]) + self.copies + (self.manifold.dim,))
        return self.manifold.get_vector(p, parts, out=out)

    def project_point(self, z: Array) -> Array:
        """Each copy."""
        return self.manifold.project_point(z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Each copy."""
        return self.manifold.project_vector(p, Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.tangentialize(p, X)

    def embed_point(self, p: Array) -> Array:
        """Each copy."""
        return self.manifold.embed_point(p)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.embed_vector(p, X)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """Each copy."""
        return self.manifold.riemannian_gradient(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """Each copy; H is the derivative of the whole Euclidean gradient along X."""
        return self.manifold.riemannian_hessian(p, G, H, X)

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """Each copy."""
        return self.manifold.riemannian_gradient_from_storage(p, g)

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.riemannian_hessian_from_storage(p, g, h, X)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.euclidean_representer(p, X)

    def storage_representer(self, p: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.storage_representer(p, X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """Each copy."""
        return self.manifold.storage_vector(p, X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Each copy."""
        return self.manifold.weingarten(p, X, V)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The least of the copies."""
        return float(np.min(self.manifold.injectivity_radius_at(p, retraction)))

    def max_step(self, p: Array, X: Array) -> Any:
        """The least of the copies."""
        values = np.asarray(self.manifold.max_step(p, X))
        return scalar(np.min(values, axis=tuple(range(-len(self.copies), 0))))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent copies."""
        return self.manifold.random_point(rng, (*size, *self.copies))

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent copies."""
        return self.manifold.random_vector(p, rng)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless every copy is a point; the message names the first that is not."""
        p = _shaped(p, "p", self.point_shape, NotOnManifold)
        try:
            self.manifold.check_point(p, atol)
        except NotOnManifold as error:
            k = len(self.manifold.point_shape)
            raise NotOnManifold(
                self._located(error, p.shape[: p.ndim - k], lambda i: self.manifold.check_point(p[i], atol))
            ) from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless every copy is tangent; the message names the first that is not."""
        X = _shaped(X, "X", self.vector_shape, NotTangent)
        try:
            self.manifold.check_vector(p, X, atol)
        except NotTangent as error:
            k, points = len(self.manifold.vector_shape), np.asarray(p)
            batch = X.shape[: X.ndim - k]
            points = np.broadcast_to(points, batch + self.manifold.point_shape)
            message = self._located(error, batch, lambda i: self.manifold.check_vector(points[i], X[i], atol))
            raise NotTangent(message) from None

    def _located(self, error: ValueError, batch: tuple[int, ...], check: Callable[[Any], None]) -> str:
        for i in np.ndindex(*batch):
            try:
                check(i)
            except ValueError as one:
                return f"in copy {list(i)} of {self!r}: {one}"
        return str(error)


@dataclass(frozen=True)
class _OnCopies:
    """A retraction of the base manifold where a batch of times is the same for all copies."""

    function: Callable[..., Array]
    axes: int

    def __call__(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self.function(p, X, t if type(t) is float else expanded(t, self.axes), out=out)


def _shaped(a: Any, name: str, shape: tuple[int, ...], error: type[ValueError]) -> Array:
    a = np.asarray(a)
    if a.ndim < len(shape) or a.shape[a.ndim - len(shape) :] != shape:
        raise error(
            f"{name} must have shape {('...', *shape)} (leading axes are a batch), but its shape is {a.shape}"
        )
    return a
