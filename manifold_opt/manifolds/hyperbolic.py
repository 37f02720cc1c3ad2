"""Hyperbolic space as the hyperboloid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.linalg.scalars import horner
from manifold_opt.manifolds import hyperbolic_models as models
from manifold_opt.manifolds.arrays import batch_innermost, cleared, default_atol, expanded, scalar, written
from manifold_opt.manifolds.base import Manifold, real_dtype
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["Hyperbolic"]

# Up to this p_0 the Lorentz form loses a digit of sixteen at most: its terms exceed the result by p_0^2.
_NEAR = 4.0
# Series in s = t^2: cosh and sinh(t)/t for s < 1, where ten terms leave 1/20!; asinh(x)/x for x^2 < 1/50.
_COSH = [1 / math.factorial(2 * k) for k in range(10)]
_SINHC = [1 / math.factorial(2 * k + 1) for k in range(10)]
_ASINHC = [(-1) ** k * math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]


@dataclass(frozen=True, repr=False)
class Hyperbolic(Manifold):
    """The hyperbolic space H^n of curvature -1: the upper sheet of the hyperboloid in R^(n+1).

    A point is (p_0, p_s) with ``p_0 = sqrt(1 + |p_s|^2)``, time first. The metric is that of the Lorentz form
    ``-x_0 y_0 + x_s . y_s``, which is positive on tangent vectors. The embedding is R^(n+1) with its Euclidean metric:
    Euclidean gradients are ordinary gradients, and `project_vector` is the ordinary orthogonal projection.

    Parameters
    ----------
    n : int
        Dimension. Points have shape ``(n + 1,)``.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    The space part alone says where a point is, and that of a vector which vector it is; the time entries follow, and
    every result gets them so. Logarithm and distance carry the other point to the origin by a Lorentz boost, whose
    radial part is written without the cancellation of the Lorentz form. They keep full relative accuracy for lengths
    from 1e-12 to beyond 300. Every operation is O(n).

    Coordinates are the entries of the boosted vector. `to_ball`, `to_half_space` and their inverses go to the other
    models.

    References
    ----------
    N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023, section 7.6. J. G. Ratcliffe,
    Foundations of Hyperbolic Manifolds, 3rd ed., Springer, 2019, chapters 3 and 4.
    """

    n: int

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector "
        "project_point project_vector tangentialize riemannian_gradient riemannian_hessian euclidean_representer "
        "weingarten random_point check_point check_vector injectivity_radius sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise ValueError(
                f"n, the dimension of the hyperbolic space, must be a positive integer, but it is {self.n!r}"
            )
        object.__setattr__(self, "n", int(self.n))

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One more entry than dimensions."""
        return (self.n + 1,)

    @property
    def injectivity_radius(self) -> float:
        """Infinite: there is one geodesic between any two points."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant curvature -1; there are no planes on the line."""
        return (-1.0, -1.0) if self.n > 1 else (0.0, 0.0)

    # ---------------- metric

    @batch_innermost
    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The Lorentz form of X and Y; far out as the dot product of their coordinates, which does not cancel."""
        if type(p) is np.ndarray and type(X) is np.ndarray and type(Y) is np.ndarray:
            if p.ndim == 1 == X.ndim == Y.ndim:
                if p.item(0) < _NEAR:
                    return float(X[1:].dot(Y[1:])) - X.item(0) * Y.item(0)
            elif (p[..., 0] < _NEAR).all() and p.ndim > 1:
                return _dot(X[..., 1:], Y[..., 1:], keep=False) - X[..., 0] * Y[..., 0]
        c = _coordinates(p, X)
        return scalar(_dot(c, c if Y is X else _coordinates(p, Y), keep=False))

    @log_derivative
    @batch_innermost
    def distance(self, p: Array, q: Array) -> Any:
        """``arsinh |w|`` for q carried to w by the boost that takes p to the origin."""
        w = _boosted(p, q)
        xp = namespace(w)
        if type(w) is np.ndarray and w.ndim == 1:
            return math.asinh(math.hypot(*w.tolist()))
        scale = _scale(xp, w)
        w = w * scale
        s = _dot(w, w)
        if xp is np:
            return np.arcsinh(np.sqrt(s) / scale)[..., 0]
        zero = s == 0
        x = xp.where(zero, 0.0 * s, xp.sqrt(xp.where(zero, s + 1.0, s)))
        return xp.arcsinh(x / scale)[..., 0]

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times p_0, by which rounding moves a point."""
        return super().coincidence_tolerance(p, q) * scalar(p[..., 0])

    # ---------------- geodesics and retractions

    @batch_innermost
    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``cosh(t |X|) p + sinh(t |X|)/|X| X`` in the space part; the time entry follows."""
        t = expanded(t, 1)
        c = _coordinates(p, X)
        cosh, sinhc = _cosh_sinhc(_dot(c, c) * (t * t))
        return written(_point(cosh * p[..., 1:] + (t * sinhc) * X[..., 1:]), out)

    @batch_innermost
    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The vector whose coordinates are ``arsinh(|w|)/|w| w``."""
        w = _boosted(p, q)
        if type(w) is np.ndarray and w.ndim == 1:
            x = math.hypot(*w.tolist())
            return written(_vector(p, (math.asinh(x) / x if x > 0.0 else 1.0) * w), out)
        return written(_vector(p, _asinhc(w) * w), out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The space part ``p_s + t X_s``; first order, global, with a global inverse."""
        return written(_point(p[..., 1:] + expanded(t, 1) * X[..., 1:]), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The tangent vector with the space part ``q_s - p_s``."""
        return written(_tangent(p, q[..., 1:] - p[..., 1:]), out)

    # ---------------- transports

    @batch_innermost
    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``X + <q, X> / (1 - <p, q>) (p + q)`` with Lorentz forms, taken after the boost."""
        w, c = _boosted(p, q), _coordinates(p, X)
        ww = _dot(w, w)
        turn = _dot(w, c) / (1.0 + (1.0 + ww) ** 0.5)
        return written(_tangent(q, X[..., 1:] + turn * (p[..., 1:] + q[..., 1:])), out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``X + <d, X> ((cosh r - 1)/r^2 d + sinh(r)/r p)`` for ``r = |d|``."""
        e, c = _coordinates(p, d), _coordinates(p, X)
        s = _dot(e, e)
        half = _cosh_sinhc(0.25 * s)[1]
        cosh, sinhc = _cosh_sinhc(s)
        turn = (0.5 * half * half) * d[..., 1:] + sinhc * p[..., 1:]
        q = _point(cosh * p[..., 1:] + sinhc * d[..., 1:])
        return written(_tangent(q, X[..., 1:] + _dot(e, c) * turn), out)

    # ---------------- coordinates and embedding

    @batch_innermost
    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector at the origin to which the boost carries X, in O(n)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(_coordinates(p, X), out)

    @batch_innermost
    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``(<p_s, c>, c + p_s <p_s, c>/(1 + p_0))``, in O(n)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(_vector(p, c), out)

    def project_point(self, z: Array) -> Array:
        """The point with the space part of z."""
        return _point(z[..., 1:])

    @batch_innermost
    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - <N, Z> N / |N|^2`` with the Euclidean normal ``N = (-p_0, p_s)``."""
        p0, ps = p[..., :1], p[..., 1:]
        a = (_dot(ps, Z[..., 1:]) - p0 * Z[..., :1]) / (p0 * p0 + _dot(ps, ps))
        return _tangent(p, Z[..., 1:] - a * ps)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The tangent vector with the space part of X."""
        return _tangent(p, X[..., 1:])

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``J G + <p, G> p`` with J = diag(-1, 1, ..., 1)."""
        return _tangent(p, G[..., 1:] + _dot(p, G) * p[..., 1:])

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``J H + <p, H> p + <p, G> X``."""
        return _tangent(p, H[..., 1:] + _dot(p, H) * p[..., 1:] + _dot(p, G) * X[..., 1:])

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The orthogonal projection of J X."""
        return self.project_vector(p, _reflected(X))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-<N, V>/|N|^2`` times the projection of J X."""
        p0, ps = p[..., :1], p[..., 1:]
        a = (_dot(ps, V[..., 1:]) - p0 * V[..., :1]) / (p0 * p0 + _dot(ps, ps))
        return -a * self.project_vector(p, _reflected(X))

    # ---------------- other models

    def to_ball(self, p: Array) -> Array:
        """The point of the Poincaré ball, ``p_s / (1 + p_0)``."""
        return models.hyperboloid_to_ball(p)

    def from_ball(self, x: Array) -> Array:
        """The point of the hyperboloid, ``(1 + |x|^2, 2 x) / (1 - |x|^2)``."""
        return models.ball_to_hyperboloid(x)

    def to_half_space(self, p: Array) -> Array:
        """The point of the half space, whose last entry is its height."""
        return models.hyperboloid_to_half_space(p)

    def from_half_space(self, y: Array) -> Array:
        """The point of the hyperboloid."""
        return models.half_space_to_hyperboloid(y)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A standard normal space part."""
        return _point(np.random.default_rng(rng).standard_normal((*size, self.n)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and on the upper sheet, relative to the size of its entries."""
        p = _real(cleared(p, "p", self.point_shape, NotOnManifold), "p", NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        time = _point(p[..., 1:])[..., 0]
        off = float(np.max(np.abs(p[..., 0] - time) / time, initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have p[0] = sqrt(1 + |p[1:]|^2) to be a point of {self!r}, but p[0] is off by {off:.3g} "
                f"relative to that (tolerance {atol:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and Lorentz-orthogonal to p, relative to the size of its entries."""
        X = _real(cleared(X, "X", self.point_shape, NotTangent), "X", NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = np.maximum(1.0, np.max(np.abs(X), axis=-1))
        off = float(np.max(np.abs(_tangent(np.asarray(p), X[..., 1:])[..., 0] - X[..., 0]) / size, initial=0.0))
        if not off <= atol:
            raise NotTangent(
                f"X must have X[0] = <p[1:], X[1:]> / p[0] to be tangent to {self!r} at p, but X[0] / max(1, |X|) "
                f"is off by {off:.3g} (tolerance {atol:.3g}); project it with M.project_vector(p, X)"
            )


def _real(a: Array, name: str, error: type[ValueError]) -> Array:
    if a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    return a


def _dot(a: Array, b: Array, keep: bool = True) -> Any:
    """The dot product on the last axis, which stays with length 1; of two single NumPy vectors a float."""
    if type(a) is np.ndarray and type(b) is np.ndarray:
        if a.ndim == 1 == b.ndim:
            return float(a.dot(b))
        value = np.einsum("...i,...i->...", a, b)
    else:
        value = namespace(a, b).sum(a * b, axis=-1)
    return value[..., None] if keep else value


def _point(space: Array) -> Array:
    """The point with this space part."""
    xp = namespace(space)
    if xp is np and space.ndim == 1:
        q = np.empty(space.size + 1, space.dtype)
        q[0] = math.hypot(1.0, *space.tolist())
        q[1:] = space
        return q
    # scaled, so that the square of an entry beyond 1e154 does not overflow
    scale = _scale(xp, space)
    small = space * scale
    return xp.concatenate((xp.sqrt(scale * scale + _dot(small, small)) / scale, space), axis=-1)


def _tangent(p: Array, space: Array) -> Array:
    """The tangent vector at p with this space part."""
    if type(p) is np.ndarray and type(space) is np.ndarray and p.ndim == 1 == space.ndim:
        X = np.empty(p.size, space.dtype)
        X[0] = p[1:].dot(space / p.item(0))
        X[1:] = space
        return X
    xp = namespace(p, space)
    time = _dot(p[..., 1:], space / p[..., :1])
    space = space if tuple(space.shape[:-1]) == tuple(time.shape[:-1]) else space + 0.0 * time
    return xp.concatenate((time, space), axis=-1)


def _vector(p: Array, c: Array) -> Array:
    """The tangent vector at p with these coordinates."""
    ps = p[..., 1:]
    p0 = p.item(0) if type(p) is np.ndarray and p.ndim == 1 else p[..., :1]
    time = _dot(ps, c)
    space = c + time / (1.0 + p0) * ps
    if type(time) is float:
        X = np.empty(p.size, space.dtype)
        X[0], X[1:] = time, space
        return X
    return namespace(p, c).concatenate((time, space), axis=-1)


def _reflected(X: Array) -> Array:
    return namespace(X).concatenate((-X[..., :1], X[..., 1:]), axis=-1)


def _by_radius(p: Array, near: Callable[..., Array], far: Callable[..., Array]) -> Array:
    """One formula within ``|p_s| < 1`` and another beyond, each called with p_0, p_s and a safe ``|p_s|``."""
    ps = p[..., 1:]
    square = _dot(ps, ps)
    if type(square) is float:
        return near(p.item(0), ps) if square < 1.0 else far(p.item(0), ps, math.sqrt(square))
    xp = namespace(p)
    if xp is np:
        # at |p_s| = 4 cancellation costs one digit of sixteen, and the batch is seldom on both sides
        inside = square < 16.0
        if inside.all():
            return near(p[..., :1], ps)
        length = np.sqrt(np.maximum(square, 1.0))
        distant = far(p[..., :1], ps, length)
        return np.where(inside, near(p[..., :1], ps), distant) if inside.any() else distant
    inside = square < 1.0
    length = xp.sqrt(xp.where(inside, xp.ones_like(square), square))
    close, distant = near(p[..., :1], ps), far(p[..., :1], ps, length)
    return namespace(close).where(inside, close, distant)


def _coordinates(p: Array, X: Array) -> Array:
    """The space part of X after the boost that takes p to the origin.

    Far out, where that part is a small difference of large numbers for a radial vector, its radial component is divided
    by p_0 instead.
    """
    Xs = X[..., 1:]

    def near(p0: Any, ps: Array) -> Array:
        return Xs - (_dot(ps, Xs) / (p0 * (1.0 + p0))) * ps

    def far(p0: Any, ps: Array, length: Any) -> Array:
        u = ps / length
        along = _dot(u, Xs)
        rest = Xs - along * u
        return rest + (along / p0 - _dot(u, rest)) * u  # rounding leaves a radial part in the rest

    return _by_radius(p, near, far)


def _boosted(p: Array, q: Array) -> Array:
    """The space part w of q after the boost that takes p to the origin: ``|w| = sinh(distance)``.

    Written in ``q_s - p_s``. With ``a = <u, q_s>`` for ``u = p_s/|p_s|`` and the rest r of q_s, its radial component
    ``p_0 a - |p_s| q_0`` is, for positive a, ``(a^2 - |p_s|^2 (1 + |r|^2)) / (p_0 a + |p_s| q_0)``.
    """
    d = q[..., 1:] - p[..., 1:]
    q0 = q.item(0) if type(q) is np.ndarray and q.ndim == 1 else q[..., :1]

    def near(p0: Any, ps: Array) -> Array:
        rise = _dot(q[..., 1:] + ps, d / (q0 + p0))
        return d - (rise - _dot(ps, d) / (1.0 + p0)) * ps

    def far(p0: Any, ps: Array, length: Any) -> Array:
        u = ps / length
        # the shorter of q_s and d = q_s - p_s carries the digits of a and of the rest
        qs = q[..., 1:]
        short = _dot(qs, qs) < _dot(d, d)
        if type(short) is bool:
            e, from_origin = (qs, 0.0) if short else (d, length)
        else:
            xp = namespace(d)
            e, from_origin = xp.where(short, qs, d), xp.where(short, xp.zeros_like(length), length)
        along = _dot(u, e)
        rest = e - along * u
        rest = rest - _dot(u, rest) * u  # the rounding of a large radial part would count as a turn
        a = from_origin + along
        below = p0 * abs(a) + length * q0
        ahead = along - (length - from_origin)
        same = ahead * ((a + length) / below) - _dot(rest, rest) / below * length * length
        if type(below) is float:
            return rest + (same if a > 0.0 else -below) * u
        return rest + namespace(a).where(a > 0.0, same, -below) * u

    return _by_radius(p, near, far)


def _scale(xp: Any, w: Array) -> Array:
    """A factor on the last axis: 1, or small where squares of entries could overflow."""
    limit = math.sqrt(float(np.finfo(real_dtype(w)).max)) * 1e-3
    if xp is np and w.size and max(w.max(), -w.min()) <= limit:
        return w.dtype.type(1.0)
    large = xp.max(abs(w), axis=-1)[..., None] > limit
    one = xp.ones_like(w[..., :1])
    return xp.where(large, one / limit, one)


def _cosh_sinhc(s: Any) -> tuple[Any, Any]:
    """``cosh(sqrt(s))`` and ``sinh(sqrt(s))/sqrt(s)``, smooth functions of s."""
    if type(s) is float:
        t = math.sqrt(s)
        if not t < 710.0:
            return (math.nan, math.nan) if t != t else (math.inf, math.inf)
        return math.cosh(t), math.sinh(t) / t if t > 0.0 else 1.0
    xp = namespace(s)
    if xp is np:  # no cancellation, so the quotient will do down to zero
        t = np.sqrt(s)
        safe = t if t.all() else np.where(t == 0, t.dtype.type(1e-30), t)
        with np.errstate(over="ignore"):
            return np.cosh(t), np.sinh(safe) / safe
    near = s < 1.0
    inside = xp.where(near, s, xp.zeros_like(s))
    t = xp.sqrt(xp.where(near, xp.ones_like(s), s))
    return xp.where(near, horner(_COSH, inside), xp.cosh(t)), xp.where(
        near, horner(_SINHC, inside), xp.sinh(t) / t
    )


def _asinhc(w: Array) -> Array:
    """``arsinh(|w|)/|w|`` on the last axis."""
    xp = namespace(w)
    scale = _scale(xp, w)
    w = w * scale
    s = _dot(w, w)
    if xp is np:
        x = np.sqrt(s) / scale
        if not x.all():
            x = np.where(x == 0, x.dtype.type(1e-30), x)
        return np.arcsinh(x) / x
    near = (s < 0.02) & (scale == 1.0)
    x = xp.sqrt(xp.where(near, xp.ones_like(s), s)) / scale
    return xp.where(near, horner(_ASINHC, xp.where(near, s, xp.zeros_like(s))), xp.arcsinh(x) / x)
