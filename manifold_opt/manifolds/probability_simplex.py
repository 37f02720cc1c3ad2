"""Probability vectors with the Fisher-Rao metric, and arrays whose rows they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.linalg.scalars import atanhc
from manifold_opt.manifolds.arrays import batch_innermost, cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, real_dtype
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.power import PowerManifold
from manifold_opt.manifolds.sphere import Sphere, angle_over_sine, safe_atan2

__all__ = ["Multinomial", "ProbabilitySimplex", "check_positive", "log_ratio"]


@dataclass(frozen=True, repr=False)
class ProbabilitySimplex(Manifold):
    """Vectors of n + 1 positive numbers with sum 1, with the Fisher-Rao metric ``sum_i X_i Y_i / p_i``.

    Parameters
    ----------
    n : int
        Dimension: points have n + 1 entries.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    ``2 sqrt(p)`` lies on the sphere of radius 2, and this map is an isometry; exponential, logarithm, transport and
    coordinates are those of the sphere. The exponential is that of the sphere also beyond the boundary, where the
    squares make it turn back. The retraction ``"softmax"``, the default, stays inside: ``p exp(X / p)`` over its sum.
    Entries are kept above the smallest normal number.

    References
    ----------
    S. Amari, H. Nagaoka, Methods of Information Geometry, 2000, section 2.2. Y. Sun, J. Gao, X. Hong, B. Mishra, B.
    Yin, Heterogeneous tensor decomposition for clustering via manifold optimization, IEEE TPAMI 38, 2016, section 3.
    """

    n: int

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log mid_point parallel_transport_to parallel_transport_direction get_coordinates "
        "get_vector project_point project_vector riemannian_gradient riemannian_hessian euclidean_representer "
        "weingarten random_point check_point check_vector injectivity_radius injectivity_radius_at "
        "sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "softmax": "_retract_softmax"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "softmax": "_inverse_retract_softmax",
    }
    default_retraction = "softmax"
    default_inverse_retraction = "softmax"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One more entry than dimensions."""
        return (self.n + 1,)

    @cached_property
    def sphere(self) -> Sphere:
        """The unit sphere of the roots of the entries; lengths there are half of those here."""
        return Sphere(self.n)

    @property
    def injectivity_radius(self) -> float:
        """Zero: points may be arbitrarily close to the boundary."""
        return 0.0

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance to the boundary, the least in a batch; infinite for the softmax."""
        if retraction == "softmax":
            return math.inf
        return 2.0 * math.asin(math.sqrt(min(1.0, float(np.min(p)))))

    def max_step(self, p: Array, X: Array) -> Any:
        """Infinite: the default retraction reaches no boundary."""
        return math.inf if p.ndim == 1 == X.ndim else np.full(np.broadcast_shapes(p.shape, X.shape)[:-1], math.inf)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant 1/4."""
        return (0.25, 0.25) if self.n > 1 else (0.0, 0.0)

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``sum_i X_i Y_i / p_i``."""
        return scalar(frobenius(namespace(p, X, Y), X / p, Y, 1))

    @log_derivative
    @batch_innermost
    def distance(self, p: Array, q: Array) -> Any:
        """Twice the angle between the roots."""
        xp = namespace(p, q)
        _, s2, c, _ = _roots(xp, p, q)
        return scalar(2.0 * safe_atan2(xp, s2, c))

    @batch_innermost
    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(cos|v| sqrt(p) + sinc|v| v)^2`` with ``v = t X / (2 sqrt(p))``."""
        s = namespace(p).sqrt(p)
        r = self.sphere.exp(s, 0.5 * X / s, t)
        return written(_above_zero(r * r), out)

    @batch_innermost
    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``2 sqrt(p)`` times the logarithm of the roots, whose difference is ``(q - p) / (sqrt(q) + sqrt(p))``."""
        xp = namespace(p, q)
        Y, s2, c, s = _roots(xp, p, q)
        return written(expanded(angle_over_sine(xp, s2, c), 1) * (2.0 * s * Y), out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The square of the middle of the roots."""
        xp = namespace(p, q)
        r = self.sphere.mid_point(xp.sqrt(p), xp.sqrt(q))
        return r * r

    def _retract_softmax(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p exp(t X / p)`` over its sum, from exponents of at most 0."""
        xp = namespace(p, X, t)
        e = expanded(t, 1) * X / p
        # the largest exponent becomes 0; entries that underflow are raised to the smallest normal number
        q = p * xp.exp(e - xp.max(e, axis=-1, keepdims=True))
        return written(_above_zero(q / xp.sum(q, axis=-1)[..., None]), out)

    def _inverse_retract_softmax(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``p log(q / p)``, less the multiple of p that makes the sum zero."""
        L = log_ratio(p, q)
        return written(self._centered(p, p * L), out)

    # ---------------- transports and coordinates

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of the sphere between the roots."""
        xp = namespace(p, X, q)
        s, r = xp.sqrt(p), xp.sqrt(q)
        return written(r * self.sphere.parallel_transport_to(s, X / s, r), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """That of the sphere along the direction of the roots."""
        s = namespace(p, X, d).sqrt(p)
        v = 0.5 * d / s
        return written(self.sphere.exp(s, v) * self.sphere.parallel_transport_direction(s, X / s, v), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of ``X / sqrt(p)`` on the sphere, in O(n)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        s = namespace(p, X).sqrt(p)
        return written(self.sphere.get_coordinates(s, X / s), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``sqrt(p)`` times the vector of the sphere with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        s = namespace(p, c).sqrt(p)
        return written(s * self.sphere.get_vector(s, c), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """Positive entries over their sum; entries that are not positive become eps times the sum of the others.

        The simplex is open, and has no nearest point to those.

        Raises
        ------
        ValueError
            If no entry is positive.
        """
        xp = namespace(z)
        if xp is np and not np.all(np.max(z, axis=-1) > 0):
            raise ValueError("project_point on the probability simplex needs a positive entry of z, but there is none")
        total = xp.sum(xp.maximum(z, 0.0), axis=-1)[..., None]
        z = xp.maximum(z, float(np.finfo(real_dtype(z)).eps) * total)
        return z / xp.sum(z, axis=-1)[..., None]

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Z less its mean, orthogonal in the embedding."""
        return Z - namespace(Z).mean(Z, axis=-1)[..., None] + 0.0 * p

    def _centered(self, p: Array, Z: Array) -> Array:
        """The projection orthogonal in the metric, ``Z - p sum(Z)``."""
        return Z - p * namespace(Z).sum(Z, axis=-1)[..., None]

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``p (G - <p, G>)``."""
        return self._centered(p, p * G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(p H + X (G - <p, G>) / 2)`` with ``P Z = Z - p sum(Z)``."""
        xp = namespace(p, G, H, X)
        slope = G - expanded(frobenius(xp, p, G, 1), 1)
        return self._centered(p, p * H + 0.5 * X * slope)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``X / p`` less its mean."""
        return self.project_vector(p, X / p)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: the simplex is flat in the embedding, whose metric is another than this one."""
        return 0.0 * X

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform with respect to the Lebesgue measure."""
        z = np.random.default_rng(rng).standard_exponential((*size, self.n + 1))
        return _above_zero(z / np.sum(z, axis=-1, keepdims=True))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and positive with sum 1."""
        p = check_positive(cleared(p, "p", self.point_shape, NotOnManifold), self)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(np.sum(p, axis=-1) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have sum 1 to be a point of {self!r}, but its sum is off by {off:.3g} (tolerance {atol:.3g}); "
                "project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real and finite with sum 0."""
        X = cleared(X, "X", self.point_shape, NotTangent)
        if X.dtype.kind == "c":
            raise NotTangent(f"X must be real, but its dtype is {X.dtype}; take its real part")
        atol = default_atol(X) if atol is None else atol
        size = np.maximum(1.0, np.linalg.norm(X, axis=-1))
        off = float(np.max(np.abs(np.sum(X, axis=-1)) / size, initial=0.0))
        if not off <= atol:
            raise NotTangent(
                f"X must have sum 0 to be tangent to {self!r}, but its sum over max(1, |X|) is {off:.3g} (tolerance "
                f"{atol:.3g}); project it with M.project_vector(p, X)"
            )


@dataclass(frozen=True, init=False, repr=False)
class Multinomial(PowerManifold):
    """Matrices of shape (m, n) with positive entries whose m rows have sum 1, with the Fisher-Rao metric.

    Parameters
    ----------
    m, n : int
        Rows and columns; each row is a point of ``ProbabilitySimplex(n - 1)``.

    Raises
    ------
    ValueError
        If m is not a positive integer or n not an integer above 1.

    Notes
    -----
    This is the power of the simplex, see `ProbabilitySimplex`. Columns of sum 1 are the transpose; for both at once see
    `DoublyStochastic`.
    """

    def __init__(self, m: int, n: int) -> None:
        m, n = positive_integers("the shape", (m, n), self)
        if n == 1:
            raise ValueError("n, the number of columns of Multinomial, must be 2 or more, but it is 1")
        object.__setattr__(self, "manifold", ProbabilitySimplex(n - 1))
        object.__setattr__(self, "n", m)

    def __repr__(self) -> str:
        """As it is called."""
        return f"Multinomial({self.point_shape[0]}, {self.point_shape[1]})"


def check_positive(p: Array, M: Manifold) -> Array:
    """Raise unless p is real and positive.

    Raises
    ------
    NotOnManifold
        Naming the smallest entry.
    """
    if p.dtype.kind == "c":
        raise NotOnManifold(f"p must be real, but its dtype is {p.dtype}; take its real part")
    low = float(np.min(p, initial=np.inf))
    if not low > 0:
        raise NotOnManifold(
            f"p must have positive entries to be a point of {M!r}, but one is {low:.3g}; M.project_point(p) raises it"
        )
    return p


def _above_zero(p: Array) -> Array:
    xp = namespace(p)
    return xp.maximum(p, float(np.finfo(real_dtype(p)).tiny))


def _roots(xp: Any, p: Array, q: Array) -> tuple[Array, Array, Array, Array]:
    """The part of ``sqrt(q)`` orthogonal to ``s = sqrt(p)``, its squared length, the cosine, and s."""
    s, r = xp.sqrt(p), xp.sqrt(q)
    e = (q - p) / (r + s)
    Y = e - expanded(frobenius(xp, s, e, 1), 1) * s
    return Y, frobenius(xp, Y, Y, 1), frobenius(xp, s, r, 1), s


def log_ratio(p: Array, q: Array) -> Array:
    """``log(q / p)`` of positive numbers, accurate for close and for far ones."""
    xp = namespace(p, q)
    # 2 artanh((q - p) / (q + p)) where that is small; halves, since a sum may overflow
    x = (q - p) / (0.5 * q + 0.5 * p)
    if type(x) is np.ndarray and x.size and np.vdot(x, x) < 0.25:  # quicker to find than that every entry is small
        return 2.0 * np.arctanh(0.5 * x)
    near = abs(x) < 0.5
    if xp is np and near.all():
        return 2.0 * np.arctanh(0.5 * x)
    small = xp.where(near, x, xp.zeros_like(x))
    return xp.where(near, small * atanhc(0.5 * small), xp.log(q) - xp.log(p))
