"""Subspaces, represented by frames that are orthonormal in the inner product of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_polar, hermitian, solve_batch
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy
from manifold_opt.linalg.small import eigh
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, scalar, written
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotTangent
from manifold_opt.manifolds.grassmann import Grassmann, angles_over_tangents, cos_sinc_cosc
from manifold_opt.manifolds.weighted_frames import WeightedFrames

__all__ = ["GeneralizedGrassmann"]


@dataclass(frozen=True, repr=False)
class GeneralizedGrassmann(WeightedFrames):
    """The k-dimensional subspaces of R^n or C^n, each represented by a frame with ``p^H B p = I``.

    ``p R`` with unitary R is the same subspace. A tangent vector is horizontal: an (n, k) matrix X with ``p^H B X =
    0``. The metric is ``Re tr(X^H B Y)``: distances are the root of the sum of squares of the angles in the inner
    product of B, the Hermitian positive definite matrix.

    Parameters
    ----------
    n, k : int
        Dimensions of the space and of the subspaces, ``k < n``.
    B : array, sparse matrix, LinearOperator or MetricMatrix
        The matrix of the inner product, as in `GeneralizedStiefel`.
    field : {"real", "complex"}
        What the entries of p are.

    Raises
    ------
    ValueError
        If the sizes do not fit, B is not Hermitian positive definite, or complex where the field is real.

    Notes
    -----
    With ``B = C C^H`` it is isometric to `Grassmann(n, k)` by ``p -> C^H p``. A cost must depend on the subspace only,
    as the sum of Rayleigh quotients ``tr(p^H A p)`` does, whose minimum is spanned by the eigenvectors of ``A x =
    lambda B x`` of the k smallest eigenvalues.

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIAM J. Matrix
    Anal. Appl. 20, 1998, sections 2.5 and 4.5. T. Bendokat, R. Zimmermann, P.-A. Absil, A Grassmann manifold handbook,
    Adv. Comput. Math. 50, 2024.
    """

    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize riemannian_gradient riemannian_hessian euclidean_representer
        weingarten random_point random_vector check_point check_vector injectivity_radius sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "polar": "_retract_polar",
        "qr": "_retract_qr",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "polar": "_inverse_retract_polar",
        "qr": "_inverse_retract_polar",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        n, k = frames.check_sizes("GeneralizedGrassmann", self.n, self.k, strict=True)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "k", k)
        super().__post_init__()

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("n", "k", "B", "field")}

    @cached_property
    def model(self) -> Grassmann:
        """The isometric manifold with B = I."""
        return Grassmann(self.n, self.k, self.field)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squares of the angles between the subspaces, in the inner product of B."""
        if is_numpy(p, q):
            _, angle, _, _ = self._principal(p, q)
            return scalar(np.sqrt(np.einsum("...j,...j->...", angle, angle)))
        return self.norm(p, self.log(p, q))

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p cos(S^(1/2)) + X sinc(S^(1/2))`` for ``S = X^H B X``."""
        tX = X if type(t) is float and t == 1.0 else expanded(t, 2) * X
        S = self._dual(tX) @ tX
        if is_numpy(p, tX):
            w, V = eigh(S)
            cos, sinc, _ = cos_sinc_cosc(w)
            q = ((p @ V) * cos[..., None, :] + (tX @ V) * sinc[..., None, :]) @ adjoint(V)
        else:
            a, b = frames.geodesic_factors(0.0 * S, S, 0.5)
            q = p @ a + tX @ b
        return written(self._orthonormalized(q), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The principal vectors of q normal to p times their angles, for any frame of q; see `Grassmann.log`."""
        if is_numpy(p, q):
            N, angle, sine, U = self._principal(p, q)
            zero = sine == 0
            one = sine.dtype.type(1)
            factor = np.where(zero, one, angle / np.where(zero, one, sine))
            return written((N * factor[..., None, :]) @ adjoint(U), out)
        d = q - p
        D = self._dual(p) @ d
        W = adjoint(frame_polar(frames.eye_like(D) + D))
        T = frames.right_divided((d - p @ D) @ W, frames.eye_like(D) + hermitian(W + D @ W))
        return written(T @ angles_over_tangents(self._dual(T) @ T), out)

    def _principal(self, p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The parts N of the principal vectors of q normal to p, angles, sines, and U with ``p U`` those of p."""
        d = q - p
        D = self._dual(p) @ d
        U, cosine, Vh = np.linalg.svd(frames.eye_like(D) + D)
        N = (d - p @ D) @ adjoint(Vh)
        sine = np.sqrt(np.einsum("...ij,...ij->...j", np.conj(N), self.B.times(N)).real)
        return N, np.arctan2(sine, cosine), sine, U

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q (p^H B q)^-1 - p``: the tangents of the angles."""
        d = q - p
        D = self._dual(p) @ d
        M = frames.eye_like(D) + D
        self.model._require_acute(M)
        return written(frames.right_divided(d - p @ D, M), out)

    # ---------------- transports

    def _turn(self, p: Array, q: Array) -> Array:
        """The unitary W such that the frame of q nearest to p is ``q W^H``."""
        return frame_polar(self._dual(p) @ q)

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """X at the frame of p nearest to q, made horizontal in the inner product of B."""
        return written(self.tangentialize(q, X @ self._turn(p, q)), out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic, given at the frame q."""
        Y = self.parallel_transport_direction(p, X, self.log(p, q))
        return written(self.tangentialize(q, Y @ self._turn(p, q)), out)

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """``X - (p sinc(S^(1/2)) + d cosc(S^(1/2))) d^H B X`` for ``S = d^H B d``; see `Grassmann`."""
        dual = self._dual(d)
        S = dual @ d
        if is_numpy(p, X, d):
            w, V = eigh(S)
            _, sinc, cosc = cos_sinc_cosc(w)
            back = (p @ V) * sinc[..., None, :] + (d @ V) * cosc[..., None, :]
            return written(X - back @ (adjoint(V) @ (dual @ X)), out)
        sinc = frames.geodesic_factors(0.0 * S, S, 0.5)[1]
        half = frames.geodesic_factors(0.0 * S, 0.25 * S, 0.5)[1]
        return written(X - (p @ sinc + 0.5 * (d @ (half @ half))) @ (dual @ X), out)

    # ---------------- embedding and derivatives

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - N (N^H N)^-1 N^H Z`` with ``N = B p``: the nearest in the Frobenius norm."""
        N = self.B.times(p)
        return Z - N @ self._normal_part(N, Z)

    def _normal_part(self, N: Array, Z: Array) -> Array:
        """M for which ``N M``, ``N = B p``, is the normal part of Z."""
        return solve_batch(adjoint(N) @ N, adjoint(N) @ Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``X - p p^H B X``, the nearest in the metric of B."""
        return X - p @ (self._dual(p) @ X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``B^-1 G - p p^H G``."""
        return self.B.solve(G) - p @ (adjoint(p) @ G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(B^-1 H - X herm(p^H G))``; ``p^H G`` is Hermitian for every function of subspaces."""
        return self.tangentialize(p, self.B.solve(H) - X @ hermitian(adjoint(p) @ G))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(B X M)`` for the normal part ``B p M`` of V."""
        M = self._normal_part(self.B.times(p), V)
        return -self.project_vector(p, self.B.times(X) @ M)

    # ---------------- checks

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field, and ``p^H B X = 0``."""
        X = frames.checked(X, "X", self.point_shape, self.field, NotTangent)
        atol = frames.tolerance(X, atol)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(self._dual(np.asarray(p)) @ X), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must be horizontal, p^H B X = 0, to be tangent to {self!r}, but p^H B X has an entry {off:.3g} "
                f"(tolerance {atol * size:.3g}); clean it with M.tangentialize(p, X)"
            )
