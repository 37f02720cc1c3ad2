"""What frames that are orthonormal in the inner product of a matrix B have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt.linalg.frames import hermitian_inverse_sqrt
from manifold_opt.linalg.metric_matrix import MetricMatrix
from manifold_opt.linalg.namespace import Array, adjoint, namespace
from manifold_opt.linalg.small import solve
from manifold_opt.manifolds import fallbacks, frames
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold

__all__ = ["WeightedFrames", "weighted_qr"]


@dataclass(frozen=True, repr=False)
class WeightedFrames(Manifold):
    """Matrices p with ``p^H B p = I`` and the metric ``Re tr(X^H B Y)``; a subclass gives the tangent spaces.

    With ``B = C C^H`` the map ``p -> C^H p`` is an isometry to frames that are orthonormal as usual, the `model`. Only
    coordinates and random points take it; all else needs products with B and small systems.
    """

    n: int
    k: int
    B: Any
    field: str = "real"

    def __post_init__(self) -> None:
        frames.check_field(self.field)
        B = self.B if isinstance(self.B, MetricMatrix) else MetricMatrix(self.B)
        if B.shape[0] != self.n:
            raise ValueError(f"B must have n = {self.n} rows and columns, but its shape is {B.shape}")
        if B.is_complex and self.field == "real":
            raise ValueError("B is complex, but the frames are real; take field='complex'")
        object.__setattr__(self, "B", B)

    @property
    def model(self) -> Manifold:
        """The isometric manifold with B = I."""
        raise NotImplementedError

    @property
    def isometric(self) -> bool:
        """Never: the metric is that of B."""
        return False

    @property
    def dim(self) -> int:
        """As for B = I."""
        return self.model.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (self.n, self.k)

    @property
    def injectivity_radius(self) -> float:
        """As for B = I."""
        return self.model.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """As for B = I."""
        return self.model.sectional_curvature_bounds

    def _dual(self, p: Array) -> Array:
        """``p^H B``, which takes the place of ``p^H``."""
        return adjoint(self.B.times(p))

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H B Y)``."""
        xp = namespace(X, Y)
        value = frobenius(xp, X, self.B.times(Y), 2)
        return scalar(value) if p.ndim == 2 or value.ndim else xp.broadcast_to(value, p.shape[:-2])

    # ---------------- retractions

    def _orthonormalized(self, q: Array) -> Array:
        """One Newton step ``q (3 I - q^H B q) / 2``: squares an error that is small."""
        E = self._dual(q) @ q
        return q + 0.5 * (q @ (frames.eye_like(E) - E))

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``Y (Y^H B Y)^(-1/2)`` for ``Y = p + tX``."""
        Y = p + expanded(t, 2) * X
        return written(self._orthonormalized(Y @ hermitian_inverse_sqrt(self._dual(Y) @ Y)), out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``Y L^-H`` for ``Y = p + tX`` with the Cholesky factor ``L L^H = Y^H B Y``: QR in the inner product of B."""
        return written(self._qf(p + expanded(t, 2) * X), out)

    def _qf(self, Y: Array) -> Array:
        return self._orthonormalized(Y @ _inverse_factor(self._dual(Y) @ Y))

    # ---------------- coordinates, embedding, random and checks

    def get_basis(self, p: Array, basis: Any = None) -> Array:
        """As on all manifolds; for an operator B, which has no factor, by Gram-Schmidt on projections."""
        if basis is None and not self.B.has_root:
            return fallbacks.projected_frame(self, p)
        return super().get_basis(p, basis)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the model, through the factor of B."""
        if basis is not None or not self.B.has_root:
            return super().get_coordinates(p, X, basis, out=out)
        return self.model.get_coordinates(self.B.root(p), self.B.root(X), out=out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector with these coordinates, through the factor of B."""
        if basis is not None or not self.B.has_root:
            return super().get_vector(p, c, basis, out=out)
        return written(self.B.root_divide(self.model.get_vector(self.B.root(p), c)), out)

    def project_point(self, z: Array) -> Array:
        """``z (z^H B z)^(-1/2)``, the nearest frame in the inner product of B."""
        return self._orthonormalized(z @ hermitian_inverse_sqrt(self._dual(z) @ z))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``B X``."""
        return self.B.times(X)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform: the inverse factor of B times a uniform frame; for an operator the frame of normal entries."""
        if self.B.has_root:
            return self._orthonormalized(self.B.root_divide(self.model.random_point(rng, size)))
        return self._qf(frames.gaussian(rng, (*size, self.n, self.k), self.field))

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent standard normal coordinates; for an operator B the projection of normal entries."""
        if self.B.has_root:
            return super().random_vector(p, rng)
        Z = frames.gaussian(rng, (*self._batch(p), self.n, self.k), self.field)
        return self.tangentialize(p, Z.astype(p.dtype, copy=False))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, and orthonormal in the inner product of B."""
        p = frames.checked(p, "p", self.point_shape, self.field, NotOnManifold)
        atol = frames.tolerance(p, atol)
        off = float(np.max(np.abs(self._dual(p) @ p - np.eye(self.k)), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p^H B p must be the identity for p to be a point of {self!r}, but differs from it by {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_point(p)"
            )


def _inverse_factor(S: Array) -> Array:
    """``L^-H`` of the Cholesky factor of small Hermitian matrices."""
    xp = namespace(S)
    I = frames.eye_like(S)
    if xp is np:
        return adjoint(np.linalg.inv(np.linalg.cholesky(S)))
    return adjoint(solve(_cholesky(xp, S), I + 0.0 * S))


def _cholesky(xp: Any, S: Array) -> Array:
    """The factor by columns, from operations that every library differentiates in both modes."""
    k = S.shape[-1]
    columns: list[Array] = []
    for j in range(k):
        v = S[..., j:, j]
        for i, c in enumerate(columns):
            v = v - c[..., j - i :] * xp.conj(c[..., j - i : j - i + 1])
        columns.append(v / xp.sqrt(xp.real(v[..., :1])))
    full = [xp.concatenate((0.0 * S[..., : k - c.shape[-1], 0], c), axis=-1) for c in columns]
    return xp.stack(full, axis=-1)


def weighted_qr(N: np.ndarray, times: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``N = Q R`` with ``Q^H B Q = I`` and R upper triangular; columns of Q that N does not determine are zero.

    Gram-Schmidt on columns, each twice.

    References
    ----------
    L. Giraud, J. Langou, M. Rozložník, J. van den Eshof, Rounding error analysis of the classical Gram-Schmidt
    orthogonalization process, Numer. Math. 101, 2005: twice is enough.
    """
    k = N.shape[-1]
    Q, BQ = np.zeros_like(N), np.zeros_like(N)
    R = np.zeros((*N.shape[:-2], k, k), dtype=N.dtype)
    eps = float(np.finfo(N.dtype).eps)
    for j in range(k):
        w = N[..., j : j + 1]
        before = np.sqrt(frobenius(np, w, times(w), 2))
        for _ in range(2):
            r = adjoint(BQ[..., :j]) @ w
            w = w - Q[..., :j] @ r
            R[..., :j, j] += r[..., 0]
        Bw = times(w)
        length = np.sqrt(frobenius(np, w, Bw, 2))
        there = length > 16.0 * eps * before
        inverse = expanded(np.where(there, 1.0 / np.where(there, length, 1.0), 0.0).astype(N.real.dtype), 2)
        Q[..., j : j + 1], BQ[..., j : j + 1] = inverse * w, inverse * Bw
        R[..., j, j] = np.where(there, length, 0.0)
    return Q, R
