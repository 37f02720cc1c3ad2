"""The rigid motions SE(n)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace, transpose
from manifold_opt.linalg.rotation import hat, skew_exp, vee
from manifold_opt.linalg.symmetric import skew
from manifold_opt.manifolds import twists
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.rotations import Rotations

__all__ = ["SpecialEuclidean"]


@dataclass(frozen=True, repr=False)
class SpecialEuclidean(Manifold):
    """The rigid motions x -> R x + t of n-dimensional space, with the product metric of rotations and translations.

    A point is a flat array of the rotation matrix R and the translation t: ``R, t = M.split(p)`` are views and ``p =
    M.join(R, t)`` makes one. A tangent vector is stored in the body frame, as the flat array of a skew-symmetric matrix
    W and a velocity v that stand for the direction ``(R W, R v)``: ``W, v = M.split_vector(X)``.

    Parameters
    ----------
    n : int
        Dimension of the space, at least 2.
    metric_scale : float, default 0.5
        Factor of ``tr(W' W)``, as in `Rotations`: 1/2 measures angles in radians.
    translation_weight : float, default 1.0
        Factor of ``v' v``: the square of how many radians count as much as a unit of length.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, or a weight is not a positive number.

    Notes
    -----
    Coordinates are (rotation, translation) in the body frame: for n = 3 the rotation vector and v, for n = 2 the angle
    and v. Geodesics turn at a constant rate while the translation goes straight: ``exp`` is ``(R expm(W), t + R v)``.
    The exponential of the group, a screw motion, is the retraction ``"group"`` (n = 2 and 3). The default transport
    leaves the stored vector as it is (left translation), an isometry that costs nothing.

    `compose`, `inverse`, `adjoint`, `left_jacobian` and their kin serve factor graphs; twists there are coordinates
    with both weights at their defaults.

    References
    ----------
    J. Solà, J. Deray, D. Atchuthan, A micro Lie theory for state estimation in robotics, arXiv:1812.01537, 2018. J. M.
    Selig, Geometric Fundamentals of Robotics, 2nd ed., Springer, 2005, chapter 4.
    """

    n: int
    metric_scale: float = 0.5
    translation_weight: float = 1.0

    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize embed_vector riemannian_gradient riemannian_hessian
        euclidean_representer storage_vector weingarten random_point check_point check_vector injectivity_radius
        injectivity_radius_at sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "group": "_retract_group",
        "polar": "_retract_polar",
        "projection": "_retract_polar",
        "qr": "_retract_qr",
        "cayley": "_retract_cayley",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "group": "_inverse_retract_group",
        "polar": "_inverse_retract_polar",
        "projection": "_inverse_retract_polar",
        "qr": "_inverse_retract_qr",
        "cayley": "_inverse_retract_cayley",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "left": "_transport_left",
        "parallel": "parallel_transport_to",
        "projection": "_transport_projection",
    }
    isometric_transports: ClassVar[frozenset[str]] = frozenset({"left", "parallel"})
    default_transport = "left"

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 2:
            raise ValueError(
                f"n, the dimension of the space, must be an integer of at least 2, but it is {self.n!r}"
            )
        for name in ("metric_scale", "translation_weight"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float, np.number)) and 0 < value < math.inf):
                raise ValueError(f"{name} must be a positive number, but it is {value!r}")
            object.__setattr__(self, name, float(value))
        object.__setattr__(self, "n", int(self.n))

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("n", "metric_scale", "translation_weight")}

    @cached_property
    def rotations(self) -> Rotations:
        """The manifold of the rotation alone."""
        return Rotations(self.n, self.metric_scale)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(((self.n, self.n), (self.n,)), (False, False))

    @cached_property
    def _weights(self) -> np.ndarray:
        """What the squares of the entries of a stored vector count."""
        return np.repeat([self.metric_scale, self.translation_weight], [self.n**2, self.n])

    @cached_property
    def _units(self) -> np.ndarray:
        """Coordinates over the entries of the twist they stand for."""
        turns = self.n * (self.n - 1) // 2
        return np.sqrt(np.repeat([2.0 * self.metric_scale, self.translation_weight], [turns, self.n]))

    @cached_property
    def _entries(self) -> np.ndarray:
        """Where the coordinates are in a stored vector."""
        n = self.n
        return np.concatenate((vee(np.arange(n * n).reshape(n, n)), np.arange(n * n, n * n + n)))

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """For each entry of a stored vector the coordinate it comes from, and its sign, 0 on the diagonal."""
        k = self.dim - self.n
        numbers = hat(np.arange(1.0, k + 1.0)).ravel()
        place = np.concatenate((np.maximum(abs(numbers) - 1, 0), np.arange(k, self.dim)))
        return place.astype(np.intp), np.concatenate((np.sign(numbers), np.ones(self.n)))

    @property
    def dim(self) -> int:
        """Rotations and translations, n (n + 1) / 2."""
        return self.n * (self.n + 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis: the rotation matrix by rows, then the translation."""
        return (self.n * (self.n + 1),)

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding: with both weights 1."""
        return self.metric_scale == 1.0 == self.translation_weight

    @property
    def default_retraction(self) -> str:
        """As for rotations: the exponential for n <= 3, the Cayley transform above."""
        return self.rotations.default_retraction

    @property
    def default_inverse_retraction(self) -> str:
        """The inverse of the default retraction."""
        return self.default_retraction

    @property
    def injectivity_radius(self) -> float:
        """That of the rotations."""
        return self.rotations.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0 to the largest of the rotations."""
        return (0.0, self.rotations.sectional_curvature_bounds[1])

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """That of the rotations."""
        return self.rotations.injectivity_radius_at(p, retraction)

    def _works(self, kind: str, name: str) -> bool:
        return super()._works(kind, name) and (name != "group" or self.n <= 3)

    # ---------------- parts

    def split(self, p: Array) -> tuple[Array, ...]:
        """Rotation matrix and translation of a point: views of a NumPy array."""
        return self._layout.split(p)

    def join(self, R: Array, t: Array, *, out: Array | None = None) -> Array:
        """The point with this rotation matrix and translation; their batches broadcast."""
        return self._layout.join((R, t), out)

    def split_vector(self, X: Array) -> tuple[Array, ...]:
        """The skew-symmetric matrix and the velocity, both in the body frame."""
        return self._layout.split(X)

    def join_vector(self, W: Array, v: Array, *, out: Array | None = None) -> Array:
        """The tangent vector with these parts."""
        return self._layout.join((W, v), out)

    def split_embedding(self, Z: Array) -> tuple[Array, ...]:
        """The parts of an array of the embedding, such as a Euclidean gradient."""
        return self._layout.split(Z)

    def join_embedding(self, Z_R: Array, Z_t: Array, *, out: Array | None = None) -> Array:
        """The array of the embedding with these parts."""
        return self._layout.join((Z_R, Z_t), out)

    # ---------------- the group

    def identity(self, dtype: Any = float) -> Array:
        """The motion that moves nothing."""
        return self.join(np.eye(self.n, dtype=dtype), np.zeros(self.n, dtype=dtype))

    def compose(self, p: Array, q: Array) -> Array:
        """The motion q followed by p: ``(R S, t + R u)``."""
        (R, t), (S, u) = self.split(p), self.split(q)
        return self.join(R @ S, t + _apply(R, u))

    def inverse(self, p: Array) -> Array:
        """The motion that undoes p: ``(R', -R' t)``."""
        R, t = self.split(p)
        return self.join(transpose(R), -_apply(transpose(R), t))

    def apply(self, p: Array, x: Array) -> Array:
        """The images ``R x + t`` of points x ``(*batch, n)``, or of many, ``(*batch, m, n)``, each the same motion."""
        R, t = self.split(p)
        if x.ndim > t.ndim:
            return x @ transpose(R) + t[..., None, :]
        return _apply(R, x) + t

    def to_matrix(self, p: Array) -> Array:
        """Homogeneous matrices ``[[R, t], [0, 1]]``."""
        xp = namespace(p)
        R, t = self.split(p)
        last = xp.concatenate((xp.zeros_like(t), xp.ones_like(t[..., :1])), axis=-1)[..., None, :]
        return xp.concatenate((xp.concatenate((R, t[..., None]), axis=-1), last), axis=-2)

    def from_matrix(self, T: Array) -> Array:
        """The points with these homogeneous matrices; their last row is not read."""
        return self.join(T[..., :-1, :-1], T[..., :-1, -1])

    def adjoint(self, p: Array) -> Array:
        """The matrix with ``p exp(c) p^-1 = exp(Ad c)`` for twists c = (rotation, translation); n = 2 and 3.

        Returns
        -------
        array, shape (*batch, dim, dim)
        """
        self._require_space("adjoint")
        return twists.adjoint_matrix(*self.split(p))

    def left_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(J dc) exp(c)`` to first order, exp that of the group; n = 2 and 3."""
        self._require_space("left_jacobian")
        return twists.left_jacobian(c)

    def right_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(c) exp(J dc)`` to first order; the left one of -c."""
        self._require_space("right_jacobian")
        return twists.left_jacobian(-c)

    def left_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `left_jacobian`, for angles below 2 pi."""
        self._require_space("left_jacobian_inverse")
        return twists.left_jacobian_inverse(c)

    def right_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `right_jacobian`, for angles below 2 pi."""
        self._require_space("right_jacobian_inverse")
        return twists.left_jacobian_inverse(-c)

    def _require_space(self, name: str) -> None:
        if self.n > 3:
            raise self._missing(name, "it is there for n = 2 and 3")

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``metric_scale * tr(W' W2) + translation_weight * v' v2``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 1 == Y.ndim == p.ndim:
            k = self.n * self.n
            return self.metric_scale * float(X[:k].dot(Y[:k])) + self.translation_weight * float(
                X[k:].dot(Y[k:])
            )
        xp = namespace(X, Y)
        value = frobenius(xp, xp.asarray(self._weights, dtype=X.dtype) * X, Y, 1)
        return scalar(value) if p.ndim == 1 or value.ndim else xp.broadcast_to(value, p.shape[:-1])

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the squared distance of the rotations and the weighted one of the translations."""
        (R, t), (S, u) = self.split(p), self.split(q)
        d, e = self.rotations.distance(R, S), u - t
        return safe_sqrt_of(d * d + self.translation_weight * scalar(frobenius(namespace(e), e, e, 1)))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times ``1 + |t|``: what rounding moves a point by."""
        t = self.split(p)[1]
        size = safe_sqrt_of(scalar(frobenius(namespace(t), t, t, 1)))
        return super().coincidence_tolerance(p, q) * (1.0 + math.sqrt(self.translation_weight) * size)

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(R expm(t W), x + t R v)``."""
        return self._moved(self.rotations.exp, p, X, t, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``(log(R' S), R' (u - t))``."""
        return self._difference(self.rotations.log, p, q, out)

    def _moved(self, rotate: Any, p: Array, X: Array, t: Any, out: Array | None) -> Array:
        """The rotation goes its way, the translation straight on."""
        if type(p) is np.ndarray and type(X) is np.ndarray and p.ndim == 1 == X.ndim:
            n, k = self.n, self.n * self.n
            R = p[:k].reshape(n, n)
            x = p[k:] + R.dot(expanded(t, 1) * X[k:])
            return np.concatenate((rotate(R, X[:k].reshape(n, n), t).ravel(), x), out=out)
        (R, x), (W, v) = self._layout.split(p), self._layout.split(X)
        return self._layout.join((rotate(R, W, t), x + _apply(R, expanded(t, 1) * v)), out)

    def _difference(self, unrotate: Any, p: Array, q: Array, out: Array | None) -> Array:
        if type(p) is np.ndarray and type(q) is np.ndarray and p.ndim == 1 == q.ndim:
            n, k = self.n, self.n * self.n
            R = p[:k].reshape(n, n)
            v = (q[k:] - p[k:]).dot(R)
            return np.concatenate((unrotate(R, q[:k].reshape(n, n)).ravel(), v), out=out)
        (R, t), (S, u) = self._layout.split(p), self._layout.split(q)
        return self._layout.join((unrotate(R, S), _apply(transpose(R), u - t)), out)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or another retraction; see `Manifold.retract`."""
        if method is None and self.n <= 3:
            return self._moved(self.rotations.exp, p, X, t, out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_group(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The screw motion ``(R expm(t W), x + R V t v)``, the exponential of the group; first order."""
        (R, x), (W, v) = self.split(p), self.split_vector(X)
        t1 = expanded(t, 1)
        return self.join(self.rotations.exp(R, W, t), x + _apply(R, twists.turned(t1 * vee(W), t1 * v)), out=out)

    def _inverse_retract_group(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of the group, ``(log(R' S), V^-1 R' (u - t))``."""
        (R, t), (S, u) = self.split(p), self.split(q)
        W = self.rotations.log(R, S)
        return self.join_vector(W, twists.turned_back(vee(W), _apply(transpose(R), u - t)), out=out)

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._moved(self.rotations._retract_polar, p, X, t, out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._moved(self.rotations._retract_qr, p, X, t, out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._moved(self.rotations._retract_cayley, p, X, t, out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return self._difference(self.rotations._inverse_retract_polar, p, q, out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return self._difference(self.rotations._inverse_retract_qr, p, q, out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return self._difference(self.rotations._inverse_retract_cayley, p, q, out)

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
        X = X if X.ndim >= q.ndim else broadcast_batch(1, X, q)[0]
        if out is not None:
            return written(X, out)
        return X.copy() if type(X) is np.ndarray else X

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation without going there, or any other transport; see `Manifold.vector_transport_direction`."""
        if method is None or method == "left":
            return self._transport_left(p, X, d, out=out)
        return super().vector_transport_direction(p, X, d, method=method, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic: that of rotations, and the same velocity seen from outside."""
        (R, _), (W, v), (S, _) = self.split(p), self.split_vector(X), self.split(q)
        return self.join_vector(
            self.rotations.parallel_transport_to(R, W, S), _apply(transpose(S), _apply(R, v)), out=out
        )

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """Along the geodesic of d."""
        (R, _), (W, v), (D, _) = self.split(p), self.split_vector(X), self.split_vector(d)
        V = self.rotations.parallel_transport_direction(R, W, D)
        return self.join_vector(V, _apply(transpose(skew_exp(D)), v), out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Rotation then translation, in the body frame, each times the root of its weight."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = X.take(self._entries) if type(X) is np.ndarray and X.ndim == 1 else X[..., self._entries]
        if self.metric_scale != 0.5 or self.translation_weight != 1.0:
            c = namespace(X).asarray(self._units, dtype=X.dtype) * c
        return written(c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        if self.metric_scale != 0.5 or self.translation_weight != 1.0:
            c = c / namespace(c).asarray(self._units, dtype=c.dtype)
        if c.ndim < p.ndim:
            c = broadcast_batch(1, c, p)[0]
        place, sign = self._places
        if type(c) is np.ndarray and c.ndim == 1 and c.dtype == np.float64:
            return np.multiply(c.take(place), sign, out=out)
        return written(c[..., place] * namespace(c).asarray(sign, dtype=c.dtype), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The nearest rotation, and the translation as it is."""
        R, t = self.split_embedding(z)
        return self.join(self.rotations.project_point(R), t)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``(skew(R' Z_R), R' Z_t)``."""
        (R, _), (A, a) = self.split(p), self.split_embedding(Z)
        return self.join_vector(skew(transpose(R) @ A), _apply(transpose(R), a))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The skew-symmetric part of the rotation."""
        W, v = self.split_vector(X)
        return self.join_vector(skew(W), v)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``(R W, R v)``."""
        (R, _), (W, v) = self.split(p), self.split_vector(X)
        return self.join_embedding(R @ W, _apply(R, v))

    def storage_vector(self, p: Array, X: Array) -> Array:
        """``(R W, R v)``."""
        return self.embed_vector(p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``(skew(R' G_R) / metric_scale, R' G_t / translation_weight)``."""
        (R, _), (A, a) = self.split(p), self.split_embedding(G)
        return self.join_vector(
            self.rotations.riemannian_gradient(R, A), _apply(transpose(R), a) / self.translation_weight
        )

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """That of rotations, and ``R' H_t / translation_weight``; H is the derivative of all of G along X."""
        (R, _), (W, _) = self.split(p), self.split_vector(X)
        (A, _), (B, b) = self.split_embedding(G), self.split_embedding(H)
        return self.join_vector(
            self.rotations.riemannian_hessian(R, A, B, W), _apply(transpose(R), b) / self.translation_weight
        )

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``(metric_scale * R W, translation_weight * R v)``."""
        Z = self.embed_vector(p, X)
        return namespace(Z).asarray(self._weights, dtype=Z.dtype) * Z

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """That of rotations; translations are flat."""
        (R, _), (W, v), (N, _) = self.split(p), self.split_vector(X), self.split_embedding(V)
        return self.join_vector(self.rotations.weingarten(R, W, N), 0.0 * v)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A uniform rotation and a standard normal translation."""
        rng = np.random.default_rng(rng)
        return self.join(self.rotations.random_point(rng, size), rng.standard_normal((*size, self.n)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and its first part a rotation."""
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        if p.dtype.kind == "c":
            raise NotOnManifold(f"p must be real, but its dtype is {p.dtype}; take its real part")
        try:
            self.rotations.check_point(self.split(p)[0], default_atol(p) if atol is None else atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"in the rotation of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and its first part skew-symmetric."""
        X = cleared(X, "X", self.vector_shape, NotTangent)
        if X.dtype.kind == "c":
            raise NotTangent(f"X must be real, but its dtype is {X.dtype}; take its real part")
        try:
            self.rotations.check_vector(p, self.split_vector(X)[0], default_atol(X) if atol is None else atol)
        except NotTangent as error:
            raise NotTangent(f"in the rotation of a vector of {self!r}: {error}") from None


def _apply(R: Array, v: Array) -> Array:
    """``R v`` for batches of matrices and vectors."""
    return (R @ v[..., None])[..., 0]
