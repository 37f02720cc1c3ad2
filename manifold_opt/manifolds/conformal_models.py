"""What the Poincaré ball and the half space share: open subsets of R^n with a multiple of the Euclidean metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy, namespace
from manifold_opt.linalg.scalars import horner
from manifold_opt.manifolds.arrays import batch_innermost, cleared, expanded, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["ConformalModel", "arsinh_quotient", "dot"]

# arsinh(x)/x in powers of s = x^2, for s < 1/50
_ASINHC = [(-1) ** k * math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]


class ConformalModel(Manifold):
    """A model of hyperbolic space with the metric ``(X . Y) / unit(p)^2``."""

    n: int

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log parallel_transport_to get_coordinates get_vector project_point project_vector "
        "riemannian_gradient riemannian_hessian euclidean_representer weingarten random_point check_point check_vector "
        "injectivity_radius sectional_curvature_bounds".split()
    )
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise ValueError(
                f"n, the dimension of the hyperbolic space, must be a positive integer, but it is {self.n!r}"
            )
        object.__setattr__(self, "n", int(self.n))

    def _unit(self, p: Array) -> Array:
        """The Euclidean length of unit vectors at p, with an axis of length 1."""
        raise NotImplementedError

    def _log_coordinates(self, p: Array, q: Array) -> Array:
        """The coordinates of the logarithm."""
        raise NotImplementedError

    def _exp_coordinates(self, p: Array, c: Array) -> Array:
        """The exponential of the vector with coordinates c."""
        raise NotImplementedError

    def _carried(self, p: Array, c: Array, q: Array) -> Array:
        """The coordinates at q of the parallel transport of the vector with coordinates c at p."""
        raise NotImplementedError

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """As many entries as dimensions."""
        return (self.n,)

    @property
    def injectivity_radius(self) -> float:
        """Infinite: there is one geodesic between any two points."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant curvature -1; there are no planes on the line."""
        return (-1.0, -1.0) if self.n > 1 else (0.0, 0.0)

    @batch_innermost
    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``X . Y`` over the square of the length of units at p."""
        unit = self._unit(p)
        if is_numpy(p, X, Y) and p.ndim == X.ndim == Y.ndim == 1:
            c = X / unit
            return float(c.dot(c if Y is X else Y / unit))
        return scalar(dot(X / unit, Y / unit)[..., 0])

    @log_derivative
    @batch_innermost
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the logarithm; ``2 arsinh(x/2)`` for the distance x measured by the units of both points."""
        if is_numpy(p, q):
            return self._distance(p, q)
        c = self._log_coordinates(p, q)
        xp = namespace(c)
        s = dot(c, c)[..., 0]
        zero = s == 0
        return scalar(xp.where(zero, 0.0 * s, xp.sqrt(xp.where(zero, s + 1.0, s))))

    def _distance(self, p: np.ndarray, q: np.ndarray) -> Any:
        """The distance of NumPy points."""
        if p.ndim == 1 == q.ndim:
            e = (q - p) / math.sqrt(self._unit(p).item(0)) / math.sqrt(self._unit(q).item(0))
            return 2.0 * math.asinh(0.5 * math.sqrt(e.dot(e)))
        e = (q - p) / np.sqrt(self._unit(p)) / np.sqrt(self._unit(q))
        return 2.0 * np.arcsinh(0.5 * np.sqrt(dot(e, e)[..., 0]))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps over the length of units, or over 1 where that is larger."""
        unit = scalar(self._unit(p)[..., 0])
        return super().coincidence_tolerance(p, q) * (1.0 + 1.0 / unit)

    @batch_innermost
    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The point at distance ``t |X|`` in the direction of X."""
        return written(self._exp_coordinates(p, expanded(t, 1) * X / self._unit(p)), out)

    @batch_innermost
    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The vector at p that leads to q."""
        return written(self._log_coordinates(p, q) * self._unit(p), out)

    @batch_innermost
    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the geodesic from p to q."""
        return written(self._carried(p, X / self._unit(p), q) * self._unit(q), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries over the length of units at p."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(X / self._unit(p), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The coordinates times the length of units at p."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(c * self._unit(p), out)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Z itself: every vector is tangent."""
        if is_numpy(p, Z) and p.ndim <= Z.ndim:
            return Z
        return Z + 0.0 * p

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """G times the square of the length of units."""
        unit = self._unit(p)
        return unit * unit * G

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """X over the square of the length of units."""
        unit = self._unit(p)
        return X / unit / unit

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: nothing is normal."""
        return 0.0 * (X + V)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real and finite."""
        X = cleared(X, "X", self.point_shape, NotTangent)
        if X.dtype.kind == "c":
            raise NotTangent(f"X must be real, but its dtype is {X.dtype}; take its real part")

    def _real_point(self, p: Array) -> Array:
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        if p.dtype.kind == "c":
            raise NotOnManifold(f"p must be real, but its dtype is {p.dtype}; take its real part")
        return p


def dot(a: Array, b: Array) -> Array:
    """The dot product on the last axis, which stays with length 1."""
    if type(a) is np.ndarray and type(b) is np.ndarray:
        if a.ndim == 1 == b.ndim:
            return np.array([a.dot(b)])
        return np.einsum("...i,...i->...", a, b)[..., None]
    return namespace(a, b).sum(a * b, axis=-1)[..., None]


def arsinh_quotient(s: Array) -> Array:
    """``arsinh(x)/x`` as a smooth function of ``s = x^2``."""
    if type(s) is np.ndarray and s.size == 1:
        x = math.sqrt(s.item())
        return np.full_like(s, math.asinh(x) / x if x > 0.0 else 1.0 + x)
    xp = namespace(s)
    if xp is np:  # no cancellation, so the quotient will do down to zero
        x = np.sqrt(s)
        if not x.all():
            x = np.where(x == 0, x.dtype.type(1e-30), x)
        return np.arcsinh(x) / x
    near = s < 0.02
    x = xp.sqrt(xp.where(near, xp.ones_like(s), s))
    return xp.where(near, horner(_ASINHC, xp.where(near, s, xp.zeros_like(s))), xp.arcsinh(x) / x)
