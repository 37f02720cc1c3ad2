"""Frames that are orthonormal in the inner product of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import antihermitian, general_sylvester, hermitian
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, written
from manifold_opt.manifolds.errors import NotTangent
from manifold_opt.manifolds.stiefel import Stiefel
from manifold_opt.manifolds.stiefel_log import implicit_log, reduced_log
from manifold_opt.manifolds.weighted_frames import WeightedFrames, weighted_qr

__all__ = ["GeneralizedStiefel"]


@dataclass(frozen=True, repr=False)
class GeneralizedStiefel(WeightedFrames):
    """The (n, k) matrices p with ``p^H B p = I``, B Hermitian positive definite, and the metric ``Re tr(X^H B Y)``.

    A tangent vector X at p is an (n, k) matrix with ``p^H B X`` skew-Hermitian.

    Parameters
    ----------
    n, k : int
        Numbers of rows and columns, ``k <= n``.
    B : array, sparse matrix, LinearOperator or MetricMatrix
        The matrix of the inner product. It is copied (not an operator), and factored once. For an operator whose
        systems you can solve, give ``MetricMatrix(B, divide=f)``.
    field : {"real", "complex"}
        What the entries of p are.

    Raises
    ------
    ValueError
        If the sizes do not fit, B is not Hermitian positive definite, or complex where the field is real.

    Notes
    -----
    With ``B = C C^H`` it is isometric to `Stiefel(n, k)` by ``p -> C^H p``. Every operation but coordinates and the
    conversion of gradients and Hessians needs products with B and (k, k) systems only; these solve with B.

    `project_vector` is nearest in the embedding, where arrays have the Frobenius metric; `tangentialize` and the
    transport ``"projection"`` are nearest in the metric of B.

    References
    ----------
    A. Edelman, T. A. Arias, S. T. Smith, The geometry of algorithms with orthogonality constraints, SIAM J. Matrix
    Anal. Appl. 20, 1998, section 4.5. H. Sato, K. Aihara, Cholesky QR-based retraction on the generalized Stiefel
    manifold, Comput. Optim. Appl. 72, 2019.
    """

    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner exp log get_coordinates get_vector project_point project_vector tangentialize riemannian_gradient
        riemannian_hessian euclidean_representer weingarten random_point random_vector check_point check_vector
        injectivity_radius injectivity_radius_at sectional_curvature_bounds
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
        "qr": "_inverse_retract_qr",
    }
    transports: ClassVar[Mapping[str, str]] = {
        "projection": "_transport_projection",
        "differentiated-polar": "_transport_polar",
        "differentiated-qr": "_transport_qr",
    }
    default_retraction = "polar"
    default_inverse_retraction = "polar"
    default_transport = "projection"

    def __post_init__(self) -> None:
        n, k = frames.check_sizes("GeneralizedStiefel", self.n, self.k)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "k", k)
        super().__post_init__()
        self.model  # noqa: B018  # its sizes are checked now

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("n", "k", "B", "field")}

    @cached_property
    def model(self) -> Stiefel:
        """The isometric manifold with B = I."""
        return Stiefel(self.n, self.k, self.field)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The global radius; polar and QR reach at least their inverse's limit, which lies at a right angle."""
        return self.injectivity_radius

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p a + W b`` for ``X = p A + W``, with ``[a; b]`` from a matrix exponential in ``A`` and ``W^H B W``."""
        tX = X if type(t) is float and t == 1.0 else expanded(t, 2) * X
        A = self._dual(p) @ tX
        W = tX - p @ A
        a, b = frames.geodesic_factors(antihermitian(A), self._dual(W) @ W, 1.0)
        return written(self._orthonormalized(p @ a + W @ b), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The velocity of the geodesic from p to q, as `Stiefel.log` finds it, in 2k dimensions.

        Raises
        ------
        ValueError
            If the iteration does not converge, which happens near and beyond the cut locus.
        """
        if not is_numpy(p, q):
            return implicit_log(self, p, q)
        dtype = np.result_type(p, q)
        wide = np.result_type(dtype, np.float64)
        p = p.astype(wide, copy=False)
        d = q.astype(wide, copy=False) - p
        D = self._dual(p) @ d
        N = d - p @ D
        Q, R = weighted_qr(N - p @ (self._dual(p) @ N), self.B.times)
        A, b = reduced_log(D, R, 1.0, self.injectivity_radius)
        return written((p @ A + Q @ b).astype(dtype, copy=False), out)

    # ---------------- inverse retractions

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q S - p`` with ``M S + S M^H = 2 I``, ``M = p^H B q``."""
        d = q - p
        E = frames.polar_factor(self._dual(p) @ d)
        self.model._require_reach("polar", hermitian(E))
        return written(self.tangentialize(p, d + q @ E), out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q R - p`` with ``M R + R^H M^H = 2 I``, ``M = p^H B q``, R upper triangular."""
        d = q - p
        E = frames.triangular_factor(self._dual(p) @ d)
        self.model._require_reach("qr", E, triangular=True)
        return written(self.tangentialize(p, d + q @ E), out)

    # ---------------- transports

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The tangent vector at q nearest to X in the metric of B."""
        return written(self.tangentialize(q, X), out)

    def _transport_polar(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The derivative along X of the polar retraction that leads from p to q; see `Stiefel`."""
        E = frames.polar_factor(self._dual(p) @ (q - p))
        S = frames.eye_like(E) + hermitian(E)
        W = self._dual(q) @ X
        inner = general_sylvester(S, S, W - adjoint(W))
        return written(q @ inner + frames.right_divided(X - q @ W, S), out)

    def _transport_qr(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The derivative along X of the QR retraction that leads from p to q; see `Stiefel`."""
        E = frames.triangular_factor(self._dual(p) @ (q - p))
        F = frames.right_divided(X, frames.eye_like(E) + E)
        W = self._dual(q) @ F
        return written(F + q @ (frames.turned(W) - W), out)

    # ---------------- embedding and derivatives

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - B p S`` with ``M S + S M = 2 herm(p^H B Z)``, ``M = p^H B B p``: the nearest in the Frobenius norm."""
        N = self.B.times(p)
        return Z - N @ self._normal_part(N, Z)

    def _normal_part(self, N: Array, Z: Array) -> Array:
        """S for which ``N S``, ``N = B p``, is the normal part of Z."""
        M = adjoint(N) @ N
        C = adjoint(N) @ Z
        return general_sylvester(M, M, C + adjoint(C))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``X - p herm(p^H B X)``, the nearest in the metric of B."""
        return X - p @ hermitian(self._dual(p) @ X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``B^-1 G - p herm(p^H G)``."""
        return self.B.solve(G) - p @ hermitian(adjoint(p) @ G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(B^-1 H - X herm(p^H G))`` with the projection P in the metric of B."""
        return self.tangentialize(p, self.B.solve(H) - X @ hermitian(adjoint(p) @ G))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(B X S)`` for the normal part ``B p S`` of V."""
        S = self._normal_part(self.B.times(p), V)
        return -self.project_vector(p, self.B.times(X) @ S)

    # ---------------- checks

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field, and ``p^H B X`` is skew-Hermitian."""
        X = frames.checked(X, "X", self.point_shape, self.field, NotTangent)
        atol = frames.tolerance(X, atol)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = 2.0 * float(np.max(np.abs(hermitian(self._dual(np.asarray(p)) @ X)), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must have a skew-Hermitian p^H B X to be tangent to {self!r}, but p^H B X + X^H B p has an entry "
                f"{off:.3g} (tolerance {atol * size:.3g}); clean it with M.tangentialize(p, X)"
            )
