"""Positive definite matrices of one determinant, with the affine-invariant metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import hermitian
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace
from manifold_opt.linalg.small import cholesky
from manifold_opt.manifolds.affine_invariant import AffineInvariantGeometry, log_spectrum
from manifold_opt.manifolds.arrays import cleared, default_atol, frobenius, scalar, written
from manifold_opt.manifolds.base import safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.parameters import real_or_complex
from manifold_opt.manifolds.positive_definite import diagonal, solved, whitened

__all__ = ["SpecialPositiveDefinite"]


@dataclass(frozen=True, repr=False)
class SpecialPositiveDefinite(AffineInvariantGeometry):
    """The positive definite matrices of a given determinant with the metric ``tr(p^-1 X p^-1 Y)``.

    A point is a symmetric, or complex Hermitian, (n, n) matrix p with positive eigenvalues and ``det p =
    determinant``. A tangent vector is a symmetric (Hermitian) matrix X with ``tr(p^-1 X) = 0``.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 2.
    determinant : float, default 1.0
        The determinant.
    field : {"real", "complex"}
        What the entries are.

    Raises
    ------
    ValueError
        If n is not an integer of at least 2, the determinant is not a positive number, or the field is unknown.

    Notes
    -----
    A totally geodesic part of all positive definite matrices, which are its product with a line: exponential,
    logarithm, distance and transport are theirs. For n = 2 it is the hyperbolic plane, or hyperbolic space where
    complex, of curvature -1/2. Results are scaled to the determinant, so that rounding does not add up.

    References
    ----------
    R. Bhatia, Positive Definite Matrices, Princeton, 2007, chapter 6. M. R. Bridson, A. Haefliger, Metric Spaces of
    Non-Positive Curvature, Springer, 1999, section II.10.
    """

    n: int
    determinant: float = 1.0
    field: str = "real"

    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}

    def __post_init__(self) -> None:
        super().__post_init__()
        real_or_complex(self.field)
        if self.n == 1:
            raise ValueError("n, the size of the matrices of SpecialPositiveDefinite, must be at least 2, but it is 1")
        if not (isinstance(self.determinant, (int, float, np.number)) and 0 < self.determinant < math.inf):
            raise ValueError(f"determinant must be a positive number, but it is {self.determinant!r}")
        object.__setattr__(self, "determinant", float(self.determinant))

    @property
    def dim(self) -> int:
        """``n (n + 1) / 2 - 1``, complex ``n^2 - 1``."""
        return self._size_of_all - 1

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Between -1/2 and 0; for n = 2 constantly -1/2."""
        return (-0.5, 0.0) if self.n > 2 else (-0.5, -0.5)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """Infinite."""
        return math.inf

    # ---------------- geodesics

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The norm of the logarithms of the eigenvalues of ``p^-1 q``, whose mean is removed with its rounding."""
        if not is_numpy(p, q):
            S = whitened(cholesky(p), self.log(p, q))
            return safe_sqrt_of(frobenius(namespace(S), S, S, 2))
        logarithms = log_spectrum(p, q, vectors=False)[1]
        logarithms = logarithms - logarithms.mean(axis=-1, keepdims=True)
        return scalar(np.sqrt(np.einsum("...i,...i->...", logarithms, logarithms)))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """That of all positive definite matrices, scaled to the determinant."""
        return written(self._scaled(super().exp(p, X, t)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of all positive definite matrices, cleaned of its component along p."""
        return written(self.tangentialize(p, super().log(p, q)), out)

    def _scaled(self, q: Array) -> Array:
        """The multiple with the right determinant."""
        xp = namespace(q)
        off = math.log(self.determinant) - _log_determinant(q)
        factor = xp.exp(off / self.n)
        if xp is np:
            return q * (float(factor) if q.ndim == 2 else factor[..., None, None].astype(q.real.dtype, copy=False))
        return q * factor[..., None, None]

    # ---------------- coordinates

    # On the diagonal of the whitened vector, whose sum is zero, the reflection that takes (1, ..., 1) / sqrt(n) to the
    # first axis, which is left out.

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of all positive definite matrices, the n of the diagonal turned into n - 1: O(n^3)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = super().get_coordinates(p, X)
        first = c[..., 1 : self.n] + c[..., :1] / (math.sqrt(self.n) - 1.0)
        return written(namespace(c).concatenate([first, c[..., self.n :]], axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector with these coordinates: O(n^3)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        xp = namespace(c)
        head = c[..., : self.n - 1]
        root = math.sqrt(self.n)
        first = xp.sum(head, axis=-1)[..., None] / root
        head = head - first / (root - 1.0)
        return super().get_vector(p, xp.concatenate([first, head, c[..., self.n - 1 :]], axis=-1), out=out)

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """That of all positive definite matrices, scaled to the determinant."""
        return self._scaled(super().project_point(z))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The symmetric part less its component along ``p^-1``, in the Frobenius metric."""
        N = _inverse(p)
        return self._without(hermitian(Z), N)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The symmetric part less its component along p, in the metric of the manifold."""
        X = hermitian(X)
        xp = namespace(p, X)
        trace = xp.sum(xp.real(diagonal(whitened(cholesky(p), X))), axis=-1)
        return X - trace[..., None, None] / self.n * p

    def _without(self, S: Array, N: Array) -> Array:
        """``S - <S, N> / <N, N> N``."""
        return S - self._along(S, N)[..., None, None] * N

    def _along(self, S: Array, N: Array) -> Array:
        xp = namespace(S, N)
        return frobenius(xp, S, N, 2) / frobenius(xp, N, N, 2)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``p sym(G) p`` less its component along p."""
        return self.tangentialize(p, super().riemannian_gradient(p, G))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """That of all positive definite matrices less its component along p: there is no second fundamental form."""
        return self.tangentialize(p, super().riemannian_hessian(p, G, H, X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``p^-1 X p^-1`` less its component along ``p^-1``."""
        return self._without(super().euclidean_representer(p, X), _inverse(p))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """The projection of ``a p^-1 X p^-1``, where V is a times ``p^-1``."""
        N = _inverse(p)
        a = self._along(hermitian(V), N)
        return self._without(a[..., None, None] * super().euclidean_representer(p, X), N)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """``expm(S)`` for a normally distributed S, scaled to the determinant."""
        return self._scaled(super().random_point(rng, size))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, symmetric (Hermitian), positive definite and of the determinant.

        The logarithm of the determinant may be off by the tolerance times ``|p| |p^-1|``, as it is by rounding of p.
        """
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = default_atol(p) if atol is None else atol
        off = np.abs(_log_determinant(p) - math.log(self.determinant))
        size = np.linalg.norm(p, axis=(-2, -1)) * np.linalg.norm(_inverse(p), axis=(-2, -1))
        if not np.all(off <= atol * size):
            raise NotOnManifold(
                f"p must have the determinant {self.determinant:g} to be a point of {self!r}, but its logarithm is off "
                f"by {np.max(off):.3g} (tolerance {np.min(atol * size):.3g}); scale it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, symmetric (Hermitian), and ``tr(p^-1 X)`` is zero."""
        super().check_vector(p, X, atol)
        X = cleared(X, "X", self.vector_shape, NotTangent)
        atol = default_atol(X) if atol is None else atol
        N = _inverse(np.asarray(p))
        off = np.abs(frobenius(np, N, X, 2))
        size = np.maximum(np.linalg.norm(X, axis=(-2, -1)), 1.0) * np.linalg.norm(N, axis=(-2, -1))
        if not np.all(off <= atol * size):
            raise NotTangent(
                f"X must have tr(p^-1 X) = 0 to be tangent to {self!r}, but the trace is {np.max(off):.3g} "
                f"(tolerance {np.min(atol * size):.3g}); project it with M.project_vector(p, X)"
            )


def _inverse(p: Array) -> Array:
    L = cholesky(p)
    eye = namespace(L).eye(p.shape[-1], dtype=L.dtype)
    half = solved(L, eye)
    return adjoint(half) @ half


def _log_determinant(q: Array) -> Array:
    """From the diagonal of the Cholesky factor."""
    L = cholesky(q)
    xp = namespace(L)
    return 2.0 * xp.sum(xp.log(xp.real(diagonal(L))), axis=-1)
