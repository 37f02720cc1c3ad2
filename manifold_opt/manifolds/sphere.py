"""The unit sphere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy, namespace
from manifold_opt.linalg.scalars import horner
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent

__all__ = ["Sphere"]

_DOUBLE = np.dtype(float)

# Series in s = t^2 for s < 1, where ten terms leave 1/20!; then cos and sinc are smooth in s at zero too.
_COS = [(-1) ** k / math.factorial(2 * k) for k in range(10)]
_SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
# arcsin(s)/s in powers of s^2, for s^2 < 1/50: ten terms leave (1/50)^10.
_ASINC = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]


@dataclass(frozen=True, repr=False)
class Sphere(Manifold):
    """The unit sphere S^n of vectors of length 1 in R^(n+1), with the metric of R^(n+1).

    Parameters
    ----------
    n : int
        Dimension: ``Sphere(2)`` is the sphere in R^3. Points have shape ``(n + 1,)``.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    Every operation is O(n). ``log`` and ``distance`` take the part of ``q - p`` tangent at p (of ``q + p``
    beyond a right angle), and so keep full relative accuracy from 0 to pi, also for stored points that are
    unit only to rounding. At the antipode, where all directions are shortest, ``log`` takes a fixed one.

    Coordinates are those of the Householder reflection that takes the first unit vector to p or -p.

    References
    ----------
    P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008,
    sections 3.6, 4.1, 5.4, 8.1. N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge,
    2023, examples 3.8, 5.37, 10.35.
    """

    n: int

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner norm distance exp log mid_point parallel_transport_to parallel_transport_direction "
        "get_coordinates get_vector project_point project_vector riemannian_gradient riemannian_hessian weingarten "
        "random_point check_point check_vector injectivity_radius injectivity_radius_at "
        "sectional_curvature_bounds".split()
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
                f"n, the dimension of the sphere, must be a positive integer, but it is {self.n!r}"
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
    def frobenius_scale(self) -> float | None:
        """1."""
        return 1.0

    @property
    def injectivity_radius(self) -> float:
        """Half way around: pi."""
        return math.pi

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant curvature 1; there are no planes on the circle."""
        return (1.0, 1.0) if self.n > 1 else (0.0, 0.0)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The angle pi for the exponential; infinite for the projection, one to one onto a half sphere."""
        return math.inf if retraction == "projection" else math.pi

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The dot product."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and p.ndim == 1 == Y.ndim:
            return float(X.dot(Y)) if X.ndim == 1 else X.dot(Y)  # a stack with one vector
        value = frobenius(namespace(X, Y), X, Y, 1)
        return (
            scalar(value) if p.ndim == 1 or value.ndim else namespace(value).broadcast_to(value, p.shape[:-1])
        )

    def norm(self, p: Array, X: Array) -> Any:
        """The Euclidean length."""
        if type(X) is np.ndarray and X.ndim == 1 == p.ndim:
            return math.sqrt(X.dot(X))
        return safe_sqrt_of(self.inner(p, X, X))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between p and q in radians."""
        if type(p) is np.ndarray and type(q) is np.ndarray and p.ndim == 1 == q.ndim:
            c = p.dot(q)
            e = q - p if c >= 0.0 else q + p
            e -= p.dot(e) * p
            return math.atan2(math.sqrt(e.dot(e)), c)
        xp = namespace(p, q)
        if xp is np and _many_in_few_dimensions(p, q):
            _, s, c = _rejection_of_columns(p, q)
            return np.arctan2(s, c).reshape(max(p.shape, q.shape, key=len)[:-1])
        _, s2, c = _rejection(xp, p, q)
        return scalar(xp.arctan2(xp.sqrt(s2), c)) if xp is np else safe_atan2(xp, s2, c)

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``cos(t |X|) p + t sinc(t |X|) X``, divided by its norm so that rounding of p does not grow."""
        if (
            type(p) is np.ndarray
            and type(X) is np.ndarray
            and type(t) is float
            and p.ndim == 1 == X.ndim
            and p.dtype == X.dtype == _DOUBLE
        ):
            s = math.sqrt(X.dot(X))
            if s * t < 1e300 and s * t > -1e300:  # finite, for math.cos
                sinc, cos = math.sin(t * s) / s if s > 0.0 else t, math.cos(t * s)
                if len(p) == 3:
                    return _unit_of_three(sinc, X, cos, p, out)
                q = sinc * X
                q += cos * p
                return np.multiply(q, 1.0 / math.sqrt(q.dot(q)), out=out)
        xp = namespace(p, X, t)
        if xp is np and type(t) is float and p.shape == X.shape and p.ndim > 1:
            return written(_exp_of_stack(p, X, t), out)
        tX = X if type(t) is float and t == 1.0 else expanded(t, 1) * X
        cos, sinc = cos_sinc(xp, frobenius(xp, tX, tX, 1))
        return written(_unit(xp, expanded(cos, 1) * p + expanded(sinc, 1) * tX), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of q as seen from p times the angle between them; at the antipode a fixed direction."""
        if type(p) is np.ndarray and type(q) is np.ndarray and p.ndim == 1 == q.ndim:
            c = p.dot(q)
            Y = q - p if c >= 0.0 else q + p
            Y -= p.dot(Y) * p
            s = math.sqrt(Y.dot(Y))
            if s > 0.0:
                return np.multiply(Y, math.atan2(s, c) / s, out=out)
            return written(Y if c >= 0.0 else math.pi * fixed_direction(np, p), out)
        xp = namespace(p, q)
        if xp is np and _many_in_few_dimensions(p, q):
            Y, s, c = _rejection_of_columns(p, q)
            if s.all():  # neither a coincident nor an antipodal pair
                angle = np.arctan2(s, c)
                angle /= s
                return written(_rows(angle, Y, max(p.shape, q.shape, key=len)), out)
        Y, s2, c = _rejection(xp, p, q)
        X = expanded(angle_over_sine(xp, s2, c), 1) * Y
        antipodal = (s2 == 0) & (c < 0)
        if xp is not np or np.any(antipodal):
            X = xp.where(antipodal[..., None], math.pi * fixed_direction(xp, p), X)
        return written(X, out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The unit vector along p + q; at the antipode the middle of the geodesic that `log` takes."""
        xp = namespace(p, q)
        z = p + q
        antipodal = frobenius(xp, z, z, 1) == 0
        if xp is not np or np.any(antipodal):
            z = xp.where(antipodal[..., None], fixed_direction(xp, p), z)
        return _unit(xp, z)

    # ---------------- retractions

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or the projection; see `Manifold.retract`."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def inverse_retract(self, p: Array, q: Array, *, method: Any = None, out: Array | None = None) -> Array:
        """The logarithm or the inverse of the projection; see `Manifold.inverse_retract`."""
        if method is None:
            return self.log(p, q, out=out)
        return self.get_inverse_retraction(method)(p, q, out=out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(p + t X) / |p + t X|``, a second-order retraction."""
        xp = namespace(p, X, t)
        return written(_unit(xp, p + expanded(t, 1) * X), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q / <p, q> - p`` as the tangent part of ``q - p`` over ``<p, q>``; q in the half sphere around p."""
        xp = namespace(p, q)
        Y, _, c = _rejection(xp, p, q)
        if xp is np and not np.all(c > 0):
            raise ValueError(
                "inverse_retract(method='projection') on the sphere needs an angle below pi/2 between p and q, "
                f"but it is {np.max(self.distance(p, q)):.6g}; use M.log(p, q)"
            )
        return written(Y / expanded(c, 1), out)

    # ---------------- transports

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The reflection ``X - 2 <m, X> m`` in the middle m of p and q: no division that cancels near the antipode."""
        if type(X) is type(p) is type(q) is np.ndarray and p.ndim == 1 == q.ndim:
            if X.shape == (3,) and X.dtype == _DOUBLE:
                Y = _reflected_in_space(p, X, q)
                if Y is not None:
                    return written(Y, out)
            m = p + q
            s2 = float(m.dot(m))
            if s2 > 0.0:
                if X.ndim == 1:
                    m *= 2.0 * m.dot(X) / s2
                    return np.subtract(X, m, out=out)
                return np.subtract(X, X.dot(m)[..., None] * ((2.0 / s2) * m), out=out)
        xp = namespace(p, X, q)
        if xp is np:
            z = p + q
            s2 = frobenius(np, z, z, 1)
            if np.all(s2 > 0):  # without the root of the middle, and in few passes over a stack of vectors
                Y = (frobenius(np, z, X, 1) * (2.0 / s2))[..., None] * z
                return np.subtract(X, Y, out=Y if out is None else out)
        m = self.mid_point(p, q)
        return written(X - expanded(2.0 * frobenius(xp, m, X, 1), 1) * m, out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``X - <d, X> ((1 - cos |d|)/|d|^2 d + sinc|d| p)``, along the geodesic however long it is."""
        xp = namespace(p, X, d)
        s = frobenius(xp, d, d, 1)
        sinc = cos_sinc(xp, s)[1]
        half = cos_sinc(xp, 0.25 * s)[1]
        turn = expanded(0.5 * half * half, 1) * d + expanded(sinc, 1) * p
        return written(X - expanded(frobenius(xp, d, X, 1), 1) * turn, out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates in O(n): all entries but the first of the Householder reflection of X."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        if is_numpy(p, X) and p.ndim == 1 == X.ndim:
            p0 = p.item(0)
            return np.subtract(X[1:], X.item(0) / (p0 - 1.0 if p0 < 0.0 else p0 + 1.0) * p[1:], out=out)
        sign, p0, rest = _pivot(namespace(p, X), p)
        return written(X[..., 1:] - (sign * X[..., :1] / (1.0 + p0)) * rest, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these orthonormal coordinates, in O(n)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        if is_numpy(p, c) and p.ndim == 1 == c.ndim:
            p0, rest = p.item(0), p[1:]
            along = rest.dot(c)
            X = np.empty(p.shape, np.result_type(p, c)) if out is None else out
            tail = c - along / (1.0 + abs(p0)) * rest
            X[0] = along if p0 < 0.0 else -along
            X[1:] = tail
            return X
        xp = namespace(p, c)
        sign, p0, rest = _pivot(xp, p)
        along = frobenius(xp, rest, c, 1)[..., None]
        tail = c - along / (1.0 + p0) * rest
        return written(xp.concatenate([-sign * along, tail], axis=-1), out)

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """``z / |z|``.

        Raises
        ------
        ValueError
            If z is zero.
        """
        xp = namespace(z)
        if xp is np and not np.all(np.any(z != 0, axis=-1)):
            raise ValueError(
                "project_point on the sphere needs z != 0, but z is zero; every point is equally near to it"
            )
        return _unit(xp, z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - <p, Z> p``."""
        if type(p) is np.ndarray and type(Z) is np.ndarray and p.ndim == 1 == Z.ndim:
            return Z - p.dot(Z) * p
        if is_numpy(p, Z) and p.shape == Z.shape:
            Y = frobenius(np, p, Z, 1)[..., None] * p
            return np.subtract(Z, Y, out=Y)
        return Z - expanded(frobenius(namespace(p, Z), p, Z, 1), 1) * p

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``G - <p, G> p``."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P H - <p, G> X``."""
        if is_numpy(p, G, H, X) and p.ndim == 1 == G.ndim == H.ndim == X.ndim:
            return H - p.dot(H) * p - p.dot(G) * X
        if is_numpy(p, G, H, X) and p.shape == G.shape == H.shape == X.shape:
            Y = frobenius(np, p, H, 1)[..., None] * p
            Y += frobenius(np, p, G, 1)[..., None] * X
            return np.subtract(H, Y, out=Y)
        return self.project_vector(p, H) - expanded(frobenius(namespace(p, G), p, G, 1), 1) * X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-<p, V> X``."""
        return expanded(-frobenius(namespace(p, V), p, V, 1), 1) * X

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform on the sphere."""
        return _unit(np, np.random.default_rng(rng).standard_normal((*size, self.n + 1)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and of unit length."""
        p = _real(cleared(p, "p", self.point_shape, NotOnManifold), "p", NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        length = np.linalg.norm(p, axis=-1)
        off = float(np.max(np.abs(length - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have length 1 to be a point of {self!r}, but its length is off by {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and orthogonal to p."""
        X = _real(cleared(X, "X", self.point_shape, NotTangent), "X", NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = np.maximum(1.0, np.linalg.norm(X, axis=-1))
        off = float(np.max(np.abs(frobenius(np, np.asarray(p), X, 1)) / size, initial=0.0))
        if not off <= atol:
            raise NotTangent(
                f"X must be orthogonal to p to be tangent to {self!r}, but <p, X> / max(1, |X|) is {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_vector(p, X)"
            )


def _real(a: Array, name: str, error: type[ValueError]) -> Array:
    if a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    return a


def _exp_of_stack(p: Array, X: Array, t: float) -> Array:
    """The exponential of many points in as few passes over them as it takes."""
    if _many_in_few_dimensions(p, X):
        return _exp_of_columns(p, X, t)
    s = frobenius(np, X, X, 1)
    cos, sinc = cos_sinc(np, s * (t * t))
    # the squared length of the result, so that it is divided by its root in the same pass
    sinc = t * sinc
    square = sinc * (sinc * s + 2.0 * cos * frobenius(np, p, X, 1)) + cos * cos * frobenius(np, p, p, 1)
    r = 1.0 / np.sqrt(square)
    q = (r * sinc)[..., None] * X
    q += (r * cos)[..., None] * p
    return q


# Up to this length of a vector, a batch is quicker with its entries in rows of their own: NumPy's inner loop then runs
# over the batch. Measured with 10 to 1000 points; even at 9, slower at 17.
_FEW = 8


def _many_in_few_dimensions(p: Array, q: Array) -> bool:
    """Whether entries go into rows of their own: a short last axis, and one batch or one point and a batch."""
    return (
        p.shape[-1] <= _FEW
        and (p.ndim > 1 or q.ndim > 1)
        and (p.shape == q.shape or p.ndim == 1 or q.ndim == 1)
        and p.dtype == q.dtype
        and p.dtype.kind == "f"
        and p.size + q.size > 0
    )


def _columns(a: Array) -> Array:
    """The entries of all vectors in rows, a new array."""
    return a.reshape(-1, a.shape[-1]).T.copy()


def _rows(factor: Array, Y: Array, shape: tuple[int, ...]) -> Array:
    """``factor * Y`` as vectors again, of this shape."""
    X = np.empty((Y.shape[1], Y.shape[0]), dtype=Y.dtype)
    np.multiply(factor, Y, out=X.T)
    return X.reshape(shape)


def _column_dot(A: Array, B: Array) -> Array:
    return np.einsum("ij,ij->j", A, B)


def _exp_of_columns(p: Array, X: Array, t: float) -> Array:
    P, Y = _columns(p), _columns(X)
    s = _column_dot(Y, Y)
    cos, sinc = cos_sinc(np, s if t == 1.0 else s * (t * t))
    Y *= sinc if t == 1.0 else t * sinc
    P *= cos
    Y += P
    return _rows(1.0 / np.sqrt(_column_dot(Y, Y)), Y, p.shape)


def _rejection_of_columns(p: Array, q: Array) -> tuple[Array, Array, Array]:
    """As `_rejection`, with entries in rows and the root of the squared length."""
    P, Y = _columns(p), _columns(q)
    c = _column_dot(P, Y)
    Y = Y - np.copysign(P.dtype.type(1), c) * P  # a new array where q is one point
    Y -= _column_dot(P, Y) * P
    return Y, np.sqrt(_column_dot(Y, Y)), c


def _unit_of_three(s: float, X: Array, c: float, p: Array, out: Array | None) -> Array:
    """``s X + c p`` divided by its length, in R^3 and double precision: three numbers are quicker by hand."""
    x, y, z = X.tolist()
    u, v, w = p.tolist()
    x, y, z = s * x + c * u, s * y + c * v, s * z + c * w
    r = 1.0 / math.sqrt(x * x + y * y + z * z)
    return written(np.array([r * x, r * y, r * z]), out)


def _reflected_in_space(p: Array, X: Array, q: Array) -> Array | None:
    """X reflected in the middle of p and q, the same way; None for antipodes."""
    x, y, z = X.tolist()
    (a, b, c), (u, v, w) = p.tolist(), q.tolist()
    u, v, w = a + u, b + v, c + w
    s2 = u * u + v * v + w * w
    if not s2 > 0.0:
        return None
    r = 2.0 * (u * x + v * y + w * z) / s2
    return np.array([x - r * u, y - r * v, z - r * w])


def _unit(xp: Any, z: Array) -> Array:
    """Z divided by its length."""
    if z.ndim == 1 and xp is np:
        return z * (1.0 / math.sqrt(z.dot(z)))
    return z / expanded(xp.sqrt(frobenius(xp, z, z, 1)), 1)


def _rejection(xp: Any, p: Array, q: Array) -> tuple[Array, Array, Array]:
    """The part Y of q orthogonal to p without cancellation, its squared length, and ``<p, q>``.

    The tangent part of ``q - p`` (of ``q + p`` in the far half) is that of q, and its rounding error is
    relative to its own size.
    """
    c = frobenius(xp, p, q, 1)
    if xp is np and (c >= 0.0).all():
        e = q - p
    else:
        e = q - expanded(sign(xp, c), 1) * p
    Y = e - expanded(frobenius(xp, p, e, 1), 1) * p
    return Y, frobenius(xp, Y, Y, 1), c


def sign(xp: Any, c: Array) -> Array:
    """1 where c >= 0 and -1 elsewhere, in the dtype of c, with derivative zero."""
    if xp is np:
        return 1 - 2 * (c < 0).astype(c.dtype)
    one = xp.ones_like(c)
    return xp.where(c < 0, -one, one)


def angle_over_sine(xp: Any, s2: Array, c: Array) -> Array:
    """The angle with sine ``sqrt(s2)`` and cosine c, over the sine; 1 at angle 0."""
    if xp is np:
        s = np.sqrt(s2)
        if s.all():
            return np.arctan2(s, c) / s
        zero = s == 0
        s = np.where(zero, s.dtype.type(1), s)
        return np.where(zero, s.dtype.type(1), np.arctan2(s, c) / s)
    near = (s2 < 0.02) & (c > 0)
    s = xp.sqrt(xp.where(near | (s2 == 0), xp.ones_like(s2), s2))
    return xp.where(near, horner(_ASINC, xp.where(near, s2, xp.zeros_like(s2))), xp.arctan2(s, c) / s)


def safe_atan2(xp: Any, s2: Array, c: Array) -> Array:
    """The angle with sine ``sqrt(s2)`` and cosine c; values only, its derivative is a rule of its own."""
    zero = s2 == 0
    s = xp.where(zero, xp.zeros_like(s2), xp.sqrt(xp.where(zero, xp.ones_like(s2), s2)))
    return xp.arctan2(s, c)


def cos_sinc(xp: Any, s: Array) -> tuple[Array, Array]:
    """``cos(sqrt(s))`` and ``sinc(sqrt(s))``, smooth functions of s."""
    if xp is np:
        t = np.sqrt(s)
        if t.all():
            return np.cos(t), np.sin(t) / t
        zero = t == 0
        t = np.where(zero, t.dtype.type(1), t)
        one = t.dtype.type(1)
        return np.where(zero, one, np.cos(t)), np.where(zero, one, np.sin(t) / t)
    near = s < 1.0
    inside = xp.where(near, s, xp.zeros_like(s))
    t = xp.sqrt(xp.where(near, xp.ones_like(s), s))
    return xp.where(near, horner(_COS, inside), xp.cos(t)), xp.where(
        near, horner(_SINC, inside), xp.sin(t) / t
    )


def _pivot(xp: Any, p: Array) -> tuple[Array, Array, Array]:
    """The sign (+1 at zero) and absolute value of the first entry, and the other entries."""
    s = sign(xp, p[..., :1])
    return s, s * p[..., :1], p[..., 1:]


def fixed_direction(xp: Any, p: Array) -> Array:
    """A unit tangent vector that depends on p alone: the first one of the default basis."""
    sign, p0, rest = _pivot(xp, p)
    first = rest[..., :1]
    unit = xp.concatenate([-sign * first, 1.0 - first * first / (1.0 + p0)], axis=-1)
    return xp.concatenate([unit, -(first / (1.0 + p0)) * rest[..., 1:]], axis=-1)
