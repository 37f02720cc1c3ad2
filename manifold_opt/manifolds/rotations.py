"""The rotation group SO(n)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace, transpose
from manifold_opt.linalg.rotation import hat, rotation_log1p, skew_exp, vee
from manifold_opt.linalg.small import nearest_rotation, orthonormalize, qf, solve
from manifold_opt.linalg.symmetric import skew, sym
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.small_rotations import angle_small, exp_small, log_small, rotate_small

__all__ = ["Rotations"]


@dataclass(frozen=True, repr=False)
class Rotations(Manifold):
    """The rotations SO(n) of n-dimensional space with the bi-invariant metric ``metric_scale * tr(X' Y)``.

    A point is an orthogonal (n, n) matrix p with determinant 1. A tangent vector is stored in the Lie
    algebra, as the skew-symmetric matrix X that stands for the direction ``p @ X`` (left trivialization).

    Parameters
    ----------
    n : int
        Size of the matrices, at least 2.
    metric_scale : float, default 0.5
        Factor of the metric. With 1/2 the distance of rotations in the plane and in space is the angle
        between them in radians, the injectivity radius is pi, and coordinates are the angle (n = 2) and the
        rotation vector (n = 3). With 1 the metric is that of the embedding, as in Manifolds.jl and pymanopt.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, or metric_scale is not a positive number.

    Notes
    -----
    Closed forms for n = 2 and 3; for larger n the exponential takes a Hermitian and the logarithm a symmetric
    eigendecomposition, O(n^3). ``exp`` and ``log`` are mutually inverse up to the angle pi. There ``log``
    takes a fixed one of the two directions. The default retraction is the exponential up to n = 3 and the
    Cayley transform above. The default transport leaves the matrix X as it is (left translation), an isometry
    that costs nothing.

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIMAX 20,
    1998, section 2.2. N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023,
    section 7.4. J. Solà, J. Deray, D. Atchuthan, A micro Lie theory for state estimation in robotics,
    arXiv:1812.01537, 2018.
    """

    n: int
    metric_scale: float = 0.5

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
        "polar": "_retract_polar",
        "projection": "_retract_polar",
        "qr": "_retract_qr",
        "cayley": "_retract_cayley",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
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
                f"n, the size of the rotation matrices, must be an integer of at least 2, but it is {self.n!r}"
            )
        if not (isinstance(self.metric_scale, (int, float, np.number)) and 0 < self.metric_scale < math.inf):
            raise ValueError(
                f"metric_scale must be a positive number, but it is {self.metric_scale!r}; 0.5 measures angles"
            )
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "metric_scale", float(self.metric_scale))

    @property
    def dim(self) -> int:
        """The number of planes of rotation, n (n - 1) / 2."""
        return self.n * (self.n - 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Square matrices."""
        return (self.n, self.n)

    @property
    def frobenius_scale(self) -> float | None:
        """``metric_scale``."""
        return self.metric_scale

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding: for ``metric_scale=1``."""
        return self.metric_scale == 1.0

    @property
    def default_retraction(self) -> str:
        """The exponential in closed form for n <= 3, the Cayley transform (second order, cheaper) above."""
        return "exponential" if self.n <= 3 else "cayley"

    @property
    def default_inverse_retraction(self) -> str:
        """The inverse of the default retraction."""
        return self.default_retraction

    @property
    def injectivity_radius(self) -> float:
        """The length of a half turn in one plane, ``pi sqrt(2 metric_scale)``."""
        return math.pi * math.sqrt(2.0 * self.metric_scale)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """``|[X, Y]|^2 / 4`` for orthonormal X, Y: constant for n = 3, at most ``1 / (4 metric_scale)`` above.

        References
        ----------
        D. Bloch, A. Iserles, Commutators of skew-symmetric matrices, Int. J. Bifurcation Chaos 15, 2005, for
        the norm of commutators.
        """
        if self.n == 2:
            return (0.0, 0.0)
        return (0.125 / self.metric_scale,) * 2 if self.n == 3 else (0.0, 0.25 / self.metric_scale)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance up to which a retraction has an inverse: half the radius for polar and QR, all of it else."""
        half = retraction in ("polar", "projection", "qr")
        return 0.5 * self.injectivity_radius if half else self.injectivity_radius

    # ------------------------------------------------------------------------------------------------ metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``metric_scale * tr(X' Y)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim:
            return self.metric_scale * float(np.vdot(X, Y))
        value = self.metric_scale * frobenius(namespace(X, Y), X, Y, 2)
        return (
            scalar(value) if p.ndim == 2 or value.ndim else namespace(value).broadcast_to(value, p.shape[:-2])
        )

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the logarithm; for n = 2 and 3 the angle between p and q times ``sqrt(2 metric_scale)``."""
        if self.n <= 3 and type(p) is np.ndarray and type(q) is np.ndarray:
            return math.sqrt(2.0 * self.metric_scale) * angle_small(p, q)
        return self.norm(p, self.log(p, q))

    # ------------------------------------------------------------------------------------------------ geodesi

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p expm(t X)``, made orthonormal again so that rounding of p does not grow."""
        if self.n <= 3 and type(p) is np.ndarray and type(X) is np.ndarray:
            return exp_small(p, X, _entrywise(t), out)
        return written(orthonormalize(p @ skew_exp(expanded(t, 2) * X)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The skew-symmetric logarithm of ``p' q``; at a half turn, where two are shortest, a fixed one."""
        if self.n <= 3 and type(p) is np.ndarray and type(q) is np.ndarray:
            return log_small(p, q, out)
        return written(rotation_log1p(transpose(p) @ (q - p)), out)

    # ------------------------------------------------------------------------------------------------ retract

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or another retraction; see `Manifold.retract`."""
        if method is None and self.n <= 3:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The nearest rotation to ``p + t p X``, which is ``p (I + tX) (I - t^2 X^2)^(-1/2)``; second order."""
        if self.n == 3 and type(p) is np.ndarray and type(X) is np.ndarray:
            v, square = _rotation_vector(X, _entrywise(t))
            root = (1.0 + square) ** 0.5
            return rotate_small(p, X, v, 1.0 / root, 1.0 / (root * (1.0 + root)), out)
        return written(orthonormalize(p @ nearest_rotation(_eye(X) + expanded(t, 2) * X)), out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The orthogonal factor of ``p + t p X`` with positive diagonal in the triangular one; first order."""
        return written(orthonormalize(p @ qf(_eye(X) + expanded(t, 2) * X)), out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p (I - tX/2)^(-1) (I + tX/2)``; second order."""
        if self.n == 3 and type(p) is np.ndarray and type(X) is np.ndarray:
            v, square = _rotation_vector(X, _entrywise(t))
            a = 1.0 / (1.0 + 0.25 * square)
            return rotate_small(p, X, v, a, 0.5 * a, out)
        half = expanded(t, 2) * X * 0.5
        return written(orthonormalize(p @ solve(_eye(X) - half, _eye(X) + half)), out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``skew(M) sym(M)^(-1)`` for ``M = p' q``: the tangents of the angles, all of which must be below pi/2."""
        D = transpose(p) @ (q - p)
        C = _eye(D) + sym(D)
        if namespace(D) is np and not np.all(np.linalg.eigvalsh(C) > 0):
            raise _out_of_reach("polar", "every angle of rotation between p and q below pi/2")
        return written(skew(transpose(solve(C, -skew(D)))), out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``2 (M - I) (M + I)^(-1)`` for ``M = p' q``, which must not turn any direction by pi."""
        D = transpose(p) @ (q - p)
        # the cosine of a half turn is -1 to rounding
        if namespace(D) is np and not np.all(
            np.linalg.eigvalsh(sym(D)) > -2.0 + 16.0 * np.finfo(D.dtype).eps
        ):
            raise _out_of_reach("cayley", "no half turn between p and q")
        return written(2.0 * skew(solve(2.0 * _eye(D) + D, D)), out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The X for which ``I + X = M R``, ``M = p' q``, R triangular, from ``sym(D + M (R - I)) = 0`` by columns.

        References
        ----------
        T. Kaneko, S. Fiori, T. Tanaka, Empirical arithmetic averaging over the compact Stiefel manifold, IEEE
        Trans. Signal Process. 61, 2013.
        """
        D = transpose(p) @ (q - p)
        xp = namespace(D)
        M = _eye(D) + D
        if xp is np and not np.all(np.linalg.eigvalsh(sym(M)) > 0):
            raise _out_of_reach("qr", "every angle of rotation between p and q below pi/2")
        columns: list[Array] = []
        for j in range(self.n):
            right = [
                -(D[..., i, j] + D[..., j, i]) - _dot(xp, M[..., j, : i + 1], columns[i]) for i in range(j)
            ]
            right.append(-D[..., j, j])
            columns.append(solve(M[..., : j + 1, : j + 1], xp.stack(right, axis=-1)[..., None])[..., 0])
        S = [
            xp.concatenate((c, xp.zeros_like(D[..., 0, : self.n - 1 - j])), axis=-1)
            for j, c in enumerate(columns)
        ]
        return written(skew(D + M @ xp.stack(S, axis=-1)), out)

    # ------------------------------------------------------------------------------------------------ transpo

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation or another transport; see `Manifold.vector_transport_to`."""
        if method is None:
            return self._transport_left(p, X, q, out=out)
        return self.get_transport(method)(p, X, q, out=out)

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same element of the Lie algebra: left translation by ``q p'``."""
        X = _batched_like(X, q)
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
        """Along the shortest geodesic from p to q."""
        return self.parallel_transport_direction(p, X, self.log(p, q), out=out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``E' X E`` with ``E = expm(d/2)``, in the Lie algebra.

        References
        ----------
        A. Edelman, T. A. Arias, S. T. Smith, SIMAX 20, 1998, section 2.2.
        """
        E = skew_exp(0.5 * d)
        return written(skew(transpose(E) @ X @ E), out)

    # ------------------------------------------------------------------------------------------------ coordin

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``sqrt(2 metric_scale)`` times angle (n = 2), rotation vector (n = 3), or lower triangle of X by rows."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = vee(X)
        return written(c if self.metric_scale == 0.5 else math.sqrt(2.0 * self.metric_scale) * c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The skew-symmetric matrix with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = hat(c if self.metric_scale == 0.5 else c / math.sqrt(2.0 * self.metric_scale))
        return written(_batched_like(X, p), out)

    # ------------------------------------------------------------------------------------------------ embeddi

    def project_point(self, z: Array) -> Array:
        """The nearest rotation in the Frobenius norm, also for matrices of negative determinant."""
        return orthonormalize(nearest_rotation(z))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``skew(p' Z)``."""
        return skew(transpose(p) @ Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The skew-symmetric part."""
        return skew(X)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``p @ X``."""
        return p @ X

    # ------------------------------------------------------------------------------------------------ derivat

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``skew(p' G) / metric_scale``."""
        A = transpose(p) @ G
        return (0.5 / self.metric_scale) * (A - transpose(A))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``skew(p' H - X sym(p' G)) / metric_scale``."""
        P = transpose(p)
        A = P @ H - X @ sym(P @ G)
        return (0.5 / self.metric_scale) * (A - transpose(A))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``metric_scale * p @ X``."""
        return self.metric_scale * (p @ X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """``p @ X``."""
        return p @ X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-skew(X p' V)``, whatever the scale."""
        return -skew(X @ (transpose(p) @ V))

    # ------------------------------------------------------------------------------------------------ random

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform (Haar) on the group.

        References
        ----------
        F. Mezzadri, How to generate random matrices from the classical compact groups, Notices AMS 54, 2007.
        """
        Q = qf(np.random.default_rng(rng).standard_normal((*size, self.n, self.n)))
        Q[..., 0] *= np.sign(np.linalg.det(Q))[..., None]
        return orthonormalize(Q)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite, orthogonal and of determinant 1."""
        p = _real(cleared(p, "p", self.point_shape, NotOnManifold), "p", NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(transpose(p) @ p - np.eye(self.n)), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must be orthogonal to be a point of {self!r}, but p'p differs from the identity by {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_point(p)"
            )
        if not np.all(np.linalg.det(p) > 0):
            raise NotOnManifold(
                f"p must have determinant 1 to be a point of {self!r}, but its determinant is -1, a reflection; "
                "M.project_point(p) gives the nearest rotation"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and skew-symmetric."""
        X = _real(cleared(X, "X", self.vector_shape, NotTangent), "X", NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(X + transpose(X)), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must be skew-symmetric (it stands for the direction p @ X) to be tangent to {self!r}, but X + X' "
                f"has an entry {off:.3g} (tolerance {atol * size:.3g}); M.tangentialize(p, X) cleans it, "
                "M.project_vector(p, Z) takes Z = p @ X"
            )


def _real(a: Array, name: str, error: type[ValueError]) -> Array:
    if a.dtype.kind == "c":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    return a


def _eye(X: Array) -> Array:
    return namespace(X).eye(X.shape[-1], dtype=X.dtype)


def _entrywise(t: Any) -> Any:
    """A number as a Python float; a float64 scalar must not turn float32 arrays into float64."""
    return t if type(t) is float or np.ndim(t) else float(t)


def _rotation_vector(X: Array, t: Any) -> tuple[Any, Any]:
    entries = X.tolist() if X.ndim == 2 else X.transpose(-2, -1, *range(X.ndim - 2))
    x, y, z = t * entries[2][1], t * entries[0][2], t * entries[1][0]
    return (x, y, z), x * x + y * y + z * z


def _dot(xp: Any, x: Array, y: Array) -> Array:
    return xp.sum(x * y, axis=-1)


def _batched_like(X: Array, p: Array) -> Array:
    """X with the batch axes of p, where p has more."""
    return X if X.ndim >= p.ndim else broadcast_batch(2, X, p)[0]


def _out_of_reach(name: str, rule: str) -> ValueError:
    return ValueError(
        f"inverse_retract(method={name!r}) on rotations needs {rule}; use M.log(p, q), which reaches every q"
    )
