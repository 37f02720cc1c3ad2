"""Stiefel manifolds: matrices with orthonormal columns, real or complex."""

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
    general_sylvester,
    hermitian,
    hermitian_inverse_sqrt,
    orthonormalize_frame,
    solve_batch,
    unitary_exp,
)
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace
from manifold_opt.linalg.small import eigh
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.stiefel_log import frame_log, implicit_log

__all__ = ["Stiefel"]

# The factor of the tangent part p^H X in the metric, in the family of Hueper, Markina and Silva Leite.
_BETA = {"euclidean": 1.0, "canonical": 0.5}


@dataclass(frozen=True, repr=False)
class Stiefel(Manifold):
    """The (n, k) matrices p with orthonormal columns, ``p^H p = I``.

    A tangent vector X at p is an (n, k) matrix with ``p^H X`` skew-Hermitian.

    Parameters
    ----------
    n, k : int
        Numbers of rows and columns, ``k <= n``.
    field : {"real", "complex"}
        What the entries are; complex matrices have the real inner product ``Re tr(X^H Y)``.
    metric : {"euclidean", "canonical"}
        ``Re tr(X^H Y)``, or ``Re tr(X^H (I - p p^H / 2) Y)``, the metric of the quotient O(n) / O(n - k).

    Raises
    ------
    ValueError
        If the sizes are not ``1 <= k <= n``, the dimension is zero (k = n = 1, real), or a name is unknown.

    Notes
    -----
    Every operation is O(n k^2), the default coordinates included. ``exp`` is exact for both metrics. ``log`` is found
    by Newton's method; see `log` for how far.

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIAM J. Matrix
    Anal. Appl. 20, 1998, sections 2.2 to 2.4. R. Zimmermann, K. Hüper, Computing the Riemannian logarithm on the
    Stiefel manifold: metrics, methods, and performance, SIAM J. Matrix Anal. Appl. 43, 2022.
    """

    n: int
    k: int
    field: str = "real"
    metric: str = "euclidean"

    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner exp log get_coordinates get_vector project_point project_vector tangentialize riemannian_gradient
        riemannian_hessian euclidean_representer weingarten random_point check_point check_vector injectivity_radius
        injectivity_radius_at sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "polar": "_retract_polar",
        "projection": "_retract_polar",
        "qr": "_retract_qr",
        "cholesky-qr": "_retract_cholesky_qr",
        "cayley": "_retract_cayley",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "polar": "_inverse_retract_polar",
        "projection": "_inverse_retract_polar",
        "qr": "_inverse_retract_qr",
        "cholesky-qr": "_inverse_retract_qr",
        "cayley": "_inverse_retract_cayley",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "projection": "_transport_projection",
        "differentiated-polar": "_transport_polar",
        "differentiated-qr": "_transport_qr",
        "differentiated-cayley": "_transport_cayley",
    }
    default_retraction = "polar"
    default_inverse_retraction = "polar"
    default_transport = "projection"

    def __post_init__(self) -> None:
        n, k = frames.check_sizes("Stiefel", self.n, self.k)
        frames.check_field(self.field)
        if self.metric not in _BETA:
            raise ValueError(f"metric must be 'euclidean' or 'canonical', but it is {self.metric!r}")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "k", k)
        if self.dim == 0:
            raise ValueError("Stiefel(1, 1) is two points, of dimension 0; take more rows, or field='complex'")

    @property
    def frobenius_scale(self) -> float | None:
        """1 for the Euclidean metric."""
        return 1.0 if self.isometric else None

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding."""
        return self.metric == "euclidean"

    @property
    def dim(self) -> int:
        """``n k - k (k + 1) / 2``; complex ``2 n k - k^2``."""
        return 2 * self.n * self.k - self.k**2 if self._complex else self.n * self.k - self.k * (self.k + 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (self.n, self.k)

    @property
    def _complex(self) -> bool:
        return self.field == "complex"

    @property
    def _beta(self) -> float:
        return _BETA[self.metric]

    @property
    def injectivity_radius(self) -> float:
        """Pi for the Euclidean metric; for the canonical one a lower bound, 0.894 pi, or pi/2 for complex matrices.

        Square real frames are the orthogonal group, with ``pi sqrt(2)`` and pi.

        References
        ----------
        R. Zimmermann, J. Stoye, The injectivity radius of the compact Stiefel manifold under the Euclidean metric,
        2024. Q. Rentmeesters, Algorithms for data fitting on some common homogeneous spaces, PhD thesis, Louvain,
        2013, theorem 5.13 for the canonical metric; the complex bound is Klingenberg's for curvatures up to 4.
        """
        if self.k == self.n and not self._complex:
            return math.pi * math.sqrt(2.0 * self._beta)
        if self.metric == "euclidean":
            return math.pi
        return math.pi * (0.5 if self._complex else math.sqrt(0.8) if self.k > 1 else 1.0)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Between -1/2 and 1 for the Euclidean metric, 0 and 5/4 for the canonical one; complex -1 and 1, 0 and 4.

        References
        ----------
        R. Zimmermann, J. Stoye, High curvature means low-rank: on the sectional curvature of Grassmann and Stiefel
        manifolds and the underlying matrix trace inequalities, 2024. For complex frames the bounds follow from the
        Gauss equation and from O'Neill's formula with ``|[X, Y]|^2 <= 2 |X|^2 |Y|^2``; they need not be attained.
        """
        if self.dim == 1:
            return (0.0, 0.0)
        if self._complex:
            return (-1.0, 1.0) if self.metric == "euclidean" else (0.0, 4.0)
        return (-0.5, 1.0) if self.metric == "euclidean" else (0.0, 1.25)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The global radius; Cayley, polar and QR reach at least their inverse's limit, which lies at a right angle."""
        return self.injectivity_radius

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H Y)``, for the canonical metric less half of ``Re tr(X^H p p^H Y)``."""
        plain = type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim
        if plain and self.metric == "euclidean":
            return float(np.vdot(X, Y).real)
        xp = namespace(p, X, Y)
        value = frobenius(xp, X, Y, 2)
        if not self.isometric:
            P = adjoint(p)
            value = value - 0.5 * frobenius(xp, P @ X, P @ Y, 2)
        return scalar(value) if p.ndim == 2 or value.ndim else xp.broadcast_to(value, p.shape[:-2])

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The geodesic from a skew exponential of size 2k, made orthonormal again so that rounding does not grow."""
        tX = X if type(t) is float and t == 1.0 else expanded(t, 2) * X
        A = adjoint(p) @ tX
        B = tX - p @ A
        A = antihermitian(A)
        if is_numpy(p, tX):
            a, b, B = _geodesic(A, B, self._beta)
        else:
            a, b = frames.geodesic_factors(A, adjoint(B) @ B, self._beta)
        return written(orthonormalize_frame(p @ a + B @ b), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The velocity of the geodesic from p to q, by Newton's method in 2k dimensions, to rounding.

        Where it is shorter than the injectivity radius it is the shortest one. The cost is O(n k^2 + k^6) up to some
        twenty columns; beyond, steps of shooting replace Newton's.

        Raises
        ------
        ValueError
            If the iteration does not converge, which happens near and beyond the cut locus.
        """
        if is_numpy(p, q):
            return written(frame_log(p, q, self._beta, self.injectivity_radius), out)
        return implicit_log(self, p, q)

    # ---------------- retractions

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(p + tX) (I + t^2 X^H X)^(-1/2)``, the nearest frame to ``p + tX``."""
        Y = p + X if type(t) is float and t == 1.0 else p + expanded(t, 2) * X
        if type(Y) is np.ndarray and Y.ndim == 2 and Y.dtype == np.float64:
            q = Y.dot(_inverse_root(Y.T.dot(Y)))
            E = q.T.dot(q)  # one Newton step for the rounding of the root
            E *= -0.5
            E.flat[:: self.k + 1] += 1.5
            return written(q.dot(E), out)
        return written(orthonormalize_frame(Y @ hermitian_inverse_sqrt(adjoint(Y) @ Y)), out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The orthonormal factor of ``p + tX`` with a positive diagonal in the triangular one."""
        return written(frame_qf(p + expanded(t, 2) * X), out)

    def _retract_cholesky_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The same frame as QR, ``(p + tX) L^-H`` with the Cholesky factor L of ``I + t^2 X^H X``."""
        Y = p + expanded(t, 2) * X
        if not is_numpy(Y):
            return frame_qf(Y)
        L = np.linalg.cholesky(adjoint(Y) @ Y)
        return written(orthonormalize_frame(adjoint(np.linalg.solve(L, adjoint(Y)))), out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``-p + (2p + B) C^-1`` with ``C = I - A/2 + B^H B / 4``, ``A = p^H X``, ``B = X - p A``: (k, k) systems.

        References
        ----------
        Z. Wen, W. Yin, A feasible method for optimization with orthogonality constraints, Math. Program. 142, 2013,
        section 2, with the inverse of the low-rank update written in k columns.
        """
        tX = expanded(t, 2) * X
        A = adjoint(p) @ tX
        B = tX - p @ A
        half = 0.5 * antihermitian(A) - 0.25 * (adjoint(B) @ B)
        q = p + frames.right_divided(B + 2.0 * (p @ half), frames.eye_like(half) - half)
        return written(orthonormalize_frame(q), out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q S - p`` with ``M S + S M^H = 2 I``, ``M = p^H q``."""
        d = q - p
        E = frames.polar_factor(adjoint(p) @ d)
        self._require_reach("polar", hermitian(E))
        return written(self.project_vector(p, d + q @ E), out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q R - p`` with ``M R + R^H M^H = 2 I``, ``M = p^H q``, R upper triangular."""
        d = q - p
        E = frames.triangular_factor(adjoint(p) @ d)
        self._require_reach("qr", E, triangular=True)
        return written(self.project_vector(p, d + q @ E), out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``-2 p skew(C) + (q - p p^H q) C`` with ``C = 2 (I + p^H q)^-1``."""
        d = q - p
        C, D = _cayley_factor(p, q)
        X = p @ antihermitian(C @ D) + (d - p @ D) @ C
        if is_numpy(p, q):
            H = hermitian(C)
            if not np.all(np.isfinite(H)) or not np.all(np.linalg.eigvalsh(H) > 0):
                raise _out_of_reach("cayley", "no direction of p turned by pi")
        return written(X, out)

    def _require_reach(self, name: str, E: Array, triangular: bool = False) -> None:
        if namespace(E) is not np:
            return
        finite = np.all(np.isfinite(E))
        low = np.einsum("...ii->...i", E).real if triangular else np.linalg.eigvalsh(E) if finite else E.real
        if not finite or not np.all(1.0 + low > 0):
            raise _out_of_reach(name, "directions of p and q at less than a right angle")

    # ---------------- transports

    def _transport_polar(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The derivative along X of the polar retraction that leads from p to q.

        References
        ----------
        P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008, section
        8.1.2, for transports by differentiated retractions.
        """
        E = frames.polar_factor(adjoint(p) @ (q - p))
        S = frames.eye_like(E) + hermitian(E)
        W = adjoint(q) @ X
        inner = general_sylvester(S, S, W - adjoint(W))
        return written(q @ inner + frames.right_divided(X - q @ W, S), out)

    def _transport_qr(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The derivative along X of the QR retraction that leads from p to q."""
        E = frames.triangular_factor(adjoint(p) @ (q - p))
        F = frames.right_divided(X, frames.eye_like(E) + E)
        W = adjoint(q) @ F
        return written(F + q @ (frames.turned(W) - W), out)

    def _transport_cayley(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The derivative along X of the Cayley retraction that leads from p to q."""
        C, D = _cayley_factor(p, q)
        B = (q - p - p @ D) @ C
        A = adjoint(p) @ X
        Y = X - p @ A
        change = 0.5 * hermitian(adjoint(B) @ Y) - 0.5 * antihermitian(A)
        Z = frames.right_divided(Y - (q + p) @ change, C)
        return written(self.project_vector(q, Z), out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of ``p^H X``, then those of ``Q^H X`` for the reflection that completes p by Q: O(n k^2)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        A = adjoint(p) @ X
        inside = math.sqrt(self._beta) * frames.skew_coordinates(A, self._complex)
        across = frames.pack(frames.complement_coordinates(p, X, A), self._complex)
        return written(namespace(p, X).concatenate([inside, across], axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``p A + Q B`` with these coordinates of A and B: O(n k^2)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        first = self.dim - (2 if self._complex else 1) * (self.n - self.k) * self.k
        A = frames.skew_from_coordinates(c[..., :first] / math.sqrt(self._beta), self.k, self._complex)
        B = frames.unpack(c[..., first:], (self.n - self.k, self.k), self._complex)
        return written(p @ A + frames.complement_vector(p, B), out)

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """The nearest frame, the polar factor."""
        return frame_polar(z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - p herm(p^H Z)``."""
        if type(p) is np.ndarray and type(Z) is np.ndarray and p.ndim == 2 == Z.ndim and p.dtype == np.float64:
            C = p.T.dot(Z)
            return Z - p.dot(0.5 * (C + C.T)) if Z.dtype == np.float64 else Z - p @ hermitian(C)
        return Z - p @ hermitian(adjoint(p) @ Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``X - p herm(p^H X)``."""
        return self.project_vector(p, X)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``G - p herm(p^H G)``; for the canonical metric ``G - p G^H p``."""
        if self.isometric:
            return self.project_vector(p, G)
        return G - p @ (adjoint(G) @ p)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(H - X herm(p^H G))``; for the canonical metric ``P g^-1 (H - X herm(G^H p) - herm(N p^H) X)``.

        There ``N = G - p p^H G`` and ``g^-1 Z = Z + p p^H Z``: the inverse of the metric comes before the projection.

        References
        ----------
        N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023, section 7.3. A. Edelman, T.
        A. Arias, S. T. Smith, SIAM J. Matrix Anal. Appl. 20, 1998, section 2.4.5, for the canonical metric.
        """
        P = adjoint(p)
        C = P @ G
        Z = H - X @ hermitian(C)
        if not self.isometric:
            N = G - p @ C
            Z = Z - 0.5 * (N @ (P @ X) + p @ (adjoint(N) @ X))
            Z = Z + p @ (P @ Z)
        return self.project_vector(p, Z)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The vector itself; for the canonical metric ``X - p p^H X / 2``."""
        return X if self.isometric else X - 0.5 * (p @ (adjoint(p) @ X))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-X p^H V - p herm(X^H V)``, projected."""
        return -self.project_vector(p, X @ hermitian(adjoint(p) @ V))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform: the QR factor of a matrix of independent normal entries.

        References
        ----------
        F. Mezzadri, How to generate random matrices from the classical compact groups, Notices AMS 54, 2007.
        """
        return frame_qf(frames.gaussian(rng, (*size, self.n, self.k), self.field))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, and has orthonormal columns."""
        p = frames.checked(p, "p", self.point_shape, self.field, NotOnManifold)
        atol = frames.tolerance(p, atol)
        off = float(np.max(np.abs(adjoint(p) @ p - np.eye(self.k)), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have orthonormal columns to be a point of {self!r}, but p^H p differs from the identity by "
                f"{off:.3g} (tolerance {atol:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field, and ``p^H X`` is skew-Hermitian."""
        X = frames.checked(X, "X", self.point_shape, self.field, NotTangent)
        atol = frames.tolerance(X, atol)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = 2.0 * float(np.max(np.abs(hermitian(adjoint(np.asarray(p)) @ X)), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must have a skew-Hermitian p^H X to be tangent to {self!r}, but p^H X + X^H p has an entry "
                f"{off:.3g} (tolerance {atol * size:.3g}); project it with M.project_vector(p, X)"
            )


def _inverse_root(S: np.ndarray) -> np.ndarray:
    """``S^(-1/2)`` of a positive definite matrix; for two rows by Cayley and Hamilton, ``S^(1/2) = (S + r I) / t``."""
    if S.shape[0] == 2:
        a, b, _, c = S.ravel().tolist()
        r = math.sqrt(a * c - b * b)
        s = 1.0 / (r * math.sqrt(a + c + 2.0 * r))
        return np.array((((c + r) * s, -b * s), (-b * s, (a + r) * s)))
    w, V = eigh(S)
    return (V / np.sqrt(w)).dot(V.T)


def _geodesic(A: np.ndarray, B: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a, b and Q with the geodesic ``p a + Q b``, by the QR decomposition of B: skew exponentials only."""
    k = A.shape[-1]
    Q, R = np.linalg.qr(B)
    r = R.shape[-2]
    W = np.zeros((*A.shape[:-2], k + r, k + r), dtype=A.dtype)
    W[..., :k, :k] = 2.0 * beta * A
    W[..., k:, :k] = R
    W[..., :k, k:] = -adjoint(R)
    E = unitary_exp(W)[..., :k]
    if beta != 0.5:
        E = E @ unitary_exp((1.0 - 2.0 * beta) * A)
    return E[..., :k, :], E[..., k:, :], Q


def _cayley_factor(p: Array, q: Array) -> tuple[Array, Array]:
    """``C = 2 (I + p^H q)^-1`` and ``p^H (q - p)``."""
    D = adjoint(p) @ (q - p)
    I = frames.eye_like(D)
    return solve_batch(I + 0.5 * D, I + 0.0 * D), D


def _out_of_reach(name: str, rule: str) -> ValueError:
    return ValueError(
        f"inverse_retract(method={name!r}) on frames needs {rule}; go there in several steps"
    )
