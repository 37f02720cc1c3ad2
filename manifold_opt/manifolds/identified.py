"""Manifolds whose arrays are those of another manifold in another arrangement."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy, namespace
from manifold_opt.manifolds.arrays import cleared, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["Identified", "paired", "unpaired"]


class Identified(Manifold):
    """A manifold that a linear isometry of arrays, such as a transposition, takes to another one, its model.

    A subclass gives ``model``, ``point_shape`` and the isometry in both directions, which is the same for points,
    vectors and arrays of the embedding. Every operation is that of the model.
    """

    @property
    @abstractmethod
    def model(self) -> Manifold:
        """The manifold that does the work; its points, vectors and embedding have one shape."""

    @abstractmethod
    def _to(self, a: Array) -> Array:
        """An array of this manifold as one of the model."""

    @abstractmethod
    def _back(self, a: Array) -> Array:
        """An array of the model as one of this manifold."""

    # ---------------- what it is

    @property
    def dim(self) -> int:
        """As the model."""
        return self.model.dim

    @property
    def isometric(self) -> bool:
        """As the model."""
        return self.model.isometric

    @property
    def injectivity_radius(self) -> float:
        """As the model."""
        return self.model.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """As the model."""
        return self.model.sectional_curvature_bounds

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # the model's
        """Those of the model."""
        return self.model.operations

    @property
    def isometric_transports(self) -> frozenset[str]:  # type: ignore[override]  # the model's
        """Those of the model."""
        return self.model.isometric_transports

    def has(self, name: str) -> bool:
        """Whether the model has it."""
        return self.model.has(name)

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """As in the model; the sum over the entries where that is what the model does, as the arrangement keeps it."""
        if self.isometric and is_numpy(p, X, Y):
            value = frobenius(np, X, Y, len(self.point_shape))
            return scalar(value) if p.ndim == len(self.point_shape) or value.ndim else np.full(self._batch(p), value)
        return self.model.inner(self._to(p), self._to(X), self._to(Y))

    def norm(self, p: Array, X: Array) -> Any:
        """As in the model."""
        return self.model.norm(self._to(p), self._to(X))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """As in the model."""
        return self.model.distance(self._to(p), self._to(q))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """As in the model."""
        return self.model.squared_distance(self._to(p), self._to(q))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """As in the model."""
        return self.model.coincidence_tolerance(self._to(p), self._to(q))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """As in the model."""
        return written(self._back(self.model.exp(self._to(p), self._to(X), t)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """As in the model."""
        return written(self._back(self.model.log(self._to(p), self._to(q))), out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """As in the model."""
        return self._back(self.model.mid_point(self._to(p), self._to(q)))

    # ---------------- methods

    @property
    def retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the model's
        """Those of the model."""
        return self.model.retractions

    @property
    def inverse_retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the model's
        """Those of the model."""
        return self.model.inverse_retractions

    @property
    def transports(self) -> Mapping[str, str]:  # type: ignore[override]  # the model's
        """Those of the model."""
        return self.model.transports

    @property
    def default_retraction(self) -> str:
        """That of the model."""
        return self.model.default_retraction

    @property
    def default_inverse_retraction(self) -> str:
        """That of the model."""
        return self.model.default_inverse_retraction

    @property
    def default_transport(self) -> str:
        """That of the model."""
        return self.model.default_transport

    def _names(self, kind: str) -> list[str]:
        return self.model._names(kind)

    def _resolved(self, kind: str, method: Any) -> Callable[..., Array]:
        if not isinstance(method, str):
            return super()._resolved(kind, method)
        own = self._table(kind).get(method, "")
        if own in vars(type(self)):  # a shorter way than through the model
            function: Callable[..., Array] = getattr(self, own)
            return function
        resolve = {
            "retraction": self.model.get_retraction,
            "inverse retraction": self.model.get_inverse_retraction,
            "transport": self.model.get_transport,
        }[kind]
        return partial(self._retracted if kind == "retraction" else self._applied, resolve(method))

    def _retracted(
        self, f: Callable[..., Array], p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None
    ) -> Array:
        return written(self._back(f(self._to(p), self._to(X), t)), out)

    def _applied(self, f: Callable[..., Array], *arrays: Array, out: Array | None = None) -> Array:
        return written(self._back(f(*map(self._to, arrays))), out)

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """As in the model."""
        if callable(method):
            return super().vector_transport_direction(p, X, d, method=method, out=out)
        move = partial(self.model.vector_transport_direction, method=method)
        return self._applied(move, p, X, d, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """As in the model."""
        return self._applied(self.model.parallel_transport_to, p, X, q, out=out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """As in the model."""
        return self._applied(self.model.parallel_transport_direction, p, X, d, out=out)

    # ---------------- coordinates and embedding

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """As in the model."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return self.model.get_coordinates(self._to(p), self._to(X), out=out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """As in the model."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(self._back(self.model.get_vector(self._to(p), c)), out)

    def project_point(self, z: Array) -> Array:
        """As in the model."""
        return self._back(self.model.project_point(self._to(z)))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """As in the model."""
        return self._back(self.model.project_vector(self._to(p), self._to(Z)))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As in the model."""
        return self._back(self.model.tangentialize(self._to(p), self._to(X)))

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """As in the model."""
        return self._back(self.model.riemannian_gradient(self._to(p), self._to(G)))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """As in the model."""
        return self._back(self.model.riemannian_hessian(*map(self._to, (p, G, H, X))))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """As in the model."""
        return self._back(self.model.euclidean_representer(self._to(p), self._to(X)))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """As in the model."""
        return self._back(self.model.weingarten(*map(self._to, (p, X, V))))

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """As in the model."""
        return self.model.injectivity_radius_at(self._to(p), retraction)

    def max_step(self, p: Array, X: Array) -> Any:
        """As in the model."""
        return self.model.max_step(self._to(p), self._to(X))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """As in the model."""
        return self._back(self.model.random_point(rng, size))

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """As in the model."""
        return self._back(self.model.random_vector(self._to(p), rng))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a point."""
        p = self._cleared(p, "p", NotOnManifold)
        try:
            self.model.check_point(self._to(p), atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"p is no point of {self!r}, seen as {self.model!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a tangent vector at p."""
        X = self._cleared(X, "X", NotTangent)
        try:
            self.model.check_vector(self._to(np.asarray(p)), self._to(X), atol)
        except NotTangent as error:
            raise NotTangent(f"X is not tangent to {self!r}, seen as {self.model!r}: {error}") from None

    def _cleared(self, a: Any, name: str, error: type[ValueError]) -> Array:
        a = cleared(a, name, self.point_shape, error)
        if self.field == "real" and a.dtype.kind == "c":
            raise error(
                f"{name} must be real for {self!r}, but its dtype is {a.dtype}; take its real part, "
                "or see whether the manifold has a complex field"
            )
        return a


def paired(a: Array) -> Array:
    """Complex arrays ``(..., m)`` as real ones ``(..., 2 m)``, the parts of each number side by side.

    A view of a NumPy array whose last axis is contiguous. Inner products become ``Re <a, b>``.
    """
    xp = namespace(a)
    if xp is np:
        if a.dtype.kind != "c":
            a = a.astype(np.result_type(a, np.complex64))
        if a.strides[-1] != a.itemsize:
            a = np.ascontiguousarray(a)
        return a.view(a.real.dtype)
    return xp.stack([xp.real(a), xp.imag(a)], axis=-1).reshape(tuple(a.shape[:-1]) + (2 * a.shape[-1],))


def unpaired(a: Array) -> Array:
    """The inverse of `paired`."""
    if type(a) is np.ndarray:
        if a.strides[-1] != a.itemsize:
            a = np.ascontiguousarray(a)
        return a.view(np.result_type(a.dtype, np.complex64))
    return a[..., 0::2] + 1j * a[..., 1::2]
