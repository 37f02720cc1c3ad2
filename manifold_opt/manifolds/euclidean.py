"""Euclidean space of vectors, matrices or arrays of any shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, expanded, frobenius, repeated, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["Euclidean"]


@dataclass(frozen=True, init=False, repr=False)
class Euclidean(Manifold):
    """The flat space of all arrays of one shape, with the Frobenius inner product.

    Parameters
    ----------
    *shape : int
        ``Euclidean(n)`` are vectors, ``Euclidean(m, n)`` matrices, and so on.
    field : {"real", "complex"}
        Complex arrays count as ``2 n`` real dimensions, with the inner product ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If no axis is given or one is not a positive integer.

    Notes
    -----
    Coordinates are the entries in C order; for complex arrays all real parts, then all imaginary parts.

    References
    ----------
    N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023, chapter 3.
    """

    shape: tuple[int, ...]
    field: str = field(default="real")

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

    def __init__(self, *shape: int, field: str = "real") -> None:
        if len(shape) == 1 and isinstance(shape[0], tuple):
            shape = shape[0]
        if not shape or any(
            isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in shape
        ):
            raise ValueError(
                f"the shape of Euclidean must be one or more positive integers, but it is {shape}; "
                "a single number is Euclidean(1)"
            )
        if field not in ("real", "complex"):
            raise ValueError(f"field must be 'real' or 'complex', but it is {field!r}")
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        object.__setattr__(self, "field", field)

    def __repr__(self) -> str:
        """As it is called."""
        listed = ", ".join(map(str, self.shape))
        return f"Euclidean({listed})" if self.field == "real" else f"Euclidean({listed}, field='complex')"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape

    @property
    def dim(self) -> int:
        """The number of entries, twice that if they are complex."""
        return math.prod(self.shape) * (2 if self.field == "complex" else 1)

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
        k = len(self.shape)
        if k == 1 and type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 1 == Y.ndim == p.ndim:
            if X.dtype.kind != "c":
                return float(X.dot(Y))
            return float(np.vdot(X, Y).real)
        value = frobenius(namespace(X, Y), X, Y, k)
        return (
            scalar(value) if p.ndim == k or getattr(value, "ndim", 0) else _over_batch(value, self._batch(p))
        )

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
        if type(t) is not float:
            t = expanded(t, len(self.shape))
        if out is None:
            return p + X if type(t) is float and t == 1.0 else p + t * X
        return written(p + t * X, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q - p``."""
        return q - p if out is None else np.subtract(q, p, out=out)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """``p + t X``, by whichever name."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def inverse_retract(self, p: Array, q: Array, *, method: Any = None, out: Array | None = None) -> Array:
        """``q - p``, by whichever name."""
        if method is None:
            return self.log(p, q, out=out)
        return self.get_inverse_retraction(method)(p, q, out=out)

    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def mid_point(self, p: Array, q: Array) -> Array:
        """The mean of two points."""
        return 0.5 * (p + q)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """A vector is the same everywhere."""
        return _moved(X, q, len(self.shape), out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """A vector is the same everywhere."""
        return _moved(X, d, len(self.shape), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries in C order; for complex arrays all real parts, then all imaginary parts."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        xp = namespace(X)
        c = X.reshape(tuple(X.shape[: X.ndim - len(self.shape)]) + (-1,))
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
        return written(c.reshape(tuple(c.shape[:-1]) + self.shape), out)

    def project_point(self, z: Array) -> Array:
        """Every array is a point."""
        return z

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Every array is tangent."""
        return Z

    def tangentialize(self, p: Array, X: Array) -> Array:
        """Every array is tangent."""
        return X

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The Euclidean gradient itself."""
        return G

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The Euclidean Hessian itself."""
        return H

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The vector itself."""
        return X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: nothing is normal to the whole space."""
        return 0.0 * X

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent standard normal entries."""
        rng = np.random.default_rng(rng)
        z = rng.standard_normal((*size, *self.shape))
        return z + 1j * rng.standard_normal(z.shape) if self.field == "complex" else z

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent standard normal entries."""
        return self.random_point(rng, self._batch(p)).astype(p.dtype, copy=False)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a finite array of the right shape and kind."""
        _check_kind(cleared(p, "p", self.shape, NotOnManifold), "p", self.field, NotOnManifold)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a finite array of the right shape and kind."""
        _check_kind(cleared(X, "X", self.shape, NotTangent), "X", self.field, NotTangent)


def _check_kind(a: Array, name: str, field: str, error: type[ValueError]) -> None:
    if field == "real" and a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; use Euclidean(..., field='complex')")


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
