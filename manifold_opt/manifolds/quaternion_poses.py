"""The rigid motions of space stored as unit quaternion and translation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace
from manifold_opt.linalg.scalars import cosc, cotc, safe_sqrt, tsinc
from manifold_opt.manifolds import quaternions as quat
from manifold_opt.manifolds import twists
from manifold_opt.manifolds.arrays import frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.special_euclidean import SpecialEuclidean
from manifold_opt.manifolds.unit_quaternions import UnitQuaternions, kept, real_and_cleared, times

__all__ = ["QuaternionPoses"]


@dataclass(frozen=True, repr=False)
class QuaternionPoses(Manifold):
    """The rigid motions x -> R x + t of space, stored in seven numbers: SE(3) with the geometry of its matrices.

    A point is a flat array ``(w, x, y, z, t1, t2, t3)`` of a unit quaternion, scalar first, and the translation; the
    other sign of the quaternion is the same motion. A tangent vector is stored in the body frame, as a rotation vector
    and a velocity, six numbers, which are the coordinates of `SpecialEuclidean(3)`.

    Parameters
    ----------
    metric_scale : float, default 0.5
        As in `SpecialEuclidean`: 1/2 measures angles in radians.
    translation_weight : float, default 1.0
        The square of how many radians count as much as a unit of length.

    Raises
    ------
    ValueError
        If a weight is not a positive number.

    Notes
    -----
    Same distances, geodesics, transports, coordinates and group functions as `SpecialEuclidean(3)`, with less memory
    and time. A cost must give both signs of the quaternion the same value.

    References
    ----------
    J. Solà, Quaternion kinematics for the error-state Kalman filter, arXiv:1711.02508, 2017. J. Solà, J. Deray, D.
    Atchuthan, A micro Lie theory for state estimation in robotics, arXiv:1812.01537, 2018.
    """

    metric_scale: float = 0.5
    translation_weight: float = 1.0

    dim: ClassVar[int] = 6
    point_shape: ClassVar[tuple[int, ...]] = (7,)
    operations: ClassVar[frozenset[str]] = UnitQuaternions.operations
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "group": "_retract_group",
        "cayley": "_retract_cayley",
        "projection": "_retract_cayley",
        "polar": "_retract_polar",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "group": "_inverse_retract_group",
        "cayley": "_inverse_retract_cayley",
        "projection": "_inverse_retract_cayley",
        "polar": "_inverse_retract_polar",
    }
    transports: ClassVar[Mapping[str, str]] = UnitQuaternions.transports
    isometric_transports: ClassVar[frozenset[str]] = UnitQuaternions.isometric_transports
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "left"

    def __post_init__(self) -> None:
        for name in ("metric_scale", "translation_weight"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float, np.number)) and 0 < value < math.inf):
                raise ValueError(f"{name} must be a positive number, but it is {value!r}")
            object.__setattr__(self, name, float(value))

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("metric_scale", "translation_weight")}

    @cached_property
    def rotations(self) -> UnitQuaternions:
        """The manifold of the rotation alone."""
        return UnitQuaternions(self.metric_scale)

    @cached_property
    def matrices(self) -> SpecialEuclidean:
        """The same manifold with rotation matrices."""
        return SpecialEuclidean(3, self.metric_scale, self.translation_weight)

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.repeat([2.0 * self.metric_scale, self.translation_weight], 3)

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """A rotation vector and a velocity."""
        return (6,)

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding: for ``metric_scale = 1/8`` and weight 1."""
        return self.metric_scale == 0.125 and self.translation_weight == 1.0

    @property
    def injectivity_radius(self) -> float:
        """That of the rotations."""
        return self.rotations.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0 to that of the rotations."""
        return (0.0, 0.125 / self.metric_scale)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """That of the rotations."""
        return self.rotations.injectivity_radius_at(p, retraction)

    # ---------------- parts

    def split(self, p: Array) -> tuple[Array, Array]:
        """Quaternion and translation of a point: views of a NumPy array."""
        return p[..., :4], p[..., 4:]

    def join(self, a: Array, t: Array, *, out: Array | None = None) -> Array:
        """The point with this quaternion and translation; their batches broadcast."""
        a, t = broadcast_batch(1, a, t)
        return written(namespace(a, t).concatenate((a, t), axis=-1), out)

    def split_vector(self, X: Array) -> tuple[Array, Array]:
        """Rotation vector and velocity, both in the body frame."""
        return X[..., :3], X[..., 3:]

    def join_vector(self, w: Array, v: Array, *, out: Array | None = None) -> Array:
        """The tangent vector with these parts."""
        return self.join(w, v, out=out)

    split_embedding = split
    join_embedding = join

    # ---------------- the group

    def identity(self, dtype: Any = float) -> Array:
        """The motion that moves nothing."""
        return np.array([1, 0, 0, 0, 0, 0, 0], dtype=dtype)

    def compose(self, p: Array, q: Array) -> Array:
        """The motion q followed by p."""
        a, b = quat.entries(p), quat.entries(q)
        return quat.packed((*quat.product(a[:4], b[:4]), *_moved(a, b[4:])), None, p, q)

    def inverse(self, p: Array) -> Array:
        """The motion that undoes p."""
        a = quat.entries(p)
        back = quat.conjugate(a[:4])
        x, y, z = quat.rotated(back, a[4:])
        return quat.packed((*back, -x, -y, -z), None, p)

    def apply(self, p: Array, x: Array) -> Array:
        """The images ``R x + t`` of points x ``(*batch, 3)``, or of many, ``(*batch, m, 3)``, each the same motion."""
        a = p[..., None, :] if x.ndim > p.ndim else p
        return quat.packed(_moved(quat.entries(a), quat.entries(x)), None, p, x)

    def to_matrix(self, p: Array) -> Array:
        """Homogeneous matrices ``(*batch, 4, 4)``."""
        return self.matrices.to_matrix(self.to_rotation_matrices(p))

    def from_matrix(self, T: Array) -> Array:
        """The points with these homogeneous matrices; their last row is not read."""
        return self.join(quat.matrix_quaternion(T[..., :3, :3]), T[..., :3, 3])

    def to_rotation_matrices(self, p: Array) -> Array:
        """The same motions as points of `SpecialEuclidean(3)`."""
        return self.matrices.join(quat.quaternion_matrix(p[..., :4]), p[..., 4:])

    def from_rotation_matrices(self, p: Array) -> Array:
        """Points of `SpecialEuclidean(3)` as points of this manifold."""
        R, t = self.matrices.split(p)
        return self.join(quat.matrix_quaternion(R), t)

    def adjoint(self, p: Array) -> Array:
        """The matrix with ``p exp(c) p^-1 = exp(Ad c)`` for twists c = (rotation, translation)."""
        return twists.adjoint_matrix(quat.quaternion_matrix(p[..., :4]), p[..., 4:])

    def left_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(J dc) exp(c)`` to first order, exp that of the group."""
        return twists.left_jacobian(c)

    def right_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(c) exp(J dc)`` to first order; the left one of -c."""
        return twists.left_jacobian(-c)

    def left_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `left_jacobian`, for angles below 2 pi."""
        return twists.left_jacobian_inverse(c)

    def right_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `right_jacobian`, for angles below 2 pi."""
        return twists.left_jacobian_inverse(-c)

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``2 metric_scale <w, w2> + translation_weight <v, v2>``."""
        xp = namespace(X, Y)
        if xp is np and X.ndim == 1 == Y.ndim == p.ndim:
            turn = float(X[:3].dot(Y[:3]))
            return 2.0 * self.metric_scale * turn + self.translation_weight * float(X[3:].dot(Y[3:]))
        value = frobenius(xp, xp.asarray(self._weights, dtype=X.dtype) * X, Y, 1)
        return scalar(value) if p.ndim == 1 or value.ndim else xp.broadcast_to(value, p.shape[:-1])

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the squared distance of the rotations and the weighted one of the translations."""
        d, e = self.rotations.distance(p[..., :4], q[..., :4]), q[..., 4:] - p[..., 4:]
        return safe_sqrt_of(d * d + self.translation_weight * scalar(frobenius(namespace(e), e, e, 1)))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times ``1 + |t|``: what rounding moves a point by."""
        t = p[..., 4:]
        size = safe_sqrt_of(scalar(frobenius(namespace(t), t, t, 1)))
        return super().coincidence_tolerance(p, q) * (1.0 + math.sqrt(self.translation_weight) * size)

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The rotation by ``t w``, and the translation straight on by ``t R v``."""
        return self._step(quat.rotation_quaternion, p, X, t, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The rotation vector from p to q, and ``R' (u - t)``."""
        return self._difference(quat.rotation_vector, p, q, out)

    def _step(
        self, turn: Callable[[quat.Entries], quat.Entries], p: Array, X: Array, t: Any, out: Array | None
    ) -> Array:
        a, b = quat.entries(p), times(t, X)
        return quat.packed((*quat.unit(quat.product(a[:4], turn(b[:3]))), *_moved(a, b[3:])), out, p, X)

    def _difference(self, unturn: Callable[..., quat.Entries], p: Array, q: Array, out: Array | None) -> Array:
        a, b = quat.entries(p), quat.entries(q)
        s, c, _ = quat.apart(a[:4], b[:4], quat.rounding(p))
        return quat.packed((*unturn(s, c), *_seen(a, b)), out, p, q)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or another retraction; see `Manifold.retract`."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._step(quat.cayley_quaternion, p, X, t, out)

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._step(quat.polar_quaternion, p, X, t, out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return self._difference(quat.cayley_vector, p, q, out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return self._difference(quat.polar_vector, p, q, out)

    def _retract_group(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The screw motion, the exponential of the group: the translation goes on by ``R V(t w) t v``; first order."""
        a, b = quat.entries(p), times(t, X)
        w, v = b[:3], b[3:]
        angle = _length(w)
        turned = quat.product(a[:4], quat.rotation_quaternion(w))
        shift = _mixed(w, v, cosc(angle), tsinc(angle))
        return quat.packed((*quat.unit(turned), *_moved(a, shift)), out, p, X)

    def _inverse_retract_group(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of the group, with velocity ``V^-1 R' (u - t)``."""
        a, b = quat.entries(p), quat.entries(q)
        s, c, _ = quat.apart(a[:4], b[:4], quat.rounding(p))
        w = quat.rotation_vector(s, c)
        return quat.packed((*w, *_mixed(w, _seen(a, b), -0.5, cotc(_length(w)))), out, p, q)

    # ---------------- transports

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation or another transport; see `Manifold.vector_transport_to`."""
        if method is None:
            return self._transport_left(p, X, q, out=out)
        return self.get_transport(method)(p, X, q, out=out)

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same velocities in the body frame."""
        return kept(X, q, out)

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        (a, _), (w, v), (b, _) = self.split(p), self.split_vector(X), self.split(q)
        outer = self.rotations.apply(a, v)
        turn = self.rotations._transport_projection(a, w, b)
        return self.join(turn, self.rotations.apply(self.rotations.inverse(b), outer), out=out)

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
        """The rotation vector turned by half of the way back, the velocity by all of it: it stays the same outside."""
        turn, x = times(-1.0, d)[:3], quat.entries(X)
        half = quat.rotation_quaternion(tuple(0.5 * y for y in turn))
        return quat.packed(
            (*quat.rotated(half, x[:3]), *quat.rotated(quat.rotation_quaternion(turn), x[3:])), out, X, d
        )

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Rotation vector and velocity, each times the root of its weight."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(namespace(X).asarray(np.sqrt(self._weights), dtype=X.dtype) * X, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = c / namespace(c).asarray(np.sqrt(self._weights), dtype=c.dtype)
        return written(X if X.ndim >= p.ndim else broadcast_batch(1, X, p)[0], out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The quaternion divided by its length, and the translation as it is."""
        return self.join(self.rotations.project_point(z[..., :4]), z[..., 4:])

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Twice the vector part of ``conj(a) Z_a``, and ``R' Z_t``."""
        return self._to_body(self.rotations.project_vector(p[..., :4], Z[..., :4]), p, Z, 1.0)

    def _to_body(self, turn: Array, p: Array, Z: Array, scale: float) -> Array:
        a = quat.conjugate(quat.entries(p[..., :4]))
        v = quat.packed(quat.rotated(a, times(scale, Z[..., 4:])), None, p, Z)
        return self.join(turn, v)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The vector itself: six numbers have nothing to clean."""
        return X.copy() if type(X) is np.ndarray else X

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``a (0, w/2)`` and ``R v``."""
        a = p[..., :4]
        return self.join(self.rotations.embed_vector(a, X[..., :3]), self.rotations.apply(a, X[..., 3:]))

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """That of the rotation, and ``R' G_t / translation_weight``."""
        turn = self.rotations.riemannian_gradient(p[..., :4], G[..., :4])
        return self._to_body(turn, p, G, 1.0 / self.translation_weight)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """That of the rotation, and ``R' H_t / translation_weight``; H is the derivative of all of G along X."""
        turn = self.rotations.riemannian_hessian(p[..., :4], G[..., :4], H[..., :4], X[..., :3])
        return self._to_body(turn, p, H, 1.0 / self.translation_weight)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``8 metric_scale`` times the embedded rotation, ``translation_weight`` times the velocity."""
        Z = self.embed_vector(p, X)
        weights = np.repeat([8.0 * self.metric_scale, self.translation_weight], [4, 3])
        return namespace(Z).asarray(weights, dtype=Z.dtype) * Z

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """That of the rotation; translations are flat."""
        turn = self.rotations.weingarten(p[..., :4], X[..., :3], V[..., :4])
        return self.join(turn, 0.0 * X[..., 3:])

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A uniform rotation and a standard normal translation."""
        rng = np.random.default_rng(rng)
        return self.join(self.rotations.random_point(rng, size), rng.standard_normal((*size, 3)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real and finite, and its first part a quaternion of length 1."""
        p = real_and_cleared(p, "p", (7,), NotOnManifold)
        try:
            self.rotations.check_point(p[..., :4], atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"in the rotation of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real and finite, six numbers."""
        real_and_cleared(X, "X", (6,), NotTangent)


def _moved(a: quat.Entries, v: quat.Entries) -> quat.Entries:
    """``R v + t`` for the pose a."""
    x, y, z = quat.rotated(a[:4], v)
    return x + a[4], y + a[5], z + a[6]


def _seen(a: quat.Entries, b: quat.Entries) -> quat.Entries:
    """``R' (u - t)``: where the pose b is, seen from the pose a."""
    return quat.rotated(quat.conjugate(a[:4]), (b[4] - a[4], b[5] - a[5], b[6] - a[6]))


def _length(w: quat.Entries) -> Any:
    square = quat.dot(w, w)
    return math.sqrt(square) if type(square) is float else safe_sqrt(square)


def _mixed(w: quat.Entries, v: quat.Entries, b: Any, c: Any) -> quat.Entries:
    """``v + b w x v + c w x (w x v)``."""
    x, y, z = quat.cross(w, v)
    k, m, n = quat.cross(w, (x, y, z))
    return v[0] + b * x + c * k, v[1] + b * y + c * m, v[2] + b * z + c * n
