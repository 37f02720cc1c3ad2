"""Rotations of space stored as unit quaternions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace
from manifold_opt.manifolds import quaternions as quat
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.sphere import safe_atan2

__all__ = ["UnitQuaternions"]


@dataclass(frozen=True, repr=False)
class UnitQuaternions(Manifold):
    """The rotations of space, stored as unit quaternions: SO(3) in four numbers, with the geometry of `Rotations(3)`.

    A point is an array ``(w, x, y, z)`` of length 1, scalar first; p and -p are the same rotation. A tangent vector is
    stored as the rotation vector X in the body frame, three numbers: it stands for the direction ``p (0, X/2)``, a
    product of quaternions.

    Parameters
    ----------
    metric_scale : float, default 0.5
        As in `Rotations`: the metric is ``2 metric_scale <X, Y>``. With 1/2 distances are angles in radians and
        coordinates are rotation vectors.

    Raises
    ------
    ValueError
        If metric_scale is not a positive number.

    Notes
    -----
    Same distances, geodesics, transports and curvature as `Rotations(3)`, in less memory and time: a product costs 16
    multiplications and staying on the manifold a division by the length. A cost must give p and -p the same value.
    `log`, `distance` and the transports take either sign of q; `exp` and the retractions go on without a jump, so that
    w may become negative. `canonical` makes it positive.

    References
    ----------
    J. Solà, Quaternion kinematics for the error-state Kalman filter, arXiv:1711.02508, 2017.
    """

    metric_scale: float = 0.5

    dim: ClassVar[int] = 3
    point_shape: ClassVar[tuple[int, ...]] = (4,)
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize embed_vector riemannian_gradient riemannian_hessian
        euclidean_representer weingarten random_point check_point check_vector injectivity_radius
        injectivity_radius_at sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "cayley": "_retract_cayley",
        "projection": "_retract_cayley",
        "polar": "_retract_polar",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "cayley": "_inverse_retract_cayley",
        "projection": "_inverse_retract_cayley",
        "polar": "_inverse_retract_polar",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "left": "_transport_left",
        "parallel": "parallel_transport_to",
        "projection": "_transport_projection",
    }
    isometric_transports: ClassVar[frozenset[str]] = frozenset({"left", "parallel"})
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "left"

    def __post_init__(self) -> None:
        if not (isinstance(self.metric_scale, (int, float, np.number)) and 0 < self.metric_scale < math.inf):
            raise ValueError(
                f"metric_scale must be a positive number, but it is {self.metric_scale!r}; 0.5 measures angles"
            )
        object.__setattr__(self, "metric_scale", float(self.metric_scale))

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """Rotation vectors."""
        return (3,)

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the sphere of quaternions: for ``metric_scale = 1/8``."""
        return self.metric_scale == 0.125

    @property
    def injectivity_radius(self) -> float:
        """The length of a half turn, ``pi sqrt(2 metric_scale)``."""
        return math.pi * math.sqrt(2.0 * self.metric_scale)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant, ``1 / (8 metric_scale)``."""
        return (0.125 / self.metric_scale,) * 2

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance up to which a retraction has an inverse: half the radius for polar, all of it else."""
        return (0.5 if retraction == "polar" else 1.0) * self.injectivity_radius

    # ---------------- the group

    def identity(self, dtype: Any = float) -> Array:
        """The rotation that turns nothing, (1, 0, 0, 0)."""
        return np.array([1, 0, 0, 0], dtype=dtype)

    def compose(self, p: Array, q: Array) -> Array:
        """The rotation q followed by p."""
        return quat.packed(quat.product(quat.entries(p), quat.entries(q)), None, p, q)

    def inverse(self, p: Array) -> Array:
        """The rotation back."""
        return quat.packed(quat.conjugate(quat.entries(p)), None, p)

    def apply(self, p: Array, x: Array) -> Array:
        """The images of vectors x ``(*batch, 3)``, or of many, ``(*batch, m, 3)``, each under the same rotation."""
        a = p[..., None, :] if x.ndim > p.ndim else p
        return quat.packed(quat.rotated(quat.entries(a), quat.entries(x)), None, p, x)

    def canonical(self, p: Array) -> Array:
        """The quaternion of the same rotation whose first entry that is not zero is positive."""
        xp = namespace(p)
        w, x, y, z = (p[..., i] for i in range(4))
        first = xp.where(w != 0, w, xp.where(x != 0, x, xp.where(y != 0, y, z)))
        return p * xp.where(first < 0, -xp.ones_like(first), xp.ones_like(first))[..., None]

    def to_matrix(self, p: Array) -> Array:
        """Rotation matrices ``(*batch, 3, 3)``: points of `Rotations(3)`."""
        return quat.quaternion_matrix(p)

    def from_matrix(self, R: Array) -> Array:
        """The points with these rotation matrices, with w >= 0; accurate at every angle."""
        return quat.matrix_quaternion(R)

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``2 metric_scale <X, Y>``."""
        scale = 2.0 * self.metric_scale
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 1 == Y.ndim == p.ndim:
            return scale * float(X.dot(Y))
        xp = namespace(X, Y)
        value = scale * frobenius(xp, X, Y, 1)
        return scalar(value) if p.ndim == 1 or value.ndim else xp.broadcast_to(value, p.shape[:-1])

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between the rotations, times ``sqrt(2 metric_scale)``."""
        s, c, _ = quat.apart(quat.entries(p), quat.entries(q), quat.rounding(p))
        square = quat.dot(s, s)
        scale = 2.0 * math.sqrt(2.0 * self.metric_scale)
        if type(square) is float:
            return scale * math.atan2(math.sqrt(square), c)
        xp = namespace(square)
        return scale * (np.arctan2(np.sqrt(square), c) if xp is np else safe_atan2(xp, square, c))

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p (cos(a/2), sin(a/2) X / a)``, ``a = t |X|``, divided by its length so that rounding does not grow."""
        a = quat.product(quat.entries(p), quat.rotation_quaternion(times(t, X)))
        return quat.packed(quat.unit(a), out, p, X)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The rotation vector from p to q, at most pi long; at a half turn, where two are shortest, a fixed one."""
        s, c, _ = quat.apart(quat.entries(p), quat.entries(q), quat.rounding(p))
        return quat.packed(quat.rotation_vector(s, c), out, p, q)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or another retraction; see `Manifold.retract`."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t p (0, X/2)`` divided by its length: on matrices the Cayley transform; second order, no sine."""
        a = quat.product(quat.entries(p), quat.cayley_quaternion(times(t, X)))
        return quat.packed(quat.unit(a), out, p, X)

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The polar retraction of matrices, by the angle whose tangent is ``t |X|``; second order."""
        a = quat.product(quat.entries(p), quat.polar_quaternion(times(t, X)))
        return quat.packed(quat.unit(a), out, p, X)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``2 tan(a/2)`` along the axis; the angle a must be below pi."""
        s, c, _ = quat.apart(quat.entries(p), quat.entries(q), quat.rounding(p))
        return quat.packed(quat.cayley_vector(s, c), out, p, q)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``tan(a)`` along the axis; the angle a must be below pi/2."""
        s, c, _ = quat.apart(quat.entries(p), quat.entries(q), quat.rounding(p))
        return quat.packed(quat.polar_vector(s, c), out, p, q)

    # ---------------- transports

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation or another transport; see `Manifold.vector_transport_to`."""
        if method is None:
            return self._transport_left(p, X, q, out=out)
        return self.get_transport(method)(p, X, q, out=out)

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same rotation vector in the body frame."""
        return kept(X, q, out)

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of X at the quaternion of p nearest to q, projected."""
        xp = namespace(p, q)
        c = frobenius(xp, p, q, 1)
        sign = xp.where(c < 0, -xp.ones_like(c), xp.ones_like(c))
        return written(expanded(sign, 1) * super()._transport_projection(p, X, q), out)

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation without going there, or any other transport; see `Manifold.vector_transport_direction`."""
        if method is None or method == "left":
            return self._transport_left(p, X, d, out=out)
        return super().vector_transport_direction(p, X, d, method=method, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic from p to q."""
        return self.parallel_transport_direction(p, X, self.log(p, q), out=out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """X turned by ``-d/2``, in the body frame."""
        half = quat.rotation_quaternion(times(-0.5, d))
        return quat.packed(quat.rotated(half, quat.entries(X)), out, X, d)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``sqrt(2 metric_scale)`` times the rotation vector."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(math.sqrt(2.0 * self.metric_scale) * X, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The rotation vector with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = c / math.sqrt(2.0 * self.metric_scale)
        return written(X if X.ndim >= p.ndim else broadcast_batch(1, X, p)[0], out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """``z / |z|``.

        Raises
        ------
        ValueError
            If z is zero.
        """
        if type(z) is np.ndarray and not np.all(np.any(z != 0, axis=-1)):
            raise ValueError("project_point needs z != 0, but z is zero; every quaternion is equally near to it")
        return quat.packed(quat.unit(quat.entries(z)), None, z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Twice the vector part of ``conj(p) Z``."""
        return _vector_part(p, Z, 2.0)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The vector itself: three numbers have nothing to clean."""
        return X.copy() if type(X) is np.ndarray else X

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``p (0, X/2)``."""
        w, x, y, z = quat.entries(p)
        a, b, c = times(0.5, X)
        parts = (-(x * a + y * b + z * c), w * a + y * c - z * b, w * b + z * a - x * c, w * c + x * b - y * a)
        return quat.packed(parts, None, p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The vector part of ``conj(p) G`` over ``4 metric_scale``."""
        return _vector_part(p, G, 0.25 / self.metric_scale)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """That of the sphere of quaternions: ``P H - <p, G> p (0, X/2)``, converted as the gradient."""
        along = frobenius(namespace(p, G), p, G, 1)
        return _vector_part(p, H, 0.25 / self.metric_scale) - expanded((0.125 / self.metric_scale) * along, 1) * X

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``8 metric_scale p (0, X/2)``."""
        return 8.0 * self.metric_scale * self.embed_vector(p, X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-<p, V> X``, whatever the scale."""
        return expanded(-frobenius(namespace(p, V), p, V, 1), 1) * X

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform (Haar) on the rotations."""
        return self.project_point(np.random.default_rng(rng).standard_normal((*size, 4)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and of length 1."""
        p = real_and_cleared(p, "p", (4,), NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(np.linalg.norm(p, axis=-1) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have length 1 to be a point of {self!r}, but its length is off by {off:.3g} "
                f"(tolerance {atol:.3g}); divide it by its length, or take M.from_matrix(R) of a rotation matrix"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real and finite, three numbers."""
        real_and_cleared(X, "X", (3,), NotTangent)


def real_and_cleared(a: Any, name: str, shape: tuple[int, ...], error: type[ValueError]) -> Array:
    """The array after the checks of shape, finiteness and field."""
    a = cleared(a, name, shape, error)
    if a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    return a


def times(t: Any, X: Array) -> quat.Entries:
    """The entries of t X."""
    v = quat.entries(X)
    if type(t) is float and t == 1.0:
        return v
    t = expanded(t, 0)
    return tuple([t * x for x in v])


def _vector_part(p: Array, Z: Array, scale: float) -> Array:
    """The vector part of ``scale conj(p) Z``."""
    w, x, y, z = quat.entries(p)
    p0, u, v, s = quat.entries(Z)
    parts = (w * u - p0 * x - y * s + z * v, w * v - p0 * y - z * u + x * s, w * s - p0 * z - x * v + y * u)
    return quat.packed(tuple(scale * a for a in parts), None, p, Z)


def kept(X: Array, q: Array, out: Array | None) -> Array:
    """X as it is, with the batch axes of q; a new array."""
    X = X if X.ndim >= q.ndim else broadcast_batch(1, X, q)[0]
    if out is not None:
        return written(X, out)
    return X.copy() if type(X) is np.ndarray else X

