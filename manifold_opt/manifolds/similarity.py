"""The similarities of space: rotation, translation and scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import solve_batch
from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.rotation import hat, skew_exp, vee
from manifold_opt.linalg.symmetric import skew
from manifold_opt.manifolds import similarity_twists as twists
from manifold_opt.manifolds.arrays import default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.positive import log_ratio
from manifold_opt.manifolds.rotations import Rotations
from manifold_opt.manifolds.unit_quaternions import kept, real_and_cleared

__all__ = ["Similarity"]


@dataclass(frozen=True, repr=False)
class Similarity(Manifold):
    """The similarities x -> s R x + t of n-dimensional space, with the product metric of rotation, translation, scale.

    A point is a flat array of the rotation matrix R, the translation t and the scale s > 0: ``R, t, s = M.split(p)``.
    A tangent vector is stored in the Lie algebra, as the flat array of a skew-symmetric matrix W, a velocity v and a
    rate of growth sigma; it stands for the direction ``(R W, s R v, s sigma)``, the product of matrices.

    Parameters
    ----------
    n : int
        Dimension of the space, at least 2.
    metric_scale : float, default 0.5
        Factor of ``tr(W' W)``, as in `Rotations`: 1/2 measures angles in radians.
    translation_weight : float, default 1.0
        Factor of the squared velocity of the translation, ``|s v|^2``.
    scale_weight : float, default 1.0
        Factor of ``sigma^2``, the squared rate of ``log s``.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, or a weight is not a positive number.

    Notes
    -----
    Coordinates are (rotation, translation, scale): the coordinates of W, ``s v`` and sigma. Geodesics turn and grow at
    constant rates while the translation goes straight. The exponential of the group is the retraction ``"group"``. The
    default transport ``"body"`` keeps the coordinates, an isometry; ``"left"`` keeps the stored vector, which is the
    translation of the group and no isometry of this metric.

    References
    ----------
    H. Strasdat, J. M. M. Montiel, A. J. Davison, Scale drift-aware large scale monocular SLAM, Robotics: Science and
    Systems, 2010. E. Eade, Lie groups for 2D and 3D transformations, 2013, section 6.
    """

    n: int
    metric_scale: float = 0.5
    translation_weight: float = 1.0
    scale_weight: float = 1.0

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
        "group": "_retract_group",
        "polar": "_retract_polar",
        "qr": "_retract_qr",
        "cayley": "_retract_cayley",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "group": "_inverse_retract_group",
        "polar": "_inverse_retract_polar",
        "qr": "_inverse_retract_qr",
        "cayley": "_inverse_retract_cayley",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "body": "_transport_body",
        "left": "_transport_left",
        "parallel": "parallel_transport_to",
        "projection": "_transport_projection",
    }
    isometric_transports: ClassVar[frozenset[str]] = frozenset({"body", "parallel"})
    default_transport = "body"

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 2:
            raise ValueError(
                f"n, the dimension of the space, must be an integer of at least 2, but it is {self.n!r}"
            )
        object.__setattr__(self, "n", int(self.n))
        for name in ("metric_scale", "translation_weight", "scale_weight"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float, np.number)) and 0 < value < math.inf):
                raise ValueError(f"{name} must be a positive number, but it is {value!r}")
            object.__setattr__(self, name, float(value))

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("n", "metric_scale", "translation_weight", "scale_weight")}

    @cached_property
    def rotations(self) -> Rotations:
        """The manifold of the rotation alone."""
        return Rotations(self.n, self.metric_scale)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(((self.n, self.n), (self.n,), (1,)), (False, False, False))

    @property
    def dim(self) -> int:
        """Rotations, translations and the scale."""
        return self.n * (self.n + 1) // 2 + 1

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis: the rotation matrix by rows, the translation, the scale."""
        return (self.n * (self.n + 1) + 1,)

    @property
    def isometric(self) -> bool:
        """Never: the scale is measured by its logarithm."""
        return False

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

    # ---------------- parts

    def split(self, p: Array) -> tuple[Array, Array, Array]:
        """Rotation matrix, translation and scale ``(*batch,)`` of a point: views of a NumPy array."""
        R, t, s = self._layout.split(p)
        return R, t, s[..., 0]

    def join(self, R: Array, t: Array, s: Array, *, out: Array | None = None) -> Array:
        """The point with these parts; their batches broadcast."""
        if isinstance(s, (int, float)):
            s = np.asarray(s, dtype=t.dtype)
        return self._join(R, t, s[..., None], out=out)

    split_vector = split_embedding = split
    join_vector = join_embedding = join

    def _split(self, p: Array) -> tuple[Array, ...]:
        """As `split`, with an axis behind the scale, ``(*batch, 1)``: what scales vectors has the axis of vectors."""
        return self._layout.split(p)

    def _join(self, R: Array, t: Array, s: Array, *, out: Array | None = None) -> Array:
        return self._layout.join((R, t, s), out)

    # ---------------- the group

    def identity(self, dtype: Any = float) -> Array:
        """The similarity that moves nothing."""
        return self._join(np.eye(self.n, dtype=dtype), np.zeros(self.n, dtype=dtype), np.ones(1, dtype=dtype))

    def compose(self, p: Array, q: Array) -> Array:
        """The similarity q followed by p."""
        (R, t, s), (Q, u, r) = self._split(p), self._split(q)
        return self._join(R @ Q, t + s * _apply(R, u), s * r)

    def inverse(self, p: Array) -> Array:
        """The similarity that undoes p: ``(R', -R' t / s, 1 / s)``."""
        R, t, s = self._split(p)
        return self._join(transpose(R), -_apply(transpose(R), t) / s, 1.0 / s)

    def apply(self, p: Array, x: Array) -> Array:
        """The images ``s R x + t`` of points x ``(*batch, n)``, or of many, ``(*batch, m, n)``, each the same map."""
        R, t, s = self._split(p)
        if x.ndim > t.ndim:
            return s[..., None] * (x @ transpose(R)) + t[..., None, :]
        return s * _apply(R, x) + t

    def to_matrix(self, p: Array) -> Array:
        """Homogeneous matrices ``[[s R, t], [0, 1]]``."""
        xp = namespace(p)
        R, t, s = self._split(p)
        top = xp.concatenate((s[..., None] * R, t[..., None]), axis=-1)
        last = xp.concatenate((xp.zeros_like(t), xp.ones_like(t[..., :1])), axis=-1)[..., None, :]
        return xp.concatenate((top, last), axis=-2)

    def from_matrix(self, T: Array) -> Array:
        """The points with these homogeneous matrices, whose last row is not read; the scale is a root of det(s R)."""
        A = T[..., :-1, :-1]
        s = namespace(T).linalg.det(A)[..., None] ** (1.0 / self.n)
        return self._join(A / s[..., None], T[..., :-1, -1], s)

    def adjoint(self, p: Array) -> Array:
        """The matrix with ``p exp(c) p^-1 = exp(Ad c)`` for twists c = (rotation, velocity, rate of growth).

        Twists are the entries of W in the order of the coordinates of `Rotations`, v and sigma.

        Returns
        -------
        array, shape (*batch, dim, dim)
        """
        return twists.adjoint_matrix(*self._split(p))

    def left_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(J dc) exp(c)`` to first order, exp that of the group."""
        return twists.left_jacobian(c, self.n)

    def right_jacobian(self, c: Array) -> Array:
        """The matrix J with ``exp(c + dc) = exp(c) exp(J dc)`` to first order; the left one of -c."""
        return twists.left_jacobian(-c, self.n)

    def left_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `left_jacobian`, for angles below 2 pi."""
        J = self.left_jacobian(c)
        return solve_batch(J, namespace(J).eye(self.dim, dtype=J.dtype))

    def right_jacobian_inverse(self, c: Array) -> Array:
        """The inverse of `right_jacobian`, for angles below 2 pi."""
        return self.left_jacobian_inverse(-c)

    def from_twist(self, c: Array) -> Array:
        """The tangent vector, at any point, whose twist is c."""
        k = self.dim - self.n - 1
        return self._join(hat(c[..., :k]), c[..., k:-1], c[..., -1:])

    def to_twist(self, X: Array) -> Array:
        """The twist of a tangent vector: the entries of W, v and sigma, whatever the weights."""
        W, v, sigma = self._split(X)
        return namespace(X).concatenate((vee(W), v, sigma), axis=-1)

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``metric_scale tr(W' W2) + translation_weight s^2 v' v2 + scale_weight sigma sigma2``."""
        s = self._split(p)[2]
        (W, v, a), (V, u, b) = self._split(X), self._split(Y)
        xp = namespace(p, X, Y)
        turn = self.metric_scale * frobenius(xp, W, V, 2)
        shift = self.translation_weight * frobenius(xp, s * v, s * u, 1)
        return scalar(turn + shift + self.scale_weight * frobenius(xp, a, b, 1))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared distances of rotations, translations and logarithms of the scales."""
        (R, t, s), (Q, u, r) = self._split(p), self._split(q)
        d, e, a = self.rotations.distance(R, Q), u - t, log_ratio(s, r)
        xp = namespace(e)
        squares = self.translation_weight * frobenius(xp, e, e, 1) + self.scale_weight * frobenius(xp, a, a, 1)
        return safe_sqrt_of(scalar(d * d + squares))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times ``1 + |t|``: what rounding moves a point by."""
        t = self._split(p)[1]
        size = safe_sqrt_of(scalar(frobenius(namespace(t), t, t, 1)))
        return super().coincidence_tolerance(p, q) * (1.0 + math.sqrt(self.translation_weight) * size)

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(R expm(W), x + s R v, s e^sigma)`` for the vector t X."""
        return self._moved(self.rotations.exp, p, X, t, out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``(log(R' Q), R' (u - t) / s, log(r / s))``."""
        return self._difference(self.rotations.log, p, q, out)

    def _moved(self, rotate: Callable[..., Array], p: Array, X: Array, t: Any, out: Array | None) -> Array:
        (R, x, s), (W, v, a) = self._split(p), self._split(X)
        shift = expanded(t, 1) * (s * v)
        return self._join(rotate(R, W, t), x + _apply(R, shift), _grown(s, expanded(t, 1) * a), out=out)

    def _difference(self, unrotate: Callable[..., Array], p: Array, q: Array, out: Array | None) -> Array:
        (R, t, s), (Q, u, r) = self._split(p), self._split(q)
        v = _apply(transpose(R), (u - t) / s)
        return self._join(unrotate(R, Q), v, log_ratio(s, r), out=out)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or another retraction; see `Manifold.retract`."""
        if method is None and self.n <= 3:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_group(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(R expm(W), x + s R V v, s e^sigma)``, the exponential of the group; first order."""
        (R, x, s), (W, v, a) = self._split(p), self._split(X)
        a = expanded(t, 1) * a
        shift = twists.turned(expanded(t, 2) * W, a, expanded(t, 1) * v)
        return self._join(self.rotations.exp(R, W, t), x + s * _apply(R, shift), _grown(s, a), out=out)

    def _inverse_retract_group(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of the group, ``(log(R' Q), V^-1 R' (u - t) / s, log(r / s))``."""
        W, v, a = self._split(self.log(p, q))
        return self._join(W, twists.turned_back(W, a, v), a, out=out)

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

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same element of the Lie algebra."""
        return kept(X, q, out)

    def _transport_body(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same velocities in the body frame, the translation's in the units outside."""
        W, v, a = self._split(X)
        ratio = self._split(p)[2] / self._split(q)[2]
        return self._join(W, ratio * v, a, out=out)

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The default without going there, or any other transport; see `Manifold.vector_transport_direction`."""
        if method is None or method == "body":
            W, v, a = self._split(X)
            shrunk = namespace(d).exp(-self._split(d)[2])
            return self._join(W, shrunk * v, a, out=out)
        return super().vector_transport_direction(p, X, d, method=method, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic: that of rotations, the same velocity outside, the same rate of growth."""
        (R, _, s), (W, v, a), (Q, _, r) = self._split(p), self._split(X), self._split(q)
        turned = _apply(transpose(Q), _apply(R, v)) * (s / r)
        return self._join(self.rotations.parallel_transport_to(R, W, Q), turned, a, out=out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """Along the geodesic of d."""
        (W, v, a), (D, _, growth) = self._split(X), self._split(d)
        turned = _apply(transpose(skew_exp(D)), v) * namespace(d).exp(-growth)
        R = self._split(p)[0]
        return self._join(self.rotations.parallel_transport_direction(R, W, D), turned, a, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the rotation, the velocity ``s v`` and the rate of growth, each times the root of its weight."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        s, (W, v, a) = self._split(p)[2], self._split(X)
        turn = self.rotations.get_coordinates(W, W)
        shift = math.sqrt(self.translation_weight) * s * v
        growth = math.sqrt(self.scale_weight) * a + 0.0 * s
        xp = namespace(p, X)
        if turn.ndim < shift.ndim:
            turn = turn + 0.0 * shift[..., :1]
        return written(xp.concatenate((turn, shift, growth), axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        k = self.dim - self.n - 1
        s = self._split(p)[2]
        W = hat(c[..., :k] / math.sqrt(2.0 * self.metric_scale))
        v = c[..., k:-1] / (math.sqrt(self.translation_weight) * s)
        return self._join(W, v, c[..., -1:] / math.sqrt(self.scale_weight), out=out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The nearest rotation, the translation as it is, and the scale, which must be positive.

        Raises
        ------
        ValueError
            If the scale is not positive: no positive number is nearest to it.
        """
        R, t, s = self._split(z)
        if type(z) is np.ndarray and not np.all(s > 0):
            raise ValueError(f"project_point on {self!r} needs a positive scale, but the smallest is {np.min(s):.3g}")
        return self._join(self.rotations.project_point(R), t, s)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``(skew(R' Z_R), R' Z_t / s, Z_s / s)``."""
        (R, _, s), (A, a, b) = self._split(p), self._split(Z)
        return self._join(skew(transpose(R) @ A), _apply(transpose(R), a) / s, b / s)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The skew-symmetric part of the rotation."""
        W, v, a = self._split(X)
        return self._join(skew(W), v, a)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``(R W, s R v, s sigma)``."""
        (R, _, s), (W, v, a) = self._split(p), self._split(X)
        return self._join(R @ W, s * _apply(R, v), s * a)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``(skew(R' G_R) / metric_scale, R' G_t / (translation_weight s), s G_s / scale_weight)``."""
        (R, _, s), (A, a, b) = self._split(p), self._split(G)
        v = _apply(transpose(R), a) / (self.translation_weight * s)
        return self._join(self.rotations.riemannian_gradient(R, A), v, s * b / self.scale_weight)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """Those of the parts; the scale's is ``(s H_s + s sigma G_s) / scale_weight``."""
        (R, _, s), (W, _, sigma) = self._split(p), self._split(X)
        (A, _, c), (B, b, h) = self._split(G), self._split(H)
        v = _apply(transpose(R), b) / (self.translation_weight * s)
        turn = self.rotations.riemannian_hessian(R, A, B, W)
        return self._join(turn, v, s * (h + sigma * c) / self.scale_weight)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``(metric_scale R W, translation_weight s R v, scale_weight sigma / s)``."""
        (R, _, s), (W, v, a) = self._split(p), self._split(X)
        outer = (self.translation_weight * s) * _apply(R, v)
        return self._join(self.metric_scale * (R @ W), outer, self.scale_weight * a / s)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """That of rotations; translations and scales have no normal directions."""
        (R, _, _), (W, v, a), (N, _, _) = self._split(p), self._split(X), self._split(V)
        return self._join(self.rotations.weingarten(R, W, N), 0.0 * v, 0.0 * a)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A uniform rotation, a standard normal translation, and a scale with a normal logarithm of deviation 1/2."""
        rng = np.random.default_rng(rng)
        R, t = self.rotations.random_point(rng, size), rng.standard_normal((*size, self.n))
        return self._join(R, t, np.exp(0.5 * rng.standard_normal((*size, 1))))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real and finite, its first part a rotation and its last positive."""
        p = real_and_cleared(p, "p", self.point_shape, NotOnManifold)
        R, _, s = self._split(p)
        if not np.all(s > 0):
            raise NotOnManifold(f"the scale, the last entry of p, must be positive, but it is {np.min(s):.3g}")
        try:
            self.rotations.check_point(R, default_atol(p) if atol is None else atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"in the rotation of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and its first part skew-symmetric."""
        X = real_and_cleared(X, "X", self.vector_shape, NotTangent)
        try:
            self.rotations.check_vector(p, self._split(X)[0], default_atol(X) if atol is None else atol)
        except NotTangent as error:
            raise NotTangent(f"in the rotation of a vector of {self!r}: {error}") from None


def _apply(R: Array, v: Array) -> Array:
    """``R v`` for batches of matrices and vectors."""
    return (R @ v[..., None])[..., 0]


def _grown(s: Array, a: Array) -> Array:
    """``s e^a``."""
    return s * namespace(s, a).exp(a)
