"""The essential matrices of two calibrated views, as pairs of rotations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import hermitian
from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.rotation import hat, rotation_log1p, skew_exp, vee
from manifold_opt.linalg.symmetric import skew
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.essential_alignment import aligning_turn
from manifold_opt.manifolds.rotations import Rotations
from manifold_opt.manifolds.unit_quaternions import kept, real_and_cleared

__all__ = ["Essential"]

# Half turns about the three axes: left factors of both rotations that keep E or change its sign.
_X, _Y, _Z, _I = np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1]), np.eye(3)
_SAME = np.array([[_I, _I], [_I, _Z], [_X, _Y], [_X, _X]])


@dataclass(frozen=True, repr=False)
class Essential(Manifold):
    """The relative poses of two views up to the length of the translation: SO(3) x SO(3) / SO(2), of dimension 5.

    A point is a pair p = (R1, R2) of rotation matrices, an array ``(2, 3, 3)``; turning both by one rotation about the
    third axis, ``(Z R1, Z R2)``, gives the same point. It stands for the essential matrix ``E = R1' [e3] R2 = [t] R``
    of the relative rotation ``R = R1' R2`` and the unit translation ``t = R1' e3``. A tangent vector is stored as a
    pair of skew-symmetric matrices (W1, W2) that stand for ``(R1 W1, R2 W2)``; it is horizontal: the rotation vectors
    have ``<R1' e3, w1> + <R2' e3, w2> = 0``.

    Parameters
    ----------
    signed : bool, default True
        Whether points are poses (True), or essential matrices up to sign (False), of which each belongs to four poses.
    metric_scale : float, default 0.5
        As in `Rotations`: the metric is ``metric_scale (tr W1' V1 + tr W2' V2)``.

    Raises
    ------
    ValueError
        If metric_scale is not a positive number or signed is not a bool.

    Notes
    -----
    Geodesics are pairs of horizontal geodesics of rotations. `log` and `distance` find the rotation about the third
    axis that brings q nearest to p, a global minimum over one angle, to rounding. Vectors in the body frame do not
    change when both rotations are turned.

    References
    ----------
    R. Tron, K. Daniilidis, The space of essential matrices as a Riemannian quotient manifold, SIAM J. Imaging Sci. 10,
    2017. S. Kobayashi, K. Nomizu, Foundations of Differential Geometry II, Wiley, 1969, chapter X, for normal
    homogeneous spaces.
    """

    signed: bool = True
    metric_scale: float = 0.5

    dim: ClassVar[int] = 5
    point_shape: ClassVar[tuple[int, ...]] = (2, 3, 3)
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize embed_vector riemannian_gradient riemannian_hessian
        euclidean_representer storage_vector weingarten random_point check_point check_vector injectivity_radius
        sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}
    transports: ClassVar[Mapping[str, str]] = {"left": "_transport_left", "parallel": "parallel_transport_to"}
    default_transport = "left"

    def __post_init__(self) -> None:
        if not isinstance(self.signed, (bool, np.bool_)):
            raise ValueError(f"signed must be True (poses) or False (essential matrices), but it is {self.signed!r}")
        object.__setattr__(self, "signed", bool(self.signed))
        object.__setattr__(self, "metric_scale", self.rotations.metric_scale)

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {"signed": self.signed, "metric_scale": self.metric_scale}

    @cached_property
    def rotations(self) -> Rotations:
        """The manifold of one of the rotations."""
        return Rotations(3, self.metric_scale)

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding: for ``metric_scale=1``."""
        return self.metric_scale == 1.0

    @property
    def injectivity_radius(self) -> float:
        """Half of the shortest closed geodesic: both turn against each other until they are the same point again.

        For angles in radians ``pi / sqrt(2)``, without signs half of that.
        """
        return math.pi * math.sqrt(self.metric_scale) * (1.0 if self.signed else 0.5)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0 to ``5 / (16 metric_scale)``, by ``|[X, Y]|^2 / 4`` and O'Neill's ``3/4`` of its vertical part."""
        return (0.0, 0.3125 / self.metric_scale)

    # ---------------- what it stands for

    def matrix(self, p: Array) -> Array:
        """The essential matrix ``R1' [e3] R2``: ``x1' E x2 = 0`` for the rays of one point in both views."""
        R, S = p[..., 0, :, :], p[..., 1, :, :]
        return R[..., 1, :, None] * S[..., 0, None, :] - R[..., 0, :, None] * S[..., 1, None, :]

    def from_matrix(self, E: Array) -> Array:
        """One of four points whose essential matrix is nearest to a multiple of E; `equivalents` gives the others."""
        xp = namespace(E)
        U, _, Vh = xp.linalg.svd(E)
        turn = xp.asarray(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), dtype=E.dtype)
        # the third singular vectors do not enter E and make both factors rotations
        last = xp.asarray(np.array([0.0, 0.0, 1.0]), dtype=E.dtype)
        first = transpose(U * (1.0 + last * (xp.linalg.det(U)[..., None, None] - 1.0)))
        second = turn @ (Vh * (1.0 + last[:, None] * (xp.linalg.det(Vh)[..., None, None] - 1.0)))
        return xp.stack((first, second), axis=-3)

    def pose(self, p: Array) -> tuple[Array, Array]:
        """Relative rotation R and unit translation t: a point x of the second view is at ``R x + t`` in the first."""
        R, S = p[..., 0, :, :], p[..., 1, :, :]
        return transpose(R) @ S, R[..., 2, :]

    def from_pose(self, R: Array, t: Array) -> Array:
        """The point with this relative rotation and the direction of this translation."""
        xp = namespace(R, t)
        t = t / xp.sqrt(xp.sum(t * t, axis=-1))[..., None]
        x, y, z = t[..., 0], t[..., 1], t[..., 2]
        # the first two rows complete t: a frame without a branch but the sign (Duff et al. 2017)
        one = xp.ones_like(z)
        sign = xp.where(z < 0, -one, one)
        a = -1.0 / (sign + z)
        b = x * y * a
        first = xp.stack((1.0 + sign * x * x * a, sign * b, -sign * x), axis=-1)
        second = xp.stack((b, sign + y * y * a, -y), axis=-1)
        A = xp.stack((first, second, t), axis=-2)
        return xp.stack((A, A @ R), axis=-3)

    def equivalents(self, p: Array) -> Array:
        """The four poses ``(*batch, 4, 2, 3, 3)`` with the essential matrix of p or its negative; p comes first."""
        return namespace(p).asarray(_SAME, dtype=p.dtype) @ p[..., None, :, :, :]

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``metric_scale (tr W1' V1 + tr W2' V2)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 3 == Y.ndim == p.ndim:
            return self.metric_scale * float(np.vdot(X, Y))
        xp = namespace(X, Y)
        value = self.metric_scale * frobenius(xp, X, Y, 3)
        return scalar(value) if p.ndim == 3 or value.ndim else xp.broadcast_to(value, p.shape[:-3])

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the logarithm."""
        return safe_sqrt_of(self.inner(p, *[self.log(p, q)] * 2))

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(R1 expm(t W1), R2 expm(t W2))``."""
        if type(p) is np.ndarray and type(X) is np.ndarray and p.ndim == 3 == X.ndim and np.ndim(t) == 0:
            move = self.rotations.exp
            return written(np.array((move(p[0], X[0], t), move(p[1], X[1], t))), out)
        return written(self.rotations.exp(p, X, expanded(t, 1)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithms of ``R_i' Z S_i`` for the rotation Z about the third axis that makes them shortest together.

        Where two are shortest, a fixed one of them.
        """
        xp = namespace(p, q)
        if not self.signed:
            q = self._nearest(xp, p, q)
        turn, _ = aligning_turn(p, q)
        if xp is np and p.ndim == 3 == q.ndim:
            c, s = -2.0 * math.sin(0.5 * turn) ** 2, math.sin(turn)
            D = (q - p) + np.array(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 0.0)), q.dtype) @ q
            if abs(turn) > 0.1:
                S = p + D
                W = np.array((self.rotations.log(p[0], S[0]), self.rotations.log(p[1], S[1])))
                return written(self._horizontal(p, W), out)
        else:
            half = xp.sin(0.5 * turn)
            c, s = -2.0 * half * half, xp.sin(turn)
            zero = 0.0 * s
            rows = [xp.stack(row, axis=-1) for row in ((c, -s, zero), (s, c, zero), (zero, zero, zero))]
            # the rotation less the identity: small differences keep their digits
            D = (q - p) + (xp.stack(rows, axis=-2)[..., None, :, :]) @ q
        W = rotation_log1p(transpose(p) @ D)
        return written(self._horizontal(p, W), out)

    def _nearest(self, xp: Any, p: Array, q: Array) -> Array:
        """That one of the four poses of q which is nearest to p."""
        four = self.equivalents(q)
        if xp is np and p.ndim == 3 == q.ndim:
            return min(four, key=lambda one: aligning_turn(p, one)[1])
        squares = aligning_turn(p[..., None, :, :, :], four)[1]
        best = xp.argmin(squares, axis=-1)[..., None] == xp.asarray(np.arange(4))
        chosen = xp.where(best[..., None, None, None], four, xp.zeros_like(four))
        return xp.sum(chosen, axis=-4)

    # ---------------- transports

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation or another transport; see `Manifold.vector_transport_to`."""
        if method is None:
            return self._transport_left(p, X, q, out=out)
        return self.get_transport(method)(p, X, q, out=out)

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The horizontal part of the same pair of velocities in the body frames."""
        return written(self._horizontal(q, kept(X, q, None)), out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic from p to q."""
        return self.parallel_transport_direction(p, X, self.log(p, q), out=out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """Coordinates y seen from outside obey ``y' = [d, y] / 2``, its horizontal part: a rotation of R^5.

        References
        ----------
        B. O'Neill, The fundamental equations of a submersion, Michigan Math. J. 13, 1966, for the connection of a
        quotient.
        """
        xp = namespace(p, X, d)
        outer = _outer(p, d)
        y = _coordinates(xp, _outer(p, X))
        basis = _spread(xp, xp.eye(5, dtype=y.dtype))
        brackets = _coordinates(xp, _cross(xp, outer[..., None, :, :], basis))  # rows: the image of each basis vector
        y = (skew_exp(0.5 * transpose(brackets)) @ y[..., None])[..., 0]
        q = self.exp(p, d)
        return written(self._from_outer(q, _spread(xp, y)), out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Entries seen from outside: x and y of both rotation vectors, and the root of 2 of the first's z."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = _coordinates(namespace(p, X), _outer(p, X))
        return written(math.sqrt(2.0 * self.metric_scale) * c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(self._from_outer(p, _spread(namespace(c), c / math.sqrt(2.0 * self.metric_scale))), out)

    def _from_outer(self, p: Array, x: Array) -> Array:
        return hat((transpose(p) @ x[..., None])[..., 0])

    # ---------------- embedding and derivatives

    def _horizontal(self, p: Array, W: Array) -> Array:
        """W without the velocity of turning both rotations about the third axis outside."""
        e = p[..., 2, :]
        xp = namespace(p, W)
        along = xp.sum(e * vee(W), axis=(-2, -1))
        return W - 0.5 * expanded(along, 3) * hat(e)

    def project_point(self, z: Array) -> Array:
        """The nearest pair of rotations."""
        return self.rotations.project_point(z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The horizontal part of ``skew(R_i' Z_i)``."""
        return self._horizontal(p, skew(transpose(p) @ Z))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The horizontal part of the skew-symmetric parts."""
        return self._horizontal(p, skew(X))

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``(R1 W1, R2 W2)``."""
        return p @ X

    def storage_vector(self, p: Array, X: Array) -> Array:
        """``(R1 W1, R2 W2)``."""
        return p @ X

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``skew(R_i' G_i) / metric_scale``, its horizontal part: for costs of points of the quotient all of it."""
        return self._horizontal(p, self.rotations.riemannian_gradient(p, G))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The horizontal part of that of the rotations."""
        return self._horizontal(p, self.rotations.riemannian_hessian(p, G, H, X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``metric_scale (R1 W1, R2 W2)``."""
        return self.metric_scale * (p @ X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """That of rotations, less what turns with the vertical direction; horizontal."""
        A = transpose(p) @ V
        xp = namespace(p, X, V)
        e, w = p[..., 2, :], vee(X)
        along = expanded(xp.sum(e * vee(skew(A)), axis=(-2, -1)), 3)
        return self._horizontal(p, -skew(X @ hermitian(A)) - 0.25 * along * hat(_cross(xp, e, w)))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Two independent uniform rotations."""
        return self.rotations.random_point(rng, (*size, 2))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a real and finite pair of rotations."""
        p = real_and_cleared(p, "p", (2, 3, 3), NotOnManifold)
        for i, name in enumerate(("first", "second")):
            try:
                self.rotations.check_point(p[..., i, :, :], atol)
            except NotOnManifold as error:
                raise NotOnManifold(f"in the {name} rotation of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a real and finite pair of skew-symmetric matrices, and horizontal."""
        X = real_and_cleared(X, "X", (2, 3, 3), NotTangent)
        try:
            self.rotations.check_vector(p, X, atol)
        except NotTangent as error:
            raise NotTangent(f"in a vector of {self!r}: {error}") from None
        super().check_vector(p, X, atol)


def _outer(p: Array, X: Array) -> Array:
    """The rotation vectors seen from outside, ``(*batch, 2, 3)``."""
    return (p @ vee(X)[..., None])[..., 0]


def _coordinates(xp: Any, x: Array) -> Array:
    """Orthonormal coordinates of the part of pairs x with opposite third entries."""
    last = math.sqrt(0.5) * (x[..., 0, 2:] - x[..., 1, 2:])
    return xp.concatenate((x[..., 0, :2], x[..., 1, :2], last), axis=-1)


def _spread(xp: Any, c: Array) -> Array:
    """The pairs with these coordinates."""
    last = math.sqrt(0.5) * c[..., 4:]
    first = xp.concatenate((c[..., :2], last), axis=-1)
    return xp.stack((first, xp.concatenate((c[..., 2:4], -last), axis=-1)), axis=-2)


def _cross(xp: Any, a: Array, b: Array) -> Array:
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack((y * w - z * v, z * u - x * w, x * v - y * u), axis=-1)
