"""What flat spaces have in common: a vector is the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, expanded, frobenius, repeated, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["FlatSpace"]


class FlatSpace(Manifold):
    """A real or complex linear space of arrays with the metric ``Re <X, Y>``; a subclass gives ``point_shape``.

    As it stands it is the space of all arrays. A subspace gives ``dim``, ``project_vector``, coordinates and checks; a
    quotient such as the torus gives ``exp``, ``log`` and distances.
    """

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner norm distance squared_distance exp log parallel_transport_to "
        "parallel_transport_direction get_coordinates get_vector project_point project_vector "
        "tangentialize riemannian_gradient riemannian_hessian euclidean_representer weingarten mid_point "
        "random_point random_vector check_point check_vector "
        "injectivity_radius sectional_curvature_bounds".split()
    )
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
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    @property
    def dim(self) -> int:
        """The number of entries, twice that if they are complex."""
        return math.prod(self.point_shape) * (2 if self.field == "complex" else 1)

    @property
    def frobenius_scale(self) -> float | None:
        """1 where the metric is that of the arrays."""
        return 1.0 if self.isometric else None

    @property
    def injectivity_radius(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Flat."""
        return 0.0, 0.0

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re <X, Y>``, the sum over all entries."""
        k = len(self.point_shape)
        if k == 1 and type(X) is np.ndarray and type(Y) is np.ndarray and p.ndim == 1 == Y.ndim:
            if X.dtype.kind == "f" == Y.dtype.kind:
                return float(X.dot(Y)) if X.ndim == 1 else X.dot(Y)  # a stack with one vector
            if X.ndim == 1:
                return float(np.vdot(X, Y).real)
        if type(X) is np.ndarray and type(Y) is np.ndarray and p.ndim == k == X.ndim == Y.ndim:
            return float(np.vdot(X, Y).real)
        value = frobenius(namespace(X, Y), X, Y, k)
        return scalar(value) if p.ndim == k or getattr(value, "ndim", 0) else _over_batch(value, self._batch(p))

    def norm(self, p: Array, X: Array) -> Any:
        """The Frobenius norm."""
        return safe_sqrt_of(self.inner(p, X, X))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The Frobenius norm of ``q - p``."""
        X = q - p
        return safe_sqrt_of(self.inner(X, X, X))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The sum of squares of ``q - p``."""
        X = q - p
        return self.inner(X, X, X)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``."""
        if type(t) is float:
            if out is None:
                return p + X if t == 1.0 else p + t * X
        else:
            t = expanded(t, len(self.point_shape))
        return written(p + t * X, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q - p``."""
        return q - p if out is None else np.subtract(q, p, out=out)

    def retract(self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None) -> Array:
        """The exponential, unless another method is named; see `Manifold.retract`."""
        return self.exp(p, X, t, out=out) if method is None else self.get_retraction(method)(p, X, t, out=out)

    def inverse_retract(self, p: Array, q: Array, *, method: Any = None, out: Array | None = None) -> Array:
        """The logarithm, unless another method is named; see `Manifold.inverse_retract`."""
        if method is None:
            return self.log(p, q, out=out)
        return self.get_inverse_retraction(method)(p, q, out=out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The mean of two points."""
        return 0.5 * (p + q)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """A vector is the same everywhere."""
        return _moved(X, q, len(self.point_shape), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """A vector is the same everywhere."""
        return _moved(X, d, len(self.point_shape), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries in C order; for complex arrays all real parts, then all imaginary parts."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        xp = namespace(X)
        c = X.reshape(tuple(X.shape[: X.ndim - len(self.point_shape)]) + (-1,))
        if self.field == "complex":
            c = xp.concatenate([xp.real(c), xp.imag(c)], axis=-1)
        return written(c, out) if c is not X else written(X + 0.0 if xp is np else X, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The array with these entries."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        if self.field == "complex":
            half = self.dim // 2
            c = c[..., :half] + 1j * c[..., half:]
        return written(c.reshape(tuple(c.shape[:-1]) + self.point_shape), out)

    def project_point(self, z: Array) -> Array:
        """Every array is a point."""
        return z

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Every array is tangent."""
        return Z

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The projection; nothing where every array is tangent."""
        return self.project_vector(p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The Euclidean gradient, projected."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The Euclidean Hessian, projected."""
        return self.project_vector(p, H)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The vector itself."""
        return X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: a linear space does not bend."""
        return 0.0 * X

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent standard normal coordinates."""
        z = _normal(self.point_shape, self.field, rng, size)
        return self.project_vector(z, z)

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent standard normal coordinates."""
        Z = _normal(self.point_shape, self.field, rng, self._batch(p)).astype(p.dtype, copy=False)
        return self.project_vector(p, Z)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a finite array of the right shape and kind."""
        self._checked(p, "p", atol, NotOnManifold)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a finite array of the right shape and kind."""
        self._checked(X, "X", atol, NotTangent)

    def _checked(self, a: Array, name: str, atol: float | None, error: type[ValueError]) -> Array:
        a = cleared(a, name, self.point_shape, error)
        if self.field == "real" and a.dtype.kind == "c":
            raise error(
                f"{name} must be real for {self!r}, but its dtype is {a.dtype}; take its real part, or use a manifold "
                "with field='complex' where there is one"
            )
        return a


def _normal(shape: tuple[int, ...], field: str, rng: Any, size: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(rng)
    z = rng.standard_normal((*size, *shape))
    return z + 1j * rng.standard_normal(z.shape) if field == "complex" else z


def _over_batch(value: Any, batch: tuple[int, ...]) -> Any:
    """One number repeated over the batch of points."""
    return namespace(value).broadcast_to(value, batch)


def _moved(X: Array, like: Array, k: int, out: Array | None) -> Array:
    """X, repeated over the batch of the other argument where that is larger."""
    if out is not None:
        return written(X, out)
    if X.ndim < like.ndim:
        return repeated(X, tuple(like.shape[: like.ndim - k]), k)
    return X
