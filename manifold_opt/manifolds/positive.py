"""Positive numbers with the metric of their logarithms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import real_dtype, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.flat import FlatSpace
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.probability_simplex import check_positive, log_ratio

__all__ = ["Positive"]


@dataclass(frozen=True, init=False, repr=False)
class Positive(FlatSpace):
    """Arrays of positive numbers with the metric ``sum X Y / p^2``, that of their logarithms.

    Parameters
    ----------
    *shape : int
        ``Positive(n)`` are n positive numbers, ``Positive(m, n)`` matrices of them.

    Raises
    ------
    ValueError
        If the shape is not positive integers.

    Notes
    -----
    ``p -> log(p)`` is an isometry to Euclidean space: scales count relative to their size, and zero is infinitely far.
    Coordinates are ``X / p`` in C order. Exponents are kept where the result is a normal number, so no step reaches
    zero or infinity.

    References
    ----------
    P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008, section 3.6. X.
    Pennec, P. Fillard, N. Ayache, A Riemannian framework for tensor computing, IJCV 66, 2006, for n = 1.
    """

    shape: tuple[int, ...]

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = FlatSpace.operations
    retractions = {"exponential": "exp"}
    inverse_retractions = {"exponential": "log", "logarithmic": "log"}
    transports = {"parallel": "parallel_transport_to"}

    def __init__(self, *shape: int) -> None:
        if len(shape) == 1 and isinstance(shape[0], tuple):
            shape = shape[0]
        object.__setattr__(self, "shape", positive_integers("the shape", shape, self))

    def __repr__(self) -> str:
        """As it is called."""
        return f"Positive({', '.join(map(str, self.shape))})"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``sum X Y / p^2``."""
        return scalar(frobenius(namespace(p, X, Y), X / p, Y / p, len(self.shape)))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squares of ``log(q / p)``."""
        return safe_sqrt_of(self._sum_of_squares(p, q))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The sum of squares of ``log(q / p)``."""
        return scalar(self._sum_of_squares(p, q))

    def _sum_of_squares(self, p: Array, q: Array) -> Array:
        L = log_ratio(p, q)
        return frobenius(namespace(L), L, L, len(self.shape))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p exp(t X / p)``."""
        if type(p) is np.ndarray and type(X) is np.ndarray and type(t) is float and p.dtype == X.dtype == np.float64:
            e = X / p if t == 1.0 else t * (X / p)
            # far from overflow wherever p itself is
            if np.vdot(e, e) < 900.0 and 1e-200 < np.vdot(p, p) < 1e200:
                return np.multiply(p, np.exp(e), out=out)
        xp = namespace(p, X, t)
        if xp is np:
            with np.errstate(all="ignore"):
                q = p * np.exp(expanded(t, len(self.shape)) * (X / p))
            if q.min() > 0.0 and q.max() < np.inf:
                return written(q, out)
        precision = np.finfo(real_dtype(p))
        low, high = math.log(float(precision.tiny)), math.log(float(precision.max)) - 1.0
        e, start = expanded(t, len(self.shape)) * (X / p), xp.log(p)
        # from p half way and on: the exponential of the whole way may overflow where the result does not
        half = xp.exp(0.5 * xp.maximum(xp.minimum(e, high - start), low - start))
        return written(p * half * half, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``p log(q / p)``."""
        return written(p * log_ratio(p, q), out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The geometric mean."""
        xp = namespace(p, q)
        return xp.sqrt(p) * xp.sqrt(q)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``X q / p``."""
        return written(X / p * q, out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """``X exp(d / p)``."""
        return written(X * namespace(p, X, d).exp(d / p), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries of ``X / p`` in C order."""
        return super().get_coordinates(p, X if basis is not None else X / p, basis, out=out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The array with these entries, times p."""
        X = super().get_vector(p, c, basis)
        return written(X if basis is not None else p * X, out)

    def project_point(self, z: Array) -> Array:
        """Entries that are not positive are raised to eps: the set is open, and has no point nearest to them."""
        return namespace(z).maximum(z, float(np.finfo(real_dtype(z)).eps))

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``p^2 G``."""
        return p * p * G

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``p^2 H + p G X``."""
        return p * (p * H + G * X)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``X / p^2``."""
        return X / (p * p)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Exponentials of independent standard normal numbers."""
        return np.exp(np.random.default_rng(rng).standard_normal((*size, *self.shape)))

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """P times independent standard normal numbers."""
        return p * super().random_vector(p, rng)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and positive."""
        check_positive(cleared(p, "p", self.shape, NotOnManifold), self)
