"""The orthogonal group O(n), the unitary group U(n) and the special unitary group SU(n)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import (
    antihermitian,
    frame_polar,
    frame_qf,
    hermitian,
    orthonormalize_frame,
    solve_batch,
    unitary_exp,
)
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, namespace
from manifold_opt.linalg.rotation import hat, rotation_log1p, skew_exp, vee
from manifold_opt.linalg.unitary import unitary_log1p
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.frames import (
    eye_like,
    gaussian,
    polar_factor,
    skew_coordinates,
    skew_from_coordinates,
    triangular_factor,
)
from manifold_opt.manifolds.small_rotations import angle_small, exp_small, log_small
from manifold_opt.manifolds.small_unitary import exp_unitary2, log_unitary2

__all__ = ["Orthogonal", "SpecialUnitary", "Unitary"]


class _Group(Manifold):
    """Matrices p with ``p^H p = I`` and the bi-invariant metric ``metric_scale * Re tr(X^H Y)``.

    A tangent vector is stored in the Lie algebra, as the skew-Hermitian matrix X that stands for ``p @ X``.
    """

    n: int
    metric_scale: float

    _least: ClassVar[int] = 1
    _special: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize embed_vector riemannian_gradient riemannian_hessian
        euclidean_representer storage_vector weingarten random_point check_point check_vector injectivity_radius
        sectional_curvature_bounds
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
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < self._least:
            raise ValueError(
                f"n, the size of the matrices of {type(self).__name__}(n), must be an integer of at least "
                f"{self._least}, but it is {self.n!r}"
            )
        if not (isinstance(self.metric_scale, (int, float, np.number)) and 0 < self.metric_scale < math.inf):
            raise ValueError(
                f"metric_scale must be a positive number, but it is {self.metric_scale!r}; 1 is the metric of the "
                "embedding"
            )
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "metric_scale", float(self.metric_scale))

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
        """The exponential for n <= 3, the Cayley transform (second order, cheaper) above."""
        return "exponential" if self.n <= 3 else "cayley"

    @property
    def default_inverse_retraction(self) -> str:
        """The inverse of the default retraction."""
        return self.default_retraction

    # ---------------- what the three groups differ in

    def _algebra(self, A: Array) -> Array:
        """The part of a matrix in the Lie algebra."""
        return antihermitian(A)

    def _exponential(self, X: Array) -> Array:
        return unitary_exp(X)

    def _logarithm(self, D: Array) -> Array:
        """The logarithm of I + D."""
        return unitary_log1p(D)

    def _cleaned(self, q: Array) -> Array:
        """A point that was on the manifold up to rounding."""
        return orthonormalize_frame(q)

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``metric_scale * Re tr(X^H Y)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim:
            return self.metric_scale * float(np.vdot(X, Y).real)
        value = self.metric_scale * frobenius(namespace(X, Y), X, Y, 2)
        return (
            scalar(value) if p.ndim == 2 or value.ndim else namespace(value).broadcast_to(value, p.shape[:-2])
        )

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the logarithm."""
        return self.norm(p, self.log(p, q))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p expm(t X)``, made unitary again so that rounding of p does not grow."""
        if self.n == 2 and _one_complex(p, X) and np.ndim(t) == 0:
            q = exp_unitary2(p, X, float(t), self._special)
            if q is not None:
                return written(q, out)
        return written(self._cleaned(p @ self._exponential(expanded(t, 2) * X)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of ``p^H q``; at a half turn, where two are shortest, one of them."""
        if self.n == 2 and _one_complex(p, q):
            X = log_unitary2(p, q, self._special)
            if X is not None:
                return written(X, out)
        return written(self._logarithm(adjoint(p) @ (q - p)), out)

    # ---------------- retractions

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The default or another retraction; see `Manifold.retract`."""
        if method is None and self.default_retraction == "exponential":
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The nearest point to ``p + t p X``; second order."""
        return written(self._cleaned(p @ frame_polar(eye_like(X) + expanded(t, 2) * X)), out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The unitary factor of ``p + t p X`` with positive diagonal in the triangular one; first order."""
        return written(self._cleaned(p @ frame_qf(eye_like(X) + expanded(t, 2) * X)), out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p (I - tX/2)^(-1) (I + tX/2)``; second order."""
        half = expanded(t, 2) * X * 0.5
        return written(self._cleaned(p @ solve_batch(eye_like(X) - half, eye_like(X) + half)), out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``M (I + E) - I`` for ``M = p^H q`` and the Hermitian E that makes it skew-Hermitian."""
        D = self._within_a_right_angle("polar", p, q)
        E = polar_factor(D)
        return written(antihermitian(D + E + D @ E), out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """As for the polar retraction, with a triangular E."""
        D = self._within_a_right_angle("qr", p, q)
        E = triangular_factor(D)
        return written(antihermitian(D + E + D @ E), out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``2 (M - I) (M + I)^(-1)`` for ``M = p^H q``, which must not have the eigenvalue -1."""
        D = adjoint(p) @ (q - p)
        # the cosine of a half turn is -1 to rounding
        if namespace(D) is np and not np.all(
            np.linalg.eigvalsh(hermitian(D)) > -2.0 + 16.0 * np.finfo(D.dtype).eps
        ):
            raise self._out_of_reach("cayley", "no eigenvalue -1 of p^H q")
        return written(2.0 * antihermitian(solve_batch(2.0 * eye_like(D) + D, D)), out)

    def _within_a_right_angle(self, name: str, p: Array, q: Array) -> Array:
        D = adjoint(p) @ (q - p)
        if namespace(D) is np and not np.all(np.linalg.eigvalsh(hermitian(D)) > -1.0):
            raise self._out_of_reach(name, "eigenvalues of p^H q with positive real parts")
        return D

    def _out_of_reach(self, name: str, rule: str) -> ValueError:
        return ValueError(f"inverse_retract(method={name!r}) on {self!r} needs {rule}; use M.log(p, q)")

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance up to which a retraction has an inverse: half the radius for polar and QR, all of it else."""
        half = retraction in ("polar", "projection", "qr")
        return 0.5 * self.injectivity_radius if half else self.injectivity_radius

    # ---------------- transports

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Left translation or another transport; see `Manifold.vector_transport_to`."""
        if method is None:
            return self._transport_left(p, X, q, out=out)
        return self.get_transport(method)(p, X, q, out=out)

    def _transport_left(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The same element of the Lie algebra: left translation by ``q p^H``."""
        X = X if X.ndim >= q.ndim else broadcast_batch(2, X, q)[0]
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
        """``E^H X E`` with ``E = expm(d/2)``, in the Lie algebra."""
        E = self._exponential(0.5 * d)
        return written(self._algebra(adjoint(E) @ X @ E), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The nearest point in the Frobenius norm, the polar factor."""
        return self._cleaned(frame_polar(z))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The part of ``p^H Z`` in the Lie algebra."""
        if type(p) is np.ndarray and type(Z) is np.ndarray and not self._special:
            A = p.swapaxes(-1, -2).conj() @ Z
            return 0.5 * (A - A.swapaxes(-1, -2).conj())
        return self._algebra(adjoint(p) @ Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The part of X in the Lie algebra."""
        return self._algebra(X)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``p @ X``."""
        return p @ X

    def storage_vector(self, p: Array, X: Array) -> Array:
        """``p @ X``."""
        return p @ X

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``P(p^H G) / metric_scale`` with the projection P to the Lie algebra."""
        return self._algebra(adjoint(p) @ G) / self.metric_scale

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(p^H H - X (p^H G + G^H p)/2) / metric_scale``."""
        P = adjoint(p)
        return self._algebra(P @ H - X @ hermitian(P @ G)) / self.metric_scale

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``metric_scale * p @ X``."""
        return self.metric_scale * (p @ X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(X p^H V)``, whatever the scale."""
        return -self._algebra(X @ hermitian(adjoint(p) @ V))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform (Haar) on the group.

        References
        ----------
        F. Mezzadri, How to generate random matrices from the classical compact groups, Notices AMS 54, 2007.
        """
        return orthonormalize_frame(frame_qf(gaussian(rng, (*size, self.n, self.n), self.field)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the right field and unitary."""
        p = self._of_field(cleared(p, "p", self.point_shape, NotOnManifold), "p", NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(adjoint(p) @ p - np.eye(self.n)), initial=0.0))
        if not off <= atol:
            kind, product = ("orthogonal", "p'p") if self.field == "real" else ("unitary", "p^H p")
            raise NotOnManifold(
                f"p must be {kind} to be a point of {self!r}, but {product} differs from the identity by {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the right field and in the Lie algebra."""
        X = self._of_field(cleared(X, "X", self.vector_shape, NotTangent), "X", NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(self._algebra(X) - X), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must be {self._tangent_rule} (it stands for the direction p @ X) to be tangent to {self!r}, but an "
                f"entry is off by {off:.3g} (tolerance {atol * size:.3g}); M.tangentialize(p, X) cleans it, "
                "M.project_vector(p, Z) takes Z = p @ X"
            )

    @property
    def _tangent_rule(self) -> str:
        return "skew-symmetric" if self.field == "real" else "skew-Hermitian"

    def _of_field(self, a: Array, name: str, error: type[ValueError]) -> Array:
        if self.field == "real" and a.dtype.kind == "c":
            raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part, or use Unitary(n)")
        return a


@dataclass(frozen=True, repr=False)
class Orthogonal(_Group):
    """The orthogonal matrices O(n), rotations and reflections, with the metric ``metric_scale * tr(X' Y)``.

    A point is an orthogonal (n, n) matrix p. A tangent vector is stored in the Lie algebra, as the skew-symmetric
    matrix X that stands for the direction ``p @ X``.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 2.
    metric_scale : float, default 0.5
        Factor of the metric; 1/2 measures angles in radians, as for `Rotations`.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, or metric_scale is not a positive number.

    Notes
    -----
    The group has two components, by the sign of the determinant. Nothing leads from one to the other: every retraction
    stays, the distance across is infinite and ``log`` across raises ValueError (on arrays of other libraries both are
    meaningless there).

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIMAX 20, 1998,
    section 2.2.
    """

    n: int
    metric_scale: float = 0.5

    field: ClassVar[str] = "real"
    _least: ClassVar[int] = 2

    @property
    def dim(self) -> int:
        """The number of planes of rotation, n (n - 1) / 2."""
        return self.n * (self.n - 1) // 2

    @property
    def injectivity_radius(self) -> float:
        """The length of a half turn in one plane, ``pi sqrt(2 metric_scale)``."""
        return math.pi * math.sqrt(2.0 * self.metric_scale)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """As for rotations: zero for n = 2, constant for n = 3, at most ``1 / (4 metric_scale)`` above."""
        if self.n == 2:
            return (0.0, 0.0)
        return (0.125 / self.metric_scale,) * 2 if self.n == 3 else (0.0, 0.25 / self.metric_scale)

    def _exponential(self, X: Array) -> Array:
        return skew_exp(X)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p expm(t X)``; for n = 2 and 3 as on `Rotations`, with the last row of reflections turned over."""
        if self.n > 3 or type(p) is not np.ndarray or type(X) is not np.ndarray:
            return super().exp(p, X, t, out=out)
        s = _orientation(p)
        q = exp_small(_turned_over(p, s), X, expanded(t, 0), None)
        return written(_turned_over(q, s), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The skew-symmetric logarithm of ``p' q``; at a half turn, where two are shortest, a fixed one.

        Raises
        ------
        ValueError
            If p and q are a rotation and a reflection.
        """
        if self.n <= 3 and type(p) is np.ndarray and type(q) is np.ndarray:
            s, r = _orientation(p), _orientation(q)
            if np.all(s == r):
                return log_small(_turned_over(p, s), _turned_over(q, r), out)
        return super().log(p, q, out=out)

    def _logarithm(self, D: Array) -> Array:
        if type(D) is np.ndarray and np.any(_across(D)):
            raise ValueError(
                f"log on {self!r} needs determinants of one sign, but those of p and q differ; no path leads from a "
                "rotation to a reflection"
            )
        return rotation_log1p(D)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The length of the logarithm; infinite between rotations and reflections."""
        if self.n <= 3 and type(p) is np.ndarray and type(q) is np.ndarray:
            s, r = _orientation(p), _orientation(q)
            angle = angle_small(_turned_over(p, s), _turned_over(q, r))
            if type(angle) is float:
                return math.sqrt(2.0 * self.metric_scale) * angle if s == r else math.inf
            return np.where(s == r, math.sqrt(2.0 * self.metric_scale) * angle, angle.dtype.type(math.inf))
        D = adjoint(p) @ (q - p)
        if type(D) is not np.ndarray:
            return self.norm(p, rotation_log1p(D))
        across = _across(D)
        D = np.where(across[..., None, None], 0.0, D).astype(D.dtype, copy=False)
        length = self.norm(p, rotation_log1p(D))
        return scalar(np.where(across, math.inf, length).astype(D.dtype, copy=False)) if np.any(across) else length

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of `Rotations`: angle (n = 2), rotation vector (n = 3), or lower triangle of X, times a factor."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = vee(X)
        return written(c if self.metric_scale == 0.5 else math.sqrt(2.0 * self.metric_scale) * c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The skew-symmetric matrix with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = hat(c if self.metric_scale == 0.5 else c / math.sqrt(2.0 * self.metric_scale))
        return written(X if X.ndim >= p.ndim else broadcast_batch(2, X, p)[0], out)


def _orientation(p: np.ndarray) -> Any:
    """1 for rotations and -1 for reflections of size 2 or 3: the sign of the determinant, a float for one matrix."""
    rows = p.tolist() if p.ndim == 2 else np.moveaxis(p, (-2, -1), (0, 1))
    if len(rows) == 2:
        (a, b), (c, d) = rows
        det = a * d - b * c
    else:
        (a, b, c), (d, e, f), (g, h, i) = rows
        det = a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)
    return math.copysign(1.0, det) if type(det) is float else np.copysign(det.dtype.type(1), det)


def _turned_over(p: np.ndarray, s: Any) -> np.ndarray:
    """The matrices with their last row times s."""
    if type(s) is float:
        if s > 0.0:
            return p
        s = p.dtype.type(s)
    q = np.array(np.broadcast_to(p, np.shape(s) + p.shape[-2:]))
    q[..., -1, :] *= np.asarray(s)[..., None]
    return q


def _one_complex(p: Array, X: Array) -> bool:
    """Whether both are single NumPy matrices, complex ones."""
    both = type(p) is np.ndarray and type(X) is np.ndarray
    return both and p.ndim == 2 == X.ndim and p.dtype.kind == "c" == X.dtype.kind


def _across(D: Array) -> np.ndarray:
    """Whether I + D is a reflection."""
    return np.linalg.det(D + np.eye(D.shape[-1], dtype=D.dtype)) < 0


@dataclass(frozen=True, repr=False)
class Unitary(_Group):
    """The unitary matrices U(n) with the metric ``metric_scale * Re tr(X^H Y)``.

    A point is a complex (n, n) matrix p with ``p^H p = I``. A tangent vector is stored in the Lie algebra, as the
    skew-Hermitian matrix X that stands for the direction ``p @ X``.

    Parameters
    ----------
    n : int
        Size of the matrices.
    metric_scale : float, default 1.0
        Factor of the metric; 1 is the metric of the embedding, in which distances on U(1) are angles.

    Raises
    ------
    ValueError
        If n is not a positive integer, or metric_scale is not a positive number.

    Notes
    -----
    Exponential and logarithm take Hermitian eigendecompositions, O(n^3), batched. Coordinates are the imaginary
    diagonal, then sqrt(2) times real and imaginary parts of the strict lower triangle by rows.

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIMAX 20, 1998,
    section 2.2. T. Abrudan, J. Eriksson, V. Koivunen, Steepest descent algorithms for optimization under unitary matrix
    constraint, IEEE Trans. Signal Process. 56, 2008.
    """

    n: int
    metric_scale: float = 1.0

    field: ClassVar[str] = "complex"

    @property
    def dim(self) -> int:
        """The real dimension, n^2."""
        return self.n * self.n

    @property
    def injectivity_radius(self) -> float:
        """The length of a half turn of one phase, ``pi sqrt(metric_scale)``."""
        return math.pi * math.sqrt(self.metric_scale)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """``|[X, Y]|^2 / 4`` for orthonormal X, Y: from 0 to ``1 / (2 metric_scale)``.

        References
        ----------
        A. Böttcher, D. Wenzel, The Frobenius norm and the commutator, Linear Algebra Appl. 429, 2008.
        """
        return (0.0, 0.0) if self.n == 1 else (0.0, 0.5 / self.metric_scale)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The imaginary diagonal, then sqrt(2) times real and imaginary lower triangle, times the root of the scale."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(math.sqrt(self.metric_scale) * skew_coordinates(X, True), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The skew-Hermitian matrix with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = skew_from_coordinates(c / math.sqrt(self.metric_scale), self.n, True)
        return written(X if X.ndim >= p.ndim else broadcast_batch(2, X, p)[0], out)


@dataclass(frozen=True, repr=False)
class SpecialUnitary(_Group):
    """The unitary matrices SU(n) of determinant 1 with the metric ``metric_scale * Re tr(X^H Y)``.

    A point is a complex (n, n) matrix p with ``p^H p = I`` and determinant 1. A tangent vector is stored in the Lie
    algebra, as the skew-Hermitian matrix X of trace zero that stands for the direction ``p @ X``.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 2.
    metric_scale : float, default 1.0
        Factor of the metric; 1 is the metric of the embedding.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, or metric_scale is not a positive number.

    Notes
    -----
    The logarithm is the shortest one of trace zero, which the principal one need not be: where the principal angles add
    to 2 pi m, the m largest go around once more. Only the exponential is offered as a retraction: polar, QR and Cayley
    factors of ``I + X`` have other determinants than 1.

    Coordinates are those of `Unitary` with the diagonal seen in n - 1 orthonormal coordinates by a Householder
    reflection.

    References
    ----------
    B. C. Hall, Lie Groups, Lie Algebras, and Representations, 2nd ed., Springer, 2015, chapter 11.
    """

    n: int
    metric_scale: float = 1.0

    field: ClassVar[str] = "complex"
    _least: ClassVar[int] = 2
    _special: ClassVar[bool] = True
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"

    @property
    def dim(self) -> int:
        """The real dimension, n^2 - 1."""
        return self.n * self.n - 1

    @property
    def injectivity_radius(self) -> float:
        """The length of opposite half turns of two phases, ``pi sqrt(2 metric_scale)``: the first conjugate point."""
        return math.pi * math.sqrt(2.0 * self.metric_scale)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Constant ``1 / (2 metric_scale)`` for n = 2, where the group is a sphere; from 0 to it above."""
        top = 0.5 / self.metric_scale
        return (top, top) if self.n == 2 else (0.0, top)

    def _algebra(self, A: Array) -> Array:
        B = antihermitian(A)
        every = np.arange(self.n)
        mean = namespace(B).sum(B[..., every, every], axis=-1)[..., None, None] / self.n
        return B - mean * eye_like(B)

    def _logarithm(self, D: Array) -> Array:
        return unitary_log1p(D, traceless=True)

    def _cleaned(self, q: Array) -> Array:
        q = orthonormalize_frame(q)
        xp = namespace(q)
        # the phase of the determinant to first order: it was rounding
        turn = xp.imag(xp.linalg.det(q)) / self.n
        return q - 1j * expanded(turn, 2) * q

    def project_point(self, z: Array) -> Array:
        """The polar factor, turned by the n-th part of the phase of its determinant."""
        q = frame_polar(z)
        xp = namespace(q)
        d = xp.linalg.det(q)
        turn = xp.arctan2(xp.imag(d), xp.real(d)) / self.n
        turned = q * xp.exp(-1j * turn[..., None, None])
        return self._cleaned(turned.astype(q.dtype, copy=False) if xp is np else turned)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of `Unitary`, but ``d_i - d_n/(sqrt(n) + 1)`` for i < n of the diagonal d."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        n = self.n
        c = skew_coordinates(X, True)
        first = c[..., : n - 1] - c[..., n - 1 : n] / (math.sqrt(n) + 1.0)
        whole = namespace(c).concatenate((first, c[..., n:]), axis=-1)
        return written(math.sqrt(self.metric_scale) * whole, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The skew-Hermitian matrix of trace zero with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        n = self.n
        xp = namespace(c)
        c = c / math.sqrt(self.metric_scale)
        first = c[..., : n - 1]
        total = xp.sum(first, axis=-1)[..., None]
        parts = (first - total / (n + math.sqrt(n)), -total / math.sqrt(n), c[..., n - 1 :])
        X = skew_from_coordinates(xp.concatenate(parts, axis=-1), n, True)
        return written(X if X.ndim >= p.ndim else broadcast_batch(2, X, p)[0], out)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform (Haar) on the group: uniform on U(n), the first column divided by the determinant."""
        q = super().random_point(rng, size)
        q[..., 0] /= np.linalg.det(q)[..., None]
        return self._cleaned(q)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, unitary and of determinant 1."""
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(np.linalg.det(p) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have determinant 1 to be a point of {self!r}, but its determinant is off by {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_point(p)"
            )

    @property
    def _tangent_rule(self) -> str:
        return "skew-Hermitian and of trace zero"
